"""Regions of the space and of the objects, as operators write them: ``elevation>65 and lighting=L2``."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from acqplan.campaign.settings import CampaignSettings
from acqplan.errors import SpaceError, nearest
from acqplan.space.axes import Category, Circle, Interval

EQUALITIES: dict[str, Callable[[Any, Any], Any]] = {"!=": operator.ne, "==": operator.eq, "=": operator.eq}
RELATIONS = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt, **EQUALITIES}
CLAUSE = re.compile(r"\s*([^<>=!]+?)\s*(<=|>=|!=|==|=|<|>)\s*(.+?)\s*")
BETWEEN = re.compile(r"\s*(.+?)\s+in\s+(\S+?)\.\.(\S+)\s*")
AND = re.compile(r"\s+and\s+|\s*,\s*|\s*&&?\s*")
WORDS = ("object", "label")
"""What a clause may be about beside axes."""

EXAMPLE = "write e.g. 'elevation>65', 'azimuth in 350..10', 'object=car-01 and lighting=L2'"


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
            found = _holds(values[key], relation, value) & found
        return found


def _clause(clause: str, text: str, settings: CampaignSettings, known_only: bool) -> tuple[str, str, Any]:
    between, plain = BETWEEN.fullmatch(clause), CLAUSE.fullmatch(clause)
    found = between or plain
    if not found:
        raise SpaceError(f"region '{text}' cannot be read at '{clause.strip()}'", EXAMPLE)
    name = found[1]
    if name not in settings.names and name not in WORDS:
        raise SpaceError(f"region '{text}': nothing is called '{name}'", nearest(name, [*settings.names, *WORDS]))
    axis = settings.axes[settings.names.index(name)] if name in settings.names else None
    ordered = None if axis is None or isinstance(axis, Category) else axis
    if between:
        if ordered is None:
            raise SpaceError(f"region '{text}': '{name}' has no order", "a range needs an axis of numbers")
        return name, "in", _range(ordered, between[2], between[3], text)
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


def _range(axis: Circle | Interval, low: str, high: str, text: str) -> tuple[float, float, float | None]:
    """Both ends, and where a circle closes; 0 and 360 are two ends, not one."""
    first, last = _number(axis, low), _number(axis, high)
    if isinstance(axis, Circle):
        return first, last, axis.period
    if first > last:
        raise SpaceError(f"region '{text}': {low} is above {high}", f"write '{axis.name} in {high}..{low}'")
    return first, last, None


def _number(axis: Circle | Interval, value: str) -> float:
    axis.read(value)  # refuses what is not a number, but turns what is beyond a circle
    return float(value)


def _holds(found: Any, relation: str, value: Any) -> Any:
    if relation != "in":
        return RELATIONS[relation](found, value)
    low, high, period = value
    if period is None:
        return (found >= low) & (found <= high)
    if high - low >= period:
        return found == found  # a whole turn
    return (found - low) % period <= (high - low) % period
