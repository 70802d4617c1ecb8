"""In which rounds a budget is spent by a rule that learns; loads no numpy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from acqplan.plan.base import Strategy

PILOT_SHARE = 0.1
"""The pilot's share of a budget (METHODS.md: 5 to 15 %); it counts."""

LEARNING_SHARES = (PILOT_SHARE, 0.5)
"""Shares after which a strategy that learns looks at what it has: the pilot, for how far an image speaks; then half of
the budget, for where errors are (METHODS.md: half first, the rest where it is needed)."""

ENOUGH_SHARE = 0.9
"""Of the images up to a stop, when the next round is planned: the last few are on their way."""


def learning_stops(budget: int, n_objects: int, *, known: int = 0) -> tuple[int, ...]:
    """Images after which a strategy that learns looks at what it has.

    Args:
        budget: Images that may be taken, known ones included.
        n_objects: Objects; the first round is to show each of them.
        known: Images captured before.
    """
    stops = sorted({max(round(share * budget), n_objects) for share in LEARNING_SHARES})
    return tuple(stop for stop in stops if known < stop < budget)


def next_stop(budget: int, n_objects: int, known: int) -> int | None:
    """The first stop of which so many images are not yet `enough`; ``None`` if there is none."""
    return next((stop for stop in learning_stops(budget, n_objects) if known < enough(stop)), None)


def enough(stop: int) -> int:
    """Images after which the round that begins at a stop is planned."""
    return math.ceil(ENOUGH_SHARE * stop)


def stops_of(rule: Strategy, budget: int, n_objects: int, *, known: int = 0) -> tuple[int, ...]:
    """Where a strategy that learns stops to look; others take everything in one round.

    A plan that is laid at once is more even than one laid in rounds: a lattice of 90 images whose first round, 25 of
    them, showed each of the toys once was 1.2 points less accurate (78.6 against 79.8 %, five seeds).

    Args:
        rule: The strategy.
        budget: Images it may take, known ones included.
        n_objects: Objects; the first round is to show each of them.
        known: Images captured before.
    """
    return learning_stops(budget, n_objects, known=known) if getattr(rule, "learns", False) else ()
