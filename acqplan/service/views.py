"""Routes that observe: status, events as a list and as a stream, images, and what the live page draws.

One reading of the store serves all who listen to a stream.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from functools import lru_cache, partial
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from acqplan.campaign.campaign import Campaign
from acqplan.campaign.events import CAPTURED, PROPOSED, WITHDRAWN, Event, ShotRecord
from acqplan.campaign.images import ImageFolder, known_shot
from acqplan.campaign.leases import n_views, view_at
from acqplan.campaign.operators import event_document
from acqplan.campaign.settings import WORDS, Region
from acqplan.campaign.status import status_of
from acqplan.campaign.store import Store, Transaction
from acqplan.campaign.wording import setting_words
from acqplan.errors import AcqplanError, ImageError, ShotError
from acqplan.images import SUFFIXES, thumbnail_jpeg
from acqplan.numbers import ViewValue, shot_identifier
from acqplan.service.refusals import Document, Refusal
from acqplan.service.routes import MOST_NUMBER, ClientCampaign, ShotName, refusing
from acqplan.space.axes import axis_to_dict

PAGE = 500  # events read at once
KEPT = 2_000  # latest events kept in memory, so that listeners who are up to date cost no reading
MOST_LISTED = 100_000  # shots listed one by one; of a larger plan, those that wait at the end of the queue are left out

# views among which forbidden ones are looked for; in a larger space only the shots show where they are
MOST_VIEWS = 20_000

LATEST = 12
EDGE = 200  # pixels of a thumbnail's longer side: twice what the page shows, for sharp screens
THUMBNAILS = 500
KINDS = {suffix: f"image/{kind.lower()}" for kind, suffix in SUFFIXES.items()} | {".ppm": "image/x-portable-pixmap"}
PICTURE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/*": {"schema": {"type": "string", "format": "binary"}}}, "description": "The image."},
    304: {"description": "The image at hand is the one."},
}
EventNumber = Annotated[int, Query(ge=0, le=MOST_NUMBER, description="Number of the last event that is known.")]
Etag = Annotated[str | None, Header(description="Digest of the image that is at hand.")]

observers = APIRouter(tags=["observers"])


@observers.get("/status", responses=refusing())
def status(request: Request, campaign: ClientCampaign) -> dict[str, Any]:
    """Progress by class, object and axis, rates, remaining time, failures by reason and region, and the advice."""
    planner = request.app.state.planner
    background = {"on": False, "doing": "", "failed": None} if planner is None else planner.state()
    return {**status_of(campaign.store), "background": background}


@observers.get("/plan", responses=refusing())
async def plan(request: Request) -> Response:
    """The state of every shot: what the live page draws."""
    return Response(await request.app.state.drawing.content(), media_type="application/json")


@observers.get("/rig", responses=refusing())
def rig(campaign: ClientCampaign) -> dict[str, Any]:
    """What the shots are made of: the axes, ``[{name, kind, unit, period, values}]``, and where the campaign is."""
    return rig_document(campaign.store)


@observers.get("/events", responses=refusing())
def events(
    campaign: ClientCampaign,
    after: EventNumber = 0,
    limit: Annotated[int, Query(ge=1, le=10 * PAGE, description="At most.")] = PAGE,
) -> dict[str, Any]:
    """What happened, in order; ask again after the last number until there is nothing more."""
    return {"events": [event_document(event) for event in read_events(campaign.store, after, limit)]}


@observers.get(
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
    unbuffered = {"X-Accel-Buffering": "no"}  # or nginx would wait for more
    return StreamingResponse(request.app.state.feed.follow(known), media_type="text/event-stream", headers=unbuffered)


@observers.get("/shots/{shot:shot}/image", response_class=Response, responses={**refusing(404), **PICTURE})
def image(campaign: ClientCampaign, shot: ShotName, if_none_match: Etag = None) -> Response:
    """The image of a captured shot, as it was sent."""
    record = _captured(campaign, shot)
    kind = KINDS["." + record.image.rpartition(".")[2]]
    return _picture(record, if_none_match, kind, lambda: campaign.images.read(record.image))


@observers.get("/shots/{shot:shot}/thumbnail", response_class=Response, responses={**refusing(404), **PICTURE})
async def thumbnail(request: Request, campaign: ClientCampaign, shot: ShotName, if_none_match: Etag = None) -> Response:
    """A small picture of a captured shot."""
    record = await run_in_threadpool(_captured, campaign, shot)
    draw = partial(thumbnail_of, campaign.images, record.digest, record.image)
    async with request.app.state.decoding:
        return await run_in_threadpool(_picture, record, if_none_match, "image/jpeg", draw)


@observers.get("/shots/{shot:shot}/nearest", responses=refusing(404))
def nearest(campaign: ClientCampaign, shot: ShotName) -> dict[str, Any]:
    """The captured shot of the same object whose view is nearest, ``{shot, say}``; nothing before there is one."""
    with campaign.store.reading() as ledger:
        record = known_shot(ledger, shot)
        found = nearest_view(ledger, record)
    if found is None:
        return {"shot": None, "say": ""}
    axes = campaign.settings.axes
    words = ", ".join(setting_words(axis, value) for axis, value in zip(axes, found, strict=True))
    return {"shot": shot_identifier(record.object, found), "say": words}


def nearest_view(ledger: Transaction, record: ShotRecord) -> tuple[ViewValue, ...] | None:
    """The view nearest to a shot's own from which its object is captured, by the scales of the axes."""
    axes = ledger.settings.axes

    def away(view: tuple[ViewValue, ...]) -> float:
        return sum((axis.apart(a, b) / axis.scale) ** 2 for axis, a, b in zip(axes, record.view, view, strict=True))

    views = (view for name, _, view in ledger.captured_shots() if name == record.object)
    return min(views, key=away, default=None)


