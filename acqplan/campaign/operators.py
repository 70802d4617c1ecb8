"""Actions of operators on a running campaign: every action is an event, and a further event undoes it.

`ACTIONS` describes all of them once; the command line and the service are made from it. Nothing here loads numpy or
the library of the database, so that the help of the command line appears at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from acqplan.campaign.events import CAPTURED, REJECTED, Event
from acqplan.campaign.settings import Region
from acqplan.errors import BudgetError, UsageError, nearest
from acqplan.numbers import name_fault

if TYPE_CHECKING:
    from acqplan.campaign.store import Store, Transaction


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
        # A stop and a pause may hold at once; both end here, the pause with the last event.
        event = ledger.append("continued") if standing.stopped or standing.saturated else None
        return ledger.append("resumed") if standing.paused_at is not None or event is None else event


def stop(store: Store, reason: str) -> Event:
    """End the campaign, until `resume`."""
    with store.writing() as ledger:
        if ledger.state.stopped:
            raise UsageError(f"the campaign is stopped already: {ledger.state.stopped}", "resume it")
        return ledger.append("stopped", reason=reason or "stopped by an operator")


def forbid(store: Store, where: str) -> Event:
    """Take no shots in a region; what is leased may still be answered.

    Returns:
        Its event, which says how many shots that could be taken it forbids (``shots``), and how many are ``left``.

    Raises:
        SpaceError: If the region cannot be read.
        UsageError: If it is forbidden already.
    """
    with store.writing() as ledger:
        known = {**store.settings.objects, **ledger.state.objects}
        region = Region.parse(where, replace(store.settings, objects=known))
        if region.text in ledger.state.regions.values():
            raise UsageError(f"region '{region.text}' is forbidden already", "allow it to undo that")
        return _forbid(ledger, region.text)


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
        # An object that the campaign was created with keeps its label, also if it was removed.
        before = store.settings.objects.get(name)
        if fault := name_fault(name) or name_fault(label):
            raise UsageError(fault, "give another name", asked=name)
        if not name.strip() or not label.strip() or (before is not None and before != label):
            hint = f"its label is '{before}'" if before else "name it"
            raise UsageError(f"object '{name}' with label '{label}'", hint)
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
        BudgetError: If there would be fewer images than are taken or leased, or no time.
        UsageError: If neither is given.
    """
    if budget is None and time_budget is None:
        raise UsageError("neither a budget nor a time budget is given", "give one of them, or both")
    with store.writing() as ledger:
        standing = ledger.state
        images = standing.budget if budget is None else budget
        seconds = standing.time_budget if time_budget is None else time_budget
        # It cannot be lowered below what is taken or leased; it can always be raised.
        least = max(standing.budget - standing.room, 1)
        if images < least and images < standing.budget:
            raise BudgetError(f"a budget of {images:,} images, of which {least:,} are taken or leased", "give more")
        if seconds is not None and not 0 < seconds < math.inf:
            raise BudgetError(f"a time budget of {seconds:g} seconds", "give a time above zero")
        return _budget(ledger, images, seconds)


def reject(store: Store, shot: str, reason: str) -> Event:
    """Never take a shot."""
    from acqplan.campaign.images import known_shot

    with store.writing() as ledger:
        record = known_shot(ledger, shot)
        if record.state in (CAPTURED, REJECTED):
            raise UsageError(f"'{shot}' is {record.state}", "choose a shot that is neither")
        return ledger.append("rejected", shot, reason=reason)


