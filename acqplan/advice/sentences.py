"""Advice in words."""

from __future__ import annotations

import math
from collections.abc import Sequence

from acqplan.advice.answers import NEGLIGIBLE, QUARTER, Advice, Buy, End, Factor, Next, Reach
from acqplan.numbers import count_noun, listed, percent, points
from acqplan.statistics.objects import Estimate


def advice_sentences(advice: Advice) -> tuple[str, ...]:
    """Advice in plain words, the most important first: end, next images, best use, ways to an accuracy, differences.

    Returns:
        A sentence each, without full stop; intervals are 80 %, those of factors 95 %.
    """
    if advice.judged == 0 and advice.surface is not None:
        return advice_in_short(advice)
    detectable = "the smallest difference that a test could find cannot be told from these images"
    if advice.smallest_difference is not None:
        detectable = (
            f"a test over {count_noun(advice.test_objects, 'object')} finds differences of classifiers from "
            f"{100 * advice.smallest_difference:.1f} points on (in 80 of 100 cases, at p < .05); smaller ones need "
            "more objects, not more images"
        )
        if advice.objects_to_tell:
            apart, objects = zip(*advice.objects_to_tell, strict=True)
            detectable += f": {_numbers([100 * one for one in apart])} points take {_numbers(objects)} test objects"
    told = (*map(_cheapest, advice.cheapest), *map(_factor, advice.factors), *map(_reach, advice.reach))
    return (*advice_in_short(advice), *told, detectable)


def advice_in_short(advice: Advice) -> tuple[str, ...]:
    """The first of these sentences: stop or go on, what an object is worth, and the best use of the next images."""
    if advice.end.answer == advice.next.answer == "cannot tell" and advice.surface is None:
        return (f"cannot tell: {advice.end.reason}",)
    worth = () if advice.next.exchange is None else (_exchange(advice.next.exchange),)
    best = () if advice.best is None else (_best(advice.best, level=advice.judged > 0),)
    if advice.judged == 0:
        return tuple(f"nothing is captured, so this is what simulated rigs say: {words}" for words in (*worth, *best))
    return (_end(advice.end), *worth, _next(advice.next), *best)


def advice_headline(advice: Advice) -> str:
    """Stop or go on, and what still gains most, in one or two short sentences."""
    end, best = advice.end, advice.best
    if advice.judged == 0:
        start = (
            "Nothing is captured, so whether to stop cannot be told" if advice.surface else f"Cannot tell: {end.reason}"
        )
    elif end.answer == "cannot tell":
        start = f"Cannot tell whether to stop: {end.reason}"
    else:
        start = f"{end.answer.capitalize()}: {end.reason}"
        if end.gain is not None:
            images = "all further images" if end.within is None else f"the next {count_noun(end.within, 'image')}"
            start += f" ({images} of these objects: {_points(end.gain)})"
    if best is None or not best.objects or best.extra is None:
        return f"{start}."
    sure = "gain more" if best.extra.low > 0.0 else "may gain more"
    who = "New objects" if advice.judged else "Simulated rigs say that new objects"
    spent = f"{best.images:,} images of {count_noun(best.objects, 'more object')} of each class"
    return f"{start}. {who} {sure} than new views: {spent}, {_points(best.extra)} beyond as many views."


def worded(advice: Advice) -> dict[str, object]:
    """Advice for JSON, with its sentences."""
    return {**advice.to_dict(), "sentences": list(advice_sentences(advice))}


def _end(end: End) -> str:
    if end.confidence is None or end.gain is None:
        return f"cannot tell whether to stop: {end.reason}"
    settled = "" if end.agreement is None else f"; kappa of predictions when images double {end.agreement:.2f}"
    images = "all further images" if end.within is None else f"the next {count_noun(end.within, 'image')}"
    found = f"expected gain of {images} of these objects {_points(end.gain)}{settled}"
    margin = f"{100 * end.margin:g} points"
    if end.answer == "stop":
        return f"stop: {end.reason}; {found}; chance that it is {margin} at most: {percent(end.confidence)} %"
    return f"go on: {end.reason}; {found}"


