"""What a strategy is given, what it decides on and what it answers; how many shots each object gets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32, Int

from acqplan.errors import BudgetError, StrategyError
from acqplan.rng import stream
from acqplan.space import Category, Shots, Space
from acqplan.space.kernel import distances
from acqplan.space.shots import from_first_level

# Letters of a reason at most.
LONGEST_REASON = 80
# Numbers closer than this are equal.
NEARLY = 1e-9
# More than enough to the last bit of any level.
BISECTIONS = 200


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class History:
    """Shots taken so far, with what was learned from their images and from no others.

    Attributes:
        shots: The captured shots, over the same objects as the candidates.
        features: Features of their images, shape ``[captured, features]``; ``None`` before any is known.
        beliefs: Class probabilities of each captured shot from heads that never saw its object, shape
            ``[captured, classes]``; ``None`` before any is known.
    """

    shots: Shots
    features: Float32[np.ndarray, "captured features"] | None = field(default=None, repr=False)
    beliefs: Float32[np.ndarray, "captured classes"] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.shots)

    @classmethod
    def empty(cls, candidates: Shots) -> History:
        """Nothing captured yet."""
        return cls(shots=candidates.take([]))

    def take(self, rows: Int[np.ndarray, " taken"]) -> History:
        """Some of the shots with what was learned from their images, in the order of ``rows``."""
        features, beliefs = (None if own is None else own[rows] for own in (self.features, self.beliefs))
        return History(shots=self.shots.take(rows), features=features, beliefs=beliefs)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Choice:
    """Which candidates to take, in order, and why.

    Attributes:
        rows: Rows of the candidates in the order of taking, shape ``[chosen]``.
        gain: What each adds in the strategy's own measure, shape ``[chosen]``, finite.
        reason: For each a few words that a person understands.
    """

    rows: Int[np.ndarray, " chosen"]
    gain: Float[np.ndarray, " chosen"]
    reason: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Choice({len(self.rows):,} rows)"


@runtime_checkable
class Strategy(Protocol):
    """A rule that says which candidates to take next.

    Attributes:
        name: Name by which the strategy is asked for.
        exact: Whether it uses exactly the number of shots asked for; a factorial design
            (`even`, `random`) takes the largest that fits.
        turns: Whether turning all azimuths of the space turns the plan with it.
    """

    name: ClassVar[str]
    exact: ClassVar[bool]
    turns: ClassVar[bool]

    def propose(self, candidates: Shots, history: History, n: int, seed: int) -> Choice:
        """Choose ``n`` candidates: a pure function of its arguments.

        Args:
            candidates: What may be taken; captured shots are not among them.
            history: What has been captured so far.
            n: How many to choose, ``1 <= n <= len(candidates)``.
            seed: Seed of all randomness.
        """


def learns(strategy: Strategy) -> bool:
    """Whether a strategy says that it looks at what was captured, and so takes its shots in rounds."""
    return bool(getattr(strategy, "learns", False))


def check_request(candidates: Shots, n: int) -> None:
    """Refuse a number of shots that cannot be chosen.

    Raises:
        BudgetError: If ``n`` is outside ``1..len(candidates)``.
    """
    if not 1 <= n <= len(candidates):
        raise BudgetError(f"{n:,} shots asked for, {len(candidates):,} candidates found", "ask for 1 to that many")


def check_choice(choice: Choice, candidates: Shots, n: int, *, strategy: Strategy) -> Choice:
    """Hold a strategy to its contract.

    Raises:
        StrategyError: If rows are unknown, repeated, too few or too many, or gains are not finite.
    """
    wrong = _broken_clause(choice, candidates, n, strategy.exact)
    if wrong:
        raise StrategyError(f"strategy '{strategy.name}' {wrong}", "this is a defect of the strategy")
    return choice


def _broken_clause(choice: Choice, candidates: Shots, n: int, exact: bool) -> str:
    """What is wrong with a choice, empty if nothing is."""
    if not isinstance(choice, Choice) or not isinstance(choice.rows, np.ndarray):
        return f"returned a {type(choice).__name__} without an array of rows, not a Choice"
    count = len(choice.rows)
    if count > n or count == 0 or (exact and count != n):
        return f"chose {count:,} of {n:,} shots"
    if len(choice.gain) != count or len(choice.reason) != count:
        return f"gave {len(choice.gain)} gains and {len(choice.reason)} reasons for {count} shots"
    if not np.issubdtype(choice.rows.dtype, np.integer):
        return f"gave rows of type {choice.rows.dtype}"
    if choice.rows.min() < 0 or choice.rows.max() >= len(candidates):
        return f"chose a row outside 0..{len(candidates) - 1}"
    if len(np.unique(choice.rows)) != count:
        return "chose a shot twice"
    return "" if np.isfinite(choice.gain).all() else "gave a gain that is not a number"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Situation:
    """Candidates and captures of each object, views by number.

    Nothing that is decided on a situation can depend on the order of rows or on the direction that a
    circle calls zero, because neither is in it.

    Attributes:
        space: The space counted from first levels, see `from_first_levels`.
        views: Coordinates of its views in ascending order, shape ``[views, axes]``.
        names: Names of the objects that have candidates or captures, sorted.
        labels: Class label of each.
        free: View numbers of each object's candidates, ascending.
        rows: Row of each of these among the candidates.
        taken: View numbers of each object's captures, ascending.
    """

    space: Space
    views: Float[np.ndarray, "views axes"]
    names: tuple[str, ...]
    labels: tuple[str, ...]
    free: tuple[Int[np.ndarray, " free"], ...]
    rows: tuple[Int[np.ndarray, " free"], ...]
    taken: tuple[Int[np.ndarray, " taken"], ...]

    @classmethod
    def of(cls, candidates: Shots, history: History) -> Situation:
        """Sort out candidates and captures."""
        return _situation(candidates, history.shots)

    @property
    def classes(self) -> dict[str, list[int]]:
        """Numbers of the objects of each class, both sorted by name."""
        return members_of(self.labels)

    @property
    def n_taken(self) -> Int[np.ndarray, " objects"]:
        """Captures of each object."""
        return np.array([len(views) for views in self.taken], dtype=np.int64)

    @property
    def n_free(self) -> Int[np.ndarray, " objects"]:
        """Candidates of each object."""
        return np.array([len(views) for views in self.free], dtype=np.int64)

    def captures(self) -> Iterator[tuple[int, int]]:
        """Object and view of each capture, both by number, object by object."""
        return ((number, int(view)) for number, taken in enumerate(self.taken) for view in taken)

    def rows_of(self, shots: Sequence[tuple[int, int]]) -> Int[np.ndarray, " shots"]:
        """Candidate rows of pairs of an object's number and a view's number."""
        rows = [self.rows[number][np.searchsorted(self.free[number], view)] for number, view in shots]
        return np.array(rows, dtype=np.int64)

    def only(self, numbers: Sequence[int]) -> Situation:
        """The situation of some objects alone, ascending by number."""
        return replace(
            self,
            names=tuple(self.names[number] for number in numbers),
            labels=tuple(self.labels[number] for number in numbers),
            free=tuple(self.free[number] for number in numbers),
            rows=tuple(self.rows[number] for number in numbers),
            taken=tuple(self.taken[number] for number in numbers),
        )


@lru_cache(maxsize=1)
def _situation(candidates: Shots, captures: Shots) -> Situation:
    """`Situation.of`, the same for rules that choose one after the other from the same tables."""
    every = (candidates, captures)
    names = tuple(sorted({shots.objects.names[row] for shots in every for row in np.unique(shots.object_rows)}))
    label = dict(zip(candidates.objects.names, candidates.objects.labels, strict=True))
    space = from_first_levels(candidates.space)
    views = space.views()
    free, rows = _by_object(names, candidates, _view_numbers(space, views, candidates))
    taken, _ = _by_object(names, captures, _view_numbers(space, views, captures))
    labels = tuple(label[name] for name in names)
    return Situation(space=space, views=views, names=names, labels=labels, free=free, rows=rows, taken=taken)


def members_of(labels: Sequence[str]) -> dict[str, list[int]]:
    """Numbers of the objects of each class, ascending, classes sorted by label."""
    members: dict[str, list[int]] = {label: [] for label in sorted(set(labels))}
    for number, label in enumerate(labels):
        members[label].append(number)
    return members


def from_first_levels(space: Space) -> Space:
    """The same space with coordinates counted from the first level of each axis, levels and views ascending.

    A table that holds every combination of levels comes back as the grid that it is.
    """
    grid = Space(
        axes=tuple(
            axis
            if isinstance(axis, Category)
            else replace(axis, values=tuple(np.sort(from_first_level(axis, axis.codes())).tolist()))
            for axis in space.axes
        )
    )
    if space.table is None:
        return grid
    table = np.unique(space.offsets(space.table), axis=0)
    is_grid = len(table) == grid.n_views and np.array_equal(table, grid.views())
    return grid if is_grid else Space(axes=grid.axes, table=table)


def _view_numbers(space: Space, views: Float[np.ndarray, "views axes"], shots: Shots) -> Int[np.ndarray, " shots"]:
    """Number of the view of each shot; a robot may have reached only the neighbourhood of one."""
    if len(shots) == 0:
        return np.zeros(0, dtype=np.int64)
    offsets = shots.space.offsets(shots.coordinates)
    if space.table is None:
        return np.ravel_multi_index(tuple(space.levels(offsets).T), space.shape)
    # nearly all shots are exactly at a view, which is found without any distance
    _, inverse = np.unique(np.concatenate([views, offsets]), axis=0, return_inverse=True)
    number_of = np.full(inverse.max() + 1, -1, dtype=np.int64)
    number_of[inverse[: len(views)]] = np.arange(len(views))
    numbers = number_of[inverse[len(views) :]]
    for shot in np.flatnonzero(numbers < 0):
        numbers[shot] = np.argmin(distances(space, offsets[shot : shot + 1], views)[0])
    return numbers


def _by_object(
    names: tuple[str, ...], shots: Shots, numbers: Int[np.ndarray, " shots"]
) -> tuple[tuple[Int[np.ndarray, " own"], ...], tuple[Int[np.ndarray, " own"], ...]]:
    """View numbers of each object's shots, ascending, and the rows of these shots."""
    place = {name: number for number, name in enumerate(names)}
    place_of_object = np.array([place.get(name, -1) for name in shots.objects.names], dtype=np.int64)
    owner = place_of_object[shots.object_rows.astype(np.int64)]
    order = np.lexsort([numbers, owner])
    ends = np.searchsorted(owner[order], np.arange(1, len(names)))
    return tuple(np.split(numbers[order], ends)), tuple(np.split(order, ends))


