"""Greedy integrated variance: the shots that leave least unknown about the next object of each class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int

from acqplan.errors import StrategyError
from acqplan.plan.base import Choice, History, check_request
from acqplan.plan.greedy import gaps, rows_of
from acqplan.plan.quotas import even_quotas, taking_order
from acqplan.plan.situation import Situation
from acqplan.plan.surrogate import fit_surrogate
from acqplan.rng import generator
from acqplan.space import Axis, Category, Objects, Shots, Space
from acqplan.space.kernel import ShotKernel, covariance, view_kernel

LARGEST_RANK = 300
"""Coordinates of the shared part of a class at most."""

TRUNCATED = 1e-4
"""Share of the variance at target views that coordinates may leave out, if there are more views than `LARGEST_RANK`.
What is left out counts as an object's own, so that the variance of each shot stays exact."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Basis:
    """Coordinates of functions of the view under a kernel.

    Attributes:
        functions: Value of each at each view, so that ``functions.T @ functions`` is about the kernel, shape
            ``[rank, views]``.
        weights: Integral of the square of each over the target views; they are orthogonal there, shape ``[rank]``.
        alike: The kernel itself, shape ``[views, views]``.
        left_out: Share of the variance at the target views that no coordinate describes.
    """

    functions: Float[np.ndarray, "rank views"]
    weights: Float[np.ndarray, " rank"]
    alike: Float[np.ndarray, "views views"]
    left_out: float


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
    values, vectors = np.linalg.eigh(alike)
    kept = values > 1e-10 * values[-1]
    whole = vectors[:, kept].T * np.sqrt(values[kept])[:, None]
    weight, turn = np.linalg.eigh((whole * share) @ whole.T)
    order = np.argsort(weight)[::-1][:rank]
    if len(views) > rank:
        order = order[: np.searchsorted(np.cumsum(weight[order]), (1.0 - TRUNCATED) * weight.sum()) + 1]
    functions = np.ascontiguousarray(turn[:, order].T @ whole)
    left = 1.0 - float(weight[order].sum() / weight.sum())
    return Basis(functions=functions, weights=np.maximum(weight[order], 0.0), alike=alike, left_out=max(left, 0.0))


class ClassVariance:
    """What is unknown about a class, while shots of its objects are added.

    Attributes:
        unknown: Integral of the variance of the shared part over the target views.

    Args:
        kernel: The hyper-parameters; ``common`` is taken as known.
        basis: Coordinates of the views.
        n_objects: Objects of the class.
    """

    def __init__(self, kernel: ShotKernel, basis: Basis, n_objects: int) -> None:
        functions = np.sqrt(kernel.shared) * basis.functions
        own = (kernel.deviation + kernel.shared) * basis.alike - functions.T @ functions + kernel.offset
        self._weights = kernel.shared * basis.weights
        self._objects = [_Own(functions, own, kernel.noise) for _ in range(n_objects)]
        self._moves: list[Float[np.ndarray, " rank"]] = []
        self.unknown = float(self._weights.sum())

    def gains(self, number: int) -> Float[np.ndarray, " views"]:
        """How much of `unknown` a shot of each view of an object would take away, shape ``[views]``."""
        own = self._objects[number]
        own.catch_up(self._moves)
        return own.gains(self._weights)

    def add(self, number: int, view: int) -> None:
        """Count a shot of an object as taken."""
        own = self._objects[number]
        own.catch_up(self._moves)
        self._moves.append(own.add(view))
        self.unknown -= float(self._weights @ self._moves[-1] ** 2)


class _Own:
    """One object: how its views depend on the coordinates of the class, and what is its own.

    Given coordinates of the class with covariance ``P``, a view has a mean that is ``load`` times these, and the
    covariance ``prior - past.T @ past``; ``joint`` is ``P @ load``.
    """

    def __init__(
        self, functions: Float[np.ndarray, "rank views"], prior: Float[np.ndarray, "views views"], noise: float
    ) -> None:
        self._load, self._joint, self._prior, self._noise = functions.copy(), functions.copy(), prior, noise
        self._variance = prior.diagonal().copy()
        self._past = np.zeros((16, functions.shape[1]))
        self._n_past, self._seen = 0, 0

    def catch_up(self, moves: list[Float[np.ndarray, " rank"]]) -> None:
        """Learn of the shots of other objects since last time."""
        if self._seen < len(moves):
            news = np.stack(moves[self._seen :])
            self._joint -= news.T @ (news @ self._load)
            self._seen = len(moves)

    def gains(self, weights: Float[np.ndarray, " rank"]) -> Float[np.ndarray, " views"]:
        """Σ Cov(coordinate, shot)² over the variance of the shot, shape ``[views]``."""
        variance = np.einsum("rv,rv->v", self._load, self._joint) + self._variance + self._noise
        return weights @ self._joint**2 / variance

    def add(self, view: int) -> Float[np.ndarray, " rank"]:
        """Take a shot; returns the vector ``u`` by which ``P`` becomes ``P - u uᵀ``."""
        load, joint = self._load[:, view].copy(), self._joint[:, view].copy()
        past = self._past[: self._n_past]
        column = self._prior[:, view] - past[:, view] @ past
        alone = float(column[view]) + self._noise
        move = joint / np.sqrt(load @ joint + alone)
        self._load -= np.outer(load, column / alone)
        self._joint -= np.outer(joint, column / alone) + np.outer(move, move @ self._load)
        self._variance -= column**2 / alone
        self._remember(column / np.sqrt(alone))
        self._seen += 1
        return move

    def _remember(self, row: Float[np.ndarray, " views"]) -> None:
        if self._n_past == len(self._past):
            self._past = np.concatenate([self._past, np.zeros_like(self._past)])
        self._past[self._n_past] = row
        self._n_past += 1


