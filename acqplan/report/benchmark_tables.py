"""Tables of a benchmark's page: the claim, images against objects, standings, every budget."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from acqplan.evaluate.records import Verdict
from acqplan.report.benchmark_words import image_answer
from acqplan.report.parts import cards, table
from acqplan.report.standing import accuracies, in_order, primary_first
from acqplan.report.summary import p_text, points

if TYPE_CHECKING:
    from acqplan.evaluate.benchmark.findings import Findings
    from acqplan.evaluate.benchmark.standings import Standing
    from acqplan.evaluate.censored import Bounds, ImagesToReach


def claim_table(findings: Findings) -> str:
    """The claim in numbers: the tests on objects and seeds, which decide."""
    design = findings.results.design
    verdicts = [verdict for _, verdict in primary_first(findings)]
    columns = (
        "against", "difference, points", "95 % interval", "p, objects and seeds (Holm; decides)",
        f"p, equal within {100 * design.margin:g} point", "objects × seeds", "verdict",
    )  # fmt: skip
    caption = f"{design.primary} at {design.primary_budget:,} images"
    return cards(columns, [_claim_row(verdict) for verdict in verdicts], caption=caption, kinds=_kinds(verdicts))


def _claim_row(verdict: Verdict) -> list[str]:
    low, high = map(points, verdict.ci95)
    return [
        verdict.b, points(verdict.difference), f"{low} to {high}", p_text(verdict.p), p_text(verdict.p_equivalent),
        f"{verdict.n_objects} × {verdict.n_seeds}", verdict.verdict,
    ]  # fmt: skip


def _kinds(verdicts: list[Verdict]) -> list[str]:
    return [verdict.verdict.split()[0] for verdict in verdicts]


def images_table(findings: Findings) -> str:
    """The same comparisons by tests that take the objects, or the seeds, as given; those that differ are marked."""
    verdicts = [verdict for _, verdict in primary_first(findings)]
    columns = (
        "against", "images only the first / only the other got right", "p, McNemar (conditional on these objects)",
        "p, Obuchowski (images by object)", "p, Durkalski (images by object)", "p, objects alone (Holm; these seeds)",
        "images alone say", "objects and seeds say",
    )  # fmt: skip
    kinds = [
        "differs" if image_answer(verdict) != verdict.verdict else verdict.verdict.split()[0] for verdict in verdicts
    ]
    caption = "Images and clustered tests: the heads of the first seed"
    return cards(columns, [_images_row(verdict) for verdict in verdicts], caption=caption, kinds=kinds)


def _images_row(verdict: Verdict) -> list[str]:
    p_values = (verdict.p_mcnemar, verdict.p_obuchowski, verdict.p_durkalski, verdict.p_object)
    counts = f"{verdict.n10:,} / {verdict.n01:,}"
    images = image_answer(verdict)
    mark = " ≠" if images != verdict.verdict else ""
    return [verdict.b, counts, *map(p_text, p_values), images + mark, verdict.verdict]


def standings_table(findings: Findings) -> str:
    """Every strategy over all budgets, the largest area first."""
    design, several = findings.results.design, len(findings.results.design.budgets) > 1
    area = "area, %" if several else "accuracy, %"
    columns = (
        "strategy", area, "gain, points", "95 % interval", f"images to reach {100 * findings.target:.1f} %",
        "95 % interval", "speed-up", "95 % interval", "mean rank",
    )  # fmt: skip
    order = sorted(findings.standings, key=lambda standing: -standing.area)
    kinds = [
        "own" if standing.strategy == design.primary else "base" * (standing.strategy == design.baseline)
        for standing in order
    ]
    label = "Standings over all budgets"
    return table(columns, [_standing_row(standing) for standing in order], label=label, kinds=kinds)


def _standing_row(standing: Standing) -> list[str]:
    gain, reach, speed = standing.area_gain, standing.reach, standing.speed_up
    gained = ("–", "–") if gain is None else (points(gain.mean), f"{points(gain.low)} to {points(gain.high)}")
    ratio = ("–", "–") if gain is None else (f"{speed.text} ×", _ratio_interval(speed.interval))
    return [
        standing.strategy, f"{100 * standing.area:.1f}", *gained, reach.text,
        reach_interval(reach), *ratio, f"{standing.rank:.1f}",
    ]  # fmt: skip


def reach_interval(reach: ImagesToReach) -> str:
    """An interval of images; its ends may lie beyond the budgets measured."""
    low = f"{reach.interval.low:,.0f}" if reach.interval.low else f"≤ {reach.smallest:,}"
    high = f"> {reach.largest:,}" if math.isinf(reach.interval.high) else f"{reach.interval.high:,.0f}"
    return f"{low} to {high}"


def _ratio_interval(ratio: Bounds) -> str:
    if math.isinf(ratio.high):
        return f"≥ {ratio.low:,.1f}" if ratio.low else "unknown"
    return f"{ratio.low:,.1f} to {ratio.high:,.1f}" if ratio.low else f"≤ {ratio.high:,.1f}"


def budget_tables(findings: Findings) -> str:
    """Accuracy and mean rank of every strategy at every budget."""
    budgets, at = findings.results.design.budgets, accuracies(findings)
    columns = ["strategy", *(f"{budget:,} images" for budget in budgets)]
    shares = [
        [name, *(f"{100 * at[name, budget]:.1f}" if (name, budget) in at else "failed" for budget in budgets)]
        for name in in_order(findings)
    ]
    every = table(columns, shares, label="Accuracy at every budget", caption="Accuracy on new objects, %")
    ranks = [[s.strategy, *(f"{rank:.1f}" for rank in s.ranks), f"{s.rank:.1f}"] for s in findings.standings]
    if not ranks:
        return every
    caption = "Mean rank over objects, 1 the best"
    return every + table([*columns, "mean"], ranks, label="Ranks at every budget", caption=caption)
