"""Ask, tell, fail: the life of a campaign in one process."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acqplan import Campaign
from acqplan.campaign import operators
from acqplan.campaign.events import Fold
from acqplan.campaign.planning import planned, request_of, rule_of
from acqplan.errors import BudgetError, ConflictError, ImageError, ShotError, StoreError, UsageError
from acqplan.plan.base import History
from tests.campaign.rigs import N_CANDIDATES, live_rig


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def picture(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 255, (8, 8, 3), dtype=np.uint8)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def made(folder: Path, clock: Clock, budget: int = 20, **settings: Any) -> Campaign:
    return Campaign.create(live_rig(folder), budget=budget, path=folder / "rig.db", clock=clock, **settings)


def assert_fold_is_state(campaign: Campaign) -> None:
    fold = Fold.replay(campaign.settings, campaign.events())
    with campaign.store.reading() as ledger:
        assert fold.state == ledger.state
        assert {record.shot: record for record in ledger.every()} == {one.shot: one for one in fold.records.every()}


def test_a_script_takes_exactly_the_budget(tmp_path: Path, clock: Clock) -> None:
    campaign = made(tmp_path, clock)
    seen: list[str] = []
    while shots := campaign.ask(6):
        for shot in shots:
            assert campaign.tell(shot, picture(len(seen)), reached={"azimuth": shot.view["azimuth"]}) == "captured"
            seen.append(shot.id)
    assert len(set(seen)) == len(seen) == 20
    assert "budget of 20 images is spent" in campaign.finished
    assert_fold_is_state(campaign)


def test_telling_again_changes_nothing_and_another_image_is_refused(tmp_path: Path, clock: Clock) -> None:
    campaign = made(tmp_path, clock)
    (shot,) = campaign.ask(1)
    assert campaign.tell(shot, picture(0)) == "captured"
    before = campaign.events()
    assert campaign.tell(shot.id, picture(0)) == "already"
    with pytest.raises(ConflictError, match="another image"):
        campaign.tell(shot, picture(1))
    assert campaign.events() == before
    assert len(campaign.images.names()) == 1
    assert campaign.tell(shot, picture(1), replace=True) == "replaced"
    with campaign.store.reading() as ledger:
        assert (ledger.state.captured, ledger.state.exposures) == (1, 2)
    assert_fold_is_state(campaign)


def test_a_late_image_is_taken_while_it_is_wanted_and_kept_aside_afterwards(tmp_path: Path, clock: Clock) -> None:
    slow = made(tmp_path, clock)
    (first,) = slow.ask(1)
    clock.now += slow.settings.lease_seconds + 1
    quick = Campaign.open(tmp_path / "rig.db", caller="quick", clock=clock)
    (again,) = quick.ask(1)
    assert again.id == first.id
    assert slow.tell(first, picture(0)) == "captured"
    assert quick.tell(again, picture(1)) == "surplus"
    assert quick.tell(again, picture(1)) == "already"
    with quick.store.reading() as ledger:
        assert (ledger.state.captured, ledger.state.surplus, ledger.state.exposures) == (1, 1, 2)
    assert_fold_is_state(quick)


def test_a_shot_that_keeps_failing_is_given_up_and_replaced(tmp_path: Path, clock: Clock) -> None:
    campaign = made(tmp_path, clock, budget=5, failure_limit=1.0)
    (shot,) = campaign.ask(1)
    outcomes = [campaign.fail(shot, reason="unreachable")]
    captured = 0
    while shots := campaign.ask(1):
        if shots[0].id == shot.id:
            outcomes.append(campaign.fail(shot, reason="unreachable"))
        else:
            captured += campaign.tell(shots[0], picture(captured)) == "captured"
    assert outcomes == ["retried", "retried", "rejected"]
    assert captured == 5
    assert_fold_is_state(campaign)


def test_a_failed_exposure_counts_if_the_rig_took_it(tmp_path: Path, clock: Clock) -> None:
    campaign = made(tmp_path, clock, budget=4)
    (shot,) = campaign.ask(1)
    campaign.fail(shot, reason="blurred", retry=False, exposed=True)
    while shots := campaign.ask(10):
        for one in shots:
            campaign.tell(one, picture(hash(one.id) % 1000))
    with campaign.store.reading() as ledger:
        assert (ledger.state.captured, ledger.state.exposures) == (3, 4)


def test_too_many_failures_stop_with_a_reason(tmp_path: Path, clock: Clock) -> None:
    campaign = made(tmp_path, clock, budget=60)
    while shots := campaign.ask(5):
        for shot in shots:
            campaign.fail(shot, reason="no light", retry=False)
    assert "20 of the last 20 answers were failures" in campaign.finished
    assert_fold_is_state(campaign)


def test_a_clock_set_back_delays_no_lease(tmp_path: Path, clock: Clock) -> None:
    campaign = made(tmp_path, clock, budget=N_CANDIDATES)
    campaign.ask(3)
    clock.now -= 3600
    assert len(campaign.ask(3)) == 3
    clock.now += campaign.settings.lease_seconds + 1
    with campaign.store.reading() as ledger:
        assert len(ledger.overdue()) == 6
    assert_fold_is_state(campaign)


def test_no_shot_is_handed_out_that_would_end_after_the_time_budget(tmp_path: Path, clock: Clock) -> None:
    campaign = made(tmp_path, clock, time_budget=10.0)
    taken = 0
    while shots := campaign.ask(4):
        for number, shot in enumerate(shots):
            clock.now += 2.0
            taken += campaign.tell(shot, picture(10 * taken + number)) == "captured"
    assert 0 < taken <= 8
    clock.now += 10.0
    assert campaign.ask() == []
    assert "time budget of 10 s is spent" in campaign.finished


@pytest.mark.parametrize("budget", [0, N_CANDIDATES + 1])
def test_a_budget_that_cannot_be_had_leaves_no_store(tmp_path: Path, clock: Clock, budget: int) -> None:
    with pytest.raises(BudgetError, match="can be had"):
        made(tmp_path, clock, budget=budget)
    assert not (tmp_path / "rig.db").exists()


def test_wrong_use_is_told_and_changes_nothing(tmp_path: Path, clock: Clock) -> None:
    campaign = made(tmp_path, clock)
    (shot,) = campaign.ask(1)
    before = campaign.events()
    with pytest.raises(ShotError, match="no shot of this campaign"):
        campaign.tell("car-99_0_30_L0", picture(0))
    with pytest.raises(ImageError, match="is damaged"):
        campaign.tell(shot, b"\x89PNG\r\n\x1a\n truncated")
    with pytest.raises(ImageError, match="float64"):
        campaign.tell(shot, np.zeros((4, 4)))
    with pytest.raises(UsageError, match="did you mean 'azimuth'"):
        campaign.tell(shot, picture(0), reached={"azimut": 3.0})
    with pytest.raises(UsageError, match="ask for 1 or more"):
        campaign.ask(0)
    assert campaign.events() == before
    assert campaign.images.names() == []
    with pytest.raises(StoreError, match="there is no campaign"):
        Campaign.open(tmp_path / "other.db")
    with pytest.raises(UsageError, match="a campaign is there already"):
        made(tmp_path, clock)


def test_a_failure_told_twice_ends_nobody_elses_lease(tmp_path: Path, clock: Clock) -> None:
    first = made(tmp_path, clock, budget=10)
    second = Campaign.open(tmp_path / "rig.db", caller="second", clock=clock)
    third = Campaign.open(tmp_path / "rig.db", caller="third", clock=clock)
    (shot,) = first.ask(1)
    first.fail(shot, reason="blurred", exposed=True)
    operators.set_budget(first.store, 15)  # the plan of ten is at its end, and the shot that failed comes again
    assert shot.id in {one.id for one in second.ask(10)}
    assert first.fail(shot, reason="blurred", exposed=True) == "unchanged"
    assert shot.id not in {one.id for one in third.ask(9)}
    with first.store.reading() as ledger:
        assert ledger.state.exposures == 1
    assert_fold_is_state(first)


def test_an_image_that_was_told_before_counts_once_however_often_it_is_replaced(tmp_path: Path, clock: Clock) -> None:
    campaign = made(tmp_path, clock)
    (shot,) = campaign.ask(1)
    campaign.tell(shot, picture(0))
    assert [campaign.tell(shot, picture(number), replace=True) for number in (1, 0, 1)] == ["replaced"] * 3
    with campaign.store.reading() as ledger:
        assert (ledger.state.captured, ledger.state.exposures) == (1, 2)
    assert_fold_is_state(campaign)


def test_an_image_kept_aside_can_be_taken_after_all(tmp_path: Path, clock: Clock) -> None:
    slow = made(tmp_path, clock)
    (shot,) = slow.ask(1)
    clock.now += slow.settings.lease_seconds + 1
    quick = Campaign.open(tmp_path / "rig.db", caller="quick", clock=clock)
    quick.ask(1)
    quick.tell(shot, picture(0))
    assert slow.tell(shot, picture(1)) == "surplus"
    assert slow.tell(shot, picture(1), replace=True) == "replaced"
    with slow.store.reading() as ledger:
        assert (ledger.state.captured, ledger.state.exposures) == (1, 2)
    assert_fold_is_state(slow)


def test_what_a_caller_holds_already_takes_of_its_time(tmp_path: Path, clock: Clock) -> None:
    campaign = made(tmp_path, clock, time_budget=10.0)
    first = campaign.ask(20)
    assert 0 < len(first) < 20
    assert campaign.ask(20) == []
    other = Campaign.open(tmp_path / "rig.db", caller="another rig", clock=clock)
    assert other.ask(20)


def test_images_of_another_campaign_are_not_adopted(tmp_path: Path, clock: Clock) -> None:
    campaign = made(tmp_path, clock)
    campaign.tell(campaign.ask(1)[0], picture(0))
    campaign.close()
    (tmp_path / "rig.db").unlink()
    with pytest.raises(UsageError, match="holds images of another campaign"):
        made(tmp_path, clock)
    assert not (tmp_path / "rig.db").exists()


def test_an_object_taken_away_while_a_plan_was_made_gets_no_shots(tmp_path: Path, clock: Clock) -> None:
    campaign = made(tmp_path, clock)
    operators.add_object(campaign.store, "car-02", "car")
    with campaign.store.reading() as ledger:
        question = request_of(ledger)
    plan = planned(question, campaign.settings, rule_of(campaign.settings), History(shots=question.captured))
    assert any(row[1] == "car-02" for row in plan["shots"])
    operators.remove_object(campaign.store, "car-02")
    assert campaign.adopt(plan) == ""
    assert set(campaign.status()["by_class"]) == {"car", "truck"}
    assert_fold_is_state(campaign)


def test_any_name_of_a_file_is_a_place_for_a_store(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "what?is=this #1.db"
    made_there = Campaign.create(live_rig(tmp_path), budget=4, path=path, clock=clock)
    assert path.is_file()
    made_there.close()
    assert Campaign.open(path).settings.objects
