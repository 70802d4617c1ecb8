"""What the report of a benchmark says in sentences: the finding, what it rests on, how to read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from acqplan.evaluate.records import Answer, Verdict
from acqplan.evaluate.words import answer
from acqplan.report.standing import accuracies, counted, primary_contrast, primary_first
from acqplan.report.summary import count_noun, p_text, points

if TYPE_CHECKING:
    from acqplan.evaluate.benchmark.design import Design
    from acqplan.evaluate.benchmark.findings import Findings

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
