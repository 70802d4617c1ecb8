"""``acqplan advise``: stop or go on, more views or more objects, how many images to reach an accuracy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    print_result,
    whole_number,
)
from acqplan.errors import UsageError

if TYPE_CHECKING:
    from acqplan.advice.answers import Advice


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
    store: Annotated[
        str | None,
        typer.Option(help="Instead of all these: a campaign, whose images they are.", metavar="FILE_OR_URL"),
    ] = None,
    accuracy: Annotated[float, typer.Option(help="Accuracy to be reached, above 0 and at most 1.")] = 0.95,
    backbone: BackboneOption = None,
    weights: WeightsOption = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of all randomness; 0 by default.", parser=whole_number, metavar="INTEGER")
    ] = None,
    device: DeviceOption = None,
    precision: PrecisionOption = Precision.float32,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Advise from captured images: stop or go on, more views or more objects, how many images to reach X."""
    with exit_codes():
        from acqplan.advice.answers import advice_sentences, worded

        progress = ProgressBars()
        how: dict[str, Any] = {
            "accuracies": (accuracy,),
            "backbone": backbone,
            "weights": weights,
            "runtime": chosen_runtime(device, precision, None),
            "progress": progress,
        }
        if store is None:
            from acqplan.evaluate.advise_rig import advise_rig
            from acqplan.rig.spec import open_rig

            setup = open_rig(rig, progress=progress)
            advice = advise_rig(setup, captured=captured, budget=budget, seed=seed or 0, **how)
        else:
            for given in (rig, captured, budget, seed):
                if given is not None:
                    raise UsageError("--store beside --rig, --captured, --budget or --seed", "the campaign knows them")
            advice = _advise_campaign(store, how)
        if as_json:
            print_json(worded(advice))
        else:
            _show(advice, advice_sentences(advice))


def _advise_campaign(store: str, how: dict[str, Any]) -> Advice:
    from acqplan.campaign.campaign import Campaign
    from acqplan.evaluate.campaign import advise_campaign

    with Campaign.open(store) as campaign:
        return advise_campaign(campaign, **how)


def _show(advice: Advice, sentences: tuple[str, ...]) -> None:
    from acqplan.report.terminal import advice_report

    print_result(advice_report(advice, sentences))
