"""In which rounds a budget is spent."""

from __future__ import annotations

from collections.abc import Sequence

from acqplan.strategy.base import Strategy, learns

PILOT_SHARE = 0.1
"""The pilot's share of a budget (METHODS.md: 5 to 15 %); it counts."""

LEARNING_SHARES = (PILOT_SHARE, 0.5)
"""Shares after which a strategy that learns looks at what it has: the pilot, for how far an image speaks; then half of
the budget, for where errors are (METHODS.md: half first, the rest where it is needed)."""


def stops_of(rule: Strategy, budget: int, n_objects: int, *, known: int = 0) -> tuple[int, ...]:
    """Where a strategy that learns stops to look; others take everything in one round, for which it is as good.

    Args:
        rule: The strategy.
        budget: Images it may take, known ones included.
        n_objects: Objects; the first round is to show each of them.
        known: Images captured before.
    """
    return _ascending(LEARNING_SHARES if learns(rule) else (), budget, n_objects, known)


def pilot_stops(rule: Strategy, budget: int, n_objects: int, *, known: int = 0) -> tuple[int, ...]:
    """The same for a plan that is carried out: every strategy has a pilot, so that features of it are at hand early."""
    return stops_of(rule, budget, n_objects, known=known) or _ascending((PILOT_SHARE,), budget, n_objects, known)


def _ascending(shares: Sequence[float], budget: int, n_objects: int, known: int) -> tuple[int, ...]:
    stops = sorted({max(round(share * budget), n_objects) for share in shares})
    return tuple(stop for stop in stops if known < stop < budget)
