"""Tables of a benchmark's page: the claim, images against objects, standings, every budget."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from acqplan.evaluate.verdict import Answer, Verdict, answer
from acqplan.numbers import count_noun, p_text, points
from acqplan.report.parts import cards, table
from acqplan.report.standing import accuracies, counted, in_order, primary_contrast, primary_first

if TYPE_CHECKING:
    from acqplan.evaluate.design import Design
    from acqplan.evaluate.findings import Findings, Standing
    from acqplan.statistics.curves import Bounds, ImagesToReach

READING = (
    "An accuracy is the share of an object's test images classified correctly, averaged over test objects that no "
    "training image shows. Its band says how much other objects and other seeds could move it. Bands of two strategies "
    "overlap even where one is better: both were judged on the same objects, and only the difference shows that.",
    "A difference is counted object by object and seed by seed, then averaged. It is called better or worse if it "
    "holds for other objects and other seeds, after Holm's correction for the number of comparisons; the interval "
    "beside it is that of one comparison alone. “No difference found” does not mean “equal”: equal is what lies "
    "within the margin.",
    "Only the comparisons of the primary strategy at the primary budget were announced as the claim. Everything else "
    "– other budgets, other pairs, areas, ranks, what ideas add – is exploratory: it suggests, it does not prove.",
    "The area is the mean accuracy over the logarithm of images, from the smallest to the largest budget. Images to "
    "reach the target are read off the curve; > and ≤ stand where it was crossed beyond the budgets measured.",
)

FOUND: tuple[Answer, ...] = ("better", "worse")

WHY_IMAGES = (
    "McNemar's test counts images as if each were an independent trial. Images of one object are not: an object that "
    "one strategy's classifier gets wrong is wrong from many views at once. So the test answers whether these two "
    "trained classifiers differ on these very objects, which they nearly always do, and not whether the strategy "
    "would be better on new objects or with another seed. Conditional on these objects its p-values are right; as a "
    "claim about strategies they are far too small."
)


def headline(findings: Findings) -> str:
    """The primary finding in one sentence."""
    verdict = primary_contrast(findings)
    low, high = map(points, verdict.ci95)
    at, interval = f"at {verdict.budget:,} images", f"(95 % interval {low} to {high})"
    if verdict.verdict == "no difference found":
        between = f"No difference found between {verdict.a} and {verdict.b} {at}"
        return f"{between}: {points(verdict.difference)} points {interval}."
    by = f"{100 * abs(verdict.difference):.1f} points"
    return f"{verdict.a} is {verdict.verdict} than {verdict.b} by {by} {at} {interval}."


def lead(findings: Findings) -> Iterator[str]:
    """What the headline leaves open: whether the two are equal, and how the other comparisons ended."""
    verdict, design = primary_contrast(findings), findings.results.design
    yield f"{_known(findings, verdict)} {_others(findings)}".strip()
    runs = f"{count_noun(len(design.seeds), 'seed')}, {count_noun(verdict.n_objects, 'test object')}"
    yield (
        f"{len(design.strategies)} strategies at {count_noun(len(design.budgets), 'budget')}, {runs}. All of it was "
        f"settled before anything was measured: design {design.digest[:16]}."
    )


def _known(findings: Findings, verdict: Verdict) -> str:
    design = findings.results.design
    if verdict.p_equivalent < design.alpha:
        return f"The two are equal within {_margin(design)} (p {p_text(verdict.p_equivalent)})."
    if verdict.verdict != "no difference found" or findings.smallest_difference != findings.smallest_difference:
        return ""
    least = f"{100 * findings.smallest_difference:.1f} points"
    return f"That does not mean equal: this benchmark finds differences of {least} or more four times out of five."


def _margin(design: Design) -> str:
    return f"{100 * design.margin:g} point{'s' * (design.margin != 0.01)}"


def _others(findings: Findings) -> str:
    n, counts, name = len(findings.verdicts), counted(findings), findings.results.design.primary
    if n < 2:
        return ""
    found = [f"{word} than {counts[word]}" for word in FOUND if counts[word]]
    if not found:
        return f"No difference was found between {name} and any of the {n} other strategies."
    rest = counts["no difference found"]
    more = f"; for {rest} no difference was found" if rest else ""
    return f"Of {n} other strategies, {name} is {' and '.join(found)}{more}."


def image_answer(verdict: Verdict) -> Answer:
    """What McNemar's test on images alone would say."""
    return answer(float(verdict.n10 - verdict.n01), verdict.p_mcnemar)


