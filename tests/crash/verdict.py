"""What is wrong with a campaign whose capture processes were killed, by their own journals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acqplan.campaign.campaign import Campaign
from acqplan.campaign.check import check_campaign
from acqplan.campaign.events import CAPTURED, LEASED, Event
from acqplan.files import digest_content
from tests.crash.capturing import Line, lines_of
from tests.crash.pictures import SIZE, picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """One kill.

    Attributes:
        pid: Who was killed.
        at: When, seconds since 1970.
        exact: Whether at a named moment; otherwise by the clock.
        last: The last moment that was passed: of a kill by the clock, ``before`` an operation means within it.
    """

    pid: int
    at: float
    exact: bool
    last: str


def verdict_of(folder: Path, store: Path | str, kills: Sequence[Kill] = (), *, pixels: int = SIZE) -> dict[str, Any]:
    """What was counted, and sentences about what is wrong.

    Args:
        folder: Of the journals, ``journal-…``, and of errors of capture processes, ``error-…``.
        store: The campaign.
        kills: Of its capture processes.
        pixels: Side of the images.
    """
    lines = [line for path in sorted(folder.glob("journal-*")) for line in lines_of(path)]
    digests = {line.number: digest_content(picture(line.number, pixels)) for line in lines}
    with Campaign.open(store) as campaign:
        found, events = check_campaign(campaign, mend=False), campaign.events()
        with campaign.store.reading() as ledger:
            standing, records = ledger.state, list(ledger.every())
    told = [event for event in events if event.kind == "told"]
    wrong = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("error-*"))]
    wrong += _lost(lines, events, digests) + _twice(told) + _phantoms(lines, told, digests) + _double_leases(events)
    wrong += [f"{name}: {found[name]}" for name in ("damaged", "surplus", "recovered") if found[name]]
    wrong += [] if found["records"] == "agree" else ["records are not the fold of the events"]
    captured = sum(record.state == CAPTURED for record in records)
    if not captured == standing.exposures == standing.budget == len(told):
        wrong.append(f"{captured} captured, {standing.exposures} counted, {len(told)} told of {standing.budget}")
    if any(record.state == LEASED for record in records):
        wrong.append("shots are leased at the end")
    return {
        "budget": standing.budget,
        "captured": captured,
        "taken": sum(line.what == "taken" for line in lines),
        "told_again": sum(line.what == "already" for line in lines),
        "images_nobody_spoke_of": len(found["left"]) + len(found["on_their_way"]),
        "half_written": found["half_written"],
        "leases_taken_back": sum(event.kind == "expired" for event in events),
        "seconds_orphaned": max((_orphaned(events, kill) for kill in kills), default=0.0),
        "wrong": wrong,
    }


def _lost(lines: Iterable[Line], events: Iterable[Event], digests: Mapping[int, str]) -> list[str]:
    """Images that `Campaign.tell` had taken, of which no event speaks."""
    known = {(event.shot, event.body["digest"]) for event in events if event.kind in ("told", "surplus")}
    answered = [line for line in lines if line.what != "taken"]
    return [f"lost: {line}" for line in answered if (line.shot, digests[line.number]) not in known]


def _twice(told: Iterable[Event]) -> list[str]:
    shots = Counter(event.shot for event in told)
    digests = Counter(event.body["digest"] for event in told)
    return [f"counted {count} times: {name}" for name, count in (shots + digests).items() if count > 1]


def _phantoms(lines: Iterable[Line], told: Iterable[Event], digests: Mapping[int, str]) -> list[str]:
    taken = {(line.shot, digests[line.number]) for line in lines}
    return [f"never taken: {event}" for event in told if (event.shot, event.body["digest"]) not in taken]


def _double_leases(events: Iterable[Event]) -> list[str]:
    """Shots that were handed out while somebody else had them."""
    held: set[str] = set()
    wrong = []
    for event in events:
        if event.kind == "leased":
            wrong += [f"leased twice at once: {event}"] if event.shot in held else []
            held.add(event.shot)
        elif event.kind in ("expired", "told", "failed"):
            held.discard(event.shot)
    return wrong


def _orphaned(events: Sequence[Event], kill: Kill) -> float:
    """How long after a kill its leases were not given back, of those that somebody could have had."""
    own = {e.shot for e in events if e.kind == "leased" and e.body["caller"].split("/")[1] == str(kill.pid)}
    back = [event.at for event in events if event.kind == "expired" and event.shot in own and event.at >= kill.at - 1]
    return max((at - kill.at for at in back), default=0.0)
