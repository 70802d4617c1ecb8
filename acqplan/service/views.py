"""Routes that look: status, events as a list and as a stream, images, and what the live page draws."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response, StreamingResponse

from acqplan.campaign.answers import known_shot
from acqplan.campaign.campaign import Campaign
from acqplan.campaign.images import SUFFIXES
from acqplan.campaign.record import CAPTURED, Record
from acqplan.campaign.status import status_of
from acqplan.errors import ImageError, ShotError
from acqplan.service.dial import dial_of
from acqplan.service.doors import Camp, ShotName, event_document, refusing
from acqplan.service.feed import PAGE, read_events
from acqplan.service.questions import MOST_NUMBER
from acqplan.service.refusals import Document, Refusal
from acqplan.service.thumbnails import KIND

router = APIRouter(tags=["observers"])

KINDS = {suffix: f"image/{kind.lower()}" for kind, suffix in SUFFIXES.items()} | {".ppm": "image/x-portable-pixmap"}
Number = Annotated[int, Query(ge=0, le=MOST_NUMBER, description="Number of the last event that is known.")]
Etag = Annotated[str | None, Header(description="Digest of the image that is at hand.")]
PICTURE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/*": {"schema": {"type": "string", "format": "binary"}}}, "description": "The image."},
    304: {"description": "The image at hand is the one."},
}


@router.get("/status", responses=refusing())
def status(request: Request, campaign: Camp) -> dict[str, Any]:
    """Progress by class, object and axis, rates, remaining time, failures by reason and region, and the advice."""
    return {**status_of(campaign.store), "background": request.app.state.planner.state()}


@router.get("/plan", responses=refusing())
def plan(campaign: Camp) -> Response:
    """Where every shot stands: what the live page draws."""
    return Document(dial_of(campaign.store))


@router.get("/events", responses=refusing())
def events(
    campaign: Camp,
    after: Number = 0,
    limit: Annotated[int, Query(ge=1, le=10 * PAGE, description="At most.")] = PAGE,
) -> dict[str, Any]:
    """What happened, in order; ask again after the last number until there is nothing more."""
    found = read_events(campaign.store, after, limit)
    return {"events": [event_document(event) for event in found]}


@router.get(
    "/stream",
    response_class=StreamingResponse,
    responses={**refusing(), 200: {"content": {"text/event-stream": {}}, "description": "Events as they come."}},
)
async def stream(
    request: Request,
    after: Annotated[int | None, Query(ge=0, le=MOST_NUMBER, description="Number of the last known event.")] = None,
    last_event_id: Annotated[str | None, Header(description="Where a broken stream ended.")] = None,
) -> Response:
    """Server-sent events: those after a number, then new ones as they come; without a number, new ones alone."""
    known = int(last_event_id) if last_event_id and last_event_id.isdecimal() and len(last_event_id) < 10 else after
    return StreamingResponse(request.app.state.feed.follow(known), media_type="text/event-stream")


@router.get("/shots/{shot:shot}/image", response_class=Response, responses={**refusing(404), **PICTURE})
def image(campaign: Camp, shot: ShotName, if_none_match: Etag = None) -> Response:
    """The image of a captured shot, as it was sent."""
    record = _captured(campaign, shot)
    if if_none_match == _etag(record):
        return _unchanged(record)
    content = _found(lambda: campaign.images.read(record.image))
    return Response(content, media_type=KINDS["." + record.image.rpartition(".")[2]], headers=_cached(record))


@router.get("/shots/{shot:shot}/thumbnail", response_class=Response, responses={**refusing(404), **PICTURE})
def thumbnail(request: Request, campaign: Camp, shot: ShotName, if_none_match: Etag = None) -> Response:
    """A small picture of a captured shot."""
    record = _captured(campaign, shot)
    if if_none_match == _etag(record):
        return _unchanged(record)
    content = _found(lambda: request.app.state.thumbnails.of(record.digest, record.image))
    return Response(content, media_type=KIND, headers=_cached(record))


def _captured(campaign: Campaign, shot: str) -> Record:
    with campaign.store.reading() as ledger:
        record = known_shot(ledger, shot)
    if record.state != CAPTURED:
        raise ShotError(f"'{shot}' has no image; it is {record.state}", "wait until it is captured")
    return record


def _found(read: Callable[[], bytes]) -> bytes:
    try:
        return read()
    except ImageError as error:
        raise Refusal(404, error.message, error.hint) from error


def _etag(record: Record) -> str:
    return f'"{record.digest}"'


def _cached(record: Record) -> dict[str, str]:
    """A shot may get another image, so that a browser has to ask; but it need not be sent again."""
    return {"ETag": _etag(record), "Cache-Control": "private, no-cache"}


def _unchanged(record: Record) -> Response:
    return Response(status_code=304, headers=_cached(record))
