"""A TOML file whose errors name lines: the standard reader gives values only."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acqplan.errors import SpecError

Location = tuple[str | int, ...]
"""Where a value stands, e.g. ``("axis", 0, "values")``."""

TABLE = re.compile(r"^\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
KEY = re.compile(r"""^\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TomlFile:
    """What a TOML file says, and where.

    Attributes:
        path: The file.
        content: Its values.
        lines: Line of each key and table that stands on a line of its own.
    """

    path: Path
    content: dict[str, Any]
    lines: dict[Location, int]

    @classmethod
    def read(cls, path: Path) -> TomlFile:
        """Read a file.

        Raises:
            SpecError: If it is missing, not UTF-8 or not TOML; names the line.
        """
        text = _read_text(path)
        try:
            return cls(path=path, content=tomllib.loads(text), lines=_lines(text))
        except tomllib.TOMLDecodeError as error:
            found = re.search(r"line (\d+)", str(error))
            where = f"line {found[1]}" if found else f"line {len(text.splitlines())}"
            reason = re.sub(r"\s*\(at .*\)$", "", str(error))
            raise SpecError(f"{path}: {where}: this is not TOML: {reason}", _syntax_advice(path)) from error

    def error(self, location: Location, message: str, hint: str = "") -> SpecError:
        """An error that names the file and the line nearest to a location."""
        known = [location[:length] for length in range(len(location), 0, -1) if location[:length] in self.lines]
        where = f"{self.path}: line {self.lines[known[0]]}" if known else str(self.path)
        return SpecError(f"{where}: {message}", hint)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SpecError(f"{path}: cannot be read ({error.strerror})", "check the path given with --rig") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise SpecError(f"{path}: line {line}: the text is not UTF-8", "save the file in UTF-8") from error


def _syntax_advice(path: Path) -> str:
    if path.suffix.lower() == ".csv":
        return 'a manifest is named by a rig.toml: source = "folder" and path = "' + path.name + '"'
    return 'write one `key = value` a line, text in quotes, e.g. source = "folder"'


def _lines(text: str) -> dict[Location, int]:
    lines: dict[Location, int] = {}
    counts: Counter[Location] = Counter()
    table: Location = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if opened := TABLE.match(line):
            table = _split(opened[2])
            if opened[1] == "[[":
                counts[table] += 1
                table = (*table, counts[table] - 1)
            lines.setdefault(table, number)
        elif key := KEY.match(line):
            lines.setdefault((*table, *_split(key[1])), number)
    return lines


def _split(dotted: str) -> Location:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))
