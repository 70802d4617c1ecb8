"""One experiment: arms take their shots, heads are trained on what each took, and all are examined on new objects.

A benchmark runs it block by block (`run_block`), a recommendation once for all its seeds (`Contest`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce

import numpy as np
from jaxtyping import Float, Float32, Int

from acqplan.advice.advise import advise_history
from acqplan.evaluate.design import Block, Design, seed_of, strategy_of
from acqplan.evaluate.replay import Arm, Failure, Run, attempt, joined_history, replay
from acqplan.evaluate.results import BlockResult, Results
from acqplan.evaluate.task import TEST_VIEWS, Split, Task, check_disjoint
from acqplan.evaluate.verdict import Predictions, Validation
from acqplan.features.extractor import Extractor
from acqplan.files import digest_bytes
from acqplan.heads.exact import train_heads
from acqplan.heads.linear import Head, predict_all
from acqplan.numbers import count_range
from acqplan.plan import find_strategy
from acqplan.plan.base import History, Strategy, learns
from acqplan.plan.deployed import deployed
from acqplan.plan.rounds import stops_of
from acqplan.progress import SILENT, Progress, Titled
from acqplan.space import Category, Shots
from acqplan.space.shots import distinct, is_among

# Every recommendation is compared with the thesis' arms and a staggered one (DESIGN.md section 1, fact 2).
OPPONENTS = ("even", "even-staggered", "random", "random-shots")
# Seeds of every arm of a recommendation: enough for a first look; a claim needs 20 (`acqplan benchmark`).
SEEDS = 5
# Budgets of a recommendation's accuracy curve, as shares of the whole.
SHARES = (1 / 27, 1 / 9, 1 / 3, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Material:
    """Shots and what the backbone sees in them: all shots of a rig, or those of the test.

    Attributes:
        shots: The shots.
        features: Features of their images, shape ``[shots, features]``.
        view_weights: How often the classifier will meet each view, in the order of ``space.views()``; all alike.
    """

    shots: Shots
    features: Float32[np.ndarray, "shots features"]
    view_weights: Float[np.ndarray, " views"] | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of the features: results of other images or another machine's features do not mix."""
        return digest_bytes(np.ascontiguousarray(self.features).tobytes())

    def take(self, rows: Int[np.ndarray, " some"]) -> Material:
        """Some of the shots, in the order of ``rows``."""
        return replace(self, shots=self.shots.take(rows), features=self.features[rows])

    def places(self, shots: Shots) -> Int[np.ndarray, " some"]:
        """Row of each of these shots, which must be among ours."""
        _, inverse = distinct(self.shots.join(shots))
        place = np.empty(inverse.max() + 1, dtype=np.int64)
        place[inverse[: len(self.shots)]] = np.arange(len(self.shots))
        return place[inverse[len(self.shots) :]]

    def __call__(self, shots: Shots, *, progress: Progress = SILENT) -> Float32[np.ndarray, "some features"]:
        """Show what was chosen: the `Capture` of a replay."""
        return self.features[self.places(shots)]


def examine(
    ended: Sequence[Run | Failure],
    start: History,
    test: Material,
    *,
    device: str = "cpu",
    cores: int | None = None,
    progress: Progress = SILENT,
) -> tuple[Int[np.ndarray, " arms"], tuple[str, ...], Int[np.ndarray, "arms tests"]]:
    """Train a head on what each arm has seen, and let it classify the test shots.

    Args:
        ended: What became of the arms.
        start: What had been captured before.
        test: Shots of the test objects.
        device: Where to train.
        cores: Processor cores to use; by default all.
        progress: Hears about the training.

    Returns:
        Of each arm, in order: the images it paid for, those of the starting history included, 0 if it failed; why it
        failed, empty if it did not; and the class row that its head gave each test shot, −1 if it failed.
    """
    histories = [joined_history(start, run) for run in ended if isinstance(run, Run)]
    heads = train_on(histories, device=device, cores=cores, progress=progress) if histories else []
    predicted = np.full((len(ended), len(test.shots)), -1, dtype=np.int64)
    predicted[[isinstance(run, Run) for run in ended]] = predict_all(heads, test.features)
    images = [len(start) + len(run.shots) if isinstance(run, Run) else 0 for run in ended]
    failures = tuple("" if isinstance(run, Run) else run.reason for run in ended)
    return np.array(images, dtype=np.int64), failures, predicted


