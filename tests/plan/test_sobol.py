"""Sobol points on views."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from acqplan.plan.base import History
from acqplan.plan.designs import Sobol
from acqplan.space import Objects, Shots, Space

MakeObjects = Callable[..., Objects]
Split = Callable[..., tuple[Shots, History]]


def test_powers_of_two_are_balanced_over_the_class(norb: Space, objects_of: MakeObjects) -> None:
    shots = Shots.every(norb, objects_of(4))
    levels = norb.levels(shots.take(Sobol().propose(shots, History.empty(shots), 64, 0).rows).coordinates)
    halves = [np.sum(levels[:, column] < norb.shape[column] / 2) for column in (0, 2)]
    assert halves == [32, 32]


def test_rounds_go_on_in_the_sequence(norb: Space, objects_of: MakeObjects, captured: Split) -> None:
    shots = Shots.every(norb, objects_of(4))
    at_once = shots.take(Sobol().propose(shots, History.empty(shots), 64, 3).rows)
    first = Sobol().propose(shots, History.empty(shots), 32, 3).rows
    rest, history = captured(shots, first)
    second = rest.take(Sobol().propose(rest, history, 32, 3).rows)
    views = [sorted(view for _, view in table.pairs()) for table in (at_once, history.shots.join(second))]
    assert views[0] == views[1]


def test_a_taken_view_is_replaced_by_its_neighbour(norb: Space, objects_of: MakeObjects) -> None:
    shots = Shots.every(norb, objects_of(1))
    wanted = int(Sobol().propose(shots, History.empty(shots), 1, 0).rows[0])
    fewer = shots.take(np.delete(np.arange(len(shots)), wanted))
    instead = fewer.take(Sobol().propose(fewer, History.empty(fewer), 1, 0).rows)
    apart = np.abs(instead.coordinates[0] - shots.coordinates[wanted])
    assert apart.tolist() == [0.0, 5.0, 0.0]
