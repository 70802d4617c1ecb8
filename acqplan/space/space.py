"""The design space: ordered axes, as a full grid or as a table of allowed views."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from acqplan.errors import SpaceError, nearest
from acqplan.files import digest_bytes
from acqplan.space.axes import Axis, Category, Circle

ViewValue = float | str
"""A setting of one axis as a person reads it: a number, or the name of a level."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Space:
    """Ordered axes and the views they allow.

    Attributes:
        axes: The axes, in the order of coordinates.
        table: Coordinates of the allowed views, shape ``[views, axes]``; ``None`` for the full grid.
    """

    axes: tuple[Axis, ...]
    table: Float[np.ndarray, "views axes"] | None = None

    def __post_init__(self) -> None:
        if not self.axes:
            raise SpaceError("a space needs at least one axis", "add an [[axis]] table")
        names = [axis.name for axis in self.axes]
        for name in names:
            if names.count(name) > 1:
                raise SpaceError(f"axis '{name}' appears twice", "rename one")
        if self.table is not None and (self.table.ndim != 2 or self.table.shape[1] != len(self.axes)):
            raise SpaceError(f"table of views has shape {self.table.shape}, not [views, {len(self.axes)}]")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the axes."""
        return tuple(axis.name for axis in self.axes)

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of levels of each axis."""
        return tuple(len(axis.values) for axis in self.axes)

    @property
    def is_grid(self) -> bool:
        """Whether every combination of levels is an allowed view."""
        return self.table is None

    @property
    def n_views(self) -> int:
        """Number of allowed views."""
        return int(np.prod(self.shape)) if self.table is None else len(self.table)

    @property
    def scales(self) -> Float[np.ndarray, " axes"]:
        """What counts as one unit of distance along each axis."""
        return np.array([axis.scale for axis in self.axes])

    def index(self, name: str) -> int:
        """Position of an axis.

        Raises:
            SpaceError: If there is no such axis; names the nearest.
        """
        if name not in self.names:
            raise SpaceError(f"no axis is called '{name}'", nearest(name, self.names))
        return self.names.index(name)

    def views(self) -> Float[np.ndarray, "views axes"]:
        """Coordinates of all allowed views; of a grid the last axis varies fastest."""
        if self.table is not None:
            return self.table
        levels = np.meshgrid(*(axis.codes() for axis in self.axes), indexing="ij")
        return np.stack([level.ravel() for level in levels], axis=1)

    def levels(self, coordinates: Float[np.ndarray, "views axes"]) -> Int[np.ndarray, "views axes"]:
        """Number of the nearest level on each axis; this, unlike a coordinate, turns with the axis."""
        columns = [_nearest_level(axis, coordinates[:, column]) for column, axis in enumerate(self.axes)]
        return np.stack(columns, axis=1)

    def offsets(self, coordinates: Float[np.ndarray, "views axes"]) -> Float[np.ndarray, "views axes"]:
        """Coordinates counted from the first level of each axis; see `from_first_level`."""
        columns = [from_first_level(axis, coordinates[:, column]) for column, axis in enumerate(self.axes)]
        return np.stack(columns, axis=1)

    def view(self, coordinates: Float[np.ndarray, " axes"]) -> dict[str, ViewValue]:
        """One view as a person reads it, e.g. ``{"azimuth": 40.0, "lighting": "L2"}``."""
        return {
            axis.name: axis.values[round(float(value))] if isinstance(axis, Category) else float(value)
            for axis, value in zip(self.axes, coordinates, strict=True)
        }

    def coordinates(self, view: dict[str, ViewValue]) -> Float[np.ndarray, " axes"]:
        """Coordinates of a view given by name; the inverse of `view`.

        Raises:
            SpaceError: If an axis is missing or unknown, or a category has no such level.
        """
        for name in view:
            self.index(name)
        missing = [name for name in self.names if name not in view]
        if missing:
            raise SpaceError(f"view {view} does not set '{missing[0]}'", f"axes: {', '.join(self.names)}")
        return np.array([_coordinate(axis, view[axis.name]) for axis in self.axes])

    def turned(self, name: str, by: float) -> Space:
        """The same space with every level of a circle moved on by ``by`` units."""
        position = self.index(name)
        axis = self.axes[position]
        if not isinstance(axis, Circle):
            raise SpaceError(f"axis '{name}' is not a circle", "only circles turn")
        moved = replace(axis, values=tuple((value + by) % axis.period for value in axis.values))
        axes = (*self.axes[:position], moved, *self.axes[position + 1 :])
        if self.table is None:
            return Space(axes=axes)
        table = self.table.copy()
        table[:, position] = np.mod(table[:, position] + by, axis.period)
        return Space(axes=axes, table=table)

    def digest(self) -> str:
        """SHA-256 of what the space allows; equal for equal spaces on any machine."""
        axes = [
            [axis.kind, axis.name, [v if isinstance(v, str) else round(float(v), 9) for v in axis.values], axis.unit]
            for axis in self.axes
        ]
        table = None if self.table is None else np.round(self.table, 9).tolist()
        return digest_bytes(json.dumps([axes, table], ensure_ascii=False).encode())


def from_first_level(axis: Axis, values: Float[np.ndarray, " values"]) -> Float[np.ndarray, " values"]:
    """Coordinates counted from the first level of an axis, so that a circle may call any direction zero.

    They are rounded, so that turning a circle cannot change the last bits that decide between equals.
    """
    apart = values - axis.codes()[0]
    if isinstance(axis, Circle):
        return np.mod(np.round(np.mod(apart, axis.period), 6), axis.period)
    return np.round(apart, 6)


def _nearest_level(axis: Axis, values: Float[np.ndarray, " views"]) -> Int[np.ndarray, " views"]:
    codes = axis.codes()
    distinct, place = np.unique(values, return_inverse=True)  # a million views of a grid have few settings
    nearest_level = np.zeros(len(distinct), dtype=np.int64)
    best = axis.difference(distinct, codes[0])
    for level in range(1, len(codes)):
        apart = axis.difference(distinct, codes[level])
        nearer = apart < best
        nearest_level[nearer], best = level, np.minimum(best, apart)
    return nearest_level[place]


def _coordinate(axis: Axis, value: ViewValue) -> float:
    if isinstance(axis, Category):
        if value not in axis.values:
            raise SpaceError(f"axis '{axis.name}' has no level '{value}'", nearest(str(value), axis.values))
        return float(axis.values.index(str(value)))
    try:
        number = float(value)
    except ValueError as error:
        raise SpaceError(f"axis '{axis.name}': '{value}' is not a number", f"give {axis.unit or 'a number'}") from error
    return number % axis.period if isinstance(axis, Circle) else number
