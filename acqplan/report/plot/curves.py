"""A benchmark's curves: accuracy of all strategies against images, and the primary contrast below it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from acqplan.evaluate.verdict import Verdict
from acqplan.numbers import points, shortened
from acqplan.report.plot.accuracy import LINES, EndLabel, apart, below, label_ends, label_rows
from acqplan.report.plot.style import LIGHT, drawing, new_figure, thousands
from acqplan.report.standing import by_accuracy, contrast_at_budgets, drawn

if TYPE_CHECKING:
    from acqplan.evaluate.findings import Findings
    from acqplan.evaluate.verdict import Point

MARKERS = ("s", "^", "D", "v", "P", "X", "<", ">", "h")
ANSWER_COLOURS = {"better": "green", "worse": "rust", "no difference found": "slate"}
LABEL = 0.165
"""Inches that a label at the end of a line takes upwards."""

Looks = dict[str, dict[str, Any]]


def looks(findings: Findings, names: Sequence[str]) -> Looks:
    """How each strategy's line looks: the primary one and the baseline in colour, the others muted but distinct."""
    design = findings.results.design
    muted = [name for name in names if name not in (design.primary, design.baseline)]
    found: Looks = {
        name: {
            "color": LIGHT["slate"],
            "linestyle": LINES[(number + 1) % len(LINES)],
            "marker": MARKERS[number % len(MARKERS)],
            "linewidth": 1.1,
            "markersize": 3.5,
            "zorder": 3,
        }
        for number, name in enumerate(muted)
    }
    strong = {"linestyle": "-", "marker": "o", "markersize": 5.5}
    found[design.baseline] = {**strong, "color": LIGHT["rust"], "linewidth": 2.0, "zorder": 4}
    found[design.primary] = {**strong, "color": LIGHT["accent"], "linewidth": 2.8, "zorder": 5}
    return found


def label_colour(findings: Findings, name: str) -> str:
    """Colour of a strategy's name: as its line, but dark enough to read where that is muted."""
    design = findings.results.design
    return LIGHT[{design.primary: "accent", design.baseline: "rust"}.get(name, "soft")]


def benchmark_curves(findings: Findings, *, width: float = 5.6) -> Figure:
    """Accuracy on new objects against images, and below it what the primary strategy gains on the baseline.

    Strategies beyond those that can be told apart are left out. Bands are in `small_curves`: objects differ more
    than strategies, so that here they would hide the lines. With one budget, points and intervals in rows.
    """
    names = drawn(findings)
    if len({point.budget for point in findings.points if point.strategy in names}) < 2:
        return _rows_of_accuracy(findings, names, width)
    height = max(3.6, LABEL * len(names) / 0.8)
    with drawing():
        figure = new_figure(width, height + 1.7)
        above, under = figure.subplots(2, 1, sharex=True, height_ratios=(height, 1.3))
        _draw_curves(above, findings, names, gap=LABEL / (height * 0.8))
        _draw_contrast(under, findings)
    return figure


def _draw_curves(axes: Axes, findings: Findings, names: Sequence[str], *, gap: float) -> None:
    design, styles = findings.results.design, looks(findings, names)
    labels = []
    for name in names:
        mine = curve_of(findings, name)
        axes.plot([p.budget for p in mine], [100 * p.accuracy for p in mine], **styles[name])
        strong = name in (design.primary, design.baseline)
        text = f"{shortened(name, 18)} {100 * mine[-1].accuracy:.1f}"
        colour = label_colour(findings, name)
        labels.append(EndLabel(text=text, x=mine[-1].budget, y=100 * mine[-1].accuracy, colour=colour, strong=strong))
    budget_axis(axes, design.budgets)
    axes.set_title("Accuracy on new objects, %")
    label_ends(axes, labels, gap=gap)


def curve_of(findings: Findings, name: str) -> list[Point]:
    """The points of one strategy, budgets ascending."""
    return sorted((point for point in findings.points if point.strategy == name), key=lambda point: point.budget)


def budget_axis(axes: Axes, budgets: Sequence[int]) -> None:
    """Images on a log scale across, a quiet grid upwards."""
    axes.set_xscale("log")
    axes.minorticks_off()
    ticks = apart(budgets)
    axes.set_xticks(ticks, [thousands(tick) for tick in ticks])
    axes.set_xlim(min(budgets) * 0.93, max(budgets) * 1.07)
    axes.grid(axis="y")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _draw_contrast(axes: Axes, findings: Findings) -> None:
    """The paired difference at every budget: far narrower than the bands of the curves, since objects cancel."""
    design = findings.results.design
    axes.axhline(0, color=LIGHT["ink"], linewidth=1)
    for verdict in contrast_at_budgets(findings):
        _difference(axes, verdict, primary=verdict.budget == design.primary_budget)
    axes.grid(axis="y")
    axes.margins(y=0.15)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_title(f"{shortened(design.primary, 18)} minus {shortened(design.baseline, 18)}, points")
    axes.set_xlabel("images allowed (log scale); bars: 95 %, paired; filled: the claim", fontsize=9)


