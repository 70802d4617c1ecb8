"""report.html: one self-contained page that says what to photograph and what that gains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from acqplan import __version__
from acqplan.campaign.plan import Plan
from acqplan.campaign.route import duration, route_words, saved_words
from acqplan.evaluate.records import Validation, Verdict
from acqplan.files import replacing
from acqplan.report.advice import TITLE, advice_part
from acqplan.report.parts import bullets, cards, definitions, page, paragraphs, section, table
from acqplan.report.pictures import coverage_pictures, validation_pictures, view_pictures
from acqplan.report.summary import (
    count_range,
    final_arms,
    object_counts,
    p_text,
    picture_axes,
    points,
    positions,
)
from acqplan.space import Space

if TYPE_CHECKING:
    from acqplan.evaluate.advise_answers import Advice

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
