"""Advice on a rig: from a manifest of captured images, or, to try it, from what a strategy captures virtually."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from acqplan.advice.answers import Advice, check_accuracies
from acqplan.errors import UsageError
from acqplan.evaluate.recommend import recommend
from acqplan.features.extractor import Extractor
from acqplan.features.registry import find_layers
from acqplan.plan.base import History, Strategy
from acqplan.progress import SILENT, Progress, Titled
from acqplan.rig.folder import read_captured
from acqplan.rig.spec import Rig
from acqplan.runtime import Runtime


def advise_rig(
    setup: Rig,
    *,
    captured: Path | None = None,
    budget: int | None = None,
    strategy: str | Strategy = "auto",
    accuracies: Sequence[float] = (),
    backbone: str | None = None,
    weights: Path | None = None,
    seed: int = 0,
    runtime: Runtime | None = None,
    progress: Progress = SILENT,
) -> Advice:
    """Advise on capturing more on a rig.

    Args:
        setup: The rig, from `open_rig`.
        captured: Manifest of the images captured.
        budget: Instead of it, on a virtual rig: how many images a strategy captures of the train objects first.
        strategy: That strategy.
        accuracies: Accuracies to be reached, above 0 and at most 1; beside them, 99 % of the saturation.
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
            accuracy cannot be. Other errors as of `recommend` and `read_captured`.
    """
    _check(setup, captured, budget, accuracies)
    if backbone and not backbone.startswith("timm/"):
        find_layers(backbone)
    runtime = runtime or Runtime.detect()
    if captured is None:
        planned = recommend(
            setup,
            budget,
            strategy=strategy,
            backbone=backbone,
            weights=weights,
            accuracies=accuracies,
            seed=seed,
            validate=False,
            runtime=runtime,
            progress=progress,
        )
        assert planned.advice is not None, "a virtual rig shows what it takes"
        return planned.advice
    seen = read_captured(captured, setup.source, progress=progress)
    shots = seen.shots()
    eye = Extractor.open(setup.source, backbone=backbone, weights=weights, runtime=runtime, progress=progress)
    features = eye.on(seen)(shots, progress=Titled(progress=progress, title="captured"))
    others = len(setup.source.objects) - len(np.unique(shots.object_rows))
    from acqplan.advice.advise import advise

    return advise(
        History(shots=shots, features=features),
        accuracies=accuracies,
        test_objects=others or None,
        seed=seed,
        device=runtime.device,
        progress=progress,
    )


def _check(setup: Rig, captured: Path | None, budget: int | None, accuracies: Sequence[float]) -> None:
    check_accuracies(accuracies)
    if captured is not None and budget is not None:
        raise UsageError("captured images and a budget", "give one of them: the budget is for trying without images")
    if captured is None and setup.source.name == "live":
        raise UsageError("no captured images of a live rig", "give their manifest: --captured MANIFEST")
    if captured is None and budget is None:
        raise UsageError(
            "no captured images to advise from",
            "give their manifest (--captured MANIFEST), or on a virtual rig --budget IMAGES to capture some first",
        )
