"""Plans of a campaign: what is left to choose from, and a choice as a queue that is quick to drive."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from acqplan import Campaign
from acqplan.campaign import operators
from acqplan.campaign.planning import PlanRequest, captured_of, planned, request_of, rule_of
from acqplan.errors import BudgetError, StrategyError, UsageError
from acqplan.plan import find_strategy
from acqplan.plan.base import Choice, History
from acqplan.plan.rounds import enough, learning_stops, next_stop
from acqplan.rig.source import LiveSource
from acqplan.rig.spec import Rig
from acqplan.space import Category, Objects, Shots
from tests.campaign.rigs import N_CANDIDATES, live_rig
from tests.campaign.spaces import TERMS
from tests.campaign.test_campaign import Clock, picture


def created(folder: Path, **settings: Any) -> Campaign:
    chosen = {"budget": 20, "strategy": "lattice", **settings}
    return Campaign.create(live_rig(folder), path=folder / "rig.db", clock=Clock(), **chosen)


def question(campaign: Campaign) -> PlanRequest:
    with campaign.store.reading() as ledger:
        return request_of(ledger)


def names_of(shots: Shots) -> set[str]:
    views = [view.values() for view in shots.views()]
    return {
        "_".join([name, *(f"{value:g}" if isinstance(value, float) else str(value) for value in view)])
        for name, view in zip(shots.names, views, strict=True)
    }


def test_at_first_everything_can_be_had(tmp_path: Path) -> None:
    found = question(created(tmp_path))
    assert len(found.candidates) == N_CANDIDATES
    assert (found.n, found.round, len(found.captured)) == (20, 1, 0)


def test_a_rig_that_says_nothing_of_changes_is_asked_for_one_object_after_another(tmp_path: Path) -> None:
    rig = replace(live_rig(tmp_path), seconds_per_object=None)
    Campaign.create(rig, path=tmp_path / "rig.db", clock=Clock(), budget=20, strategy="lattice").close()
    campaign = Campaign.open(tmp_path / "rig.db", clock=Clock())
    assert campaign.settings.seconds_per_object is None
    objects = [shot.object for shot in campaign.ask(20)]
    assert len(list(itertools.groupby(objects))) == len(set(objects)) == 4


def test_what_is_captured_leased_rejected_or_forbidden_is_no_candidate(tmp_path: Path) -> None:
    campaign = created(tmp_path)
    shots = campaign.ask(9)
    for number, shot in enumerate(shots[:3]):
        campaign.tell(shot, picture(number), reached={"azimuth": 33.0})
    for shot in shots[3:5]:
        campaign.fail(shot, reason="unreachable", retry=False)
    campaign.fail(shots[5], reason="blurred", exposed=True)
    operators.forbid(campaign.store, "elevation>65 and lighting=L1")
    operators.remove_object(campaign.store, "truck-01")
    found = question(campaign)
    every = names_of(Shots.every(found.captured.space, found.captured.objects))
    gone = {shot.id for shot in shots} - {shots[5].id}
    gone |= {name for name in every if name.startswith("truck-01") or name.endswith("_70_L1")}
    assert names_of(found.candidates) == every - gone
    assert found.n == 20 - 3 - 3 - 1, "captured, still leased, and the exposure that failed"
    assert {record.shot for record in found.records} == {shot.id for shot in shots[:3]}
    assert set(found.captured.coordinates[:, 0]) == {33.0}, "where the rig went"


def test_views_that_nobody_will_meet_are_no_candidates(tmp_path: Path) -> None:
    setup = live_rig(tmp_path)
    low = setup.source.space.views()[:, 1] < 40.0
    setup = replace(setup, view_weights=low.astype(float))
    campaign = Campaign.create(setup, budget=12, path=tmp_path / "rig.db", strategy="lattice")
    assert set(question(campaign).candidates.coordinates[:, 1]) == {30.0}
    with pytest.raises(BudgetError, match="where 48 can be had; give 1 to 48"):
        Campaign.create(setup, budget=49, path=tmp_path / "other.db", strategy="lattice")


def test_records_and_their_shots_stand_in_one_order(tmp_path: Path) -> None:
    campaign = created(tmp_path)
    for number, shot in enumerate(campaign.ask(7)):
        campaign.tell(shot, picture(number), reached={"azimuth": float(number)})
    with campaign.store.reading() as ledger:
        shots, records = captured_of(ledger)
    assert shots.names == [record.object for record in records]
    assert shots.coordinates[:, 0].tolist() == [record.reached[0] for record in records]
    assert shots.coordinates.tolist() == question(campaign).captured.coordinates.tolist()


def seconds(campaign: Campaign, rows: list[list[Any]]) -> float:
    places: list[Any] = [None, *((row[1], row[2]) for row in rows)]
    return sum(campaign.settings.seconds_between(a, b) for a, b in itertools.pairwise(places))


def test_a_plan_is_the_choice_of_its_rule_in_an_order_that_is_quick_to_drive(tmp_path: Path) -> None:
    campaign, rule = created(tmp_path), find_strategy("random-shots")
    asked = question(campaign)
    history = History.empty(asked.candidates)
    plan = planned(asked, campaign.settings, rule, history)
    chosen = asked.candidates.take(rule.propose(asked.candidates, history, 20, campaign.settings.seed).rows)
    assert {row[0] for row in plan["shots"]} == names_of(chosen)
    naive = [["", name, tuple(view.values())] for name, view in zip(chosen.names, chosen.views(), strict=True)]
    assert seconds(campaign, plan["shots"]) < seconds(campaign, naive)
    assert (plan["round"], plan["replaces"], plan["learns"], plan["short"]) == (1, True, False, 0)


@dataclass(frozen=True)
class Asked:
    """Takes the last candidates, and remembers for how many it was asked."""

    name: ClassVar[str] = "asked"
    exact: ClassVar[bool] = True
    turns: ClassVar[bool] = False
    learns: ClassVar[bool] = True
    numbers: ClassVar[list[tuple[int, int]]] = []

    def propose(self, candidates: Shots, history: History, n: int, seed: int) -> Choice:
        self.numbers.append((len(history), n))
        rows = np.arange(len(candidates))[::-1][:n]
        return Choice(rows=rows, gain=np.arange(n, dtype=float), reason=("the last",) * n)


@pytest.fixture(autouse=True)
def _nobody_asked() -> None:
    Asked.numbers.clear()


@pytest.mark.parametrize(("known", "asked"), [(0, [(0, 4), (4, 16)]), (4, [(4, 6), (10, 10)]), (9, [(9, 11)])])
def test_a_rule_that_learns_is_asked_for_each_round(tmp_path: Path, known: int, asked: list[tuple[int, int]]) -> None:
    campaign = created(tmp_path)
    for number, shot in enumerate(campaign.ask(known) if known else []):
        campaign.tell(shot, picture(number))
    found = question(campaign)
    plan = planned(found, campaign.settings, Asked(), History(shots=found.captured))
    assert Asked.numbers == asked
    rows = [row[0] for row in plan["shots"]]
    assert len(set(rows)) == len(rows) == 20 - known
    first = found.candidates.take(np.arange(len(found.candidates))[::-1][: asked[0][1]])
    assert set(rows[: asked[0][1]]) == names_of(first), "the shots before its next look come first"


@pytest.mark.parametrize(
    ("budget", "objects", "stops"),
    [(100, 10, (10, 50)), (100, 30, (30, 50)), (100, 60, (60,)), (10, 10, ()), (1, 3, ())],
)
def test_stops_ascend_and_show_every_object(budget: int, objects: int, stops: tuple[int, ...]) -> None:
    assert learning_stops(budget, objects) == stops
    assert next_stop(budget, objects, budget) is None
    for before, stop in zip((0, *stops), stops, strict=False):
        assert next_stop(budget, objects, before) == stop
        assert next_stop(budget, objects, enough(stop)) != stop


@pytest.mark.parametrize("forbidden", ["elevation>0", "elevation>30"])
def test_a_plan_takes_what_there_is_and_says_what_is_missing(tmp_path: Path, forbidden: str) -> None:
    campaign = created(tmp_path, budget=60)
    operators.forbid(campaign.store, forbidden)
    found = question(campaign)
    plan = planned(found, campaign.settings, rule_of(campaign.settings), History.empty(found.candidates))
    assert len(plan["shots"]) == len(found.candidates) == (0 if forbidden == "elevation>0" else 48)
    assert plan["short"] == 60 - len(plan["shots"])
    assert campaign.adopt(plan) == ""


def test_a_factorial_rule_leaves_the_rest_to_lots(tmp_path: Path) -> None:
    campaign = created(tmp_path, strategy="even", budget=50)
    with campaign.store.reading() as ledger:
        assert 0 < ledger.state.queued < 50
    assert len(campaign.ask(50)) == 50


def broken(rows: Callable[[int], np.ndarray]) -> Any:
    class Broken:
        name = "broken"
        exact = True
        turns = False

        def propose(self, candidates: Shots, history: History, n: int, seed: int) -> Choice:
            return Choice(rows=rows(n), gain=np.zeros(n), reason=("",) * n)

    return Broken()


@pytest.mark.parametrize(
    "rows", [lambda n: np.zeros(n, dtype=int), lambda n: np.arange(n) - 1, lambda n: np.arange(n - 1)]
)
def test_a_rule_that_breaks_its_contract_plans_nothing(tmp_path: Path, rows: Callable[[int], np.ndarray]) -> None:
    campaign = created(tmp_path)
    found = question(campaign)
    with pytest.raises(StrategyError, match="'broken' "):
        planned(found, campaign.settings, broken(rows), History.empty(found.candidates))


def test_two_shots_of_one_name_are_refused(tmp_path: Path) -> None:
    lamps = Category(name="lamps", values=("1", "0_1"), seconds_per_change=0.2)
    space = replace(TERMS, axes=(lamps,)).space()
    rig = LiveSource(space=space, objects=Objects(names=("car", "car_0"), labels=("car", "car")))
    with pytest.raises(UsageError, match="two shots are called 'car_0_1'; rename objects"):
        Campaign.create(Rig(source=rig), budget=4, path=tmp_path / "rig.db", strategy="lattice")
    assert not (tmp_path / "rig.db").exists()


def test_a_plan_of_an_earlier_state_is_dropped(tmp_path: Path) -> None:
    campaign = created(tmp_path)
    found = question(campaign)
    plan = planned(found, campaign.settings, rule_of(campaign.settings), History.empty(found.candidates))
    assert campaign.adopt(plan) == ""
    before = campaign.events()
    assert campaign.adopt(plan) == "plan 2 was adopted while this one was being made"
    assert campaign.events() == before


def test_the_plan_of_a_store_is_that_of_a_rule_by_name(tmp_path: Path) -> None:
    assert rule_of(created(tmp_path).settings) == find_strategy("lattice")
    with pytest.raises(UsageError, match="no strategy is called 'latice'"):
        rule_of(replace(TERMS, strategy="latice"))


def test_a_plan_does_not_hang_on_which_index_a_database_uses(tmp_path: Path) -> None:
    plans = []
    for index in ("queue", "leases"):
        (tmp_path / index).mkdir()
        campaign = created(tmp_path / index, strategy="random-shots")
        with campaign.store.writing() as transaction:  # of two that serve as well, SQLite takes the one made last
            transaction._connection.exec_driver_sql(f"DROP INDEX {index}")
            columns = "state, barred, position" if index == "queue" else "state, expires"
            transaction._connection.exec_driver_sql(f"CREATE INDEX {index} ON records ({columns})")
        for number, shot in enumerate(campaign.ask(12)):
            campaign.tell(shot, picture(number))
        plans.append(question(campaign))
    assert plans[0].captured.names == plans[1].captured.names
    assert [record.shot for record in plans[0].records] == [record.shot for record in plans[1].records]
