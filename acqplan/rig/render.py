"""Images of one object on a matte table: rays on embree, four lamps, cast shadows.

As for NORB, the camera stand carries the lamps and the turntable turns the object. Light adds up, so the geometry of
a pose is traced once: one image per lamp, from which all lightings are combined.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from jaxtyping import Bool, Float, Float32, Float64, Int, Int32, UInt8
from scipy.spatial import ConvexHull, QhullError

from acqplan.rig.camera import Camera, Optics, Pose, Window, image_window, place_camera, ray_directions

RENDERER = "acqplan-render-1"
"""Changes whenever the same mesh and settings would give other pixels."""

_LAMPS = np.array([[0.55, -0.65, 0.75], [0.55, 0.65, 0.75], [-0.70, -0.35, 0.85], [-0.40, 0.75, 0.90]])
LAMPS = _LAMPS / np.linalg.norm(_LAMPS, axis=1, keepdims=True)
"""Unit vectors to the lamps from the table: towards the camera, right, up. Shape ``[4, 3]``."""

LIGHTINGS = {
    "L0": (0.30, 0.30, 0.20, 0.20),
    "L1": (1.00, 0.05, 0.10, 0.00),
    "L2": (0.05, 1.00, 0.00, 0.10),
    "L3": (0.55, 0.55, 0.00, 0.00),
    "L4": (0.10, 0.10, 0.45, 0.45),
    "L5": (0.35, 0.05, 0.00, 0.75),
}
"""Strength of the four lamps in each of the six lightings."""

_PAINT, _TABLE = 0.60, 0.86
_AMBIENT = 0.25
_GLOSS, _SHININESS = 0.10, 24.0
_EXPOSURE = 250.0
_LIFT_CM = 2e-3
"""Rays to the lamps start this far off a surface, so that it does not shade itself."""

_CREASE = np.float32(np.cos(np.radians(40.0)))
"""Faces that bend less look round, others meet in an edge."""


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A mesh made ready for rays; holds foreign memory, so it cannot be sent to another process.

    Args:
        tree: Embree's search tree.
        normals: Unit normal at each corner of each face, shape ``[faces, 3, 3]``.
        hull: Corners of the convex hull, or all points if they lie in a plane, cm, shape ``[hull, 3]``.
    """

    tree: Any
    normals: Float32[np.ndarray, "faces 3 3"]
    hull: Float64[np.ndarray, "hull 3"]

    @property
    def aim(self) -> Float64[np.ndarray, "3"]:
        """What the camera looks at: the axis of the table at half the height of the object."""
        return np.array([0.0, 0.0, (self.hull[:, 2].min() + self.hull[:, 2].max()) / 2])


def build_scene(vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]) -> Scene:
    """Make a mesh ready for rays.

    Args:
        vertices: Object frame (front +x, up +z, table at z = 0), cm, shape ``[vertices, 3]``.
        faces: Rows of ``vertices``, shape ``[faces, 3]``, at least one face.
    """
    places = np.ascontiguousarray(vertices, dtype=np.float32)
    corners = np.ascontiguousarray(faces, dtype=np.int32)
    tree = EmbreeScene()
    TriangleMesh(tree, places, corners)
    hull = places[np.unique(corners)].astype(np.float64)
    with contextlib.suppress(QhullError):  # all points lie in a plane
        hull = hull[ConvexHull(hull).vertices]
    return Scene(tree, corner_normals(places, corners), hull)


def trace(scene: Scene, pose: Pose, optics: Optics) -> Float32[np.ndarray, "5 size size"]:
    """Trace what each lamp alone would show; the geometry is hit once for all lamps.

    Returns:
        Grey levels under ambient light and each lamp at full strength, shape ``[5, size, size]``.
    """
    camera = place_camera(pose, scene.aim, optics)
    lamps = LAMPS @ camera.turn.T
    # every ray sees a lit table, until it is found to meet the object or a shadow
    rays = ray_directions(camera, optics)
    levels = np.empty((1 + len(lamps), *rays.shape[:3]), dtype=np.float32)
    levels[0] = _AMBIENT * _TABLE
    levels[1:] = (_TABLE * lamps[:, 2])[:, None, None, None]
    free = _paint_object(levels, scene, camera, rays, lamps, image_window(camera, optics, scene.hull))
    # a shadow lies within the hull of the object, projected onto the table along the light
    for level, lamp in zip(levels[1:], lamps, strict=True):
        shadow = scene.hull - scene.hull[:, 2:] / lamp[2] * lamp
        window = image_window(camera, optics, shadow)
        _darken_table(level[window], scene, camera, rays[window], free[window], lamp)
    return np.asarray(levels.mean(axis=1) * np.float32(_EXPOSURE))


