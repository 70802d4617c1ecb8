"""``acqplan study norb-sampling``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from acqplan.cli import options
from acqplan.cli.console import ProgressBars, exit_codes, print_plan_only, print_study
from acqplan.files import folder_for_result


def norb_sampling(
    rig: options.Rig = None,
    data: options.SmallNorb = None,
    fetch: options.Fetch = False,
    backbone: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME:LAYER", help="Features to study; give it once for each. toynet for toys."),
    ] = None,
    weights: options.Weights = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Minutes on two cores: fewer settings, updates, seeds and designs.")
    ] = False,
    seeds: Annotated[int | None, options.number("How many seeds; 5, quick 3.")] = None,
    device: options.Device = None,
    precision: options.PrecisionChoice = options.Precision.float32,
    plan_only: options.PlanOnly = False,
    out: options.StudyOut = Path("acqplan-norb-sampling"),
    as_json: options.Json = False,
) -> None:
    """Do even sets of views beat random ones? The thesis on smallNORB, with seeds, objects and strategies."""
    with exit_codes():
        options.check_smallnorb(rig, data, fetch)
        options.check_count("--seeds", seeds)
        from acqplan.study import norb_sampling as study

        protocol = study.QUICK if quick else study.Protocol()
        if seeds is not None:
            protocol = replace(protocol, seeds=tuple(range(seeds)))
        runtime = options.chosen_runtime(device, precision)
        if plan_only:
            work = study.estimate(protocol, n_layers=len(backbone or [""]), device=runtime.device if runtime else "cpu")
            print_plan_only(work, as_json)
            return
        with folder_for_result(out):
            progress = ProgressBars()
            from acqplan.rig.norb import smallnorb_rig

            opened = None if data is None else smallnorb_rig(data, fetch=fetch, progress=progress)
            found = study.norb_sampling(
                opened or rig,
                out,
                backbones=backbone or (),
                weights=weights,
                protocol=protocol,
                runtime=runtime,
                progress=progress,
            )
            from acqplan.report.norb_sampling_answers import answers, document, sentences
            from acqplan.report.norb_sampling_page import save_norb_sampling

            facts = {"rig.toml": str(rig or data or "embedded toys")}
            files = save_norb_sampling(found, out, facts=facts, progress=progress)
        print_study(out, files, document(found), as_json, *sentences(found), "", *answers(found))
