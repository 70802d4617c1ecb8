"""``acqplan recommend``: which views of which objects to photograph under a budget."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from acqplan.cli.console import (
    BackboneOption,
    DeviceOption,
    Precision,
    PrecisionOption,
    ProgressBars,
    WeightsOption,
    chosen_runtime,
    exit_codes,
    print_json,
    print_note,
    print_result,
    terminal_width,
    whole_number,
)
from acqplan.errors import UsageError
from acqplan.files import folder_for_result

if TYPE_CHECKING:
    from acqplan.evaluate.recommend import Recommendation

_NUMBER = r"(\d+(?:\.\d+)?)"
TIME_SPAN = re.compile(rf"(?:{_NUMBER} ?h)? ?(?:{_NUMBER} ?min)? ?(?:{_NUMBER} ?s)?")
HOURS_AND_MINUTES = re.compile(r"\d+ ?h ?\d{1,2}")


def time_span(text: str | float) -> float:
    """Read ``2h``, ``90min``, ``45s`` or ``1h30`` as seconds; a wrong value is told with what was given."""
    if isinstance(text, float):
        return text
    words = text.strip().lower()
    found = TIME_SPAN.fullmatch(f"{words}min" if HOURS_AND_MINUTES.fullmatch(words) else words)
    hours, minutes, seconds = (float(part or 0.0) for part in found.groups()) if found else (0.0, 0.0, 0.0)
    total = 3600.0 * hours + 60.0 * minutes + seconds
    if not 0.0 < total < float("inf"):
        raise typer.BadParameter(f"'{text}' is not a time above zero with its unit; give e.g. 2h, 90min, 45s, 1h30")
    return total


def command(
    budget: Annotated[
        int | None,
        typer.Option(
            help="Images that may be taken, those already captured included.", parser=whole_number, metavar="IMAGES"
        ),
    ] = None,
    time_budget: Annotated[
        float | None,
        typer.Option(
            help="Time of taking them, e.g. 2h, 90min, 1h30: as many images as fit, at most the budget.",
            parser=time_span,
            metavar="TIME",
        ),
    ] = None,
    rig: Annotated[Path | None, typer.Option(help="rig.toml; without it, the embedded toy rig.")] = None,
    captured: Annotated[
        Path | None, typer.Option(help="Manifest of images already captured: image,label,object,<axis>,…")
    ] = None,
    strategy: Annotated[str, typer.Option(help="auto, lattice, herding, maximin, sobol, even, random, …")] = "auto",
    backbone: BackboneOption = None,
    weights: WeightsOption = None,
    seed: Annotated[int, typer.Option(help="Seed of all randomness.", parser=whole_number, metavar="INTEGER")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for the plan, the validation and the report.")] = Path(
        "acqplan-out"
    ),
    no_validate: Annotated[bool, typer.Option("--no-validate", help="Plan only; do not compare strategies.")] = False,
    device: DeviceOption = None,
    precision: PrecisionOption = Precision.float32,
    dask: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Scheduler of a dask cluster that computes features.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Recommend which views of which objects to photograph, and show what that gains."""
    with exit_codes(), folder_for_result(out):
        if budget is None and time_budget is None:
            raise UsageError("neither --budget nor --time-budget is given", "give e.g. --budget 2430")
        from acqplan.evaluate.recommend import recommend
        from acqplan.report.result import write_result
        from acqplan.rig.spec import open_rig

        progress = ProgressBars()
        setup = open_rig(rig, progress=progress)
        result = recommend(
            setup,
            budget,
            time_budget=time_budget,
            strategy=strategy,
            backbone=backbone,
            weights=weights,
            captured=captured,
            seed=seed,
            validate=not no_validate,
            runtime=chosen_runtime(device, precision, dask),
            progress=progress,
        )
        facts = {"rig": setup.source.name, "rig.toml": str(rig or "embedded toys")}
        files = write_result(result, out, facts=facts, progress=progress)
        if as_json:
            print_json({**result.to_dict(), "files": [str(path) for path in files]})
        else:
            _show(result)
            print_note(f"written to {out}: {', '.join(path.name for path in files)}")


def _show(result: Recommendation) -> None:
    from acqplan.report.terminal import advice_summary, plan_table, validation_summary

    print_result(plan_table(result.plan, width=terminal_width()))
    if result.validation is not None:
        print_result("", validation_summary(result.validation, result.sentences, emphasised=result.plan.strategy))
    if result.advice is not None:
        print_result("", advice_summary(result.advice))
