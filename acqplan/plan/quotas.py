"""How many shots each object gets: as even as captures and capacities allow, or in given proportions."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from acqplan.plan.situation import Situation
from acqplan.rng import stream

NEARLY = 1e-9
"""Numbers closer than this are equal."""

BISECTIONS = 100
"""More than enough to the last bit of any total."""


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
    level = _water_level(situation, n)
    quota = _filled(situation, level)
    for number in _next_in_turn(situation, level, seed)[: n - int(quota.sum())]:
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
    mean = (n + int(taken.sum())) / len(taken)
    least = np.minimum(np.maximum(taken, np.floor(floor * mean + NEARLY)), capacity)
    most = np.maximum(np.minimum(np.ceil(ceiling * mean - NEARLY), capacity), least)
    if np.ptp(shares) < NEARLY or least.sum() > n + taken.sum():
        return even_quotas(situation, n, seed)
    if most.sum() < n + taken.sum():
        most = capacity.astype(np.float64)
    totals = _levelled(shares * mean, least, most, n + int(taken.sum()))
    place = {number: position for position, number in enumerate(_class_by_class(situation, seed))}
    return _whole(totals, most, [place[number] for number in range(len(taken))]) - taken


def _levelled(
    wanted: Float[np.ndarray, " objects"],
    least: Float[np.ndarray, " objects"],
    most: Float[np.ndarray, " objects"],
    total: int,
) -> Float[np.ndarray, " objects"]:
    """What is wanted, moved by one number for all and held within bounds, adding up to the total."""
    low, high = float((least - wanted).min()), float((most - wanted).max())
    for _ in range(BISECTIONS):
        middle = (low + high) / 2.0
        fits = np.clip(wanted + middle, least, most).sum() <= total
        low, high = (middle, high) if fits else (low, middle)
    return np.clip(wanted + low, least, most)


def _whole(
    totals: Float[np.ndarray, " objects"], most: Float[np.ndarray, " objects"], place: list[int]
) -> Int[np.ndarray, " objects"]:
    """Whole numbers of the same sum: rounded down, the rest to the largest remainders."""
    down = np.floor(totals + NEARLY)
    rest = round(float(totals.sum())) - int(down.sum())
    remainder = np.where(down < most, np.round(totals - down, 6), -1.0)
    for number in sorted(range(len(totals)), key=lambda number: (-remainder[number], place[number]))[:rest]:
        down[number] += 1
    return down.astype(np.int64)


def taking_order(situation: Situation, quota: Int[np.ndarray, " objects"], seed: int) -> list[tuple[int, int]]:
    """Order of taking: whoever has the fewest shots is next, classes taking turns.

    Returns:
        Pairs of an object's number and how many of its new shots come before this one; one pair a shot.
    """
    place = {number: position for position, number in enumerate(_class_by_class(situation, seed))}
    taken = situation.n_taken
    steps = [(int(taken[number]) + k, place[number], number, k) for number in place for k in range(quota[number])]
    return [(number, k) for _, _, number, k in sorted(steps)]


def _water_level(situation: Situation, n: int) -> int:
    low, high = 0, int((situation.n_taken + situation.n_free).max())
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _filled(situation, middle).sum() <= n else (low, middle - 1)
    return low


def _filled(situation: Situation, level: int) -> Int[np.ndarray, " objects"]:
    return np.minimum(np.maximum(level - situation.n_taken, 0), situation.n_free)


def _next_in_turn(situation: Situation, level: int, seed: int) -> list[int]:
    """Objects that stand at this level and have candidates left, classes in turn."""
    taken, capacity = situation.n_taken, situation.n_taken + situation.n_free
    open_to_more = [number for number in range(len(taken)) if taken[number] <= level < capacity[number]]
    ahead = {label: sum(taken[number] > level for number in rows) for label, rows in situation.classes.items()}
    queue = []
    for number in sorted(open_to_more, key=lambda number: _draw(seed, situation.names[number])):
        label = situation.labels[number]
        queue.append((ahead[label], _draw(seed, label), number))
        ahead[label] += 1
    return [number for _, _, number in sorted(queue)]


def _class_by_class(situation: Situation, seed: int) -> list[int]:
    """All objects, classes in turn."""
    place = {}
    for rows in situation.classes.values():
        drawn = sorted(rows, key=lambda number: _draw(seed, situation.names[number]))
        place.update({number: position for position, number in enumerate(drawn)})
    return sorted(place, key=lambda number: (place[number], _draw(seed, situation.labels[number])))


def _draw(seed: int, name: str) -> int:
    return stream(seed, "quotas", name)
