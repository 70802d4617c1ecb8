"""Herdings that learn: length scales from features, or weights of views from what heads get wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from acqplan.errors import StrategyError
from acqplan.plan.base import Choice, History, Situation, check_request, even_quotas
from acqplan.plan.greedy import Herd, Herding, greedy_choice
from acqplan.plan.lattice import Lattice
from acqplan.plan.surrogate import fit_surrogate
from acqplan.space import Shots
from acqplan.space.kernel import Similarity
from benchmarks.ideas.errors_by_view import error_maps, soft_errors


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedHerding(Herding):
    """Kernel herding with the lengths that captured images show; until there are some, `Herding`.

    Similarities are a mean over three lengths around the learned one of each axis, as those of `Herding` are
    around one scale.

    Attributes:
        class_weight: Share of the class in the sum, in ``[0, 1]``; the object has the rest.
    """

    name: ClassVar[str] = "herding-learned"
    learns: ClassVar[bool] = True

    def propose(self, candidates: Shots, history: History, n: int, seed: int) -> Choice:
        """Choose greedily, object by object in turn."""
        check_request(candidates, n)
        situation = Situation.of(candidates, history)
        fitted = fit_surrogate(history.shots, history.features, seed=seed)
        lengths, note = (fitted.kernel.lengths, "learned kernel: ") if fitted.learned else (None, "")
        herd = Herd(situation, self.class_weight, lengths=lengths)
        return greedy_choice(situation, herd, even_quotas(situation, n, seed), seed, note=note)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difficulty(Lattice):
    """Herding to a distribution over views in proportion to the soft errors that are expected there.

    Error maps over (class, view) are those of heads that never saw the object, without what is the object's own,
    drawn to a constant as far as halves of the objects disagree (`benchmarks.ideas.errors_by_view`). A map that no
    halves agree on, and a history without beliefs, leave everything to `Lattice`.

    Attributes:
        exponent: Power of the expected errors, from 0 (plain coverage) on.
        floor: Least weight of a view over the mean one, in ``[0, 1]``.
        ceiling: Largest weight over the mean one, at least 1.
        class_weight: Share of the class in herding, in ``[0, 1]``.
        tries: As in `Lattice`, which plans while no map is known.
    """

    name: ClassVar[str] = "difficulty"
    learns: ClassVar[bool] = True
    exponent: float = 1.0
    floor: float = 0.5
    ceiling: float = 2.0

    def __post_init__(self) -> None:
        if not (0.0 <= self.floor <= 1.0 <= self.ceiling < np.inf and 0.0 <= self.exponent < np.inf):
            raise StrategyError(
                f"difficulty with exponent {self.exponent}, floor {self.floor}, ceiling {self.ceiling}",
                "give an exponent from 0 on, a floor from 0 to 1 and a ceiling of at least 1",
            )
        Lattice.__post_init__(self)

    def propose(self, candidates: Shots, history: History, n: int, seed: int) -> Choice:
        """Choose greedily, object by object in turn."""
        check_request(candidates, n)
        found = soft_errors(history)
        situation = Situation.of(candidates, history)
        maps = None if found is None else error_maps(situation.space, found, seed=seed)
        if maps is None or maps.reliability <= 0.0:
            return Lattice.propose(self, candidates, history, n, seed)
        # weight of each view for a class, about 1 in the mean
        weights = {}
        for label in situation.classes:
            raised = np.maximum(maps.of(label), 0.0) ** self.exponent
            mean = float(raised.mean())
            weights[label] = np.clip(raised / mean, self.floor, self.ceiling) if mean > 0.0 else np.ones(len(raised))
        herd, quota = _WeightedHerd(situation, self.class_weight, weights), even_quotas(situation, n, seed)
        return greedy_choice(situation, herd, quota, seed, note=f"error map known to {maps.reliability:.0%}: ")


class _WeightedHerd(Herd):
    """`Herd` in which each view is wanted by its weight; written as a sum, as it was when it was measured."""

    def __init__(
        self, situation: Situation, class_weight: float, weights: dict[str, Float[np.ndarray, " views"]]
    ) -> None:
        super().__init__(situation, class_weight)
        mean = Similarity(situation.space).mean()
        more = {label: (own - 1.0) * mean for label, own in weights.items()}
        self._more = [more[label][free] for label, free in zip(situation.labels, situation.free, strict=True)]

    def gains(self, number: int) -> Float[np.ndarray, " free"]:
        """How much too little each free view is represented."""
        return super().gains(number) + self._more[number]
