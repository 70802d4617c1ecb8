"""Greedy integrated variance: the shots that leave least unknown about the next object of each class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int

from acqplan.errors import StrategyError
from acqplan.model.cells import LARGEST, Cells, cells_of
from acqplan.model.kernels import ShotKernel
from acqplan.model.surrogate import fit_surrogate
from acqplan.model.variance import Basis, ClassVariance, basis_of
from acqplan.rng import generator
from acqplan.space import Objects, Shots
from acqplan.strategy.base import Choice, History, check_request
from acqplan.strategy.picks import gaps, rows_of
from acqplan.strategy.quotas import even_quotas, taking_order
from acqplan.strategy.situation import Situation

TIE = 1e-7
"""Gains closer than this share of the largest are equal."""

LONGEST_REASON = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Variance:
    """Greedy integrated variance under a kernel of classes and objects, see `acqplan.model.variance`.

    The kernel is fitted to what was captured; before that the defaults stand. Of a space of more than
    `acqplan.model.cells.LARGEST` views, neighbours are planned together and told apart by lot.

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
