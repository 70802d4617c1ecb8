"""Columns of a manifest that are axes: what kind each is, its levels, and the coordinates of each row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from acqplan.errors import ManifestError, nearest
from acqplan.rig.manifest import Manifest
from acqplan.space import Axis, Category, Circle, Interval, Space

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
