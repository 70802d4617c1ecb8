"""The rig that rig.toml describes: its source, its split, and the views that the finished classifier will meet."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Bool, Float

from acqplan.errors import ManifestError, SpaceError, SpecError, UnclearError, UsageError, nearest
from acqplan.files import digest_bytes
from acqplan.numbers import names_alike, shortened
from acqplan.progress import SILENT, Progress
from acqplan.rig.manifest import AxisColumn, Manifest, axis_coordinates, read_manifest
from acqplan.rig.source import LiveSource, Source
from acqplan.rig.toml_file import CategoryTable, RigTable, TomlFile
from acqplan.runtime import available_cores
from acqplan.space import Axis, Category, Circle, Objects, Space
from acqplan.space.sphere import Intrinsics, Orbit
from acqplan.table import read_table

if TYPE_CHECKING:
    from acqplan.rig.render import RenderSettings

# Columns of a manifest or of plan.csv; an axis with such a name would be mistaken for one of them.
RESERVED = ("image", "mesh", "label", "object", "shot", "order", "round", "gain", "reason", "state")
# Keys that mean something for some sources only.
MEANING = {"path": ("folder", "meshes", "norb"), "stereo": ("norb",), "render": ("toys", "meshes")}
MEANING |= dict.fromkeys(("pattern", "roots", "columns", "image"), ("folder",))
# Tables of photographs; acqplan's own is a CSV.
PHOTOGRAPHS = (".csv", ".tsv", ".jsonl")
# Levels closer than this, in the unit of their axis, are the same.
SAME = 1e-6
EMBEDDED = TomlFile(
    path=Path("embedded toys"), content={"source": "toys", "objects": {"seconds_per_change": 20.0}}, lines={}
)


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
        test_fraction: Share of the objects of each label (or of the views) that a plan leaves to its test, below 1;
            0 for no test.
        test: Names of the test objects; if empty, they are drawn by ``test_fraction``. ``"views"`` to test on views
            of the same objects, as is done where every label has one object.
        seconds_per_shot: Exposure and transfer of one image. Times along an axis belong to the axis.
        seconds_per_object: Time to put another object on the turntable; ``None`` if it is not known: then shots of one
            object are taken together. 0 says that the order of objects costs nothing.
        settle_seconds: Waiting until nothing shakes any more: after a move of an axis of numbers or a change of the
            object, before the exposure.
        view_weights: How often the finished classifier will meet each view, over the most frequent view, in the order
            of ``source.space.views()``, shape ``[views]``; ``None`` if all views count alike.
        camera: How the camera stands to the objects, which makes poses of views; ``None`` if that is not known.
    """

    source: Source
    path: Path | None = None
    manifest: Manifest | None = None
    test_fraction: float = 0.5
    test: tuple[str, ...] | Literal["views"] = ()
    seconds_per_shot: float = 0.0
    seconds_per_object: float | None = None
    settle_seconds: float = 0.0
    view_weights: Float[np.ndarray, " views"] | None = None
    camera: Orbit | None = None

    def __repr__(self) -> str:
        return f"Rig({self.path or self.source.name!r}, {self.source.objects}, {self.source.space})"

    @property
    def doubts(self) -> str:
        """Labels or objects that may be meant as one, as a warning; empty if there are none."""
        for what, names in (("labels", self.source.objects.classes), ("objects", self.source.objects.names)):
            if alike := names_alike(names):
                return f"{what} {alike} are different, although they read as one: is that meant?"
        return ""

    @property
    def axes_words(self) -> str:
        """What of a folder's manifest is read, ``axes: azimuth, elevation; ignored: frame``; empty for other rigs."""
        if self.manifest is None or self.source.name != "folder":
            return ""
        names, others = self.source.space.names, {"image", "label", "object"}
        ignored = ", ".join(name for name in self.manifest.columns if name not in {*names, *others})
        said = f"axes: {', '.join(names)}" + (f"; ignored: {shortened(ignored, 200)}" if ignored else "")
        return said + (f"; understood: {self.manifest.dialect}" if self.manifest.dialect else "")

    @property
    def digest(self) -> str:
        """SHA-256 of kind, space, objects, labels and weights; equal for equal rigs wherever their files are."""
        objects = sorted(zip(self.source.objects.names, self.source.objects.labels, strict=True))
        parts = [self.source.name, self.source.space.digest(), json.dumps(objects, ensure_ascii=False)]
        if self.view_weights is not None:
            parts.append(json.dumps(np.round(self.view_weights, 9).tolist()))
        return digest_bytes(*(part.encode() for part in parts))