def even_quotas(situation: Situation, n: int, seed: int) -> Int[np.ndarray, " objects"]:
    """New shots of each object, so that totals with the captured ones differ by at most one.

    Objects fill up like connected vessels: those with fewer captures first, none beyond its candidates.
    What is left over goes to classes in turn, and within a class to objects in an order drawn by their
    names, the same in every round of a campaign.

    Args:
        situation: Captures and candidates of each object.
        n: Shots to share out, at most all candidates.
        seed: Seed of the order of objects.

    Returns:
        Shots of each object, shape ``[objects]``, adding up to ``n``.
    """
    taken, free = situation.n_taken, situation.n_free

    def up_to(level: float) -> Int[np.ndarray, " objects"]:
        return np.minimum(np.maximum(int(np.floor(level)) - taken, 0), free)

    # the highest whole level up to which all objects can be filled
    top = float((taken + free).max())
    level = int(top if up_to(top).sum() <= n else level_of(up_to, 0.0, top, n)[0])
    quota = up_to(level)
    # what is left over goes to objects at this level that have candidates left, classes in turn
    ahead = {label: int((taken[rows] > level).sum()) for label, rows in situation.classes.items()}
    queue = []
    for number in sorted(range(len(taken)), key=lambda number: stream(seed, "quotas", situation.names[number])):
        if taken[number] <= level < taken[number] + free[number]:
            label = situation.labels[number]
            queue.append((ahead[label], stream(seed, "quotas", label), number))
            ahead[label] += 1
    for _, _, number in sorted(queue)[: n - int(quota.sum())]:
        quota[number] += 1
    return quota


