"""How long it takes to take shots in some order, and an order that takes less.

Axes move one after the other, so travel times add up: a robot that moves several at once is quicker than the plan
says, never slower, and a time budget holds for both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from acqplan.campaign.durations import duration as duration
from acqplan.campaign.plan import Plan
from acqplan.campaign.tour import Actuator, Stops, short_tour
from acqplan.errors import UsageError
from acqplan.space import Axis, Category, Circle, Shots, Space

SAME_SECONDS = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """What taking shots costs beside the moves of the axes, which the space knows.

    Attributes:
        per_shot: Exposure and transfer of one image, seconds.
        per_object: Putting another object on the turntable, seconds.

    Raises:
        UsageError: If a time is negative or not finite.
    """

    per_shot: float = 0.0
    per_object: float = 0.0

    def __post_init__(self) -> None:
        for name, seconds in (("per_shot", self.per_shot), ("per_object", self.per_object)):
            if not 0.0 <= seconds < np.inf:
                raise UsageError(f"times with {name} = {seconds}", "give seconds, zero or more")


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
        total += _speed(axis) * axis.difference(a[:, column], b[:, column])
    return total


def route_seconds(shots: Shots, times: Times | None = None) -> float:
    """Seconds of taking shots in their order: exposures, moves, changes of the object.

    The way to the first view is not counted, nor is putting the first object on the turntable: nobody knows where
    the rig stands.
    """
    costs = times or Times()
    moves = travel_seconds(shots.space, shots.coordinates[:-1], shots.coordinates[1:]).sum()
    changes = int((np.diff(shots.object_rows) != 0).sum())
    return float(moves + changes * costs.per_object + len(shots) * costs.per_shot)


def costs_travel(space: Space, times: Times | None = None) -> bool:
    """Whether the order of shots can matter: something takes time to move."""
    return any(map(_speed, space.axes)) or (times or Times()).per_object > 0


def cheap_order(
    shots: Shots, times: Times | None = None, *, rounds: Int[np.ndarray, " shots"] | None = None
) -> Int[np.ndarray, " shots"]:
    """An order of shots that is quick to drive, never slower than the one they have.

    Shots that no move separates are taken together. Rounds stay in their order and are not mixed; each sets out from
    where the one before it ended. If no order is found that is quicker, or nothing takes time, the order stays.

    Args:
        shots: In the order of their strategy.
        times: Costs beside moves; exposure does not matter here.
        rounds: Round of each shot, ascending; by default all are of one, shape ``[shots]``.

    Returns:
        Rows of the shots in the order of taking, shape ``[shots]``.
    """
    given = np.arange(len(shots))
    if len(shots) < 2 or not costs_travel(shots.space, times):
        return given
    costs, turns = times or Times(), np.zeros(len(shots), dtype=np.int64) if rounds is None else rounds
    found: list[Int[np.ndarray, " some"]] = []
    for number in np.unique(turns):
        rows = np.flatnonzero(turns == number)
        start = found[-1][-1:] if found else rows[:0]
        found.append(rows[_round_order(shots.take(rows), shots.take(start), costs)])
    order = np.concatenate(found)
    saved = route_seconds(shots, costs) - route_seconds(shots.take(order), costs)
    return order if saved > SAME_SECONDS else given


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
        route_seconds=route_seconds(shots, times),
        naive_seconds=route_seconds(plan.shots, times),
    )


def route_words(plan: Plan) -> str:
    """How long taking the shots of a routed plan lasts and what the order saves, ``1 h 05 min; …``."""
    within = "" if plan.time_budget is None else f" of the {duration(plan.time_budget)} at hand"
    return "; ".join(filter(None, [duration(plan.route_seconds or 0.0) + within, saved_words(plan)]))


def saved_words(plan: Plan) -> str:
    """What the order of a routed plan saves; nothing if the strategy's order stayed."""
    before, after = plan.naive_seconds or 0.0, plan.route_seconds or 0.0
    if before - after <= SAME_SECONDS:
        return ""
    return f"{duration(before - after)} less than in the order of the strategy ({100 * (1 - after / before):.0f} %)"


def _speed(axis: Axis) -> float:
    """Seconds for one unit, or for a change."""
    return axis.seconds_per_change if isinstance(axis, Category) else axis.seconds_per_unit


def _round_order(shots: Shots, start: Shots, times: Times) -> Int[np.ndarray, " shots"]:
    """Order of the shots of one round, which sets out from ``start`` (one shot or none)."""
    actuators = _actuators(shots.join(start), times)
    own = [np.unique(np.round(actuator.codes, 6), return_inverse=True)[1][: len(shots)] for actuator in actuators]
    if not actuators:
        return np.arange(len(shots))
    _, first, stop = np.unique(np.stack(own, axis=1), axis=0, return_index=True, return_inverse=True)
    ends = [len(shots) if len(start) else 0, 0]
    rows = np.concatenate([first, ends])
    is_place = np.append(np.ones(len(first), dtype=bool), [len(start) > 0, False])
    moved = tuple(replace(actuator, codes=actuator.codes[rows]) for actuator in actuators)
    place = np.argsort(short_tour(Stops(actuators=moved, is_place=is_place)))[stop.ravel()]
    # where changing the object is free, it still is work: every other stop takes objects backwards
    objects = np.where(place % 2 == 0, shots.object_rows, -shots.object_rows)
    return np.lexsort([objects, place])


def _actuators(shots: Shots, times: Times) -> list[Actuator]:
    """What takes time to move and does move between these shots; circles as seen from their first level."""
    found = [
        Actuator(axis=axis, codes=_from_first_level(axis, shots.coordinates[:, column]), seconds=_speed(axis))
        for column, axis in enumerate(shots.space.axes)
    ]
    turntable = Category(name="object on the turntable", values=shots.objects.names)
    found.append(Actuator(axis=turntable, codes=shots.object_rows.astype(np.float64), seconds=times.per_object))
    return [actuator for actuator in found if actuator.seconds > 0 and np.ptp(actuator.codes) > 0]


def _from_first_level(axis: Axis, codes: Float[np.ndarray, " shots"]) -> Float[np.ndarray, " shots"]:
    """A circle may call any direction zero; the order of taking shall not depend on it."""
    if not isinstance(axis, Circle):
        return codes
    return np.mod(np.round(np.mod(codes - axis.codes()[0], axis.period), 6), axis.period)
