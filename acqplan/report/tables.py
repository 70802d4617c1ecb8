"""Tables as data: what each says is settled here, once; `terminal` and the pages' templates draw them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from acqplan.evaluate.headline import full_points
from acqplan.evaluate.verdict import Answer, Verdict, answer
from acqplan.numbers import count_noun, p_text, percent, points, shortened
from acqplan.plan.plan import Plan
from acqplan.report.compared import Compared
from acqplan.report.counts import axis_title
from acqplan.statistics.objects import Estimate

if TYPE_CHECKING:
    from acqplan.advice.answers import Advice
    from acqplan.evaluate.findings import Findings
    from acqplan.evaluate.judging import PlannedTest
    from acqplan.evaluate.recommend import Recommendation
    from acqplan.statistics.curves import ImagesToReach

# A cell without a value.
NONE = "–"
FIRST_SHOTS = 12
MOST_SPENDINGS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table.

    Attributes:
        name: Its heading on a page.
        short: Its heading in a terminal, where lines may break; ``None`` where a terminal has no room for it.
        text: Whether it holds words, which a terminal aligns to the left.
        width: Letters that a terminal gives it at most; longer words are wrapped, or cut if there is one word only.
        below: Whether a terminal writes it below the column before it, to save width.
        wraps: Whether a page breaks its lines.
    """

    name: str
    short: str | None = None
    text: bool = False
    width: int | None = None
    below: bool = False
    wraps: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table that can be drawn in a terminal and on a page.

    Attributes:
        columns: Its columns.
        rows: Cells of each row, one per column.
        kinds: What each row is: ``better``, ``worse``, ``no`` (difference found), ``own``, ``base``, ``differs``,
            ``failed``, ``end``, or nothing; empty if all are alike.
        label: What a page calls the region that scrolls.
        caption: A line above the table, on a page.
        footnote: How to read the table, below it.
        cards: Whether a narrow page shows each row as a card instead of scrolling sideways.
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    kinds: Sequence[str] = ()
    label: str = ""
    caption: str = ""
    footnote: str = ""
    cards: bool = False


def comparison_table(compared: Compared) -> Table:
    """Every strategy at the budget of the verdicts: accuracy, difference from the primary one, tests and verdict."""
    names = (
        "strategy", "images taken", "accuracy, %", "difference, points", "95 % interval",
        "p, objects and seeds (Holm; decides)", f"p, equal within {compared.margin_words}",
        "p, objects alone (Holm; these seeds)", "p, McNemar (conditional on these objects)",
        "images only the first / only the other got right", "verdict",
    )  # fmt: skip
    columns = [Column(name=name) for name in names]
    there, verdicts = compared.at(compared.budget), {verdict.b: verdict for verdict in compared.verdicts}
    rows, kinds = [], []
    for name in sorted(compared.by_accuracy(list(there)), key=lambda name: name != compared.primary):
        point, verdict = there[name], verdicts.get(name)
        accuracy = f"{percent(point.accuracy)} ± {percent((point.high - point.low) / 2)}"
        tested = [NONE, "", *[NONE] * 5, ""]  # the primary strategy is not compared with itself
        if verdict is not None:
            low, high = map(points, verdict.ci95)
            p_values = map(p_text, (verdict.p, verdict.p_equivalent, verdict.p_object, verdict.p_mcnemar))
            differs = verdict.verdict != "no difference found"
            found = f"{shortened(verdict.a, 12)} is {verdict.verdict}" if differs else verdict.verdict
            images = f"{verdict.n10:,} / {verdict.n01:,}"
            tested = [points(verdict.difference), f"{low} to {high}", *p_values, images, found]
        rows.append([name, f"{point.images:,.0f}", accuracy, *tested])
        kinds.append("own" if name == compared.primary else _kind(verdict))
    footnote = (
        f"Accuracy on {compared.tested_words}, mean of {count_noun(compared.n_seeds, 'seed')}, ± and "
        f"difference with 95 % intervals; difference: {compared.primary} minus the other. p: for other objects and "
        "other seeds, Holm-corrected; it decides the verdict. p McNemar: on images, conditional on these objects and "
        "heads."
    )
    caption = f"Compared at {compared.budget:,} images over {compared.n_objects} objects"
    return Table(columns=columns, rows=rows, kinds=kinds, caption=caption, footnote=footnote, cards=True)


