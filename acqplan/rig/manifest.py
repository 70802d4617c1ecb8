"""Manifests: CSV tables that say which file shows which object, read strictly."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path, PureWindowsPath
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from acqplan.errors import ManifestError, nearest
from acqplan.space import Axis, Category, Circle, Interval, Objects, Space


def locate(manifest: Path, cells: Sequence[str], lines: Sequence[int]) -> tuple[Path, ...]:
    """Where the files named in a manifest lie.

    Each folder is resolved once, so that a hundred thousand rows take about a second.

    Args:
        manifest: The manifest; paths are relative to its folder.
        cells: The paths as written.
        lines: Line of each.

    Returns:
        Absolute paths, symbolic links of their folders resolved; the files may not exist.

    Raises:
        ManifestError: If a path is absolute, or leaves the folder by ``..`` or by a link.
    """
    return tuple(_located(str(manifest.parent.resolve()), manifest, cells, lines))


def _located(root: str, manifest: Path, cells: Sequence[str], lines: Sequence[int]) -> Iterator[Path]:
    folders: dict[str, str] = {}
    for cell, line in zip(cells, lines, strict=True):
        folder, name = os.path.split(cell)
        if folder not in folders:
            folders[folder] = os.path.realpath(os.path.join(root, folder))  # noqa: PTH118 - pathlib is 10 times slower
        place = os.path.normpath(os.path.join(folders[folder], name))  # noqa: PTH118
        target = os.path.realpath(place) if os.path.islink(place) else place  # noqa: PTH114
        if _is_absolute(cell) or not target.startswith(root.rstrip(os.sep) + os.sep):
            raise ManifestError(
                f"{manifest}: line {line}: path '{cell}' leaves the manifest's folder",
                "put the file below that folder and give its path from there",
            )
        yield Path(place)


def _is_absolute(cell: str) -> bool:
    return os.path.isabs(cell) or bool(PureWindowsPath(cell).drive)  # noqa: PTH117


FULL_TURN = 360.0
"""Angles in degrees lie within one turn either way: 725 is a typing error, not two turns."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Manifest:
    """The rows of a manifest, each known by its line; labels and objects are consistent.

    Attributes:
        path: The CSV file.
        lines: Line of each row; the header is line 1.
        files: Where each row's file lies, below the folder of the manifest; it may not exist.
        labels: Class label of each row.
        names: Object of each row.
        columns: Cells of all further columns, as text.
    """

    path: Path
    lines: tuple[int, ...]
    files: tuple[Path, ...]
    labels: tuple[str, ...]
    names: tuple[str, ...]
    columns: Mapping[str, tuple[str, ...]]

    def __len__(self) -> int:
        return len(self.lines)

    def where(self, row: int) -> str:
        """File and line of a row, as errors begin."""
        return f"{self.path}: line {self.lines[row]}"

    def objects(self) -> Objects:
        """The distinct objects, sorted by name, so that the order of lines does not matter."""
        labels = dict(zip(self.names, self.labels, strict=True))
        names = tuple(sorted(labels))
        return Objects(names=names, labels=tuple(labels[name] for name in names))

    def column(self, name: str) -> tuple[str, ...]:
        """The cells of a further column.

        Raises:
            ManifestError: If there is no such column; names the nearest.
        """
        if name not in self.columns:
            raise ManifestError(f"{self.path}: line 1: no column '{name}'", nearest(name, self.columns))
        return self.columns[name]

    def numbers(self, name: str, *, unit: str) -> Float[np.ndarray, " rows"]:
        """A further column as numbers, in ``unit``, shape ``[rows]``.

        Raises:
            ManifestError: If a cell is blank, no number, not finite, or an angle of more than a turn.
        """
        cells = self.column(name)
        values = np.array([_number(cell) for cell in cells], dtype=np.float64)
        advice = "give degrees, e.g. 90" if unit == "deg" else f"give a number{f' in {unit}' if unit else ''}"
        self._refuse(np.isnan(values), name, f"is not a number; {advice}")
        self._refuse(np.isinf(values), name, f"is not finite; {advice}")
        if unit == "deg":
            self._refuse(np.abs(values) > FULL_TURN, name, "is more than a full turn; give degrees from -360 to 360")
        return values

    def numeric_columns(self) -> list[str]:
        """Further columns that hold numbers: azimuth, elevation, and those with numbers in most cells."""
        return [name for name, cells in self.columns.items() if _is_numeric(name, cells)]

    def _refuse(self, wrong: Bool[np.ndarray, " rows"], name: str, complaint: str) -> None:
        if wrong.any():
            row = int(np.argmax(wrong))
            cell = self.columns[name][row]
            raise ManifestError(f"{self.where(row)}: {name} '{cell}' {complaint}")


