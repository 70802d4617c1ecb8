"""Regions of the space and of the objects, as operators write them: ``elevation>65 and lighting=L2``."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from acqplan.campaign.settings import CampaignAxis, CampaignSettings
from acqplan.errors import SpaceError, nearest

RELATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "!=": operator.ne,
    "==": operator.eq,
    "=": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
}
CLAUSE = re.compile(r"\s*([^<>=!]+?)\s*(<=|>=|!=|==|=|<|>)\s*(.+?)\s*")
BETWEEN = re.compile(r"\s*(.+?)\s+in\s+(\S+?)\.\.(\S+)\s*")
AND = re.compile(r"\s+and\s+|\s*,\s*|\s*&&?\s*")
WORDS = ("object", "label")
"""What a clause may be about beside axes."""

EXAMPLE = "write e.g. 'elevation>65', 'azimuth in 350..10', 'object=car-01 and lighting=L2'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """Shots of which all clauses hold.

    Attributes:
        text: As it was written.
        clauses: Name, relation and value of each.
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
            known_only: Whether objects and labels must be there; those of a region forbidden long ago may be gone.

        Raises:
            SpaceError: If it cannot be read, or names what is not there.
        """
        clauses: list[tuple[str, str, Any]] = []
        for clause in AND.split(text.strip()):
            clauses.append(_clause(clause, text, settings, known_only))
        return cls(text=text.strip(), clauses=tuple(clauses))

    def holds(self, name: Any, label: Any, view: Mapping[str, Any]) -> Any:
        """Whether a shot lies in it; given arrays of names, labels and settings, an array."""
        values = {**view, "object": name, "label": label}
        found: Any = True
        for key, relation, value in self.clauses:
            found = _holds(values[key], relation, value) & found
        return found


def _clause(clause: str, text: str, settings: CampaignSettings, known_only: bool) -> tuple[str, str, Any]:
    between, plain = BETWEEN.fullmatch(clause), CLAUSE.fullmatch(clause)
    if between:
        axis = _axis(between[1], text, settings)
        if axis is None or axis.kind == "category":
            raise SpaceError(f"region '{text}': '{between[1]}' has no order", "a range needs an axis of numbers")
        return axis.name, "in", _range(axis, between[2], between[3], text)
    if not plain:
        raise SpaceError(f"region '{text}' cannot be read at '{clause.strip()}'", EXAMPLE)
    name, relation, value = plain.groups()
    axis = _axis(name, text, settings)
    if (axis is None or axis.kind == "category") and relation not in ("=", "==", "!="):
        raise SpaceError(f"region '{text}': '{name}' has no order", "use = or !=")
    if axis is not None:
        return name, relation, axis.read(value) if relation in ("=", "==", "!=") else _bound(axis, value, text)
    return name, relation, _word(name, value, settings) if known_only else value


def _range(axis: CampaignAxis, low: str, high: str, text: str) -> tuple[float, float, float | None]:
    """Both ends, and where a circle closes; 0 and 360 are two ends, not one."""
    first, last = _number(axis, low), _number(axis, high)
    if axis.kind == "circle":
        return first, last, axis.period
    if first > last:
        raise SpaceError(f"region '{text}': {low} is above {high}", f"write '{axis.name} in {high}..{low}'")
    return first, last, None


def _bound(axis: CampaignAxis, value: str, text: str) -> float:
    """What a setting is above or below; on a circle between 0 and where it closes."""
    number = _number(axis, value)
    if axis.kind == "circle" and not 0.0 <= number <= axis.period:
        raise SpaceError(
            f"region '{text}': {axis.name} runs from 0 to {axis.period:g}", f"write an arc: '{axis.name} in 350..10'"
        )
    return number


def _number(axis: CampaignAxis, value: str) -> float:
    axis.read(value)
    return float(value)


def _axis(name: str, text: str, settings: CampaignSettings) -> CampaignAxis | None:
    if name in settings.names:
        return settings.axes[settings.names.index(name)]
    if name not in WORDS:
        raise SpaceError(f"region '{text}': nothing is called '{name}'", nearest(name, [*settings.names, *WORDS]))
    return None


def _word(name: str, value: str, settings: CampaignSettings) -> str:
    known = sorted(settings.objects if name == "object" else set(settings.objects.values()))
    if value not in known:
        raise SpaceError(f"no {name} is called '{value}'", nearest(value, known))
    return value


def _holds(found: Any, relation: str, value: Any) -> Any:
    if relation != "in":
        return RELATIONS[relation](found, value)
    low, high, period = value
    if period is None:
        return (found >= low) & (found <= high)
    if high - low >= period:
        return found == found  # a whole turn
    return (found - low) % period <= (high - low) % period
