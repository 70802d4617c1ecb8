"""Draws ../conventions.png: what 0° is, and which way is positive, of every angle that acqplan knows."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Arc, Circle, FancyArrow, Polygon, Rectangle

INK, SOFT, PALE, BLUE, RUST = "#1b2126", "#8f9ba6", "#d3dae0", "#0b62a8", "#c4520f"
WORDS = {"fontsize": 9, "color": INK, "ha": "center", "va": "center"}


def shape(axes: Axes, corners: list[tuple[float, float]], angle: float, place: tuple[float, float], **style) -> None:
    """A polygon that is turned by an angle, in degrees, and moved."""
    turn = np.radians(angle)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    axes.add_patch(Polygon(np.array(corners) @ matrix.T + place, **style))


def camera(axes: Axes, place: tuple[float, float], angle: float) -> None:
    shape(axes, [(-0.22, -0.12), (0, -0.12), (0, 0.12), (-0.22, 0.12)], angle, place, color=INK)
    shape(axes, [(0, -0.05), (0.1, -0.09), (0.1, 0.09), (0, 0.05)], angle, place, color=INK)


def turned(axes: Axes, centre: tuple[float, float], radius: float, start: float, stop: float, colour: str) -> None:
    """An arc with an arrow at its end."""
    low, high = sorted((start, stop))
    axes.add_patch(Arc(centre, 2 * radius, 2 * radius, theta1=low, theta2=high, color=colour, lw=2))
    end = np.radians(stop)
    place = np.array(centre) + radius * np.array([np.cos(end), np.sin(end)])
    step = 0.01 * np.sign(stop - start) * np.array([-np.sin(end), np.cos(end)])
    axes.add_patch(FancyArrow(*place, *step, width=0, head_width=0.12, head_length=0.13, color=colour))


def draw() -> Figure:
    figure = Figure(figsize=(10.5, 3.4), dpi=100)
    above, beside, behind = parts = figure.subplots(1, 3)
    titles = ("azimuth: from above", "elevation, polar: from the side", "roll: as the photographer sees it")
    for axes, title in zip(parts, titles, strict=True):
        axes.set(xlim=(-1.6, 1.6), ylim=(-1.3, 1.25), aspect="equal")
        axes.axis("off")
        axes.set_title(title, fontsize=11, color=INK, fontweight="bold")
    # the table turns counter-clockwise under a camera at rest; at 0 the front of the object faces it
    table = (-0.3, 0.0)
    above.add_patch(Circle(table, 0.75, fill=False, color=SOFT, lw=2))
    shape(above, [(-0.3, -0.22), (0.15, -0.22), (0.4, 0), (0.15, 0.22), (-0.3, 0.22)], 0, table, color=PALE)
    above.text(-0.3, 0, "front →", **WORDS)
    camera(above, (1.35, 0), 180)
    turned(above, table, 0.92, 20, 80, BLUE)
    above.text(1.05, 0.85, "the table turns\ncounter-clockwise:\nazimuth grows", **WORDS | {"color": BLUE})
    above.text(-0.1, -1.1, "0°: the front faces the camera; 360° is 0°", **WORDS)
    # heights
    beside.add_patch(Rectangle((-1.1, -0.55), 1.5, 0.06, color=SOFT))
    shape(beside, [(-0.25, -0.19), (0.25, -0.19), (0.25, 0.18), (-0.25, 0.18)], 0, (-0.35, -0.3), color=PALE)
    x, y, height = -0.35, -0.3, np.radians(40)
    beside.plot([x, x + 1.5 * np.cos(height)], [y, y + 1.5 * np.sin(height)], color=INK, lw=1)
    beside.plot([x, x, x, 1.4], [1.15, y, y, y], color=SOFT, lw=1, ls="--")
    camera(beside, (x + 1.6 * np.cos(height), y + 1.6 * np.sin(height)), 220)
    turned(beside, (x, y), 0.95, 0, 36, BLUE)
    turned(beside, (x, y), 0.75, 90, 44, RUST)
    beside.text(1.25, -0.05, "elevation 40°", **WORDS | {"color": BLUE})
    beside.text(0.1, 0.66, "polar 50°", **WORDS | {"color": RUST})
    said = "elevation: 0° level with the object, 90° straight above\npolar: 0° straight above; polar = 90° − elevation"
    beside.text(0, -1.05, said, **WORDS)
    # roll
    frame = [(-0.8, -0.55), (0.8, -0.55), (0.8, 0.55), (-0.8, 0.55)]
    shape(behind, frame, 0, (0, 0.1), fill=False, color=SOFT, lw=2, ls="--")
    shape(behind, frame, -20, (0, 0.1), fill=False, color=INK, lw=2)
    turned(behind, (0, 0.1), 1.05, 90, 68, BLUE)
    behind.text(0.9, 1.1, "roll 20°", **WORDS | {"color": BLUE})
    behind.text(0, -1.05, "roll: 0° upright, clockwise is positive\ndistance: from the point looked at", **WORDS)
    figure.tight_layout()
    return figure


if __name__ == "__main__":
    draw().savefig(Path(__file__).parent.parent / "conventions.png", bbox_inches="tight")
