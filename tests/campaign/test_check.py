"""A check finds what events, records and images disagree about, and mends it once."""

import os
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from acqplan import Campaign
from acqplan.campaign.check import GRACE_SECONDS, PART_SECONDS, check_campaign
from acqplan.campaign.events import Fold
from acqplan.campaign.images import encoded
from acqplan.campaign.leases import Shot
from tests.campaign.rigs import GONE, live_rig
from tests.crash.pictures import picture


@pytest.fixture
def campaign(tmp_path: Path) -> Campaign:
    rig = live_rig(tmp_path)
    return Campaign.create(rig, budget=6, path=tmp_path / "rig.db", strategy="lattice", caller=GONE)


def left_behind(campaign: Campaign, shot: Shot | str, number: int, age: float = 2 * GRACE_SECONDS) -> str:
    """An image of which nobody spoke, as if its process had been killed; its name."""
    identifier = shot if isinstance(shot, str) else shot.id
    name = campaign.images.keep(identifier, *encoded(picture(number), identifier)).name
    then = time.time() - age
    os.utime(campaign.images.root / name, (then, then))
    return name


def only(found: dict[str, Any]) -> dict[str, Any]:
    """What was found at all."""
    usual = {"images", "records", "mended"}
    return {name: value for name, value in found.items() if value and name not in usual}


def counted(campaign: Campaign) -> tuple[int, int, int]:
    fold = Fold.replay(campaign.settings, campaign.events())
    with campaign.store.reading() as ledger:
        assert fold.state == ledger.state
        return ledger.state.captured, ledger.state.surplus, ledger.state.exposures


def test_a_campaign_without_faults_is_left_as_it_is(campaign: Campaign) -> None:
    for number, shot in enumerate(campaign.ask(4)):
        campaign.tell(shot, picture(number))
    before = campaign.events()
    found = check_campaign(campaign)
    assert (only(found), found["records"], found["images"]) == ({}, "agree", 4)
    assert campaign.events() == before


def test_an_image_that_nobody_spoke_of_is_captured_as_commanded(campaign: Campaign) -> None:
    shot, other, *_ = campaign.ask(3)
    left_behind(campaign, shot, 0)
    before = campaign.events()
    assert only(check_campaign(campaign, mend=False)) == {"recovered": [shot.id]}
    assert campaign.events() == before
    assert only(check_campaign(campaign)) == {"recovered": [shot.id]}
    assert only(check_campaign(campaign)) == {}
    assert counted(campaign) == (1, 0, 1)
    event = next(event for event in campaign.events() if event.kind == "told")
    assert event.body["recovered"]
    assert event.body["reached"] == list(shot.view.values())
    assert campaign.tell(shot, picture(0)) == "already"
    assert campaign.tell(other, picture(1)) == "captured"


def test_a_shot_that_somebody_is_taking_is_not_taken_from_them(campaign: Campaign) -> None:
    (shot,) = campaign.ask(1)
    with Campaign.open(campaign.store.place) as alive:
        name = left_behind(campaign, shot, 0)
        (again,) = alive.ask(1)
        assert again.id == shot.id
        assert only(check_campaign(campaign)) == {"left": [name]}
        assert alive.tell(again, picture(1)) == "captured"
    assert only(check_campaign(campaign)) == {"surplus": [shot.id]}
    assert counted(campaign) == (1, 1, 2)


def test_an_image_beyond_the_budget_is_left_and_not_counted(campaign: Campaign) -> None:
    shots = campaign.ask(6)
    name = left_behind(campaign, shots[0], 100)
    for number, shot in enumerate(shots):
        assert campaign.tell(shot, picture(number)) == "captured"
    assert only(check_campaign(campaign)) == {"left": [name]}
    assert counted(campaign) == (6, 0, 6)


def test_what_belongs_to_no_shot_is_left(campaign: Campaign) -> None:
    stranger = left_behind(campaign, "car-77_0_30_L0", 0)
    (shot,) = campaign.ask(1)
    broken = left_behind(campaign, shot, 1)
    with (campaign.images.root / broken).open("ab") as handle:
        handle.write(b"more")
    os.utime(campaign.images.root / broken, (1e9, 1e9))
    assert only(check_campaign(campaign)) == {"left": sorted([stranger, broken])}
    assert counted(campaign) == (0, 0, 0)


def test_an_image_that_may_be_waiting_for_its_event_is_let_wait(campaign: Campaign) -> None:
    (shot,) = campaign.ask(1)
    name = left_behind(campaign, shot, 0, age=1.0)
    assert only(check_campaign(campaign)) == {"on_their_way": [name]}
    assert campaign.tell(shot, picture(0), reached={"azimuth": 12.5}) == "captured"
    assert only(check_campaign(campaign)) == {}
    assert counted(campaign) == (1, 0, 1)


def test_remains_of_killed_writers_are_cleared_after_a_day(campaign: Campaign) -> None:
    (campaign.images.root / "ab").mkdir()
    fresh, old = (campaign.images.root / "ab" / f".image.{name}.part" for name in ("fresh", "old"))
    for path, age in ((fresh, 60.0), (old, PART_SECONDS + 60.0)):
        path.write_bytes(b"half an im")
        os.utime(path, (time.time() - age, time.time() - age))
    assert check_campaign(campaign, mend=False)["half_written"] == 2
    assert old.exists()
    check_campaign(campaign)
    assert (fresh.exists(), old.exists()) == (True, False)


def test_a_check_runs_by_itself_once_after_the_machine_was_started(campaign: Campaign) -> None:
    shot, other, *_ = campaign.ask(6)
    place, noted = campaign.store.place, f"checked on {socket.gethostname()}"
    Campaign.open(place).close()
    left_behind(campaign, shot, 0)
    Campaign.open(place).close()
    assert counted(campaign) == (0, 0, 0)
    campaign.store.note(noted, f"earlier-{campaign.store.noted(noted)}")
    Campaign.open(place).close()
    assert counted(campaign) == (1, 0, 1)
    left_behind(campaign, other, 1)
    Campaign.open(place).close()
    assert counted(campaign) == (1, 0, 1)


def test_an_image_of_a_shot_that_failed_for_good_is_kept_and_counted(campaign: Campaign) -> None:
    (shot,) = campaign.ask(1)
    left_behind(campaign, shot, 0)
    campaign.fail(shot, reason="unplugged", retry=False)
    assert only(check_campaign(campaign)) == {"surplus": [shot.id]}
    assert counted(campaign) == (0, 1, 1)


def test_an_image_that_vanishes_before_its_event_is_written_again(campaign: Campaign) -> None:
    (shot,) = campaign.ask(1)
    vanished: list[Path] = []

    def clock() -> float:  # read at the beginning of each transaction, so also between image and event
        for path in campaign.images.root.glob("??/*.png"):
            vanished.append(path)
            path.unlink()
        return 2e9

    with Campaign.open(campaign.store.place, clock=clock) as other:
        assert other.tell(shot, picture(0)) == "captured"
    (path,) = vanished
    assert path.read_bytes() == picture(0)
    assert only(check_campaign(campaign)) == {}
