"""Views on a sphere: from azimuth, elevation, distance and roll to poses of a camera, and back.

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
from acqplan.space.shots import Objects, Shots, Space

Turns = Literal["table", "camera"]
Matrices = Float[np.ndarray, "poses 4 4"]
Point = tuple[float, float, float]
# Between OpenGL's axes of a camera and OpenCV's (right, down, forward).
FLIP = np.diag([1.0, -1.0, -1.0, 1.0])
# Turning the table by an angle is moving the camera the other way round.
SIGNS: dict[Turns, float] = {"table": -1.0, "camera": 1.0}
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
EXAMPLE = 'distance = 400, elevation = 30, unit = "mm", intrinsics = { width = 640, height = 480, fov = 45 }'
# Below this share of the distance a camera is straight above or below; and axes are parallel.
SMALL = 1e-9
# Columns right, up and backwards of a camera in front of the object.
_IN_FRONT = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Intrinsics:
    """Lens and sensor of a camera without distortion, in pixels.

    Attributes:
        width: Columns of an image.
        height: Its rows.
        fx: Focal length along rows.
        fy: Focal length along columns.
        cx: Where the optical axis meets the image, from its left edge.
        cy: The same from its top.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float

    def __post_init__(self) -> None:
        if min(self.width, self.height, self.fx, self.fy) <= 0:
            said = f"images of {self.width} x {self.height} pixels by a lens of {self.fx:g} x {self.fy:g}"
            raise UsageError(said, "give numbers above 0")

    @classmethod
    def from_fov(cls, width: int, height: int, fov: float) -> Intrinsics:
        """A camera that sees so many degrees from left to right, and aims with the middle of its images."""
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
        """The pose of each camera, looking at the target, shape ``[views, 4, 4]``; the inverse of `views_of`."""
        axes = _frame(self.up) @ _turned(SIGNS[self.turns] * self.azimuth, self.elevation, self.roll)
        matrices = np.tile(np.eye(4), (len(axes), 1, 1))
        matrices[:, :3, :3] = axes @ _IN_FRONT
        matrices[:, :3, 3] = np.asarray(self.target) + self.distance[:, None] * axes[:, :, 0]
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
    axes, places = frame.T @ matrices[:, :3, :3], (matrices[:, :3, 3] - np.asarray(target)) @ frame
    distance = np.linalg.norm(places, axis=1)
    if not (distance > 0).all():
        raise UsageError(f"camera {int(np.argmin(distance)) + 1} is at the target itself", "give another target")
    x, y, z = (places / distance[:, None]).T
    # straight above, azimuth is where the top of the picture points away from; below, where it points to
    is_polar, top = np.hypot(x, y) < SMALL, -np.sign(z)[:, None] * axes[:, :2, 1]
    place = np.degrees(np.where(is_polar, np.arctan2(top[:, 1], top[:, 0]), np.arctan2(y, x)))
    elevation = np.degrees(np.arctan2(z, np.hypot(x, y)))
    # what is left between an upright camera and this one: a turn about the optical axis, and how far that misses
    left = _turned(place, elevation, 0 * place).transpose(0, 2, 1) @ axes @ _IN_FRONT.T
    roll = np.degrees(np.arctan2(left[:, 1, 2] - left[:, 2, 1], left[:, 1, 1] + left[:, 2, 2]))
    return Views(
        azimuth=np.mod(np.mod(SIGNS[turns] * place, 360.0), 360.0),  # -1e-20 becomes 360 at first
        elevation=elevation,
        distance=distance,
        roll=np.mod(roll + 180.0, 360.0) - 180.0,
        target=target,
        up=up,
        turns=turns,
        off_axis=np.degrees(np.arctan2(np.hypot(left[:, 1, 0], left[:, 2, 0]), left[:, 0, 0])),
    )


