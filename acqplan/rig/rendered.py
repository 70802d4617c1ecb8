"""The source that renders its objects; toys and meshes differ only in where their shapes come from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import trimesh

from acqplan.errors import MeshError, SpaceError, UsageError, nearest
from acqplan.files import digest_bytes, open_file, unpacks_to_far_more
from acqplan.pool import in_order
from acqplan.progress import SILENT, Progress
from acqplan.rig.manifest import check_shots, read_manifest
from acqplan.rig.norb import CATEGORIES, norb_space
from acqplan.rig.render import (
    LIGHTINGS,
    RENDERER,
    LitPose,
    RenderSettings,
    Shape,
    Sitting,
    photograph,
    shot_names,
    visible_share,
)
from acqplan.rig.source import Image
from acqplan.runtime import available_cores
from acqplan.space import Category, Objects, Shots, Space, ViewValue
from acqplan.space.sphere import Intrinsics, Orbit

# The axes that can be set, and their values where a space does not name them.
STANDARD_VIEW: dict[str, ViewValue] = {"azimuth": 0.0, "elevation": 45.0, "lighting": "L0"}
# No mesh is larger.
MOST_BYTES = 1_000_000_000
# Formats in which +y points up and the front is +z.
Y_UP = (".glb", ".gltf")
# Share of a square as large as an object that it must fill from some direction; a stick a hundredth as thick fills 1 %.
LEAST_SHARE = 0.005
# Toys per category.
N_INSTANCES = 10
_POSES_A_TASK = 27
# Poses from which starting processes (about a second) pays.
_WORTH_PROCESSES = 300


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RenderedSource:
    """A source whose every shot can be had, at any view.

    Args:
        name: ``toys`` or ``meshes``.
        objects: The objects, with labels.
        shape_of: The shape of an object, by its row in ``objects``; asked once per object.
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
    settings: RenderSettings = field(default_factory=RenderSettings)
    workers: int = field(default_factory=available_cores)
    _shapes: dict[int, Shape] = field(default_factory=dict, init=False, repr=False)
    _identities: dict[int, bytes] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        for axis in self.space.axes:
            if axis.name not in STANDARD_VIEW:
                raise SpaceError(f"a rendered rig has no axis '{axis.name}'", nearest(axis.name, STANDARD_VIEW))
            if axis.name != "lighting" and axis.unit != "deg":
                raise SpaceError(f"axis '{axis.name}' is in '{axis.unit}'", "render with unit = 'deg'")
            if axis.name == "lighting" and not isinstance(axis, Category):
                raise SpaceError("axis 'lighting' is not a category", 'write kind = "category"')
            unknown = [name for name in axis.values if name not in LIGHTINGS] if isinstance(axis, Category) else []
            if unknown:
                said = f"axis 'lighting': no lighting is called '{unknown[0]}'"
                raise SpaceError(said, nearest(unknown[0], LIGHTINGS), asked=unknown[0])

    @property
    def orbit(self) -> Orbit | None:
        """How the camera stands to the point that it looks at, half-way up an object; ``None`` for one of a pair."""
        optics = self.settings.optics
        if self.settings.eye != "mono":
            return None
        middle, focal = optics.size / 2, optics.size / 2 * optics.distance_cm / optics.half_width_cm
        lens = Intrinsics(width=optics.size, height=optics.size, fx=focal, fy=focal, cx=middle, cy=middle)
        elevation = float(STANDARD_VIEW["elevation"])
        return Orbit(distance=optics.distance_cm, elevation=elevation, unit="cm", intrinsics=lens)

    def shots(self) -> Shots:
        """Every allowed view of every object."""
        return Shots.every(self.space, self.objects)

    def identities(self, shots: Shots) -> list[bytes]:
        """For each shot 32 bytes that determine its image; nothing is rendered."""
        keys = []
        for row, view in zip(self._rows(shots), shots.views(), strict=True):
            if row not in self._identities:
                # the text of settings is part of keys in caches, which outlive the name of the class
                settings = "Settings" + repr(self.settings).removeprefix("RenderSettings")
                lights, shape = repr(sorted(LIGHTINGS.items())), self.shape(row).digest()
                parts = (RENDERER, lights, self.objects.names[row], shape, settings)
                self._identities[row] = bytes.fromhex(digest_bytes(*(part.encode() for part in parts)))
            azimuth, elevation, lighting = _full(view)
            text = "\0".join((*shot_names(azimuth, elevation), lighting))
            keys.append(hashlib.blake2b(text.encode(), key=self._identities[row], digest_size=32).digest())
        return keys

    def capture(self, shots: Shots, *, progress: Progress = SILENT) -> Iterator[tuple[int, Image]]:
        """Render shots; the lightings of a pose share its geometry.

        Yields:
            Row of ``shots`` and grey image ``[size, size]``, grouped by object, in an order that
            depends on nothing but ``shots``.

        Raises:
            UsageError: If a shot is of an object that is not here, or its view is not finite.
        """
        # object by pose by rows and lightings, in the order of the shots
        poses: dict[int, dict[tuple[float, float], list[tuple[int, str]]]] = {}
        for row, (number, view) in enumerate(zip(self._rows(shots), shots.views(), strict=True)):
            azimuth, elevation, lighting = _full(view)
            poses.setdefault(number, {}).setdefault((azimuth, elevation), []).append((row, lighting))
        # an object of many poses is cut into tasks, so that processes share it; each pose answers some rows
        sittings, rows = list[Sitting](), []
        for number, taken in poses.items():
            for first in range(0, len(taken), _POSES_A_TASK):
                part = list(taken.items())[first : first + _POSES_A_TASK]
                lit = tuple(LitPose(*angles, tuple(name for _, name in shot)) for angles, shot in part)
                sittings.append(Sitting(self.objects.names[number], self.shape(number), lit, self.settings))
                rows.append([[row for row, _ in shot] for _, shot in part])
        workers = self.workers if sum(map(len, poses.values())) >= _WORTH_PROCESSES else 1
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

    def _rows(self, shots: Shots) -> list[int]:
        """Row of each shot's object in this source."""
        row_of = {name: row for row, name in enumerate(self.objects.names)}
        names = shots.names
        unknown = next((name for name in names if name not in row_of), None)
        if unknown is not None:
            raise UsageError(f"no object is called '{unknown}'", nearest(unknown, row_of), asked=unknown)
        if not np.isfinite(shots.coordinates).all():
            raise UsageError("a shot has a view that is not finite", "give degrees")
        return [row_of[name] for name in names]


