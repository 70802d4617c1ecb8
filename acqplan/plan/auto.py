"""The default: the staggered lattice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from acqplan.plan.base import Choice, History
from acqplan.plan.lattice import Lattice
from acqplan.space import Shots


@dataclass(frozen=True, slots=True, kw_only=True)
class Auto:
    """The lattice, in one round: no rule that looks at captured images has been measured to gain anything over it.

    What was tried is in ``benchmarks/ideas``, with its figures.

    Attributes:
        class_weight: Share of the class where `Lattice` leaves something to herding, in ``[0, 1]``.
        tries: Turns that `Lattice` tries for a class that has captures, at least 1.
    """

    name: ClassVar[str] = "auto"
    exact: ClassVar[bool] = True
    turns: ClassVar[bool] = True
    class_weight: float = 0.7
    tries: int = 64

    def __post_init__(self) -> None:
        self._lattice()

    def propose(self, candidates: Shots, history: History, n: int, seed: int) -> Choice:
        """Lay the lattice."""
        return self._lattice().propose(candidates, history, n, seed)

    def _lattice(self) -> Lattice:
        return Lattice(class_weight=self.class_weight, tries=self.tries)
