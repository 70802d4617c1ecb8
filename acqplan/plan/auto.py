"""The default: the staggered lattice, and what captured images prove to be worth more."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from acqplan.errors import StrategyError
from acqplan.plan.allocate import LONGEST_REASON, Allocate
from acqplan.plan.base import Choice, History, check_request
from acqplan.plan.errors_by_view import expected_errors, soft_errors
from acqplan.plan.lattice import Lattice
from acqplan.space import Shots


@dataclass(frozen=True, slots=True, kw_only=True)
class Auto:
    """The lattice; with ``trust`` below 1, once captured images show which objects are difficult, `Allocate`.

    Errors of heads on objects that they never saw must then differ between objects by more than noise: the lower end
    of the interval of their reliability must reach ``trust``. Otherwise, and in the first round, it is the lattice.
    By default it is the lattice throughout, in as few rounds as can be: at a trust of a half the gain on photographs
    was within noise (-.04 to +.18 points over the lattice), and on toys with histograms it lost 0.5 to 1.6 points.
    Weighting by view (`Difficulty`) added nothing, and leaving objects out (`ChooseObjects`) cost up to a point.

    Attributes:
        trust: Least lower end of the reliability, in ``[0, 1]``; 1 to trust none.
        class_weight: Share of the class where `Lattice` leaves something to herding, in ``[0, 1]``.
        tries: Turns that `Lattice` tries for a class that has captures, at least 1.
    """

    name: ClassVar[str] = "auto"
    exact: ClassVar[bool] = True
    turns: ClassVar[bool] = True
    trust: float = 1.0
    class_weight: float = 0.7
    tries: int = 64

    def __post_init__(self) -> None:
        if not 0.0 <= self.trust <= 1.0:
            raise StrategyError(f"auto with trust {self.trust}", "give a number from 0 to 1")
        self._lattice()

    @property
    def learns(self) -> bool:
        """Whether it looks at what was captured."""
        return self.trust < 1.0

    def propose(self, candidates: Shots, history: History, n: int, seed: int) -> Choice:
        """Choose the rule, then the shots; each reason says which rule and why."""
        check_request(candidates, n)
        allocate = Allocate(class_weight=self.class_weight, tries=self.tries)
        found = soft_errors(history) if self.learns else None
        if found is None or not allocate.is_due(history, n):
            return self._lattice().propose(candidates, history, n, seed)
        expected = expected_errors(found)
        if expected.least_reliability >= self.trust:
            return allocate.propose(candidates, history, n, seed)
        plain = self._lattice().propose(candidates, history, n, seed)
        note = f"errors surely known to {expected.least_reliability:.0%} only: "
        return replace(plain, reason=tuple((note + words)[:LONGEST_REASON] for words in plain.reason))

    def _lattice(self) -> Lattice:
        return Lattice(class_weight=self.class_weight, tries=self.tries)
