"""One object before the camera: from its shape and a list of views to noisy images.

Whatever is sent to another process is defined here: shapes and settings in plain arrays, no embree.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Float32, Int, Int32, UInt8

from acqplan.errors import UsageError
from acqplan.files import digest_bytes
from acqplan.rig.camera import Optics, Pose, StereoCamera
from acqplan.rig.render import LIGHTINGS, RENDERER, Scene, build_scene, expose, trace
from acqplan.rng import generator

DIAGONAL_CM = 12.0
"""Every object is scaled so that the box around it has this diagonal."""


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
    """The surface of an object on the table, cm.

    Args:
        vertices: Front +x, up +z, on z = 0 around the origin, shape ``[vertices, 3]``.
        faces: Rows of ``vertices``, shape ``[faces, 3]``.
    """

    vertices: Float32[np.ndarray, "vertices 3"]
    faces: Int32[np.ndarray, "faces 3"]

    @classmethod
    def standing(cls, vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]) -> Shape:
        """Bring a mesh to the common size, in the middle of the table; stray vertices go.

        Raises:
            ValueError: If all vertices of faces lie in one point.
        """
        used, renumbered = np.unique(faces, return_inverse=True)
        places = np.asarray(vertices, dtype=np.float64)[used]
        low, high = places.min(axis=0), places.max(axis=0)
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
    scene = _scene(sitting.shape)
    stacks = []
    for lit in sitting.poses:
        levels = trace(scene, _pose(sitting, lit), sitting.settings.optics)
        lights = np.array([LIGHTINGS[name] for name in lit.lightings])
        stacks.append(expose(levels, lights, _noise(sitting, lit)))
    return stacks


def shot_names(azimuth: float, elevation: float) -> tuple[str, str]:
    """A view as it seeds noise and enters digests, without full turns and rounding errors."""
    return f"{round(azimuth % 360.0, 6) % 360.0:.6f}", f"{round(elevation, 6) + 0.0:.6f}"


def identity(name: str, shape: Shape, settings: RenderSettings) -> bytes:
    """What, beside the view, determines the images of an object: 32 bytes."""
    # the text of settings is part of keys in caches, which outlive the name of the class
    written = "Settings" + repr(settings).removeprefix("RenderSettings")
    parts = (RENDERER, repr(sorted(LIGHTINGS.items())), name, shape.digest(), written)
    return bytes.fromhex(digest_bytes(*(part.encode() for part in parts)))


@lru_cache(maxsize=16)
def _scene(shape: Shape) -> Scene:
    """The scene of a shape. Shapes compare by identity: a source that captures again need not build it again."""
    return build_scene(shape.vertices, shape.faces)


def _pose(sitting: Sitting, lit: LitPose) -> Pose:
    settings = sitting.settings
    offset = (0.0, 0.0)
    if settings.jitter_cm:
        draw = generator(settings.seed, "jitter", sitting.name, *shot_names(lit.azimuth, lit.elevation))
        reach, angle = settings.jitter_cm * np.sqrt(draw.random()), 2.0 * np.pi * draw.random()
        offset = (float(reach * np.cos(angle)), float(reach * np.sin(angle)))
    return Pose(azimuth=lit.azimuth, elevation=lit.elevation, offset_cm=offset, eye=settings.eye)


def _noise(sitting: Sitting, lit: LitPose) -> Float32[np.ndarray, "lightings size size"] | None:
    """Noise of the sensor, grey levels, drawn anew for each image; ``None`` if there is none."""
    settings = sitting.settings
    if not settings.noise:
        return None
    view, shape = shot_names(lit.azimuth, lit.elevation), (settings.optics.size, settings.optics.size)
    draws = [generator(settings.seed, "noise", sitting.name, settings.eye, *view, name) for name in lit.lightings]
    return np.stack([draw.standard_normal(shape, dtype=np.float32) for draw in draws]) * np.float32(settings.noise)
