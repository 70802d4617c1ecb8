"""How long it takes to take shots in some order, and an order that takes less.

Axes move one after the other, so travel times add up: a robot that moves several at once is quicker than the plan
says, never slower, and a time budget holds for both.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from jaxtyping import Bool, Float, Int

from acqplan.errors import UsageError
from acqplan.numbers import duration
from acqplan.plan.plan import Plan
from acqplan.space import Axis, Category, Circle, Shots, Space
from acqplan.space.shots import from_first_level

# Neighbours of a stop beside which a move may put it; twice as many shorten the travel by at most 1 % and take half as
# long again (400 and 810 random shots of the toys, with and without changes of the object).
NEAR = 10
# Orders of nesting that are tried: all of up to four actuators, of more only those with the slowest outermost.
MOST_NESTINGS = 24
# Stops that Or-opt moves together, as its author did.
LONGEST_SEGMENT = 3
CHUNK = 1000
# A move, or an order, that saves less is rounding.
LEAST_SECONDS = 1e-6


class TimedRig(Protocol):
    """What `Times` read of a rig."""

    @property
    def seconds_per_shot(self) -> float:
        """Exposure and transfer of one image."""

    @property
    def seconds_per_object(self) -> float | None:
        """Putting another object on the turntable; ``None`` if it is not known."""

    @property
    def settle_seconds(self) -> float:
        """Waiting after a move, before the exposure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """What taking shots costs beside the moves of the axes, which the space knows.

    Attributes:
        per_shot: Exposure and transfer of one image, seconds.
        per_object: Putting another object on the turntable, seconds; ``None`` if that is not known: then the shots of
            an object are taken together, whatever else takes time, and changes of the object are in no time.
        settle: Waiting until nothing shakes any more, seconds: before a shot that follows a move of an axis of numbers
            or a change of the object. A change of a category, such as the light, moves nothing.

    Raises:
        UsageError: If a time is negative or not finite.
    """

    per_shot: float = 0.0
    per_object: float | None = 0.0
    settle: float = 0.0

    def __post_init__(self) -> None:
        for name in ("per_shot", "per_object", "settle"):
            seconds = getattr(self, name) or 0.0
            if not 0.0 <= seconds < np.inf:
                raise UsageError(f"times with {name} = {seconds}", "give seconds, zero or more")

    @classmethod
    def of(cls, rig: TimedRig) -> Times:
        """What a rig, or the campaign on it, says."""
        return cls(per_shot=rig.seconds_per_shot, per_object=rig.seconds_per_object, settle=rig.settle_seconds)


def travel_seconds(
    space: Space, a: Float[np.ndarray, "views axes"], b: Float[np.ndarray, "views axes"]
) -> Float[np.ndarray, " views"]:
    """Seconds to move from each view to the view in the same row, one axis after the other.

    A circle takes the shorter way round; a category costs the same between any two levels.

    Args:
        space: Says what wraps, and how fast each axis is.
        a: Coordinates, shape ``[views, axes]``.
        b: Coordinates, shape ``[views, axes]``.
    """
    total = np.zeros(len(a))
    for column, axis in enumerate(space.axes):
        total += axis.seconds * axis.difference(a[:, column], b[:, column])
    return total


def route_seconds(shots: Shots, times: Times | None = None) -> float:
    """Seconds of taking shots in their order: exposures, moves, settling, changes of the object.

    The way to the first view is not counted, nor is putting the first object on the turntable: nobody knows where
    the rig stands.
    """
    costs = times or Times()
    before, after = shots.coordinates[:-1], shots.coordinates[1:]
    moves = travel_seconds(shots.space, before, after).sum()
    is_changed = np.diff(shots.object_rows) != 0
    is_moved = is_changed.copy()
    for column, axis in enumerate(shots.space.axes):
        if not isinstance(axis, Category):
            is_moved |= np.round(axis.difference(before[:, column], after[:, column]), 6) > 0
    waits = is_changed.sum() * (costs.per_object or 0.0) + is_moved.sum() * costs.settle
    return float(moves + waits + len(shots) * costs.per_shot)


def costs_travel(space: Space, times: Times | None = None) -> bool:
    """Whether the order of shots can matter: something is known to take time to move."""
    costs = times or Times()
    return any(axis.seconds for axis in space.axes) or bool(costs.per_object) or costs.settle > 0


