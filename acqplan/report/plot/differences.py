"""Differences of strategies: with each object as a dot, of every pair in a matrix, of each idea, and of factors."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from acqplan.advice.answers import NEGLIGIBLE, Advice
from acqplan.evaluate.verdict import Verdict
from acqplan.numbers import points, printable, shortened
from acqplan.report.compared import Compared
from acqplan.report.plot.curves import label_rows, name_colours, write_beside
from acqplan.report.plot.style import ANSWER_COLOURS, LIGHT, bare, new_figure

if TYPE_CHECKING:
    from acqplan.evaluate.findings import Findings

# Dots within a 64th of the width are stacked.
N_BINS = 64
# How high stacked dots reach at most, and how far apart two are, in rows.
PILE, STEP = 0.5, 0.085
# Inches of a letter of an object's name, of which `LONGEST` letters are shown, and of a bold name.
LETTER, BOLD_LETTER = 0.062, 0.088
LONGEST = 14

OBJECT_NOTE = (
    "one dot per object, the outermost named; diamond and bar: mean\nand 95 % interval; grey: no difference found"
)

# Inches of the largest square of the matrix, and below the matrix.
SQUARE, BELOW = 0.58, 0.55
# How far a name above a column reaches to the right and up, as a share of its length: it is turned by 40 degrees.
SLANT = (0.77, 0.65)
MATRIX_NOTE = (
    "Row minus column, points of accuracy.\n▲ full: row better.  ▼ hollow: row worse.  No square: no difference found."
)


def object_differences(compared: Compared, *, width: float = 5.6) -> Figure:
    """The primary strategy against each other one: a dot for each object, mean and interval below them."""
    verdicts = {verdict.b: verdict for verdict in compared.verdicts}
    shown = [verdicts[name] for name in compared.drawn if name in verdicts][::-1]
    with new_figure(width, 1.2 + 0.62 * len(shown)) as figure:
        axes = figure.add_subplot()
        label_rows(axes, [verdict.b for verdict in shown], compared.baseline)
        # Inches left for the axis: names of strategies are to its left, differences to its right.
        inches = width - 0.08 * max(len(shortened(verdict.b, 24)) for verdict in shown) - 1.0
        axes.set(xlim=_limits(shown, inches), ylim=(-0.4, len(shown) - 0.25))
        axes.axvline(0, color=LIGHT["ink"], linewidth=1, zorder=2)
        for row, verdict in enumerate(shown):
            # A dot for each object, piled up where they are near; the outermost two are named, where no other dot is.
            objects, values = list(verdict.per_object), 100 * np.array(list(verdict.per_object.values()))
            up = row + 0.06 + piled(values, float(np.ptp(axes.get_xlim())) / N_BINS)
            style: Any = {"color": LIGHT["slate"], "alpha": 0.7, "markeredgewidth": 0}
            axes.plot(values, up, linestyle="", marker="o", markersize=3.8, **style)
            ends = ((int(values.argmin()), "right", -4), (int(values.argmax()), "left", 4))
            for number, side, shift in ends if np.ptp(values) else ():
                axes.annotate(
                    shortened(objects[number], LONGEST), (values[number], up[number]), (shift, 0),
                    textcoords="offset points", fontsize=7.5, color=LIGHT["soft"], ha=side, va="center", zorder=6,
                )  # fmt: skip
            colour = LIGHT[ANSWER_COLOURS[verdict.verdict]]
            # Mean and interval below the dots.
            low, high = (100 * end for end in verdict.ci95)
            axes.hlines(row - 0.14, low, high, color=colour, linewidth=4, alpha=0.5, zorder=4)
            axes.plot([100 * verdict.difference], [row - 0.14], marker="D", markersize=6, color=colour, zorder=5)
            found = verdict.verdict != "no difference found"
            text = points(verdict.difference) + (f" {verdict.verdict}" if found else "")
            write_beside(axes, row, text, colour, strong=found)
        # Above the names as well, so that it has the whole width.
        title = f"{shortened(compared.primary, 24)} minus each other, points"
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
        axes.set_xlabel(OBJECT_NOTE, loc="right", fontsize=9)
    return figure


def _limits(shown: Sequence[Verdict], inches: float) -> tuple[float, float]:
    """Ends of an axis of so many inches that leave space for the names of the outermost objects."""
    ends = [end for verdict in shown for end in (-0.005, 0.005, *verdict.ci95, *verdict.per_object.values())]
    left, right = low, high = 100 * min(ends) - 0.2, 100 * max(ends) + 0.2
    for _ in range(12):  # the wider the axis, the more of it a name takes
        inch = (right - left) / inches
        for verdict in shown:
            by_value = sorted(verdict.per_object.items(), key=lambda pair: pair[1])
            (first, least), (last, most) = by_value[0], by_value[-1]
            low = min(low, 100 * least - inch * (LETTER * len(shortened(first, LONGEST)) + 0.1))
            high = max(high, 100 * most + inch * (LETTER * len(shortened(last, LONGEST)) + 0.1))
        left, right = low, high
    return left, right


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


def verdict_matrix(findings: Findings, *, width: float = 5.6) -> Figure:
    """Row minus column in points: a full square where the row is better, a hollow one where it is worse.

    Squares are those differences that hold for other objects and seeds, corrected by Holm over all pairs.
    """
    compared = Compared.of_findings(findings)
    order = compared.by_accuracy(compared.drawn)
    names = [shortened(name, 18) for name in order]
    # Names take their width at the left and, slanted, above and to the right; squares get what is left.
    longest = BOLD_LETTER * max(map(len, names))
    side = min(SQUARE, (width - longest - SLANT[0] * longest - 0.2) / len(names))
    square, above = side * len(names), SLANT[1] * longest + 0.2
    height = square + above + BELOW
    with new_figure(width, height, laid_out=False) as figure:
        axes = figure.add_axes(((longest + 0.15) / width, BELOW / height, square / width, square / height))
        bare(axes)
        axes.set(xlim=(0, len(names)), ylim=(len(names), 0))
        _draw_pairs(axes, findings, order, fontsize=min(9.0, 19 * side))
        middles = [number + 0.5 for number in range(len(names))]
        axes.set_yticks(middles, names)
        axes.set_xticks(middles, names, rotation=40, ha="left", rotation_mode="anchor")
        axes.xaxis.tick_top()
        colours = name_colours(compared)
        for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
            for tick, name in zip(ticks, order, strict=True):
                tick.set_color(colours[name])
                tick.set_fontweight("bold" if compared.is_named_first(name) else "normal")
        figure.text(0.1 / width, 0.08 / height, MATRIX_NOTE, fontsize=9, color=LIGHT["soft"])
    return figure


def _draw_pairs(axes: Axes, findings: Findings, order: Sequence[str], *, fontsize: float) -> None:
    """A square for each pair, with its difference; a dash for a pair without a common run."""
    # Each pair was judged once; the matrix shows it from both sides.
    gains: dict[tuple[str, str], float] = {}
    for verdict in findings.pairs:
        gains[verdict.a, verdict.b], gains[verdict.b, verdict.a] = verdict.difference, -verdict.difference
    found = {(verdict.a, verdict.b) for verdict in findings.pairs if verdict.verdict != "no difference found"}
    for row, mine in enumerate(order):
        for column, theirs in enumerate(order):
            gain, is_found = gains.get((mine, theirs)), (mine, theirs) in found or (theirs, mine) in found
            colour, weight, sign = LIGHT["soft"], "normal", ""
            square: dict[str, Any] = {"facecolor": "none", "linewidth": 0}
            if mine == theirs:
                square["facecolor"] = LIGHT["panel"]
            elif gain is not None and is_found and gain > 0:
                square["facecolor"] = LIGHT["green"]
                colour, weight, sign = LIGHT["ground"], "bold", "▲\n"
            elif gain is not None and is_found:
                square |= {"edgecolor": LIGHT["rust"], "linewidth": 1.2}
                colour, weight, sign = LIGHT["rust"], "bold", "▼\n"
            axes.add_patch(Rectangle((column + 0.05, row + 0.05), 0.9, 0.9, **square))
            text = "" if mine == theirs else "–" if gain is None else sign + points(gain)
            axes.text(
                column + 0.5, row + 0.5, text, ha="center", va="center", color=colour, weight=weight,
                fontsize=fontsize, linespacing=0.95,
            )  # fmt: skip


def idea_gains(findings: Findings, *, width: float = 5.6) -> Figure:
    """What each idea adds: at the primary budget, and in area under the curve."""
    ideas, design = list(findings.ideas)[::-1], findings.results.design
    shown = [("o", "accent", f"at {design.primary_budget:,} images"), ("s", "plum", "mean of the whole curve")]
    shown = shown[: 1 + (len(design.budgets) > 1)]
    with new_figure(width, 1.35 + 0.72 * len(ideas)) as figure:
        axes = figure.add_subplot()
        bare(axes)
        axes.grid(axis="x")
        axes.axvline(0, color=LIGHT["ink"], linewidth=1)
        # Each idea in words, with the pair of strategies that shows it below.
        pairs = [f"{shortened(idea.with_it, 16)} – {shortened(idea.without, 16)}" for idea in ideas]
        names = [textwrap.wrap(printable(idea.idea), 30) for idea in ideas]
        words = ["\n".join(name + textwrap.wrap(pair, 32)) for name, pair in zip(names, pairs, strict=True)]
        axes.set_yticks(range(len(ideas)), words)
        axes.set_ylim(-0.6, len(ideas) - 0.4)
        axes.tick_params(axis="y", labelcolor=LIGHT["ink"], labelsize=9)
        for row, idea in enumerate(ideas):
            gains = [(row + 0.16, idea.primary), (row - 0.2, idea.area)]
            for (place, gain), (marker, name, _) in zip(gains, shown, strict=False):
                # A gain whose interval holds 0 is hollow: nothing was shown.
                found, colour = not gain.low <= 0 <= gain.high, LIGHT[name]
                style: Any = {"marker": marker, "markerfacecolor": colour if found else LIGHT["ground"]}
                axes.hlines(place, 100 * gain.low, 100 * gain.high, color=colour, linewidth=3.5, alpha=0.4)
                axes.plot([100 * gain.mean], [place], markersize=7, color=colour, **style)
                write_beside(axes, place, points(gain.mean), colour, strong=found)
        figure.suptitle("What each idea adds, points", x=0.01, ha="left", fontsize=11, fontweight="bold")
        handles = [
            Line2D([], [], linestyle="", marker=marker, color=LIGHT[colour], markersize=7, label=label)
            for marker, colour, label in shown
        ]
        figure.legend(
            handles=handles, loc="outside lower right", ncols=2, frameon=False, fontsize=9, labelcolor=LIGHT["soft"],
            handletextpad=0.2, columnspacing=1.4, title="hollow: the 95 % interval holds 0", title_fontsize=9,
        )  # fmt: skip
    return figure


def factor_worths(advice: Advice, *, width: float = 5.2) -> Figure:
    """What the variety of each factor is worth at equal numbers of images, of those that were measured."""
    shown = [(one.name, one.worth, one.narrowed) for one in advice.factors if one.worth is not None][::-1]
    with new_figure(width, 1.1 + 0.42 * len(shown)) as figure:
        axes = figure.add_subplot()
        label_rows(axes, [name for name, _, _ in shown], None)
        axes.axvspan(-100 * NEGLIGIBLE, 100 * NEGLIGIBLE, color=LIGHT["faint"], alpha=0.35, linewidth=0)
        axes.axvline(0, color=LIGHT["ink"], linewidth=1)
        for row, (_, worth, narrowed) in enumerate(shown):
            found = worth.low > 0.0 or worth.high < 0.0
            colour = LIGHT["accent" if found else "slate"]
            axes.hlines(row, 100 * worth.low, 100 * worth.high, color=colour, linewidth=4, alpha=0.5)
            axes.plot([100 * worth.estimate], [row], "D", color=colour, markersize=6)
            write_beside(axes, row, f"{points(worth.estimate)} over {narrowed}", colour, strong=found)
        words = "bars: 95 %; grey: no difference found; band: within a point"
        figure.supxlabel(words, x=0.99, ha="right", fontsize=9, color=LIGHT["soft"])
        figure.suptitle("Worth of variety, points", x=0.01, ha="left", fontsize=11, fontweight="bold")
    return figure
