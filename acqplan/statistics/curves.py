"""Accuracy against images: mean curves, areas under them, ranks of arms."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

from acqplan.errors import UsageError
from acqplan.statistics.objects import check_resampling, outward, two_way_draws, two_way_mean


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
    give the difference to `intervals.two_way_interval` or, averaged over seeds, to `clustered.sign_flip`.

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
    complete = np.isfinite(accuracy).all(axis=0)
    # Means over seeds in another order differ in the last digits: those are ties.
    ranks = stats.rankdata(-np.round(np.where(complete, accuracy, 0.0), 12), axis=0)
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
        """Both ends, ready for JSON: an end of which nothing is known is null."""
        return {"low": self.low or None, "high": self.high if math.isfinite(self.high) else None}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagesToReach:
    """How many images an arm needs for an accuracy.

    Attributes:
        target: The accuracy.
        images: The number, in ``[largest, inf]`` if no budget reached the target, in ``[0, smallest]`` if all did.
        interval: Its interval over objects and seeds, censored in the same way: the low end 0 means "at most the
            smallest budget", the high end infinite "more than the largest".
        level: Confidence of the interval.
        smallest: Smallest budget measured.
        largest: Largest budget measured.
        n_runs: Pairs of object and seed that had all budgets.
    """

    target: float
    images: Bounds
    interval: Bounds
    level: float
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
        target: The accuracy.
        ratio: Images of the baseline over images of the arm; one-sided if one of both is censored, and
            ``[0, inf]`` if nothing can be said.
        interval: Its interval over objects and seeds.
        level: Confidence of the interval.
        n_runs: Pairs of object and seed that had all budgets in both arms.
    """

    target: float
    ratio: Bounds
    interval: Bounds
    level: float
    n_runs: int

    @property
    def text(self) -> str:
        """For example ``2.4``, ``≥ 2.4``, ``≤ 0.7``, ``unknown``."""
        if self.ratio.known:
            return f"{self.ratio.low:.1f}"
        if math.isinf(self.ratio.high):
            return f"≥ {self.ratio.low:.1f}" if self.ratio.low else "unknown"
        return f"{self.ratio.low:.1f} to {self.ratio.high:.1f}" if self.ratio.low else f"≤ {self.ratio.high:.1f}"


DRAWS = 4_999


def images_to_reach(
    accuracy: Float[np.ndarray, "budgets objects seeds"],
    budgets: Sequence[int],
    *,
    target: float,
    level: float = 0.95,
    draws: int = DRAWS,
    seed: int = 0,
) -> ImagesToReach:
    """Images at which the mean curve first reaches an accuracy, linear in the logarithm of images between budgets.

    The first crossing is taken as it is: later dips do not count, and the running maximum of the curve would give the
    same. No curve is fitted, so a curve that wavers by more than it rises is crossed a little early.

    Args:
        accuracy: Accuracy at each budget of each object and seed, NaN where a run failed (see `curve.common_runs`).
        budgets: Images, increasing.
        target: The accuracy.
        level: Confidence of the interval, by resampling objects and seeds (`intervals.two_way_draws`).
        draws: Resamples.
        seed: Their seed.

    Raises:
        UsageError: If shapes differ, budgets do not increase, no run has all budgets, or an argument cannot be.
    """
    check_curves(accuracy, budgets)
    _check_target(target)
    runs = _runs(accuracy[None])
    means, resampled = _curves(runs, draws, level, seed)
    return _images(means[None], resampled, budgets, _fixed(target), runs=runs, level=level)


def images_to_match(
    accuracy: Float[np.ndarray, "budgets objects seeds"],
    baseline: Float[np.ndarray, "budgets objects seeds"],
    budgets: Sequence[int],
    *,
    at: int,
    level: float = 0.95,
    draws: int = DRAWS,
    seed: int = 0,
) -> ImagesToReach:
    """Images at which an arm first reaches what a baseline reaches with ``at`` images.

    Unlike a number chosen beforehand, this target moves with the objects and seeds: with easier objects both curves
    rise. It is drawn anew with each resample, so that the interval is that of the comparison.

    Args:
        accuracy: Accuracy of the arm at each budget of each object and seed, NaN where a run failed.
        baseline: The same of the baseline; the same place is the same object and seed.
        budgets: Images of both, increasing.
        at: One of the budgets.
        level: Confidence of the interval.
        draws: Resamples.
        seed: Their seed.

    Raises:
        UsageError: As `speed_up`, and if ``at`` is no budget.
    """
    runs, means, resampled = _both(accuracy, baseline, budgets, draws, level, seed)
    return _images(means[None], resampled, budgets, _reached_at(budgets, at), runs=runs, level=level)


def speed_up_at(
    accuracy: Float[np.ndarray, "budgets objects seeds"],
    baseline: Float[np.ndarray, "budgets objects seeds"],
    budgets: Sequence[int],
    *,
    at: int,
    level: float = 0.95,
    draws: int = DRAWS,
    seed: int = 0,
) -> SpeedUp:
    """The same as a ratio: images of the baseline over those of the arm, for what the baseline reaches at a budget.

    Arguments and errors are those of `images_to_match`.
    """
    runs, means, resampled = _both(accuracy, baseline, budgets, draws, level, seed)
    return _speed_up(means[None], resampled, budgets, _reached_at(budgets, at), runs=runs, level=level)


Target = Callable[[Float[np.ndarray, "curves arms budgets"]], Float[np.ndarray, " curves"]]
"""The target of each set of curves: of the measured ones, or of a resample."""


def _fixed(target: float) -> Target:
    return lambda curves: np.full(len(curves), target)


