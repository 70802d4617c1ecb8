"""Accuracy against images: mean curves, areas under them, ranks of arms."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from acqplan.errors import UsageError
from acqplan.statistics.objects import check_resampling, outward, two_way_draws, two_way_mean

# Resamples of an interval of images.
DRAWS = 4_999


def common_runs(
    accuracy: Float[np.ndarray, "arms budgets objects seeds"],
) -> Float[np.ndarray, "arms budgets objects seeds"]:
    """Keep the runs (object, seed) that every arm finished at every budget; the others become NaN everywhere.

    A run that failed once is left out as a whole, and in all arms: else points of one curve, or curves of
    two arms, would come from different seeds. The last two axes are keys: the same place is the same seed.
    """
    return np.where(np.isfinite(accuracy).all(axis=(0, 1)), accuracy, np.nan)


def area_under_curve(
    accuracy: Float[np.ndarray, "budgets objects seeds"], budgets: Sequence[int]
) -> Float[np.ndarray, "objects seeds"]:
    """Mean accuracy over the logarithm of images, from the smallest to the largest budget (trapezoids).

    The area is linear in the accuracies, so that each object and seed has its own: subtract those of two arms and
    give the difference to `objects.two_way_interval` or, averaged over seeds, to `clustered.sign_flip`.

    Args:
        accuracy: Accuracy at each budget of each object and seed, NaN where a run failed.
        budgets: Images, increasing, at least two.

    Returns:
        Areas within ``0 .. 1``; NaN where a budget is missing.

    Raises:
        UsageError: If the shapes differ, or the budgets are not increasing and positive.
    """
    check_curves(accuracy, budgets)
    if len(budgets) < 2:
        raise UsageError("one budget", "the area under a curve needs at least two")
    steps = np.diff(np.log(np.asarray(budgets, dtype=np.float64)))
    return np.tensordot(steps / steps.sum(), (accuracy[1:] + accuracy[:-1]) / 2.0, axes=1)


def mean_ranks(accuracy: Float[np.ndarray, "arms budgets blocks"]) -> Float[np.ndarray, "arms budgets"]:
    """Mean rank of each arm at each budget, 1 the best, ties averaged; the mean over budgets is the overall rank.

    Args:
        accuracy: Accuracy of each arm at each budget in each block: an object (mean over its seeds), or a pair of
            split and seed. Where an arm has none, the block is left out at that budget.

    Returns:
        Ranks within ``1 .. arms``; NaN at a budget without any complete block.

    Raises:
        UsageError: If there are not two arms, a budget and a block, or a number is infinite.
    """
    if accuracy.ndim != 3 or accuracy.shape[0] < 2 or accuracy.size == 0 or np.isinf(accuracy).any():
        raise UsageError(f"accuracies of shape {accuracy.shape}", "give [arms, budgets, blocks], two arms at least")
    from scipy.stats import rankdata  # takes long to import

    complete = np.isfinite(accuracy).all(axis=0)
    # Means over seeds in another order differ in the last digits: those are ties.
    ranks = rankdata(-np.round(np.where(complete, accuracy, 0.0), 12), axis=0)
    n_blocks = complete.sum(axis=1)
    return np.where(n_blocks > 0, (ranks * complete).sum(axis=2) / np.maximum(n_blocks, 1), np.nan)


def check_curves(accuracy: Float[np.ndarray, "budgets objects seeds"], budgets: Sequence[int]) -> None:
    """Refuse accuracies and budgets that do not go together.

    Raises:
        UsageError: If the shapes differ, an accuracy is infinite, or the budgets are not increasing and positive.
    """
    if accuracy.ndim != 3 or len(accuracy) != len(budgets) or accuracy.size == 0:
        raise UsageError(
            f"accuracies of shape {accuracy.shape} for {len(budgets)} budgets", "give [budgets, objects, seeds]"
        )
    if np.isinf(accuracy).any():
        raise UsageError("an infinite accuracy", "give NaN where a run failed")
    if min(budgets) <= 0 or any(one >= other for one, other in itertools.pairwise(budgets)):
        raise UsageError(f"budgets {', '.join(map(str, budgets))}", "give positive numbers, increasing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """A number that is known (both ends alike), or only known to lie between two ends: a censored one.

    Attributes:
        low: It is at least this; 0 if nothing is known.
        high: It is at most this; infinite if nothing is known.
    """

    low: float
    high: float

    @property
    def known(self) -> bool:
        """Whether it is a single number."""
        return self.low == self.high

    def to_dict(self) -> dict[str, float | None]:
        """Both ends, ready for JSON: null where nothing is known."""
        return {"low": self.low or None, "high": self.high if math.isfinite(self.high) else None}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagesToReach:
    """How many images an arm needs for an accuracy.

    Attributes:
        target: The accuracy.
        images: The number, in ``[largest, inf]`` if no budget reached the target, in ``[0, smallest]`` if all did.
        interval: Its 95 % interval over objects and seeds, censored in the same way: the low end 0 means "at most the
            smallest budget", the high end infinite "more than the largest".
        smallest: Smallest budget measured.
        largest: Largest budget measured.
        n_runs: Pairs of object and seed that had all budgets in both arms.
    """

    target: float
    images: Bounds
    interval: Bounds
    smallest: int
    largest: int
    n_runs: int

    @property
    def text(self) -> str:
        """For example ``420``, ``≤ 90`` or ``> 2,430``."""
        if self.images.known:
            return f"{self.images.low:,.0f}"
        return f"> {self.largest:,}" if math.isinf(self.images.high) else f"≤ {self.smallest:,}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedUp:
    """How many times fewer images an arm needs than a baseline for the same accuracy.

    Attributes:
        ratio: Images of the baseline over images of the arm; one-sided if one of both is censored, and
            ``[0, inf]`` if nothing can be said.
        interval: Its 95 % interval over objects and seeds.
    """

    ratio: Bounds
    interval: Bounds

    @property
    def text(self) -> str:
        """For example ``2.4``, ``≥ 2.4``, ``≤ 0.7``, ``unknown``."""
        if self.ratio.known:
            return f"{self.ratio.low:.1f}"
        if math.isinf(self.ratio.high):
            return f"≥ {self.ratio.low:.1f}" if self.ratio.low else "unknown"
        return f"{self.ratio.low:.1f} to {self.ratio.high:.1f}" if self.ratio.low else f"≤ {self.ratio.high:.1f}"


def images_to_match(
    accuracy: Float[np.ndarray, "budgets objects seeds"],
    baseline: Float[np.ndarray, "budgets objects seeds"],
    budgets: Sequence[int],
    *,
    at: int,
    level: float = 0.95,
    draws: int = DRAWS,
    seed: int = 0,
) -> tuple[ImagesToReach, SpeedUp]:
    """Images at which an arm first reaches what a baseline reaches with ``at`` images, and how much faster that is.

    The mean curve is read linearly in the logarithm of images between budgets. The first crossing is taken as it is:
    later dips do not count, and the running maximum of the curve would give the same. No curve is fitted, so a curve
    that wavers by more than it rises is crossed a little early.

    Unlike a number chosen beforehand, the target moves with the objects and seeds: with easier objects both curves
    rise. It is drawn anew with each resample of both arms (the same objects and seeds), so that the intervals are
    those of the comparison. A flat baseline makes a fixed target.

    Args:
        accuracy: Accuracy of the arm at each budget of each object and seed, NaN where a run failed (see
            `common_runs`).
        baseline: Accuracy of the baseline; the same place is the same object and seed.
        budgets: Images of both, increasing.
        at: One of the budgets.
        level: Confidence of the intervals, by resampling objects and seeds (`objects.two_way_draws`).
        draws: Resamples.
        seed: Their seed.

    Raises:
        UsageError: If shapes differ, budgets do not increase, no run has all budgets in both arms, ``at`` is no
            budget, or another argument cannot be.
    """
    # Only runs that both arms finished at all budgets, and only objects that have one.
    check_curves(accuracy, budgets)
    if accuracy.shape != baseline.shape:
        raise UsageError(f"curves of shapes {accuracy.shape} and {baseline.shape}", "give the same runs of both")
    if at not in budgets:
        raise UsageError(f"{at} images are not among the budgets", f"known: {', '.join(map(str, budgets))}")
    check_resampling(level, draws)
    runs = common_runs(np.stack([accuracy, baseline]))
    kept = np.isfinite(runs[0, 0]).any(axis=1)
    if not kept.any():
        raise UsageError("no run has all budgets in all arms", "leave out the budget or the arm that failed")
    runs = runs[:, :, kept]
    # The measured curves first, then those of the resamples that met any run.
    resampled = two_way_draws(runs, draws=draws, seed=seed)
    curves = np.concatenate([two_way_mean(runs)[None], resampled[np.isfinite(resampled).all(axis=(1, 2))]])
    targets = curves[:, 1, list(budgets).index(at)]
    mine, theirs = (_crossings(curves[:, arm], budgets, targets) for arm in (0, 1))
    with np.errstate(divide="ignore"):  # nothing is known below the smallest budget: a ratio without bound
        ratio = theirs[0] / mine[1], theirs[1] / mine[0]
    n_objects = int(kept.sum())
    reach = ImagesToReach(
        target=float(targets[0]),
        images=Bounds(low=float(mine[0][0]), high=float(mine[1][0])),
        interval=_interval(*mine, n_objects, level),
        smallest=int(budgets[0]),
        largest=int(budgets[-1]),
        n_runs=int(np.isfinite(runs[0, 0]).sum()),
    )
    faster = SpeedUp(
        ratio=Bounds(low=float(ratio[0][0]), high=float(ratio[1][0])), interval=_interval(*ratio, n_objects, level)
    )
    return reach, faster


def _crossings(
    curves: Float[np.ndarray, "curves budgets"], budgets: Sequence[int], targets: Float[np.ndarray, " curves"]
) -> tuple[Float[np.ndarray, " curves"], Float[np.ndarray, " curves"]]:
    """First crossing of each curve, as the two ends between which it lies."""
    logs = np.log(np.asarray(budgets, dtype=np.float64))
    reached = curves >= targets[:, None] - 1e-12
    first = reached.argmax(axis=1)
    after, before = np.maximum(first, 1), np.maximum(first - 1, 0)
    rows = np.arange(len(curves))
    high_end, low_end = curves[rows, np.minimum(after, len(budgets) - 1)], curves[rows, before]
    rise = high_end - low_end
    part = np.clip((targets - low_end) / np.where(rise > 0, rise, 1.0), 0.0, 1.0)
    images = np.exp(logs[before] + part * (logs[np.minimum(after, len(budgets) - 1)] - logs[before]))
    never, always = ~reached.any(axis=1), reached[:, 0]
    low = np.where(never, float(budgets[-1]), np.where(always, 0.0, images))
    high = np.where(never, np.inf, np.where(always, float(budgets[0]), images))
    return low, high


def _interval(
    low: Float[np.ndarray, " curves"], high: Float[np.ndarray, " curves"], n_objects: int, level: float
) -> Bounds:
    """Percentiles of censored numbers: the low end of low ends, the high end of high ends, never interpolated."""
    if n_objects == 1:
        return Bounds(low=0.0, high=math.inf)
    below = outward(level, n_objects)
    return Bounds(
        low=float(np.quantile(low[1:], below, method="lower")),
        high=float(np.quantile(high[1:], 1.0 - below, method="higher")),
    )
