"""Error maps over views, their reliability, and coverage that follows them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from acqplan.errors import StrategyError
from acqplan.plan.base import check_choice
from acqplan.plan.lattice import Lattice
from acqplan.space import Objects, Shots, Space
from benchmarks.ideas import Difficulty
from tests.ideas.test_errors_by_view import Rule, after, low, low_animals, objects_alone

MakeObjects = Callable[..., Objects]


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
