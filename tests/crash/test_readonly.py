"""Media that nobody can write: what only reads works, and all else says why it does not."""

import os
import shutil
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from acqplan import Campaign
from acqplan.campaign.check import check_campaign
from acqplan.campaign.export import export_campaign
from acqplan.errors import OutputError
from tests.crash.conftest import STORE, mount
from tests.crash.pictures import picture

NOBODY = 65534


@pytest.fixture
def used(begun: Path) -> Path:
    """The folder of a campaign of which something has happened."""
    with Campaign.open(begun / STORE) as campaign:
        for number, shot in enumerate(campaign.ask(4)[:3]):
            campaign.tell(shot, picture(number))
    return begun


def reads(store: Path, out: Path) -> None:
    """All that only reads, and some that does not."""
    before = {path: path.read_bytes() for path in sorted(store.parent.rglob("*")) if path.is_file()}
    with Campaign.open(store) as campaign:
        assert campaign.status()["captured"] == 3
        assert [event.kind for event in campaign.events()].count("told") == 3
        assert "3 of 24 images captured" in campaign.report()
        export_campaign(campaign, out)
        found = check_campaign(campaign)
        assert (found["images"], found["damaged"], found["records"], found["mended"]) == (3, [], "agree", False)
        shot = next(event.shot for event in campaign.events() if event.kind == "leased")
        deeds: list[Callable[[], object]] = [
            lambda: campaign.ask(1),
            lambda: campaign.fail(shot, reason="look", retry=False),
            lambda: campaign.tell(shot, picture(99), replace=True),
        ]
        for deed in deeds:
            with pytest.raises(OutputError, match="cannot be written"):
                deed()
    assert {path: path.read_bytes() for path in sorted(store.parent.rglob("*")) if path.is_file()} == before
    assert len(list((out / "images").glob("*/*"))) == 3


def test_a_campaign_on_a_disk_that_is_mounted_read_only_is_read(used: Path, tmp_path: Path) -> None:
    place = tmp_path / "disk"
    place.mkdir()
    mount("--bind", str(used), str(place))
    try:
        mount("-o", "remount,bind,ro", str(place))
        reads(place / STORE, tmp_path / "export")
    finally:
        os.system(f"umount --lazy {place}")


def test_a_campaign_that_others_write_is_read_where_it_cannot_be_written(used: Path, tmp_path: Path) -> None:
    place = tmp_path / "disk"
    place.mkdir()
    mount("--bind", str(used), str(place))
    try:
        mount("-o", "remount,bind,ro", str(place))
        with Campaign.open(used / STORE) as writer, Campaign.open(place / STORE) as reader:
            for number in range(3, 6):
                writer.tell(writer.ask(1)[0], picture(number))
                assert reader.status()["captured"] == number + 1
    finally:
        os.system(f"umount --lazy {place}")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may enter."""
    folder = Path(tempfile.mkdtemp(prefix="readonly"))
    folder.chmod(0o755)
    yield folder
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755)
    shutil.rmtree(folder)


def as_nobody(work: Callable[[], None]) -> None:
    """Do something in a process that may not do everything; root may."""
    if os.geteuid() != 0:
        work()
        return
    if not (child := os.fork()):
        try:
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            work()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0


def test_a_campaign_of_somebody_else_is_read(used: Path, open_folder: Path, tmp_path: Path) -> None:
    place, out = open_folder / "campaign", open_folder / "out"
    shutil.copytree(used, place)
    reads_first = tmp_path / "first"
    with Campaign.open(used / STORE) as campaign:  # loads what nobody might not read
        export_campaign(campaign, reads_first)
        check_campaign(campaign, mend=False)
        campaign.report()
    out.mkdir()
    out.chmod(0o777)
    for path in [*place.rglob("*"), place]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    as_nobody(lambda: reads(place / STORE, out / "export"))


def test_events_that_cannot_be_read_without_writing_are_told(used: Path, open_folder: Path) -> None:
    place = open_folder / "campaign"
    place.mkdir()
    with Campaign.open(used / STORE) as campaign:
        campaign.ask(1)
        for end in ("", "-wal"):  # as if the machine had lost its power
            shutil.copy(used / f"{STORE}{end}", place)
    for path in [*place.rglob("*"), place]:
        path.chmod(0o555 if path.is_dir() else 0o444)

    def tries() -> None:
        with pytest.raises(OutputError, match="-wal: holds events that cannot be read where nothing can be written"):
            Campaign.open(place / STORE)

    as_nobody(tries)
