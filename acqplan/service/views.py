"""Routes that look: status, events as a list and as a stream, images, and what the live page draws."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from html import escape
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import HTMLResponse, Response, StreamingResponse

from acqplan.campaign.campaign import Campaign
from acqplan.campaign.events import CAPTURED, PROPOSED, WITHDRAWN, ShotRecord
from acqplan.campaign.images import SUFFIXES, ImageFolder, known_shot
from acqplan.campaign.leases import n_views, view_at
from acqplan.campaign.region import WORDS, Region
from acqplan.campaign.status import status_of
from acqplan.campaign.store import Store, Transaction
from acqplan.errors import ImageError, ShotError
from acqplan.numbers import ViewValue
from acqplan.report.plot.style import DARK, LIGHT
from acqplan.service.feed import PAGE, read_events
from acqplan.service.questions import MOST_NUMBER, Camp, ShotName, event_document, refusing
from acqplan.service.refusals import Document, Refusal
from acqplan.space.axes import axis_to_dict

MOST_SHOTS = 100_000
"""Shots told one by one; of a larger plan, those that wait at the end of the queue are left out."""

MOST_VIEWS = 20_000
"""Views among which those of forbidden regions are looked for; of a larger space only shots tell where they lie."""

LATEST = 12


def dial_of(store: Store) -> dict[str, Any]:
    """Where every shot stands, compactly.

    Returns:
        Fit for JSON: ``last`` (number of the last event), ``axes`` ``[{name, kind, unit, period, values}]``, ``table``
        (whether views are no full grid), ``objects`` ``[[name, label]]``, ``shots`` ``[[identifier, place in objects,
        settings commanded, state, failed tries]]``, ``omitted`` (how many shots are not listed), ``forbidden`` (views
        that are for every object), and the ``latest`` captures ``[{shot, object, label, digest, at}]``, the last one
        first.
    """
    with store.reading() as ledger:
        known = [record for record in ledger.every() if record.state != WITHDRAWN or record.tries]
        told = [record for record in known if record.state == CAPTURED]
        latest = sorted(told, key=lambda record: record.captured_at, reverse=True)[:LATEST]
        known.sort(key=lambda record: (record.state == PROPOSED, record.position))
        return {
            "last": ledger.state.last,
            "rig": store.settings.rig,
            "place": store.place.rpartition("/")[2],
            "table": store.settings.table is not None,
            **_setting(ledger, known[:MOST_SHOTS]),
            "omitted": max(len(known) - MOST_SHOTS, 0),
            "forbidden": _forbidden(ledger),
            "latest": list(map(capture_document, latest)),
        }


def capture_document(record: ShotRecord) -> dict[str, Any]:
    """A capture for JSON."""
    at = round(record.captured_at, 3)
    return {"shot": record.shot, "object": record.object, "label": record.label, "digest": record.digest, "at": at}


def _setting(ledger: Transaction, known: list[ShotRecord]) -> dict[str, Any]:
    settings, labels = ledger.settings, {**ledger.settings.objects, **ledger.state.objects}
    place_of = {name: place for place, name in enumerate(labels)}
    axes = [
        {key: axis_to_dict(axis)[key] for key in ("name", "kind", "unit", "period", "values")} for axis in settings.axes
    ]
    shots = [
        [one.shot, place_of.setdefault(one.object, len(place_of)), list(one.view), _state(one), one.tries]
        for one in known
    ]
    objects = [[name, labels.get(name, "")] for name in place_of]
    return {"axes": axes, "objects": objects, "shots": shots}


def _forbidden(ledger: Transaction) -> list[tuple[ViewValue, ...]]:
    settings = ledger.settings
    parsed = [Region.parse(text, settings, known_only=False) for text in ledger.state.regions.values()]
    regions = [region for region in parsed if not any(name in WORDS for name, *_ in region.clauses)]
    if not regions or n_views(settings) > MOST_VIEWS:
        return []
    views = (view_at(settings, number) for number in range(n_views(settings)))
    return [view for view in views if any(region.holds("", "", settings.view(view)) for region in regions)]


def _state(record: ShotRecord) -> str:
    return "barred" if record.state == PROPOSED and record.barred else record.state


EDGE = 200
"""Pixels of the longer side: twice what the page shows, for sharp screens."""

KEPT = 500
QUALITY = 80
KIND = "image/jpeg"


class Thumbnails:
    """Draws thumbnails of a campaign's images.

    Args:
        images: The images.
    """

    def __init__(self, images: ImageFolder) -> None:
        self._images = images
        self._drawn = lru_cache(maxsize=KEPT)(self._draw)

    def of(self, digest: str, name: str) -> bytes:
        """A thumbnail as a JPEG file.

        Args:
            digest: Of the image; the same digest is drawn once.
            name: Where it lies in the folder of images.

        Raises:
            ImageError: If the image is lost.
        """
        return self._drawn(digest, name)

    def _draw(self, digest: str, name: str) -> bytes:
        from PIL import Image

        content, file = self._images.read(name), io.BytesIO()
        try:
            with Image.open(io.BytesIO(content)) as image:
                image.draft("RGB", (2 * EDGE, 2 * EDGE))
                image.thumbnail((EDGE, EDGE))
                image.convert("RGB").save(file, format="JPEG", quality=QUALITY)
        except Exception as error:  # a decoder raises whatever it stumbles over
            raise ImageError(f"{name}: cannot be drawn small ({type(error).__name__})", "look at the image") from error
        return file.getvalue()


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


def _captured(campaign: Campaign, shot: str) -> ShotRecord:
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


def _etag(record: ShotRecord) -> str:
    return f'"{record.digest}"'


def _cached(record: ShotRecord) -> dict[str, str]:
    """A shot may get another image, so that a browser has to ask; but it need not be sent again."""
    return {"ETag": _etag(record), "Cache-Control": "private, no-cache"}


def _unchanged(record: ShotRecord) -> Response:
    return Response(status_code=304, headers=_cached(record))


CODE = re.compile(r"(`+)(.+?)\1")


def reference(schema: dict[str, Any]) -> str:
    """All routes as HTML.

    Args:
        schema: The OpenAPI document.
    """
    about = f"<h1>acqplan over HTTP</h1><p>{_words(schema['info']['description'])}</p>"
    more = "<p>As a document for programs: <a href=openapi.json>openapi.json</a></p>"
    routes = [
        _route(schema, f"{method.upper()} {path}", route)
        for path, methods in schema["paths"].items()
        for method, route in methods.items()
    ]
    return about + more + "".join(routes)


def _route(schema: dict[str, Any], name: str, route: dict[str, Any]) -> str:
    parameters = [_item(one["name"], one.get("description", "")) for one in route.get("parameters", [])]
    told = "".join([*parameters, *_fields(schema, route)])
    statuses = ", ".join(sorted(route["responses"]))
    about = f"<h2><code>{escape(name)}</code></h2><p>{_words(route.get('description', ''))}</p>"
    return f"<section>{about}<ul>{told}</ul><p class=soft>Statuses: {statuses}.</p></section>"


def _fields(schema: dict[str, Any], route: dict[str, Any]) -> Iterator[str]:
    """Keys of a JSON body, or what another body is."""
    body = route.get("requestBody", {})
    document = body.get("content", {}).get("application/json")
    if document is None:
        if body:
            yield f"<li>Body: {_words(body['description'])}</li>"
        return
    found = re.search(r"#/components/schemas/(\w+)", str(document))
    assert found is not None, f"a body without a name: {document}"
    question = schema["components"]["schemas"][found[1]]
    for name, field in question["properties"].items():
        needed = "" if name in question.get("required", []) else " May be left out."
        yield _item(f'"{name}"', f"{field.get('description', '')}{needed}")


def _item(name: str, about: str) -> str:
    return f"<li><code>{escape(name)}</code> {_words(about)}</li>"


def _words(text: str) -> str:
    """Text as HTML, with its code marked."""
    return CODE.sub(r"<code>\2</code>", escape(text))


HERE = Path(__file__).parent
SCRIPTS = ("talk.js", "picture.js", "curve.js", "page.js")


def live_page() -> HTMLResponse:
    """The live page, self-contained; it may load from here alone, and run its own script alone."""
    return _page(_part("page.html"), "\n".join(map(_part, SCRIPTS)))


def reference_page(schema: dict[str, Any]) -> HTMLResponse:
    """The routes as a page, without a script.

    Args:
        schema: The OpenAPI document.
    """
    title = (
        "<!DOCTYPE html><html lang=en><meta charset=utf-8><title>acqplan over HTTP</title><link rel=icon href='data:,'>"
    )
    width = '<meta name=viewport content="width=device-width, initial-scale=1">'
    return _page(f"{title}{width}<style>$style</style><main>{reference(schema)}</main>", "")


def _page(markup: str, script: str) -> HTMLResponse:
    style = f"{_colours()}\n{_part('page.css')}"
    content = markup.replace("$style", style).replace("$script", script)
    policy = (
        "default-src 'none'; connect-src 'self'; img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; "
        f"frame-ancestors 'none'; style-src {_source(style)}; script-src {_source(script)}"
    )
    return HTMLResponse(content, headers={"Content-Security-Policy": policy})


@cache
def _part(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _source(text: str) -> str:
    """A hash that lets a browser take this text in a page, and no other."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _colours() -> str:
    light, dark = (";".join(f"--{name}:{colour}" for name, colour in theme.items()) for theme in (LIGHT, DARK))
    return f":root{{color-scheme:light dark;{light}}}\n@media (prefers-color-scheme: dark){{:root{{{dark}}}}}"
