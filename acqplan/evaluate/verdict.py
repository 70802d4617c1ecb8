"""Verdicts: one strategy against its opponents, in numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from jaxtyping import Bool, Float, Int

from acqplan.errors import UsageError
from acqplan.files import replacing
from acqplan.numbers import count_noun, p_words, points, signed
from acqplan.statistics.clustered import durkalski, holm, obuchowski, sign_flip
from acqplan.statistics.mcnemar import mcnemar
from acqplan.statistics.power import MARGIN
from acqplan.statistics.two_way import TwoWay, two_way

ALPHA = 0.05

Answer = Literal["better", "worse", "no difference found"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One arm at one budget with one seed, judged on the test objects.

    Attributes:
        strategy: Name of the strategy.
        budget: Images it was allowed.
        images: Images it took; at most ``budget``.
        seed: Its seed.
        accuracy: Share of test shots classified correctly, mean over test objects.
        per_object: The same for each test object.
    """

    strategy: str
    budget: int
    images: int
    seed: int
    accuracy: float
    per_object: Mapping[str, float]


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
        p_durkalski: The same of Durkalski's.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """All records and verdicts of a validation.

    Attributes:
        records: One per strategy, budget and seed.
        verdicts: One per opponent, at the full budget.
    """

    records: Sequence[Record]
    verdicts: Sequence[Verdict]

    def to_dict(self) -> dict[str, object]:
        """validation.json as a dictionary."""
        return {
            "records": [asdict(record) for record in self.records],
            "verdicts": [asdict(verdict) for verdict in self.verdicts],
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
    return [_point(mine) for budgets in runs.values() for _, mine in sorted(budgets.items())]


def _point(records: Sequence[Record]) -> Point:
    names = list(dict.fromkeys(name for record in records for name in record.per_object))
    table = [[record.per_object.get(name, np.nan) for record in records] for name in names]
    mean = two_way(np.array(table))
    return Point(
        strategy=records[0].strategy,
        budget=records[0].budget,
        images=float(np.mean([record.images for record in records])),
        accuracy=mean.mean,
        low=max(mean.low, 0.0),
        high=min(mean.high, 1.0),
    )


class Finding(Protocol):
    """What a sentence can be made of: a `Verdict`, or a comparison of two files of predictions."""

    @property
    def a(self) -> str: ...  # noqa: D102
    @property
    def b(self) -> str: ...  # noqa: D102
    @property
    def difference(self) -> float: ...  # noqa: D102
    @property
    def ci95(self) -> tuple[float, float]: ...  # noqa: D102
    @property
    def p(self) -> float: ...  # noqa: D102
    @property
    def p_object(self) -> float: ...  # noqa: D102
    @property
    def p_mcnemar(self) -> float: ...  # noqa: D102
    @property
    def n01(self) -> int: ...  # noqa: D102
    @property
    def n10(self) -> int: ...  # noqa: D102
    @property
    def n_objects(self) -> int: ...  # noqa: D102
    @property
    def n_seeds(self) -> int: ...  # noqa: D102
    @property
    def verdict(self) -> Answer: ...  # noqa: D102


def answer(difference: float, p: float) -> Answer:
    """The verdict that a difference and its p speak for, at .05."""
    if p >= ALPHA or difference == 0.0:
        return "no difference found"
    return "better" if difference > 0 else "worse"


def sentence(finding: Finding) -> str:
    """A verdict in plain words, with effect, interval, p, number of objects, and what the images alone would say."""
    low, high = (signed(100.0 * end).removeprefix("+") for end in finding.ci95)
    over = f"over {count_noun(finding.n_objects, 'object')}"
    seeds = f" and {finding.n_seeds} seeds" if finding.n_seeds > 1 else ""
    evidence = f"95 % interval {low} to {high}; p {p_words(finding.p)} {over}{seeds}"
    if finding.verdict == "no difference found":
        pair = f"{finding.a} and {finding.b}"
        text = f"no difference found between {pair} ({points(finding.difference)} points, {evidence})"
    else:
        by = f"{abs(100.0 * finding.difference):.1f} points"
        text = f"{finding.a} is {finding.verdict} than {finding.b} by {by} ({evidence})"
    return text + "".join(f"; {remark}" for remark in _remarks(finding))


def _remarks(finding: Finding) -> list[str]:
    """Where tests and interval seem to disagree: that they do, and why."""
    remarks = []
    found = finding.verdict != "no difference found"
    if not found and finding.n_seeds == 1 and 2.0 / 2.0**finding.n_objects >= ALPHA:
        remarks.append(f"with {finding.n_objects} objects no difference could be found at .05, however large")
    elif not found and not finding.ci95[0] <= 0.0 <= finding.ci95[1]:
        remarks.append("the interval is that of this comparison alone, p is corrected for all comparisons")
    if finding.n_seeds == 1 and found:
        remarks.append("one pair of heads: it says nothing of other seeds")
    if finding.n_seeds > 1 and not found and finding.p_object < ALPHA:
        remarks.append(
            f"the objects alone would tell them apart (p {p_words(finding.p_object)}), "
            "but two seeds of one rule differ as much"
        )
    images = answer(float(finding.n10 - finding.n01), finding.p_mcnemar)
    if images != finding.verdict:
        remarks.append(_disagreement(finding, images))
    return remarks


def _disagreement(finding: Finding, images: Answer) -> str:
    if images == "no difference found":
        return f"McNemar's test on one pair of heads does not see it (p {p_words(finding.p_mcnemar)})"
    return (
        f"McNemar's test on images says {images} (p {p_words(finding.p_mcnemar)}), but images of one object are not "
        "independent: that holds for these heads on these objects and not for new ones"
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """What one strategy at one budget got right on the test images.

    Attributes:
        name: Name of the strategy.
        correct: For each seed, whether each test image was classified correctly, shape ``[images]``; the
            images in the same order for all seeds and arms.
    """

    name: str
    correct: Mapping[int, Bool[np.ndarray, " images"]]


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
        correct_b: The same of ``b``.
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

    @property
    def object_means(self) -> Float[np.ndarray, " objects"]:
        """Difference of each object, mean over seeds."""
        return np.nanmean(self.differences, axis=1)


def judge(
    mine: Outcome,
    opponents: Sequence[Outcome],
    *,
    budget: int,
    objects: Sequence[str],
    weights: Float[np.ndarray, " images"] | None = None,
) -> list[Verdict]:
    """Compare one strategy with its opponents: a family of comparisons, corrected by Holm.

    Differences are paired by seed over the seeds that both have. McNemar's test sees the images of the smallest
    common seed.

    Args:
        mine: The strategy asked about.
        opponents: The others; the family.
        budget: Images each was allowed.
        objects: Object of each test image, length ``images``.
        weights: How much each image counts in the accuracy of its object, positive; all alike by default.

    Returns:
        One verdict an opponent, in their order.

    Raises:
        UsageError: If two strategies have no seed in common, or another number of images than ``objects``.
    """
    names, places = np.unique(np.asarray(objects), return_inverse=True)
    counting = np.ones(len(places)) if weights is None else weights
    named = tuple(map(str, names))
    return judge_pairs([_pair(mine, opponent, budget, named, places, counting) for opponent in opponents])


def judge_pairs(pairs: Sequence[Pair], *, margin: float = MARGIN) -> list[Verdict]:
    """Judge a family of comparisons: p over objects and seeds, corrected by Holm; images beside it.

    With one seed nothing is known of other seeds, and p is that of the sign-flip test on objects.

    Args:
        pairs: The family.
        margin: Differences of accuracy up to this count as equal.
    """
    means = [two_way(pair.differences) for pair in pairs]
    by_object = holm([sign_flip(pair.object_means) for pair in pairs])
    one_seed = [pair.differences.shape[1] == 1 for pair in pairs]
    raw = [sign_flip(p.object_means) if alone else m.p for p, m, alone in zip(pairs, means, one_seed, strict=True)]
    return [
        _verdict(pair, mean, p=p, p_object=p_object, margin=margin)
        for pair, mean, p, p_object in zip(pairs, means, holm(raw), by_object, strict=True)
    ]


def _pair(
    mine: Outcome,
    opponent: Outcome,
    budget: int,
    names: tuple[str, ...],
    places: np.ndarray,
    weights: Float[np.ndarray, " images"],
) -> Pair:
    seeds = _common_seeds(mine, opponent)
    for arm in (mine, opponent):
        _check_lengths(arm, seeds, len(places))
    counts = np.bincount(places, weights=weights)
    columns = [
        np.bincount(places, weights=weights * (mine.correct[seed].astype(np.float64) - opponent.correct[seed])) / counts
        for seed in seeds
    ]
    return Pair(
        a=mine.name,
        b=opponent.name,
        budget=budget,
        differences=np.stack(columns, axis=1),
        objects=names,
        correct_a=mine.correct[seeds[0]],
        correct_b=opponent.correct[seeds[0]],
        image_objects=places,
    )


def _common_seeds(mine: Outcome, opponent: Outcome) -> list[int]:
    seeds = sorted(set(mine.correct) & set(opponent.correct))
    if not seeds:
        raise UsageError(f"'{mine.name}' and '{opponent.name}' have no seed in common", "run both with the same seeds")
    return seeds


def _check_lengths(arm: Outcome, seeds: Sequence[int], n_images: int) -> None:
    for seed in seeds:
        if arm.correct[seed].shape != (n_images,):
            raise UsageError(
                f"'{arm.name}' was judged on {len(arm.correct[seed]):,} images, seed {seed}, but {n_images:,} have an "
                "object",
                "judge all strategies on the same images",
            )


def _verdict(pair: Pair, mean: TwoWay, *, p: float, p_object: float, margin: float) -> Verdict:
    images = mcnemar(pair.correct_a, pair.correct_b)
    n01, n10, n = _counts(pair)
    return Verdict(
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
        p_durkalski=durkalski(n01, n10, n).p,
        n01=images.n01,
        n10=images.n10,
        n_objects=len(pair.objects),
        n_seeds=pair.differences.shape[1],
        verdict=answer(mean.mean, p),
        per_object=dict(zip(pair.objects, map(float, pair.object_means), strict=True)),
    )


def _counts(pair: Pair) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images of each object that only ``b``, that only ``a`` got right, and all."""
    _, places = np.unique(pair.image_objects, return_inverse=True)
    only_b, only_a = (~pair.correct_a & pair.correct_b), (pair.correct_a & ~pair.correct_b)
    return np.bincount(places, weights=only_b), np.bincount(places, weights=only_a), np.bincount(places)
