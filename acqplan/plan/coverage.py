"""Herding and farthest points: cover the views of each object, and jointly those of its class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from acqplan.errors import StrategyError
from acqplan.plan.base import Choice, History, check_request
from acqplan.plan.greedy import Farthest, Herd, greedy_choice
from acqplan.plan.situation import Situation
from acqplan.space import Shots


@dataclass(frozen=True, slots=True, kw_only=True)
class Herding:
    """Kernel herding to the uniform distribution over views.

    Each shot makes the mean similarity to the shots of its object, and to those of its class, follow the
    mean similarity to all views.

    Attributes:
        class_weight: Share of the class in the sum, in ``[0, 1]``; the object has the rest.

    Source:
        Y. Chen, M. Welling, A. Smola, Super-samples from kernel herding, UAI 2010; two levels are ours.
    """

    name: ClassVar[str] = "herding"
    exact: ClassVar[bool] = True
    turns: ClassVar[bool] = True
    class_weight: float = 0.7

    def __post_init__(self) -> None:
        _check_share(self.class_weight)

    def propose(self, candidates: Shots, history: History, n: int, seed: int) -> Choice:
        """Choose greedily, object by object in turn."""
        check_request(candidates, n)
        situation = Situation.of(candidates, history)
        return greedy_choice(situation, Herd(situation, self.class_weight), n, seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Maximin:
    """Farthest points: each shot is as far as possible from the object's, and from the class's, shots.

    Attributes:
        class_weight: Share of the distance to the class in the sum, in ``[0, 1]``.

    Source:
        T. F. Gonzalez, Theor. Comput. Sci. 38 (1985) 293-306, for one object; two levels are ours.
    """

    name: ClassVar[str] = "maximin"
    exact: ClassVar[bool] = True
    turns: ClassVar[bool] = True
    class_weight: float = 0.5

    def __post_init__(self) -> None:
        _check_share(self.class_weight)

    def propose(self, candidates: Shots, history: History, n: int, seed: int) -> Choice:
        """Choose greedily, object by object in turn."""
        check_request(candidates, n)
        situation = Situation.of(candidates, history)
        return greedy_choice(situation, Farthest(situation, self.class_weight), n, seed)


def _check_share(share: float) -> None:
    if not 0.0 <= share <= 1.0:
        raise StrategyError(f"class_weight {share} is not a share", "give a number from 0 to 1")
