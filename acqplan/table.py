"""CSV tables, read strictly: every mistake is an error that names the file, the line and what to do.

Spreadsheets write many dialects. Their marks (separator, encoding, decimal comma) are read where the file leaves no
doubt, and said in `CsvTable.dialect`; what could mean two things is an error.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from acqplan.errors import ManifestError, nearest
from acqplan.files import open_file
from acqplan.numbers import number_fault, plain_number

# No table is larger.
MOST_BYTES = 1_000_000_000
# Separators of columns, and what they are called; of those that fit alike the first is taken.
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
# A number with a decimal comma; and one that may as well be thousands.
DECIMAL_COMMA, THOUSANDS = re.compile(r"[+-]?\d+,\d+"), re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CsvTable:
    """The rows of a CSV file, each known by its line.

    Attributes:
        path: The file.
        lines: Line of each row; the header is usually line 1.
        columns: Cells of each column as text, without surrounding space.
        dialect: How the file was read, ``semicolons, decimal commas``; empty for commas, points and UTF-8.
        origins: Instead of lines, if the rows are not those of one file: what each was read from, for errors.
    """

    path: Path
    lines: tuple[int, ...]
    columns: Mapping[str, tuple[str, ...]]
    dialect: str = ""
    origins: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.lines)

    def line(self, row: int) -> str:
        """``line 5``, or the file that a row was read from."""
        return f"'{self.origins[row]}'" if self.origins else f"line {self.lines[row]}"

    def where(self, row: int) -> str:
        """File and line of a row, as errors begin."""
        return f"{self.path}: {self.line(row)}"

    def error(self, row: int, complaint: str, hint: str = "", *, asked: object = None) -> ManifestError:
        """An error that names the file and the line of a row."""
        line = None if self.origins else self.lines[row]
        return ManifestError(f"{self.where(row)}: {complaint}", hint, path=self.path, line=line, asked=asked)

    def column(self, name: str) -> tuple[str, ...]:
        """The cells of a column; its header may be in other case.

        Raises:
            ManifestError: If there is no such column; names the nearest.
        """
        alike = _alike(name, self.columns)
        if not alike:
            raise _error(self.path, 1, f"no column '{name}'", nearest(name, self.columns), asked=name)
        return self.columns[alike]

    def numbers(self, name: str, *, unit: str = "") -> list[float]:
        """A column as numbers in ``unit``.

        Raises:
            ManifestError: If a cell is blank, no number, not finite, or an angle of more than a turn.
        """
        cells = self.column(name)
        values = [plain_number(cell) for cell in cells]
        for row, (value, cell) in enumerate(zip(values, cells, strict=True)):
            fault, advice = number_fault(value, unit)
            if DECIMAL_COMMA.fullmatch(cell):
                fault, advice = "may be one number or two", f"write {cell.replace(',', '.')}"
            if fault:
                raise self.error(row, f"{name} '{cell}' {fault}", advice, asked=cell if math.isnan(value) else value)
        return values


def read_table(
    path: Path,
    *,
    required: Sequence[str],
    others: bool = False,
    names: Mapping[str, str] | None = None,
    named_by: str = "the path",
) -> CsvTable:
    """Read a CSV file with a header; blank lines are passed over.

    Columns may be separated by commas, semicolons, tabs or bars, the text may be in UTF-8, UTF-16 or Windows-1252, and
    numbers may have decimal commas where columns are not separated by commas.

    Args:
        path: The file.
        required: Columns that must be there once and have no blank cell; their headers may be in other case.
        others: Whether to keep further columns too; their names must then differ.
        names: What the file calls columns that have another name here.
        named_by: What a reader should check if the file cannot be read.

    Returns:
        The table; it may have no rows.

    Raises:
        ManifestError: If the file cannot be read, is empty, no text or no proper CSV; if a column is missing or
            appears twice; if a row has another number of cells than the header, or a blank one; if numbers with a
            comma may be decimals or thousands; names file and line.
    """
    renamed = {theirs: ours for ours, theirs in (names or {}).items()}
    rows, lines, dialect = _rows(path, named_by, [(names or {}).get(name, name) for name in required])
    if not rows:
        raise _error(path, 1, "the file is empty", f"give a header: {','.join(required)}")
    for theirs in renamed:
        if not _alike(theirs, rows[0]):
            said = f"no column '{theirs}', which [columns] of rig.toml names"
            raise _error(path, lines[0], said, nearest(theirs, rows[0]), asked=theirs)
    renamed = {_alike(theirs, rows[0]): ours for theirs, ours in renamed.items()}
    header = [renamed.get(cell, cell) for cell in rows[0]]
    known = {alike: name for name in required if (alike := _alike(name, header))}
    header = [known.get(cell, cell) for cell in header]
    if not header[0] and all(row[0].isdecimal() for row in rows[1:]):
        header[0] = "row number"  # as data frames are written
    body, counts = rows[1:], Counter(header)
    for name in (*required, *header) if others else required:
        if not name:
            raise _error(path, lines[0], f"column {header.index('') + 1} has no name", "name it or remove it")
        if not counts[name]:
            raise _error(path, lines[0], f"no column '{name}'", nearest(name, header), asked=name)
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
    table = CsvTable(path=path, lines=tuple(lines[1:]), columns=columns, dialect=", ".join(dialect))
    return table if SEPARATORS[","] in dialect or not dialect else _with_points(table)


def _alike(name: str, header: Iterable[str]) -> str:
    """The column of this name, or the only one whose name differs by case and spaces alone; empty if there is none."""
    cells = list(header)
    alike = [cell for cell in cells if cell.casefold() == name.casefold()]
    return name if name in cells else alike[0] if len(alike) == 1 else ""


def _with_points(table: CsvTable) -> CsvTable:
    """Columns that are mostly numbers get decimal points for commas.

    Raises:
        ManifestError: If a column has both, or its commas may part thousands.
    """
    columns, is_changed = dict(table.columns), False
    for name, cells in table.columns.items():
        commas = [row for row, cell in enumerate(cells) if DECIMAL_COMMA.fullmatch(cell)]
        points = [row for row, cell in enumerate(cells) if "." in cell and not math.isnan(plain_number(cell))]
        whole = sum(cell.isdecimal() for cell in cells)
        if not commas or 2 * (len(commas) + len(points) + whole) <= len(cells):
            continue
        row = commas[0]
        if points:
            said = f"{name} '{cells[row]}' has a comma, but '{cells[points[0]]}' on {table.line(points[0])} a point"
            raise table.error(row, said, "write all numbers of a column alike", asked=cells[row])
        if all(THOUSANDS.fullmatch(cells[row]) for row in commas):
            thousands, decimal = cells[row].replace(",", ""), cells[row].replace(",", ".")
            said = f"{name} '{cells[row]}' may be {thousands} or {decimal}"
            raise table.error(row, said, f"write {thousands} or {decimal}", asked=cells[row])
        commaless = [cell.replace(",", ".") if DECIMAL_COMMA.fullmatch(cell) else cell for cell in cells]
        columns[name], is_changed = tuple(commaless), True
    dialect = f"{table.dialect}, decimal commas" if is_changed else table.dialect
    return replace(table, columns=columns, dialect=dialect)


def _rows(path: Path, named_by: str, required: Sequence[str]) -> tuple[list[list[str]], list[int], list[str]]:
    """Rows that are not blank, the header first, the line on which each begins, and what is unusual of the file."""
    try:
        with open_file(path, most=MOST_BYTES) as handle:
            content = handle.read()
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read ({error.strerror})", f"check {named_by}", path=path) from error
    text, encoding = _decoded(path, content)
    first = next((line for line in text.splitlines() if line.strip()), "")
    # Excel names the separator in a line of its own
    excel = re.fullmatch(r"sep=(.)\s*", first)
    if excel:
        text, first = text.replace(first, "", 1), next((line for line in text.splitlines()[1:] if line.strip()), "")

    def fits(separator: str) -> tuple[int, int]:
        cells = [cell.strip(' "') for cell in first.split(separator)]
        return sum(bool(_alike(name, cells)) for name in required), len(cells)

    separator = excel[1] if excel and excel[1] in SEPARATORS else max(SEPARATORS, key=fits)
    dialect = [SEPARATORS[separator]] if separator != "," or encoding else []
    # a row may span lines, as quotes may hold line breaks: what counts is the line on which it begins
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=separator)
    rows, lines, line = [], [], 1
    try:
        for row in reader:
            if any(row):
                rows.append([cell.strip() for cell in row])
                lines.append(line)
            line = reader.line_num + 1
    except csv.Error as error:
        raise _error(path, line, f"is not valid CSV ({error})", "write CSV: quotes in pairs, rows short") from error
    return rows, lines, dialect + [encoding] * bool(encoding)


def _decoded(path: Path, content: bytes) -> tuple[str, str]:
    """The text, and its encoding if that is not UTF-8."""
    zeros = [place % 2 for place, byte in enumerate(content[:64]) if byte == 0]
    if content[:2] in (b"\xff\xfe", b"\xfe\xff") or (len(zeros) > 16 and len(set(zeros)) == 1):
        kind = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-16-be", "utf-16-le")[zeros[0]]
        try:
            return content.decode(kind), "UTF-16"
        except UnicodeDecodeError as error:
            raise _error(path, 1, "is not text in UTF-16", "save the file as CSV in UTF-8") from error
    try:
        return content.decode("utf-8-sig"), ""
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        try:
            text = content.decode("cp1252")
        except UnicodeDecodeError:
            text = ""
        # what looks like symbols and no words was written in another encoding
        odd = [letter for letter in text if ord(letter) > 126 and not letter.isalpha() and letter not in "°²³–—’‘“”„€µ"]
        if odd or not text:
            raise _error(path, line, "is not text in UTF-8", "save the file as CSV in UTF-8") from error
        return text, "Windows-1252"


def _error(path: Path, line: int, complaint: str, hint: str, *, asked: object = None) -> ManifestError:
    return ManifestError(f"{path}: line {line}: {complaint}", hint, path=path, line=line, asked=asked)
