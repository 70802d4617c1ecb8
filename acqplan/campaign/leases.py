"""Handing out shots: what is over comes back, then as many as budget, time and queue allow."""

from __future__ import annotations

import math

from acqplan.campaign.callers import is_gone
from acqplan.campaign.record import CAPTURED, LEASED, Record, Standing
from acqplan.campaign.spares import draw_spares
from acqplan.campaign.store_ledger import Ledger
from acqplan.campaign.terms import Terms

FEWEST_ANSWERS = 20
"""Answers before which no share of failures stops a campaign."""


def take_back(ledger: Ledger) -> None:
    """Leases that are over, and those of processes of this machine that were killed."""
    for record in ledger.overdue():
        ledger.append("expired", record.shot)
    for record in list(ledger.every(LEASED)):
        if is_gone(record.caller):
            ledger.append("expired", record.shot, given_back=True, reason="its process is gone")


def finished(terms: Terms, standing: Standing, now: float) -> str:
    """Why no shot will be handed out any more; empty while some may be."""
    if standing.stopped:
        return standing.stopped
    if standing.exposures >= standing.budget:
        return f"the budget of {standing.budget:,} images is spent"
    if standing.seconds_left(now) <= 0:
        return f"the time budget of {standing.time_budget:,.0f} seconds is spent"
    if terms.stop_when_saturated and standing.saturated:
        return standing.saturated
    return ""


def watch_failures(ledger: Ledger) -> None:
    """Stop the campaign if too many of the last answers were failures."""
    answers, limit = ledger.standing.answers, ledger.terms.failure_limit
    failed = answers.count("0")
    if ledger.standing.stopped or len(answers) < FEWEST_ANSWERS or failed <= limit * len(answers):
        return
    said = f"{failed} of the last {len(answers)} answers were failures, above the limit of {100 * limit:.0f} %"
    ledger.append("stopped", reason=said)


def lease(ledger: Ledger, n: int, caller: str) -> list[Record]:
    """Lease up to ``n`` shots to a caller, in the order of the queue."""
    wanted = min(n, ledger.standing.room)
    queue = ledger.queue(wanted) if wanted else []
    if len(queue) < wanted:
        spares = draw_spares(ledger, wanted - len(queue))
        if spares:
            number = ledger.standing.rounds
            ledger.append("replanned", replaces=False, round=number, position=_behind(queue), strategy="", shots=spares)
            queue = ledger.queue(wanted)
    queue = _in_time(ledger, queue, caller)
    if queue:
        ledger.append("asked", caller=caller, wanted=n, shots=[record.shot for record in queue])
    expires = ledger.now + ledger.terms.lease_seconds
    for record in queue:
        ledger.append("leased", record.shot, caller=caller, expires=expires)
    return [found for record in queue if (found := ledger.get(record.shot))]


def stop_if_exhausted(ledger: Ledger) -> None:
    """End a campaign whose queue is empty, which nobody will answer, and for which nothing can be drawn."""
    standing = ledger.standing
    if standing.room and not standing.queued and not standing.counts[LEASED] and not draw_spares(ledger, 1):
        ledger.append("stopped", reason="no shot is left that could be taken")


def _behind(queue: list[Record]) -> int:
    return max((record.position for record in queue), default=0) + 1


def _in_time(ledger: Ledger, queue: list[Record], caller: str) -> list[Record]:
    """The first shots of the queue that a caller takes before the time is up, after those that it has already."""
    left = ledger.standing.seconds_left(ledger.now)
    if math.isinf(left):
        return queue
    held = [record for record in ledger.every(LEASED) if record.caller == caller]
    before, spent = _last_pose(ledger), 0.0
    for place, record in enumerate([*held, *queue]):
        spent += ledger.terms.seconds_between(before, (record.object, record.view))
        if spent > left:
            return queue[: max(place - len(held), 0)]
        before = (record.object, record.view)
    return queue


def _last_pose(ledger: Ledger) -> tuple[str, tuple[float | int | str, ...]] | None:
    told = ledger.events(kinds=("told",), last=1)
    record = ledger.get(told[0].shot) if told else None
    return (record.object, record.reached) if record and record.state == CAPTURED else None
