"""The main jobs: recommend which views of which objects to photograph, and advise on capturing more."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from acqplan.errors import BudgetError, ManifestError, SplitError, UsageError
from acqplan.evaluate.headline import Headline, headline
from acqplan.evaluate.replay import Learn, Run, joined_history, replay
from acqplan.evaluate.task import TEST_VIEWS, Task, check_budgets, images_in_time, opened, settings_of, task_of
from acqplan.evaluate.verdict import Predictions, Validation, sentence
from acqplan.features.extractor import Extractor, default_backbone
from acqplan.features.registry import find_layers, full_name, needs_file
from acqplan.numbers import count_noun, duration
from acqplan.plan import find_strategy
from acqplan.plan.base import History, Strategy, learns
from acqplan.plan.deployed import deployed
from acqplan.plan.plan import Plan
from acqplan.plan.poses import write_poses
from acqplan.plan.route import Times, cheap_order, route_seconds, routed
from acqplan.progress import SILENT, Progress, Titled
from acqplan.rig.folder import FolderSource, read_captured
from acqplan.rig.source import Source
from acqplan.rig.spec import Rig
from acqplan.runtime import Runtime
from acqplan.space import Shots
from acqplan.space.sphere import Orbit

if TYPE_CHECKING:
    from acqplan.advice.answers import Advice
    from acqplan.advice.spend import Outlay


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
        camera: How the camera of the rig stands to the objects; ``None`` if that is not known.
        captured: What was captured, before or for this plan, each part with the source of its images; empty if nothing.
        left_out: What heads took captured shots for that never saw their objects; ``None`` where plans were compared
            (`Validation.predictions` has new objects), or nothing can be said.
    """

    plan: Plan
    candidates: Shots
    validation: Validation | None
    sentences: tuple[str, ...] = field(repr=False)
    advice: Advice | None = None
    camera: Orbit | None = field(default=None, repr=False)
    captured: tuple[tuple[Source, Shots], ...] = ()
    left_out: Predictions | None = None

    def __repr__(self) -> str:
        return f"Recommendation({self.headline.sentence})"

    def _repr_html_(self) -> str:
        from acqplan.report.page import notebook_text

        return notebook_text(self)

    @property
    def headline(self) -> Headline:
        """What matters most: one sentence and one number."""
        return headline(self)

    @property
    def predictions(self) -> Predictions | None:
        """What a head took shots for that it had not seen: new objects if there was a test, else those left out."""
        return self.left_out if self.validation is None else self.validation.predictions

    def table(self) -> list[dict[str, object]]:
        """The plan as rows, keys as the columns of plan.csv; ``pandas.DataFrame`` takes them."""
        return self.plan.table()

    def save(self, folder: Path | str, *, progress: Progress = SILENT) -> list[Path]:
        """Write what ``acqplan recommend --out`` holds, all files or none; see `acqplan.report.result`."""
        from acqplan.report.result import save

        return save(self, Path(folder), progress=progress)

    def save_poses(self, path: Path | str) -> None:
        """Write the camera's pose of each shot, ``acqplan recommend --poses``; see `acqplan.plan.poses.write_poses`.

        Raises:
            UsageError: If the rig does not say where its camera is.
        """
        write_poses(Path(path), self.plan, self.camera)

    def to_dict(self) -> dict[str, object]:
        """Plan, validation, verdicts in words and advice, as one JSON document."""
        from acqplan.advice.sentences import worded

        return {
            "headline": self.headline.sentence,
            "plan": self.plan.to_dict(),
            "validation": None if self.validation is None else self.validation.to_dict(),
            "sentences": list(self.sentences),
            "advice": None if self.advice is None else worded(self.advice),
        }


