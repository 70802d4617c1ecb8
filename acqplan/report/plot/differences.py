"""Differences with their objects: one dot an object, and what each idea adds."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from acqplan.evaluate.verdict import Verdict
from acqplan.numbers import points, printable, shortened
from acqplan.report.plot.accuracy import below, label_rows
from acqplan.report.plot.curves import ANSWER_COLOURS
from acqplan.report.plot.style import LIGHT, bare, drawing, new_figure, thousands
from acqplan.report.standing import drawn

if TYPE_CHECKING:
    from acqplan.evaluate.findings import Findings, Idea
    from acqplan.statistics.two_way import TwoWay

N_BINS = 64
"""Dots within a 64th of the width are stacked."""

PILE, STEP = 0.5, 0.085
"""How high stacked dots reach at most, and how far apart two are, in rows."""

LETTER = 0.062
"""Inches of a letter of an object's name."""

LONGEST = 14

OBJECT_NOTE = (
    "one dot an object, the outermost named; diamond and bar: mean\nand 95 % interval; grey: no difference found"
)


def object_differences(findings: Findings, *, width: float = 5.6) -> Figure:
    """The primary strategy against each other one: a dot for each object, mean and interval below them."""
    design = findings.results.design
    verdicts = {verdict.b: verdict for verdict in findings.verdicts}
    shown = [verdicts[name] for name in drawn(findings) if name in verdicts][::-1]
    with drawing():
        figure = new_figure(width, 1.2 + 0.62 * len(shown))
        axes = figure.add_subplot()
        label_rows(axes, [verdict.b for verdict in shown], design.baseline)
        room = width - 0.08 * max(len(shortened(verdict.b, 24)) for verdict in shown) - 1.0
        axes.set(xlim=_limits(shown, room), ylim=(-0.4, len(shown) - 0.25))
        axes.axvline(0, color=LIGHT["ink"], linewidth=1, zorder=2)
        for row, verdict in enumerate(shown):
            _row_of_objects(axes, row, verdict)
        _title(figure, f"{shortened(design.primary, 24)} minus each other, points")
        below(axes, OBJECT_NOTE)
    return figure


def _title(figure: Figure, title: str) -> None:
    """Above the names as well, so that it has the whole width."""
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")


def _limits(shown: Sequence[Verdict], room: float) -> tuple[float, float]:
    """Ends of an axis of so many inches that leave space for the names of the outermost objects."""
    ends = [end for verdict in shown for end in (-0.005, 0.005, *verdict.ci95, *verdict.per_object.values())]
    left, right = low, high = 100 * min(ends) - 0.2, 100 * max(ends) + 0.2
    outermost = [(min(v.per_object.items(), key=_value), max(v.per_object.items(), key=_value)) for v in shown]
    for _ in range(12):  # the wider the axis, the more of it a name takes
        inch = (right - left) / room
        left = min(low, *(100 * value - inch * _inches(name) for (name, value), _ in outermost))
        right = max(high, *(100 * value + inch * _inches(name) for _, (name, value) in outermost))
    return left, right


def _value(pair: tuple[str, float]) -> float:
    return pair[1]


def _inches(name: str) -> float:
    return LETTER * len(shortened(name, LONGEST)) + 0.1


def _row_of_objects(axes: Axes, row: int, verdict: Verdict) -> None:
    names = list(verdict.per_object)
    values = 100 * np.array([verdict.per_object[name] for name in names])
    left, right = axes.get_xlim()
    up = row + 0.06 + piled(values, (right - left) / N_BINS)
    axes.plot(values, up, linestyle="", marker="o", markersize=3.8, color=LIGHT["slate"], alpha=0.7, markeredgewidth=0)
    colour = LIGHT[ANSWER_COLOURS[verdict.verdict]]
    low, high = (100 * end for end in verdict.ci95)
    axes.hlines(row - 0.14, low, high, color=colour, linewidth=4, alpha=0.5, zorder=4)
    axes.plot([100 * verdict.difference], [row - 0.14], marker="D", markersize=6, color=colour, zorder=5)
    found = verdict.verdict != "no difference found"
    text = points(verdict.difference) + (f" {verdict.verdict}" if found else "")
    axes.annotate(
        text, (1.02, row), xycoords=("axes fraction", "data"), va="center", color=colour, fontsize=9.5,
        weight="bold" if found else "normal", annotation_clip=False,
    )  # fmt: skip
    _name_extremes(axes, names, values, up)


