"""Routes of rigs: ask for shots, hand in images, say that one could not be taken."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Request
from starlette.concurrency import run_in_threadpool

from acqplan.errors import SpaceError
from acqplan.service.questions import Ask, Camp, Fail, Release, ShotName, ShotOutcome, as_caller, refusing

router = APIRouter(tags=["rigs"])

IMAGE_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "Bytes of a PNG, JPEG, BMP, TIFF, WebP or PPM file.",
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}}
            for kind in ("application/octet-stream", "image/png", "image/jpeg")
        },
    }
}


@router.post("/ask", responses=refusing())
def ask(request: Request, question: Ask) -> dict[str, Any]:
    """Lease shots, in an order that is quick to drive; none while paused, and none once ``finished`` says why."""
    campaign = as_caller(request, question.caller)
    shots = campaign.ask(question.n)
    return {"shots": [shot.to_dict() for shot in shots], "finished": "" if shots else campaign.finished}


@router.put("/shots/{shot:shot}/image", responses=refusing(404, 409), openapi_extra=IMAGE_BODY)
async def tell(
    request: Request,
    campaign: Camp,
    shot: ShotName,
    replace: Annotated[bool, Query(description="Whether to take it in place of another image.")] = False,
) -> ShotOutcome:
    """Hand in the image of a shot; ``captured``, ``already``, ``surplus`` or ``replaced``.

    All further parameters of the query are settings that the rig reached where they differ from those commanded,
    e.g. ``?azimuth=40.3``.
    """
    reached = _reached(request)
    content = await request.body()
    outcome = await run_in_threadpool(campaign.tell, shot, content, reached=reached, replace=replace)
    return ShotOutcome(outcome=outcome)


@router.post("/shots/{shot:shot}/fail", responses=refusing(404, 409))
def fail(request: Request, shot: ShotName, question: Fail) -> ShotOutcome:
    """Say that a shot could not be taken; ``retried``, ``rejected`` (never again) or ``unchanged``."""
    campaign = as_caller(request, question.caller)
    outcome = campaign.fail(shot, reason=question.reason, retry=question.retry, exposed=question.exposed)
    return ShotOutcome(outcome=outcome)


@router.post("/shots/{shot:shot}/release", responses=refusing(404))
def release(
    request: Request, shot: ShotName, question: Annotated[Release, Body(default_factory=Release)]
) -> ShotOutcome:
    """Give a leased shot back; ``released``, or ``unchanged`` where it was not leased to this caller."""
    count = as_caller(request, question.caller).release([shot])
    return ShotOutcome(outcome="released" if count else "unchanged")


def _reached(request: Request) -> dict[str, object]:
    said: dict[str, object] = {}
    for name, value in request.query_params.multi_items():
        if name in said:
            raise SpaceError(f"'{name}' is given twice", "give each setting once")
        said[name] = value
    said.pop("replace", None)
    return said
