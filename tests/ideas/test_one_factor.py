"""Designs of one factor at a time: what consecutive views differ by, and which views objects share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from acqplan.plan.base import History
from acqplan.space import Objects, Shots, Space
from benchmarks.ideas import Ell, Stair

MakeObjects = Callable[..., Objects]


def views_of(rule: Stair, space: Space, objects: Objects, images: int) -> list[np.ndarray]:
    """Views of each object in the order of taking."""
    every = Shots.every(space, objects)
    shots = every.take(rule.propose(every, History.empty(every), images * len(objects), 0).rows)
    return [shots.coordinates[shots.object_rows == row] for row in range(len(objects))]


def test_a_stair_changes_each_axis_in_turn(norb: Space, objects_of: MakeObjects) -> None:
    for views in views_of(Stair(), norb, objects_of(2, 2), 13):
        changed = np.diff(views, axis=0) != 0.0
        np.testing.assert_array_equal(changed, np.tile(np.eye(3, dtype=bool), (4, 1)))
        assert [len(np.unique(column)) for column in views.T] == [5, 5, 5]


def test_an_ell_has_one_arm_along_each_axis(norb: Space, objects_of: MakeObjects) -> None:
    for views in views_of(Ell(), norb, objects_of(2, 2), 13):
        changed = views[1:] != views[0]
        np.testing.assert_array_equal(changed.sum(axis=0), [4, 4, 4])
        assert (changed.sum(axis=1) == 1).all()
        assert len(np.unique(views, axis=0)) == 13


def test_an_ell_whose_arms_are_used_up_goes_on_beside_its_base(small: Space, objects_of: MakeObjects) -> None:
    n_views = sum(len(axis.values) - 1 for axis in small.axes) + 5
    views = views_of(Ell(), small, objects_of(2, 2), n_views)[0]
    assert len(np.unique(views, axis=0)) == n_views
    assert ((views != views[0]).sum(axis=1) > 1).sum() == 4


@pytest.mark.parametrize("rule", [Stair, Ell])
def test_objects_share_views_or_begin_elsewhere(rule: type[Stair], norb: Space, objects_of: MakeObjects) -> None:
    shared = views_of(rule(shared=True), norb, objects_of(2, 2), 8)
    own = views_of(rule(), norb, objects_of(2, 2), 8)
    assert all(np.array_equal(views, shared[0]) for views in shared)
    assert len({views[0].tobytes() for views in own}) == 4
