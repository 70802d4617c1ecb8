"""Manifests: CSV tables that say which file shows which object, and the views that their columns span."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from acqplan.errors import ManifestError, SpaceError, nearest
from acqplan.numbers import FULL_TURN, name_fault, plain_number
from acqplan.space import Axis, Category, Circle, Interval, Objects, Space
from acqplan.table import CsvTable, read_table

Kind = Literal["circle", "interval", "category"]
# Columns that are axes without being declared: kind, unit and names, as turntables, arms and photogrammetry write them.
KNOWN: tuple[tuple[Kind, str, str], ...] = (
    ("circle", "deg", "azimuth azimut azim az yaw pan heading roll rotation rot turntable angle theta phi"),
    ("interval", "deg", "elevation elev el tilt pitch inclination polar zenith"),
    ("interval", "", "distance dist radius depth zoom"),
    ("category", "", "lighting light lights illumination"),
)
# Words beside such a name: camera_azimuth, Azimuth (deg), distance_cm.
BESIDE = {"deg", "degree", "degrees", "angle", "camera", "cam", "mm", "cm", "m"}
# Columns that an error lists.
MOST_NAMED = 12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Manifest(CsvTable):
    """The rows of a manifest, each known by its line; labels and objects are consistent.

    Attributes:
        files: File of each row, below the folder of the manifest; it may not exist.
        labels: Class label of each row.
        names: Object of each row.
        columns: Cells of all further columns, as text.
    """

    files: tuple[Path, ...]
    labels: tuple[str, ...]
    names: tuple[str, ...]

    def objects(self) -> Objects:
        """The distinct objects, sorted by name, so that the order of lines does not matter."""
        labels = dict(zip(self.names, self.labels, strict=True))
        names = tuple(sorted(labels))
        return Objects(names=names, labels=tuple(labels[name] for name in names))

    def check(self) -> None:
        """Refuse names that cannot be written, an object of two labels, and a file of two objects.

        Raises:
            ManifestError: Names both lines.
        """
        for row, pair in enumerate(zip(self.labels, self.names, strict=True)):
            if fault := next(filter(None, map(name_fault, pair)), ""):
                raise self.error(row, fault, "rename it")
        _check_one_value(self, self.names, self.labels, "object '{}' is labelled '{}'", "labels differ")
        _check_one_value(self, self.files, self.names, "file {} shows '{}'", "one file cannot show two objects")


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisColumn:
    """A column of a manifest that is an axis.

    Attributes:
        name: Name of the column.
        kind: Kind of the axis.
        unit: Unit of its cells; ``"deg"`` for a circle, nothing for a category. Cells in ``"rad"`` become degrees.
        values: Allowed levels, angles in degrees; ``None`` for those that occur in the manifest.
        seconds: Time to move by one unit (a degree), or to change a category.
        is_sure: Whether somebody said so of the unit; otherwise numbers that look like radians are asked about.
    """

    name: str
    kind: Kind
    unit: str = ""
    values: tuple[float, ...] | tuple[str, ...] | None = None
    seconds: float = 0.0
    is_sure: bool = False

    @classmethod
    def known(cls, name: str) -> AxisColumn | None:
        """What a column is when rig.toml does not say; ``None`` if its name tells nothing."""
        key = axis_word(name)
        found = [cls(name=name, kind=kind, unit=unit) for kind, unit, names in KNOWN if key in names.split()]
        return found[0] if found else None

    def axis(self, levels: Sequence[float] | Sequence[str]) -> Axis:
        """The axis with these levels.

        Raises:
            SpaceError: If the levels are no axis, or may be radians.
        """
        if self.kind == "category":
            names = tuple(map(str, levels))
            if fault := next(filter(None, map(name_fault, names)), ""):
                raise SpaceError(f"axis '{self.name}': level {fault}", "rename it")
            return Category(name=self.name, values=names, seconds_per_change=self.seconds)
        numbers, unit = tuple(map(float, levels)), "deg" if self.unit == "rad" else self.unit
        if (self.kind == "circle" or unit == "deg") and not self.is_sure and may_be_radians(numbers):
            said = f"axis '{self.name}' runs from {min(numbers):.4g} to {max(numbers):.4g}: radians?"
            raise SpaceError(said, 'add unit = "rad" to its [[axis]] in rig.toml, or unit = "deg" if these are degrees')
        if self.kind == "circle":
            return Circle(name=self.name, values=numbers, seconds_per_unit=self.seconds)
        return Interval(name=self.name, values=numbers, unit=unit, seconds_per_unit=self.seconds)


def axis_word(name: str) -> str:
    """The word of an axis in the header of a column, ``azimuth`` in ``Camera azimuth (deg)``."""
    words = [word for word in re.split(r"[^a-z]+", name.casefold()) if word and word not in BESIDE]
    return "".join(words) or name.casefold()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRows:
    """What images show, read from anything but a manifest: names, cameras, notes beside them.

    Attributes:
        names: Paths of the images below a folder, with ``/``.
        labels: Class label of each.
        objects: Object of each.
        axes: Cells of each axis, as a manifest has them.
    """

    names: tuple[str, ...]
    labels: tuple[str, ...]
    objects: tuple[str, ...]
    axes: Mapping[str, tuple[str, ...]]

    def columns(self) -> list[AxisColumn]:
        """The axes: those of known names as these are, all others categories."""
        return [AxisColumn.known(name) or AxisColumn(name=name, kind="category") for name in self.axes]

    def manifest(self, folder: Path, *, roots: Sequence[Path] = ()) -> Manifest:
        """The rows as a manifest of a folder, whose errors name images.

        Raises:
            ManifestError: As `read_manifest`, of what can be wrong with names.
        """
        lines = tuple(range(1, len(self.names) + 1))
        table = CsvTable(path=folder, lines=lines, columns={}, origins=self.names)
        files = _files(table, folder, self.names, roots)
        manifest = Manifest(
            path=folder,
            lines=lines,
            origins=self.names,
            files=files,
            labels=self.labels,
            names=self.objects,
            columns=self.axes,
        )
        manifest.check()
        return manifest


def may_be_radians(angles: Sequence[float] | Float[np.ndarray, " angles"]) -> bool:
    """Whether angles that are given as degrees span what radians do: up to a turn of 6.3, and not in half degrees."""
    halves = 2.0 * np.asarray(angles, dtype=np.float64)
    return bool(len(halves) and np.abs(halves).max() <= 12.6 and np.ptp(halves) >= 1.0 and (halves % 1.0 != 0.0).any())


def in_degrees(numbers: Sequence[float], unit: str) -> list[float]:
    """Angles in degrees; numbers of any other unit than radians are as they were."""
    return np.round(np.degrees(numbers), 9).tolist() if unit == "rad" else list(numbers)


def read_manifest(
    path: Path,
    *,
    file_column: Literal["image", "mesh"],
    names: Mapping[str, str] | None = None,
    roots: Sequence[Path] = (),
) -> Manifest:
    """Read a manifest with the columns ``file_column``, label, object and any others.

    Args:
        path: The manifest.
        file_column: The column of paths; they may be absolute, and have backslashes.
        names: What the manifest calls columns that have another name here.
        roots: Folders beside that of the manifest in which files may be.

    Raises:
        ManifestError: If the file is no proper table (see `read_table`); a path leaves the folders; an object has
            two labels; or one file shows two objects. Names the file, the line and what to do.
    """
    required = (file_column, "label", "object")
    table = read_table(path, required=required, others=True, names=names, named_by="the path of the manifest")
    if not len(table):
        raise ManifestError(f"{path}: line 1: the manifest is empty", "give a header and one row per file", path=path)
    others = {name: cells for name, cells in table.columns.items() if name not in required}
    manifest = Manifest(
        path=path,
        lines=table.lines,
        files=_files(table, path.parent, table.column(file_column), roots),
        labels=table.column("label"),
        names=table.column("object"),
        columns=others,
        dialect=table.dialect,
    )
    manifest.check()
    return manifest


def _files(table: CsvTable, folder: Path, cells: Sequence[str], roots: Sequence[Path]) -> tuple[Path, ...]:
    """Absolute paths, links of folders resolved; each folder once, so that 100,000 rows take about a second.

    Raises:
        ManifestError: If one is neither below the folder nor below a root.
    """
    root, folders, files = str(folder.resolve()), dict[str, str](), list[Path]()
    inside = tuple(str(place).rstrip(os.sep) + os.sep for place in (root, *(place.resolve() for place in roots)))
    for row, given in enumerate(cells):
        # Windows writes backslashes; elsewhere they are letters of a name, if there is such a file
        is_windows = "\\" in given and not os.path.lexists(os.path.join(root, given))  # noqa: PTH118
        cell = given.replace("\\", "/") if is_windows else given
        above, name = os.path.split(cell)
        if above not in folders:
            folders[above] = os.path.realpath(os.path.join(root, above))  # noqa: PTH118 - pathlib is 10 times slower
        place = os.path.normpath(os.path.join(folders[above], name))  # noqa: PTH118
        target = os.path.realpath(place) if os.path.islink(place) else place  # noqa: PTH114
        is_foreign = PureWindowsPath(cell).drive and not os.path.isabs(cell)  # noqa: PTH117
        if is_foreign or not target.startswith(inside):
            said = f"path '{given}' leaves the manifest's folder"
            hint = "put the file below that folder and give its path from there"
            raise table.error(row, said, f"{hint}, or add its folder to 'roots' in rig.toml", asked=given)
        files.append(Path(place))
    return tuple(files)


def check_shots(manifest: Manifest, axes: Sequence[str], coordinates: Float[np.ndarray, "rows axes"]) -> None:
    """Refuse a manifest in which an object is seen twice from the same view.

    Args:
        manifest: The manifest.
        axes: Names of the axes; none where each object has one row (meshes).
        coordinates: View of each row, circles wrapped, shape ``[rows, axes]``.

    Raises:
        ManifestError: Names the second line and the first.
    """
    first: dict[object, int] = {}
    views = np.round(coordinates, 6).tolist()
    for row, (name, view) in enumerate(zip(manifest.names, views, strict=True)):
        earlier = first.setdefault((name, *view), row)
        if earlier != row:
            place = ", ".join(f"{axis} {manifest.columns[axis][row]}" for axis in axes)
            said = f"object '{name}'{f' at {place}' if place else ''} is already on {manifest.line(earlier)}"
            others = [other for other in manifest.columns if other not in axes]
            hint = f"remove one, or make '{others[0]}' an [[axis]]" if others and place else "remove one"
            raise manifest.error(row, said, hint, asked=name)


def object_rows(names: Iterable[str], objects: Objects) -> Int[np.ndarray, " rows"]:
    """Row of each named object; all must be known."""
    row_of = {name: row for row, name in enumerate(objects.names)}
    return np.array([row_of[name] for name in names], dtype=np.int64)


def default_columns(manifest: Manifest) -> list[AxisColumn]:
    """The columns whose names say that they are axes; of angles and lengths those with numbers in most cells.

    Raises:
        ManifestError: If there is none; lists the columns of numbers, and says how to declare one.
    """
    numeric = [
        name
        for name, cells in manifest.columns.items()
        if 2 * sum(not np.isnan(plain_number(cell)) for cell in cells) > len(cells)
    ]
    known = [column for name in manifest.columns if (column := AxisColumn.known(name)) is not None]
    sure = ("azimuth", "elevation")  # of these, words are mistakes
    found = [one for one in known if one.kind == "category" or one.name in numeric or one.name.casefold() in sure]
    if not found:
        said = f"{manifest.path}: line 1: no column is known to say from where an image was taken"
        hint = "add one such as azimuth, or name the axes in rig.toml"
        if numeric:
            hint = f"say in rig.toml which of these are axes: {', '.join(numeric[:MOST_NAMED])}; "
            hint += f'e.g. [[axis]] with name = "{numeric[0]}" and kind = "interval" (or "circle")'
        raise ManifestError(said, hint, path=manifest.path, line=1)
    return found


def space_of(manifest: Manifest, columns: Sequence[AxisColumn]) -> tuple[Space, Float[np.ndarray, "rows axes"]]:
    """The views that occur in a manifest.

    Args:
        manifest: The manifest.
        columns: The columns that are axes, in the order of coordinates.

    Returns:
        The space, a grid if its views are all combinations of the levels, and the view of each row,
        shape ``[rows, axes]``.

    Raises:
        ManifestError: If a column is missing or a cell is not on its axis.
        SpaceError: If the levels given for a column are no axis.
    """
    axes = []
    for column in columns:
        # levels are those of rig.toml, or those that occur
        levels: Sequence[float] | Sequence[str] = column.values or ()
        if not levels and column.kind == "category":
            levels = sorted(set(manifest.column(column.name)))
        elif not levels:
            levels = np.unique(_numbers(manifest, column.name, column.unit, circle=column.kind == "circle")).tolist()
        axes.append(column.axis(levels))
    units = {column.name: column.unit for column in columns}
    coordinates = np.stack([axis_coordinates(manifest, axis, unit=units[axis.name]) for axis in axes], axis=1)
    # cells within rounding of a level of rig.toml are at that level
    for position, (axis, column) in enumerate(zip(axes, columns, strict=True)):
        if column.values is None:
            continue
        values, codes = coordinates[:, position].copy(), axis.codes()
        coordinates[:, position] = codes[Space(axes=(axis,)).levels(values[:, None])[:, 0]]
        outside = axis.difference(values, coordinates[:, position]) > 1e-6
        if outside.any():
            row = int(np.argmax(outside))
            said = f"{axis.name} {values[row]:g} is not among the values of the axis"
            ends = f"(they run from {codes.min():g} to {codes.max():g})"
            raise manifest.error(
                row, said, f"take the line out, or add it to 'values' {ends}", asked=float(values[row])
            )
    # where some combinations of levels do not occur, the space is the table of those that do
    views = np.unique(coordinates, axis=0)
    grid = Space(axes=tuple(axes))
    return (grid if len(views) == grid.n_views else Space(axes=tuple(axes), table=views)), coordinates


def axis_coordinates(table: CsvTable, axis: Axis, *, unit: str = "") -> Float[np.ndarray, " rows"]:
    """A column of a table as coordinates of an axis: circles wrapped, categories as level numbers.

    Args:
        table: The table.
        axis: The axis.
        unit: Unit of the cells, unless it is that of the axis.

    Raises:
        ManifestError: If a cell is no number, no angle, or no level of a category, or angles may be radians.
    """
    if not isinstance(axis, Category):
        numbers = _numbers(table, axis.name, unit or axis.unit, circle=isinstance(axis, Circle))
        if axis.unit == "deg" and np.abs(axis.values).max() > FULL_TURN / 50 and may_be_radians(numbers):
            said = f"{axis.name} runs from {numbers.min():.4g} to {numbers.max():.4g}: radians?"
            raise table.error(0, said, "give degrees, as the rig has them")
        return numbers
    code = {name: float(level) for level, name in enumerate(axis.values)}
    cells = table.column(axis.name)
    for row, cell in enumerate(cells):
        if cell not in code:
            said = f"{axis.name} '{cell}' is no level of this axis"
            raise table.error(row, said, nearest(cell, axis.values), asked=cell)
    return np.array([code[cell] for cell in cells])


def _numbers(table: CsvTable, name: str, unit: str, *, circle: bool) -> Float[np.ndarray, " rows"]:
    numbers = in_degrees(table.numbers(name, unit=unit or ("deg" if circle else "")), unit)
    # rounded, so that -1e-12 does not become a level of its own beside 0
    rounded = np.round(numbers, 9) + 0.0
    return np.mod(rounded, FULL_TURN) if circle else rounded


def _check_one_value(
    table: CsvTable, keys: Sequence[object], values: Sequence[str], sentence: str, reason: str
) -> None:
    """Refuse a key that has two values, e.g. an object of two labels."""
    first: dict[object, int] = {}
    for row, key in enumerate(keys):
        earlier = first.setdefault(key, row)
        if values[earlier] != values[row]:
            said, before = sentence.format(key, values[row]), f"'{values[earlier]}' on {table.line(earlier)}"
            raise table.error(row, f"{said} but {before}", f"correct one: {reason}", asked=values[row])
