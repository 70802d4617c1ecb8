"""The lattice in rounds, as plug-ins of `planning.py`: each round knows only what was captured before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from acqplan.plan.base import Choice, History
from acqplan.plan.lattice import Lattice
from acqplan.space import Shots


@dataclass(frozen=True, slots=True, kw_only=True)
class OneThenRest(Lattice):
    """One image of each object, then the rest."""

    name: ClassVar[str] = "one-then-rest"

    @staticmethod
    def ends(n: int, n_objects: int) -> tuple[int, ...]:
        """Images after each round but the last, ascending; those beyond ``n`` do not count."""
        return (n_objects,)

    def propose(self, candidates: Shots, history: History, n: int, seed: int) -> Choice:
        """Plan round by round; every round is a call of its own, with what the ones before took."""
        left, choices = np.arange(len(candidates)), []
        for end in sorted({*self.ends(n, len(np.unique(candidates.object_rows))), n}):
            taken = sum(len(choice.rows) for choice in choices)
            if taken < end <= n:
                choice = Lattice.propose(self, candidates.take(left), history, end - taken, seed)
                choices.append(Choice(rows=left[choice.rows], gain=choice.gain, reason=choice.reason))
                history = History(shots=history.shots.join(candidates.take(choices[-1].rows)))
                left = np.setdiff1d(left, choices[-1].rows)
        return Choice(
            rows=np.concatenate([choice.rows for choice in choices]),
            gain=np.concatenate([choice.gain for choice in choices]),
            reason=tuple(reason for choice in choices for reason in choice.reason),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Halves(OneThenRest):
    """One image of each object, up to half of all, then the rest."""

    name: ClassVar[str] = "halves"

    @staticmethod
    def ends(n: int, n_objects: int) -> tuple[int, ...]:
        """Images after each round but the last."""
        return n_objects, n // 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubling(OneThenRest):
    """One, two, four, eight images of each object and so on, up to five rounds for 16."""

    name: ClassVar[str] = "doubling"

    @staticmethod
    def ends(n: int, n_objects: int) -> tuple[int, ...]:
        """Images after each round but the last."""
        return tuple(n_objects * 2**number for number in range(n.bit_length()))
