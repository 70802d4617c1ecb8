"""How a campaign stands: what is taken and what is to come, how fast, and what keeps failing where."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from acqplan.campaign.failures import failure_summary, level_name
from acqplan.campaign.identifiers import ViewValue
from acqplan.campaign.leases import finished
from acqplan.campaign.record import CAPTURED, LEASED, PROPOSED, REJECTED, Standing
from acqplan.campaign.store import Store
from acqplan.campaign.store_ledger import Ledger
from acqplan.campaign.terms import AxisTerms

LATELY = 60
"""Captures that the present rate is measured over."""

HOUR = 3600.0

Seen = tuple[tuple[ViewValue, ...], str, bool, int]
"""Commanded view, state, whether barred, and number of shots, as of `Ledger.views`."""

STATE_WORDS = {CAPTURED: "captured", LEASED: "leased", REJECTED: "rejected"}


def status_of(store: Store) -> dict[str, Any]:
    """How a campaign stands, as of one moment.

    Returns:
        Fit for JSON: ``budget``, ``exposures`` (images that count), ``captured``, ``leased``, ``queued``, ``failed``
        (failed tries), ``rejected``, ``surplus``, ``remaining`` (images that may still be leased); ``time_budget`` and
        ``seconds_left`` (``None`` without one), ``paused``, ``stopped`` and ``finished`` (reasons, empty if it is
        not), ``rounds``, ``objects`` (how many), ``events`` (number of the last); ``by_class`` and ``by_object``
        ``{name: {captured, leased, queued, rejected}}``; ``by_axis`` ``{axis: {level: {captured, planned, failed}}}``
        by commanded settings, where planned are the shots captured, leased or to come; ``rate`` ``{per_hour_last,
        per_hour, since}``, ``remaining_seconds`` by the present rate; ``failures`` as of
        `acqplan.campaign.failures.failure_summary`; ``regions`` forbidden, ``[{number, where}]``; the last ``advice``
        and ``saturated``, why it says stop.
    """
    with store.reading() as ledger:
        standing = ledger.standing
        rate, progress = _rate(ledger), ledger.progress()
        views = ledger.views()
        failures, failed_at = failure_summary(ledger)
        reason = finished(store.terms, standing, ledger.now)
        return {
            **_counts(standing),
            **_time(standing, ledger.now),
            "paused": standing.paused_at is not None,
            "stopped": standing.stopped,
            "finished": reason,
            "rounds": standing.rounds,
            "objects": len(standing.objects),
            "events": standing.last,
            "by_class": _grouped([(label, state, barred, n) for _, label, state, barred, n in progress]),
            "by_object": _grouped([(name, state, barred, n) for name, _, state, barred, n in progress]),
            "by_axis": {
                axis.name: _levels(axis, place, views, failed_at[place]) for place, axis in enumerate(store.terms.axes)
            },
            "rate": rate,
            "remaining_seconds": 0.0 if reason else _remaining_seconds(standing, rate["per_hour_last"], ledger.now),
            "failures": failures,
            "regions": [{"number": int(number), "where": where} for number, where in standing.regions.items()],
            "advice": standing.advice,
            "saturated": standing.saturated,
        }


def _counts(standing: Standing) -> dict[str, Any]:
    return {
        "budget": standing.budget,
        "exposures": standing.exposures,
        "captured": standing.captured,
        "leased": standing.counts[LEASED],
        "queued": standing.queued,
        "failed": standing.failures,
        "rejected": standing.counts[REJECTED],
        "surplus": standing.surplus,
        "remaining": standing.room,
    }


def _time(standing: Standing, now: float) -> dict[str, float | None]:
    left = standing.seconds_left(now)
    return {
        "time_budget": standing.time_budget,
        "seconds_left": None if math.isinf(left) else round(max(left, 0.0), 1),
    }


def _grouped(rows: list[tuple[str, str, bool, int]]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for name, state, barred, count in rows:
        group = found.setdefault(name, {"captured": 0, "leased": 0, "queued": 0, "rejected": 0})
        word = "queued" if state == PROPOSED and not barred else STATE_WORDS.get(state)
        if word:
            group[word] += count
    return dict(sorted(found.items()))


def _levels(axis: AxisTerms, place: int, views: Sequence[Seen], failed: Counter[Any]) -> dict[str, dict[str, int]]:
    """Each level of an axis, those that no plan has used included."""
    levels = {axis.read(value): {"captured": 0, "planned": 0} for value in axis.values}
    for view, state, barred, count in views:
        level = levels.setdefault(view[place], {"captured": 0, "planned": 0})
        level["captured"] += count if state == CAPTURED else 0
        level["planned"] += count if state in (CAPTURED, LEASED) or (state == PROPOSED and not barred) else 0
    return {level_name(value): {**level, "failed": failed[value]} for value, level in levels.items()}


def _rate(ledger: Ledger) -> dict[str, float | None]:
    """Images an hour: over all the time that was not paused, and over the last captures.

    Of the latter, a wait longer than a lease counts as long as a lease: nobody was at work.
    """
    standing, told = ledger.standing, ledger.events(kinds=("told",), last=LATELY)
    if standing.began is None or not told:
        return {"per_hour_last": None, "per_hour": None, "since": standing.began}
    worked = told[-1].at - standing.began - _paused_seconds(ledger, standing.began, told[-1].at)
    times = [event.at for event in told]
    waits = [min(b - a, ledger.terms.lease_seconds) for a, b in pairwise(times)]
    return {
        "per_hour_last": _per_hour(len(waits), sum(waits)),
        "per_hour": _per_hour(standing.captured, worked),
        "since": round(standing.began, 3),
    }


def _paused_seconds(ledger: Ledger, began: float, ended: float) -> float:
    """Length of the pauses between two moments."""
    total, since = 0.0, ended
    for event in ledger.events(kinds=("paused", "resumed")):
        if event.kind == "resumed":
            total += max(min(event.at, ended) - since, 0.0)
        since = max(event.at, began) if event.kind == "paused" else ended
    return total


def _per_hour(count: int, seconds: float) -> float | None:
    return round(HOUR * count / seconds, 2) if count and seconds > 0 else None


def _remaining_seconds(standing: Standing, per_hour: float | None, now: float) -> float | None:
    """Time until the budget is spent, or the time is up; unknown before a rate can be measured."""
    left = standing.seconds_left(now)
    if not per_hour:
        return None
    needed = HOUR * (standing.room + standing.counts[LEASED]) / per_hour
    return round(min(needed, max(left, 0.0)), 1)
