"""``acqplan recommend``: which views of which objects to photograph under a budget."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from acqplan.cli.console import (
    ProgressBars,
    exit_codes,
    print_json,
    print_note,
    print_result,
    terminal_width,
    whole_number,
)
from acqplan.cli.options import (
    BackboneOption,
    DeviceOption,
    Precision,
    PrecisionOption,
    WeightsOption,
    chosen_runtime,
)
from acqplan.files import folder_for_result

if TYPE_CHECKING:
    from acqplan.evaluate.recommend import Recommendation


def command(
    budget: Annotated[
        int,
        typer.Option(
            help="Images that may be taken, those already captured included.", parser=whole_number, metavar="IMAGES"
        ),
    ],
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
        from acqplan.evaluate.recommend import recommend
        from acqplan.report.result import write_result
        from acqplan.rig.spec import open_rig

        progress = ProgressBars()
        setup = open_rig(rig, progress=progress)
        result = recommend(
            setup,
            budget,
            strategy=strategy,
            backbone=backbone,
            weights=weights,
            captured=captured,
            seed=seed,
            validate=not no_validate,
            runtime=chosen_runtime(device, precision, dask),
            progress=progress,
        )
        facts = {"rig": setup.rig.name, "rig.toml": str(rig or "embedded toys")}
        files = write_result(result, out, facts=facts, progress=progress)
        if as_json:
            print_json({**result.to_dict(), "files": [str(path) for path in files]})
        else:
            _show(result)
            print_note(f"written to {out}: {', '.join(path.name for path in files)}")


def _show(result: Recommendation) -> None:
    from acqplan.report.table import comparison_table, plan_table

    print_result(plan_table(result.plan, width=terminal_width()))
    if result.validation is not None:
        print_result("", comparison_table(result.validation, result.sentences, emphasised=result.plan.strategy))
