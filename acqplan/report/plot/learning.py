"""The learning curve of the advice: what was measured on left-out objects, and how it would go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from acqplan.report.palette import LIGHT
from acqplan.report.plot.accuracy import apart
from acqplan.report.plot.style import drawing, new_figure, thousands

if TYPE_CHECKING:
    from acqplan.evaluate.advise_answers import Advice, Curve

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
