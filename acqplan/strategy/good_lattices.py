"""Good lattice points on a grid of levels, for several objects of a class jointly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int

from acqplan.rng import generator
from acqplan.space import Axis
from acqplan.strategy.discrepancy import class_discrepancy, counted, discrepancies, pair_imbalance
from acqplan.strategy.nested import nested

TRIES = (16, 400)
OPERATIONS = 2e8
"""Multiplications that the first draws may cost, a tenth of a second; at least 16 lattices are drawn."""

REFINED_SHARE = 8
RELATIVES = 6
"""One of 8 lattices drawn is refined by six relatives: measured, this equals four times as many draws."""

FINALISTS = 24
KEPT = 4
NEARLY_BEST = 1.03
"""Lattices at most this much worse than the best found are as good."""

PAIR_WEIGHT = 0.05
"""Little: the balance of two axes decides only between lattices that are about equally even."""

LARGEST_BLOCK = 100_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rule:
    """A rank-1 lattice: point ``i`` lies at ``i * steps / n + shift``, modulo 1.

    Attributes:
        steps: For each axis a number without common factor with the number of points, shape ``[axes]``.
        shift: Where point 0 lies, in ``[0, 1)``, shape ``[axes]``.
    """

    steps: Int[np.ndarray, " axes"]
    shift: Float[np.ndarray, " axes"]

    def parts(self, shape: tuple[int, ...], n_objects: int, n_points: int) -> Int[np.ndarray, "objects points axes"]:
        """Levels of the points, those of each object a residue class; shape ``[objects, points, axes]``."""
        n = n_objects * n_points
        fractions = (np.arange(n)[:, None] * (self.steps / n) + self.shift) % 1.0
        levels = np.minimum((fractions * shape).astype(np.int64), np.array(shape) - 1)
        return levels.reshape(n_points, n_objects, len(shape)).transpose(1, 0, 2)


@lru_cache(maxsize=64)
def good_lattices(axes: tuple[Axis, ...], n_objects: int, n_points: int) -> Int[np.ndarray, "kept objects points axes"]:
    """The best lattices found for a class, as levels, the best first; all about as good as the best.

    A rank-1 lattice of all points of the class is cut into one residue class for each object: point ``i``
    belongs to object ``i mod n_objects``. So the points of an object are a lattice too, and every level of
    an axis is met equally often, give or take one, by each object and by the class (where no two points
    fall on the same view). Points of an object are in the order of `nested`.

    Args:
        axes: The axes of a grid, levels ascending from 0.
        n_objects: Objects of the class.
        n_points: Points of each object.

    Returns:
        Level numbers, shape ``[kept, objects, points, axes]``; not to be written to.

    Source:
        N. M. Korobov (1959); I. H. Sloan, S. Joe, Lattice Methods for Multiple Integration (1994). The
        search by kernel discrepancy of parts and union is ours.
    """
    shape = tuple(len(axis.values) for axis in axes)
    draw = generator(0, "good lattices", shape, n_objects, n_points)
    drawn = [_drawn(len(shape), n_objects * n_points, draw) for _ in range(_tries(shape))]
    likely = _most_even(axes, drawn, n_objects, n_points)[: max(len(drawn) // REFINED_SHARE, 1)]
    relatives = [_relative(rule, n_objects * n_points, draw) for rule in likely for _ in range(RELATIVES)]
    finalists = _most_even(axes, [*likely, *relatives], n_objects, n_points)[:FINALISTS]
    best = _nearly_best(axes, [rule.parts(shape, n_objects, n_points) for rule in finalists])
    kept = np.stack([nested(axes, parts) for parts in best])
    kept.flags.writeable = False
    return kept


def _tries(shape: tuple[int, ...]) -> int:
    one = 4.0 * np.prod(shape) * np.sum(shape) * 3.0
    return int(np.clip(OPERATIONS / one, *TRIES))


def _drawn(n_axes: int, n: int, draw: np.random.Generator) -> Rule:
    return Rule(steps=np.array([_coprime(n, draw) for _ in range(n_axes)]), shift=draw.random(n_axes))


def _coprime(n: int, draw: np.random.Generator) -> int:
    """A step without common factor with ``n``: it visits each n-th of the axis once."""
    while True:
        step = int(draw.integers(1, max(n, 2)))
        if np.gcd(step, n) == 1:
            return step


def _relative(rule: Rule, n: int, draw: np.random.Generator) -> Rule:
    """The same lattice elsewhere, or with another step along one axis."""
    if draw.random() < 0.5:
        return Rule(steps=rule.steps, shift=draw.random(len(rule.shift)))
    steps = rule.steps.copy()
    steps[draw.integers(len(steps))] = _coprime(n, draw)
    return Rule(steps=steps, shift=rule.shift)


def _most_even(axes: tuple[Axis, ...], rules: Sequence[Rule], n_objects: int, n_points: int) -> list[Rule]:
    """The rules by discrepancy of the class and one object: the objects' parts are shifted copies."""
    shape = tuple(len(axis.values) for axis in axes)
    block = max(LARGEST_BLOCK // int(np.prod(shape)), 1)
    scores = []
    for start in range(0, len(rules), block):
        several = [rule.parts(shape, n_objects, n_points) for rule in rules[start : start + block]]
        first = np.stack([counted(shape, parts[0]) for parts in several])
        union = np.stack([counted(shape, parts.reshape(-1, len(shape))) for parts in several])
        scores.append(discrepancies(axes, first) + discrepancies(axes, union))
    return [rules[row] for row in np.argsort(np.round(np.concatenate(scores), 9), kind="stable")]


def _nearly_best(
    axes: tuple[Axis, ...], finalists: Sequence[Int[np.ndarray, "objects points axes"]]
) -> list[Int[np.ndarray, "objects points axes"]]:
    """The best lattice, and up to three more that are about as good."""
    scores = np.array(
        [
            class_discrepancy(axes, parts) + PAIR_WEIGHT * pair_imbalance(axes, parts.reshape(-1, len(axes)))
            for parts in finalists
        ]
    )
    order = np.argsort(np.round(scores, 9), kind="stable")[:KEPT]
    return [finalists[row] for row in order if scores[row] <= scores[order[0]] * NEARLY_BEST]
