"""The claim of a benchmark and the comparisons around it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from acqplan.errors import AcqplanError
from acqplan.evaluate.benchmark.results import Accuracies, Results
from acqplan.evaluate.power import smallest_difference
from acqplan.evaluate.records import Verdict
from acqplan.evaluate.two_way import two_way
from acqplan.evaluate.verdict import Pair, judge_pairs


def check_contrast(results: Results, accuracy: Accuracies) -> None:
    """Refuse results in which the primary contrast has no seed left.

    Raises:
        AcqplanError: If every cell of one of the two strategies failed.
    """
    design = results.design
    budget = design.budgets.index(design.primary_budget)
    mine, theirs = (accuracy[design.strategies.index(name), budget] for name in (design.primary, design.baseline))
    if not np.isfinite(mine - theirs).any():
        reasons = sorted({cell.reason for cell in results.failed()})
        raise AcqplanError(
            f"every cell of {design.primary} or {design.baseline} failed at {design.primary_budget:,} images "
            f"({'; '.join(reasons)})",
            "mend the strategy, and choose another --out",
        )


def compare_all(
    results: Results,
    accuracy: Accuracies,
    names: Sequence[tuple[str, str]],
    budget: int,
) -> list[Verdict]:
    """Compare pairs of strategies at one budget: one family; pairs without a common run are left out."""
    pairs = [pair for a, b in names if (pair := _pair(results, accuracy, a, b, budget)) is not None]
    return judge_pairs(pairs, margin=results.design.margin)


def _pair(results: Results, accuracy: Accuracies, a: str, b: str, budget: int) -> Pair | None:
    """Both strategies at a budget, over the objects and seeds that both have; ``None`` if there are none."""
    design = results.design
    column = design.budgets.index(budget)
    mine, theirs = (accuracy[design.strategies.index(name), column] for name in (a, b))
    differences = mine - theirs
    objects, seeds = (np.flatnonzero(np.isfinite(differences).any(axis=axis)) for axis in (1, 0))
    if not len(objects):
        return None
    first = design.seeds[int(seeds[0])]
    (right_a, owners_a), (right_b, owners_b) = (results.correct(name, budget, first) for name in (a, b))
    both_a, both_b = np.isin(owners_a, owners_b), np.isin(owners_b, owners_a)
    return Pair(
        a=a,
        b=b,
        budget=budget,
        differences=differences[np.ix_(objects, seeds)],
        objects=tuple(results.shots.objects.names[row] for row in objects),
        correct_a=right_a[both_a],
        correct_b=right_b[both_b],
        image_objects=owners_a[both_a],
    )


def detectable(results: Results, accuracy: Accuracies) -> float:
    """Smallest difference that the primary contrast could find with 80 % power; NaN if it cannot be told.

    From the standard error of the primary contrast, as if its degrees of freedom were objects.
    """
    design = results.design
    column = design.budgets.index(design.primary_budget)
    mine, theirs = (accuracy[design.strategies.index(name), column] for name in (design.primary, design.baseline))
    found = two_way(mine - theirs)
    if found.error == 0.0 or not math.isfinite(found.freedom):
        return math.nan
    n = max(round(found.freedom) + 1, 2)
    return smallest_difference(found.error * n**0.5, n, alpha=design.alpha)
