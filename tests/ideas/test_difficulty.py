"""Error maps over views, their reliability, and coverage that follows them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from acqplan.errors import StrategyError
from acqplan.plan.base import History, check_choice
from acqplan.plan.lattice import Lattice
from acqplan.space import Objects, Shots, Space
from benchmarks.ideas import Difficulty

MakeObjects = Callable[..., Objects]
Rule = Callable[[Shots], np.ndarray]


def low(shots: Shots) -> np.ndarray:
    """Soft errors that are large at low elevations."""
    return np.where(shots.coordinates[:, 1] < 49.0, 0.7, 0.1)


def low_animals(shots: Shots) -> np.ndarray:
    """Animals are difficult from below, cars from above."""
    return np.where((shots.coordinates[:, 1] < 49.0) == (shots.class_rows == 0), 0.7, 0.1)


def objects_alone(shots: Shots) -> np.ndarray:
    """Objects differ, views do not."""
    return 0.1 + 0.1 * shots.object_rows


def lots(shots: Shots) -> np.ndarray:
    """Nothing holds for another object."""
    return np.random.default_rng(0).uniform(0.0, 1.0, len(shots))


def after(space: Space, objects: Objects, rule: Rule, n: int = 240) -> tuple[Shots, History]:
    every = Shots.every(space, objects)
    rows = Lattice().propose(every, History.empty(every), n, 3).rows
    taken = every.take(rows)
    errors, others = rule(taken), max(len(objects.classes) - 1, 1)
    beliefs = np.repeat((errors / others)[:, None], len(objects.classes), axis=1)
    beliefs[np.arange(n), taken.class_rows] = 1.0 - errors
    left = np.setdiff1d(np.arange(len(every)), rows)
    return every.take(left), History(shots=taken, beliefs=beliefs.astype(np.float32))


def test_difficult_views_are_taken_more(norb: Space, objects_of: MakeObjects) -> None:
    shots, history = after(norb, objects_of(4, 4), low)
    strategy = Difficulty()
    choice = check_choice(strategy.propose(shots, history, 96, 0), shots, 96, strategy=strategy)
    plain = Lattice().propose(shots, history, 96, 0)
    ours, usual = (np.mean(shots.coordinates[one.rows, 1] < 49.0) for one in (choice, plain))
    assert ours > usual + 0.1
    assert choice.reason[0].startswith("error map known to ")
    assert max(map(len, choice.reason)) <= 80
    assert np.ptp(np.bincount(shots.object_rows[choice.rows])) <= 1


@pytest.mark.parametrize("rule", [objects_alone, lambda shots: np.full(len(shots), 0.5)])
def test_without_a_map_it_is_the_lattice(rule: Rule, norb: Space, objects_of: MakeObjects) -> None:
    shots, history = after(norb, objects_of(3, 3), rule)
    blind = replace(history, beliefs=None)
    plain = Lattice().propose(shots, history, 40, 1).rows.tolist()
    assert Difficulty().propose(shots, blind, 40, 1).rows.tolist() == plain
    assert Difficulty().propose(shots, history, 40, 1).rows.tolist() == plain


@pytest.mark.parametrize("kind", ["small", "photographs"])
def test_turning_and_mixing_change_nothing(kind: str, request: pytest.FixtureRequest, objects_of: MakeObjects) -> None:
    space = request.getfixturevalue(kind)
    shots, history = after(space, objects_of(3, 3), low_animals, 40)
    expected = Difficulty().propose(shots, history, 30, 1)
    rows, past = np.random.default_rng(0).permutation(len(shots)), np.random.default_rng(1).permutation(40)
    assert history.beliefs is not None
    mixed = replace(history, shots=history.shots.take(past), beliefs=history.beliefs[past])
    assert rows[Difficulty().propose(shots.take(rows), mixed, 30, 1).rows].tolist() == expected.rows.tolist()

    turn, wrap = np.zeros(len(space.axes)), np.full(len(space.axes), 1e9)
    turn[0], wrap[0] = 45.0, 360.0

    def moved(table: Shots) -> Shots:
        return replace(table, space=space.turned("azimuth", 45.0), coordinates=np.mod(table.coordinates + turn, wrap))

    turned = Difficulty().propose(moved(shots), replace(history, shots=moved(history.shots)), 30, 1)
    assert turned.rows.tolist() == expected.rows.tolist()
    assert turned.reason == expected.reason


@pytest.mark.parametrize("wrong", [{"exponent": -1.0}, {"floor": 2.0}, {"ceiling": 0.5}, {"exponent": np.nan}])
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(StrategyError, match="difficulty"):
        Difficulty(**wrong)  # type: ignore[arg-type]
