"""How evenly a plan covers its axes and objects."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from acqplan.numbers import printable, shortened
from acqplan.plan.plan import Plan
from acqplan.report.plot.style import LIGHT, bare, drawing, new_figure, thousands
from acqplan.report.summary import Bins, cut, object_counts
from acqplan.space import Category, Shots

MOST_OBJECTS = 40
"""More objects than this are drawn as one bar a class."""


def coverage(plan: Plan, *, width: float = 4.8) -> Figure:
    """Shots per level of each axis, against the share that even sampling of the allowed views would give."""
    axes_of_space = plan.shots.space.axes
    with drawing():
        figure = new_figure(width, 1.75 * len(axes_of_space) + 0.3)
        panels = figure.subplots(len(axes_of_space), 1, squeeze=False)[:, 0]
        for column, axes in enumerate(panels):
            _axis_histogram(axes, plan.shots, column)
        panels[-1].annotate(
            "grey lines: even share of the allowed views",
            (1, 0), (0, -30), xycoords="axes fraction", textcoords="offset points",
            ha="right", fontsize=8.5, color=LIGHT["soft"], annotation_clip=False,
        )  # fmt: skip
    return figure


def level_counts(shots: Shots, column: int) -> tuple[Bins, Int[np.ndarray, " bins"], Float[np.ndarray, " bins"]]:
    """Bins of one axis, shots in each, and the even share of each."""
    allowed = shots.space.views()[:, column]
    bins = cut(shots.space.axes[column], np.concatenate([allowed, shots.coordinates[:, column]]), most=18)
    views = bins.count(slice(0, len(allowed)))
    return bins, bins.count(slice(len(allowed), None)), views * len(shots) / max(len(allowed), 1)


def _axis_histogram(axes: Axes, shots: Shots, column: int) -> None:
    bins, counts, even = level_counts(shots, column)
    places = np.arange(len(bins))
    axes.bar(places, counts, width=0.72, color=LIGHT["heat3"])
    axes.hlines(even, places - 0.42, places + 0.42, color=LIGHT["soft"], linewidth=1.6)
    bare(axes)
    axes.set_yticks([0, int(max(counts.max(), 1))], ["0", thousands(counts.max())])
    axes.set_xlim(-0.7, len(bins) - 0.3)
    every = max(1, -(-len(bins) // 9))
    names = [shortened(name, 12) for name in bins.starts]
    axes.set_xticks(places[::every], names[::every])
    unit = "" if isinstance(bins.axis, Category) or not bins.axis.unit else f", {bins.axis.unit}"
    wide = f", bars {bins.width:g} wide" if bins.width else ""
    axes.set_title(f"{printable(bins.axis.name)}{unit}{wide}", fontsize=10, pad=5)


def images_per_object(plan: Plan, *, width: float = 4.8) -> Figure:
    """Images of each object, grouped by class; many objects are summed by class."""
    objects, counts = plan.shots.objects, object_counts(plan)
    each = len(objects) <= MOST_OBJECTS
    names = list(objects.names) if each else list(objects.classes)
    classes = objects.class_rows if each else np.arange(len(names))
    values = counts if each else np.bincount(objects.class_rows, weights=counts)
    order = sorted(range(len(names)), key=lambda row: (classes[row], names[row]))
    with drawing():
        figure = new_figure(width, 0.8 + min(0.21 * len(names), 12.0))
        axes = figure.add_subplot()
        _object_bars(axes, [names[row] for row in order], values[order], classes[order])
        axes.set_title("Images of each object" if each else "Images of each class")
    return figure


def _object_bars(
    axes: Axes, names: list[str], values: Float[np.ndarray, " bars"], classes: Int[np.ndarray, " bars"]
) -> None:
    shades = [LIGHT["heat3"] if number % 2 else LIGHT["heat4"] for number in classes]
    axes.barh(range(len(names)), values, height=0.78, color=shades)
    for row, value in enumerate(values):
        axes.annotate(thousands(value), (value, row), (3, 0), textcoords="offset points", va="center", fontsize=9)
    bare(axes)
    axes.set_xticks([])
    axes.set_yticks(range(len(names)), [shortened(name, 22) for name in names], fontsize=9)
    axes.set_xlim(0, 1.14 * max(float(values.max()), 1.0))
    axes.set_ylim(len(names) - 0.4, -0.6)
