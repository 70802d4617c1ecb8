"""report.html of a benchmark: which strategy is better, how sure that is, and what it looks like."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from acqplan.files import replacing
from acqplan.report.advice import TITLE, advice_part, advice_table
from acqplan.report.benchmark_pictures import (
    curve_pictures,
    idea_picture,
    matrix_picture,
    object_picture,
    rank_picture,
    view_dials,
)
from acqplan.report.benchmark_tables import budget_tables, claim_table, images_table, reach_interval, standings_table
from acqplan.report.benchmark_words import READING, disagreement, failures, headline, lead, registration
from acqplan.report.parts import bullets, definitions, folded, page, paragraphs, section, text
from acqplan.report.standing import primary_contrast, primary_first
from acqplan.report.summary import count_noun, points

if TYPE_CHECKING:
    from acqplan.evaluate.benchmark.findings import Findings

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
