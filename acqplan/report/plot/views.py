"""Views of a plan: dials (positions as seen from above), levels of each axis, images per object."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from acqplan.errors import SpaceError
from acqplan.numbers import count_noun, printable, shortened
from acqplan.report.compared import Compared
from acqplan.report.counts import Bins, axis_title, cut, object_counts, picture_axes, positions
from acqplan.report.plot.style import HEAT, LIGHT, bare, heat_step, new_figure
from acqplan.space import Axis, Category, Circle, Shots, Space
from acqplan.space.sphere import Turns, Views, pose_of

if TYPE_CHECKING:
    from acqplan.evaluate.findings import Findings

# Radius of the empty middle, so that views from straight above stay apart, and of the only ring.
HOLE, ALONE = 0.34, 0.85
# Dials narrower than this, in inches, go without labels and legend.
SMALL = 3.0
# Dots that an SVG holds one by one, small dials in a group, and objects with a bar each instead of one per class.
MOST_DOTS, MOST_DIALS, MOST_OBJECTS = 400, 12, 40
# Degrees from the front of the object to who looks at its dome.
FACING = 35.0
# Inches of the title above a group of dials.
HEADING = 0.3


def dial(shots: Shots, *, title: str = "", most: int | None = None, size: float = 4.8) -> Figure:
    """Shots per view: azimuth around, elevation from the rim up to the middle.

    A space without a circle is drawn flat, its first axis across and its second up.

    Args:
        shots: The shots of a plan, or some of them.
        title: Written above.
        most: Count drawn largest and darkest, to compare several dials; by default the largest there is.
        size: Width in inches; below 3 there are neither labels nor legend.
    """
    with new_figure(size, _height(shots.space, size), laid_out=size >= SMALL) as figure:
        draw_dial(figure, shots, small=size < SMALL, title=title, most=most)
    return figure


def has_dome(space: Space) -> bool:
    """Whether axes turn and raise the camera."""
    try:
        return {"azimuth", "elevation"} <= pose_of(space, np.empty((0, len(space.axes)))).keys()
    except SpaceError:  # two axes turn it
        return False


def hemisphere(shots: Shots, *, turns: Turns = "table", size: float = 4.8) -> Figure:
    """Places of the camera about the object, seen from the side; of spaces that have a dome.

    Args:
        shots: The shots of a plan, or some of them.
        turns: What azimuth turns, see `acqplan.space.sphere`.
        size: Width in inches.
    """
    # allowed views first, then shots: what both have in common is one place
    allowed = shots.space.views()
    angles = pose_of(shots.space, np.concatenate([allowed, shots.coordinates]))
    pairs = np.round(np.stack([angles["azimuth"], angles["elevation"]], axis=1), 6)
    places, where = np.unique(pairs, axis=0, return_inverse=True)
    n_shots = np.bincount(where.ravel()[len(allowed) :], minlength=len(places))
    with new_figure(size, 0.72 * size + 0.65) as figure:
        axes = figure.add_subplot()
        bare(axes)
        axes.set(xlim=(-1.2, 1.2), ylim=(-0.62, 1.02), xticks=[], yticks=[], aspect="equal")
        around, up = np.linspace(0, 360, 121), np.linspace(0, 90, 31)
        lines = [_seen(around, height) for height in (0, 30, 60)] + [_seen(turn, up) for turn in range(0, 360, 30)]
        for line in lines:
            for is_near, weight in ((False, 0.4), (True, 0.9)):
                right, above = np.where((line[:, 2] > 0) == is_near, line[:, :2].T, np.nan)
                axes.plot(right, above, color=LIGHT["faint"], alpha=weight, linewidth=0.7, zorder=1)
        for turn, height in ((0, 0), (90, 0), (180, 0), (270, 0), (-90 - FACING, 30), (-90 - FACING, 60)):
            right, above, _ = 1.11 * _seen(turn if turns == "table" or height else -turn, height)[0]
            axes.text(right, above, f"{height or turn}°", ha="center", va="center", color=LIGHT["soft"], fontsize=9.5)
        # the object on its table, and which way its front looks where azimuth is 0
        table, front = 0.35 * _seen(around, 0), 0.55 * _seen(0, 0)[0]
        axes.fill(table[:, 0], table[:, 1], color=LIGHT["panel"], zorder=0)
        axes.annotate("", front[:2], (0, 0), arrowprops={"arrowstyle": "-|>", "color": LIGHT["rust"], "lw": 1.6})
        axes.text(front[0], front[1] - 0.08, "front", color=LIGHT["rust"], fontsize=9.5, ha="center")
        dots, most = _seen(places[:, 0] * (1 if turns == "table" else -1), places[:, 1]), max(int(n_shots.max()), 1)
        order = np.argsort(dots[:, 2])  # those behind first
        marks = [_dot(int(count), 9.0 if len(dots) <= 200 else 6.0, most) for count in n_shots[order]]
        style: Any = {"linewidths": 0, "zorder": 3, "rasterized": len(dots) > MOST_DOTS}
        style |= {
            "alpha": np.where(dots[order, 2] > 0, 1.0, 0.45),
            "s": [width**2 for width, _ in marks],
            "c": [colour for _, colour in marks],
        }
        axes.scatter(*dots[order, :2].T, **style)
        axes.set_title(f"Where the camera is for {count_noun(len(shots), 'shot')}", loc="center", pad=4)
        axes.set_xlabel("azimuth around, elevation up; pale: behind the object", fontsize=9.5)
    return figure


def _seen(azimuth: Any, elevation: Any) -> Float[np.ndarray, "points 3"]:
    """Points of a dome: right, up and towards who looks at it."""
    turn, height = np.broadcast_arrays(*np.atleast_1d(azimuth, elevation))
    outward = Views(azimuth=turn, elevation=height, distance=np.ones(len(turn)), roll=0.0 * turn).camera_to_world()
    eye = Views(azimuth=np.array([-FACING]), elevation=np.array([25.0]), distance=np.ones(1), roll=np.zeros(1))
    return outward[:, :3, 3] @ eye.camera_to_world()[0, :3, :3]


def class_dials(shots: Shots) -> Figure:
    """Small dials side by side, one for each of the first dozen classes, drawn to one scale."""
    return _dial_rows({"": {label: of_class(shots, label) for label in shots.objects.classes[:MOST_DIALS]}})


def of_class(shots: Shots, label: str) -> Shots:
    """The shots of objects of one class."""
    return shots.take(np.array([name == label for name in shots.labels], dtype=bool))


def most_shots(parts: Mapping[str, Shots]) -> int:
    """The largest count at one position in any of them: the scale of all dials."""
    return max((int(positions(part)[1].max()) for part in parts.values()), default=1)


def _dial_rows(groups: Mapping[str, Mapping[str, Shots]], *, width: float = 10.0) -> Figure:
    """Groups of small dials below each other, those of a group side by side and drawn to one scale."""
    n_dials = max(map(len, groups.values()))
    columns = min(6, n_dials)
    rows, size = -(-n_dials // columns), width / max(columns, 3)
    space = next(part.space for parts in groups.values() for part in parts.values())
    tall = rows * _height(space, min(size, SMALL - 0.1))
    # A strip for the title of each group, and one for its dials.
    heights = [height for title in groups for height in (HEADING * bool(title) or 0.01, tall)]
    with new_figure(size * columns, sum(heights), laid_out=False) as figure:
        strips = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
        for number, (title, parts) in enumerate(groups.items()):
            strips[2 * number].text(0.02, 0.1, title, fontsize=11, fontweight="bold")
            places = strips[2 * number + 1].subfigures(rows, columns, squeeze=False).ravel()
            for place, (name, part) in zip(places, parts.items(), strict=False):
                draw_dial(place, part, small=True, title=shortened(name, 18), most=most_shots(parts))
    return figure


def taken_shots(findings: Findings) -> dict[str, Shots]:
    """What each strategy took in the first block under the primary budget; strategies that failed are left out."""
    shots, taken = findings.results.shots, findings.results.blocks[0].taken
    names = [name for name in Compared.of_findings(findings).order if name in taken]
    return {name: shots.take(taken[name]) for name in names[:MOST_DIALS]}


def first_object(parts: Mapping[str, Shots]) -> tuple[str, dict[str, Shots]]:
    """The first object that every strategy photographed, and each strategy's shots of it; nothing if there is none."""
    common = set.intersection(*(set(part.object_rows.tolist()) for part in parts.values())) if parts else set()
    if not common:
        return "", {}
    row = min(common)
    name = next(iter(parts.values())).objects.names[row]
    return name, {strategy: part.take(np.flatnonzero(part.object_rows == row)) for strategy, part in parts.items()}


