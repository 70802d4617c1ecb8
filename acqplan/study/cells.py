"""What a study has finished, in the folder of its results: a study that was killed goes on from there."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from acqplan.errors import InputError
from acqplan.files import check_free, digest_content, folder, replacing

Arrays = dict[str, np.ndarray]
# Files of a study's results, of which somebody else's are not replaced.
RESULTS = ("report.html", "results.csv", "findings.json")
# Arrays of more bytes than this are not packed.
UNPACKED_BYTES = 8_000_000
# Hexadecimal digits before the arrays, by which damage is seen.
DIGEST = 64


class Cells:
    """Arrays by name, each in a file of the folder ``cells`` that is whole or absent, beside study.json.

    Args:
        out: Folder of the results; made if it is not there.
        about: Everything that the arrays depend on, as JSON knows it.

    Raises:
        InputError: If the folder holds another study, or the same with other settings.
        OutputError: If the folder cannot be written, or holds somebody else's files.
    """

    def __init__(self, out: Path, about: Mapping[str, object]) -> None:
        text = json.dumps(about, indent=1, ensure_ascii=False) + "\n"
        check_free(out, RESULTS, "study.json", ("study",))
        file = folder(out) / "study.json"
        if file.exists() and file.read_text(encoding="utf-8") != text:
            raise InputError(
                f"{out}: holds another study, or this one with other settings",
                "choose another --out, or repeat the options that made it",
                path=file,
            )
        with replacing(file) as handle:
            handle.write(text)
        self.folder = folder(out / "cells")

    def load(self, name: str) -> Arrays | None:
        """The arrays of a name; ``None`` if they are not there, or damaged and so to be made again."""
        try:
            content = (self.folder / f"{name}.cell").read_bytes()
        except FileNotFoundError:
            return None
        if digest_content(content[DIGEST:]).encode() != content[:DIGEST]:
            return None
        with np.load(io.BytesIO(content[DIGEST:]), allow_pickle=False) as arrays:
            return {key: arrays[key] for key in arrays.files}

    def save(self, name: str, arrays: Arrays) -> None:
        """Keep arrays under a name."""
        packed = io.BytesIO()
        # what is so large are weights: packing them takes seconds and makes them no smaller
        save = np.savez if sum(array.nbytes for array in arrays.values()) > UNPACKED_BYTES else np.savez_compressed
        save(packed, allow_pickle=False, **arrays)
        with replacing(self.folder / f"{name}.cell", "wb") as handle:
            handle.write(digest_content(packed.getvalue()).encode() + packed.getvalue())

    def forget(self, name: str) -> None:
        """Remove what is kept under a name, if anything is."""
        (self.folder / f"{name}.cell").unlink(missing_ok=True)
