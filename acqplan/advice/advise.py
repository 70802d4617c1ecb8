"""Advice from captured images alone: stop or go on, more views or more objects, how many images to reach X."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from acqplan.advice.answers import Advice, Curve, CurvePoint, End, Next, Reach, Which, check_accuracies
from acqplan.advice.curves import FEWEST_SIZES, NEXT_SHARE, Resampled, Samples, capacity_of, measure_samples
from acqplan.advice.factors import measure_factors
from acqplan.errors import UsageError
from acqplan.plan.base import History
from acqplan.progress import SILENT, Progress, Titled
from acqplan.statistics.objects import Estimate, mean_interval, outward, smallest_difference

# A gain of accuracy that is not worth going on for.
MARGIN = 0.005
SATURATION_SHARES = (0.99,)

# One-sided, of the advice to stop; intervals are two-sided 95 %.
CONFIDENCE = 0.95
# Judged objects below which nothing is said: a bootstrap of three objects has ten different resamples.
FEWEST_OBJECTS = 4


def advise_history(
    history: History,
    *,
    accuracies: Sequence[float] = (),
    shares: Sequence[float] = SATURATION_SHARES,
    test_objects: int | None = None,
    margin: float = MARGIN,
    seed: int = 0,
    device: str = "cpu",
    progress: Progress = SILENT,
) -> Advice:
    """Advise on capturing more, from the captured images and nothing else.

    Sub-samples of what is captured teach heads that are judged on left-out objects (`measure_samples`). A power law is
    fitted to their errors and continued up to all views of these objects. What another object brings is the difference
    between half of the objects and all of them at equal images, carried to one more object per class as
    ``1 / objects``: what the mean of a class owes to the luck of its objects, with the new object counted by its few
    images. Uncertainty is that of a bootstrap over judged objects and repeats; that of the objects which taught is not
    in it. Heads that leave objects out know one object per class less than the final one, and random sub-samples are
    worse plans than those of a strategy: both make further images look better than they are, on view-sensitive
    features several times (benchmarks/stopping.py), so that the advice to stop comes late rather than early.

    Args:
        history: Captured shots with features; labels and objects are those of its shots.
        accuracies: Accuracies, above 0 and at most 1, to be reached.
        shares: Shares of the saturation, above 0 and at most 1, to be reached.
        test_objects: Objects of the test set; by default as many as were judged.
        margin: A gain that is not worth going on for.
        seed: Seed of sub-samples and resamples.
        device: Where heads are trained.
        progress: Hears of each head.

    Returns:
        The advice. Where nothing can be said it says so and why: one class, one object per class, too few judged
        objects or images, features that do not differ, heads that only guess.

    Raises:
        UsageError: If nothing is captured, features are missing or not finite, or an argument cannot be.
    """
    _check(history, [*accuracies, *shares], margin, test_objects)
    shots, objects = history.shots, np.unique(history.shots.object_rows)
    silent = Advice(
        images=len(history),
        objects=len(objects),
        classes=len(np.unique(shots.objects.class_rows[objects])),
        judged=0,
        capacity=capacity_of(shots),
        points=(),
        curve=None,
        reach=(),
        next=Next(answer="cannot tell", reason="", images=max(round(NEXT_SHARE * len(history)), 1)),
        end=End(answer="cannot tell", reason="", margin=margin),
        test_objects=test_objects or 0,
        smallest_difference=None,
    )
    # 1. Without two objects of a class nothing can be left out and judged.
    reason = _nothing_to_compare(history)
    if reason:
        return replace(silent, next=replace(silent.next, reason=reason), end=replace(silent.end, reason=reason))
    # 2. Accuracies on left-out objects, by size of sub-sample.
    heard = Titled(progress=progress, title="learning curve")
    samples = measure_samples(history, seed=seed, device=device, progress=heard)
    tested = len(samples.objects) if test_objects is None else test_objects
    points = []
    for images, accuracy in zip(samples.images, samples.accuracy, strict=True):
        mean, low, high = mean_interval(accuracy.mean(axis=1))
        estimate = Estimate(estimate=mean, low=low, high=high, level=0.95)
        points.append(CurvePoint(images=round(float(images)), accuracy=estimate))
    measured = replace(
        silent,
        judged=len(samples.objects),
        points=tuple(points),
        test_objects=tested,
        smallest_difference=_detectable(samples, tested),
    )
    reason = _too_little(measured)
    if reason:
        return replace(measured, next=replace(measured.next, reason=reason), end=replace(measured.end, reason=reason))
    # 3. A power law through them, with its resamples, answers everything else.
    resampled = Resampled.of(samples, shots, seed=seed)
    law = resampled.law
    return replace(
        measured,
        curve=Curve(
            unit=resampled.captured,
            scale=float(law.scale[0]),
            exponent=float(law.exponent[0]),
            floor=float(law.floor[0]),
            saturation=resampled.interval(law.accuracy(resampled.capacity)),
        ),
        reach=(
            *(_reach(resampled, accuracy=accuracy) for accuracy in accuracies),
            *(_reach(resampled, share=share) for share in shares),
        ),
        next=_next(resampled, margin),
        end=_end(resampled, margin),
        factors=measure_factors(history, seed=seed, device=device, progress=replace(heard, title="worth of factors")),
    )


def _reach(resampled: Resampled, *, accuracy: float = 0.0, share: float | None = None) -> Reach:
    """Images to reach an accuracy, or a share of the saturation; a share moves with the resample."""
    saturation = resampled.law.accuracy(resampled.capacity)
    target = np.full(len(saturation), accuracy) if share is None else share * saturation
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


def _next(resampled: Resampled, margin: float) -> Next:
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
    answer: Which = "cannot tell"
    reason = "the difference is within its uncertainty"
    if extra.low > 0.0:
        answer, reason = "more objects", "they are worth more than as many images of the same objects"
    elif resampled.capacity == resampled.captured:
        reason = "every view of these objects is captured"
    elif views.low > 0.0 and extra.high < margin:
        answer, reason = "more views", "they help, and another object is hardly worth more than its images"
    elif views.high < margin and extra.high < margin:
        reason = "neither is expected to gain much"
    return Next(
        answer=answer,
        reason=reason,
        images=n_next,
        views=views,
        objects=resampled.interval(gain + resampled.extra),
        extra=extra,
    )


def _end(resampled: Resampled, margin: float) -> End:
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


def _check(history: History, targets: Sequence[float], margin: float, test_objects: int | None) -> None:
    if len(history) == 0 or history.features is None:
        raise UsageError(f"{len(history)} images captured, without features", "give captured shots with their features")
    if not np.isfinite(history.features).all():
        raise UsageError("features that are not finite", "look at the backbone's weights")
    check_accuracies(targets)
    if not (math.isfinite(margin) and 0.0 < margin < 1.0):
        raise UsageError(f"a margin of {margin:g}", "give a difference of accuracies, e.g. 0.005")
    if test_objects is not None and test_objects < 0:
        raise UsageError(f"{test_objects} test objects", "give how many there are")


def _nothing_to_compare(history: History) -> str:
    """Why no head can be judged on an object that it never saw; empty if one can."""
    rows = np.unique(history.shots.object_rows)
    per_class = np.unique(history.shots.objects.class_rows[rows], return_counts=True)[1]
    if len(per_class) == 1:
        return "one class is captured, which cannot be confused with another"
    if per_class.max() == 1:
        return "one object of each class is captured, so that none can be left out"
    assert history.features is not None
    if not np.ptp(history.features, axis=0).any():
        return "the backbone sees no difference between any two images"
    return ""


def _too_little(measured: Advice) -> str:
    """Why the measured accuracies cannot carry any advice; empty if they can."""
    if measured.judged < FEWEST_OBJECTS:
        return f"{measured.judged} objects could be left out and judged; it takes at least {FEWEST_OBJECTS}"
    if len(measured.points) < FEWEST_SIZES:
        return f"{measured.images} images of {measured.objects} objects: too few of each for a learning curve"
    best = measured.points[-1].accuracy
    if best.low <= 1.0 / measured.classes:
        return f"an accuracy of {100 * best.estimate:.0f} % over {measured.judged} objects may be mere guessing"
    return ""


def _detectable(samples: Samples, n_objects: int) -> float | None:
    """Smallest difference that a test finds, at the spread of objects between heads of two sub-samples of one size.

    The size is the largest below all images, whose sub-samples differ.
    """
    accuracy = samples.accuracy[max(len(samples.accuracy) - 2, 0)]
    apart = accuracy[:, 1:] - accuracy[:, :-1]
    deviation = float(np.sqrt(apart.var(axis=0, ddof=1).mean())) if len(apart) > 1 else 0.0
    if n_objects < 2 or deviation <= 1e-9:
        return None
    return min(smallest_difference(deviation, n_objects), 1.0)