def weighted_quotas(
    situation: Situation,
    n: int,
    shares: Float[np.ndarray, " objects"],
    seed: int,
    *,
    floor: float,
    ceiling: float,
) -> Int[np.ndarray, " objects"]:
    """New shots of each object, so that totals with the captured ones follow given shares.

    A total is its share, moved by one number for all objects until they add up, and held between floor and
    ceiling, captures and capacity. Equal shares give `even_quotas`; so do captures so uneven that the floor
    cannot be paid.

    Args:
        situation: Captures and candidates of each object.
        n: Shots to share out, at most all candidates.
        shares: Wanted totals over their mean, at least 0, shape ``[objects]``.
        seed: Seed of the order of objects, which decides between equals.
        floor: Least total over the mean one, in ``[0, 1]``.
        ceiling: Largest total over the mean one, at least 1; an object that has more keeps what it has, and the
            ceiling gives way where all others have no candidates left.

    Returns:
        Shots of each object, shape ``[objects]``, adding up to ``n``.
    """
    taken, capacity = situation.n_taken, situation.n_taken + situation.n_free
    total = n + int(taken.sum())
    mean = total / len(taken)
    least = np.minimum(np.maximum(taken, np.floor(floor * mean + NEARLY)), capacity)
    most = np.maximum(np.minimum(np.ceil(ceiling * mean - NEARLY), capacity), least)
    if np.ptp(shares) < NEARLY or least.sum() > total:
        return even_quotas(situation, n, seed)
    if most.sum() < total:
        most = capacity.astype(np.float64)
    wanted = shares * mean

    def moved(by: float) -> Float[np.ndarray, " objects"]:
        return np.clip(wanted + by, least, most)

    by, _ = level_of(moved, float((least - wanted).min()), float((most - wanted).max()), total)
    place = np.argsort(_class_by_class(situation, seed))
    return whole_shares(moved(by), most, total, place) - taken


