"""Shots of a plan counted: per level of an axis, per position in the picture of a space, and per object."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from acqplan.numbers import printable
from acqplan.space import Axis, Category, Circle, Shots, Space


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bins:
    """An axis cut into a few columns: one per level where they fit, else equal widths.

    Attributes:
        axis: The axis.
        labels: Text at each bin: the level, or ``from–to``.
        starts: Where each bin begins, as a label.
        width: Width of every bin in the axis' unit; 0 where each level has its own.
        rows: Bin of each coordinate given, shape ``[views]``.
    """

    axis: Axis
    labels: tuple[str, ...]
    starts: tuple[str, ...]
    width: float
    rows: Int[np.ndarray, " views"]

    def __len__(self) -> int:
        return len(self.labels)

    def count(self, of: Int[np.ndarray, " some"] | slice = slice(None)) -> Int[np.ndarray, " bins"]:
        """How many of the coordinates (or of some of them) fall into each bin."""
        return np.bincount(self.rows[of], minlength=len(self))


def cut(axis: Axis, coordinates: Float[np.ndarray, " views"], *, most: int) -> Bins:
    """Put coordinates along an axis into at most ``most`` bins (a category keeps all its levels)."""
    codes = np.sort(axis.codes())
    if isinstance(axis, Category):
        labels = tuple(printable(value) for value in axis.values)
        return Bins(axis=axis, labels=labels, starts=labels, width=0.0, rows=np.rint(coordinates).astype(np.int64))
    if len(codes) <= most:
        labels = tuple(f"{code:g}" for code in codes)
        nearest = axis.difference(coordinates[:, None], codes[None, :]).argmin(axis=1)
        return Bins(axis=axis, labels=labels, starts=labels, width=0.0, rows=nearest)
    # Edges hold equally many levels where levels are regular, else they are at round numbers.
    gaps = np.diff(codes)
    regular = bool(np.allclose(gaps, gaps[0]))
    if isinstance(axis, Circle):
        # As many bins as its levels can be shared by, unless that leaves too few.
        shared = [n_bins for n_bins in range(most, 1, -1) if regular and len(codes) % n_bins == 0]
        if not shared or shared[0] < most / 3:
            shared = [n_bins for n_bins in (18, 12, 9, 8, 6, 4, 3, 2, 1) if n_bins <= most]
        edges = np.linspace(0.0, axis.period, shared[0] + 1)
    elif most == 1:
        edges = codes[[0, -1]]
    else:
        first, step = codes[0], float(gaps[0]) * math.ceil(len(codes) / most)
        if not regular:
            # The least step of 1, 2, 2.5, 5, 10 … that needs at most so many bins.
            decade = 10.0 ** np.floor(np.log10((codes[-1] - codes[0]) / most))
            steps = decade * np.outer([1, 10, 100, 1000], [1.0, 2.0, 2.5, 5.0]).ravel()
            needed = np.floor(codes[-1] / steps) - np.floor(codes[0] / steps) + 1
            step = float(steps[needed <= most][0])
            first = np.floor(codes[0] / step) * step
        n_bins = math.floor((codes[-1] - first) / step + 1e-9) + 1
        edges = np.round(first + step * np.arange(n_bins + 1), 9)
    return Bins(
        axis=axis,
        labels=tuple(f"{start:g}–{stop:g}" for start, stop in itertools.pairwise(edges)),
        starts=tuple(f"{start:g}" for start in edges[:-1]),
        width=float(edges[1] - edges[0]),
        rows=np.clip(np.searchsorted(edges, coordinates + 1e-9, side="right") - 1, 0, len(edges) - 2),
    )


def picture_axes(space: Space) -> tuple[int, int | None]:
    """Which axes span the picture of a plan: the first circle across, the next number down.

    Returns:
        Columns of the axis across and of the axis down; the latter is ``None`` if there is one axis only.
    """
    numbers = [column for column, axis in enumerate(space.axes) if not isinstance(axis, Category)]
    circles = [column for column in numbers if isinstance(space.axes[column], Circle)]
    across = (circles or numbers or [0])[0]
    others = [column for column in numbers if column != across]
    others += [column for column in range(len(space.axes)) if column != across and column not in others]
    return across, others[0] if others else None


def positions(shots: Shots) -> tuple[Float[np.ndarray, "places 2"], Int[np.ndarray, " places"]]:
    """Count shots at every allowed place of the picture of a space, whatever the other axes say.

    Returns:
        Coordinates on the two axes of the picture (0 where there is one axis), shape ``[places, 2]``, and the number
        of shots from each place, which may be 0, shape ``[places]``.
    """
    columns = [column for column in picture_axes(shots.space) if column is not None]
    allowed, taken = shots.space.views()[:, columns], shots.coordinates[:, columns]
    # Allowed views first, then shots: what both have in common is one place.
    flat = np.zeros((len(allowed) + len(taken), 2))
    flat[:, : len(columns)] = np.concatenate([allowed, taken])
    places, where = np.unique(np.round(flat, 6), axis=0, return_inverse=True)
    return places, np.bincount(where.ravel()[len(allowed) :], minlength=len(places))


def object_counts(shots: Shots) -> Int[np.ndarray, " objects"]:
    """Shots of each object of their table."""
    return np.bincount(shots.object_rows, minlength=len(shots.objects))


def axis_title(axis: Axis) -> str:
    """``elevation (deg)``."""
    return printable(axis.name) + (f" ({axis.unit})" if axis.unit else "")
