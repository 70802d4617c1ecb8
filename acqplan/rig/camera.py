"""Where the camera is and which rays it sends: plain geometry, without any mesh."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from jaxtyping import Float32, Float64

from acqplan.errors import UsageError

StereoCamera = Literal["mono", "left", "right"]
# Samples, rows and columns of the rays that can meet something.
Window = tuple[slice, slice, slice]
# Objects of 12 cm and all their shadows lie before a camera that keeps this distance.
NEAREST_CM = 25.0
# Where the rays of a pixel pass, in pixels from its middle (right, down): a rotated grid.
_PATTERNS = {
    1: ((0.0, 0.0),),
    2: ((-0.25, -0.25), (0.25, 0.25)),
    4: ((-0.125, -0.375), (0.375, -0.125), (-0.375, 0.125), (0.125, 0.375)),
}
_SIDES = {"mono": 0.0, "left": -0.5, "right": 0.5}


@dataclass(frozen=True, slots=True, kw_only=True)
class Optics:
    """What stays the same from shot to shot: lens, sensor and stand. The defaults are smallNORB's.

    Args:
        size: Width and height of an image, pixels.
        samples: Rays per pixel: 1 (jagged, fastest), 2, or 4 (smoothest, twice the time of 2).
        distance_cm: From the camera to the middle of the object.
        half_width_cm: Half the width of the field of view at that distance.
        baseline_cm: Between the two cameras of a stereo pair, both aimed at the object.

    Raises:
        UsageError: If the image has no pixel, a length is not positive, or samples is not 1, 2 or 4.
    """

    size: int = 96
    samples: int = 2
    distance_cm: float = 41.0
    half_width_cm: float = 6.5
    baseline_cm: float = 7.5

    def __post_init__(self) -> None:
        if self.samples not in _PATTERNS:
            raise UsageError(f"{self.samples} samples per pixel are not available", "give 1, 2 or 4")
        if not 1 <= self.size <= 4096:
            raise UsageError(f"images of {self.size} pixels cannot be rendered", "give a size of 1 to 4096")
        for name in ("distance_cm", "half_width_cm", "baseline_cm"):
            value = getattr(self, name)
            if not 0 < value < 1e4:
                raise UsageError(f"{name} is {value}", "give a length in centimetres, above 0")
        if self.distance_cm < NEAREST_CM:
            raise UsageError(f"a camera at {self.distance_cm} cm is in the shadows", f"stay {NEAREST_CM} cm away")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """How the object is placed before the camera.

    Args:
        azimuth: Turn of the turntable, degrees, any real number; at 0 the front (+x) faces the camera.
        elevation: Of the camera above the table, degrees, any real number; past 90 it looks over the top.
        offset_cm: Distance of the object from the middle of the table (towards camera, right).
        eye: The single camera, or one of the stereo pair.
    """

    azimuth: float
    elevation: float
    offset_cm: tuple[float, float] = (0.0, 0.0)
    eye: StereoCamera = "mono"


@dataclass(frozen=True, slots=True, eq=False)
class Camera:
    """A camera in the frame of the object.

    Args:
        origin: Position, cm, shape ``[3]``.
        axes: Rows right, up and forward, unit length, shape ``[3, 3]``.
        turn: Takes directions of the stand (towards camera, right, up) to the object's, ``[3, 3]``.
    """

    origin: Float64[np.ndarray, "3"]
    axes: Float64[np.ndarray, "3 3"]
    turn: Float64[np.ndarray, "3 3"]


def place_camera(pose: Pose, aim: Float64[np.ndarray, "3"], optics: Optics) -> Camera:
    """Place the camera so that it looks at the middle of the table.

    Args:
        pose: Turn of the table, height of the camera, place of the object.
        aim: Point that a camera looks at when the object is in the middle, object frame, cm.
        optics: Distance and baseline.

    Returns:
        The camera in the frame of the object: turning the mesh by +40 and the table by -40 degrees
        leaves it the same.
    """
    # directions of the stand in the frame of the object: the table turns under the stand
    angle, height = -np.radians(pose.azimuth), np.radians(pose.elevation)
    towards = np.array([np.cos(angle), np.sin(angle), 0.0])
    right = np.array([-np.sin(angle), np.cos(angle), 0.0])
    zenith = np.array([0.0, 0.0, 1.0])
    up = np.cos(height) * zenith - np.sin(height) * towards
    outward = np.cos(height) * towards + np.sin(height) * zenith
    # one of a stereo pair is moved aside, and still looks at the middle
    aside = _SIDES[pose.eye] * optics.baseline_cm * right
    forward = -(optics.distance_cm * outward + aside)
    forward /= np.linalg.norm(forward)
    # an object that is off the middle is the same as a camera that is off the other way
    turn = np.stack([towards, right, zenith], axis=1)
    centre = aim - turn[:, :2] @ np.asarray(pose.offset_cm)
    origin = centre + optics.distance_cm * outward + aside
    return Camera(origin, np.stack([np.cross(forward, up), up, forward]), turn)


def ray_directions(camera: Camera, optics: Optics) -> Float32[np.ndarray, "samples size size 3"]:
    """Directions of all rays, not of unit length, row 0 at the top.

    Returns:
        Sample of the pixel by row by column, object frame, shape ``[samples, size, size, 3]``.
    """
    rays: Float32[np.ndarray, "samples size size 3"] = _image_plane(optics) @ camera.axes.astype(np.float32)
    return rays


def image_window(camera: Camera, optics: Optics, points: Float64[np.ndarray, "points 3"]) -> Window:
    """Rows and columns of pixels that can show the convex hull of some points.

    Args:
        camera: Place of the camera.
        optics: Size and field of view.
        points: Before the camera, object frame, cm, shape ``[points, 3]``.

    Returns:
        An index for an array whose last two axes are rows and columns; it may select nothing.
    """
    right, up, depth = camera.axes @ (points - camera.origin).T
    scale = optics.size * optics.distance_cm / (2.0 * optics.half_width_cm)
    spans = []
    for places in (optics.size / 2 - scale * up / depth, optics.size / 2 + scale * right / depth):
        # pixels between the outermost places, and one more against rounding
        first = int(np.clip(np.floor(places.min()) - 1, 0, optics.size))
        spans.append(slice(first, int(np.clip(np.ceil(places.max()) + 1, first, optics.size))))
    return slice(None), spans[0], spans[1]


@lru_cache(maxsize=8)
def _image_plane(optics: Optics) -> Float32[np.ndarray, "samples size size 3"]:
    pixel = 2.0 * optics.half_width_cm / optics.distance_cm / optics.size
    middle = np.arange(optics.size) + 0.5 - optics.size / 2
    planes = []
    for aside, below in _PATTERNS[optics.samples]:
        right, down = np.meshgrid((middle + aside) * pixel, (middle + below) * pixel)
        planes.append(np.stack([right, -down, np.ones_like(right)], axis=-1))
    plane = np.stack(planes).astype(np.float32)
    plane.setflags(write=False)
    return plane
