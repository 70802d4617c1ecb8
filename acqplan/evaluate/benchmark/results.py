"""Results of a benchmark: one tidy table, and the arrays that tests and curves are made of."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from acqplan.evaluate.benchmark.block import BlockResult
from acqplan.evaluate.benchmark.design import Design
from acqplan.files import replacing
from acqplan.space import Shots

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
