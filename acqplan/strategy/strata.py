"""Strata: views of similar weight, each a space of its own, and how many shots each gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from acqplan.space import Axis, Category, Circle, Objects, Shots, Space
from acqplan.strategy.base import History
from acqplan.strategy.situation import Situation

BISECTIONS = 200
"""More than enough to the last bit of any level."""

NEARLY = 1e-9
"""Shares closer than this are equal."""

TINY = 1e-12
"""Least share of the weight that a stratum of positive weight counts with, so that levels stay finite."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stratum:
    """Views of similar weight as a space of their own.

    Attributes:
        weights: Weight of each of its views over the largest of all, shape ``[views]``.
        views: Its views, as shots of no particular object.
        narrow: The space of these alone, a grid if they are all combinations of some levels.
        candidates: Rows of the candidates in it.
        captures: Rows of the captures in it.
    """

    weights: Float[np.ndarray, " views"]
    views: Shots
    narrow: Space
    candidates: Int[np.ndarray, " own"]
    captures: Int[np.ndarray, " past"]

    @property
    def weight(self) -> float:
        """Weight of all its views."""
        return float(self.weights.sum())

    def inside(self, shots: Shots) -> Shots:
        """Shots of the stratum as shots of its own space."""
        inner = _renumbered(shots.space, self.narrow, shots.coordinates)
        return replace(shots, space=self.narrow, coordinates=inner)


def strata_of(weights: Float[np.ndarray, " views"], candidates: Shots, captures: Shots, *, most: int) -> list[Stratum]:
    """Group views of similar weight.

    Args:
        weights: Weight of each view over the largest, in the order of ``space.views()``, shape ``[views]``.
        candidates: What may be taken.
        captures: What has been taken.
        most: Most strata of positive weight, at least 1.

    Returns:
        Strata that have views, the heaviest views first, those of weight 0 last.
    """
    space, level = candidates.space, _levels(weights, most)
    of_candidates, of_captures = level[view_rows(candidates)], level[view_rows(captures)]
    found = []
    for number in np.unique(level)[::-1]:
        rows = np.flatnonzero(level == number)
        found.append(
            Stratum(
                weights=weights[rows],
                views=_every_view(space).take(rows),
                narrow=_narrowed(space, space.views()[rows]),
                candidates=np.flatnonzero(of_candidates == number),
                captures=np.flatnonzero(of_captures == number),
            )
        )
    return found


def _levels(weights: Float[np.ndarray, " views"], most: int) -> Int[np.ndarray, " views"]:
    """Stratum of each view: 0 for weight 0, above that by quantiles of the weights; equal weights stay together."""
    rounded, positive = np.round(weights, 9), weights > 0.0
    values = np.unique(rounded[positive])
    if len(values) > most:
        values = np.unique(np.quantile(rounded[positive], np.arange(1, most + 1) / most, method="inverted_cdf"))
    return np.where(positive, 1 + np.searchsorted(values, rounded), 0)


def shares_of(strata: Sequence[Stratum], n: int) -> list[int]:
    """New shots of each stratum, so that totals with its captures follow the weights, none beyond its candidates.

    What one cannot take flows to the others; weight 0 gets what is left when all others are used up.

    Args:
        strata: The strata, of weight 0 at most one.
        n: Shots to share out, at most all candidates.

    Returns:
        Shots of each, adding up to ``n``; largest remainders are rounded up.
    """
    free = np.array([len(stratum.candidates) for stratum in strata])
    taken = np.array([len(stratum.captures) for stratum in strata], dtype=np.float64)
    weight = np.array([stratum.weight for stratum in strata])
    wanted = np.where(weight > 0.0, np.maximum(weight / weight.sum(), TINY), 0.0)
    most = np.where(wanted > 0.0, free, 0)
    n_wanted = min(n, int(most.sum()))
    share = _levelled(wanted, taken, most, n_wanted)
    down = np.minimum(np.floor(share + NEARLY).astype(np.int64), most)
    remainder = np.where(down < most, np.round(share - down, 6), -1.0)
    down[np.argsort(-remainder, kind="stable")[: n_wanted - int(down.sum())]] += 1
    down[wanted == 0.0] += n - n_wanted  # views of weight 0 are one stratum at most
    return [int(count) for count in down]