def disagreement(findings: Findings) -> list[str]:
    """Where images and objects say different things: that they do, of whom, and why."""
    verdicts = [verdict for _, verdict in primary_first(findings)]
    differ = [verdict for verdict in verdicts if image_answer(verdict) != verdict.verdict]
    if not differ:
        return ["Images and objects lead to the same conclusions here. That need not be so:", WHY_IMAGES]
    names = ", ".join(verdict.b for verdict in differ)
    first = (
        f"In {len(differ)} of {count_noun(len(verdicts), 'comparison')} the images alone lead to another conclusion "
        f"than objects and seeds do: against {names}. The verdicts of this report are those of objects and seeds."
    )
    missed = [verdict.b for verdict in differ if image_answer(verdict) == "no difference found"]
    more = (
        f"Against {', '.join(missed)} it is the other way round: McNemar's test looks at the heads of one seed only, "
        "and one pair of heads does not show what the mean over seeds and objects does."
    )
    return [first, WHY_IMAGES, more] if missed else [first, WHY_IMAGES]


def registration(findings: Findings, facts: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The design, as it was settled before anything was measured."""
    design = findings.results.design
    yield "digest of the design", design.digest
    yield "primary contrast", f"{design.primary} against {design.baseline} at {design.primary_budget:,} images"
    for name in design.strategies:
        yield f"strategy {name}", _settings(design, name)
    yield "budgets", ", ".join(f"{budget:,}" for budget in design.budgets) + " images"
    yield "seeds", _seeds(design)
    yield "splits", _splits(design)
    shares = " and ".join(f"{100 * share:g} %" for share in design.learning_shares)
    yield "rounds", f"strategies that learn look at what they have after {shares} of the budget; all of it counts"
    for test in design.tests:
        kind, _, words = test.partition(": ")
        yield (f"tests, {kind}", words) if words else ("tests", kind)
    yield "level and margin", f"{design.alpha:g}; differences within {_margin(design)} count as equal"
    yield "smallest detectable difference", _detectable(findings)
    yield "target for images to reach", _target(findings)
    yield "backbone", design.backbone
    yield "digest of the rig", design.rig[:16]
    yield "acqplan", design.version
    yield from facts.items()


def _settings(design: Design, name: str) -> str:
    return ", ".join(f"{key} = {value}" for key, value in design.parameters.get(name, {}).items()) or "no settings"


def _seeds(design: Design) -> str:
    few = ", ".join(map(str, design.seeds[:24]))
    return few if len(design.seeds) <= 24 else f"{few}, … ({len(design.seeds)} in all)"


def _splits(design: Design) -> str:
    first = design.splits[0]
    sides = f"{len(first.train)} train and {len(first.test)} test objects"
    swapped = "each also with train and test swapped" if design.swap else "not swapped"
    return f"{len(design.splits)} of {sides}; {swapped}"


def _detectable(findings: Findings) -> str:
    least = findings.smallest_difference
    if least != least:
        return "cannot be told: too few objects or seeds, or nothing varies"
    return f"{100 * least:.1f} points, with 80 % power over these objects and seeds (primary contrast)"


def _target(findings: Findings) -> str:
    design = findings.results.design
    return f"{100 * findings.target:.1f} %, which {design.baseline} has at {design.primary_budget:,} images"


def failures(findings: Findings) -> Iterator[str]:
    """Every cell that failed, those of one strategy, budget and reason together."""
    groups: dict[tuple[str, int, str], list[str]] = {}
    for cell in findings.failed:
        where = f"{cell.seed}{' swapped' if cell.swapped else ''}"
        groups.setdefault((cell.strategy, cell.budget, cell.reason), []).append(where)
    for (strategy, budget, reason), seeds in groups.items():
        word = "seed" if len(seeds) == 1 else "seeds"
        yield f"{strategy} at {budget:,} images, {word} {', '.join(seeds)}: {reason}"


def accuracy_words(findings: Findings) -> str:
    """Accuracies at the primary budget, for those who cannot see the curves."""
    budget = findings.results.design.primary_budget
    mine = [(name, accuracy) for (name, at), accuracy in accuracies(findings).items() if at == budget]
    best = sorted(mine, key=lambda pair: -pair[1])
    return f"At {budget:,} images: " + ", ".join(f"{name} {100 * accuracy:.1f} %" for name, accuracy in best) + "."


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
