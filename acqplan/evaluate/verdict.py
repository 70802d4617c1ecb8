"""Verdicts: one strategy against its opponents, in numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from acqplan.errors import UsageError
from acqplan.evaluate.clustered import durkalski, holm, obuchowski, sign_flip
from acqplan.evaluate.mcnemar import mcnemar
from acqplan.evaluate.power import MARGIN
from acqplan.evaluate.records import Verdict
from acqplan.evaluate.two_way import TwoWay, two_way
from acqplan.evaluate.words import answer


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