def _levelled(
    wanted: Float[np.ndarray, " strata"], taken: Float[np.ndarray, " strata"], most: Int[np.ndarray, " strata"], n: int
) -> Float[np.ndarray, " strata"]:
    """What totals in proportion to ``wanted`` lack, between nothing and ``most``, adding up to ``n``."""
    low, high = 0.0, float(((taken + most)[wanted > 0.0] / wanted[wanted > 0.0]).max())
    for _ in range(BISECTIONS):
        middle = (low + high) / 2.0
        fits = np.clip(middle * wanted - taken, 0.0, most).sum() <= n
        low, high = (middle, high) if fits else (low, middle)
    return np.clip(high * wanted - taken, 0.0, most)


def view_rows(shots: Shots) -> Int[np.ndarray, " shots"]:
    """Row in ``space.views()`` of the view nearest to each shot, shape ``[shots]``."""
    numbers = _numbers(_every_view(shots.space))
    rows = np.zeros(int(numbers.max()) + 1, dtype=np.int64)
    rows[numbers] = np.arange(len(numbers))
    return rows[_numbers(shots)]


def _numbers(shots: Shots) -> Int[np.ndarray, " shots"]:
    """Number of the view of each shot as `Situation` counts, which turns with the space."""
    numbers = np.zeros(len(shots), dtype=np.int64)
    if len(shots):
        situation = Situation.of(shots, History.empty(shots))
        for rows, free in zip(situation.rows, situation.free, strict=True):
            numbers[rows] = free
    return numbers


def _every_view(space: Space) -> Shots:
    return Shots.every(space, Objects(names=("any",), labels=("any",)))


def _narrowed(space: Space, views: Float[np.ndarray, "views axes"]) -> Space:
    """The space of some of its views alone: axes keep the levels that are met, circles begin after the widest gap."""
    levels = space.levels(views)
    axes = tuple(_some_levels(axis, np.unique(levels[:, column])) for column, axis in enumerate(space.axes))
    grid = Space(axes=axes)
    is_grid = space.is_grid and grid.n_views == len(views)
    return grid if is_grid else Space(axes=axes, table=_renumbered(space, grid, views))


def _some_levels(axis: Axis, kept: Int[np.ndarray, " kept"]) -> Axis:
    if isinstance(axis, Category):
        return replace(axis, values=tuple(axis.values[level] for level in kept))
    if isinstance(axis, Circle) and len(kept) < len(axis.values):
        offsets = np.round(np.mod(axis.codes()[kept] - axis.codes()[0], axis.period), 6) % axis.period
        ascending = np.argsort(offsets)
        before = np.round(np.mod(offsets[ascending] - np.roll(offsets[ascending], 1), axis.period), 6)
        kept = kept[np.roll(ascending, -int(np.argmax(before)))]
    return replace(axis, values=tuple(axis.values[level] for level in kept))


def _renumbered(
    space: Space, narrow: Space, coordinates: Float[np.ndarray, "shots axes"]
) -> Float[np.ndarray, "shots axes"]:
    """Coordinates in a narrowed space, shape ``[shots, axes]``: the levels of its categories have other numbers."""
    inner = coordinates.copy()
    for column, (axis, kept) in enumerate(zip(space.axes, narrow.axes, strict=True)):
        if isinstance(axis, Category) and isinstance(kept, Category):
            # a capture off the table of views may have a level that its nearest view has not
            number = [kept.values.index(level) if level in kept.values else 0 for level in axis.values]
            inner[:, column] = np.array(number, dtype=np.float64)[np.rint(coordinates[:, column]).astype(np.int64)]
    return inner
