"""A rig that renders its objects: toys and meshes differ only in where shapes come from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from acqplan.errors import SpaceError, UsageError, nearest
from acqplan.progress import SILENT, Progress
from acqplan.rig.base import Image
from acqplan.rig.farm import in_order
from acqplan.rig.render import LIGHTINGS
from acqplan.rig.studio import LitPose, Settings, Shape, Sitting, identity, photograph, shot_names
from acqplan.runtime import available_cores
from acqplan.space import Category, Circle, Interval, Objects, Shots, Space, ViewValue, parse_values

STANDARD_VIEW: dict[str, ViewValue] = {"azimuth": 0.0, "elevation": 45.0, "lighting": "L0"}
"""The axes that can be set, and where they stand if a space does not name them."""

_POSES_A_TASK = 27
_WORTH_PROCESSES = 300
"""Poses from which starting processes (about a second) pays."""


def norb_space() -> Space:
    """The views of smallNORB: 18 azimuths, 9 elevations, 6 lightings."""
    return Space(
        axes=(
            Circle(name="azimuth", values=parse_values("0:340:20"), seconds_per_unit=0.05),
            Interval(name="elevation", values=parse_values("30:70:5"), unit="deg", seconds_per_unit=0.10),
            Category(name="lighting", values=tuple(LIGHTINGS), seconds_per_change=0.2),
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RenderedRig:
    """A rig whose every shot can be had, at any view.

    Args:
        name: ``toys`` or ``meshes``.
        objects: The objects, with labels.
        shape_of: The shape of an object, by its row in ``objects``; asked once an object.
        space: Axes among azimuth, elevation (degrees) and lighting (names of `LIGHTINGS`).
        settings: Seed, noise, camera.
        workers: Processes for large captures; few poses are rendered in this one.

    Raises:
        SpaceError: If an axis or a lighting cannot be set, or an angle is not in degrees.
    """

    name: str
    objects: Objects
    shape_of: Callable[[int], Shape]
    space: Space = field(default_factory=norb_space)
    settings: Settings = field(default_factory=Settings)
    workers: int = field(default_factory=available_cores)
    _shapes: dict[int, Shape] = field(default_factory=dict, init=False, repr=False)
    _identities: dict[int, bytes] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        for axis in self.space.axes:
            if axis.name not in STANDARD_VIEW:
                raise SpaceError(f"a rendered rig has no axis '{axis.name}'", nearest(axis.name, STANDARD_VIEW))
            if axis.name == "lighting":
                _check_lightings([str(value) for value in axis.values], is_category=isinstance(axis, Category))
            elif axis.unit != "deg":
                raise SpaceError(f"axis '{axis.name}' is in '{axis.unit}'", "render with unit = 'deg'")

    def shots(self) -> Shots:
        """Every allowed view of every object."""
        return Shots.every(self.space, self.objects)

    def identities(self, shots: Shots) -> list[bytes]:
        """For each shot 32 bytes that determine its image; nothing is rendered."""
        views = (self._pose(view) for view in shots.views())
        return [
            _digest(self._identity(row), *shot_names(azimuth, elevation), lighting)
            for row, (azimuth, elevation, lighting) in zip(self._rows(shots), views, strict=True)
        ]

    def capture(self, shots: Shots, *, progress: Progress = SILENT) -> Iterator[tuple[int, Image]]:
        """Render shots; the lightings of a pose share its geometry.

        Yields:
            Row of ``shots`` and grey image ``[size, size]``, grouped by object, in an order that
            depends on nothing but ``shots``.

        Raises:
            UsageError: If a shot is of an object that is not here, or its view is not finite.
        """
        sittings, rows = self._sittings(shots)
        n_poses = sum(len(sitting.poses) for sitting in sittings)
        workers = self.workers if n_poses >= _WORTH_PROCESSES else 1
        with progress.task("rendering", len(shots)) as advance:
            for of_sitting, stacks in zip(rows, in_order(photograph, sittings, workers=workers), strict=True):
                for of_pose, stack in zip(of_sitting, stacks, strict=True):
                    yield from zip(of_pose, stack, strict=True)
                    advance(len(of_pose))

    def shape(self, row: int) -> Shape:
        """The shape of an object, by its row."""
        if row not in self._shapes:
            self._shapes[row] = self.shape_of(row)
        return self._shapes[row]

    def _identity(self, row: int) -> bytes:
        if row not in self._identities:
            self._identities[row] = identity(self.objects.names[row], self.shape(row), self.settings)
        return self._identities[row]

    def _rows(self, shots: Shots) -> list[int]:
        """Row of each shot's object in this rig."""
        number = {name: row for row, name in enumerate(self.objects.names)}
        names = shots.names
        unknown = [name for name in names if name not in number]
        if unknown:
            raise UsageError(f"no object is called '{unknown[0]}'", nearest(unknown[0], number))
        if not np.isfinite(shots.coordinates).all():
            raise UsageError("a shot has a view that is not finite", "give degrees")
        return [number[name] for name in names]

    def _pose(self, view: dict[str, ViewValue]) -> tuple[float, float, str]:
        full = STANDARD_VIEW | view
        return float(full["azimuth"]), float(full["elevation"]), str(full["lighting"])

    def _sittings(self, shots: Shots) -> tuple[list[Sitting], list[list[list[int]]]]:
        """Tasks, and for each of their poses the rows of ``shots`` it answers."""
        poses: dict[int, dict[tuple[float, float], list[tuple[int, str]]]] = {}
        for row, (number, view) in enumerate(zip(self._rows(shots), shots.views(), strict=True)):
            azimuth, elevation, lighting = self._pose(view)
            poses.setdefault(number, {}).setdefault((azimuth, elevation), []).append((row, lighting))
        sittings, rows = [], []
        for number, taken in poses.items():
            for first in range(0, len(taken), _POSES_A_TASK):
                part = list(taken.items())[first : first + _POSES_A_TASK]
                lit = tuple(LitPose(*angles, tuple(name for _, name in shot)) for angles, shot in part)
                sittings.append(Sitting(self.objects.names[number], self.shape(number), lit, self.settings))
                rows.append([[row for row, _ in shot] for _, shot in part])
        return sittings, rows


def _digest(key: bytes, *names: str) -> bytes:
    return hashlib.blake2b("\0".join(names).encode(), key=key, digest_size=32).digest()


def _check_lightings(names: list[str], *, is_category: bool) -> None:
    if not is_category:
        raise SpaceError("axis 'lighting' is not a category", 'write kind = "category"')
    for name in names:
        if name not in LIGHTINGS:
            raise SpaceError(f"axis 'lighting': no lighting is called '{name}'", nearest(name, LIGHTINGS))
