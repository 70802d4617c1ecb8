"""Which objects to go on with, when there are more than the budget serves well."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from acqplan.errors import StrategyError, nearest
from acqplan.plan.base import Choice, History, Situation, check_request, even_quotas
from acqplan.plan.errors_by_view import soft_errors
from acqplan.plan.lattice import Lattice
from acqplan.rng import stream
from acqplan.space import Shots

RULES = ("errors", "lot")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChooseObjects:
    """A pilot of all objects, then equal shots of those chosen; views by the lattice.

    By default all objects are: METHODS.md section 1 measured that the same budget over more objects gains 1.0 to 1.5
    points. Once some objects of a class are ahead by two shots or more, they stay the chosen ones. If the chosen
    have too few candidates left, all objects are taken.

    Attributes:
        share: Share of the objects of each class to go on with, at least one, in ``(0, 1]``.
        by: ``"errors"`` for those that heads get most wrong, or ``"lot"``.
        class_weight: Share of the class where `Lattice` leaves something to herding, in ``[0, 1]``.
        tries: Turns that `Lattice` tries for a class that has captures, at least 1.
    """

    name: ClassVar[str] = "choose-objects"
    exact: ClassVar[bool] = True
    turns: ClassVar[bool] = True
    learns: ClassVar[bool] = True
    share: float = 1.0
    by: str = "errors"
    class_weight: float = 0.7
    tries: int = 64

    def __post_init__(self) -> None:
        if not 0.0 < self.share <= 1.0:
            raise StrategyError(f"choose-objects with a share of {self.share}", "give a share above 0, up to 1")
        if self.by not in RULES:
            raise StrategyError(f"choose-objects by '{self.by}'", nearest(self.by, RULES))
        self._lattice()

    def propose(self, candidates: Shots, history: History, n: int, seed: int) -> Choice:
        """Choose objects, then lay lattices."""
        check_request(candidates, n)
        situation = Situation.of(candidates, history)
        chosen = self._chosen(situation, history, seed) if self.share < 1.0 and len(history) else set()
        spared = [number not in chosen for number in range(len(situation.names))]
        if not chosen or sum(int(situation.n_free[number]) for number in chosen) < n or not any(spared):
            return self._lattice().propose(candidates, history, n, seed)
        free, rows = (
            tuple(own[:0] if out else own for own, out in zip(part, spared, strict=True))
            for part in (situation.free, situation.rows)
        )
        kept = replace(situation, free=free, rows=rows)
        return self._lattice().share_out(kept, even_quotas(kept, n, seed), seed)

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

    def _lattice(self) -> Lattice:
        return Lattice(class_weight=self.class_weight, tries=self.tries)
