"""A benchmark in the terminal: every strategy at every budget, what the claim says of it, and that in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from acqplan.evaluate.verdict import Verdict
from acqplan.numbers import points, shortened
from acqplan.report.standing import accuracies, budget_ranks, in_order, primary_first
from acqplan.report.table.comparison import ANSWER_STYLES, bullets

if TYPE_CHECKING:
    from acqplan.evaluate.findings import Findings

LONGEST_NAME = 16
VERDICT = 14
"""Columns of the verdict: a signed difference and one word."""

MOST_SENTENCES = 12
WORDS = {"better": "better", "worse": "worse", "no difference found": "no diff."}


def benchmark_table(findings: Findings, *, width: int = 80) -> RenderableType:
    """Accuracy of every strategy at every budget, the verdicts of the claim, and those in words.

    Args:
        findings: What the benchmark found.
        width: Columns of the terminal; budgets that do not fit are left out, the primary one never.
    """
    design = findings.results.design
    budgets = _shown(findings, width)
    parts: list[RenderableType] = [_title(findings), Text(), _table(findings, budgets), Text()]
    parts += [Text(_footnote(findings, len(design.budgets) - len(budgets)), style="dim"), Text()]
    sentences = [text for text, _ in primary_first(findings)]
    parts.append(bullets(sentences[:MOST_SENTENCES]))
    if len(sentences) > MOST_SENTENCES:
        parts.append(Text(f"  {len(sentences) - MOST_SENTENCES} more in report.html", style="dim"))
    if findings.failed:
        parts += [Text(), Text(_failures(findings), style="bold red")]
    return Group(*parts)


def _title(findings: Findings) -> Text:
    design = findings.results.design
    title = Text(f"{shortened(design.primary, 30)} against {len(design.strategies) - 1} others", style="bold")
    seeds = f"{len(design.seeds)} seed{'s' * (len(design.seeds) != 1)}"
    return title.append(f"; {seeds}; design {design.digest[:12]}", style="not bold")


def _shown(findings: Findings, width: int) -> list[int]:
    """Budgets that fit, the largest first to stay; the primary one always."""
    design = findings.results.design
    names = max(len(shortened(name, LONGEST_NAME)) for name in design.strategies)
    room = width - max(names, len("strategy")) - 1 - VERDICT
    wanted = dict.fromkeys([design.primary_budget, *budget_ranks(design.budgets)])
    kept: list[int] = []
    for budget in wanted:
        room -= _cell(budget) + 1
        if room >= 0 or not kept:
            kept.append(budget)
    return sorted(kept)


def _cell(budget: int) -> int:
    return max(len(f"{budget:,}"), len("100.0"))


def _table(findings: Findings, budgets: Sequence[int]) -> Table:
    design = findings.results.design
    verdicts = {verdict.b: verdict for verdict in findings.verdicts}
    at = accuracies(findings)
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("strategy", no_wrap=True)
    for budget in budgets:
        table.add_column(f"{budget:,}", justify="right", no_wrap=True)
    table.add_column("difference", no_wrap=True, max_width=VERDICT)
    for name in in_order(findings):
        cells = [Text(_percent(at.get((name, budget)))) for budget in budgets]
        verdict = Text("the claim") if name == design.primary else _verdict(verdicts.get(name))
        table.add_row(Text(shortened(name, LONGEST_NAME)), *cells, verdict, style="bold" * (name == design.primary))
    return table


def _percent(accuracy: float | None) -> str:
    return "failed" if accuracy is None else f"{100 * accuracy:.1f}"


def _verdict(verdict: Verdict | None) -> Text:
    if verdict is None:
        return Text("failed", style="dim")
    return Text(f"{points(verdict.difference):>5} {WORDS[verdict.verdict]}", style=ANSWER_STYLES[verdict.verdict])


def _footnote(findings: Findings, hidden: int) -> str:
    design = findings.results.design
    more = f" {hidden} more budget{'s' * (hidden != 1)} in results.csv." if hidden else ""
    return (
        f"Accuracy on new objects, %, against images allowed.{more} Difference: {shortened(design.primary, 40)} minus "
        f"the other at {design.primary_budget:,} images, points; it is better or worse if that holds for other objects "
        "and other seeds, Holm-corrected. “No diff.”: none found, which does not mean equal."
    )


def _failures(findings: Findings) -> str:
    names = ", ".join(shortened(name, LONGEST_NAME) for name in sorted({cell.strategy for cell in findings.failed})[:8])
    n = len(findings.failed)
    return f"{n:,} cell{'s' * (n != 1)} failed: {names}; report.html names them all"