def run_block(
    material: Material, design: Design, block: Block, *, device: str = "cpu", cores: int | None = None
) -> BlockResult:
    """Replay, train and examine every cell of a block: a pure function, times excepted.

    Args:
        material: All shots of the rig with their features. A strategy is shown those of its own captures only.
        design: The design.
        block: Which of its blocks.
        device: Where heads are trained.
        cores: Processor cores for them; by default all.

    Returns:
        The block's result; an arm that failed is recorded in it, and the others go on.
    """
    # 1. Every arm takes its shots of the train objects.
    began = time.perf_counter()
    split, weights = design.split_of(block), material.view_weights
    train_rows, test_rows = split.sides(material.shots, weights)
    candidates = material.shots.take(train_rows)
    start = History.empty(candidates)
    learn = partial(with_beliefs, device=device, cores=cores)
    offered = split.offered(candidates.space.n_views, weights)
    arms = arms_of(design, block, n_objects=len(split.train), view_weights=offered)
    ended = attempt(arms, candidates, start, material, learn=learn)
    # 2. Heads are trained on them, all in one batch, and examined on the test objects.
    planned = time.perf_counter()
    test = material.take(test_rows)
    images, failures, predicted = examine(ended, start, test, device=device, cores=cores)
    done = time.perf_counter()
    # 3. A report shows which shots were taken under the primary budget, and one block's advice after each budget.
    finished = {cell: run for cell, run in zip(design.cells, ended, strict=True) if isinstance(run, Run)}
    primary = {budget: run for (name, budget), run in finished.items() if name == design.primary}
    advice = {
        budget: advise_history(joined_history(start, run), test_objects=len(split.test), device=device)
        for budget, run in primary.items()
        if block == design.blocks()[0]
    }
    last = {name: run.shots for (name, budget), run in finished.items() if budget == design.primary_budget}
    rows = material.places(reduce(Shots.join, last.values())) if last else np.empty(0, dtype=np.int64)
    ends = np.cumsum([len(shots) for shots in last.values()])[:-1]
    return BlockResult(
        block=block,
        images=images,
        failures=failures,
        correct=predicted == test.shots.class_rows,
        test_rows=test_rows,
        taken=dict(zip(last, np.split(rows, ends), strict=False)),
        seconds={"planning": planned - began, "heads": done - planned, "altogether": done - began},
        advice=advice,
    )


