"""What an experiment found: finished blocks, in memory and on disk, and the records, tables and pairs made of them."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from acqplan.advice.answers import Advice
from acqplan.errors import InputError, UsageError
from acqplan.evaluate.design import Block, Design, read_digest
from acqplan.evaluate.verdict import Pair, Record, Verdict, judge_pairs
from acqplan.files import check_free, clear_abandoned, digest_bytes, folder, open_file, replacing
from acqplan.plan.deployed import view_rows
from acqplan.space import Shots

# Share of each object's shots classified correctly; NaN where it was not tested or the cell failed.
Accuracies = Float[np.ndarray, "strategies budgets objects seeds"]
# results.csv: one row for each cell and test object; ``correct`` of ``tested`` shots were classified correctly.
COLUMNS = (
    "strategy", "budget", "seed", "split", "swapped", "images", "object", "label", "tested", "correct", "accuracy",
    "failure",
)  # fmt: skip
# Every file that a benchmark may leave behind, beside its design.json and its cells.
BENCHMARK_FILES = (
    "results.csv", "validation.json", "report.html", "curves.png", "strategies.png", "verdicts.png", "objects.png",
    "views.png", "ideas.png", "ranks.png",
)  # fmt: skip
# The file by which a folder of them is known, and keys that it has.
BENCHMARK_MARK = ("validation.json", ("design", "records", "verdicts", "failed"))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BlockResult:
    """What came out of a block; cells in the order of `Design.cells`.

    Attributes:
        block: Which it was.
        images: Images each cell took, 0 if it failed, shape ``[cells]``.
        failures: Why each cell failed; empty for one that did not.
        correct: Whether each test shot was classified correctly, shape ``[cells, tests]``.
        test_rows: Rows of the test shots among all shots of the results, shape ``[tests]``.
        taken: Rows of the shots that each strategy took under the primary budget, in order.
        seconds: Time spent on planning, on heads, and altogether.
        advice: What the captures of the primary strategy say about capturing more, by budget; of the first block only.
    """

    block: Block
    images: Int[np.ndarray, " cells"]
    failures: tuple[str, ...]
    correct: Bool[np.ndarray, "cells tests"]
    test_rows: Int[np.ndarray, " tests"]
    taken: Mapping[str, Int[np.ndarray, " images"]] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    advice: Mapping[int, Advice] = field(default_factory=dict)


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


def weighted_shares(
    correct: Bool[np.ndarray, "*heads shots"], shots: Shots, view_weights: Float[np.ndarray, " views"] | None
) -> Float[np.ndarray, "*heads objects"]:
    """Accuracy on each object over the views that will be met, as often as they will be.

    Args:
        correct: Whether heads were right on each shot, shape ``[*heads, shots]``.
        shots: The shots.
        view_weights: How often each view of their space will be met, from 0 on, in the order of ``space.views()``,
            shape ``[views]``; ``None`` for all alike.

    Returns:
        Shares in ``[0, 1]`` of the objects that have shots, in the order of their rows, shape ``[*heads, objects]``;
        NaN where no shot of an object is from a view that will be met.

    Raises:
        UsageError: If there is not one weight for each view, or one mark for each shot.
    """
    if correct.shape[-1] != len(shots):
        raise UsageError(f"{correct.shape[-1]:,} marks for {len(shots):,} shots", "give one for each shot")
    if view_weights is not None and len(view_weights) != shots.space.n_views:
        said = f"{len(view_weights):,} weights of views, the space has {shots.space.n_views:,}"
        raise UsageError(said, "give one for each view")
    _, objects = np.unique(shots.object_rows, return_inverse=True)
    weights = np.ones(len(shots)) if view_weights is None else view_weights[view_rows(shots)]
    met = np.bincount(objects, weights=weights)
    right = np.zeros((*correct.shape[:-1], len(met)))
    for head in np.ndindex(correct.shape[:-1]):
        right[head] = np.bincount(objects, weights=weights * correct[head])
    return np.divide(right, met, out=np.full(right.shape, np.nan), where=met > 0.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Results:
    """What an experiment found: a benchmark, or the validation of a recommendation.

    Attributes:
        design: Its design.
        shots: The shots that rows of blocks refer to.
        blocks: What each block found, in the order of `Design.blocks`.
        view_weights: How often the classifier will meet each view, in the order of ``space.views()``; all alike.
    """

    design: Design
    shots: Shots
    blocks: Sequence[BlockResult]
    view_weights: Float[np.ndarray, " views"] | None = None

    def __repr__(self) -> str:
        return f"Results({len(self.blocks)} blocks, design {self.design.digest[:16]})"

    def accuracy(self) -> Accuracies:
        """Share of each object's shots classified correctly; NaN where it was not tested or the cell failed."""
        design = self.design
        grid = (len(design.strategies), len(design.budgets))
        total = np.zeros((*grid, len(self.shots.objects), len(design.seeds)))
        sides = np.zeros(total.shape[2:])
        for result in self.blocks:
            seed = design.seeds.index(result.block.seed)
            objects = np.unique(self.shots.object_rows[result.test_rows])
            total[:, :, objects, seed] += self._shares(result).reshape(*grid, -1)
            sides[objects, seed] += 1
        # where views are split, both sides of a swap test the same objects
        return np.divide(total, sides, out=np.full(total.shape, np.nan), where=sides > 0)

    def correct(
        self, strategy: str, budget: int, seed: int
    ) -> tuple[Bool[np.ndarray, " images"], Int[np.ndarray, " images"]]:
        """Whether each test image of a seed was classified correctly, and its row; both sides of a swap."""
        cell = self.design.cells.index((strategy, budget))
        mine = [result for result in self.blocks if result.block.seed == seed and not result.failures[cell]]
        rows = np.concatenate([np.empty(0, dtype=np.int64), *(result.test_rows for result in mine)])
        right = np.concatenate([np.empty(0, dtype=np.bool_), *(result.correct[cell] for result in mine)])
        return right, rows

    def records(self) -> list[Record]:
        """One record for each strategy, budget and seed that did not fail, both sides of a swap together."""
        design, names = self.design, self.shots.objects.names
        accuracy = self.accuracy().reshape(len(design.cells), len(names), len(design.seeds))
        found = []
        for (cell, (strategy, budget)), (place, seed) in itertools.product(
            enumerate(design.cells), enumerate(design.seeds)
        ):
            shares = accuracy[cell, :, place]
            known = np.flatnonzero(np.isfinite(shares))
            images = [one.images[cell] for one in self.blocks if one.block.seed == seed and not one.failures[cell]]
            if len(known):
                record = Record(
                    strategy=strategy,
                    budget=budget,
                    images=float(np.mean(images)),
                    seed=seed,
                    accuracy=float(shares[known].mean()),
                    per_object={names[number]: float(shares[number]) for number in known},
                )
                found.append(record)
        return found

    def verdicts(self, names: Sequence[tuple[str, str]], budget: int) -> list[Verdict]:
        """Compare pairs of strategies at one budget: one family; pairs without a common run are left out."""
        design, pairs = self.design, []
        at_budget = dict(zip(design.strategies, self.accuracy()[:, design.budgets.index(budget)], strict=True))
        for a, b in names:
            # Only the objects and seeds that both strategies have.
            differences = at_budget[a] - at_budget[b]
            objects, seeds = (np.flatnonzero(np.isfinite(differences).any(axis=axis)) for axis in (1, 0))
            if not len(objects):
                continue
            # Tests on images compare one pair of heads, those of the first seed that both have.
            first = design.seeds[int(seeds[0])]
            (right_a, rows_a), (right_b, rows_b) = (self.correct(name, budget, first) for name in (a, b))
            both_a, both_b = np.isin(rows_a, rows_b), np.isin(rows_b, rows_a)
            pair = Pair(
                a=a,
                b=b,
                budget=budget,
                differences=differences[np.ix_(objects, seeds)],
                objects=tuple(self.shots.objects.names[row] for row in objects),
                correct_a=right_a[both_a],
                correct_b=right_b[both_b],
                image_objects=self.shots.object_rows[rows_a[both_a]],
            )
            pairs.append(pair)
        return judge_pairs(pairs, margin=design.margin)

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
                block, tests, shares = result.block, self.shots.take(result.test_rows), self._shares(result)
                rows, counts = np.unique(tests.object_rows, return_counts=True)
                hits = np.rint(weighted_shares(result.correct, tests, None) * counts).astype(np.int64)
                for (cell, about), (place, row) in itertools.product(enumerate(self.design.cells), enumerate(rows)):
                    failure = result.failures[cell]
                    scored = ("", "") if failure else (hits[cell, place], f"{shares[cell, place]:.6f}")
                    run = (*about, block.seed, block.number, int(block.swapped), result.images[cell])
                    tested = (self.shots.objects.names[row], self.shots.objects.labels[row], counts[place])
                    writer.writerow((*run, *tested, *scored, failure))

    def _shares(self, result: BlockResult) -> Float[np.ndarray, "cells tested"]:
        """For each cell the share of the shots of each tested object that it got right; NaN if it failed."""
        shares = weighted_shares(result.correct, self.shots.take(result.test_rows), self.view_weights)
        shares[[bool(reason) for reason in result.failures]] = np.nan
        return shares


