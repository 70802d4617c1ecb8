"""In which rounds a budget is spent by a rule that learns; loads no numpy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from acqplan.plan.base import Strategy

# The pilot's share of a budget (METHODS.md: 5 to 15 %).
PILOT_SHARE = 0.1
# Shares after which a strategy that learns looks at its images: after the pilot, for length scales; after half of the
# budget, for where errors are (METHODS.md: half first, the rest where it is needed).
LEARNING_SHARES = (PILOT_SHARE, 0.5)
# Share of the images up to a stop after which the next round is planned: the last few are on their way.
ENOUGH_SHARE = 0.9


def learning_stops(budget: int, n_objects: int, *, known: int = 0) -> tuple[int, ...]:
    """Numbers of images after which a strategy that learns looks at them.

    Args:
        budget: Images that may be taken, known ones included.
        n_objects: Objects; the first round is to show each of them.
        known: Images captured before.
    """
    stops = sorted({max(round(share * budget), n_objects) for share in LEARNING_SHARES})
    return tuple(stop for stop in stops if known < stop < budget)


def next_stop(budget: int, n_objects: int, known: int) -> int | None:
    """The first stop for which these images are not yet `enough`; ``None`` if there is none."""
    return next((stop for stop in learning_stops(budget, n_objects) if known < enough(stop)), None)


def enough(stop: int) -> int:
    """Images after which the round that begins at a stop is planned."""
    return math.ceil(ENOUGH_SHARE * stop)


def stops_of(rule: Strategy, budget: int, n_objects: int, *, known: int = 0) -> tuple[int, ...]:
    """Stops of a strategy that learns; others take everything in one round.

    What looks at no image gains nothing by rounds, and loses little: on toys with histograms the lattice in two to five
    rounds was .1 points less accurate on average (benchmarks/README.md).

    Args:
        rule: The strategy.
        budget: Images it may take, known ones included.
        n_objects: Objects; the first round is to show each of them.
        known: Images captured before.
    """
    return learning_stops(budget, n_objects, known=known) if getattr(rule, "learns", False) else ()
