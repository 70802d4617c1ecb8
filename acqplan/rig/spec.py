"""rig.toml: the file in which a person describes a rig, and the rig that it describes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from acqplan.errors import SpaceError, SpecError, nearest
from acqplan.files import digest_bytes
from acqplan.progress import SILENT, Progress
from acqplan.rig.base import Source
from acqplan.rig.deployment import deployment_weights
from acqplan.rig.manifest import Column, Manifest, check_splittable
from acqplan.rig.openers import OPENERS
from acqplan.rig.toml_file import Location, TomlFile
from acqplan.runtime import available_cores
from acqplan.space import Objects, parse_values

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


def _expanded(values: object) -> object:
    try:
        return list(parse_values(values)) if isinstance(values, str) else values
    except SpaceError as error:
        raise ValueError(str(error)) from error


Seconds = Annotated[float, Field(ge=0)]
Name = Annotated[str, Field(min_length=1)]
Numbers = Annotated[list[float], Field(min_length=1), BeforeValidator(_expanded)]


class Table(BaseModel):
    """A table of rig.toml: unknown keys, numbers in quotes and numbers that are not finite are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class CircleTable(Table):
    """An ``[[axis]]`` of kind circle."""

    kind: Literal["circle"]
    name: Name
    unit: Literal["deg"] = "deg"
    values: Numbers | None = None
    seconds_per_unit: Seconds = 0.0

    def column(self) -> Column:
        """The axis, which may lack its levels."""
        levels = None if self.values is None else tuple(self.values)
        return Column(name=self.name, kind="circle", unit="deg", values=levels, seconds=self.seconds_per_unit)


class IntervalTable(Table):
    """An ``[[axis]]`` of kind interval."""

    kind: Literal["interval"]
    name: Name
    unit: str | None = None
    values: Numbers | None = None
    seconds_per_unit: Seconds = 0.0

    def column(self) -> Column:
        """The axis, which may lack its levels."""
        levels = None if self.values is None else tuple(self.values)
        unit = Column.guessed(self.name).unit if self.unit is None else self.unit
        return Column(name=self.name, kind="interval", unit=unit, values=levels, seconds=self.seconds_per_unit)


class CategoryTable(Table):
    """An ``[[axis]]`` of kind category."""

    kind: Literal["category"]
    name: Name
    values: Annotated[list[Name], Field(min_length=1)] | None = None
    seconds_per_change: Seconds = 0.0

    def column(self) -> Column:
        """The axis, which may lack its levels."""
        levels = None if self.values is None else tuple(self.values)
        return Column(name=self.name, kind="category", values=levels, seconds=self.seconds_per_change)


class ShotTable(Table):
    """``[shot]``: what an exposure costs."""

    seconds: Seconds = 0.0


class ObjectsTable(Table):
    """``[objects]``: the split into train and test, how long a change takes, and on a live rig what there is."""

    test_fraction: Annotated[float, Field(gt=0, lt=1)] | None = None
    test: list[Name] | None = None
    labels: dict[Name, Annotated[list[Name], Field(min_length=1)]] | None = None
    seconds_per_change: Seconds = 0.0


class RenderTable(Table):
    """``[render]``: settings of a rig that renders its objects (toys, meshes).

    Ranges are those of `Settings` and `Optics`, which check them; ``instances`` is for toys only.
    """

    seed: int | None = None
    noise: float | None = None
    jitter_cm: float | None = None
    eye: Literal["mono", "left", "right"] | None = None
    size: int | None = None
    instances: int | None = None


class RigTable(Table):
    """The whole of rig.toml."""

    source: Literal["toys", "meshes", "folder", "norb", "live"]
    path: Name | None = None
    stereo: Literal["left", "right", "both"] | None = None
    axis: list[Annotated[CircleTable | IntervalTable | CategoryTable, Field(discriminator="kind")]] = []
    shot: ShotTable = ShotTable()
    objects: ObjectsTable = ObjectsTable()
    render: RenderTable | None = None
    deployment: dict[str, object] = {}  # its keys are axes, see `acqplan.rig.deployment`


AXIS_TABLES: dict[str, type[Table]] = {"circle": CircleTable, "interval": IntervalTable, "category": CategoryTable}
TABLES: dict[str, type[Table]] = {"shot": ShotTable, "objects": ObjectsTable, "render": RenderTable}


def spec_error(file: TomlFile, found: list[ErrorDetails]) -> SpecError:
    """The error to show first: an unknown key if there is one, as it explains a missing one."""
    first = min(found, key=lambda detail: detail["type"] != "extra_forbidden")
    location = _without_kind(first["loc"])
    complaints = {
        "extra_forbidden": _unknown_key,
        "missing": _missing_key,
        "union_tag_invalid": _unknown_kind,
        "union_tag_not_found": _missing_kind,
    }
    message, hint = complaints.get(first["type"], _wrong_value)(location, first)
    return file.error(location, message, hint)


def _unknown_key(location: Location, found: ErrorDetails) -> tuple[str, str]:
    return f"unknown key '{location[-1]}' in {_table(location[:-1])}", nearest(str(location[-1]), _known(found["loc"]))


def _missing_key(location: Location, found: ErrorDetails) -> tuple[str, str]:
    return f"{_table(location[:-1])} lacks the key '{location[-1]}'", f'add e.g. {location[-1]} = "…"'


def _unknown_kind(location: Location, found: ErrorDetails) -> tuple[str, str]:
    kind = str(found["ctx"]["tag"])
    return f"kind '{kind}' of {_table(location)} is unknown", nearest(kind, AXIS_TABLES)