def _reached_at(budgets: Sequence[int], at: int) -> Target:
    """What the second arm, the baseline, reaches with so many images."""
    if at not in budgets:
        raise UsageError(f"{at} images are not among the budgets", f"known: {', '.join(map(str, budgets))}")
    return lambda curves: curves[:, 1, list(budgets).index(at)]


def _images(
    means: Float[np.ndarray, "one arms budgets"],
    resampled: Float[np.ndarray, "met arms budgets"],
    budgets: Sequence[int],
    target: Target,
    *,
    runs: np.ndarray,
    level: float,
) -> ImagesToReach:
    low, high = _crossings(means[:, 0], budgets, target(means))
    return ImagesToReach(
        target=float(target(means)[0]),
        images=Bounds(low=float(low[0]), high=float(high[0])),
        interval=_interval(*_crossings(resampled[:, 0], budgets, target(resampled)), runs, level),
        level=level,
        smallest=int(budgets[0]),
        largest=int(budgets[-1]),
        n_runs=int(np.isfinite(runs[0, 0]).sum()),
    )


def speed_up(
    accuracy: Float[np.ndarray, "budgets objects seeds"],
    baseline: Float[np.ndarray, "budgets objects seeds"],
    budgets: Sequence[int],
    *,
    target: float,
    level: float = 0.95,
    draws: int = DRAWS,
    seed: int = 0,
) -> SpeedUp:
    """Ratio of the images that a baseline and an arm need for the same accuracy; above 1 the arm needs fewer.

    Both arms are resampled together: the same objects and the same seeds.

    Args:
        accuracy: Accuracy of the arm at each budget of each object and seed, NaN where a run failed.
        baseline: The same of the baseline; the same place is the same object and seed.
        budgets: Images of both, increasing.
        target: The accuracy; choose it before looking, not where the curves lie farthest apart.
        level: Confidence of the interval.
        draws: Resamples.
        seed: Their seed.

    Raises:
        UsageError: If shapes differ, budgets do not increase, no run has all budgets in both, or an argument
            cannot be.
    """
    _check_target(target)
    runs, means, resampled = _both(accuracy, baseline, budgets, draws, level, seed)
    return _speed_up(means[None], resampled, budgets, _fixed(target), runs=runs, level=level)


def _speed_up(
    means: Float[np.ndarray, "one arms budgets"],
    resampled: Float[np.ndarray, "met arms budgets"],
    budgets: Sequence[int],
    target: Target,
    *,
    runs: np.ndarray,
    level: float,
) -> SpeedUp:
    low, high = _ratio(means, budgets, target(means))
    return SpeedUp(
        target=float(target(means)[0]),
        ratio=Bounds(low=float(low[0]), high=float(high[0])),
        interval=_interval(*_ratio(resampled, budgets, target(resampled)), runs, level),
        level=level,
        n_runs=int(np.isfinite(runs[0, 0]).sum()),
    )


def _both(
    accuracy: Float[np.ndarray, "budgets objects seeds"],
    baseline: Float[np.ndarray, "budgets objects seeds"],
    budgets: Sequence[int],
    draws: int,
    level: float,
    seed: int,
) -> tuple[np.ndarray, Float[np.ndarray, "arms budgets"], Float[np.ndarray, "met arms budgets"]]:
    """Complete runs of an arm and its baseline, their mean curves, and those of the resamples."""
    check_curves(accuracy, budgets)
    if accuracy.shape != baseline.shape:
        raise UsageError(f"curves of shapes {accuracy.shape} and {baseline.shape}", "give the same runs of both")
    runs = _runs(np.stack([accuracy, baseline]))
    return (runs, *_curves(runs, draws, level, seed))


def _runs(accuracy: Float[np.ndarray, "arms budgets objects seeds"]) -> Float[np.ndarray, "arms budgets kept seeds"]:
    """Complete runs, and only the objects that have one."""
    runs = common_runs(accuracy)
    kept = np.isfinite(runs[0, 0]).any(axis=1)
    if not kept.any():
        raise UsageError("no run has all budgets in all arms", "leave out the budget or the arm that failed")
    return runs[:, :, kept]


def _curves(
    runs: Float[np.ndarray, "arms budgets objects seeds"], draws: int, level: float, seed: int
) -> tuple[Float[np.ndarray, "arms budgets"], Float[np.ndarray, "met arms budgets"]]:
    """Mean curves, and those of the resamples that met any run."""
    check_resampling(level, draws)
    resampled = two_way_draws(runs, draws=draws, seed=seed)
    return two_way_mean(runs), resampled[np.isfinite(resampled).all(axis=(1, 2))]


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


def _ratio(
    curves: Float[np.ndarray, "curves both budgets"], budgets: Sequence[int], targets: Float[np.ndarray, " curves"]
) -> tuple[Float[np.ndarray, " curves"], Float[np.ndarray, " curves"]]:
    mine, theirs = (_crossings(curves[:, arm], budgets, targets) for arm in (0, 1))
    with np.errstate(divide="ignore"):  # nothing is known below the smallest budget: a ratio without bound
        return theirs[0] / mine[1], theirs[1] / mine[0]


def _interval(
    low: Float[np.ndarray, " draws"], high: Float[np.ndarray, " draws"], runs: np.ndarray, level: float
) -> Bounds:
    """Percentiles of censored numbers: the low end of low ends, the high end of high ends, never interpolated."""
    n_objects = runs.shape[2]
    if n_objects == 1:
        return Bounds(low=0.0, high=math.inf)
    below = outward(level, n_objects)
    return Bounds(
        low=float(np.quantile(low, below, method="lower")),
        high=float(np.quantile(high, 1.0 - below, method="higher")),
    )


def _check_target(target: float) -> None:
    if not math.isfinite(target):
        raise UsageError(f"a target of {target}", "give an accuracy, e.g. 0.9")
