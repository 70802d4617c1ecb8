"""The design of a benchmark, settled and digested before anything is measured (pre-registration)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from acqplan import __version__
from acqplan.errors import BudgetError, InputError, SplitError, UsageError, nearest
from acqplan.evaluate.task import Split, check_budget, draw_split, settings_of
from acqplan.evaluate.verdict import ALPHA
from acqplan.files import digest_bytes, open_file, replacing
from acqplan.plan import find_strategy
from acqplan.plan.base import Strategy
from acqplan.plan.plan import Setting
from acqplan.plan.rounds import LEARNING_SHARES
from acqplan.rig.spec import Rig
from acqplan.rng import stream
from acqplan.statistics.clustered import MARGIN

TESTS = (
    "primary: mean difference of accuracies per object and seed; two-way t test on objects and seeds, Holm over the "
    "primary strategy against every other at the primary budget",
    "beside it: sign-flip on objects; TOST on objects; McNemar, Obuchowski and Durkalski on the first seed's heads",
    "exploratory: other budgets, all pairs, area under the curve, images to reach, ranks",
)


# Attributes of a split that most splits do not have.
SOME = ("alone", "train_views", "test_views")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """What is computed at once and never again: all strategies and budgets of one seed on one split.

    Attributes:
        seed: The seed.
        number: Number of the split.
        swapped: Whether train and test objects have changed places.
    """

    seed: int
    number: int
    swapped: bool

    @property
    def name(self) -> str:
        """Unique in a benchmark, and fit for a file."""
        return f"seed-{self.seed:03d}-split-{self.number:03d}{'-swapped' if self.swapped else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """What is compared with what, settled beforehand.

    Attributes:
        rig: Digest of the rig's space, objects and labels.
        backbone: Fingerprint of the backbone.
        strategies: Names as shown; ``random-shots#2`` is another independent copy of `random-shots`.
        parameters: Settings of each strategy.
        budgets: Images each may take, ascending.
        seeds: Seeds; strategies are paired by them.
        splits: Splits of the objects; seed number ``i`` uses split ``i`` modulo their number.
        swap: Whether each split is also used with train and test objects in each other's place.
        primary: The strategy that the claim is about.
        baseline: The strategy of the primary contrast.
        primary_budget: The budget of the claim.
        learning_shares: Shares of the budget after which strategies that learn look at what they have.
        alpha: Level of the tests.
        margin: Differences of accuracy up to this count as equal.
        tests: The tests, in words.
        version: Version of acqplan.
    """

    rig: str
    backbone: str
    strategies: tuple[str, ...]
    parameters: Mapping[str, Mapping[str, Setting]]
    budgets: tuple[int, ...]
    seeds: tuple[int, ...]
    splits: tuple[Split, ...]
    swap: bool
    primary: str
    baseline: str
    primary_budget: int
    learning_shares: tuple[float, ...] = LEARNING_SHARES
    alpha: float = ALPHA
    margin: float = MARGIN
    tests: tuple[str, ...] = TESTS
    version: str = __version__

    def __post_init__(self) -> None:
        if len(set(self.strategies)) != len(self.strategies) or len(self.strategies) < 2:
            raise UsageError(f"strategies {', '.join(self.strategies)}", "give two or more, each once")
        for name in (self.primary, self.baseline):
            if name not in self.strategies:
                raise UsageError(f"'{name}' is not among the strategies", nearest(name, self.strategies))
        if self.primary == self.baseline:
            raise UsageError(f"'{self.primary}' cannot be compared with itself", "give another baseline")
        if self.primary_budget not in self.budgets:
            known = ", ".join(map(str, self.budgets))
            raise UsageError(f"the primary budget {self.primary_budget} is not among the budgets", f"known: {known}")
        if not self.seeds:
            raise UsageError("no seeds", "give at least one; a claim needs 20")

    @property
    def digest(self) -> str:
        """SHA-256 of everything above; carried by every result."""
        return digest_bytes(json.dumps(self._content(), sort_keys=True, ensure_ascii=False).encode())

    @property
    def cells(self) -> list[tuple[str, int]]:
        """Strategy and budget of each cell of a block, in order."""
        return [(strategy, budget) for strategy in self.strategies for budget in self.budgets]

    def blocks(self) -> list[Block]:
        """Every block, in the order of seeds."""
        sides = (False, True) if self.swap else (False,)
        return [
            Block(seed=seed, number=place % len(self.splits), swapped=swapped)
            for place, seed in enumerate(self.seeds)
            for swapped in sides
        ]

    def split_of(self, block: Block) -> Split:
        """What a block trains and tests on."""
        split = self.splits[block.number]
        return split.swapped() if block.swapped else split

    def sides(self, block: Block) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Names of the train objects and of the test objects of a block."""
        split = self.split_of(block)
        return split.train, split.test

    def _content(self) -> dict[str, Any]:
        """All attributes; of a split only those that have something, so that digests of splits by object stay."""
        return asdict(
            self, dict_factory=lambda pairs: {name: value for name, value in pairs if name not in SOME or value}
        )

    def to_dict(self) -> dict[str, object]:
        """design.json as a dictionary."""
        return {"digest": self.digest, **json.loads(json.dumps(self._content()))}

    def write_json(self, path: Path) -> None:
        """Write design.json."""
        with replacing(path) as handle:
            json.dump(self.to_dict(), handle, indent=1, ensure_ascii=False)
            handle.write("\n")


