"""report.html of a recommendation: what to photograph and what that gains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from acqplan import __version__
from acqplan.advice.answers import Advice
from acqplan.evaluate.verdict import Validation
from acqplan.numbers import count_range, percent, points
from acqplan.plan.plan import Plan
from acqplan.plan.route import route_words, saved_words
from acqplan.report.compared import Compared
from acqplan.report.counts import object_counts, picture_axes, positions
from acqplan.report.page import Content, advice_content, dial_words, render, small_dials
from acqplan.report.plot import curves, differences, views
from acqplan.report.plot.style import svg_element
from acqplan.report.tables import comparison_table, first_shots_table

MOST_CLASSES = 6
MOST_OBJECTS = 3
"""Small dials of classes, and of objects of the first class."""


def page_text(
    plan: Plan,
    validation: Validation | None = None,
    sentences: Sequence[str] = (),
    *,
    advice: Advice | None = None,
    facts: Mapping[str, str] | None = None,
) -> str:
    """The page as text; the same arguments give the same text.

    Args:
        plan: What to photograph.
        validation: What it gains; ``None`` on a live rig.
        sentences: The verdicts in words.
        advice: Stop or go on; ``None`` where no image was seen.
        facts: More lines for "How it was made", e.g. ``{"rig": "toys", "device": "cpu"}``.
    """
    dial = dial_words(plan.shots, "All objects")
    levels = f"Shots per level of {', '.join(plan.shots.space.names)}, against an even share of the allowed views."
    per_object = count_range(object_counts(plan))
    objects = f"{per_object} images of each of {len(plan.shots.objects)} objects."
    content: Content = {
        "headline": headline(plan),
        "plan": plan,
        "per_object": per_object,
        "route": {"words": route_words(plan), "saved": saved_words(plan)},
        "dial": svg_element(views.dial(plan.shots), name="dial", alt=dial),
        "dial_words": dial,
        **_dials(plan),
        "compared": None,
        "advice": None if advice is None else advice_content(advice),
        "coverage": svg_element(views.coverage(plan), name="coverage", alt=levels),
        "coverage_words": levels,
        "objects": svg_element(views.images_per_object(plan), name="objects", alt=objects),
        "objects_words": objects,
        "first_shots": first_shots_table(plan),
        "facts": {"acqplan": __version__, **(facts or {})},
    }
    if validation is not None and validation.records:
        content |= _gains(Compared.of_validation(validation, plan.strategy, sentences))
    return render("recommendation.html", content)


def headline(plan: Plan) -> str:
    """What is recommended, in one sentence."""
    where, objects, space = positions(plan.shots), plan.shots.objects, plan.shots.space
    places = "views"
    if len(space.axes) > 2:
        places = "positions of " + " and ".join(space.names[row] for row in picture_axes(space) if row is not None)
    sentence = (
        f"Take {len(plan):,} images of {len(objects)} objects: {count_range(object_counts(plan))} of each, from "
        f"{int((where.n_shots > 0).sum()):,} of {len(where.n_shots):,} {places}"
    )
    return f"{sentence}, beside the {plan.captured:,} captured before." if plan.captured else f"{sentence}."


def _dials(plan: Plan) -> Content:
    """Small dials of classes, and of single objects of the first class; ``None`` where there is nothing to compare."""
    shots, objects = plan.shots, plan.shots.objects
    classes, by_class, by_object = objects.classes, None, None
    if 2 <= len(classes) < len(objects):
        parts = {label: views.of_class(shots, label) for label in classes[:MOST_CLASSES]}
        more = f" The first {MOST_CLASSES} of {len(classes)}." if len(classes) > MOST_CLASSES else ""
        by_class = small_dials("class", parts, f"All objects of a class together.{more}")
    rows = np.flatnonzero(objects.class_rows == 0)[:MOST_OBJECTS]
    parts = {objects.names[row]: shots.take(shots.object_rows == row) for row in rows}
    parts = {name: part for name, part in parts.items() if len(part)}
    if parts:
        by_object = small_dials("object", parts, "Single objects: one of them is on the turntable at a time.")
    return {"class_dials": by_class, "object_dials": by_object}


def _gains(compared: Compared) -> Content:
    """Accuracy against images, gains on other strategies, accuracy at the full budget, and the table of them."""
    words = {
        budget: ", ".join(f"{name} {percent(point.accuracy)} %" for name, point in compared.at(budget).items())
        for budget in compared.budgets
    }
    curve = f"Accuracy on new objects: {'; '.join(f'at {budget:,} images {each}' for budget, each in words.items())}."
    bars = f"Accuracy at {compared.budget:,} images: {words[compared.budget]}."
    gained = ", ".join(f"{points(verdict.difference)} against {verdict.b}" for verdict in compared.verdicts)
    alt = f"Gain of {compared.primary} in points of accuracy: {gained}."
    gains = svg_element(differences.object_differences(compared), name="gains", alt=alt) if gained else None
    return {
        "compared": compared,
        "mine": compared.at(compared.budget).get(compared.primary),
        "curve": svg_element(curves.accuracy_curve(compared), name="curve", alt=curve),
        "gains": gains,
        "bars": svg_element(curves.accuracy_bars(compared), name="bars", alt=bars),
        "comparison": comparison_table(compared),
    }