def integrated_variance(
    space: Space,
    kernel: ShotKernel,
    shots: Float[np.ndarray, "shots columns"],
    targets: Float[np.ndarray, "targets columns"],
    weights: Float[np.ndarray, " targets"] | None = None,
) -> float:
    """Mean variance at target points that is left after some shots: the exact reference.

    Args:
        space: The space whose axes say what wraps.
        kernel: The hyper-parameters, ``common`` included.
        shots: Rows of `acqplan.space.kernel.points_of`, shape ``[shots, 2 + axes]``.
        targets: Rows of `acqplan.space.kernel.class_points`, shape ``[targets, 2 + axes]``.
        weights: Weight of each target, adding up to 1; all alike by default.
    """
    share = np.full(len(targets), 1.0 / len(targets)) if weights is None else weights
    gram = covariance(space, kernel, shots, shots) + kernel.noise * np.eye(len(shots))
    white = np.linalg.solve(np.linalg.cholesky(gram), covariance(space, kernel, shots, targets))
    return float(share @ (kernel.common + kernel.shared - (white**2).sum(axis=0)))


LARGEST = 1000
"""Cells of a space; up to as many views each have their own."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cells:
    """Views grouped by levels.

    Attributes:
        centres: Middle of each cell, shape ``[cells, axes]``.
        cell: Cell of each view, shape ``[views]``.
    """

    centres: Float[np.ndarray, "cells axes"]
    cell: Int[np.ndarray, " views"]


def cells_of(space: Space, lengths: tuple[float, ...], *, largest: int = LARGEST) -> Cells:
    """Group the views of a space into boxes that are small on the scale of the lengths.

    Levels are joined on the axis whose boxes are smallest in its length, until ``largest`` boxes are left;
    levels of a category only if nothing else is left to join.

    Args:
        space: A space whose levels ascend, without a circle that wraps within a box (see `from_first_levels`).
        lengths: Length of each axis.
        largest: Cells at most.
    """
    views = space.views()
    if len(views) <= largest:
        return Cells(centres=views, cell=np.arange(len(views)))
    levels = [np.unique(views[:, column], return_inverse=True) for column in range(len(space.axes))]
    counts = _counts(space.axes, [values for values, _ in levels], lengths, largest)
    boxes = [inverse * count // len(values) for (values, inverse), count in zip(levels, counts, strict=True)]
    _, cell = np.unique(np.ravel_multi_index(tuple(boxes), tuple(counts)), return_inverse=True)
    sizes = np.bincount(cell)
    sums = [np.bincount(cell, weights=views[:, column]) for column in range(len(space.axes))]
    return Cells(centres=np.stack(sums, axis=1) / sizes[:, None], cell=cell)


def _counts(
    axes: tuple[Axis, ...], values: list[Float[np.ndarray, " levels"]], lengths: tuple[float, ...], largest: int
) -> list[int]:
    """Boxes of each axis, their product at most ``largest``."""
    counts = [len(own) for own in values]
    spans = np.array([np.ptp(own) for own in values]) / np.array(lengths)
    while np.prod(counts, dtype=float) > largest:
        widths = [
            (count == 1, isinstance(axis, Category), span / count)
            for axis, span, count in zip(axes, spans, counts, strict=True)
        ]
        counts[widths.index(min(widths))] -= 1
    return counts


TIE = 1e-7
"""Gains closer than this share of the largest are equal."""

LONGEST_REASON = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Variance:
    """Greedy integrated variance under a kernel of classes and objects, see `acqplan.plan.variance`.

    The kernel is fitted to what was captured; before that the defaults stand. Of a space of more than
    `acqplan.plan.variance.LARGEST` views, neighbours are planned together and told apart by lot.

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
        kernel, source = self._kernel(history, seed)
        cells = cells_of(situation.space, kernel.lengths, largest=self.largest)
        basis = basis_of(situation.space, cells.centres, kernel.lengths, weights=self._weights(candidates, cells))
        order = [number for number, _ in taking_order(situation, even_quotas(situation, n, seed), seed)]
        plan = _Plan(situation, kernel, cells, basis, seed)
        picked = [plan.take(number) for number in order]
        return _choice(situation, order, picked, source)

    def _kernel(self, history: History, seed: int) -> tuple[ShotKernel, str]:
        """The kernel, and where it comes from."""
        if self.kernel is None:
            fitted = fit_surrogate(history.shots, history.features, seed=seed)
            return fitted.kernel, "learned" if fitted.learned else "assumed"
        if len(self.kernel.lengths) != len(history.shots.space.axes):
            raise StrategyError(
                f"a kernel of {len(self.kernel.lengths)} lengths, the space has {len(history.shots.space.axes)} axes",
                "give one length for each axis",
            )
        return self.kernel, "given"

    def _weights(self, candidates: Shots, cells: Cells) -> Float[np.ndarray, " cells"]:
        """Weight of each cell."""
        space = candidates.space
        if self.view_weights is None:
            return np.bincount(cells.cell).astype(np.float64)
        if len(self.view_weights) != space.n_views:
            raise StrategyError(
                f"{len(self.view_weights)} weights of views, the space has {space.n_views:,}", "give one for each view"
            )
        every = Shots.every(space, Objects(names=("any",), labels=("any",)))
        rows = Situation.of(every, History.empty(every)).rows[0]
        return np.bincount(cells.cell, weights=np.array(self.view_weights)[rows])


