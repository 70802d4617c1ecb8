"""Plots of plans and validations, as matplotlib figures and as files; the only room that knows matplotlib."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from matplotlib.figure import Figure

from acqplan.campaign.plan import Plan
from acqplan.evaluate.records import Validation
from acqplan.report.plot.accuracy import accuracy_bars, accuracy_curve, draw_curve, gains
from acqplan.report.plot.coverage import coverage, images_per_object
from acqplan.report.plot.dial import class_dials, dial, draw_dial, of_class
from acqplan.report.plot.style import drawing, new_figure, save_png, svg_element

__all__ = [
    "accuracy_bars",
    "accuracy_curve",
    "class_dials",
    "coverage",
    "dial",
    "gains",
    "images_per_object",
    "of_class",
    "overview",
    "save_png",
    "svg_element",
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


def write_plots(folder: Path, plan: Plan, validation: Validation | None = None) -> list[Path]:
    """Write every plot that there is material for as PNG.

    Returns:
        The files: dial, classes, coverage, objects; with a validation also overview, accuracy, bars, gains.
    """
    paths = []
    for name, figure in _figures(plan, validation):
        paths.append(folder / f"{name}.png")
        save_png(figure, paths[-1])
    return paths


def _figures(plan: Plan, validation: Validation | None) -> Iterator[tuple[str, Figure]]:
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