def gains_table(compared: Compared) -> Table:
    """Every strategy at the budget of the verdicts in few columns: accuracy, difference and verdict."""
    there, verdicts = compared.at(compared.budget), {verdict.b: verdict for verdict in compared.verdicts}
    rows, kinds = [], []
    for name in sorted(compared.by_accuracy(list(there)), key=lambda name: name != compared.primary):
        point, verdict = there[name], verdicts.get(name)
        cells = ["", "", "the plan"]
        if verdict is not None:
            found = "none found" if verdict.verdict == "no difference found" else f"plan is {verdict.verdict}"
            cells = [points(verdict.difference), " to ".join(map(points, verdict.ci95)), found]
        rows.append([name, f"{point.images:,.0f}", percent(point.accuracy), *cells])
        kinds.append("own" if name == compared.primary else _kind(verdict))
    names = ("strategy", "images", "accuracy, %", "plan gains", "95 % interval", "difference")
    columns = [Column(name=name, short=name, text=name in ("strategy", "difference")) for name in names]
    note = (
        f"Accuracy on {compared.tested_words}, mean of {count_noun(compared.n_seeds, 'seed')}; gains in points. "
        "Intervals are of one comparison each; a difference is found if it holds after correction for all of them."
    )
    return Table(columns=columns, rows=rows, kinds=kinds, footnote=note)


def accuracies_table(result: Recommendation) -> Table | None:
    """Every accuracy that a report names, what it is of, and why it differs from the first; ``None`` for one."""
    validation, advice, rows = result.validation, result.advice, list[list[str]]()

    def add(accuracy: float, low: float, high: float, of: str, why: str, level: str = "") -> None:
        interval = f"{percent(low)} to {percent(high)}{level}"
        rows.append([f"{percent(accuracy)} %", interval, of, why if rows else ""])

    if validation is not None and validation.records:
        own, of = full_points(validation)[result.plan.strategy], validation.kept_aside.get("tested", "new objects")
        seeds = count_noun(len({record.seed for record in validation.records}), "seed")
        objects = count_noun(len(validation.records[0].per_object), "object")
        add(own.accuracy, own.low, own.high, f"{of}, {objects}: heads of the plans of {seeds}", "")
    if advice is not None and advice.points:
        last, foreseen = advice.points[-1].accuracy, "foreseen from objects left out, not measured"
        of = f"{count_noun(advice.judged, 'captured object')} left out in turn: heads of the images of the others"
        why = "other objects than those kept aside, this plan alone, and heads that lack an object of each class"
        add(last.estimate, last.low, last.high, of, why)
        for name, end in (("all views of these objects", advice.saturation), ("the best use", advice.best)):
            if end is not None:
                share = end if isinstance(end, Estimate) else end.accuracy
                add(share.estimate, share.low, share.high, f"new objects, after {name}", foreseen, " (80 %)")
    names = ("accuracy", "95 % interval", "of what", "why it differs")
    columns = [Column(name=name, wraps=place > 1) for place, name in enumerate(names)]
    caption = "Which accuracy is which"
    return Table(columns=columns, rows=rows, cards=True, caption=caption) if len(rows) > 1 else None


def _kind(verdict: Verdict | None) -> str:
    return "" if verdict is None else verdict.verdict.split()[0]


