"""Campaigns that learn: new plans, features and advice from the images told so far; here capture meets planning.

Nothing heavy is loaded before there is something to do.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acqplan.campaign import leases
from acqplan.campaign.events import CampaignState
from acqplan.errors import UsageError
from acqplan.features.extractor import Extractor
from acqplan.plan.rounds import enough, next_stop
from acqplan.progress import SILENT, Progress, Titled

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float32

    from acqplan.advice.answers import Advice
    from acqplan.advice.spend import Outlay
    from acqplan.campaign.campaign import Campaign
    from acqplan.evaluate.campaign_source import CampaignSource
    from acqplan.runtime import Runtime

# share of the images that may still be taken: so few shots that were given up are replaced by lot, not by a plan
SHORTAGE_SHARE = 0.02


def due(campaign: Campaign) -> str:
    """Why a new plan is due; empty if none is. Quick, and loads no numpy.

    A rule that learns looks again once nearly all images up to its next stop are there. Any rule plans anew when
    operators or failures have changed what can be had: shots are missing, or an added object has none.
    """
    with campaign.store.reading() as transaction:
        state = transaction.state
        if state.room == 0 or leases.finished(campaign.settings, state, transaction.now):
            return ""
    stop = next_stop(state.budget, len(state.objects), state.planned_at) if state.learns else None
    if stop is not None and state.captured >= enough(stop):
        return f"{state.captured:,} images are captured, and the rule looks at what it has after {stop:,}"
    # more are missing than the last plan left open, and than lots may fill
    if state.shortage >= max(math.ceil(SHORTAGE_SHARE * state.room), state.short + 1):
        return f"{state.room:,} images may still be taken, and {state.queued:,} shots wait"
    return f"object '{state.unplanned[0]}' was added and is in no plan" if state.unplanned else ""


def plan_next(
    campaign: Campaign,
    *,
    extractor: Extractor | None = None,
    force: bool = False,
    progress: Progress = SILENT,
    **asked: Any,
) -> dict[str, Any]:
    """Plan the next round if one is due, outside of any transaction: shots are leased and told meanwhile.

    Args:
        campaign: The campaign.
        extractor: From `open_extractor`, which is called by default if the rule learns; for callers that plan again.
        force: Whether to plan even if nothing is due.
        progress: Hears about long work.
        asked: Backbone, weights and runtime, as in `open_extractor`.

    Returns:
        ``planned`` (whether there is a new plan), ``due`` (why), ``dropped`` (why it was not adopted, if so),
        ``round``, ``shots`` and ``captured`` (how many it holds and knows), ``strategy`` and ``seconds``.

    Raises:
        ImageError: If an image is not what was told. Other errors as in `open_extractor` and the strategy.
    """
    why = due(campaign)
    if not why and not force:
        return {"planned": False, "due": ""}
    from acqplan.campaign.planning import planned, request_of, rule_of
    from acqplan.evaluate.campaign_source import CampaignSource
    from acqplan.plan.base import History, learns

    began, rule = time.perf_counter(), rule_of(campaign.settings)
    with campaign.store.reading() as transaction:
        request = request_of(transaction)
    source = CampaignSource.of(campaign, request.captured, request.records)
    history = History(shots=source.taken)
    # a rule that learns sees, beside the poses that the rig reached, features and beliefs of the images
    if len(source.taken) and learns(rule):
        from acqplan.evaluate.experiment import with_beliefs

        seen = extractor or open_extractor(campaign, progress=progress, **asked)
        history = History(shots=source.taken, features=_features(source, seen, progress))
        history = with_beliefs([history], device=seen.runtime.device)[0]
    with progress.task("planning", 1) as advance:
        plan = planned(request, campaign.settings, rule, history)
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


def extract_captured(campaign: Campaign, *, extractor: Extractor | None = None, progress: Progress = SILENT) -> int:
    """Put features of all images told so far into the cache; those that are there are not computed again.

    Args:
        campaign: The campaign.
        extractor: From `open_extractor`, which is called by default; for callers that extract again and again.
        progress: Hears about long work.

    Returns:
        Images told so far; 0 loads nothing.

    Raises:
        ImageError: If an image is not what was told. Other errors as in `open_extractor`.
    """
    with campaign.store.reading() as transaction:
        captured = transaction.state.captured
    if captured:
        _features(captured_source(campaign), extractor or open_extractor(campaign, progress=progress), progress)
    return captured


def advise_campaign(
    campaign: Campaign,
    *,
    accuracies: Sequence[float] = (),
    outlay: Outlay | None = None,
    worth: str | None = None,
    extractor: Extractor | None = None,
    progress: Progress = SILENT,
    **asked: Any,
) -> Advice:
    """Advise on capturing more, from what the campaign has captured; the advice becomes an event.

    If it says to stop, and the campaign was created to heed that, nothing is leased until an operator resumes, which
    overrules such advice for good.

    Args:
        campaign: The campaign.
        accuracies: Accuracies for which the images needed are estimated, above 0 and at most 1.
        outlay: What may be spent next; as many images again by default.
        worth: Points that are worth going on for, see `acqplan.advice.answers.read_worth`.
        extractor: From `open_extractor`, which is called by default; for callers that advise again and again.
        progress: Hears about long work.
        asked: Backbone, weights and runtime, as in `open_extractor`.

    Raises:
        UsageError: If nothing is captured, or an accuracy cannot be. Other errors as in `open_extractor`.
    """
    from acqplan.advice.advise import advise_history
    from acqplan.advice.answers import check_accuracies, read_worth
    from acqplan.advice.sentences import advice_sentences, worded
    from acqplan.plan.base import History
    from acqplan.plan.route import Times

    check_accuracies(accuracies)
    settings = campaign.settings
    asked_of = {"accuracies": accuracies, "outlay": outlay, "seed": settings.seed, **read_worth(worth)}
    source = captured_source(campaign)
    if len(source.taken) == 0:
        raise UsageError("no image is captured yet", "ask for shots, take them and tell; then ask for advice")
    seen = extractor or open_extractor(campaign, progress=progress, **asked)
    known = History(shots=source.taken, features=_features(source, seen, progress))
    device = seen.runtime.device
    times = Times.of(settings)
    advice = advise_history(known, **asked_of, times=times, device=device, progress=progress)
    saturated = advice_sentences(advice)[0] if advice.end.answer == "stop" else ""
    body: dict[str, Any] = {**worded(advice), "saturated": saturated}
    with campaign.store.writing() as transaction:
        transaction.append("advised", **body)
    return advice


def open_extractor(
    campaign: Campaign,
    *,
    backbone: str | None = None,
    weights: Path | None = None,
    runtime: Runtime | None = None,
    progress: Progress = SILENT,
) -> Extractor:
    """Load the backbone that sees the images of a campaign, by default its own; otherwise as `Extractor.open`."""
    from acqplan.campaign.planning import objects_of, shots_of
    from acqplan.evaluate.campaign_source import CampaignSource

    settings = campaign.settings
    nothing = shots_of(settings.space(), objects_of(settings, CampaignState()), [])
    file = settings.weights if weights is None and backbone in (None, settings.backbone) else weights
    return Extractor.open(
        CampaignSource.of(campaign, nothing, ()),
        backbone=backbone or settings.backbone,
        weights=None if file is None else Path(file),
        runtime=runtime,
        progress=progress,
    )


def captured_source(campaign: Campaign) -> CampaignSource:
    """What a campaign has captured."""
    from acqplan.campaign.planning import captured_of
    from acqplan.evaluate.campaign_source import CampaignSource

    with campaign.store.reading() as transaction:
        shots, records = captured_of(transaction)
    return CampaignSource.of(campaign, shots, records)


def _features(
    source: CampaignSource, extractor: Extractor, progress: Progress
) -> Float32[np.ndarray, "captured features"]:
    return extractor.on(source)(source.taken, progress=Titled(progress=progress, title="captured"))
