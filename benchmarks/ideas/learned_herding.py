"""Herding with the length scales that captured features show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from acqplan.plan.base import Choice, History, Situation, check_request, even_quotas
from acqplan.plan.greedy import Herd, Herding, greedy_choice
from acqplan.plan.surrogate import fit_surrogate
from acqplan.space import Shots


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedHerding:
    """Kernel herding with the lengths that captured images show; until there are some, `Herding`.

    Similarities are a mean over three lengths around the learned one of each axis, as those of `Herding` are
    around one scale.

    Attributes:
        class_weight: Share of the class in the sum, in ``[0, 1]``; the object has the rest.
    """

    name: ClassVar[str] = "herding-learned"
    exact: ClassVar[bool] = True
    turns: ClassVar[bool] = True
    learns: ClassVar[bool] = True
    class_weight: float = 0.7

    def __post_init__(self) -> None:
        Herding(class_weight=self.class_weight)

    def propose(self, candidates: Shots, history: History, n: int, seed: int) -> Choice:
        """Choose greedily, object by object in turn."""
        check_request(candidates, n)
        situation = Situation.of(candidates, history)
        fitted = fit_surrogate(history.shots, history.features, seed=seed)
        lengths, note = (fitted.kernel.lengths, "learned kernel: ") if fitted.learned else (None, "")
        herd = Herd(situation, self.class_weight, lengths=lengths)
        return greedy_choice(situation, herd, even_quotas(situation, n, seed), seed, note=note)
