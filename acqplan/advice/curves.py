"""Learning curves ``err(n) = a * n**-b + c``: fitted to many resamples at once, read at other numbers of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats

from acqplan.advice.answers import Curve, End, Next, Reach, Which
from acqplan.advice.samples import Samples
from acqplan.errors import UsageError
from acqplan.space import Shots
from acqplan.statistics.objects import Estimate, outward, two_way_draws, two_way_mean

STEEPEST, FLATTEST = 3.0, 0.1
"""Exponents that are tried. Below 0.1 a curve cannot be told from a straight line in the logarithm, and its floor is no
floor; above 3 it has ended before the second size."""

STEPS, PASSES = 41, 3
"""Exponents of a grid, and grids, each between the neighbours of the last one's best."""

FEWEST_SIZES = 3
"""As many as a curve has numbers to fit."""

CONFIDENCE = 0.95
"""One-sided, of the advice to stop; intervals are two-sided 95 %."""

NEXT_SHARE = 0.1
"""Images that views and objects are compared by, as a share of those captured."""

DRAWS = 1_999
"""Resamples of objects and repeats."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PowerLaw:
    """Learning curves ``err(n) = scale * (n / unit)**-exponent + floor``.

    Attributes:
        unit: Images that ``scale`` refers to: the largest size fitted.
        scale: Error that images can still remove at ``unit``, at least 0, shape ``[curves]``.
        exponent: How fast they do, shape ``[curves]``.
        floor: Error that remains, within ``0 .. 1``, shape ``[curves]``.
    """

    unit: float
    scale: Float[np.ndarray, " curves"]
    exponent: Float[np.ndarray, " curves"]
    floor: Float[np.ndarray, " curves"]

    def accuracy(self, images: float) -> Float[np.ndarray, " curves"]:
        """Accuracy with so many images, shape ``[curves]``."""
        return 1.0 - self.floor - self.scale * (images / self.unit) ** -self.exponent

    def images_for(self, accuracy: Float[np.ndarray, " curves"]) -> Float[np.ndarray, " curves"]:
        """Images that each curve needs for an accuracy; infinite where it never gets there, shape ``[curves]``."""
        spare = 1.0 - accuracy - self.floor
        possible = (spare > 0.0) | ((spare >= -1e-12) & (self.scale <= 1e-12))
        ratio = self.scale / np.where(spare > 0.0, spare, 1.0)
        logs = np.log(np.maximum(ratio, 1e-300)) / self.exponent
        return np.where(possible, self.unit * np.exp(np.clip(logs, -700.0, 600.0)), np.inf)


def fit_power_law(images: Float[np.ndarray, " sizes"], errors: Float[np.ndarray, "curves sizes"]) -> PowerLaw:
    """Fit a power law to each curve by weighted least squares, with ``scale >= 0`` and ``0 <= floor <= 1``.

    For each exponent on a grid the other two are the solution of a bounded linear problem in closed form, so that the
    best is found whatever the start, for thousands of resampled curves at once. Sizes weigh by their images: what is
    asked of the curve lies beyond the largest.

    Args:
        images: Images of each size, ascending, at least three sizes.
        errors: Errors, finite, within ``0 .. 1``, shape ``[curves, sizes]``.

    Raises:
        UsageError: If there are fewer sizes, they do not ascend, or a number is not finite.

    Source:
        G. H. Golub, V. Pereyra, SIAM J. Numer. Anal. 10 (1973) 413-432 (the linear numbers eliminated); weights of
        K. H. Tae, S. E. Whang, Slice Tuner, SIGMOD 2021, arXiv 2003.04549.
    """
    if len(images) < FEWEST_SIZES or images[0] <= 0 or not (np.diff(images) > 0).all() or not np.isfinite(errors).all():
        raise UsageError(f"errors of shape {errors.shape} at {len(images)} sizes", "give at least 3, ascending")
    shares = images / images[-1]
    weights = shares / shares.sum()
    exponent, reach = np.full(len(errors), (STEEPEST * FLATTEST) ** 0.5), (STEEPEST / FLATTEST) ** 0.5
    for _ in range(PASSES):
        # The exponent of least loss near that of each curve; the steepest of equals, which promises least.
        factors = np.geomspace(reach, 1 / reach, STEPS)
        tried = [np.clip(exponent * factor, FLATTEST, STEEPEST) for factor in factors]
        losses = [_at_exponent(shares ** -one[:, None], errors, weights)[2] for one in tried]
        best = np.argmin(np.round(losses, 15), axis=0)
        exponent = np.stack(tried)[best, np.arange(len(errors))]
        reach **= 2 / (STEPS - 1)
    scale, floor, _ = _at_exponent(shares ** -exponent[:, None], errors, weights)
    return PowerLaw(unit=float(images[-1]), scale=scale, exponent=exponent, floor=floor)


def _at_exponent(
    falls: Float[np.ndarray, "curves sizes"],
    errors: Float[np.ndarray, "curves sizes"],
    weights: Float[np.ndarray, " sizes"],
) -> tuple[Float[np.ndarray, " curves"], Float[np.ndarray, " curves"], Float[np.ndarray, " curves"]]:
    """Scale, floor and loss of the best curve of one exponent: the free solution, or the better of its bounds."""
    mean_fall, mean_error = falls @ weights, errors @ weights
    apart = falls - mean_fall[:, None]
    scale = np.maximum((apart * errors) @ weights / (apart**2 @ weights), 0.0)
    floor = mean_error - scale * mean_fall
    below = floor < 0.0
    scale = np.where(below, (falls * errors) @ weights / (falls**2 @ weights), scale)
    floor = np.where(below, 0.0, np.minimum(floor, 1.0))
    residual = errors - scale[:, None] * falls - floor[:, None]
    return scale, floor, residual**2 @ weights


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Resampled:
    """The fitted curve first, then those of resampled objects and repeats.

    Attributes:
        law: The curves, ``1 + draws`` of them.
        extra: What one more object per class adds to as many images of the old ones, shape ``[1 + draws]``; ``None``
            where classes have too few objects to leave some out.
        captured: Images captured.
        capacity: Images of these objects that the space has views for, at least ``captured``.
        smallest: Images of the smallest sub-sample.
        n_objects: Judged objects.
    """

    law: PowerLaw
    extra: Float[np.ndarray, " curves"] | None
    captured: int
    capacity: int
    smallest: int
    n_objects: int

    @classmethod
    def of(cls, samples: Samples, shots: Shots, *, seed: int = 0) -> Resampled:
        """Resample objects and repeats, all sizes together, and fit a curve to each resample.

        Args:
            samples: Accuracies of at least three sizes.
            shots: The captured shots.
            seed: Seed of the resamples.
        """
        # All sizes are resampled together, so that a resampled curve is one that other objects would have given.
        values = np.concatenate([samples.accuracy, samples.few[None], samples.many[None]])
        means = np.concatenate([two_way_mean(values)[None], two_way_draws(values, draws=DRAWS, seed=seed)])
        # The gain by objects at equal images falls as 1 / objects: carried to one more object by its slope there.
        extra = None
        if samples.contrast > 0.0:
            extra = (means[:, -1] - means[:, -2]) / samples.contrast * _step(shots)
        return cls(
            law=fit_power_law(samples.images, np.clip(1.0 - means[:, :-2], 0.0, 1.0)),
            extra=extra,
            captured=len(shots),
            capacity=capacity_of(shots),
            smallest=round(float(samples.images[0])),
            n_objects=len(samples.objects),
        )

    def gain(self, images: int) -> Float[np.ndarray, " curves"]:
        """Gain of accuracy from what is captured to so many images of these objects, or all there are."""
        return self.law.accuracy(min(images, self.capacity)) - self.law.accuracy(self.captured)

    def interval(self, values: Float[np.ndarray, " curves"]) -> Estimate:
        """The fitted number with percentiles of the resampled ones, moved out for few objects."""
        below = outward(0.95, self.n_objects)
        low, high = np.quantile(values[1:], [below, 1.0 - below])
        estimate = float(values[0])
        return Estimate(
            estimate=estimate,
            low=max(min(float(low), estimate), -1.0),
            high=min(max(float(high), estimate), 1.0),
            level=0.95,
        )

    def confidence(self, holds: Bool[np.ndarray, " draws"]) -> float:
        """One-sided confidence that what holds in some resamples holds: moved in for few objects, never quite 1."""
        share = np.clip(float(np.mean(holds)), 1 / (1 + len(holds)), len(holds) / (1 + len(holds)))
        n = max(self.n_objects, 2)
        return float(stats.t.cdf(stats.norm.ppf(share) * ((n - 1) / n) ** 0.5, n - 1))


def capacity_of(shots: Shots) -> int:
    """Images of the captured objects that the space has views for; at least as many as are captured."""
    return max(len(np.unique(shots.object_rows)) * shots.space.n_views, len(shots))


def curve_of(resampled: Resampled) -> Curve:
    """The fitted curve and its end."""
    law = resampled.law
    return Curve(
        unit=resampled.captured,
        scale=float(law.scale[0]),
        exponent=float(law.exponent[0]),
        floor=float(law.floor[0]),
        saturation=resampled.interval(law.accuracy(resampled.capacity)),
    )


def reaches(resampled: Resampled, accuracies: Sequence[float], shares: Sequence[float]) -> tuple[Reach, ...]:
    """Images to reach accuracies, and shares of the saturation; a share moves with the resample."""
    law = resampled.law
    saturation = law.accuracy(resampled.capacity)
    fixed = [_reach(resampled, np.full(len(saturation), accuracy), None) for accuracy in accuracies]
    return (*fixed, *(_reach(resampled, share * saturation, share) for share in shares))


def next_images(resampled: Resampled, margin: float) -> Next:
    """Whether the next images are better spent on more views or on more objects.

    More objects, if they are shown to bring more. More views, if they are shown to bring something, and objects not to
    bring ``margin`` more: another object costs more than another image.
    """
    n_next = max(round(NEXT_SHARE * resampled.captured), 1)
    gain = resampled.gain(resampled.captured + n_next)
    views = resampled.interval(gain)
    if resampled.extra is None:
        reason = "no class has three objects, so that it cannot be seen what an object adds"
        return Next(answer="cannot tell", reason=reason, images=n_next, views=views)
    extra = resampled.interval(resampled.extra)
    answer, reason = _better(views, extra, margin, full=resampled.capacity == resampled.captured)
    return Next(
        answer=answer,
        reason=reason,
        images=n_next,
        views=views,
        objects=resampled.interval(gain + resampled.extra),
        extra=extra,
    )


def _better(views: Estimate, extra: Estimate, margin: float, *, full: bool) -> tuple[Which, str]:
    if extra.low > 0.0:
        return "more objects", "they are worth more than as many images of the same objects"
    if full:
        return "cannot tell", "every view of these objects is captured"
    if views.low > 0.0 and extra.high < margin:
        return "more views", "they help, and another object is hardly worth more than its images"
    if views.high < margin and extra.high < margin:
        return "cannot tell", "neither is expected to gain much"
    return "cannot tell", "the difference is within its uncertainty"


def end_of(resampled: Resampled, margin: float) -> End:
    """Whether all further images of these objects would gain no more than a margin."""
    gain = resampled.gain(resampled.capacity)
    found, sure = resampled.interval(gain), resampled.confidence(gain[1:] <= margin)
    if resampled.capacity == resampled.captured:
        reason = "every view of these objects is captured"
        return End(answer="stop", reason=reason, margin=margin, confidence=1.0, gain=found)
    if sure >= CONFIDENCE:
        return End(answer="stop", reason="the curve is flat", margin=margin, confidence=sure, gain=found)
    reason = "the curve still rises" if found.estimate > margin else "a rise is not ruled out"
    return End(answer="go on", reason=reason, margin=margin, confidence=sure, gain=found)


def _reach(resampled: Resampled, target: Float[np.ndarray, " curves"], share: float | None) -> Reach:
    images = resampled.law.images_for(target)
    images = np.where(images > resampled.capacity * (1.0 + 1e-9), np.inf, np.maximum(images, resampled.smallest))
    below = outward(0.95, resampled.n_objects)
    return Reach(
        accuracy=float(target[0]),
        share=share,
        images=float(images[0]),
        low=float(min(np.quantile(images[1:], below, method="lower"), images[0])),
        high=float(max(np.quantile(images[1:], 1.0 - below, method="higher"), images[0])),
        smallest=resampled.smallest,
    )


def _step(shots: Shots) -> float:
    """Fall of ``1 / objects`` of a class by one more object with its share of the next images, mean of classes.

    An object seen less than the others counts for less: as many objects as would leave the mean of a class, weighted by
    images, as uncertain (Kish's effective number).

    Source:
        L. Kish, Survey Sampling (1965), section 11.7.
    """

    def unevenness(images: Float[np.ndarray, " objects"]) -> float:
        return float((images**2).sum() / images.sum() ** 2)

    rows, counts = np.unique(shots.object_rows, return_counts=True)
    classes = shots.objects.class_rows[rows]
    n_new = NEXT_SHARE * len(shots) / len(np.unique(classes))
    # Fall of the effective 1 / objects of each class.
    falls = []
    for target in np.unique(classes):
        seen = counts[classes == target].astype(np.float64)
        new = np.append(seen, min(n_new, float(shots.space.n_views)))
        falls.append(unevenness(seen) - unevenness(new))
    return max(float(np.mean(falls)), 0.0)
