"""Advice from captured images alone: stop or go on, more views or more objects, how many images to reach X."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from acqplan.advice.answers import Advice, CurvePoint, End, Next, Reach, Which, check_accuracies
from acqplan.advice.factors import measure_factors
from acqplan.advice.foreseen import MARGIN, Foreseen, estimate, nothing_known, silenced
from acqplan.advice.spend import Captured, Outlay
from acqplan.advice.sub_designs import DesignSamples, measure_designs
from acqplan.errors import UsageError
from acqplan.plan.base import History
from acqplan.plan.route import Times
from acqplan.plan.surface import DesignSurface
from acqplan.progress import SILENT, Progress, Titled
from acqplan.statistics.objects import (
    Estimate,
    mean_interval,
    objects_needed,
    smallest_difference,
    two_way_draws,
    two_way_mean,
)

# Differences of classifiers that a user may want to tell.
TOLD = (0.01, 0.02, 0.05)
SATURATION_SHARES = (0.99,)
# Chance from which on the advice speaks of objects or views.
SURE = 0.9
# Kappa from which on predictions on left-out objects count as stable when the images of each object double.
STABLE = 0.95
# Judged objects below which nothing is said: a bootstrap of three objects has ten different resamples.
FEWEST_OBJECTS = 4
# Resamples of judged objects and repeats.
RESAMPLES = 999
# Images of a left-out object count as this many independent ones where no error was seen.
WORTH = 8.0
# Variance of measured log errors over that of the bootstrap, which holds for given teachers: the judged objects teach
# too. Found on simulated rigs.
INFLATION = 2.0


def advise_history(
    history: History,
    *,
    accuracies: Sequence[float] = (),
    shares: Sequence[float] = SATURATION_SHARES,
    test_objects: int | None = None,
    margin: float = MARGIN,
    within: int | Literal["doubling"] | None = None,
    outlay: Outlay | None = None,
    times: Times | None = None,
    seed: int = 0,
    device: str = "cpu",
    progress: Progress = SILENT,
) -> Advice:
    """Advise on capturing more, from the captured images and nothing else.

    Sub-designs of what is captured, fewer objects and fewer shots of each, teach heads that are judged on left-out
    objects (`measure_designs`). Their errors and what simulated rigs are like make the design surface
    (`DesignSurface`), which foretells the accuracy of every number of objects and shots; everything else is read from
    it. Uncertainty is that of a bootstrap over judged objects and repeats, widened for the objects that taught, and of
    the surface.

    Args:
        history: Captured shots with features; labels and objects are those of its shots.
        accuracies: Accuracies, above 0 and at most 1, to be reached.
        shares: Shares of the saturation, above 0 and at most 1, to be reached.
        test_objects: Objects of the test set; by default as many as were judged.
        margin: A gain that is not worth going on for.
        within: Further images that would have to gain it, or as many again; all of these objects by default.
        outlay: What may be spent next; as many images again by default.
        times: How long shots of the rig take.
        seed: Seed of sub-designs, resamples and draws.
        device: Where heads are trained.
        progress: Hears of each head.

    Returns:
        The advice. Where nothing can be said it says so and why: one class, one object per class, too few judged
        objects or images, features that do not differ, heads that only guess.

    Raises:
        UsageError: If nothing is captured, features are missing or not finite, or an argument cannot be.
    """
    within = len(history) if within == "doubling" else within
    _check(history, [*accuracies, *shares], margin, within, test_objects)
    shots = history.shots
    costs, spent = (outlay or Outlay()).priced(shots, times or Times())
    silent = nothing_known(shots, margin, within, test_objects)
    n_classes, n_next = silent.classes, silent.next.images
    # 1. Without two objects of a class nothing can be left out and judged.
    reason = _nothing_to_compare(history)
    if reason:
        return silenced(silent, reason)
    # 2. Accuracies on left-out objects, by design.
    samples = measure_designs(
        history, seed=seed, device=device, progress=Titled(progress=progress, title="sub-designs")
    )
    measured = _with_points(silent, samples, test_objects)
    reason = _too_little(measured)
    if reason:
        return silenced(measured, reason)
    # 3. The surface through them answers everything else, all of it from the same draws.
    captured = Captured(
        classes=n_classes, objects=samples.captured[0], shots=samples.captured[1], views=shots.space.n_views
    )
    foreseen = Foreseen.of(surface_of(samples, seed=seed), captured, costs, spent, n_next)
    after = _next(foreseen, samples, n_next, margin)
    grounded = after.exchange is not None  # what objects add was seen
    return replace(
        measured,
        surface=foreseen.surface(),
        saturation=estimate(foreseen.line[:, -1]),
        reach=(
            *(_reach(foreseen, accuracy=accuracy) for accuracy in accuracies),
            *(_reach(foreseen, share=share) for share in shares),
        ),
        next=after,
        end=_end(foreseen, samples, silent.end),
        best=foreseen.best() if grounded else None,
        cheapest=tuple(filter(None, map(foreseen.cheapest, accuracies))) if grounded else (),
        factors=measure_factors(
            history, seed=seed, device=device, progress=Titled(progress=progress, title="worth of factors")
        ),
    )


def surface_of(samples: DesignSamples, *, seed: int = 0) -> DesignSurface:
    """The surface through what was measured, with the noise of other objects and repeats (bootstrap)."""
    n_objects = len(samples.objects)
    least = 0.5 / (n_objects * WORTH)
    resampled = np.log(two_way_draws(samples.errors, draws=RESAMPLES, seed=seed) + least)
    found = np.atleast_2d(np.cov(resampled.T)) * n_objects / max(n_objects - 1, 1)
    # Of three numbers: variance, covariance of designs of the same objects, and of all. The many of a bootstrap of few
    # objects are noise themselves, and weights made of them lead out of what was measured (Peelle's pertinent puzzle).
    apart = ~np.eye(len(found), dtype=np.bool_)
    alike = apart & (np.abs(samples.designs[:, :1] - samples.designs[:, 0]) < 1e-9)
    shared = float(found[apart].mean()) if apart.any() else 0.0
    within = float(found[alike].mean()) if alike.any() else shared
    noise = np.where(alike, max(within, shared), shared)
    np.fill_diagonal(noise, max(float(found.diagonal().mean()), within, shared))
    return DesignSurface(
        classes=samples.classes,
        designs=samples.designs,
        log_errors=np.log(two_way_mean(samples.errors) + least),
        noise=INFLATION * noise,
        seed=seed,
    )


def _with_points(silent: Advice, samples: DesignSamples, test_objects: int | None) -> Advice:
    """The advice with its learning curve, and the least difference that a test would find."""
    points = []
    for errors, (_, shots) in zip(samples.errors[samples.full], samples.designs[samples.full], strict=True):
        mean, low, high = mean_interval(1.0 - errors.mean(axis=1))
        accuracy = Estimate(estimate=mean, low=low, high=high, level=0.95)
        points.append(CurvePoint(images=round(shots * silent.objects), accuracy=accuracy))
    tested = len(samples.objects) if test_objects is None else test_objects
    # the spread of objects between heads of two sub-designs of one size: the largest below all, whose repeats differ
    errors = samples.errors[samples.full[-2:][0]]
    apart = errors[:, 1:] - errors[:, :-1]
    deviation = float(np.sqrt(apart.var(axis=0, ddof=1).mean())) if len(apart) > 1 else 0.0
    varies = deviation > 1e-9
    return replace(
        silent,
        judged=len(samples.objects),
        points=tuple(points),
        test_objects=tested,
        smallest_difference=min(smallest_difference(deviation, tested), 1.0) if varies and tested >= 2 else None,
        objects_to_tell=tuple((difference, objects_needed(difference, deviation)) for difference in TOLD if varies),
    )


def _reach(foreseen: Foreseen, *, accuracy: float = 0.0, share: float | None = None) -> Reach:
    """Images to reach an accuracy, or a share of the saturation; a share moves with the draw."""
    saturation = foreseen.line[:, -1]
    target = np.full(len(saturation), accuracy) if share is None else share * saturation
    n_objects = foreseen.captured.classes * foreseen.captured.objects
    images = estimate(foreseen.shots_for(target) * n_objects)
    return Reach(
        accuracy=float(np.median(target)),
        share=share,
        images=images.estimate,
        low=images.low,
        high=images.high,
        smallest=round(n_objects),
    )


def _next(foreseen: Foreseen, samples: DesignSamples, n_next: int, margin: float) -> Next:
    """Whether the next images are better spent on more views or on more objects.

    More objects, if they are likely to bring more. More views, if objects are likely not to bring ``margin`` more:
    another object costs more than another image.
    """
    gain, extra = foreseen.with_views - foreseen.now, foreseen.with_objects - foreseen.with_views
    answer: Which = "cannot tell"
    reason = "the difference is within its uncertainty"
    if samples.designs[:, 0].max() < 1.5:
        reason = "no class has three objects, so that it cannot be seen what an object adds"
        return Next(answer=answer, reason=reason, images=n_next, views=estimate(gain))
    if (np.maximum(gain, gain + extra) < margin).mean() >= SURE:
        reason = "neither is expected to gain much"
    elif (extra < margin).mean() >= SURE and np.median(gain) > np.median(extra):
        answer, reason = "more views", "they help, and another object is hardly worth more than its images"
    elif (extra > 0.0).mean() >= SURE:
        answer, reason = "more objects", "they are worth more than as many images of the same objects"
    elif foreseen.captured.room(0) < 1.0:
        reason = "every view of these objects is captured"
    return Next(
        answer=answer,
        reason=reason,
        images=n_next,
        views=estimate(gain),
        objects=estimate(gain + extra),
        extra=estimate(extra),
        exchange=foreseen.exchange(),
    )


def _end(foreseen: Foreseen, samples: DesignSamples, unknown: End) -> End:
    """Whether further images of these objects would gain no more than a margin, by two voices.

    One is the surface; the other hears no labels: whether predictions on left-out objects still change when the images
    of each object double. To stop takes both.
    """
    captured = foreseen.captured
    most = captured.shots + (unknown.within or np.inf) / (captured.classes * captured.objects)
    gain = foreseen.with_shots(min(most, float(captured.views))) - foreseen.with_shots(captured.shots)
    sure = float((gain <= unknown.margin).mean())
    agreement = float(np.mean(samples.agreement)) if np.isfinite(samples.agreement).all() else None
    found = replace(unknown, answer="go on", confidence=sure, gain=estimate(gain), agreement=agreement)
    if captured.room(0) < 1.0:
        return replace(found, answer="stop", reason="every view of these objects is captured", confidence=1.0)
    if agreement is None:
        return replace(unknown, reason="objects have one image each, so that it cannot be seen what another adds")
    flat, stable = sure >= 0.5, agreement >= STABLE
    if flat and stable:
        return replace(found, answer="stop", reason="the curve is flat, and predictions have settled")
    if flat:
        return replace(found, reason="the curve is flat, but predictions still change")
    return replace(
        found, reason="predictions have settled, but the curve still rises" if stable else "the curve still rises"
    )


def _check(
    history: History, targets: Sequence[float], margin: float, within: int | None, test_objects: int | None
) -> None:
    if len(history) == 0 or history.features is None:
        raise UsageError(f"{len(history)} images captured, without features", "give captured shots with their features")
    if not np.isfinite(history.features).all():
        raise UsageError("features that are not finite", "look at the backbone's weights")
    check_accuracies(targets)
    if not (math.isfinite(margin) and 0.0 < margin < 1.0):
        raise UsageError(f"a margin of {margin:g}", "give a difference of accuracies, e.g. 0.005")
    if within is not None and within < 1:
        raise UsageError(f"a gain within {within} images", "give at least 1")
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
    best = measured.points[-1].accuracy
    if best.low <= 1.0 / measured.classes:
        return f"an accuracy of {100 * best.estimate:.0f} % over {measured.judged} objects may be mere guessing"
    return ""