def open_rig(path: Path | str | None = None, *, workers: int | None = None, progress: Progress = SILENT) -> Rig:
    """Open the rig that a file describes; everything that can be wrong with it is found here.

    Args:
        path: A rig.toml; ``None`` for the embedded toys. Paths in it are relative to its folder. A folder of
            photographs, or a table of them, is a rig as `acqplan.exchange.found.understand` understands it.
        workers: Threads or processes that decode or render; by default one per core.
        progress: Receives each file that is checked.

    Raises:
        SpecError: If rig.toml cannot be used; names file, line, and the nearest known key.
        UnclearError: If something of photographs cannot be known; names ``acqplan init``, which asks.
        ManifestError: If the manifest cannot be used.
        ImageError: If an image cannot be used.
        MeshError: If a mesh cannot be rendered.
        MissingError: If a file of smallNORB is missing.
        InputError: If a file of smallNORB cannot be used.
    """
    if path is not None and (Path(path).is_dir() or Path(path).suffix.lower() in PHOTOGRAPHS):
        return _photographs(Path(path), workers, progress)
    # what the file says on its own
    file = EMBEDDED if path is None else TomlFile.read(Path(path))
    table = RigTable.of(file)
    _check_keys(file, table)
    # what it names: images, meshes, objects
    source, manifest = _open_source(file, table, workers or available_cores(), progress)
    # which of them are for testing
    asked = table.objects.test
    test = tuple(asked) if isinstance(asked, list) else ()
    if table.objects.test is None and table.objects.test_fraction is None:
        test = getattr(source, "testing", ())  # smallNORB brings its own split
    for name in test:
        if name not in source.objects.names:
            hint = nearest(name, source.objects.names)
            raise file.error(("objects", "test"), f"test object '{name}' is unknown", hint, asked=name)
    if test and len(set(test)) == len(source.objects):
        raise file.error(("objects", "test"), "all objects are test objects", "leave some of each label to train on")
    return Rig(
        source=source,
        path=None if path is None else Path(path).absolute(),
        manifest=manifest,
        test_fraction=0.5 if table.objects.test_fraction is None else table.objects.test_fraction,
        test="views" if asked == "views" else test,
        seconds_per_shot=table.shot.seconds,
        seconds_per_object=table.objects.seconds_per_change,
        settle_seconds=table.shot.settle_seconds,
        view_weights=_view_weights(file, table.deployment, source.space),
        camera=_camera(file, table, source),
    )


def _photographs(path: Path, workers: int | None, progress: Progress) -> Rig:
    """The rig of a folder of photographs without a rig.toml, or of a table of them."""
    from acqplan.exchange.found import understand
    from acqplan.rig.folder import FolderSource

    if (path / "rig.toml").is_file():
        return open_rig(path / "rig.toml", workers=workers, progress=progress)
    try:
        found = understand(path, progress=progress)
    except UnclearError as error:
        error.hint += f"; acqplan init {path} asks, and writes rig.toml"
        raise
    dialect = found.manifest.dialect or ", ".join([found.reader, *found.said])
    manifest = replace(found.manifest, dialect=dialect)
    source = FolderSource.open(manifest, columns=found.columns, workers=workers, progress=progress)
    return Rig(source=source, path=path.absolute(), manifest=manifest)


def _check_keys(file: TomlFile, table: RigTable) -> None:
    """Refuse keys that mean nothing for the source, lack each other, or exclude each other."""
    for key, sources in MEANING.items():
        if getattr(table, key) is not None and table.source not in sources:
            raise file.error((key,), f"'{key}' has no meaning for source '{table.source}'", "remove it")
    for key in ("step", "offset"):
        if getattr(table, key) is not None and table.pattern is None:
            raise file.error((key,), f"'{key}' is for frame numbers of a pattern", "add pattern, or remove it")
    if table.pattern is not None and table.columns is not None:
        raise file.error(("columns",), "both 'pattern' and [columns] are given", "a pattern has no columns: remove one")
    if table.path is None and table.source in MEANING["path"] and table.pattern is None:
        raise file.error(("source",), f"source '{table.source}' needs a path", 'add e.g. path = "manifest.csv"')
    if table.objects.labels is not None and table.source != "live":
        hint = "remove it: path names the objects"
        raise file.error(("objects", "labels"), "[objects.labels] is for live rigs", hint)
    if isinstance(table.objects.test, list) and table.objects.test_fraction is not None:
        raise file.error(("objects", "test"), "both 'test' and 'test_fraction' are given", "remove one")
    for number, axis in enumerate(table.axis):
        if axis.name in RESERVED:
            raise file.error(("axis", number, "name"), f"an axis cannot be called '{axis.name}'", "rename it")
        if not isinstance(axis, CategoryTable) and axis.speed and axis.seconds_per_unit:
            said = f"axis '{axis.name}' has both 'speed' and 'seconds_per_unit'"
            raise file.error(("axis", number, "speed"), said, "remove one: 20 degrees a second are 0.05 s a degree")


