from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from acqplan.heads.linear import NEVER, object_folds, out_of_object_loss


@given(st.lists(st.integers(1, 7), min_size=1, max_size=4), st.integers(2, 5), st.integers(0, 99))
def test_every_object_with_a_sibling_is_left_out_once_and_whole(counts: list[int], n_folds: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    targets = np.repeat(np.arange(len(counts)), counts)
    objects = random.permutation(len(targets))
    order = random.permutation(np.repeat(np.arange(len(targets)), 3))
    folds = object_folds(targets[order], objects[order], n_folds)
    for place, target in enumerate(targets):
        mine = set(folds[order == place])
        assert len(mine) == 1
        assert (mine == {NEVER}) == (counts[target] == 1)
    for fold in range(n_folds):
        kept = targets[order][folds != fold]
        assert set(kept) == set(targets), "a class lost all its objects"


def test_fold_does_not_depend_on_the_order_of_rows() -> None:
    targets, groups = np.repeat([0, 1], 6), np.repeat([4, 2, 9, 7], 3)
    order = np.random.default_rng(0).permutation(12)
    assert (object_folds(targets, groups, 5)[order] == object_folds(targets[order], groups[order], 5)).all()
    assert object_folds(targets, groups, 5)[[0, 3, 6, 9]].tolist() == [1, 0, 1, 0]


def test_loss_counts_objects_equally_however_many_rows_they_have() -> None:
    chances = np.array([[0.5, 0.5]] * 9 + [[0.25, 0.75]], dtype=np.float32)
    targets, groups = np.zeros(10, dtype=np.int64), np.array([0] * 9 + [1])
    assert np.isclose(out_of_object_loss(chances, targets, groups), (np.log(2) + np.log(4)) / 2)


def test_loss_of_an_impossible_class_is_large_and_finite() -> None:
    loss = out_of_object_loss(np.array([[0.0, 1.0]], dtype=np.float32), np.array([0]), np.array([0]))
    assert 20.0 < loss < 30.0
