"""Building parts of shapes: boxes, rods, balls, turned profiles, swept tubes, flat plates.

All lengths are in one arbitrary unit; z is up. Parts may pass through each other: rays only meet the
outside.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import trimesh
from jaxtyping import Float64, Int64
from trimesh import Trimesh

Point = Sequence[float] | Float64[np.ndarray, "3"]

_BOX = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (0.0, 1.0)])
_BOX_FACES = np.array(
    [
        *([0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1]),
        *([2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]),
    ]
)
_AXES = {"x": 0, "y": 1, "z": 2}


def mesh_of(vertices: Float64[np.ndarray, "vertices 3"], faces: Int64[np.ndarray, "faces 3"]) -> Trimesh:
    """A mesh of exactly these vertices and faces."""
    return Trimesh(vertices, faces, process=False, validate=False)


def join(parts: Iterable[Trimesh]) -> Trimesh:
    """Several parts as one mesh."""
    pieces = list(parts)
    starts = np.cumsum([0] + [len(piece.vertices) for piece in pieces[:-1]])
    faces = [piece.faces + start for piece, start in zip(pieces, starts, strict=True)]
    return mesh_of(np.vstack([piece.vertices for piece in pieces]), np.vstack(faces))


def box(size: Point, at: Point = (0.0, 0.0, 0.0)) -> Trimesh:
    """A block standing on the point ``at``, the middle of its lower face."""
    return mesh_of(_BOX * np.asarray(size, dtype=float) + np.asarray(at, dtype=float), _BOX_FACES.copy())


def ball(radii: float | Point, at: Point = (0.0, 0.0, 0.0)) -> Trimesh:
    """A ball, or an ellipsoid of three half axes, about its centre ``at``."""
    vertices, faces = _unit_ball()
    return mesh_of(vertices * np.asarray(radii, dtype=float) + np.asarray(at, dtype=float), faces.copy())


def rod(start: Point, end: Point, radius: float, tip: float | None = None, *, sides: int = 12) -> Trimesh:
    """A round bar between two points; with ``tip``, the radius at its end, a cone or frustum."""
    path = np.array([start, end], dtype=float)
    return sweep(path, np.array([radius, radius if tip is None else tip]), sides=sides)


def lathe(profile: Sequence[tuple[float, float]], *, sides: int = 24) -> Trimesh:
    """A surface turned about z from (radius, height) pairs; the path may run back down inside."""
    radius, height = np.array(profile, dtype=float).T
    angle = 2 * np.pi * np.arange(sides) / sides
    around = np.stack([np.cos(angle), np.sin(angle), np.zeros(sides)], axis=1)
    rings = radius[:, None, None] * around + height[:, None, None] * np.array([0.0, 0.0, 1.0])
    return _skin(rings, closed=False)


def sweep(
    path: Float64[np.ndarray, "points 3"],
    radius: float | Float64[np.ndarray, " points"],
    *,
    sides: int = 8,
    closed: bool = False,
) -> Trimesh:
    """A round tube along a path, of one radius or one per point; ends are flat.

    Source:
        Frames that turn as little as possible: J. Bloomenthal, Graphics Gems (1990) 567-571.
    """
    ahead, behind = (np.roll(path, -1, 0), np.roll(path, 1, 0)) if closed else (path[1:], path[:-1])
    step = ahead - behind
    tangents = step if closed else np.vstack([step[:1], step[1:] + step[:-1], step[-1:]])
    tangents = tangents / np.maximum(np.linalg.norm(tangents, axis=1, keepdims=True), 1e-9)
    first, second = _frames(tangents)
    angle = 2 * np.pi * (np.arange(sides) + 0.5) / sides
    around = first[:, None] * np.cos(angle)[:, None] + second[:, None] * np.sin(angle)[:, None]
    radii = np.broadcast_to(np.asarray(radius, dtype=float), (len(path),))
    return _skin(path[:, None] + radii[:, None, None] * around, closed=closed)


def ring(major: float, minor: float, at: Point = (0.0, 0.0, 0.0), *, axis: str = "z") -> Trimesh:
    """A torus about ``at`` whose hole looks along an axis."""
    angle = 2 * np.pi * np.arange(28) / 28
    path = major * np.stack([np.cos(angle), np.sin(angle), np.zeros(28)], axis=1)
    torus = sweep(path, minor, sides=10, closed=True)
    upright = torus if axis == "z" else turn(torus, 90, "y" if axis == "x" else "x")
    return move(upright, at)


def plate(outline: Float64[np.ndarray, "points 2"], thickness: float) -> Trimesh:
    """A flat plate from z = 0; its outline must be seen whole from the mean of its points."""
    middle = np.broadcast_to(outline.mean(axis=0), outline.shape)
    return washer(outline, middle, thickness)


def washer(outer: Float64[np.ndarray, "points 2"], inner: Float64[np.ndarray, "points 2"], thickness: float) -> Trimesh:
    """A flat plate with a hole: two outlines of equally many points, one inside the other."""
    outlines = [(inner, 0.0), (outer, 0.0), (outer, thickness), (inner, thickness)]
    rings = np.stack([np.column_stack([line, np.full(len(line), z)]) for line, z in outlines])
    return _skin(np.concatenate([rings, rings[:1]]), closed=False, caps=False)


def circle(n: int, radius: float = 1.0) -> Float64[np.ndarray, "n 2"]:
    """Points of a circle in the plane."""
    angle = 2 * np.pi * np.arange(n) / n
    return radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def move(part: Trimesh, by: Point) -> Trimesh:
    """The part, shifted."""
    return mesh_of(part.vertices + np.asarray(by, dtype=float), part.faces)


def stretch(part: Trimesh, by: Point) -> Trimesh:
    """The part, scaled along each axis; a negative factor mirrors it."""
    return mesh_of(part.vertices * np.asarray(by, dtype=float), part.faces)


def turn(part: Trimesh, degrees: float, axis: str = "z") -> Trimesh:
    """The part, turned about an axis through the origin."""
    direction = np.eye(3)[_AXES[axis]]
    rotation: Any = trimesh.transformations.rotation_matrix
    matrix = rotation(np.radians(degrees), direction)
    return mesh_of(part.vertices @ matrix[:3, :3].T, part.faces)


def around(part: Trimesh, n: int, *, start: float = 0.0) -> Trimesh:
    """Copies of a part, evenly turned about z."""
    return join(turn(part, start + 360 * i / n) for i in range(n))


def at_corners(part: Trimesh, width: float, depth: float) -> Trimesh:
    """Copies of a part at the four corners of a rectangle, mirrored so that they splay alike."""
    moved = move(part, (width / 2, depth / 2, 0))
    return join(stretch(moved, (x, y, 1)) for x in (-1, 1) for y in (-1, 1))


def both_sides(part: Trimesh) -> Trimesh:
    """A part and its mirror image across the plane y = 0."""
    return join([part, stretch(part, (1, -1, 1))])


@lru_cache(maxsize=1)
def _unit_ball() -> tuple[Float64[np.ndarray, "vertices 3"], Int64[np.ndarray, "faces 3"]]:
    sphere = trimesh.creation.icosphere(subdivisions=2)
    return np.array(sphere.vertices), np.array(sphere.faces)


def _frames(
    tangents: Float64[np.ndarray, "points 3"],
) -> tuple[Float64[np.ndarray, "points 3"], Float64[np.ndarray, "points 3"]]:
    """Two unit vectors across each tangent, carried along the path."""
    across = np.eye(3)[np.argmin(np.abs(tangents[0]))]
    first = []
    for tangent in tangents:
        across = across - (across @ tangent) * tangent
        across = across / max(float(np.linalg.norm(across)), 1e-9)
        first.append(across)
    firsts = np.array(first)
    return firsts, np.cross(tangents, firsts)


def _skin(rings: Float64[np.ndarray, "rings sides 3"], *, closed: bool, caps: bool = True) -> Trimesh:
    """Quadrilaterals between neighbouring rings, and a fan over each open end."""
    n, sides, _ = rings.shape
    row, side = np.meshgrid(np.arange(n if closed else n - 1), np.arange(sides), indexing="ij")
    low, high = row * sides, (row + 1) % n * sides
    a, b = low + side, low + (side + 1) % sides
    c, d = high + (side + 1) % sides, high + side
    faces = [np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)]
    vertices = rings.reshape(-1, 3)
    if caps and not closed:
        i = np.arange(sides)
        for end, corner in ((0, n * sides), ((n - 1) * sides, n * sides + 1)):
            faces.append(np.stack([end + i, end + (i + 1) % sides, np.full(sides, corner)], -1))
        vertices = np.vstack([vertices, rings[[0, -1]].mean(axis=1)])
    return mesh_of(vertices, np.vstack(faces))
