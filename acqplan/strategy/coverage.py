"""Herding and farthest points: cover the views of each object, and jointly those of its class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from acqplan.errors import StrategyError
from acqplan.model.kernels import view_columns
from acqplan.model.surrogate import fit_surrogate
from acqplan.space import Shots
from acqplan.strategy.base import Choice, History, check_request
from acqplan.strategy.greedy import Farthest, Herd, greedy_choice
from acqplan.strategy.pairs import LENGTHS
from acqplan.strategy.situation import Situation


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
        _check_share(self.class_weight)

    def propose(self, candidates: Shots, history: History, n: int, seed: int) -> Choice:
        """Choose greedily, object by object in turn."""
        check_request(candidates, n)
        situation = Situation.of(candidates, history)
        fitted = fit_surrogate(history.shots, history.features, seed=seed)
        if not fitted.learned:
            return greedy_choice(situation, Herd(situation, self.class_weight), n, seed)
        herd = _LearnedHerd(situation, self.class_weight, fitted.kernel.lengths)
        return greedy_choice(situation, herd, n, seed, note="learned kernel: ")


class _LearnedHerd:
    """`acqplan.strategy.greedy.Herd` with other lengths."""

    def __init__(self, situation: Situation, class_weight: float, lengths: tuple[float, ...]) -> None:
        self._situation, self._weight = situation, class_weight
        parts = [view_columns(situation.space, tuple(length * factor for length in lengths)) for factor in LENGTHS]
        self._columns = [column for column, _ in parts]
        self._mean = np.mean([mean for _, mean in parts], axis=0)
        self._own = [np.zeros(len(free)) for free in situation.free]
        self._class = {label: np.zeros(len(self._mean)) for label in situation.classes}
        self._n_own, self._n_class = [0] * len(situation.free), dict.fromkeys(situation.classes, 0)
        for number, taken in enumerate(situation.taken):
            for view in taken:
                self.add(number, int(view))

    def gains(self, number: int) -> Float[np.ndarray, " free"]:
        """How much too little each free view is represented."""
        free, label = self._situation.free[number], self._situation.labels[number]
        own = self._own[number] / (self._n_own[number] + 1)
        joint = self._class[label][free] / (self._n_class[label] + 1)
        return self._mean[free] - (1.0 - self._weight) * own - self._weight * joint

    def add(self, number: int, view: int) -> None:
        """Count a view of an object as taken."""
        column = np.mean([part(view) for part in self._columns], axis=0)
        self._own[number] += column[self._situation.free[number]]
        self._class[self._situation.labels[number]] += column
        self._n_own[number] += 1
        self._n_class[self._situation.labels[number]] += 1


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