def expose(
    levels: Float32[np.ndarray, "5 size size"],
    lights: Float[np.ndarray, "lights 4"],
    noise: Float32[np.ndarray, "lights size size"] | None = None,
) -> UInt8[np.ndarray, "lights size size"]:
    """Combine the images of the lamps into those of the lightings.

    Args:
        levels: Grey levels under ambient light and each lamp at full strength, as `trace` gives them.
        lights: Strength of each lamp in each lighting, shape ``[lights, 4]``.
        noise: Added before rounding, grey levels.

    Returns:
        Grey images, shape ``[lights, size, size]``; too bright or dark is cut to 0..255.
    """
    strengths = np.insert(np.asarray(lights, dtype=np.float32), 0, 1.0, axis=1)
    images = (strengths @ levels.reshape(len(levels), -1)).reshape(-1, *levels.shape[1:])
    if noise is not None:
        images += noise
    return np.asarray(np.clip(np.rint(images), 0.0, 255.0), dtype=np.uint8)


def corner_normals(
    vertices: Float32[np.ndarray, "vertices 3"], faces: Int32[np.ndarray, "faces 3"]
) -> Float32[np.ndarray, "faces 3 3"]:
    """Normal at each corner of each face: the mean over the faces around it that bend less than 40 degrees.

    Args:
        vertices: Positions; equal positions are one vertex, shape ``[vertices, 3]``.
        faces: Rows of ``vertices``, shape ``[faces, 3]``.

    Returns:
        Unit vectors, face by corner, shape ``[faces, 3, 3]``; zero for a face without area.
    """
    # crosses point along the normals and are as long as the faces are large, so sums weigh faces by area
    triangles = vertices[faces]
    crosses = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    normals = unit(crosses)
    corners, neighbours = _sharing_pairs(vertices, faces)
    own = normals[corners // 3]
    gentle: Bool[np.ndarray, " pairs"] = np.einsum("pi,pi->p", own, normals[neighbours]) > _CREASE
    # sum over the faces that bend little, by corner
    total = np.zeros((faces.size, 3))
    for axis in range(3):
        weights = crosses[neighbours[gentle], axis]
        total[:, axis] = np.bincount(corners[gentle], weights=weights, minlength=faces.size)
    smooth = unit(total.reshape(-1, 3, 3).astype(np.float32))
    # where sums cancel, the normal of the face itself
    lost = ~smooth.any(axis=-1, keepdims=True)
    return np.where(lost, normals[:, None], smooth)


def _paint_object(
    levels: Float32[np.ndarray, "5 samples size size"],
    scene: Scene,
    camera: Camera,
    rays: Float32[np.ndarray, "samples size size 3"],
    lamps: Float64[np.ndarray, "4 3"],
    window: Window,
) -> Bool[np.ndarray, "samples size size"]:
    """Write the levels of rays that meet the object; returns which rays pass it by."""
    seen = rays[window]
    directions = seen.reshape(-1, 3)
    origin = camera.origin.astype(np.float32)
    hits = scene.tree.run(np.tile(origin, (len(directions), 1)), directions, output=True)
    struck = np.flatnonzero(hits["primID"] >= 0)
    met = directions[struck]
    # normals of the face and of the smooth surface, both turned to the camera
    u, v = hits["u"][struck, None], hits["v"][struck, None]
    corners = scene.normals[hits["primID"][struck]]
    smooth = corners[:, 0] * (1 - u - v) + corners[:, 1] * u + corners[:, 2] * v
    flat = hits["Ng"][struck]
    flat *= np.copysign(1.0, -(flat * met).sum(axis=1, keepdims=True))
    smooth *= np.copysign(1.0, (flat * smooth).sum(axis=1, keepdims=True))
    flat, smooth = unit(flat), unit(smooth)
    # rays to the lamps start a little off the surface
    points = origin + hits["tfar"][struck, None] * met + _LIFT_CM * flat
    sample, rows, columns = np.unravel_index(struck, seen.shape[:3])
    place = (sample, rows + window[1].start, columns + window[2].start)
    free = np.ones(rays.shape[:3], dtype=bool)
    free[place] = False
    levels[:, *place] = _shade(scene, points, flat, smooth, lamps, -camera.axes[2])
    return free


def _shade(
    scene: Scene,
    points: Float32[np.ndarray, "hits 3"],
    flat: Float32[np.ndarray, "hits 3"],
    smooth: Float32[np.ndarray, "hits 3"],
    lamps: Float64[np.ndarray, "4 3"],
    viewer: Float64[np.ndarray, "3"],
) -> Float32[np.ndarray, "5 hits"]:
    """Lambert's law with a slight Blinn gloss; the viewer is taken to be far away."""
    levels = np.zeros((1 + len(lamps), len(points)), dtype=np.float32)
    levels[0] = _AMBIENT * _PAINT * (0.6 + 0.4 * smooth[:, 2])
    for level, lamp in zip(levels[1:], lamps, strict=True):
        towards = lamp.astype(np.float32)
        half = (lamp + viewer) / np.linalg.norm(lamp + viewer)
        cosine = smooth @ towards
        # where the lamp is above both the smooth surface and the face, and nothing is between
        lit = np.flatnonzero((cosine > 0) & (flat @ towards > 0))
        lit = lit[~_occluded(scene, points[lit], towards)]
        gloss = np.maximum(smooth[lit] @ half.astype(np.float32), 0) ** _SHININESS
        level[lit] = _PAINT * cosine[lit] + _GLOSS * gloss
    return levels


def _darken_table(
    level: Float32[np.ndarray, "samples rows columns"],
    scene: Scene,
    camera: Camera,
    rays: Float32[np.ndarray, "samples rows columns 3"],
    free: Bool[np.ndarray, "samples rows columns"],
    lamp: Float64[np.ndarray, "3"],
) -> None:
    """Switch one lamp off where the object shades the table; a camera below the table does not see it."""
    if camera.origin[2] <= 0:
        return
    # where rays that pass the object by and go down meet the table
    place = np.nonzero(free & (rays[..., 2] < 0))
    down = rays[place]
    points = camera.origin.astype(np.float32) - np.float32(camera.origin[2]) / down[:, 2:] * down
    points[:, 2] = 0.0
    dark = _occluded(scene, points, lamp.astype(np.float32))
    level[tuple(axis[dark] for axis in place)] = 0.0


def _occluded(
    scene: Scene, points: Float32[np.ndarray, "points 3"], lamp: Float32[np.ndarray, "3"]
) -> Bool[np.ndarray, " points"]:
    blocked: Bool[np.ndarray, " points"] = scene.tree.run(points, lamp[None], query="OCCLUDED") >= 0
    return blocked


def _sharing_pairs(
    vertices: Float32[np.ndarray, "vertices 3"], faces: Int32[np.ndarray, "faces 3"]
) -> tuple[Int[np.ndarray, " pairs"], Int[np.ndarray, " pairs"]]:
    """Every corner with every face that shares its position, itself included."""
    # corners sorted by position: those of one position are a group of neighbours
    rounded = np.round(vertices, 5) + np.float32(0.0)
    _, place = np.unique(rounded, axis=0, return_inverse=True)
    at_corner = place.reshape(-1)[faces].reshape(-1)
    order = np.argsort(at_corner, kind="stable")
    _, first, counts = np.unique(at_corner[order], return_index=True, return_counts=True)
    group = np.repeat(np.arange(len(counts)), counts)
    # each corner of a group with each face of the group
    partners = counts[group]
    corners = np.repeat(order, partners)
    within = np.arange(partners.sum()) - np.repeat(np.cumsum(partners) - partners, partners)
    neighbours = order[np.repeat(first[group], partners) + within] // 3
    return corners, neighbours


def unit(vectors: Float32[np.ndarray, "*rows 3"]) -> Float32[np.ndarray, "*rows 3"]:
    """Vectors scaled to length 1; a zero vector stays zero."""
    lengths = np.sqrt(np.einsum("...i,...i->...", vectors, vectors))[..., None]
    scaled: Float32[np.ndarray, "*rows 3"] = vectors / np.maximum(lengths, np.float32(1e-12))
    return scaled
