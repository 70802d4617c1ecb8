"""Pictures of a benchmark's page: each plot as an inline SVG, with words for those who cannot see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acqplan.report import plot
from acqplan.report.benchmark_words import accuracy_words
from acqplan.report.parts import figure, text
from acqplan.report.pictures import small_dials
from acqplan.report.standing import MOST_DRAWN, contrast_at_budgets, counted, drawn
from acqplan.report.summary import count_noun, points

if TYPE_CHECKING:
    from acqplan.evaluate.benchmark.findings import Findings


def curve_pictures(findings: Findings) -> str:
    """Accuracy of all strategies against images, with the primary contrast, and each with its band."""
    words = f"Accuracy on new objects against images. {accuracy_words(findings)} {_contrast_words(findings)}"
    large = plot.svg_element(plot.benchmark_curves(findings), name="curves", alt=words)
    caption = _curve_caption(findings)
    if len(findings.results.design.budgets) < 2:
        return figure(large, caption)
    alt = "Small panels, one a strategy: accuracy against images with its 95 % band, the baseline's line behind it."
    small = plot.svg_element(plot.small_curves(findings), name="strategies", alt=alt)
    note = (
        "Bands: 95 % for other objects and other seeds. They are wide because objects differ from each other; "
        "strategies are compared object by object, so look at the differences."
    )
    return f'<div class="pair">{figure(large, caption)}{figure(small, note)}</div>'


def _curve_caption(findings: Findings) -> str:
    design = findings.results.design
    n_objects = max(verdict.n_objects for verdict in findings.verdicts)
    runs = f"{count_noun(n_objects, 'object')} and {count_noun(len(design.seeds), 'seed')}"
    return f"Each point is a mean over {runs}. {_left_out(findings)}".strip()


def _left_out(findings: Findings) -> str:
    """Which strategies a picture does not show, and where they are."""
    n_drawn, n = len(drawn(findings)), len(findings.results.design.strategies)
    if n_drawn == n:
        return ""
    reason = f"the most accurate {MOST_DRAWN}" if n_drawn == MOST_DRAWN else f"the {n_drawn} that finished"
    return f"Pictures show {reason} of {n} strategies; the tables have all."


def _contrast_words(findings: Findings) -> str:
    design = findings.results.design
    each = ", ".join(f"{points(v.difference)} at {v.budget:,}" for v in contrast_at_budgets(findings))
    return f"{design.primary} minus {design.baseline} in points: {each} images."


def matrix_picture(findings: Findings) -> str:
    """All pairs at the primary budget."""
    design = findings.results.design
    found = [v for v in findings.pairs if v.verdict != "no difference found"]
    words = f"{len(found)} of {count_noun(len(findings.pairs), 'pair')} differ at {design.primary_budget:,} images"
    winners = (f"{v.a} over {v.b}" if v.difference > 0 else f"{v.b} over {v.a}" for v in found)
    alt = f"{words}: {', '.join(winners)}." if found else f"{words}."
    picture = plot.svg_element(plot.verdict_matrix(findings), name="verdicts", alt=alt)
    note = f"{words}, after Holm's correction over all pairs. Read along a row: ▲ it is better, ▼ worse."
    wide = f'<div style="min-width:{6.5 + 2 * len(drawn(findings)):g}rem">{picture}</div>'  # else digits get too small
    return figure(f'<div class="roomy" tabindex="0" role="region" aria-label="Verdict matrix">{wide}</div>', note)


def object_picture(findings: Findings) -> str:
    """Differences of single objects."""
    counts = counted(findings)
    ends = ", ".join(f"{count} {answer}" for answer, count in counts.items() if count)
    means = ", ".join(f"{points(verdict.difference)} against {verdict.b}" for verdict in findings.verdicts)
    alt = f"Differences of each object; means in points: {means}. Verdicts: {ends}."
    picture = plot.svg_element(plot.object_differences(findings), name="objects", alt=alt)
    note = (
        "A verdict needs many objects on one side of 0, not many images of a few. Dots of one place are piled up; "
        "the outermost objects are those to look at first."
    )
    return figure(picture, note)


def view_dials(findings: Findings) -> str:
    """What each strategy took, all objects together and one of them, side by side."""
    every = plot.taken_shots(findings)
    if not every:
        return ""
    block = findings.results.blocks[0].block
    where = f"Seed {block.seed}, split {block.number}, {findings.results.design.primary_budget:,} images allowed."
    missing = len(findings.results.design.strategies) - len(every)
    more = f" {count_noun(missing, 'strategy')} not shown.".replace("strategys", "strategies") if missing else ""
    parts = [
        "<h3>All objects together</h3>",
        small_dials("every", every, where + more, style="dials many"),
    ]
    name, single = plot.first_object(every)
    if single:
        note = f"Only {name}. A rule that takes the same views of every object looks the same above and here."
        parts += [f"<h3>One object: {text(name)}</h3>", small_dials("single", single, note, style="dials many")]
    return "".join(parts)


def idea_picture(findings: Findings) -> str:
    """What each idea adds; nothing if no two strategies differ by one idea."""
    if not findings.ideas:
        return ""
    gains = "; ".join(f"{idea.idea}: {points(idea.primary.mean)} points" for idea in findings.ideas)
    budget = findings.results.design.primary_budget
    alt = f"What each idea adds at {budget:,} images. {gains}."
    note = "A strategy with the idea minus one without it, 95 % intervals over objects and seeds, not corrected."
    return figure(plot.svg_element(plot.idea_gains(findings), name="ideas", alt=alt), note)


def rank_picture(findings: Findings) -> str:
    """Ranks over budgets; nothing with one budget."""
    if len(findings.results.design.budgets) < 2 or not findings.standings:
        return ""
    order = sorted(findings.standings, key=lambda standing: standing.rank)
    alt = "Mean ranks: " + ", ".join(f"{standing.strategy} {standing.rank:.1f}" for standing in order) + "."
    note = "Each object ranks the strategies; ranks close together mean that objects do not agree on an order."
    return figure(plot.svg_element(plot.rank_curves(findings), name="ranks", alt=alt), note)
