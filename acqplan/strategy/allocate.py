"""Allocation: more shots of what heads get wrong, fewer of the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from acqplan.errors import StrategyError, nearest
from acqplan.space import Shots
from acqplan.strategy.base import Choice, History, check_request
from acqplan.strategy.lattice import Lattice
from acqplan.strategy.learning_curves import learning_curves
from acqplan.strategy.quotas import weighted_quotas
from acqplan.strategy.situation import Situation
from acqplan.strategy.soft_errors import expected_errors, soft_errors

LONGEST_REASON = 80
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
    noise (`acqplan.strategy.soft_errors`). Part of each total is the equal share, so that what comes after a first
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
