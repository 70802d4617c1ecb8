"""Verdicts: one strategy against its opponents, in numbers and in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Bool, Float

from acqplan.errors import UsageError
from acqplan.evaluate.clustered import holm, interval, sign_flip
from acqplan.evaluate.mcnemar import mcnemar
from acqplan.evaluate.records import Answer, Verdict

ALPHA = 0.05


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
    def verdict(self) -> Answer: ...  # noqa: D102


def judge(mine: Outcome, opponents: Sequence[Outcome], *, budget: int, objects: Sequence[str]) -> list[Verdict]:
    """Compare one strategy with its opponents: a family of comparisons, corrected by Holm.

    Differences are paired by seed and averaged over the seeds that both have; the unit of the test
    and of the interval is the object. McNemar's test sees the images of the smallest common seed.

    Args:
        mine: The strategy asked about.
        opponents: The others; the family.
        budget: Images each was allowed.
        objects: Object of each test image, length ``images``.

    Returns:
        One verdict an opponent, in their order.

    Raises:
        UsageError: If two strategies have no seed in common, or another number of images than ``objects``.
    """
    names = np.asarray(objects)
    per_object = [_per_object(_mean_difference(mine, opponent, len(names)), names) for opponent in opponents]
    corrected = holm([sign_flip(differences) for differences in per_object])
    return [
        _verdict(mine, opponent, budget, differences, p)
        for opponent, differences, p in zip(opponents, per_object, corrected, strict=True)
    ]


def answer(difference: float, p: float) -> Answer:
    """The verdict that a difference and its p speak for, at .05."""
    if p >= ALPHA or difference == 0.0:
        return "no difference found"
    return "better" if difference > 0 else "worse"


def sentence(finding: Finding) -> str:
    """A verdict in plain words, with effect, interval, p, number of objects, and what the images alone would say."""
    points, (low, high) = 100.0 * finding.difference, (100.0 * end for end in finding.ci95)
    over = f"over {finding.n_objects} object{'s' if finding.n_objects != 1 else ''}"
    evidence = f"95 % interval {_signed(low)} to {_signed(high)}; p {_p(finding.p_object)} {over}"
    if finding.verdict == "no difference found":
        text = f"no difference found between {finding.a} and {finding.b} ({_plus(points)} points, {evidence})"
    else:
        text = f"{finding.a} is {finding.verdict} than {finding.b} by {abs(points):.1f} points ({evidence})"
    return text + "".join(f"; {remark}" for remark in _remarks(finding))


def _mean_difference(mine: Outcome, opponent: Outcome, n_images: int) -> Float[np.ndarray, " images"]:
    total = np.zeros(n_images)
    seeds = _common_seeds(mine, opponent)
    for seed in seeds:
        for name, correct in ((mine.name, mine.correct[seed]), (opponent.name, opponent.correct[seed])):
            if correct.shape != (n_images,):
                raise UsageError(
                    f"'{name}' was judged on {len(correct):,} images, seed {seed}, but {n_images:,} have an object",
                    "judge all strategies on the same images",
                )
        total += mine.correct[seed].astype(np.float64) - opponent.correct[seed]
    return total / len(seeds)


def _common_seeds(mine: Outcome, opponent: Outcome) -> list[int]:
    seeds = sorted(set(mine.correct) & set(opponent.correct))
    if not seeds:
        raise UsageError(f"'{mine.name}' and '{opponent.name}' have no seed in common", "run both with the same seeds")
    return seeds


def _per_object(values: Float[np.ndarray, " images"], objects: np.ndarray) -> Float[np.ndarray, " objects"]:
    """Mean over the images of each object, objects sorted by name."""
    _, places = np.unique(objects, return_inverse=True)
    return np.bincount(places, weights=values) / np.bincount(places)


def _verdict(
    mine: Outcome, opponent: Outcome, budget: int, differences: Float[np.ndarray, " objects"], p_object: float
) -> Verdict:
    first = _common_seeds(mine, opponent)[0]
    images = mcnemar(mine.correct[first], opponent.correct[first])
    difference = float(differences.mean())
    return Verdict(
        a=mine.name,
        b=opponent.name,
        budget=budget,
        difference=difference,
        ci95=interval(differences),
        p_object=p_object,
        p_mcnemar=images.p,
        n01=images.n01,
        n10=images.n10,
        n_objects=len(differences),
        verdict=answer(difference, p_object),
    )


def _remarks(finding: Finding) -> list[str]:
    """Where tests and interval seem to disagree: that they do, and why."""
    remarks = []
    found = finding.verdict != "no difference found"
    if not found and 2.0 / 2.0**finding.n_objects >= ALPHA:
        remarks.append(f"with {finding.n_objects} objects no difference could be found at .05, however large")
    elif not found and not finding.ci95[0] <= 0.0 <= finding.ci95[1]:
        remarks.append("the interval is that of this comparison alone, p is corrected for all comparisons")
    images = answer(float(finding.n10 - finding.n01), finding.p_mcnemar)
    if images != finding.verdict:
        remarks.append(_disagreement(finding, images))
    return remarks


def _disagreement(finding: Finding, images: Answer) -> str:
    if images == "no difference found":
        return f"McNemar's test on one pair of heads does not see it (p {_p(finding.p_mcnemar)})"
    return (
        f"McNemar's test on images says {images} (p {_p(finding.p_mcnemar)}), but images of one object are not "
        "independent: that holds for these heads on these objects and not for new ones"
    )


def _p(p: float) -> str:
    """A p-value as journals print it: without the leading zero, three decimals."""
    if p < 0.0005:
        return "< .001"
    return "= 1" if p > 0.9995 else f"= {p:.3f}".replace("0.", ".")


def _signed(points: float) -> str:
    """One decimal, a true minus sign, no negative zero."""
    text = f"{points:.1f}"
    return "0.0" if text == "-0.0" else text.replace("-", "−")


def _plus(points: float) -> str:
    text = _signed(points)
    return text if text.startswith("−") or text == "0.0" else f"+{text}"
