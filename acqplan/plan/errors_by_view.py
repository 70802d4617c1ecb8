"""Maps of errors over (class, view), and whether they hold for other objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from acqplan.errors import StrategyError
from acqplan.plan.base import History
from acqplan.plan.situation import Situation
from acqplan.rng import generator
from acqplan.space import Space
from acqplan.space.kernel import Columns, kernel_columns

ONE_SIDED = 1.645
"""Normal quantile of 95 %."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SoftErrors:
    """One minus the probability of the true class, of captured shots whose class has another captured object.

    Without that other object no head that never saw this one knows the class, and its error says nothing.

    Attributes:
        names: Objects that are judged, sorted.
        labels: Class label of each.
        views: View numbers of each object's shots, as `Situation` counts them, ascending.
        errors: Soft error of each of these shots, in ``[0, 1]``.
    """

    names: tuple[str, ...]
    labels: tuple[str, ...]
    views: tuple[Int[np.ndarray, " own"], ...]
    errors: tuple[Float[np.ndarray, " own"], ...]

    @property
    def means(self) -> Float[np.ndarray, " objects"]:
        """Mean soft error of each object, shape ``[objects]``."""
        return np.array([own.mean() for own in self.errors])

    @property
    def classes(self) -> dict[str, list[int]]:
        """Numbers of the objects of each class, both sorted by name."""
        members: dict[str, list[int]] = {label: [] for label in sorted(set(self.labels))}
        for number, label in enumerate(self.labels):
            members[label].append(number)
        return members


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Expected:
    """Soft errors to expect of objects: what was found, drawn towards the class and all classes by its noise.

    Attributes:
        of_objects: By name of a judged object.
        of_classes: By label of a judged class.
        overall: Mean over the judged classes.
        reliability: Share of the variance between the means of objects that is no noise, in ``[0, 1]``: what halves
            of their shots would be correlated by, stepped up to the full length (Spearman and Brown). 0 if no
            object has two shots.
        least_reliability: Lower end of its one-sided 95 % interval.
    """

    of_objects: dict[str, float]
    of_classes: dict[str, float]
    overall: float
    reliability: float
    least_reliability: float

    def of(self, name: str, label: str) -> float:
        """What to expect of any object; of one that is not judged, what its class or all classes show."""
        return self.of_objects.get(name, self.of_classes.get(label, self.overall))


def soft_errors(history: History) -> SoftErrors | None:
    """Soft errors of the captured shots; ``None`` if there are no beliefs, or no class has two captured objects.

    Raises:
        StrategyError: If beliefs are not one finite row of class probabilities for each captured shot.
    """
    if history.beliefs is None or len(history) == 0:
        return None
    errors = 1.0 - _true_class(history)
    captured = Situation.of(history.shots, History.empty(history.shots))
    judged = [number for members in captured.classes.values() if len(members) > 1 for number in members]
    if not judged:
        return None
    kept = sorted(judged)
    return SoftErrors(
        names=tuple(captured.names[number] for number in kept),
        labels=tuple(captured.labels[number] for number in kept),
        views=tuple(captured.free[number] for number in kept),
        errors=tuple(errors[captured.rows[number]] for number in kept),
    )


def _true_class(history: History) -> Float[np.ndarray, " captured"]:
    """Probability of the true class of each shot."""
    beliefs = np.asarray(history.beliefs, dtype=np.float64)
    shape = (len(history), len(history.shots.objects.classes))
    if beliefs.shape != shape:
        raise StrategyError(f"beliefs of shape {beliefs.shape} for shape {shape}", "give a row for each shot")
    if not np.isfinite(beliefs).all() or beliefs.min() < -1e-3 or beliefs.max() > 1.0 + 1e-3:
        raise StrategyError("beliefs that are no probabilities", "give finite numbers from 0 to 1")
    return np.clip(beliefs[np.arange(len(history)), history.shots.class_rows], 0.0, 1.0)


def expected_errors(found: SoftErrors) -> Expected:
    """Draw soft errors of objects towards their class, and of classes towards all, by empirical Bayes.

    A shot's error is overall + class + object + noise; the variances of the four are estimated by moments (nested
    analysis of variance), and each mean is the best linear prediction under them.

    Source:
        S. R. Searle, G. Casella, C. E. McCulloch, Variance Components (1992), chapters 3 and 7, unweighted means.
    """
    means, classes = found.means, list(found.classes.values())
    shots, objects = _noise(found.errors), _noise([means[members] for members in classes])
    shares = np.array([1.0 / len(own) for own in found.errors])
    between = max(objects - shots * float(shares.mean()), 0.0) if np.isfinite(shots) else 0.0
    class_means = np.array([means[members].mean() for members in classes])
    doubt = objects / np.array([len(members) for members in classes])
    overall = float(class_means.mean())
    kept = _kept(max(_noise([class_means]) - float(doubt.mean()), 0.0), doubt) if len(classes) > 1 else np.zeros(1)
    of_classes = overall + kept * (class_means - overall)
    centres = dict(zip(found.classes, of_classes.tolist(), strict=True))
    prior = np.array([centres[label] for label in found.labels])
    trusted = _kept(between, shots * shares) if np.isfinite(shots) else np.zeros(len(means))
    of_objects = np.round(prior + trusted * (means - prior), 9).tolist()
    reliability = _reliability(means, shots * float(shares.mean()))
    doubtful = (1.0 - reliability) * np.exp(ONE_SIDED * _spread_of_ratio(found))
    return Expected(
        of_objects=dict(zip(found.names, of_objects, strict=True)),
        of_classes={label: round(value, 9) for label, value in centres.items()},
        overall=round(overall, 9),
        reliability=reliability,
        least_reliability=max(1.0 - float(doubtful), 0.0),
    )


def _noise(groups: Sequence[Float[np.ndarray, " own"]]) -> float:
    """Variance within groups, pooled; infinite if no group has two members."""
    freedom = sum(len(own) - 1 for own in groups)
    return float(sum(((own - own.mean()) ** 2).sum() for own in groups) / freedom) if freedom else np.inf


def _kept(signal: float, noise: Float[np.ndarray, " groups"]) -> Float[np.ndarray, " groups"]:
    """Share of a deviation that is believed."""
    return np.divide(signal, signal + noise, out=np.zeros(len(noise)), where=signal + noise > 1e-12)


def _spread_of_ratio(found: SoftErrors) -> float:
    """Standard deviation of the logarithm of a ratio of two variances, between objects and within.

    Source:
        R. A. Fisher, Proc. Int. Congr. Math. Toronto 2 (1924) 805-813: about normal, for normal errors.
    """
    within, between = sum(len(own) - 1 for own in found.errors), len(found.errors) - 1
    return float(np.sqrt(2.0 / max(within, 1) + 2.0 / max(between, 1)))


def _reliability(means: Float[np.ndarray, " objects"], noise: float) -> float:
    spread = _noise([means])
    return float(np.clip(1.0 - noise / spread, 0.0, 1.0)) if np.isfinite(noise) and spread > 1e-12 else 0.0


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
        space: The space, as `acqplan.plan.situation.Situation` counts it.
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
