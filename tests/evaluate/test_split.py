from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acqplan.errors import SplitError
from acqplan.evaluate.task import Split, check_disjoint, split_objects, split_views
from acqplan.space import Interval, Objects, Shots, Space

SPACE = Space(axes=(Interval(name="elevation", values=(30.0, 60.0), unit="deg"),))


def objects(*counts: int) -> Objects:
    pairs = [
        (f"{label}-{number}", label) for label, count in zip("abcdef", counts, strict=False) for number in range(count)
    ]
    return Objects(names=tuple(name for name, _ in pairs), labels=tuple(label for _, label in pairs))


@given(st.lists(st.integers(2, 9), min_size=1, max_size=5), st.floats(0.01, 0.99), st.integers(0, 1000))
@settings(deadline=None)
def test_every_object_is_on_one_side_and_every_class_on_both(counts: list[int], fraction: float, seed: int) -> None:
    table = objects(*counts)
    split = split_objects(table, test_fraction=fraction, seed=seed)
    assert sorted(split.train + split.test) == sorted(table.names)
    for side in (split.train, split.test):
        assert {name[0] for name in side} == set(table.classes)


def test_halves_are_rounded_towards_train() -> None:
    split = split_objects(objects(10, 5, 4, 3, 2))
    assert [sum(name.startswith(label) for name in split.test) for label in "abcde"] == [5, 2, 2, 1, 1]


def test_split_follows_the_seed_and_not_the_order_of_the_table() -> None:
    table = objects(6, 6)
    backwards = Objects(names=table.names[::-1], labels=table.labels[::-1])
    assert set(split_objects(table, seed=3).test) == set(split_objects(backwards, seed=3).test)
    assert len({split_objects(table, seed=seed).test for seed in range(20)}) > 10


def test_adding_a_class_leaves_the_split_of_the_others() -> None:
    few, more = split_objects(objects(6, 6), seed=1), split_objects(objects(6, 6, 6), seed=1)
    assert set(few.test) == {name for name in more.test if not name.startswith("c")}


def test_test_objects_can_be_chosen_by_hand() -> None:
    split = split_objects(objects(3, 2), test=("b-1", "a-0"), seed=7)
    assert split == Split(train=("a-1", "a-2", "b-0"), test=("a-0", "b-1"))


@pytest.mark.parametrize(
    ("counts", "options", "message"),
    [
        ((1, 1), {}, 'every label has one object only: none can be kept .* test = "views"'),
        ((3, 1), {"test": ("a-0", "b-0")}, "no object of label 'b' is in train"),
        ((3, 2), {"test": ("a-0", "b-9")}, "test object 'b-9' is unknown; did you mean 'b-"),
        ((3, 2), {"test": ("a-0", "a-0", "b-0")}, "'a-0' appears twice"),
        ((3, 2), {"test": ("a-0",)}, "no object of label 'b' is in test"),
        ((3, 2), {"test": ("a-0", "b-0", "b-1")}, "no object of label 'b' is in train"),
        ((3, 2), {"test_fraction": 0.0}, "test_fraction is 0"),
        ((3, 2), {"test_fraction": 1.0}, "test_fraction is 1"),
        ((3, 2), {"test_fraction": float("nan")}, "test_fraction is nan"),
    ],
)
def test_impossible_splits_are_refused(counts: tuple[int, ...], options: dict[str, object], message: str) -> None:
    with pytest.raises(SplitError, match=message):
        split_objects(objects(*counts), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [{}, {"test": ("a-1",)}])
def test_the_only_object_of_a_label_is_trained_on(options: dict[str, tuple[str, ...]]) -> None:
    split = split_objects(objects(3, 1), **options)  # type: ignore[arg-type]
    assert split.alone == ("b-0",)
    assert {name[0] for name in split.test} == {"a"}
    other = split.swapped()
    assert ("b-0" in split.train, "b-0" in other.train, other.alone) == (True, True, ("b-0",))
    assert set(other.test) == set(split.train) - {"b-0"}


@given(st.integers(2, 40), st.floats(0.01, 0.99), st.integers(0, 1000))
@settings(deadline=None)
def test_views_are_split_into_two_parts_that_change_places(n_views: int, fraction: float, seed: int) -> None:
    met = 3 * np.arange(n_views)
    split = split_views(objects(1, 1), met, test_fraction=fraction, seed=seed)
    assert sorted(split.train_views + split.test_views) == met.tolist()
    assert min(len(split.train_views), len(split.test_views)) >= 1
    assert (split.train, split.test) == (objects(1, 1).names, objects(1, 1).names)
    assert (split.swapped().train_views, split.swapped().test_views) == (split.test_views, split.train_views)


def test_one_view_cannot_be_split() -> None:
    with pytest.raises(SplitError, match="two views at least; add views"):
        split_views(objects(1, 1), np.array([4]))


def test_an_object_that_is_seen_from_test_views_alone_is_trained_on() -> None:
    every = Shots.every(SPACE, objects(1, 1))
    split = split_views(every.objects, np.arange(2))
    (kept,) = split.test_views
    few = every.take(np.flatnonzero((every.object_rows == 1) | (np.arange(len(every)) == kept)))
    train, test = split.sides(few)
    assert set(few.take(train).names) == {"a-0", "b-0"}
    assert few.take(test).names == ["b-0"]


def test_an_object_on_both_sides_is_refused() -> None:
    with pytest.raises(SplitError, match="'a-1' is in both"):
        Split(train=("a-0", "a-1"), test=("a-1",))


def test_shots_of_one_object_on_both_sides_are_refused() -> None:
    shots = Shots.every(SPACE, objects(2, 2))
    check_disjoint(shots.take([0, 1, 4]), shots.take([2, 6]))
    with pytest.raises(SplitError, match="'a-1'"):
        check_disjoint(shots.take([0, 2]), shots.take([3, 6]))
    check_disjoint(shots.take([0, 2]), shots.take([1, 3]), by_view=True)
    with pytest.raises(SplitError, match="'a-1'"):
        check_disjoint(shots.take([0, 2]), shots.take([1, 2]), by_view=True)
