"""Handing out shots: what is over comes back, then as many as budget, time and queue allow."""

from __future__ import annotations

import math
import os
import random
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acqplan.campaign.events import CAPTURED, LEASED, REJECTED, WITHDRAWN, CampaignState, ShotRecord
from acqplan.campaign.settings import CampaignSettings
from acqplan.campaign.store import Transaction
from acqplan.numbers import ViewValue, shot_identifier
from acqplan.rng import stream

if TYPE_CHECKING:
    from acqplan.campaign.store import Transaction


def this_process() -> str:
    """A name for this process that no other process, earlier or later, has."""
    return f"{socket.gethostname()}/{os.getpid()}/{_started(os.getpid())}"


def this_shell() -> str:
    """A name for whoever calls programs on this machine one after the other, each of which ends at once."""
    return f"shell@{socket.gethostname()}"


def is_gone(caller: str) -> bool:
    """Whether a caller is a process of this machine that does not run any more; of others nobody knows."""
    parts = caller.split("/")
    if len(parts) != 3 or parts[0] != socket.gethostname() or not parts[1].isdigit():
        return False
    number = int(parts[1])
    if Path("/proc/self/stat").exists():
        return _started(number) != parts[2]
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _started(number: int) -> str:
    """When a process was started, in ticks since the machine was; empty if it does not run or nobody says."""
    try:
        text = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = text.rpartition(")")[2].split()
    return "" if fields[0] in ("Z", "X") else fields[19]


DRAWS = 30
"""Draws for each shot that is missing, before all shots of a small space are gone through."""

MOST_LISTED = 200_000
REASON = "in place of a shot that cannot be had, by lot"


def draw_spares(ledger: Transaction, n: int) -> list[list[Any]]:
    """Rows of a plan (`shot, object, view, gain, reason`) of up to ``n`` shots that nobody has taken or forbidden.

    Objects with fewest shots come first; views are drawn by their weight in deployment being above zero.
    """
    draw = random.Random(stream(ledger.settings.seed, "spares", ledger.standing.last))
    found: dict[str, list[Any]] = {}
    wanted = Counter(dict.fromkeys(sorted(ledger.standing.objects), 0))
    for name, _, state, count in ledger.tally():
        if name in wanted and state not in (REJECTED, WITHDRAWN):
            wanted[name] += count
    if not wanted:
        return []
    for name, view in _drawn(ledger.settings, wanted, n, draw):
        _add(found, ledger, name, view, wanted)
        if len(found) == n:
            return list(found.values())
    if len(wanted) * n_views(ledger.settings) <= MOST_LISTED:
        listed = [(name, number) for name in wanted for number in range(n_views(ledger.settings))]
        draw.shuffle(listed)
        for name, number in listed:
            if len(found) == n:
                break
            _add(found, ledger, name, number, wanted)
    return list(found.values())


def n_views(settings: CampaignSettings) -> int:
    """Views of the space."""
    if settings.table is not None:
        return len(settings.table)
    total = 1
    for axis in settings.axes:
        total *= len(axis.values)
    return total


def view_at(settings: CampaignSettings, number: int) -> tuple[ViewValue, ...]:
    """A view by its number; of a grid the last axis varies fastest."""
    if settings.table is not None:
        return settings.table[number]
    levels: list[ViewValue] = []
    for axis in reversed(settings.axes):
        number, level = divmod(number, len(axis.values))
        value = axis.values[level]
        levels.append(value % axis.period if axis.kind == "circle" and not isinstance(value, str) else value)
    return tuple(reversed(levels))


def _drawn(settings: CampaignSettings, wanted: Counter[str], n: int, draw: random.Random) -> Iterator[tuple[str, int]]:
    views = n_views(settings)
    for _ in range(min(DRAWS * n, MOST_LISTED)):
        fewest = min(wanted.values(), default=0)
        names = [name for name, count in wanted.items() if count == fewest]
        yield draw.choice(names or sorted(wanted)), draw.randrange(views)


