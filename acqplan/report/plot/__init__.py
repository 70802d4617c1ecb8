"""Plots of plans, validations and benchmarks, as figures and files; the only room that knows matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from acqplan.plan.plan import Plan
from acqplan.report.compared import Compared
from acqplan.report.plot import curves, differences, views
from acqplan.report.plot.advice import design_surface, learning_curve
from acqplan.report.plot.contact import Sheet, contact_sheet
from acqplan.report.plot.style import new_figure
from acqplan.space.sphere import Orbit

if TYPE_CHECKING:
    from acqplan.advice.answers import Advice
    from acqplan.evaluate.findings import Findings

# Figures by the names of their files, without ``.png``; each is drawn when it is asked for.
Drawings = dict[str, Callable[[], Figure]]


def overview(plan: Plan, compared: Compared) -> Figure:
    """Accuracy against images with the dial beside it: the whole answer in one picture."""
    with new_figure(11.0, 4.6) as figure:
        left, right = figure.subfigures(1, 2, width_ratios=(1.35, 1.0), squeeze=False).ravel()
        curves.draw_accuracy(left.add_subplot(), compared, height=4.6)
        views.draw_dial(right, plan.shots, title=f"Views of the {len(plan):,} images")
    return figure


def plan_drawings(
    plan: Plan, compared: Compared | None = None, advice: Advice | None = None, camera: Orbit | None = None
) -> Drawings:
    """Every figure of a plan that there is material for.

    Returns:
        dial, classes, coverage, objects, and of a space with a dome hemisphere; with a validation also overview,
        accuracy, bars, gains; with a measured learning curve advice and surface.
    """
    drawings: Drawings = {
        "dial": lambda: views.dial(plan.shots),
        "classes": lambda: views.class_dials(plan.shots),
        "coverage": lambda: views.coverage(plan.shots),
        "objects": lambda: views.images_per_object(plan.shots),
    }
    if views.has_dome(plan.shots.space):
        drawings["hemisphere"] = lambda: views.hemisphere(plan.shots, turns=camera.turns if camera else "table")
    if compared is not None:
        drawings["overview"] = lambda: overview(plan, compared)
        drawings["accuracy"] = lambda: curves.accuracy_curve(compared)
        drawings["bars"] = lambda: curves.accuracy_bars(compared)
        if compared.verdicts:
            drawings["gains"] = lambda: differences.object_differences(compared)
    if advice is not None and advice.points:
        drawings["advice"] = lambda: learning_curve(advice)
    if advice is not None and advice.points and advice.surface is not None and not advice.surface.is_flat:
        surface = advice.surface
        drawings["surface"] = lambda: design_surface(advice, surface)
    return drawings


def sheet_drawings(sheets: Sequence[Sheet]) -> Drawings:
    """Every contact sheet, by its name."""
    return {sheet.name: partial(contact_sheet, sheet) for sheet in sheets}


def benchmark_drawings(findings: Findings) -> Drawings:
    """Every figure of a benchmark that there is material for.

    Returns:
        curves, strategies, verdicts, objects, views, ideas, ranks; with one budget no strategies and ranks.
    """
    compared = Compared.of_findings(findings)
    several = len(compared.budgets) > 1
    drawings: Drawings = {"curves": lambda: curves.accuracy_curve(compared)}
    if several:
        drawings["strategies"] = lambda: curves.small_curves(compared)
    drawings["verdicts"] = lambda: differences.verdict_matrix(findings)
    drawings["objects"] = lambda: differences.object_differences(compared)
    if findings.results.blocks[0].taken:
        drawings["views"] = lambda: views.strategy_dials(findings)
    if findings.ideas:
        drawings["ideas"] = lambda: differences.idea_gains(findings)
    if several and findings.standings:
        drawings["ranks"] = lambda: curves.rank_curves(findings)
    return drawings