def undo(store: Store, number: int) -> Event:
    """Undo what an operator did, by the number of its event.

    Raises:
        UsageError: If there is no such event, or it cannot be undone, or it has been undone.
    """
    with store.writing() as ledger:
        found = ledger.events(after=number - 1, until=number)
        if not found:
            raise UsageError(f"there is no event {number}", f"give 1 to {ledger.state.last}")
        event, body, standing = found[0], found[0].body, ledger.state
        # Each event is undone by its opposite, if what it did still holds.
        if event.kind == "forbidden" and str(event.number) in standing.regions:
            return ledger.append("allowed", undoes=event.number, where=body["where"])
        if event.kind == "allowed" and body["where"] not in standing.regions.values():
            return _forbid(ledger, body["where"], undoes=event.number)
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
        if event.kind == "rejected":
            record = ledger.get(event.shot)
            if record is not None and record.state == REJECTED:
                return ledger.append("restored", event.shot, undoes=event.number)
        raise UsageError(
            f"event {event.number} ('{event.kind}') cannot be undone, or is undone",
            "forbidden, allowed, paused, resumed, stopped, object added, object removed, budget and rejected can",
        )


def _forbid(ledger: Transaction, where: str, **more: Any) -> Event:
    from acqplan.campaign.planning import in_region, request_of

    could = request_of(ledger).candidates
    n = int(in_region(could, Region.parse(where, ledger.settings, known_only=False)).sum())
    return ledger.append("forbidden", where=where, shots=n, left=len(could) - n, **more)


def _budget(ledger: Transaction, images: int, seconds: float | None, **more: Any) -> Event:
    before, time_before = ledger.state.budget, ledger.state.time_budget
    return ledger.append("budget", budget=images, time_budget=seconds, before=before, time_before=time_before, **more)


def event_document(event: Event) -> dict[str, Any]:
    """Describe an event for JSON; a plan has the number of its shots in place of all of them."""
    body = event.body
    if event.kind == "replanned":
        body = {**body, "shots": len(body["shots"])}
    return {"number": event.number, "at": event.at, "kind": event.kind, "shot": event.shot, "body": body}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument of an action.

    Attributes:
        name: Key in the body of a request, and name of the option.
        kind: What it holds; the command line and the service each know how they read it.
        help: What it means, as a sentence.
        is_required: Whether it must be given.
        default: Value where it is not given.
    """

    name: str
    kind: Literal["text", "name", "region", "shot", "event", "images", "seconds"]
    help: str
    is_required: bool = True
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Action:
    """What operators can do.

    Attributes:
        name: Command under ``acqplan campaign``.
        path: Route of the service.
        function: Takes the store and the parameters in their order; appends an event and returns it.
        parameters: What the function needs; a ``shot`` is part of the path.
    """

    name: str
    path: str
    function: Callable[..., Event]
    parameters: tuple[Parameter, ...] = ()

    @property
    def help(self) -> str:
        """What it does, as a sentence; names of other actions are in backticks."""
        return (self.function.__doc__ or "").partition("\n")[0]


REASON = Parameter("reason", "text", "Why, in a few words.", is_required=False, default="")
WHERE = Parameter("where", "region", "E.g. 'elevation>65', 'azimuth in 350..10 and lighting=L2', 'object=car-01'.")
OBJECT = Parameter("object", "name", "Name of the object.")
LABEL = Parameter("label", "name", "Its class.")
SHOT = Parameter("shot", "shot", "Identifier of the shot.")
EVENT = Parameter("event", "event", "Number of the event.")
BUDGET = Parameter("budget", "images", "Images that may be taken.", is_required=False)
TIME_BUDGET = Parameter(
    "time_budget", "seconds", "Time from the first shot on: seconds, or e.g. 2h on a command line.", is_required=False
)

ACTIONS = (
    Action("pause", "/pause", pause, (REASON,)),
    Action("resume", "/resume", resume),
    Action("stop", "/stop", stop, (REASON,)),
    Action("forbid", "/forbid", forbid, (WHERE,)),
    Action("allow", "/allow", allow, (WHERE,)),
    Action("reject", "/shots/{shot:shot}/reject", reject, (SHOT, REASON)),
    Action("undo", "/undo", undo, (EVENT,)),
    Action("budget", "/budget", set_budget, (BUDGET, TIME_BUDGET)),
    Action("add-object", "/objects", add_object, (OBJECT, LABEL)),
    Action("remove-object", "/objects/remove", remove_object, (OBJECT,)),
)
