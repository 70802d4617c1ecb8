"""The page's pictures: each plot as an inline SVG, with a caption and words for those who cannot see it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from acqplan.campaign.plan import Plan
from acqplan.evaluate.records import Validation
from acqplan.report import plot
from acqplan.report.parts import figure, text
from acqplan.report.summary import Arm, arms, count_range, final_arms, object_counts, points, positions, shortened
from acqplan.space import Shots

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


def _accuracies(some: list[Arm]) -> str:
    return ", ".join(f"{arm.strategy} {100 * arm.accuracy:.1f} %" for arm in some)


def _gain_words(plan: Plan, validation: Validation) -> str:
    mine = [verdict for verdict in validation.verdicts if verdict.a == plan.strategy]
    gained = ", ".join(f"{points(verdict.difference)} against {verdict.b}" for verdict in mine)
    return f"Gain of {plan.strategy} in points of accuracy: {gained}."