def recommend(
    rig: Rig | Path | str,
    budget: int | None = None,
    *,
    time_budget: float | None = None,
    strategy: str | Strategy = "auto",
    backbone: str | None = None,
    weights: Path | str | None = None,
    captured: Path | str | None = None,
    accuracies: Sequence[float] = (),
    seed: int = 0,
    validate: bool = True,
    test_views: int | None = TEST_VIEWS,
    dry_run: bool = False,
    on_plan: Callable[[Recommendation], None] | None = None,
    runtime: Runtime | None = None,
    progress: Progress = SILENT,
) -> Recommendation:
    """Recommend which shots to take under a budget of images, of time, or of both: ``acqplan recommend``.

    On a virtual rig (every shot can be had) the plan is carried out, by a strategy that learns round by round, and
    compared with its opponents on objects that were kept aside, or on views where every label has one object (or
    rig.toml says ``test = "views"``). Without validation nothing is kept aside and every object is planned. On a live
    rig it is planned in one round. Where the rig says how long moves take, the shots of each round are
    put in an order that is quick to drive, at the cost that the first few are not spread well.

    Args:
        rig: The rig, from `open_rig`, or the path of its rig.toml.
        budget: Images that may be taken, captured ones included; ``None`` for as many as the time allows.
        time_budget: Seconds of taking the images still to be taken; the plan is the strategy's largest that fits.
        strategy: Name of a strategy, or a strategy.
        backbone: ``name`` or ``name:layer``; toynet for toys, otherwise mobilenet_v2.
        weights: File of the backbone's weights; downloaded if ``None``.
        captured: Manifest of images captured already.
        accuracies: Accuracies that the advice shall count images for, above 0 and at most 1.
        seed: Seed of all randomness.
        validate: Whether to compare with other strategies.
        test_views: Shots of each test object that it is judged by, spread over the views; ``None`` for all.
        dry_run: Whether to plan only: no image is captured or looked at.
        on_plan: Is told the plan, without validation and advice, as soon as it is there: before any image is captured,
            unless the strategy learns from images.
        runtime: Where the backbone and the heads run; the fastest device by default.
        progress: Hears about long work.

    Returns:
        The plan and what it is worth.

    Raises:
        UsageError: If neither budget is given, nothing on the rig takes time, ``test_views`` is below 2, or the plan of
            a dry run would be learned from images.
        BudgetError: If the budget is below the number of objects or above that of candidates, or the time does not
            suffice for the fewest images that make a plan.
        BudgetSpent: If the captured images have used the budget up.
        SpaceExhausted: If all that can be had has been captured.
        SplitError: If objects cannot be split into train and test.
        BackboneError: If there is no such backbone or layer.
    """
    # 1. What may be taken, what has been captured, and what is kept for the test.
    began = time.perf_counter()
    rig = opened(rig, progress)
    rule = find_strategy(strategy) if isinstance(strategy, str) else strategy
    seen = None if captured is None else _captured(captured, rig, progress)
    try:
        task = task_of(rig, seed, seen, validate=validate)
    except SplitError as error:
        error.hint += ", or plan without validation (--no-validate)"
        raise
    rule = deployed(rule, task.view_weights)
    check_budgets(task, budget, time_budget)
    if test_views is not None and test_views < 2:
        raise UsageError(f"{count_noun(test_views, 'shot')} to judge each test object by", "give at least 2")
    _check_backbone(backbone)  # a live rig may not need it yet, but a wrong name is reported now
    if dry_run and learns(rule):
        raise UsageError(
            f"strategy {rule.name} learns from images: before they are captured it has no plan",
            "choose a strategy that does not, e.g. auto, for a dry run",
        )
    extractor, is_blind = None, task.is_live and seen is None
    open_extractor = partial(
        Extractor.open, rig.source, backbone=backbone, weights=weights, runtime=runtime, progress=progress
    )
    # What may be missing or wrong is opened before anything is told; networks that are embedded can wait.
    can_wait = weights is None and not needs_file(backbone or default_backbone(rig.source))
    if not (is_blind or dry_run or (can_wait and not learns(rule))):
        extractor = open_extractor()
        if seen and learns(rule):
            task = replace(task, start=_looked_at(seen, extractor, progress))
    # 2. The plan, told at once; on a virtual rig its shots are taken, for a rule that learns on the way.
    run, plan = _carried_out(task, rule, budget, time_budget, seed, extractor, progress)
    plan, advice = replace(plan, seconds=time.perf_counter() - began), None
    result = Recommendation(plan=plan, candidates=task.candidates, validation=None, sentences=(), camera=rig.camera)
    if on_plan is not None:
        on_plan(result)
    if dry_run:
        return result
    # 3. All images that are needed, taken together: of the plan, of other strategies, and of the test.
    contest = material = None
    if not is_blind:
        extractor = extractor or open_extractor()
        plan = replace(plan, backbone=extractor.backbone.fingerprint)
        if seen and not learns(rule):
            task = replace(task, start=_looked_at(seen, extractor, progress))
    if extractor and not task.is_live:
        from acqplan.evaluate.experiment import Material, set_up_contest

        if task.split is not None and len(task.test):
            contest = set_up_contest(run, task, task.split, extractor, test_views=test_views, progress=progress)
        wanted = run.shots if contest is None else contest.shots
        features = extractor(wanted, progress=Titled(progress=progress, title="images"))
        material = Material(shots=wanted, features=features, view_weights=rig.view_weights)
        if not run.has_features:
            run = replace(run, features=material(run.shots))
    known = task.start if task.is_live else joined_history(task.start, run)
    # 4. What the captured images say: accuracy, sensitivity, stop or go on.
    if extractor and known.features is not None and known.features.size > 0:
        from acqplan.plan.surrogate import describe, fit_surrogate

        advice = _advice(known, rig, {"accuracies": accuracies}, seed, extractor.runtime.device, progress)
        # The end of the advice's curve: accuracy on objects left out, by heads that saw all images of the others.
        last = advice.points[-1].accuracy if advice.points else None
        predicted = None if last is None else (last.estimate, last.low, last.high)
        # How far an image speaks along each axis, in words; empty if the captured images do not show it.
        with progress.task("length scales", 1) as advance:
            found = fit_surrogate(known.shots, known.features, seed=seed)
            advance(1)
        sensitivity = describe(known.shots.space, found.kernel) if found.learned else ""
        plan = replace(plan, predicted=predicted, sensitivity=sensitivity)
    elif extractor is None:
        from acqplan.advice.foreseen import foresee

        advice = foresee(plan.shots, seed=seed)
    before = () if seen is None else ((seen, seen.shots()),)
    now = () if task.is_live else ((rig.source, run.shots),)
    result = replace(result, plan=plan, advice=advice, captured=(*before, *now))
    if contest is None or material is None or extractor is None:
        return replace(result, left_out=_left_out(known, extractor) if advice and advice.judged and extractor else None)
    # 5. What the plan is worth on new objects, beside other strategies.
    validation = contest.judged(material, device=extractor.runtime.device, progress=progress)
    return replace(result, validation=validation, sentences=tuple(map(sentence, validation.verdicts)))


