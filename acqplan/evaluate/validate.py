"""Validation: what a plan is worth on new objects, beside what its opponents are worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from acqplan.errors import UsageError
from acqplan.evaluate.replay import Arm, Run, joined_history, replay
from acqplan.evaluate.task import check_disjoint
from acqplan.evaluate.verdict import Outcome, Record, Validation, Verdict, judge
from acqplan.features.extractor import Extractor
from acqplan.heads.exact import train_heads
from acqplan.heads.linear import Head, predict_all
from acqplan.plan import find_strategy
from acqplan.plan.base import History
from acqplan.plan.deployed import deployed, view_rows
from acqplan.plan.rounds import stops_of
from acqplan.progress import SILENT, Progress, Titled
from acqplan.space import Shots
from acqplan.space.shots import distinct


def weighted_shares(
    correct: Bool[np.ndarray, " shots"], shots: Shots, view_weights: Float[np.ndarray, " views"] | None
) -> Float[np.ndarray, " objects"]:
    """Accuracy on each object over the views that will be met, as often as they will be.

    Args:
        correct: Whether a head was right on each shot, shape ``[shots]``.
        shots: The shots.
        view_weights: How often each view of their space will be met, from 0 on, in the order of ``space.views()``,
            shape ``[views]``; ``None`` for all alike.

    Returns:
        Shares in ``[0, 1]`` of the objects that have shots, in the order of their rows, shape ``[objects]``; NaN
        where no shot of an object is from a view that will be met.

    Raises:
        UsageError: If there is not one weight for each view, or one mark for each shot.
    """
    if len(correct) != len(shots):
        raise UsageError(f"{len(correct):,} marks for {len(shots):,} shots", "give one for each shot")
    if view_weights is not None and len(view_weights) != shots.space.n_views:
        said = f"{len(view_weights):,} weights of views, the space has {shots.space.n_views:,}"
        raise UsageError(said, "give one for each view")
    _, objects = np.unique(shots.object_rows, return_inverse=True)
    weights = np.ones(len(shots)) if view_weights is None else view_weights[view_rows(shots)]
    met = np.bincount(objects, weights=weights)
    right = np.bincount(objects, weights=weights * correct)
    return np.divide(right, met, out=np.full(len(met), np.nan), where=met > 0.0)


OPPONENTS = ("even", "even-staggered", "random", "random-shots")
"""Every comparison has the thesis' arms and a staggered one (DESIGN.md section 1, fact 2)."""

SEEDS = 5
"""Seeds of every arm: enough for a first look; a claim needs 20 (`acqplan benchmark`)."""

