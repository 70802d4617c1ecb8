"""What a campaign is created with: its rig, its rule and its limits; nothing here changes afterwards.

Nothing here loads numpy: telling a store that an image was taken must take no longer than writing it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Protocol

from acqplan.errors import SpaceError, UsageError, nearest
from acqplan.numbers import ViewValue
from acqplan.space.axes import Axis, axis_from_dict, axis_to_dict

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from acqplan.space import Space

FAILURE_WINDOW = 40
"""Answers over which the share of failures is watched."""


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
    def seconds_per_object(self) -> float:
        """Putting another object on the turntable."""

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
        seconds_per_object: Putting another object on the turntable.
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
    seconds_per_object: float = 0.0
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
        space, objects, weights = rig.source.space, rig.source.objects, rig.view_weights
        return cls(
            rig=rig.source.name,
            axes=space.axes,
            table=None if space.table is None else tuple(tuple(space.view(row).values()) for row in space.table),
            objects=dict(zip(objects.names, objects.labels, strict=True)),
            view_weights=None if weights is None else tuple(map(float, weights)),
            seconds_per_shot=rig.seconds_per_shot,
            seconds_per_object=rig.seconds_per_object,
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

        whole = Space(axes=self.axes)
        if self.table is None:
            return whole
        return Space(axes=self.axes, table=np.stack([whole.coordinates(self.view(row)) for row in self.table]))