def advise(
    rig: Rig | Path | str,
    captured: Path | str | None = None,
    *,
    budget: int | None = None,
    strategy: str | Strategy = "auto",
    accuracies: Sequence[float] = (0.95,),
    outlay: Outlay | None = None,
    worth: str | None = None,
    backbone: str | None = None,
    weights: Path | str | None = None,
    seed: int = 0,
    runtime: Runtime | None = None,
    progress: Progress = SILENT,
) -> Advice:
    """Advise on capturing more on a rig: ``acqplan advise``.

    Args:
        rig: The rig, from `open_rig`, or the path of its rig.toml.
        captured: Manifest of the images captured.
        budget: Instead of ``captured``, on a virtual rig: how many images a strategy captures of the train objects
            first.
        strategy: That strategy.
        accuracies: Accuracies to be reached, above 0 and at most 1; beside them, 99 % of the saturation.
        outlay: What may be spent next; as many images again by default.
        worth: Points that are worth going on for, see `read_worth`.
        backbone: ``name`` or ``name:layer``; toynet for toys, otherwise mobilenet_v2.
        weights: File of the backbone's weights; downloaded if ``None``.
        seed: Seed of the plan, of sub-samples and of resamples.
        runtime: Where the backbone and the heads run; the fastest device by default.
        progress: Hears about long work.

    Returns:
        The advice; the smallest difference is that of a test over the objects of the rig that are not captured, if
        there are such.

    Raises:
        UsageError: If neither or both of ``captured`` and ``budget`` are given, a live rig has a budget only, or an
            accuracy cannot be. Other errors are those of `recommend` and `read_captured`.
    """
    from acqplan.advice.answers import check_accuracies, read_worth

    rig = opened(rig, progress)
    check_accuracies(accuracies)
    asked = {"accuracies": accuracies, "outlay": outlay, **read_worth(worth)}
    _check_captured(rig, captured, budget)
    _check_backbone(backbone)
    opened_extractor = partial(
        Extractor.open, rig.source, backbone=backbone, weights=weights, runtime=runtime, progress=progress
    )
    if captured is not None:
        seen = _captured(captured, rig, progress)
        extractor = opened_extractor()
        known = _looked_at(seen, extractor, progress)
    else:
        # what a validation would keep aside is left to the test that the advice speaks of
        task = replace(task_of(rig, seed, None), split=None)
        check_budgets(task, budget, None)
        rule = deployed(find_strategy(strategy) if isinstance(strategy, str) else strategy, task.view_weights)
        extractor = opened_extractor()
        run, _ = _carried_out(task, rule, budget, None, seed, extractor, progress)
        known = joined_history(task.start, _with_images(run, extractor, progress))
    return _advice(known, rig, asked, seed, extractor.runtime.device, progress)


