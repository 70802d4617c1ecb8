"""What operators do to a campaign from a shell: every deed prints its event, and a further event undoes it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from acqplan.campaign.status import level_name, status_sentences
from acqplan.cli.campaign_store import AsJson, JsonAnyway, Store, opened
from acqplan.cli.console import exit_codes, print_json, print_result, whole_number
from acqplan.cli.recommend import time_span
from acqplan.errors import UsageError
from acqplan.numbers import duration

if TYPE_CHECKING:
    from acqplan.campaign.events import Event
    from acqplan.campaign.settings import CampaignSettings

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


BAR = 20
MOST_OBJECTS = 60


def status_table(status: Mapping[str, Any], settings: CampaignSettings) -> RenderableType:
    """Sentences, then what is captured of each class, object and level.

    Args:
        status: As of `acqplan.campaign.status.status_of`.
        settings: What the campaign was created with.
    """
    parts: list[RenderableType] = [Text("\n".join(status_sentences(status))), Text(), _classes(status["by_class"])]
    if len(status["by_object"]) <= MOST_OBJECTS:
        objects = {
            name: (one["captured"], one["captured"] + one["leased"] + one["queued"], 0)
            for name, one in status["by_object"].items()
        }
        parts += [Text(), *_cells("objects", objects)]
    for axis in settings.axes:
        levels = {
            level: (one["captured"], one["planned"], one["failed"])
            for level, one in status["by_axis"][axis.name].items()
        }
        parts += [Text(), *_cells(f"{axis.name} ({axis.unit})" if axis.unit else axis.name, levels)]
    return Group(*parts)


def events_table(events: Sequence[Event]) -> RenderableType:
    """One line an event, in the time of this machine."""
    table = _plain_table()
    table.add_column("event", justify="right", no_wrap=True)
    for name in ("time", "what"):
        table.add_column(name, no_wrap=True)
    table.add_column("", overflow="fold")
    for event in events:
        when = time.strftime("%m-%d %H:%M:%S", time.localtime(event.at))
        more = WORDS.get(event.kind, _reason)(event.body)
        table.add_row(str(event.number), when, event.kind, Text("; ".join(filter(None, [event.shot, more]))))
    return table


def _plain_table() -> Table:
    return Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")


def _classes(groups: Mapping[str, Mapping[str, int]]) -> Table:
    table = _plain_table()
    for name in ("class", "", "captured", "leased", "to come", "given up"):
        table.add_column(name, justify="left" if name in ("class", "") else "right", no_wrap=True)
    for name, group in groups.items():
        planned = group["captured"] + group["leased"] + group["queued"]
        full = round(BAR * group["captured"] / planned) if planned else 0
        numbers = [f"{group[word]:,}" for word in ("captured", "leased", "queued", "rejected")]
        table.add_row(Text(name), "█" * full + "░" * (BAR - full), *numbers)
    return table


def _cells(title: str, levels: Mapping[str, tuple[int, int, int]]) -> Iterator[RenderableType]:
    """Captured of planned at each level, side by side as far as the terminal is wide."""
    has_failed = any(failed for *_, failed in levels.values())
    yield Text.assemble((f"{title}: captured of planned", "bold"), ", ✗ failed tries" if has_failed else "")
    width = max((len(name) for name in levels), default=0)
    side = "<" if any(name[:1].isalpha() for name in levels) else ">"
    counts = [f"{captured:,}/{planned:,}" for captured, planned, _ in levels.values()]
    tries = [f" {failed:,}✗" if failed else "" for *_, failed in levels.values()]
    longest = max((len(count) + len(failed) for count, failed in zip(counts, tries, strict=True)), default=0)
    yield Columns(
        [
            Text.assemble(f"{name:{side}{width}}  ", (count, "dim"), (f"{failed:<{longest - len(count)}}", "red"))
            for name, count, failed in zip(levels, counts, tries, strict=True)
        ],
        padding=(0, 3),
    )


def _reason(body: Mapping[str, Any]) -> str:
    return str(body.get("reason", ""))


def _reached(body: Mapping[str, Any]) -> str:
    places = " ".join(level_name(value) for value in body["reached"])
    return f"reached {places}" + (", late" if body["late"] else "") + (", another image" if "replaces" in body else "")


def _planned(body: Mapping[str, Any]) -> str:
    count = len(body["shots"])
    return f"{count:,} shots" + (f" by {body['strategy']}, round {body['round']}" if body["replaces"] else " by lot")


def _budget(body: Mapping[str, Any]) -> str:
    seconds = body["time_budget"]
    return f"{body['budget']:,} images" + ("" if seconds is None else f" in {duration(seconds)}")


def _thing(body: Mapping[str, Any]) -> str:
    return f"{body['object']} ({body['label']})"


WORDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "created": _budget,
    "budget": _budget,
    "replanned": _planned,
    "asked": lambda body: f"{len(body['shots'])} of {body['wanted']} for {body['caller']}",
    "leased": lambda body: f"for {body['caller']}",
    "told": _reached,
    "surplus": _reached,
    "failed": lambda body: body["reason"] + (", exposed" if body["exposed"] else ""),
    "forbidden": lambda body: body["where"],
    "allowed": lambda body: body["where"],
    "object added": _thing,
    "object removed": _thing,
    "advised": lambda body: body.get("saturated") or "go on",
    "clock": lambda body: f"set back; {duration(abs(body['offset']))} are added to it",
}
