"""Capital letters of random weight, width and slant, standing or lying on the table."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from trimesh import Trimesh

from benchmarks.toyshop.families.parts import join, sweep, turn

Generator = np.random.Generator
Stroke = list[tuple[float, float]]


def _arc(first: float, last: float, middle: tuple[float, float], radius: tuple[float, float]) -> Stroke:
    """Points of an elliptic arc, degrees from the right."""
    angles = np.radians(np.linspace(first, last, 9))
    return [(middle[0] + radius[0] * float(np.cos(a)), middle[1] + radius[1] * float(np.sin(a))) for a in angles]


_STROKES: dict[str, list[Stroke]] = {
    "a": [[(0, 0), (0.5, 1), (1, 0)], [(0.2, 0.4), (0.8, 0.4)]],
    "c": [_arc(50, 310, (0.5, 0.5), (0.5, 0.5))],
    "e": [[(1, 1), (0, 1), (0, 0), (1, 0)], [(0, 0.5), (0.8, 0.5)]],
    "f": [[(1, 1), (0, 1), (0, 0)], [(0, 0.55), (0.8, 0.55)]],
    "h": [[(0, 0), (0, 1)], [(1, 0), (1, 1)], [(0, 0.5), (1, 0.5)]],
    "k": [[(0, 0), (0, 1)], [(1, 1), (0, 0.45), (1, 0)]],
    "m": [[(0, 0), (0, 1), (0.5, 0.4), (1, 1), (1, 0)]],
    "n": [[(0, 0), (0, 1), (1, 0), (1, 1)]],
    "p": [[(0, 0), (0, 1)], [(0, 1), *_arc(90, -90, (0.5, 0.72), (0.5, 0.28)), (0, 0.44)]],
    "s": [_arc(30, 270, (0.5, 0.75), (0.45, 0.25)) + _arc(90, -150, (0.5, 0.25), (0.45, 0.25))],
    "t": [[(0, 1), (1, 1)], [(0.5, 1), (0.5, 0)]],
    "u": [[(0, 1), *_arc(180, 360, (0.5, 0.4), (0.5, 0.4)), (1, 1)]],
    "x": [[(0, 0), (1, 1)], [(0, 1), (1, 0)]],
    "y": [[(0, 1), (0.5, 0.5), (1, 1)], [(0.5, 0.5), (0.5, 0)]],
    "z": [[(0, 1), (1, 1), (0, 0), (1, 0)]],
}


def _letter(name: str, rng: Generator) -> Trimesh:
    width, height, weight, slant = rng.uniform([2.5, 4, 0.25, -0.15], [5, 6, 0.75, 0.35])
    sides = 4 if rng.random() < 0.6 else 8
    bars = [_bar(stroke, width, height, slant, weight, sides) for stroke in _STROKES[name]]
    upright = join(bars)
    return turn(upright, rng.choice([0.0, 0.0, 90.0, -75.0]), "y")


def _bar(stroke: Stroke, width: float, height: float, slant: float, weight: float, sides: int) -> Trimesh:
    """One stroke in the plane x = 0, thick across its way."""
    across, up = np.array(stroke).T
    path = np.stack([0 * across, width * (across - 0.5) + slant * height * up, height * up], axis=1)
    turns = [sweep(path[i : i + 2], weight, sides=sides) for i in range(len(path) - 1)]
    return join(turns) if len(path) < 5 else sweep(path, weight, sides=sides)


LETTERS: dict[str, Callable[[Generator], Trimesh]] = {f"letter_{name}": partial(_letter, name) for name in _STROKES}
