"""The staggered good lattice: each object gets a balanced lattice of views, its class a finer one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Int

from acqplan.errors import StrategyError
from acqplan.rng import generator
from acqplan.space import Axis, Category, Shots
from acqplan.space.distance import distances
from acqplan.strategy.base import Choice, History, check_request
from acqplan.strategy.discrepancy import class_discrepancy
from acqplan.strategy.factorial import has_even_steps, is_even_circle
from acqplan.strategy.good_lattices import good_lattices
from acqplan.strategy.greedy import Herd, filled, greedy_choice
from acqplan.strategy.picks import Reason, choice_of
from acqplan.strategy.quotas import even_quotas
from acqplan.strategy.situation import Situation

MATCHED = 5_000_000
"""Pairs of captures and lattice points that all tries together may compare for a class."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lattice:
    """Staggered good lattices over the objects of each class; see `good_lattices`.

    The seed turns, mirrors and relabels the lattice of each class, which leaves its quality as it is.
    Lattice points near to a captured view count as taken, and of several turns the one that suits the
    captures best is used. What a lattice leaves open (two points on one view, or a view that is no
    candidate) is filled by herding; so is a table of views, which has no lattice.

    Attributes:
        class_weight: Share of the class when herding fills up, in ``[0, 1]``.
        tries: Turns tried for a class that has captures, at least 1.
    """

    name: ClassVar[str] = "lattice"
    exact: ClassVar[bool] = True
    turns: ClassVar[bool] = True
    class_weight: float = 0.7
    tries: int = 64

    def __post_init__(self) -> None:
        if not 0.0 <= self.class_weight <= 1.0 or self.tries < 1:
            raise StrategyError(
                f"lattice with class_weight {self.class_weight} and {self.tries} tries",
                "give a share from 0 to 1 and at least one try",
            )

    def propose(self, candidates: Shots, history: History, n: int, seed: int) -> Choice:
        """Lay lattices over the classes, then fill what they leave open."""
        check_request(candidates, n)
        situation = Situation.of(candidates, history)
        if situation.space.table is not None:
            herd = Herd(situation, self.class_weight)
            return greedy_choice(situation, herd, n, seed, note="no lattice on a table of views, herding: ")
        return self.share_out(situation, even_quotas(situation, n, seed), seed)

    def share_out(self, situation: Situation, quota: Int[np.ndarray, " objects"], seed: int) -> Choice:
        """The same with given numbers of shots; on a table of views by herding.

        Args:
            situation: What may be taken.
            quota: Shots of each object, at most its candidates, shape ``[objects]``.
            seed: Seed of all lots.
        """
        herd, on_grid = Herd(situation, self.class_weight), situation.space.table is None
        points = _lattice_views(situation, quota, seed, self.tries) if on_grid else [[] for _ in situation.names]
        views = filled(situation, points, quota, cover=herd, seed=seed)
        return choice_of(situation, views, seed=seed, reason=_reason(situation, points, quota) if on_grid else None)


def _reason(situation: Situation, points: list[list[int]], quota: Int[np.ndarray, " objects"]) -> Reason:
    def words(number: int, k: int) -> str:
        if k >= len(points[number]):
            return "fills what the lattice leaves open"
        return f"lattice point {k + 1} of {quota[number]} of {situation.names[number]}"

    return words


def _lattice_views(situation: Situation, quota: Int[np.ndarray, " objects"], seed: int, tries: int) -> list[list[int]]:
    """Free lattice views of each object in the order of taking, at most its quota."""
    views: list[list[int]] = [[] for _ in situation.names]
    for label, members in situation.classes.items():
        sharing = [number for number in members if quota[number] + len(situation.taken[number])]
        if quota[sharing].any():
            found = _class_views(situation, quota, sharing, tries, generator(seed, "lattice", label))
            for number, own in zip(sharing, found, strict=True):
                views[number] = own
    return views


def _class_views(
    situation: Situation, quota: Int[np.ndarray, " objects"], sharing: list[int], tries: int, draw: np.random.Generator
) -> list[list[int]]:
    """The same for the objects of one class; with captures, the most even of several turns."""
    axes, captured = situation.space.axes, situation.n_taken[sharing]
    n_points = int((captured + quota[sharing])[quota[sharing] > 0].max())
    lattices = good_lattices(axes, len(sharing), n_points)
    attempts = []
    for _ in range(min(tries, 1 + MATCHED // (int(captured.sum()) * n_points)) if captured.any() else 1):
        shares = zip(sharing, _turned(axes, lattices, draw), strict=True)
        attempts.append([_open_points(situation, number, points, int(quota[number])) for number, points in shares])
    return min(attempts, key=lambda views: _unevenness(situation, sharing, views)) if len(attempts) > 1 else attempts[0]


def _turned(
    axes: tuple[Axis, ...], lattices: Int[np.ndarray, "kept objects points axes"], draw: np.random.Generator
) -> Int[np.ndarray, "objects points axes"]:
    """One of the lattices, its parts dealt out anew and every axis moved in a way that changes no distance."""
    parts = draw.permutation(lattices[draw.integers(len(lattices))])
    return np.stack([_moved(axis, parts[..., column], draw) for column, axis in enumerate(axes)], axis=-1)


def _moved(
    axis: Axis, levels: Int[np.ndarray, "objects points"], draw: np.random.Generator
) -> Int[np.ndarray, "objects points"]:
    n_levels = len(axis.values)
    if isinstance(axis, Category):
        return draw.permutation(n_levels)[levels]
    mirrored = n_levels - 1 - levels if draw.random() < 0.5 and has_even_steps(axis) else levels
    return (mirrored + draw.integers(n_levels)) % n_levels if is_even_circle(axis) else mirrored


def _open_points(situation: Situation, number: int, points: Int[np.ndarray, "points axes"], quota: int) -> list[int]:
    """Free views among the points of one object, without those that its captures stand for."""
    numbers = np.ravel_multi_index(tuple(points.T), situation.space.shape)
    taken = situation.taken[number]
    if len(taken) and quota:
        from scipy.optimize import linear_sum_assignment  # takes long to import; needed with captures alone

        apart = distances(situation.space, situation.views[taken], situation.views[numbers])
        numbers = np.delete(numbers, linear_sum_assignment(apart)[1])
    free = numbers[np.isin(numbers, situation.free[number])]
    return list(dict.fromkeys(free.tolist()))[:quota]


def _unevenness(situation: Situation, sharing: list[int], views: list[list[int]]) -> float:
    shots = [
        np.concatenate([situation.taken[number], own]).astype(np.int64)
        for number, own in zip(sharing, views, strict=True)
    ]
    levels = [np.stack(np.unravel_index(own, situation.space.shape), axis=1) for own in shots if len(own)]
    return round(class_discrepancy(situation.space.axes, levels), 9) if levels else 0.0