def captured_images(
    rig: Rig, captured: Path | str | None, *, budget: int | None = None, seed: int = 0, progress: Progress = SILENT
) -> tuple[Source, Shots]:
    """What has been captured, and what holds it: the images of a manifest, or on a virtual rig those of a plan.

    Args:
        rig: The rig.
        captured: Manifest of the images captured.
        budget: Instead, on a virtual rig: how many images the default strategy takes of the train objects.
        seed: Seed of split and plan.
        progress: Hears about long work.

    Raises:
        UsageError: If neither or both of ``captured`` and ``budget`` are given, or a live rig has a budget only.
        BudgetError: If the budget is below the number of objects or above that of candidates.
    """
    _check_captured(rig, captured, budget)
    if captured is not None:
        seen = _captured(captured, rig, progress)
        return seen, seen.shots()
    task = task_of(rig, seed, None)
    check_budgets(task, budget, None)
    rule = deployed(find_strategy("auto"), task.view_weights)
    run, _ = _carried_out(replace(task, split=None), rule, budget, None, seed, None, progress)
    return rig.source, run.shots


def _check_captured(rig: Rig, captured: Path | str | None, budget: int | None) -> None:
    if captured is not None and budget is not None:
        raise UsageError("captured images and a budget", "give one of them: the budget is for trying without images")
    if captured is None and rig.source.name == "live":
        raise UsageError("no captured images of a live rig", "give their manifest: --captured MANIFEST")
    if captured is None and budget is None:
        raise UsageError(
            "no captured images to advise from",
            "give their manifest (--captured MANIFEST), or on a virtual rig --budget IMAGES to capture some first",
        )


def _captured(path: Path | str, rig: Rig, progress: Progress) -> FolderSource:
    """The captured images of a rig; objects that it has not may be those of a rig that was not named."""
    if isinstance(rig.source, FolderSource) and rig.path == Path(path).absolute():
        return rig.source  # photographs that are their own rig
    try:
        return read_captured(Path(path), rig.source, progress=progress)
    except ManifestError as error:
        is_unknown = error.asked is not None and f"has no object '{error.asked}'" in error.message
        if rig.path is None and rig.source.name == "toys" and is_unknown:
            error.hint = "the rig is the embedded toys; give that of these images: --rig rig.toml, open_rig('rig.toml')"
        raise


def _with_images(run: Run, extractor: Extractor, progress: Progress) -> Run:
    """A run with features of its images; those of a rule that learns are there already."""
    if run.has_features:
        return run
    return replace(run, features=extractor(run.shots, progress=Titled(progress=progress, title="plan")))


