"""What rig.toml says, and on which line: its text, its tables, and errors that name both."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from acqplan.errors import SpaceError, SpecError, UsageError, nearest
from acqplan.files import open_file
from acqplan.numbers import name_fault, shortened
from acqplan.rig.manifest import AxisColumn, in_degrees
from acqplan.space import parse_values

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from acqplan.images import Crop

# No rig.toml is larger.
MOST_BYTES = 16_000_000
# Parts of a key at most: its reader takes the square of their number.
DEEPEST_KEY = 32
# Where a value is, e.g. ``("axis", 0, "values")``.
Location = tuple[str | int, ...]
HEADING = re.compile(r"^\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
KEY = re.compile(r"""^\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TomlFile:
    """What a TOML file says, and where.

    Attributes:
        path: The file.
        content: Its values.
        lines: Line of each key and table that has a line of its own.
    """

    path: Path
    content: dict[str, Any]
    lines: dict[Location, int]

    @classmethod
    def read(cls, path: Path) -> TomlFile:
        """Read a file.

        Raises:
            SpecError: If it is missing, not UTF-8 or not TOML; names the line.
        """
        try:
            with open_file(path, most=MOST_BYTES) as handle:
                text = handle.read().decode("utf-8-sig")
        except OSError as error:
            said = f"{path}: cannot be read ({error.strerror})"
            raise SpecError(said, "check the path given with --rig", path=path) from error
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            said = f"{path}: line {line}: the text is not UTF-8"
            raise SpecError(said, "save the file in UTF-8", path=path, line=line) from error
        names = (line.partition("=")[0] for line in text.splitlines())
        if any(name.count(".") > DEEPEST_KEY and "," not in name for name in names):  # numbers of a list have commas
            raise SpecError(f"{path}: tables or lists are nested too deeply", "write them flat", path=path)
        try:
            content = tomllib.loads(text)
        except RecursionError as error:
            raise SpecError(f"{path}: tables or lists are nested too deeply", "write them flat", path=path) from error
        except tomllib.TOMLDecodeError as error:
            found = re.search(r"line (\d+)", str(error))
            line = int(found[1]) if found else len(text.splitlines())
            reason = re.sub(r"\s*\(at .*\)$", "", str(error))
            hint = 'write one `key = value` per line, text in quotes, e.g. source = "folder"'
            said = f"{path}: line {line}: this is not TOML: {reason}"
            raise SpecError(said, hint, path=path, line=line) from error
        # line of each key and table, as far as a glance at each line tells
        lines: dict[Location, int] = {}
        counts: Counter[Location] = Counter()
        table: Location = ()
        for number, written in enumerate(text.splitlines(), start=1):
            # a heading opens a table, [[axis]] the next of its name; a key belongs to the table above it
            if heading := HEADING.match(written):
                table = _parts(heading[2])
                if heading[1] == "[[":
                    counts[table] += 1
                    table = (*table, counts[table] - 1)
                lines.setdefault(table, number)
            elif key := KEY.match(written):
                lines.setdefault((*table, *_parts(key[1])), number)
        return cls(path=path, content=content, lines=lines)

    def error(self, location: Location, message: str, hint: str = "", *, asked: object = None) -> SpecError:
        """An error that names the file and the line nearest to a location."""
        known = [location[:length] for length in range(len(location), 0, -1) if location[:length] in self.lines]
        line = self.lines[known[0]] if known else None
        where = str(self.path) if line is None else f"{self.path}: line {line}"
        return SpecError(f"{where}: {message}", hint, path=self.path, line=line, asked=asked)

    @contextmanager
    def at(self, *location: str | int) -> Iterator[None]:
        """Errors of the block are errors of the file: they name the line of a location."""
        try:
            yield
        except UsageError as error:
            raise self.error(location, error.message, error.hint, asked=error.asked) from error


def _expanded(values: object) -> object:
    try:
        return list(parse_values(values)) if isinstance(values, str) else values
    except SpaceError as error:
        raise ValueError(str(error)) from error


def _named(name: str) -> str:
    if fault := name_fault(name):
        raise ValueError(fault)
    return name


def _cropped(crop: Crop) -> Crop:
    left, top, right, bottom = (0.0, 0.0, 1.0, 1.0) if isinstance(crop, str) else crop
    if not (0.0 <= left < right <= 1.0 and 0.0 <= top < bottom <= 1.0):
        raise ValueError("left, top, right and bottom are shares of the image, e.g. [0.25, 0.1, 0.75, 0.9]")
    return crop


