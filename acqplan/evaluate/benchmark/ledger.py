"""Finished blocks on disk: each a file that is whole or absent, so that a killed benchmark goes on where it was."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
import zipfile
from dataclasses import asdict
from pathlib import Path

import numpy as np

from acqplan.errors import InputError
from acqplan.evaluate.advise_answers import Advice
from acqplan.evaluate.benchmark.block import BlockResult
from acqplan.evaluate.benchmark.design import Block, Design, read_digest
from acqplan.files import folder, replacing

ABANDONED_SECONDS = 600
"""What is being written changes within seconds: a temporary file so old was left by a run that was killed."""


class Ledger:
    """The blocks of one design, in the folder ``cells`` beside its design.json.

    Args:
        out: Folder of the results; made if it is not there.
        design: The design whose results they are.

    Raises:
        InputError: If the folder holds results of another design; tells both digests.
        OutputError: If the folder cannot be written.
    """

    def __init__(self, out: Path, design: Design) -> None:
        self.out, self.design = folder(out), design
        file = out / "design.json"
        if file.exists() and (found := read_digest(file)) != design.digest:
            raise InputError(
                f"{out}: holds results of the design {found[:16]}…, not of {design.digest[:16]}…",
                "choose another --out, or repeat the options that made it",
            )
        design.write_json(file)
        self.cells = folder(out / "cells")
        _clear(out, self.cells)

    def load(self, block: Block, material: str) -> BlockResult | None:
        """What a block found, ``None`` if it has not been finished.

        Args:
            block: The block.
            material: Digest of the features that are at hand.

        Raises:
            InputError: If it was computed from other features, or the file is damaged.
        """
        path = self._path(block)
        if not path.exists():
            return None
        try:
            with path.open("rb") as handle, np.load(handle, allow_pickle=False) as kept:
                return self._read(path, block, material, kept)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(f"{path}: is damaged ({error})", "remove it: its cells will be computed again") from error

    def save(self, result: BlockResult, material: str) -> None:
        """Keep what a block found."""
        about = {
            "material": material,
            "failures": result.failures,
            "tests": result.correct.shape[1],
            "seconds": dict(result.seconds),
            "advice": {budget: asdict(advice) for budget, advice in result.advice.items()},
        }
        with replacing(self._path(result.block), "wb") as handle:
            np.savez_compressed(
                handle,
                allow_pickle=False,
                about=np.array(json.dumps(about)),
                images=result.images,
                correct=np.packbits(result.correct, axis=1),
                test_rows=result.test_rows,
                **{f"taken {name}": rows for name, rows in result.taken.items()},
            )

    def _path(self, block: Block) -> Path:
        return self.cells / f"{block.name}.npz"

    def _read(self, path: Path, block: Block, material: str, kept: np.lib.npyio.NpzFile) -> BlockResult:
        about = json.loads(str(kept["about"]))
        if about["material"] != material:
            raise InputError(
                f"{path}: was computed from other images or features ({about['material'][:16]}…, now {material[:16]}…)",
                "choose another --out, or remove the folder",
            )
        correct = np.unpackbits(kept["correct"], axis=1, count=about["tests"]).astype(np.bool_)
        return BlockResult(
            block=block,
            images=kept["images"],
            failures=tuple(about["failures"]),
            correct=correct,
            test_rows=kept["test_rows"],
            taken={name.removeprefix("taken "): kept[name] for name in kept.files if name.startswith("taken ")},
            seconds=about["seconds"],
            advice={int(budget): Advice.of(found) for budget, found in about.get("advice", {}).items()},
        )


def _clear(out: Path, cells: Path) -> None:
    """Remove what killed runs left half written; nothing that another run may still be writing."""
    latest = time.time() - ABANDONED_SECONDS
    for path in (*out.glob(".acqplan-????????"), *out.glob(".design.json.*.part"), *cells.glob(".seed-*.npz.*.part")):
        with contextlib.suppress(OSError):  # another run may have cleared it away
            if path.stat().st_mtime > latest:
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
