"""What heads get wrong that never saw the object: expected errors of objects and classes, and maps over views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from acqplan.errors import StrategyError
from acqplan.plan.base import History, Situation, members_of
from acqplan.rng import generator
from acqplan.space import Space
from acqplan.space.kernel import Similarity

# Ways of halving the objects over which the reliability is averaged.
HALVINGS = 8
# Captured views that a map is made of at most, evenly drawn from all of them.
MOST_POINTS = 1000
# A map is drawn to zero as if this many shots without any deviation had been taken at each view.
PRIOR_SHOTS = 1.0


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
        return members_of(self.labels)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Expected:
    """Soft errors to expect of objects: what was found, drawn towards the class and all classes by its noise.

    Attributes:
        of_objects: By name of a judged object.
        of_classes: By label of a judged class.
        overall: Mean over the judged classes.
        reliability: Share of the variance between the means of objects that is no noise, in ``[0, 1]``: the
            correlation of halves of their shots, stepped up to the full length (Spearman and Brown). 0 if no
            object has two shots.
    """

    of_objects: dict[str, float]
    of_classes: dict[str, float]
    overall: float
    reliability: float

    def of(self, name: str, label: str) -> float:
        """What to expect of any object; of one that is not judged, what its class or all classes show."""
        return self.of_objects.get(name, self.of_classes.get(label, self.overall))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ErrorMaps:
    """Soft error to expect of new objects at each view.

    Attributes:
        overall: Mean soft error.
        common: Deviation at each view that all classes share, shape ``[views]``, drawn to zero by its reliability.
        own: Deviation of each class beyond what is common, likewise.
        common_reliability: Correlation of the maps of two halves of the objects, stepped up to all of them
            (Spearman and Brown), in ``[0, 1]``.
        own_reliability: The same correlation of the classes' own maps.
    """

    overall: float
    common: Float[np.ndarray, " views"]
    own: dict[str, Float[np.ndarray, " views"]]
    common_reliability: float
    own_reliability: float

    @property
    def reliability(self) -> float:
        """The larger of the two reliabilities."""
        return max(self.common_reliability, self.own_reliability)

    def of(self, label: str) -> Float[np.ndarray, " views"]:
        """Soft error of a class at each view; of a class that is not judged, what all share."""
        return self.overall + self.common + self.own.get(label, 0.0)


def soft_errors(history: History) -> SoftErrors | None:
    """Soft errors of the captured shots; ``None`` if there are no beliefs, or no class has two captured objects.

    Raises:
        StrategyError: If beliefs are not one finite row of class probabilities for each captured shot.
    """
    if history.beliefs is None or len(history) == 0:
        return None
    beliefs = np.asarray(history.beliefs, dtype=np.float64)
    shape = (len(history), len(history.shots.objects.classes))
    if beliefs.shape != shape:
        raise StrategyError(f"beliefs of shape {beliefs.shape} for shape {shape}", "give a row for each shot")
    if not np.isfinite(beliefs).all() or beliefs.min() < -1e-3 or beliefs.max() > 1.0 + 1e-3:
        raise StrategyError("beliefs that are no probabilities", "give finite numbers from 0 to 1")
    errors = 1.0 - np.clip(beliefs[np.arange(len(history)), history.shots.class_rows], 0.0, 1.0)
    captured = Situation.of(history.shots, History.empty(history.shots))
    judged = sorted(number for members in captured.classes.values() if len(members) > 1 for number in members)
    if not judged:
        return None
    kept = captured.only(judged)
    return SoftErrors(
        names=kept.names, labels=kept.labels, views=kept.free, errors=tuple(errors[rows] for rows in kept.rows)
    )


def expected_errors(found: SoftErrors) -> Expected:
    """Draw soft errors of objects towards their class, and of classes towards all, by empirical Bayes.

    A shot's error is overall + class + object + noise; the variances of the four are estimated by moments (nested
    analysis of variance), and each mean is the best linear prediction under them.

    Source:
        S. R. Searle, G. Casella, C. E. McCulloch, Variance Components (1992), chapters 3 and 7, unweighted means.
    """
    means, classes = found.means, list(found.classes.values())
    # variances of shots within objects and of objects within classes, of which the shots' part is taken away
    of_shots, of_objects = _variance(found.errors), _variance([means[members] for members in classes])
    shares = np.array([1.0 / len(own) for own in found.errors])
    between = max(of_objects - of_shots * float(shares.mean()), 0.0) if np.isfinite(of_shots) else 0.0
    # classes, drawn towards all
    class_means = np.array([means[members].mean() for members in classes])
    doubt = of_objects / np.array([len(members) for members in classes])
    overall, believed = float(class_means.mean()), np.zeros(1)
    if len(classes) > 1:
        believed = _believed(max(_variance([class_means]) - float(doubt.mean()), 0.0), doubt)
    centres = dict(zip(found.classes, (overall + believed * (class_means - overall)).tolist(), strict=True))
    # objects, drawn towards their class
    prior = np.array([centres[label] for label in found.labels])
    trusted = _believed(between, of_shots * shares) if np.isfinite(of_shots) else np.zeros(len(means))
    drawn = np.round(prior + trusted * (means - prior), 9).tolist()
    noise, spread = of_shots * float(shares.mean()), _variance([means])
    reliable = float(np.clip(1.0 - noise / spread, 0.0, 1.0)) if np.isfinite(noise) and spread > 1e-12 else 0.0
    return Expected(
        of_objects=dict(zip(found.names, drawn, strict=True)),
        of_classes={label: round(value, 9) for label, value in centres.items()},
        overall=round(overall, 9),
        reliability=reliable,
    )


def _variance(groups: Sequence[Float[np.ndarray, " own"]]) -> float:
    """Variance within groups, pooled; infinite if no group has two members."""
    freedom = sum(len(own) - 1 for own in groups)
    return float(sum(((own - own.mean()) ** 2).sum() for own in groups) / freedom) if freedom else np.inf


def _believed(signal: float, noise: Float[np.ndarray, " groups"]) -> Float[np.ndarray, " groups"]:
    """Share of a deviation that is believed."""
    return np.divide(signal, signal + noise, out=np.zeros(len(noise)), where=signal + noise > 1e-12)


def error_maps(space: Space, found: SoftErrors, *, seed: int) -> ErrorMaps:
    """Smooth soft errors over views, and draw them to a constant as far as halves of the objects disagree.

    Before that the mean of each object is taken away: a difficult object is no difficult view.

    Args:
        space: The space, as `acqplan.plan.base.Situation` counts it.
        found: Soft errors of captured shots.
        seed: Seed of the halves.
    """
    captured = np.unique(np.concatenate(found.views))
    points = captured[np.linspace(0, len(captured) - 1, min(len(captured), MOST_POINTS)).round().astype(np.int64)]
    similarity, members = Similarity(space), list(found.classes.values())
    alike = similarity.between(points, points)
    # deviations of each object's errors from their mean, and numbers of shots, summed at the captured views
    sums, shots = np.zeros((2, len(found.names), len(points)))
    for number, (views, errors) in enumerate(zip(found.views, found.errors, strict=True)):
        kept = np.isin(views, points)
        place = np.searchsorted(points, views[kept])
        np.add.at(sums[number], place, (errors - errors.mean())[kept])
        np.add.at(shots[number], place, 1.0)

    def by_class(among: Bool[np.ndarray, " objects"]) -> Float[np.ndarray, "two classes points"]:
        chosen = np.stack([sums, shots]) * among[:, None]
        return np.stack([chosen[:, own].sum(axis=1) for own in members], axis=1)

    def maps(among: Bool[np.ndarray, " objects"]) -> tuple[np.ndarray, np.ndarray]:
        # the map that all classes share, and what the map of each class has beyond it
        deviations, counts = by_class(among)
        total, count = (part.sum(axis=0, keepdims=True) for part in (deviations, counts))
        common = total @ alike / (count @ alike + PRIOR_SHOTS)
        return common, deviations @ alike / (counts @ alike + PRIOR_SHOTS) - common

    halves = [_halves(found, seed, number) for number in range(HALVINGS)]
    pairs = [(maps(one), maps(~one)) for one in halves]
    common = _stepped_up([(one[0], other[0]) for one, other in pairs])
    own = _stepped_up([(one[1], other[1]) for one, other in pairs]) if len(members) > 1 else 0.0
    # spread what was found at the captured views over all views, by similarity
    at_points = np.concatenate(by_class(np.ones(len(found.names), dtype=np.bool_)))
    at_views = np.zeros((len(at_points), space.n_views))
    for column, view in enumerate(points):
        rows = np.flatnonzero(at_points[:, column])
        at_views[rows] += at_points[rows, column, None] * similarity.column(int(view))[None]
    deviations, counts = np.split(at_views, 2)
    shared = deviations.sum(axis=0) / (counts.sum(axis=0) + PRIOR_SHOTS)
    classes = deviations / (counts + PRIOR_SHOTS)
    overall = float(np.mean([found.means[own_members].mean() for own_members in members]))
    return ErrorMaps(
        overall=round(overall, 9),
        common=np.round(common * shared, 9),
        own={label: np.round(own * (classes[row] - shared), 9) for row, label in enumerate(found.classes)},
        common_reliability=common,
        own_reliability=own,
    )


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
