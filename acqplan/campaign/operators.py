"""What operators do to a campaign while it runs: every deed is an event, and a further event undoes it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from acqplan.campaign.events import CAPTURED, REJECTED, Event
from acqplan.campaign.images import known_shot
from acqplan.campaign.region import Region
from acqplan.campaign.store import Store, Transaction
from acqplan.errors import BudgetError, UsageError, nearest


def pause(store: Store, reason: str = "") -> Event:
    """Hand out nothing until `resume`; answers are taken, and the time budget stands still."""
    with store.writing() as ledger:
        if ledger.state.paused_at is not None:
            raise UsageError("the campaign is paused already", "resume it")
        return ledger.append("paused", reason=reason)


def resume(store: Store) -> Event:
    """Go on after a pause or a stop."""
    with store.writing() as ledger:
        standing = ledger.state
        if standing.paused_at is None and not standing.stopped and not standing.saturated:
            raise UsageError("the campaign is neither paused nor stopped", "ask for shots")
        event = ledger.append("continued") if standing.stopped or standing.saturated else None
        return ledger.append("resumed") if standing.paused_at is not None or event is None else event


def stop(store: Store, reason: str) -> Event:
    """End the campaign, until `resume`."""
    with store.writing() as ledger:
        if ledger.state.stopped:
            raise UsageError(f"the campaign is stopped already: {ledger.state.stopped}", "resume it")
        return ledger.append("stopped", reason=reason or "stopped by an operator")


def forbid(store: Store, where: str) -> Event:
    """Take no shots in a region, such as ``elevation>65``; what is leased may still be answered.

    Raises:
        SpaceError: If the region cannot be read.
        UsageError: If it is forbidden already.
    """
    with store.writing() as ledger:
        region = Region.parse(
            where, replace(store.settings, objects={**store.settings.objects, **ledger.state.objects})
        )
        if region.text in ledger.state.regions.values():
            raise UsageError(f"region '{region.text}' is forbidden already", "allow it to undo that")
        return ledger.append("forbidden", where=region.text)


def allow(store: Store, where: str) -> Event:
    """Undo `forbid`; the region is written as it was then."""
    with store.writing() as ledger:
        for number, text in ledger.state.regions.items():
            if text == where.strip():
                return ledger.append("allowed", undoes=int(number), where=text)
        regions = list(ledger.state.regions.values())
        raise UsageError(f"region '{where}' is not forbidden", nearest(where, regions) if regions else "nothing is")


def add_object(store: Store, name: str, label: str) -> Event:
    """Put another object on the turntable; the next plan has shots of it."""
    with store.writing() as ledger:
        if name in ledger.state.objects:
            raise UsageError(f"object '{name}' is there already", "give another name")
        before = store.settings.objects.get(name)
        if not name.strip() or not label.strip() or (before is not None and before != label):
            raise UsageError(
                f"object '{name}' with label '{label}'", f"its label is '{before}'" if before else "name it"
            )
        return ledger.append("object added", object=name, label=label)


def remove_object(store: Store, name: str) -> Event:
    """Take an object away; its images stay in the data set."""
    with store.writing() as ledger:
        if name not in ledger.state.objects:
            raise UsageError(f"no object is called '{name}'", nearest(name, ledger.state.objects))
        return ledger.append("object removed", object=name, label=ledger.state.objects[name])


def set_budget(store: Store, budget: int | None = None, time_budget: float | None = None) -> Event:
    """Change the budget of images, of time, or both.

    Raises:
        BudgetError: If fewer images than were taken and are leased, or no time.
    """
    with store.writing() as ledger:
        standing = ledger.state
        images = standing.budget if budget is None else budget
        seconds = standing.time_budget if time_budget is None else time_budget
        least = max(standing.budget - standing.room, 1)
        if images < least and images < standing.budget:
            raise BudgetError(f"a budget of {images:,} images, of which {least:,} are taken or leased", "give more")
        if seconds is not None and not 0 < seconds < math.inf:
            raise BudgetError(f"a time budget of {seconds:g} seconds", "give a time above zero")
        return _budget(ledger, images, seconds)


def reject(store: Store, shot: str, reason: str) -> Event:
    """Never take a shot."""
    with store.writing() as ledger:
        record = known_shot(ledger, shot)
        if record.state in (CAPTURED, REJECTED):
            raise UsageError(f"'{shot}' is {record.state}", "choose a shot that is neither")
        return ledger.append("rejected", shot, reason=reason)


def undo(store: Store, number: int) -> Event:
    """Undo what an operator did, by the number of its event.

    Raises:
        UsageError: If there is no such event, it cannot be undone, or it is undone.
    """
    with store.writing() as ledger:
        found = ledger.events(after=number - 1, until=number)
        if not found:
            raise UsageError(f"there is no event {number}", f"give 1 to {ledger.state.last}")
        return _undone(store, ledger, found[0])


def _undone(store: Store, ledger: Transaction, event: Event) -> Event:
    standing, body = ledger.state, event.body
    if event.kind == "forbidden" and str(event.number) in standing.regions:
        return ledger.append("allowed", undoes=event.number, where=body["where"])
    if event.kind == "allowed" and body["where"] not in standing.regions.values():
        return ledger.append("forbidden", where=body["where"], undoes=event.number)
    if event.kind == "paused" and standing.paused_at is not None:
        return ledger.append("resumed", undoes=event.number)
    if event.kind == "resumed" and standing.paused_at is None:
        return ledger.append("paused", undoes=event.number, reason="")
    if event.kind == "stopped" and standing.stopped == body["reason"]:
        return ledger.append("continued", undoes=event.number)
    if event.kind == "object added" and body["object"] in standing.objects:
        return ledger.append("object removed", undoes=event.number, object=body["object"], label=body["label"])
    if event.kind == "object removed" and body["object"] not in standing.objects:
        return ledger.append("object added", undoes=event.number, object=body["object"], label=body["label"])
    if event.kind == "budget" and (standing.budget, standing.time_budget) == (body["budget"], body["time_budget"]):
        least = standing.budget - standing.room
        if body["before"] < least:
            raise BudgetError(f"the budget was {body['before']:,}, but {least:,} are taken or leased", "keep it")
        return _budget(ledger, body["before"], body["time_before"], undoes=event.number)
    if event.kind == "rejected" and known_shot(ledger, event.shot).state == REJECTED:
        return ledger.append("restored", event.shot, undoes=event.number)
    raise UsageError(
        f"event {event.number} ('{event.kind}') cannot be undone, or is undone",
        "forbidden, allowed, paused, resumed, stopped, object added, object removed, budget and rejected can",
    )


def _budget(ledger: Transaction, images: int, seconds: float | None, **more: Any) -> Event:
    before, time_before = ledger.state.budget, ledger.state.time_budget
    return ledger.append("budget", budget=images, time_budget=seconds, before=before, time_before=time_before, **more)
