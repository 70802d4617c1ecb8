"""Commands that decide and measure: ``recommend`` and ``advise``, ``benchmark`` and ``compare``."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from acqplan.cli import options
from acqplan.cli.console import ProgressBars, exit_codes, print_json, print_note, print_result, results
from acqplan.errors import AcqplanError, UsageError
from acqplan.files import check_free, folder_for_result
from acqplan.numbers import count_noun

if TYPE_CHECKING:
    from acqplan.evaluate.recommend import Recommendation
    from acqplan.rig.spec import Rig as RigOfFile


def recommend(
    budget: Annotated[
        int | None,
        options.number("Images that may be taken, those already captured included.", "IMAGES", "--budget", "-b"),
    ] = None,
    time_budget: Annotated[
        float | None,
        options.time("Time of taking them, e.g. 2h, 90min, 1h30: as many images as fit, at most the budget."),
    ] = None,
    rig: options.Rig = None,
    captured: Annotated[
        Path | None, typer.Option(help="Manifest of images already captured: image,label,object,<axis>,…")
    ] = None,
    strategy: options.Strategy = "auto",
    backbone: options.Backbone = None,
    weights: options.Weights = None,
    seed: options.Seed = 0,
    out: Annotated[Path, options.out("Folder for the plan, the validation and the report.")] = Path("acqplan-out"),
    no_validate: Annotated[bool, typer.Option("--no-validate", help="Plan only; do not compare strategies.")] = False,
    test_views: options.TestViews = "108",
    poses: Annotated[
        Path | None, typer.Option(help="Also write the camera's pose of each shot, by [camera] of rig.toml.")
    ] = None,
    device: options.Device = None,
    precision: options.PrecisionChoice = options.Precision.float32,
    dask: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Scheduler of a dask cluster that computes features.")
    ] = None,
    dry_run: options.DryRun = False,
    verbose: options.Verbose = False,
    as_json: options.Json = False,
) -> None:
    """Recommend which views of which objects to photograph, and show what that gains."""
    with exit_codes(), contextlib.nullcontext(out) if dry_run else folder_for_result(out) as place:
        if budget is None and time_budget is None:
            raise UsageError("neither --budget nor --time-budget is given", "give e.g. --budget 2430")
        from acqplan.evaluate import recommend as library
        from acqplan.plan.poses import check_poses
        from acqplan.report.result import FILES, MARK, save
        from acqplan.report.terminal import plan_table, result_summary
        from acqplan.rig.spec import open_rig

        check_free(out, FILES, *MARK)
        progress = ProgressBars()
        opened = open_rig(rig, progress=progress)
        facts, kept = {"rig": opened.source.name, "rig.toml": str(rig or "embedded toys")}, list[str]()
        if poses is not None:
            check_poses(poses, opened.camera, opened.source.space)

        def show(early: Recommendation) -> None:
            """The plan at once: printed and, unless a result of the same plan is there, written."""
            facts.update(_read_axes(opened))
            if not as_json:
                print_result(plan_table(early.plan, width=results.width, verbose=verbose, now=time.time()), "")
            if dry_run:
                return
            written = place / "plan.csv"
            if opened.source.name != "live" and not (
                written.exists() and written.read_bytes() == early.plan.to_csv().encode()
            ):
                save(early, place, facts=facts, pictures=False, progress=progress)
                kept.append(f"the plan is kept in {out}, without what it gains")

        try:
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
                test_views=None if test_views == "all" else int(test_views),
                dry_run=dry_run,
                on_plan=show,
                runtime=options.chosen_runtime(device, precision, dask),
                progress=progress,
            )
            files = [] if dry_run else save(result, place, facts=facts, progress=progress)
        except BaseException:
            for said in kept:
                print_note(said)
            raise
        written = [str(out / path.name) for path in files]
        if poses is not None and not dry_run:
            result.save_poses(poses)
            written.append(str(poses))
        if as_json:
            print_json({**({"dry_run": True} if dry_run else {}), **result.to_dict(), "files": written})
            return
        if dry_run:
            print_note(f"a dry run: nothing is captured, looked at or written; otherwise the result goes to {out}")
            return
        print_result(result_summary(result, verbose=verbose))
        print_note(f"written to {out}: {', '.join(path.name for path in files)}" + (f"; {poses}" if poses else ""))


def _read_axes(rig: RigOfFile) -> dict[str, str]:
    """Which columns of a manifest are axes, and what is doubtful, said on stderr and for the page."""
    words = {key: said for key, said in (("columns", rig.axes_words), ("warning", rig.doubts)) if said}
    for said in words.values():
        print_note(said)
    return words


def _own_rig(captured: Path | None) -> Path | None:
    """Captured images that are a rig of their own, where none is named: all but those of the embedded toys."""
    if captured is None or captured.is_dir():
        return captured
    from acqplan.rig.rendered import toy_rig
    from acqplan.table import read_table

    names = read_table(captured, required=("object",)).column("object") if captured.suffix == ".csv" else ()
    return None if set(names) & set(toy_rig(workers=1).objects.names) else captured


def advise(
    manifest: Annotated[
        Path | None, typer.Argument(metavar="[MANIFEST]", help="The captured images; short for --captured.")
    ] = None,
    rig: options.Rig = None,
    captured: Annotated[
        Path | None, typer.Option(help="Manifest of the captured images: image,label,object,<axis>,…")
    ] = None,
    budget: Annotated[
        int | None,
        options.number(
            "Instead of --captured, on a virtual rig: let the default strategy capture so many images first.",
            "IMAGES",
            "--budget",
            "-b",
        ),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option("--store", "-s", help="Instead: a campaign, whose images they are.", metavar="FILE_OR_URL"),
    ] = None,
    accuracy: Annotated[float, typer.Option(help="Accuracy to be reached, above 0 and at most 1.")] = 0.95,
    more: Annotated[
        int | None, options.number("Images that may be taken next; by default as many again.", "IMAGES")
    ] = None,
    hours: Annotated[
        float | None, options.time("Instead: time that may be spent next, with the seconds of rig.toml.", "--time")
    ] = None,
    money: Annotated[float | None, typer.Option(help="Instead: money that may be spent next.")] = None,
    image_cost: Annotated[float, typer.Option(help="What an image costs.", metavar="MONEY")] = 0.0,
    object_cost: Annotated[
        float, typer.Option(help="What another object costs, its images apart.", metavar="MONEY")
    ] = 0.0,
    worth: Annotated[
        str | None,
        typer.Option(
            help="Points that are worth going on for: 0.5 of all further images (the default), 0.5/doubling, 0.2/100.",
            metavar="POINTS[/IMAGES]",
        ),
    ] = None,
    transfer: Annotated[
        bool, typer.Option("--transfer", help="Instead: which backbone, layer and head use these images best.")
    ] = False,
    fine_tune: Annotated[
        bool, typer.Option("--fine-tune", help="With --transfer: try fine-tuning as well, which takes minutes.")
    ] = False,
    backbone: options.Backbones = None,
    weights: options.Weights = None,
    seed: Annotated[int | None, options.number("Seed of all randomness; 0 by default.", span="0 or more")] = None,
    device: options.Device = None,
    precision: options.PrecisionChoice = options.Precision.float32,
    verbose: options.Verbose = False,
    as_json: options.Json = False,
) -> None:
    """Advise from captured images: stop or go on, more views or more objects, images to reach X; or how to use them."""
    with exit_codes():
        if manifest is not None and captured is not None:
            raise UsageError("captured images are given twice", "give MANIFEST or --captured")
        captured = captured or manifest
        if store is not None and any(given is not None for given in (rig, captured, budget, seed)):
            raise UsageError("--store beside --rig, --captured, --budget or --seed", "the campaign knows them")
        if fine_tune and not transfer:
            raise UsageError("--fine-tune without --transfer", "give both")
        if transfer:
            _advise_transfer(
                rig,
                captured,
                budget,
                store,
                seed or 0,
                as_json=as_json,
                backbones=backbone or (),
                weights=weights,
                tune=fine_tune,
                runtime=options.chosen_runtime(device, precision),
            )
            return
        if len(backbone or ()) > 1:
            raise UsageError(f"{len(backbone or ())} backbones without --transfer", "give one")
        from acqplan.advice.sentences import worded
        from acqplan.advice.spend import Outlay

        outlay = Outlay(images=more, seconds=hours, money=money, image_cost=image_cost, object_cost=object_cost)
        # A campaign knows its rig, images and seed; all else is the same for both sources.
        shared: dict[str, Any] = {
            "accuracies": (accuracy,),
            "outlay": outlay,
            "worth": worth,
            "backbone": backbone[0] if backbone else None,
            "weights": weights,
            "runtime": options.chosen_runtime(device, precision),
            "progress": ProgressBars(),
        }
        if store is None:
            from acqplan.evaluate.recommend import advise as advise_of
            from acqplan.rig.spec import open_rig

            opened = open_rig(rig or _own_rig(captured), progress=shared["progress"])
            advice = advise_of(opened, captured, budget=budget, seed=seed or 0, **shared)
            _read_axes(opened)
        else:
            from acqplan.campaign.campaign import Campaign
            from acqplan.evaluate.campaign import advise_campaign

            with Campaign.open(store) as campaign:
                advice = advise_campaign(campaign, **shared)
        if as_json:
            print_json(worded(advice))
        else:
            from acqplan.report.terminal import advice_report

            print_result(advice_report(advice, verbose=verbose))


def plan_test(
    budget: Annotated[int, options.number("Images of the test.", "IMAGES", "--budget", "-b")],
    rig: options.Rig = None,
    object_cost: Annotated[
        float, typer.Option(help="What another test object costs, in images; the budget pays for it.", metavar="IMAGES")
    ] = 0.0,
    captured: Annotated[
        Path | None, typer.Option(help="Manifest of the images captured for training: image,label,object,<axis>,…")
    ] = None,
    backbone: options.Backbone = None,
    weights: options.Weights = None,
    seed: options.Seed = 0,
    device: options.Device = None,
    precision: options.PrecisionChoice = options.Precision.float32,
    out: Annotated[Path, options.out("Folder for test-plan.csv and test-plan.json.")] = Path("acqplan-test"),
    as_json: options.Json = False,
) -> None:
    """Plan a test: how many new objects, how many views of each, which, and how sure it will be."""
    with exit_codes(), folder_for_result(out) as place:
        from acqplan.evaluate import judging
        from acqplan.rig.spec import open_rig

        check_free(place, judging.FILES, *judging.MARK)
        progress = ProgressBars()
        opened = open_rig(rig, progress=progress)
        runtime = options.chosen_runtime(device, precision)
        test = judging.plan_test(
            opened,
            budget,
            object_cost=object_cost,
            captured=captured,
            backbone=backbone,
            weights=weights,
            seed=seed,
            runtime=runtime,
            progress=progress,
        )
        _read_axes(opened)
        files = [str(out / path.name) for path in test.save(place)]
        if as_json:
            print_json({**test.to_dict(), "files": files})
            return
        from acqplan.report.tables import spendings_table
        from acqplan.report.terminal import bullets, drawn_table

        print_result(bullets(test.sentences), "", drawn_table(spendings_table(test)))
        print_note(f"written to {out}: {', '.join(judging.FILES)}")


def _advise_transfer(
    rig: Path | None,
    captured: Path | None,
    budget: int | None,
    store: str | None,
    seed: int,
    *,
    as_json: bool,
    **asked: Any,
) -> None:
    """How to use what a manifest, a plan or a campaign has captured."""
    from acqplan.study.transfer_advice import advise_transfer, transfer_document, transfer_sentences

    asked["progress"] = progress = ProgressBars()
    if store is None:
        from acqplan.evaluate.recommend import captured_images
        from acqplan.rig.spec import open_rig

        opened = open_rig(rig or _own_rig(captured), progress=progress)
        source, shots = captured_images(opened, captured, budget=budget, seed=seed, progress=progress)
        advice = advise_transfer(source, shots, kind=opened.source.name, seed=seed, **asked)
    else:
        from acqplan.campaign.campaign import Campaign
        from acqplan.evaluate.campaign import captured_source

        with Campaign.open(store) as campaign:
            held = captured_source(campaign)
            advice = advise_transfer(held, held.taken, seed=campaign.settings.seed, **asked)
    if as_json:
        print_json(transfer_document(advice))
    else:
        from acqplan.report.terminal import bullets, drawn_table
        from acqplan.report.transfer_page import ways_table

        table = ways_table(advice.ways, advice.same, advice.usual, advice.tested, most=8)
        print_result(bullets(transfer_sentences(advice)), "", drawn_table(table))


def benchmark(
    rig: options.Rig = None,
    strategies: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,NAME,…",
            help="Built-in names, entry points, or module:Class; random-shots#2 is a second copy of random-shots.",
        ),
    ] = None,
    budgets: Annotated[
        str | None, typer.Option(metavar="IMAGES,…", help="By default six, from 4 images an object to a sixth of all.")
    ] = None,
    seeds: Annotated[int, options.number("How many seeds; a claim needs 20.")] = 20,
    splits: Annotated[int | None, options.number("Splits of the objects; by default one a seed.")] = None,
    no_swap: Annotated[
        bool, typer.Option("--no-swap", help="Do not use each split with train and test objects swapped as well.")
    ] = False,
    primary: Annotated[str | None, typer.Option(help="The strategy the claim is about; by default the first.")] = None,
    baseline: Annotated[
        str | None, typer.Option(help="What it is compared with first; random-shots if it takes part.")
    ] = None,
    primary_budget: Annotated[
        int | None, options.number("The budget of the claim; by default the largest.", "IMAGES")
    ] = None,
    backbone: options.Backbone = None,
    weights: options.Weights = None,
    device: options.Device = None,
    precision: options.PrecisionChoice = options.Precision.float32,
    workers: Annotated[int | None, options.number("Processes; by default one a core.")] = None,
    dask: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Scheduler of a dask cluster that runs the cells.")
    ] = None,
    plan_only: Annotated[
        bool, typer.Option("--plan-only", help="Write the design and its digest (pre-registration); measure nothing.")
    ] = False,
    out: options.StudyOut = Path("acqplan-benchmark"),
    verbose: options.Verbose = False,
    as_json: options.Json = False,
) -> None:
    """Compare strategies over budgets, seeds and splits of the objects, with tests that can be trusted."""
    with exit_codes(), folder_for_result(out) as place:
        for name, count in (("seeds", seeds), ("splits", splits), ("workers", workers)):
            if count is not None and count < 1:
                raise UsageError(f"--{name} {count} cannot be", "give at least 1")
        # What is wrong in the options is found before the rig is opened and numpy loaded.
        names = tuple(name.strip() for name in strategies.split(",")) if strategies is not None else ()
        sizes = []
        for part in budgets.split(",") if budgets is not None else ():
            try:
                sizes.append(int(part))
            except ValueError as error:
                raise UsageError(f"budget '{part}' is not a whole number", "give numbers, e.g. 90,270,810") from error
        from acqplan.evaluate.benchmark import STRATEGIES, prepare
        from acqplan.report.result import save_benchmark
        from acqplan.rig.spec import open_rig

        progress = ProgressBars()
        opened = open_rig(rig, progress=progress)
        prepared = prepare(
            opened,
            strategies=names or STRATEGIES,
            budgets=tuple(sizes),
            seeds=range(seeds),
            n_splits=splits,
            swap=not no_swap,
            primary=primary,
            baseline=baseline,
            primary_budget=primary_budget,
            backbone=backbone,
            weights=weights,
            runtime=options.chosen_runtime(device, precision),
        )
        if plan_only:
            prepared.register(place)
            if as_json:
                print_json(prepared.design.to_dict())
            else:
                print_result(f"design {prepared.design.digest}")
                print_note(f"written to {out / 'design.json'}; the same options without --plan-only measure it")
            return
        findings = prepared.run(place, workers=workers, cluster=dask or "", progress=progress)
        facts = {"rig": opened.source.name, "rig.toml": str(rig or "embedded toys")}
        files = save_benchmark(findings, place, facts=facts | _read_axes(opened), progress=progress)
        if as_json:
            print_json({**findings.to_dict(), "files": [str(out / path.name) for path in files]})
        else:
            from acqplan.report.terminal import benchmark_summary

            print_result(benchmark_summary(findings, width=results.width, verbose=verbose))
            print_note(f"written to {out}: {', '.join(path.name for path in files)}")
        # The report is written; but a strategy that failed must not look like success.
        if findings.failed:
            first = findings.failed[0]
            raise AcqplanError(
                f"{count_noun(len(findings.failed), 'cell')} failed, the first {first.strategy} at {first.budget:,} "
                f"images, seed {first.seed}: {first.reason}",
                "the report names them all",
            )


def compare(
    a: Annotated[
        Path, typer.Argument(metavar="A.csv", help="Predictions of one classifier: image,object,label,predicted.")
    ],
    b: Annotated[Path, typer.Argument(metavar="B.csv", help="Predictions of the other, on the same images.")],
    as_json: options.Json = False,
) -> None:
    """Compare two classifiers' predictions: McNemar on images, and tests on objects."""
    with exit_codes():
        from acqplan.evaluate import compare as library

        comparison = library.compare(a, b)
        if as_json:
            print_json(comparison.to_dict())
        else:
            from acqplan.report.terminal import predictions_summary

            print_result(predictions_summary(comparison), "", comparison.sentence)