def strategy_dials(findings: Findings) -> Figure:
    """All objects together, and one object, for every strategy: what staggering looks like."""
    every = taken_shots(findings)
    name, single = first_object(every)
    groups = {"All objects together": every, f"Of these only {printable(name)}": single}
    return _dial_rows({title: parts for title, parts in groups.items() if parts})


def _height(space: Space, size: float) -> float:
    margins = 0.3 if size < SMALL else 0.65
    if isinstance(space.axes[picture_axes(space)[0]], Circle):
        return size + margins
    return size * (0.3 if picture_axes(space)[1] is None else 0.7) + margins


def draw_dial(
    figure: Figure | SubFigure, shots: Shots, *, small: bool = False, title: str = "", most: int | None = None
) -> Axes:
    """Draw the dial of some shots into an empty figure or a part of one."""
    (places, n_shots), space = positions(shots), shots.space
    largest = most or max(int(n_shots.max()), 1)
    if small:  # only a title has to fit: laid out at once, which is faster
        axes = figure.add_axes((0.02, 0.02, 0.96, 0.96 - 0.26 * figure.dpi / figure.bbox.height))
    else:
        axes = figure.add_subplot()
    bare(axes)
    if isinstance(space.axes[picture_axes(space)[0]], Circle):
        x, y = _draw_round(axes, space, places, small=small)
    else:
        for direction, column in zip(("x", "y"), picture_axes(space), strict=True):
            _draw_flat_axis(axes, direction, None if column is None else space.axes[column], small=small)
        x, y = places.T
    # Dots as large as they do not overlap (in a small dial, hardly); the legend uses the same scale.
    # Axes fill nine tenths of a small figure and three quarters of a large one; 72 points an inch.
    points = (0.9 if small else 0.75) * min(figure.bbox.width, figure.bbox.height) / figure.dpi * 72
    some, spacing = np.column_stack([x, y])[:1000] / np.ptp([axes.get_xlim(), axes.get_ylim()], axis=1), 1.0
    if len(some) > 1:  # distance to the nearest neighbour that nine of ten places keep
        apart = np.linalg.norm(some[:, None, :] - some[None, :, :], axis=2)
        np.fill_diagonal(apart, np.inf)
        spacing = float(np.quantile(apart.min(axis=1), 0.1))
    diameter = float(np.clip(spacing * points * (1.2 if small else 1.0), 2.5, 8.0 if small else 15.0))
    untouched, taken = n_shots == 0, n_shots > 0
    # As drawings, thousands of dots would make report.html larger than a picture of them.
    style: Any = {"linewidths": 0, "clip_on": False, "rasterized": len(x) > MOST_DOTS}
    for shown, zorder in ((untouched, 3), (taken, 4)):
        dots = [_dot(int(count), diameter, largest) for count in n_shots[shown]]
        sizes, colours = [size**2 for size, _ in dots], [colour for _, colour in dots]
        axes.scatter(x[shown], y[shown], s=sizes, c=colours, zorder=zorder, **style)
    axes.set_title(shortened(title, 60), loc="center", fontsize=9.5 if small else 11, pad=3 if small else 10)
    if not small and taken.any():
        # Dots for no shot, the fewest, the middle and the most.
        low, high = int(n_shots[taken].min()), int(n_shots.max())
        handles = []
        for count in [0] * bool(untouched.any()) + sorted({low, (low + high) // 2, high}):
            width, colour = _dot(count, diameter, largest)
            style = {"marker": "o", "markersize": max(width, 3.0), "markeredgewidth": 0, "color": colour}
            handles.append(Line2D([], [], linestyle="", label=f"{count:,.0f}", **style))
        figure.legend(
            handles=handles, title="shots per view", ncols=len(handles), loc="outside lower center", frameon=False,
            fontsize=9.5, title_fontsize=9.5, handletextpad=0.1, columnspacing=1.2, labelcolor=LIGHT["soft"],
        )  # fmt: skip
    return axes


def _draw_round(
    axes: Axes, space: Space, places: Float[np.ndarray, "places 2"], *, small: bool
) -> tuple[Float[np.ndarray, " places"], Float[np.ndarray, " places"]]:
    """Two spokes and rings at rim and middle; if large, angles and how to read them. Returns where places lie on it.

    Zero is at the top, clockwise. Numbers run inwards, as elevation does when seen from above; levels of a category
    outwards. Plain coordinates, because matplotlib's polar axes take ten times as long to draw.
    """
    across, down = picture_axes(space)
    period, unit = getattr(space.axes[across], "period", 360.0), space.axes[across].unit
    turn, radii = places[:, 0] * 2 * np.pi / period, np.full(len(places), ALONE)
    if down is not None and len(space.axes[down].values) > 1:
        axis, levels = space.axes[down], space.axes[down].codes()
        share = (places[:, 1] - levels.min()) / (levels.max() - levels.min())
        radii = HOLE + (1 - HOLE) * (share if isinstance(axis, Category) else 1 - share)
    x, y = radii * np.sin(turn), radii * np.cos(turn)
    reach = 1.08 if small else 1.22
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), xticks=[], yticks=[], aspect="equal")
    line: Any = {"color": LIGHT["faint"], "linewidth": 0.5, "alpha": 0.7, "zorder": 1}
    axes.plot([-1.06, 1.06], [0, 0], **line)
    axes.plot([0, 0], [-1.06, 1.06], **line)
    around = np.linspace(0, 2 * np.pi, 121)
    for radius in (ALONE,) if down is None else (HOLE, 1.0):
        axes.plot(radius * np.sin(around), radius * np.cos(around), **line)
    if small:
        return x, y
    # A quarter of the circle at the end of each spoke, clockwise from the top.
    aligned: tuple[tuple[Literal["left", "center", "right"], Literal["bottom", "center", "top"]], ...] = (
        ("center", "bottom"), ("left", "center"), ("center", "top"), ("right", "center"),
    )  # fmt: skip
    for quarter, (horizontal, vertical) in enumerate(aligned):
        right, up = round(np.sin(quarter * np.pi / 2)), round(np.cos(quarter * np.pi / 2))
        text = f"{quarter / 4 * period:g}" + ("°" if unit == "deg" else f" {unit}")
        axes.text(1.09 * right, 1.09 * up, text, ha=horizontal, va=vertical, color=LIGHT["soft"])
    axes.set_xlabel(textwrap.fill(round_caption(space), 66), fontsize=9.5, labelpad=6)
    return x, y


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


