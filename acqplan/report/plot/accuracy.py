"""Accuracy of the arms: against images, at the full budget, and as gains of the plan's own strategy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from acqplan.evaluate.verdict import Validation
from acqplan.numbers import points, shortened
from acqplan.report.plot.style import LIGHT, arm_colours, bare, drawing, new_figure, thousands
from acqplan.report.summary import ArmSummary, arms, final_arms

if TYPE_CHECKING:
    from acqplan.advice.answers import Advice, Curve

LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1)))


def accuracy_curve(validation: Validation, *, emphasised: str = "auto", width: float = 5.2) -> Figure:
    """Accuracy on new objects against images taken, with the 95 % band over objects of one strategy.

    Args:
        validation: Records at several budgets; seeds are averaged.
        emphasised: The strategy drawn bold.
        width: Width in inches.
    """
    with drawing():
        figure = new_figure(width, 0.85 * width)
        draw_curve(figure.add_subplot(), validation, emphasised=emphasised)
    return figure


def draw_curve(axes: Axes, validation: Validation, *, emphasised: str) -> None:
    """Draw accuracy against images into empty axes."""
    every = arms(validation)
    names = list(dict.fromkeys(arm.strategy for arm in every))
    colours = arm_colours(names, emphasised)
    for number, name in enumerate(sorted(names, key=lambda name: name == emphasised)):
        mine = [arm for arm in every if arm.strategy == name]
        _line(axes, mine, LIGHT[colours[name]], LINES[number % len(LINES)], strong=name == emphasised)
    _curve_frame(axes, every)
    ends = [max((arm for arm in every if arm.strategy == name), key=lambda arm: arm.images) for name in names]
    _label_ends(axes, ends, [LIGHT[colours[arm.strategy]] for arm in ends], emphasised)


def _line(axes: Axes, mine: Sequence[ArmSummary], colour: str, style: object, *, strong: bool) -> None:
    images, accuracy = [arm.images for arm in mine], [100 * arm.accuracy for arm in mine]
    low, high = [100 * arm.low for arm in mine], [100 * arm.high for arm in mine]
    if strong:  # the bands of all arms would lie on each other: objects differ more than strategies
        axes.fill_between(images, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.plot(
        images,
        accuracy,
        color=colour,
        linestyle="-" if strong else style,
        linewidth=2.8 if strong else 1.3,
        marker="o",
        markersize=5.5 if strong else 3.5,
        zorder=4 if strong else 3,
    )
    if len(mine) == 1:  # a band needs two budgets
        axes.vlines(images, low, high, color=colour, linewidth=2.8 if strong else 1.3)


def _curve_frame(axes: Axes, every: Sequence[ArmSummary]) -> None:
    axes.set_xscale("log")
    axes.minorticks_off()
    ticks = apart(sorted({arm.budget for arm in every}))
    axes.set_xticks(ticks, [thousands(tick) for tick in ticks])
    low, high = min(arm.images for arm in every), max(arm.images for arm in every)
    axes.set_xlim(low * 0.93, max(high, *ticks) * 1.07)
    axes.grid(axis="y")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(f"images taken (log scale); band: 95 % over {every[0].n_objects} objects", fontsize=9)
    axes.set_title("Accuracy on new objects, %")


def apart(budgets: Sequence[int]) -> list[int]:
    """Ticks at budgets, without those that would touch the next larger one."""
    kept: list[int] = []
    for budget in sorted(budgets, reverse=True):
        if not kept or np.log(kept[-1] / budget) > 0.09 * np.log(max(budgets) / min(budgets)):
            kept.append(budget)
    return kept[::-1]


def _label_ends(axes: Axes, ends: Sequence[ArmSummary], colours: Sequence[str], emphasised: str) -> None:
    labels = [
        EndLabel(
            text=f"{shortened(arm.strategy, 16)} {100 * arm.accuracy:.1f}",
            x=arm.images,
            y=100 * arm.accuracy,
            colour=colour,
            strong=arm.strategy == emphasised,
        )
        for arm, colour in zip(ends, colours, strict=True)
    ]
    label_ends(axes, labels, gap=0.075)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndLabel:
    """What is written beside the end of a line.

    Attributes:
        text: The label.
        x: Where the line ends.
        y: The same, upwards.
        colour: Colour of label and leader.
        strong: Whether it is bold.
    """

    text: str
    x: float
    y: float
    colour: str
    strong: bool


def label_ends(axes: Axes, labels: Sequence[EndLabel], *, gap: float) -> None:
    """Write labels to the right of the axes, none over another, each tied to the end of its line.

    Args:
        axes: Axes whose limits are settled.
        labels: The labels.
        gap: Least distance of two labels, as a share of the height of the axes.
    """
    bottom, top = axes.get_ylim()
    places = spread([(label.y - bottom) / (top - bottom) for label in labels], gap=gap)
    for label, place in zip(labels, places, strict=True):
        leader = {"arrowstyle": "-", "color": label.colour, "linewidth": 0.6, "alpha": 0.6, "shrinkA": 1, "shrinkB": 4}
        axes.annotate(
            label.text,
            xy=(label.x, label.y),
            xytext=(1.05, place),
            textcoords="axes fraction",
            color=label.colour,
            weight="bold" if label.strong else "normal",
            va="center",
            fontsize=9.5,
            annotation_clip=False,
            arrowprops=leader,
        )


def spread(places: Sequence[float], *, gap: float) -> list[float]:
    """Move labels as little as needed so that no two are nearer than ``gap``; order is kept.

    Args:
        places: Where each wants to be, 0 at the bottom and 1 at the top.
        gap: Least distance between two.
    """
    order = sorted(range(len(places)), key=lambda row: places[row])
    groups: list[list[int]] = []
    for row in order:
        groups.append([row])
        while len(groups) > 1 and _bottom(groups[-1], places, gap) - _top(groups[-2], places, gap) < gap:
            groups[-2:] = [groups[-2] + groups[-1]]
    placed = dict.fromkeys(order, 0.0)
    for group in groups:
        for step, row in enumerate(group):
            placed[row] = _bottom(group, places, gap) + step * gap
    return [placed[row] for row in range(len(places))]


def _bottom(group: Sequence[int], places: Sequence[float], gap: float) -> float:
    return float(np.mean([places[row] for row in group])) - gap * (len(group) - 1) / 2


def _top(group: Sequence[int], places: Sequence[float], gap: float) -> float:
    return _bottom(group, places, gap) + gap * (len(group) - 1)


def accuracy_bars(validation: Validation, *, emphasised: str = "auto", width: float = 4.8) -> Figure:
    """Accuracy at the full budget as points with 95 % bars over objects."""
    final = sorted(final_arms(validation), key=lambda arm: arm.accuracy)
    colours = arm_colours([arm.strategy for arm in arms(validation)], emphasised)
    with drawing():
        figure = new_figure(width, 1.1 + 0.36 * len(final))
        axes = figure.add_subplot()
        for row, arm in enumerate(final):
            text = f"{100 * arm.accuracy:.1f}"
            _interval(axes, row, (arm.low, arm.accuracy, arm.high), LIGHT[colours[arm.strategy]], text)
        label_rows(axes, [arm.strategy for arm in final], emphasised)
        axes.set_title("Accuracy on new objects, %")
        below(axes, f"{thousands(final[0].budget)} images allowed; bars: 95 % over {final[0].n_objects} objects")
    return figure


def gains(validation: Validation, *, emphasised: str = "auto", width: float = 4.8) -> Figure:
    """What the plan's strategy gains on each of the others, in points of accuracy."""
    verdicts = sorted(
        (verdict for verdict in validation.verdicts if verdict.a == emphasised), key=lambda verdict: verdict.difference
    )
    colours = {"better": "green", "worse": "rust", "no difference found": "slate"}
    with drawing():
        figure = new_figure(width, 1.1 + 0.36 * len(verdicts))
        axes = figure.add_subplot()
        axes.axvline(0, color=LIGHT["ink"], linewidth=1)
        for row, verdict in enumerate(verdicts):
            ends = (verdict.ci95[0], verdict.difference, verdict.ci95[1])
            _interval(axes, row, ends, LIGHT[colours[verdict.verdict]], points(verdict.difference))
        label_rows(axes, [f"against {verdict.b}" for verdict in verdicts], "")
        axes.set_title(f"Gain of {shortened(emphasised, 16)}, points")
        below(axes, f"right of 0: {shortened(emphasised, 16)} is more accurate; bars: 95 % over objects")
    return figure


