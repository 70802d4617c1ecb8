"""What a strategy decides on: candidates and captures sorted out by object and by number of the view."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from acqplan.plan.base import History
from acqplan.space import Axis, Category, Circle, Shots, Space
from acqplan.space.kernel import distances


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Situation:
    """Candidates and captures of each object, views by number.

    Nothing that is decided on a situation can depend on the order of rows or on the direction that a
    circle calls zero, because neither is in it.

    Attributes:
        space: The space counted from first levels, see `from_first_levels`.
        views: Coordinates of its views in ascending order, shape ``[views, axes]``.
        names: Names of the objects that have candidates or captures, sorted.
        labels: Class label of each.
        free: View numbers of each object's candidates, ascending.
        rows: Row of each of these among the candidates.
        taken: View numbers of each object's captures, ascending.
    """

    space: Space
    views: Float[np.ndarray, "views axes"]
    names: tuple[str, ...]
    labels: tuple[str, ...]
    free: tuple[Int[np.ndarray, " free"], ...]
    rows: tuple[Int[np.ndarray, " free"], ...]
    taken: tuple[Int[np.ndarray, " taken"], ...]

    @classmethod
    def of(cls, candidates: Shots, history: History) -> Situation:
        """Sort out candidates and captures."""
        names = tuple(sorted({*candidates.names, *history.shots.names}))
        label = dict(zip(candidates.objects.names, candidates.objects.labels, strict=True))
        space = from_first_levels(candidates.space)
        views = space.views()
        free, rows = _by_object(names, candidates, _numbers(space, views, candidates))
        taken, _ = _by_object(names, history.shots, _numbers(space, views, history.shots))
        labels = tuple(label[name] for name in names)
        return cls(space=space, views=views, names=names, labels=labels, free=free, rows=rows, taken=taken)

    @property
    def classes(self) -> dict[str, list[int]]:
        """Numbers of the objects of each class, both sorted by name."""
        members: dict[str, list[int]] = {label: [] for label in sorted(set(self.labels))}
        for number, label in enumerate(self.labels):
            members[label].append(number)
        return members

    @property
    def n_taken(self) -> Int[np.ndarray, " objects"]:
        """Captures of each object."""
        return np.array([len(views) for views in self.taken], dtype=np.int64)

    @property
    def n_free(self) -> Int[np.ndarray, " objects"]:
        """Candidates of each object."""
        return np.array([len(views) for views in self.free], dtype=np.int64)


def from_first_levels(space: Space) -> Space:
    """The same space with coordinates counted from the first level of each axis, levels and views ascending.

    A table that holds every combination of levels comes back as the grid that it is.
    """
    if space.table is None:
        return Space(axes=tuple(_counted(axis) for axis in space.axes))
    table = np.unique(_offsets(space, space.table), axis=0)
    grid = Space(axes=tuple(_counted(axis) for axis in space.axes))
    if len(table) == grid.n_views and np.array_equal(table, grid.views()):
        return grid
    return Space(axes=grid.axes, table=table)


def _counted(axis: Axis) -> Axis:
    if isinstance(axis, Category):
        return axis
    return replace(axis, values=tuple(np.sort(_axis_offsets(axis, axis.codes())).tolist()))


def _offsets(space: Space, coordinates: Float[np.ndarray, "shots axes"]) -> Float[np.ndarray, "shots axes"]:
    columns = [_axis_offsets(axis, coordinates[:, column]) for column, axis in enumerate(space.axes)]
    return np.stack(columns, axis=1)


def _axis_offsets(axis: Axis, values: Float[np.ndarray, " values"]) -> Float[np.ndarray, " values"]:
    # rounded, so that turning a circle cannot change the last bits that decide between equals
    apart = values - axis.codes()[0]
    if isinstance(axis, Circle):
        return np.mod(np.round(np.mod(apart, axis.period), 6), axis.period)
    return np.round(apart, 6)


def _numbers(space: Space, views: Float[np.ndarray, "views axes"], shots: Shots) -> Int[np.ndarray, " shots"]:
    """Number of the view of each shot; a robot may have reached only the neighbourhood of one."""
    if len(shots) == 0:
        return np.zeros(0, dtype=np.int64)
    offsets = _offsets(shots.space, shots.coordinates)
    if space.table is None:
        return np.ravel_multi_index(tuple(space.levels(offsets).T), space.shape)
    return _nearest_rows(space, views, offsets)


def _nearest_rows(
    space: Space, views: Float[np.ndarray, "views axes"], wanted: Float[np.ndarray, "shots axes"]
) -> Int[np.ndarray, " shots"]:
    _, inverse = np.unique(np.concatenate([views, wanted]), axis=0, return_inverse=True)
    row_of = np.full(inverse.max() + 1, -1, dtype=np.int64)
    row_of[inverse[: len(views)]] = np.arange(len(views))
    rows = row_of[inverse[len(views) :]]
    for shot in np.flatnonzero(rows < 0):
        rows[shot] = np.argmin(distances(space, wanted[shot : shot + 1], views)[0])
    return rows


def _by_object(
    names: tuple[str, ...], shots: Shots, numbers: Int[np.ndarray, " shots"]
) -> tuple[tuple[Int[np.ndarray, " own"], ...], tuple[Int[np.ndarray, " own"], ...]]:
    place = {name: number for number, name in enumerate(names)}
    place_of_object = np.array([place.get(name, -1) for name in shots.objects.names], dtype=np.int64)
    owner = place_of_object[shots.object_rows.astype(np.int64)]
    order = np.lexsort([numbers, owner])
    ends = np.searchsorted(owner[order], np.arange(1, len(names)))
    return tuple(np.split(numbers[order], ends)), tuple(np.split(order, ends))
