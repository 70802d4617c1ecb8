"""``acqplan study freeze-depth``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from acqplan.cli import options
from acqplan.cli.console import ProgressBars, exit_codes, print_plan_only, print_study
from acqplan.errors import UsageError
from acqplan.files import folder_for_result


def freeze_depth(
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Tree of images: CLASS/image, or as Tiny-ImageNet or MiniPlaces come."),
    ] = None,
    rig: Annotated[Path | None, typer.Option(help="rig.toml, instead of a tree; its labels are the classes.")] = None,
    source: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Tree of other classes to transfer from; else halves of the data."),
    ] = None,
    network: Annotated[str, typer.Option(help="alexnet, or a network of torchvision such as resnet18.")] = "alexnet",
    weights: Annotated[Path | None, typer.Option(help="Weights of the source network, instead of a source.")] = None,
    images: Annotated[str | None, typer.Option(metavar="N,N,…", help="Images per class; 500,450,…,50.")] = None,
    layers: Annotated[
        str | None, typer.Option(metavar="N,N,…", help="Layers to freeze; all but that of classes.")
    ] = None,
    repeats: Annotated[int | None, options.number("How often classes are halved; 5, quick 2.")] = None,
    iterations: Annotated[int | None, options.number("Updates of each network; 10,000, quick 300.")] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Minutes on two cores: a narrow network, few updates.")
    ] = False,
    device: options.Device = None,
    plan_only: options.PlanOnly = False,
    out: options.StudyOut = Path("acqplan-freeze-depth"),
    as_json: options.Json = False,
) -> None:
    """How many layers of a transferred network to freeze, at which number of images per class?"""
    with exit_codes():
        if (data is None) == (rig is None):
            raise UsageError("give either --data or --rig", "name the images, e.g. --data shapes")
        asked, frozen = (
            None if text is None else _numbers(text, name)
            for text, name in ((images, "--images"), (layers, "--layers"))
        )
        from acqplan.rig.spec import open_rig
        from acqplan.runtime import Runtime
        from acqplan.study import freeze_depth as study
        from acqplan.study.freeze_training import StudiedNetwork
        from acqplan.study.image_trees import read_rig, read_tree

        protocol = study.QUICK if quick else study.FreezeProtocol()
        if network != "alexnet":
            protocol = replace(protocol, network=StudiedNetwork.named(network, published=weights is not None))
        plan = protocol.plan if iterations is None else replace(protocol.plan, iterations=iterations)
        longer = protocol.source_iterations if iterations is None else iterations * (5 if quick else 1)
        protocol = replace(
            protocol,
            plan=plan,
            source_iterations=longer,
            images=asked or protocol.images,
            layers=frozen or (),
            repeats=protocol.repeats if repeats is None else repeats,
        )
        progress, size = ProgressBars(), protocol.network.size
        where = Runtime.detect(device).device

        def read() -> tuple[study.Pictures, study.Pictures | None]:
            found = (
                read_tree(data, size=size, progress=progress)
                if data is not None
                else read_rig(open_rig(rig, progress=progress), size=size, progress=progress)
            )
            return found, None if source is None else read_tree(source, size=size, progress=progress)

        if plan_only:
            target, before = read()
            halved = before is None and weights is None
            work = study.estimate_freezing(target, protocol=protocol, halved=halved, device=where)
            print_plan_only(work, as_json)
            return
        with folder_for_result(out):
            target, before = read()
            found = study.freeze_depth(
                target, out, source=before, weights=weights, protocol=protocol, device=where, progress=progress
            )
            from acqplan.report.freeze_depth_page import freezing_document, freezing_sentences, save_freeze_depth

            facts = {"data": str(data or rig), "device": where}
            files = save_freeze_depth(found, out, facts=facts, progress=progress)
        print_study(out, files, freezing_document(found), as_json, *freezing_sentences(found))


def _numbers(text: str, name: str) -> tuple[int, ...]:
    """Whole numbers above zero between commas."""
    parts = [part.strip() for part in text.split(",")]
    if bad := [part for part in parts if not part.isdecimal() or int(part) < 1]:
        raise UsageError(f"{name}: '{bad[0]}' is no whole number above zero", "give e.g. 50,20,5")
    return tuple(dict.fromkeys(map(int, parts)))
