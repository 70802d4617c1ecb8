"""Finished blocks on disk: each a file that is whole or absent, so that a killed benchmark goes on where it was."""

from __future__ import annotations

import contextlib
import csv
import json
import shutil
import time
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from acqplan.advice.answers import Advice
from acqplan.errors import InputError
from acqplan.evaluate.block import BlockResult
from acqplan.evaluate.design import Block, Design, read_digest
from acqplan.files import folder, replacing
from acqplan.space import Shots

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


Accuracies = Float[np.ndarray, "strategies budgets objects seeds"]
"""Share of each object's shots classified correctly; NaN where it was not tested or the cell failed."""

COLUMNS = (
    "strategy", "budget", "seed", "split", "swapped", "images", "object", "label", "tested", "correct", "accuracy",
    "failure",
)  # fmt: skip
"""results.csv: one row for each cell and test object; ``correct`` of ``tested`` shots were classified correctly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedCell:
    """A cell whose strategy failed.

    Attributes:
        strategy: Name of the strategy.
        budget: Its budget.
        seed: Its seed.
        split: Number of the split.
        swapped: Whether train and test objects had changed places.
        reason: What was wrong.
    """

    strategy: str
    budget: int
    seed: int
    split: int
    swapped: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Results:
    """What a benchmark found.

    Attributes:
        design: Its design.
        shots: Every shot of the rig.
        blocks: What each block found, in the order of `Design.blocks`.
        weights: How much each shot counts in the accuracy of its object, shape ``[shots]``; ``None`` for all alike.
    """

    design: Design
    shots: Shots
    blocks: Sequence[BlockResult]
    weights: Float[np.ndarray, " shots"] | None = None

    def accuracy(self) -> Accuracies:
        """Share of each object's shots classified correctly; NaN where it was not tested or the cell failed."""
        design = self.design
        grid = (len(design.strategies), len(design.budgets))
        found = np.full((*grid, len(self.shots.objects), len(design.seeds)), np.nan)
        for result in self.blocks:
            seed = design.seeds.index(result.block.seed)
            objects, shares = self._shares(result)
            found[:, :, objects, seed] = shares.reshape(*grid, -1)
        return found

    def images(self) -> Float[np.ndarray, "strategies budgets"]:
        """Images taken, mean over seeds and sides; NaN if every cell failed."""
        taken = np.stack([np.where(result.images > 0, result.images, np.nan) for result in self.blocks])
        there = np.isfinite(taken).sum(axis=0)
        mean = np.where(there > 0, np.nansum(taken, axis=0) / np.maximum(there, 1), np.nan)
        return mean.reshape(len(self.design.strategies), len(self.design.budgets))

    def correct(
        self, strategy: str, budget: int, seed: int
    ) -> tuple[Bool[np.ndarray, " images"], Int[np.ndarray, " images"]]:
        """Whether each test image of a seed was classified correctly, and its object's row; both sides of a swap."""
        cell = self.design.cells.index((strategy, budget))
        mine = [result for result in self.blocks if result.block.seed == seed and not result.failures[cell]]
        rows = np.concatenate([np.empty(0, dtype=np.int64), *(result.test_rows for result in mine)])
        right = np.concatenate([np.empty(0, dtype=np.bool_), *(result.correct[cell] for result in mine)])
        return right, self.shots.object_rows[rows]

    def failed(self) -> list[FailedCell]:
        """Every cell that failed, in order."""
        return [
            FailedCell(
                strategy=strategy,
                budget=budget,
                seed=result.block.seed,
                split=result.block.number,
                swapped=result.block.swapped,
                reason=reason,
            )
            for result in self.blocks
            for (strategy, budget), reason in zip(self.design.cells, result.failures, strict=True)
            if reason
        ]

    def write_csv(self, path: Path) -> None:
        """Write results.csv; the same results give the same bytes."""
        with replacing(path) as handle:
            writer = csv.writer(handle, lineterminator="\n")
            writer.writerow(COLUMNS)
            for result in self.blocks:
                writer.writerows(self._rows(result))

    def _rows(self, result: BlockResult) -> Iterator[tuple[object, ...]]:
        block, names, labels = result.block, self.shots.objects.names, self.shots.objects.labels
        objects, counts = np.unique(self.shots.object_rows[result.test_rows], return_counts=True)
        hits, (_, shares) = self._hits(result, np.ones(len(result.test_rows))), self._shares(result)
        for cell, (strategy, budget) in enumerate(self.design.cells):
            about = (strategy, budget, block.seed, block.number, int(block.swapped), int(result.images[cell]))
            for place, row in enumerate(objects.tolist()):
                failure = result.failures[cell]
                scored = ("", "") if failure else (int(hits[cell, place]), f"{shares[cell, place]:.6f}")
                yield (*about, names[row], labels[row], int(counts[place]), *scored, failure)

    def _shares(self, result: BlockResult) -> tuple[Int[np.ndarray, " tested"], Float[np.ndarray, "cells tested"]]:
        """Rows of the tested objects, and for each cell the share of their shots that it got right."""
        objects, places = np.unique(self.shots.object_rows[result.test_rows], return_inverse=True)
        weights = np.ones(len(places)) if self.weights is None else self.weights[result.test_rows]
        failed = np.array([bool(reason) for reason in result.failures])
        shares = self._hits(result, weights) / np.bincount(places, weights=weights)
        return objects, np.where(failed[:, None], np.nan, shares)

    def _hits(self, result: BlockResult, weights: Float[np.ndarray, " tests"]) -> Float[np.ndarray, "cells tested"]:
        """Weight of what each cell got right of each tested object."""
        objects, places = np.unique(self.shots.object_rows[result.test_rows], return_inverse=True)
        sums = np.zeros((len(result.correct), len(objects)))
        np.add.at(sums.T, places, weights[:, None] * result.correct.T)
        return sums
