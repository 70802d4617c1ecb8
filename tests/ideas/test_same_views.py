"""The removal test of the same views against staggered ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from acqplan.plan.base import History
from acqplan.space import Objects, Shots, Space
from benchmarks.ideas.same_views import SameViews, same_or_staggered

MakeObjects = Callable[..., Objects]


@pytest.fixture
def whole(small: Space, objects_of: MakeObjects) -> Shots:
    return Shots.every(small, objects_of(5, 5))


def judged(shots: Shots, features: np.ndarray) -> SameViews:
    history = History(shots=shots, features=features.astype(np.float32))
    return same_or_staggered(history, shots.space.views()[:4], seed=0)


def test_what_looks_different_from_each_view_is_better_staggered(whole: Shots) -> None:
    # at each view classes differ in a feature of their own: a head knows only views that it saw
    of_view = np.tile(np.eye(whole.space.n_views), (10, 1))
    sign = np.where(whole.class_rows == 0, 1.0, -1.0)[:, None]
    said = judged(whole, sign * of_view)
    assert said.answer == "staggered"
    assert said.difference < -0.1


def test_what_looks_alike_from_everywhere_cannot_be_told(whole: Shots) -> None:
    features = np.eye(2)[whole.class_rows]
    assert judged(whole, features) == SameViews(difference=0.0, p=1.0)
    assert judged(whole, features).answer == "cannot tell"