Seconds = Annotated[float, Field(ge=0)]
Name = Annotated[str, Field(min_length=1), AfterValidator(_named)]
Shares = Annotated[tuple[float, float, float, float], Field(strict=False)]
Numbers = Annotated[list[float], Field(min_length=1), BeforeValidator(_expanded)]


class TomlTable(BaseModel):
    """A table of rig.toml: unknown keys, numbers in quotes and numbers that are not finite are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class CircleTable(TomlTable):
    """An ``[[axis]]`` of kind circle."""

    kind: Literal["circle"]
    name: Name
    unit: Literal["deg", "rad"] | None = None
    values: Numbers | None = None
    seconds_per_unit: Seconds = 0.0
    speed: Annotated[float, Field(gt=0)] | None = None  # units per second, instead


class IntervalTable(TomlTable):
    """An ``[[axis]]`` of kind interval."""

    kind: Literal["interval"]
    name: Name
    unit: str | None = None
    values: Numbers | None = None
    seconds_per_unit: Seconds = 0.0
    speed: Annotated[float, Field(gt=0)] | None = None  # units per second, instead


class CategoryTable(TomlTable):
    """An ``[[axis]]`` of kind category."""

    kind: Literal["category"]
    name: Name
    values: Annotated[list[Name], Field(min_length=1)] | None = None
    seconds_per_change: Seconds = 0.0


class ShotTable(TomlTable):
    """``[shot]``: what an exposure costs, and how long the rig settles after a move before it."""

    seconds: Seconds = 0.0
    settle_seconds: Seconds = 0.0


class ObjectsTable(TomlTable):
    """``[objects]``: the split into train and test, the time per change, and the objects of a live rig."""

    test_fraction: Annotated[float, Field(ge=0, lt=1)] | None = None
    test: list[Name] | Literal["views"] | None = None
    labels: dict[Name, Annotated[list[Name], Field(min_length=1)]] | None = None
    seconds_per_change: Seconds | None = None


class RenderTable(TomlTable):
    """``[render]``: settings of a source that renders its objects (toys, meshes).

    `RenderSettings` and `Optics` check their ranges; ``instances`` is for toys only, ``up`` for meshes.
    """

    seed: int | None = None
    noise: float | None = None
    jitter_cm: float | None = None
    eye: Literal["mono", "left", "right"] | None = None
    size: int | None = None
    instances: int | None = None
    up: Literal["y", "z"] | None = None


class ImageTable(TomlTable):
    """``[image]``: what is looked at of each image, ``"square"`` or left, top, right and bottom as shares."""

    crop: Annotated[Literal["square"] | Shares, AfterValidator(_cropped)] | None = None


Vector = Annotated[list[float], Field(min_length=3, max_length=3)]


class IntrinsicsTable(TomlTable):
    """``[camera.intrinsics]``: lens and sensor, in pixels, or a field of view from left to right, in degrees."""

    width: int
    height: int
    fx: float | None = None
    fy: float | None = None
    cx: float | None = None
    cy: float | None = None
    fov: float | None = None


class CameraTable(TomlTable):
    """``[camera]``: what of a pose the axes do not say; `acqplan.space.sphere` has the conventions and checks."""

    distance: float | None = None
    elevation: float | None = None
    target: Vector | None = None
    up: Vector | None = None
    turns: Literal["table", "camera"] | None = None
    unit: str | None = None
    intrinsics: IntrinsicsTable | None = None


class RigTable(TomlTable):
    """The whole of rig.toml."""

    source: Literal["toys", "meshes", "folder", "norb", "live"]
    path: Name | None = None
    pattern: Name | None = None
    step: float | None = None
    offset: float | None = None
    roots: list[Name] | None = None
    columns: dict[Name, Name] | None = None
    image: ImageTable | None = None
    stereo: Literal["left", "right", "both"] | None = None
    axis: list[Annotated[CircleTable | IntervalTable | CategoryTable, Field(discriminator="kind")]] = []
    shot: ShotTable = ShotTable()
    objects: ObjectsTable = ObjectsTable()
    render: RenderTable | None = None
    camera: CameraTable = CameraTable()
    deployment: dict[str, object] = {}  # its keys are axes, see `acqplan.rig.spec`

    @classmethod
    def of(cls, file: TomlFile) -> RigTable:
        """The tables of a file.

        Raises:
            SpecError: If a key is unknown or missing, or a value is of the wrong kind; names the line.
        """
        try:
            return cls.model_validate(file.content)
        except ValidationError as error:
            # an unknown key explains a missing one
            first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
            raise _explained(file, first) from error

    def axis_columns(self) -> list[AxisColumn]:
        """The axes, which may lack their levels."""
        columns = []
        for axis in self.axis:
            if isinstance(axis, CategoryTable):
                names = None if axis.values is None else tuple(axis.values)
                seconds = axis.seconds_per_change
                columns.append(AxisColumn(name=axis.name, kind="category", values=names, seconds=seconds))
                continue
            known = AxisColumn.known(axis.name)
            unit = axis.unit or ("deg" if axis.kind == "circle" else known.unit if known and axis.unit is None else "")
            column = AxisColumn(
                name=axis.name,
                kind=axis.kind,
                unit=unit,
                values=None if axis.values is None else tuple(in_degrees(axis.values, unit)),
                seconds=(1.0 / axis.speed if axis.speed else axis.seconds_per_unit) / in_degrees([1.0], unit)[0],
                is_sure=axis.unit is not None,
            )
            columns.append(column)
        return columns


AXIS_TABLES: dict[str, type[TomlTable]] = {"circle": CircleTable, "interval": IntervalTable, "category": CategoryTable}
TABLES: dict[str, type[TomlTable]] = {"shot": ShotTable, "objects": ObjectsTable, "render": RenderTable}
TABLES |= {"image": ImageTable, "camera": CameraTable, "intrinsics": IntrinsicsTable}


def _explained(file: TomlFile, found: ErrorDetails) -> SpecError:
    """What pydantic found, in the words of rig.toml."""
    location, asked = found["loc"], found["input"]
    if location[0] == "axis" and len(location) > 2:
        location = (*location[:2], *location[3:])  # pydantic adds the kind of the axis
    if location[:2] in (("objects", "test"), ("image", "crop")):
        location = location[:2]  # pydantic adds which of the two kinds it tried
    key, within, here = str(location[-1]), _heading(location[:-1]), _heading(location)
    hint = found["msg"].removeprefix("Value error, ")
    hint = hint[:1].lower() + hint[1:].replace("valid list", "valid list, e.g. [0, 90]")
    match found["type"]:
        case "extra_forbidden":
            # an axis is known by its kind, which pydantic puts third
            path = found["loc"][:-1]
            table = RigTable if not path else AXIS_TABLES[str(path[2])] if path[0] == "axis" else TABLES[str(path[-1])]
            said, hint = f"unknown key '{key}' in {within}", nearest(key, table.model_fields)
        case "missing":
            said, hint = f"{within} lacks the key '{key}'", f'add e.g. {key} = "…"'
        case "union_tag_invalid":
            kind = str(found["ctx"]["tag"])
            said, hint = f"kind '{kind}' of {here} is unknown", nearest(kind, AXIS_TABLES)
        case "union_tag_not_found" if isinstance(asked, dict):
            said, hint = f"{here} lacks the key 'kind'", f"known: {', '.join(AXIS_TABLES)}"
        case _:
            dotted = ".".join(part for part in location if isinstance(part, str))
            said = f"{shortened(dotted, 80)} = {shortened(repr(asked), 40)} cannot be used"
            if location == ("axis",):
                hint = "write [[axis]] in double brackets, once for each axis"
            elif location == ("objects", "test"):
                hint = 'give names, e.g. test = ["car-07"], or test = "views"'
            elif location == ("image", "crop"):
                hint = 'write crop = "square", or shares left, top, right, bottom, e.g. crop = [0.25, 0.1, 0.75, 0.9]'
            elif location == ("source",):
                hint = nearest(str(asked), ["toys", "meshes", "folder", "norb", "live"])
    return file.error(location, said, hint, asked=asked)


def _heading(location: Location) -> str:
    """The table at a location, as it is written."""
    if not location:
        return "rig.toml"
    if location[0] == "axis" and len(location) > 1:
        return f"[[axis]] number {int(location[1]) + 1}"
    return f"[{'.'.join(map(str, location))}]"


def _parts(dotted: str) -> Location:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))