def read_manifest(path: Path, *, file_column: Literal["image", "mesh"]) -> Manifest:
    """Read a manifest with the columns ``file_column``, label, object and any others.

    Cells are stripped of surrounding space; blank lines are passed over.

    Raises:
        ManifestError: If the file is missing, not UTF-8 or no proper CSV; a column is missing or stands
            twice; a file, label or object is blank; a path leaves the folder; an object has two labels;
            or one file shows two objects. Names the file, the line and what to do.
    """
    header, rows, lines = _read_table(path, _read_text(path))
    _check_header(path, header, required=(file_column, "label", "object"))
    cells = dict(zip(header, zip(*rows, strict=True), strict=True))
    for name in (file_column, "label", "object"):
        _check_filled(path, lines, name, cells[name])
    manifest = Manifest(
        path=path,
        lines=tuple(lines),
        files=locate(path, cells[file_column], lines),
        labels=cells.pop("label"),
        names=cells.pop("object"),
        columns={name: column for name, column in cells.items() if name != file_column},
    )
    _check_one_value(manifest, manifest.names, manifest.labels, "object '{}' is labelled '{}'", "labels differ")
    _check_one_value(manifest, manifest.files, manifest.names, "file {} shows '{}'", "one file cannot show two objects")
    return manifest


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
            cells = ", ".join(f"{axis} {manifest.columns[axis][row]}" for axis in axes)
            said = f"object '{name}'{f' at {cells}' if cells else ''} already stands on line {manifest.lines[earlier]}"
            others = [other for other in manifest.columns if other not in axes]
            advice = f"remove one, or make '{others[0]}' an [[axis]]" if others and cells else "remove one"
            raise ManifestError(f"{manifest.where(row)}: {said}", advice)


def check_splittable(manifest: Manifest) -> None:
    """Refuse a manifest whose objects cannot be split into train and test within each label.

    Raises:
        ManifestError: If a label has one object only; names the line where it first stands.
    """
    objects = manifest.objects()
    for label in objects.classes:
        if objects.labels.count(label) == 1:
            row = manifest.labels.index(label)
            raise ManifestError(
                f"{manifest.where(row)}: label '{label}' has one object only, '{manifest.names[row]}'",
                "add a second object to test on, or plan without validation (--no-validate)",
            )


def object_rows(names: Iterable[str], objects: Objects) -> Int[np.ndarray, " rows"]:
    """Row of each named object; all must be known."""
    number = dict(zip(objects.names, count(), strict=False))
    return np.array([number[name] for name in names], dtype=np.int64)


def _read_text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read ({error.strerror})", "check the path of the manifest") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ManifestError(f"{path}: line {line}: the text is not UTF-8", "save the file as CSV in UTF-8") from error


