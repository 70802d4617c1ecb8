"""The staggered good lattice: each object gets a balanced lattice of views, its class a finer one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, reduce
from itertools import combinations
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int

from acqplan.errors import StrategyError
from acqplan.plan.base import Choice, History, Situation, check_request, even_quotas
from acqplan.plan.designs import has_even_steps, is_even_circle, van_der_corput_order
from acqplan.plan.greedy import TIE, Herd, choice_in_turns, filled, greedy_choice, herd_batch
from acqplan.rng import generator
from acqplan.space import Axis, Category, Shots, Space
from acqplan.space.kernel import LENGTHS, Similarity

# Views that all passes over new shots together may look at.
LOOKED_AT = 10_000_000
# Weight of common levels against one of the lengths of the similarity, where shots complete captures. Herding without
# it meets levels unevenly, which cost 1 point at 4 images per object.
LEVEL_WEIGHT = 0.3
TRIES = (16, 400)
# Multiplications that the first draws may cost, a tenth of a second; at least 16 lattices are drawn.
OPERATIONS = 2e8
REFINED_SHARE = 8
# One of 8 lattices drawn is refined by six relatives: measured, this equals four times as many draws.
RELATIVES = 6
FINALISTS = 24
KEPT = 4
# Lattices at most this much worse than the best found are as good.
NEARLY_BEST = 1.03
# Little: the balance of two axes decides only between lattices that are about equally even.
PAIR_WEIGHT = 0.05
LARGEST_BLOCK = 100_000
# Points of a class whose order is herded.
LARGEST_CLASS = 2000
# Share of the class when points are ordered.
CLASS_WEIGHT = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Lattice:
    """Staggered good lattices over the objects of each class; see `good_lattices`.

    The seed turns, mirrors and relabels the lattice of each class, which leaves its quality as it is.
    What a lattice leaves open (two points on one view, or a view that is no candidate) is filled by herding;
    so is a table of views, which has no lattice. A class that has captures gets no lattice either: shots that
    complete them are herded, levels evenly, and then moved one by one to better views, until none is left.

    Attributes:
        class_weight: Share of the class when herding fills up, in ``[0, 1]``.
        tries: Passes at most in which shots that complete captures are moved, at least 1.
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
        quota = even_quotas(situation, n, seed)
        if situation.space.table is None:
            return self.share_out(situation, quota, seed)
        note = "no lattice on a table of views, herding: "
        return greedy_choice(situation, Herd(situation, self.class_weight), quota, seed, note=note)

    def share_out(self, situation: Situation, quota: Int[np.ndarray, " objects"], seed: int) -> Choice:
        """Lay lattices for given numbers of shots; on a table of views by herding.

        Args:
            situation: What may be taken.
            quota: Shots of each object, at most its candidates, shape ``[objects]``.
            seed: Seed of all lots.
        """
        space, on_grid = situation.space, situation.space.table is None
        completes = on_grid and bool(situation.n_taken.any())
        herd = Herd(situation, self.class_weight, similarity=_EvenLevels(space) if completes else None)
        # free lattice views of each object in the order of taking, at most its quota
        points: list[list[int]] = [[] for _ in situation.names]
        movable: list[int] = []
        for label, members in situation.classes.items():
            sharing = [number for number in members if quota[number]]
            if on_grid and situation.n_taken[members].any():
                movable += sharing
            elif on_grid and sharing:
                lattices = good_lattices(space.axes, len(sharing), int(quota[sharing].max()))
                parts = _turned(space.axes, lattices, generator(seed, "lattice", label))
                for number, levels in zip(sharing, parts, strict=True):
                    points[number] = _open_points(situation, number, levels, int(quota[number]))

        def words(number: int, k: int) -> str:
            if k >= len(points[number]):
                return "fills what the lattice leaves open"
            return f"lattice point {k + 1} of {quota[number]} of {situation.names[number]}"

        views = filled(situation, points, quota, cover=herd, seed=seed)
        if completes:
            passes = min(self.tries, LOOKED_AT // (len(situation.views) * max(int(quota[movable].sum()), 1)))
            views = exchanged(situation, views, movable, cover=herd, passes=passes)
        return choice_in_turns(situation, views, seed=seed, reason=words if on_grid and not completes else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Auto(Lattice):
    """The default: the lattice over all objects, in one round.

    More objects are never worse by any law of the design surface (`acqplan.plan.surface`), so that none is left aside.
    No rule that looks at captured images has been measured to gain anything over it; ``benchmarks/ideas`` has those
    that were tried, with their figures.

    Attributes:
        trust: 1, the only value left: designs of benchmarks and plans made before it hold it, and keep their digest.
    """

    name: ClassVar[str] = "auto"
    trust: float = 1.0


def exchanged(
    situation: Situation, views: Sequence[Sequence[int]], movable: Iterable[int], *, cover: Herd, passes: int
) -> list[list[int]]:
    """Move views one by one to the free view of the largest gain, until none moves.

    Args:
        situation: What may be taken.
        views: Free views of each object.
        movable: Numbers of the objects whose views may move.
        cover: What has been covered, these views included.
        passes: Times at most that all are looked at.

    Returns:
        Views of each object, as many as before.

    Source:
        V. V. Fedorov, Theory of Optimal Experiments (1972), exchanges points of a design; the criterion is ours.
    """
    moved = [list(own) for own in views]
    for _ in range(passes):
        before = [list(own) for own in moved]
        for number in movable:
            free, own = situation.free[number], moved[number]
            for place, view in enumerate(own):
                cover.add(number, view, -1)
                gains = cover.gains(number)
                gains[np.searchsorted(free, [*own[:place], *own[place + 1 :]])] = -np.inf
                best = int(np.argmax(np.round(gains, 9)))
                if gains[best] > gains[np.searchsorted(free, view)] + TIE:
                    own[place] = int(free[best])
                cover.add(number, own[place])
        if moved == before:
            break
    return moved


class _EvenLevels(Similarity):
    """Similarity of views of a grid to which common levels add, so that levels and pairs of them are met equally often.

    One more product over the axes joins those of `LENGTHS`, of factors twice as large where the level is the same.
    """

    def __init__(self, space: Space) -> None:
        super().__init__(space)
        share = LEVEL_WEIGHT ** (1.0 / len(space.shape))
        self.levels.append(tuple(share * (1.0 + np.eye(n_levels)) for n_levels in space.shape))

    @cached_property
    def _matrix(self) -> Float[np.ndarray, "views views"]:
        return np.mean([reduce(np.kron, tables) for tables in self.levels], axis=0)


def _turned(
    axes: tuple[Axis, ...], lattices: Int[np.ndarray, "kept objects points axes"], draw: np.random.Generator
) -> Int[np.ndarray, "objects points axes"]:
    """One of the lattices, its parts dealt out anew and every axis moved in a way that changes no distance."""
    parts = draw.permutation(lattices[draw.integers(len(lattices))])
    moved = []
    for column, axis in enumerate(axes):
        levels, n_levels = parts[..., column], len(axis.values)
        if isinstance(axis, Category):
            moved.append(draw.permutation(n_levels)[levels])
            continue
        if draw.random() < 0.5 and has_even_steps(axis):
            levels = n_levels - 1 - levels
        moved.append((levels + draw.integers(n_levels)) % n_levels if is_even_circle(axis) else levels)
    return np.stack(moved, axis=-1)


def _open_points(situation: Situation, number: int, points: Int[np.ndarray, "points axes"], quota: int) -> list[int]:
    """Free views among the points of one object."""
    numbers = np.ravel_multi_index(tuple(points.T), situation.space.shape)
    free = numbers[np.isin(numbers, situation.free[number])]
    return list(dict.fromkeys(free.tolist()))[:quota]


# Steps and shift: point ``i`` lies at ``i * steps / n + shift``, modulo 1; steps have no common factor with ``n``.
RankOneLattice = tuple[Int[np.ndarray, " axes"], Float[np.ndarray, " axes"]]


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
    shape, n = tuple(len(axis.values) for axis in axes), n_objects * n_points
    draw = generator(0, "good lattices", shape, n_objects, n_points)

    def coprime() -> int:
        # such a step visits each n-th of the axis once
        while True:
            step = int(draw.integers(1, max(n, 2)))
            if np.gcd(step, n) == 1:
                return step

    def relative(rule: RankOneLattice) -> RankOneLattice:
        # the same lattice elsewhere, or with another step along one axis
        if draw.random() < 0.5:
            return rule[0], draw.random(len(shape))
        steps = rule[0].copy()
        steps[draw.integers(len(shape))] = coprime()
        return steps, rule[1]

    # draw as many lattices as their discrepancies may cost
    n_drawn = int(np.clip(OPERATIONS / (4.0 * np.prod(shape) * np.sum(shape) * 3.0), *TRIES))
    drawn = [(np.array([coprime() for _ in shape]), draw.random(len(shape))) for _ in range(n_drawn)]
    # refine the most even ones by relatives of each
    likely = _most_even(axes, drawn, n_objects, n_points)[: max(len(drawn) // REFINED_SHARE, 1)]
    relatives = [relative(rule) for rule in likely for _ in range(RELATIVES)]
    finalists = _most_even(axes, [*likely, *relatives], n_objects, n_points)[:FINALISTS]
    # judge the finalists by all objects and by the balance of pairs of axes
    parts = [_parts(rule, shape, n_objects, n_points) for rule in finalists]
    imbalance = [PAIR_WEIGHT * pair_imbalance(axes, own.reshape(-1, len(axes))) for own in parts]
    scores = np.array([class_discrepancy(axes, own) + pairs for own, pairs in zip(parts, imbalance, strict=True)])
    order = np.argsort(np.round(scores, 9), kind="stable")[:KEPT]
    best = np.stack([parts[row] for row in order if scores[row] <= scores[order[0]] * NEARLY_BEST])
    kept = nested(axes, best)
    kept.flags.writeable = False
    return kept


def nested(
    axes: tuple[Axis, ...], lattices: Int[np.ndarray, "lattices objects points axes"]
) -> Int[np.ndarray, "lattices objects points axes"]:
    """The points of each object in an order that is spread well for the object and for its class.

    Objects take turns; each takes the one of its points that herding would take. More than 2,000 points
    come in van der Corput order, which looks at the object alone.

    Args:
        axes: The axes of a grid.
        lattices: Levels of the points of each object, shape ``[lattices, objects, points, axes]``.

    Returns:
        The same points of each object in order, shape ``[lattices, objects, points, axes]``.
    """
    n_lattices, n_objects, n_points, n_axes = lattices.shape
    n = n_objects * n_points
    if n > LARGEST_CLASS:
        return lattices[:, :, van_der_corput_order(n_points)]
    similarity = Similarity(Space(axes=axes))
    levels = lattices.reshape(n_lattices, n, n_axes)
    views = np.ravel_multi_index(tuple(np.moveaxis(levels, -1, 0)), tuple(len(axis.values) for axis in axes))
    chosen = herd_batch(
        orders=np.tile(np.tile(np.arange(n_objects), n_points), (n_lattices, 1)),
        wanted=np.stack([similarity.mean(own) for own in views]),
        kernels=np.stack([similarity.between(own, own) for own in views]),
        kernel_of=np.arange(n_lattices),
        class_weight=np.full(n_lattices, CLASS_WEIGHT),
        lots=np.tile(np.arange(n), (n_lattices, 1)),
        owner=np.repeat(np.arange(n_objects), n_points),
        class_of=np.zeros(n_objects, dtype=np.int64),
    )
    # shots come in turns of the objects: the k-th shot of each is in the k-th turn
    order = chosen.reshape(n_lattices, n_points, n_objects).transpose(0, 2, 1).reshape(n_lattices, n)
    return np.take_along_axis(levels, order[..., None], axis=1).reshape(lattices.shape)


def _most_even(
    axes: tuple[Axis, ...], rules: Sequence[RankOneLattice], n_objects: int, n_points: int
) -> list[RankOneLattice]:
    """The rules by discrepancy of the class and one object: the objects' parts are shifted copies."""
    shape = tuple(len(axis.values) for axis in axes)
    block = max(LARGEST_BLOCK // int(np.prod(shape)), 1)
    scores = []
    for start in range(0, len(rules), block):
        several = [_parts(rule, shape, n_objects, n_points) for rule in rules[start : start + block]]
        first = np.stack([counted(shape, parts[0]) for parts in several])
        union = np.stack([counted(shape, parts.reshape(-1, len(shape))) for parts in several])
        scores.append(discrepancies(axes, first) + discrepancies(axes, union))
    return [rules[row] for row in np.argsort(np.round(np.concatenate(scores), 9), kind="stable")]


def _parts(
    rule: RankOneLattice, shape: tuple[int, ...], n_objects: int, n_points: int
) -> Int[np.ndarray, "objects points axes"]:
    """Levels of the points of a lattice, those of each object a residue class."""
    n, (steps, shift) = n_objects * n_points, rule
    fractions = (np.arange(n)[:, None] * (steps / n) + shift) % 1.0
    levels = np.minimum((fractions * shape).astype(np.int64), np.array(shape) - 1)
    return levels.reshape(n_points, n_objects, len(shape)).transpose(1, 0, 2)


def class_discrepancy(axes: tuple[Axis, ...], parts: Iterable[Int[np.ndarray, "points axes"]]) -> float:
    """Mean discrepancy of the objects plus that of their union; see `discrepancies`."""
    shape = tuple(len(axis.values) for axis in axes)
    counts = np.stack([counted(shape, levels) for levels in parts])
    return float(discrepancies(axes, counts).mean() + discrepancies(axes, counts.sum(axis=0, keepdims=True))[0])


def discrepancies(axes: tuple[Axis, ...], counts: Float[np.ndarray, "sets views"]) -> Float[np.ndarray, " sets"]:
    """Squared kernel discrepancy between sets of views and all views, in units of what random views have.

    Args:
        axes: The axes of the grid.
        counts: How often each view of the grid is in each set, shape ``[sets, views]``.

    Returns:
        About 1 for views drawn with replacement, 0 for all views, shape ``[sets]``.

    Source:
        A. Gretton et al., A kernel two-sample test, JMLR 13 (2012) 723-773; the kernel is `mixed_kernel`,
        evaluated as a product over axes.
    """
    n_points = counts.sum(axis=1)
    excess = counts / n_points[:, None] - 1.0 / counts.shape[1]
    squared, alike = np.zeros(len(counts)), 0.0
    for kernels in Similarity(Space(axes=axes)).levels:
        smoothed = excess.reshape(len(excess), *(len(kernel) for kernel in kernels))
        for kernel in kernels:  # each product moves its axis to the end, so after the last they are in order again
            smoothed = np.tensordot(smoothed, kernel, axes=([1], [0]))
        squared += (smoothed.reshape(len(excess), -1) * excess).sum(axis=1) / len(LENGTHS)
        alike += float(np.prod([kernel.mean() for kernel in kernels])) / len(LENGTHS)
    return squared * n_points / max(1.0 - alike, 1e-12)


def pair_imbalance(axes: tuple[Axis, ...], levels: Int[np.ndarray, "points axes"]) -> float:
    """How unequally often pairs of levels are met, for the worst pair of axes; about 1 for random views."""
    worst = 0.0
    for one, other in combinations(range(len(axes)), 2):
        n_one, n_other = len(axes[one].values), len(axes[other].values)
        table = np.bincount(levels[:, one] * n_other + levels[:, other], minlength=n_one * n_other)
        worst = max(worst, float(table.var() / table.mean()))
    return worst


def counted(shape: tuple[int, ...], levels: Int[np.ndarray, "points axes"]) -> Float[np.ndarray, " views"]:
    """How often each view of a grid of this shape is met."""
    views = np.ravel_multi_index(tuple(levels.T), shape)
    return np.bincount(views, minlength=int(np.prod(shape))).astype(np.float64)
