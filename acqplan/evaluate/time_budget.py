"""How many images can be taken in a given time.

The strategy chooses as if it were given a number of images, and that number is as large as the routed plan allows.

Other ways to spend a time have more images, and were no better on new objects (`benchmarks/route.py --choices`, toys
with histograms, two times with and without changes of the object, 3 seeds): leaving out the shots of least gain per
second has 6 to 22 % more images and -0.6 to +2.5 points (standard errors 0.3 to 1.4); half the azimuths -1.9 to +1.9
(1.1 to 2.0); a quarter of the poses -1.7 to +3.9 (0.5 to 2.4), better only where an object has three or four images; a
ninth of the poses loses 2 to 8 points.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from acqplan.campaign.route import Times, cheap_order, costs_travel, duration, route_seconds
from acqplan.errors import BudgetError, UsageError
from acqplan.evaluate.replay import Arm, Learn, replay
from acqplan.space import Shots, Space
from acqplan.strategy.base import History

EVEN_PLANS = 8
"""Larger plans that are tried."""

LARGEST_GROWTH = 8.0
"""Steps of the search upwards; the last one goes too far, and large plans take long to make."""

LEAST_SECONDS = 1e-3


def check_time_budget(seconds: float, space: Space, times: Times) -> None:
    """Refuse a time that cannot be, or a rig on which it means nothing.

    Raises:
        UsageError: If the time is not positive and finite, or nothing on the rig takes time.
    """
    if not 0.0 < seconds < float("inf"):
        raise UsageError(f"a time budget of {seconds:g} s", "give a time above zero, e.g. 2h")
    if not costs_travel(space, times) and times.per_shot == 0:
        raise UsageError(
            f"a time budget of {duration(seconds)}, but rig.toml does not say how long anything takes",
            "give seconds_per_unit or seconds_per_change of [[axis]], or seconds of [shot]",
        )


def planned_seconds(arm: Arm, candidates: Shots, start: History, times: Times, *, learn: Learn | None = None) -> float:
    """Seconds of the routed plan of an arm that sees no image on the way; the arguments are those of `replay`."""
    run = replay([arm], candidates, start, None, learn=learn)[0]
    return route_seconds(run.shots.take(cheap_order(run.shots, times, rounds=run.rounds)), times)


def images_in_time(seconds_of: Callable[[int], float], limit: float, *, least: int, most: int, step: int = 1) -> int:
    """A number of images whose plan fits into a time while that of one more does not.

    Larger plans are not always slower: one of as many images of every object may have a shorter way than a smaller
    one that is uneven (lattices differ by a tenth). So where the time ends is narrowed down from both sides, and then
    somewhat larger plans that are even are tried. It is the largest number found, not of all.

    Args:
        seconds_of: Seconds of a plan, by its number of images.
        limit: Seconds at hand.
        least: Fewest images that make a plan.
        most: Most images that can be had, at least ``least``.
        step: Plans of a multiple of so many are even: the number of objects.

    Raises:
        BudgetError: If not even the least fits.
    """
    needed = seconds_of(least)
    if needed > limit:
        raise BudgetError(
            f"a time budget of {duration(limit)}, but the fewest images that can be planned ({least:,}) take "
            f"{duration(needed)}",
            "give more time",
        )
    low = high = (least, needed)
    while high[1] <= limit and high[0] < most:
        low = high
        more = min(max(math.ceil(low[0] * min(limit / max(low[1], LEAST_SECONDS), LARGEST_GROWTH)), 2 * low[0]), most)
        high = (more, seconds_of(more))
    if high[1] <= limit:
        return high[0]
    found = _narrowed(seconds_of, limit, low, high)
    even = range((found // step + 1) * step, most + 1, step)[:EVEN_PLANS]
    fitting = [(number, seconds) for number in even if (seconds := seconds_of(number)) <= limit]
    if not fitting:
        return found
    low = fitting[-1]
    above = min(low[0] + step, most)
    seconds = seconds_of(above)
    if seconds <= limit:
        return images_in_time(seconds_of, limit, least=above, most=most, step=step)
    return _narrowed(seconds_of, limit, low, (above, seconds))


def _narrowed(seconds_of: Callable[[int], float], limit: float, low: tuple[int, float], high: tuple[int, float]) -> int:
    """The number below which all fits and above which nothing does: by turns where a line says, and halfway."""
    by_line = True
    while high[0] - low[0] > 1:
        share = (limit - low[1]) / (high[1] - low[1]) if by_line else 0.5  # what fits takes less than what does not
        middle = min(max(low[0] + round(share * (high[0] - low[0])), low[0] + 1), high[0] - 1)
        found = (middle, seconds_of(middle))
        low, high = (found, high) if found[1] <= limit else (low, found)
        by_line = not by_line
    return low[0]
