"""The main job: recommend which views of which objects to photograph, and say what that is worth."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, is_dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from acqplan.campaign.plan import Plan, Setting
from acqplan.errors import BudgetError, BudgetSpent, SplitError
from acqplan.evaluate.records import Validation
from acqplan.evaluate.replay import Arm, Learn, joined_history, replay
from acqplan.evaluate.rounds import pilot_stops
from acqplan.evaluate.split import split_objects
from acqplan.features.zoo import find_layers
from acqplan.progress import SILENT, Progress, Titled
from acqplan.rig.base import Rig
from acqplan.rig.captured import read_captured
from acqplan.rig.spec import RigSetup
from acqplan.runtime import Runtime
from acqplan.space import Shots
from acqplan.space.distance import nearest_views
from acqplan.space.distinct import is_among
from acqplan.strategy import find_strategy
from acqplan.strategy.base import History, Strategy

if TYPE_CHECKING:
    from acqplan.evaluate.eye import Eye
    from acqplan.rig.folder import FolderRig


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recommendation:
    """What to photograph, and what that is worth.

    Attributes:
        plan: The shots to take, in order.
        candidates: What could have been taken.
        validation: Comparison with other strategies on test objects; ``None`` on a live rig.
        sentences: The verdicts in plain words.
    """

    plan: Plan
    candidates: Shots
    validation: Validation | None
    sentences: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        """Plan, validation and verdicts in words, as one JSON document."""
        validation = None if self.validation is None else self.validation.to_dict()
        return {"plan": self.plan.to_dict(), "validation": validation, "sentences": list(self.sentences)}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Task:
    """What is to be planned.

    Attributes:
        candidates: What may be taken; captured shots are not among them.
        start: What has been captured.
        test: Shots of the test objects; none on a live rig.
    """

    candidates: Shots
    start: History
    test: Shots


def recommend(
    setup: RigSetup,
    budget: int,
    *,
    strategy: str | Strategy = "auto",
    backbone: str | None = None,
    weights: Path | None = None,
    captured: Path | None = None,
    seed: int = 0,
    validate: bool = True,
    runtime: Runtime | None = None,
    progress: Progress = SILENT,
) -> Recommendation:
    """Recommend which shots to take under a budget.

    On a virtual rig (every shot can be had) the plan is carried out round by round, the pilot paid from
    the budget, and compared with its opponents on objects that were kept aside. On a live rig it is planned
    in one round. The plan does not depend on whether it is validated.

    Args:
        setup: The rig, from `open_rig`.
        budget: Images that may be taken, captured ones included.
        strategy: Name of a strategy, or a strategy.
        backbone: ``name`` or ``name:layer``; toynet for toys, otherwise mobilenet_v2.
        weights: File of the backbone's weights; downloaded if ``None``.
        captured: Manifest of images captured already.
        seed: Seed of all randomness.
        validate: Whether to compare with other strategies.
        runtime: Where the backbone and the heads run; the fastest device by default.
        progress: Hears about long work.

    Returns:
        The plan and what it is worth.

    Raises:
        BudgetError: If the budget is below the number of objects or above that of candidates.
        BudgetSpent: If the captured images have used the budget up.
        SplitError: If objects cannot be split into train and test.
        BackboneError: If there is no such backbone or layer.
    """
    began = time.perf_counter()
    rule = find_strategy(strategy) if isinstance(strategy, str) else strategy
    live = setup.rig.name == "live"
    seen = None if captured is None else read_captured(captured, setup.rig, progress=progress)
    task = _task(setup, seed, seen)
    _check_budget(task, budget)
    if backbone and not backbone.startswith("timm/"):
        find_layers(backbone)  # a live rig may not need it yet, but a wrong name is told now
    eye = None if live and seen is None else _open_eye(setup.rig, backbone, weights, runtime, progress)
    if eye and seen:
        task = replace(task, start=_looked_at(task.start, eye.on(seen), Titled(progress=progress, title="captured")))
    n_objects = len(np.unique(task.candidates.object_rows))
    stops = () if live else pilot_stops(rule, budget, n_objects, known=len(task.start))
    arm = Arm(strategy=rule, budget=budget, seed=seed, stops=stops)
    run = replay([arm], task.candidates, task.start, None if live else eye, learn=_learn(eye), progress=progress)[0]
    known = task.start if live else joined_history(task.start, run)
    plan = Plan(
        shots=run.shots.narrow(np.unique(task.candidates.object_rows)),
        rounds=run.rounds,
        gain=run.gain,
        reason=run.reason,
        strategy=rule.name,
        parameters=_settings(rule),
        seed=seed,
        budget=budget,
        captured=len(task.start),
        backbone=None if eye is None else eye.backbone.fingerprint,
        seconds=time.perf_counter() - began,
        predicted=_predicted(known, eye, Titled(progress=progress, title="expected accuracy")),
    )
    if eye is None or live or not validate or len(task.test) == 0:
        return Recommendation(plan=plan, candidates=task.candidates, validation=None, sentences=())
    from acqplan.evaluate.validate import validate_run
    from acqplan.evaluate.words import sentence

    validation = validate_run(run, task.candidates, task.start, task.test, eye, progress=progress)
    sentences = tuple(sentence(verdict) for verdict in validation.verdicts)
    return Recommendation(plan=plan, candidates=task.candidates, validation=validation, sentences=sentences)


def _task(setup: RigSetup, seed: int, seen: FolderRig | None) -> _Task:
    everything = setup.rig.shots()
    start = everything.take([]) if seen is None else seen.shots()
    tested = () if setup.rig.name == "live" else _test_objects(setup, seed)
    is_test = np.isin(np.array(setup.rig.objects.names), tested)
    if seen is not None and is_test[start.object_rows].any():
        row = int(np.argmax(is_test[start.object_rows]))
        said = f"object '{start.names[row]}' is captured already, but the test is on objects that nobody has seen"
        raise SplitError(f"{seen.manifest.where(row)}: {said}", 'name others in rig.toml: [objects] test = ["…"]')
    had = replace(start, coordinates=nearest_views(start.space, start.coordinates))
    free = ~is_test[everything.object_rows] & ~is_among(everything, had)
    return _Task(
        candidates=everything.take(np.flatnonzero(free)),
        start=History(shots=start),
        test=everything.take(np.flatnonzero(is_test[everything.object_rows])),
    )


def _test_objects(setup: RigSetup, seed: int) -> tuple[str, ...]:
    if setup.test_fraction == 0 and not setup.test:
        return ()
    setup.check_splittable()
    objects, test = setup.rig.objects, setup.test or None
    try:
        return split_objects(objects, test_fraction=setup.test_fraction, test=test, seed=seed).test
    except SplitError as error:
        raise SplitError(f"{setup.path or setup.rig.name}: {error.message}", error.hint) from error


def _check_budget(task: _Task, budget: int) -> None:
    """Refuse a budget that cannot be planned, before anything is captured."""
    known, free = len(task.start), len(task.candidates)
    n_objects = len(np.unique(np.concatenate([task.candidates.object_rows, task.start.shots.object_rows])))
    if 0 < budget <= known:
        raise BudgetSpent(f"{known:,} of {budget:,} images have been captured already; a larger budget takes more")
    if budget < n_objects:
        raise BudgetError(f"a budget of {budget:,} images for {n_objects:,} objects", f"give at least {n_objects:,}")
    if budget > known + free:
        raise BudgetError(
            f"a budget of {budget:,} images, where {n_objects:,} objects can be shot {known + free:,} times",
            f"give at most {known + free:,}",
        )


def _learn(eye: Eye | None) -> Learn | None:
    if eye is None:
        return None
    from acqplan.evaluate.validate import with_beliefs

    return partial(with_beliefs, device=eye.runtime.device)


def _open_eye(rig: Rig, backbone: str | None, weights: Path | None, runtime: Runtime | None, progress: Progress) -> Eye:
    with progress.task("loading torch", 1) as advance:
        from acqplan.evaluate.eye import Eye

        advance(1)
    return Eye.open(rig, backbone=backbone, weights=weights, runtime=runtime or Runtime.detect())


def _looked_at(start: History, eye: Eye, progress: Progress) -> History:
    return History(shots=start.shots, features=eye(start.shots, progress=progress))


def _predicted(known: History, eye: Eye | None, progress: Progress) -> tuple[float, float, float] | None:
    if eye is None or known.features is None:
        return None
    from acqplan.evaluate.validate import predict_accuracy

    return predict_accuracy(known, device=eye.runtime.device, progress=progress)


def _settings(rule: Strategy) -> dict[str, Setting]:
    return asdict(rule) if is_dataclass(rule) and not isinstance(rule, type) else {}
