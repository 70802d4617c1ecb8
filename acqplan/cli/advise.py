"""``acqplan advise``: stop or go on, more views or more objects, how many images to reach an accuracy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from acqplan.cli.console import ProgressBars, exit_codes, print_json, print_result, whole_number
from acqplan.cli.options import (
    BackboneOption,
    DeviceOption,
    Precision,
    PrecisionOption,
    WeightsOption,
    chosen_runtime,
)

if TYPE_CHECKING:
    from acqplan.evaluate.advise_answers import Advice


def command(
    rig: Annotated[Path | None, typer.Option(help="rig.toml; without it, the embedded toy rig.")] = None,
    captured: Annotated[
        Path | None, typer.Option(help="Manifest of the captured images: image,label,object,<axis>,…")
    ] = None,
    budget: Annotated[
        int | None,
        typer.Option(
            help="Instead of --captured, on a virtual rig: let the default strategy capture so many images first.",
            parser=whole_number,
            metavar="IMAGES",
        ),
    ] = None,
    accuracy: Annotated[float, typer.Option(help="Accuracy to be reached, above 0 and at most 1.")] = 0.95,
    backbone: BackboneOption = None,
    weights: WeightsOption = None,
    seed: Annotated[int, typer.Option(help="Seed of all randomness.", parser=whole_number, metavar="INTEGER")] = 0,
    device: DeviceOption = None,
    precision: PrecisionOption = Precision.float32,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Advise from captured images: stop or go on, more views or more objects, how many images to reach X."""
    with exit_codes():
        from acqplan.evaluate.advise_rig import advise_rig
        from acqplan.evaluate.advise_words import advice_sentences, worded
        from acqplan.rig.spec import open_rig

        progress = ProgressBars()
        advice = advise_rig(
            open_rig(rig, progress=progress),
            captured=captured,
            budget=budget,
            accuracies=(accuracy,),
            backbone=backbone,
            weights=weights,
            seed=seed,
            runtime=chosen_runtime(device, precision, None),
            progress=progress,
        )
        if as_json:
            print_json(worded(advice))
        else:
            _show(advice, advice_sentences(advice))


def _show(advice: Advice, sentences: tuple[str, ...]) -> None:
    from acqplan.report.table import advice_table

    print_result(advice_table(advice, sentences))
