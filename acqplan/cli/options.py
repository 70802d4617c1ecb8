"""Options that commands share, and how their values are read."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from acqplan.errors import UsageError
from acqplan.runtime import Runtime

Given = TypeVar("Given")
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


def number(meaning: str, metavar: str = "INTEGER", *names: str, span: str = "1 or more") -> Any:
    """Declare an option that is a whole number; ``span`` says which ones can be, and is checked where it is used."""
    return typer.Option(*names, help=f"{meaning} [dim]\\[{span}][/dim]", parser=whole_number, metavar=metavar)


def time(meaning: str, *names: str, shown: str | bool = True) -> Any:
    """Declare an option that is a time span; ``shown`` is its default in words."""
    return typer.Option(*names, help=meaning, parser=time_span, metavar="TIME", show_default=shown)


def out(meaning: str) -> Any:
    """Declare the option of a folder to write into."""
    return typer.Option("--out", "-o", help=meaning, metavar="DIR")


class Precision(StrEnum):
    """Number formats of a backbone's forward pass, see `acqplan.runtime.Runtime`."""

    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"
    auto = "auto"


def strategy_names(begun: str) -> list[str]:
    """Names of strategies that begin so, for the completion of shells."""
    from acqplan.plan import STRATEGIES

    return [name for name in STRATEGIES if name.startswith(begun)]


def backbone_names(begun: str) -> list[str]:
    """Names of backbones that begin so, for the completion of shells."""
    from acqplan.features.registry import ALIASES, NETWORKS

    return [name for name in (*NETWORKS, *ALIASES) if name.startswith(begun)]


Rig = Annotated[
    Path | None, typer.Option("--rig", "-r", help="rig.toml, or a folder of photographs; else the embedded toys.")
]
Seed = Annotated[int, number("Seed of all randomness.", span="0 or more")]
Strategy = Annotated[
    str, typer.Option(help="One of `acqplan strategies`, or module:Class.", autocompletion=strategy_names)
]
Backbone = Annotated[
    str | None,
    typer.Option(
        help="NAME or NAME:LAYER, see `acqplan backbones`; toynet for toys, else mobilenet_v2.",
        show_default=False,
        autocompletion=backbone_names,
    ),
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
        autocompletion=backbone_names,
    ),
]
Device = Annotated[
    str | None, typer.Option(help="cpu, cuda, cuda:1, mps, or several: cuda:0,cuda:1; by default the fastest.")
]
PrecisionChoice = Annotated[
    Precision,
    typer.Option(help="Number format of the backbone; auto: the fastest whose features are within 1e-2 of float32."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")]
TestViews = Annotated[
    str,
    typer.Option(
        help="Shots of each test object that the plan is judged by, spread over the views; or all.",
        metavar="NUMBER|all",
        parser=lambda text: text if text == "all" else str(whole_number(text)),
    ),
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Print everything: tests, verdicts, advice in full.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

SmallNorb = Annotated[Path | None, typer.Option(help="Folder of smallNORB's files, instead of a rig.", metavar="DIR")]
Fetch = Annotated[bool, typer.Option("--fetch", help="Download what --data lacks, from smallNORB's page.")]
PlanOnly = Annotated[
    bool, typer.Option("--plan-only", help="Say what would be done, and about how long it takes; do nothing.")
]
StudyOut = Annotated[Path, out("Folder of the results; a killed run goes on from it.")]

Store = Annotated[
    str,
    typer.Option(
        "--store",
        "-s",
        help="File of the campaign, or URL of a PostgreSQL database.",
        metavar="FILE_OR_URL",
        envvar="ACQPLAN_STORE",
    ),
]
Caller = Annotated[str | None, typer.Option(help="Who asks; by default the shell of this machine.", metavar="NAME")]
ShotFirst = Annotated[str | None, typer.Argument(help="Identifier of the shot.", metavar="SHOT", show_default=False)]
ShotNamed = Annotated[str | None, typer.Option("--shot", help="The same as an option.", metavar="ID")]
Images = Annotated[Path | None, typer.Option(help="Folder of the images; by default beside the store.", metavar="DIR")]
NewFolder = Annotated[Path, out("A folder that does not exist, or is empty.")]
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


def one_of_both(argument: Given | None, option: Given | None, name: str) -> Given:
    """What is given as an argument or as an option.

    Raises:
        UsageError: If neither or both are given.
    """
    if argument is not None and option is not None:
        raise UsageError(f"{name} is given as an argument and as an option", "give it once")
    found = option if argument is None else argument
    if found is None:
        raise UsageError(f"{name} is missing", "give it after the command, or as an option")
    return found


def check_count(name: str, count: int | None) -> None:
    """Refuse a number below 1."""
    if count is not None and count < 1:
        raise UsageError(f"{name} {count} cannot be", "give at least 1")
