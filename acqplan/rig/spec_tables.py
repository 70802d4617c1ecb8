"""The tables of rig.toml as pydantic models: which keys there are and what each may hold."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from acqplan.errors import SpaceError
from acqplan.rig.columns import Column
from acqplan.space import parse_values


def _expanded(values: object) -> object:
    try:
        return list(parse_values(values)) if isinstance(values, str) else values
    except SpaceError as error:
        raise ValueError(str(error)) from error


Seconds = Annotated[float, Field(ge=0)]
Name = Annotated[str, Field(min_length=1)]
Numbers = Annotated[list[float], Field(min_length=1), BeforeValidator(_expanded)]


class Table(BaseModel):
    """A table of rig.toml: unknown keys, numbers in quotes and numbers that are not finite are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class CircleTable(Table):
    """An ``[[axis]]`` of kind circle."""

    kind: Literal["circle"]
    name: Name
    unit: Literal["deg"] = "deg"
    values: Numbers | None = None
    seconds_per_unit: Seconds = 0.0

    def column(self) -> Column:
        """The axis, which may lack its levels."""
        levels = None if self.values is None else tuple(self.values)
        return Column(name=self.name, kind="circle", unit="deg", values=levels, seconds=self.seconds_per_unit)


class IntervalTable(Table):
    """An ``[[axis]]`` of kind interval."""

    kind: Literal["interval"]
    name: Name
    unit: str | None = None
    values: Numbers | None = None
    seconds_per_unit: Seconds = 0.0

    def column(self) -> Column:
        """The axis, which may lack its levels."""
        levels = None if self.values is None else tuple(self.values)
        unit = Column.guessed(self.name).unit if self.unit is None else self.unit
        return Column(name=self.name, kind="interval", unit=unit, values=levels, seconds=self.seconds_per_unit)


class CategoryTable(Table):
    """An ``[[axis]]`` of kind category."""

    kind: Literal["category"]
    name: Name
    values: Annotated[list[Name], Field(min_length=1)] | None = None
    seconds_per_change: Seconds = 0.0

    def column(self) -> Column:
        """The axis, which may lack its levels."""
        levels = None if self.values is None else tuple(self.values)
        return Column(name=self.name, kind="category", values=levels, seconds=self.seconds_per_change)


class ShotTable(Table):
    """``[shot]``: what an exposure costs."""

    seconds: Seconds = 0.0


class ObjectsTable(Table):
    """``[objects]``: the split into train and test, how long a change takes, and on a live rig what there is."""

    test_fraction: Annotated[float, Field(gt=0, lt=1)] | None = None
    test: list[Name] | None = None
    labels: dict[Name, Annotated[list[Name], Field(min_length=1)]] | None = None
    seconds_per_change: Seconds = 0.0


class RenderTable(Table):
    """``[render]``: settings of a rig that renders its objects (toys, meshes).

    Ranges are those of `Settings` and `Optics`, which check them; ``instances`` is for toys only.
    """

    seed: int | None = None
    noise: float | None = None
    jitter_cm: float | None = None
    eye: Literal["mono", "left", "right"] | None = None
    size: int | None = None
    instances: int | None = None


class RigTable(Table):
    """The whole of rig.toml."""

    source: Literal["toys", "meshes", "folder", "norb", "live"]
    path: Name | None = None
    stereo: Literal["left", "right", "both"] | None = None
    axis: list[Annotated[CircleTable | IntervalTable | CategoryTable, Field(discriminator="kind")]] = []
    shot: ShotTable = ShotTable()
    objects: ObjectsTable = ObjectsTable()
    render: RenderTable | None = None
    deployment: dict[str, object] = {}  # its keys are axes, see `acqplan.rig.deployment`


AXIS_TABLES: dict[str, type[Table]] = {"circle": CircleTable, "interval": IntervalTable, "category": CategoryTable}
TABLES: dict[str, type[Table]] = {"shot": ShotTable, "objects": ObjectsTable, "render": RenderTable}
