"""Parts that toys are built from: convex hulls, limbs, lofts, wheels. Front +x, left +y, up +z."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import ArrayLike
from scipy.spatial import ConvexHull

Point = tuple[float, float, float]
Span = tuple[float, float]


class Part(NamedTuple):
    """A triangle mesh.

    Attributes:
        vertices: Positions, any unit, shape ``[vertices, 3]``.
        faces: Rows of ``vertices``, anticlockwise seen from outside, shape ``[faces, 3]``.
    """

    vertices: Float64[np.ndarray, "vertices 3"]
    faces: Int64[np.ndarray, "faces 3"]


class Station(NamedTuple):
    """A cross-section of a loft at ``x``: an ellipse (squareness 2) to nearly a rectangle (8)."""

    x: float
    low: float
    high: float
    half_width: float
    squareness: float = 2.0


def join(parts: Iterable[Part]) -> Part:
    """Many parts as one mesh; they may run into each other."""
    listed = list(parts)
    starts = np.cumsum([0, *(len(part.vertices) for part in listed[:-1])])
    faces = [part.faces + start for part, start in zip(listed, starts, strict=True)]
    return Part(np.concatenate([part.vertices for part in listed]), np.concatenate(faces))


def both(*parts: Part) -> Part:
    """Parts of the left side, and their mirror image on the right."""
    left = join(parts)
    return join([left, Part(left.vertices * (1.0, -1.0, 1.0), left.faces[:, ::-1])])


def moved(part: Part, by: Point) -> Part:
    """A part put elsewhere."""
    return Part(part.vertices + np.asarray(by), part.faces)


def hull(points: ArrayLike) -> Part:
    """The convex hull of points, shape ``[points, 3]``."""
    places = np.asarray(points, dtype=np.float64)
    found = ConvexHull(places)
    faces = found.simplices.astype(np.int64)
    a, b, c = (places[faces[:, corner]] for corner in range(3))
    inward = np.einsum("fi,fi->f", np.cross(b - a, c - a), found.equations[:, :3]) < 0
    faces[inward] = faces[inward][:, ::-1]
    kept, renumbered = np.unique(faces, return_inverse=True)
    return Part(places[kept], renumbered.reshape(-1, 3))


def block(x: Span, y: Span, z: Span) -> Part:
    """A box between two values along each axis."""
    return hull([(i, j, k) for i in x for j in y for k in z])


def frustum(low: tuple[Span, float], high: tuple[Span, float], z: Span) -> Part:
    """A block whose floor and roof differ: each an x span and a half width."""
    ends = zip((low, high), z, strict=True)
    return hull([(x, side * half, level) for (span, half), level in ends for x in span for side in (-1, 1)])


def ball(centre: Point, radii: float | Point) -> Part:
    """An ellipsoid with its axes along x, y and z."""
    return hull(np.asarray(centre) + _sphere() * np.asarray(radii))


def limb(start: Point, end: Point, start_radius: float, end_radius: float) -> Part:
    """Two balls and all that lies between them."""
    first = np.asarray(start) + start_radius * _sphere()
    return hull(np.concatenate([first, np.asarray(end) + end_radius * _sphere()]))


def chain(points: Sequence[Point], radii: Sequence[float]) -> Part:
    """Limbs from point to point: a leg, a neck, a tail."""
    steps = zip(points[:-1], points[1:], radii[:-1], radii[1:], strict=True)
    return join(limb(*step) for step in steps)


def rod(start: Point, end: Point, start_radius: float, end_radius: float | None = None) -> Part:
    """A cylinder or, with another or no radius at its end, a cone with flat ends."""
    along = np.subtract(end, start)
    helper = np.eye(3)[np.argmin(np.abs(along))]
    across = np.cross(along, helper)
    across /= np.linalg.norm(across)
    upward = np.cross(along, across) / np.linalg.norm(along)
    turns = np.linspace(0.0, 2.0 * np.pi, 24, endpoint=False)
    ring = np.outer(np.cos(turns), across) + np.outer(np.sin(turns), upward)
    last = start_radius if end_radius is None else max(end_radius, 1e-3)
    return hull(np.concatenate([np.asarray(start) + start_radius * ring, np.asarray(end) + last * ring]))


def wheel(x: float, y: float, radius: float, width: float) -> Part:
    """A wheel on the ground whose outer side is at ``y``, with a hub and a raised rim."""
    inner = y - np.sign(y) * width
    outer = y + np.sign(y) * 0.15 * width
    tyre = rod((x, inner, radius), (x, y, radius), radius)
    return join([tyre, rod((x, inner, radius), (x, outer, radius), 0.6 * radius, 0.45 * radius)])


def loft(stations: Sequence[Station]) -> Part:
    """A body through cross-sections along x, closed at both ends."""
    turns = np.linspace(0.0, 2.0 * np.pi, 32, endpoint=False)
    rings = [_ring(station, turns) for station in sorted(stations)]
    n_ring, n_turns = len(rings), len(turns)
    number = np.arange(n_ring * n_turns).reshape(n_ring, n_turns)
    after = np.roll(number, -1, axis=1)
    near, near_after, far, far_after = (each.ravel() for each in (number[:-1], after[:-1], number[1:], after[1:]))
    sides = np.concatenate([np.stack([near, far, near_after], 1), np.stack([near_after, far, far_after], 1)])
    ends = [rings[0].mean(axis=0, keepdims=True), rings[-1].mean(axis=0, keepdims=True)]
    tail = np.stack([np.full(n_turns, number.size), number[0], after[0]], 1)
    nose = np.stack([np.full(n_turns, number.size + 1), after[-1], number[-1]], 1)
    return Part(np.concatenate([*rings, *ends]), np.concatenate([sides, tail, nose])[:, ::-1])


def panel(root: tuple[Span, Point], tip: tuple[Span, Point], thickness: float) -> Part:
    """A wing, fin or ear: two chords, each an x span at a place (x is added), and a thickness.

    A chord is cut like a thin rhombus with its thickest point at a third from the leading edge; it is
    thick along y if the panel rises more than it spreads, else along z.
    """
    spread = np.abs(np.subtract(tip[1], root[1]))
    lift = np.array([0.0, 1.0, 0.0]) if spread[2] > spread[1] else np.array([0.0, 0.0, 1.0])
    points = []
    for (back, front), place in (root, tip):
        middle = front + (back - front) / 3.0
        edges = [np.add(place, (x, 0.0, 0.0)) for x in (back, front)]
        crest = np.add(place, (middle, 0.0, 0.0))
        points += [*edges, crest + lift * thickness / 2, crest - lift * thickness / 2]
    return hull(points)


def vary(generator: np.random.Generator, value: float, spread: float = 0.08) -> float:
    """A length near ``value``: uniform within ``spread`` of it, as a fraction."""
    return float(value * generator.uniform(1.0 - spread, 1.0 + spread))


def _ring(station: Station, turns: Float64[np.ndarray, " turns"]) -> Float64[np.ndarray, "turns 3"]:
    power = 2.0 / station.squareness
    aside = np.sign(np.cos(turns)) * np.abs(np.cos(turns)) ** power
    above = np.sign(np.sin(turns)) * np.abs(np.sin(turns)) ** power
    middle, half = (station.high + station.low) / 2, (station.high - station.low) / 2
    x = np.full_like(turns, station.x)
    return np.stack([x, station.half_width * aside, middle + half * above], axis=1)


@lru_cache(maxsize=1)
def _sphere() -> Float64[np.ndarray, "points 3"]:
    """Points spread evenly over the unit sphere by the golden angle."""
    number = np.arange(120) + 0.5
    height = 1.0 - 2.0 * number / len(number)
    angle = np.pi * (1.0 + 5.0**0.5) * number
    radius = np.sqrt(1.0 - height**2)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), height], axis=1)
