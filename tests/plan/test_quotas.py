"""Quotas: as even as captures and capacities allow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acqplan.plan.base import History, Situation, even_quotas, taking_order, weighted_quotas
from acqplan.space import Interval, Objects, Shots, Space

MakeObjects = Callable[..., Objects]
LINE = Space(axes=(Interval(name="height", values=tuple(map(float, range(12))), unit="mm"),))


def situation_of(objects: Objects, n_taken: list[int], n_free: list[int]) -> Situation:
    rows = np.arange(len(objects) * LINE.n_views).reshape(len(objects), -1)
    shots = Shots.every(LINE, objects)
    captures = np.concatenate([row[:count] for row, count in zip(rows, n_taken, strict=True)])
    left = np.concatenate([row[12 - count :] for row, count in zip(rows, n_free, strict=True)])
    return Situation.of(shots.take(left), History(shots=shots.take(captures)))


def slow_quotas(n_taken: list[int], n_free: list[int], n: int) -> list[int]:
    """Totals in ascending order when each shot goes to whoever has the fewest."""
    totals, left = list(n_taken), list(n_free)
    for _ in range(n):
        open_to_more = [number for number in range(len(totals)) if left[number]]
        number = min(open_to_more, key=lambda number: totals[number])
        totals[number] += 1
        left[number] -= 1
    return sorted(totals)


@given(
    pairs=st.lists(st.tuples(st.integers(0, 5), st.integers(1, 6)), min_size=2, max_size=7),
    share=st.floats(0.0, 1.0),
    seed=st.integers(0, 100),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_totals_are_those_of_giving_one_by_one_to_the_poorest(
    pairs: list[tuple[int, int]], share: float, seed: int
) -> None:
    n_taken, n_free = [taken for taken, _ in pairs], [free for _, free in pairs]
    names = tuple(f"object-{number}" for number in range(len(pairs)))
    objects = Objects(names=names, labels=tuple("ab"[number % 2] for number in range(len(pairs))))
    n = max(round(share * sum(n_free)), 1)
    quota = even_quotas(situation_of(objects, n_taken, n_free), n, seed)
    assert quota.sum() == n
    assert (quota <= n_free).all()
    assert sorted((quota + n_taken).tolist()) == slow_quotas(n_taken, n_free, n)


@pytest.mark.parametrize("n", [3, 5, 8, 11, 22, 27])
def test_the_remainder_is_spread_over_classes_first(n: int, objects_of: MakeObjects) -> None:
    situation = situation_of(objects_of(4, 4, 4, 3, 4), [0] * 19, [12] * 19)
    quota = even_quotas(situation, n, 0)
    extra = Counter(label for label, own in zip(situation.labels, quota, strict=True) if own > quota.min())
    full = {label: len(rows) for label, rows in situation.classes.items()}
    open_classes = [extra[label] for label in full if extra[label] < full[label]]
    assert not open_classes or max(extra.values()) - min(open_classes) <= 1


def test_rounds_give_what_one_request_would(objects_of: MakeObjects) -> None:
    objects = objects_of(3, 3, 2)
    at_once = even_quotas(situation_of(objects, [0] * 8, [12] * 8), 29, 4)
    first = even_quotas(situation_of(objects, [0] * 8, [12] * 8), 11, 4)
    second = even_quotas(situation_of(objects, first.tolist(), (12 - first).tolist()), 18, 4)
    assert (first + second).tolist() == at_once.tolist()


def test_objects_and_classes_take_turns(objects_of: MakeObjects) -> None:
    situation = situation_of(objects_of(2, 2), [0] * 4, [12] * 4)
    order = [number for number, _ in taking_order(situation, np.array([3, 3, 3, 3]), 0)]
    assert [sorted(order[start : start + 4]) for start in (0, 4, 8)] == [[0, 1, 2, 3]] * 3
    assert {situation.labels[number] for number in order[:2]} == {"animal", "car"}


def test_whoever_has_fewer_captures_comes_first(objects_of: MakeObjects) -> None:
    situation = situation_of(objects_of(2), [4, 0], [8, 8])
    assert [number for number, _ in taking_order(situation, np.array([1, 4]), 0)][:4] == [1, 1, 1, 1]


@given(
    pairs=st.lists(
        st.tuples(st.integers(0, 5), st.integers(1, 6), st.floats(0.0, 4.0)), min_size=2, max_size=7
    ),
    share=st.floats(0.0, 1.0),
    floor=st.floats(0.0, 1.0),
    ceiling=st.floats(1.0, 3.0),
)  # fmt: skip
@settings(max_examples=80, deadline=None, derandomize=True)
def test_quotas_add_up_within_bounds(
    pairs: list[tuple[int, int, float]], share: float, floor: float, ceiling: float
) -> None:
    situation = _situation([taken for taken, _, _ in pairs], [free for _, free, _ in pairs])
    n = max(round(share * sum(free for _, free, _ in pairs)), 1)
    shares = np.array([wanted for _, _, wanted in pairs])
    quota = weighted_quotas(situation, n, shares, 0, floor=floor, ceiling=ceiling)
    assert quota.sum() == n
    assert (quota >= 0).all()
    assert (quota <= situation.n_free).all()


def test_quotas_follow_shares_between_floor_and_ceiling() -> None:
    situation = _situation([4, 4, 4, 4], [40, 40, 40, 40])
    shares = np.array([0.1, 0.8, 1.1, 2.0])
    quota = weighted_quotas(situation, 24, shares, 0, floor=0.6, ceiling=1.5)
    # totals of 40 in all, 10 in the mean: 6 at least, 15 at most, the rest by shares less what the bounds cost
    assert (quota + 4).tolist() == [6, 8, 11, 15]


def test_equal_shares_are_even_quotas() -> None:
    situation = _situation([4, 0, 2, 5], [10, 3, 10, 10])
    even = even_quotas(situation, 13, 7)
    assert weighted_quotas(situation, 13, np.ones(4), 7, floor=0.5, ceiling=2.0).tolist() == even.tolist()


def _situation(n_taken: list[int], n_free: list[int]) -> Situation:
    n_objects, n_views = len(n_taken), max(map(int.__add__, n_taken, n_free))
    names = tuple(f"object-{number}" for number in range(n_objects))
    every = np.arange(n_views)
    return Situation(
        space=None,  # type: ignore[arg-type]
        views=np.zeros((n_views, 1)),
        names=names,
        labels=tuple("ab"[number % 2] for number in range(n_objects)),
        free=tuple(every[taken : taken + free] for taken, free in zip(n_taken, n_free, strict=True)),
        rows=tuple(every[:free] for free in n_free),
        taken=tuple(every[:taken] for taken in n_taken),
    )
