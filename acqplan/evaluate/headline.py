"""What matters to a reader, first: one sentence and one number of a recommendation or a benchmark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from acqplan.evaluate.verdict import NO_DIFFERENCE, Point, Validation, Verdict, curve_points
from acqplan.numbers import count_noun, count_range, duration, listed, percent, points

if TYPE_CHECKING:
    from acqplan.advice.answers import Advice
    from acqplan.evaluate.findings import Findings
    from acqplan.evaluate.recommend import Recommendation
    from acqplan.plan.plan import Plan

# What the strategies that every plan is compared with do, for readers who do not know their names.
WAYS = {
    "even": "one even grid",
    "random": "one random set",
    "even-staggered": "staggered grids",
    "random-shots": "random shots",
}
# A part of the images is named if it is small, and reaches nearly what all do.
NEARLY, LARGEST_PART = 0.98, 0.67
# An opponent that took a smaller share of the budget than this is said to have.
FULL_SHARE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """The first words of every report.

    Attributes:
        task: What to do; empty for a benchmark.
        finding: What it gains, and how little would do.
        number: The number that matters most, with its unit.
        about: What the number is of.
    """

    task: str
    finding: str
    number: str
    about: str

    @property
    def sentence(self) -> str:
        """All of it in words."""
        return f"{self.task} {self.finding}".strip()


def headline(result: Recommendation) -> Headline:
    """The headline of a recommendation: images to take, what they gain on other ways, how few would do.

    The number is the accuracy on new objects if it was examined, else that on captured objects left out in turn, else
    the time of taking the images, else how many they are.
    """
    plan, validation, advice = result.plan, result.validation, result.advice
    parts = []
    number, about = f"{len(plan):,}", "images to take"
    if plan.route_seconds:
        number, about = duration(plan.route_seconds), "to take them all"
    if plan.predicted is not None:
        accuracy, low, high = plan.predicted
        is_before = advice is not None and advice.images == plan.captured
        seen = f"with the {plan.captured:,} images captured so far" if is_before else "with these images"
        number, about = f"{percent(accuracy)} %", f"right on objects left out in turn, {seen} ({_interval(low, high)})"
    if validation is not None and validation.records:
        parts.append(gained(validation, plan.strategy))
        own = full_points(validation)[plan.strategy]
        tested = validation.kept_aside.get("tested", "new objects")
        number, about = f"{percent(own.accuracy)} %", f"right on {tested} ({_interval(own.low, own.high)})"
    else:
        parts.append("What they gain over other ways of choosing is not measured.")
    if advice is not None and not plan.captured:
        parts.append(few_would_do(advice))
    return Headline(task=taking(plan), finding=" ".join(filter(None, parts)), number=number, about=about)


def benchmark_headline(findings: Findings) -> Headline:
    """The headline of a benchmark: its primary finding."""
    design = findings.results.design
    verdict = min(findings.verdicts, key=lambda verdict: verdict.b != design.baseline)
    at, (low, high) = f"at {verdict.budget:,} images", map(points, verdict.ci95)
    number, about = points(verdict.difference), f"points against {verdict.b} {at} (95 % interval {low} to {high})"
    if verdict.verdict == NO_DIFFERENCE:
        # the verdict is corrected for all comparisons
        about = about.replace(")", " of this comparison alone)") if verdict.ci95[0] * verdict.ci95[1] > 0.0 else about
        sentence = f"No difference found between {verdict.a} and {verdict.b} {at}."
    else:
        by = f"{percent(abs(verdict.difference))} points"
        sentence = f"{verdict.a} is {verdict.verdict} than {verdict.b} by {by} {at}."
    return Headline(task="", finding=sentence, number=number, about=about)


def taking(plan: Plan) -> str:
    """What to take, e.g. ``Take these 90 images: 3 or 4 of each of 25 objects``."""
    counts = np.bincount(plan.shots.object_rows, minlength=len(plan.shots.objects))
    before = f", beside the {plan.captured:,} captured before" if plan.captured else ""
    of = f"{count_range(counts)} of each of {count_noun(len(counts), 'object')}"
    return f"Take these {count_noun(len(plan), 'image')}: {of}{before}."


def few_would_do(advice: Advice) -> str:
    """How few of the captured images reach nearly what all do; nothing if many are needed, or it was not measured.

    Nor where the advice is to go on, which it would seem to contradict.
    Measured on left-out objects, not read off the foreseen curve, whose interval says little of such small gaps.
    """
    if len(advice.points) < 2 or advice.end.answer == "go on":
        return ""
    last = advice.points[-1]
    shares = [point.accuracy.estimate / max(last.accuracy.estimate, 1e-9) for point in advice.points]
    enough = next(row for row in range(len(shares)) if min(shares[row:]) >= NEARLY)
    if advice.points[enough].images > LARGEST_PART * last.images:
        return ""
    reached = "as much as all" if shares[enough] >= 1.0 else f"{int(100 * shares[enough])} % of what all do"
    return f"{advice.points[enough].images:,} images already reach {reached}, on objects left out."


def full_points(validation: Validation) -> dict[str, Point]:
    """Accuracy of each strategy under the full budget, the most accurate first."""
    most = max(record.budget for record in validation.records)
    found = curve_points([record for record in validation.records if record.budget == most])
    return {point.strategy: point for point in sorted(found, key=lambda point: -point.accuracy)}


def gained(validation: Validation, own: str) -> str:
    """What the plan gains on other ways of choosing, losses first; "no difference found" does not mean equal."""
    there, verdicts = full_points(validation), [verdict for verdict in validation.verdicts if verdict.a == own]
    verdicts.sort(key=lambda verdict: [*there].index(verdict.b) if verdict.b in there else len(there))

    def way(verdict: Verdict) -> str:
        name, point = WAYS.get(verdict.b, verdict.b), there.get(verdict.b)
        is_short = point is not None and point.images < FULL_SHARE * verdict.budget
        return f"{name} ({point.images:,.0f} images)" if is_short and point is not None else name

    parts = []
    for answer in ("worse", "better", NO_DIFFERENCE):
        mine = [verdict for verdict in verdicts if verdict.verdict == answer]
        is_every, is_gain = len(mine) == len(verdicts) > 1, answer != NO_DIFFERENCE
        every = f"{'all' if is_gain else 'any of'} {len(mine)} other ways: " if is_every else ""
        ways = [f"{way(one)} by {percent(abs(one.difference))} points" if is_gain else way(one) for one in mine]
        if mine:
            words = listed(ways, "and" if is_gain else "or")
            parts.append(f"{answer} {'than' if is_gain else 'against'} {every}{words}")
    words = "; ".join(parts)
    return f"{words[0].upper()}{words[1:]}." if words else ""


def _interval(low: float, high: float) -> str:
    return f"95 % interval {percent(low)} to {percent(high)}"
