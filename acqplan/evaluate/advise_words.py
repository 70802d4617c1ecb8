"""Advice in plain words."""

from __future__ import annotations

import math

from acqplan.evaluate.advise_answers import Advice, End, Next, Reach
from acqplan.evaluate.intervals import Interval


def advice_sentences(advice: Advice) -> tuple[str, ...]:
    """Advice in plain words, the most important first: end, next images, images to reach, smallest difference.

    Args:
        advice: What `advise` found.

    Returns:
        A sentence each, without full stop; intervals are 95 % over objects.
    """
    return (*advice_in_short(advice), *map(_reach, advice.reach), _detectable(advice))


def advice_in_short(advice: Advice) -> tuple[str, ...]:
    """The first of these sentences: stop or go on, and what to spend the next images on."""
    unknown = advice.end.answer == advice.next.answer == "cannot tell" and advice.curve is None
    return (f"cannot tell: {advice.end.reason}",) if unknown else (_end(advice.end), _next(advice.next))


def worded(advice: Advice) -> dict[str, object]:
    """Advice for JSON, with its sentences."""
    return {**advice.to_dict(), "sentences": list(advice_sentences(advice))}


def _end(end: End) -> str:
    if end.confidence is None or end.gain is None:
        return f"cannot tell whether to stop: {end.reason}"
    margin = f"{100 * end.margin:g} points"
    if end.answer == "stop":
        return (
            f"stop: further images of these objects will not gain more than {margin} "
            f"(confidence {_percent(end.confidence)}; {end.reason}; expected gain {_points(end.gain)})"
        )
    return (
        f"go on: further images of these objects may gain more than {margin} "
        f"({end.reason}; expected gain of all of them {_points(end.gain)}; "
        f"confidence that it is no more: {_percent(end.confidence)})"
    )


def _next(after: Next) -> str:
    start = "cannot tell whether more views or more objects" if after.answer == "cannot tell" else after.answer
    images = f"the next {after.images:,} image{'s' * (after.images != 1)}"
    if after.views is None:
        return f"{start}: {after.reason}"
    views = f"{images} of these objects gain {_points(after.views)}"
    if after.objects is None or after.extra is None:
        return f"{start}: {after.reason}; {views}"
    return (
        f"{start}: {after.reason}; {views}, as many of one more object a class {_points(after.objects)}, "
        f"difference {_points(after.extra)}"
    )


def _reach(reach: Reach) -> str:
    what = f"{100 * reach.accuracy:.1f} %"
    if reach.share is not None:
        what = f"{100 * reach.share:g} % of what all views of these objects reach ({what})"
    if math.isinf(reach.images):
        chance = "" if math.isinf(reach.low) else f"; the lower end of its 95 % interval is {_count(reach.low)} images"
        return f"{what}: not expected even with all views of these objects{chance}"
    if reach.images <= reach.smallest and reach.high <= reach.smallest:
        return f"{what}: reached with {reach.smallest:,} images or fewer"
    high = "never" if math.isinf(reach.high) else _count(reach.high)
    low = f"at most {_count(reach.low)}" if reach.low <= reach.smallest else _count(reach.low)
    return f"{what}: reached with {_count(reach.images)} images of these objects (95 % interval {low} to {high})"


def _detectable(advice: Advice) -> str:
    objects = f"{advice.test_objects:,} object{'s' * (advice.test_objects != 1)}"
    if advice.smallest_difference is None:
        return "the smallest difference that a test could find cannot be told from these images"
    return (
        f"a test over {objects} finds differences of classifiers from {100 * advice.smallest_difference:.1f} points "
        "on (in 80 of 100 cases, at p < .05); smaller ones need more objects, not more images"
    )


def _count(images: float) -> str:
    return f"{math.ceil(images - 1e-6):,}"


def _percent(share: float) -> str:
    return f"{math.floor(100 * share)} %" if share < 1.0 else "100 %"


def _points(gain: Interval) -> str:
    return f"{_signed(gain.estimate)} points ({_signed(gain.low)} to {_signed(gain.high)})"


def _signed(share: float) -> str:
    """Points with one decimal, a true minus sign, and no signed zero."""
    text = f"{100 * share:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", "−")