def accuracy_table(compared: Compared, budgets: Sequence[int]) -> Table:
    """Accuracy of every strategy at some budgets, and its difference from the primary one."""
    verdicts = {verdict.b: verdict for verdict in compared.verdicts}
    at = {budget: compared.at(budget) for budget in budgets}
    rows, kinds = [], []
    for name in compared.order:
        accuracies = [percent(at[budget][name].accuracy) if name in at[budget] else "failed" for budget in budgets]
        verdict = verdicts.get(name)
        if name == compared.primary:
            difference = "the claim"
        elif verdict is None:
            difference = "failed"
        else:
            found = "no diff." if verdict.verdict == "no difference found" else verdict.verdict
            difference = f"{points(verdict.difference):>5} {found}"
        rows.append([name, *accuracies, difference])
        kinds.append("own" if name == compared.primary else _kind(verdict) or "failed")
    hidden = len(compared.budgets) - len(budgets)
    more = f" {count_noun(hidden, 'more budget')} in results.csv." if hidden else ""
    return Table(
        columns=[
            Column(name="strategy", short="strategy", text=True, width=16),
            *(Column(name=f"{budget:,} images", short=f"{budget:,}") for budget in budgets),
            Column(name="difference, points", short="difference", text=True, width=14),
        ],
        rows=rows,
        kinds=kinds,
        label="Accuracy at every budget",
        footnote=(
            f"Accuracy on {compared.tested}, %, against images allowed.{more} "
            f"Difference: {shortened(compared.primary, 40)} minus the other at {compared.budget:,} images, points; it "
            "is better or worse if that holds for other objects and seeds, Holm-corrected. “No diff.”: none found, "
            "which does not mean equal."
        ),
    )


def image_answer(verdict: Verdict) -> Answer:
    """What McNemar's test on images alone would say."""
    return answer(float(verdict.n10 - verdict.n01), verdict.p_mcnemar)


def images_table(compared: Compared) -> Table:
    """The same comparisons by tests that take the objects, or the seeds, as given; those that differ are marked."""
    rows, kinds = [], []
    for verdict in compared.verdicts:
        p_values = (verdict.p_mcnemar, verdict.p_obuchowski, verdict.p_durkalski, verdict.p_object)
        counts, images = f"{verdict.n10:,} / {verdict.n01:,}", image_answer(verdict)
        differs = images != verdict.verdict
        rows.append([verdict.b, counts, *map(p_text, p_values), images + " ≠" * differs, verdict.verdict])
        kinds.append("differs" if differs else _kind(verdict))
    names = (
        "against", "images only the first / only the other got right", "p, McNemar (conditional on these objects)",
        "p, Obuchowski (images by object)", "p, Durkalski (images by object)", "p, objects alone (Holm; these seeds)",
        "images alone say", "objects and seeds say",
    )  # fmt: skip
    caption = "Images and clustered tests: the heads of the first seed"
    return Table(columns=[Column(name=name) for name in names], rows=rows, kinds=kinds, caption=caption, cards=True)


def standings_table(findings: Findings) -> Table:
    """Every strategy over all budgets, the largest area first."""
    design = findings.results.design
    marks, rows, kinds = {design.primary: "own", design.baseline: "base"}, [], []
    for standing in sorted(findings.standings, key=lambda standing: -standing.area):
        gained, faster, reach = (NONE, NONE), (NONE, NONE), standing.reach
        if standing.area_gain is not None:  # the baseline gains nothing on itself
            gain, speed = standing.area_gain, standing.speed_up
            gained = (points(gain.mean), f"{points(gain.low)} to {points(gain.high)}")
            low, high = speed.interval.low, speed.interval.high
            if math.isinf(high):
                between = f"≥ {low:,.1f}" if low else "unknown"
            else:
                between = f"{low:,.1f} to {high:,.1f}" if low else f"≤ {high:,.1f}"
            faster = (f"{speed.text} ×", between)
        reached = (reach.text, reach_interval(reach))
        rows.append([standing.strategy, percent(standing.area), *gained, *reached, *faster, f"{standing.rank:.1f}"])
        kinds.append(marks.get(standing.strategy, ""))
    names = (
        "strategy", "area, %" if len(design.budgets) > 1 else "accuracy, %", "gain, points", "95 % interval",
        f"images to reach {percent(findings.target)} %", "95 % interval", "speed-up", "95 % interval", "mean rank",
    )  # fmt: skip
    return Table(
        columns=[Column(name=name) for name in names], rows=rows, kinds=kinds, label="Standings over all budgets"
    )


def reach_interval(reach: ImagesToReach) -> str:
    """An interval of images; its ends may lie beyond the budgets measured."""
    low = f"{reach.interval.low:,.0f}" if reach.interval.low else f"≤ {reach.smallest:,}"
    high = f"> {reach.largest:,}" if math.isinf(reach.interval.high) else f"{reach.interval.high:,.0f}"
    return f"{low} to {high}"


