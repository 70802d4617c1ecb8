"""Greedy coverage: each object in turn takes the view that adds most to what is covered.

There are two herdings. `Herd` takes one plan's shots one by one out of up to a million candidates and looks only at the
views of the object in turn. `herd_batch` takes many small plans side by side and looks at all their shots in each step,
which a large plan could not pay for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, NamedTuple, Protocol

import numpy as np
from jaxtyping import Float, Int

from acqplan.errors import StrategyError
from acqplan.plan.base import Choice, History, Situation, check_request, even_quotas, taking_order
from acqplan.rng import generator
from acqplan.space import Category, Shots
from acqplan.space.kernel import Similarity, diameter, distance_columns, distances

# Views whose distances to all views before them are computed at once.
BLOCK = 256
# Values closer than this are equal: sums in another order may differ in the last bits.
TIE = 1e-9
# Why a shot is taken, by the number of its object and its place among the object's new shots.
Reason = Callable[[int, int], str]


class Cover(Protocol):
    """What has been covered so far, and what each free view would add."""

    def gains(self, number: int) -> Float[np.ndarray, " free"]:
        """What each free view of an object would add."""

    def add(self, number: int, view: int) -> None:
        """Count a view of an object as taken."""


class Herd:
    """How much too little each view is represented among the views taken of its object and of its class.

    Args:
        situation: What may be taken; its captures count as taken.
        class_weight: Share of the class in the sum, in ``[0, 1]``; the object has the rest.
        lengths: Lengths of the `Similarity` of views; by default the scales of the axes.
        similarity: Another similarity of views.
        weights: How much each view is wanted, by class, about 1 in the mean, shape ``[views]``. The mean similarity to
            the weighted views is taken as that to all views times the view's own weight: weights change as slowly as
            the kernel that smoothed them, and no matrix over all views is needed.
    """

    def __init__(
        self,
        situation: Situation,
        class_weight: float,
        *,
        lengths: Sequence[float] | None = None,
        similarity: Similarity | None = None,
        weights: Mapping[str, Float[np.ndarray, " views"] | float] | None = None,
    ) -> None:
        self._situation, self._weight = situation, class_weight
        self._similarity = similarity or Similarity(situation.space, lengths)
        mean, known = self._similarity.mean(), weights or {}
        wanted = {label: mean * known.get(label, 1.0) for label in situation.classes}
        self._wanted = [wanted[label][free] for label, free in zip(situation.labels, situation.free, strict=True)]
        self._own = [np.zeros(len(free)) for free in situation.free]
        self._class = {label: np.zeros(len(mean)) for label in situation.classes}
        self._n_own, self._n_class = [0] * len(situation.free), dict.fromkeys(situation.classes, 0)
        for number, view in situation.captures():
            self.add(number, view)

    def gains(self, number: int) -> Float[np.ndarray, " free"]:
        """How much too little each free view is represented."""
        free, label = self._situation.free[number], self._situation.labels[number]
        own = self._own[number] / (self._n_own[number] + 1)
        joint = self._class[label][free] / (self._n_class[label] + 1)
        return self._wanted[number] - (1.0 - self._weight) * own - self._weight * joint

    def add(self, number: int, view: int, times: int = 1) -> None:
        """Count a view of an object as taken; -1 times, no longer."""
        column, label = times * self._similarity.column(view), self._situation.labels[number]
        self._own[number] += column[self._situation.free[number]]
        self._class[label] += column
        self._n_own[number] += times
        self._n_class[label] += times


class Farthest:
    """Distances to the nearest view taken, of each object and of each class; captures count as taken."""

    def __init__(self, situation: Situation, class_weight: float) -> None:
        self._situation, self._weight = situation, class_weight
        self._columns = distance_columns(situation.space)
        farthest = diameter(situation.space)
        self._own = [np.full(len(free), farthest) for free in situation.free]
        self._class = {label: np.full(len(situation.views), farthest) for label in situation.classes}
        for number, view in situation.captures():
            self.add(number, view)

    def gains(self, number: int) -> Float[np.ndarray, " free"]:
        """Weighted distance of each free view from the nearest taken ones."""
        joint = self._class[self._situation.labels[number]][self._situation.free[number]]
        return (1.0 - self._weight) * self._own[number] + self._weight * joint

    def add(self, number: int, view: int) -> None:
        """Count a view of an object as taken."""
        column, label = self._columns(view), self._situation.labels[number]
        np.minimum(self._own[number], column[self._situation.free[number]], out=self._own[number])
        np.minimum(self._class[label], column, out=self._class[label])


@dataclass(frozen=True, slots=True, kw_only=True)
class _InTurns:
    """A rule by which each object in turn takes the view that adds most to a cover."""

    name: ClassVar[str]
    exact: ClassVar[bool] = True
    turns: ClassVar[bool] = True
    cover: ClassVar[type[Herd] | type[Farthest]]
    class_weight: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.class_weight <= 1.0:
            raise StrategyError(f"class_weight {self.class_weight} is not a share", "give a number from 0 to 1")

    def propose(self, candidates: Shots, history: History, n: int, seed: int) -> Choice:
        """Choose greedily, object by object in turn."""
        check_request(candidates, n)
        situation = Situation.of(candidates, history)
        cover = self.cover(situation, self.class_weight)
        return greedy_choice(situation, cover, even_quotas(situation, n, seed), seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Herding(_InTurns):
    """Kernel herding to the uniform distribution over views.

    Each shot makes the mean similarity to the shots of its object, and to those of its class, follow the
    mean similarity to all views.

    Attributes:
        class_weight: Share of the class in the sum, in ``[0, 1]``; the object has the rest.

    Source:
        Y. Chen, M. Welling, A. Smola, Super-samples from kernel herding, UAI 2010; two levels are ours.
    """

    name: ClassVar[str] = "herding"
    cover: ClassVar[type[Herd] | type[Farthest]] = Herd
    class_weight: float = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Maximin(_InTurns):
    """Farthest points: each shot is as far as possible from the shots of its object, and from those of its class.

    Attributes:
        class_weight: Share of the distance to the class in the sum, in ``[0, 1]``.

    Source:
        T. F. Gonzalez, Theor. Comput. Sci. 38 (1985) 293-306, for one object; two levels are ours.
    """

    name: ClassVar[str] = "maximin"
    cover: ClassVar[type[Herd] | type[Farthest]] = Farthest
    class_weight: float = 0.5


def greedy_choice(
    situation: Situation, cover: Cover, quota: Int[np.ndarray, " objects"], seed: int, *, note: str = ""
) -> Choice:
    """Let each object in turn take the view of the largest gain.

    Args:
        situation: What may be taken.
        cover: What has been covered so far; counts what is taken here.
        quota: Shots of each object, at most its candidates, shape ``[objects]``.
        seed: Seed of all lots.
        note: Is put before each reason, which is the gap that the shot fills.
    """
    order = [number for number, _ in taking_order(situation, quota, seed)]
    return choice_of(situation, order, greedy_views(situation, cover, order, seed=seed), lambda _, gap: note + gap)


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
        seed: Seed of the lots.
        used: Pairs of object and view that are taken already.

    Returns:
        View and gain of each shot.
    """
    lots = lots_of(situation, seed)
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


