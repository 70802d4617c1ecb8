"""The frame of a dial: what stands around the dots, round for circles and flat for other spaces."""

from __future__ import annotations

import textwrap
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from acqplan.report.palette import LIGHT
from acqplan.report.plot.style import bare
from acqplan.report.summary import picture_axes, printable, shortened
from acqplan.space import Axis, Category, Circle, Space

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