def _interval(axes: Axes, row: int, ends: tuple[float, float, float], colour: str, text: str) -> None:
    low, middle, high = (100 * end for end in ends)
    axes.hlines(row, low, high, color=colour, linewidth=5, alpha=0.35)
    axes.plot([middle], [row], marker="o", markersize=7, color=colour)
    axes.annotate(text, (middle, row), (0, 6), textcoords="offset points", ha="center", color=colour, fontsize=9)


def below(axes: Axes, text: str) -> None:
    """A note that may reach to the left under the names."""
    axes.set_xlabel(text, loc="right", fontsize=9)


def label_rows(axes: Axes, names: Sequence[str], emphasised: str) -> None:
    """Name the rows of a plot of points and intervals, without a box."""
    bare(axes)
    axes.grid(axis="x")
    axes.set_yticks(range(len(names)), [shortened(name, 24) for name in names])
    axes.set_ylim(-0.6, len(names) - 0.2)
    for tick, name in zip(axes.get_yticklabels(), names, strict=True):
        tick.set_color(LIGHT["ink"])
        tick.set_fontweight("bold" if name == emphasised else "normal")


STEPS = 60
"""Places at which the fitted curve is drawn."""


def learning_curve(advice: Advice, *, width: float = 5.2) -> Figure:
    """Accuracy on left-out objects with its 95 % interval, the fitted curve, and where it ends.

    Args:
        advice: With at least one measured point.
        width: Width in inches.
    """
    with drawing():
        figure = new_figure(width, 0.7 * width)
        axes = figure.add_subplot()
        _measured(axes, advice)
        if advice.curve is not None:
            _fitted(axes, advice, advice.curve)
        _frame(axes, advice)
    return figure