def _name_extremes(
    axes: Axes, names: Sequence[str], values: Float[np.ndarray, " objects"], up: Float[np.ndarray, " objects"]
) -> None:
    """The least named to its left and the most to its right: no dot is there."""
    low, high = int(values.argmin()), int(values.argmax())
    if values[low] == values[high]:
        return
    for number, side, shift in ((low, "right", -4), (high, "left", 4)):
        axes.annotate(
            shortened(names[number], LONGEST), (values[number], up[number]), (shift, 0), textcoords="offset points",
            fontsize=7.5, color=LIGHT["soft"], ha=side, va="center", zorder=6,
        )  # fmt: skip


def piled(values: Float[np.ndarray, " objects"], bin_width: float) -> Float[np.ndarray, " objects"]:
    """Heights that stack values of one bin upon each other, the fullest bin at most `PILE` high."""
    bins = np.round(values / bin_width).astype(np.int64)
    _, counts = np.unique(bins, return_counts=True)
    step = min(PILE / max(int(counts.max()) - 1, 1), STEP)
    heights = np.zeros(len(values))
    for number in np.unique(bins):
        mine = np.flatnonzero(bins == number)
        heights[mine] = step * np.arange(len(mine))
    return heights


def idea_gains(findings: Findings, *, width: float = 5.6) -> Figure:
    """What each idea adds: at the primary budget, and in area under the curve."""
    ideas = list(findings.ideas)[::-1]
    with drawing():
        figure = new_figure(width, 1.35 + 0.72 * len(ideas))
        axes = figure.add_subplot()
        bare(axes)
        axes.grid(axis="x")
        axes.axvline(0, color=LIGHT["ink"], linewidth=1)
        axes.set_yticks(range(len(ideas)), [_idea_text(idea) for idea in ideas])
        axes.set_ylim(-0.6, len(ideas) - 0.4)
        axes.tick_params(axis="y", labelcolor=LIGHT["ink"], labelsize=9)
        for row, idea in enumerate(ideas):
            _gain(axes, row + 0.16, idea.primary, "accent", "o")
            if len(findings.results.design.budgets) > 1:
                _gain(axes, row - 0.2, idea.area, "plum", "s")
        _title(figure, "What each idea adds, points")
        _idea_legend(figure, findings)
    return figure


def _idea_text(idea: Idea) -> str:
    pair = f"{shortened(idea.with_it, 16)} – {shortened(idea.without, 16)}"
    return "\n".join([*textwrap.wrap(printable(idea.idea), 30), *textwrap.wrap(pair, 32)])


def _gain(axes: Axes, row: float, gain: TwoWay, colour: str, marker: str) -> None:
    """A gain whose interval holds 0 is hollow: nothing was shown."""
    low, high, paint = 100 * gain.low, 100 * gain.high, LIGHT[colour]
    inside = LIGHT["ground"] if gain.low <= 0 <= gain.high else paint
    axes.hlines(row, low, high, color=paint, linewidth=3.5, alpha=0.4)
    axes.plot([100 * gain.mean], [row], marker=marker, markersize=7, color=paint, markerfacecolor=inside)
    axes.annotate(
        points(gain.mean), (1.02, row), xycoords=("axes fraction", "data"), va="center", color=paint, fontsize=9,
        weight="normal" if gain.low <= 0 <= gain.high else "bold", annotation_clip=False,
    )  # fmt: skip


def _idea_legend(figure: Figure, findings: Findings) -> None:
    budget = thousands(findings.results.design.primary_budget)
    shown = [("o", "accent", f"at {budget} images"), ("s", "plum", "mean of the whole curve")]
    handles = [
        Line2D([], [], linestyle="", marker=marker, color=LIGHT[colour], markersize=7, label=label)
        for marker, colour, label in shown[: 1 + (len(findings.results.design.budgets) > 1)]
    ]
    figure.legend(
        handles=handles, loc="outside lower right", ncols=2, frameon=False, fontsize=9, labelcolor=LIGHT["soft"],
        handletextpad=0.2, columnspacing=1.4, title="hollow: the 95 % interval holds 0", title_fontsize=9,
    )  # fmt: skip