def _captured(campaign: Campaign, shot: str) -> ShotRecord:
    with campaign.store.reading() as ledger:
        record = known_shot(ledger, shot)
    if record.state != CAPTURED:
        raise ShotError(f"'{shot}' has no image; it is {record.state}", "wait until it is captured")
    return record


def _picture(record: ShotRecord, etag: str | None, media_type: str, read: Callable[[], bytes]) -> Response:
    """The answer with an image, or that the client's own image is the one."""
    # The image of a shot may be replaced, so that a browser has to ask; but it need not be sent again.
    headers = {"ETag": f'"{record.digest}"', "Cache-Control": "private, no-cache"}
    if etag == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    try:
        return Response(read(), media_type=media_type, headers=headers)
    except ImageError as error:
        raise Refusal(404, error.message, error.hint) from error


@lru_cache(maxsize=THUMBNAILS)
def thumbnail_of(images: ImageFolder, digest: str, name: str) -> bytes:
    """Draw a thumbnail as a JPEG file.

    Args:
        images: The folder of images.
        digest: Digest of the image; the thumbnail of a digest is drawn once.
        name: Its file in the folder.

    Raises:
        ImageError: If the image is lost or damaged.
    """

    def refuse(complaint: str, advice: str) -> ImageError:
        return ImageError(f"{name}: {complaint}", advice)

    return thumbnail_jpeg(images.read(name), refuse, edge=EDGE)