def lots_of(situation: Situation, seed: int) -> dict[str, Int[np.ndarray, " views"]]:
    """A lot for each view of each class: of equal views the one with the smallest lot is taken."""
    n_views = len(situation.views)
    return {label: generator(seed, "greedy", label).permutation(n_views) for label in situation.classes}


def herd_batch(
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
    """`greedy_views` with `Herd`, many plans at a time.

    Args:
        orders: Object that takes next.
        wanted: Similarity that each shot should have to those taken.
        kernels: Similarities of shots.
        kernel_of: Which of them counts.
        class_weight: Share of the class in the sum.
        lots: Of equal shots the one with the smallest lot is taken.
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
        # how much too little each shot of the object in turn is represented
        of_class = joint / n_class[batch, class_of[taking]][:, None]
        sums = (1.0 - share) * (own / n_own[batch, taking][:, None]) + share * of_class
        gains = np.where(mine & ~spent, wanted - sums, -np.inf)
        best = gains >= gains.max(axis=1, keepdims=True) - TIE
        chosen[:, step] = shot = np.where(best, lots, np.iinfo(np.int64).max).argmin(axis=1)
        # count the shots taken, in each plan one
        alike = kernels[kernel_of, shot]
        own += alike * mine
        joint += alike * ours
        n_own[batch, taking] += 1.0
        n_class[batch, class_of[taking]] += 1.0
        spent[batch, shot] = True
    return chosen


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


def choice_in_turns(
    situation: Situation, views: Sequence[Sequence[int]], *, seed: int, reason: Reason | None = None
) -> Choice:
    """Take given views object by object in turn; the gain of each is the gap that it fills.

    Args:
        situation: What may be taken.
        views: For each object, numbers of free views in the order of taking.
        seed: Seed of the order of objects.
        reason: Why each is taken; by default the gap in words.
    """
    order = taking_order(situation, np.array([len(own) for own in views]), seed)
    all_gaps = [gaps(situation, number, np.array(own, dtype=np.int64)) for number, own in enumerate(views)]
    return Choice(
        rows=situation.rows_of([(number, views[number][k]) for number, k in order]),
        gain=np.array([all_gaps[number][k].distance for number, k in order]),
        reason=tuple(reason(number, k) if reason else all_gaps[number][k].words for number, k in order),
    )


def choice_of(
    situation: Situation, order: Sequence[int], picked: Sequence[tuple[int, float]], words: Callable[[float, str], str]
) -> Choice:
    """Views and gains that objects took in an order.

    Args:
        situation: What may be taken.
        order: Number of the object of each shot.
        picked: View and gain of each shot.
        words: Reason of a shot, from its gain and the gap that it fills in words.
    """
    own: list[list[int]] = [[] for _ in situation.names]
    for number, (view, _) in zip(order, picked, strict=True):
        own[number].append(view)
    found = [iter(gaps(situation, number, np.array(views, dtype=np.int64))) for number, views in enumerate(own)]
    return Choice(
        rows=situation.rows_of([(number, view) for number, (view, _) in zip(order, picked, strict=True)]),
        gain=np.array([gain for _, gain in picked]),
        reason=tuple(words(gain, next(found[number]).words) for number, (_, gain) in zip(order, picked, strict=True)),
    )


class Gap(NamedTuple):
    """Distance of a shot from the nearest shot of the same object before it, in scales, and in words."""

    distance: float
    words: str


def gaps(situation: Situation, number: int, views: Int[np.ndarray, " chosen"]) -> list[Gap]:
    """The gap that each view of one object fills, given its captures and the views before; at first the diameter."""
    space, before = situation.space, np.concatenate([situation.taken[number], views])
    kinds = tuple((axis.name, None if isinstance(axis, Category) else axis.unit) for axis in space.axes)
    found: list[Gap] = []
    if len(before) == len(views) > 0:
        found.append(Gap(diameter(space), f"first view of {situation.names[number]}"))
    for start in range(len(found), len(views), BLOCK):
        block = views[start : start + BLOCK]
        n_before = len(situation.taken[number]) + start + np.arange(len(block))
        earlier = before[: n_before[-1]]
        apart = distances(space, situation.views[block], situation.views[earlier])
        apart[np.arange(len(earlier))[None] >= n_before[:, None]] = np.inf
        nearest = np.round(apart, 9).argmin(axis=1)
        here, there = situation.views[block], situation.views[earlier[nearest]]
        by_axis = [axis.difference(here[:, column], there[:, column]) for column, axis in enumerate(space.axes)]
        gap = apart[np.arange(len(block)), nearest]
        words = (_gap_words(kinds, way) for way in zip(*(own.tolist() for own in by_axis), strict=True))
        found += map(Gap, gap.tolist(), words)
    return found


@lru_cache(maxsize=10_000)
def _gap_words(kinds: tuple[tuple[str, str | None], ...], ways: tuple[float, ...]) -> str:
    """How far two views are apart: all angles together, other units by axis, categories as changes.

    Args:
        kinds: Name and unit of each axis, ``None`` for a category.
        ways: How far they are apart along each.
    """
    angles, lengths, changes = [0.0], [], []
    for (name, unit), apart in zip(kinds, ways, strict=True):
        if apart and unit is None:
            changes.append(f"another {name}")
        elif apart and unit == "deg":
            angles.append(apart)
        elif apart:
            lengths.append(f"{apart:.4g} {unit} of {name}".replace("  ", " "))
    degrees = float(np.hypot.reduce(angles))
    widths = [f"{degrees:.0f} degrees"] * (degrees > 0.0) + lengths
    return ", ".join([f"fills a gap of {' and '.join(widths)}"] * bool(widths) + changes) or "the same view again"
