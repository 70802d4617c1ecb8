"""All that a benchmark says: the claim, the curves, and what failed."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from acqplan.evaluate.advise_answers import Advice
from acqplan.evaluate.advise_words import worded
from acqplan.evaluate.benchmark.claims import Evidence, check_contrast, compare_all, weigh
from acqplan.evaluate.benchmark.results import FailedCell, Results
from acqplan.evaluate.benchmark.standings import Idea, Point, Standing, curves, rank_all, what_ideas_add
from acqplan.evaluate.records import Record, Verdict
from acqplan.evaluate.words import sentence
from acqplan.files import replacing


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Findings:
    """All that a report of a benchmark tells.

    Attributes:
        results: Where it comes from.
        verdicts: The primary strategy against every other at the primary budget: the claim, one family.
        others: The same at the other budgets, a family each: exploratory.
        pairs: All pairs at the primary budget, one family: exploratory.
        points: Accuracy of every strategy at every budget.
        target: Accuracy that images are counted for: what the baseline reaches at the primary budget.
        standings: Every strategy over all budgets.
        ideas: What each idea adds, where both strategies took part.
        evidence: What other methods say of the primary contrast, and how much it could have found.
        failed: Cells that failed; they are in no figure, nor are the same seeds of other strategies where curves
            are compared.
    """

    results: Results
    verdicts: Sequence[Verdict]
    others: Sequence[Verdict]
    pairs: Sequence[Verdict]
    points: Sequence[Point]
    target: float
    standings: Sequence[Standing]
    ideas: Sequence[Idea]
    evidence: Evidence
    failed: Sequence[FailedCell]

    @property
    def smallest_difference(self) -> float:
        """Smallest difference that the primary contrast could find with 80 % power; NaN if it cannot be told."""
        return self.evidence.smallest_difference

    @property
    def advice(self) -> Mapping[int, Advice]:
        """What the captures of the primary strategy in the first block say about capturing more, by budget."""
        return self.results.blocks[0].advice

    @property
    def sentences(self) -> tuple[str, ...]:
        """The verdicts of the claim in words."""
        return tuple(sentence(verdict) for verdict in self.verdicts)

    def to_dict(self) -> dict[str, object]:
        """validation.json: records and verdicts as of a recommendation, and the rest."""
        document = {
            "design": self.results.design.digest,
            "records": [asdict(record) for record in records(self.results)],
            "verdicts": [asdict(verdict) for verdict in self.verdicts],
            "sentences": list(self.sentences),
            "other_budgets": [asdict(verdict) for verdict in self.others],
            "pairs": [asdict(verdict) for verdict in self.pairs],
            "curves": [asdict(point) for point in self.points],
            "target": self.target,
            "standings": [standing.to_dict() for standing in self.standings],
            "ideas": [asdict(idea) for idea in self.ideas],
            "evidence": asdict(self.evidence),
            "failed": [asdict(cell) for cell in self.failed],
            "advice": [{"budget": budget, **worded(advice)} for budget, advice in self.advice.items()],
        }
        return {key: _plain(value) for key, value in document.items()}

    def write_json(self, path: Path) -> None:
        """Write validation.json; the same results give the same bytes."""
        with replacing(path) as handle:
            json.dump(self.to_dict(), handle, indent=1, ensure_ascii=False, allow_nan=False)
            handle.write("\n")


def find(results: Results) -> Findings:
    """Test, count and rank what a benchmark measured.

    Raises:
        AcqplanError: If so many cells failed that the primary contrast has no seed left.
    """
    design, accuracy = results.design, results.accuracy()
    check_contrast(results, accuracy)
    at = {budget: number for number, budget in enumerate(design.budgets)}
    target = float(np.nanmean(accuracy[design.strategies.index(design.baseline), at[design.primary_budget]]))
    others = [name for name in design.strategies if name != design.primary]
    return Findings(
        results=results,
        verdicts=compare_all(results, accuracy, [(design.primary, name) for name in others], design.primary_budget),
        others=[
            verdict
            for budget in design.budgets
            if budget != design.primary_budget
            for verdict in compare_all(results, accuracy, [(design.primary, name) for name in others], budget)
        ],
        pairs=compare_all(results, accuracy, list(itertools.combinations(design.strategies, 2)), design.primary_budget),
        points=list(curves(results, accuracy)),
        target=target,
        standings=rank_all(results, accuracy),
        ideas=list(what_ideas_add(results, accuracy)),
        evidence=weigh(results, accuracy),
        failed=results.failed(),
    )


def records(results: Results) -> Iterator[Record]:
    """One record for each strategy, budget and seed that did not fail, both sides of a swap together."""
    design, names = results.design, results.shots.objects.names
    accuracy, images = results.accuracy(), results.images()
    grid = itertools.product(enumerate(design.strategies), enumerate(design.budgets), enumerate(design.seeds))
    for (row, strategy), (column, budget), (place, seed) in grid:
        shares = accuracy[row, column, :, place]
        known = np.flatnonzero(np.isfinite(shares))
        if len(known):
            yield Record(
                strategy=strategy,
                budget=budget,
                images=round(float(images[row, column])),
                seed=seed,
                accuracy=float(shares[known].mean()),
                per_object={names[number]: float(shares[number]) for number in known},
            )


def _plain(value: Any) -> Any:
    """For JSON, which knows no numbers that are not finite: they become null."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
