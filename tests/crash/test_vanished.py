"""Things that go away while a campaign runs: its file, the disk of its images; and folders that are another's."""

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from acqplan import Campaign
from acqplan.campaign.check import back_up, check_campaign
from acqplan.campaign.export import export_campaign, import_campaign
from acqplan.campaign.images import MARK
from acqplan.errors import ImageError, OutputError, StoreError, UsageError
from acqplan.files import share_of
from tests.campaign.rigs import live_rig
from tests.crash.conftest import STORE, mount
from tests.crash.pictures import picture
from tests.crash.test_kills import ROOT


def deleted(store: Path) -> None:
    for path in store.parent.glob(f"{STORE}*"):
        if path.is_file():
            path.unlink()


def replaced_by_a_copy(store: Path) -> None:
    shutil.copy(store, store.with_name("copy"))
    store.with_name("copy").replace(store)


def without_its_log(store: Path) -> None:
    store.with_name(f"{STORE}-wal").unlink()


@pytest.mark.parametrize("accident", [deleted, replaced_by_a_copy, without_its_log, lambda store: store.rename("gone")])
def test_nothing_is_written_into_a_store_that_is_gone(
    begun: Path, accident: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(begun)
    with Campaign.open(begun / STORE) as campaign:
        first, second = campaign.ask(2)
        assert campaign.tell(first, picture(0)) == "captured"
        accident(begun / STORE)
        for deed in (
            lambda: campaign.tell(second, picture(1)),
            lambda: campaign.fail(second, reason="look"),
            lambda: campaign.ask(1),
        ):
            with pytest.raises(StoreError, match="deleted, moved or replaced while it was open; nothing was written"):
                deed()
        before = sorted(begun.rglob("*"))
        campaign.store.close()  # connections are opened anew, as after a fork
        if (begun / STORE).exists():
            return
        with pytest.raises(StoreError, match="deleted, moved or replaced"):
            campaign.status()
        assert sorted(begun.rglob("*")) == before


@pytest.fixture
def apart(begun: Path, tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """A campaign whose images are on a disk of their own, and where that is mounted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount("-t", "tmpfs", "tmpfs", str(disk))
    campaign = Campaign.create(live_rig(tmp_path), budget=8, path=tmp_path / STORE, images=disk, strategy="lattice")
    for number, shot in enumerate(campaign.ask(3)):
        campaign.tell(shot, picture(number))
    campaign.close()
    yield tmp_path / STORE, disk
    subprocess.run(["umount", "--lazy", disk], check=False, capture_output=True)


@pytest.mark.parametrize("is_anew", [True, False])
def test_an_image_is_not_written_below_the_mount_point_of_its_disk(apart: tuple[Path, Path], is_anew: bool) -> None:
    store, disk = apart
    with Campaign.open(store) as campaign:
        (shot,) = campaign.ask(1)
        subprocess.run(["umount", "--lazy", disk], check=True)
        with Campaign.open(store) if is_anew else campaign as used:
            before = used.events()
            with pytest.raises(OutputError, match=r"not the folder of this campaign's images.*mount its disk"):
                used.tell(shot, picture(9))
            assert used.events() == before
            assert used.status()["captured"] == 3
            assert list(disk.iterdir()) == []
            with pytest.raises(ImageError, match="3 of 3 images could not be copied"):
                back_up(used, store.parent / "backup")
            assert not (store.parent / "backup").exists()


def test_a_folder_of_images_that_vanishes_is_not_made_anew(begun: Path) -> None:
    with Campaign.open(begun / STORE) as campaign:
        first, second = campaign.ask(2)
        campaign.tell(first, picture(0))
        campaign.images.root.rename(begun / "unplugged")
        with pytest.raises(OutputError, match="not the folder of this campaign's images"):
            campaign.tell(second, picture(1))
        assert not campaign.images.root.exists()
        (begun / "unplugged").rename(campaign.images.root)
        assert campaign.tell(second, picture(1)) == "captured"


def test_a_backup_counts_the_images_that_it_lacks(begun: Path) -> None:
    with Campaign.open(begun / STORE) as campaign:
        for number, shot in enumerate(campaign.ask(6)):
            campaign.tell(shot, picture(number))
        assert back_up(campaign, begun / "whole").exists()
        campaign.images.forget(campaign.images.names()[0])
        with pytest.raises(ImageError, match=r"1 of 6 images could not be copied.*run: acqplan campaign check"):
            back_up(campaign, begun / "partial")
        assert not (begun / "partial").exists()
        check_campaign(campaign)
        assert back_up(campaign, begun / "partial").exists()


def test_two_campaigns_do_not_share_a_folder_of_images(tmp_path: Path) -> None:
    rig, images = live_rig(tmp_path), tmp_path / "images"
    one = Campaign.create(rig, budget=6, path=tmp_path / "one.db", images=images)
    with pytest.raises(UsageError, match="holds images of another campaign"):
        Campaign.create(rig, budget=6, path=tmp_path / "other.db", images=images)
    assert not (tmp_path / "other.db").exists()
    one.close()
    for path in tmp_path.glob("one.db*"):
        path.unlink()
    with Campaign.create(rig, budget=6, path=tmp_path / "other.db", images=images) as other:  # it held none
        assert other.tell(other.ask(1)[0], picture(0)) == "captured"


def as_of_an_earlier_version(store: Path, images: Path) -> None:
    """Take away what earlier versions did not write."""
    (images / MARK).unlink(missing_ok=True)
    with sqlite3.connect(store) as connection:
        connection.execute("UPDATE events SET body = json_remove(body, '$.id') WHERE number = 1")
        connection.execute("DELETE FROM facts WHERE name IN ('images', 'clocks')")
    connection.close()


def test_a_campaign_of_an_earlier_version_adopts_its_folder_and_no_other(tmp_path: Path) -> None:
    rig, images = live_rig(tmp_path), tmp_path / "images"
    for name in ("one", "other"):
        with Campaign.create(rig, budget=6, path=tmp_path / f"{name}.db", images=tmp_path / name) as campaign:
            campaign.tell(campaign.ask(1)[0], picture(0))
    shutil.copytree(tmp_path / "one", images)
    shutil.copytree(tmp_path / "other", images, dirs_exist_ok=True)
    for name in ("one", "other"):
        as_of_an_earlier_version(tmp_path / f"{name}.db", images)
        with sqlite3.connect(tmp_path / f"{name}.db") as connection:
            connection.execute(f"UPDATE events SET body = json_set(body, '$.images', '{images}') WHERE number = 1")
        connection.close()
    with Campaign.open(tmp_path / "one.db") as one, Campaign.open(tmp_path / "other.db") as other:
        assert one.tell(one.ask(1)[0], picture(1)) == "captured"
        assert other.status()["captured"] == 1
        with pytest.raises(OutputError, match=r"it is that of .*one\.db"):
            other.tell(other.ask(1)[0], picture(2))
        with pytest.raises(StoreError, match="holds images of another campaign"):
            check_campaign(other)


def test_a_campaign_of_an_earlier_version_does_not_adopt_an_empty_folder(begun: Path) -> None:
    with Campaign.open(begun / STORE) as campaign:
        campaign.tell(campaign.ask(1)[0], picture(0))
        root = campaign.images.root
    as_of_an_earlier_version(begun / STORE, root)
    root.rename(begun / "unplugged")
    root.mkdir()
    with Campaign.open(begun / STORE) as campaign:
        with pytest.raises(OutputError, match=f"its file {MARK} is not there"):
            campaign.tell(campaign.ask(1)[0], picture(1))
        check_campaign(campaign)  # the operator says that they are lost
        assert campaign.tell(campaign.ask(1)[0], picture(2)) == "captured"


def test_copies_of_a_campaign_have_folders_of_their_own(begun: Path) -> None:
    with Campaign.open(begun / STORE) as campaign:
        campaign.tell(campaign.ask(1)[0], picture(0))
        place = back_up(campaign, begun / "backup")
        export_campaign(campaign, begun / "export")
    with Campaign.open(place) as copy, import_campaign(begun / "export", begun / "imported.db") as imported:
        for number, one in enumerate((copy, imported)):
            assert one.tell(one.ask(1)[0], picture(1 + number)) == "captured"
            assert (one.images.root / MARK).is_file()


MOUNTS = r"""
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:40 / /home rw shared:2 master:1 - nfs4 server:/home rw,vers=4.2
31 30 0:41 / /home/local rw - xfs /dev/vdb rw
32 22 0:42 / /mnt/with\040space rw - cifs //server/share rw
33 22 0:43 / /mnt/far rw - fuse.sshfs me@there: rw
34 22 0:44 / /mnt/near rw - fuse.encfs x rw
35 22 0:45 / /mnt/twice rw - ext4 /dev/vdc rw
36 35 0:46 / /mnt/twice rw - 9p C: rw
"""


@pytest.mark.parametrize(
    ("path", "share"),
    [
        ("/rig.db", ""),
        ("/home/me/rig.db", "nfs4"),
        ("/homes/rig.db", ""),
        ("/home/local/rig.db", ""),
        ("/mnt/with space/rig.db", "cifs"),
        ("/mnt/far/away/rig.db", "fuse.sshfs"),
        ("/mnt/near/rig.db", ""),
        ("/mnt/twice/rig.db", "9p"),
    ],
)
def test_a_share_is_known_by_its_file_system(tmp_path: Path, path: str, share: str) -> None:
    (tmp_path / "mountinfo").write_text(MOUNTS.lstrip(), encoding="utf-8")
    assert share_of(Path(path), tmp_path / "mountinfo") == share
    assert share_of(Path(path), tmp_path / "nothing") == ""


CLI = "from acqplan.cli.app import main; main()"


def test_a_store_on_a_share_is_not_created_and_warned_of_when_opened(begun: Path, tmp_path: Path) -> None:
    mounted = tmp_path / "mountinfo"
    mounted.write_text(f"22 1 0:40 / / rw - ext4 /dev/vda rw\n30 22 0:41 / {tmp_path} rw - nfs4 there:/x rw\n")
    there = f'mount --bind {mounted} /proc/$$/mountinfo && exec "$@"'
    around = ["unshare", "--mount", "sh", "-c", there, "sh", sys.executable, "-c", CLI, "campaign"]
    if shutil.which("unshare") is None or subprocess.run([*around[:6], "true"], capture_output=True).returncode:
        pytest.skip("what is mounted cannot be changed for one process here; only root can")

    def said(*command: str) -> tuple[int, str]:
        done = subprocess.run([*around, *command], cwd=ROOT, capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    live_rig(tmp_path)
    places = ["--store", str(tmp_path / "share.db"), "--rig", str(tmp_path / "rig.toml")]
    code, refusal = said("create", *places, "--budget", "5")
    assert (code, list(tmp_path.glob("share.db*"))) == (2, [])
    assert "on a share (nfs4)" in refusal
    assert "acqplan serve" in refusal
    assert "PostgreSQL" in refusal
    code, warning = said("ask", "--store", str(begun / STORE))
    assert code == 0, warning
    assert "on a share (nfs4)" in warning
