"""Disks that are full or cannot be written: told, with nothing half done; and on it goes when there is room."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from acqplan import Campaign
from acqplan.campaign.check import check_campaign
from acqplan.errors import OutputError
from tests.campaign.rigs import live_rig
from tests.crash.conftest import STORE
from tests.crash.pictures import picture
from tests.full_disk import room_for


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """Not a byte is left on this disk."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as handle:
        for size in (65536, 4096, 512, 1):
            try:
                while True:
                    handle.write(bytes(size))
            except OSError:
                continue
    yield
    filler.unlink()


def assert_nothing_happened(campaign: Campaign, before: int) -> None:
    assert len(campaign.events()) == before
    found = check_campaign(campaign, mend=False)
    assert (found["damaged"], found["recovered"], found["half_written"]) == ([], [], 0)
    assert found["records"] == "agree"


def test_a_full_disk_refuses_and_forgets_nothing(small_disk: Path, template: Path) -> None:
    place = Path(shutil.copytree(template, small_disk / "campaign")) / STORE
    with Campaign.open(place) as campaign:
        shots = campaign.ask(3)
        assert campaign.tell(shots[0], picture(0)) == "captured"
        before = len(campaign.events())
        with full(small_disk):
            with pytest.raises(OutputError, match=r"No space left on device.*make room"):
                campaign.tell(shots[1], picture(1, 64))
            with pytest.raises(OutputError, match=r"cannot be written.*make room"):
                campaign.fail(shots[2], reason="no room" * 10_000)  # more than the log has room for
        assert_nothing_happened(campaign, before)
        assert campaign.tell(shots[1], picture(1, 64)) == "captured"


def test_a_campaign_that_could_not_be_created_can_be_later(small_disk: Path, tmp_path: Path) -> None:
    rig = live_rig(tmp_path)
    with full(small_disk), pytest.raises(OutputError, match="make room"):
        Campaign.create(rig, budget=10, path=small_disk / STORE, strategy="random-shots")
    with Campaign.create(rig, budget=10, path=small_disk / STORE, strategy="random-shots") as campaign:
        assert len(campaign.ask(3)) == 3


@pytest.mark.skipif(sys.platform == "win32", reason="no limits there")
def test_a_file_that_cannot_grow_refuses_and_forgets_nothing(begun: Path) -> None:
    with Campaign.open(begun / STORE) as campaign:
        shots = campaign.ask(2)
        before = len(campaign.events())
        with room_for(100), pytest.raises(OutputError, match="File too large"):
            campaign.tell(shots[0], picture(0, 32))
        with room_for(1000), pytest.raises(OutputError, match="cannot be written"):
            campaign.fail(shots[1], reason="no room")
        assert_nothing_happened(campaign, before)
        assert campaign.tell(shots[0], picture(0, 32)) == "captured"


def test_a_folder_that_cannot_be_written_is_told(sealed: Path, begun: Path) -> None:
    with Campaign.open(begun / STORE) as campaign:
        (shot,) = campaign.ask(1)
        assert campaign.tell(shot, picture(0)) == "captured"
        with pytest.raises(OutputError, match="cannot be written"):
            Campaign.open(sealed / STORE).ask(1)
        assert_nothing_happened(campaign, len(campaign.events()))
