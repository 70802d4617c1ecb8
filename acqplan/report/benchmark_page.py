"""report.html of a benchmark: which strategy is better, how sure that is, and what it looks like."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from acqplan.files import replacing
from acqplan.numbers import count_noun, points
from acqplan.report import plot
from acqplan.report.benchmark_tables import (
    READING,
    accuracy_words,
    budget_tables,
    claim_table,
    disagreement,
    failures,
    headline,
    images_table,
    lead,
    reach_interval,
    registration,
    standings_table,
)
from acqplan.report.page import TITLE, advice_part, advice_table, small_dials
from acqplan.report.parts import bullets, definitions, figure, folded, page, paragraphs, section, text
from acqplan.report.standing import MOST_DRAWN, contrast_at_budgets, counted, drawn, primary_contrast, primary_first

if TYPE_CHECKING:
    from acqplan.evaluate.findings import Findings


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


MOST_SENTENCES = 10
"""More verdicts than this are folded away."""


def write_benchmark_page(path: Path, findings: Findings, *, facts: Mapping[str, str] | None = None) -> None:
    """Write the report of a benchmark as one HTML file that needs no network and no script.

    Args:
        path: The file to replace, usually ``report.html``.
        findings: What the benchmark found.
        facts: More lines for the design, e.g. ``{"rig": "toys"}``.

    Raises:
        OutputError: If the file cannot be written.
    """
    written = benchmark_page_text(findings, facts=facts)
    with replacing(path) as handle:
        handle.write(written)


def benchmark_page_text(findings: Findings, *, facts: Mapping[str, str] | None = None) -> str:
    """The page as text; the same arguments give the same text."""
    design = findings.results.design
    return page(
        title=f"{design.primary} against {design.baseline}",
        kicker="benchmark",
        headline=headline(findings),
        lead=paragraphs(*lead(findings)),
        tiles=_tiles(findings),
        body="\n".join(_sections(findings, facts or {})),
    )


def _sections(findings: Findings, facts: Mapping[str, str]) -> Iterator[str]:
    yield section("Verdicts", _sentences(findings))
    yield section("What failed", _failed(findings))
    yield section("Accuracy against images", curve_pictures(findings))
    yield section("Who differs, and on which objects", _pair(matrix_picture(findings), object_picture(findings)))
    yield section("Which views each strategy took", view_dials(findings))
    ideas, ranks = idea_picture(findings), rank_picture(findings)
    both = (("What each idea adds", ideas), ("who leads when", ranks))
    title = ", and ".join(name for name, picture in both if picture)
    yield section(title[:1].upper() + title[1:], _pair(ideas, ranks))
    yield section("Standings", _standings(findings))
    yield section("Images and objects", paragraphs(*disagreement(findings)) + images_table(findings))
    yield section(TITLE, _advice(findings))
    yield section("The design, settled beforehand", definitions(registration(findings, facts)))
    yield section("How to read the numbers", bullets(READING), kind="notes")


def _tiles(findings: Findings) -> Iterator[tuple[str, str, str]]:
    design, verdict = findings.results.design, primary_contrast(findings)
    low, high = map(points, verdict.ci95)
    yield points(verdict.difference), f"points against {verdict.b}", f"{low} to {high}; {verdict.verdict}"
    for point in findings.points:
        if point.budget == design.primary_budget and point.strategy in (design.primary, design.baseline):
            yield f"{100 * point.accuracy:.1f} %", f"{point.strategy}, new objects", _interval(point.low, point.high)
    for standing in findings.standings:
        if standing.strategy == design.primary and len(design.budgets) > 1:
            same = f"to reach {100 * findings.target:.1f} %"
            yield standing.reach.text, f"images {same}", reach_interval(standing.reach)
    cells = len(design.cells) * len(findings.results.blocks)
    failed = f"{len(findings.failed):,} failed" if findings.failed else "none failed"
    yield f"{cells:,}", "cells run", f"{count_noun(verdict.n_objects, 'object')}; {failed}"


def _interval(low: float, high: float) -> str:
    return f"{100 * low:.1f} to {100 * high:.1f}"


def _sentences(findings: Findings) -> str:
    """The primary contrast first and bold; many others are folded away, but there."""
    first, *others = [f"{sentence}." for sentence, _ in primary_first(findings)]
    items = "".join(f"<li>{text(sentence)}</li>" for sentence in others[:MOST_SENTENCES])
    shown = f'<ul class="verdicts"><li class="claim">{text(first)}</li>{items}</ul>'
    rest = others[MOST_SENTENCES:]
    more = folded(f"{len(rest)} more verdicts", bullets(rest, kind="verdicts")) if rest else ""
    return shown + more + folded("The same in numbers", claim_table(findings))


def _failed(findings: Findings) -> str:
    if not findings.failed:
        return ""
    n = count_noun(len(findings.failed), "cell")
    words = f"{n} failed and are in no figure; curves are compared without the same seeds of the other strategies."
    return paragraphs(words) + bullets(failures(findings), kind="failed")


def _pair(first: str, second: str) -> str:
    return f'<div class="pair">{first}{second}</div>' if first or second else ""


def _standings(findings: Findings) -> str:
    if not findings.standings:
        return paragraphs("No strategy has a standing: the baseline finished no run at all budgets.")
    words = "Exploratory. Gains and speed-ups are against the baseline, over the runs that all strategies finished."
    every = folded("Accuracy and rank at every budget", budget_tables(findings))
    return paragraphs(words) + standings_table(findings) + every


def _advice(findings: Findings) -> str:
    """What was said at every budget, and all that was said at the largest."""
    if not findings.advice:
        return ""
    design, largest = findings.results.design, max(findings.advice)
    words = (
        f"What the images captured by {design.primary} said at each budget, on the first split with seed "
        f"{design.seeds[0]}: from these images alone; no test object is looked at."
    )
    title = f"<h3>At {largest:,} images</h3>"
    return paragraphs(words) + advice_table(findings.advice) + title + advice_part(findings.advice[largest])
