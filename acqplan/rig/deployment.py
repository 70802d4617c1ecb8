"""``[deployment]`` of rig.toml: which views the finished classifier will meet, and how often."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float

from acqplan.errors import ManifestError, SpecError, nearest
from acqplan.rig.manifest import axis_coordinates
from acqplan.space import Axis, Category, Circle, Space
from acqplan.table import read_table

if TYPE_CHECKING:
    from acqplan.rig.toml_file import TomlFile

TABLE = "deployment"
SAME = 1e-6
"""Levels closer than this, in the unit of their axis, are the same."""


def deployment_weights(file: TomlFile, given: Mapping[str, object], space: Space) -> Float[np.ndarray, " views"] | None:
    """How often each view will be met, over the most frequent.

    Args:
        file: The rig.toml, for the lines of mistakes and the folder that paths start from.
        given: Its table: ``from:to`` (going up, so that a circle may wrap) or a list of levels for some axes, which
            must all hold; or ``weights``, a CSV of the axes and ``weight``, where views that it leaves out weigh 0.
        space: The views of the rig.

    Returns:
        Weights in ``[0, 1]`` in the order of ``space.views()``, shape ``[views]``; ``None`` if all are alike.

    Raises:
        SpecError: If a key, range or level is unknown or leaves no view; names file, line and remedy.
        ManifestError: If the table of weights cannot be used; names file, line and remedy.
    """
    if "weights" in given:
        weights = _listed_weights(file, given, space)
    else:
        weights = _inside(file, given, space).astype(np.float64)
    weights = weights / weights.max()
    return None if np.ptp(weights) == 0.0 else weights


def _inside(file: TomlFile, given: Mapping[str, object], space: Space) -> Bool[np.ndarray, " views"]:
    """Whether each view meets the wishes for all axes."""
    views, inside = space.views(), np.ones(space.n_views, dtype=bool)
    for name, wish in given.items():
        if name not in space.names:
            hint = nearest(name, [*space.names, "weights"])
            raise file.error((TABLE, name), f"unknown key '{name}' in [{TABLE}]", hint)
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
            raise _error(file, axis, wish, f"is {found}", f"give a list such as {example}{more}")
    if not inside.any():
        raise file.error((TABLE,), f"no view lies in all ranges of [{TABLE}]", "widen one")
    return inside


def _in_range(file: TomlFile, axis: Axis, wish: str, values: Float[np.ndarray, " views"]) -> Bool[np.ndarray, " views"]:
    """Whether each view lies in a range ``from:to``, both ends included."""
    try:
        start, stop = (float(part) for part in wish.split(":"))
    except ValueError as error:
        raise _error(file, axis, wish, "is not of the form from:to", 'write e.g. "30:45"') from error
    if not (math.isfinite(start) and math.isfinite(stop)):
        raise _error(file, axis, wish, "is not finite", 'write e.g. "30:45"')
    length, beyond = stop - start, values - start
    if isinstance(axis, Circle):
        # a circle is passed upwards, at most once around; a view a hair before the start counts as at the start
        length = axis.period if abs(length) >= axis.period else length % axis.period
        beyond = np.mod(beyond + SAME, axis.period) - SAME
    if length < 0.0:
        raise _error(file, axis, wish, "runs backwards", f'write e.g. "{stop:g}:{start:g}"')
    inside: Bool[np.ndarray, " views"] = (beyond <= length + SAME) & (beyond >= -SAME)
    if not inside.any():
        raise _error(file, axis, wish, "holds no view", f"its views: {_levels(axis, values)}")
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
        raise _error(file, axis, level, "is not a number", "give a level of the axis")
    if not inside.any():
        hint = nearest(str(level), axis.values) if isinstance(axis, Category) else _levels(axis, values)
        raise _error(file, axis, level, "is the level of no view", hint)
    return inside


def _error(file: TomlFile, axis: Axis, found: object, complaint: str, hint: str) -> SpecError:
    return file.error((TABLE, axis.name), f"{TABLE}.{axis.name}: {found!r} {complaint}", hint, asked=found)


def _levels(axis: Axis, values: Float[np.ndarray, " views"]) -> str:
    """The first levels of some views, as text."""
    levels = np.unique(values)
    few = ", ".join(f"{level:g}" for level in levels[:8])
    return f"{few}{', …' if len(levels) > 8 else ''} {axis.unit}".rstrip()


def _listed_weights(file: TomlFile, given: Mapping[str, object], space: Space) -> Float[np.ndarray, " views"]:
    """Weights from a CSV."""
    if len(given) > 1:
        other = next(name for name in given if name != "weights")
        raise file.error((TABLE, other), f"both 'weights' and '{other}' are given in [{TABLE}]", "remove one")
    name = given["weights"]
    if not isinstance(name, str) or not name:
        raise file.error((TABLE, "weights"), f"{TABLE}.weights = {name!r} is no file", 'write e.g. "views.csv"')
    table = read_table(file.path.parent / name, required=(*space.names, "weight"), named_by="'weights' in rig.toml")
    coordinates = np.stack([axis_coordinates(table, axis) for axis in space.axes], axis=1)
    row_of = {view: row for row, view in enumerate(_keys(space, space.views()))}
    # views that the table leaves out weigh nothing
    weights, line_of = np.zeros(space.n_views), dict[int, int]()
    for row, (key, weight) in enumerate(zip(_keys(space, coordinates), table.numbers("weight"), strict=True)):
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


def _keys(space: Space, coordinates: Float[np.ndarray, "views axes"]) -> list[tuple[float, ...]]:
    """What tells views apart: coordinates rounded, circles wrapped."""
    rounded = np.round(coordinates, 6) + 0.0
    for column, axis in enumerate(space.axes):
        if isinstance(axis, Circle):
            rounded[:, column] = np.mod(rounded[:, column], axis.period)
    return [tuple(row) for row in rounded.tolist()]