def _left_out(known: History, extractor: Extractor) -> Predictions:
    """What heads take captured shots for that never saw their objects; the only object of a class is not judged."""
    from acqplan.evaluate.experiment import with_beliefs

    (judged,) = with_beliefs([known], device=extractor.runtime.device)
    assert judged.beliefs is not None
    objects = known.shots.objects
    counts = np.bincount(objects.class_rows[np.unique(known.shots.object_rows)], minlength=len(objects.classes))
    rows = np.flatnonzero(counts[known.shots.class_rows] > 1)
    predicted = judged.beliefs[rows].argmax(axis=1)
    return Predictions(shots=known.shots.take(rows), predicted=predicted, whose="objects left out")


def _check_backbone(backbone: str | None) -> None:
    if backbone and not full_name(backbone).startswith("timm/"):
        find_layers(backbone)


def _looked_at(seen: FolderSource, extractor: Extractor, progress: Progress) -> History:
    """Captured images with their features."""
    shots = seen.shots()
    return History(
        shots=shots, features=extractor.on(seen)(shots, progress=Titled(progress=progress, title="captured"))
    )


def _carried_out(
    task: Task,
    rule: Strategy,
    budget: int | None,
    limit: float | None,
    seed: int,
    extractor: Extractor | None,
    progress: Progress,
) -> tuple[Run, Plan]:
    """Run the strategy and route its shots, with as many images as the budget and the time limit allow.

    Raises:
        BudgetError: If even the fewest images take too long.
    """
    most = len(task.start) + len(task.candidates) if budget is None else budget
    learn: Learn | None = None
    if extractor is not None:
        from acqplan.evaluate.experiment import with_beliefs

        learn = partial(with_beliefs, device=extractor.runtime.device)

    def seconds_of(images: int) -> float:
        """Seconds of the routed plan of so many images if the strategy sees no image on the way."""
        run = replay([task.arm(rule, images, seed)], task.candidates, task.start, None, learn=learn)[0]
        return route_seconds(run.shots.take(cheap_order(run.shots, task.times, rounds=run.rounds)), task.times)

    images = most
    if limit is not None:
        with progress.task("images in time", 1) as advance:
            least = min(task.fewest, most)
            images = images_in_time(seconds_of, limit, least=least, most=most, step=len(task.objects))
            advance(1)
    while True:
        capture = extractor if learns(rule) and not task.is_live else None
        arm = task.arm(rule, images, seed)
        run = replay([arm], task.candidates, task.start, capture, learn=learn, progress=progress)[0]
        plan = Plan(
            shots=run.shots.narrow(task.objects),
            rounds=run.rounds,
            gain=run.gain,
            reason=run.reason,
            strategy=rule.name,
            parameters=settings_of(rule),
            seed=seed,
            budget=images,
            captured=len(task.start),
            backbone=None if extractor is None else extractor.backbone.fingerprint,
            time_budget=limit,
            kept_aside={} if task.split is None else task.split.to_dict(),
        )
        plan = routed(plan, task.times)
        if limit is None or plan.route_seconds is None or plan.route_seconds <= limit:
            return run, plan
        # What the strategy saw led it to a longer way than foreseen: try with fewer images.
        fewer = min(images - 1, int(images * limit / plan.route_seconds))
        if fewer < task.fewest:
            said = f"a time budget of {duration(limit)}, but {images:,} images take longer"
            raise BudgetError(said, "give more time")
        images = fewer


def _advice(known: History, rig: Rig, asked: Mapping[str, Any], seed: int, device: str, progress: Progress) -> Advice:
    """Advice from captured images, for a test over the objects that are not captured, if there are such."""
    from acqplan.advice.advise import advise_history

    others = len(rig.source.objects) - len(np.unique(known.shots.object_rows))
    times = Times.of(rig)
    return advise_history(
        known, **asked, times=times, test_objects=others or None, seed=seed, device=device, progress=progress
    )
