"""Tables of a campaign for the terminal: its status, and its events."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from acqplan.campaign.status import level_name, status_sentences
from acqplan.numbers import duration

if TYPE_CHECKING:
    from acqplan.campaign.events import Event
    from acqplan.campaign.settings import CampaignSettings

BAR = 20
MOST_OBJECTS = 60


def status_table(status: Mapping[str, Any], settings: CampaignSettings) -> RenderableType:
    """Show sentences, then what is captured of each class, object and level.

    Args:
        status: From `acqplan.campaign.status.status_of`.
        settings: What the campaign was created with.
    """
    classes = _plain_table()
    for name in ("class", "", "captured", "leased", "to come", "given up"):
        classes.add_column(name, justify="left" if name in ("class", "") else "right", no_wrap=True)
    for name, group in status["by_class"].items():
        planned = group["captured"] + group["leased"] + group["queued"]
        full = round(BAR * group["captured"] / planned) if planned else 0
        numbers = [f"{group[word]:,}" for word in ("captured", "leased", "queued", "rejected")]
        classes.add_row(Text(name), "█" * full + "░" * (BAR - full), *numbers)
    parts: list[RenderableType] = [Text("\n".join(status_sentences(status))), Text(), classes]
    if len(status["by_object"]) <= MOST_OBJECTS:
        objects = {
            name: (one["captured"], one["captured"] + one["leased"] + one["queued"], 0)
            for name, one in status["by_object"].items()
        }
        parts += [Text(), *_levels("objects", objects)]
    for axis in settings.axes:
        levels = {
            level: (one["captured"], one["planned"], one["failed"])
            for level, one in status["by_axis"][axis.name].items()
        }
        parts += [Text(), *_levels(f"{axis.name} ({axis.unit})" if axis.unit else axis.name, levels)]
    return Group(*parts)


def events_table(events: Sequence[Event]) -> RenderableType:
    """Show one line per event, in the time of this machine."""
    table = _plain_table()
    table.add_column("event", justify="right", no_wrap=True)
    for name in ("time", "what"):
        table.add_column(name, no_wrap=True)
    table.add_column("", overflow="fold")
    for event in events:
        when = time.strftime("%m-%d %H:%M:%S", time.localtime(event.at))
        details = DETAILS[event.kind](event.body) if event.kind in DETAILS else str(event.body.get("reason", ""))
        table.add_row(str(event.number), when, event.kind, Text("; ".join(filter(None, [event.shot, details]))))
    return table


def _plain_table() -> Table:
    return Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")


def _levels(title: str, levels: Mapping[str, tuple[int, int, int]]) -> Iterator[RenderableType]:
    """Captured of planned and failed tries at each level, side by side as far as the terminal is wide."""
    failures = [f" {failed:,}✗" if failed else "" for *_, failed in levels.values()]
    yield Text.assemble((f"{title}: captured of planned", "bold"), ", ✗ failed tries" if any(failures) else "")
    counts = [f"{captured:,}/{planned:,}" for captured, planned, _ in levels.values()]
    width = max(map(len, levels), default=0)
    # Words are aligned to the left, numbers to the right.
    side = "<" if any(name[:1].isalpha() for name in levels) else ">"
    longest = max((len(count) + len(failed) for count, failed in zip(counts, failures, strict=True)), default=0)
    yield Columns(
        [
            Text.assemble(f"{name:{side}{width}}  ", (count, "dim"), (f"{failed:<{longest - len(count)}}", "red"))
            for name, count, failed in zip(levels, counts, failures, strict=True)
        ],
        padding=(0, 3),
    )


def _reached(body: Mapping[str, Any]) -> str:
    places = " ".join(level_name(value) for value in body["reached"])
    return f"reached {places}" + (", late" if body["late"] else "") + (", another image" if "replaces" in body else "")


def _budget(body: Mapping[str, Any]) -> str:
    seconds = body["time_budget"]
    return f"{body['budget']:,} images" + ("" if seconds is None else f" in {duration(seconds)}")


DETAILS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "created": _budget,
    "budget": _budget,
    "replanned": lambda body: (
        f"{len(body['shots']):,} shots "
        + (f"by {body['strategy']}, round {body['round']}" if body["replaces"] else "by lot")
    ),
    "asked": lambda body: f"{len(body['shots'])} of {body['wanted']} for {body['caller']}",
    "leased": "for {caller}".format_map,
    "told": _reached,
    "surplus": _reached,
    "failed": lambda body: body["reason"] + (", exposed" if body["exposed"] else ""),
    "forbidden": "{where}".format_map,
    "allowed": "{where}".format_map,
    "object added": "{object} ({label})".format_map,
    "object removed": "{object} ({label})".format_map,
    "advised": lambda body: body.get("saturated") or "go on",
    "clock": lambda body: f"set back; {duration(abs(body['offset']))} are added to it",
}
"""What a table says of an event by its kind; of all others, the reason."""
