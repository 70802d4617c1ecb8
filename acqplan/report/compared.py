"""Strategies compared with each other, in one form for a recommendation and a benchmark: tables and plots read it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from acqplan.evaluate.verdict import Point, Validation, Verdict, curve_points
from acqplan.numbers import count_noun
from acqplan.statistics.clustered import MARGIN

if TYPE_CHECKING:
    from acqplan.evaluate.findings import Findings

# Strategies that a picture tells apart; the others are in the tables and in validation.json.
MOST_DRAWN = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Strategies at several budgets, and what one of them gains on the others.

    Attributes:
        primary: The strategy that the comparison is about: the plan's, or the primary one of a benchmark.
        baseline: The strategy that it is compared with first; ``None`` for a recommendation.
        budget: Images allowed where strategies are compared.
        budgets: Images allowed, ascending.
        strategies: All strategies, in the order of the design or of the records.
        points: Accuracy of each strategy at each budget that it finished.
        verdicts: The primary strategy against each other one at ``budget``, the baseline first.
        sentences: The verdicts in words.
        contrast: The primary strategy against the baseline at each budget, ascending; empty without a baseline.
        margin: Differences of accuracy up to this count as equal.
        n_objects: Test objects.
        n_seeds: Seeds.
        tested: What accuracies are about: new objects, or new views of the objects that were trained on.
        shots: Test shots, and those that there might have been; ``None`` if that was not chosen.
    """

    primary: str
    baseline: str | None
    budget: int
    budgets: Sequence[int]
    strategies: Sequence[str]
    points: Sequence[Point]
    verdicts: Sequence[Verdict]
    sentences: Sequence[str]
    contrast: Sequence[Verdict]
    margin: float
    n_objects: int
    n_seeds: int
    tested: str = "new objects"
    shots: tuple[int, int] | None = None

    @classmethod
    def of_validation(cls, validation: Validation, primary: str, sentences: Sequence[str] = ()) -> Compared:
        """The strategies of a recommendation's validation, compared at the largest budget."""
        records = validation.records
        return cls(
            primary=primary,
            baseline=None,
            budget=max((record.budget for record in records), default=0),
            budgets=sorted({record.budget for record in records}),
            strategies=list(dict.fromkeys(record.strategy for record in records)),
            points=curve_points(records),
            verdicts=[verdict for verdict in validation.verdicts if verdict.a == primary],
            sentences=sentences,
            contrast=(),
            margin=MARGIN,
            n_objects=len({name for record in records for name in record.per_object}),
            n_seeds=len({record.seed for record in records}),
            tested=validation.kept_aside.get("tested", "new objects"),
            shots=(aside["shots"], aside["of_shots"]) if "shots" in (aside := validation.kept_aside) else None,
        )

    @classmethod
    def of_findings(cls, findings: Findings) -> Compared:
        """The strategies of a benchmark, compared at its primary budget."""
        design = findings.results.design
        every = [verdict for verdict in (*findings.others, *findings.verdicts) if verdict.b == design.baseline]
        worded = list(zip(findings.verdicts, findings.sentences, strict=True))
        worded.sort(key=lambda pair: pair[0].b != design.baseline)
        return cls(
            primary=design.primary,
            baseline=design.baseline,
            budget=design.primary_budget,
            budgets=sorted(design.budgets),
            strategies=design.strategies,
            points=findings.points,
            verdicts=[verdict for verdict, _ in worded],
            sentences=[sentence for _, sentence in worded],
            contrast=sorted(every, key=lambda verdict: verdict.budget),
            margin=design.margin,
            n_objects=max(verdict.n_objects for verdict in findings.verdicts),
            n_seeds=len(design.seeds),
            tested=design.splits[0].tested,
        )

    @property
    def margin_words(self) -> str:
        """The margin of equivalence, ``1 point``."""
        return f"{100 * self.margin:g} point{'s' * (self.margin != 0.01)}"

    @property
    def tested_words(self) -> str:
        """What accuracies are about: ``25 new objects (108 of 972 shots each)``, ``new views of 20 objects``."""
        some = ""
        if self.shots and self.shots[0] < self.shots[1]:
            some = " ({:,.0f} of {:,.0f} shots each)".format(*(number / self.n_objects for number in self.shots))
        if self.tested == "new objects":
            return f"{self.n_objects} new objects{some}"
        return f"{self.tested} of {count_noun(self.n_objects, 'object')}{some}"

    @property
    def order(self) -> list[str]:
        """Strategies: the primary one, the baseline, then the others, the most accurate at ``budget`` first."""
        ahead = [name for name in self.strategies if self.is_named_first(name)]
        ahead.sort(key=lambda name: name != self.primary)
        return ahead + self.by_accuracy([name for name in self.strategies if name not in ahead])

    @property
    def drawn(self) -> list[str]:
        """Strategies that pictures show: the first of ``order`` that finished anything at ``budget``."""
        there = self.at(self.budget)
        return [name for name in self.order if name in there][:MOST_DRAWN]

    def at(self, budget: int) -> dict[str, Point]:
        """Each strategy's accuracy at a budget."""
        return {point.strategy: point for point in self.points if point.budget == budget}

    def curve(self, name: str) -> list[Point]:
        """The points of one strategy, budgets ascending."""
        return sorted((point for point in self.points if point.strategy == name), key=lambda point: point.budget)

    def by_accuracy(self, names: Sequence[str]) -> list[str]:
        """The same strategies, the most accurate at ``budget`` first; the last are those that did not finish."""
        there = self.at(self.budget)
        return sorted(names, key=lambda name: -there[name].accuracy if name in there else 1.0)

    def is_named_first(self, name: str) -> bool:
        """Whether a strategy is the primary one or the baseline, which stand out everywhere."""
        return name in (self.primary, self.baseline)