def _full(view: dict[str, ViewValue]) -> tuple[float, float, str]:
    """Azimuth, elevation and lighting of a view."""
    full = STANDARD_VIEW | view
    return float(full["azimuth"]), float(full["elevation"]), str(full["lighting"])


def toy_rig(
    *,
    space: Space | None = None,
    settings: RenderSettings | None = None,
    n_instances: int = N_INSTANCES,
    workers: int | None = None,
) -> RenderedSource:
    """A source of toys, named like ``car-00``: five categories of ten shapes each.

    Args:
        space: Which views; those of smallNORB unless given.
        settings: Seed of noise and jitter, noise, camera.
        n_instances: Toys per category, 1 to 10, each of a body plan of its own.
        workers: Processes for large captures; all cores unless given.

    Raises:
        UsageError: If ``n_instances`` is out of range.
    """
    if not 1 <= n_instances <= N_INSTANCES:
        raise UsageError(f"{n_instances} toys a category", f"give 1 to {N_INSTANCES}", asked=n_instances)
    names = tuple(f"{label}-{number:02d}" for label in CATEGORIES for number in range(n_instances))
    return RenderedSource(
        name="toys",
        objects=Objects(names=names, labels=tuple(name[:-3] for name in names)),
        shape_of=lambda row: toy_shapes()[names[row]],
        space=space or norb_space(),
        settings=settings or RenderSettings(),
        workers=workers or available_cores(),
    )


