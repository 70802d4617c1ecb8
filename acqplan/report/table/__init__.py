"""Tables for the terminal: the plan as one picture, comparisons of strategies, facts."""

from __future__ import annotations

from acqplan.report.table.benchmark import benchmark_table
from acqplan.report.table.comparison import (
    advice_summary,
    advice_table,
    comparison_table,
    facts_table,
    predictions_table,
)
from acqplan.report.table.plan import plan_table, sparkline

__all__ = [
    "advice_summary",
    "advice_table",
    "benchmark_table",
    "comparison_table",
    "facts_table",
    "plan_table",
    "predictions_table",
    "sparkline",
]
