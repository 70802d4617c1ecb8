"""Images of one object on a matte table: rays on embree, four lamps, cast shadows, noise of the sensor.

As for NORB, the camera stand carries the lamps and the turntable turns the object. Light adds up, so the geometry of
a pose is traced once: one image per lamp, from which all lightings are combined.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from jaxtyping import Bool, Float, Float32, Float64, Int, Int32, UInt8
from scipy.spatial import ConvexHull, QhullError

from acqplan.errors import UsageError
from acqplan.files import digest_bytes
from acqplan.rig.camera import Camera, Optics, Pose, StereoCamera, Window, image_window, place_camera, ray_directions
from acqplan.rng import generator

# Changes whenever the same mesh and settings would give other pixels.
RENDERER = "acqplan-render-1"
_LAMPS = np.array([[0.55, -0.65, 0.75], [0.55, 0.65, 0.75], [-0.70, -0.35, 0.85], [-0.40, 0.75, 0.90]])
# Unit vectors to the lamps from the table: towards the camera, right, up. Shape ``[4, 3]``.
LAMPS = _LAMPS / np.linalg.norm(_LAMPS, axis=1, keepdims=True)
# Strength of the four lamps in each of the six lightings.
LIGHTINGS = {
    "L0": (0.30, 0.30, 0.20, 0.20),
    "L1": (1.00, 0.05, 0.10, 0.00),
    "L2": (0.05, 1.00, 0.00, 0.10),
    "L3": (0.55, 0.55, 0.00, 0.00),
    "L4": (0.10, 0.10, 0.45, 0.45),
    "L5": (0.35, 0.05, 0.00, 0.75),
}
# Every object is scaled so that the box around it has this diagonal.
DIAGONAL_CM = 12.0
# Rays along a side of the square in which a shape is looked for.
VISIBLE_RAYS = 64
_PAINT, _TABLE = 0.60, 0.86
_AMBIENT = 0.25
_GLOSS, _SHININESS = 0.10, 24.0
_EXPOSURE = 250.0
# Rays to the lamps start this far off a surface, so that it does not shade itself.
_LIFT_CM = 2e-3
# Faces that bend less look round, others meet in an edge.
_CREASE = np.float32(np.cos(np.radians(40.0)))


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderSettings:
    """Settings that all shots of a rendered source share; an image depends on the object, the view and these alone.

    Args:
        seed: Of sensor noise and jitter.
        noise: Standard deviation of the sensor's noise, grey levels of 255.
        jitter_cm: Objects are off the middle of the table by up to this much, drawn anew for each pose.
        eye: One camera in the middle, or the left or right one of a stereo pair.
        optics: Lens, sensor and stand.

    Raises:
        UsageError: If the noise or the jitter is negative or too large.
    """

    seed: int = 0
    noise: float = 2.0
    jitter_cm: float = 0.0
    eye: StereoCamera = "mono"
    optics: Optics = field(default_factory=Optics)

    def __post_init__(self) -> None:
        if not 0 <= self.noise <= 64:
            raise UsageError(f"noise of {self.noise} grey levels", "give 0 to 64")
        if not 0 <= self.jitter_cm <= 4:
            raise UsageError(f"jitter of {self.jitter_cm} cm", "give 0 to 4 centimetres")
        if self.eye not in ("mono", "left", "right"):
            raise UsageError(f"no eye is called '{self.eye}'", "known: mono, left, right")


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """The surface of an object on the table, cm; surfaces are equal where their vertices and faces are.

    Args:
        vertices: Front +x, up +z, on z = 0 around the origin, shape ``[vertices, 3]``.
        faces: Rows of ``vertices``, shape ``[faces, 3]``.
    """

    vertices: Float32[np.ndarray, "vertices 3"]
    faces: Int32[np.ndarray, "faces 3"]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Shape) and self.digest() == other.digest()

    def __hash__(self) -> int:
        return hash(self.digest())

    @classmethod
    def standing(cls, vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]) -> Shape:
        """Bring a mesh to the common size, in the middle of the table; stray vertices go.

        Raises:
            ValueError: If all vertices of faces lie in one point.
        """
        used, renumbered = np.unique(faces, return_inverse=True)
        places = np.asarray(vertices, dtype=np.float64)[used]
        low, high = places.min(axis=0), places.max(axis=0)
        with np.errstate(over="ignore"):
            diagonal = float(np.linalg.norm(high - low))
        if not 0 < diagonal < np.inf:
            raise ValueError("the mesh has no extent")
        middle = np.array([*(low + high)[:2] / 2, low[2]])
        scaled = (places - middle) * (DIAGONAL_CM / diagonal)
        return cls(scaled.astype(np.float32), renumbered.reshape(-1, 3).astype(np.int32))

    def digest(self) -> str:
        """SHA-256 of the surface."""
        return digest_bytes(self.vertices.tobytes(), self.faces.tobytes())


@dataclass(frozen=True, slots=True)
class LitPose:
    """A pose and the lightings it is taken under, names of `LIGHTINGS`."""

    azimuth: float
    elevation: float
    lightings: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Sitting:
    """Poses of one object that are rendered in one go."""

    name: str
    shape: Shape
    poses: tuple[LitPose, ...]
    settings: RenderSettings


def photograph(sitting: Sitting) -> list[UInt8[np.ndarray, "lightings size size"]]:
    """Images of a sitting, one stack per pose, in order; the same in any process and any order of sittings."""
    settings, stacks = sitting.settings, []
    size, scene = settings.optics.size, _scene(sitting.shape)  # found by its content, which is to be read once
    for lit in sitting.poses:
        view, offset = shot_names(lit.azimuth, lit.elevation), (0.0, 0.0)
        if settings.jitter_cm:
            draw = generator(settings.seed, "jitter", sitting.name, *view)
            reach, angle = settings.jitter_cm * np.sqrt(draw.random()), 2.0 * np.pi * draw.random()
            offset = (float(reach * np.cos(angle)), float(reach * np.sin(angle)))
        pose = Pose(azimuth=lit.azimuth, elevation=lit.elevation, offset_cm=offset, eye=settings.eye)
        lights = np.array([LIGHTINGS[name] for name in lit.lightings])
        levels = trace(scene, pose, settings.optics, lit=np.asarray(lights.any(axis=0)))
        # The noise of the sensor is drawn anew for each image.
        noise: Float32[np.ndarray, "lightings size size"] | None = None
        if settings.noise:
            keys = [("noise", sitting.name, settings.eye, *view, lighting) for lighting in lit.lightings]
            draws = [generator(settings.seed, *key).standard_normal((size, size), dtype=np.float32) for key in keys]
            noise = np.stack(draws) * np.float32(settings.noise)
        stacks.append(expose(levels, lights, noise))
    return stacks


def shot_names(azimuth: float, elevation: float) -> tuple[str, str]:
    """A view as it seeds noise and enters digests, without full turns and rounding errors."""
    return f"{round(azimuth % 360.0, 6) % 360.0:.6f}", f"{round(elevation, 6) + 0.0:.6f}"


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


@lru_cache(maxsize=32)
def _scene(shape: Shape) -> Scene:
    """The scene of a shape; built once for all its sittings in this process."""
    return build_scene(shape.vertices, shape.faces)


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


def visible_share(shape: Shape) -> float:
    """Share of a square of the common diagonal that a shape fills, from the one of a few directions that shows most."""
    tree = EmbreeScene()
    TriangleMesh(tree, shape.vertices, shape.faces)
    places = np.linspace(-0.5, 0.5, VISIBLE_RAYS) * DIAGONAL_CM
    middle, shares = np.array([0.0, 0.0, np.ptp(shape.vertices[:, 2]) / 2]), []
    for towards in np.array([[1.0, 0.0, 0.2], [0.2, 1.0, 0.1], [0.6, 0.6, 0.6], [0.1, 0.2, 1.0]]):
        across = np.cross(towards, [0.3, -0.5, 0.8])
        sides = unit(np.stack([across, np.cross(towards, across)]))
        plane = (places[:, None, None] * sides[0] + places[:, None] * sides[1]).reshape(-1, 3)
        origins = (middle + plane + 2 * DIAGONAL_CM * unit(towards)).astype(np.float32)
        struck = tree.run(origins, np.tile(-unit(towards), (len(origins), 1)).astype(np.float32), query="OCCLUDED")
        shares.append(float((struck >= 0).mean()))
    return max(shares)


def trace(
    scene: Scene, pose: Pose, optics: Optics, *, lit: Bool[np.ndarray, "4"] | None = None
) -> Float32[np.ndarray, "5 size size"]:
    """Trace what each lamp alone would show; the geometry is hit once for all lamps.

    Args:
        scene: The object.
        pose: How it stands to the camera.
        optics: Lens, sensor and stand.
        lit: Lamps that are on in any image; no rays are spent on the others. All by default.

    Returns:
        Grey levels under ambient light and each lamp at full strength, 0 if it is not lit, shape ``[5, size, size]``.
    """
    on = np.ones(len(LAMPS), dtype=bool) if lit is None else lit
    # the camera looks at the axis of the table at half the height of the object
    aim = np.array([0.0, 0.0, (scene.hull[:, 2].min() + scene.hull[:, 2].max()) / 2])
    camera = place_camera(pose, aim, optics)
    lamps = (LAMPS @ camera.turn.T)[on]
    # every ray sees a lit table, until it is found to meet the object or a shadow
    rays = ray_directions(camera, optics)
    levels = np.empty((1 + len(lamps), *rays.shape[:3]), dtype=np.float32)
    levels[0] = _AMBIENT * _TABLE
    levels[1:] = (_TABLE * lamps[:, 2])[:, None, None, None]
    free = _paint_object(levels, scene, camera, rays, lamps, image_window(camera, optics, scene.hull))
    origin = camera.origin.astype(np.float32)
    # a camera below the table does not see shadows on it
    for level, lamp in zip(levels[1:], lamps, strict=True) if origin[2] > 0 else ():
        # a shadow lies within the hull of the object, projected onto the table along the light
        window = image_window(camera, optics, scene.hull - scene.hull[:, 2:] / lamp[2] * lamp)
        # where rays that pass the object by and go down meet the table
        place = np.nonzero(free[window] & (rays[window][..., 2] < 0))
        down = rays[window][place]
        points = origin - origin[2] / down[:, 2:] * down
        points[:, 2] = 0.0
        dark = _occluded(scene, points, lamp.astype(np.float32))
        level[window][tuple(axis[dark] for axis in place)] = 0.0
    every = np.zeros((1 + len(LAMPS), *levels.shape[2:]), dtype=np.float32)
    every[np.insert(on, 0, True)] = levels.mean(axis=1) * np.float32(_EXPOSURE)
    return every


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
    # corners sorted by position: those of one position are a group of neighbours
    _, place = np.unique(np.round(vertices, 5) + np.float32(0.0), axis=0, return_inverse=True)
    at_corner = place.reshape(-1)[faces].reshape(-1)
    order = np.argsort(at_corner, kind="stable")
    _, first, counts = np.unique(at_corner[order], return_index=True, return_counts=True)
    group = np.repeat(np.arange(len(counts)), counts)
    # each corner of a group with each face of the group, its own included
    partners = counts[group]
    corners = np.repeat(order, partners)
    within = np.arange(partners.sum()) - np.repeat(np.cumsum(partners) - partners, partners)
    neighbours = order[np.repeat(first[group], partners) + within] // 3
    gentle = np.einsum("pi,pi->p", normals[corners // 3], normals[neighbours]) > _CREASE
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
    levels: Float32[np.ndarray, "levels samples size size"],
    scene: Scene,
    camera: Camera,
    rays: Float32[np.ndarray, "samples size size 3"],
    lamps: Float64[np.ndarray, "lamps 3"],
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
    # Lambert's law with a slight Blinn gloss; the viewer is taken to be far away
    shades = np.zeros((len(levels), len(points)), dtype=np.float32)
    shades[0] = _AMBIENT * _PAINT * (0.6 + 0.4 * smooth[:, 2])
    for shade, lamp in zip(shades[1:], lamps, strict=True):
        towards, half = lamp.astype(np.float32), (lamp - camera.axes[2]) / np.linalg.norm(lamp - camera.axes[2])
        cosine = smooth @ towards
        # where the lamp is above both the smooth surface and the face, and nothing is between
        lit = np.flatnonzero((cosine > 0) & (flat @ towards > 0))
        lit = lit[~_occluded(scene, points[lit], towards)]
        gloss = np.maximum(smooth[lit] @ half.astype(np.float32), 0) ** _SHININESS
        shade[lit] = _PAINT * cosine[lit] + _GLOSS * gloss
    levels[:, *place] = shades
    return free


def _occluded(
    scene: Scene, points: Float32[np.ndarray, "points 3"], lamp: Float32[np.ndarray, "3"]
) -> Bool[np.ndarray, " points"]:
    blocked: Bool[np.ndarray, " points"] = scene.tree.run(points, lamp[None], query="OCCLUDED") >= 0
    return blocked


def unit(vectors: Float32[np.ndarray, "*rows 3"]) -> Float32[np.ndarray, "*rows 3"]:
    """Vectors scaled to length 1; a zero vector stays zero."""
    lengths = np.sqrt(np.einsum("...i,...i->...", vectors, vectors))[..., None]
    scaled: Float32[np.ndarray, "*rows 3"] = vectors / np.maximum(lengths, np.float32(1e-12))
    return scaled