def _open_source(file: TomlFile, table: RigTable, workers: int, progress: Progress) -> tuple[Source, Manifest | None]:
    """A source, and the manifest that names its objects; imports only what it needs: a live rig needs no renderer."""
    path = file.path.parent / (table.path or "")
    match table.source:
        case "folder":
            from acqplan.rig.folder import FolderSource

            manifest, columns = _manifest(file, table, path)
            crop = table.image.crop if table.image else None
            with _axis_errors(file, table):
                images = FolderSource.open(manifest, columns=columns, crop=crop, workers=workers, progress=progress)
            return images, images.manifest
        case "live":
            space, labels = _space(file, table), table.objects.labels
            if space is None:
                hint = "add an [[axis]] for each thing the robot can set"
                raise file.error(("source",), "a live rig needs axes", hint)
            if not labels:
                hint = 'add [objects.labels] with e.g. car = ["car-00"]'
                raise file.error(("objects",), "a live rig needs objects", hint)
            of_objects = tuple(label for label, names in labels.items() for _ in names)
            with file.at("objects", "labels"):
                objects = Objects(names=tuple(chain.from_iterable(labels.values())), labels=of_objects)
            return LiveSource(space=space, objects=objects), None
        case "meshes":
            from acqplan.rig.rendered import mesh_rig

            if table.render is not None and table.render.instances is not None:
                raise file.error(
                    ("render", "instances"), "'instances' is for toys", "remove it: path names the objects"
                )
            space, settings = _space(file, table), _settings(file, table)
            with _axis_errors(file, table):
                up = table.render.up if table.render and table.render.up else "z"
                meshes = mesh_rig(path, space=space, settings=settings, up=up, workers=workers)
            return meshes, read_manifest(path, file_column="mesh")
        case "norb":
            from acqplan.rig.norb import NorbSource

            if table.axis:
                raise file.error(("axis", 0), "the axes of smallNORB are fixed", "remove [[axis]]")
            return NorbSource.open(path, stereo=table.stereo or "left"), None
        case "toys":
            from acqplan.rig.rendered import toy_rig

            if table.render is not None and table.render.up is not None:
                raise file.error(("render", "up"), "'up' is for meshes", "remove it: toys stand as they are")
            instances = 10 if table.render is None or table.render.instances is None else table.render.instances
            space, settings = _space(file, table), _settings(file, table)
            with file.at("render", "instances"), _axis_errors(file, table):
                return toy_rig(space=space, settings=settings, n_instances=instances, workers=workers), None


def _manifest(file: TomlFile, table: RigTable, path: Path) -> tuple[Manifest, list[AxisColumn]]:
    """The manifest of a folder of images, read or made of their names, and its axes; none for those of known names."""
    from acqplan.rig.names import NamePattern, image_names

    roots, columns = [file.path.parent / root for root in table.roots or ()], table.axis_columns()
    if table.pattern is None:
        return read_manifest(path, file_column="image", names=table.columns, roots=roots), columns
    if not path.is_dir():
        raise file.error(("path",), f"'{table.path}' is no folder", "with a pattern, path is the folder of the images")
    with file.at("pattern"):
        pattern = NamePattern(text=table.pattern, step=table.step, offset=table.offset or 0.0)
        rows = pattern.read(image_names(path)[0])
    declared = {column.name for column in columns}
    columns += [column for column in rows.columns() if column.name not in declared]
    return rows.manifest(path, roots=roots), columns


def _space(file: TomlFile, table: RigTable) -> Space | None:
    """The design space of the axes in the file; ``None`` if there are none."""
    axes: list[Axis] = []
    for number, column in enumerate(table.axis_columns()):
        if column.values is None:
            raise file.error(("axis", number), f"axis '{column.name}' has no values", 'add e.g. values = "0:340:20"')
        with file.at("axis", number, "values"):
            axes.append(column.axis(column.values))
    with file.at("axis", len(axes) - 1, "name"):
        return Space(axes=tuple(axes)) if axes else None


