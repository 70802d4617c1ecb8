"""Comparisons in the terminal: a plan's strategy against others, two files of predictions, keys and values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from acqplan.evaluate.verdict import Answer, Validation, Verdict
from acqplan.numbers import p_text, points, printable, shortened
from acqplan.report.summary import ArmSummary, final_arms

if TYPE_CHECKING:
    from acqplan.advice.answers import Advice, Curve, CurvePoint
    from acqplan.evaluate.compare import Comparison

ANSWER_STYLES: Mapping[Answer, str] = {"better": "bold green", "worse": "bold red", "no difference found": "yellow"}


def comparison_table(
    validation: Validation, sentences: Sequence[str] = (), *, emphasised: str = "auto"
) -> RenderableType:
    """Every strategy at the full budget, compared with the plan's own, and the verdicts in words.

    Args:
        validation: What was found.
        sentences: The verdicts in words, written below the table.
        emphasised: The strategy of the plan.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    heads = ("strategy", "images", "accuracy\n%", "difference\npoints", "p", "p\nMcNemar", "verdict")
    for head in heads:
        table.add_column(head, justify="left" if head in ("strategy", "verdict") else "right", no_wrap=True)
    verdicts = {verdict.b: verdict for verdict in validation.verdicts if verdict.a == emphasised}
    for arm in sorted(final_arms(validation), key=lambda arm: (arm.strategy != emphasised, -arm.accuracy)):
        table.add_row(
            *_comparison_row(arm, verdicts.get(arm.strategy)), style="bold" if arm.strategy == emphasised else ""
        )
    note = Text(_footnote(validation, emphasised), style="dim")
    return Group(table, Text(), note, Text(), bullets(sentences))


def bullets(sentences: Sequence[str]) -> Table:
    """Sentences one below the other, each with a dot before it."""
    words = Table.grid(padding=(0, 1))
    words.add_column()
    words.add_column(overflow="fold")
    for sentence in sentences:
        words.add_row("•", Text(printable(sentence)))
    return words


def _comparison_row(arm: ArmSummary, verdict: Verdict | None) -> list[Text]:
    accuracy = f"{100 * arm.accuracy:.1f} ± {100 * (arm.high - arm.low) / 2:.1f}"
    cells = [Text(shortened(arm.strategy, 16)), Text(f"{arm.images:,.0f}"), Text(accuracy)]
    if verdict is None:
        return [*cells, *(Text("–"),) * 3, Text("")]
    low, high = map(points, verdict.ci95)
    difference = f"{points(verdict.difference)}\n{low} to {high}"
    p_values = [Text(p_text(verdict.p)), Text(p_text(verdict.p_mcnemar))]
    return [*cells, Text(difference), *p_values, Text(_answer(verdict), style=ANSWER_STYLES[verdict.verdict])]


def _answer(verdict: Verdict) -> str:
    found = verdict.verdict
    return "no difference\nfound" if found == "no difference found" else f"{shortened(verdict.a, 10)} is\n{found}"


def _footnote(validation: Validation, emphasised: str) -> str:
    final = final_arms(validation)
    n_objects, n_seeds = (final[0].n_objects, final[0].n_seeds) if final else (0, 0)
    return (
        f"Accuracy on {n_objects} new objects, mean of {n_seeds} seed{'s' * (n_seeds != 1)}, ± and difference with "
        f"95 % intervals; difference: {printable(emphasised)} minus the other. p: for other objects and other seeds, "
        "Holm-corrected; it decides the verdict. p McNemar: on images, conditional on these objects and heads."
    )


def predictions_table(comparison: Comparison) -> Table:
    """Two classifiers on the same images: the test on objects first, those on images below it."""
    low, high = map(points, comparison.ci95)
    facts = {
        "first": f"{comparison.a}: {100 * comparison.accuracy_a:.1f} % right, mean of {comparison.n_objects:,} objects",
        "second": f"{comparison.b}: {100 * comparison.accuracy_b:.1f} %",
        "difference": f"{points(comparison.difference)} points (95 % interval {low} to {high})",
        "p, objects": f"{p_text(comparison.p_object)} (signs flipped; decides the verdict)",
        "p, equality": f"{p_text(comparison.p_equivalent)} (small: equal to within a point)",
        "p, clustered": f"Obuchowski {p_text(comparison.obuchowski.p)}, Durkalski {p_text(comparison.durkalski.p)}",
        "p, McNemar": f"{p_text(comparison.p_mcnemar)} ({comparison.n_images:,} images; conditional on these objects)",
        "only one right": f"first {comparison.n10:,}, second {comparison.n01:,}",
    }
    return facts_table(facts)


def facts_table(facts: Mapping[str, str]) -> Table:
    """Keys and values in two columns."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in facts.items():
        table.add_row(Text(printable(key)), Text(printable(value)))
    return table


def advice_table(advice: Advice, sentences: Sequence[str]) -> RenderableType:
    """The learning curve on left-out objects, measured and fitted, above the advice in words.

    Args:
        advice: What was found.
        sentences: The advice in words.
    """
    parts: list[RenderableType] = [Text(_title(advice), style="bold"), Text()]
    if advice.points:
        parts += [_curve_table(advice), Text(), Text(_footnote_advice(advice), style="dim"), Text()]
    return Group(*parts, bullets(sentences))


def advice_summary(advice: Advice) -> RenderableType:
    """The first sentences of the advice, where something else was asked for."""
    from acqplan.advice.answers import advice_in_short  # loads scipy, which a plan alone does without

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


def _footnote_advice(advice: Advice) -> str:
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
