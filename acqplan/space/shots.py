"""Objects and shots: what is on the turntable, and which view of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from acqplan.errors import UsageError
from acqplan.space.space import Space, ViewValue


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
        if len(set(self.names)) != len(self.names):
            twice = next(name for name in self.names if self.names.count(name) > 1)
            raise UsageError(f"object '{twice}' appears twice", "give each object its own name")

    def __len__(self) -> int:
        return len(self.names)

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

    def take(self, rows: Int[np.ndarray, " taken"] | Sequence[int]) -> Shots:
        """Some of the shots, in the order of ``rows`` (or where a mask is true)."""
        chosen = np.asarray(rows) if len(rows) else np.empty(0, dtype=np.int64)
        return Shots(
            space=self.space,
            objects=self.objects,
            object_rows=self.object_rows[chosen],
            coordinates=self.coordinates[chosen],
        )

    def join(self, other: Shots) -> Shots:
        """These shots followed by those of another table of the same space and objects."""
        return Shots(
            space=self.space,
            objects=self.objects,
            object_rows=np.concatenate([self.object_rows, other.object_rows]),
            coordinates=np.concatenate([self.coordinates, other.coordinates]),
        )

    def narrow(self, rows: Int[np.ndarray, " kept"]) -> Shots:
        """The shots of some objects only, over a table of just these objects.

        Args:
            rows: Rows of the objects to keep, ascending, shape ``[kept]``.
        """
        mine = np.flatnonzero(np.isin(self.object_rows, rows))
        objects = Objects(
            names=tuple(self.objects.names[row] for row in rows), labels=tuple(self.objects.labels[row] for row in rows)
        )
        return Shots(
            space=self.space,
            objects=objects,
            object_rows=np.searchsorted(rows, self.object_rows[mine]),
            coordinates=self.coordinates[mine],
        )

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