def _camera(file: TomlFile, table: RigTable, source: Source) -> Orbit | None:
    """What [camera] says; what it leaves out, a rendered source knows. ``None`` if nobody says anything."""
    known: Orbit | None = getattr(source, "orbit", None)
    given = table.camera.model_dump(exclude_none=True)
    if lens := given.pop("intrinsics", None):
        width, height, fov = lens["width"], lens["height"], lens.pop("fov", None)
        with file.at("camera", "intrinsics"):
            if (fov is None) == ("fx" not in lens):
                raise UsageError("give either fx or fov", "fx in pixels, or fov in degrees from left to right")
            if fov is not None:
                given["intrinsics"] = Intrinsics.from_fov(width, height, fov)
            else:
                usual = {"fy": lens["fx"], "cx": width / 2, "cy": height / 2}
                given["intrinsics"] = Intrinsics(**usual | lens)
    with file.at("camera"):
        given |= {name: tuple(given[name]) for name in ("target", "up") if name in given}
        return replace(known or Orbit(), **given) if given else known


def _settings(file: TomlFile, table: RigTable) -> RenderSettings:
    from acqplan.rig.camera import Optics
    from acqplan.rig.render import RenderSettings

    given = {} if table.render is None else table.render.model_dump(exclude_none=True, exclude={"instances", "up"})
    with file.at("render"):
        optics = Optics(size=given.pop("size")) if "size" in given else Optics()
        return RenderSettings(optics=optics, **given)


@contextmanager
def _axis_errors(file: TomlFile, table: RigTable) -> Iterator[None]:
    """Errors of a source about its axes name the line of the axis in question."""
    try:
        yield
    except SpaceError as error:
        numbers = [number for number, axis in enumerate(table.axis) if f"'{axis.name}'" in error.message]
        location = ("axis", numbers[0] if numbers else 0, "name")
        raise file.error(location, error.message, error.hint, asked=error.asked) from error


def _view_weights(file: TomlFile, given: Mapping[str, object], space: Space) -> Float[np.ndarray, " views"] | None:
    """How often each view will be met, over the most frequent, as [deployment] says; ``None`` if all are alike.

    For some axes it gives ``from:to`` (going up, so that a circle may wrap) or a list of levels, which must all hold;
    or ``weights``, a CSV of the axes and ``weight``, where views that it leaves out weigh 0.
    """
    if "weights" in given:
        weights = _listed_weights(file, given, space)
        weights = weights / weights.max()
        return None if np.ptp(weights) == 0.0 else weights
    # a view counts if it meets the wishes for all axes
    views, inside = space.views(), np.ones(space.n_views, dtype=bool)
    for name, wish in given.items():
        if name not in space.names:
            hint = nearest(name, [*space.names, "weights"])
            raise file.error(("deployment", name), f"unknown key '{name}' in [deployment]", hint)
        column = space.names.index(name)
        axis, values = space.axes[column], views[:, column]
        if isinstance(wish, list) and wish:
            inside &= np.any([_at_level(file, axis, level, values) for level in wish], axis=0)
        elif isinstance(wish, str) and not isinstance(axis, Category):
            inside &= _in_range(file, axis, wish, values)
        else:
            example = str(list(axis.values[:1])).replace("'", '"')
            found, more = "no list of levels", ""
            if not isinstance(axis, Category):
                found, more = "no list of levels and no range", ' or a range such as "30:45"'
            raise _wish_error(file, axis, wish, f"is {found}", f"give a list such as {example}{more}")
    if not inside.any():
        raise file.error(("deployment",), "no view lies in all ranges of [deployment]", "widen one")
    return None if inside.all() else inside.astype(np.float64)


