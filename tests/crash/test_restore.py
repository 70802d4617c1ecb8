"""A backup in the place of a campaign that died: with `restore`; and by hand, beside the log of the dead campaign."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from acqplan import Campaign
from acqplan.campaign.check import back_up, check_campaign
from acqplan.campaign.images import MARK, encoded
from acqplan.campaign.restore import restore_campaign
from acqplan.errors import StoreError, UsageError
from tests.campaign.rigs import N_CANDIDATES, live_rig
from tests.cli.conftest import contents
from tests.crash.pictures import picture
from tests.crash.test_kills import ROOT

# takes images until it is killed, which leaves the log of SQLite beside the file
DYING = """
import os, signal, sys
from acqplan import Campaign
from tests.crash.pictures import picture
campaign = Campaign.open(sys.argv[1])
for number, shot in enumerate(campaign.ask(int(sys.argv[2]))):
    campaign.tell(shot, picture(number))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def dead(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a campaign of 10 images and its backup, which took 120 more and was killed."""
    place = tmp_path_factory.mktemp("dead")
    store = place / "rig.db"
    with Campaign.create(live_rig(place), budget=N_CANDIDATES, path=store, strategy="lattice") as campaign:
        for number, shot in enumerate(campaign.ask(10)):
            campaign.tell(shot, picture(number))
        back_up(campaign, place / "backup")
    done = subprocess.run([sys.executable, "-c", DYING, str(store), "120"], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert Path(f"{store}-wal").stat().st_size > 0
    return place


@pytest.fixture
def died(dead: Path, tmp_path: Path) -> Path:
    """Its file, in a folder to work in."""
    return Path(shutil.copytree(dead, tmp_path / "died")) / "rig.db"


def over(backup: Path, store: Path) -> None:
    shutil.copyfile(backup, store)


def over_as_old_as_it_is(backup: Path, store: Path) -> None:
    shutil.copy2(backup, store)


def in_place(backup: Path, store: Path) -> None:
    store.unlink()
    shutil.copy2(backup, store)


def renamed(backup: Path, store: Path) -> None:
    backup.rename(store)


@pytest.mark.parametrize("put", [over, over_as_old_as_it_is, in_place, renamed])
def test_a_backup_put_beside_the_log_of_another_file_is_not_destroyed(
    died: Path, put: Callable[[Path, Path], None]
) -> None:
    whole = (died.parent / "backup" / "rig.db").read_bytes()
    put(died.parent / "backup" / "rig.db", died)
    for _ in range(2):
        with pytest.raises(StoreError, match="the log of another file") as refused:
            Campaign.open(died)
    assert "acqplan campaign restore" in refused.value.hint
    assert died.read_bytes() == whole
    Path(f"{died}-wal").unlink()
    with Campaign.open(died) as campaign:
        assert campaign.status()["events"] > 0
        assert check_campaign(campaign)["records"] == "agree"


def test_a_log_of_its_own_is_read_wherever_both_are_moved_or_copied(died: Path) -> None:
    shutil.copytree(died.parent, died.parent.with_name("copy"), ignore=shutil.ignore_patterns("*-shm"))
    for store in (died.parent.with_name("copy") / "rig.db", died):
        with Campaign.open(store) as campaign:
            assert campaign.status()["captured"] == 130
            assert check_campaign(campaign)["damaged"] == []


@pytest.mark.parametrize("lost", ["nothing", "file", "log", "all but images", "everything"])
def test_a_backup_is_restored_whatever_is_left(died: Path, lost: str) -> None:
    backup, wal = died.parent / "backup", Path(f"{died}-wal")
    gone = {"nothing": [], "file": [died], "log": [wal]}.get(lost, [died, wal, Path(f"{died}-shm")])
    for path in gone:
        path.unlink()
    if lost == "everything":
        shutil.rmtree(f"{died}.images")
    if lost == "log":
        died.write_bytes(b"x" * 4096)
    before = contents(backup)
    if died.exists():
        with pytest.raises(UsageError, match="is there already"):
            restore_campaign(backup, died)
    for path in Path(f"{died}.images").glob("*/*"):  # older than the time in which a living process tells
        os.utime(path, (0, 0))
    found = restore_campaign(backup, died, replace=True)
    assert found["captured"] == 10
    assert found["images"] == (10 if lost == "everything" else 0)
    assert bool(found["aside"]) == bool({died, wal} - set(gone))
    assert {name: content for name, content in contents(backup).items() if name in before} == before
    with Campaign.open(died) as campaign:
        # images that were told since the backup are given to their shots
        assert campaign.status()["captured"] == (10 if lost == "everything" else 130)
        (shot, *_) = campaign.ask(1)
        assert campaign.tell(shot, picture(999)) == "captured"
        assert check_campaign(campaign)["damaged"] == []
    assert not list(died.parent.glob(".*"))


@pytest.mark.parametrize("is_marked", [True, False])
def test_images_of_another_campaign_go_aside(died: Path, is_marked: bool) -> None:
    shutil.rmtree(f"{died}.images")
    with Campaign.create(live_rig(died.parent), budget=9, path=died.parent / "other.db") as other:
        kept = other.images.keep("car-00_0_30_L0", *encoded(picture(500), ""))
    (died.parent / "other.db.images").rename(f"{died}.images")
    if not is_marked:
        Path(f"{died}.images", MARK).unlink()
    found = restore_campaign(died.parent / "backup" / "rig.db", died, replace=True)
    assert (Path(found["aside"]) / "rig.db.images" / kept.name).exists()
    with Campaign.open(died) as campaign:
        assert len(campaign.images.names()) == 10
        assert restore_campaign(died.parent / "backup", died.parent / "new" / "any.db")["images"] == 10
    with Campaign.open(died.parent / "new" / "any.db") as campaign:
        assert campaign.images.root == died.parent / "new" / "rig.db.images"
        assert check_campaign(campaign)["damaged"] == []


def test_what_is_no_backup_is_refused_and_nothing_changes(died: Path, tmp_path: Path) -> None:
    spoilt = tmp_path / "spoilt"
    shutil.copytree(died.parent / "backup", spoilt)
    content = (spoilt / "rig.db").read_bytes()
    (spoilt / "rig.db").write_bytes(content[: len(content) // 2])
    before = contents(died.parent)
    for backup in (spoilt, died.parent / "backup" / "rig.db.images", tmp_path / "nothing.db"):
        with pytest.raises(StoreError):
            restore_campaign(backup, died, replace=True)
    with pytest.raises(UsageError, match="its own tools"):
        restore_campaign(died.parent / "backup", "postgresql://lab/db")
    assert contents(died.parent) == before


def test_a_restoration_that_is_killed_is_made_again_by_the_same_command(died: Path) -> None:
    kinds = ["--work", str(died.parent), "--every", "97", "--kinds", "restore"]
    command = [sys.executable, "-m", "tests.crash.copying", *kinds]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["wrong"] == []
    assert found["kills"]["restore"] >= 1
