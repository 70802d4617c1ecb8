"""Records, curves and verdicts: how accurate strategies are on new objects, and which of two is better."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from acqplan.files import replacing
from acqplan.numbers import count_noun, p_words, points, signed
from acqplan.statistics.clustered import MARGIN, durkalski, holm, mcnemar, obuchowski, sign_flip
from acqplan.statistics.objects import two_way

if TYPE_CHECKING:
    from acqplan.evaluate.compare import Comparison
    from acqplan.space import Shots

ALPHA = 0.05

Answer = Literal["better", "worse", "no difference found"]

NO_DIFFERENCE: Answer = "no difference found"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One arm at one budget with one seed, judged on the test objects.

    Attributes:
        strategy: Name of the strategy.
        budget: Images it was allowed.
        images: Images it took, at most ``budget``; mean over both sides where train and test objects were swapped.
        seed: Its seed.
        accuracy: Share of test shots classified correctly, mean over test objects.
        per_object: Share of each test object.
    """

    strategy: str
    budget: int
    images: float
    seed: int
    accuracy: float
    per_object: Mapping[str, float]

    def to_dict(self) -> dict[str, object]:
        """The record in validation.json, which counts whole images."""
        return {**asdict(self), "images": round(self.images)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Answer of a comparison of strategy ``a`` with strategy ``b`` at one budget.

    Attributes:
        a: The strategy asked about.
        b: The one it is compared with.
        budget: Images each was allowed.
        difference: Mean accuracy of ``a`` minus that of ``b``, over test objects, averaged over seeds.
        ci95: 95 % interval of the difference, for other objects and other seeds, of this comparison alone.
        p: Two-sided p for other objects and other seeds (`two_way`), corrected by Holm within the family; with
            one seed that of ``p_object``.
        p_object: Two-sided p of the sign-flip test on objects, corrected by Holm: conditional on these seeds.
        p_equivalent: p that the difference is beyond the margin of equivalence (two one-sided tests).
        p_mcnemar: Two-sided p of McNemar's test on the images of the first seed, conditional on these objects.
        p_obuchowski: p of Obuchowski's test on the same images, clustered by object.
        p_durkalski: p of Durkalski's test on the same images.
        n01: Test images that only ``b`` classified correctly (first seed).
        n10: Test images that only ``a`` classified correctly (first seed).
        n_objects: Test objects.
        n_seeds: Seeds that both have.
        verdict: The answer, from ``p`` at 0.05.
        per_object: Difference of each test object, mean over seeds.
    """

    a: str
    b: str
    budget: int
    difference: float
    ci95: tuple[float, float]
    p: float
    p_object: float
    p_equivalent: float
    p_mcnemar: float
    p_obuchowski: float
    p_durkalski: float
    n01: int
    n10: int
    n_objects: int
    n_seeds: int
    verdict: Answer
    per_object: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Accuracy of a strategy at one budget.

    Attributes:
        strategy: Name of the strategy.
        budget: Images it was allowed.
        images: Images it took, mean over seeds.
        accuracy: Mean over objects and seeds.
        low: Lower end of its 95 % interval over objects and seeds.
        high: Upper end.
    """

    strategy: str
    budget: int
    images: float
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predictions:
    """What a head took shots for that it had not seen.

    Attributes:
        shots: The shots.
        predicted: Class row of each, shape ``[shots]``.
        whose: What they show: ``new objects``, ``new views``, or ``objects left out``.
    """

    shots: Shots
    predicted: Int[np.ndarray, " shots"]
    whose: str

    @property
    def is_right(self) -> Bool[np.ndarray, " shots"]:
        """Whether each was classified correctly."""
        return np.asarray(self.predicted == self.shots.class_rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """All records and verdicts of a validation.

    Attributes:
        records: One per strategy, budget and seed.
        verdicts: One per opponent, at the full budget.
        kept_aside: Objects or views that the plan left to the test, and what accuracies are about, as
            `acqplan.evaluate.task.Split.to_dict` gives it; empty for a benchmark, whose design has its splits.
        predictions: What the head of the plan's own images took the test shots for; not in validation.json.
    """

    records: Sequence[Record]
    verdicts: Sequence[Verdict]
    kept_aside: Mapping[str, Any] = field(default_factory=dict)
    predictions: Predictions | None = None

    def __repr__(self) -> str:
        return f"Validation({len(self.records)} records, {len(self.verdicts)} verdicts)"

    def to_dict(self) -> dict[str, object]:
        """validation.json as a dictionary."""
        return {
            "records": [record.to_dict() for record in self.records],
            "verdicts": [asdict(verdict) for verdict in self.verdicts],
            **({"kept_aside": dict(self.kept_aside)} if self.kept_aside else {}),
        }

    def write_json(self, path: Path) -> None:
        """Write validation.json."""
        with replacing(path) as handle:
            json.dump(self.to_dict(), handle, indent=1)
            handle.write("\n")


def curve_points(records: Sequence[Record]) -> list[Point]:
    """Accuracy of every strategy at every budget, in order of first appearance, budgets ascending.

    Args:
        records: Single runs, of a recommendation or of a benchmark.
    """
    runs: dict[str, dict[int, list[Record]]] = {}
    for record in records:
        runs.setdefault(record.strategy, {}).setdefault(record.budget, []).append(record)
    found = []
    for strategy, budgets in runs.items():
        for budget, mine in sorted(budgets.items()):
            names = dict.fromkeys(name for record in mine for name in record.per_object)
            table = [[record.per_object.get(name, np.nan) for record in mine] for name in names]
            mean = two_way(np.array(table))
            point = Point(
                strategy=strategy,
                budget=budget,
                images=float(np.mean([record.images for record in mine])),
                accuracy=mean.mean,
                low=max(mean.low, 0.0),
                high=min(mean.high, 1.0),
            )
            found.append(point)
    return found


def answer(difference: float, p: float) -> Answer:
    """The verdict that a difference and its p speak for, at .05."""
    if p >= ALPHA or difference == 0.0:
        return NO_DIFFERENCE
    return "better" if difference > 0 else "worse"


def sentence(finding: Verdict | Comparison) -> str:
    """A verdict in plain words, with effect, interval, p, number of objects, and what the images alone would say."""
    low, high = (signed(100.0 * end).removeprefix("+") for end in finding.ci95)
    over = f"over {count_noun(finding.n_objects, 'object')}"
    seeds = f" and {finding.n_seeds} seeds" if finding.n_seeds > 1 else ""
    evidence = f"95 % interval {low} to {high}; p {p_words(finding.p)} {over}{seeds}"
    one_seed = finding.n_seeds == 1
    if finding.verdict != NO_DIFFERENCE:
        by = f"{abs(100.0 * finding.difference):.1f} points"
        parts = [f"{finding.a} is {finding.verdict} than {finding.b} by {by} ({evidence})"]
        if one_seed:
            parts.append("one pair of heads: it says nothing of other seeds")
    else:
        pair = f"{finding.a} and {finding.b}"
        parts = [f"{NO_DIFFERENCE} between {pair} ({points(finding.difference)} points, {evidence})"]
        # Where tests and interval seem to disagree: that they do, and why.
        if one_seed and 2.0 / 2.0**finding.n_objects >= ALPHA:
            parts.append(f"with {finding.n_objects} objects no difference could be found at .05, however large")
        elif not finding.ci95[0] <= 0.0 <= finding.ci95[1]:
            parts.append("the interval is that of this comparison alone, p is corrected for all comparisons")
        if not one_seed and finding.p_object < ALPHA:
            p = p_words(finding.p_object)
            parts.append(f"the objects alone would tell them apart (p {p}), but two seeds of one rule differ as much")
    images, p = answer(float(finding.n10 - finding.n01), finding.p_mcnemar), p_words(finding.p_mcnemar)
    if images != finding.verdict:
        parts.append(
            f"McNemar's test on one pair of heads does not see it (p {p})"
            if images == NO_DIFFERENCE
            else f"McNemar's test on images says {images} (p {p}), but images of one object are not independent: that "
            "holds for these heads on these objects and not for new ones"
        )
    return "; ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pair:
    """Two strategies at one budget, paired by seed.

    Attributes:
        a: The strategy asked about.
        b: The one it is compared with.
        budget: Images each was allowed.
        differences: Accuracy of ``a`` minus that of ``b`` for each object and seed, NaN where it was not tested,
            shape ``[objects, seeds]``; every object and seed has a number.
        objects: Names of the objects.
        correct_a: Whether ``a`` classified each image of the first seed correctly, shape ``[images]``.
        correct_b: Whether ``b`` did.
        image_objects: Object of each of these images, any numbers, shape ``[images]``.
    """

    a: str
    b: str
    budget: int
    differences: Float[np.ndarray, "objects seeds"]
    objects: tuple[str, ...]
    correct_a: Bool[np.ndarray, " images"]
    correct_b: Bool[np.ndarray, " images"]
    image_objects: Int[np.ndarray, " images"]


def judge_pairs(pairs: Sequence[Pair], *, margin: float = MARGIN) -> list[Verdict]:
    """Judge a family of comparisons: p over objects and seeds, corrected by Holm; images beside it.

    With one seed nothing is known of other seeds, and p is that of the sign-flip test on objects.

    Args:
        pairs: The family.
        margin: Differences of accuracy up to this count as equal.
    """
    # Holm corrects within the family: once for p over objects and seeds, once for p over objects alone.
    means = [two_way(pair.differences) for pair in pairs]
    of_objects = [np.nanmean(pair.differences, axis=1) for pair in pairs]
    flips = [sign_flip(one) for one in of_objects]
    one_seed = [pair.differences.shape[1] == 1 for pair in pairs]
    raw = [flip if one else mean.p for one, mean, flip in zip(one_seed, means, flips, strict=True)]
    found = []
    for pair, mean, of_object, p, p_object in zip(pairs, means, of_objects, holm(raw), holm(flips), strict=True):
        images = mcnemar(pair.correct_a, pair.correct_b)
        _, places = np.unique(pair.image_objects, return_inverse=True)
        n01 = np.bincount(places, weights=~pair.correct_a & pair.correct_b)
        n10 = np.bincount(places, weights=pair.correct_a & ~pair.correct_b)
        verdict = Verdict(
            a=pair.a,
            b=pair.b,
            budget=pair.budget,
            difference=mean.mean,
            ci95=(max(mean.low, -1.0), min(mean.high, 1.0)),
            p=p,
            p_object=p_object,
            p_equivalent=mean.p_within(margin),
            p_mcnemar=images.p,
            p_obuchowski=obuchowski(n01, n10).p,
            p_durkalski=durkalski(n01, n10, np.bincount(places)).p,
            n01=images.n01,
            n10=images.n10,
            n_objects=len(pair.objects),
            n_seeds=pair.differences.shape[1],
            verdict=answer(mean.mean, p),
            per_object=dict(zip(pair.objects, map(float, of_object), strict=True)),
        )
        found.append(verdict)
    return found
