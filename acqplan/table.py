"""CSV tables, read strictly: every mistake is an error that names the file, the line and what to do."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from acqplan.errors import ManifestError, nearest
from acqplan.files import open_file
from acqplan.numbers import number_fault, plain_number

# No table is larger.
MOST_BYTES = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CsvTable:
    """The rows of a CSV file, each known by its line.

    Attributes:
        path: The file.
        lines: Line of each row; the header is usually line 1.
        columns: Cells of each column as text, without surrounding space.
    """

    path: Path
    lines: tuple[int, ...]
    columns: Mapping[str, tuple[str, ...]]

    def __len__(self) -> int:
        return len(self.lines)

    def where(self, row: int) -> str:
        """File and line of a row, as errors begin."""
        return f"{self.path}: line {self.lines[row]}"

    def error(self, row: int, complaint: str, hint: str = "", *, asked: object = None) -> ManifestError:
        """An error that names the file and the line of a row."""
        return _error(self.path, self.lines[row], complaint, hint, asked=asked)

    def column(self, name: str) -> tuple[str, ...]:
        """The cells of a column.

        Raises:
            ManifestError: If there is no such column; names the nearest.
        """
        if name not in self.columns:
            raise _error(self.path, 1, f"no column '{name}'", nearest(name, self.columns), asked=name)
        return self.columns[name]

    def numbers(self, name: str, *, unit: str = "") -> list[float]:
        """A column as numbers in ``unit``.

        Raises:
            ManifestError: If a cell is blank, no number, not finite, or an angle of more than a turn.
        """
        values = [plain_number(cell) for cell in self.column(name)]
        for row, (value, cell) in enumerate(zip(values, self.columns[name], strict=True)):
            fault, advice = number_fault(value, unit)
            if fault:
                raise self.error(row, f"{name} '{cell}' {fault}", advice, asked=cell if math.isnan(value) else value)
        return values


def read_table(path: Path, *, required: Sequence[str], others: bool = False, named_by: str = "the path") -> CsvTable:
    """Read a CSV file in UTF-8 with a header; blank lines are passed over.

    Args:
        path: The file.
        required: Columns that must be there once and have no blank cell.
        others: Whether to keep further columns too; their names must then differ.
        named_by: What a reader should check if the file cannot be read.

    Returns:
        The table; it may have no rows.

    Raises:
        ManifestError: If the file cannot be read, is empty, not UTF-8 or no proper CSV; if a column is missing or
            appears twice; if a row has another number of cells than the header, or a blank one; names file and line.
    """
    rows, lines = _rows(path, named_by)
    if not rows:
        raise _error(path, 1, "the file is empty", f"give a header: {','.join(required)}")
    header, body, counts = rows[0], rows[1:], Counter(rows[0])
    for name in (*required, *header) if others else required:
        if not name:
            raise _error(path, lines[0], f"column {header.index('') + 1} has no name", "name it or remove it")
        if not counts[name]:
            separator = next((mark for mark in ";\t" if mark in header[0]), "")
            hint = f"separate columns by ',', not by {separator!r}" if separator else nearest(name, header)
            raise _error(path, lines[0], f"no column '{name}'", hint, asked=name)
        if counts[name] > 1:
            raise _error(path, lines[0], f"column '{name}' appears twice", "rename one", asked=name)
    kept = set(header if others else required)
    for row, line in zip(body, lines[1:], strict=True):
        # what is missing is named before cells are counted: a short row may lack just that
        cells = dict(zip(header, row, strict=False))
        empty = next((name for name in required if not cells.get(name)), None)
        if empty is not None:
            raise _error(path, line, f"'{empty}' is empty", "fill it in, or take the line out", asked="")
        if len(row) != len(header):
            said = f"{'more' if len(row) > len(header) else 'fewer'} values than columns ({len(row)}, {len(header)})"
            raise _error(path, line, said, "give one for each column; quote values that contain commas")
        for name in kept:
            if "\0" in cells[name]:
                raise _error(path, line, f"'{name}' is no text", "take the zero bytes out", asked=cells[name])
    columns = {name: tuple(row[place] for row in body) for place, name in enumerate(header) if name in kept}
    return CsvTable(path=path, lines=tuple(lines[1:]), columns=columns)


def _rows(path: Path, named_by: str) -> tuple[list[list[str]], list[int]]:
    """Rows that are not blank, the header first, and the line on which each begins."""
    try:
        with open_file(path, most=MOST_BYTES) as handle:
            content = handle.read()
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read ({error.strerror})", f"check {named_by}", path=path) from error
    try:
        reader = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _error(path, line, "is not text in UTF-8", "save the file as CSV in UTF-8") from error
    # a row may span lines, as quotes may hold line breaks: what counts is the line on which it begins
    rows, lines, line = [], [], 1
    try:
        for row in reader:
            if any(row):
                rows.append([cell.strip() for cell in row])
                lines.append(line)
            line = reader.line_num + 1
    except csv.Error as error:
        raise _error(path, line, f"is not valid CSV ({error})", "write CSV: quotes in pairs, rows short") from error
    return rows, lines


def _error(path: Path, line: int, complaint: str, hint: str, *, asked: object = None) -> ManifestError:
    return ManifestError(f"{path}: line {line}: {complaint}", hint, path=path, line=line, asked=asked)