def _add(found: dict[str, list[Any]], ledger: Transaction, name: str, number: int, wanted: Counter[str]) -> None:
    settings = ledger.settings
    if settings.view_weights is not None and settings.view_weights[number] <= 0:
        return
    view = view_at(settings, number)
    shot = shot_identifier(name, view)
    if shot in found:
        return
    before = ledger.get(shot)
    fresh = before or ShotRecord(shot=shot, object=name, label=ledger.standing.objects[name], view=view)
    if (before is None or before.state == WITHDRAWN) and not ledger.is_barred(fresh):
        found[shot] = [shot, name, list(view), 0.0, REASON]
        wanted[name] += 1


FEWEST_ANSWERS = 20
"""Answers before which no share of failures stops a campaign."""


def take_back(ledger: Transaction) -> None:
    """Leases that are over, and those of processes of this machine that were killed."""
    for record in ledger.overdue():
        ledger.append("expired", record.shot)
    for record in list(ledger.every(LEASED)):
        if is_gone(record.caller):
            ledger.append("expired", record.shot, given_back=True, reason="its process is gone")


def finished(settings: CampaignSettings, standing: CampaignState, now: float) -> str:
    """Why no shot will be handed out any more; empty while some may be."""
    if standing.stopped:
        return standing.stopped
    if standing.exposures >= standing.budget:
        return f"the budget of {standing.budget:,} images is spent"
    if standing.seconds_left(now) <= 0:
        return f"the time budget of {standing.time_budget:,.0f} seconds is spent"
    if settings.stop_when_saturated and standing.saturated:
        return standing.saturated
    return ""


def watch_failures(ledger: Transaction) -> None:
    """Stop the campaign if too many of the last answers were failures."""
    answers, limit = ledger.standing.answers, ledger.settings.failure_limit
    failed = answers.count("0")
    if ledger.standing.stopped or len(answers) < FEWEST_ANSWERS or failed <= limit * len(answers):
        return
    said = f"{failed} of the last {len(answers)} answers were failures, above the limit of {100 * limit:.0f} %"
    ledger.append("stopped", reason=said)


def lease(ledger: Transaction, n: int, caller: str) -> list[ShotRecord]:
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
    expires = ledger.now + ledger.settings.lease_seconds
    for record in queue:
        ledger.append("leased", record.shot, caller=caller, expires=expires)
    return [found for record in queue if (found := ledger.get(record.shot))]


def stop_if_exhausted(ledger: Transaction) -> None:
    """End a campaign whose queue is empty, which nobody will answer, and for which nothing can be drawn."""
    standing = ledger.standing
    if standing.room and not standing.queued and not standing.counts[LEASED] and not draw_spares(ledger, 1):
        ledger.append("stopped", reason="no shot is left that could be taken")


def _behind(queue: list[ShotRecord]) -> int:
    return max((record.position for record in queue), default=0) + 1


def _in_time(ledger: Transaction, queue: list[ShotRecord], caller: str) -> list[ShotRecord]:
    """The first shots of the queue that a caller takes before the time is up, after those that it has already."""
    left = ledger.standing.seconds_left(ledger.now)
    if math.isinf(left):
        return queue
    held = [record for record in ledger.every(LEASED) if record.caller == caller]
    before, spent = _last_pose(ledger), 0.0
    for place, record in enumerate([*held, *queue]):
        spent += ledger.settings.seconds_between(before, (record.object, record.view))
        if spent > left:
            return queue[: max(place - len(held), 0)]
        before = (record.object, record.view)
    return queue


def _last_pose(ledger: Transaction) -> tuple[str, tuple[float | int | str, ...]] | None:
    told = ledger.events(kinds=("told",), last=1)
    record = ledger.get(told[0].shot) if told else None
    return (record.object, record.reached) if record and record.state == CAPTURED else None
