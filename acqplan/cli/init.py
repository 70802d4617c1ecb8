"""The command ``init``: shows what photographs say of themselves, asks for the rest, and writes rig.toml."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from acqplan.cli import options
from acqplan.cli.console import ProgressBars, exit_codes, print_json, print_note, print_result, results
from acqplan.errors import OutputError, SpaceError, UnclearError, UsageError
from acqplan.numbers import count_noun, count_range, shortened

if TYPE_CHECKING:
    from acqplan.exchange.found import Told, Understanding
    from acqplan.space import Axis

# What is asked at a terminal, by the question of the error.
QUESTIONS = {
    "step": "How many degrees are two of them apart (turn: an object goes once around)?",
    "label": "Which class do they show?",
    "pattern": "Which pattern do names have, e.g. {label}/{object}/{elevation}-{azimuth}.jpg?",
}
# Axes that a live rig may have, and what they usually are.
ASKED = {"azimuth": "0:340:20", "elevation": "30:70:10", "lighting": "-"}
SHOWN_ROWS = 5


def init(
    photographs: Annotated[
        Path | None,
        typer.Argument(metavar="[FOLDER|FILE]", help="Photographs, or a table or poses of them; else a live rig."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The rig.toml to be written.")] = Path("rig.toml"),
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing; what cannot be known is an error.")] = False,
    pattern: Annotated[
        str | None,
        typer.Option(help="What names say: {label}/{object}/{elevation}-{azimuth}.jpg; {polar}, {index}."),
    ] = None,
    step: Annotated[
        str | None, typer.Option(help="From frame to frame; turn: once around an object.", metavar="DEGREES|turn")
    ] = None,
    offset: Annotated[float, typer.Option(help="Azimuth of the first frame.", metavar="DEGREES")] = 0.0,
    polar: Annotated[
        bool | None, typer.Option("--polar/--no-polar", help="Angles of height count from straight above.")
    ] = None,
    label: Annotated[str | None, typer.Option(help="Class of all objects, where nothing says another.")] = None,
    square: Annotated[bool, typer.Option("--square", help="Look at the square in the middle of images alone.")] = False,
    axis: Annotated[
        list[str] | None,
        typer.Option(help="Of a live rig, for each: azimuth=0:340:20, lighting=left,right.", metavar="NAME=VALUES"),
    ] = None,
    objects: Annotated[
        list[str] | None,
        typer.Option(help="Of a live rig, for each class: cup=6, or cup=blue,red.", metavar="CLASS=COUNT"),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Write rig.toml and a manifest for your photographs, after showing what they say; or for a live rig."""
    with exit_codes():
        ask = _ask if sys.stdin.isatty() and not yes and not as_json else None
        if out.exists():
            raise OutputError(f"{out}: is there already", "move it away, or give another --out", path=out)
        document: dict[str, Any] = {}
        if photographs is None:
            files = _live(axis or [], objects or [], out, ask)
        else:
            if axis or objects:
                raise UsageError("--axis or --objects beside photographs", "leave them out: photographs say both")
            from acqplan.exchange.found import Told, write_rig

            told = Told(pattern=pattern, step=_step(step), offset=offset, polar=polar, label=label)
            found = _understood(photographs, told, ask)
            document = _facts(found)
            if not as_json:
                _show(found, document)
            if ask and not _confirmed("Write this?", default=True):
                raise typer.Exit(1)
            files = write_rig(found, out, square=square)
        if as_json:
            print_json({**document, "files": [str(path) for path in files]})
            return
        print_note(f"written: {', '.join(str(path) for path in files)}")
        budget = max(4, document["images"] // 4) if document else "IMAGES"
        print_note(f"next: acqplan recommend --rig {out} --budget {budget}")


def _understood(path: Path, told: Told, ask: Callable[[str, str], str] | None) -> Understanding:
    """What photographs show, once a person has said what they do not."""
    from acqplan.exchange.found import understand

    while True:
        try:
            return understand(path, told, progress=ProgressBars())
        except UnclearError as error:
            if ask is None:
                raise
            print_note(error.message)
            if error.question == "polar":
                told = replace(told, polar=_confirmed("Do they count from straight above?"))
                continue
            answer = ask(QUESTIONS[error.question], error.proposal)
            changed: dict[str, Any] = {error.question: _step(answer) if error.question == "step" else answer}
            told = replace(told, **changed)


def _ask(question: str, proposal: str) -> str:
    try:
        return str(typer.prompt(question, default=proposal or None, err=True))
    except typer.Abort as stop:  # Ctrl-C
        raise KeyboardInterrupt from stop


def _confirmed(question: str, *, default: bool | None = None) -> bool:
    try:
        return typer.confirm(question, default=default, err=True)
    except typer.Abort as stop:
        raise KeyboardInterrupt from stop


def _step(text: str | None) -> Any:
    try:
        return text if text in (None, "turn") else float(str(text))
    except ValueError as error:
        raise UsageError(f"a step of '{text}' cannot be", "give degrees, e.g. 5, or turn", asked=text) from error


def _facts(found: Understanding) -> dict[str, Any]:
    """What was understood, fit for JSON."""
    space = found.shots().space
    return {
        "understood from": found.reader,
        "images": len(found.manifest),
        "classes": {label: found.objects.labels.count(label) for label in found.objects.classes},
        "views": space.n_views,
        "axes": {axis.name: len(axis.values) for axis in space.axes},
        "supposed": list(found.said),
        "ignored": list(found.ignored),
        "cannot be known": list(found.unknown),
    }


def _show(found: Understanding, facts: dict[str, Any]) -> None:
    """Classes, objects, views, five rows, a picture, and what was ignored or cannot be known."""
    from acqplan.report.terminal import facts_table, views_picture

    objects, shots = found.objects, found.shots()
    classes = ", ".join(f"{label} ({number})" for label, number in list(facts["classes"].items())[:20])
    each = count_range(found.manifest.names.count(name) for name in objects.names)
    table = {
        "photographs": f"{len(found.manifest):,} of {count_noun(len(objects), 'object')}, {each} each",
        "classes": f"{len(objects.classes)}: {classes}{', …' if len(objects.classes) > 20 else ''} (objects of each)",
        "axes": ", ".join(_levels(axis) for axis in shots.space.axes),
        "understood from": found.reader,
    }
    table |= {name: "; ".join(facts[name]) for name in ("supposed", "ignored", "cannot be known") if facts[name]}
    print_result(facts_table(table), "")
    places = sorted({round(place * (len(found.manifest) - 1) / (SHOWN_ROWS - 1)) for place in range(SHOWN_ROWS)})
    rows = [["image", "label", "object", *(column.name for column in found.columns)], *map(found.row, places)]
    widths = [min(40, max(len(row[place]) for row in rows)) for place in range(len(rows[0]))]
    for row in rows:
        cells = [shortened(cell, 40).ljust(width) for cell, width in zip(row, widths, strict=True)]
        print_result(Text("  ".join(cells).rstrip()))
    print_result("", *views_picture(shots, results.width), "")


def _levels(axis: Axis) -> str:
    """``azimuth 0 to 340 deg (18)``."""
    if axis.kind == "category":
        return f"{axis.name} {', '.join(map(str, axis.values[:6]))} ({len(axis.values)})"
    low, high = min(map(float, axis.values)), max(map(float, axis.values))
    return f"{axis.name} {low:g} to {high:g} {axis.unit}".rstrip() + f" ({len(axis.values)})"


def _live(axes: list[str], objects: list[str], out: Path, ask: Callable[[str, str], str] | None) -> tuple[Path, ...]:
    """Write the rig.toml of a live rig from options, or from answers."""
    from acqplan.exchange.found import write_live_rig
    from acqplan.rig.manifest import AxisColumn
    from acqplan.space import Objects, Space, parse_values

    if ask is not None and not axes:
        print_note("What can the rig set for each shot? Give start:stop:step, or names with commas; - for nothing.")
        answers = {name: ask(name, usual).strip() for name, usual in ASKED.items()}
        axes = [f"{name}={answer}" for name, answer in answers.items() if answer not in ("", "-")]
    if ask is not None and not objects:
        objects = ask("How many objects of each class?", "cup=6 bowl=6").split()
    if not axes or not objects:
        hint = "give e.g. --axis azimuth=0:340:20 --axis elevation=30:70:10 --objects cup=6, or a folder of photographs"
        raise UsageError("nothing says what the rig can set, or what it photographs", hint)
    built: list[Axis] = []
    named: dict[str, str] = {}
    for name, values in (_halves(text, "azimuth=0:340:20") for text in axes):
        column = AxisColumn.known(name) or AxisColumn(name=name, kind="interval" if ":" in values else "category")
        words = tuple(word.strip() for word in values.split(","))
        try:
            if column.kind == "category":
                built.append(column.axis(words))
            else:
                built.append(column.axis([*(parse_values(values) if ":" in values else map(float, words))]))
        except ValueError as error:
            raise SpaceError(f"axis '{name}': {values} are no numbers", "give e.g. 0:340:20", asked=values) from error
    for label, given in (_halves(text, "cup=6") for text in objects):
        numbered = [f"{label}-{n:02d}" for n in range(int(given))] if given.isdecimal() else given.split(",")
        named |= {name.strip(): label for name in numbered}
    shown = Objects(names=tuple(named), labels=tuple(named.values()))
    return write_live_rig(Space(axes=tuple(built)), shown, out)


def _halves(text: str, example: str) -> tuple[str, str]:
    name, mark, values = text.partition("=")
    if not mark or not name.strip() or not values.strip():
        raise UsageError(f"'{text}' is not NAME=VALUES", f"give e.g. {example}", asked=text)
    return name.strip(), values.strip()
