"""Greedy choice: each object in turn takes the view that adds most to what is covered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Float, Int

from acqplan.plan.base import Choice
from acqplan.plan.quotas import even_quotas, taking_order
from acqplan.plan.situation import Situation
from acqplan.rng import generator
from acqplan.space import Category
from acqplan.space.kernel import Columns, diameter, distance_columns, distances, kernel_columns, kernel_mean

BLOCK = 256
Reason = Callable[[int, int], str]
"""From the number of an object and the place of a shot among its new ones to a few words."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gap:
    """How far a shot is from the nearest one of the same object that is there before it.

    Attributes:
        distance: In scales; the diameter of the space if there is none before.
        words: The same for a person.
    """

    distance: float
    words: str


def choice_of(
    situation: Situation, views: Sequence[Sequence[int]], *, seed: int, reason: Reason | None = None
) -> Choice:
    """Take views object by object in turn; the gain of each is the gap that it fills.

    Args:
        situation: What may be taken.
        views: For each object, numbers of free views in the order of taking.
        seed: Seed of the order of objects.
        reason: Why each is taken; by default the gap in words.
    """
    order = taking_order(situation, np.array([len(own) for own in views]), seed)
    all_gaps = [gaps(situation, number, np.array(own, dtype=np.int64)) for number, own in enumerate(views)]
    return Choice(
        rows=rows_of(situation, [(number, views[number][k]) for number, k in order]),
        gain=np.array([all_gaps[number][k].distance for number, k in order]),
        reason=tuple(reason(number, k) if reason else all_gaps[number][k].words for number, k in order),
    )


def rows_of(situation: Situation, shots: Sequence[tuple[int, int]]) -> Int[np.ndarray, " shots"]:
    """Candidate rows of pairs of an object's number and a view's number."""
    rows = [situation.rows[number][np.searchsorted(situation.free[number], view)] for number, view in shots]
    return np.array(rows, dtype=np.int64)


def gaps(situation: Situation, number: int, views: Int[np.ndarray, " chosen"]) -> list[Gap]:
    """The gap that each view of one object fills, given its captures and the views before."""
    before = np.concatenate([situation.taken[number], views])
    found = []
    for start in range(0, len(views), BLOCK):
        block = views[start : start + BLOCK]
        n_before = len(situation.taken[number]) + start + np.arange(len(block))
        found += _gaps(situation, number, block, before[: n_before[-1]], n_before)
    return found


def _gaps(
    situation: Situation,
    number: int,
    views: Int[np.ndarray, " block"],
    before: Int[np.ndarray, " before"],
    n_before: Int[np.ndarray, " block"],
) -> list[Gap]:
    apart = distances(situation.space, situation.views[views], situation.views[before])
    apart[np.arange(len(before))[None] >= n_before[:, None]] = np.inf
    nearest = np.round(apart, 9).argmin(axis=1) if len(before) else np.zeros(len(views), dtype=np.int64)
    first = Gap(distance=diameter(situation.space), words=f"first view of {situation.names[number]}")
    return [
        first if n_before[row] == 0 else _gap(situation, view, before[nearest[row]], apart[row, nearest[row]])
        for row, view in enumerate(views)
    ]


def _gap(situation: Situation, view: int, other: int, distance: float) -> Gap:
    here, there = situation.views[view], situation.views[other]
    apart = [axis.difference(here[column], there[column]) for column, axis in enumerate(situation.space.axes)]
    return Gap(distance=float(distance), words=_words(situation, np.array(apart)))


def _words(situation: Situation, apart: Float[np.ndarray, " axes"]) -> str:
    axes = situation.space.axes
    degrees = float(np.hypot.reduce([d for axis, d in zip(axes, apart, strict=True) if axis.unit == "deg"] or [0.0]))
    widths = [f"{degrees:.0f} degrees"] if degrees else []
    changes = []
    for axis, d in zip(axes, apart, strict=True):
        if d and isinstance(axis, Category):
            changes.append(f"another {axis.name}")
        elif d and axis.unit != "deg":
            widths.append(f"{d:.4g} {axis.unit} of {axis.name}".replace("  ", " "))
    gap = [f"fills a gap of {' and '.join(widths)}"] if widths else []
    return ", ".join(gap + changes) or "the same view again"


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


def greedy_batch(
    *,
    orders: Int[np.ndarray, "batch size"],
    wanted: Float[np.ndarray, "batch shots"],
    kernels: Float[np.ndarray, "kernels shots shots"],
    kernel_of: Int[np.ndarray, " batch"],
    class_weight: Float[np.ndarray, " batch"],
    lots: Int[np.ndarray, "batch shots"],
    owner: Int[np.ndarray, " shots"],
    class_of: Int[np.ndarray, " objects"],
) -> Int[np.ndarray, "batch size"]:
    """`acqplan.plan.greedy.greedy_views` with `acqplan.plan.tuned.TunedHerd`, many at a time.

    Args:
        orders: Object that takes next.
        wanted: Similarity that each shot should have to those taken.
        kernels: Similarities of shots.
        kernel_of: Which of them counts.
        class_weight: Share of the class in the sum.
        lots: Of equals the one with the smallest is taken.
        owner: Object of each shot.
        class_of: Class of each object.

    Returns:
        Shots in the order of taking, shape ``[batch, size]``.
    """
    batch = np.arange(len(orders))
    label = class_of[owner]
    own, joint = np.zeros_like(wanted), np.zeros_like(wanted)
    n_own = np.ones((len(orders), len(class_of)))
    n_class = np.ones((len(orders), int(class_of.max()) + 1))
    spent, chosen = np.zeros(wanted.shape, dtype=np.bool_), np.empty_like(orders)
    share = class_weight[:, None]
    for step, taking in enumerate(orders.T):
        mine, ours = owner == taking[:, None], label == class_of[taking][:, None]
        sums = (1.0 - share) * (own / n_own[batch, taking][:, None]) + share * (
            joint / n_class[batch, class_of[taking]][:, None]
        )
        gains = np.where(mine & ~spent, wanted - sums, -np.inf)
        best = gains >= gains.max(axis=1, keepdims=True) - TIE
        chosen[:, step] = shot = np.where(best, lots, np.iinfo(np.int64).max).argmin(axis=1)
        alike = kernels[kernel_of, shot]
        own += alike * mine
        joint += alike * ours
        n_own[batch, taking] += 1.0
        n_class[batch, class_of[taking]] += 1.0
        spent[batch, shot] = True
    return chosen
