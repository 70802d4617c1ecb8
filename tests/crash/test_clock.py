"""A clock that is set back or forward in the middle of a campaign."""

from pathlib import Path

import pytest

from acqplan import Campaign
from acqplan.campaign.check import check_campaign
from tests.crash.conftest import BUDGET, STORE
from tests.crash.pictures import picture

HOUR = 3600.0


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        self.now += 0.01
        return self.now


@pytest.mark.parametrize("jumps", [(-HOUR,), (HOUR,), (HOUR, -HOUR), (-HOUR, -HOUR, 2 * HOUR)])
def test_a_clock_that_jumps_loses_and_doubles_nothing(begun: Path, jumps: tuple[float, ...]) -> None:
    clock, number = Clock(), 0
    with Campaign.open(begun / STORE, caller="one", clock=clock) as one:
        with Campaign.open(begun / STORE, caller="other", clock=clock) as other:
            for jump in jumps:
                held = one.ask(3)
                clock.now += jump
                number += 3
                handed = {shot.id for shot in other.ask(3)} & {shot.id for shot in held}
                assert not handed or jump > one.settings.lease_seconds
                outcomes = [one.tell(shot, picture(number + place)) for place, shot in enumerate(held)]
                assert outcomes == ["captured"] * 3  # late, and still wanted
        clock.now += one.settings.lease_seconds + 1  # whoever was the other never came back
        while shots := one.ask(4):
            for shot in shots:
                number += 1
                one.tell(shot, picture(1000 + number))
        times = [event.at for event in one.events()]
        assert times == sorted(times)
        assert check_campaign(one, mend=False)["records"] == "agree"
        with one.store.reading() as ledger:
            assert ledger.state.captured == ledger.state.exposures == BUDGET


def test_a_lease_lasts_as_long_as_it_should_after_the_clock_was_set_back(begun: Path) -> None:
    clock = Clock()
    with Campaign.open(begun / STORE, caller="one", clock=clock) as one:
        one.ask(1)
        clock.now -= HOUR
        held = one.ask(2)
        clock.now += one.settings.lease_seconds - 5
        with one.store.reading() as ledger:
            assert {shot.id for shot in held} & {record.shot for record in ledger.overdue()} == set()
        clock.now += 10
        with one.store.reading() as ledger:
            assert {shot.id for shot in held} <= {record.shot for record in ledger.overdue()}
