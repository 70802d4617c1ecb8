"""What a campaign is created with: its rig, its rule and its limits; and regions of its space, as operators write them.

Nothing here loads numpy: telling a store that an image was taken must take no longer than writing it.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from acqplan.errors import SpaceError, UsageError, nearest
from acqplan.numbers import ViewValue, name_fault
from acqplan.space.axes import Axis, Category, Circle, Interval, axis_from_dict, axis_to_dict

if TYPE_CHECKING:
    import numpy as np

    from acqplan.space import Space

FAILURE_WINDOW = 40  # answers over which the share of failures is watched
EQUALITIES: dict[str, Callable[[Any, Any], Any]] = {"!=": operator.ne, "==": operator.eq, "=": operator.eq}
RELATIONS = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt, **EQUALITIES}
CLAUSE = re.compile(r"\s*([^<>=!]+?)\s*(<=|>=|!=|==|=|<|>)\s*(.+?)\s*")
BETWEEN = re.compile(r"\s*(.+?)\s+in\s+(\S+?)\.\.(\S+)\s*")
AND = re.compile(r"\s+and\s+|\s*,\s*|\s*&&?\s*")
WORDS = ("object", "label")  # what a clause may be about beside axes
REGION_EXAMPLE = "write e.g. 'elevation>65', 'azimuth in 350..10', 'object=car-01 and lighting=L2'"


class CampaignRig(Protocol):
    """What a campaign reads of a rig from `acqplan.open_rig`; the rig itself knows pixels, which planning must not."""

    @property
    def source(self) -> Any:
        """What takes its shots, of which ``name``, ``space`` and ``objects`` are read."""

    @property
    def path(self) -> Path | None:
        """Its rig.toml."""

    @property
    def seconds_per_shot(self) -> float:
        """Exposure and transfer of one image."""

    @property
    def seconds_per_object(self) -> float | None:
        """Putting another object on the turntable; ``None`` if it is not known."""

    @property
    def settle_seconds(self) -> float:
        """Waiting after a move, before the exposure."""

    @property
    def view_weights(self) -> np.ndarray | None:
        """How often each view will be met."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignSettings:
    """What a campaign was created with.

    Attributes:
        rig: Kind of rig.
        axes: The axes of its space.
        table: Allowed views, unless they are a full grid.
        objects: Label of each object by name.
        view_weights: How often each view will be met, in the order of the space's views; ``None`` if all are alike.
        strategy: Name of the rule that plans.
        seed: Seed of all randomness.
        backbone: Network that sees the images, ``name`` or ``name:layer``; ``None`` for the rig's default.
        weights: File of its weights.
        seconds_per_shot: Exposure and transfer of one image.
        seconds_per_object: Putting another object on the turntable; ``None`` if it is not known.
        settle_seconds: Waiting after a move, before the exposure.
        lease_seconds: How long a shot is kept for the caller that asked for it.
        most_tries: Failures after which a shot is given up.
        failure_limit: Share of failures among the last answers above which the campaign stops; 1 for never.
        stop_when_saturated: Whether the advice to stop stops the campaign.
    """

    rig: str
    axes: tuple[Axis, ...]
    objects: Mapping[str, str]
    table: tuple[tuple[ViewValue, ...], ...] | None = None
    view_weights: tuple[float, ...] | None = None
    strategy: str = "auto"
    seed: int = 0
    backbone: str | None = None
    weights: str | None = None
    seconds_per_shot: float = 0.0
    seconds_per_object: float | None = None
    settle_seconds: float = 0.0
    lease_seconds: float = 600.0
    most_tries: int = 3
    failure_limit: float = 0.5
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
    def of(cls, rig: CampaignRig, **chosen: Any) -> CampaignSettings:
        """The settings of a campaign on a rig; ``chosen`` are attributes of this class."""
        if chosen.get("weights") is not None:  # other programs plan, too, and from elsewhere
            chosen["weights"] = str(Path(chosen["weights"]).absolute())
        space, objects, weights = rig.source.space, rig.source.objects, rig.view_weights
        for name in (*objects.names, *objects.labels, *space.names):
            if fault := name_fault(name):
                raise UsageError(fault, "rename it", asked=name)
        return cls(
            rig=rig.source.name,
            axes=space.axes,
            table=None if space.table is None else tuple(tuple(space.view(row).values()) for row in space.table),
            objects=dict(zip(objects.names, objects.labels, strict=True)),
            view_weights=None if weights is None else tuple(map(float, weights)),
            seconds_per_shot=rig.seconds_per_shot,
            seconds_per_object=rig.seconds_per_object,
            settle_seconds=rig.settle_seconds,
            **chosen,
        )

    def to_dict(self) -> dict[str, Any]:
        """All of it, fit for JSON."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**plain, "axes": list(map(axis_to_dict, self.axes)), "objects": dict(self.objects)}

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> CampaignSettings:
        """The inverse of `to_dict`, also of what has been JSON since."""
        table, weights = found["table"], found["view_weights"]
        return cls(
            **{
                **found,
                "axes": tuple(map(axis_from_dict, found["axes"])),
                "table": None if table is None else tuple(map(tuple, table)),
                "view_weights": None if weights is None else tuple(weights),
            }
        )

    def view(self, values: Sequence[ViewValue]) -> dict[str, ViewValue]:
        """A view by names of axes."""
        return dict(zip(self.names, values, strict=True))

    def reached(self, view: Sequence[ViewValue], said: Mapping[str, object]) -> tuple[ViewValue, ...]:
        """Settings that the rig reached: those that it names, and for the others those of the commanded view.

        Raises:
            SpaceError: If an axis is unknown or a setting cannot be.
        """
        for name in said:
            if name not in self.names:
                raise SpaceError(f"no axis is called '{name}'", nearest(str(name), self.names))
        return tuple(
            axis.reached(said[axis.name]) if axis.name in said else value
            for axis, value in zip(self.axes, view, strict=True)
        )

    def seconds_between(self, a: tuple[str, Sequence[ViewValue]] | None, b: tuple[str, Sequence[ViewValue]]) -> float:
        """Time from one (object, view) to the image of another; from nowhere, the exposure alone."""
        if a is None:
            return self.seconds_per_shot
        apart = [axis.apart(x, y) for axis, x, y in zip(self.axes, a[1], b[1], strict=True)]
        moves = sum(axis.seconds * far for axis, far in zip(self.axes, apart, strict=True))
        is_moved = a[0] != b[0] or any(
            far > 0 and not isinstance(axis, Category) for axis, far in zip(self.axes, apart, strict=True)
        )
        waits = (self.seconds_per_object or 0.0) * (a[0] != b[0]) + self.settle_seconds * is_moved
        return moves + waits + self.seconds_per_shot

    def space(self) -> Space:
        """The design space; loads numpy."""
        import numpy as np

        from acqplan.space import Space

        whole = Space(axes=self.axes)
        if self.table is None:
            return whole
        return Space(axes=self.axes, table=np.stack([whole.coordinates(self.view(row)) for row in self.table]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """Shots for which all clauses hold.

    Attributes:
        text: The region as it was written.
        clauses: Name, relation and value of each clause.
    """

    text: str
    clauses: tuple[tuple[str, str, Any], ...]

    @classmethod
    def parse(cls, text: str, settings: CampaignSettings, *, known_only: bool = True) -> Region:
        """Read a region.

        Args:
            text: Clauses joined by ``and``: ``axis>value``, ``axis in low..high`` (on a circle upwards from low to
                high, past its end if need be), ``object=name``, ``label=name``.
            settings: Says which axes, levels and objects there are.
            known_only: Whether objects and labels must be known; those of a region forbidden long ago may be gone.

        Raises:
            SpaceError: If it cannot be read, or names what is not there.
        """
        clauses = tuple(_clause(clause, text, settings, known_only) for clause in AND.split(text.strip()))
        return cls(text=text.strip(), clauses=clauses)

    def holds(self, name: Any, label: Any, view: Mapping[str, Any]) -> Any:
        """Whether a shot lies in the region; for arrays of names, labels and settings, an array."""
        values = {**view, "object": name, "label": label}
        found: Any = True
        for key, relation, value in self.clauses:
            setting = values[key]
            if relation != "in":
                held = RELATIONS[relation](setting, value)
            else:
                low, high, period = value
                if period is None:
                    held = (setting >= low) & (setting <= high)
                elif high - low >= period:
                    held = setting == setting  # a whole turn
                else:
                    held = (setting - low) % period <= (high - low) % period
            found = held & found
        return found


def _clause(clause: str, text: str, settings: CampaignSettings, known_only: bool) -> tuple[str, str, Any]:
    between, plain = BETWEEN.fullmatch(clause), CLAUSE.fullmatch(clause)
    found = between or plain
    if not found:
        raise SpaceError(f"region '{text}' cannot be read at '{clause.strip()}'", REGION_EXAMPLE)
    name = found[1]
    if name not in settings.names and name not in WORDS:
        raise SpaceError(f"region '{text}': nothing is called '{name}'", nearest(name, [*settings.names, *WORDS]))
    axis = settings.axes[settings.names.index(name)] if name in settings.names else None
    ordered = None if axis is None or isinstance(axis, Category) else axis
    if between:
        if ordered is None:
            raise SpaceError(f"region '{text}': '{name}' has no order", "a range needs an axis of numbers")
        # both ends, and where a circle closes; 0 and 360 are two ends, not one
        low, high = _number(ordered, between[2]), _number(ordered, between[3])
        if isinstance(ordered, Interval) and low > high:
            hint = f"write '{name} in {between[3]}..{between[2]}'"
            raise SpaceError(f"region '{text}': {between[2]} is above {between[3]}", hint)
        return name, "in", (low, high, ordered.period if isinstance(ordered, Circle) else None)
    relation, value = found[2], found[3]
    if relation in EQUALITIES:
        if axis is not None:
            return name, relation, axis.read(value)
        known = sorted(settings.objects if name == "object" else set(settings.objects.values()))
        if known_only and value not in known:
            raise SpaceError(f"no {name} is called '{value}'", nearest(value, known))
        return name, relation, value
    if ordered is None:
        raise SpaceError(f"region '{text}': '{name}' has no order", "use = or !=")
    bound = _number(ordered, value)
    if isinstance(ordered, Circle) and not 0.0 <= bound <= ordered.period:
        raise SpaceError(
            f"region '{text}': {name} runs from 0 to {ordered.period:g}", f"write an arc: '{name} in 350..10'"
        )
    return name, relation, bound


def _number(axis: Circle | Interval, value: str) -> float:
    axis.read(value)  # refuses what is not a number, but turns what is beyond a circle
    return float(value)