def _draw_flat_axis(axes: Axes, direction: str, axis: Axis | None, *, small: bool) -> None:
    """One axis with its levels, without a box; nothing in the direction that a space of one axis lacks."""
    codes = np.zeros(1) if axis is None else axis.codes()
    pad = 0.08 * float(np.ptp(codes)) or 0.5
    settings: dict[str, Any] = {f"{direction}lim": (float(codes.min()) - pad, float(codes.max()) + pad)}
    if axis is None or small:
        settings[f"{direction}ticks"] = []
    else:
        settings[f"{direction}label"] = axis_title(axis)
        if isinstance(axis, Category):
            settings[f"{direction}ticks"] = list(codes)
            settings[f"{direction}ticklabels"] = [shortened(value, 12) for value in axis.values]
        elif len(codes) <= 8:
            settings[f"{direction}ticks"] = list(codes)
            settings[f"{direction}ticklabels"] = [f"{code:g}" for code in codes]
    axes.set(**settings)


def _dot(count: int, diameter: float, most: int) -> tuple[float, str]:
    """Diameter and colour of a dot: the more shots, the larger and darker."""
    if count == 0:
        return 0.3 * diameter, LIGHT["faint"]
    return diameter * (0.25 + 0.75 * count / most) ** 0.5, LIGHT[HEAT[heat_step(count, most)]]


