"""How many shots each object gets: as even as captures and capacities allow."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from acqplan.rng import stream
from acqplan.strategy.situation import Situation


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
