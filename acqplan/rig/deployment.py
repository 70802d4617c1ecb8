"""``[deployment]`` of rig.toml: which views the finished classifier will meet, and how often."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from acqplan.errors import ManifestError, SpecError, nearest
from acqplan.rig.manifest import Manifest, axis_coordinates
from acqplan.rig.toml_file import TomlFile
from acqplan.space import Axis, Category, Circle, Interval, Space

TABLE = "deployment"
NEARLY = 1e-6
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
            said = f"unknown key '{name}' in [{TABLE}]"
            raise file.error((TABLE, name), said, nearest(name, [*space.names, "weights"]))
        column = space.names.index(name)
        inside &= _along(file, space.axes[column], wish, views[:, column])
    if not inside.any():
        raise file.error((TABLE,), f"no view lies in all ranges of [{TABLE}]", "widen one")
    return inside


def _along(file: TomlFile, axis: Axis, wish: object, values: Float[np.ndarray, " views"]) -> Bool[np.ndarray, " views"]:
    """Whether each view meets the wish for one axis."""
    if isinstance(wish, list) and wish:
        return np.any([_at_level(file, axis, level, values) for level in wish], axis=0)
    if isinstance(wish, str) and not isinstance(axis, Category):
        start, stop = _ends(file, axis, wish)
        span = _span(axis, start, stop)
        if span < 0.0:
            raise _error(file, axis, wish, "runs backwards", f'write e.g. "{stop:g}:{start:g}"')
        inside = _beyond(axis, values, start) <= span + NEARLY
        inside &= _beyond(axis, values, start) >= -NEARLY
        if not inside.any():
            raise _error(file, axis, wish, "holds no view", f"its views: {_levels(axis, values)}")
        return inside
    example = str(list(axis.values[:1])).replace("'", '"')
    more = "" if isinstance(axis, Category) else ' or a range such as "30:45"'
    raise _error(
        file, axis, wish, f"is no list of levels{more and ' and no range'}", f"give a list such as {example}{more}"
    )


def _ends(file: TomlFile, axis: Axis, wish: str) -> tuple[float, float]:
    try:
        start, stop = (float(part) for part in wish.split(":"))
    except ValueError as error:
        raise _error(file, axis, wish, "is not of the form from:to", 'write e.g. "30:45"') from error
    if not (math.isfinite(start) and math.isfinite(stop)):
        raise _error(file, axis, wish, "is not finite", 'write e.g. "30:45"')
    return start, stop


def _span(axis: Axis, start: float, stop: float) -> float:
    """Length of a range; of a circle always going up, at most once around."""
    if not isinstance(axis, Circle):
        return stop - start
    return axis.period if abs(stop - start) >= axis.period else (stop - start) % axis.period


def _beyond(axis: Axis, values: Float[np.ndarray, " views"], start: float) -> Float[np.ndarray, " views"]:
    """How far each view lies beyond the start of a range, a hair before it counting as at it."""
    return np.mod(values - start + NEARLY, axis.period) - NEARLY if isinstance(axis, Circle) else values - start


def _at_level(
    file: TomlFile, axis: Axis, level: object, values: Float[np.ndarray, " views"]
) -> Bool[np.ndarray, " views"]:
    if isinstance(axis, Category):
        inside = values == axis.values.index(str(level)) if level in axis.values else np.zeros(len(values), dtype=bool)
    elif isinstance(level, int | float) and not isinstance(level, bool) and math.isfinite(level):
        inside = axis.difference(values, np.array(_wrapped(axis, level))) <= NEARLY
    else:
        raise _error(file, axis, level, "is not a number", "give a level of the axis")
    if not inside.any():
        hint = nearest(str(level), axis.values) if isinstance(axis, Category) else _levels(axis, values)
        raise _error(file, axis, level, "is the level of no view", hint)
    return inside


def _wrapped(axis: Circle | Interval, level: float) -> float:
    return level % axis.period if isinstance(axis, Circle) else float(level)


def _error(file: TomlFile, axis: Axis, found: object, complaint: str, hint: str) -> SpecError:
    return file.error((TABLE, axis.name), f"{TABLE}.{axis.name}: {found!r} {complaint}", hint)


def _levels(axis: Axis, values: Float[np.ndarray, " views"]) -> str:
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
    table = _read_table(file.path.parent / name, (*space.names, "weight"))
    coordinates = np.stack([axis_coordinates(table, axis) for axis in space.axes], axis=1)
    listed = table.numbers("weight", unit="")
    row_of = {view: row for row, view in enumerate(_keys(space, space.views()))}
    weights, first = np.zeros(space.n_views), dict[int, int]()
    for number, (key, weight) in enumerate(zip(_keys(space, coordinates), listed, strict=True)):
        _check_row(table, number, row_of.get(key), first, float(weight))
        weights[row_of[key]] = weight
    if weights.max() <= 0.0:
        raise ManifestError(f"{table.path}: line 1: all weights are 0", "give the views that will be met more")
    return weights


def _keys(space: Space, coordinates: Float[np.ndarray, "views axes"]) -> list[tuple[float, ...]]:
    """What tells views apart: coordinates rounded, circles wrapped."""
    rounded = np.round(coordinates, 6) + 0.0
    for column, axis in enumerate(space.axes):
        if isinstance(axis, Circle):
            rounded[:, column] = np.mod(rounded[:, column], axis.period)
    return [tuple(row) for row in rounded.tolist()]


def _check_row(table: Manifest, number: int, view: int | None, first: dict[int, int], weight: float) -> None:
    if view is None:
        raise ManifestError(f"{table.where(number)}: the rig has no such view", "take the line out")
    if first.setdefault(view, number) != number:
        earlier = table.lines[first[view]]
        raise ManifestError(f"{table.where(number)}: this view stands on line {earlier} already", "remove one")
    if weight < 0.0:
        raise ManifestError(f"{table.where(number)}: weight {weight:g} is negative", "give 0 or more")


def _read_table(path: Path, columns: tuple[str, ...]) -> Manifest:
    """A table of views: a manifest without files and objects."""
    rows, lines = _read_rows(path)
    header = rows[0] if rows else []
    for name in columns:
        if header.count(name) != 1:
            said = f"column '{name}' stands twice" if name in header else f"no column '{name}'"
            raise ManifestError(f"{path}: line 1: {said}", nearest(name, header) if header else "give a header")
    for row, line in zip(rows, lines, strict=True):
        if len(row) != len(header):
            raise ManifestError(f"{path}: line {line}: {len(row)} cells under {len(header)} columns", "make them equal")
    if len(rows) < 2:
        raise ManifestError(f"{path}: line 1: no view has a weight", "give one row for each view that will be met")
    cells = dict(zip(header, zip(*rows[1:], strict=True), strict=True))
    return Manifest(path=path, lines=tuple(lines[1:]), files=(), labels=(), names=(), columns=cells)


def _read_rows(path: Path) -> tuple[list[list[str]], list[int]]:
    """Rows that are not blank, and their lines."""
    try:
        reader = csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline=""), strict=True)
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read ({error.strerror})", "check 'weights' in rig.toml") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ManifestError(f"{path}: line {line}: the text is not UTF-8", "save the file as CSV in UTF-8") from error
    rows, lines, line = [], [], 1
    try:
        for row in reader:
            if any(row):
                rows.append([cell.strip() for cell in row])
                lines.append(line)
            line = reader.line_num + 1
    except csv.Error as error:
        raise ManifestError(f"{path}: line {line}: {error}", "write CSV: quotes in pairs, rows short") from error
    return rows, lines
