"""Advice on a page: stop or go on, with the learning curve that says so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from acqplan.report import plot
from acqplan.report.parts import bullets, cards, figure, folded, table
from acqplan.report.summary import points

if TYPE_CHECKING:
    from acqplan.evaluate.advise_answers import Advice
    from acqplan.evaluate.intervals import Interval

TITLE = "Stop, or go on?"


def advice_part(advice: Advice, *, name: str = "advice") -> str:
    """The advice in words beside its learning curve, and the curve in numbers.

    Args:
        advice: What was found.
        name: Of the picture, for several on one page.
    """
    from acqplan.evaluate.advise_words import advice_sentences  # loads scipy, which a plan alone does without

    words = bullets((f"{sentence}." for sentence in advice_sentences(advice)), kind="verdicts")
    if not advice.points:
        return words
    drawn = plot.svg_element(plot.learning_curve(advice), name=name, alt=_alt(advice))
    picture = figure(drawn, _caption(advice))
    return f'<div class="pair">{picture}<div>{words}{folded("The curve in numbers", _numbers(advice))}</div></div>'


def advice_table(advices: Mapping[int, Advice]) -> str:
    """What was said with so many images, budget by budget.

    Args:
        advices: By budget.
    """
    columns = ("images", "stop, or go on", "further images gain, points", "95 % interval", "more views or more objects")
    rows = [_said(advice) for _, advice in sorted(advices.items())]
    return cards(columns, rows, kinds=[""] * len(rows))


def _said(advice: Advice) -> list[str]:
    gain = advice.end.gain
    gained = ("–", "–") if gain is None else (points(gain.estimate), f"{points(gain.low)} to {points(gain.high)}")
    return [f"{advice.images:,}", advice.end.answer, *gained, advice.next.answer]


def _alt(advice: Advice) -> str:
    each = ", ".join(f"{100 * point.accuracy.estimate:.1f} % with {point.images:,}" for point in advice.points)
    return f"Accuracy on objects left out: {each} images."


def _caption(advice: Advice) -> str:
    end = ""
    if advice.curve is not None and advice.capacity > advice.images:
        end = f" Dashed: extrapolated to all {advice.capacity:,} images of these objects, with its 95 % interval."
    return (
        f"Accuracy on each of {advice.judged:,} objects by heads that never saw it, trained on random sub-samples of "
        f"the images of the others; no test object is looked at.{end}"
    )


def _numbers(advice: Advice) -> str:
    rows = [[f"{point.images:,}", *_percents(point.accuracy)] for point in advice.points]
    columns = ("images", "accuracy, %", "95 % interval from", "to")
    return table(columns, rows, label="Learning curve on objects left out")


def _percents(accuracy: Interval) -> Iterator[str]:
    for share in (accuracy.estimate, accuracy.low, accuracy.high):
        yield f"{100 * share:.1f}"
