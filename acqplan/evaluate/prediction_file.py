"""Files of predictions: ``image,object,label,predicted``, read and checked line by line."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from acqplan.errors import ManifestError, nearest

COLUMNS = ("image", "object", "label", "predicted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One row of a file of predictions.

    Attributes:
        line: Line of the file, the header being line 1.
        image: Name of the image; rows of two files are paired by it.
        object: Object that the image shows.
        label: True class.
        predicted: Class that the classifier chose.
    """

    line: int
    image: str
    object: str
    label: str
    predicted: str

    @property
    def correct(self) -> bool:
        """Whether the classifier was right."""
        return self.predicted == self.label


def read_predictions(path: Path) -> dict[str, Prediction]:
    """Read one file of predictions.

    Args:
        path: CSV in UTF-8 with a header; further columns are ignored.

    Returns:
        The predictions by image, in the order of the file; at least one.

    Raises:
        ManifestError: If the file cannot be read, lacks a column, is empty, repeats an image, has an
            incomplete row, or gives one object two labels; names file, line and remedy.
    """
    table: dict[str, Prediction] = {}
    label_of: dict[str, Prediction] = {}
    for row in _rows(path):
        if row.image in table:
            raise ManifestError(
                f"{path}: line {row.line}: image '{row.image}' stands already in line {table[row.image].line}",
                "keep one prediction an image",
            )
        first = label_of.setdefault(row.object, row)
        if first.label != row.label:
            raise ManifestError(
                f"{path}: line {row.line}: object '{row.object}' has label '{row.label}', but '{first.label}' in "
                f"line {first.line}",
                "give each object one label",
            )
        table[row.image] = row
    if not table:
        raise ManifestError(f"{path}: no predictions below the header", "write one row an image")
    return table


def check_pairs(path_a: Path, a: dict[str, Prediction], path_b: Path, b: dict[str, Prediction]) -> None:
    """Hold two files to the same images, objects and labels.

    Raises:
        ManifestError: If an image is missing from one file, or has another object or label there.
    """
    for path, here, other, there in ((path_b, b, path_a, a), (path_a, a, path_b, b)):
        missing = [row for image, row in there.items() if image not in here]
        if missing:
            raise ManifestError(
                f"{path}: {len(missing):,} of the {len(there):,} images of {other} are missing, the first is "
                f"'{missing[0].image}' ({other}: line {missing[0].line})",
                "compare predictions on the same images",
            )
    for image, row in a.items():
        _check_same(path_a, row, path_b, b[image])


def _check_same(path_a: Path, row: Prediction, path_b: Path, other: Prediction) -> None:
    for column in ("object", "label"):
        here, there = getattr(row, column), getattr(other, column)
        if here != there:
            raise ManifestError(
                f"{path_b}: line {other.line}: image '{row.image}' has {column} '{there}', but '{here}' in "
                f"{path_a}, line {row.line}",
                f"make the {column}s of both files the same",
            )


def _rows(path: Path) -> Iterator[Prediction]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            reader = csv.DictReader(handle, restkey="more", strict=True)
            _check_header(path, reader.fieldnames)
            for row in reader:
                yield _prediction(path, reader.line_num, row)
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read ({error.strerror})", "give a file of predictions") from error
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: is not text in UTF-8", "save it as CSV in UTF-8") from error
    except csv.Error as error:
        raise ManifestError(f"{path}: is not valid CSV ({error})", "check quotes and line ends") from error


def _check_header(path: Path, found: object) -> None:
    columns = [str(name) for name in found] if isinstance(found, (list, tuple)) else []
    if not columns:
        raise ManifestError(f"{path}: is empty", f"the first line must be {','.join(COLUMNS)}")
    for column in COLUMNS:
        if column not in columns:
            raise ManifestError(f"{path}: line 1: no column '{column}'", nearest(column, columns))
        if columns.count(column) > 1:
            raise ManifestError(f"{path}: line 1: column '{column}' stands twice", "remove one")


def _prediction(path: Path, line: int, row: dict[str, str | None]) -> Prediction:
    if "more" in row:
        raise ManifestError(f"{path}: line {line}: more values than columns", "quote values that contain commas")
    values = {column: (row[column] or "").strip() for column in COLUMNS}
    empty = [column for column, value in values.items() if not value]
    if empty:
        raise ManifestError(f"{path}: line {line}: '{empty[0]}' is empty", "fill it in, or remove the line")
    return Prediction(line=line, **values)
