"""The default: the staggered lattice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from acqplan.space import Shots
from acqplan.strategy.base import Choice, History
from acqplan.strategy.lattice import Lattice


@dataclass(frozen=True, slots=True, kw_only=True)
class Auto:
    """What to use if nothing is known: the lattice, which no measured strategy beats without images.

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
        """Choose as the lattice does."""
        return self._lattice().propose(candidates, history, n, seed)

    def _lattice(self) -> Lattice:
        return Lattice(class_weight=self.class_weight, tries=self.tries)
