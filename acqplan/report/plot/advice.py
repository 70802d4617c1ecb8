"""Plots of advice: the learning curve of the captured objects, and the design surface."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from acqplan.advice.answers import Advice, SurfaceGrid
from acqplan.report.plot.curves import apart, log_axis
from acqplan.report.plot.style import HEAT, LIGHT, new_figure

# Lines of equal numbers of images.
LINES = 6


def learning_curve(advice: Advice, *, width: float = 5.2) -> Figure:
    """Accuracy on left-out objects with its 95 % interval, and what is foreseen for more images of these objects.

    Args:
        advice: With at least one measured point.
        width: Width in inches.
    """
    with new_figure(width, 0.7 * width) as figure:
        axes = figure.add_subplot()
        images = [point.images for point in advice.points]
        middle, low, high = (
            [100 * getattr(point.accuracy, end) for point in advice.points] for end in ("estimate", "low", "high")
        )
        axes.vlines(images, low, high, color=LIGHT["accent"], linewidth=2.8, alpha=0.3)
        axes.plot(images, middle, "o", color=LIGHT["accent"], markersize=5.5, zorder=4)
        foreseen = [point for point in advice.curve if point.images >= images[0]]
        if foreseen:
            places = [point.images for point in foreseen]
            middle, low, high = (
                [100 * getattr(point.accuracy, end) for point in foreseen] for end in ("estimate", "low", "high")
            )
            axes.fill_between(places, low, high, color=LIGHT["rust"], alpha=0.13, linewidth=0)
            axes.plot(places, middle, "--", color=LIGHT["rust"], linewidth=1.6)
        log_axis(axes, sorted({images[0], advice.images, advice.capacity if foreseen else advice.images}))
        axes.set_xlabel(f"images of these objects (log scale); bars: 95 % over {advice.judged} objects", fontsize=9)
        axes.set_title("Accuracy on new objects, %")
    return figure


def design_surface(advice: Advice, surface: SurfaceGrid, *, width: float = 5.2) -> Figure:
    """Accuracy foreseen for objects of a class by shots of each, with what is captured and what is best bought next.

    Args:
        advice: Of which the surface is.
        surface: The surface.
        width: Width in inches.
    """
    shots, objects = np.array(surface.shots), np.array(surface.objects)
    accuracy = np.array([[100 * cell.estimate for cell in row] for row in surface.accuracy])
    with new_figure(width, 0.7 * width) as figure:
        axes = figure.add_subplot(xscale="log", yscale="log")
        bounds = np.linspace(accuracy.min(), accuracy.max() + 1e-6, len(HEAT) + 1)
        axes.contourf(shots, objects, accuracy, levels=bounds, colors=[LIGHT[name] for name in HEAT])
        # designs of as many images lie on a line
        for cost in np.geomspace(shots[0] * objects[0], shots[-1] * objects[-1], LINES + 2)[1:-1]:
            axes.plot(shots, cost / shots, ":", color=LIGHT["ground"], linewidth=1.2)
        captured = (advice.images / advice.objects, advice.objects / advice.classes)
        axes.plot(*captured, "o", color=LIGHT["ink"], markeredgecolor=LIGHT["ground"], markersize=8, clip_on=False)
        if advice.best is not None and advice.best.objects:
            best = (advice.best.shots, captured[1] + advice.best.objects)
            axes.plot(*zip(captured, best, strict=True), "-", color=LIGHT["ink"], linewidth=1.2)
            axes.plot(*best, "D", color=LIGHT["rust"], markeredgecolor=LIGHT["ground"], markersize=9, clip_on=False)
        for axis, levels in ((axes.xaxis, surface.shots), (axes.yaxis, surface.objects)):
            axis.set_minor_locator(NullLocator())
            ticks = apart([level for level in levels if level == round(level)], 0.06)
            axis.set_ticks(ticks, [f"{tick:,.0f}" for tick in ticks])
        axes.set_xlim(shots[0], shots[-1])
        axes.set_ylim(objects[0], objects[-1])
        for low, high, name in zip(bounds, bounds[1:], HEAT, strict=False):
            axes.plot([], [], "s", color=LIGHT[name], markersize=9, label=f"{low:.0f} to {high:.0f} %")
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, fontsize=9, reverse=True)
        axes.set_xlabel("shots of each object (log scale); dotted: as many images", fontsize=9)
        axes.set_ylabel("objects of each class", fontsize=9)
        axes.set_title("Accuracy on new objects")
    return figure
