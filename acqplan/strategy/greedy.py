"""Greedy choice: each object in turn takes the view that adds most to what is covered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
from jaxtyping import Float, Int

from acqplan.rng import generator
from acqplan.strategy.base import Choice
from acqplan.strategy.pairs import Columns, diameter, distance_columns, kernel_columns, kernel_mean
from acqplan.strategy.picks import gaps, rows_of
from acqplan.strategy.quotas import even_quotas, taking_order
from acqplan.strategy.situation import Situation

TIE = 1e-9
"""Values closer than this are equal: sums in another order may differ in the last bits."""


class Cover(Protocol):
    """What has been covered so far, and what each free view would add."""

    def gains(self, number: int) -> Float[np.ndarray, " free"]:
        """What each free view of an object would add."""

    def add(self, number: int, view: int) -> None:
        """Count a view of an object as taken."""


class Herd:
    """Sums of similarities to the views taken, of each object and each class."""

    def __init__(self, situation: Situation, class_weight: float) -> None:
        self._situation, self._weight = situation, class_weight
        self._columns: Columns = kernel_columns(situation.space)
        self._mean = kernel_mean(situation.space)
        self._own = [np.zeros(len(free)) for free in situation.free]
        self._class = {label: np.zeros(len(self._mean)) for label in situation.classes}
        self._n_own = [0] * len(situation.free)
        self._n_class = dict.fromkeys(situation.classes, 0)
        _add_captures(self, situation)

    def gains(self, number: int) -> Float[np.ndarray, " free"]:
        """How much too little each free view is represented."""
        free, label = self._situation.free[number], self._situation.labels[number]
        own = self._own[number] / (self._n_own[number] + 1)
        joint = self._class[label][free] / (self._n_class[label] + 1)
        return self._mean[free] - (1.0 - self._weight) * own - self._weight * joint

    def add(self, number: int, view: int) -> None:
        """Count a view of an object as taken."""
        column, label = self._columns(view), self._situation.labels[number]
        self._own[number] += column[self._situation.free[number]]
        self._class[label] += column
        self._n_own[number] += 1
        self._n_class[label] += 1


class Farthest:
    """Distances to the nearest view taken, of each object and each class."""

    def __init__(self, situation: Situation, class_weight: float) -> None:
        self._situation, self._weight = situation, class_weight
        self._columns: Columns = distance_columns(situation.space)
        farthest = diameter(situation.space)
        self._own = [np.full(len(free), farthest) for free in situation.free]
        self._class = {label: np.full(len(situation.views), farthest) for label in situation.classes}
        _add_captures(self, situation)

    def gains(self, number: int) -> Float[np.ndarray, " free"]:
        """Weighted distance of each free view from the nearest taken ones."""
        joint = self._class[self._situation.labels[number]][self._situation.free[number]]
        return (1.0 - self._weight) * self._own[number] + self._weight * joint

    def add(self, number: int, view: int) -> None:
        """Count a view of an object as taken."""
        column, label = self._columns(view), self._situation.labels[number]
        np.minimum(self._own[number], column[self._situation.free[number]], out=self._own[number])
        np.minimum(self._class[label], column, out=self._class[label])


def greedy_choice(situation: Situation, cover: Cover, n: int, seed: int, *, note: str = "") -> Choice:
    """Share shots out evenly, then let each object in turn take the view of the largest gain.

    Args:
        situation: What may be taken.
        cover: What has been covered so far; counts what is taken here.
        n: How many to take.
        seed: Seed of all lots.
        note: Stands before each reason.
    """
    order = [number for number, _ in taking_order(situation, even_quotas(situation, n, seed), seed)]
    picked = greedy_views(situation, cover, order, seed=seed)
    return Choice(
        rows=rows_of(situation, [(number, view) for number, (view, _) in zip(order, picked, strict=True)]),
        gain=np.array([gain for _, gain in picked]),
        reason=tuple(note + words for words in _gap_words(situation, order, [view for view, _ in picked])),
    )


def greedy_views(
    situation: Situation,
    cover: Cover,
    order: Iterable[int],
    *,
    seed: int,
    used: Iterable[tuple[int, int]] = (),
) -> list[tuple[int, float]]:
    """Let objects in turn take the free view of the largest gain; equals are told apart by lot.

    Args:
        situation: What may be taken.
        cover: What has been covered so far; counts what is taken here.
        order: Number of the object that takes next, once for each shot.
        seed: Seed of the lot.
        used: Pairs of object and view that are spoken for already.

    Returns:
        View and gain of each shot.
    """
    lots = {label: _lot(situation, label, seed) for label in situation.classes}
    spent = [np.zeros(len(free), dtype=bool) for free in situation.free]
    for number, view in used:
        spent[number][np.searchsorted(situation.free[number], view)] = True
    picked = []
    for number in order:
        gains = np.where(spent[number], -np.inf, cover.gains(number))
        best = np.flatnonzero(gains >= gains.max() - TIE)
        place = best[np.argmin(lots[situation.labels[number]][situation.free[number][best]])]
        view = int(situation.free[number][place])
        spent[number][place] = True
        cover.add(number, view)
        picked.append((view, float(gains[place])))
    return picked


def filled(
    situation: Situation,
    views: Sequence[Sequence[int]],
    quota: Int[np.ndarray, " objects"],
    *,
    cover: Cover,
    seed: int,
) -> list[list[int]]:
    """Add to the views of each object what its quota lacks.

    Args:
        situation: What may be taken.
        views: Free views that each object has already, at most its quota.
        quota: Shots of each object, shape ``[objects]``.
        cover: Says what is worth adding; has not counted ``views``.
        seed: Seed of all lots.

    Returns:
        Views of each object, as many as its quota, those given first.
    """
    missing = quota - np.array([len(own) for own in views])
    full = [list(own) for own in views]
    if not missing.any():
        return full
    used = [(number, view) for number, own in enumerate(views) for view in own]
    for number, view in used:
        cover.add(number, view)
    order = [number for number, _ in taking_order(situation, missing, seed)]
    for number, (view, _) in zip(order, greedy_views(situation, cover, order, seed=seed, used=used), strict=True):
        full[number].append(view)
    return full


def _lot(situation: Situation, label: str, seed: int) -> Int[np.ndarray, " views"]:
    return generator(seed, "greedy", label).permutation(len(situation.views))


def _gap_words(situation: Situation, order: list[int], views: list[int]) -> tuple[str, ...]:
    own: list[list[int]] = [[] for _ in situation.names]
    for number, view in zip(order, views, strict=True):
        own[number].append(view)
    words = [iter(gaps(situation, number, np.array(chosen, dtype=np.int64))) for number, chosen in enumerate(own)]
    return tuple(next(words[number]).words for number in order)


def _add_captures(cover: Cover, situation: Situation) -> None:
    for number, taken in enumerate(situation.taken):
        for view in taken:
            cover.add(number, int(view))