def level_of(
    filled: Callable[[float], Float[np.ndarray, " several"]], low: float, high: float, total: int
) -> tuple[float, float]:
    """The level up to which several can be filled with a given total, between two bounds.

    Args:
        filled: What each holds at a level, rising with it.
        low: A level of at most the total.
        high: A level of at least the total.
        total: What is to be shared out.

    Returns:
        The last level found of at most the total, and the first of more.
    """
    for _ in range(BISECTIONS):
        middle = (low + high) / 2.0
        if middle in (low, high):  # no number lies between them
            break
        low, high = (middle, high) if filled(middle).sum() <= total else (low, middle)
    return low, high


def whole_shares(
    shares: Float[np.ndarray, " several"],
    most: Float[np.ndarray, " several"],
    total: int,
    place: Int[np.ndarray, " several"],
) -> Int[np.ndarray, " several"]:
    """Whole numbers that add up to the total: shares rounded down, the rest by the largest remainders.

    Args:
        shares: What each should have, adding up to about the total.
        most: What each may have at most.
        total: What is shared out.
        place: Which of equal remainders comes first.
    """
    down = np.minimum(np.floor(shares + NEARLY), most)
    remainder = np.where(down < most, np.round(shares - down, 6), -1.0)
    down[np.lexsort([place, -remainder])[: total - int(down.sum())]] += 1
    return down.astype(np.int64)


def taking_order(situation: Situation, quota: Int[np.ndarray, " objects"], seed: int) -> list[tuple[int, int]]:
    """Order of taking: the object with the fewest shots is next, classes taking turns.

    Returns:
        Pairs of an object's number and how many of its new shots come before this one; one pair per shot.
    """
    taken = situation.n_taken
    steps = [
        (int(taken[number]) + k, place, number, k)
        for place, number in enumerate(_class_by_class(situation, seed))
        for k in range(quota[number])
    ]
    return [(number, k) for _, _, number, k in sorted(steps)]


def _class_by_class(situation: Situation, seed: int) -> list[int]:
    """All objects, classes in turn, in an order drawn by their names."""
    place = {}
    for rows in situation.classes.values():
        drawn = sorted(rows, key=lambda number: stream(seed, "quotas", situation.names[number]))
        place.update({number: position for position, number in enumerate(drawn)})
    return sorted(place, key=lambda number: (place[number], stream(seed, "quotas", situation.labels[number])))