def _measured(axes: Axes, advice: Advice) -> None:
    images = [point.images for point in advice.points]
    middle, low, high = (
        [100 * getattr(point.accuracy, end) for point in advice.points] for end in ("estimate", "low", "high")
    )
    axes.fill_between(images, low, high, color=LIGHT["accent"], alpha=0.15, linewidth=0)
    if len(images) == 1:  # a band needs two sizes
        axes.vlines(images, low, high, color=LIGHT["accent"], linewidth=2.8, alpha=0.4)
    axes.plot(images, middle, "o", color=LIGHT["accent"], markersize=5.5, zorder=4)


def _fitted(axes: Axes, advice: Advice, curve: Curve) -> None:
    ends = (advice.points[0].images, advice.images, advice.capacity)
    for start, stop, style in ((*ends[:2], "-"), (*ends[1:], "--")):
        images = np.geomspace(start, stop, STEPS)
        errors = curve.floor + curve.scale * (images / curve.unit) ** -curve.exponent
        axes.plot(images, 100 * (1.0 - errors), style, color=LIGHT["accent"], linewidth=1.6)
    if advice.capacity > advice.images:
        end = curve.saturation
        axes.vlines(advice.capacity, 100 * end.low, 100 * end.high, color=LIGHT["rust"], linewidth=5, alpha=0.35)
        axes.plot([advice.capacity], [100 * end.estimate], "o", color=LIGHT["rust"], markersize=5.5, zorder=4)


def _frame(axes: Axes, advice: Advice) -> None:
    axes.set_xscale("log")
    axes.minorticks_off()
    last = advice.capacity if advice.curve is not None else advice.images
    ticks = apart(sorted({advice.points[0].images, advice.images, last}))
    axes.set_xticks(ticks, [thousands(tick) for tick in ticks])
    axes.set_xlim(advice.points[0].images * 0.93, last * 1.07)
    axes.grid(axis="y")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(f"images captured (log scale); band: 95 % over {advice.judged} objects", fontsize=9)
    axes.set_title("Accuracy on objects left out, %")
