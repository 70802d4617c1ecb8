from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acqplan.errors import BudgetError, StrategyError
from acqplan.evaluate.replay import Arm, replay
from acqplan.plan import STRATEGIES, find_strategy
from acqplan.plan.base import Choice, History
from acqplan.plan.designs import RandomShots
from acqplan.progress import SILENT, Progress
from acqplan.space import Circle, Interval, Objects, Shots, Space
from acqplan.space.shots import distinct, is_among
from tests.ideas import IDEAS

SPACE = Space(
    axes=(
        Circle(name="azimuth", values=tuple(range(0, 360, 45))),
        Interval(name="elevation", values=(20.0, 40.0, 60.0), unit="deg"),
    )
)
OBJECTS = Objects(names=("a-0", "a-1", "b-0", "b-1"), labels=("a", "a", "b", "b"))
CANDIDATES = Shots.every(SPACE, OBJECTS)
NOTHING = History.empty(CANDIDATES)


class Camera:
    """Counts what it is asked for; a feature tells where its shot was taken from."""

    def __init__(self) -> None:
        self.taken: list[Shots] = []

    def __call__(self, shots: Shots, *, progress: Progress = SILENT) -> np.ndarray:
        self.taken.append(shots)
        return np.column_stack([shots.object_rows, shots.coordinates]).astype(np.float32)


@pytest.mark.parametrize("name", [*sorted(STRATEGIES), *IDEAS])
def test_an_arm_takes_no_more_than_its_budget_pilot_included(name: str) -> None:
    rule = find_strategy(name)
    run = replay([Arm(strategy=rule, budget=40, seed=3, stops=(8,))], CANDIDATES, NOTHING, Camera())[0]
    assert len(run.shots) == 40 if rule.exact else len(run.shots) <= 40
    assert len(set(run.shots.pairs())) == len(run.shots)
    assert (run.rounds[:8] == 0).all() if rule.exact else True


def test_the_camera_takes_a_shot_of_many_arms_once_and_no_other_shot() -> None:
    camera = Camera()
    arms = [Arm(strategy=find_strategy(name), budget=20, seed=seed) for name in ("lattice", "sobol") for seed in (0, 1)]
    runs = replay(arms, CANDIDATES, NOTHING, camera)
    asked = [pair for shots in camera.taken for pair in shots.pairs()]
    assert len(asked) == len(set(asked))
    assert set(asked) == {pair for run in runs for pair in run.shots.pairs()}


def test_features_come_back_in_the_order_of_the_shots() -> None:
    arm = Arm(strategy=find_strategy("herding"), budget=30, seed=0, stops=(10,))
    run = replay([arm], CANDIDATES, NOTHING, Camera())[0]
    np.testing.assert_array_equal(run.features[:, 0], run.shots.object_rows)
    np.testing.assert_array_equal(run.features[:, 1:], run.shots.coordinates.astype(np.float32))


def test_captured_shots_are_charged_and_not_taken_again() -> None:
    had = CANDIDATES.take(np.arange(0, 96, 7))
    start = History(shots=had, features=Camera()(had))
    run = replay([Arm(strategy=find_strategy("lattice"), budget=40, seed=0)], CANDIDATES, start, Camera())[0]
    assert len(run.shots) == 40 - len(had)
    assert not is_among(run.shots, had).any()


def test_arms_together_run_as_each_alone() -> None:
    arms = [Arm(strategy=find_strategy(name), budget=24, seed=1, stops=(6,)) for name in ("lattice", "random-shots")]
    together = replay(arms, CANDIDATES, NOTHING, Camera())
    alone = [replay([arm], CANDIDATES, NOTHING, Camera())[0] for arm in arms]
    assert [run.shots.pairs() for run in together] == [run.shots.pairs() for run in alone]


def test_a_pilot_as_large_as_the_budget_is_refused() -> None:
    with pytest.raises(BudgetError):
        Arm(strategy=find_strategy("lattice"), budget=10, seed=0, stops=(10,))


class Broken:
    name: ClassVar[str] = "broken"
    exact: ClassVar[bool] = True
    turns: ClassVar[bool] = False

    def __init__(self, rows: list[int], gain: float = 0.0) -> None:
        self.rows, self.gain = rows, gain

    def propose(self, candidates: Shots, history: History, n: int, seed: int) -> Choice:
        return Choice(rows=np.array(self.rows), gain=np.full(len(self.rows), self.gain), reason=("",) * len(self.rows))


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (Broken([1, 1, 2]), "twice"),
        (Broken([1, 2]), "chose 2 of 3"),
        (Broken([1, 2, 96]), "outside 0..95"),
        (Broken([-1, 2, 3]), "outside 0..95"),
        (Broken([1, 2, 3], gain=float("nan")), "not a number"),
    ],
)
def test_a_strategy_that_breaks_its_contract_is_named(rule: Broken, said: str) -> None:
    with pytest.raises(StrategyError, match=f"broken.*{said}"):
        replay([Arm(strategy=rule, budget=3, seed=0)], CANDIDATES, NOTHING, Camera())


@given(st.integers(0, 10**6))
@settings(deadline=None)
def test_distinct_shots_are_those_of_whole_rows(seed: int) -> None:
    random = np.random.default_rng(seed)
    shots = CANDIDATES.take(random.integers(0, len(CANDIDATES), size=random.integers(0, 40)))
    table = np.column_stack([shots.object_rows, np.round(shots.coordinates, 6)])
    expected, rows, places = np.unique(table, axis=0, return_index=True, return_inverse=True)
    first, inverse = distinct(shots)
    np.testing.assert_array_equal(first, rows)
    np.testing.assert_array_equal(inverse, places.ravel())
    assert len(first) == len(expected)


class Curious(RandomShots):
    """A random rule that remembers what it was told."""

    learns: ClassVar[bool] = True
    told: ClassVar[list[History]] = []

    def propose(self, candidates: Shots, history: History, n: int, seed: int) -> Choice:
        self.told.append(history)
        return RandomShots.propose(self, candidates, history, n, seed)


def test_a_strategy_that_learns_is_told_what_it_captured_round_by_round() -> None:
    Curious.told.clear()
    asked: list[int] = []

    def learn(histories: Sequence[History]) -> list[History]:
        asked.append(len(histories))
        return [replace(one, beliefs=np.full((len(one), 2), 0.5, dtype=np.float32)) for one in histories]

    arms = [Arm(strategy=Curious(), budget=30, seed=0, stops=(6, 15)), Arm(strategy=RandomShots(), budget=30, seed=0)]
    run, other = replay(arms, CANDIDATES, NOTHING, Camera(), learn=learn)
    assert [len(history) for history in Curious.told] == [0, 6, 15]
    assert [history.beliefs is None for history in Curious.told] == [True, False, False]
    assert asked == [1, 1], "a rule that does not learn is not waited for"
    assert np.bincount(run.rounds).tolist() == [6, 9, 15]
    assert len(other.shots) == 30
    for history in Curious.told[1:]:
        assert history.features is not None
        np.testing.assert_array_equal(history.features[:, 0], history.shots.object_rows)


def test_rounds_that_do_not_ascend_are_refused() -> None:
    for stops in ((10,), (5, 5), (7, 3), (0,), (11,)):
        with pytest.raises(BudgetError):
            Arm(strategy=find_strategy("lattice"), budget=10, seed=0, stops=stops)
