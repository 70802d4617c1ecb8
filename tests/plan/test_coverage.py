"""Herding and farthest points against slow references."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from acqplan.errors import StrategyError
from acqplan.plan.base import Choice, History, Situation, from_first_levels
from acqplan.plan.greedy import Herd, Herding, Maximin
from acqplan.plan.lattice import exchanged
from acqplan.space import Objects, Shots, Space
from acqplan.space.kernel import diameter, distances, mixed_kernel

MakeObjects = Callable[..., Objects]
Split = Callable[..., tuple[Shots, History]]


@pytest.fixture(params=["small", "photographs"])
def begun(request: pytest.FixtureRequest, objects_of: MakeObjects, captured: Split) -> tuple[Shots, History]:
    shots = Shots.every(request.getfixturevalue(request.param), objects_of(3))
    return captured(shots, np.array([2, 30, 31, 60]))


def steps(shots: Shots, history: History, choice: Choice) -> list[tuple[int, int, Shots]]:
    """For each shot of a plan its row, its object and everything that was there before it."""
    return [
        (int(row), int(shots.object_rows[row]), history.shots.join(shots.take(choice.rows[:place])))
        for place, row in enumerate(choice.rows)
    ]


def similarity(space: Space, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return mixed_kernel(from_first_levels(space), a, b)


def test_herding_is_greedy_in_the_mean_embedding(begun: tuple[Shots, History]) -> None:
    shots, history = begun
    choice = Herding(class_weight=0.4).propose(shots, history, 20, 0)
    everywhere = similarity(shots.space, shots.coordinates, shots.space.views()).mean(axis=1)
    for place, (row, number, before) in enumerate(steps(shots, history, choice)):
        own = before.coordinates[before.object_rows == number]
        lacking = (
            everywhere
            - 0.6 * similarity(shots.space, shots.coordinates, own).sum(axis=1) / (len(own) + 1)
            - 0.4 * similarity(shots.space, shots.coordinates, before.coordinates).sum(axis=1) / (len(before) + 1)
        )
        lacking[shots.object_rows != number] = -np.inf
        lacking[choice.rows[:place]] = -np.inf
        assert lacking[row] == pytest.approx(lacking.max(), abs=1e-8)
        assert choice.gain[place] == pytest.approx(lacking[row], abs=1e-8)


def test_maximin_takes_the_farthest_point(begun: tuple[Shots, History]) -> None:
    shots, history = begun
    choice = Maximin(class_weight=0.3).propose(shots, history, 20, 0)
    farthest = diameter(from_first_levels(shots.space))
    for place, (row, number, before) in enumerate(steps(shots, history, choice)):
        apart = np.minimum(distances(shots.space, shots.coordinates, before.coordinates), farthest)
        own = np.where(before.object_rows == number, apart, farthest).min(axis=1)
        lonely = 0.7 * own + 0.3 * apart.min(axis=1)
        lonely[shots.object_rows != number] = -np.inf
        lonely[choice.rows[:place]] = -np.inf
        assert lonely[row] == pytest.approx(lonely.max(), abs=1e-8)


@pytest.mark.parametrize("strategy", [Herding(), Maximin()])
def test_objects_of_a_class_begin_with_different_views(
    strategy: Herding | Maximin, norb: Space, objects_of: MakeObjects
) -> None:
    shots = Shots.every(norb, objects_of(5))
    first = shots.take(strategy.propose(shots, History.empty(shots), 5, 0).rows)
    assert len({view for _, view in first.pairs()}) == 5


def test_herding_in_rounds_is_herding_at_once(norb: Space, objects_of: MakeObjects, captured: Split) -> None:
    shots = Shots.every(norb, objects_of(3, 2))
    at_once = shots.take(Herding().propose(shots, History.empty(shots), 60, 2).rows).pairs()
    first = Herding().propose(shots, History.empty(shots), 25, 2).rows
    rest, history = captured(shots, first)
    second = rest.take(Herding().propose(rest, history, 35, 2).rows)
    assert shots.take(first).join(second).pairs() == at_once


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_a_share_beyond_one_is_refused(share: float) -> None:
    with pytest.raises(StrategyError, match="class_weight"):
        Herding(class_weight=share)
    with pytest.raises(StrategyError, match="class_weight"):
        Maximin(class_weight=share)


def test_exchange_ends_where_no_view_has_a_better_place(small: Space, objects_of: MakeObjects, captured: Split) -> None:
    shots, history = captured(Shots.every(small, objects_of(2)), np.arange(0, 20, 7))
    situation = Situation.of(shots, history)
    start = [free[:4].tolist() for free in situation.free]
    herd = Herd(situation, 0.7)
    for number, own in enumerate(start):
        for view in own:
            herd.add(number, view)
    assert exchanged(situation, start, [0, 1], cover=herd, passes=0) == start
    moved = exchanged(situation, start, [0, 1], cover=herd, passes=50)
    assert moved != start
    for number, own in enumerate(moved):
        free = situation.free[number]
        for view in own:
            herd.add(number, view, -1)
            gains = herd.gains(number)
            assert gains[free == view] > gains[~np.isin(free, own)].max() - 1e-6
            herd.add(number, view)
