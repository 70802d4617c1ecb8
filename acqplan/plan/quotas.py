"""How many shots each object gets: as even as captures and capacities allow, or in given proportions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

from acqplan.plan.base import Situation
from acqplan.rng import stream

NEARLY = 1e-9
"""Numbers closer than this are equal."""

BISECTIONS = 200
"""More than enough to the last bit of any level."""


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
    for number in sorted(range(len(taken)), key=lambda number: _draw(seed, situation.names[number])):
        if taken[number] <= level < taken[number] + free[number]:
            label = situation.labels[number]
            queue.append((ahead[label], _draw(seed, label), number))
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
        drawn = sorted(rows, key=lambda number: _draw(seed, situation.names[number]))
        place.update({number: position for position, number in enumerate(drawn)})
    return sorted(place, key=lambda number: (place[number], _draw(seed, situation.labels[number])))


def _draw(seed: int, name: str) -> int:
    return stream(seed, "quotas", name)
