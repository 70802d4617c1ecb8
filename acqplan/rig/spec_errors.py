"""What pydantic finds wrong with rig.toml, said so that a person can mend it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from acqplan.errors import SpecError, nearest
from acqplan.rig.spec_tables import AXIS_TABLES, TABLES, RigTable, Table
from acqplan.rig.toml_file import Location, TomlFile

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


def spec_error(file: TomlFile, found: list[ErrorDetails]) -> SpecError:
    """The error to show first: an unknown key if there is one, as it explains a missing one."""
    first = min(found, key=lambda detail: detail["type"] != "extra_forbidden")
    location = _without_kind(first["loc"])
    complaints = {
        "extra_forbidden": _unknown_key,
        "missing": _missing_key,
        "union_tag_invalid": _unknown_kind,
        "union_tag_not_found": _missing_kind,
    }
    message, hint = complaints.get(first["type"], _wrong_value)(location, first)
    return file.error(location, message, hint)


def _unknown_key(location: Location, found: ErrorDetails) -> tuple[str, str]:
    return f"unknown key '{location[-1]}' in {_table(location[:-1])}", nearest(str(location[-1]), _known(found["loc"]))


def _missing_key(location: Location, found: ErrorDetails) -> tuple[str, str]:
    return f"{_table(location[:-1])} lacks the key '{location[-1]}'", f'add e.g. {location[-1]} = "…"'


def _unknown_kind(location: Location, found: ErrorDetails) -> tuple[str, str]:
    kind = str(found["ctx"]["tag"])
    return f"kind '{kind}' of {_table(location)} is unknown", nearest(kind, AXIS_TABLES)


def _missing_kind(location: Location, found: ErrorDetails) -> tuple[str, str]:
    if not isinstance(found["input"], dict):
        return _wrong_value(location, found)
    return f"{_table(location)} lacks the key 'kind'", f"known: {', '.join(AXIS_TABLES)}"


def _wrong_value(location: Location, found: ErrorDetails) -> tuple[str, str]:
    key = ".".join(str(part) for part in location if isinstance(part, str))
    reason = found["msg"].removeprefix("Value error, ")
    reason = reason[:1].lower() + reason[1:].replace("valid list", "valid list, e.g. [0, 90]")
    if location == ("axis",):
        reason = "write [[axis]] in double brackets, once for each axis"
    elif location == ("source",):
        reason = nearest(str(found["input"]), ["toys", "meshes", "folder", "norb", "live"])
    return f"{key} = {_short(found['input'])} cannot be used", reason


def _table(location: Location) -> str:
    if not location:
        return "rig.toml"
    if location[0] == "axis" and len(location) > 1:
        return f"[[axis]] number {int(location[1]) + 1}"
    return f"[{'.'.join(map(str, location))}]"


def _known(loc: Location) -> list[str]:
    table: type[Table] = RigTable
    if loc[0] == "axis" and len(loc) > 3:
        table = AXIS_TABLES[str(loc[2])]
    elif len(loc) > 1:
        table = TABLES[str(loc[0])]
    return list(table.model_fields)


def _without_kind(loc: Location) -> Location:
    return (*loc[:2], *loc[3:]) if loc[0] == "axis" and len(loc) > 2 else loc


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
