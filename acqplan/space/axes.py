"""Axes: the controllable factors of capture.

Only methods that return arrays load numpy: telling a store that an image was taken takes no longer than writing it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from acqplan.errors import SpaceError, nearest
from acqplan.numbers import FULL_TURN, ViewValue, number_fault, plain_number, shortened, text_fault

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float

# A change of angle by this much counts as one unit of distance; see `Axis.scale`.
RADIUS_DEGREES = 30.0


class _Levels:
    """Levels of an axis are given, distinct, and finite if they are numbers."""

    __slots__ = ()
    name: str
    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        levels = self.values
        if fault := text_fault([self.name] if isinstance(self, _Numbers) else [self.name, *levels]):
            raise SpaceError(f"an axis or level cannot be called so: {fault}", "write text in UTF-8")
        if not levels:
            raise SpaceError(f"axis '{self.name}' has no values", "list at least one")
        for value in levels:
            if isinstance(self, _Numbers) and not math.isfinite(value):
                raise SpaceError(f"axis '{self.name}': value {value} is not a finite number", "remove it")
        if isinstance(self, Circle):
            outside = [value for value in levels if not -self.period <= value <= self.period]
            if outside:
                raise SpaceError(
                    f"axis '{self.name}': {outside[0]:g} {self.unit} is more than a full turn",
                    f"give values between {-self.period:g} and {self.period:g}",
                )
            levels = tuple(value % self.period for value in levels)
        seen: set[object] = set()
        for value in levels:
            if value in seen:
                twice = f"axis '{self.name}': value {value} appears twice"
                raise SpaceError(twice, "remove one (a full turn is the same)")
            seen.add(value)


class _Numbers(_Levels):
    """Levels of an axis are numbers in a unit."""

    __slots__ = ()
    unit: str
    seconds_per_unit: float

    @property
    def seconds(self) -> float:
        """Time to move by one unit."""
        return self.seconds_per_unit

    def read(self, value: object) -> ViewValue:
        """A setting as regions and stores hold it; `reached` is stricter.

        Raises:
            SpaceError: If it is not a finite number.
        """
        try:
            number = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise SpaceError(f"axis '{self.name}': '{value}' is not a number", f"give {self.unit or 'a number'}")
        return number

    def reached(self, value: object) -> ViewValue:
        """A setting that the rig reached, as a person or a robot gives it, by the rules of a manifest.

        Raises:
            SpaceError: If it is no number, not finite, or an angle of more than a turn.
        """
        number = plain_number(value)
        fault, advice = number_fault(number, self.unit, turn=self._turn)
        if fault:
            try:
                shown = f"'{shortened(str(value), 40)}'"
            except Exception:  # a whole number of more digits than Python writes, or a class of the caller's
                shown = f"a value of type {type(value).__name__}"
            raise SpaceError(f"axis '{self.name}': {shown} {fault}", advice, asked=value)
        return self.read(number)

    @property
    def _turn(self) -> float | None:
        """The largest amount that can be reached; what an axis commands can be."""
        return max(FULL_TURN, *map(abs, self.values)) if self.unit == "deg" else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Circle(_Numbers):
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
    period: float = FULL_TURN
    seconds_per_unit: float = 0.0

    @property
    def scale(self) -> float:
        """What counts as one unit of distance between views: a twelfth of the circle."""
        return self.period / 12.0

    def codes(self) -> Float[np.ndarray, " levels"]:
        """The levels as coordinates, in ``[0, period)``."""
        import numpy as np

        return np.mod(np.asarray(self.values, dtype=np.float64), self.period)

    def difference(self, a: Float[np.ndarray, "..."], b: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """The shorter way round between coordinates, in ``unit``, never negative."""
        import numpy as np

        apart = np.mod(np.abs(a - b), self.period)
        return np.minimum(apart, self.period - apart)

    def apart(self, a: ViewValue, b: ViewValue) -> float:
        """The shorter way round between two settings, in ``unit``; `difference` without numpy."""
        way = abs(float(a) - float(b))
        return min(way % self.period, -way % self.period)

    def read(self, value: object) -> ViewValue:
        """A setting as regions and stores hold it, in ``[0, period)``; `reached` is stricter.

        Raises:
            SpaceError: If it is not a finite number.
        """
        turned = float(_Numbers.read(self, value)) % self.period
        return turned if round(turned, 6) < self.period else 0.0  # files would show it as the period itself

    @property
    def _turn(self) -> float | None:
        return self.period


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval(_Numbers):
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

    @property
    def scale(self) -> float:
        """What counts as one unit of distance: 30 degrees, or a quarter of the range of another unit."""
        span = max(self.values) - min(self.values)
        return RADIUS_DEGREES if self.unit == "deg" else span / 4.0 or 1.0

    def codes(self) -> Float[np.ndarray, " levels"]:
        """The levels as coordinates, in ``unit``."""
        import numpy as np

        return np.asarray(self.values, dtype=np.float64)

    def difference(self, a: Float[np.ndarray, "..."], b: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """Distance between coordinates, in ``unit``."""
        return abs(a - b)

    def apart(self, a: ViewValue, b: ViewValue) -> float:
        """Distance between two settings, in ``unit``; `difference` without numpy."""
        return abs(float(a) - float(b))


@dataclass(frozen=True, slots=True, kw_only=True)
class Category(_Levels):
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

    @property
    def scale(self) -> float:
        """Two different levels are one unit of distance apart."""
        return 1.0

    @property
    def seconds(self) -> float:
        """Time to change from any level to another."""
        return self.seconds_per_change

    def codes(self) -> Float[np.ndarray, " levels"]:
        """The levels as coordinates ``0, 1, …``."""
        import numpy as np

        return np.arange(len(self.values), dtype=np.float64)

    def difference(self, a: Float[np.ndarray, "..."], b: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """0 where the levels are the same, else 1."""
        import numpy as np

        return (np.rint(a) != np.rint(b)).astype(np.float64)

    def apart(self, a: ViewValue, b: ViewValue) -> float:
        """0 if two levels are the same, else 1."""
        return float(a != b)

    def read(self, value: object) -> ViewValue:
        """A level, as a person or a robot writes it.

        Raises:
            SpaceError: If there is no such level.
        """
        if not isinstance(value, str) or value not in self.values:
            raise SpaceError(f"axis '{self.name}' has no level '{value}'", nearest(str(value), self.values))
        return str(value)

    def reached(self, value: object) -> ViewValue:
        """A level that the rig reached, with the errors of `read`."""
        return self.read(value)


Axis = Circle | Interval | Category


def axis_to_dict(axis: Axis) -> dict[str, Any]:
    """An axis fit for JSON, as stores keep it: with the same keys for every kind, of which some mean nothing."""
    return {
        "kind": axis.kind,
        "name": axis.name,
        "values": list(axis.values),
        "unit": axis.unit,
        "period": float(axis.period) if isinstance(axis, Circle) else FULL_TURN,
        "seconds": float(axis.seconds),
    }


def axis_from_dict(found: Mapping[str, Any]) -> Axis:
    """The inverse of `axis_to_dict`.

    Raises:
        KeyError: If a key is missing or there is no such kind.
        SpaceError: If the levels cannot be.
    """
    name, values, seconds = found["name"], tuple(found["values"]), found["seconds"]
    match found["kind"]:
        case "circle":
            return Circle(
                name=name, values=values, unit=found["unit"], period=found["period"], seconds_per_unit=seconds
            )
        case "interval":
            return Interval(name=name, values=values, unit=found["unit"], seconds_per_unit=seconds)
        case "category":
            return Category(name=name, values=values, seconds_per_change=seconds)
    raise KeyError(found["kind"])


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
