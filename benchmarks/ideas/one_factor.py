"""One factor at a time: designs in which consecutive views of an object differ in one axis alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from acqplan.plan.base import Choice, History, Situation, check_request, even_quotas
from acqplan.plan.designs import shifted
from acqplan.plan.greedy import choice_in_turns
from acqplan.rng import generator
from acqplan.space import Shots, Space
from acqplan.space.kernel import distances


@dataclass(frozen=True, slots=True, kw_only=True)
class Stair:
    """Change one axis at a time, each from where the last change left it: every axis in turn takes its next level.

    Attributes:
        shared: Whether all objects get the same views; otherwise levels of each object begin elsewhere.

    Source:
        J. Gao, A. Xie, T. Xiao, C. Finn, D. Sadigh, Efficient Data Collection for Robotic Manipulation via
        Compositional Generalization, RSS 2024, arXiv 2403.05110.
    """

    name: ClassVar[str] = "stair"
    exact: ClassVar[bool] = True
    turns: ClassVar[bool] = True
    shared: bool = False

    def propose(self, candidates: Shots, history: History, n: int, seed: int) -> Choice:
        """Walk on where the captures of each object end; the nearest free view for one that cannot be had."""
        check_request(candidates, n)
        situation = Situation.of(candidates, history)
        views = []
        for number, new in enumerate(even_quotas(situation, n, seed).tolist()):
            start = generator(seed, self.name, "" if self.shared else situation.names[number])
            taken = len(situation.taken[number])
            wanted = self.walk(situation.space, taken + new, start.random(len(situation.space.axes)))
            views.append(_nearest_free(situation, number, wanted[taken : taken + new]))
        return choice_in_turns(situation, views, seed=seed, reason=lambda number, k: f"step {k + 1} of the {self.name}")

    def walk(
        self, space: Space, n_views: int, fractions: Float[np.ndarray, " axes"]
    ) -> Float[np.ndarray, "views axes"]:
        """The views in the order of walking, each but the first one axis from the one before it."""
        levels = spread_levels(space, -(-(n_views - 1) // len(space.axes)) + 1, fractions)
        steps = np.zeros((n_views, len(space.axes)), dtype=np.int64)
        for step in range(1, n_views):
            steps[step] = steps[step - 1]
            steps[step, (step - 1) % len(space.axes)] += 1
        return np.stack([own[column % len(own)] for own, column in zip(levels, steps.T, strict=True)], axis=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ell(Stair):
    """Vary one axis with all others at a base view, then the next: the L of the same authors."""

    name: ClassVar[str] = "ell"

    def walk(
        self, space: Space, n_views: int, fractions: Float[np.ndarray, " axes"]
    ) -> Float[np.ndarray, "views axes"]:
        """The base view, then arms of as many views along each axis as it has levels, at most."""
        room, arms = max(n_views - 1, 0), [0] * len(space.axes)
        while room and any(arm + 1 < len(axis.values) for arm, axis in zip(arms, space.axes, strict=True)):
            for column, axis in enumerate(space.axes):
                if room and arms[column] + 1 < len(axis.values):
                    arms[column], room = arms[column] + 1, room - 1
        views = np.empty((0, len(space.axes)))
        for column, arm in enumerate(arms):
            levels = spread_levels(space, arm + 1, fractions)
            base = np.array([own[0] for own in levels]) if not len(views) else views[0]
            other = np.repeat(base[None], arm, axis=0)
            other[:, column] = [level for level in levels[column] if level != base[column]][:arm]
            views = np.concatenate([base[None], other] if not len(views) else [views, other])
        return np.concatenate([views, np.repeat(views[:1], room, axis=0)])


def spread_levels(
    space: Space, n_levels: int, fractions: Float[np.ndarray, " axes"]
) -> Sequence[Float[np.ndarray, " levels"]]:
    """So many levels of each axis, or all it has, evenly spread, in their order and beginning at a share of it."""
    found = []
    for axis, fraction in zip(space.axes, fractions, strict=True):
        count = max(min(n_levels, len(axis.values)), 1)
        codes = axis.codes()[list(shifted(axis, count, float(fraction * count) % 1.0))]
        found.append(np.roll(codes, -int(fraction * len(codes))))
    return found


def _nearest_free(situation: Situation, number: int, wanted: Float[np.ndarray, "views axes"]) -> list[int]:
    """Views of an object that are free, each the nearest to a wanted one."""
    free, chosen = situation.free[number].tolist(), []
    for view in wanted:
        apart = distances(situation.space, view[None], situation.views[free])[0]
        chosen.append(free.pop(int(np.argmin(np.round(apart, 9)))))
    return chosen