class Drawing:
    """The plan as JSON, for all who look at once: drawn anew only after an event, by one thread at a time.

    Args:
        store: The campaign's store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._turn, self._count = asyncio.Lock(), itertools.count()
        self._begun = self._last = -1
        self._content = b""

    async def content(self) -> bytes:
        """The plan as it is now; those who ask while it is drawn wait for the next drawing, which is one for all."""
        asked = next(self._count)
        async with self._turn:
            if self._begun < asked:
                begun = next(self._count)
                await run_in_threadpool(self._draw)
                self._begun = begun
            return self._content

    def _draw(self) -> None:
        if _last_number(self._store) != self._last:
            document = plan_document(self._store)
            self._content, self._last = bytes(Document(document).body), document["last"]


def rig_document(store: Store) -> dict[str, Any]:
    """The kind of rig, the name of the campaign, and the axes, fit for JSON."""
    keys = ("name", "kind", "unit", "period", "values")
    axes = [{key: axis_to_dict(axis)[key] for key in keys} for axis in store.settings.axes]
    return {"rig": store.settings.rig, "place": store.place.rpartition("/")[2], "axes": axes}


def plan_document(store: Store) -> dict[str, Any]:
    """Describe the state of every shot, compactly.

    Returns:
        Fit for JSON: ``last`` (number of the last event), ``axes`` ``[{name, kind, unit, period, values}]``, ``table``
        (whether views are no full grid), ``objects`` ``[[name, label]]``, ``shots`` ``[[identifier, place in objects,
        settings commanded, state, failed tries]]``, ``omitted`` (how many shots are not listed), ``forbidden`` (views
        that are for every object), and the ``latest`` captures ``[{shot, object, label, digest, at}]``, the last one
        first.
    """
    with store.reading() as ledger:
        labels = {**ledger.settings.objects, **ledger.state.objects}
        # Shots that were withdrawn before any try show nothing.
        known = [record for record in ledger.every() if record.state != WITHDRAWN or record.tries]
        captured = [record for record in known if record.state == CAPTURED]
        latest = sorted(captured, key=lambda record: record.captured_at, reverse=True)[:LATEST]
        known.sort(key=lambda record: (record.state == PROPOSED, record.position))
        # Objects that were removed may still have shots; they get the places after the others.
        place_of = {name: place for place, name in enumerate(labels)}
        shots = [
            [
                one.shot,
                place_of.setdefault(one.object, len(place_of)),
                list(one.view),
                "barred" if one.state == PROPOSED and one.barred else one.state,
                one.tries,
            ]
            for one in known[:MOST_LISTED]
        ]
        return {
            "last": ledger.state.last,
            **rig_document(store),
            "table": store.settings.table is not None,
            "objects": [[name, labels.get(name, "")] for name in place_of],
            "shots": shots,
            "omitted": max(len(known) - MOST_LISTED, 0),
            "forbidden": _forbidden(ledger),
            "latest": [
                {name: getattr(one, name) for name in ("shot", "object", "label", "digest")}
                | {"at": round(one.captured_at, 3)}
                for one in latest
            ],
        }


def _forbidden(ledger: Transaction) -> list[tuple[ViewValue, ...]]:
    """Views of the space in a region that is forbidden for every object."""
    settings = ledger.settings
    parsed = [Region.parse(text, settings, known_only=False) for text in ledger.state.regions.values()]
    # A region that names objects or labels leaves the view to the others.
    regions = [region for region in parsed if not any(name in WORDS for name, *_ in region.clauses)]
    if not regions or n_views(settings) > MOST_VIEWS:
        return []
    views = (view_at(settings, number) for number in range(n_views(settings)))
    return [view for view in views if any(region.holds("", "", settings.view(view)) for region in regions)]


class Feed:
    """Sends listeners new events, from whatever process they come.

    Args:
        store: The campaign's store.
        poll_seconds: How often it is read while somebody listens.
        heartbeat_seconds: Silence after which a listener hears that the stream is alive.
    """

    def __init__(self, store: Store, *, poll_seconds: float, heartbeat_seconds: float) -> None:
        self._store = store
        self._poll_seconds, self._heartbeat_seconds = poll_seconds, heartbeat_seconds
        self._kept: deque[Event] = deque(maxlen=KEPT)
        self._last = 0
        self._listeners = 0
        self._poller: asyncio.Task[None] | None = None
        self._news, self._starting, self._closed = asyncio.Condition(), asyncio.Lock(), asyncio.Event()

    async def follow(self, after: int | None) -> AsyncIterator[bytes]:
        """Server-sent events after the event of a number, or from now on, as long as the listener stays."""
        self._listeners += 1
        try:
            # The first listener starts the poller; it ends with the last one.
            async with self._starting:
                if self._poller is None or self._poller.done():
                    self._kept.clear()
                    self._last = await run_in_threadpool(_last_number, self._store)
                    self._poller = asyncio.create_task(self._poll())
            cursor = self._last if after is None else after
            yield b": listening\n\n"
            while not self._closed.is_set():
                # from memory if it reaches back so far, else a page of the store
                found: list[Event] = []
                if cursor < self._last:
                    if self._kept and self._kept[0].number <= cursor + 1 and self._kept[-1].number == self._last:
                        found = [event for event in self._kept if event.number > cursor]
                    else:
                        found = await run_in_threadpool(read_events, self._store, cursor, PAGE)
                for event in found:
                    yield f"id: {event.number}\ndata: {json.dumps(event_document(event))}\n\n".encode("ascii")
                    cursor = event.number
                if not await self._has_news(cursor):
                    yield b": still here\n\n"
        finally:
            self._listeners -= 1

    async def close(self) -> None:
        """End all streams."""
        self._closed.set()
        async with self._news:
            self._news.notify_all()
        if self._poller is not None:
            await self._poller

    async def _poll(self) -> None:
        while self._listeners and not self._closed.is_set():
            try:
                found = await run_in_threadpool(read_events, self._store, self._last, PAGE)
            except AcqplanError:
                found = []  # every other answer reports a store that is away for a while
            if found:
                self._kept.extend(found)
                self._last = found[-1].number
                async with self._news:
                    self._news.notify_all()
            # After a full page the next one is read at once.
            if len(found) < PAGE:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._closed.wait(), self._poll_seconds)

    async def _has_news(self, cursor: int) -> bool:
        """Wait for an event after a number, or the end; false once a heartbeat is due."""
        async with self._news:
            try:
                async with asyncio.timeout(self._heartbeat_seconds):
                    await self._news.wait_for(lambda: self._last > cursor or self._closed.is_set())
            except TimeoutError:
                return False
        return True


def read_events(store: Store, after: int, limit: int) -> list[Event]:
    """Read the first ``limit`` events after the event of a number."""
    with store.reading() as ledger:
        return ledger.events(after=after, until=after + limit) if ledger.state.last > after else []


def _last_number(store: Store) -> int:
    with store.reading() as ledger:
        return ledger.state.last
