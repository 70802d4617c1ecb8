"""Accuracy against images: of strategies, in one picture or a panel each, and of the images captured so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from acqplan.numbers import count_noun, percent, points, shortened
from acqplan.report.compared import Compared
from acqplan.report.plot.style import ANSWER_COLOURS, LIGHT, bare, new_figure, strategy_colours

if TYPE_CHECKING:
    from acqplan.evaluate.findings import Findings

LINES = ("--", "-.", ":", (0, (5, 1, 1, 1)), "-")
MARKERS = ("s", "^", "D", "v", "P", "X", "<", ">", "h")

# Inches that a label at the end of a line takes upwards.
LABEL = 0.165


def accuracy_curve(compared: Compared, *, width: float = 5.6) -> Figure:
    """Accuracy on what is tested against images taken, below it what the primary strategy gains on the baseline.

    Strategies beyond those that can be told apart are left out. With one budget: points and intervals in rows.

    Args:
        compared: The strategies.
        width: Width in inches.
    """
    if len(compared.budgets) < 2:
        return accuracy_bars(compared, width=width)
    height = max(3.6 if compared.contrast else 4.4, LABEL * len(compared.drawn) / 0.8)
    heights = [height, 1.3] if compared.contrast else [height]
    with new_figure(width, height + 1.8 * (len(heights) - 1)) as figure:
        panels = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0]
        draw_accuracy(panels[0], compared, height=height)
        if not compared.contrast:
            return figure
        # The paired difference at every budget: far narrower than the bands of the curves, since objects cancel.
        panels[0].set_xlabel("")
        axes = panels[1]
        axes.axhline(0, color=LIGHT["ink"], linewidth=1)
        for verdict in compared.contrast:
            is_claim = verdict.budget == compared.budget
            colour = LIGHT[ANSWER_COLOURS[verdict.verdict] if is_claim else "slate"]
            low, high = (100 * end for end in verdict.ci95)
            place = (verdict.budget, 100 * verdict.difference)
            axes.vlines(verdict.budget, low, high, color=colour, linewidth=5 if is_claim else 2.5, alpha=0.4)
            axes.plot(*place, "o", color=colour, markerfacecolor=colour if is_claim else LIGHT["ground"], markersize=7)
            if is_claim:
                axes.annotate(
                    points(verdict.difference), place, (9, 0), textcoords="offset points", color=colour, weight="bold",
                    va="center", fontsize=9.5, annotation_clip=False,
                )  # fmt: skip
        axes.grid(axis="y")
        axes.margins(y=0.15)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_title(f"{shortened(compared.primary, 18)} minus {shortened(compared.baseline or '', 18)}, points")
        note = "images (log scale), taken above and allowed here\nbars: 95 %, paired; filled: the claim"
        axes.set_xlabel(note, fontsize=9)
    return figure


def draw_accuracy(axes: Axes, compared: Compared, *, height: float) -> None:
    """Draw accuracy against images into empty axes of about this height in inches."""
    if len(compared.budgets) < 2:
        _draw_bars(axes, compared)
        return
    styles, ends = _line_styles(compared), {}
    for name in compared.drawn:
        curve = compared.curve(name)
        images = [point.images for point in curve]
        # The bands of all would lie on each other: objects differ more than strategies.
        # A benchmark shows them in `small_curves`, and the paired difference below.
        if name == compared.primary and compared.baseline is None:
            _band(axes, compared, name)
        axes.plot(images, [100 * point.accuracy for point in curve], **styles[name])
        ends[name] = (images[-1], 100 * curve[-1].accuracy)
    log_axis(axes, compared.budgets, [point.images for point in compared.points])
    over = f"{count_noun(compared.n_objects, 'object')} and {count_noun(compared.n_seeds, 'seed')}"
    axes.set_xlabel(f"images taken (log scale); band: 95 % over {over}", fontsize=9)
    axes.set_title(f"Accuracy on {compared.tested}, %")
    _label_ends(axes, compared, ends, gap=LABEL / (0.8 * height))


def _line_styles(compared: Compared) -> dict[str, dict[str, Any]]:
    """How each strategy's line looks: the primary one and the baseline strong, the others thin but distinct."""
    colours = strategy_colours(compared.strategies, compared.primary, compared.baseline)
    others = [name for name in compared.strategies if not compared.is_named_first(name)]
    styles: dict[str, dict[str, Any]] = {
        name: {
            "color": LIGHT[colours[name]],
            "linestyle": LINES[number % len(LINES)],
            "marker": MARKERS[number % len(MARKERS)],
            "linewidth": 1.2,
            "markersize": 3.5,
            "zorder": 3,
        }
        for number, name in enumerate(others)
    }
    strong = {"linestyle": "-", "marker": "o", "markersize": 5.5}
    if compared.baseline is not None:
        styles[compared.baseline] = {**strong, "color": LIGHT["rust"], "linewidth": 2.0, "zorder": 4}
    styles[compared.primary] = {**strong, "color": LIGHT["accent"], "linewidth": 2.8, "zorder": 5}
    return styles


