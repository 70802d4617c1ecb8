"""Views on a sphere: from azimuth, elevation, distance and roll to poses of a camera, and back.

The conventions:

* The frame is the object's, right-handed: `up` (+z by default) is away from the table, the front is +x, or what of it
  lies in the table (+y where up is ±x). Lengths are in any one unit.
* **azimuth** is the turn of the turntable, counter-clockwise seen from above, as everywhere in acqplan: at 0 the front
  faces the camera, i.e. the camera is over +x, and at 90 over −y. Where the camera moves about an object at rest
  (``turns="camera"``) it is the place of the camera: at 90 over +y. One is the other with its sign changed.
* **elevation** is the height of the camera above the table: at 90 it looks straight down; past that over the top.
* **distance** is from the target, the point that the camera looks at.
* **roll** turns the camera clockwise, as its photographer sees it; at 0 its picture is upright.
* Matrices take points of the camera to the frame. The axes of a camera are OpenGL's: right, up, backwards.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from acqplan.errors import SpaceError, UsageError
from acqplan.space.axes import Category
from acqplan.space.shots import Shots

Turns = Literal["table", "camera"]
Matrices = Float[np.ndarray, "poses 4 4"]
Point = tuple[float, float, float]
# Between OpenGL's axes of a camera (right, up, backwards) and OpenCV's (right, down, forward).
FLIP = np.diag([1.0, -1.0, -1.0, 1.0])
# Metres in a unit of length.
METRES = {"mm": 0.001, "cm": 0.01, "m": 1.0}
# Words in the names of axes that set a pose; a polar angle is counted from straight above.
WORDS = {
    "azimuth": {"azimuth", "azimut", "azim", "az", "yaw", "pan", "heading", "turntable", "rotation", "rot"},
    "elevation": {"elevation", "elev", "el", "tilt", "pitch", "inclination"},
    "polar": {"polar", "zenith"},
    "distance": {"distance", "dist", "radius"},
    "roll": {"roll"},
}
# Below this share of the distance a camera is straight above or below; and axes are parallel.
SMALL = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Intrinsics:
    """Lens and sensor of a camera without distortion.

    Attributes:
        width: Of an image, pixels.
        height: Of an image, pixels.
        fx: Focal length along rows, pixels.
        fy: Focal length along columns, pixels.
        cx: Where the optical axis meets the image, pixels from its left edge.
        cy: The same from its top.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise UsageError(f"images of {self.width} x {self.height} pixels", "give width and height in pixels")
        if not (0 < self.fx < np.inf and 0 < self.fy < np.inf):
            raise UsageError(f"focal lengths of {self.fx:g} and {self.fy:g} pixels", "give lengths above 0")

    @classmethod
    def from_fov(cls, width: int, height: int, fov: float) -> Intrinsics:
        """A camera that sees so many degrees from left to right, aimed with the middle of its images.

        Raises:
            UsageError: If the angle is not between 0 and 180.
        """
        if not 0 < fov < 180:
            raise UsageError(f"a field of view of {fov:g} degrees", "give an angle above 0 and below 180")
        focal = width / 2 / float(np.tan(np.radians(fov) / 2))
        return cls(width=width, height=height, fx=focal, fy=focal, cx=width / 2, cy=height / 2)

    @property
    def matrix(self) -> Float[np.ndarray, "3 3"]:
        """The matrix K of OpenCV."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Views:
    """Views of a sphere as numbers, by the conventions of this module.

    Attributes:
        azimuth: Degrees, in ``[0, 360)``, shape ``[views]``.
        elevation: Degrees, shape ``[views]``.
        distance: From the target, shape ``[views]``.
        roll: Degrees, in ``[-180, 180)``, shape ``[views]``.
        target: The point looked at.
        up: Away from the table.
        turns: Whether azimuth turns the table or the camera.
        off_axis: Degrees by which each optical axis misses the target, shape ``[views]``; no number of a view.
    """

    azimuth: Float[np.ndarray, " views"]
    elevation: Float[np.ndarray, " views"]
    distance: Float[np.ndarray, " views"]
    roll: Float[np.ndarray, " views"]
    target: Point = (0.0, 0.0, 0.0)
    up: Point = (0.0, 0.0, 1.0)
    turns: Turns = "table"
    off_axis: Float[np.ndarray, " views"] | float = 0.0

    def camera_to_world(self) -> Matrices:
        """The pose of each camera, looking at the target; the inverse of `views_of`."""
        sign, frame = _sign(self.turns), _frame(self.up)
        place, height, roll = np.radians([sign * self.azimuth, self.elevation, self.roll])
        axes = _axes(place, height) @ _turned(roll)
        matrices = np.tile(np.eye(4), (len(place), 1, 1))
        matrices[:, :3, :3] = frame @ axes
        outward = frame @ _axes(place, height)[:, :, 2:]
        matrices[:, :3, 3] = np.asarray(self.target) + self.distance[:, None] * outward[:, :, 0]
        return matrices


def views_of(
    matrices: Matrices, *, target: Point | None = None, up: Point | None = None, turns: Turns = "table"
) -> Views:
    """The views of a sphere that cameras look from.

    Args:
        matrices: Camera-to-world, OpenGL's axes, shape ``[poses, 4, 4]``.
        target: The point looked at; by default the one nearest to all optical axes (least squares).
        up: Away from the table; by default +z.
        turns: Whether azimuth shall turn the table or the camera.

    Raises:
        UsageError: If a camera is at the target; or there is no target, as all axes are parallel.
    """
    target, up = target or nearest_point(matrices), up or (0.0, 0.0, 1.0)
    frame = _frame(up)
    axes = frame.T @ matrices[:, :3, :3]
    places = (matrices[:, :3, 3] - np.asarray(target)) @ frame
    distance = np.linalg.norm(places, axis=1)
    if not (distance > 0).all():
        raise UsageError(f"camera {int(np.argmin(distance)) + 1} is at the target itself", "give another target")
    x, y, z = (places / distance[:, None]).T
    # straight above, azimuth is where the top of the picture points away from; below, where it points to
    is_polar, top = np.hypot(x, y) < SMALL, -np.sign(z)[:, None] * axes[:, :2, 1]
    place = np.where(is_polar, np.arctan2(top[:, 1], top[:, 0]), np.arctan2(y, x))
    height = np.arctan2(z, np.hypot(x, y))
    upright = _axes(place, height)
    # what is left between an upright camera and this one, as far as it is a turn about the optical axis
    left = upright.transpose(0, 2, 1) @ axes
    roll = np.degrees(np.arctan2(left[:, 0, 1] - left[:, 1, 0], left[:, 0, 0] + left[:, 1, 1]))
    return Views(
        azimuth=np.mod(np.mod(_sign(turns) * np.degrees(place), 360.0), 360.0),
        elevation=np.degrees(height),
        distance=distance,
        roll=np.mod(roll + 180.0, 360.0) - 180.0,
        target=target,
        up=up,
        turns=turns,
        off_axis=np.degrees(np.arctan2(np.hypot(left[:, 0, 2], left[:, 1, 2]), left[:, 2, 2])),
    )


def nearest_point(matrices: Matrices) -> Point:
    """The point nearest to all optical axes, by least squares.

    Raises:
        UsageError: If the axes are parallel, so that there is none.
    """
    axes, origins = matrices[:, :3, 2], matrices[:, :3, 3]
    across = np.eye(3) - axes[:, :, None] * axes[:, None, :]  # takes away what is along the axis
    total = across.sum(axis=0)
    if len(matrices) == 0 or np.linalg.eigvalsh(total)[0] < SMALL * len(matrices):
        raise UsageError("these cameras look along parallel axes, which meet in no point", "give a target")
    x, y, z = np.linalg.solve(total, np.einsum("pij,pj->i", across, origins)).tolist()
    return x, y, z


@dataclass(frozen=True, slots=True, kw_only=True)
class Orbit:
    """How a camera stands to the objects: what of a pose the axes of a rig do not say.

    Attributes:
        distance: From the target, where no axis says so.
        elevation: Degrees, where no axis says so.
        target: The point that the camera looks at.
        up: Away from the table.
        turns: Whether the azimuth of the rig turns the table, or the camera about an object at rest.
        unit: Of lengths: mm, cm or m; empty if it is not known, as in a reconstruction from photographs.
        intrinsics: Lens and sensor, if they are known.
    """

    distance: float | None = None
    elevation: float | None = None
    target: Point = (0.0, 0.0, 0.0)
    up: Point = (0.0, 0.0, 1.0)
    turns: Turns = "table"
    unit: str = ""
    intrinsics: Intrinsics | None = None

    def __post_init__(self) -> None:
        if self.distance is not None and not 0 < self.distance < np.inf:
            raise UsageError(f"a camera at a distance of {self.distance:g}", "give a length above 0")
        if not np.linalg.norm(self.up) > 0:
            raise UsageError("up has no direction", "give e.g. up = [0, 0, 1]")
        if self.unit not in ("", *METRES):
            raise UsageError(f"lengths in '{self.unit}'", f"give one of {', '.join(METRES)}", asked=self.unit)

    def views(self, shots: Shots) -> Views:
        """Where the camera of each shot is.

        Raises:
            SpaceError: If an axis or this orbit does not say the elevation or the distance, or two axes say one thing.
        """
        n, found = len(shots), dict[str, Float[np.ndarray, " shots"]]()
        for column, axis in enumerate(shots.space.axes):
            for what, words in WORDS.items():
                if words & set(re.split("[^a-z]+", axis.name.casefold())) and not isinstance(axis, Category):
                    values = shots.coordinates[:, column].astype(np.float64)
                    what, values = ("elevation", 90.0 - values) if what == "polar" else (what, values)
                    if what in found:
                        raise SpaceError(f"axis '{axis.name}' is not the only one for the {what} of a camera")
                    found[what] = values
        for what, fixed in (("elevation", self.elevation), ("distance", self.distance)):
            if what not in found and fixed is None:
                said = f"neither an axis nor [camera] says the {what} of the camera"
                raise SpaceError(said, f"write e.g. {what} = {'30' if what == 'elevation' else '400'} under [camera]")
            found.setdefault(what, np.full(n, fixed, dtype=np.float64))
        azimuth, roll = (found.get(what, np.zeros(n)) for what in ("azimuth", "roll"))
        if not (found["distance"] > 0).all():
            raise SpaceError("a shot has a distance that is not above 0", "correct the axis of the distance")
        return Views(
            azimuth=np.mod(azimuth, 360.0),
            elevation=found["elevation"],
            distance=found["distance"],
            roll=roll,
            target=self.target,
            up=self.up,
            turns=self.turns,
        )


def inverted(matrices: Matrices) -> Matrices:
    """World-to-camera from camera-to-world, and back: rotations and translations only."""
    found = np.tile(np.eye(4), (len(matrices), 1, 1))
    found[:, :3, :3] = matrices[:, :3, :3].transpose(0, 2, 1)
    found[:, :3, 3] = -np.einsum("pij,pj->pi", found[:, :3, :3], matrices[:, :3, 3])
    return found


def _sign(turns: Turns) -> float:
    """Turning the table by an angle is moving the camera the other way round."""
    return -1.0 if turns == "table" else 1.0


def _frame(up: Point) -> Float[np.ndarray, "3 3"]:
    """Columns front, left and up of the table."""
    zenith = np.asarray(up, dtype=np.float64) / np.linalg.norm(up)
    front = np.array([1.0, 0.0, 0.0]) if abs(zenith[0]) < 1 - 1e-6 else np.array([0.0, 1.0, 0.0])
    front = front - (front @ zenith) * zenith
    front /= np.linalg.norm(front)
    return np.stack([front, np.cross(zenith, front), zenith], axis=1)


def _axes(place: Float[np.ndarray, " views"], height: Float[np.ndarray, " views"]) -> Float[np.ndarray, "views 3 3"]:
    """Columns right, up and backwards of upright cameras, in the frame of the table; angles in radians."""
    (sin_p, cos_p), (sin_h, cos_h), zero = (np.sin(place), np.cos(place)), (np.sin(height), np.cos(height)), 0 * place
    right = [-sin_p, cos_p, zero]
    up = [-sin_h * cos_p, -sin_h * sin_p, cos_h]
    outward = [cos_h * cos_p, cos_h * sin_p, sin_h]
    return np.moveaxis(np.array([right, up, outward]), 2, 0).transpose(0, 2, 1)


def _turned(roll: Float[np.ndarray, " views"]) -> Float[np.ndarray, "views 3 3"]:
    """Turns of a camera, clockwise as its photographer sees it."""
    sin, cos, zero = np.sin(roll), np.cos(roll), 0 * roll
    return np.moveaxis(np.array([[cos, sin, zero], [-sin, cos, zero], [zero, zero, zero + 1]]), 2, 0)
