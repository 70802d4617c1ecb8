"""report.html of a benchmark: which strategy is better, how sure that is, and what it looks like."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from acqplan.numbers import count_noun, percent, points
from acqplan.report.compared import MOST_DRAWN, Compared
from acqplan.report.page import Content, advice_content, render, small_dials
from acqplan.report.plot import curves, differences, views
from acqplan.report.plot.style import svg_element
from acqplan.report.tables import (
    accuracy_table,
    advice_table,
    comparison_table,
    image_answer,
    images_table,
    ranks_table,
    reach_interval,
    standings_table,
)

if TYPE_CHECKING:
    from acqplan.evaluate.findings import Findings


def benchmark_page_text(findings: Findings, *, facts: Mapping[str, str] | None = None) -> str:
    """The page as text; the same arguments give the same text.

    Args:
        findings: What the benchmark found.
        facts: More lines for the design, e.g. ``{"rig": "toys"}``.
    """
    design, compared = findings.results.design, Compared.of_findings(findings)
    there, least = compared.at(compared.budget), findings.smallest_difference
    reached = [standing.reach for standing in findings.standings if standing.strategy == design.primary]
    reach = {"text": reached[0].text, "interval": reach_interval(reached[0])} if reached else None
    # Comparisons in which a test on images alone would have concluded something else.
    differ = [verdict for verdict in compared.verdicts if image_answer(verdict) != verdict.verdict]
    content: Content = {
        "headline": headline(findings),
        "findings": findings,
        "design": design,
        "compared": compared,
        "claim": compared.verdicts[0],
        "counts": _counted(compared),
        "detectable": None if math.isnan(least) else least,
        "main_points": [there[name] for name in (design.primary, design.baseline) if name in there],
        "reach": reach if len(compared.budgets) > 1 else None,
        "n_cells": len(design.cells) * len(findings.results.blocks),
        "n_failed": len(findings.failed),
        "failures": list(_failures(findings)),
        "comparison": comparison_table(compared),
        "standings": standings_table(findings),
        "accuracies": accuracy_table(compared, compared.budgets),
        "ranks_table": ranks_table(findings),
        "images": images_table(compared),
        "facts": facts or {},
        "n_differ": len(differ),
        "differ": ", ".join(verdict.b for verdict in differ),
        "missed": ", ".join(verdict.b for verdict in differ if image_answer(verdict) == "no difference found"),
        "advice": None,
    }
    if findings.advice:
        largest = max(findings.advice)
        content |= {"advice": advice_content(findings.advice[largest]), "advice_budget": largest}
        content["advice_table"] = advice_table(findings.advice)
    for part in (_curves, _differences, _dials, _ideas_and_ranks):
        content |= part(findings, compared)
    return render("benchmark.html", content)


def headline(findings: Findings) -> str:
    """The primary finding in one sentence."""
    verdict = Compared.of_findings(findings).verdicts[0]
    low, high = map(points, verdict.ci95)
    at, interval = f"at {verdict.budget:,} images", f"(95 % interval {low} to {high})"
    if verdict.verdict == "no difference found":
        between = f"No difference found between {verdict.a} and {verdict.b} {at}"
        return f"{between}: {points(verdict.difference)} points {interval}."
    by = f"{percent(abs(verdict.difference))} points"
    return f"{verdict.a} is {verdict.verdict} than {verdict.b} by {by} {at} {interval}."


def _counted(compared: Compared) -> dict[str, int]:
    """How many comparisons of the claim ended in each answer."""
    found: list[str] = [verdict.verdict for verdict in compared.verdicts]
    return {answer: found.count(answer) for answer in ("better", "worse", "no difference found")}


def _failures(findings: Findings) -> Iterator[str]:
    """Every cell that failed, those of one strategy, budget and reason together."""
    groups: dict[tuple[str, int, str], list[str]] = {}
    for cell in findings.failed:
        where = f"{cell.seed}{' swapped' if cell.swapped else ''}"
        groups.setdefault((cell.strategy, cell.budget, cell.reason), []).append(where)
    for (strategy, budget, reason), seeds in groups.items():
        word = "seed" if len(seeds) == 1 else "seeds"
        yield f"{strategy} at {budget:,} images, {word} {', '.join(seeds)}: {reason}"


def _curves(findings: Findings, compared: Compared) -> Content:
    """Accuracy of all strategies against images, with the primary contrast, and each with its band."""
    there = compared.at(compared.budget)
    best = ", ".join(f"{name} {percent(there[name].accuracy)} %" for name in compared.by_accuracy(list(there)))
    gains = ", ".join(f"{points(verdict.difference)} at {verdict.budget:,}" for verdict in compared.contrast)
    contrast = f"{compared.primary} minus {compared.baseline} in points: {gains} images."
    alt = f"Accuracy on new objects against images. At {compared.budget:,} images: {best}. {contrast}"
    n_drawn, n, left_out = len(compared.drawn), len(compared.strategies), ""
    if n_drawn < n:
        reason = f"the most accurate {MOST_DRAWN}" if n_drawn == MOST_DRAWN else f"the {n_drawn} that finished"
        left_out = f"Pictures show {reason} of {n} strategies; the tables have all."
    small = None
    if len(compared.budgets) > 1:
        words = (
            "One small panel per strategy: accuracy against images with its 95 % band, the baseline's line behind it."
        )
        small = svg_element(curves.small_curves(compared), name="strategies", alt=words)
    return {
        "curves": svg_element(curves.accuracy_curve(compared), name="curves", alt=alt),
        "runs": f"{count_noun(compared.n_objects, 'object')} and {count_noun(compared.n_seeds, 'seed')}",
        "left_out": left_out,
        "small_curves": small,
    }


def _differences(findings: Findings, compared: Compared) -> Content:
    """All pairs at the primary budget, and differences of single objects."""
    found = [verdict for verdict in findings.pairs if verdict.verdict != "no difference found"]
    words = f"{len(found)} of {count_noun(len(findings.pairs), 'pair')} differ at {compared.budget:,} images"
    ordered = [(verdict.a, verdict.b) if verdict.difference > 0 else (verdict.b, verdict.a) for verdict in found]
    winners = ", ".join(f"{better} over {worse}" for better, worse in ordered)
    matrix = f"{words}: {winners}." if winners else f"{words}."
    ends = ", ".join(f"{count} {answer}" for answer, count in _counted(compared).items() if count)
    means = ", ".join(f"{points(verdict.difference)} against {verdict.b}" for verdict in compared.verdicts)
    alt = f"Differences of each object; means in points: {means}. Verdicts: {ends}."
    return {
        "matrix": svg_element(differences.verdict_matrix(findings), name="verdicts", alt=matrix),
        "matrix_words": words,
        "matrix_rem": 6.5 + 2 * len(compared.drawn),
        "differences": svg_element(differences.object_differences(compared), name="objects", alt=alt),
    }


def _dials(findings: Findings, compared: Compared) -> Content:
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
        "all_dials": small_dials("every", every, where + more),
        "single_object": name,
        "single_dials": small_dials("single", single, note) if single else None,
    }


def _ideas_and_ranks(findings: Findings, compared: Compared) -> Content:
    """What each idea adds, and ranks over budgets; nothing where there is nothing to show."""
    ideas = ranks = None
    if findings.ideas:
        gains = "; ".join(f"{idea.idea}: {points(idea.primary.mean)} points" for idea in findings.ideas)
        alt = f"What each idea adds at {compared.budget:,} images. {gains}."
        ideas = svg_element(differences.idea_gains(findings), name="ideas", alt=alt)
    if len(compared.budgets) > 1 and findings.standings:
        order = sorted(findings.standings, key=lambda standing: standing.rank)
        alt = "Mean ranks: " + ", ".join(f"{standing.strategy} {standing.rank:.1f}" for standing in order) + "."
        ranks = svg_element(curves.rank_curves(findings), name="ranks", alt=alt)
    return {"ideas": ideas, "ranks": ranks}