def cheap_order(
    shots: Shots, times: Times | None = None, *, rounds: Int[np.ndarray, " shots"] | None = None
) -> Int[np.ndarray, " shots"]:
    """An order of shots that is quick to drive, never slower than the one they have unless it changes objects less.

    Shots that no move separates are taken together. Rounds stay in their order and are not mixed; each sets out from
    where the one before it ended. If no order is found that is quicker, or nothing takes time, the order stays.

    Args:
        shots: In the order of their strategy.
        times: Costs beside moves; exposure does not matter here.
        rounds: Round of each shot, ascending; by default all are of one, shape ``[shots]``.

    Returns:
        Rows of the shots in the order of taking, shape ``[shots]``.
    """
    given, costs = np.arange(len(shots)), times or Times()
    if costs.per_object is None:
        # a change that takes longer than all other moves together: no tour saves by an additional one
        widest = np.ptp(shots.coordinates, axis=0) if len(shots) else np.zeros(len(shots.space.axes))
        slowest = sum(axis.seconds * reach for axis, reach in zip(shots.space.axes, widest, strict=True))
        costs = replace(costs, per_object=1.0 + len(shots) * (float(slowest) + costs.settle))
    if len(shots) < 2 or not costs_travel(shots.space, costs):
        return given
    round_of = np.zeros(len(shots), dtype=np.int64) if rounds is None else rounds
    found: list[Int[np.ndarray, " some"]] = []
    for number in np.unique(round_of):
        rows = np.flatnonzero(round_of == number)
        start = found[-1][-1:] if found else rows[:0]
        found.append(rows[_round_order(shots.take(rows), shots.take(start), costs)])
    order = np.concatenate(found)
    saved = route_seconds(shots, costs) - route_seconds(shots.take(order), costs)
    return order if saved > LEAST_SECONDS else given


def routed(plan: Plan, times: Times | None = None) -> Plan:
    """The same plan in an order that is quick to drive, with its seconds and those of the order that it had.

    Round, gain and reason go with their shot.
    """
    order = cheap_order(plan.shots, times, rounds=plan.rounds)
    shots = plan.shots.take(order)
    return replace(
        plan,
        shots=shots,
        rounds=plan.rounds[order],
        gain=plan.gain[order],
        reason=tuple(plan.reason[row] for row in order),
        seconds_per_object=(times or Times()).per_object,
        route_seconds=route_seconds(shots, times),
        naive_seconds=route_seconds(plan.shots, times),
    )


def route_words(plan: Plan) -> str:
    """How long taking the shots of a routed plan lasts and what the order saves, ``1 h 05 min; …``."""
    within = "" if plan.time_budget is None else f" of the {duration(plan.time_budget)} at hand"
    return "; ".join(filter(None, [duration(plan.route_seconds or 0.0) + within, saved_words(plan)]))


def change_words(plan: Plan) -> str:
    """What is changed on the way, ``11 changes of object, 441 of lighting``; nothing if nothing is."""
    changes = {name: count for name, count in plan.changes.items() if count}
    words = ", ".join(f"{count:,} of {name}" for name, count in changes.items())
    words = words.replace(" of ", " change of " if words.startswith("1 ") else " changes of ", 1)
    if plan.route_seconds and plan.seconds_per_object is None and "object" in changes:
        words += "; that time has no changes of object, as rig.toml has no [objects] seconds_per_change"
    return words


def saved_words(plan: Plan) -> str:
    """What the order of a routed plan saves; nothing if the strategy's order stayed."""
    before, after = plan.naive_seconds or 0.0, plan.route_seconds or 0.0
    if before - after <= LEAST_SECONDS:
        return ""
    return f"{duration(before - after)} less than in the order of the strategy ({100 * (1 - after / before):.0f} %)"