def draw_up(
    rig: Rig,
    *,
    backbone: str,
    strategies: Sequence[str],
    budgets: Sequence[int],
    seeds: Sequence[int],
    n_splits: int | None = None,
    swap: bool = True,
    primary: str | None = None,
    baseline: str | None = None,
    primary_budget: int | None = None,
) -> Design:
    """Settle a design: draw the splits, look the strategies up, and refuse what cannot be run.

    Arguments and errors are those of `acqplan.evaluate.benchmark.benchmark`; ``backbone`` is its fingerprint. Splits
    are drawn by their numbers; a rig whose test objects are named has one.
    """
    rules = {name: strategy_of(name) for name in strategies}
    first = primary or strategies[0]
    others = [name for name in strategies if name != first]
    usual = "random-shots" if "random-shots" in others else next(iter(others), first)
    ascending = tuple(sorted(set(budgets)))
    if not ascending:
        raise BudgetError("no budgets", "give at least one, e.g. 90,270,810")
    check_not_live(rig)
    # Splits are drawn by their numbers, so that more seeds leave the first splits as they are.
    is_fixed = rig.test and rig.test != "views"
    splits = [draw_split(rig, number) for number in range(1 if is_fixed else n_splits or len(seeds))]
    design = Design(
        rig=rig.digest,
        backbone=backbone,
        strategies=tuple(strategies),
        parameters={name: settings_of(rule) for name, rule in rules.items()},
        budgets=ascending,
        seeds=tuple(seeds),
        splits=tuple(splits),
        swap=swap,
        primary=first,
        baseline=baseline or usual,
        primary_budget=primary_budget or ascending[-1],
    )
    # A budget that a side of a split cannot spend is refused before anything is captured.
    shots = rig.source.shots()
    for block in design.blocks():
        split = design.split_of(block)
        for budget in (ascending[0], ascending[-1]):
            check_budget(budget, len(split.train), len(split.sides(shots)[0]))
    return design


def check_not_live(rig: Rig) -> None:
    """Refuse a rig whose images do not exist yet.

    Raises:
        SplitError: If it is a live rig.
    """
    if rig.source.name == "live":
        raise SplitError("a live rig cannot be benchmarked: its images do not exist", "use a folder, toys or meshes")


def strategy_of(name: str) -> Strategy:
    """The strategy of a name that may say which copy it is (``random-shots#2``)."""
    return find_strategy(_rule_and_copy(name)[0])


def seed_of(name: str, seed: int) -> int:
    """The seed that a strategy is given: copies draw from streams of their own."""
    copy = _rule_and_copy(name)[1]
    return seed if copy == 1 else stream(seed, "copy", copy)


def _rule_and_copy(name: str) -> tuple[str, int]:
    rule, mark, copy = name.partition("#")
    if mark and not (copy.isdecimal() and int(copy) >= 1):
        raise UsageError(f"'{name}' names no copy of '{rule}'", f"write {rule}#2 for the second")
    return rule, int(copy) if mark else 1


def read_digest(path: Path) -> str:
    """The digest in a design.json.

    Raises:
        InputError: If the file is none.
    """
    try:
        with open_file(path) as handle:
            return str(json.load(handle)["digest"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: is no design of a benchmark", "choose another folder, or remove the file") from error