@cache
def toy_shapes() -> dict[str, Shape]:
    """The shape of each toy by its name; `benchmarks.toyshop.toys` made and packed them."""
    with np.load(Path(__file__).with_name("toys.npz")) as stored:
        counts, planes, differences = stored["counts"], stored["vertices"], stored["faces"]
    # the bytes of a coordinate are stored apart, and each corner as its difference to the one before
    vertices = np.ascontiguousarray(planes.T).view("<f4")[..., 0]
    faces = np.cumsum(differences, dtype=np.int32).reshape(-1, 3)
    names = [f"{label}-{number:02d}" for label in CATEGORIES for number in range(N_INSTANCES)]
    parts = (np.split(array, np.cumsum(counts[:-1, column])) for column, array in enumerate((vertices, faces)))
    return {name: Shape(*arrays) for name, *arrays in zip(names, *parts, strict=True)}


def mesh_rig(
    path: Path,
    *,
    space: Space | None = None,
    settings: RenderSettings | None = None,
    up: Literal["y", "z"] = "z",
    workers: int | None = None,
) -> RenderedSource:
    """A source of the meshes in a manifest, each brought to the size of the toys.

    Args:
        path: CSV with the columns mesh, label and object; meshes lie below its folder.
        space: Which views; those of smallNORB unless given.
        settings: Seed, noise, camera.
        up: Axis of the meshes that points up: +z with the front +x, or +y with the front +z, as it is in glTF by its
            specification, whatever is given.
        workers: Processes for large captures; all cores unless given.

    Raises:
        ManifestError: If the manifest is not valid or an object appears twice.
        MeshError: If a mesh is missing, cannot be read, has no faces, no extent or no finite vertices, or is hardly
            seen.
    """
    manifest = read_manifest(path, file_column="mesh")
    check_shots(manifest, (), np.zeros((len(manifest), 0)))
    objects = manifest.objects()
    shapes = {
        name: _load_shape(file, where=manifest.where(row), up=up)
        for row, (name, file) in enumerate(zip(manifest.names, manifest.files, strict=True))
    }
    return RenderedSource(
        name="meshes",
        objects=objects,
        shape_of=lambda row: shapes[objects.names[row]],
        space=space or norb_space(),
        settings=settings or RenderSettings(),
        workers=workers or available_cores(),
    )


def _load_shape(file: Path, *, where: str, up: str) -> Shape:
    """Read a mesh in any format that trimesh knows and stand it on the table; errors name the manifest's line."""
    said = f"{where}: mesh '{file.name}'"
    if not file.exists() or file.is_dir():
        raise MeshError(f"{said} does not exist", f"put it at {file} or correct the path")
    try:
        with open_file(file, most=MOST_BYTES):
            pass
    except OSError as error:
        raise MeshError(f"{said} cannot be read ({error.strerror})", "export it again", path=file) from error
    if file.name.endswith((".bz2", ".gz")) or unpacks_to_far_more(file):
        raise MeshError(f"{said} is packed, and might fill memory", "unpack it", path=file)
    try:
        mesh: Any = trimesh.load(file, force="mesh", process=False, skip_materials=True)
    except Exception as error:  # parsers of fifty formats raise whatever comes
        known = ", ".join(sorted(trimesh.available_formats()))
        raise MeshError(f"{said} cannot be read ({error})", f"formats: {known}", path=file) from error
    vertices, faces = np.asarray(mesh.vertices, dtype=np.float64), np.asarray(mesh.faces)
    if faces.ndim != 2 or not len(faces):
        raise MeshError(f"{said} has no faces", "export the surface, not points or lines alone")
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise MeshError(f"{said} has a face of vertices that are not there", "export it again")
    if not np.isfinite(vertices[faces]).all():
        raise MeshError(f"{said} has a vertex that is not finite", "repair it: every coordinate must be a number")
    if up == "y" or file.suffix.lower() in Y_UP:
        vertices = vertices[:, [2, 0, 1]]
    extent = " x ".join(f"{side:.3g}" for side in np.ptp(vertices[faces].reshape(-1, 3), axis=0))
    try:
        shape = Shape.standing(vertices, faces)
    except ValueError as error:
        raise MeshError(f"{said} has no extent that can be scaled: {extent}", "export it again") from error
    share = visible_share(shape)
    if share < LEAST_SHARE:
        complaint = f"is hardly seen: its faces fill {share:.2%} of a view of its extent, {extent}"
        raise MeshError(f"{said} {complaint}", "take away stray vertices, and faces without area", path=file)
    return shape
