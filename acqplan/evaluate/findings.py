"""All that a benchmark says: the claim, the curves, and what failed."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from acqplan.advice.answers import Advice
from acqplan.advice.sentences import worded
from acqplan.errors import AcqplanError
from acqplan.evaluate.design import Design
from acqplan.evaluate.headline import Headline, benchmark_headline
from acqplan.evaluate.results import Accuracies, FailedCell, Results
from acqplan.evaluate.verdict import Point, Validation, Verdict, curve_points, sentence
from acqplan.files import replacing
from acqplan.numbers import finite
from acqplan.progress import SILENT, Progress
from acqplan.statistics.curves import ImagesToReach, SpeedUp, area_under_curve, common_runs, images_to_match, mean_ranks
from acqplan.statistics.objects import (
    TwoWay,
    objects_needed,
    smallest_difference,
    two_way,
)

# What each idea adds: the strategy with it, and the one without it.
IDEAS = (
    ("staggering one grid over the objects", "even-staggered", "even"),
    ("views of its own for each object", "random-shots", "random"),
    ("an even spread (Sobol)", "sobol", "random-shots"),
    ("an even spread (staggered lattice)", "lattice", "random-shots"),
    ("an even spread (herding)", "herding", "random-shots"),
    ("an even spread (farthest point)", "maximin", "random-shots"),
    ("choosing the rule by what was captured", "auto", "lattice"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A strategy over all budgets.

    Attributes:
        strategy: Name of the strategy.
        area: Mean accuracy over the logarithm of images; with one budget its accuracy.
        area_gain: Area minus that of the baseline, with its uncertainty; ``None`` for the baseline.
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
        reach, faster = self.reach, self.speed_up
        return {
            "strategy": self.strategy,
            "area": self.area,
            "area_gain": None if self.area_gain is None else asdict(self.area_gain),
            "images_to_reach": {
                "images": reach.images.to_dict(),
                "interval": reach.interval.to_dict(),
                "text": reach.text,
            },
            "speed_up": {"ratio": faster.ratio.to_dict(), "interval": faster.interval.to_dict(), "text": faster.text},
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """How much the primary contrast could have found.

    Attributes:
        smallest_difference: Smallest true difference found with 80 % power; NaN if it is unknown.
        objects_for_margin: Objects needed to find a difference as large as the margin of equivalence with 80 % power,
            at this spread of objects; ``None`` if it is unknown.
    """

    smallest_difference: float
    objects_for_margin: int | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Findings:
    """All that a report of a benchmark shows.

    Attributes:
        results: Where it comes from.
        verdicts: The primary strategy against every other at the primary budget: the claim, one family.
        others: Its verdicts at the other budgets, one family per budget: exploratory.
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

    def __repr__(self) -> str:
        design = self.results.design
        return f"Findings({', '.join(design.strategies)}; {len(design.seeds)} seeds, design {design.digest[:16]})"

    @property
    def headline(self) -> Headline:
        """The primary finding: one sentence and one number."""
        return benchmark_headline(self)

    @property
    def smallest_difference(self) -> float:
        """Smallest difference that the primary contrast could find with 80 % power; NaN if it is unknown."""
        return self.evidence.smallest_difference

    @property
    def advice(self) -> Mapping[int, Advice]:
        """What the captures of the primary strategy in the first block say about capturing more, by budget."""
        return self.results.blocks[0].advice

    @property
    def validation(self) -> Validation:
        """Records of every strategy, budget and seed, and the verdicts of the claim: what a recommendation has too."""
        return Validation(records=self.results.records(), verdicts=self.verdicts)

    @property
    def sentences(self) -> tuple[str, ...]:
        """The verdicts of the claim in words."""
        return tuple(sentence(verdict) for verdict in self.verdicts)

    def save(self, folder: Path | str, *, progress: Progress = SILENT) -> list[Path]:
        """Write what ``acqplan benchmark --out`` holds, all files or none; see `acqplan.report.result`."""
        from acqplan.report.result import save_benchmark

        return save_benchmark(self, Path(folder), progress=progress)

    def to_dict(self) -> dict[str, object]:
        """validation.json: records and verdicts as in a recommendation, and the rest."""
        document = {
            "headline": self.headline.sentence,
            "design": self.results.design.digest,
            **self.validation.to_dict(),
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
    primary, budget = design.primary, design.primary_budget
    at_primary = dict(zip(design.strategies, accuracy[:, design.budgets.index(budget)], strict=True))
    contrast = at_primary[primary] - at_primary[design.baseline]
    if not np.isfinite(contrast).any():
        reasons = sorted({cell.reason for cell in results.failed()})
        raise AcqplanError(
            f"every cell of {primary} or {design.baseline} failed at {budget:,} images ({'; '.join(reasons)})",
            "mend the strategy, and choose another --out",
        )
    # Each idea for which the strategies with and without it took part and have a run in common.
    ideas, rows, areas = [], {name: row for row, name in enumerate(design.strategies)}, _areas(accuracy, design.budgets)
    for idea, with_it, without in IDEAS:
        if {with_it, without} <= set(rows):
            one, other = rows[with_it], rows[without]
            if np.isfinite(accuracy[one] - accuracy[other]).all(axis=0).any():
                area = two_way(areas[one] - areas[other])
                gain = two_way(at_primary[with_it] - at_primary[without])
                ideas.append(Idea(idea=idea, with_it=with_it, without=without, area=area, primary=gain))
    # The claim is one family of comparisons; whatever else is compared makes families of its own.
    claim = [(primary, name) for name in design.strategies if name != primary]
    return Findings(
        results=results,
        verdicts=results.verdicts(claim, budget),
        others=[one for other in design.budgets if other != budget for one in results.verdicts(claim, other)],
        pairs=results.verdicts(list(itertools.combinations(design.strategies, 2)), budget),
        points=curve_points(results.records()),
        target=float(np.nanmean(at_primary[design.baseline])),
        standings=_standings(results, accuracy),
        ideas=ideas,
        evidence=_evidence(design, contrast[np.isfinite(contrast).any(axis=1)]),
        failed=results.failed(),
    )


def _areas(accuracy: Accuracies, budgets: Sequence[int]) -> Float[np.ndarray, "strategies objects seeds"]:
    """Area under the curve of each strategy, object and seed; with one budget its accuracy."""
    return np.stack([area_under_curve(one, budgets) if len(budgets) > 1 else one[0] for one in accuracy])


def _standings(results: Results, accuracy: Accuracies) -> list[Standing]:
    """Every strategy over all budgets, by the runs (object, seed) that all of them finished; none without a baseline.

    A strategy that finished no run is left out.
    """
    design = results.design
    runs, budgets, origin = common_runs(accuracy), design.budgets, design.strategies.index(design.baseline)
    whole = [row for row in range(len(design.strategies)) if np.isfinite(accuracy[row]).all(axis=0).any()]
    if origin not in whole:
        return []
    if not np.isfinite(runs).any():
        runs = accuracy  # a strategy failed everywhere: the others are compared without it
    # Objects rank the strategies by their means over seeds; an object that was never tested has none.
    n = np.isfinite(accuracy[whole]).sum(axis=3)
    over_seeds = np.where(n > 0, np.nansum(accuracy[whole], axis=3) / np.maximum(n, 1), np.nan)
    ranks = mean_ranks(over_seeds) if len(whole) > 1 else np.ones((1, len(budgets)))
    found, areas = [], _areas(runs, budgets)
    for place, row in enumerate(whole):
        reach, speed_up = images_to_match(runs[row], runs[origin], budgets, at=design.primary_budget)
        standing = Standing(
            strategy=design.strategies[row],
            area=float(np.nanmean(areas[row])),
            area_gain=None if row == origin else two_way(areas[row] - areas[origin]),
            reach=reach,
            speed_up=speed_up,
            ranks=tuple(map(float, ranks[place])),
            rank=float(np.nanmean(ranks[place])),
        )
        found.append(standing)
    return found


def _evidence(design: Design, differences: Float[np.ndarray, "some_objects seeds"]) -> Evidence:
    """How much the primary contrast could have found."""
    # Spread between objects, each averaged over its seeds: what more objects would average out.
    means, contrast = np.nanmean(differences, axis=1), two_way(differences)
    spread = float(means.std(ddof=1)) if len(means) > 1 else 0.0
    # The standard error over objects and seeds, as if its degrees of freedom were those of objects.
    smallest = math.nan
    if contrast.error != 0.0 and math.isfinite(contrast.freedom):
        n = max(round(contrast.freedom) + 1, 2)
        smallest = smallest_difference(contrast.error * n**0.5, n, alpha=design.alpha)
    return Evidence(
        smallest_difference=smallest,
        objects_for_margin=objects_needed(design.margin, spread, alpha=design.alpha) if spread else None,
    )
