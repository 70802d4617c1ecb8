"""Allocation: more shots of some objects than of others, by what heads get wrong; or none of the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from acqplan.errors import StrategyError, nearest
from acqplan.plan.base import LONGEST_REASON, Choice, History, Situation, check_request, even_quotas, weighted_quotas
from acqplan.plan.lattice import Lattice
from acqplan.plan.sub_plans import fit_ridge, gram_of, places
from acqplan.rng import generator, stream
from acqplan.space import Shots
from benchmarks.ideas.errors_by_view import expected_errors, soft_errors

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
    features = history.features
    if features is None or features.size == 0 or not np.isfinite(features).all():
        return None
    captured = Situation.of(history.shots, History.empty(history.shots))
    n_shots, members = captured.n_free, captured.classes
    most = max(MOST_SHOTS // len(n_shots), 1)
    sizes = 2 ** np.arange(int(min(n_shots.min(), most)).bit_length())
    if len(sizes) < FEWEST_SIZES or min(map(len, members.values())) < 2 or len(members) < 2:
        return None
    # captured shots as a Gram matrix, and which object and class each shows
    owner = np.repeat(np.arange(len(n_shots)), n_shots)
    kept = places(owner, generator(seed, "learning curves", "kept")) < most
    owner, classes = owner[kept], np.searchsorted(list(members), captured.labels)
    gram = gram_of(features[np.concatenate(captured.rows)[kept]].astype(np.float64))
    truth, wrong = classes[owner], np.zeros((len(members), len(sizes)))
    for repeat in range(REPEATS):
        draw = generator(seed, "learning curves", repeat)
        place = places(owner, draw)
        fold = (places(classes, draw) % min(FOLDS, int(np.bincount(classes).min())))[owner]
        # shots of left-out objects that heads get wrong, taught by so many shots of each other object
        for column, size in enumerate(sizes):
            for number in range(int(fold.max()) + 1):
                left, rows = np.flatnonzero(fold == number), np.flatnonzero((place < size) & (fold != number))
                weights, mean = fit_ridge(gram, rows, np.eye(len(members))[truth])
                answer = np.round(gram[np.ix_(left, rows)] @ weights + mean, 9).argmax(axis=1)
                wrong[:, column] += np.bincount(truth[left][answer != truth[left]], minlength=len(wrong))
    errors = wrong / (REPEATS * np.bincount(truth, minlength=len(wrong))[:, None])
    shots = sizes[None] * np.bincount(classes)[:, None]
    return fit_curves(tuple(members), shots.astype(np.float64), errors)


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


RULES = ("errors", "curves")


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocate(Lattice):
    """Totals of objects in proportion to the soft errors that are expected of them; views by the lattice.

    Errors are those of heads that never saw the object, drawn towards its class and all classes as far as they are
    noise (`benchmarks.ideas.errors_by_view`). Part of each total is the equal share, so that what comes after a first
    half of equal shares goes to objects in proportion to their errors. Without beliefs, or before an object has two
    shots to tell its error from noise, all totals are equal, as `Lattice` shares out.

    Attributes:
        by: ``"errors"``, or ``"curves"`` for classes by learning curves, so that the sum of their errors falls most.
        tilt: Part of the totals that follows the errors, in ``[0, 1]``.
        power: Power of the errors that totals follow, from 0 (equal shares) on.
        floor: Least total over the mean one, in ``[0, 1]``.
        ceiling: Largest total over the mean one, at least 1.
        pilot: Captures over the mean number of shots that the coming round leads to, below which totals stay equal.
        class_weight: As in `Lattice`, which lays the views.
        tries: Likewise.

    Source:
        K. H. Tae, S. E. Whang, Slice Tuner, SIGMOD 2021 (arXiv 2003.04549), for shots where they pay, between
        bounds; METHODS.md section 1 for the rule in proportion to errors, which was measured.
    """

    name: ClassVar[str] = "allocate"
    learns: ClassVar[bool] = True
    by: str = "errors"
    tilt: float = 0.5
    power: float = 1.0
    floor: float = 0.5
    ceiling: float = 2.0
    pilot: float = 0.4

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
        Lattice.__post_init__(self)

    def propose(self, candidates: Shots, history: History, n: int, seed: int) -> Choice:
        """Share shots out by what is known of objects or classes, then lay lattices."""
        check_request(candidates, n)
        # what is known, once enough was captured of all that there will be after the coming round
        worth: Callable[[str, str], float] | None = None
        if len(history) >= self.pilot * (len(history) + n):
            found = soft_errors(history) if self.by == "errors" else None
            curves = learning_curves(history, seed=seed) if self.by == "curves" else None
            if found is not None and max(map(len, found.errors)) >= 2:
                expected = expected_errors(found)
                worth, note = expected.of, f"errors known to {expected.reliability:.0%}: "
            elif curves is not None:
                of_class = curves.shares()
                worth, note = lambda _, label: of_class.get(label, 1.0), "by learning curves: "
        if worth is None:
            return Lattice.propose(self, candidates, history, n, seed)
        situation = Situation.of(candidates, history)
        # wanted totals over their mean
        pairs = zip(situation.names, situation.labels, strict=True)
        weights = np.maximum([worth(name, label) for name, label in pairs], 0.0) ** self.power
        shares = np.ones(len(weights))
        if weights.sum() > 0.0:
            shares = 1.0 - self.tilt + self.tilt * weights / weights.mean()
        quota = weighted_quotas(situation, n, shares, seed, floor=self.floor, ceiling=self.ceiling)
        choice = self.share_out(situation, quota, seed)
        return replace(choice, reason=tuple((note + words)[:LONGEST_REASON] for words in choice.reason))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChooseObjects(Lattice):
    """A pilot of all objects, then equal shots of those chosen; views by the lattice.

    By default all objects are: METHODS.md section 1 measured that the same budget over more objects gains 1.0 to 1.5
    points. Once some objects of a class are ahead by two shots or more, they stay the chosen ones. If the chosen
    have too few candidates left, all objects are taken.

    Attributes:
        share: Share of the objects of each class to go on with, at least one, in ``(0, 1]``.
        by: ``"errors"`` for those that heads get most wrong, or ``"lot"``.
        class_weight: As in `Lattice`, which lays the views.
        tries: Likewise.
    """

    name: ClassVar[str] = "choose-objects"
    learns: ClassVar[bool] = True
    share: float = 1.0
    by: str = "errors"

    def __post_init__(self) -> None:
        if not 0.0 < self.share <= 1.0:
            raise StrategyError(f"choose-objects with a share of {self.share}", "give a share above 0, up to 1")
        if self.by not in ("errors", "lot"):
            raise StrategyError(f"choose-objects by '{self.by}'", nearest(self.by, ("errors", "lot")))
        Lattice.__post_init__(self)

    def propose(self, candidates: Shots, history: History, n: int, seed: int) -> Choice:
        """Choose objects, then lay lattices."""
        check_request(candidates, n)
        situation = Situation.of(candidates, history)
        chosen = self._chosen(situation, history, seed) if self.share < 1.0 and len(history) else set()
        spared = [number not in chosen for number in range(len(situation.names))]
        if not chosen or sum(int(situation.n_free[number]) for number in chosen) < n or not any(spared):
            return Lattice.propose(self, candidates, history, n, seed)
        free, rows = (
            tuple(own[:0] if out else own for own, out in zip(part, spared, strict=True))
            for part in (situation.free, situation.rows)
        )
        kept = replace(situation, free=free, rows=rows)
        return self.share_out(kept, even_quotas(kept, n, seed), seed)

    def _chosen(self, situation: Situation, history: History, seed: int) -> set[int]:
        """Numbers of the objects to go on with."""
        found = soft_errors(history) if self.by == "errors" else None
        # one shot does not tell errors of objects from noise, but the means are the best order there is
        errors = {} if found is None else dict(zip(found.names, found.means.round(9).tolist(), strict=True))
        chosen: set[int] = set()
        for members in situation.classes.values():
            taken = situation.n_taken[members]
            ahead = taken if np.ptp(taken) > 1 else np.zeros(len(members))
            worth = [errors.get(situation.names[number], 0.0) for number in members]
            lots = np.array([stream(seed, "choose-objects", situation.names[number]) for number in members])
            order = np.lexsort((lots, -np.array(worth), -ahead))
            chosen.update(members[place] for place in order[: max(round(self.share * len(members)), 1)])
        return chosen
