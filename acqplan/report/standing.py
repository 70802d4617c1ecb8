"""What the benchmark's tables, plots and page all need: order of strategies, accuracies, the claim's own verdict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from acqplan.evaluate.verdict import Answer, Verdict

if TYPE_CHECKING:
    from acqplan.evaluate.findings import Findings

MOST_DRAWN = 14
"""Strategies that a picture tells apart; the others are in the tables and in validation.json."""


def accuracies(findings: Findings) -> dict[tuple[str, int], float]:
    """Accuracy of each strategy at each budget that it finished."""
    return {(point.strategy, point.budget): point.accuracy for point in findings.points}


def in_order(findings: Findings) -> list[str]:
    """Strategies: the primary one, the baseline, and then the more accurate at the primary budget first."""
    design, at = findings.results.design, accuracies(findings)
    first = [design.primary, design.baseline]
    others = [name for name in design.strategies if name not in first]
    return first + sorted(others, key=lambda name: -at.get((name, design.primary_budget), -1.0))


def drawn(findings: Findings, most: int = MOST_DRAWN) -> list[str]:
    """The strategies that pictures show: the first of `in_order` that finished anything at the primary budget."""
    at, budget = accuracies(findings), findings.results.design.primary_budget
    return [name for name in in_order(findings) if (name, budget) in at][:most]


def by_accuracy(findings: Findings, names: Sequence[str]) -> list[str]:
    """The same strategies, the most accurate at the primary budget first."""
    at, budget = accuracies(findings), findings.results.design.primary_budget
    return sorted(names, key=lambda name: -at.get((name, budget), -1.0))


def primary_contrast(findings: Findings) -> Verdict:
    """The comparison that the claim rests on: the primary strategy against the baseline at the primary budget."""
    design = findings.results.design
    return next(verdict for verdict in findings.verdicts if verdict.b == design.baseline)


def primary_first(findings: Findings) -> list[tuple[str, Verdict]]:
    """Sentences of the claim with their verdicts, the primary contrast at the top."""
    both = list(zip(findings.sentences, findings.verdicts, strict=True))
    return sorted(both, key=lambda pair: pair[1].b != findings.results.design.baseline)


def contrast_at_budgets(findings: Findings) -> list[Verdict]:
    """The primary contrast at every budget at which both finished, ascending."""
    design = findings.results.design
    every = [*findings.others, *findings.verdicts]
    return sorted((verdict for verdict in every if verdict.b == design.baseline), key=lambda verdict: verdict.budget)


def counted(findings: Findings) -> dict[Answer, int]:
    """How many comparisons of the claim ended in each answer."""
    answers: tuple[Answer, ...] = ("better", "worse", "no difference found")
    found = [verdict.verdict for verdict in findings.verdicts]
    return {answer: found.count(answer) for answer in answers}


def budget_ranks(budgets: Sequence[int]) -> list[int]:
    """Budgets in the order in which to keep them: the ends, then the middle, then the middles of what is left."""
    order = sorted(budgets)
    kept: list[int] = []
    parts = [(0, len(order) - 1)]
    while parts:
        low, high = parts.pop(0)
        kept += [order[row] for row in (high, low, (low + high) // 2) if row >= 0]
        middle = (low + high) // 2
        parts += [part for part in ((low, middle), (middle, high)) if part[1] - part[0] > 1]
    return list(dict.fromkeys(kept))