SHARES = (1 / 27, 1 / 9, 1 / 3, 1.0)
"""Budgets of the accuracy curve, as shares of the whole."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bench:
    """Shots of the test objects and what the backbone sees in them.

    Attributes:
        shots: Shots of the test objects.
        features: Features of their images, shape ``[tests, features]``.
        view_weights: How often the classifier will meet each view, in the order of ``space.views()``; all alike.
    """

    shots: Shots
    features: Float32[np.ndarray, "tests features"]
    view_weights: Float[np.ndarray, " views"] | None = None

    @property
    def weights(self) -> Float[np.ndarray, " tests"] | None:
        """How much each test shot counts; ``None`` for all alike."""
        return None if self.view_weights is None else self.view_weights[view_rows(self.shots)]


def validate_run(
    main: Run,
    candidates: Shots,
    start: History,
    test: Shots,
    eye: Extractor,
    *,
    view_weights: Float[np.ndarray, " views"] | None = None,
    progress: Progress = SILENT,
) -> Validation:
    """Compare a run's strategy with its opponents at growing budgets, on objects kept aside.

    Args:
        main: What the strategy took under the full budget; not taken again.
        candidates: What every arm may take.
        start: What had been captured before, charged to every arm.
        test: Shots of the test objects.
        eye: Takes shots and sees features.
        view_weights: How often the classifier will meet each view, in the order of ``space.views()``; all alike.
        progress: Hears about long work.

    Returns:
        A record of every arm, and a verdict against each opponent at the full budget.
    """
    check_disjoint(candidates.join(start.shots), test)
    arms = _arms(main.arm, len(start), len(np.unique(candidates.object_rows)), view_weights)
    others, views = (Titled(progress=progress, title=title) for title in ("other strategies", "test views"))
    learn = partial(with_beliefs, device=eye.runtime.device)
    runs = [main, *replay(arms, candidates, start, eye, learn=learn, progress=others)]
    bench = Bench(shots=test, features=eye(test, progress=views), view_weights=view_weights)
    return examine(runs, start, bench, device=eye.runtime.device, progress=progress)


def examine(
    runs: Sequence[Run], start: History, bench: Bench, *, device: str = "cpu", progress: Progress = SILENT
) -> Validation:
    """Train a head for every run and compare the first run's strategy with each of the others.

    Args:
        runs: One per strategy, budget and seed; the first names the strategy to judge and the budget.
        start: What had been captured before.
        bench: What the heads are judged on.
        device: Where to train.
        progress: Hears about the training.

    Returns:
        All records, and one verdict per other strategy at the budget of the first run.
    """
    histories = [joined_history(start, run) for run in runs]
    heads = train_on(histories, device=device, progress=progress)
    correct = predict_all(heads, bench.features) == bench.shots.class_rows
    records = [_record(run, len(start), right, bench) for run, right in zip(runs, correct, strict=True)]
    return Validation(records=records, verdicts=_verdicts([run.arm for run in runs], correct, bench))


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
    joined, features, subsets = _pooled(histories)
    keys = [subset.tobytes() for subset in subsets]
    unique = dict(zip(keys, subsets, strict=True))
    heads = train_heads(
        features,
        joined.class_rows,
        joined.object_rows,
        list(unique.values()),
        n_classes=len(joined.objects.classes),
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


def _arms(main: Arm, known: int, n_objects: int, view_weights: Float[np.ndarray, " views"] | None) -> list[Arm]:
    others = (deployed(find_strategy(name), view_weights) for name in OPPONENTS if name != main.strategy.name)
    rules = [main.strategy, *others]
    budgets = sorted({round(main.budget * share) for share in SHARES})
    budgets = [budget for budget in budgets if budget - known >= n_objects]
    arms = [
        Arm(
            strategy=rule,
            budget=budget,
            seed=main.seed + step,
            stops=stops_of(rule, budget, n_objects, known=known),
        )
        for rule in rules
        for budget in (budgets or [main.budget])
        for step in range(SEEDS)
    ]
    return [
        arm for arm in arms if (arm.strategy.name, arm.budget, arm.seed) != (main.strategy.name, main.budget, main.seed)
    ]


def _pooled(
    histories: Sequence[History],
) -> tuple[Shots, Float32[np.ndarray, "pool features"], list[Int[np.ndarray, " rows"]]]:
    joined = histories[0].shots
    for history in histories[1:]:
        joined = joined.join(history.shots)
    features = [history.features for history in histories if history.features is not None]
    first, inverse = distinct(joined)
    subsets = np.split(inverse, np.cumsum([len(history) for history in histories])[:-1])
    return joined.take(first), np.concatenate(features)[first], subsets


def _record(run: Run, known: int, correct: Bool[np.ndarray, " tests"], bench: Bench) -> Record:
    test = bench.shots
    shares = weighted_shares(correct, test, bench.view_weights)
    names = [test.objects.names[row] for row in np.unique(test.object_rows)]
    return Record(
        strategy=run.arm.strategy.name,
        budget=run.arm.budget,
        images=known + len(run.shots),
        seed=run.arm.seed,
        accuracy=float(shares.mean()),
        per_object=dict(zip(names, map(float, shares), strict=True)),
    )


def _verdicts(arms: Sequence[Arm], correct: Bool[np.ndarray, "runs tests"], bench: Bench) -> list[Verdict]:
    """The first arm's strategy against each other one, at its budget, paired by seed."""
    main = arms[0]
    marks: dict[str, dict[int, Bool[np.ndarray, " tests"]]] = {}
    for arm, right in zip(arms, correct, strict=True):
        if arm.budget == main.budget:
            marks.setdefault(arm.strategy.name, {})[arm.seed] = right
    mine, *others = (Outcome(name=name, correct=seeds) for name, seeds in marks.items())
    return judge(mine, others, budget=main.budget, objects=bench.shots.names, weights=bench.weights)
