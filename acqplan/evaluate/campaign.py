"""Campaigns that learn: new plans, features and advice from the images told so far; here capture meets planning.

Nothing heavy is loaded before there is something to do.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acqplan.campaign import leases
from acqplan.campaign.events import CampaignState, ShotRecord
from acqplan.errors import UsageError
from acqplan.plan.rounds import enough, next_stop
from acqplan.progress import SILENT, Progress, Titled

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float32

    from acqplan.advice.answers import Advice
    from acqplan.campaign.campaign import Campaign
    from acqplan.campaign.events import ShotRecord
    from acqplan.evaluate.campaign_source import CampaignSource
    from acqplan.features.extractor import Extractor
    from acqplan.plan.base import History, Strategy
    from acqplan.runtime import Runtime
    from acqplan.space import Shots

SHORTAGE_SHARE = 0.02
"""Of the images that may still be taken: fewer shots that were given up are replaced by lot, without a new plan."""


def due(campaign: Campaign) -> str:
    """Why a new plan is due; empty if none is. Quick, and loads no numpy.

    A rule that learns looks again once nearly all images up to its next stop are there. Any rule plans anew when
    operators or failures have changed what can be had: shots are missing, or an added object has none.
    """
    with campaign.store.reading() as ledger:
        standing = ledger.standing
        if standing.room == 0 or leases.finished(campaign.settings, standing, ledger.now):
            return ""
        return _stop_reached(standing) or _shots_missing(standing) or _object_without_shots(standing)


def plan_next(
    campaign: Campaign,
    *,
    backbone: str | None = None,
    weights: Path | None = None,
    runtime: Runtime | None = None,
    eye: Extractor | None = None,
    force: bool = False,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Plan the next round if one is due, outside of any transaction: shots are handed out and told meanwhile.

    Args:
        campaign: The campaign.
        backbone: What looks at the images, if the rule learns; by default as for `open_eye`.
        weights: File of its weights.
        runtime: Where it runs; the fastest device by default.
        eye: Instead of these, what `open_eye` gave; for whoever plans again and again.
        force: Whether to plan even if nothing is due.
        progress: Hears about long work.

    Returns:
        ``planned`` (whether there is a new plan), ``due`` (why), ``dropped`` (why it was not adopted, if so),
        ``round``, ``shots`` and ``captured`` (how many it holds and knows), ``strategy`` and ``seconds``.

    Raises:
        ImageError: If an image is not what was told. Other errors as of `open_eye` and of the strategy.
    """
    why = due(campaign)
    if not why and not force:
        return {"planned": False, "due": ""}
    from acqplan.campaign.planning import planned, question_of, rule_of

    began, rule = time.perf_counter(), rule_of(campaign.settings)
    with campaign.store.reading() as ledger:
        question = question_of(ledger)

    def look() -> Extractor:
        return eye or open_eye(campaign, backbone=backbone, weights=weights, runtime=runtime, progress=progress)

    history = _history(_told(campaign, question.captured, question.records), rule, look, progress)
    with progress.task("planning", 1) as advance:
        plan = planned(question, campaign.settings, rule, history)
        advance(1)
    dropped = campaign.adopt(plan)
    return {
        "planned": not dropped,
        "due": why,
        "dropped": dropped,
        "round": plan["round"],
        "shots": len(plan["shots"]),
        "captured": plan["captured"],
        "strategy": plan["strategy"],
        "seconds": round(time.perf_counter() - began, 3),
    }


def extract_told(
    campaign: Campaign,
    *,
    backbone: str | None = None,
    weights: Path | None = None,
    runtime: Runtime | None = None,
    eye: Extractor | None = None,
    progress: Progress = SILENT,
) -> int:
    """Put features of all images told so far into the cache; those that are there are not computed again.

    Args:
        campaign: The campaign.
        backbone: What looks at the images; by default as for `open_eye`.
        weights: File of its weights.
        runtime: Where it runs; the fastest device by default.
        eye: Instead of these, what `open_eye` gave; for whoever calls this again and again.
        progress: Hears about long work.

    Returns:
        Images told so far; 0 loads nothing.

    Raises:
        ImageError: If an image is not what was told. Other errors as of `open_eye`.
    """
    with campaign.store.reading() as ledger:
        captured = ledger.standing.captured
    if captured:
        seen = eye or open_eye(campaign, backbone=backbone, weights=weights, runtime=runtime, progress=progress)
        _looked_at(_captured(campaign), seen, progress)
    return captured