def name_colours(compared: Compared) -> dict[str, str]:
    """Colour of each strategy's name: that of its line, but dark enough to read where that is muted."""
    colours = strategy_colours(compared.strategies, compared.primary, compared.baseline)
    return {name: LIGHT["soft" if colour == "slate" else colour] for name, colour in colours.items()}


def _band(axes: Axes, compared: Compared, name: str) -> None:
    curve = compared.curve(name)
    low, high = [100 * point.low for point in curve], [100 * point.high for point in curve]
    colour = name_colours(compared)[name]
    axes.fill_between([point.images for point in curve], low, high, color=colour, alpha=0.16, linewidth=0)


def log_axis(axes: Axes, ticks: Sequence[int], more: Sequence[float] = ()) -> None:
    """Numbers of images on a log scale across, which has room for ``more``; ticks that would touch are left out."""
    kept = apart(ticks, 0.09)
    axes.set_xscale("log")
    axes.minorticks_off()
    axes.set_xticks(kept, [f"{tick:,.0f}" for tick in kept])
    axes.set_xlim(min([*ticks, *more]) * 0.93, max([*ticks, *more]) * 1.07)
    axes.grid(axis="y")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def apart(ticks: Sequence[float], share: float) -> list[float]:
    """Those of some ticks of a log scale that lie this share of it apart, the largest among them: it has its number."""
    kept: list[float] = []
    for tick in sorted(ticks, reverse=True):
        if not kept or np.log(kept[-1] / tick) > share * np.log(max(ticks) / min(ticks)):
            kept.append(tick)
    return kept[::-1]


def accuracy_bars(compared: Compared, *, width: float = 4.8) -> Figure:
    """Accuracy at the budget of the verdicts as points with 95 % intervals, the best at the top."""
    with new_figure(width, 1.1 + 0.36 * len(compared.drawn)) as figure:
        _draw_bars(figure.add_subplot(), compared)
    return figure


def _draw_bars(axes: Axes, compared: Compared) -> None:
    there, colours = compared.at(compared.budget), name_colours(compared)
    order = compared.by_accuracy(compared.drawn)[::-1]
    for row, name in enumerate(order):
        point = there[name]
        axes.hlines(row, 100 * point.low, 100 * point.high, color=colours[name], linewidth=5, alpha=0.35)
        axes.plot([100 * point.accuracy], [row], "o", markersize=7, color=colours[name])
        write_beside(axes, row, percent(point.accuracy), colours[name], strong=name == compared.primary)
    label_rows(axes, order, compared.primary)
    axes.set_title(f"Accuracy on {compared.tested}, %")
    axes.set_xlabel(f"{compared.budget:,} images allowed; bars: 95 % over objects and seeds", loc="right", fontsize=9)


def write_beside(axes: Axes, row: float, text: str, colour: str, *, strong: bool) -> None:
    """Write a number to the right of a row."""
    axes.annotate(
        text, (1.02, row), xycoords=("axes fraction", "data"), va="center", color=colour, fontsize=9.5,
        weight="bold" if strong else "normal", annotation_clip=False,
    )  # fmt: skip


def label_rows(axes: Axes, names: Sequence[str], strong: str | None) -> None:
    """Name the rows of a plot of points and intervals, without a box; one name is bold."""
    bare(axes)
    axes.grid(axis="x")
    axes.set_yticks(range(len(names)), [shortened(name, 24) for name in names])
    axes.set_ylim(-0.6, len(names) - 0.2)
    for tick, name in zip(axes.get_yticklabels(), names, strict=True):
        tick.set_color(LIGHT["ink"])
        tick.set_fontweight("bold" if name == strong else "normal")