def coverage(shots: Shots, *, width: float = 4.8) -> Figure:
    """Shots per level of each axis, against the share that even sampling of the allowed views would give."""
    n_axes = len(shots.space.axes)
    with new_figure(width, 1.75 * n_axes + 0.3) as figure:
        panels = figure.subplots(n_axes, 1, squeeze=False)[:, 0]
        for column, axes in enumerate(panels):
            bins, counts, even = level_counts(shots, column)
            places = np.arange(len(bins))
            axes.bar(places, counts, width=0.72, color=LIGHT["heat3"])
            axes.hlines(even, places - 0.42, places + 0.42, color=LIGHT["soft"], linewidth=1.6)
            bare(axes)
            axes.set_yticks([0, int(max(counts.max(), 1))], ["0", f"{counts.max():,.0f}"])
            axes.set_xlim(-0.7, len(bins) - 0.3)
            every = max(1, -(-len(bins) // 9))  # at most nine labels, so that they do not touch
            axes.set_xticks(places[::every], [shortened(name, 12) for name in bins.starts[::every]])
            unit = "" if isinstance(bins.axis, Category) or not bins.axis.unit else f", {bins.axis.unit}"
            wide = f", bars {bins.width:g} wide" if bins.width else ""
            axes.set_title(f"{printable(bins.axis.name)}{unit}{wide}", fontsize=10, pad=5)
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


def images_per_object(shots: Shots, *, width: float = 4.8) -> Figure:
    """Images of each object, grouped by class; many objects are summed by class."""
    objects, counts = shots.objects, object_counts(shots)
    each = len(objects) <= MOST_OBJECTS
    # One bar per object, or per class where there are too many objects.
    names = list(objects.names) if each else list(objects.classes)
    classes = objects.class_rows if each else np.arange(len(names))
    values = counts if each else np.bincount(objects.class_rows, weights=counts)
    order = sorted(range(len(names)), key=lambda row: (classes[row], names[row]))
    with new_figure(width, 0.8 + min(0.21 * len(names), 12.0)) as figure:
        axes = figure.add_subplot()
        shades = [LIGHT["heat3"] if classes[row] % 2 else LIGHT["heat4"] for row in order]
        axes.barh(range(len(names)), values[order], height=0.78, color=shades)
        for place, value in enumerate(values[order]):
            axes.annotate(f"{value:,.0f}", (value, place), (3, 0), textcoords="offset points", va="center", fontsize=9)
        bare(axes)
        axes.set_xticks([])
        axes.set_yticks(range(len(names)), [shortened(names[row], 22) for row in order], fontsize=9)
        axes.set_xlim(0, 1.14 * max(float(values.max()), 1.0))
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_title("Images of each object" if each else "Images of each class")
    return figure
