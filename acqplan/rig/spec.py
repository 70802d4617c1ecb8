"""The rig that rig.toml describes, opened by its kind of source."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from acqplan.errors import SpaceError, nearest
from acqplan.files import digest_bytes
from acqplan.progress import SILENT, Progress
from acqplan.rig.deployment import deployment_weights
from acqplan.rig.manifest import Manifest, check_splittable, read_manifest
from acqplan.rig.source import LiveSource, Source
from acqplan.rig.toml_file import RigTable, TomlFile
from acqplan.runtime import available_cores
from acqplan.space import Axis, Objects, Space

if TYPE_CHECKING:
    from acqplan.rig.studio import RenderSettings

RESERVED = ("image", "mesh", "label", "object", "shot", "order", "round", "gain", "reason", "state")
"""Columns of a manifest or of plan.csv; an axis with such a name would be mistaken for one of them."""

MEANING = {"path": ("folder", "meshes", "norb"), "stereo": ("norb",), "render": ("toys", "meshes")}
"""Keys that mean something for some sources only."""

EMBEDDED = TomlFile(path=Path("embedded toys"), content={"source": "toys"}, lines={})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rig:
    """A rig: what takes shots of which objects from which views, what that costs, and which objects are for testing.

    `open_rig` makes one from rig.toml. A program may also make one from a source of its own, i.e. from any class that
    follows the protocol `acqplan.rig.source.Source`:

        rig = Rig(source=MyRobot(), seconds_per_shot=0.4, seconds_per_object=20)

    A rig holds no images and does not change; a source takes shots when it is asked to capture them.

    Attributes:
        source: What takes the shots; holds the design space (``source.space``) and the objects with their labels
            (``source.objects``).
        path: The rig.toml; ``None`` for the embedded toys and for a rig that a program made.
        manifest: The table that the objects were read from; ``None`` if they were not read from a table.
        test_fraction: Share of the objects of each label that are test objects, above 0 and below 1.
        test: Names of the test objects; if empty, they are drawn by ``test_fraction``.
        seconds_per_shot: Exposure and transfer of one image. Times along an axis belong to the axis.
        seconds_per_object: Time to put another object on the turntable.
        view_weights: How often the finished classifier will meet each view, over the most frequent view, in the order
            of ``source.space.views()``, shape ``[views]``; ``None`` if all views count alike.
    """

    source: Source
    path: Path | None = None
    manifest: Manifest | None = None
    test_fraction: float = 0.5
    test: tuple[str, ...] = ()
    seconds_per_shot: float = 0.0
    seconds_per_object: float = 0.0
    view_weights: Float[np.ndarray, " views"] | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of kind, space, objects, labels and weights; equal for equal rigs wherever their files are."""
        objects = sorted(zip(self.source.objects.names, self.source.objects.labels, strict=True))
        parts = [self.source.name, self.source.space.digest(), json.dumps(objects, ensure_ascii=False)]
        if self.view_weights is not None:
            parts.append(json.dumps(np.round(self.view_weights, 9).tolist()))
        return digest_bytes(*(part.encode() for part in parts))

    def check_splittable(self) -> None:
        """Refuse objects that cannot be split into train and test within each label.

        Raises:
            ManifestError: If a label has one object only; names the manifest's line.
        """
        if self.manifest is not None and not self.test:
            check_splittable(self.manifest)


def open_rig(path: Path | str | None = None, *, workers: int | None = None, progress: Progress = SILENT) -> Rig:
    """Open the rig that a file describes; everything that can be wrong with it is found here.

    Args:
        path: A rig.toml; ``None`` for the embedded toys. Paths in it are relative to its folder.
        workers: Threads or processes that decode or render; by default one per core.
        progress: Receives each file that is checked.

    Raises:
        SpecError: If rig.toml cannot be used; names file, line, and the nearest known key.
        ManifestError: If the manifest cannot be used.
        ImageError: If an image cannot be used.
        MeshError: If a mesh cannot be rendered.
        MissingError: If a file of smallNORB is missing.
        InputError: If a file of smallNORB cannot be used.
    """
    # what the file says on its own
    file = EMBEDDED if path is None else TomlFile.read(Path(path))
    table = RigTable.of(file)
    _check_keys(file, table)
    # what it names: images, meshes, objects
    source, manifest = OPENERS[table.source](file, table, workers or available_cores(), progress)
    # which of them are for testing
    test = tuple(table.objects.test or ())
    if table.objects.test is None and table.objects.test_fraction is None:
        test = getattr(source, "testing", ())  # smallNORB brings its own split
    for name in test:
        if name not in source.objects.names:
            hint = nearest(name, source.objects.names)
            raise file.error(("objects", "test"), f"test object '{name}' is unknown", hint, asked=name)
    if len(set(test)) == len(source.objects):
        raise file.error(("objects", "test"), "all objects are test objects", "leave some of each label to train on")
    return Rig(
        source=source,
        path=None if path is None else Path(path),
        manifest=manifest,
        test_fraction=0.5 if table.objects.test_fraction is None else table.objects.test_fraction,
        test=test,
        seconds_per_shot=table.shot.seconds,
        seconds_per_object=table.objects.seconds_per_change,
        view_weights=deployment_weights(file, table.deployment, source.space),
    )


