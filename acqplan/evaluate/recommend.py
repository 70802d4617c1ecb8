"""The main job: recommend which views of which objects to photograph, and say what that is worth."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, is_dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from acqplan.errors import BudgetError
from acqplan.evaluate.replay import Learn, Run, joined_history, replay
from acqplan.evaluate.task import Task, check_budgets, images_in_time, planned_seconds, task_of
from acqplan.evaluate.verdict import Validation
from acqplan.features.extractor import Extractor
from acqplan.features.registry import find_layers
from acqplan.numbers import duration
from acqplan.plan import find_strategy
from acqplan.plan.base import History, Strategy
from acqplan.plan.deployed import Deployed, deployed
from acqplan.plan.plan import Plan, Setting
from acqplan.plan.route import routed
from acqplan.progress import SILENT, Progress, Titled
from acqplan.rig.folder import read_captured
from acqplan.rig.spec import Rig
from acqplan.runtime import Runtime
from acqplan.space import Shots

if TYPE_CHECKING:
    from acqplan.advice.answers import Advice


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recommendation:
    """What to photograph, and what that is worth.

    Attributes:
        plan: The shots to take, in order.
        candidates: What could have been taken.
        validation: Comparison with other strategies on test objects; ``None`` on a live rig.
        sentences: The verdicts in plain words.
        advice: Stop or go on, once these images are captured (on a live rig: those captured before); ``None`` where no
            image was seen.
    """

    plan: Plan
    candidates: Shots
    validation: Validation | None
    sentences: tuple[str, ...]
    advice: Advice | None = None

    def to_dict(self) -> dict[str, object]:
        """Plan, validation, verdicts in words and advice, as one JSON document."""
        from acqplan.advice.answers import worded

        return {
            "plan": self.plan.to_dict(),
            "validation": None if self.validation is None else self.validation.to_dict(),
            "sentences": list(self.sentences),
            "advice": None if self.advice is None else worded(self.advice),
        }


def recommend(
    setup: Rig,
    budget: int | None = None,
    *,
    time_budget: float | None = None,
    strategy: str | Strategy = "auto",
    backbone: str | None = None,
    weights: Path | None = None,
    captured: Path | None = None,
    accuracies: Sequence[float] = (),
    seed: int = 0,
    validate: bool = True,
    runtime: Runtime | None = None,
    progress: Progress = SILENT,
) -> Recommendation:
    """Recommend which shots to take under a budget of images, of time, or of both.

    On a virtual rig (every shot can be had) the plan is carried out, by a strategy that learns round by round, and
    compared with its opponents on objects that were kept aside. On a live rig it is planned in one round. The plan
    does not depend on whether it is validated. Where the rig says how long moves take, the shots of each round stand
    in an order that is quick to drive; it gives up that the first few are spread well.

    Args:
        setup: The rig, from `open_rig`.
        budget: Images that may be taken, captured ones included; ``None`` for as many as the time allows.
        time_budget: Seconds of taking the images still to be taken; the plan is the strategy's largest that fits.
        strategy: Name of a strategy, or a strategy.
        backbone: ``name`` or ``name:layer``; toynet for toys, otherwise mobilenet_v2.
        weights: File of the backbone's weights; downloaded if ``None``.
        captured: Manifest of images captured already.
        accuracies: Accuracies that the advice shall count images for, above 0 and at most 1.
        seed: Seed of all randomness.
        validate: Whether to compare with other strategies.
        runtime: Where the backbone and the heads run; the fastest device by default.
        progress: Hears about long work.

    Returns:
        The plan and what it is worth.

    Raises:
        UsageError: If neither budget is given, or nothing on the rig takes time.
        BudgetError: If the budget is below the number of objects or above that of candidates, or the time does not
            suffice for the fewest images that make a plan.
        BudgetSpent: If the captured images have used the budget up.
        SpaceExhausted: If all that can be had has been captured.
        SplitError: If objects cannot be split into train and test.
        BackboneError: If there is no such backbone or layer.
    """
    began = time.perf_counter()
    rule = deployed(find_strategy(strategy) if isinstance(strategy, str) else strategy, setup.view_weights)
    seen = None if captured is None else read_captured(captured, setup.source, progress=progress)
    task = task_of(setup, seed, seen)
    check_budgets(task, budget, time_budget)
    if backbone and not backbone.startswith("timm/"):
        find_layers(backbone)  # a live rig may not need it yet, but a wrong name is told now
    eye = None
    if seen is not None or not task.is_live:
        eye = Extractor.open(setup.source, backbone=backbone, weights=weights, runtime=runtime, progress=progress)
    if eye and seen:
        task = replace(task, start=_looked_at(task.start, eye.on(seen), Titled(progress=progress, title="captured")))
    images = _images(task, rule, budget, time_budget, seed, learn=_learn(eye), progress=progress)
    run, plan = _carried_out(task, rule, images, time_budget, seed, eye, progress)
    known = task.start if task.is_live else joined_history(task.start, run)
    plan = replace(plan, seconds=time.perf_counter() - began)
    advice = _advice(known, len(setup.source.objects), accuracies, seed, eye, progress)
    plan = replace(plan, predicted=_predicted(advice), sensitivity=_sensitivity(known, seed, progress))
    result = Recommendation(plan=plan, candidates=task.candidates, validation=None, sentences=(), advice=advice)
    if eye is None or task.is_live or not validate or len(task.test) == 0:
        return result
    from acqplan.evaluate.validate import validate_run
    from acqplan.evaluate.verdict import sentence

    validation = validate_run(
        run, task.candidates, task.start, task.test, eye, view_weights=setup.view_weights, progress=progress
    )
    return replace(result, validation=validation, sentences=tuple(map(sentence, validation.verdicts)))


def _images(
    task: Task,
    rule: Strategy,
    budget: int | None,
    limit: float | None,
    seed: int,
    *,
    learn: Learn | None,
    progress: Progress,
) -> int:
    """Images of the plan, captured ones included: the budget, or as many as fit into the time."""
    known = len(task.start)
    most = known + len(task.candidates) if budget is None else budget
    if limit is None:
        return most

    def seconds_of(images: int) -> float:
        arm = task.arm(rule, images, seed)
        return planned_seconds(arm, task.candidates, task.start, task.times, learn=learn)

    least = min(max(task.n_objects, known + 1), most)
    with progress.task("images in time", 1) as advance:
        found = images_in_time(seconds_of, limit, least=least, most=most, step=len(task.objects))
        advance(1)
    return found


def _carried_out(
    task: Task, rule: Strategy, images: int, limit: float | None, seed: int, eye: Extractor | None, progress: Progress
) -> tuple[Run, Plan]:
    """Run the strategy and route its shots; with fewer images where what it saw led it to a longer way than foreseen.

    Raises:
        BudgetError: If even the fewest images take too long.
    """
    arm = task.arm(rule, images, seed)
    sight = None if task.is_live else eye
    run = replay([arm], task.candidates, task.start, sight, learn=_learn(eye), progress=progress)[0]
    plan = Plan(
        shots=run.shots.narrow(task.objects),
        rounds=run.rounds,
        gain=run.gain,
        reason=run.reason,
        strategy=rule.name,
        parameters=_settings(rule),
        seed=seed,
        budget=images,
        captured=len(task.start),
        backbone=None if eye is None else eye.backbone.fingerprint,
        time_budget=limit,
    )
    plan = routed(plan, task.times)
    if limit is None or plan.route_seconds is None or plan.route_seconds <= limit:
        return run, plan
    fewer = min(images - 1, int(images * limit / plan.route_seconds))
    if fewer < max(task.n_objects, len(task.start) + 1):
        raise BudgetError(f"a time budget of {duration(limit)}, but {images:,} images take longer", "give more time")
    return _carried_out(task, rule, fewer, limit, seed, eye, progress)


def _sensitivity(known: History, seed: int, progress: Progress) -> str:
    """How far an image speaks along each axis, in words; empty if captured images do not tell."""
    if known.features is None or known.features.size == 0:
        return ""
    from acqplan.plan.surrogate import describe, fit_surrogate

    with progress.task("length scales", 1) as advance:
        found = fit_surrogate(known.shots, known.features, seed=seed)
        advance(1)
    return describe(known.shots.space, found.kernel) if found.learned else ""


def _learn(eye: Extractor | None) -> Learn | None:
    if eye is None:
        return None
    from acqplan.evaluate.validate import with_beliefs

    return partial(with_beliefs, device=eye.runtime.device)


def _looked_at(start: History, eye: Extractor, progress: Progress) -> History:
    return History(shots=start.shots, features=eye(start.shots, progress=progress))


def _advice(
    known: History, n_objects: int, accuracies: Sequence[float], seed: int, eye: Extractor | None, progress: Progress
) -> Advice | None:
    if eye is None or known.features is None or known.features.size == 0:
        return None
    from acqplan.advice.advise import advise

    others = n_objects - len(np.unique(known.shots.object_rows))
    device = eye.runtime.device
    return advise(
        known, accuracies=accuracies, test_objects=others or None, seed=seed, device=device, progress=progress
    )


def _predicted(advice: Advice | None) -> tuple[float, float, float] | None:
    """Accuracy on objects left out, by heads that saw all images of the others: the end of the advice's curve."""
    if advice is None or not advice.points:
        return None
    found = advice.points[-1].accuracy
    return found.estimate, found.low, found.high


def _settings(rule: Strategy) -> dict[str, Setting]:
    if isinstance(rule, Deployed):
        return {**_settings(rule.rule), "deployment_views": sum(weight > 0 for weight in rule.view_weights)}
    return asdict(rule) if is_dataclass(rule) and not isinstance(rule, type) else {}