def nearest_point(matrices: Matrices) -> Point:
    """The point nearest to all optical axes, by least squares.

    Raises:
        UsageError: If the axes are parallel, so that there is none.
    """
    axes, origins = matrices[:, :3, 2], matrices[:, :3, 3]
    across = np.eye(3) - axes[:, :, None] * axes[:, None, :]  # takes away what is along the axis
    total = across.sum(axis=0)
    if np.linalg.eigvalsh(total)[0] < SMALL * len(matrices):
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
        if self.distance is not None and not self.distance > 0:
            raise UsageError(f"a camera at a distance of {self.distance:g}", "give a length above 0")
        if not any(self.up):
            raise UsageError("up has no direction", "give e.g. up = [0, 0, 1]")
        if self.unit not in ("", *METRES):
            raise UsageError(f"lengths in '{self.unit}'", f"give one of {', '.join(METRES)}", asked=self.unit)

    def views(self, shots: Shots) -> Views:
        """Where the camera of each shot is.

        Raises:
            SpaceError: If neither an axis nor this orbit says the elevation or the distance, or two axes say one thing.
        """
        found = pose_of(shots.space, shots.coordinates)
        usual = {"azimuth": 0.0, "roll": 0.0, "elevation": self.elevation, "distance": self.distance}
        for name, value in usual.items():
            if name not in found and value is None:
                said = f"neither an axis nor [camera] says the {name} of the camera"
                raise SpaceError(said, f"write under [camera], a line each, e.g. {EXAMPLE}")
            found.setdefault(name, np.full(len(shots), value, dtype=np.float64))
        if not (found["distance"] > 0).all():
            raise SpaceError("a shot has a distance that is not above 0", "correct the axis of the distance")
        return Views(**found, target=self.target, up=self.up, turns=self.turns)


def pose_of(space: Space, coordinates: Float[np.ndarray, "views axes"]) -> dict[str, Float[np.ndarray, " views"]]:
    """What axes say of azimuth, elevation, distance and roll, by their names.

    Raises:
        SpaceError: If two axes say one thing.
    """
    found: dict[str, Float[np.ndarray, " views"]] = {}
    for axis, values in zip(space.axes, coordinates.T, strict=True):
        for what, words in WORDS.items():
            if isinstance(axis, Category) or not words & set(re.split("[^a-z]+", axis.name.casefold())):
                continue
            name, of_axis = ("elevation", 90.0 - values) if what == "polar" else (what, values)
            if name in found:
                raise SpaceError(f"axis '{axis.name}' is not the only one for the {name} of a camera", "rename it")
            found[name] = of_axis
    return found


def known_orbit(orbit: Orbit | None, space: Space, *, needs_lens: bool = False) -> Orbit:
    """The orbit of a rig that says where its camera is.

    Raises:
        UsageError: If it does not, or not which lens it has.
    """
    if orbit is None or (needs_lens and orbit.intrinsics is None):
        lack = "where the camera stands" if orbit is None else "which lens the camera has"
        raise UsageError(f"rig.toml does not say {lack}", f"write under [camera], a line each, e.g. {EXAMPLE}")
    orbit.views(Shots.every(space, Objects(names=(), labels=())))
    return orbit


def _frame(up: Point) -> Float[np.ndarray, "3 3"]:
    """Columns front, left and up of the table."""
    zenith = np.asarray(up, dtype=np.float64) / np.linalg.norm(up)
    front = np.eye(3)[0 if abs(zenith[0]) < 1 - 1e-6 else 1]
    front = front - (front @ zenith) * zenith
    front /= np.linalg.norm(front)
    return np.stack([front, np.cross(zenith, front), zenith], axis=1)


def _turned(*degrees: Float[np.ndarray, " views"]) -> Float[np.ndarray, "views 3 3"]:
    """How what is in front of the object is turned to place, elevation and roll; its first column is outward."""
    from scipy.spatial.transform import Rotation  # a live rig opens without scipy

    signs = np.array([1.0, -1.0, -1.0])[:, None]
    return Rotation.from_euler("ZYX", (signs * np.array(degrees)).T, degrees=True).as_matrix()