def arms_of(
    design: Design,
    block: Block,
    *,
    n_objects: int,
    known: int = 0,
    rules: Mapping[str, Strategy] | None = None,
    view_weights: Float[np.ndarray, " views"] | None = None,
) -> list[Arm]:
    """The arms of a block, in the order of `Design.cells`.

    Args:
        design: The design.
        block: Which of its blocks.
        n_objects: Objects that may be photographed.
        known: Images captured before.
        rules: Strategies by name; looked up by default.
        view_weights: How often the classifier will meet each view, for strategies that are looked up.
    """
    rules = rules or {name: deployed(strategy_of(name), view_weights) for name in design.strategies}
    return [
        Arm(
            strategy=rules[name],
            budget=budget,
            seed=seed_of(name, block.seed),
            stops=stops_of(rules[name], budget, n_objects, known=known),
        )
        for name, budget in design.cells
    ]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contest:
    """A run of a strategy and runs of its opponents, and what all of them are judged by; see `set_up_contest`.

    Attributes:
        task: What every arm might take, and what had been captured before.
        split: What was kept aside.
        design: Arms of all seeds.
        runs: What each arm took, a block of arms per seed; without features where a strategy does not learn.
        main: Row of the run that is judged.
        test: What all are tested on.
    """

    task: Task
    split: Split
    design: Design
    runs: tuple[Run, ...]
    main: int
    test: Shots

    @property
    def shots(self) -> Shots:
        """Shots whose images are still needed, once each; taken together, lightings of a pose share its geometry."""
        joined = reduce(Shots.join, (run.shots for run in self.runs if not run.has_features), self.test)
        return joined.take(distinct(joined)[0])

    def judged(
        self,
        material: Material,
        *,
        device: str = "cpu",
        progress: Progress = SILENT,
    ) -> Validation:
        """Train a head on what each arm took, and let all classify the test shots.

        Args:
            material: All `shots` with their features.
            device: Where to train.
            progress: Hears about the training.

        Returns:
            A record of every arm, and a verdict against each opponent at the full budget.
        """
        # 1. One head per arm, all in one batch, examined on the same test shots.
        design, test, own = self.design, self.test, self.runs[self.main].arm
        seen = [run if run.has_features else replace(run, features=material(run.shots)) for run in self.runs]
        tested = Material(shots=test, features=material(test), view_weights=material.view_weights)
        images, failures, predicted = examine(seen, self.task.start, tested, device=device, progress=progress)
        # 2. A block per seed makes them results as a benchmark has them.
        found = []
        for place, block in enumerate(design.blocks()):
            mine = slice(place * len(design.cells), (place + 1) * len(design.cells))
            result = BlockResult(
                block=block,
                images=images[mine],
                failures=failures[mine],
                correct=predicted[mine] == test.class_rows,
                test_rows=np.arange(len(test)),
            )
            found.append(result)
        results = Results(design=design, shots=test, blocks=found, view_weights=material.view_weights)
        kept_aside = self.split.to_dict()
        if len(test) < len(self.task.test):
            of_each = count_range(np.bincount(test.object_rows)[np.unique(test.object_rows)])
            said = f"each is judged by {of_each} of its shots, spread over the views (--test-views all: by all of them)"
            kept_aside["words"].append(said)
        key = (own.strategy.name, own.budget, own.seed)
        return Validation(
            records=sorted(results.records(), key=lambda one: (one.strategy, one.budget, one.seed) != key),
            verdicts=results.verdicts([(design.primary, name) for name in design.strategies[1:]], own.budget),
            kept_aside=kept_aside | {"shots": len(test), "of_shots": len(self.task.test)},
            predictions=Predictions(shots=test, predicted=predicted[self.main], whose=self.split.tested),
        )


def set_up_contest(
    main: Run,
    task: Task,
    split: Split,
    extractor: Extractor,
    *,
    test_views: int | None = TEST_VIEWS,
    progress: Progress = SILENT,
) -> Contest:
    """Let a strategy and its opponents choose shots at growing budgets, to be judged on objects or views kept aside.

    Args:
        main: What the strategy takes under the full budget; not chosen again.
        task: What every arm may take, what had been captured before (charged to every arm), and the test.
        split: What is kept aside.
        extractor: Takes shots and says what the backbone sees in them; asked only for strategies that learn.
        test_views: Shots of each test object that are tested on at most (`judging_shots`); ``None`` for all.
        progress: Hears about long work.

    Raises:
        SplitError: If what is tested on may be taken or was captured. What a strategy raises is not caught.
    """
    candidates, start = task.candidates, task.start
    test = task.test if test_views is None else judging_shots(task.test, test_views, main.arm.seed)
    check_disjoint(candidates.join(start.shots), test, by_view=bool(split.test_views))
    own, n_objects = main.arm, len(np.unique(candidates.object_rows))
    others = {name: deployed(find_strategy(name), task.view_weights) for name in OPPONENTS if name != own.strategy.name}
    rules = {own.strategy.name: own.strategy, **others}
    budgets = sorted({round(own.budget * share) for share in SHARES})
    design = Design(
        rig=test.space.digest(),
        backbone=extractor.backbone.fingerprint,
        strategies=tuple(rules),
        parameters={},
        # Every object can be shown at each budget of the curve.
        budgets=tuple(n for n in budgets if n - len(start) >= n_objects) or (own.budget,),
        seeds=tuple(range(own.seed, own.seed + SEEDS)),
        splits=(split,),
        swap=False,
        primary=own.strategy.name,
        baseline=next(iter(others)),
        primary_budget=own.budget,
    )
    arms = [
        arm
        for block in design.blocks()
        for arm in arms_of(design, block, n_objects=n_objects, known=len(start), rules=rules)
    ]
    key, runs = (own.strategy.name, own.budget, own.seed), dict[int, Run]()
    keys = [(arm.strategy.name, arm.budget, arm.seed) for arm in arms]
    runs[keys.index(key)] = main
    # Rules that learn take their shots in rounds and see them; of the others the shots are captured later, together.
    learn = partial(with_beliefs, device=extractor.runtime.device)
    titled = Titled(progress=progress, title="other strategies")
    for is_eager in (False, True):
        rows = [row for row, arm in enumerate(arms) if row not in runs and learns(arm.strategy) == is_eager]
        capture, chosen = extractor if is_eager else None, [arms[row] for row in rows]
        found = replay(chosen, candidates, start, capture, learn=learn, progress=titled) if rows else []
        runs |= dict(zip(rows, found, strict=True))
    in_order = tuple(runs[row] for row in range(len(arms)))
    return Contest(task=task, split=split, design=design, runs=in_order, main=keys.index(key), test=test)


