"""What tables, plots and the page count: shots per level, per position and per object, accuracy per arm."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from jaxtyping import Float, Int

from acqplan.evaluate.verdict import Record, Validation
from acqplan.numbers import printable
from acqplan.plan.plan import Plan
from acqplan.space import Axis, Category, Circle, Shots, Space


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bins:
    """An axis cut into a few columns: one per level where they fit, else equal widths.

    Attributes:
        axis: The axis.
        labels: What stands at each bin: the level, or ``from–to``.
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
    return _equal_widths(axis, coordinates, most)


def _equal_widths(axis: Axis, coordinates: Float[np.ndarray, " views"], most: int) -> Bins:
    edges = _edges(axis, most)
    rows = np.clip(np.searchsorted(edges, coordinates + 1e-9, side="right") - 1, 0, len(edges) - 2)
    return Bins(
        axis=axis,
        labels=tuple(f"{start:g}–{stop:g}" for start, stop in itertools.pairwise(edges)),
        starts=tuple(f"{start:g}" for start in edges[:-1]),
        width=float(edges[1] - edges[0]),
        rows=rows,
    )


def _edges(axis: Axis, most: int) -> Float[np.ndarray, " edges"]:
    """Edges that hold equally many levels where levels are regular, else such as a person would choose."""
    codes = np.sort(axis.codes())
    gaps = np.diff(codes)
    regular = bool(np.allclose(gaps, gaps[0]))
    if isinstance(axis, Circle):
        return np.linspace(0.0, axis.period, _parts_of_circle(len(codes) if regular else 0, most) + 1)
    if most == 1:
        return codes[[0, -1]]
    step = float(gaps[0]) * math.ceil(len(codes) / most) if regular else _round_step(codes, most)
    first = codes[0] if regular else np.floor(codes[0] / step) * step
    parts = math.floor((codes[-1] - first) / step + 1e-9) + 1
    return np.round(first + step * np.arange(parts + 1), 9)


def _parts_of_circle(n_levels: int, most: int) -> int:
    whole = [parts for parts in range(most, 1, -1) if n_levels and n_levels % parts == 0]
    if whole and whole[0] >= most / 3:
        return whole[0]
    return next(parts for parts in (18, 12, 9, 8, 6, 4, 3, 2, 1) if parts <= most)


def _round_step(codes: Float[np.ndarray, " levels"], most: int) -> float:
    """The least of 1, 2, 2.5, 5, 10 … that needs at most so many steps."""
    decade = 10.0 ** np.floor(np.log10((codes[-1] - codes[0]) / most))
    steps = decade * np.outer([1, 10, 100, 1000], [1.0, 2.0, 2.5, 5.0]).ravel()
    needed = np.floor(codes[-1] / steps) - np.floor(codes[0] / steps) + 1
    return float(steps[needed <= most][0])


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Positions:
    """Distinct places in the picture of a space, whatever the other axes say.

    Attributes:
        places: Coordinates on the two axes of the picture (0 where there is one axis), shape ``[places, 2]``.
        n_shots: Shots taken from each place, shape ``[places]``.
    """

    places: Float[np.ndarray, "places 2"]
    n_shots: Int[np.ndarray, " places"]


def positions(shots: Shots) -> Positions:
    """Count shots at every allowed place of the picture, untouched places included."""
    allowed = _flattened(shots.space, shots.space.views())
    taken = _flattened(shots.space, shots.coordinates)
    places, where = np.unique(np.concatenate([allowed, taken]), axis=0, return_inverse=True)
    counts = np.bincount(where.ravel()[len(allowed) :], minlength=len(places))
    return Positions(places=places, n_shots=counts)


def _flattened(space: Space, coordinates: Float[np.ndarray, "views axes"]) -> Float[np.ndarray, "views 2"]:
    across, down = picture_axes(space)
    flat = np.zeros((len(coordinates), 2))
    flat[:, 0] = coordinates[:, across]
    if down is not None:
        flat[:, 1] = coordinates[:, down]
    return np.round(flat, 6)


def object_counts(plan: Plan) -> Int[np.ndarray, " objects"]:
    """Shots of each object of the plan's table."""
    return np.bincount(plan.shots.object_rows, minlength=len(plan.shots.objects))


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmSummary:
    """Accuracy of one strategy at one budget, averaged over seeds.

    Attributes:
        strategy: Name of the strategy.
        budget: Images it was allowed.
        images: Images it took, mean over seeds.
        accuracy: Mean over test objects.
        low: Lower end of the 95 % interval over objects.
        high: Upper end.
        n_objects: Test objects.
        n_seeds: Runs.
    """

    strategy: str
    budget: int
    images: float
    accuracy: float
    low: float
    high: float
    n_objects: int
    n_seeds: int


def arms(validation: Validation) -> list[ArmSummary]:
    """One `ArmSummary` for each strategy and budget, in order of first appearance, budgets ascending."""
    groups: dict[tuple[str, int], list[Record]] = {}
    for record in validation.records:
        groups.setdefault((record.strategy, record.budget), []).append(record)
    order = list(dict.fromkeys(record.strategy for record in validation.records))
    return [_arm(groups[key]) for key in sorted(groups, key=lambda key: (order.index(key[0]), key[1]))]


def final_arms(validation: Validation) -> list[ArmSummary]:
    """The arms at the largest budget."""
    every = arms(validation)
    full = max((arm.budget for arm in every), default=0)
    return [arm for arm in every if arm.budget == full]


def _arm(records: Sequence[Record]) -> ArmSummary:
    names = sorted({name for record in records for name in record.per_object})
    means = [
        float(np.mean([record.per_object[name] for record in records if name in record.per_object])) for name in names
    ]
    accuracy = float(np.mean(means)) if means else float(np.mean([record.accuracy for record in records]))
    half = 0.0
    if len(means) > 1:
        half = t_quantile(len(means) - 1) * float(np.std(means, ddof=1)) / math.sqrt(len(means))
    return ArmSummary(
        strategy=printable(records[0].strategy),
        budget=records[0].budget,
        images=float(np.mean([record.images for record in records])),
        accuracy=accuracy,
        low=max(0.0, accuracy - half),
        high=min(1.0, accuracy + half),
        n_objects=len(names),
        n_seeds=len(records),
    )


def t_quantile(freedom: int, share: float = 0.975) -> float:
    """Quantile of Student's t, right to 0.3 %; scipy.stats lives in `evaluate` and is slow to load.

    Source:
        Exact for one and two degrees of freedom; else Abramowitz and Stegun, formula 26.7.5.
    """
    if freedom == 1:
        return math.tan(math.pi * (share - 0.5))
    if freedom == 2:
        return (2 * share - 1) * math.sqrt(2 / (4 * share * (1 - share)))
    z = NormalDist().inv_cdf(share)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / freedom ** (power + 1) for power, term in enumerate(terms))
