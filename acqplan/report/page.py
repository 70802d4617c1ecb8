"""report.html of a recommendation and of a benchmark: one self-contained file that needs no network and no script.

Templates escape whatever they are given; what may pass as it is are pictures that `plot` drew, and the colours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from acqplan import __version__
from acqplan.advice.answers import Advice
from acqplan.advice.sentences import advice_headline, advice_sentences
from acqplan.evaluate.headline import full_points
from acqplan.evaluate.recommend import Recommendation
from acqplan.files import replacing
from acqplan.numbers import count_noun, count_range, duration, p_text, percent, points, printable, shortened
from acqplan.plan.route import change_words, route_words, saved_words
from acqplan.report import tables
from acqplan.report.compared import MOST_DRAWN, Compared
from acqplan.report.counts import object_counts, positions
from acqplan.report.plot import curves, differences, views
from acqplan.report.plot.advice import design_surface, learning_curve
from acqplan.report.plot.contact import Sheet
from acqplan.report.plot.style import DARK, LIGHT, svg_element
from acqplan.space import Shots
from acqplan.space.sphere import Turns

if TYPE_CHECKING:
    from acqplan.evaluate.findings import Findings

# Width of a small dial in inches.
SMALL_DIAL = 1.7
MOST_CLASSES = 6
# Small dials of classes, and of objects of the first class.
MOST_OBJECTS = 3
# What a template shows, by the names that it uses.
Content = dict[str, object]
TEMPLATES = Environment(
    loader=PackageLoader("acqplan.report"),
    autoescape=True,
    undefined=StrictUndefined,
    # without characters that would move a cursor or break a file; pictures pass as they are
    finalize=lambda value: printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.filters |= {function.__name__: function for function in (count_noun, duration, p_text, percent, points)}
TEMPLATES.filters["thousands"] = "{:,.0f}".format

_LIGHT, _DARK = (";".join(f"--{name}:{colour}" for name, colour in palette.items()) for palette in (LIGHT, DARK))
# Both palettes as the variables of a page's style sheet.
STYLE = Markup(f":root{{color-scheme:light dark;{_LIGHT}}}\n@media (prefers-color-scheme: dark){{:root{{{_DARK}}}}}")


def page_text(result: Recommendation, *, sheets: Sequence[Sheet] = (), facts: Mapping[str, str] | None = None) -> str:
    """The page as text; the same arguments give the same text.

    Args:
        result: What was recommended.
        sheets: Contact sheets, from `acqplan.report.contact`.
        facts: More lines for "How it was made", e.g. ``{"rig": "toys", "device": "cpu"}``.
    """
    plan, advice, first = result.plan, result.advice, result.headline
    content: Content = {
        "headline": first.task,
        "first": first,
        "plan": plan,
        "per_object": count_range(object_counts(plan.shots)),
        "route": {"words": route_words(plan), "saved": saved_words(plan), "changes": change_words(plan)},
        **_plan_pictures(plan.shots, result.camera.turns if result.camera else "table"),
        "sheets": sheets,
        "compared": None,
        "cards": _cards(result),
        "advised": None if advice is None else advice_headline(advice),
        "advice": None if advice is None else _advice_content(advice),
        "accuracies": tables.accuracies_table(result),
        "first_shots": tables.first_shots_table(plan),
        "facts": {"acqplan": __version__, **(facts or {})},
    }
    if result.validation is not None and result.validation.records:
        content |= _gains(Compared.of_validation(result.validation, plan.strategy, result.sentences))
    return TEMPLATES.get_template("recommendation.html").render(content, colours=STYLE)


def notebook_text(result: Recommendation) -> str:
    """The first words, the cards and the dial, for a cell of a notebook; its styles touch nothing else there."""
    dial = svg_element(views.dial(result.plan.shots), name=f"dial{id(result)}", alt="The views of all objects.")
    dial = Markup(dial.replace("*{", ".acqplan svg *{"))  # matplotlib's own style is for all elements
    content = {"first": result.headline, "cards": _cards(result), "dial": dial, "light": Markup(_LIGHT)}
    return TEMPLATES.get_template("notebook.html").render(content)


def _cards(result: Recommendation) -> list[tuple[str, str, str]]:
    """Numbers to see at once: of each the number, what it counts, and more about it."""
    plan, validation, n_objects = result.plan, result.validation, len(result.plan.shots.objects)
    cards = [
        (f"{len(plan):,}", "images", f"budget {plan.budget:,}"),
        (count_range(object_counts(plan.shots)), "per object", count_noun(n_objects, "object")),
    ]
    if plan.route_seconds:
        left_out = "changes of object not counted" if plan.seconds_per_object is None else saved_words(plan)
        cards.append((duration(plan.route_seconds), "to take them", left_out))
    if validation is not None and validation.records:
        there = full_points(validation)
        others = [name for name in there if name != plan.strategy]
        for name in dict.fromkeys([*others[:1], *(name for name in others if name == "even")]):
            found = [verdict for verdict in validation.verdicts if (verdict.a, verdict.b) == (plan.strategy, name)]
            place = ", the strongest other way" if name == others[0] else ""
            cards += [(points(one.difference), f"points against {name}{place}", one.verdict) for one in found]
    return cards


def benchmark_page_text(findings: Findings, *, facts: Mapping[str, str] | None = None) -> str:
    """The page as text; the same arguments give the same text.

    Args:
        findings: What the benchmark found.
        facts: More lines for the design, e.g. ``{"rig": "toys"}``.
    """
    design, compared = findings.results.design, Compared.of_findings(findings)
    there, least = compared.at(compared.budget), findings.smallest_difference
    reached = [standing.reach for standing in findings.standings if standing.strategy == design.primary]
    reach = {"text": reached[0].text, "interval": tables.reach_interval(reached[0])} if reached else None
    strongest = [name for name in compared.by_accuracy(compared.strategies) if name != design.primary][:1]
    # Comparisons in which a test on images alone would have concluded something else.
    differ = [verdict for verdict in compared.verdicts if tables.image_answer(verdict) != verdict.verdict]
    answers: list[str] = [verdict.verdict for verdict in compared.verdicts]
    counts = {answer: answers.count(answer) for answer in ("better", "worse", "no difference found")}
    # Cells that failed, those of one strategy, budget and reason together.
    failed: dict[tuple[str, str], list[str]] = {}
    for cell in findings.failed:
        group = failed.setdefault((f"{cell.strategy} at {cell.budget:,} images", cell.reason), [])
        group.append(f"{cell.seed}{' swapped' if cell.swapped else ''}")
    content: Content = {
        "headline": findings.headline.sentence,
        "first": findings.headline,
        "findings": findings,
        "design": design,
        "compared": compared,
        "claim": compared.verdicts[0],
        "counts": counts,
        "detectable": None if math.isnan(least) else least,
        "main_points": [there[name] for name in dict.fromkeys((*compared.order[:2], *strongest)) if name in there],
        "reach": reach if len(compared.budgets) > 1 else None,
        "n_cells": len(design.cells) * len(findings.results.blocks),
        "n_failed": len(findings.failed),
        "failures": [
            f"{where}, seed{'s' * (len(seeds) > 1)} {', '.join(seeds)}: {reason}"
            for (where, reason), seeds in failed.items()
        ],
        "comparison": tables.comparison_table(compared),
        "standings": tables.standings_table(findings),
        "accuracies": tables.accuracy_table(compared, compared.budgets),
        "ranks_table": tables.ranks_table(findings),
        "images": tables.images_table(compared),
        "facts": facts or {},
        "n_differ": len(differ),
        "differ": ", ".join(verdict.b for verdict in differ),
        "missed": ", ".join(verdict.b for verdict in differ if tables.image_answer(verdict) == "no difference found"),
        "advice": None,
    }
    if findings.advice:
        largest = max(findings.advice)
        content |= {"advice": _advice_content(findings.advice[largest]), "advice_budget": largest}
        content["advice_table"] = tables.advice_table(findings.advice)
    content |= _pictures(findings, compared, counts) | _strategy_dials(findings, compared)
    return TEMPLATES.get_template("benchmark.html").render(content, colours=STYLE)


def write_page(path: Path, text: str) -> None:
    """Write a page.

    Raises:
        OutputError: If the file cannot be written.
    """
    with replacing(path) as handle:
        handle.write(text)


@lru_cache(maxsize=1)
def _plan_pictures(shots: Shots, turns: Turns) -> Content:
    """Pictures of the views and objects of a plan; a page that is written with and without a validation has the same.

    The dial of all objects, small ones of classes and of single objects of the first class, where the camera stands
    (``None`` where there is nothing to show), shots of each level, and of each object.
    """
    objects = shots.objects
    # 1. All objects; classes, and objects of the first class, where there are several.
    dial = _dial_words(shots, "All objects")
    classes, by_class, by_object = objects.classes, None, None
    if 2 <= len(classes) < len(objects):
        parts = {label: views.of_class(shots, label) for label in classes[:MOST_CLASSES]}
        more = f" The first {MOST_CLASSES} of {len(classes)}." if len(classes) > MOST_CLASSES else ""
        by_class = _small_dials("class", parts, f"All objects of a class together.{more}")
    rows = np.flatnonzero(objects.class_rows == 0)[:MOST_OBJECTS]
    parts = {objects.names[row]: shots.take(shots.object_rows == row) for row in rows}
    parts = {name: part for name, part in parts.items() if len(part)}
    if parts:
        by_object = _small_dials("object", parts, "Single objects: one of them is on the turntable at a time.")
    # 2. Seen from the side, if axes turn and raise the camera.
    dome = None
    if views.has_dome(shots.space):
        figure = views.hemisphere(shots, turns=turns)
        dome = svg_element(figure, name="hemisphere", alt="Places of the camera about the object, seen from the side.")
    # 3. Counts.
    levels = f"Shots per level of {', '.join(shots.space.names)}, against an even share of the allowed views."
    each = f"{count_range(object_counts(shots))} images of each of {len(objects)} objects."
    return {
        "dial": svg_element(views.dial(shots), name="dial", alt=dial),
        "dial_words": dial,
        "class_dials": by_class,
        "object_dials": by_object,
        "dome": dome,
        "coverage": svg_element(views.coverage(shots), name="coverage", alt=levels),
        "coverage_words": levels,
        "objects": svg_element(views.images_per_object(shots), name="objects", alt=each),
        "objects_words": each,
    }


def _gains(compared: Compared) -> Content:
    """Accuracy against images, gains on other strategies, accuracy at the full budget, and the table of them."""
    words = {
        budget: ", ".join(f"{name} {percent(point.accuracy)} %" for name, point in compared.at(budget).items())
        for budget in compared.budgets
    }
    curve = (
        f"Accuracy on {compared.tested}: {'; '.join(f'at {budget:,} images {each}' for budget, each in words.items())}."
    )
    bars = f"Accuracy at {compared.budget:,} images: {words[compared.budget]}."
    gained = ", ".join(f"{points(verdict.difference)} against {verdict.b}" for verdict in compared.verdicts)
    alt = f"Gain of {compared.primary} in points of accuracy: {gained}."
    gains = svg_element(differences.object_differences(compared), name="gains", alt=alt) if gained else None
    return {
        "compared": compared,
        "curve": svg_element(curves.accuracy_curve(compared), name="curve", alt=curve),
        "gains": gains,
        "bars": svg_element(curves.accuracy_bars(compared), name="bars", alt=bars),
        "comparison": tables.comparison_table(compared),
    }


def _pictures(findings: Findings, compared: Compared, counts: Mapping[str, int]) -> Content:
    """Pictures of a benchmark and what they show in words; ``None`` where there is nothing to show."""
    # Accuracy of all strategies against images, with the primary contrast.
    there, budget = compared.at(compared.budget), f"{compared.budget:,} images"
    best = ", ".join(f"{name} {percent(there[name].accuracy)} %" for name in compared.by_accuracy(list(there)))
    gains = ", ".join(f"{points(verdict.difference)} at {verdict.budget:,}" for verdict in compared.contrast)
    contrast = f"{compared.primary} minus {compared.baseline} in points: {gains} images."
    curve = f"Accuracy on {compared.tested} against images. At {budget}: {best}. {contrast}"
    n_drawn, n, left_out = len(compared.drawn), len(compared.strategies), ""
    if n_drawn < n:
        reason = f"the most accurate {MOST_DRAWN}" if n_drawn == MOST_DRAWN else f"the {n_drawn} that finished"
        left_out = f"Pictures show {reason} of {n} strategies; the tables have all."
    # All pairs at the primary budget, and differences of single objects.
    found = [verdict for verdict in findings.pairs if verdict.verdict != "no difference found"]
    words = f"{len(found)} of {count_noun(len(findings.pairs), 'pair')} differ at {budget}"
    ordered = [(verdict.a, verdict.b) if verdict.difference > 0 else (verdict.b, verdict.a) for verdict in found]
    winners = ", ".join(f"{better} over {worse}" for better, worse in ordered)
    matrix = f"{words}: {winners}." if winners else f"{words}."
    ends = ", ".join(f"{count} {answer}" for answer, count in counts.items() if count)
    means = ", ".join(f"{points(verdict.difference)} against {verdict.b}" for verdict in compared.verdicts)
    objects = f"Differences of each object; means in points: {means}. Verdicts: {ends}."
    # Each strategy with its band, ranks over budgets, and what each idea adds.
    small = ideas = ranks = None
    if len(compared.budgets) > 1:
        alt = "One small panel per strategy: accuracy against images with its 95 % band, the baseline's line behind it."
        small = svg_element(curves.small_curves(compared), name="strategies", alt=alt)
        order = sorted(findings.standings, key=lambda standing: standing.rank)
        alt = "Mean ranks: " + ", ".join(f"{standing.strategy} {standing.rank:.1f}" for standing in order) + "."
        ranks = svg_element(curves.rank_curves(findings), name="ranks", alt=alt) if order else None
    if findings.ideas:
        gains = "; ".join(f"{idea.idea}: {points(idea.primary.mean)} points" for idea in findings.ideas)
        alt = f"What each idea adds at {budget}. {gains}."
        ideas = svg_element(differences.idea_gains(findings), name="ideas", alt=alt)
    return {
        "curves": svg_element(curves.accuracy_curve(compared), name="curves", alt=curve),
        "runs": f"{count_noun(compared.n_objects, 'object')} and {count_noun(compared.n_seeds, 'seed')}",
        "left_out": left_out,
        "small_curves": small,
        "matrix": svg_element(differences.verdict_matrix(findings), name="verdicts", alt=matrix),
        "matrix_words": words,
        "matrix_rem": 6.5 + 2 * len(compared.drawn),
        "differences": svg_element(differences.object_differences(compared), name="objects", alt=objects),
        "ideas": ideas,
        "ranks": ranks,
    }


def _strategy_dials(findings: Findings, compared: Compared) -> Content:
    """What each strategy took, all objects together and one of them, side by side."""
    every, block = views.taken_shots(findings), findings.results.blocks[0].block
    if not every:
        return {"all_dials": None}
    where = f"Seed {block.seed}, split {block.number}, {compared.budget:,} images allowed."
    missing = len(compared.strategies) - len(every)
    more = f" {missing} {'strategy' if missing == 1 else 'strategies'} not shown." if missing else ""
    name, single = views.first_object(every)
    note = f"Only {name}. A rule that takes the same views of every object looks the same above and here."
    return {
        "all_dials": _small_dials("every", every, where + more),
        "single_object": name,
        "single_dials": _small_dials("single", single, note) if single else None,
    }


def _small_dials(kind: str, parts: Mapping[str, Shots], note: str) -> Content:
    """Small dials side by side, drawn to one scale, and what they show."""
    most = max(1, views.most_shots(parts))
    drawings = []
    for number, (name, part) in enumerate(parts.items()):
        figure = views.dial(part, title=shortened(name, 18), most=most, size=SMALL_DIAL)
        drawings.append(svg_element(figure, name=f"{kind}{number}", alt=_dial_words(part, name)))
    return {"drawings": drawings, "note": f"{note} Largest dot: {count_noun(most, 'shot')}."}


def _dial_words(shots: Shots, whose: str) -> str:
    """A dial in words."""
    _, counts = positions(shots)
    taken = counts[counts > 0]
    if not len(taken):
        return f"{whose}: no shots."
    where = f"{len(taken):,} of {len(counts):,} positions"
    return f"{whose}: {len(shots):,} shots from {where}, {count_range(taken)} from each."


def _surface_words(advice: Advice) -> str:
    """The surface in words."""
    assert advice.surface is not None
    cells = [(advice.surface.accuracy[row][column], row, column) for row in (0, -1) for column in (0, -1)]
    ends = [
        f"{percent(cell.estimate)} % with {advice.surface.objects[row]:.0f} × {advice.surface.shots[column]:.0f}"
        for cell, row, column in cells
    ]
    return f"Accuracy foreseen for objects of each class × shots of each: {', '.join(ends)}."


def _advice_content(advice: Advice) -> Content:
    """The advice in words, its learning curve if one could be measured, and the curve in numbers."""
    drawing = None
    if advice.points:
        each = ", ".join(f"{percent(point.accuracy.estimate)} % with {point.images:,}" for point in advice.points)
        alt = f"Accuracy on objects left out: {each} images."
        drawing = svg_element(learning_curve(advice), name="advice", alt=alt)
    surface = None
    if advice.points and advice.surface is not None and not advice.surface.is_flat:
        surface = svg_element(design_surface(advice, advice.surface), name="surface", alt=_surface_words(advice))
    worths = None
    if any(factor.worth for factor in advice.factors):
        alt = "What the variety of each factor is worth."
        worths = svg_element(differences.factor_worths(advice), name="factors", alt=alt)
    sentences = [f"{sentence}." for sentence in advice_sentences(advice)]
    return {
        "found": advice,
        "sentences": sentences,
        "curve": drawing,
        "surface": surface,
        "worths": worths,
        "table": tables.learning_table(advice) if advice.points else None,
    }
