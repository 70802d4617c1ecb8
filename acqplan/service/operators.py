"""Routes of operators: every deed is an event, which is the answer, and a further event undoes it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Request

from acqplan.campaign import operators
from acqplan.errors import UsageError
from acqplan.service.questions import (
    Because,
    Budget,
    Camp,
    NewObject,
    OldObject,
    ShotName,
    ShotOutcome,
    Undo,
    Where,
    event_document,
    refusing,
)

router = APIRouter(tags=["operators"])

Reason = Annotated[Because, Body(default_factory=Because)]
Document = dict[str, Any]


@router.post("/pause", responses=refusing())
def pause(campaign: Camp, question: Reason) -> Document:
    """Hand out nothing until ``/resume``; answers are taken, and the time budget stands still."""
    return event_document(operators.pause(campaign.store, question.reason))


@router.post("/resume", responses=refusing())
def resume(campaign: Camp) -> Document:
    """Go on after a pause or a stop."""
    return event_document(operators.resume(campaign.store))


@router.post("/stop", responses=refusing())
def stop(campaign: Camp, question: Reason) -> Document:
    """End the campaign, until ``/resume``."""
    return event_document(operators.stop(campaign.store, question.reason))


@router.post("/forbid", responses=refusing())
def forbid(campaign: Camp, question: Where) -> Document:
    """Take no shots in a region; what is leased may still be answered."""
    return event_document(operators.forbid(campaign.store, question.where))


@router.post("/allow", responses=refusing())
def allow(campaign: Camp, question: Where) -> Document:
    """Undo ``/forbid``; the region is written as it was then."""
    return event_document(operators.allow(campaign.store, question.where))


@router.post("/undo", responses=refusing())
def undo(campaign: Camp, question: Undo) -> Document:
    """Undo what an operator did, by the number of its event."""
    return event_document(operators.undo(campaign.store, question.event))


@router.post("/budget", responses=refusing())
def budget(campaign: Camp, question: Budget) -> Document:
    """Change the budget of images, of time, or both."""
    if question.budget is None and question.time_budget is None:
        raise UsageError("no budget", "give budget (images), time_budget (seconds), or both")
    return event_document(operators.set_budget(campaign.store, question.budget, question.time_budget))


@router.post("/objects", responses=refusing())
def add_object(campaign: Camp, question: NewObject) -> Document:
    """Put another object on the turntable; the next plan has shots of it."""
    return event_document(operators.add_object(campaign.store, question.object, question.label))


@router.post("/objects/remove", responses=refusing())
def remove_object(campaign: Camp, question: OldObject) -> Document:
    """Take an object away; its images stay in the data set."""
    return event_document(operators.remove_object(campaign.store, question.object))


@router.post("/shots/{shot:shot}/reject", responses=refusing(404))
def reject(campaign: Camp, shot: ShotName, question: Reason) -> Document:
    """Never take a shot."""
    return event_document(operators.reject(campaign.store, shot, question.reason))


background_router = APIRouter(tags=["background"])


@background_router.post("/plan", status_code=202, responses=refusing(409))
def plan_now(request: Request) -> ShotOutcome:
    """Plan the next round; its event is the result, and ``/status`` says under ``background`` what failed."""
    request.app.state.planner.want("plan")
    return ShotOutcome(outcome="asked")


@background_router.post("/advise", status_code=202, responses=refusing(409))
def advise_now(request: Request) -> ShotOutcome:
    """Advise whether to go on; its event is the result, and ``/status`` says under ``background`` what failed."""
    request.app.state.planner.want("advice")
    return ShotOutcome(outcome="asked")
