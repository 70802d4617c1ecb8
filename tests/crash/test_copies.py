"""A store that is copied while it is in use."""

import json
import shutil
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from acqplan import Campaign
from acqplan.campaign.check import back_up, check_campaign
from acqplan.campaign.events import Event
from acqplan.campaign.export import MARK, export_campaign, import_campaign
from acqplan.errors import OutputError, StoreError, UsageError
from tests.campaign.postgres import Server
from tests.campaign.rigs import live_rig
from tests.cli.conftest import contents
from tests.crash.capturing import capture
from tests.crash.conftest import BUDGET, STORE
from tests.crash.pictures import picture
from tests.crash.test_kills import ROOT

WRITER = (
    "import sys; from pathlib import Path; from tests.crash.capturing import capture\n"
    "capture(*map(Path, sys.argv[1:]), seed=1, tell_again=False)"
)


def writer(folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", WRITER, str(folder / STORE), str(folder / "journal")]
    with (folder / "said").open("w") as said:
        process = subprocess.Popen(command, cwd=ROOT, stderr=said)
    while process.poll() is None and not (folder / "journal").exists():
        time.sleep(0.005)
    return process


def ended(process: subprocess.Popen[bytes], folder: Path) -> list[Event]:
    assert process.wait() == 0, (folder / "said").read_text()
    with Campaign.open(folder / STORE) as campaign:
        return campaign.events()


def test_a_careless_copy_is_a_part_of_the_truth_or_says_that_it_is_damaged(begun: Path, tmp_path: Path) -> None:
    process, places = writer(begun), list[Path]()
    while process.poll() is None:
        places.append(tmp_path / f"copy-{len(places)}")
        places[-1].mkdir()
        for name in (f"{STORE}-wal", STORE) if len(places) % 2 else (STORE, f"{STORE}-wal"):
            with suppress(FileNotFoundError):  # there is no log before the first writer, and none after the last
                shutil.copy(begun / name, places[-1])
            time.sleep(0.01)
        shutil.copytree(begun / f"{STORE}.images", places[-1] / f"{STORE}.images", ignore=shutil.ignore_patterns(".*"))
    truth, outcomes = ended(process, begun), Counter[str]()
    for place in places[-12:]:
        try:
            with Campaign.open(place / STORE) as campaign:
                events = campaign.events()
                assert check_campaign(campaign)["records"] == "agree"
        except StoreError:
            outcomes["refused"] += 1
            continue
        assert events == truth[: len(events)]
        outcomes["opened"] += 1
    assert outcomes["opened"] > 0


def test_a_backup_taken_while_in_use_is_whole(begun: Path, tmp_path: Path) -> None:
    process, places = writer(begun), list[Path]()
    with Campaign.open(begun / STORE) as campaign:
        while process.poll() is None:
            places.append(tmp_path / f"copy-{len(places)}")
            campaign.store.database.copy_to(places[-1])
            time.sleep(0.02)
        with pytest.raises(UsageError, match="is there already"):
            campaign.store.database.copy_to(begun / STORE)
    truth = ended(process, begun)
    assert len(places) > 1
    for place in places:
        with Campaign.open(place, check=False) as copy:
            copy.store.database.check_pages()
            copy.store.check_events()
            events = copy.events()
            assert events == truth[: len(events)]


def test_a_backup_taken_while_in_use_goes_on_by_itself(begun: Path, tmp_path: Path) -> None:
    process = writer(begun)
    with Campaign.open(begun / STORE) as campaign:
        while len(campaign.images.names()) < 5:
            time.sleep(0.005)
        place = back_up(campaign, tmp_path / "backup")
    truth = ended(process, begun)
    assert place == tmp_path / "backup" / STORE
    with Campaign.open(place) as copy:
        assert copy.images.root.parent == tmp_path / "backup"
        events = copy.events()
        assert 0 < len(events) < len(truth)
        assert events == truth[: len(events)]
        assert check_campaign(copy)["damaged"] == []
    capture(place, tmp_path / "journal", seed=2, tell_again=False)
    with Campaign.open(place) as copy, copy.store.reading() as ledger:
        assert ledger.state.captured == ledger.state.exposures == BUDGET


def test_a_server_is_backed_up_by_its_own_tools(server: Server, tmp_path: Path) -> None:
    url = server.database("copies")
    with Campaign.create(live_rig(tmp_path), budget=3, path=url, images=tmp_path / "images") as campaign:
        with pytest.raises(UsageError, match="pg_dump"):
            campaign.store.database.copy_to(tmp_path / "copy")
        assert check_campaign(campaign)["records"] == "agree"
        assert campaign.tell(campaign.ask(1)[0], picture(0)) == "captured"
        (tmp_path / "images").rename(tmp_path / "unseen")
        with Campaign.open(url) as elsewhere:  # a machine that does not see the images may look
            assert elsewhere.status()["captured"] == 1
            assert "damaged" not in {event.kind for event in elsewhere.events()}


def test_copies_that_are_killed_are_made_again_by_the_same_command(begun: Path) -> None:
    capture(begun / STORE, begun / "journal", seed=1, tell_again=False)
    with Campaign.open(begun / STORE) as campaign:
        export_campaign(campaign, begun / "export")
    command = [sys.executable, "-m", "tests.crash.copying", "--work", str(begun), "--every", "23"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["wrong"] == []
    assert min(found["kills"].values()) >= 3


@pytest.mark.parametrize("kind", ["another file", "another mark", "an older campaign"])
def test_an_import_touches_no_images_of_others(begun: Path, kind: str) -> None:
    capture(begun / STORE, begun / "journal", seed=1, tell_again=False)
    with Campaign.open(begun / STORE) as campaign:
        export_campaign(campaign, begun / "export")
    first = begun / "again.db"
    import_campaign(begun / "export", first).close()
    first.unlink()  # a user lost it, and has the images still
    if kind == "another file":
        (begun / "again.db.images" / "notes.txt").write_text("mine", encoding="utf-8")
        (begun / "again.db.images" / MARK).write_text("0" * 64, encoding="ascii")
    if kind == "another mark":
        (begun / "again.db.images" / MARK).write_text("0" * 64, encoding="ascii")
    before = contents(begun)
    with pytest.raises(OutputError, match="is there already"):
        import_campaign(begun / "export", first)
    assert contents(begun) == before
