"""A short way past many stops, each of which is a setting of several actuators: nested loops, then 2-opt and Or-opt."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from acqplan.space import Axis, Circle

NEAR = 10
"""Neighbours of a stop beside which a move may put it; twice as many shorten the travel by at most 1 % and take
half as long again (400 and 810 random shots of the toys, with and without changes of the object)."""

MOST_NESTINGS = 24
"""Orders of nesting that are tried: all of up to four actuators, of more only those with the slowest outermost."""

LONGEST_SEGMENT = 3
"""Stops that Or-opt moves together, as its author did."""

CHUNK = 1000
LEAST_SECONDS = 1e-6
"""A move that saves less is rounding."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Actuator:
    """Something that moves between stops.

    Attributes:
        axis: Says what is how far apart.
        codes: Its setting at each stop, shape ``[stops]``.
        seconds: Time to move by one unit, or for a change of category.
    """

    axis: Axis
    codes: Float[np.ndarray, " stops"]
    seconds: float

    @property
    def sweep(self) -> float:
        """Seconds of the mean step of a sweep over its levels: how slow it is."""
        levels = np.unique(self.codes)
        return float(self.axis.difference(levels[1:], levels[:-1]).mean()) * self.seconds if len(levels) > 1 else 0.0

    def keys(self) -> Int[np.ndarray, " stops"]:
        """Numbers of its levels in the order of a sweep; a circle is cut where its gap is widest."""
        levels, numbers = np.unique(np.round(self.codes, 6), return_inverse=True)
        if not isinstance(self.axis, Circle) or len(levels) < 3:
            return numbers
        gaps = np.round(np.diff(np.append(levels, levels[0] + self.axis.period)), 6)
        return (numbers - int(np.argmax(gaps)) - 1) % len(levels)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stops:
    """Where a tour has to go, from where it comes, and how long it takes between them; actuators move in turn.

    Two more stops are the ends of every path: number ``n`` is where it starts and ``n + 1`` where it ends. An end
    that is free is no time away from anywhere.

    Attributes:
        actuators: What moves; their codes have the two ends as well, shape ``[stops + 2]``.
        is_place: Whether each is somewhere; false for free ends, shape ``[stops + 2]``.
    """

    actuators: tuple[Actuator, ...]
    is_place: Bool[np.ndarray, " stops_and_ends"]

    def __len__(self) -> int:
        return len(self.is_place) - 2

    def seconds(self, a: Int[np.ndarray, "..."], b: Int[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """Travel time between stops, given by number."""
        total = np.zeros(np.shape(a))
        for actuator in self.actuators:
            total += actuator.seconds * actuator.axis.difference(actuator.codes[a], actuator.codes[b])
        return total * (self.is_place[a] & self.is_place[b])

    def length(self, path: Int[np.ndarray, " stops_and_ends"]) -> float:
        """Seconds of a whole path."""
        return float(self.seconds(path[:-1], path[1:]).sum())


def short_tour(stops: Stops) -> Int[np.ndarray, " stops"]:
    """Numbers of the stops in an order that is quick to drive: the best nesting of loops, shortened by moves.

    The same stops give the same tour. It is no optimum: 2-opt and Or-opt end where no single move helps.

    Args:
        stops: At least one.

    Returns:
        Every stop once, shape ``[stops]``.

    Source:
        G. A. Croes, Operations Research 6 (1958) 791-812 (2-opt); I. Or, PhD thesis, Northwestern University (1976);
        neighbour lists and don't-look bits as J. L. Bentley, ORSA J. Computing 4 (1992) 387-411.
    """
    n = len(stops)
    paths = [np.concatenate([[n], order, [n + 1]]) for order in _loops(stops)]
    lengths = np.round([stops.length(path) for path in paths], 6)
    return _shortened(stops, paths[int(np.argmin(lengths))], _neighbours(stops))[1:-1]


def _loops(stops: Stops) -> Iterator[Int[np.ndarray, " stops"]]:
    """Loops in all orders of nesting, each loop back and forth, forwards and backwards."""
    keys = [actuator.keys()[: len(stops)] for actuator in stops.actuators]
    for nesting in _nestings(stops):
        order = _back_and_forth([keys[number] for number in nesting])
        yield order
        yield order[::-1]


def _nestings(stops: Stops) -> list[tuple[int, ...]]:
    """Orders of the actuators, the slowest outermost first."""
    slowest = sorted(range(len(stops.actuators)), key=lambda number: -stops.actuators[number].sweep)
    return list(itertools.islice(itertools.permutations(slowest), MOST_NESTINGS))


def _back_and_forth(keys: Sequence[Int[np.ndarray, " stops"]]) -> Int[np.ndarray, " stops"]:
    """Nested loops, the first key outermost; every other pass of a loop runs backwards."""
    group = np.zeros(len(keys[0]), dtype=np.int64)
    for key in keys:
        directed = np.where(group % 2 == 0, key, -key)
        order = np.lexsort([directed, group])
        is_next = (np.diff(directed[order]) != 0) | (np.diff(group[order]) != 0)
        group[order] = np.concatenate([[0], np.cumsum(is_next)])
    return np.argsort(group, kind="stable")


def _neighbours(stops: Stops) -> Int[np.ndarray, "stops near"]:
    """For each stop others that are near: those beside it in nested loops of any order; itself where there are few.

    Along the innermost axis of a nesting, the stop beside one is the nearest on that axis: no pairs need be compared.
    """
    n = len(stops)
    beside = [_beside(stops, nesting, turned) for nesting in _nestings(stops) for turned in (False, True)]
    found = np.sort(np.concatenate(beside, axis=1), axis=1)
    own = np.arange(n)[:, None]
    apart = stops.seconds(np.broadcast_to(own, found.shape), found)
    apart[:, 1:][found[:, 1:] == found[:, :-1]] = np.inf
    apart[found == own] = np.inf
    best = np.argsort(np.round(apart, 6), axis=1, kind="stable")[:, :NEAR]
    return np.where(np.isinf(np.take_along_axis(apart, best, axis=1)), own, np.take_along_axis(found, best, axis=1))


def _beside(stops: Stops, nesting: Sequence[int], turned: bool) -> Int[np.ndarray, "stops 4"]:
    """The two stops before and after each in a nested loop; circles may be cut on their far side."""
    columns = [_cut(stops.actuators[number], turned)[: len(stops)] for number in nesting]
    order = np.lexsort(columns[::-1])
    place = np.argsort(order)
    return np.stack([order[(place + step) % len(stops)] for step in (-2, -1, 1, 2)], axis=1)


def _cut(actuator: Actuator, turned: bool) -> Float[np.ndarray, " stops"]:
    codes = np.round(actuator.codes, 6)
    if turned and isinstance(actuator.axis, Circle):
        return np.mod(codes + actuator.axis.period / 2.0, actuator.axis.period)
    return codes


def _shortened(
    stops: Stops, path: Int[np.ndarray, " stops_and_ends"], near: Int[np.ndarray, "stops near"]
) -> Int[np.ndarray, " stops_and_ends"]:
    """Apply moves while any saves time; after the first sweep only stops whose surroundings changed are looked at."""
    path = path.copy()
    where = np.argsort(path)
    awake = np.arange(len(stops))
    while len(awake):
        changed = [awake[:0]]
        for stop, neighbour, kind in _promising(stops, path, where, near, awake):
            changed.append(_tried(stops, path, where, (stop, neighbour, kind)))
        touched = np.unique(np.concatenate(changed))
        awake = touched[touched < len(stops)]
    return path


def _promising(
    stops: Stops,
    path: Int[np.ndarray, " stops_and_ends"],
    where: Int[np.ndarray, " stops_and_ends"],
    near: Int[np.ndarray, "stops near"],
    awake: Int[np.ndarray, " awake"],
) -> list[tuple[int, int, int]]:
    """The best move of each stop as (stop, neighbour, kind of move), those that save most first."""
    found, savings = [], []
    for start in range(0, len(awake), CHUNK):
        some = awake[start : start + CHUNK]
        moves = _moves(np.repeat(where[some], near.shape[1]), where[near[some]].ravel())
        saved = np.round(_saved(stops, path, moves), 6).reshape(len(some), -1)
        best = saved.argmax(axis=1)
        place, kind = np.divmod(best, moves.shape[1])
        found.append(np.stack([some, near[some, place], kind], axis=1))
        savings.append(saved[np.arange(len(some)), best])
    saved = np.concatenate(savings)
    order = np.argsort(-saved, kind="stable")
    order = order[saved[order] > LEAST_SECONDS]
    return [(int(stop), int(neighbour), int(kind)) for stop, neighbour, kind in np.concatenate(found)[order]]


def _tried(
    stops: Stops,
    path: Int[np.ndarray, " stops_and_ends"],
    where: Int[np.ndarray, " stops_and_ends"],
    move: tuple[int, int, int],
) -> Int[np.ndarray, " touched"]:
    """Make a move in place if it still saves time after those before it; the stops to look at again."""
    stop, neighbour, kind = move
    moves = _moves(where[[stop]], where[[neighbour]])[:, kind : kind + 1]
    if _saved(stops, path, moves)[0, 0] <= LEAST_SECONDS:
        return np.array([stop])
    first, last, after, flip = (int(number) for number in moves[0, 0])
    touched = path[[first - 1, first, last, last + 1, after, after + 1]]
    segment = path[first : last + 1][:: -1 if flip else 1]
    low, high = min(first, after + 1), max(last, after)
    if after > last:
        path[low : high + 1] = np.concatenate([path[last + 1 : after + 1], segment])
    else:
        path[low : high + 1] = np.concatenate([segment, path[after + 1 : first]])
    where[path[low : high + 1]] = np.arange(low, high + 1)
    return touched


def _moves(i: Int[np.ndarray, " pairs"], j: Int[np.ndarray, " pairs"]) -> Int[np.ndarray, "pairs kinds 4"]:
    """All moves that put the stop at place ``i`` beside that at place ``j``.

    Each is ``(first, last, after, flip)``: the segment from ``first`` to ``last`` goes behind place ``after``, turned
    round if ``flip``. 2-opt turns a segment where it is, ``after = first - 1``; Or-opt moves one to three stops.
    """
    low, high, no, yes = np.minimum(i, j), np.maximum(i, j), np.zeros_like(i), np.ones_like(i)
    kinds = [(low + 1, high, low, yes), (low, high - 1, low - 1, yes), (i, i, j, no), (i, i, j - 1, no)]
    for more in range(1, LONGEST_SEGMENT):
        kinds += [(i, i + more, j, no), (i, i + more, j - 1, yes), (i - more, i, j, yes), (i - more, i, j - 1, no)]
    return np.stack([np.stack(kind, axis=-1) for kind in kinds], axis=1)


def _saved(
    stops: Stops, path: Int[np.ndarray, " stops_and_ends"], moves: Int[np.ndarray, "pairs kinds 4"]
) -> Float[np.ndarray, "pairs kinds"]:
    """Seconds that each move saves; minus infinity if it cannot be made."""
    first, last, after, flip = np.moveaxis(moves, -1, 0)
    stays = (after == first - 1) & (flip == 1)
    possible = (first >= 1) & (last <= len(stops)) & (first <= last) & (after >= 0) & (after <= len(stops))
    possible &= stays | (after < first - 1) | (after > last)
    first, last = (np.clip(place, 1, len(stops)) for place in (first, last))
    after = np.clip(after, 0, len(stops))
    before, head, tail, behind = path[first - 1], path[first], path[last], path[last + 1]
    one, other = np.where(flip, tail, head), np.where(flip, head, tail)
    left, right = path[after], np.where(stays, behind, path[after + 1])
    starts = np.stack([before, tail, left, other, left, before])
    ends = np.stack([head, behind, one, right, right, behind])
    old_before, old_behind, new_left, new_right, opened, closed = stops.seconds(starts, ends)
    saved = old_before + old_behind - new_left - new_right + np.where(stays, 0.0, opened - closed)
    return np.where(possible, saved, -np.inf)
