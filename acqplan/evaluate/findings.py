"""All that a benchmark says: the claim, the curves, and what failed."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from acqplan.advice.answers import Advice, worded
from acqplan.errors import AcqplanError
from acqplan.evaluate.ledger import Accuracies, FailedCell, Results
from acqplan.evaluate.verdict import Pair, Point, Record, Validation, Verdict, curve_points, judge_pairs, sentence
from acqplan.files import replacing
from acqplan.numbers import finite
from acqplan.statistics.curves import (
    ImagesToReach,
    SpeedUp,
    area_under_curve,
    common_runs,
    images_to_match,
    mean_ranks,
    speed_up_at,
)
from acqplan.statistics.objects import CochranQ, Estimate, bca_interval, cochran_q, two_way_interval
from acqplan.statistics.power import objects_needed, smallest_difference
from acqplan.statistics.two_way import TwoWay, two_way


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

    bootstrap: Estimate
    bca: Estimate
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


IDEAS = (
    ("staggering one grid over the objects", "even-staggered", "even"),
    ("views of its own for each object", "random-shots", "random"),
    ("an even spread (Sobol)", "sobol", "random-shots"),
    ("an even spread (staggered lattice)", "lattice", "random-shots"),
    ("an even spread (herding)", "herding", "random-shots"),
    ("an even spread (farthest point)", "maximin", "random-shots"),
    ("choosing the rule by what was captured", "auto", "lattice"),
)
"""What each idea adds: the strategy with it, and the one without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A strategy over all budgets.

    Attributes:
        strategy: Name of the strategy.
        area: Mean accuracy over the logarithm of images; NaN with one budget.
        area_gain: The same minus that of the baseline, with its uncertainty; ``None`` for the baseline.
        reach: Images to reach what the baseline reaches at the primary budget.
        speed_up: Images of the baseline over its own for that.
        ranks: Mean rank at each budget, 1 the best.
        rank: Their mean.
    """

    strategy: str
    area: float
    area_gain: TwoWay | None
    reach: ImagesToReach
    speed_up: SpeedUp
    ranks: tuple[float, ...]
    rank: float

    def to_dict(self) -> dict[str, object]:
        """All numbers, ready for JSON."""
        return {
            "strategy": self.strategy,
            "area": self.area,
            "area_gain": None if self.area_gain is None else asdict(self.area_gain),
            "images_to_reach": {
                "images": self.reach.images.to_dict(),
                "interval": self.reach.interval.to_dict(),
                "text": self.reach.text,
            },
            "speed_up": {
                "ratio": self.speed_up.ratio.to_dict(),
                "interval": self.speed_up.interval.to_dict(),
                "text": self.speed_up.text,
            },
            "ranks": list(self.ranks),
            "rank": self.rank,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Idea:
    """What an idea adds: a strategy with it against one without it, over all budgets and at the primary one.

    Attributes:
        idea: The idea, in words.
        with_it: Strategy that has it.
        without: Strategy that lacks it.
        area: Gain in area under the curve (with one budget, in accuracy).
        primary: Gain in accuracy at the primary budget.
    """

    idea: str
    with_it: str
    without: str
    area: TwoWay
    primary: TwoWay


def rank_all(results: Results, accuracy: Accuracies) -> list[Standing]:
    """Every strategy over all budgets, by the runs (object, seed) that all of them finished.

    Args:
        results: The results.
        accuracy: Their accuracies.

    Returns:
        One standing a strategy that finished any run; none if the baseline did not.
    """
    design = results.design
    runs = common_runs(accuracy)
    whole = [row for row in range(len(design.strategies)) if np.isfinite(accuracy[row]).all(axis=0).any()]
    if design.strategies.index(design.baseline) not in whole:
        return []
    if not np.isfinite(runs).any():
        runs = accuracy  # a strategy failed everywhere: the others are compared without it
    baseline = runs[design.strategies.index(design.baseline)]
    ranks = mean_ranks(_over_seeds(accuracy[whole])) if len(whole) > 1 else np.ones((1, len(design.budgets)))
    return [
        Standing(
            strategy=design.strategies[row],
            area=float(np.nanmean(_area(runs[row], design.budgets))),
            area_gain=_gain(runs[row], baseline, design.budgets) if design.strategies[row] != design.baseline else None,
            reach=images_to_match(runs[row], baseline, design.budgets, at=design.primary_budget),
            speed_up=speed_up_at(runs[row], baseline, design.budgets, at=design.primary_budget),
            ranks=tuple(map(float, ranks[place])),
            rank=float(np.nanmean(ranks[place])),
        )
        for place, row in enumerate(whole)
    ]


def _over_seeds(accuracy: Accuracies) -> Float[np.ndarray, "strategies budgets objects"]:
    """Mean over seeds; NaN where an object was never tested."""
    n = np.isfinite(accuracy).sum(axis=3)
    return np.where(n > 0, np.nansum(accuracy, axis=3) / np.maximum(n, 1), np.nan)


def _area(
    accuracy: Float[np.ndarray, "budgets objects seeds"], budgets: Sequence[int]
) -> Float[np.ndarray, "objects seeds"]:
    return area_under_curve(accuracy, budgets) if len(budgets) > 1 else accuracy[0]


def _gain(
    mine: Float[np.ndarray, "budgets objects seeds"],
    theirs: Float[np.ndarray, "budgets objects seeds"],
    budgets: Sequence[int],
) -> TwoWay:
    return two_way(_area(mine, budgets) - _area(theirs, budgets))


def what_ideas_add(results: Results, accuracy: Accuracies) -> Iterator[Idea]:
    """Each idea for which the strategies with and without it took part."""
    design = results.design
    column = design.budgets.index(design.primary_budget)
    for idea, with_it, without in IDEAS:
        if not {with_it, without} <= set(design.strategies):
            continue
        mine, theirs = (accuracy[design.strategies.index(name)] for name in (with_it, without))
        if np.isfinite(mine - theirs).all(axis=0).any():
            yield Idea(
                idea=idea,
                with_it=with_it,
                without=without,
                area=_gain(mine, theirs, design.budgets),
                primary=two_way(mine[column] - theirs[column]),
            )


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
    def validation(self) -> Validation:
        """Records of every strategy, budget and seed, and the verdicts of the claim: what a recommendation has too."""
        return Validation(records=list(records(self.results)), verdicts=self.verdicts)

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
        return {key: finite(value) for key, value in document.items()}

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
        points=curve_points(list(records(results))),
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
