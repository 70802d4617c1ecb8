"""``acqplan study transfer``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from acqplan.cli import options
from acqplan.cli.console import ProgressBars, exit_codes, print_plan_only, print_study
from acqplan.errors import UsageError
from acqplan.files import folder_for_result


def transfer(
    rig: options.Rig = None,
    backbone: options.Backbones = None,
    weights: options.Weights = None,
    head: Annotated[
        list[str] | None,
        typer.Option(help="softmax, logistic, svm, ridge, mean or dropout; once for each, by default all."),
    ] = None,
    budget: Annotated[
        str | None, typer.Option(metavar="IMAGES|all", help="Images to train on; by default 8 of each train object.")
    ] = None,
    splits: Annotated[int | None, options.number("Splits, each used from both sides; 5, quick 3.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer splits, and only heads that train fast.")] = False,
    augment: Annotated[
        bool, typer.Option("--augment", help="Also train on crops and rotations, with the best backbone.")
    ] = False,
    patches: Annotated[
        bool, typer.Option("--patches", help="Also sum scores over patches, with the best backbone; draws where.")
    ] = False,
    device: options.Device = None,
    precision: options.PrecisionChoice = options.Precision.float32,
    plan_only: options.PlanOnly = False,
    out: options.StudyOut = Path("acqplan-transfer"),
    as_json: options.Json = False,
) -> None:
    """Which backbone, layer and head use the images best? Measured on objects that no head saw."""
    with exit_codes():
        options.check_count("--splits", splits)
        if budget not in (None, "all") and not budget.isdecimal():
            raise UsageError(f"--budget '{budget}' is not a whole number", "give digits alone, e.g. 320, or all")
        from acqplan.rig.spec import open_rig
        from acqplan.study import transfer as study
        from acqplan.study.transfer_features import read_backbones
        from acqplan.study.transfer_heads import find_recipes

        protocol = study.QUICK if quick else study.TransferProtocol()
        protocol = replace(
            protocol,
            recipes=find_recipes(head or (), protocol.recipes),
            splits=splits or protocol.splits,
            budget=None if budget in (None, "all") else int(budget),
            everything=budget == "all",
            augment=augment,
            patches=patches,
        )
        progress = ProgressBars()
        opened = open_rig(rig, progress=progress)
        named = read_backbones(backbone or (), weights, opened.source.name)
        if plan_only:
            work = study.estimate(opened, named, protocol)
            print_plan_only(work, as_json)
            return
        with folder_for_result(out):
            found = study.transfer(
                opened,
                out,
                backbones=backbone or (),
                weights=weights,
                protocol=protocol,
                runtime=options.chosen_runtime(device, precision),
                progress=progress,
            )
            from acqplan.report.terminal import bullets, drawn_table
            from acqplan.report.transfer_page import document, save_transfer, sentences, ways_table

            files = save_transfer(found, out, facts={"rig.toml": str(rig or "embedded toys")}, progress=progress)
        table = ways_table(found.ways, found.same, found.usual, found.tested, most=12)
        print_study(out, files, document(found), as_json, bullets(sentences(found)), "", drawn_table(table))