def _check_keys(file: TomlFile, table: RigTable) -> None:
    """Refuse keys that mean nothing for the source, lack each other, or exclude each other."""
    for key, sources in MEANING.items():
        if getattr(table, key) is not None and table.source not in sources:
            raise file.error((key,), f"'{key}' has no meaning for source '{table.source}'", "remove it")
    if table.path is None and table.source in MEANING["path"]:
        raise file.error(("source",), f"source '{table.source}' needs a path", 'add e.g. path = "manifest.csv"')
    if table.objects.labels is not None and table.source != "live":
        hint = "remove it: path names the objects"
        raise file.error(("objects", "labels"), "[objects.labels] is for live rigs", hint)
    if table.objects.test is not None and table.objects.test_fraction is not None:
        raise file.error(("objects", "test"), "both 'test' and 'test_fraction' are given", "remove one")
    for number, axis in enumerate(table.axis):
        if axis.name in RESERVED:
            raise file.error(("axis", number, "name"), f"an axis cannot be called '{axis.name}'", "rename it")


Opened = tuple[Source, Manifest | None]
"""A source, and the manifest that names its objects."""


# Opening a source of one kind imports only what that kind needs: a live rig needs no renderer.


def _open_folder(file: TomlFile, table: RigTable, workers: int, progress: Progress) -> Opened:
    from acqplan.rig.folder import FolderSource

    with _axis_errors(file, table):
        path = _target(file, table)
        source = FolderSource.open(path, columns=table.columns(), workers=workers, progress=progress)
    return source, source.manifest


def _open_live(file: TomlFile, table: RigTable, workers: int, progress: Progress) -> Opened:
    space = _space(file, table)
    if space is None:
        raise file.error(("source",), "a live rig needs axes", "add an [[axis]] for each thing the robot can set")
    labels = table.objects.labels or {}
    if not labels:
        hint = 'add [objects.labels] with e.g. car = ["car-00"]'
        raise file.error(("objects",), "a live rig needs objects", hint)
    pairs = [(name, label) for label, names in labels.items() for name in names]
    with file.at("objects", "labels"):
        objects = Objects(names=tuple(name for name, _ in pairs), labels=tuple(label for _, label in pairs))
    return LiveSource(space=space, objects=objects), None


def _open_meshes(file: TomlFile, table: RigTable, workers: int, progress: Progress) -> Opened:
    from acqplan.rig.rendered import mesh_rig

    if table.render is not None and table.render.instances is not None:
        raise file.error(("render", "instances"), "'instances' is for toys", "remove it: path names the objects")
    path, space, settings = _target(file, table), _space(file, table), _settings(file, table)
    with _axis_errors(file, table):
        source = mesh_rig(path, space=space, settings=settings, workers=workers)
    return source, read_manifest(path, file_column="mesh")


def _open_norb(file: TomlFile, table: RigTable, workers: int, progress: Progress) -> Opened:
    from acqplan.rig.norb import NorbSource

    if table.axis:
        raise file.error(("axis", 0), "the axes of smallNORB are fixed", "remove [[axis]]")
    return NorbSource.open(_target(file, table), stereo=table.stereo or "left"), None


def _open_toys(file: TomlFile, table: RigTable, workers: int, progress: Progress) -> Opened:
    from acqplan.rig.rendered import toy_rig

    instances = 10 if table.render is None or table.render.instances is None else table.render.instances
    space, settings = _space(file, table), _settings(file, table)
    with file.at("render", "instances"), _axis_errors(file, table):
        return toy_rig(space=space, settings=settings, n_instances=instances, workers=workers), None


OPENERS: dict[str, Callable[[TomlFile, RigTable, int, Progress], Opened]] = {
    "folder": _open_folder,
    "live": _open_live,
    "meshes": _open_meshes,
    "norb": _open_norb,
    "toys": _open_toys,
}


def _space(file: TomlFile, table: RigTable) -> Space | None:
    """The design space of the axes in the file; ``None`` if there are none."""
    axes: list[Axis] = []
    for number, column in enumerate(table.columns()):
        if column.values is None:
            raise file.error(("axis", number), f"axis '{column.name}' has no values", 'add e.g. values = "0:340:20"')
        with file.at("axis", number, "values"):
            axes.append(column.axis(column.values))
    with file.at("axis", len(axes) - 1, "name"):
        return Space(axes=tuple(axes)) if axes else None


def _settings(file: TomlFile, table: RigTable) -> RenderSettings:
    from acqplan.rig.camera import Optics
    from acqplan.rig.studio import RenderSettings

    given = {} if table.render is None else table.render.model_dump(exclude_none=True, exclude={"instances"})
    with file.at("render"):
        optics = Optics(size=given.pop("size")) if "size" in given else Optics()
        return RenderSettings(optics=optics, **given)


def _target(file: TomlFile, table: RigTable) -> Path:
    return file.path.parent / (table.path or "")


@contextmanager
def _axis_errors(file: TomlFile, table: RigTable) -> Iterator[None]:
    """Errors of a source about its axes name the line of the axis in question."""
    try:
        yield
    except SpaceError as error:
        numbers = [number for number, axis in enumerate(table.axis) if f"'{axis.name}'" in error.message]
        location = ("axis", numbers[0] if numbers else 0, "name")
        raise file.error(location, error.message, error.hint, asked=error.asked) from error