def _round_order(shots: Shots, start: Shots, times: Times) -> Int[np.ndarray, " shots"]:
    """Order of the shots of one round, which sets out from ``start`` (one shot or none)."""
    joined = shots.join(start)
    # what takes time to move and does move between these shots; circles as seen from their first level
    actuators = []
    for column, axis in enumerate(shots.space.axes):
        codes = joined.coordinates[:, column]
        codes = from_first_level(axis, codes) if isinstance(axis, Circle) else codes
        shakes = not isinstance(axis, Category)
        actuators.append(Actuator(axis=axis, codes=codes, seconds=axis.seconds, shakes=shakes))
    turntable = Category(name="object on the turntable", values=shots.objects.names)
    objects = joined.object_rows.astype(np.float64)
    actuators.append(Actuator(axis=turntable, codes=objects, seconds=times.per_object or 0.0, shakes=True))
    actuators = [one for one in actuators if one.seconds + times.settle * one.shakes > 0 and np.ptp(one.codes) > 0]
    if not actuators:
        return np.arange(len(shots))
    # shots that no move separates are one stop; after the stops come the two ends, of which the second is free
    own = [np.unique(np.round(actuator.codes, 6), return_inverse=True)[1][: len(shots)] for actuator in actuators]
    _, first, stop = np.unique(np.stack(own, axis=1), axis=0, return_index=True, return_inverse=True)
    rows = np.concatenate([first, [len(shots) if len(start) else 0, 0]])
    is_place = np.append(np.ones(len(first), dtype=bool), [len(start) > 0, False])
    moved = tuple(replace(actuator, codes=actuator.codes[rows]) for actuator in actuators)
    place = np.argsort(short_tour(Stops(actuators=moved, is_place=is_place, settle=times.settle)))[stop.ravel()]
    # where changing the object is free, it still is work: every other stop takes objects backwards
    directed = np.where(place % 2 == 0, shots.object_rows, -shots.object_rows)
    return np.lexsort([directed, place])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Actuator:
    """Something that moves between stops.

    Attributes:
        axis: Says what is how far apart.
        codes: Its setting at each stop, shape ``[stops]``.
        seconds: Time to move by one unit, or for a change of category.
        shakes: Whether the rig has to settle once it has moved.
    """

    axis: Axis
    codes: Float[np.ndarray, " stops"]
    seconds: float
    shakes: bool

    @property
    def sweep(self) -> float:
        """Seconds of the mean step of a sweep over its levels: how slow it is."""
        levels = np.unique(self.codes)
        return float(self.axis.difference(levels[1:], levels[:-1]).mean()) * self.seconds if len(levels) > 1 else 0.0

    def keys(self, start: int | None) -> Int[np.ndarray, " stops"]:
        """Numbers of its levels in the order of a sweep.

        A circle is cut where its gap is widest, a category begins with its level at ``start``, if that is somewhere.
        """
        levels, numbers = np.unique(np.round(self.codes, 6), return_inverse=True)
        if isinstance(self.axis, Category) and start is not None:
            return (numbers - numbers[start]) % len(levels)
        if not isinstance(self.axis, Circle) or len(levels) < 3:
            return numbers
        gaps = np.round(np.diff(np.append(levels, levels[0] + self.axis.period)), 6)
        return (numbers - int(np.argmax(gaps)) - 1) % len(levels)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stops:
    """Where a tour has to go, where it starts, and how long it takes between stops; actuators move in turn.

    Two more stops are the ends of every path: number ``n`` is where it starts and ``n + 1`` where it ends. An end
    that is free is no time away from anywhere.

    Attributes:
        actuators: What moves; their codes have the two ends as well, shape ``[stops + 2]``.
        is_place: Whether each is somewhere; false for free ends, shape ``[stops + 2]``.
        settle: Seconds of settling where anything that shakes has moved.
    """

    actuators: tuple[Actuator, ...]
    is_place: Bool[np.ndarray, " stops_and_ends"]
    settle: float = 0.0

    def __len__(self) -> int:
        return len(self.is_place) - 2

    def seconds(self, a: Int[np.ndarray, "..."], b: Int[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """Travel time between stops, given by number."""
        total, is_moved = np.zeros(np.shape(a)), np.zeros(np.shape(a), dtype=bool)
        for actuator in self.actuators:
            apart = actuator.axis.difference(actuator.codes[a], actuator.codes[b])
            total += actuator.seconds * apart
            if self.settle and actuator.shakes:
                is_moved |= apart > LEAST_SECONDS
        total += self.settle * is_moved
        return total * (self.is_place[a] & self.is_place[b])


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
    # orders of nesting loops, the slowest actuator outermost first
    slowest = sorted(range(len(stops.actuators)), key=lambda number: -stops.actuators[number].sweep)
    nestings = list(itertools.islice(itertools.permutations(slowest), MOST_NESTINGS))
    # the quickest loop, forwards or backwards
    keys = [actuator.keys(n if stops.is_place[n] else None)[:n] for actuator in stops.actuators]
    loops = [_back_and_forth([keys[number] for number in nesting]) for nesting in nestings]
    paths = [np.concatenate([[n], order, [n + 1]]) for loop in loops for order in (loop, loop[::-1])]
    lengths = [float(stops.seconds(path[:-1], path[1:]).sum()) for path in paths]
    path = paths[int(np.argmin(np.round(lengths, 6)))].copy()
    where, near = np.argsort(path), _neighbours(stops, nestings)
    # apply moves while any saves time; after the first sweep look only at stops whose surroundings changed
    awake = np.arange(n)
    while len(awake):
        changed = [awake[:0]]
        for move in _promising(stops, path, where, near, awake):
            changed.append(_try(stops, path, where, *move))
        touched = np.unique(np.concatenate(changed))
        awake = touched[touched < n]
    return path[1:-1]


def _back_and_forth(keys: Sequence[Int[np.ndarray, " stops"]]) -> Int[np.ndarray, " stops"]:
    """Nested loops, the first key outermost; every other pass of a loop runs backwards."""
    group = np.zeros(len(keys[0]), dtype=np.int64)
    for key in keys:
        directed = np.where(group % 2 == 0, key, -key)
        order = np.lexsort([directed, group])
        is_next = (np.diff(directed[order]) != 0) | (np.diff(group[order]) != 0)
        group[order] = np.concatenate([[0], np.cumsum(is_next)])
    return np.argsort(group, kind="stable")


def _neighbours(stops: Stops, nestings: Sequence[tuple[int, ...]]) -> Int[np.ndarray, "stops near"]:
    """For each stop others that are near: those beside it in nested loops of any order; itself where there are few.

    Along the innermost axis of a nesting, the stop beside one is the nearest on that axis: no pairs need be compared.
    """
    n = len(stops)
    beside = []
    for nesting, far_cut in itertools.product(nestings, (False, True)):
        # the two stops before and after each in a nested loop; circles are cut on their far side as well
        columns = []
        for actuator in (stops.actuators[number] for number in nesting):
            codes = np.round(actuator.codes, 6)[:n]
            if far_cut and isinstance(actuator.axis, Circle):
                codes = np.mod(codes + actuator.axis.period / 2.0, actuator.axis.period)
            columns.append(codes)
        order = np.lexsort(columns[::-1])
        place = np.argsort(order)
        beside.append(np.stack([order[(place + step) % n] for step in (-2, -1, 1, 2)], axis=1))
    # of these the nearest, each once
    found, own = np.sort(np.concatenate(beside, axis=1), axis=1), np.arange(n)[:, None]
    apart = stops.seconds(np.broadcast_to(own, found.shape), found)
    apart[:, 1:][found[:, 1:] == found[:, :-1]] = np.inf
    apart[found == own] = np.inf
    best = np.argsort(np.round(apart, 6), axis=1, kind="stable")[:, :NEAR]
    return np.where(np.isinf(np.take_along_axis(apart, best, axis=1)), own, np.take_along_axis(found, best, axis=1))


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


def _try(
    stops: Stops,
    path: Int[np.ndarray, " stops_and_ends"],
    where: Int[np.ndarray, " stops_and_ends"],
    stop: int,
    neighbour: int,
    kind: int,
) -> Int[np.ndarray, " touched"]:
    """Make a move in place if it still saves time after those before it; the stops to look at again."""
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

    Each is ``(first, last, after, flip)``: the segment from ``first`` to ``last`` goes behind place ``after``,
    reversed if ``flip``. 2-opt reverses a segment where it is, ``after = first - 1``; Or-opt moves one to three stops.
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
    # the stops on both sides of the segment, of its reversal, and of its new place
    before, head, tail, behind = path[first - 1], path[first], path[last], path[last + 1]
    one, other = np.where(flip, tail, head), np.where(flip, head, tail)
    left, right = path[after], np.where(stays, behind, path[after + 1])
    # time of the links that go, less that of the links that come
    starts = np.stack([before, tail, left, other, left, before])
    ends = np.stack([head, behind, one, right, right, behind])
    old_before, old_behind, new_left, new_right, opened, closed = stops.seconds(starts, ends)
    saved = old_before + old_behind - new_left - new_right + np.where(stays, 0.0, opened - closed)
    return np.where(possible, saved, -np.inf)
