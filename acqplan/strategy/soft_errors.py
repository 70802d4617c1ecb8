"""How wrong heads are about captured objects that they never saw, and how far that can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from acqplan.errors import StrategyError
from acqplan.strategy.base import History
from acqplan.strategy.situation import Situation

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
