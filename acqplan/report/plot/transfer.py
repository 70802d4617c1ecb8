"""Pictures of the study of transfer: every way of using the images, maps of features, and where the evidence lies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from acqplan.report.plot.style import HEAT, LIGHT, OTHERS, bare, new_figure
from acqplan.space import Category, Circle

if TYPE_CHECKING:
    from acqplan.study.transfer import TransferFindings

# Colour and mark of each head.
LOOKS = {
    "softmax": ("accent", "o"),
    "dropout": ("slate", "P"),
    "logistic": ("plum", "D"),
    "svm": ("green", "s"),
    "ridge": ("gold", "^"),
    "mean": ("rust", "v"),
}
# Classes that have a colour of their own; views, from the first level of an axis to the last.
MOST_HEATED = 8
CLASS_COLOURS = ("accent", *OTHERS, "heat3", "ink", "faint", "heat1")


def ways_picture(found: TransferFindings, *, width: float = 8.4) -> Figure:
    """Accuracy of every head on every backbone and layer, best first; a bar is the interval of the best head."""
    readings = found.readings
    with new_figure(width, 1.1 + 0.34 * len(readings)) as figure:
        axes = figure.add_subplot()
        for row, reading in enumerate(readings):
            mine = [way for way in found.ways if way.reading is reading]
            axes.plot(
                [100 * mine[0].mean.low, min(100 * mine[0].mean.high, 100.0)], [row, row],
                color=LIGHT["faint"], linewidth=5, solid_capstyle="butt", zorder=1,
            )  # fmt: skip
            for way in reversed(mine):
                colour, mark = LOOKS[way.recipe.head]
                axes.plot(
                    100 * way.mean.mean, row, mark, color=LIGHT[colour], markersize=6, alpha=0.85, markeredgewidth=0
                )
        for head in dict.fromkeys(way.recipe.head for way in found.ways):
            colour, mark = LOOKS[head]
            name = {"svm": "linear SVM", "mean": "nearest class mean"}.get(head, head)
            axes.plot([], [], mark, color=LIGHT[colour], markeredgewidth=0, label=name)
        axes.set_yticks(range(len(readings)), [str(reading) for reading in readings], fontsize=8.5)
        axes.invert_yaxis()
        axes.tick_params(length=0)
        axes.grid(axis="x")
        axes.set_title(f"Accuracy on {found.tested}, %")
        figure.legend(loc="outside lower center", ncols=6, frameon=False, fontsize=8.5)
    return figure


def map_picture(found: TransferFindings, *, width: float = 8.4) -> Figure:
    """Maps of images, coloured by class and by the first two axes of the view."""
    space, classes = found.shots.space, found.shots.objects.classes
    columns = [None, *range(min(2, len(space.axes)))]
    few = len(classes) <= len(CLASS_COLOURS)
    with new_figure(width, 0.4 + 2.75 * len(found.maps)) as figure:
        panels = figure.subplots(len(found.maps), len(columns), squeeze=False)
        for row, mapped in enumerate(found.maps):
            for column, place in enumerate(columns):
                axes = panels[row, column]
                bare(axes)
                axes.set_xticks([])
                axes.set_yticks([])
                x, y = mapped.places.T
                if place is None:
                    numbers = found.shots.class_rows[mapped.rows]
                    for number in np.unique(numbers):
                        mine = numbers == number
                        colour = {"color": LIGHT[CLASS_COLOURS[number]]} if few else {}
                        axes.scatter(x[mine], y[mine], s=7, linewidths=0, label=classes[number], **colour)
                    if few and row == 0:
                        axes.legend(frameon=False, fontsize=6.5, markerscale=1.6, handletextpad=0, ncols=2, loc="best")
                    axes.set_ylabel(mapped.title.replace(":", ":\n"), fontsize=8.5, color=LIGHT["ink"])
                else:
                    axis, values = space.axes[place], found.shots.coordinates[mapped.rows, place]
                    around = isinstance(axis, Circle)
                    heat = LinearSegmentedColormap.from_list("heat", [LIGHT[name] for name in HEAT])
                    drawn = axes.scatter(x, y, c=values, s=7, linewidths=0, cmap="twilight" if around else heat)
                    if row == 0 and not isinstance(axis, Category):
                        figure.colorbar(drawn, ax=axes, location="bottom", shrink=0.8, aspect=30, pad=0.02)
                if row == 0:
                    axes.set_title("by class" if place is None else f"by {space.axes[place].name}", fontsize=10)
    return figure


def heat_picture(found: TransferFindings, *, width: float = 8.4) -> Figure:
    """A test image of each class, and over it how far patches there speak for the class, on one scale."""
    assert found.altered is not None
    maps = found.altered.evidence[:MOST_HEATED]
    columns = min(4, len(maps))
    heat = LinearSegmentedColormap.from_list("evidence", [LIGHT[name] for name in ("rust", "ground", "accent")])
    with new_figure(width, 0.6 + (width / columns + 0.1) * -(-len(maps) // columns) * 0.98) as figure:
        panels = figure.subplots(-(-len(maps) // columns), columns, squeeze=False).ravel()
        for axes in panels:
            axes.axis("off")
        for axes, one in zip(panels, maps, strict=False):
            grey = one.image if one.image.ndim == 2 else one.image.mean(axis=2)
            axes.imshow(grey, cmap="gray", vmin=0, vmax=255)
            drawn = axes.imshow(one.heat, cmap=heat, vmin=0.0, vmax=1.0, alpha=0.5)
            axes.set_title(one.label, fontsize=9.5)
        bar = figure.colorbar(drawn, ax=list(panels), location="bottom", shrink=0.5, aspect=40, pad=0.02)
        bar.set_label("mean probability of the class by patches", fontsize=8.5)
    return figure
