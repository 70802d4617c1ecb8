"""The dial: allowed views as seen from above, those with more shots larger and darker."""

from __future__ import annotations

import textwrap
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from acqplan.numbers import printable, shortened
from acqplan.report.plot.style import HEAT, LIGHT, bare, drawing, heat_step, new_figure, thousands
from acqplan.report.summary import picture_axes, positions
from acqplan.space import Axis, Category, Circle, Shots, Space

HOLE = 0.34
"""Radius of the empty middle, so that views from straight above stay apart."""

QUARTERS: tuple[tuple[Literal["left", "center", "right"], Literal["bottom", "center", "top"]], ...] = (
    ("center", "bottom"),
    ("left", "center"),
    ("center", "top"),
    ("right", "center"),
)
"""How text stands at the ends of the spokes, clockwise from the top."""

ALONE = 0.85
"""Radius of the only ring."""


def is_round(space: Space) -> bool:
    """Whether the axis across the picture of a space closes on itself."""
    return isinstance(space.axes[picture_axes(space)[0]], Circle)


def radii(axis: Axis | None, codes: Float[np.ndarray, " places"]) -> Float[np.ndarray, " places"]:
    """Where coordinates lie between middle and rim (1).

    Numbers run inwards, as elevation does when seen from above; levels of a category outwards.
    """
    if axis is None or len(axis.values) == 1:
        return np.full(len(codes), ALONE)
    levels = axis.codes()
    share = (codes - levels.min()) / (levels.max() - levels.min())
    return HOLE + (1 - HOLE) * (share if isinstance(axis, Category) else 1 - share)


def round_places(
    space: Space, places: Float[np.ndarray, "places 2"]
) -> tuple[Float[np.ndarray, " places"], Float[np.ndarray, " places"]]:
    """Where places of the picture lie on paper: zero at the top, clockwise, rim at distance 1.

    Plain coordinates, because matplotlib's polar axes take ten times as long to draw.
    """
    across, down = picture_axes(space)
    turn = places[:, 0] * 2 * np.pi / getattr(space.axes[across], "period", 360.0)
    distance = radii(None if down is None else space.axes[down], places[:, 1])
    return distance * np.sin(turn), distance * np.cos(turn)


def round_frame(axes: Axes, space: Space, *, small: bool) -> None:
    """Two spokes and rings at rim and middle; if large, angles and how to read them."""
    across, down = picture_axes(space)
    bare(axes)
    reach = 1.08 if small else 1.22
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), xticks=[], yticks=[], aspect="equal")
    line: Any = {"color": LIGHT["faint"], "linewidth": 0.5, "alpha": 0.7, "zorder": 1}
    axes.plot([-1.06, 1.06], [0, 0], **line)
    axes.plot([0, 0], [-1.06, 1.06], **line)
    for radius in (ALONE,) if down is None else (HOLE, 1.0):
        around = np.linspace(0, 2 * np.pi, 121)
        axes.plot(radius * np.sin(around), radius * np.cos(around), **line)
    if not small:
        _angles(axes, space.axes[across])
        axes.set_xlabel(textwrap.fill(round_caption(space), 66), fontsize=9.5, labelpad=6)


def _angles(axes: Axes, axis: Axis) -> None:
    """A quarter of the circle at the end of each spoke."""
    for quarter, (across, up) in enumerate(QUARTERS):
        text = f"{quarter / 4 * getattr(axis, 'period', 360.0):g}" + ("°" if axis.unit == "deg" else f" {axis.unit}")
        x, y = round(np.sin(quarter * np.pi / 2)), round(np.cos(quarter * np.pi / 2))
        axes.text(1.09 * x, 1.09 * y, text, ha=across, va=up, color=LIGHT["soft"])


def round_caption(space: Space) -> str:
    """How to read the dial, e.g. ``azimuth around; elevation from 30 deg at the rim to 70 in the middle``."""
    across, down = picture_axes(space)
    around = f"{shortened(space.axes[across].name, 20)} around"
    if down is None:
        return around
    axis = space.axes[down]
    ends = [axis.values[0], axis.values[-1]] if isinstance(axis, Category) else [max(axis.values), min(axis.values)]
    middle, rim = (shortened(end, 12) if isinstance(end, str) else f"{end:g}" for end in ends)
    return f"{around}; {shortened(axis.name, 20)} from {rim} at the rim to {middle} in the middle"


def flat_frame(axes: Axes, space: Space, *, small: bool) -> None:
    """Both axes with their levels, without a box."""
    across, down = picture_axes(space)
    bare(axes)
    for direction, column in (("x", across), ("y", down)):
        _flat_axis(axes, direction, None if column is None else space.axes[column], small=small)


def _flat_axis(axes: Axes, direction: str, axis: Axis | None, *, small: bool) -> None:
    set_ticks, set_label, set_limits = (
        (axes.set_xticks, axes.set_xlabel, axes.set_xlim)
        if direction == "x"
        else (axes.set_yticks, axes.set_ylabel, axes.set_ylim)
    )
    codes = np.zeros(1) if axis is None else axis.codes()
    pad = 0.08 * float(np.ptp(codes)) or 0.5
    set_limits(float(codes.min()) - pad, float(codes.max()) + pad)
    if axis is None or small:
        set_ticks([])
        return
    if isinstance(axis, Category):
        set_ticks(list(codes), [shortened(value, 12) for value in axis.values])
    elif len(codes) <= 8:
        set_ticks(list(codes), [f"{code:g}" for code in codes])
    set_label(printable(axis.name) + (f" ({axis.unit})" if axis.unit else ""))


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
