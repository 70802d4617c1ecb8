"""Plots of plans, validations and benchmarks, as figures and files; the only room that knows matplotlib."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from acqplan.evaluate.verdict import Validation
from acqplan.plan.plan import Plan
from acqplan.report.plot.accuracy import accuracy_bars, accuracy_curve, draw_curve, gains, learning_curve
from acqplan.report.plot.coverage import coverage, images_per_object
from acqplan.report.plot.curves import benchmark_curves, rank_curves, small_curves
from acqplan.report.plot.dial import class_dials, dial, draw_dial, of_class
from acqplan.report.plot.differences import idea_gains, object_differences
from acqplan.report.plot.matrix import verdict_matrix
from acqplan.report.plot.sides import first_object, most_shots, strategy_dials, taken_shots
from acqplan.report.plot.style import drawing, new_figure, save_png, svg_element

if TYPE_CHECKING:
    from acqplan.advice.answers import Advice
    from acqplan.evaluate.findings import Findings

__all__ = [
    "accuracy_bars",
    "accuracy_curve",
    "benchmark_curves",
    "class_dials",
    "coverage",
    "dial",
    "first_object",
    "gains",
    "idea_gains",
    "images_per_object",
    "learning_curve",
    "most_shots",
    "object_differences",
    "of_class",
    "overview",
    "rank_curves",
    "save_png",
    "small_curves",
    "strategy_dials",
    "svg_element",
    "taken_shots",
    "verdict_matrix",
    "write_benchmark_plots",
    "write_plots",
]


def overview(plan: Plan, validation: Validation) -> Figure:
    """Accuracy against images with the dial beside it: the whole answer in one picture."""
    with drawing():
        figure = new_figure(11.0, 4.6)
        left, right = figure.subfigures(1, 2, width_ratios=(1.35, 1.0), squeeze=False).ravel()
        draw_curve(left.add_subplot(), validation, emphasised=plan.strategy)
        draw_dial(right, plan.shots, title=f"Views of the {len(plan):,} images")
    return figure


def write_plots(
    folder: Path, plan: Plan, validation: Validation | None = None, advice: Advice | None = None
) -> list[Path]:
    """Write every plot that there is material for as PNG.

    Returns:
        The files: dial, classes, coverage, objects; with a validation also overview, accuracy, bars, gains; with a
        measured learning curve advice.
    """
    return _save(folder, _figures(plan, validation, advice))


def write_benchmark_plots(folder: Path, findings: Findings) -> list[Path]:
    """Write every plot of a benchmark that there is material for as PNG.

    Returns:
        The files: curves, strategies, verdicts, objects, views, ideas, ranks; with one budget no strategies and ranks.
    """
    return _save(folder, _benchmark_figures(findings))


def _save(folder: Path, figures: Iterator[tuple[str, Figure]]) -> list[Path]:
    paths = []
    for name, figure in figures:
        paths.append(folder / f"{name}.png")
        save_png(figure, paths[-1])
    return paths


def _figures(plan: Plan, validation: Validation | None, advice: Advice | None) -> Iterator[tuple[str, Figure]]:
    yield "dial", dial(plan.shots)
    yield "classes", class_dials(plan.shots)
    yield "coverage", coverage(plan)
    yield "objects", images_per_object(plan)
    if validation is not None and validation.records:
        yield "overview", overview(plan, validation)
        yield "accuracy", accuracy_curve(validation, emphasised=plan.strategy)
        yield "bars", accuracy_bars(validation, emphasised=plan.strategy)
    if validation is not None and any(verdict.a == plan.strategy for verdict in validation.verdicts):
        yield "gains", gains(validation, emphasised=plan.strategy)
    if advice is not None and advice.points:
        yield "advice", learning_curve(advice)


def _benchmark_figures(findings: Findings) -> Iterator[tuple[str, Figure]]:
    several = len(findings.results.design.budgets) > 1
    yield "curves", benchmark_curves(findings)
    if several:
        yield "strategies", small_curves(findings)
    yield "verdicts", verdict_matrix(findings)
    yield "objects", object_differences(findings)
    if findings.results.blocks[0].taken:
        yield "views", strategy_dials(findings)
    if findings.ideas:
        yield "ideas", idea_gains(findings)
    if several and findings.standings:
        yield "ranks", rank_curves(findings)
