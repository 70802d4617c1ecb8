"""Difficulty: coverage that leans towards views from which heads get other objects wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from acqplan.errors import StrategyError
from acqplan.plan.base import Choice, History, Situation, check_request, even_quotas
from acqplan.plan.errors_by_view import ErrorMaps, error_maps, soft_errors
from acqplan.plan.greedy import Herd, greedy_choice
from acqplan.plan.lattice import Lattice
from acqplan.space import Shots
from acqplan.space.kernel import Similarity


@dataclass(frozen=True, slots=True, kw_only=True)
class Difficulty:
    """Herding to a distribution over views in proportion to the soft errors that are expected there.

    Error maps over (class, view) are those of heads that never saw the object, without what is the object's own,
    drawn to a constant as far as halves of the objects disagree (`acqplan.plan.errors_by_view`). A map that no
    halves agree on, and a history without beliefs, leave everything to `Lattice`.

    Attributes:
        exponent: Power of the expected errors, from 0 (plain coverage) on.
        floor: Least weight of a view over the mean one, in ``[0, 1]``.
        ceiling: Largest weight over the mean one, at least 1.
        class_weight: Share of the class in herding, in ``[0, 1]``.
        tries: Turns that `Lattice` tries for a class that has captures, at least 1.
    """

    name: ClassVar[str] = "difficulty"
    exact: ClassVar[bool] = True
    turns: ClassVar[bool] = True
    learns: ClassVar[bool] = True
    exponent: float = 1.0
    floor: float = 0.5
    ceiling: float = 2.0
    class_weight: float = 0.7
    tries: int = 64

    def __post_init__(self) -> None:
        if not (0.0 <= self.floor <= 1.0 <= self.ceiling < np.inf and 0.0 <= self.exponent < np.inf):
            raise StrategyError(
                f"difficulty with exponent {self.exponent}, floor {self.floor}, ceiling {self.ceiling}",
                "give an exponent from 0 on, a floor from 0 to 1 and a ceiling of at least 1",
            )
        self._lattice()

    def propose(self, candidates: Shots, history: History, n: int, seed: int) -> Choice:
        """Choose greedily, object by object in turn."""
        check_request(candidates, n)
        found = soft_errors(history)
        situation = Situation.of(candidates, history)
        maps = None if found is None else error_maps(situation.space, found, seed=seed)
        if maps is None or maps.reliability <= 0.0:
            return self._lattice().propose(candidates, history, n, seed)
        weights = {label: self._weights(maps, label) for label in situation.classes}
        herd, quota = _WeightedHerd(situation, self.class_weight, weights), even_quotas(situation, n, seed)
        return greedy_choice(situation, herd, quota, seed, note=f"error map known to {maps.reliability:.0%}: ")

    def _weights(self, maps: ErrorMaps, label: str) -> Float[np.ndarray, " views"]:
        """Weight of each view for a class, about 1 in the mean, shape ``[views]``."""
        weights = np.maximum(maps.of(label), 0.0) ** self.exponent
        mean = float(weights.mean())
        return np.clip(weights / mean, self.floor, self.ceiling) if mean > 0.0 else np.ones(len(weights))

    def _lattice(self) -> Lattice:
        return Lattice(class_weight=self.class_weight, tries=self.tries)


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
