"""What a campaign is created with: rig, rule and rules of the house; nothing in it changes afterwards.

Nothing here loads numpy: telling a store that an image was taken must take no longer than writing it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

from acqplan.errors import SpaceError, UsageError, nearest
from acqplan.numbers import ViewValue

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from acqplan.space import Axis, Objects, Space

LEASE_SECONDS = 600.0
MOST_TRIES = 3
FAILURE_LIMIT = 0.5
FAILURE_WINDOW = 40
"""Answers over which the share of failures is watched; fewer than this stop nothing."""


class Candidates(Protocol):
    """What may be photographed: any rig."""

    @property
    def name(self) -> str:
        """Kind of rig, as in rig.toml."""

    @property
    def space(self) -> Space:
        """The design space."""

    @property
    def objects(self) -> Objects:
        """The objects, with labels."""


class Setup(Protocol):
    """A rig and its times, as `acqplan.open_rig` gives it."""

    @property
    def source(self) -> Candidates:
        """The rig."""

    @property
    def path(self) -> Path | None:
        """Its rig.toml."""

    @property
    def seconds_per_shot(self) -> float:
        """Exposure and transfer of one image."""

    @property
    def seconds_per_object(self) -> float:
        """Putting another object on the turntable."""

    @property
    def view_weights(self) -> np.ndarray | None:
        """How often each view will be met."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignAxis:
    """An axis as a store keeps it.

    Attributes:
        kind: circle, interval or category.
        name: Its name.
        values: Its levels.
        unit: Unit of the levels.
        period: Where a circle closes.
        seconds: Time of one unit, or of a change of category.
    """

    kind: str
    name: str
    values: tuple[ViewValue, ...]
    unit: str = ""
    period: float = 360.0
    seconds: float = 0.0

    def apart(self, a: ViewValue, b: ViewValue) -> float:
        """Distance between two settings: the shorter way round a circle, 0 or 1 between categories."""
        if self.kind == "category" or isinstance(a, str) or isinstance(b, str):
            return float(a != b)
        way = abs(a - b)
        return min(way % self.period, -way % self.period) if self.kind == "circle" else way

    def read(self, value: object) -> ViewValue:
        """A setting that was reached, as given by a person or a robot.

        Raises:
            SpaceError: If it is not a level of a category, or not a finite number.
        """
        if self.kind == "category":
            if value not in self.values:
                known = [str(level) for level in self.values]
                raise SpaceError(f"axis '{self.name}' has no level '{value}'", nearest(str(value), known))
            return str(value)
        number = _number(value)
        if number is None:
            raise SpaceError(f"axis '{self.name}': '{value}' is not a number", f"give {self.unit or 'a number'}")
        if self.kind != "circle":
            return number
        turned = number % self.period
        return turned if round(turned, 6) < self.period else 0.0  # where it is written as the period itself


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignSettings:
    """What a campaign was created with.

    Attributes:
        rig: Kind of rig.
        axes: The axes of its space.
        table: Allowed views, if they are no full grid.
        objects: Label of each object by name.
        view_weights: How often each view will be met, in the order of the space's views; ``None`` if all are alike.
        strategy: Name of the rule that plans.
        seed: Seed of all randomness.
        backbone: What looks at images, ``name`` or ``name:layer``; ``None`` for the rig's default.
        weights: File of its weights.
        seconds_per_shot: Exposure and transfer of one image.
        seconds_per_object: Putting another object on the turntable.
        lease_seconds: How long a shot is kept for who asked for it.
        most_tries: Failures after which a shot is given up.
        failure_limit: Share of failures among the last answers above which the campaign stops; 1 for never.
        stop_when_saturated: Whether the advice to stop stops the campaign.
    """

    rig: str
    axes: tuple[CampaignAxis, ...]
    objects: Mapping[str, str]
    table: tuple[tuple[ViewValue, ...], ...] | None = None
    view_weights: tuple[float, ...] | None = None
    strategy: str = "auto"
    seed: int = 0
    backbone: str | None = None
    weights: str | None = None
    seconds_per_shot: float = 0.0
    seconds_per_object: float = 0.0
    lease_seconds: float = LEASE_SECONDS
    most_tries: int = MOST_TRIES
    failure_limit: float = FAILURE_LIMIT
    stop_when_saturated: bool = True

    def __post_init__(self) -> None:
        if not self.objects:
            raise UsageError("a campaign without objects", "add objects to rig.toml")
        if not (math.isfinite(self.lease_seconds) and self.lease_seconds > 0):
            raise UsageError(f"a lease of {self.lease_seconds:g} seconds", "give a time above zero")
        if self.most_tries < 1:
            raise UsageError(f"{self.most_tries} tries of a shot", "give at least 1")
        if not 0.0 < self.failure_limit <= 1.0:
            raise UsageError(f"a failure limit of {self.failure_limit:g}", "give a share above 0, at most 1 for none")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the axes."""
        return tuple(axis.name for axis in self.axes)

    @classmethod
    def of(cls, setup: Setup, **chosen: Any) -> CampaignSettings:
        """The terms of a campaign on a rig; ``chosen`` are attributes of this class."""
        space, objects, weights = setup.source.space, setup.source.objects, setup.view_weights
        return cls(
            rig=setup.source.name,
            axes=tuple(map(_axis_terms, space.axes)),
            table=None if space.table is None else tuple(tuple(space.view(row).values()) for row in space.table),
            objects=dict(zip(objects.names, objects.labels, strict=True)),
            view_weights=None if weights is None else tuple(map(float, weights)),
            seconds_per_shot=setup.seconds_per_shot,
            seconds_per_object=setup.seconds_per_object,
            **chosen,
        )

    def to_json(self) -> str:
        """All of it as text."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> CampaignSettings:
        """The inverse of `to_json`."""
        found = json.loads(text)
        axes = tuple(CampaignAxis(**{**axis, "values": tuple(axis["values"])}) for axis in found["axes"])
        table = None if found["table"] is None else tuple(map(tuple, found["table"]))
        weights = None if found["view_weights"] is None else tuple(found["view_weights"])
        return cls(**{**found, "axes": axes, "table": table, "view_weights": weights})

    def view(self, values: Sequence[ViewValue]) -> dict[str, ViewValue]:
        """A view by names of axes."""
        return dict(zip(self.names, values, strict=True))

    def reached(self, view: Sequence[ViewValue], said: Mapping[str, object]) -> tuple[ViewValue, ...]:
        """Where the rig went, of a commanded view and what is said to differ from it.

        Raises:
            SpaceError: If an axis is unknown or a setting cannot be.
        """
        for name in said:
            if name not in self.names:
                raise SpaceError(f"no axis is called '{name}'", nearest(name, self.names))
        return tuple(
            axis.read(said[axis.name]) if axis.name in said else value
            for axis, value in zip(self.axes, view, strict=True)
        )

    def seconds_between(self, a: tuple[str, Sequence[ViewValue]] | None, b: tuple[str, Sequence[ViewValue]]) -> float:
        """Time from one (object, view) to the image of another; from nowhere, the exposure alone."""
        if a is None:
            return self.seconds_per_shot
        moves = sum(axis.seconds * axis.apart(x, y) for axis, x, y in zip(self.axes, a[1], b[1], strict=True))
        return moves + self.seconds_per_object * (a[0] != b[0]) + self.seconds_per_shot

    def space(self) -> Space:
        """The design space; loads numpy."""
        import numpy as np

        from acqplan.space import Space

        whole = Space(axes=tuple(map(_axis, self.axes)))
        if self.table is None:
            return whole
        return Space(axes=whole.axes, table=np.stack([whole.coordinates(self.view(row)) for row in self.table]))


def _axis_terms(axis: Axis) -> CampaignAxis:
    return CampaignAxis(
        kind=axis.kind,
        name=axis.name,
        values=tuple(axis.values),
        unit=axis.unit,
        period=float(getattr(axis, "period", 360.0)),
        seconds=float(axis.seconds_per_change if axis.kind == "category" else axis.seconds_per_unit),  # type: ignore[union-attr]
    )


def _axis(axis: CampaignAxis) -> Axis:
    from acqplan.space import Category, Circle, Interval

    if axis.kind == "category":
        return Category(name=axis.name, values=tuple(map(str, axis.values)), seconds_per_change=axis.seconds)
    levels = tuple(map(float, axis.values))
    if axis.kind == "circle":
        return Circle(
            name=axis.name,
            values=levels,
            unit=axis.unit,
            period=axis.period,
            seconds_per_unit=axis.seconds,
        )
    return Interval(name=axis.name, values=levels, unit=axis.unit, seconds_per_unit=axis.seconds)


def _number(value: object) -> float | None:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
