"""A clock that is set back or forward in the middle of a campaign."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from acqplan import Campaign
from acqplan.campaign import operators
from acqplan.campaign.check import check_campaign
from tests.crash.conftest import BUDGET, STORE
from tests.crash.pictures import picture
from tests.crash.shifted_clock import with_shifted_clock
from tests.crash.test_kills import ROOT

HOUR = 3600.0
DAY = 24 * HOUR


@pytest.fixture
def timed(begun: Path) -> Path:
    """The store of a campaign of two hours."""
    with Campaign.open(begun / STORE) as campaign:
        operators.set_budget(campaign.store, time_budget=2 * HOUR)
    return begun / STORE


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


def left_of(campaign: Campaign) -> float:
    with campaign.store.reading() as ledger:
        return ledger.state.seconds_left(ledger.now)


@pytest.mark.parametrize("is_anew", [True, False])
def test_a_clock_that_is_a_day_ahead_for_one_ask_costs_no_time(timed: Path, is_anew: bool) -> None:
    clock = Clock()
    with Campaign.open(timed, clock=clock) as campaign:
        campaign.ask(1)
        clock.now += 10.0
        before = left_of(campaign)
        clock.now += DAY
        if is_anew:
            with Campaign.open(timed, clock=clock) as other:
                other.ask(1)
        else:
            campaign.ask(1)
        clock.now -= DAY
        assert campaign.finished != ""
        clock.now += 5.0
        campaign.fail(campaign.events()[-1].shot, reason="look")  # anything that is written
        assert left_of(campaign) == pytest.approx(before - 5.0, abs=1.0)
        assert len(campaign.ask(1)) == 1
        (event,) = [event for event in campaign.events() if event.kind == "clock"]
        assert event.body["jump"] == pytest.approx(-DAY, abs=20.0)
        assert event.body["uncounted"] == pytest.approx(DAY, abs=20.0)
        assert campaign.status()["seconds_left"] == pytest.approx(before - 5.0, abs=1.0)
        assert check_campaign(campaign)["records"] == "agree"


def test_a_clock_that_was_right_and_is_set_back_gives_no_time(timed: Path) -> None:
    clock = Clock()
    with Campaign.open(timed, clock=clock) as campaign:
        shots = campaign.ask(4)
        for number, shot in enumerate(shots):
            clock.now += 300.0
            campaign.tell(shot, picture(number))
        before = left_of(campaign)
        clock.now -= HOUR
        campaign.ask(1)
        assert left_of(campaign) == pytest.approx(before, abs=1.0)


def test_a_night_without_events_counts(timed: Path) -> None:
    clock = Clock()
    with Campaign.open(timed, clock=clock) as campaign:
        campaign.ask(1)
        clock.now += 1.9 * HOUR
        campaign.ask(1)
        assert left_of(campaign) == pytest.approx(0.1 * HOUR, abs=1.0)


def test_a_board_that_had_no_time_yet_costs_none(timed: Path) -> None:
    clock = Clock()
    clock.now = 30.0
    with Campaign.open(timed, clock=lambda: 1_800_000_000.0) as early:
        began = early.events()[0].at
    with sqlite3.connect(timed) as connection:  # as if it had been created in 1970, too
        connection.execute("UPDATE events SET at = at - ?", (began,))
        connection.execute("UPDATE facts SET text = json_set(text, '$.last_at', 1.0) WHERE name = 'standing'")
        connection.execute("DELETE FROM facts WHERE name = 'clocks'")
    connection.close()
    with Campaign.open(timed, clock=clock) as board:
        (shot,) = board.ask(1)
    clock.now = 1_800_000_000.0
    with Campaign.open(timed, clock=clock) as campaign:
        assert campaign.finished == ""
        assert left_of(campaign) == pytest.approx(2 * HOUR, abs=1.0)
        assert campaign.tell(shot, picture(0)) == "captured"
        clock.now += 60.0
        assert left_of(campaign) == pytest.approx(2 * HOUR - 60.0, abs=1.0)
        (event,) = [event for event in campaign.events() if event.kind == "clock"]
        assert event.body["jump"] > 1.7e9


@pytest.mark.parametrize("apart", [2.0, 5.0, 30.0, HOUR])
def test_leases_of_processes_whose_clocks_differ_last_as_long_as_they_should(begun: Path, apart: float) -> None:
    now = Clock()
    with (
        Campaign.open(begun / STORE, caller="late", clock=now) as late,
        Campaign.open(begun / STORE, caller="early", clock=lambda: now() + apart) as early,
    ):
        early.ask(1)
        (held,) = late.ask(1)
        for _ in range(58):
            now.now += 10.0
            assert [campaign.release(campaign.ask(1)) for campaign in (early, late)] == [1, 1]
        with late.store.reading() as ledger:
            record = ledger.get(held.id)
        assert record is not None
        assert (record.state, record.caller) == ("leased", "late")


SHIFTED = """
import os, sys
from acqplan.campaign.campaign import Campaign
def left(campaign):
    with campaign.store.reading() as ledger:
        return ledger.state.seconds_left(ledger.now)
with Campaign.open(sys.argv[1]) as campaign:
    for ahead in sys.argv[2:]:
        os.environ["CLOCK_AHEAD"] = ahead
        print(len(campaign.ask(1)), left(campaign))
"""


def shifted(store: Path, *ahead: float, environment: dict[str, str]) -> list[tuple[int, float]]:
    """Shots and time that are left in a process whose clock is ahead by so much, one ask after the other."""
    command = [sys.executable, "-c", SHIFTED, str(store), *(str(int(seconds)) for seconds in ahead)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [(int(line.split()[0]), float(line.split()[1])) for line in done.stdout.splitlines()]


def test_a_jump_of_the_machines_clock_is_said_and_not_counted(timed: Path, tmp_path: Path) -> None:
    environment = with_shifted_clock(tmp_path)
    found = shifted(timed, 0, DAY, 0, 30 * DAY, -50 * 365 * DAY, 0, environment=environment)
    found += [one for ahead in (0, DAY, 0, -HOUR) for one in shifted(timed, ahead, environment=environment)]
    assert [count for count, _ in found] == [1] * len(found)
    assert all(2 * HOUR - 60.0 < left <= 2 * HOUR for _, left in found)
    with Campaign.open(timed) as campaign:
        jumps = [event.body["jump"] for event in campaign.events() if event.kind == "clock"]
        assert jumps[:2] == pytest.approx([DAY, -DAY], abs=1.0)
        assert not [event for event in campaign.events() if event.kind == "expired" and "reason" not in event.body]
        assert check_campaign(campaign)["records"] == "agree"
