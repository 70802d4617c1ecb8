"""``acqplan recommend`` and ``acqplan advise``: what to photograph, and whether to go on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from acqplan.cli import options
from acqplan.cli.console import ProgressBars, exit_codes, print_json, print_note, print_result, terminal_width
from acqplan.errors import UsageError
from acqplan.files import folder_for_result


def recommend(
    budget: Annotated[
        int | None, options.number("Images that may be taken, those already captured included.", "IMAGES")
    ] = None,
    time_budget: Annotated[
        float | None,
        options.time("Time of taking them, e.g. 2h, 90min, 1h30: as many images as fit, at most the budget."),
    ] = None,
    rig: options.Rig = None,
    captured: Annotated[
        Path | None, typer.Option(help="Manifest of images already captured: image,label,object,<axis>,…")
    ] = None,
    strategy: Annotated[str, typer.Option(help="auto, lattice, herding, maximin, sobol, even, random, …")] = "auto",
    backbone: options.Backbone = None,
    weights: options.Weights = None,
    seed: options.Seed = 0,
    out: Annotated[Path, typer.Option(help="Folder for the plan, the validation and the report.")] = Path(
        "acqplan-out"
    ),
    no_validate: Annotated[bool, typer.Option("--no-validate", help="Plan only; do not compare strategies.")] = False,
    device: options.Device = None,
    precision: options.PrecisionChoice = options.Precision.float32,
    dask: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Scheduler of a dask cluster that computes features.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Recommend which views of which objects to photograph, and show what that gains."""
    with exit_codes(), folder_for_result(out):
        if budget is None and time_budget is None:
            raise UsageError("neither --budget nor --time-budget is given", "give e.g. --budget 2430")
        from acqplan.evaluate import recommend as library
        from acqplan.report.result import write_result
        from acqplan.rig.spec import open_rig

        progress = ProgressBars()
        opened = open_rig(rig, progress=progress)
        result = library.recommend(
            opened,
            budget,
            time_budget=time_budget,
            strategy=strategy,
            backbone=backbone,
            weights=weights,
            captured=captured,
            seed=seed,
            validate=not no_validate,
            runtime=options.chosen_runtime(device, precision, dask),
            progress=progress,
        )
        facts = {"rig": opened.source.name, "rig.toml": str(rig or "embedded toys")}
        files = write_result(result, out, facts=facts, progress=progress)
        if as_json:
            print_json({**result.to_dict(), "files": [str(path) for path in files]})
            return
        from acqplan.report.terminal import advice_summary, plan_table, validation_summary

        print_result(plan_table(result.plan, width=terminal_width()))
        if result.validation is not None:
            print_result("", validation_summary(result.validation, result.sentences, emphasised=result.plan.strategy))
        if result.advice is not None:
            print_result("", advice_summary(result.advice))
        print_note(f"written to {out}: {', '.join(path.name for path in files)}")


def advise(
    rig: options.Rig = None,
    captured: Annotated[
        Path | None, typer.Option(help="Manifest of the captured images: image,label,object,<axis>,…")
    ] = None,
    budget: Annotated[
        int | None,
        options.number(
            "Instead of --captured, on a virtual rig: let the default strategy capture so many images first.", "IMAGES"
        ),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(help="Instead of all these: a campaign, whose images they are.", metavar="FILE_OR_URL"),
    ] = None,
    accuracy: Annotated[float, typer.Option(help="Accuracy to be reached, above 0 and at most 1.")] = 0.95,
    backbone: options.Backbone = None,
    weights: options.Weights = None,
    seed: Annotated[int | None, options.number("Seed of all randomness; 0 by default.")] = None,
    device: options.Device = None,
    precision: options.PrecisionChoice = options.Precision.float32,
    as_json: options.Json = False,
) -> None:
    """Advise from captured images: stop or go on, more views or more objects, how many images to reach X."""
    with exit_codes():
        from acqplan.advice.answers import advice_sentences, worded

        # A campaign knows its rig, images and seed; all else is the same for both sources.
        shared: dict[str, Any] = {
            "accuracies": (accuracy,),
            "backbone": backbone,
            "weights": weights,
            "runtime": options.chosen_runtime(device, precision),
            "progress": ProgressBars(),
        }
        if store is None:
            from acqplan.evaluate.recommend import advise
            from acqplan.rig.spec import open_rig

            opened = open_rig(rig, progress=shared["progress"])
            advice = advise(opened, captured, budget=budget, seed=seed or 0, **shared)
        else:
            if any(given is not None for given in (rig, captured, budget, seed)):
                raise UsageError("--store beside --rig, --captured, --budget or --seed", "the campaign knows them")
            from acqplan.campaign.campaign import Campaign
            from acqplan.evaluate.campaign import advise_campaign

            with Campaign.open(store) as campaign:
                advice = advise_campaign(campaign, **shared)
        if as_json:
            print_json(worded(advice))
        else:
            from acqplan.report.terminal import advice_report

            print_result(advice_report(advice, advice_sentences(advice)))