def _in_range(file: TomlFile, axis: Axis, wish: str, values: Float[np.ndarray, " views"]) -> Bool[np.ndarray, " views"]:
    """Whether each view lies in a range ``from:to``, both ends included."""
    try:
        start, stop = (float(part) for part in wish.split(":"))
    except ValueError as error:
        raise _wish_error(file, axis, wish, "is not of the form from:to", 'write e.g. "30:45"') from error
    if not (math.isfinite(start) and math.isfinite(stop)):
        raise _wish_error(file, axis, wish, "is not finite", 'write e.g. "30:45"')
    length, beyond = stop - start, values - start
    if isinstance(axis, Circle):
        # a circle is passed upwards, at most once around; a view a hair before the start counts as at the start
        length = axis.period if abs(length) >= axis.period else length % axis.period
        beyond = np.mod(beyond + SAME, axis.period) - SAME
    if length < 0.0:
        raise _wish_error(file, axis, wish, "runs backwards", f'write e.g. "{stop:g}:{start:g}"')
    inside: Bool[np.ndarray, " views"] = (beyond <= length + SAME) & (beyond >= -SAME)
    if not inside.any():
        raise _wish_error(file, axis, wish, "holds no view", f"its views: {_first_levels(axis, values)}")
    return inside


def _at_level(
    file: TomlFile, axis: Axis, level: object, values: Float[np.ndarray, " views"]
) -> Bool[np.ndarray, " views"]:
    """Whether each view is at a level."""
    if isinstance(axis, Category):
        inside = values == axis.values.index(str(level)) if level in axis.values else np.zeros(len(values), dtype=bool)
    elif isinstance(level, int | float) and not isinstance(level, bool) and math.isfinite(level):
        place = level % axis.period if isinstance(axis, Circle) else float(level)
        inside = axis.difference(values, np.array(place)) <= SAME
    else:
        raise _wish_error(file, axis, level, "is not a number", "give a level of the axis")
    if not inside.any():
        hint = nearest(str(level), axis.values) if isinstance(axis, Category) else _first_levels(axis, values)
        raise _wish_error(file, axis, level, "is the level of no view", hint)
    return inside


def _wish_error(file: TomlFile, axis: Axis, found: object, complaint: str, hint: str) -> SpecError:
    return file.error(("deployment", axis.name), f"deployment.{axis.name}: {found!r} {complaint}", hint, asked=found)


def _first_levels(axis: Axis, values: Float[np.ndarray, " views"]) -> str:
    """The first levels of some views, as text."""
    levels = np.unique(values)
    few = ", ".join(f"{level:g}" for level in levels[:8])
    return f"{few}{', …' if len(levels) > 8 else ''} {axis.unit}".rstrip()


def _listed_weights(file: TomlFile, given: Mapping[str, object], space: Space) -> Float[np.ndarray, " views"]:
    """Weights from a CSV."""
    if len(given) > 1:
        other = next(name for name in given if name != "weights")
        raise file.error(("deployment", other), f"both 'weights' and '{other}' are given in [deployment]", "remove one")
    name = given["weights"]
    if not isinstance(name, str) or not name:
        said = f"deployment.weights = {name!r} is no file"
        raise file.error(("deployment", "weights"), said, 'write e.g. "views.csv"')
    table = read_table(file.path.parent / name, required=(*space.names, "weight"), named_by="'weights' in rig.toml")
    coordinates = np.stack([axis_coordinates(table, axis) for axis in space.axes], axis=1)
    row_of = {view: row for row, view in enumerate(_view_keys(space, space.views()))}
    # views that the table leaves out weigh nothing
    weights, line_of = np.zeros(space.n_views), dict[int, int]()
    for row, (key, weight) in enumerate(zip(_view_keys(space, coordinates), table.numbers("weight"), strict=True)):
        if key not in row_of:
            raise table.error(row, "the rig has no such view", "take the line out")
        view = row_of[key]
        if view in line_of:
            raise table.error(row, f"this view is already on line {line_of[view]}", "remove one")
        if weight < 0.0:
            raise table.error(row, f"weight {weight:g} is negative", "give 0 or more", asked=weight)
        line_of[view], weights[view] = table.lines[row], weight
    if weights.max() <= 0.0:
        found, hint = "all weights are 0", "give the views that will be met more"
        if not len(table):
            found, hint = "no view has a weight", "give one row for each view that will be met"
        raise ManifestError(f"{table.path}: line 1: {found}", hint, path=table.path, line=1)
    return weights


def _view_keys(space: Space, coordinates: Float[np.ndarray, "views axes"]) -> list[tuple[float, ...]]:
    """What tells views apart: coordinates rounded, circles wrapped."""
    rounded = np.round(coordinates, 6) + 0.0
    for column, axis in enumerate(space.axes):
        if isinstance(axis, Circle):
            rounded[:, column] = np.mod(rounded[:, column], axis.period)
    return [tuple(row) for row in rounded.tolist()]
