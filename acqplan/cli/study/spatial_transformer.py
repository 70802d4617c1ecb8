"""``acqplan study spatial-transformer``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from acqplan.cli import options
from acqplan.cli.console import ProgressBars, exit_codes, print_plan_only, print_study
from acqplan.files import folder_for_result


def spatial_transformer(
    rig: options.Rig = None,
    data: options.SmallNorb = None,
    fetch: options.Fetch = False,
    backbone: Annotated[
        str | None, typer.Option(metavar="NAME:LAYER", help="vgg16:fc15; toynet for toys.", show_default=False)
    ] = None,
    weights: options.Weights = None,
    experiments: Annotated[
        str | None, typer.Option(metavar="N,N,…", help="Of the thesis' seven; all, quick 1,2,7.", show_default=False)
    ] = None,
    sets: Annotated[
        str | None, typer.Option(metavar="SET,…", help="Even sets; all 12, quick A60E15,A120E15.", show_default=False)
    ] = None,
    beyond: Annotated[
        bool, typer.Option("--beyond", help="Also a wider search with warm-up, and a projective transformer.")
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Minutes on two cores: 400 updates, every fifth test image.")
    ] = False,
    seeds: Annotated[int, options.number("How many seeds.")] = 1,
    device: options.Device = None,
    plan_only: options.PlanOnly = False,
    out: options.StudyOut = Path("acqplan-spatial-transformer"),
    as_json: options.Json = False,
) -> None:
    """Does a spatial transformer help? The thesis on smallNORB, with a control, objects and a wider search."""
    with exit_codes():
        options.check_smallnorb(rig, data, fetch)
        options.check_count("--seeds", seeds)
        from acqplan.study import spatial_transformer as study
        from acqplan.study.transformer_findings import REPORTED_BACKBONE
        from acqplan.study.transformer_protocol import BEYOND, FULL, QUICK, QUICK_BEYOND

        protocol, more = (QUICK, QUICK_BEYOND) if quick else (FULL, BEYOND)
        protocol = replace(
            protocol,
            experiments=_listed(experiments, protocol.experiments),
            sets=_listed(sets, protocol.sets),
            searches={**protocol.searches, **(more if beyond else {})},
            seeds=tuple(range(seeds)),
        )
        runtime, progress = options.chosen_runtime(device, options.Precision.float32), ProgressBars()
        if plan_only:
            spec = backbone or ("" if data is None else REPORTED_BACKBONE)
            work = study.estimate(protocol, rig=rig, backbone=spec, weights=weights, runtime=runtime)
            print_plan_only(work, as_json)
            return
        with folder_for_result(out):
            from acqplan.rig.norb import smallnorb_rig

            opened = None if data is None else smallnorb_rig(data, fetch=fetch, progress=progress)
            found = study.spatial_transformer(
                opened or rig,
                out,
                backbone=backbone,
                weights=weights,
                protocol=protocol,
                runtime=runtime,
                progress=progress,
            )
            from acqplan.report.spatial_transformer_page import document, headline, save_spatial_transformer, sentences

            facts = {"rig.toml": str(rig or data or "embedded toys")}
            files = save_spatial_transformer(found, out, facts=facts, progress=progress)
        print_study(out, files, document(found), as_json, headline(found), "", *sentences(found))


def _listed(text: str | None, otherwise: tuple[Any, ...]) -> tuple[Any, ...]:
    """What stands between commas, once each, numbers as numbers; what there is of it the protocol knows."""
    words = otherwise if text is None else dict.fromkeys(word.strip() for word in text.split(","))
    return tuple(int(word) if str(word).isdecimal() else word for word in words)
