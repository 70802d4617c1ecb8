"""report.html: one self-contained page that says what to photograph and what that gains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from acqplan import __version__
from acqplan.evaluate.verdict import Validation, Verdict
from acqplan.files import replacing
from acqplan.numbers import count_range, duration, p_text, points, shortened
from acqplan.plan.plan import Plan
from acqplan.plan.route import route_words, saved_words
from acqplan.report import plot
from acqplan.report.parts import bullets, cards, definitions, figure, folded, page, paragraphs, section, table, text
from acqplan.report.summary import ArmSummary, arms, final_arms, object_counts, picture_axes, positions
from acqplan.space import Shots, Space

if TYPE_CHECKING:
    from acqplan.advice.answers import Advice
    from acqplan.statistics.objects import Estimate

SMALL = 1.7
"""Width of a small dial in inches."""

MOST_CLASSES = 6
MOST_OBJECTS = 3
"""Small dials of classes, and of objects of the first class."""


def view_pictures(plan: Plan) -> str:
    """The dial of all shots, and small ones of classes and of single objects."""
    shots = plan.shots
    words = _dial_words(shots, "All objects")
    large = figure(plot.svg_element(plot.dial(shots), name="dial", alt=words), words)
    return f'<div class="pair"><div>{large}</div><div>{_class_dials(shots)}{_object_dials(shots)}</div></div>'


def _class_dials(shots: Shots) -> str:
    classes = shots.objects.classes
    if len(classes) == len(shots.objects) or len(classes) < 2:
        return ""
    parts = {label: plot.of_class(shots, label) for label in classes[:MOST_CLASSES]}
    more = f" The first {MOST_CLASSES} of {len(classes)}." if len(classes) > MOST_CLASSES else ""
    return f"<h3>By class</h3>{small_dials('class', parts, 'All objects of a class together.' + more)}"


def _object_dials(shots: Shots) -> str:
    objects = shots.objects
    mine = np.flatnonzero(objects.class_rows == 0)[:MOST_OBJECTS]
    parts = {objects.names[row]: shots.take(shots.object_rows == row) for row in mine}
    taken = {name: part for name, part in parts.items() if len(part)}
    note = "Single objects: what stands on the turntable at one time."
    return f"<h3>By object</h3>{small_dials('object', taken, note)}" if taken else ""


def small_dials(kind: str, parts: Mapping[str, Shots], note: str, *, style: str = "dials") -> str:
    """Small dials side by side, drawn to one scale, and what they show."""
    most = max(1, *(int(positions(part).n_shots.max()) for part in parts.values()))
    drawn = [
        plot.svg_element(
            plot.dial(part, title=shortened(name, 18), most=most, size=SMALL),
            name=f"{kind}{number}",
            alt=_dial_words(part, name),
        )
        for number, (name, part) in enumerate(parts.items())
    ]
    scale = f"Largest dot: {most} shot{'s' * (most != 1)}."
    return f'<div class="{style}">{"".join(drawn)}</div><p>{text(note)} {scale}</p>'


def _dial_words(shots: Shots, whose: str) -> str:
    counts = positions(shots).n_shots
    taken = counts[counts > 0]
    if not len(taken):
        return f"{whose}: no shots."
    where = f"{len(taken):,} of {len(counts):,} positions"
    return f"{whose}: {len(shots):,} shots from {where}, {count_range(taken)} from each."


def coverage_pictures(plan: Plan) -> str:
    """Shots per level of each axis, and images per object."""
    words = f"Shots per level of {', '.join(plan.shots.space.names)}, against an even share of the allowed views."
    even = figure(plot.svg_element(plot.coverage(plan), name="coverage", alt=words), words)
    each = f"{count_range(object_counts(plan))} images of each of {len(plan.shots.objects)} objects."
    objects = figure(plot.svg_element(plot.images_per_object(plan), name="objects", alt=each), each)
    return f'<div class="pair">{even}{objects}</div>'


def validation_pictures(plan: Plan, validation: Validation) -> str:
    """Accuracy against images, gains on other strategies, accuracy at the full budget."""
    final = final_arms(validation)
    words = f"Accuracy at {final[0].budget:,} images: {_accuracies(final)}."
    pictures = [plot.svg_element(plot.accuracy_bars(validation, emphasised=plan.strategy), name="bars", alt=words)]
    if any(verdict.a == plan.strategy for verdict in validation.verdicts):
        gained = plot.gains(validation, emphasised=plan.strategy)
        pictures.insert(0, plot.svg_element(gained, name="gains", alt=_gain_words(plan, validation)))
    both = "".join(figure(picture) for picture in pictures)
    return f'<div class="pair">{_curve(plan, validation)}<div>{both}</div></div>'


def _curve(plan: Plan, validation: Validation) -> str:
    every = arms(validation)
    budgets = sorted({arm.budget for arm in every})
    lines = "; ".join(
        f"at {budget:,} images {_accuracies([a for a in every if a.budget == budget])}" for budget in budgets
    )
    curve = plot.accuracy_curve(validation, emphasised=plan.strategy)
    n_seeds = every[0].n_seeds
    caption = f"Each point is the mean of {n_seeds} seeds." if n_seeds > 1 else "Each point is one seed."
    return figure(plot.svg_element(curve, name="curve", alt=f"Accuracy on new objects: {lines}."), caption)


def _accuracies(some: list[ArmSummary]) -> str:
    return ", ".join(f"{arm.strategy} {100 * arm.accuracy:.1f} %" for arm in some)


def _gain_words(plan: Plan, validation: Validation) -> str:
    mine = [verdict for verdict in validation.verdicts if verdict.a == plan.strategy]
    gained = ", ".join(f"{points(verdict.difference)} against {verdict.b}" for verdict in mine)
    return f"Gain of {plan.strategy} in points of accuracy: {gained}."


TITLE = "Stop, or go on?"


def advice_part(advice: Advice, *, name: str = "advice") -> str:
    """The advice in words beside its learning curve, and the curve in numbers.

    Args:
        advice: What was found.
        name: Of the picture, for several on one page.
    """
    from acqplan.advice.answers import advice_sentences  # loads scipy, which a plan alone does without

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


def _percents(accuracy: Estimate) -> Iterator[str]:
    for share in (accuracy.estimate, accuracy.low, accuracy.high):
        yield f"{100 * share:.1f}"


FIRST_SHOTS = 12

HONESTY = (
    "An accuracy is the share of test images classified correctly, averaged over test objects that no training image "
    "shows; its interval says how much another set of objects could move it.",
    "Verdicts come from a test that lets both objects and seeds vary, corrected by Holm for the number of comparisons. "
    "A test on objects alone takes two seeds of one rule for two rules far too often. “No difference found” does not "
    "mean “equal”.",
    "McNemar's test counts images and takes the test objects as given. Images of one object are not independent, so it "
    "rejects far too often if read as a claim about new objects; it is shown because the literature reports it.",
)


def write_page(
    path: Path,
    plan: Plan,
    validation: Validation | None = None,
    sentences: Sequence[str] = (),
    *,
    advice: Advice | None = None,
    facts: Mapping[str, str] | None = None,
) -> None:
    """Write the report of a plan as one HTML file that needs no network and no script.

    Args:
        path: The file to replace, usually ``report.html``.
        plan: What to photograph.
        validation: What it gains; ``None`` on a live rig.
        sentences: The verdicts in words.
        advice: Stop or go on; ``None`` where no image was seen.
        facts: More lines for "How it was made", e.g. ``{"rig": "toys", "device": "cpu"}``.

    Raises:
        OutputError: If the file cannot be written.
    """
    text = page_text(plan, validation, sentences, advice=advice, facts=facts)
    with replacing(path) as handle:
        handle.write(text)


def page_text(
    plan: Plan,
    validation: Validation | None = None,
    sentences: Sequence[str] = (),
    *,
    advice: Advice | None = None,
    facts: Mapping[str, str] | None = None,
) -> str:
    """The page as text; the same arguments give the same text."""
    judged = validation if validation is not None and validation.records else None
    first = paragraphs("In the order of taking; all of them are in plan.csv.") + _first_shots(plan)
    sections = (
        section("Which views", view_pictures(plan)),
        "" if judged is None else section("What it gains", _gains(plan, judged)),
        "" if advice is None else section(TITLE, advice_part(advice)),
        section("How evenly", coverage_pictures(plan)),
        section("The first shots", first),
        section("How it was made", definitions(_facts(plan, facts or {}))),
        "" if judged is None else section("How to read the numbers", bullets(HONESTY), kind="notes"),
    )
    return page(
        title=f"{len(plan):,} images of {len(plan.shots.objects)} objects",
        kicker="recommendation",
        headline=headline(plan),
        lead=_lead(plan, judged, sentences),
        tiles=_tiles(plan, judged),
        body="\n".join(part for part in sections if part),
    )


def headline(plan: Plan) -> str:
    """What is recommended, in one sentence."""
    where, objects = positions(plan.shots), plan.shots.objects
    sentence = (
        f"Take {len(plan):,} images of {len(objects)} objects: {count_range(object_counts(plan))} of each, from "
        f"{int((where.n_shots > 0).sum()):,} of {len(where.n_shots):,} {_position_name(plan.shots.space)}"
    )
    return f"{sentence}, beside the {plan.captured:,} captured before." if plan.captured else f"{sentence}."


def _position_name(space: Space) -> str:
    if len(space.axes) <= 2:
        return "views"
    return "positions of " + " and ".join(space.names[column] for column in picture_axes(space) if column is not None)


def _lead(plan: Plan, validation: Validation | None, sentences: Sequence[str]) -> str:
    if validation is None:
        expected = f"Expected accuracy on new objects: {_expectation(plan)}." if plan.predicted else ""
        words = (expected, "Not validated: what this plan gains on other strategies was not measured.")
        return paragraphs(*words)
    return bullets(sentences, kind="verdicts")


def _expectation(plan: Plan) -> str:
    if plan.predicted is None:
        return ""
    accuracy, low, high = (100 * value for value in plan.predicted)
    return f"{accuracy:.1f} % (95 % interval {low:.1f} to {high:.1f})"


def _tiles(plan: Plan, validation: Validation | None) -> Iterator[tuple[str, str, str]]:
    yield f"{len(plan):,}", "images", f"budget {plan.budget:,}"
    yield count_range(object_counts(plan)), "an object", f"{len(plan.shots.objects)} objects"
    if plan.route_seconds:
        yield duration(plan.route_seconds), "to take them", saved_words(plan)
    if validation is None:
        return
    mine = [arm for arm in final_arms(validation) if arm.strategy == plan.strategy]
    for arm in mine:
        interval = f"{100 * arm.low:.1f} to {100 * arm.high:.1f}"
        yield f"{100 * arm.accuracy:.1f} %", "right on new objects", interval
    for verdict in validation.verdicts:
        if verdict.a == plan.strategy and verdict.b in ("even", "random"):
            yield points(verdict.difference), f"points against {verdict.b}", verdict.verdict


def _gains(plan: Plan, validation: Validation) -> str:
    return validation_pictures(plan, validation) + _verdicts(validation)


COLUMNS = (
    "strategy", "against", "difference, points", "95 % interval", "p, objects and seeds", "p, objects alone",
    "p, McNemar (conditional on these objects)", "images only the first / only the second got right", "verdict",
)  # fmt: skip


def _verdicts(validation: Validation) -> str:
    if not validation.verdicts:
        return ""
    caption = f"Compared at {validation.verdicts[0].budget:,} images over {validation.verdicts[0].n_objects} objects"
    kinds = [verdict.verdict.split()[0] for verdict in validation.verdicts]
    return cards(COLUMNS, [_verdict_row(verdict) for verdict in validation.verdicts], caption=caption, kinds=kinds)


def _verdict_row(verdict: Verdict) -> list[str]:
    low, high = map(points, verdict.ci95)
    found = verdict.verdict if verdict.verdict == "no difference found" else f"{verdict.a} is {verdict.verdict}"
    return [
        verdict.a, verdict.b, points(verdict.difference), f"{low} to {high}", p_text(verdict.p),
        p_text(verdict.p_object), p_text(verdict.p_mcnemar), f"{verdict.n10:,} / {verdict.n01:,}", found,
    ]  # fmt: skip


def _first_shots(plan: Plan) -> str:
    names = [axis.name + (f" ({axis.unit})" if axis.unit else "") for axis in plan.shots.space.axes]
    first = plan.shots.take(np.arange(min(FIRST_SHOTS, len(plan))))
    rows = []
    for row, (name, view) in enumerate(zip(first.names, first.views(), strict=True)):
        values = [value if isinstance(value, str) else f"{value:g}" for value in view.values()]
        rows.append([f"{row + 1}", name, *values, plan.reason[row]])
    return table(["", "object", *names, "why"], rows, label="The first shots")


def _facts(plan: Plan, more: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    space = plan.shots.space
    yield "strategy", plan.strategy
    yield "settings", ", ".join(f"{key} = {value}" for key, value in plan.parameters.items()) or "none"
    yield "seed", f"{plan.seed}"
    yield "space", f"{space.n_views:,} views; " + ", ".join(f"{axis.name} {len(axis.values)}" for axis in space.axes)
    yield "digest of the space", space.digest()[:16]
    yield "backbone", plan.backbone or "none: no image was looked at"
    if plan.predicted:
        yield "expected accuracy", _expectation(plan)
    if plan.sensitivity:
        yield "learned from the images", plan.sensitivity
    if plan.route_seconds:
        yield "taking the images lasts", route_words(plan)
    yield "planning took", f"{plan.seconds:.1f} s"
    yield "acqplan", __version__
    yield from more.items()
