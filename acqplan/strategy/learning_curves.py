"""Learning curves of classes, from sub-samples of what is captured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from acqplan.rng import generator
from acqplan.strategy.base import History
from acqplan.strategy.ridge import fit_ridge, gram_of, places
from acqplan.strategy.situation import Situation

REPEATS = 4
"""Sub-samples of each size, each judged with every object left out once."""

FOLDS = 5
FEWEST_SIZES = 3
"""A power law with a floor has three unknowns."""

MOST_SHOTS = 1500
"""With more captures curves come from so many of them: solving takes the third power of their number."""

EXPONENTS = np.linspace(0.1, 1.5, 29)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curves:
    """Error of each class after ``n`` shots of it: ``height * n ** -exponent + rest``.

    Attributes:
        exponent: Shared by all classes.
        heights: By label, at least 0.
        rests: By label, at least 0.
    """

    exponent: float
    heights: dict[str, float]
    rests: dict[str, float]

    def of(self, label: str, n: float) -> float:
        """Error to expect after ``n`` shots of a class."""
        return self.heights[label] * n**-self.exponent + self.rests[label]

    def shares(self, *, trust: float = 0.5) -> dict[str, float]:
        """Shots of each class over the mean that make the sum of errors least, where sums of shots are given.

        Args:
            trust: How far heights are believed; the rest is their mean, in ``[0, 1]``.
        """
        heights = np.array(list(self.heights.values()))
        weights = (heights.mean() + trust * (heights - heights.mean())) ** (1.0 / (1.0 + self.exponent))
        mean = float(weights.mean())
        return {
            label: float(weight) / mean if mean > 0.0 else 1.0
            for label, weight in zip(self.heights, weights, strict=True)
        }


def learning_curves(history: History, *, seed: int) -> Curves | None:
    """Fit curves to the errors of small heads (ridge regression) on objects left out, at growing numbers of shots.

    Args:
        history: Captured shots with features.
        seed: Seed of the sub-samples.

    Returns:
        The curves; ``None`` if features are missing or not finite, if a class has one object only, or if objects
        have too few shots for three sizes.

    Source:
        K. H. Tae, S. E. Whang, Slice Tuner, SIGMOD 2021 (arXiv 2003.04549). One exponent for all classes is ours:
        a handful of points does not tell three numbers a class.
    """
    samples = _samples(history, seed)
    if samples is None:
        return None
    shots = samples.sizes[None] * np.bincount(samples.classes)[:, None]
    return fit_curves(samples.labels, shots.astype(np.float64), samples.errors(seed))


def fit_curves(
    labels: tuple[str, ...], shots: Float[np.ndarray, "classes sizes"], errors: Float[np.ndarray, "classes sizes"]
) -> Curves:
    """Least squares: heights and rests of each class, not negative, at the exponent that suits all of them best."""
    from scipy.optimize import nnls  # takes long to import; needed with features alone

    best: tuple[float, float, list[Float[np.ndarray, " two"]]] = (np.inf, 1.0, [])
    for exponent in EXPONENTS:
        fits = [nnls(np.stack([n**-exponent, np.ones(len(n))], axis=1), own) for n, own in zip(shots, errors)]  # noqa: B905
        loss = round(float(sum(rest**2 for _, rest in fits)), 12)
        if loss < best[0]:
            best = (loss, float(exponent), [found for found, _ in fits])
    return Curves(
        exponent=best[1],
        heights={label: round(float(found[0]), 9) for label, found in zip(labels, best[2], strict=True)},
        rests={label: round(float(found[1]), 9) for label, found in zip(labels, best[2], strict=True)},
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Samples:
    """Captured shots as a Gram matrix, and which object each shows."""

    labels: tuple[str, ...]
    classes: Int[np.ndarray, " objects"]
    owner: Int[np.ndarray, " shots"]
    gram: Float[np.ndarray, "shots shots"]
    sizes: Int[np.ndarray, " sizes"]

    def errors(self, seed: int) -> Float[np.ndarray, "classes sizes"]:
        """Share of shots of left-out objects that small heads get wrong."""
        truth = self.classes[self.owner]
        wrong = np.zeros((len(self.labels), len(self.sizes)))
        for repeat in range(REPEATS):
            draw = generator(seed, "learning curves", repeat)
            place = places(self.owner, draw)
            fold = self._folds(draw)
            for column, size in enumerate(self.sizes):
                missed = np.concatenate([
                    truth[left][self._predicted((place < size) & ~left, left) != truth[left]]
                    for left in (fold[self.owner] == number for number in range(int(fold.max()) + 1))
                ])  # fmt: skip
                wrong[:, column] += np.bincount(missed, minlength=len(wrong))
        return wrong / (REPEATS * np.bincount(truth, minlength=len(wrong))[:, None])

    def _folds(self, draw: np.random.Generator) -> Int[np.ndarray, " objects"]:
        place = places(self.classes, draw)
        return place % min(FOLDS, int(np.bincount(self.classes).min()))

    def _predicted(self, taught: Bool[np.ndarray, " shots"], left: Bool[np.ndarray, " shots"]) -> np.ndarray:
        rows = np.flatnonzero(taught)
        weights, mean = fit_ridge(self.gram, rows, np.eye(len(self.labels))[self.classes[self.owner]])
        scores = self.gram[np.ix_(np.flatnonzero(left), rows)] @ weights + mean
        return np.round(scores, 9).argmax(axis=1)


def _samples(history: History, seed: int) -> _Samples | None:
    features = history.features
    if features is None or features.size == 0 or not np.isfinite(features).all():
        return None
    captured = Situation.of(history.shots, History.empty(history.shots))
    n_shots, members = captured.n_free, captured.classes
    most = max(MOST_SHOTS // len(n_shots), 1)
    sizes = 2 ** np.arange(int(min(n_shots.min(), most)).bit_length())
    if len(sizes) < FEWEST_SIZES or min(map(len, members.values())) < 2 or len(members) < 2:
        return None
    owner = np.repeat(np.arange(len(n_shots)), n_shots)
    kept = places(owner, generator(seed, "learning curves", "kept")) < most
    number = {label: place for place, label in enumerate(members)}
    return _Samples(
        labels=tuple(members),
        classes=np.array([number[label] for label in captured.labels]),
        owner=owner[kept],
        gram=gram_of(features[np.concatenate(captured.rows)[kept]].astype(np.float64)),
        sizes=sizes,
    )
