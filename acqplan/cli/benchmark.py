"""``acqplan benchmark``: strategies compared on a rig whose every shot can be had."""

from __future__ import annotations

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
from acqplan.errors import AcqplanError, UsageError
from acqplan.files import folder_for_result

if TYPE_CHECKING:
    from acqplan.evaluate.findings import Findings


def command(
    rig: Annotated[Path | None, typer.Option(help="rig.toml; without it, the embedded toy rig.")] = None,
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
    seeds: Annotated[
        int, typer.Option(help="How many seeds; a claim needs 20.", parser=whole_number, metavar="INTEGER")
    ] = 20,
    splits: Annotated[
        int | None,
        typer.Option(help="Splits of the objects; by default one a seed.", parser=whole_number, metavar="INTEGER"),
    ] = None,
    no_swap: Annotated[
        bool, typer.Option("--no-swap", help="Do not use each split with train and test objects swapped as well.")
    ] = False,
    primary: Annotated[str | None, typer.Option(help="The strategy the claim is about; by default the first.")] = None,
    baseline: Annotated[
        str | None, typer.Option(help="What it is compared with first; random-shots if it takes part.")
    ] = None,
    primary_budget: Annotated[
        int | None,
        typer.Option(help="The budget of the claim; by default the largest.", parser=whole_number, metavar="IMAGES"),
    ] = None,
    backbone: BackboneOption = None,
    weights: WeightsOption = None,
    device: DeviceOption = None,
    precision: PrecisionOption = Precision.float32,
    workers: Annotated[
        int | None, typer.Option(help="Processes; by default one a core.", parser=whole_number, metavar="INTEGER")
    ] = None,
    dask: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Scheduler of a dask cluster that runs the cells.")
    ] = None,
    plan_only: Annotated[
        bool, typer.Option("--plan-only", help="Write the design and its digest (pre-registration); measure nothing.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Folder of the results; a killed run goes on from it.")] = Path(
        "acqplan-benchmark"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Compare strategies over budgets, seeds and splits of the objects, with tests that can be trusted."""
    with exit_codes(), folder_for_result(out):
        _check_counts(seeds=seeds, splits=splits, workers=workers)
        names, sizes = _names(strategies), _sizes(budgets)
        from acqplan.evaluate.benchmark import STRATEGIES, prepare
        from acqplan.report.result import write_benchmark
        from acqplan.rig.spec import open_rig

        progress = ProgressBars()
        benchmark = prepare(
            open_rig(rig, progress=progress),
            strategies=names or STRATEGIES,
            budgets=sizes,
            seeds=range(seeds),
            n_splits=splits,
            swap=not no_swap,
            primary=primary,
            baseline=baseline,
            primary_budget=primary_budget,
            backbone=backbone,
            weights=weights,
            runtime=chosen_runtime(device, precision, None),
        )
        if plan_only:
            benchmark.register(out)
            if as_json:
                print_json(benchmark.design.to_dict())
            else:
                print_result(f"design {benchmark.design.digest}")
                print_note(f"written to {out / 'design.json'}; the same options without --plan-only measure it")
            return
        findings = benchmark.run(out, workers=workers, cluster=dask or "", progress=progress)
        facts = {"rig": benchmark.eye.source.name, "rig.toml": str(rig or "embedded toys")}
        files = write_benchmark(findings, out, facts=facts, progress=progress)
        if as_json:
            print_json({**findings.to_dict(), "files": [str(path) for path in files]})
        else:
            _show(findings)
            print_note(f"written to {out}: {', '.join(path.name for path in files)}")
        _check_failures(findings)


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",")) if text is not None else ()


def _sizes(text: str | None) -> tuple[int, ...]:
    sizes = []
    for part in text.split(",") if text is not None else ():
        try:
            sizes.append(int(part))
        except ValueError as error:
            raise UsageError(f"budget '{part}' is not a whole number", "give numbers, e.g. 90,270,810") from error
    return tuple(sizes)


def _check_counts(**counts: int | None) -> None:
    for name, count in counts.items():
        if count is not None and count < 1:
            raise UsageError(f"--{name} {count} cannot be", "give at least 1")


def _show(findings: Findings) -> None:
    from acqplan.report.terminal import benchmark_summary

    print_result(benchmark_summary(findings, width=terminal_width()))


def _check_failures(findings: Findings) -> None:
    """The report is written; but a strategy that failed must not look like success."""
    if findings.failed:
        first, n = findings.failed[0], len(findings.failed)
        raise AcqplanError(
            f"{n:,} cell{'s' * (n != 1)} failed, the first {first.strategy} at {first.budget:,} images, seed "
            f"{first.seed}: {first.reason}",
            "the report names them all",
        )
