"""Tables of an export: the plan, the manifest of what was captured, and a rig.toml that names its axes."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from acqplan import __version__
from acqplan.campaign.identifiers import ViewValue, short
from acqplan.campaign.record import CAPTURED, Event, Record, Standing
from acqplan.campaign.terms import AxisTerms, Terms

FORMAT = 1
"""Of terms.json and events.jsonl."""

FULL_TURN = 360.0

Row = Sequence[object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A campaign as of one moment.

    Attributes:
        terms: What it was created with.
        standing: The campaign as a whole.
        records: All shots, captured ones first.
        events: What happened.
    """

    terms: Terms
    standing: Standing
    records: list[Record]
    events: list[Event]

    @property
    def captured(self) -> list[Record]:
        """Shots whose image is in the data set, in the order of time."""
        return [record for record in self.records if record.state == CAPTURED]


def write_table(path: Path, rows: Iterable[Row]) -> None:
    """Write rows as CSV in UTF-8."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def plan_rows(snapshot: Snapshot) -> Iterator[Row]:
    """plan.csv as of `acqplan.campaign.plan.Plan`, and at its end the state of each shot."""
    yield ["shot", "order", "object", "label", *snapshot.terms.names, "round", "gain", "reason", "state"]
    for order, one in enumerate(snapshot.records):
        view = map(_written, one.view)
        yield [one.shot, order, one.object, one.label, *view, one.round, short(one.gain), one.reason, one.state]


def manifest_rows(snapshot: Snapshot, images: dict[str, str]) -> tuple[list[Row], list[Row]]:
    """The manifest, and later images of an object from a pose that it has an image of.

    Args:
        snapshot: The campaign.
        images: File of each captured shot.
    """
    header = ["image", "label", "object", *snapshot.terms.names]
    rows: list[Row] = [header]
    repeats: list[Row] = [header]
    seen: set[tuple[object, ...]] = set()
    for one in snapshot.captured:
        reached = [_written(axis.read(value)) for axis, value in zip(snapshot.terms.axes, one.reached, strict=True)]
        row = [images[one.shot], one.label, one.object, *reached]
        (repeats if (one.object, *reached) in seen else rows).append(row)
        seen.add((one.object, *reached))
    return rows, repeats


def rig_text(snapshot: Snapshot) -> str:
    """rig.toml beside the manifest: the campaign's axes and times.

    Levels are listed where all images were taken at them; a rig that reaches its views roughly has those that occur.
    """
    terms = snapshot.terms
    parts = ['source = "folder"', 'path = "manifest.csv"']
    for place, axis in enumerate(terms.axes):
        parts += ["", *_axis_lines(axis, {record.reached[place] for record in snapshot.captured})]
    parts += ["", "[shot]", f"seconds = {terms.seconds_per_shot!r}"]
    parts += ["", "[objects]", f"seconds_per_change = {terms.seconds_per_object!r}", ""]
    return "\n".join(parts)


def terms_text(terms: Terms) -> str:
    """terms.json."""
    return json.dumps({"format": FORMAT, "acqplan": __version__, "terms": asdict(terms)}, indent=1) + "\n"


def _axis_lines(axis: AxisTerms, reached: set[ViewValue]) -> Iterator[str]:
    # rig.toml knows circles of 360 degrees only; others become intervals, which keeps their numbers
    circle = axis.kind == "circle" and axis.period == FULL_TURN
    kind = axis.kind if axis.kind == "category" or circle else "interval"
    yield "[[axis]]"
    yield f"name = {_quoted(axis.name)}"
    yield f"kind = {_quoted(kind)}"
    if kind == "interval":
        yield f"unit = {_quoted(axis.unit)}"
    if {axis.read(value) for value in axis.values} >= reached:
        yield f"values = {json.dumps(list(axis.values), ensure_ascii=False)}"
    yield f"{'seconds_per_change' if kind == 'category' else 'seconds_per_unit'} = {axis.seconds!r}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _written(value: ViewValue) -> object:
    return value if isinstance(value, str) else short(value)