def advise_campaign(
    campaign: Campaign,
    *,
    accuracies: Sequence[float] = (),
    backbone: str | None = None,
    weights: Path | None = None,
    runtime: Runtime | None = None,
    eye: Extractor | None = None,
    progress: Progress = SILENT,
) -> Advice:
    """Advise on capturing more, from what the campaign has captured; the advice becomes an event.

    If it says to stop, and the campaign was created to heed that, nothing is handed out until an operator resumes;
    who does so has overruled such advice for good.

    Args:
        campaign: The campaign.
        accuracies: Accuracies that images are counted for, above 0 and at most 1.
        backbone: What looks at the images; by default as for `open_eye`.
        weights: File of its weights.
        runtime: Where it runs; the fastest device by default.
        eye: Instead of these, what `open_eye` gave.
        progress: Hears about long work.

    Raises:
        UsageError: If nothing is captured, or an accuracy cannot be. Other errors as of `open_eye`.
    """
    from acqplan.advice.advise import advise_history
    from acqplan.advice.answers import advice_sentences, check_accuracies, worded
    from acqplan.plan.base import History

    check_accuracies(accuracies)
    told = _captured(campaign)
    if len(told.taken) == 0:
        raise UsageError("no image is captured yet", "ask for shots, take them and tell; then ask for advice")
    seen = eye or open_eye(campaign, backbone=backbone, weights=weights, runtime=runtime, progress=progress)
    known = History(shots=told.taken, features=_looked_at(told, seen, progress))
    device = seen.runtime.device
    advice = advise_history(known, accuracies=accuracies, seed=campaign.settings.seed, device=device, progress=progress)
    saturated = advice_sentences(advice)[0] if advice.end.answer == "stop" else ""
    body: dict[str, Any] = {**worded(advice), "saturated": saturated}
    with campaign.store.writing() as ledger:
        ledger.append("advised", **body)
    return advice


def open_eye(
    campaign: Campaign,
    *,
    backbone: str | None = None,
    weights: Path | None = None,
    runtime: Runtime | None = None,
    progress: Progress = SILENT,
) -> Extractor:
    """Load what looks at the images of a campaign.

    Args:
        campaign: The campaign.
        backbone: ``name`` or ``name:layer``; by default the campaign's, else toynet for toys and mobilenet_v2.
        weights: File of its weights; by default the campaign's, unless another backbone is given.
        runtime: Where it runs; the fastest device by default.
        progress: Hears about long work.

    Raises:
        BackboneError: If there is no such backbone or layer.
        WeightsError: If its weights cannot be used.
        MissingError: If its weights are not there.
    """
    with progress.task("loading torch", 1) as advance:
        from acqplan.campaign.planning import objects_of, shots_of
        from acqplan.features.extractor import Extractor
        from acqplan.runtime import Runtime

        advance(1)
    settings = campaign.settings
    empty = shots_of(settings.space(), objects_of(settings, CampaignState()), [])
    file = settings.weights if weights is None and backbone in (None, settings.backbone) else weights
    return Extractor.open(
        _told(campaign, empty, ()),
        backbone=backbone or settings.backbone,
        weights=None if file is None else Path(file),
        runtime=runtime or Runtime.detect(),
    )


def _stop_reached(standing: CampaignState) -> str:
    if not standing.learns:
        return ""
    stop = next_stop(standing.budget, len(standing.objects), standing.planned_at)
    if stop is None or standing.captured < enough(stop):
        return ""
    return f"{standing.captured:,} images are captured, and the rule looks at what it has after {stop:,}"


def _shots_missing(standing: CampaignState) -> str:
    """More are missing than the last plan left open, and than lots may fill."""
    least = max(math.ceil(SHORTAGE_SHARE * standing.room), standing.short + 1)
    if standing.shortage < least:
        return ""
    return f"{standing.room:,} images may still be taken, and {standing.queued:,} shots wait"


def _object_without_shots(standing: CampaignState) -> str:
    return f"object '{standing.unplanned[0]}' was added and is in no plan" if standing.unplanned else ""


def _captured(campaign: Campaign) -> CampaignSource:
    from acqplan.campaign.planning import captured_of

    with campaign.store.reading() as ledger:
        shots, records = captured_of(ledger)
    return _told(campaign, shots, records)


def _told(campaign: Campaign, shots: Shots, records: Sequence[ShotRecord]) -> CampaignSource:

    from acqplan.evaluate.campaign_source import CampaignSource

    return CampaignSource.of(shots, records, folder=campaign.images.root, name=campaign.settings.rig)


def _looked_at(told: CampaignSource, eye: Extractor, progress: Progress) -> Float32[np.ndarray, "captured features"]:
    return eye.on(told)(told.taken, progress=Titled(progress=progress, title="captured"))


def _history(told: CampaignSource, rule: Strategy, look: Callable[[], Extractor], progress: Progress) -> History:
    """What the rule is told: where the rig stood, and, if it learns, what was seen there."""
    from acqplan.plan.base import History, learns

    if len(told.taken) == 0 or not learns(rule):
        return History(shots=told.taken)
    from acqplan.evaluate.experiment import with_beliefs

    eye = look()
    seen = History(shots=told.taken, features=_looked_at(told, eye, progress))
    return with_beliefs([seen], device=eye.runtime.device)[0]