def _missing_kind(location: Location, found: ErrorDetails) -> tuple[str, str]:
    if not isinstance(found["input"], dict):
        return _wrong_value(location, found)
    return f"{_table(location)} lacks the key 'kind'", f"known: {', '.join(AXIS_TABLES)}"


def _wrong_value(location: Location, found: ErrorDetails) -> tuple[str, str]:
    key = ".".join(str(part) for part in location if isinstance(part, str))
    reason = found["msg"].removeprefix("Value error, ")
    reason = reason[:1].lower() + reason[1:].replace("valid list", "valid list, e.g. [0, 90]")
    if location == ("axis",):
        reason = "write [[axis]] in double brackets, once for each axis"
    elif location == ("source",):
        reason = nearest(str(found["input"]), ["toys", "meshes", "folder", "norb", "live"])
    return f"{key} = {_short(found['input'])} cannot be used", reason


def _table(location: Location) -> str:
    if not location:
        return "rig.toml"
    if location[0] == "axis" and len(location) > 1:
        return f"[[axis]] number {int(location[1]) + 1}"
    return f"[{'.'.join(map(str, location))}]"


def _known(loc: Location) -> list[str]:
    table: type[Table] = RigTable
    if loc[0] == "axis" and len(loc) > 3:
        table = AXIS_TABLES[str(loc[2])]
    elif len(loc) > 1:
        table = TABLES[str(loc[0])]
    return list(table.model_fields)


def _without_kind(loc: Location) -> Location:
    return (*loc[:2], *loc[3:]) if loc[0] == "axis" and len(loc) > 2 else loc


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


RESERVED = ("image", "mesh", "label", "object", "shot", "order", "round", "gain", "reason", "state")
"""Columns of a manifest or of plan.csv; an axis of such a name could not be told from them."""

MEANING = {"path": ("folder", "meshes", "norb"), "stereo": ("norb",), "render": ("toys", "meshes")}
"""Keys that mean something for some sources only."""

EMBEDDED = TomlFile(path=Path("embedded toys"), content={"source": "toys"}, lines={})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rig:
    """A rig and what rig.toml says about its use.

    Attributes:
        source: What takes its shots.
        path: The file; ``None`` for the embedded toys.
        manifest: Where the objects were read from, if that is a manifest.
        test_fraction: Share of the objects of each label to test on.
        test: Names of the objects to test on; empty to draw them by ``test_fraction``.
        seconds_per_shot: Exposure and transfer of one image.
        seconds_per_object: Putting another object on the turntable.
        view_weights: How often the finished classifier will meet each view, over the most frequent, in the order of
            ``rig.space.views()``, shape ``[views]``; ``None`` if all are alike.
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
        """SHA-256 of kind, space, objects, labels and weights; equal for equal rigs wherever their files lie."""
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


def open_rig(path: Path | None = None, *, workers: int | None = None, progress: Progress = SILENT) -> Rig:
    """Open the rig that a file describes; everything that can be wrong with it is found here.

    Args:
        path: A rig.toml; ``None`` for the embedded toys. Paths in it are relative to its folder.
        workers: Threads or processes that decode or render; by default one a core.
        progress: Who listens while files are checked.

    Raises:
        SpecError: If rig.toml cannot be used; names file, line, and the nearest known key.
        ManifestError: If the manifest cannot be used.
        ImageError: If an image cannot be used.
        MeshError: If a mesh cannot be rendered.
    """
    file = EMBEDDED if path is None else TomlFile.read(path)
    table = _parse(file)
    _check_keys(file, table)
    rig, manifest = OPENERS[table.source](file, table, workers or available_cores(), progress)
    test = _test_objects(table, rig)
    _check_test(file, rig.objects, test)
    return Rig(
        source=rig,
        path=path,
        manifest=manifest,
        test_fraction=0.5 if table.objects.test_fraction is None else table.objects.test_fraction,
        test=test,
        seconds_per_shot=table.shot.seconds,
        seconds_per_object=table.objects.seconds_per_change,
        view_weights=deployment_weights(file, table.deployment, rig.space),
    )


def _parse(file: TomlFile) -> RigTable:
    try:
        return RigTable.model_validate(file.content)
    except ValidationError as error:
        raise spec_error(file, error.errors()) from error


def _check_keys(file: TomlFile, table: RigTable) -> None:
    for key, sources in MEANING.items():
        if getattr(table, key) is not None and table.source not in sources:
            raise file.error((key,), f"'{key}' has no meaning for source '{table.source}'", "remove it")
    if table.path is None and table.source in MEANING["path"]:
        raise file.error(("source",), f"source '{table.source}' needs a path", 'add e.g. path = "manifest.csv"')
    if table.objects.labels is not None and table.source != "live":
        raise file.error(
            ("objects", "labels"), "[objects.labels] is for live rigs", "remove it: path names the objects"
        )
    if table.objects.test is not None and table.objects.test_fraction is not None:
        raise file.error(("objects", "test"), "both 'test' and 'test_fraction' are given", "remove one")
    for number, axis in enumerate(table.axis):
        if axis.name in RESERVED:
            raise file.error(("axis", number, "name"), f"an axis cannot be called '{axis.name}'", "rename it")


def _test_objects(table: RigTable, rig: Source) -> tuple[str, ...]:
    if table.objects.test is None and table.objects.test_fraction is None:
        return getattr(rig, "testing", ())  # smallNORB brings its own split
    return tuple(table.objects.test or ())


def _check_test(file: TomlFile, objects: Objects, test: Sequence[str]) -> None:
    for name in test:
        if name not in objects.names:
            raise file.error(("objects", "test"), f"test object '{name}' is unknown", nearest(name, objects.names))
    if len(set(test)) == len(objects):
        raise file.error(("objects", "test"), "all objects are test objects", "leave some of each label to train on")
