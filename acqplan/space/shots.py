"""The design space, the objects on the turntable, and shots: which view of which object.

A space is a full grid of its axes' levels, or a table of allowed views.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from acqplan.errors import SpaceError, UsageError, nearest
from acqplan.files import digest_bytes
from acqplan.numbers import ViewValue as ViewValue
from acqplan.numbers import text_fault
from acqplan.space.axes import Axis, Category, Circle

# More axes than any rig has, and fewer than arrays of numpy may have; more views than can be compared with each other.
MOST_AXES = 32
MOST_VIEWS = 1_000_000


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
        if len(self.axes) > MOST_AXES:
            raise SpaceError(f"{len(self.axes):,} axes", f"name the at most {MOST_AXES} that are set for a view")
        names = [axis.name for axis in self.axes]
        for name in names:
            if names.count(name) > 1:
                raise SpaceError(f"axis '{name}' appears twice", "rename one")
        if self.table is not None and (self.table.ndim != 2 or self.table.shape[1] != len(self.axes)):
            raise SpaceError(f"table of views has shape {self.table.shape}, not [views, {len(self.axes)}]")

    def __repr__(self) -> str:
        axes = ", ".join(f"{axis.name} {len(axis.values):,}" for axis in self.axes)
        return f"Space({self.n_views:,} views: {axes})"

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
        return math.prod(self.shape) if self.table is None else len(self.table)

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
        """Coordinates of all allowed views; of a grid the last axis varies fastest.

        Raises:
            SpaceError: If a grid has more than a million.
        """
        if self.table is not None:
            return self.table
        if self.n_views > MOST_VIEWS:
            said = f"axes of {' x '.join(f'{n:,}' for n in self.shape)} levels make {self.n_views:,} views"
            raise SpaceError(said, f"give fewer levels: at most {MOST_VIEWS:,} views")
        levels = np.meshgrid(*(axis.codes() for axis in self.axes), indexing="ij")
        return np.stack([level.ravel() for level in levels], axis=1)

    def levels(self, coordinates: Float[np.ndarray, "views axes"]) -> Int[np.ndarray, "views axes"]:
        """Number of the nearest level on each axis; this, unlike a coordinate, turns with the axis."""
        found = np.zeros(coordinates.shape, dtype=np.int64)
        for column, axis in enumerate(self.axes):
            # a million views of a grid have few settings
            distinct_values, place = np.unique(coordinates[:, column], return_inverse=True)
            codes, nearest_level = axis.codes(), np.zeros(len(distinct_values), dtype=np.int64)
            best = axis.difference(distinct_values, codes[0])
            for level in range(1, len(codes)):
                apart = axis.difference(distinct_values, codes[level])
                nearest_level[apart < best], best = level, np.minimum(best, apart)
            found[:, column] = nearest_level[place]
        return found

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
        found = []
        for axis in self.axes:
            value = view[axis.name]
            if isinstance(axis, Category):
                if value not in axis.values:
                    raise SpaceError(f"axis '{axis.name}' has no level '{value}'", nearest(str(value), axis.values))
                found.append(float(axis.values.index(str(value))))
                continue
            try:
                number = float(value)
            except ValueError as error:
                wrong = f"axis '{axis.name}': '{value}' is not a number"
                raise SpaceError(wrong, f"give {axis.unit or 'a number'}") from error
            found.append(number % axis.period if isinstance(axis, Circle) else number)
        return np.array(found)

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Objects:
    """Physical things with class labels; the unit by which train and test are split.

    Attributes:
        names: Distinct names.
        labels: Class label of each.
    """

    names: tuple[str, ...]
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.names) != len(self.labels):
            raise UsageError(f"{len(self.names)} objects have {len(self.labels)} labels", "give one label per object")
        if fault := text_fault((*self.names, *self.labels)):
            raise UsageError(f"an object or label cannot be called so: {fault}", "write text in UTF-8")
        if len(set(self.names)) != len(self.names):
            twice = next(name for name in self.names if self.names.count(name) > 1)
            raise UsageError(f"object '{twice}' appears twice", "give each object its own name")

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"Objects({len(self):,} of {len(self.classes):,} classes)"

    @property
    def classes(self) -> tuple[str, ...]:
        """The distinct labels, sorted."""
        return tuple(sorted(set(self.labels)))

    @property
    def class_rows(self) -> Int[np.ndarray, " objects"]:
        """Number of each object's class in `classes`."""
        number = {label: row for row, label in enumerate(self.classes)}
        return np.array([number[label] for label in self.labels], dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shots:
    """A table of (object, view) pairs: candidates, or, once taken, captures.

    Attributes:
        space: The space of the views.
        objects: The objects that rows refer to (there may be more of them than have shots).
        object_rows: Row of each shot's object in ``objects``, shape ``[shots]``.
        coordinates: View of each shot, shape ``[shots, axes]``; categories as level numbers.
    """

    space: Space
    objects: Objects
    object_rows: Int[np.ndarray, " shots"]
    coordinates: Float[np.ndarray, "shots axes"]

    def __post_init__(self) -> None:
        if self.coordinates.shape != (len(self.object_rows), len(self.space.axes)):
            raise UsageError(
                f"{len(self.object_rows)} shots with coordinates of shape {self.coordinates.shape}",
                f"give shape [shots, {len(self.space.axes)}]",
            )

    @classmethod
    def every(cls, space: Space, objects: Objects) -> Shots:
        """Every view of every object, objects in order, views varying fastest."""
        return cls(
            space=space,
            objects=objects,
            object_rows=np.repeat(np.arange(len(objects)), space.n_views),
            coordinates=np.tile(space.views(), (len(objects), 1)),
        )

    def __len__(self) -> int:
        return len(self.object_rows)

    def __repr__(self) -> str:
        return f"Shots({len(self):,} of {len(np.unique(self.object_rows)):,} objects)"

    def take(self, rows: Int[np.ndarray, " taken"] | Sequence[int]) -> Shots:
        """Some of the shots, in the order of ``rows`` (or where a mask is true)."""
        chosen = np.asarray(rows) if len(rows) else np.empty(0, dtype=np.int64)
        return replace(self, object_rows=self.object_rows[chosen], coordinates=self.coordinates[chosen])

    def join(self, other: Shots) -> Shots:
        """These shots followed by those of another table of the same space and objects."""
        object_rows = np.concatenate([self.object_rows, other.object_rows])
        return replace(self, object_rows=object_rows, coordinates=np.concatenate([self.coordinates, other.coordinates]))

    def narrow(self, rows: Int[np.ndarray, " kept"]) -> Shots:
        """The shots of some objects only, over a table of just these objects.

        Args:
            rows: Rows of the objects to keep, ascending, shape ``[kept]``.
        """
        names = tuple(self.objects.names[row] for row in rows)
        labels = tuple(self.objects.labels[row] for row in rows)
        mine = self.take(np.flatnonzero(np.isin(self.object_rows, rows)))
        own_rows = np.searchsorted(rows, mine.object_rows)
        return replace(mine, objects=Objects(names=names, labels=labels), object_rows=own_rows)

    @property
    def class_rows(self) -> Int[np.ndarray, " shots"]:
        """Number of each shot's class."""
        return self.objects.class_rows[self.object_rows]

    @property
    def names(self) -> list[str]:
        """Object name of each shot."""
        return [self.objects.names[row] for row in self.object_rows]

    @property
    def labels(self) -> list[str]:
        """Class label of each shot."""
        return [self.objects.labels[row] for row in self.object_rows]

    def views(self) -> list[dict[str, ViewValue]]:
        """The view of each shot as a person reads it."""
        return [self.space.view(row) for row in self.coordinates]

    def pairs(self) -> list[tuple[str, tuple[float, ...]]]:
        """Object name and coordinates, rounded to 1e-6, of each shot; equal for equal shots."""
        rounded = np.round(self.coordinates, 6).tolist()
        return [(name, tuple(row)) for name, row in zip(self.names, rounded, strict=True)]

    def canonical_order(self) -> Int[np.ndarray, " shots"]:
        """Rows sorted by object name, then by how far each view lies from its axis' first level.

        The order depends on neither the order of the rows nor the direction that a circle calls zero.
        """
        by_name = np.argsort(np.argsort(np.array(self.objects.names)))
        return np.lexsort([*self.space.offsets(self.coordinates).T[::-1], by_name[self.object_rows]])


def distinct(shots: Shots) -> tuple[Int[np.ndarray, " distinct"], Int[np.ndarray, " shots"]]:
    """Rows of the distinct shots, sorted by object and view, and for every shot which of them it is."""
    codes = shots.object_rows.astype(np.int64)
    for column in np.round(shots.coordinates, 6).T:
        # count levels instead of comparing coordinates: sorting whole rows takes eight times as long
        levels, numbers = np.unique(column, return_inverse=True)
        if len(codes) and (int(codes.max()) + 1) * len(levels) >= 2**62:
            codes = np.unique(codes, return_inverse=True)[1]
        codes = codes * len(levels) + numbers
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    return first, inverse


def is_among(shots: Shots, others: Shots) -> Bool[np.ndarray, " shots"]:
    """Whether each of ``shots`` is among ``others``."""
    if len(others) == 0:
        return np.zeros(len(shots), dtype=bool)
    _, inverse = distinct(others.join(shots))
    return np.isin(inverse[len(others) :], inverse[: len(others)])
