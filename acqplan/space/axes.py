"""Axes: the controllable factors of capture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from acqplan.errors import SpaceError

RADIUS_DEGREES = 30.0
"""A change of angle by this much counts as one unit of distance; see `Axis.scale`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Circle:
    """A factor that wraps around, such as azimuth.

    Attributes:
        name: Name of the axis.
        values: Allowed levels in ``unit``, distinct modulo ``period``, at least one.
        unit: Unit of the levels.
        period: Where the circle closes, in ``unit``.
        seconds_per_unit: Time to move by one unit.
    """

    kind: ClassVar[str] = "circle"
    name: str
    values: tuple[float, ...]
    unit: str = "deg"
    period: float = 360.0
    seconds_per_unit: float = 0.0

    def __post_init__(self) -> None:
        _check_numbers(self.name, self.values)
        outside = [value for value in self.values if not -self.period <= value <= self.period]
        if outside:
            raise SpaceError(
                f"axis '{self.name}': {outside[0]:g} {self.unit} is more than a full turn",
                f"give values between {-self.period:g} and {self.period:g}",
            )
        _check_distinct(self.name, tuple(value % self.period for value in self.values))

    @property
    def scale(self) -> float:
        """What counts as one unit of distance between views: a twelfth of the circle."""
        return self.period / 12.0

    def codes(self) -> Float[np.ndarray, " levels"]:
        """The levels as coordinates, in ``[0, period)``."""
        return np.mod(np.asarray(self.values, dtype=np.float64), self.period)

    def difference(self, a: Float[np.ndarray, "..."], b: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """The shorter way round between coordinates, in ``unit``, never negative."""
        apart = np.mod(np.abs(a - b), self.period)
        return np.minimum(apart, self.period - apart)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A factor with two ends, such as elevation.

    Attributes:
        name: Name of the axis.
        values: Allowed levels in ``unit``, distinct, at least one.
        unit: Unit of the levels.
        seconds_per_unit: Time to move by one unit.
    """

    kind: ClassVar[str] = "interval"
    name: str
    values: tuple[float, ...]
    unit: str = ""
    seconds_per_unit: float = 0.0

    def __post_init__(self) -> None:
        _check_numbers(self.name, self.values)
        _check_distinct(self.name, self.values)

    @property
    def scale(self) -> float:
        """What counts as one unit of distance: 30 degrees, or a quarter of the range of another unit."""
        span = max(self.values) - min(self.values)
        return RADIUS_DEGREES if self.unit == "deg" else span / 4.0 or 1.0

    def codes(self) -> Float[np.ndarray, " levels"]:
        """The levels as coordinates, in ``unit``."""
        return np.asarray(self.values, dtype=np.float64)

    def difference(self, a: Float[np.ndarray, "..."], b: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """Distance between coordinates, in ``unit``."""
        return np.abs(a - b)


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """A factor with unordered levels, such as lighting.

    Attributes:
        name: Name of the axis.
        values: Names of the levels, distinct, at least one; a coordinate is the number of the level.
        seconds_per_change: Time to change from any level to another.
    """

    kind: ClassVar[str] = "category"
    unit: ClassVar[str] = ""
    name: str
    values: tuple[str, ...]
    seconds_per_change: float = 0.0

    def __post_init__(self) -> None:
        if not self.values:
            raise SpaceError(f"axis '{self.name}' has no values", "list at least one")
        _check_distinct(self.name, self.values)

    @property
    def scale(self) -> float:
        """Two different levels are one unit of distance apart."""
        return 1.0

    def codes(self) -> Float[np.ndarray, " levels"]:
        """The levels as coordinates ``0, 1, …``."""
        return np.arange(len(self.values), dtype=np.float64)

    def difference(self, a: Float[np.ndarray, "..."], b: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """0 where the levels are the same, else 1."""
        return (np.rint(a) != np.rint(b)).astype(np.float64)


Axis = Circle | Interval | Category


def parse_values(text: str) -> tuple[float, ...]:
    """Read ``start:stop:step`` with stop included, e.g. ``"30:70:5"``.

    Raises:
        SpaceError: If the text is not of that form or the step leads away from stop.
    """
    try:
        start, stop, step = (float(part) for part in text.split(":"))
    except ValueError as error:
        raise SpaceError(f"values '{text}' are not of the form start:stop:step", "write e.g. 0:340:20") from error
    if not all(map(math.isfinite, (start, stop, step))):
        raise SpaceError(f"values '{text}' are not finite", "write e.g. 0:340:20")
    if step == 0 or (stop - start) / step < 0:
        raise SpaceError(f"values '{text}': step {step:g} does not lead from {start:g} to {stop:g}", "change its sign")
    count = math.floor((stop - start) / step + 1e-9) + 1
    if count > 1_000_000:
        raise SpaceError(f"values '{text}' are {count:,} levels, more than a million", "take a larger step")
    return tuple(round(start + step * number, 9) for number in range(count))


def _check_numbers(name: str, values: tuple[float, ...]) -> None:
    if not values:
        raise SpaceError(f"axis '{name}' has no values", "list at least one")
    for value in values:
        if not math.isfinite(value):
            raise SpaceError(f"axis '{name}': value {value} is not a finite number", "remove it")


def _check_distinct(name: str, values: tuple[object, ...]) -> None:
    seen: set[object] = set()
    for value in values:
        if value in seen:
            raise SpaceError(f"axis '{name}': value {value} stands twice", "remove one (a full turn is the same)")
        seen.add(value)
