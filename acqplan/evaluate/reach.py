"""Images to reach an accuracy, and speed-up over a baseline: with intervals, and censored where not reached."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from acqplan.errors import UsageError
from acqplan.evaluate.curve import check_curves, common_runs
from acqplan.evaluate.intervals import check_resampling, outward, two_way_draws, two_way_mean

DRAWS = 4_999


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
    low, high = _crossings(means, budgets, target)
    return ImagesToReach(
        target=target,
        images=Bounds(low=float(low[0]), high=float(high[0])),
        interval=_interval(*_crossings(resampled[:, 0], budgets, target), runs, level),
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
    check_curves(accuracy, budgets)
    if accuracy.shape != baseline.shape:
        raise UsageError(f"curves of shapes {accuracy.shape} and {baseline.shape}", "give the same runs of both")
    _check_target(target)
    runs = _runs(np.stack([accuracy, baseline]))
    means, resampled = _curves(runs, draws, level, seed)
    low, high = _ratio(means[None], budgets, target)
    return SpeedUp(
        target=target,
        ratio=Bounds(low=float(low[0]), high=float(high[0])),
        interval=_interval(*_ratio(resampled, budgets, target), runs, level),
        level=level,
        n_runs=int(np.isfinite(runs[0, 0]).sum()),
    )


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
    curves: Float[np.ndarray, "curves budgets"], budgets: Sequence[int], target: float
) -> tuple[Float[np.ndarray, " curves"], Float[np.ndarray, " curves"]]:
    """First crossing of each curve, as the two ends between which it lies."""
    logs = np.log(np.asarray(budgets, dtype=np.float64))
    reached = curves >= target - 1e-12
    first = reached.argmax(axis=1)
    after, before = np.maximum(first, 1), np.maximum(first - 1, 0)
    rows = np.arange(len(curves))
    high_end, low_end = curves[rows, np.minimum(after, len(budgets) - 1)], curves[rows, before]
    rise = high_end - low_end
    part = np.clip((target - low_end) / np.where(rise > 0, rise, 1.0), 0.0, 1.0)
    images = np.exp(logs[before] + part * (logs[np.minimum(after, len(budgets) - 1)] - logs[before]))
    never, always = ~reached.any(axis=1), reached[:, 0]
    low = np.where(never, float(budgets[-1]), np.where(always, 0.0, images))
    high = np.where(never, np.inf, np.where(always, float(budgets[0]), images))
    return low, high


def _ratio(
    curves: Float[np.ndarray, "curves both budgets"], budgets: Sequence[int], target: float
) -> tuple[Float[np.ndarray, " curves"], Float[np.ndarray, " curves"]]:
    mine, theirs = (_crossings(curves[:, arm], budgets, target) for arm in (0, 1))
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