def judging_shots(test: Shots, most: int, seed: int) -> Shots:
    """Of each test object at most so many shots, spread over its views by the lattice.

    Where an axis is a category, such as the light, each pose is tested at two of its levels: rendering a pose, or
    driving to it, costs more than another light.

    Args:
        test: All shots of the test objects.
        most: Shots of each object at most, at least 2.
        seed: Seed of the lattice.
    """
    counts = np.bincount(test.object_rows, minlength=len(test.objects))
    if counts.max(initial=0) <= most:
        return test
    levels = [len(axis.values) if isinstance(axis, Category) else 1 for axis in test.space.axes]
    lights = int(np.argmax(levels))
    per_object = most // 2 if levels[lights] > 1 else most
    pool = test.narrow(np.flatnonzero(counts))
    n = int(np.minimum(counts, per_object).sum())
    taken = test.take(find_strategy("lattice").propose(pool, History.empty(pool), n, seed).rows)
    if levels[lights] > 1:
        turned = taken.coordinates.copy()
        turned[:, lights] = (turned[:, lights] + levels[lights] // 2) % levels[lights]
        taken = taken.join(replace(taken, coordinates=turned))
    return test.take(is_among(test, taken))


def train_on(
    histories: Sequence[History], *, device: str = "cpu", cores: int | None = None, progress: Progress = SILENT
) -> list[Head]:
    """Train one exact head on each history, all in one batch; equal histories share one.

    Args:
        histories: Captured shots with features.
        device: Where to train.
        cores: Processor cores to use; by default all.
        progress: Hears about the training.

    Returns:
        One head per history, in order; beliefs follow the order of its shots.
    """
    joined = reduce(Shots.join, (history.shots for history in histories))
    features = [history.features for history in histories if history.features is not None]
    first, inverse = distinct(joined)
    subsets = np.split(inverse, np.cumsum([len(history) for history in histories])[:-1])
    keys = [subset.tobytes() for subset in subsets]
    unique = dict(zip(keys, subsets, strict=True))
    pool = joined.take(first)  # each image once, however many histories have it
    heads = train_heads(
        np.concatenate(features)[first],
        pool.class_rows,
        pool.object_rows,
        list(unique.values()),
        n_classes=len(pool.objects.classes),
        device=device,
        cores=cores,
        progress=progress,
    )
    trained = dict(zip(unique, heads, strict=True))
    return [trained[key] for key in keys]


def with_beliefs(histories: Sequence[History], *, device: str = "cpu", cores: int | None = None) -> list[History]:
    """The histories with class probabilities of their shots, by heads that never saw the shot's object.

    Args:
        histories: Captured shots with features.
        device: Where to train.
        cores: Processor cores to use; by default all.
    """
    heads = train_on(histories, device=device, cores=cores)
    return [replace(history, beliefs=head.beliefs) for history, head in zip(histories, heads, strict=True)]
