"""Options that commands share, and how their values are read."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from acqplan.errors import UsageError
from acqplan.runtime import Runtime

LARGEST_NUMBER = 2**53  # beyond it, numbers of JSON are not exact
_NUMBER = r"(\d+(?:\.\d+)?)"
TIME_SPAN = re.compile(rf"(?:{_NUMBER} ?h)? ?(?:{_NUMBER} ?min)? ?(?:{_NUMBER} ?s)?")
HOURS_AND_MINUTES = re.compile(r"\d+ ?h ?\d{1,2}")


def whole_number(text: str | int) -> int:
    """Read a whole number; the message about a wrong one repeats it."""
    try:
        number = int(text)
    except ValueError as error:
        raise typer.BadParameter(f"'{text}' is not a whole number; give digits alone, e.g. 2430") from error
    if abs(number) > LARGEST_NUMBER:
        raise typer.BadParameter(f"'{text}' is larger than 2^53")
    return number


def time_span(text: str | float) -> float:
    """Read ``2h``, ``90min``, ``45s`` or ``1h30`` as seconds; the message about a wrong value repeats it."""
    if isinstance(text, float):
        return text
    words = text.strip().lower()
    found = TIME_SPAN.fullmatch(f"{words}min" if HOURS_AND_MINUTES.fullmatch(words) else words)
    hours, minutes, seconds = (float(part or 0.0) for part in found.groups()) if found else (0.0, 0.0, 0.0)
    total = 3600.0 * hours + 60.0 * minutes + seconds
    if not 0.0 < total < float("inf"):
        raise typer.BadParameter(f"'{text}' is not a time above zero with its unit; give e.g. 2h, 90min, 45s, 1h30")
    return total


def number(meaning: str, metavar: str = "INTEGER", *names: str) -> Any:
    """Declare an option that is a whole number."""
    return typer.Option(*names, help=meaning, parser=whole_number, metavar=metavar)


def time(meaning: str, *names: str) -> Any:
    """Declare an option that is a time span."""
    return typer.Option(*names, help=meaning, parser=time_span, metavar="TIME")


class Precision(StrEnum):
    """Number formats of a backbone's forward pass, see `acqplan.runtime.Runtime`."""

    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"
    auto = "auto"


Rig = Annotated[Path | None, typer.Option(help="rig.toml; without it, the embedded toy rig.")]
Seed = Annotated[int, number("Seed of all randomness.")]
Backbone = Annotated[
    str | None, typer.Option(help="NAME or NAME:LAYER; toynet for toys, else mobilenet_v2.", show_default=False)
]
Weights = Annotated[
    Path | None, typer.Option(help="The backbone's weights (.safetensors, .pth, .caffemodel); else downloaded.")
]
Backbones = Annotated[
    list[str] | None,
    typer.Option(
        "--backbone",
        metavar="NAME[:LAYER][=FILE]",
        help="A backbone with the file of its weights; once for each. By default the rig's, and histogram.",
    ),
]
Device = Annotated[
    str | None, typer.Option(help="cpu, cuda, cuda:1, mps, or several: cuda:0,cuda:1; by default the fastest.")
]
PrecisionChoice = Annotated[
    Precision,
    typer.Option(help="Number format of the backbone; auto: the fastest whose features are within 1e-2 of float32."),
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Print everything: tests, verdicts, advice in full.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

SmallNorb = Annotated[Path | None, typer.Option(help="Folder of smallNORB's files, instead of a rig.", metavar="DIR")]
Fetch = Annotated[bool, typer.Option("--fetch", help="Download what --data lacks, from smallNORB's page.")]
PlanOnly = Annotated[
    bool, typer.Option("--plan-only", help="Say what would be done, and about how long it takes; do nothing.")
]
StudyOut = Annotated[Path, typer.Option(help="Folder of the results; a killed run goes on from it.")]

Store = Annotated[
    str, typer.Option(help="File of the campaign, or URL of a PostgreSQL database.", metavar="FILE_OR_URL")
]
Caller = Annotated[str | None, typer.Option(help="Who asks; by default the shell of this machine.", metavar="NAME")]
Shot = Annotated[str, typer.Option(help="Identifier of the shot.", metavar="ID")]
Images = Annotated[Path | None, typer.Option(help="Folder of the images; by default beside the store.", metavar="DIR")]
NewFolder = Annotated[Path, typer.Option(help="A folder that does not exist, or is empty.", metavar="DIR")]
JsonAnyway = Annotated[
    bool, typer.Option("--json", help="Print one JSON document, as this command does anyway.", hidden=True)
]


def chosen_runtime(device: str | None, precision: Precision, cluster: str | None = None) -> Runtime | None:
    """What was asked for; ``None`` if nothing was, so that a plan that needs no backbone loads no torch."""
    if device is None and precision is Precision.float32 and not cluster:
        return None
    return Runtime.detect(device, precision=precision.value, cluster=cluster or "")


def check_smallnorb(rig: Path | None, data: Path | None, fetch: bool) -> None:
    """Refuse what cannot be meant by --rig, --data and --fetch together."""
    if rig is not None and data is not None:
        raise UsageError("both --rig and --data are given", "give one of them")
    if fetch and data is None:
        raise UsageError("--fetch without --data", "name the folder, e.g. --data smallnorb")


def check_count(name: str, count: int | None) -> None:
    """Refuse a number below 1."""
    if count is not None and count < 1:
        raise UsageError(f"{name} {count} cannot be", "give at least 1")