def _exchange(shots: Estimate) -> str:
    def count(number: float) -> str:
        return "all views" if math.isinf(number) else f"{number:.1f}" if number < 10 else f"{number:.0f}"

    if math.isinf(shots.estimate):
        least = f", at least {count(shots.low)} more shots of each" if 0.05 <= shots.low < math.inf else ""
        return f"one more object of each class is worth more than all views of these objects{least}"
    worth = "hardly worth one more shot" if shots.estimate < 0.05 else f"worth {count(shots.estimate)} more shots"
    return (
        f"one more object of each class is {worth} of every captured object ({count(shots.low)} to {count(shots.high)})"
    )


def _next(after: Next) -> str:
    start = "cannot tell whether more views or more objects" if after.answer == "cannot tell" else after.answer
    if after.views is None:
        return f"{start}: {after.reason}"
    views = f"the next {count_noun(after.images, 'image')} of these objects gain {_points(after.views)}"
    if after.objects is None or after.extra is None:
        return f"{start}: {after.reason}; {views}"
    return (
        f"{start}: {after.reason}; {views}, as many of one more object a class {_points(after.objects)}, "
        f"difference {_points(after.extra)}"
    )


def _factor(factor: Factor) -> str:
    """What to do about a factor, as far as its interval carries it."""
    worth, name, more = factor.worth, factor.name, ""
    if worth is None:
        return f"cannot tell whether to vary the {name}: {factor.reason}"
    found = (
        f"worth {points(worth.estimate)} points (95 %: {points(worth.low)} to {points(worth.high)}) over "
        f"{factor.narrowed} at {count_noun(factor.images, 'image')} of each object"
    )
    if worth.low > 0.0:
        if factor.next is not None:
            more = f"; a quarter more images gain at most {points(factor.next.high)} points by it"
        return f"vary the {name}: {found}{more}"
    if worth.high < 0.0:
        return f"varying the {name} is no gain: {found}"
    if max(-worth.low, worth.high) <= NEGLIGIBLE:
        return f"varying the {name} hardly matters: {found}{': no turntable needed' * (factor.narrowed == QUARTER)}"
    return f"cannot tell whether to vary the {name}: {found}"


def _best(buy: Buy, *, level: bool = True) -> str:
    spent = f"{buy.asked:,.10g} {buy.unit}"
    what = f"{buy.images:,} images of these objects"
    if buy.objects:
        what = (
            f"{count_noun(buy.objects, 'more object')} of each class, {buy.images:,} images, "
            f"about {buy.shots:.0f} of each object"
        )
    extra = "" if buy.extra is None else f"; {_points(buy.extra)} beyond more views alone"
    if buy.extra is not None and buy.extra.low <= 0.0:
        extra += ", which may do as well"
    accuracy = f": accuracy on new objects {_percents(buy.accuracy)}" if level else ""
    return f"the best use of {spent}: {what}{accuracy}{extra}"


def _cheapest(buy: Buy) -> str:
    what = f"{buy.images:,} images"
    what += f" and {count_noun(buy.objects, 'more object')} of each class" if buy.objects else " of these objects"
    cost = "" if buy.unit == "images" else f", {buy.cost:,.4g} {buy.unit}"
    return f"the cheapest way to {100 * buy.asked:g} %: {what}{cost} (accuracy then {_percents(buy.accuracy)})"


def _reach(reach: Reach) -> str:
    what = f"{100 * reach.accuracy:.1f} %"
    if reach.share is not None:
        what = f"{100 * reach.share:g} % of what all views of these objects reach ({what})"
    if math.isinf(reach.images):
        chance = "" if math.isinf(reach.low) else f"; with luck with {_count(reach.low)} images"
        return f"{what}: not expected even with all views of these objects{chance}"
    if reach.images <= reach.smallest and reach.high <= reach.smallest:
        return f"{what}: reached with {reach.smallest:,} images or fewer"
    high = "never" if math.isinf(reach.high) else _count(reach.high)
    low = f"at most {_count(reach.low)}" if reach.low <= reach.smallest else _count(reach.low)
    return f"{what}: reached with {_count(reach.images)} images of these objects ({low} to {high})"


def _numbers(numbers: Sequence[float]) -> str:
    return listed(f"{one:,g}" for one in numbers)


def _count(images: float) -> str:
    return f"{math.ceil(images - 1e-6):,}"


def _percents(accuracy: Estimate) -> str:
    return f"{percent(accuracy.estimate)} % ({percent(accuracy.low)} to {percent(accuracy.high)})"


def _points(gain: Estimate) -> str:
    return f"{points(gain.estimate)} points ({points(gain.low)} to {points(gain.high)})"