class _Plan:
    """The state of all classes while shots are taken."""

    def __init__(self, situation: Situation, kernel: ShotKernel, cells: Cells, basis: Basis, seed: int) -> None:
        self._situation, self._cell, self._kernel, self._basis = situation, cells.cell, kernel, basis
        self._free = [_Free(situation, number, cells.cell, seed) for number in range(len(situation.names))]
        self._class: dict[str, ClassVariance] = {}
        self._place = {number: place for own in situation.classes.values() for place, number in enumerate(own)}
        self._lots = {
            label: generator(seed, "variance", label).permutation(len(cells.centres)) for label in situation.classes
        }
        self._whole = kernel.shared * basis.weights.sum()

    def take(self, number: int) -> tuple[int, float]:
        """The view of an object that takes away most, and the share of all that was unknown."""
        state, free = self._state(self._situation.labels[number]), self._free[number]
        gains = np.where(free.left > 0, state.gains(self._place[number]), -np.inf)
        largest = float(gains.max())
        best = np.flatnonzero(gains >= largest - TIE * abs(largest))
        lots = self._lots[self._situation.labels[number]]
        cell = int(best[np.argmin(lots[best])])
        state.add(self._place[number], cell)
        return free.take(cell), largest / self._whole if self._whole else 0.0

    def _state(self, label: str) -> ClassVariance:
        """What is unknown about a class, its captures counted."""
        if label not in self._class:
            members = self._situation.classes[label]
            state = self._class[label] = ClassVariance(self._kernel, self._basis, len(members))
            for place, number in enumerate(members):
                for view in self._situation.taken[number]:
                    state.add(place, int(self._cell[view]))
        return self._class[label]


class _Free:
    """Free views of an object by cell, in an order drawn for the object."""

    def __init__(self, situation: Situation, number: int, cell: Int[np.ndarray, " views"], seed: int) -> None:
        views = situation.free[number]
        drawn = generator(seed, "variance", "object", situation.names[number]).permutation(len(views))
        order = np.lexsort([drawn, cell[views]])
        n_cells = int(cell.max()) + 1
        self._views, self.left = views[order], np.bincount(cell[views], minlength=n_cells)
        self._next = np.concatenate([[0], np.cumsum(self.left)])

    def take(self, cell: int) -> int:
        """The next view of a cell."""
        view = int(self._views[self._next[cell]])
        self._next[cell] += 1
        self.left[cell] -= 1
        return view


def _choice(situation: Situation, order: list[int], picked: Sequence[tuple[int, float]], source: str) -> Choice:
    own: list[list[int]] = [[] for _ in situation.names]
    for number, (view, _) in zip(order, picked, strict=True):
        own[number].append(view)
    words = [iter(gaps(situation, number, np.array(views, dtype=np.int64))) for number, views in enumerate(own)]
    return Choice(
        rows=rows_of(situation, [(number, view) for number, (view, _) in zip(order, picked, strict=True)]),
        gain=np.array([gain for _, gain in picked]),
        reason=tuple(
            f"{source} kernel, {100 * gain:.2g} % less doubt: {next(words[number]).words}"[:LONGEST_REASON]
            for number, (_, gain) in zip(order, picked, strict=True)
        ),
    )