def _read_table(path: Path, text: str) -> tuple[list[str], list[list[str]], list[int]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows, lines, line = [], [], 1
    try:
        for row in reader:
            if any(row):
                rows.append([cell.strip() for cell in row])
                lines.append(line)
            line = reader.line_num + 1
    except csv.Error as error:
        raise ManifestError(f"{path}: line {line}: {error}", "write CSV: quotes in pairs, rows short") from error
    if len(rows) < 2:
        raise ManifestError(f"{path}: line 1: the manifest is empty", "give a header and one row for each file")
    _check_widths(path, rows, lines)
    return rows[0], rows[1:], lines[1:]


def _check_widths(path: Path, rows: list[list[str]], lines: list[int]) -> None:
    width = len(rows[0])
    for row, line in zip(rows, lines, strict=True):
        if len(row) != width:
            raise ManifestError(f"{path}: line {line}: {len(row)} cells under {width} columns", "make them equal")


def _check_header(path: Path, header: list[str], *, required: tuple[str, ...]) -> None:
    where = f"{path}: line 1"
    for name in required:
        if name not in header:
            separator = next((mark for mark in ";\t" if mark in header[0]), "")
            advice = f"separate columns by ',', not by {separator!r}" if separator else nearest(name, header)
            raise ManifestError(f"{where}: no column '{name}'", advice)
    for name in header:
        if not name:
            raise ManifestError(f"{where}: column {header.index('') + 1} has no name", "name it or remove it")
        if header.count(name) > 1:
            raise ManifestError(f"{where}: column '{name}' stands twice", "rename one")


def _check_filled(path: Path, lines: list[int], name: str, cells: tuple[str, ...]) -> None:
    for cell, line in zip(cells, lines, strict=True):
        if not cell or "\0" in cell:
            raise ManifestError(f"{path}: line {line}: {name} is {'blank' if not cell else 'no text'}", f"give {name}")


def _check_one_value(
    manifest: Manifest, keys: Sequence[object], values: Sequence[str], sentence: str, reason: str
) -> None:
    first: dict[object, int] = {}
    for row, key in enumerate(keys):
        earlier = first.setdefault(key, row)
        if values[earlier] != values[row]:
            said, before = sentence.format(key, values[row]), f"'{values[earlier]}' on line {manifest.lines[earlier]}"
            raise ManifestError(f"{manifest.where(row)}: {said} but {before}", f"correct one: {reason}")


def _is_numeric(name: str, cells: tuple[str, ...]) -> bool:
    found = sum(not math.isnan(_number(cell)) for cell in cells)
    return name.casefold() in {"azimuth", "elevation"} or 2 * found > len(cells)


def _number(cell: str) -> float:
    try:
        # float() takes 1_000 for a thousand, which in a manifest is a typing error
        return math.nan if "_" in cell else float(cell)
    except ValueError:
        return math.nan


ANGLES = ("azimuth", "elevation")
"""Columns that are in degrees unless rig.toml says otherwise; azimuth is a circle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a manifest that is an axis.

    Attributes:
        name: Name of the column.
        kind: Kind of the axis.
        unit: Unit of its cells; ``"deg"`` for a circle, nothing for a category.
        values: Allowed levels; ``None`` for those that occur in the manifest.
        seconds: Time to move by one unit, or to change a category.
    """

    name: str
    kind: Literal["circle", "interval", "category"]
    unit: str = ""
    values: tuple[float, ...] | tuple[str, ...] | None = None
    seconds: float = 0.0

    @classmethod
    def guessed(cls, name: str) -> Column:
        """What a numeric column is when rig.toml does not say."""
        known = name.casefold()
        kind: Literal["circle", "interval"] = "circle" if known == "azimuth" else "interval"
        return cls(name=name, kind=kind, unit="deg" if known in ANGLES else "")

    def axis(self, levels: Sequence[float] | Sequence[str]) -> Axis:
        """The axis with these levels.

        Raises:
            SpaceError: If the levels are no axis.
        """
        if self.kind == "category":
            return Category(name=self.name, values=tuple(map(str, levels)), seconds_per_change=self.seconds)
        numbers = tuple(map(float, levels))
        if self.kind == "circle":
            return Circle(name=self.name, values=numbers, seconds_per_unit=self.seconds)
        return Interval(name=self.name, values=numbers, unit=self.unit, seconds_per_unit=self.seconds)


def default_columns(manifest: Manifest) -> list[Column]:
    """All numeric columns of a manifest.

    Raises:
        ManifestError: If there is none.
    """
    names = manifest.numeric_columns()
    if not names:
        raise ManifestError(
            f"{manifest.path}: line 1: no column of numbers says from where an image was taken",
            "add one such as azimuth, or name the axes in rig.toml",
        )
    return [Column.guessed(name) for name in names]


def space_of(manifest: Manifest, columns: Sequence[Column]) -> tuple[Space, Float[np.ndarray, "rows axes"]]:
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
    axes = [column.axis(column.values or _levels(manifest, column)) for column in columns]
    coordinates = np.stack([axis_coordinates(manifest, axis) for axis in axes], axis=1)
    for position, (axis, column) in enumerate(zip(axes, columns, strict=True)):
        if column.values is not None:
            coordinates[:, position] = _on_levels(manifest, axis, coordinates[:, position])
    views = np.unique(coordinates, axis=0)
    grid = Space(axes=tuple(axes))
    return (grid if len(views) == grid.n_views else Space(axes=tuple(axes), table=views)), coordinates


def axis_coordinates(manifest: Manifest, axis: Axis) -> Float[np.ndarray, " rows"]:
    """A column of a manifest as coordinates of an axis: circles wrapped, categories as level numbers.

    Raises:
        ManifestError: If a cell is no number, no angle, or no level of a category.
    """
    if not isinstance(axis, Category):
        return _wrapped(manifest.numbers(axis.name, unit=axis.unit), circle=isinstance(axis, Circle))
    number = {name: float(level) for level, name in enumerate(axis.values)}
    cells = manifest.column(axis.name)
    for row, cell in enumerate(cells):
        if cell not in number:
            raise ManifestError(
                f"{manifest.where(row)}: {axis.name} '{cell}' is no level of this axis", nearest(cell, axis.values)
            )
    return np.array([number[cell] for cell in cells])


def _levels(manifest: Manifest, column: Column) -> Sequence[float] | Sequence[str]:
    if column.kind == "category":
        return sorted(set(manifest.column(column.name)))
    unit = "deg" if column.kind == "circle" else column.unit
    values = _wrapped(manifest.numbers(column.name, unit=unit), circle=column.kind == "circle")
    return list(np.unique(values))


def _wrapped(values: Float[np.ndarray, " rows"], *, circle: bool) -> Float[np.ndarray, " rows"]:
    # rounded, so that -1e-12 does not become a level of its own beside 0
    rounded = np.round(values, 9) + 0.0
    return np.mod(rounded, 360.0) if circle else rounded


def _on_levels(manifest: Manifest, axis: Axis, values: Float[np.ndarray, " rows"]) -> Float[np.ndarray, " rows"]:
    codes = axis.codes()
    levels = codes[Space(axes=(axis,)).levels(values[:, None])[:, 0]]
    outside = axis.difference(values, levels) > 1e-6
    if outside.any():
        row = int(np.argmax(outside))
        raise ManifestError(
            f"{manifest.where(row)}: {axis.name} {values[row]:g} is not among the values of the axis",
            f"take the line out, or add it to 'values' (they run from {codes.min():g} to {codes.max():g})",
        )
    return levels
