"""The verdict matrix: every pair of strategies at the primary budget, readable without colour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from acqplan.evaluate.verdict import Answer
from acqplan.numbers import points, shortened
from acqplan.report.plot.curves import label_colour
from acqplan.report.plot.style import LIGHT, bare, drawing, new_figure
from acqplan.report.standing import by_accuracy, drawn

if TYPE_CHECKING:
    from acqplan.evaluate.findings import Findings

SIDE = 0.58
"""Largest cell, in inches."""

LETTER = 0.088
"""Inches of a letter of a bold name."""

SLANT = (0.77, 0.65)
"""How far a name above a column reaches to the right and up, of its length: it stands at 40 degrees."""

BELOW = 0.55

NOTE = (
    "Row minus column, points of accuracy.\n▲ full: row better.  ▼ hollow: row worse.  No square: no difference found."
)

OPPOSITE: Mapping[Answer, Answer] = {
    "better": "worse",
    "worse": "better",
    "no difference found": "no difference found",
}


def verdict_matrix(findings: Findings, *, width: float = 5.6) -> Figure:
    """Row minus column in points: a full square where the row is better, a hollow one where it is worse.

    Squares are those differences that hold for other objects and seeds, corrected by Holm over all pairs.
    """
    order = by_accuracy(findings, drawn(findings))
    names = [shortened(name, 18) for name in order]
    longest = LETTER * max(map(len, names))
    room = width - longest - SLANT[0] * longest - 0.2
    side = min(SIDE, room / len(names))
    square, above = side * len(names), SLANT[1] * longest + 0.2
    height = square + above + BELOW
    with drawing():
        figure = new_figure(width, height, laid_out=False)
        axes = figure.add_axes(((longest + 0.15) / width, BELOW / height, square / width, square / height))
        bare(axes)
        axes.set(xlim=(0, len(names)), ylim=(len(names), 0))
        _fill(axes, findings, order, fontsize=min(9.0, 19 * side))
        _name(axes, findings, order, names)
        figure.text(0.1 / width, 0.08 / height, NOTE, fontsize=9, color=LIGHT["soft"])
    return figure


def _fill(axes: Axes, findings: Findings, order: list[str], *, fontsize: float) -> None:
    found = answers(findings)
    for row, mine in enumerate(order):
        for column, theirs in enumerate(order):
            if mine == theirs:
                axes.add_patch(_square(row, column, facecolor=LIGHT["panel"], linewidth=0))
            elif (mine, theirs) not in found:
                axes.text(column + 0.5, row + 0.5, "–", ha="center", va="center", color=LIGHT["soft"])
            else:
                _cell(axes, row, column, found[mine, theirs], fontsize)


def answers(findings: Findings) -> dict[tuple[str, str], tuple[float, Answer]]:
    """Difference and answer of each pair, either way round."""
    found: dict[tuple[str, str], tuple[float, Answer]] = {}
    for verdict in findings.pairs:
        found[verdict.a, verdict.b] = (verdict.difference, verdict.verdict)
        found[verdict.b, verdict.a] = (-verdict.difference, OPPOSITE[verdict.verdict])
    return found


def _cell(axes: Axes, row: int, column: int, found: tuple[float, Answer], fontsize: float) -> None:
    difference, answer = found
    colour, weight, sign = LIGHT["soft"], "normal", ""
    if answer == "better":
        axes.add_patch(_square(row, column, facecolor=LIGHT["green"], linewidth=0))
        colour, weight, sign = LIGHT["ground"], "bold", "▲\n"
    elif answer == "worse":
        axes.add_patch(_square(row, column, facecolor="none", edgecolor=LIGHT["rust"], linewidth=1.2))
        colour, weight, sign = LIGHT["rust"], "bold", "▼\n"
    text = sign + points(difference)
    axes.text(
        column + 0.5, row + 0.5, text, ha="center", va="center", color=colour, weight=weight, fontsize=fontsize,
        linespacing=0.95,
    )  # fmt: skip


def _square(row: int, column: int, **style: object) -> Rectangle:
    return Rectangle((column + 0.05, row + 0.05), 0.9, 0.9, **style)  # type: ignore[arg-type]


def _name(axes: Axes, findings: Findings, order: list[str], names: list[str]) -> None:
    middles = [number + 0.5 for number in range(len(names))]
    axes.set_yticks(middles, names)
    axes.set_xticks(middles, names, rotation=40, ha="left", rotation_mode="anchor")
    axes.xaxis.tick_top()
    for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
        for tick, name in zip(ticks, order, strict=True):
            tick.set_color(label_colour(findings, name))
            if name in (findings.results.design.primary, findings.results.design.baseline):
                tick.set_fontweight("bold")
