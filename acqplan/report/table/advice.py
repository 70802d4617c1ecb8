"""Advice in the terminal: the learning curve as a table, and what it means in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from acqplan.report.table.comparison import bullets

if TYPE_CHECKING:
    from acqplan.evaluate.advise_answers import Advice, Curve, CurvePoint


def advice_table(advice: Advice, sentences: Sequence[str]) -> RenderableType:
    """The learning curve on left-out objects, measured and fitted, above the advice in words.

    Args:
        advice: What was found.
        sentences: The advice in words.
    """
    parts: list[RenderableType] = [Text(_title(advice), style="bold"), Text()]
    if advice.points:
        parts += [_curve_table(advice), Text(), Text(_footnote(advice), style="dim"), Text()]
    return Group(*parts, bullets(sentences))


def advice_summary(advice: Advice) -> RenderableType:
    """The first sentences of the advice, where something else was asked for."""
    from acqplan.evaluate.advise_words import advice_in_short  # loads scipy, which a plan alone does without

    return Group(Text("Stop, or go on?", style="bold"), bullets(advice_in_short(advice)))


def _title(advice: Advice) -> str:
    return f"{advice.images:,} images of {advice.objects:,} objects, {advice.classes:,} classes"


def _curve_table(advice: Advice) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for head in ("images", "accuracy\n%", "95 %\ninterval", "fitted\n%"):
        table.add_column(head, justify="right", no_wrap=True)
    for point in advice.points:
        table.add_row(*_row(point, advice.curve))
    if advice.curve is not None and advice.capacity > advice.images:
        end = advice.curve.saturation
        table.add_row(f"{advice.capacity:,}", "–", _range(end.low, end.high), _percent(end.estimate), style="dim")
    return table


def _row(point: CurvePoint, curve: Curve | None) -> list[str]:
    accuracy = point.accuracy
    fitted = "–"
    if curve is not None:
        fitted = _percent(1.0 - curve.floor - curve.scale * (point.images / curve.unit) ** -curve.exponent)
    return [f"{point.images:,}", _percent(accuracy.estimate), _range(accuracy.low, accuracy.high), fitted]


def _footnote(advice: Advice) -> str:
    end = (
        " Last row: all views of these objects, extrapolated."
        if advice.curve and advice.capacity > advice.images
        else ""
    )
    return (
        f"Accuracy on each of {advice.judged:,} objects by heads that never saw it, trained on random sub-samples of "
        f"the images of the others; images counted over all objects.{end}"
    )


def _range(low: float, high: float) -> str:
    return f"{_percent(low)} to {_percent(high)}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"
