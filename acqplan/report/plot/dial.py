"""The dial: allowed views as seen from above, those with more shots larger and darker."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from acqplan.report.palette import HEAT, LIGHT, heat_step
from acqplan.report.plot.frame import flat_frame, is_round, round_frame, round_places
from acqplan.report.plot.style import drawing, new_figure, thousands
from acqplan.report.summary import picture_axes, positions, shortened
from acqplan.space import Shots

SMALL = 3.0
"""Dials narrower than this, in inches, go without labels and legend."""

MOST_DRAWN = 400
"""Dots that an SVG holds one by one."""

MOST_CLASSES = 12
"""More small dials than this say nothing."""


def dial(shots: Shots, *, title: str = "", most: int | None = None, size: float = 4.8) -> Figure:
    """Shots per view: azimuth around, elevation from the rim up to the middle.

    A space without a circle is drawn flat, its first axis across and its second up.

    Args:
        shots: The shots of a plan, or some of them.
        title: Written above.
        most: Count drawn largest and darkest, to compare several dials; by default the largest there is.
        size: Width in inches; below 3 there are neither labels nor legend.
    """
    with drawing():
        figure = new_figure(size, _height(shots, size), laid_out=size >= SMALL)
        draw_dial(figure, shots, small=size < SMALL, title=title, most=most)
    return figure


def class_dials(shots: Shots, *, width: float = 10.0) -> Figure:
    """Small dials side by side, one for each of the first dozen classes, drawn to one scale."""
    classes = shots.objects.classes[:MOST_CLASSES]
    columns = min(len(classes), 6)
    rows = -(-len(classes) // columns)
    parts = [of_class(shots, label) for label in classes]
    most = max(int(positions(part).n_shots.max()) for part in parts)
    size = width / max(columns, 3)
    with drawing():
        figure = new_figure(size * columns, _height(shots, min(size, SMALL - 0.1)) * rows, laid_out=False)
        cells = figure.subfigures(rows, columns, squeeze=False).ravel()
        for label, part, where in zip(classes, parts, cells, strict=False):
            draw_dial(where, part, small=True, title=label, most=most)
    return figure


def of_class(shots: Shots, label: str) -> Shots:
    """The shots of objects of one class."""
    return shots.take(np.array([name == label for name in shots.labels], dtype=bool))


def _height(shots: Shots, size: float) -> float:
    furniture = 0.3 if size < SMALL else 0.65
    if is_round(shots.space):
        return size + furniture
    return size * (0.3 if picture_axes(shots.space)[1] is None else 0.7) + furniture


def draw_dial(
    figure: Figure | SubFigure, shots: Shots, *, small: bool = False, title: str = "", most: int | None = None
) -> Axes:
    """Draw the dial of some shots into an empty figure or a part of one."""
    counted, space = positions(shots), shots.space
    largest = most or max(int(counted.n_shots.max()), 1)
    axes = _empty(figure, small=small)
    if is_round(space):
        round_frame(axes, space, small=small)
        x, y = round_places(space, counted.places)
    else:
        flat_frame(axes, space, small=small)
        x, y = counted.places.T
    diameter = _widest(figure, axes, np.column_stack([x, y]), small=small)
    _dots(axes, x, y, counted.n_shots, diameter=diameter, most=largest)
    axes.set_title(shortened(title, 60), loc="center", fontsize=9.5 if small else 11, pad=3 if small else 10)
    if not small:
        _legend(figure, counted.n_shots, diameter=diameter, most=largest)
    return axes


def _empty(figure: Figure | SubFigure, *, small: bool) -> Axes:
    """Axes laid out by matplotlib, or, where only a title has to fit, at once."""
    if not small:
        return figure.add_subplot()
    title = 0.26 * figure.dpi / figure.bbox.height
    return figure.add_axes((0.02, 0.02, 0.96, 0.96 - title))


def _widest(figure: Figure | SubFigure, axes: Axes, places: Float[np.ndarray, "places 2"], *, small: bool) -> float:
    """Diameter in points at which dots of neighbours do not overlap (in a small dial, hardly)."""
    across, down = np.ptp([axes.get_xlim(), axes.get_ylim()], axis=1)
    # Axes fill nine tenths of a small figure and three quarters of a large one; 72 points an inch.
    points = (0.9 if small else 0.75) * min(figure.bbox.width, figure.bbox.height) / figure.dpi * 72
    most = 8.0 if small else 15.0
    return float(np.clip(_spacing(places / np.array([across, down])) * points * (1.2 if small else 1.0), 2.5, most))


def _spacing(flat: Float[np.ndarray, "places 2"]) -> float:
    """Distance to the nearest neighbour that nine of ten places keep; of many places, of the first thousand."""
    some = flat[:1000]
    if len(some) < 2:
        return 1.0
    apart = np.linalg.norm(some[:, None, :] - some[None, :, :], axis=2)
    np.fill_diagonal(apart, np.inf)
    return float(np.quantile(apart.min(axis=1), 0.1))


def _dots(
    axes: Axes,
    x: Float[np.ndarray, " places"],
    y: Float[np.ndarray, " places"],
    n_shots: Int[np.ndarray, " places"],
    *,
    diameter: float,
    most: int,
) -> None:
    untouched, taken = n_shots == 0, n_shots > 0
    # As drawings, thousands of dots would make report.html larger than a picture of them.
    style: Any = {"linewidths": 0, "clip_on": False, "rasterized": len(x) > MOST_DRAWN}
    speck = (0.3 * diameter) ** 2
    axes.scatter(x[untouched], y[untouched], s=speck, c=LIGHT["faint"], zorder=3, **style)
    sizes = [_diameter(int(count), diameter, most) ** 2 for count in n_shots[taken]]
    colours = [_colour(int(count), most) for count in n_shots[taken]]
    axes.scatter(x[taken], y[taken], s=sizes, c=colours, zorder=4, **style)


def _diameter(count: int, diameter: float, most: int) -> float:
    return diameter * (0.25 + 0.75 * count / most) ** 0.5


def _colour(count: int, most: int) -> str:
    return LIGHT[HEAT[heat_step(count, most)]]


def _legend(figure: Figure | SubFigure, n_shots: Int[np.ndarray, " places"], *, diameter: float, most: int) -> None:
    taken = n_shots[n_shots > 0]
    if not len(taken):
        return
    low, high = int(taken.min()), int(taken.max())
    shown = sorted({low, (low + high) // 2, high})
    handles = [_handle(thousands(count), _colour(count, most), _diameter(count, diameter, most)) for count in shown]
    if (n_shots == 0).any():
        handles = [_handle("0", LIGHT["faint"], 0.3 * diameter), *handles]
    figure.legend(
        handles=handles, title="shots per view", ncols=len(handles), loc="outside lower center", frameon=False,
        fontsize=9.5, title_fontsize=9.5, handletextpad=0.1, columnspacing=1.2, labelcolor=LIGHT["soft"],
    )  # fmt: skip


def _handle(label: str, colour: str, diameter: float) -> Line2D:
    size = max(diameter, 3.0)
    return Line2D([], [], linestyle="", marker="o", color=colour, markersize=size, markeredgewidth=0, label=label)
