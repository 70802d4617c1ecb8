"""Maps of errors over (class, view), and whether they hold for other objects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from acqplan.rng import generator
from acqplan.space import Space
from acqplan.strategy.pairs import Columns, kernel_columns
from acqplan.strategy.soft_errors import SoftErrors

HALVINGS = 8
"""Ways of halving the objects over which the reliability is averaged."""

MOST_POINTS = 1000
"""Captured views that a map is made of at most, evenly drawn from all of them."""

PRIOR_SHOTS = 1.0
"""A map is drawn to zero as if this many shots without any deviation had been taken at each view."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ErrorMaps:
    """Soft error to expect of new objects at each view.

    Attributes:
        overall: Mean soft error.
        common: Deviation at each view that all classes share, shape ``[views]``, drawn to zero by its reliability.
        own: The same for each class beyond what is common.
        common_reliability: Correlation of the maps of two halves of the objects, stepped up to all of them
            (Spearman and Brown), in ``[0, 1]``.
        own_reliability: The same for what is the classes' own.
    """

    overall: float
    common: Float[np.ndarray, " views"]
    own: dict[str, Float[np.ndarray, " views"]]
    common_reliability: float
    own_reliability: float

    @property
    def reliability(self) -> float:
        """The larger of the two."""
        return max(self.common_reliability, self.own_reliability)

    def of(self, label: str) -> Float[np.ndarray, " views"]:
        """Soft error of a class at each view; of a class that is not judged, what all share."""
        return self.overall + self.common + self.own.get(label, 0.0)


def error_maps(space: Space, found: SoftErrors, *, seed: int) -> ErrorMaps:
    """Smooth soft errors over views, and draw them to a constant as far as halves of the objects disagree.

    Before that the mean of each object is taken away: a difficult object is no difficult view.

    Args:
        space: The space, as `acqplan.strategy.situation.Situation` counts it.
        found: Soft errors of captured shots.
        seed: Seed of the halves.
    """
    captured = np.unique(np.concatenate(found.views))
    points = captured[np.linspace(0, len(captured) - 1, min(len(captured), MOST_POINTS)).round().astype(np.int64)]
    columns = kernel_columns(space)
    sums = _Sums(found, points, np.stack([columns(int(view))[points] for view in points]))
    everyone = np.ones(len(found.names), dtype=np.bool_)
    halves = [_halves(found, seed, number) for number in range(HALVINGS)]
    common = _stepped_up([(sums.common(one), sums.common(~one)) for one in halves])
    own = _stepped_up([(sums.own(one), sums.own(~one)) for one in halves]) if len(found.classes) > 1 else 0.0
    number, shots = sums.totals(everyone)
    at_views = _spread(columns, points, np.concatenate([number, shots]), space.n_views)
    deviations, weights = np.split(at_views, 2)
    shared = deviations.sum(axis=0) / (weights.sum(axis=0) + PRIOR_SHOTS)
    classes = deviations / (weights + PRIOR_SHOTS)
    overall = float(np.mean([found.means[members].mean() for members in found.classes.values()]))
    return ErrorMaps(
        overall=round(overall, 9),
        common=np.round(common * shared, 9),
        own={label: np.round(own * (classes[row] - shared), 9) for row, label in enumerate(found.classes)},
        common_reliability=common,
        own_reliability=own,
    )


class _Sums:
    """Deviations of each object's errors from their mean, summed at the captured views."""

    def __init__(
        self, found: SoftErrors, points: Int[np.ndarray, " points"], alike: Float[np.ndarray, "points points"]
    ) -> None:
        self._classes, self._alike = list(found.classes.values()), alike
        self._sums = np.zeros((len(found.names), len(points)))
        self._shots = np.zeros_like(self._sums)
        for number, (views, errors) in enumerate(zip(found.views, found.errors, strict=True)):
            kept = np.isin(views, points)
            place = np.searchsorted(points, views[kept])
            np.add.at(self._sums[number], place, (errors - errors.mean())[kept])
            np.add.at(self._shots[number], place, 1.0)

    def totals(
        self, among: Bool[np.ndarray, " objects"]
    ) -> tuple[Float[np.ndarray, "classes points"], Float[np.ndarray, "classes points"]]:
        """Deviations and numbers of shots of some objects, by class."""
        chosen = among[:, None]
        sums, shots = self._sums * chosen, self._shots * chosen
        return (
            np.stack([sums[members].sum(axis=0) for members in self._classes]),
            np.stack([shots[members].sum(axis=0) for members in self._classes]),
        )

    def common(self, among: Bool[np.ndarray, " objects"]) -> Float[np.ndarray, "one points"]:
        """Map of some objects of all classes at the captured views."""
        sums, shots = (part.sum(axis=0, keepdims=True) for part in self.totals(among))
        return sums @ self._alike / (shots @ self._alike + PRIOR_SHOTS)

    def own(self, among: Bool[np.ndarray, " objects"]) -> Float[np.ndarray, "classes points"]:
        """What the map of each class has beyond the common one."""
        sums, shots = self.totals(among)
        return sums @ self._alike / (shots @ self._alike + PRIOR_SHOTS) - self.common(among)


def _halves(found: SoftErrors, seed: int, number: int) -> Bool[np.ndarray, " objects"]:
    """Whether each object is in the first half of its class, drawn by lot; an odd one out goes either way."""
    first = np.zeros(len(found.names), dtype=np.bool_)
    for label, members in found.classes.items():
        draw = generator(seed, "difficulty", label, number)
        order = draw.permutation(members)
        first[order[: (len(members) + int(draw.integers(2))) // 2]] = True
    return first


def _stepped_up(pairs: list[tuple[Float[np.ndarray, "maps points"], Float[np.ndarray, "maps points"]]]) -> float:
    """Reliability of a whole from the mean correlation of its halves, in ``[0, 1]``; 0 for maps that are flat."""
    found = []
    for one, other in pairs:
        a, b = (part - part.mean(axis=1, keepdims=True) for part in (one, other))
        size = float(np.sqrt((a**2).sum() * (b**2).sum()))
        found.append(float((a * b).sum()) / size if size > 1e-12 else 0.0)
    mean = max(float(np.mean(found)), 0.0)
    return round(2.0 * mean / (1.0 + mean), 9)


def _spread(
    columns: Columns, points: Int[np.ndarray, " points"], values: Float[np.ndarray, "rows points"], n_views: int
) -> Float[np.ndarray, "rows views"]:
    """Values at the captured views, summed over them by similarity, at every view."""
    spread = np.zeros((len(values), n_views))
    for place, view in enumerate(points):
        rows = np.flatnonzero(values[:, place])
        spread[rows] += values[rows, place, None] * columns(int(view))[None]
    return spread
