"""What operators do to a campaign from a shell: every deed prints its event, and a further event undoes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from acqplan.cli.campaign_store import AsJson, JsonAnyway, Store, opened
from acqplan.cli.console import exit_codes, print_json, print_result, whole_number
from acqplan.cli.recommend import time_span
from acqplan.errors import UsageError

if TYPE_CHECKING:
    from acqplan.campaign.record import Event

Reason = Annotated[str, typer.Option(help="Why, for the record.", metavar="TEXT")]
Region = Annotated[str, typer.Option(help="E.g. 'elevation>65', 'object=car-01 and lighting=L2'.", metavar="REGION")]
ObjectName = Annotated[str, typer.Option("--object", help="Name of the object.", metavar="NAME")]


def pause(store: Store, reason: Reason = "", as_json: JsonAnyway = True) -> None:
    """Hand out nothing until resume; answers are taken, and the time budget stands still."""
    _do(store, "pause", reason)


def resume(store: Store, as_json: JsonAnyway = True) -> None:
    """Go on after a pause or a stop."""
    _do(store, "resume")


def stop(store: Store, reason: Reason = "", as_json: JsonAnyway = True) -> None:
    """End the campaign, until resume."""
    _do(store, "stop", reason)


def forbid(store: Store, where: Region, as_json: JsonAnyway = True) -> None:
    """Take no shots in a region; what is leased may still be answered."""
    _do(store, "forbid", where)


def allow(store: Store, where: Region, as_json: JsonAnyway = True) -> None:
    """Undo forbid; the region is written as it was then."""
    _do(store, "allow", where)


def reject(
    store: Store,
    shot: Annotated[str, typer.Option(help="Identifier of the shot.", metavar="ID")],
    reason: Reason = "",
    as_json: JsonAnyway = True,
) -> None:
    """Never take a shot."""
    _do(store, "reject", shot, reason)


def undo(
    store: Store,
    event: Annotated[int, typer.Option(help="Number of the event, see events.", parser=whole_number, metavar="NUMBER")],
    as_json: JsonAnyway = True,
) -> None:
    """Undo what an operator did."""
    _do(store, "undo", event)


def budget(
    store: Store,
    budget: Annotated[
        int | None, typer.Option(help="Images that may be taken.", parser=whole_number, metavar="IMAGES")
    ] = None,
    time_budget: Annotated[
        float | None, typer.Option(help="Time from the first shot on, e.g. 2h.", parser=time_span, metavar="TIME")
    ] = None,
    as_json: JsonAnyway = True,
) -> None:
    """Change the budget of images, of time, or both."""
    with exit_codes():
        if budget is None and time_budget is None:
            raise UsageError("neither --budget nor --time-budget is given", "give e.g. --budget 2430")
    _do(store, "set_budget", budget, time_budget)


def add_object(
    store: Store,
    name: ObjectName,
    label: Annotated[str, typer.Option(help="Its class.", metavar="NAME")],
    as_json: JsonAnyway = True,
) -> None:
    """Put another object on the turntable; the next plan has shots of it."""
    _do(store, "add_object", name, label)


def remove_object(store: Store, name: ObjectName, as_json: JsonAnyway = True) -> None:
    """Take an object away; its images stay in the data set."""
    _do(store, "remove_object", name)


def events(
    store: Store,
    last: Annotated[
        int, typer.Option(help="Only so many, the latest; 0 for all.", parser=whole_number, metavar="NUMBER")
    ] = 30,
    after: Annotated[
        int, typer.Option(help="Only those after the event of this number.", parser=whole_number, metavar="NUMBER")
    ] = 0,
    shot: Annotated[str | None, typer.Option(help="Only those of a shot.", metavar="ID")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what happened; export has all of it, shots of plans included."""
    with opened(store) as campaign:
        if last < 0:
            raise UsageError(f"the last {last} events", "give a number above zero, or 0 for all")
        with campaign.store.reading() as ledger:
            found = ledger.events(after=after, shot=shot, last=last)
        if as_json:
            print_json([_document(event) for event in found])
        else:
            from acqplan.cli.campaign_table import events_table

            print_result(events_table(found))


DEEDS: dict[str, Callable[..., None]] = {
    "pause": pause,
    "resume": resume,
    "stop": stop,
    "forbid": forbid,
    "allow": allow,
    "reject": reject,
    "undo": undo,
    "budget": budget,
    "add-object": add_object,
    "remove-object": remove_object,
    "events": events,
}


def add_to(app: typer.Typer) -> None:
    """Make them commands of an app."""
    for name, deed in DEEDS.items():
        app.command(name)(deed)


def _do(store: str, deed: str, *arguments: object) -> None:
    """Do what `acqplan.campaign.operators` calls a deed, which is loaded only now, and print its event."""
    with opened(store) as campaign:
        from acqplan.campaign import operators

        print_json(_document(getattr(operators, deed)(campaign.store, *arguments)))


def _document(event: Event) -> dict[str, Any]:
    """An event for JSON; of a plan, how many shots it has in place of all of them."""
    found = asdict(event)
    if event.kind == "replanned":
        found["body"]["shots"] = len(event.body["shots"])
    return found