def _label_ends(axes: Axes, compared: Compared, ends: Mapping[str, tuple[float, float]], *, gap: float) -> None:
    """Write names and last values to the right of axes whose limits are settled, each tied to the end of its line.

    No two are nearer than ``gap``, a share of the height of the axes.
    """
    # In shares of the height, so that the gap is the same whatever the accuracies are.
    (bottom, top), colours = axes.get_ylim(), name_colours(compared)
    places = spread([(y - bottom) / (top - bottom) for _, y in ends.values()], gap=gap)
    for (name, end), place in zip(ends.items(), places, strict=True):
        leader = {"arrowstyle": "-", "color": colours[name], "linewidth": 0.6, "alpha": 0.6, "shrinkA": 1, "shrinkB": 4}
        axes.annotate(
            f"{shortened(name, 18)} {end[1]:.1f}", xy=end, xytext=(1.05, place), textcoords="axes fraction",
            color=colours[name], weight="bold" if compared.is_named_first(name) else "normal", va="center",
            fontsize=9.5, annotation_clip=False, arrowprops=leader,
        )  # fmt: skip


def spread(places: Sequence[float], *, gap: float) -> list[float]:
    """Move labels as little as needed so that no two are nearer than ``gap``; order is kept.

    Args:
        places: Where each wants to be, 0 at the bottom and 1 at the top.
        gap: Least distance between two.
    """

    def lowest(group: Sequence[int]) -> float:
        return float(np.mean([places[row] for row in group])) - gap * (len(group) - 1) / 2

    # From the bottom up, each label is a group; a group that is too near to the one below joins it.
    groups: list[list[int]] = []
    for row in sorted(range(len(places)), key=lambda row: places[row]):
        groups.append([row])
        while len(groups) > 1 and lowest(groups[-1]) - lowest(groups[-2]) - gap * (len(groups[-2]) - 1) < gap:
            groups[-2:] = [groups[-2] + groups[-1]]
    placed = {row: lowest(group) + step * gap for group in groups for step, row in enumerate(group)}
    return [placed[row] for row in range(len(places))]


def small_curves(compared: Compared, *, width: float = 5.6) -> Figure:
    """One small panel per strategy, the best first: its curve with its band, and the baseline's behind it."""
    names, colours = compared.by_accuracy(compared.drawn), name_colours(compared)
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    ends = sorted({min(compared.budgets), max(compared.budgets)})
    baseline = compared.baseline or ""
    theirs = compared.curve(baseline)
    with new_figure(width, 0.75 + 1.35 * rows) as figure:
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for axes in panels[len(names) :]:
            axes.set_visible(False)
        # In each panel the baseline's line lies behind the strategy's own.
        for number, (axes, name) in enumerate(zip(panels, names, strict=False)):
            curve = compared.curve(name)
            log_axis(axes, compared.budgets, [point.images for point in compared.points])
            if name != baseline:
                accuracies = [100 * point.accuracy for point in theirs]
                axes.plot([point.images for point in theirs], accuracies, color=LIGHT["rust"], linewidth=1)
            _band(axes, compared, name)
            accuracies, style = [100 * point.accuracy for point in curve], {"marker": "o", "markersize": 3}
            axes.plot([point.images for point in curve], accuracies, color=colours[name], linewidth=2, **style)
            axes.set_title(shortened(name, 20), fontsize=9.5, pad=3, color=colours[name])
            # Numbers at the outer edges only, and only the ends of the budgets: small panels have no room for more.
            axes.set_xticks(ends, [f"{end:,.0f}" for end in ends], fontsize=8)
            axes.tick_params(axis="y", labelsize=8)
            axes.tick_params(axis="x", labelbottom=number + columns >= len(names))
        figure.suptitle("Each with its 95 % band", x=0.01, ha="left", fontsize=11, fontweight="bold")
        note = f"accuracy, % against images taken; thin line: {shortened(baseline, 18)}"
        figure.supxlabel(note, fontsize=9, color=LIGHT["soft"])
    return figure


def rank_curves(findings: Findings, *, width: float = 5.6) -> Figure:
    """Mean rank over objects at every budget, the best at the top, names at the ends of the lines."""
    compared = Compared.of_findings(findings)
    standings = [standing for standing in findings.standings if standing.strategy in compared.drawn]
    styles, ends = _line_styles(compared), {}
    height = max(3.0, LABEL * len(standings) / 0.8)
    budgets = findings.results.design.budgets
    with new_figure(width, height) as figure:
        axes = figure.add_subplot()
        for standing in standings:
            axes.plot(budgets, standing.ranks, **styles[standing.strategy])
            ends[standing.strategy] = (budgets[-1], standing.ranks[-1])
        log_axis(axes, budgets)
        axes.invert_yaxis()
        _label_ends(axes, compared, ends, gap=LABEL / (height * 0.75))
        axes.set_title("Mean rank over objects (1 the best)")
        axes.set_xlabel("images allowed (log scale)", fontsize=9, color=LIGHT["soft"])
    return figure
