"""Sheets for people who capture by hand: the shots to come, object by object, to print and tick, or as a table."""

from __future__ import annotations

import csv
import time
from pathlib import Path

from acqplan.campaign.campaign import SERVED, Campaign
from acqplan.campaign.events import LEASED, ShotRecord
from acqplan.campaign.wording import changes, sentence, steps_of
from acqplan.errors import OutputError, UsageError
from acqplan.files import replacing
from acqplan.numbers import short
from acqplan.report.page import TEMPLATES

FEW = 6  # shots of an object that begins no page of its own


def save_sheet(campaign: Campaign, out: Path, *, now: float | None = None) -> dict[str, int]:
    """Write the shots to come, those of one object together, in the order in which they are handed out.

    Args:
        campaign: The campaign.
        out: An HTML file to print, or a CSV file for a spreadsheet; it must not exist, for somebody may have
            written in it.
        now: Time that the sheet shows, seconds since 1970; by default the present.

    Returns:
        How many ``shots`` and ``objects`` it has.

    Raises:
        UsageError: If its name ends neither in .html nor in .csv.
        OutputError: If it is there already, or cannot be written.
    """
    if out.suffix.lower() not in (".html", ".csv"):
        raise UsageError(f"a sheet '{out.name}'", "call it e.g. sheet.html, to print, or sheet.csv")
    if out.exists():
        raise OutputError(f"{out}: is there already", "choose another name, or move the file away", path=out)
    objects = shots_to_come(campaign)
    with replacing(out) as handle:
        if out.suffix.lower() == ".csv":
            csv.writer(handle, lineterminator="\n").writerows(_table(campaign, objects))
        else:
            handle.write(_page(campaign, objects, time.time() if now is None else now))
    return {"shots": sum(map(len, objects.values())), "objects": len(objects)}


def shots_to_come(campaign: Campaign) -> dict[str, list[ShotRecord]]:
    """Shots that are leased, then those of the queue that the budget leaves, by object in the order of the first."""
    found: dict[str, list[ShotRecord]] = {}
    with campaign.store.reading() as ledger:
        for record in (*ledger.every(LEASED), *ledger.queue(ledger.state.room)):
            found.setdefault(record.object, []).append(record)
    return found


def _table(campaign: Campaign, objects: dict[str, list[ShotRecord]]) -> list[list[object]]:
    axes = campaign.settings.axes
    head: list[object] = ["shot", "order", "object", "label", *campaign.settings.names, "say", "done", "remarks"]
    rows = [head]
    for record in (one for shots in objects.values() for one in shots):
        say = sentence(steps_of(axes, record.object, record.view))
        view = [value if isinstance(value, str) else short(value) for value in record.view]
        rows.append([record.shot, len(rows), record.object, record.label, *view, say, "", ""])
    return rows


def _page(campaign: Campaign, objects: dict[str, list[ShotRecord]], now: float) -> str:
    axes, number, blocks = campaign.settings.axes, 0, []
    for name, shots in objects.items():
        rows, before = [], None
        for record in shots:
            steps, number = steps_of(axes, name, record.view), number + 1
            # the heading says which object it is
            words = list(zip([step["do"] for step in steps[1:]], changes(steps, before)[1:], strict=True))
            rows.append({"number": number, "shot": record.shot, "words": words, "leased": record.state == LEASED})
            before = steps
        blocks.append({"object": name, "label": shots[0].label, "rows": rows, "few": len(rows) <= FEW})
    return TEMPLATES.get_template("sheet.html").render(
        place=campaign.store.place.rpartition("/")[2],
        when=time.strftime("%Y-%m-%d %H:%M", time.localtime(now)),
        url=campaign.store.noted(SERVED),
        n_shots=number,
        blocks=blocks,
    )
