"""The claim of a benchmark and the comparisons around it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from acqplan.errors import AcqplanError
from acqplan.evaluate.benchmark.results import Accuracies, Results
from acqplan.evaluate.cochran import CochranQ, cochran_q
from acqplan.evaluate.intervals import Interval, bca_interval, two_way_interval
from acqplan.evaluate.power import objects_needed, smallest_difference
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What other methods say of the primary contrast, and how much it could have found.

    Attributes:
        bootstrap: Interval of the difference, objects and seeds resampled (pigeonhole bootstrap): errs on the long
            side.
        bca: Interval over objects alone (BCa bootstrap): too short with few objects, and conditional on these seeds.
        cochran: Cochran's Q over all strategies on the images of the first seed, conditional on these objects; ``None``
            if fewer than two strategies were judged on the same images.
        smallest_difference: Smallest true difference found with 80 % power; NaN if it cannot be told.
        objects_for_margin: Objects needed to find a difference as large as the margin of equivalence with 80 % power,
            at this spread of objects; ``None`` if it cannot be told.
    """

    bootstrap: Interval
    bca: Interval
    cochran: CochranQ | None
    smallest_difference: float
    objects_for_margin: int | None


def weigh(results: Results, accuracy: Accuracies) -> Evidence:
    """What other methods say of the primary contrast."""
    design = results.design
    column = design.budgets.index(design.primary_budget)
    mine, theirs = (accuracy[design.strategies.index(name), column] for name in (design.primary, design.baseline))
    differences = mine - theirs
    kept = differences[np.isfinite(differences).any(axis=1)]
    means = np.nanmean(kept, axis=1)
    spread = float(means.std(ddof=1)) if len(means) > 1 else 0.0
    return Evidence(
        bootstrap=two_way_interval(kept),
        bca=bca_interval(means),
        cochran=_cochran(results, accuracy),
        smallest_difference=_detectable(differences, design.alpha),
        objects_for_margin=objects_needed(design.margin, spread, alpha=design.alpha) if spread else None,
    )


def _cochran(results: Results, accuracy: Accuracies) -> CochranQ | None:
    design = results.design
    column = accuracy[:, design.budgets.index(design.primary_budget), :, 0]
    there = [name for name, shares in zip(design.strategies, column, strict=True) if np.isfinite(shares).any()]
    judged = [results.correct(name, design.primary_budget, design.seeds[0])[0] for name in there]
    if len(judged) < 2 or len({len(right) for right in judged}) > 1:
        return None
    return cochran_q(np.stack(judged))


def _detectable(differences: Float[np.ndarray, "objects seeds"], alpha: float) -> float:
    """From the standard error over objects and seeds, as if its degrees of freedom were those of objects."""
    found = two_way(differences)
    if found.error == 0.0 or not math.isfinite(found.freedom):
        return math.nan
    n = max(round(found.freedom) + 1, 2)
    return smallest_difference(found.error * n**0.5, n, alpha=alpha)