def _difference(axes: Axes, verdict: Verdict, *, primary: bool) -> None:
    colour = LIGHT[ANSWER_COLOURS[verdict.verdict]] if primary else LIGHT["slate"]
    low, high = (100 * end for end in verdict.ci95)
    axes.vlines(verdict.budget, low, high, color=colour, linewidth=5 if primary else 2.5, alpha=0.4)
    inside = colour if primary else LIGHT["ground"]
    axes.plot([verdict.budget], [100 * verdict.difference], "o", color=colour, markerfacecolor=inside, markersize=7)
    if primary:
        place = (verdict.budget, 100 * verdict.difference)
        axes.annotate(
            points(verdict.difference), place, (9, 0), textcoords="offset points", color=colour, weight="bold",
            va="center", fontsize=9.5, annotation_clip=False,
        )  # fmt: skip


def _rows_of_accuracy(findings: Findings, names: Sequence[str], width: float) -> Figure:
    order = by_accuracy(findings, names)[::-1]
    budget = findings.results.design.primary_budget
    at = {point.strategy: point for point in findings.points if point.budget == budget}
    with drawing():
        figure = new_figure(width, 1.1 + 0.34 * len(order))
        axes = figure.add_subplot()
        for row, name in enumerate(order):
            point, colour = at[name], label_colour(findings, name)
            axes.hlines(row, 100 * point.low, 100 * point.high, color=colour, linewidth=5, alpha=0.35)
            axes.plot([100 * point.accuracy], [row], "o", markersize=7, color=colour)
            axes.annotate(
                f"{100 * point.accuracy:.1f}", (1.02, row), xycoords=("axes fraction", "data"), va="center",
                color=colour, fontsize=9.5, annotation_clip=False,
            )  # fmt: skip
        label_rows(axes, order, findings.results.design.primary)
        axes.set_title("Accuracy on new objects, %")
        below(axes, f"{thousands(budget)} images allowed; bars: 95 % over objects and seeds")
    return figure


def small_curves(findings: Findings, *, width: float = 5.6) -> Figure:
    """One small panel a strategy, the best first: its curve with its band, and the baseline's behind it."""
    names = by_accuracy(findings, drawn(findings))
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    with drawing():
        figure = new_figure(width, 0.75 + 1.35 * rows)
        cells = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for cell in cells.ravel()[len(names) :]:
            cell.set_visible(False)
        for cell, name in zip(cells.ravel(), names, strict=False):
            _panel(cell, findings, name)
        _show_ticks(cells, findings.results.design.budgets, len(names))
        baseline = shortened(findings.results.design.baseline, 18)
        figure.suptitle("Each with its 95 % band", x=0.01, ha="left", fontsize=11, fontweight="bold")
        note = f"accuracy, % against images allowed; thin line: {baseline}"
        figure.supxlabel(note, fontsize=9, color=LIGHT["soft"])
    return figure


def _panel(axes: Axes, findings: Findings, name: str) -> None:
    design = findings.results.design
    mine, theirs = curve_of(findings, name), curve_of(findings, design.baseline)
    colour = label_colour(findings, name)
    budget_axis(axes, design.budgets)
    if name != design.baseline:
        axes.plot([p.budget for p in theirs], [100 * p.accuracy for p in theirs], color=LIGHT["rust"], linewidth=1)
    images = [p.budget for p in mine]
    axes.fill_between(images, [100 * p.low for p in mine], [100 * p.high for p in mine], color=colour, alpha=0.2, lw=0)
    axes.plot(images, [100 * p.accuracy for p in mine], color=colour, linewidth=2, marker="o", markersize=3)
    axes.set_title(shortened(name, 20), fontsize=9.5, pad=3, color=colour)


def _show_ticks(cells: np.ndarray, budgets: Sequence[int], n: int) -> None:
    """Numbers at the outer edges only, and only the ends of the budgets: small panels have no room for more."""
    ends = sorted({min(budgets), max(budgets)})
    columns = cells.shape[1]
    for number, axes in enumerate(cells.ravel()):
        axes.set_xticks(ends, [thousands(end) for end in ends], fontsize=8)
        axes.tick_params(axis="y", labelsize=8)
        axes.tick_params(axis="x", labelbottom=number + columns >= n)


def rank_curves(findings: Findings, *, width: float = 5.6) -> Figure:
    """Mean rank over objects at every budget, the best at the top, names at the ends of the lines."""
    design, names = findings.results.design, drawn(findings)
    standings = {standing.strategy: standing for standing in findings.standings if standing.strategy in names}
    styles = looks(findings, names)
    height = max(3.0, LABEL * len(standings) / 0.8)
    with drawing():
        figure = new_figure(width, height)
        axes = figure.add_subplot()
        labels = []
        for name, standing in standings.items():
            axes.plot(design.budgets, standing.ranks, **styles[name])
            strong = name in (design.primary, design.baseline)
            text = f"{shortened(name, 18)} {standing.ranks[-1]:.1f}"
            end = (design.budgets[-1], standing.ranks[-1])
            labels.append(EndLabel(text=text, x=end[0], y=end[1], colour=label_colour(findings, name), strong=strong))
        budget_axis(axes, design.budgets)
        axes.invert_yaxis()
        label_ends(axes, labels, gap=LABEL / (height * 0.75))
        axes.set_title("Mean rank over objects (1 the best)")
        axes.set_xlabel("images allowed (log scale)", fontsize=9, color=LIGHT["soft"])
    return figure
