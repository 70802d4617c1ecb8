"""Greedy integrated variance: the shots that leave least unknown about the next object of each class."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int

from acqplan.errors import StrategyError
from acqplan.plan.base import LONGEST_REASON, Choice, History, Situation, check_request, even_quotas, taking_order
from acqplan.plan.greedy import choice_of
from acqplan.plan.surrogate import ShotKernel, fit_surrogate
from acqplan.rng import generator
from acqplan.space import Category, Objects, Shots, Space
from acqplan.space.kernel import view_kernel

# Views that are told apart; in a larger space neighbours make a group.
LARGEST = 1000
# Coordinates of the shared part of a class at most.
LARGEST_RANK = 300
# Share of the variance at target views that coordinates may leave out, if there are more views than `LARGEST_RANK`.
# What is left out counts as an object's own, so that the variance of each shot stays exact.
TRUNCATED = 1e-4
# Of loads and joints of objects that are kept from turn to turn, over all classes; an object of fewer shots than `FEW`
# is as soon worked out from these.
KEPT_BYTES, FEW = 1_000_000_000, 16
# Moves from which it is quicker to work an object out from its own shots: 4 for each of them, and so many more.
MANY_MOVES = 16
# Gains closer than this share of the largest are equal.
TIE = 1e-7


@dataclass(frozen=True, slots=True, kw_only=True)
class Variance:
    """Greedy integrated variance under a kernel of classes and objects, see `ShotKernel`.

    The kernel is fitted to what was captured; before that it is the default. In a space of more than `LARGEST`
    views, neighbours are planned together and told apart by lot.

    Attributes:
        kernel: Hyper-parameters to use instead, lengths in the order of the axes.
        view_weights: How much each view of the space matters, in the order of ``space.views()``; all alike by default.
        largest: Views that are told apart, at least 1.

    Source:
        D. A. Cohn, Neural network exploration using optimal experiment design, NIPS 1994; classes and objects are
        ours.
    """

    name: ClassVar[str] = "variance"
    exact: ClassVar[bool] = True
    turns: ClassVar[bool] = True
    learns: ClassVar[bool] = True
    kernel: ShotKernel | None = None
    view_weights: tuple[float, ...] | None = None
    largest: int = LARGEST

    def __post_init__(self) -> None:
        weights = np.array(self.view_weights or (1.0,))
        if self.largest < 1 or not np.isfinite(weights).all() or weights.min() < 0.0 or weights.sum() <= 0.0:
            raise StrategyError(
                "variance needs at least one view told apart, and weights from 0 on, some above",
                "change largest or view_weights",
            )

    def propose(self, candidates: Shots, history: History, n: int, seed: int) -> Choice:
        """Choose greedily, object by object in turn."""
        check_request(candidates, n)
        situation = Situation.of(candidates, history)
        if self.kernel is None:
            fitted = fit_surrogate(history.shots, history.features, seed=seed)
            kernel, source = fitted.kernel, "learned" if fitted.learned else "assumed"
        else:
            kernel, source = self.kernel, "given"
        if len(kernel.lengths) != len(candidates.space.axes):
            raise StrategyError(
                f"a kernel of {len(kernel.lengths)} lengths, the space has {len(candidates.space.axes)} axes",
                "give one length for each axis",
            )
        groups = groups_of(situation.space, kernel.lengths, largest=self.largest)
        weights = self._weights(candidates.space, groups)
        basis = basis_of(situation.space, groups.centres, kernel.lengths, weights=weights)
        order = [number for number, _ in taking_order(situation, even_quotas(situation, n, seed), seed)]
        return choice_of(
            situation,
            order,
            _picked(situation, kernel, groups, basis, order, seed),
            lambda gain, gap: f"{source} kernel, {100 * gain:.2g} % less doubt: {gap}"[:LONGEST_REASON],
        )

    def _weights(self, space: Space, groups: Groups) -> Float[np.ndarray, " groups"]:
        """Weight of each group of views."""
        if self.view_weights is None:
            return np.bincount(groups.of_view).astype(np.float64)
        if len(self.view_weights) != space.n_views:
            raise StrategyError(
                f"{len(self.view_weights)} weights of views, the space has {space.n_views:,}", "give one for each view"
            )
        every = Shots.every(space, Objects(names=("any",), labels=("any",)))
        rows = Situation.of(every, History.empty(every)).rows[0]
        return np.bincount(groups.of_view, weights=np.array(self.view_weights)[rows])


def _picked(
    situation: Situation, kernel: ShotKernel, groups: Groups, basis: Basis, order: list[int], seed: int
) -> list[tuple[int, float]]:
    """The view that each object in turn takes, and the share of all that was unknown which it takes away."""
    members, n_groups = situation.classes, len(groups.centres)
    place = {number: place for own in members.values() for place, number in enumerate(own)}
    lots = {label: generator(seed, "variance", label).permutation(n_groups) for label in members}
    # free views of each object: how many in each group, and the views in an order drawn for the object
    left, waiting = [], []
    for name, free in zip(situation.names, situation.free, strict=True):
        group = groups.of_view[free]
        drawn = generator(seed, "variance", "object", name).permutation(len(free))
        left.append(np.bincount(group, minlength=n_groups))
        waiting.append(free[np.lexsort([drawn, group])])
    ends = [np.cumsum(own) for own in left]
    # captures count as taken, in the classes that take anything
    taking = {situation.labels[number] for number in order}
    n_objects = sum(len(members[label]) for label in taking)
    kept = min(KEPT_BYTES / (2 * n_objects * basis.functions.nbytes), 1.0)  # share of the objects of each class
    states = {label: ClassVariance(kernel, basis, len(members[label]), kept=kept) for label in taking}
    for number, view in situation.captures():
        if situation.labels[number] in taking:
            states[situation.labels[number]].add(place[number], int(groups.of_view[view]))
    whole = kernel.shared * basis.weights.sum()
    picked = []
    for number in order:
        label = situation.labels[number]
        gains = np.where(left[number] > 0, states[label].gains(place[number]), -np.inf)
        largest = float(gains.max())
        best = np.flatnonzero(gains >= largest - TIE * abs(largest))
        group = int(best[np.argmin(lots[label][best])])
        states[label].add(place[number], group)
        view = int(waiting[number][ends[number][group] - left[number][group]])
        picked.append((view, largest / whole if whole else 0.0))
        left[number][group] -= 1
    return picked


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Groups:
    """Views grouped by levels; in a small space each view is a group of its own.

    Attributes:
        centres: Middle of each group, shape ``[groups, axes]``.
        of_view: Group of each view, shape ``[views]``.
    """

    centres: Float[np.ndarray, "groups axes"]
    of_view: Int[np.ndarray, " views"]


def groups_of(space: Space, lengths: tuple[float, ...], *, largest: int = LARGEST) -> Groups:
    """Group the views of a space into boxes that are small on the scale of the lengths.

    Levels are joined on the axis whose boxes are smallest in its length, until ``largest`` boxes are left;
    levels of a category only if nothing else is left to join.

    Args:
        space: A space whose levels ascend, without a circle that wraps within a box (see `from_first_levels`).
        lengths: Length of each axis.
        largest: Groups at most.
    """
    views = space.views()
    if len(views) <= largest:
        return Groups(centres=views, of_view=np.arange(len(views)))
    levels = [np.unique(views[:, column], return_inverse=True) for column in range(len(space.axes))]
    # boxes of each axis, until their product is small enough
    counts = [len(values) for values, _ in levels]
    spans = np.array([np.ptp(values) for values, _ in levels]) / np.array(lengths)
    while np.prod(counts, dtype=float) > largest:
        widths = [
            (count == 1, isinstance(axis, Category), span / count)
            for axis, span, count in zip(space.axes, spans, counts, strict=True)
        ]
        counts[widths.index(min(widths))] -= 1
    boxes = [inverse * count // len(values) for (values, inverse), count in zip(levels, counts, strict=True)]
    _, of_view = np.unique(np.ravel_multi_index(tuple(boxes), tuple(counts)), return_inverse=True)
    sums = [np.bincount(of_view, weights=views[:, column]) for column in range(len(space.axes))]
    return Groups(centres=np.stack(sums, axis=1) / np.bincount(of_view)[:, None], of_view=of_view)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Basis:
    """Coordinates of functions of the view under a kernel.

    Attributes:
        functions: Value of each at each view, so that ``functions.T @ functions`` is about the kernel, shape
            ``[rank, views]``.
        weights: Integral of the square of each over the target views; they are orthogonal there, shape ``[rank]``.
        alike: The kernel itself, shape ``[views, views]``.
    """

    functions: Float[np.ndarray, "rank views"]
    weights: Float[np.ndarray, " rank"]
    alike: Float[np.ndarray, "views views"]


def basis_of(
    space: Space,
    views: Float[np.ndarray, "views axes"],
    lengths: tuple[float, ...],
    *,
    weights: Float[np.ndarray, " views"] | None = None,
    rank: int = LARGEST_RANK,
) -> Basis:
    """The coordinates that matter most at the target views.

    Args:
        space: The space whose axes say what wraps.
        views: Views of candidates and targets, shape ``[views, axes]``.
        lengths: Length of each axis.
        weights: How much each view matters, not negative, some positive, shape ``[views]``; all alike by default.
        rank: Coordinates at most.
    """
    share = np.ones(len(views)) if weights is None else np.asarray(weights, dtype=np.float64)
    share = share / share.sum()
    alike = view_kernel(space, views, views, scales=np.array(lengths))
    # a root of the kernel
    values, vectors = np.linalg.eigh(alike)
    kept = values > 1e-10 * values[-1]
    whole = vectors[:, kept].T * np.sqrt(values[kept])[:, None]
    # turned to the principal axes of its integral over the target views, the largest first
    weight, rotation = np.linalg.eigh((whole * share) @ whole.T)
    order = np.argsort(weight)[::-1][:rank]
    if len(views) > rank:
        order = order[: np.searchsorted(np.cumsum(weight[order]), (1.0 - TRUNCATED) * weight.sum()) + 1]
    functions = np.ascontiguousarray(rotation[:, order].T @ whole)
    return Basis(functions=functions, weights=np.maximum(weight[order], 0.0), alike=alike)


class ClassVariance:
    """What is unknown about a class, while shots of its objects are added.

    The coordinates of the class have the covariance ``P``; a move is a vector ``u`` by which a shot turns it into
    ``P - u uᵀ``. Given the coordinates, a view of an object has a mean that is ``load`` times these and a variance of
    its own; ``joint`` is ``P @ load``. An object without shots has the load of the class, and each of its shots
    changes it by a product of two vectors. So the load and the joint of an object follow from its own shots, or from
    what they were at its last turn and the moves since; whichever is less is computed.

    Attributes:
        unknown: Integral of the variance of the shared part over the target views.

    Args:
        kernel: The hyper-parameters; ``common`` is taken as known.
        basis: Coordinates of the views.
        n_objects: Objects of the class.
        kept: Share of the objects whose loads and joints are kept from turn to turn, twice the bytes of
            ``basis.functions`` for each.
    """

    def __init__(self, kernel: ShotKernel, basis: Basis, n_objects: int, *, kept: float = 1.0) -> None:
        self._functions = np.sqrt(kernel.shared) * basis.functions
        self._prior = (kernel.deviation + kernel.shared) * basis.alike + kernel.offset
        self._prior -= self._functions.T @ self._functions
        self._noise, self._weights = kernel.noise, kernel.shared * basis.weights
        self._covariance, self._joint, self._n_joint = np.eye(len(self._functions)), self._functions.copy(), 0
        self._objects = [_ObjectVariance(variance=self._prior.diagonal().copy()) for _ in range(n_objects)]
        self._n_kept = round(kept * n_objects)
        self._moves: list[Float[np.ndarray, " rank"]] = []
        self.unknown = float(self._weights.sum())

    def gains(self, number: int) -> Float[np.ndarray, " views"]:
        """How much of `unknown` a shot of each view of an object would take away, shape ``[views]``.

        Σ Cov(coordinate, shot)² over the variance of the shot.
        """
        load, joint = self._at(number)
        variance = np.einsum("rv,rv->v", load, joint) + self._objects[number].variance + self._noise
        return self._weights @ joint**2 / variance

    def add(self, number: int, view: int) -> None:
        """Count a shot of an object as taken."""
        one, (load, joint) = self._objects[number], self._at(number)
        column = self._prior[:, view]
        if one.n_past:
            past = one.past[: one.n_past]
            column = column - past[:, view] @ past
        alone = float(column[view]) + self._noise
        slope, kept, crossed = column / alone, load[:, view].copy(), joint[:, view].copy()
        move = crossed / np.sqrt(kept @ crossed + alone)
        # condition the object on the shot, then the class
        one.append(kept, slope, column / np.sqrt(alone))
        if self._keeps(number):
            if load is self._functions:
                load, joint = load.copy(), joint.copy()
            load -= np.outer(kept, slope)
            joint -= np.outer(crossed, slope) + np.outer(move, move @ load)
            one.last = load, joint, len(self._moves) + 1
        self._moves.append(move)
        self.unknown -= float(self._weights @ move**2)

    def _at(self, number: int) -> tuple[Float[np.ndarray, "rank views"], Float[np.ndarray, "rank views"]]:
        """Load and joint of an object."""
        one = self._objects[number]
        if one.last is not None and len(self._moves) - one.last[2] <= MANY_MOVES + 4 * one.n_past:
            load, joint, n_moves = one.last
            if n_moves < len(self._moves):
                news = np.stack(self._moves[n_moves:])
                joint -= news.T @ (news @ load)
            one.last = load, joint, len(self._moves)
            return load, joint
        # the class at present
        if self._n_joint < len(self._moves):
            news = np.stack(self._moves[self._n_joint :])
            self._covariance -= news.T @ news
            self._joint -= news.T @ (news @ self._functions)
            self._n_joint = len(self._moves)
        if not one.n_past:
            return self._functions, self._joint
        loads, slopes = one.loads[: one.n_past], one.slopes[: one.n_past]
        load = self._functions - loads.T @ slopes
        joint = self._joint - (self._covariance @ loads.T) @ slopes
        if self._keeps(number):
            one.last = load, joint, len(self._moves)
        return load, joint

    def _keeps(self, number: int) -> bool:
        return number < self._n_kept and self._objects[number].n_past >= FEW


@dataclass(slots=True, kw_only=True, eq=False)
class _ObjectVariance:
    """The shots of one object: by what each changed its load and its own covariance, ``prior - past.T @ past``."""

    variance: Float[np.ndarray, " views"]  # of its own, of each view
    loads: Float[np.ndarray, "room rank"] = field(default_factory=lambda: np.empty((0, 0)))
    slopes: Float[np.ndarray, "room views"] = field(default_factory=lambda: np.empty((0, 0)))
    past: Float[np.ndarray, "room views"] = field(default_factory=lambda: np.empty((0, 0)))
    n_past: int = 0
    last: tuple[Float[np.ndarray, "rank views"], Float[np.ndarray, "rank views"], int] | None = None

    def append(self, *rows: Float[np.ndarray, " columns"]) -> None:
        """Take in the load of a shot, how others slope with it, and its column of the root of what it explains."""
        for name, row in zip(("loads", "slopes", "past"), rows, strict=True):
            table = getattr(self, name)
            if self.n_past == len(table):
                larger = np.empty((max(4, 2 * len(table)), len(row)))
                if self.n_past:
                    larger[: self.n_past] = table
                setattr(self, name, larger)
            getattr(self, name)[self.n_past] = row
        self.variance -= rows[2] ** 2
        self.n_past += 1
