"""Allocation: more shots of what heads get wrong, fewer of the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float, Int

from acqplan.errors import StrategyError, nearest
from acqplan.plan.base import LONGEST_REASON, Choice, History, Situation, check_request, weighted_quotas
from acqplan.plan.errors_by_view import expected_errors, soft_errors
from acqplan.plan.lattice import Lattice
from acqplan.plan.sub_plans import fit_ridge, gram_of, places
from acqplan.rng import generator
from acqplan.space import Shots

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


RULES = ("errors", "curves")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Demand:
    """How much each object is worth shooting.

    Attributes:
        of: From the name and the label of an object to a number from 0 on; only ratios matter.
        note: What it comes from, for a person.
    """

    of: Callable[[str, str], float]
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocate:
    """Totals of objects in proportion to the soft errors that are expected of them; views by the lattice.

    Errors are those of heads that never saw the object, drawn towards its class and all classes as far as they are
    noise (`acqplan.plan.errors_by_view`). Part of each total is the equal share, so that what comes after a first
    half of equal shares goes to objects in proportion to their errors. Without beliefs, or before an object has two
    shots to tell its error from noise, all totals are equal, as `Lattice` shares out.

    Attributes:
        by: ``"errors"``, or ``"curves"`` for classes by learning curves, so that the sum of their errors falls most.
        tilt: Part of the totals that follows the errors, in ``[0, 1]``.
        power: Power of the errors that totals follow, from 0 (equal shares) on.
        floor: Least total over the mean one, in ``[0, 1]``.
        ceiling: Largest total over the mean one, at least 1.
        pilot: Captures over the mean number of shots that the coming round leads to, below which totals stay equal.
        class_weight: Share of the class where `Lattice` leaves something to herding, in ``[0, 1]``.
        tries: Turns that `Lattice` tries for a class that has captures, at least 1.

    Source:
        K. H. Tae, S. E. Whang, Slice Tuner, SIGMOD 2021 (arXiv 2003.04549), for shots where they pay, between
        bounds; METHODS.md section 1 for the rule in proportion to errors, which was measured.
    """

    name: ClassVar[str] = "allocate"
    exact: ClassVar[bool] = True
    turns: ClassVar[bool] = True
    learns: ClassVar[bool] = True
    by: str = "errors"
    tilt: float = 0.5
    power: float = 1.0
    floor: float = 0.5
    ceiling: float = 2.0
    pilot: float = 0.4
    class_weight: float = 0.7
    tries: int = 64

    def __post_init__(self) -> None:
        shares = (self.tilt, self.floor, self.pilot)
        if not (min(shares) >= 0.0 and max(shares) <= 1.0 <= self.ceiling < np.inf and 0.0 <= self.power < np.inf):
            raise StrategyError(
                f"allocate with tilt {self.tilt}, power {self.power}, floor {self.floor}, ceiling {self.ceiling}, "
                f"pilot {self.pilot}",
                "give tilt, floor and pilot from 0 to 1, power from 0 on, and a ceiling of at least 1",
            )
        if self.by not in RULES:
            raise StrategyError(f"allocate by '{self.by}'", nearest(self.by, RULES))
        self.lattice()

    def propose(self, candidates: Shots, history: History, n: int, seed: int) -> Choice:
        """Share shots out by what is known of objects or classes, then lay lattices."""
        check_request(candidates, n)
        demand = self.demand(history, seed) if self.is_due(history, n) else None
        if demand is None:
            return self.lattice().propose(candidates, history, n, seed)
        situation = Situation.of(candidates, history)
        quota = weighted_quotas(
            situation, n, self.shares(situation, demand), seed, floor=self.floor, ceiling=self.ceiling
        )
        choice = self.lattice().share_out(situation, quota, seed)
        return replace(choice, reason=tuple((demand.note + words)[:LONGEST_REASON] for words in choice.reason))

    def is_due(self, history: History, n: int) -> bool:
        """Whether enough was captured, of all that there will be after the coming round."""
        return len(history) >= self.pilot * (len(history) + n)

    def demand(self, history: History, seed: int) -> Demand | None:
        """What to share out by; ``None`` where nothing is known."""
        return _by_errors(history) if self.by == "errors" else _by_curves(history, seed)

    def shares(self, situation: Situation, demand: Demand) -> Float[np.ndarray, " objects"]:
        """Wanted totals over their mean, shape ``[objects]``, mean 1."""
        pairs = zip(situation.names, situation.labels, strict=True)
        weights = np.maximum([demand.of(name, label) for name, label in pairs], 0.0) ** self.power
        if weights.sum() <= 0.0:
            return np.ones(len(weights))
        return 1.0 - self.tilt + self.tilt * weights / weights.mean()

    def lattice(self) -> Lattice:
        """What lays the views."""
        return Lattice(class_weight=self.class_weight, tries=self.tries)


def _by_errors(history: History) -> Demand | None:
    found = soft_errors(history)
    if found is None or max(map(len, found.errors)) < 2:
        return None
    expected = expected_errors(found)
    return Demand(of=expected.of, note=f"errors known to {expected.reliability:.0%}: ")


def _by_curves(history: History, seed: int) -> Demand | None:
    curves = learning_curves(history, seed=seed)
    if curves is None:
        return None
    shares = curves.shares()
    return Demand(of=lambda _, label: shares.get(label, 1.0), note="by learning curves: ")
