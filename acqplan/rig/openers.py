"""What each source of rig.toml opens; rigs that render or decode are imported only when asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NoReturn

from acqplan.errors import SpaceError, SpecError, UsageError
from acqplan.progress import SILENT, Progress
from acqplan.rig.base import Image, Source
from acqplan.rig.manifest import Manifest, read_manifest
from acqplan.rig.toml_file import TomlFile
from acqplan.space import Axis, Objects, Shots, Space

if TYPE_CHECKING:
    from acqplan.rig.manifest import Column
    from acqplan.rig.spec import RigTable
    from acqplan.rig.studio import RenderSettings

Opened = tuple[Source, Manifest | None]
"""A rig, and the manifest that names its objects."""

Opener = Callable[[TomlFile, "RigTable", int, Progress], Opened]


def open_folder(file: TomlFile, table: RigTable, workers: int, progress: Progress) -> Opened:
    """Images and their manifest.

    Raises:
        SpecError: If an axis cannot be.
        ManifestError: If the manifest cannot be used.
        ImageError: If an image cannot be used.
    """
    from acqplan.rig.folder import FolderSource

    try:
        rig = FolderSource.open(_target(file, table), columns=_columns(table), workers=workers, progress=progress)
    except SpaceError as error:
        raise _axis_error(file, table, error) from error
    return rig, rig.manifest


def open_live(file: TomlFile, table: RigTable, workers: int, progress: Progress) -> Opened:
    """A robot: axes and objects are as rig.toml says.

    Raises:
        SpecError: If axes or objects are missing or cannot be.
    """
    space = _space(file, table)
    if space is None:
        raise file.error(("source",), "a live rig needs axes", "add an [[axis]] for each thing the robot can set")
    return LiveSource(space=space, objects=_objects(file, table.objects.labels or {})), None


def open_toys(file: TomlFile, table: RigTable, workers: int, progress: Progress) -> Opened:
    """The embedded toys.

    Raises:
        SpecError: If an axis or a setting cannot be rendered.
    """
    from acqplan.rig.toys import toy_rig

    instances = 10 if table.render is None or table.render.instances is None else table.render.instances
    space, settings = _space(file, table), _settings(file, table)
    try:
        return toy_rig(space=space, settings=settings, n_instances=instances, workers=workers), None
    except SpaceError as error:
        raise _axis_error(file, table, error) from error
    except UsageError as error:
        raise file.error(("render", "instances"), error.message, error.hint) from error


def open_meshes(file: TomlFile, table: RigTable, workers: int, progress: Progress) -> Opened:
    """Meshes and their manifest.

    Raises:
        SpecError: If an axis or a setting cannot be rendered.
        ManifestError: If the manifest cannot be used.
        MeshError: If a mesh cannot be rendered.
    """
    from acqplan.rig.rendered import mesh_rig

    if table.render is not None and table.render.instances is not None:
        raise file.error(("render", "instances"), "'instances' is for toys", "remove it: path names the objects")
    path, space, settings = _target(file, table), _space(file, table), _settings(file, table)
    try:
        rig = mesh_rig(path, space=space, settings=settings, workers=workers)
    except SpaceError as error:
        raise _axis_error(file, table, error) from error
    return rig, read_manifest(path, file_column="mesh")


def open_norb(file: TomlFile, table: RigTable, workers: int, progress: Progress) -> Opened:
    """The files of smallNORB.

    Raises:
        SpecError: If axes are given.
        MissingError: If a file is not there.
        InputError: If a file cannot be used.
    """
    from acqplan.rig.norb import NorbSource

    if table.axis:
        raise file.error(("axis", 0), "the axes of smallNORB are fixed", "remove [[axis]]")
    return NorbSource.open(_target(file, table), stereo=table.stereo or "left"), None


OPENERS: dict[str, Opener] = {
    "folder": open_folder,
    "live": open_live,
    "meshes": open_meshes,
    "norb": open_norb,
    "toys": open_toys,
}


def _space(file: TomlFile, table: RigTable) -> Space | None:
    axes: list[Axis] = []
    for number, column in enumerate(_columns(table)):
        if column.values is None:
            raise file.error(("axis", number), f"axis '{column.name}' has no values", 'add e.g. values = "0:340:20"')
        try:
            axes.append(column.axis(column.values))
        except SpaceError as error:
            raise file.error(("axis", number, "values"), error.message, error.hint) from error
    try:
        return Space(axes=tuple(axes)) if axes else None
    except SpaceError as error:
        raise file.error(("axis", len(axes) - 1, "name"), error.message, error.hint) from error


def _axis_error(file: TomlFile, table: RigTable, error: SpaceError) -> SpecError:
    """A complaint about axes, at the line of the one that it names."""
    numbers = [number for number, axis in enumerate(table.axis) if f"'{axis.name}'" in error.message]
    return file.error(("axis", numbers[0] if numbers else 0, "name"), error.message, error.hint)


def _objects(file: TomlFile, labels: dict[str, list[str]]) -> Objects:
    if not labels:
        raise file.error(("objects",), "a live rig needs objects", 'add [objects.labels] with e.g. car = ["car-00"]')
    pairs = [(name, label) for label, names in labels.items() for name in names]
    try:
        return Objects(names=tuple(name for name, _ in pairs), labels=tuple(label for _, label in pairs))
    except UsageError as error:
        raise file.error(("objects", "labels"), error.message, error.hint) from error


def _settings(file: TomlFile, table: RigTable) -> RenderSettings:
    from acqplan.rig.camera import Optics
    from acqplan.rig.studio import RenderSettings

    given = {} if table.render is None else table.render.model_dump(exclude_none=True, exclude={"instances"})
    try:
        optics = Optics(size=given.pop("size")) if "size" in given else Optics()
        return RenderSettings(optics=optics, **given)
    except UsageError as error:
        raise file.error(("render",), error.message, error.hint) from error


def _columns(table: RigTable) -> list[Column]:
    return [axis.column() for axis in table.axis]


def _target(file: TomlFile, table: RigTable) -> Path:
    return file.path.parent / (table.path or "")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LiveSource:
    """Objects on a turntable that acqplan cannot move.

    Attributes:
        space: What the robot can set.
        objects: What stands on the turntable.
    """

    name: ClassVar[str] = "live"
    space: Space
    objects: Objects

    def shots(self) -> Shots:
        """Every view of every object."""
        return Shots.every(self.space, self.objects)

    def identities(self, shots: Shots) -> list[bytes]:
        """Refused: there are no images to tell apart.

        Raises:
            UsageError: Always.
        """
        return self._refuse(len(shots))

    def capture(self, shots: Shots, *, progress: Progress = SILENT) -> Iterator[tuple[int, Image]]:
        """Refused: the images must come from the robot.

        Raises:
            UsageError: Always.
        """
        return self._refuse(len(shots))

    def _refuse(self, count: int) -> NoReturn:
        raise UsageError(
            f"{count:,} images asked of a live rig, which holds none",
            "take the shots of plan.csv with the robot and give their images with --captured MANIFEST",
        )