def ranks_table(findings: Findings) -> Table:
    """Mean rank of every strategy at every budget."""
    budgets = [f"{budget:,} images" for budget in findings.results.design.budgets]
    return Table(
        columns=[Column(name=name) for name in ("strategy", *budgets, "mean")],
        rows=[
            [standing.strategy, *(f"{rank:.1f}" for rank in (*standing.ranks, standing.rank))]
            for standing in findings.standings
        ],
        label="Ranks at every budget",
        caption="Mean rank over objects, 1 the best",
    )


def learning_table(advice: Advice) -> Table:
    """The learning curve on left-out objects, measured and fitted, and where it ends."""
    places: dict[int, tuple[Estimate | None, Estimate | None]]
    places = {point.images: (point.accuracy, None) for point in advice.points}
    for point in advice.curve:
        if point.images >= min(places):
            places[point.images] = (places.get(point.images, (None, None))[0], point.accuracy)

    def cells(accuracy: Estimate | None) -> tuple[str, str]:
        if accuracy is None:
            return NONE, NONE
        return percent(accuracy.estimate), f"{percent(accuracy.low)} to {percent(accuracy.high)}"

    return Table(
        columns=[
            Column(name="images", short="images"),
            Column(name="accuracy, %", short="accuracy\n%"),
            Column(name="95 % interval", short="95 %\ninterval"),
            Column(name="foreseen, %", short="foreseen\n%"),
            Column(name="80 % interval", short="80 %\ninterval"),
        ],
        rows=[[f"{images:,}", *cells(seen), *cells(foreseen)] for images, (seen, foreseen) in sorted(places.items())],
        label="Learning curve on new objects",
        footnote=(
            f"Accuracy on each of {advice.judged:,} objects by heads that never saw it, trained on sub-designs of the "
            "images of the others; images counted over all objects. Foreseen: with all of these objects."
        ),
    )


def spendings_table(test: PlannedTest) -> Table:
    """What other numbers of test objects would tell within the same budget, the chosen one marked."""
    step = -(-len(test.spendings) // MOST_SPENDINGS)
    shown = [one for row, one in enumerate(test.spendings) if row % step == 0 or one == test.chosen]
    return Table(
        columns=[
            Column(name="test objects", short="objects"),
            Column(name="views of each", short="views"),
            Column(name="images", short="images"),
            Column(name="95 % interval to expect, ± points", short="± points"),
        ],
        rows=[
            [f"{one.objects:,}", f"{one.images / one.objects:.3g}", f"{one.images:,}", percent(one.half_width)]
            for one in shown
        ],
        kinds=["own" if one == test.chosen else "" for one in shown],
    )


def advice_table(advices: Mapping[int, Advice]) -> Table:
    """What the images captured by each budget said: stop or go on, and where to spend more.

    Args:
        advices: By budget.
    """
    rows = []
    for _, advice in sorted(advices.items()):
        gain = advice.end.gain
        gained = (NONE, NONE) if gain is None else (points(gain.estimate), f"{points(gain.low)} to {points(gain.high)}")
        rows.append([f"{advice.images:,}", advice.end.answer, *gained, advice.next.answer])
    names = ("images", "stop, or go on", "further images gain, points", "95 % interval", "more views or more objects")
    return Table(columns=[Column(name=name) for name in names], rows=rows, cards=True)


def first_shots_table(plan: Plan) -> Table:
    """The first shots of a plan, and the reason for each."""
    first = plan.shots.take(np.arange(min(FIRST_SHOTS, len(plan))))
    rows = []
    for row, (name, view) in enumerate(zip(first.names, first.views(), strict=True)):
        values = [value if isinstance(value, str) else f"{value:g}" for value in view.values()]
        rows.append([f"{row + 1}", name, *values, plan.reason[row]])
    names = ("", "object", *map(axis_title, plan.shots.space.axes), "why")
    return Table(columns=[Column(name=name) for name in names], rows=rows, label="The first shots")