class Ledger:
    """The finished blocks of a design in the folder ``cells`` beside its design.json, so that a killed run goes on.

    Each block is a file that is whole or absent.

    Args:
        out: Folder of the results; made if it is not there.
        design: The design whose results they are.

    Raises:
        InputError: If the folder holds results of another design; names both digests.
        OutputError: If the folder cannot be written, or holds files that a benchmark would replace; names the first.
    """

    def __init__(self, out: Path, design: Design) -> None:
        # Another design's results must not be mixed in: its digest is compared before anything is written.
        out = folder(out)
        self.out, self.design = out, design
        file = out / "design.json"
        if not file.exists():
            check_free(out, BENCHMARK_FILES, *BENCHMARK_MARK)
        if file.exists() and (found := read_digest(file)) != design.digest:
            raise InputError(
                f"{out}: holds results of the design {found[:16]}…, not of {design.digest[:16]}…",
                "choose another --out, or repeat the options that made it",
            )
        design.write_json(file)
        self.cells = folder(out / "cells")
        # folders of this name are of earlier versions
        clear_abandoned(out, ".design.json.*.part", ".acqplan-????????")
        clear_abandoned(self.cells, ".seed-*.npz.*.part")

    def load(self, block: Block, material: str) -> BlockResult | None:
        """What a block found, ``None`` if it has not been finished or its file is damaged.

        Args:
            block: The block.
            material: Digest of the features that are at hand.

        Raises:
            InputError: If it was computed from other features.
        """
        path = self.cells / f"{block.name}.npz"
        try:
            with open_file(path) as handle, np.load(handle, allow_pickle=False) as kept:
                arrays = {name: kept[name] for name in kept.files}
            # files of the first version have no digest
            if str(arrays.pop("digest", "")) not in ("", _digest(arrays)):
                return None
            about = json.loads(str(arrays["about"]))
            result = BlockResult(
                block=block,
                images=arrays["images"],
                failures=tuple(about["failures"]),
                correct=np.unpackbits(arrays["correct"], axis=1, count=about["tests"]).astype(np.bool_),
                test_rows=arrays["test_rows"],
                taken={name.removeprefix("taken "): rows for name, rows in arrays.items() if name.startswith("taken ")},
                seconds=about["seconds"],
                advice={int(budget): Advice.of(found) for budget, found in about.get("advice", {}).items()},
            )
        except Exception:  # a damaged file fails in any way
            return None
        if about["material"] != material:
            raise InputError(
                f"{path}: was computed from other images or features ({about['material'][:16]}…, now {material[:16]}…)",
                "choose another --out, or remove the folder",
            )
        return result

    def save(self, result: BlockResult, material: str) -> None:
        """Keep what a block found."""
        about = {
            "material": material,
            "failures": result.failures,
            "tests": result.correct.shape[1],
            "seconds": dict(result.seconds),
            "advice": {budget: asdict(advice) for budget, advice in result.advice.items()},
        }
        arrays = {
            "about": np.array(json.dumps(about)),
            "images": result.images,
            "correct": np.packbits(result.correct, axis=1),
            "test_rows": result.test_rows,
            **{f"taken {name}": rows for name, rows in result.taken.items()},
        }
        with replacing(self.cells / f"{result.block.name}.npz", "wb") as handle:
            np.savez_compressed(handle, allow_pickle=False, digest=np.array(_digest(arrays)), **arrays)


def _digest(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of all that is kept of a block."""
    parts = [
        part
        for name, array in sorted(arrays.items())
        for part in (f"{name} {array.dtype.str} {array.shape}".encode(), array.tobytes())
    ]
    return digest_bytes(*parts)
