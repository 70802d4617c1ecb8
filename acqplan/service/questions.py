"""What clients may ask: bodies, checked at the door."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any

from fastapi import Depends, Path, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from starlette.convertors import Convertor, register_url_convertor
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from acqplan.campaign.campaign import Campaign
from acqplan.campaign.events import Event
from acqplan.errors import ShotError
from acqplan.service.refusals import MOST_JSON, Refusal, ServiceSettings

MOST_SHOTS = 1_000
"""Shots leased at once."""

MOST_NUMBER = 2**31 - 1
"""Of an event, and of a budget: what a database holds in a column."""


def _is_plain(text: str) -> str:
    """Refuse what PostgreSQL cannot keep."""
    if "\0" in text:
        raise ValueError("must not hold the character NUL")
    return text


Words = Annotated[str, Field(max_length=500), AfterValidator(_is_plain)]
Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_is_plain)]


class RequestBody(BaseModel):
    """A body; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Ask(RequestBody):
    """Lease shots."""

    n: int = Field(default=1, ge=1, le=MOST_SHOTS, description="How many shots at most.")
    caller: Name | None = Field(default=None, description="Who asks, e.g. a name of the arm; by default the address.")


class Fail(RequestBody):
    """A shot could not be taken."""

    reason: Words = Field(description="Why, in a few words; the same words for the same cause.")
    retry: bool = Field(default=True, description="Whether to try it again later.")
    exposed: bool = Field(default=False, description="Whether the rig took an image, which then counts.")
    caller: Name | None = Field(default=None, description="Who asked for it, as told then.")


class Release(RequestBody):
    """A leased shot will not be taken after all."""

    caller: Name | None = Field(default=None, description="Who asked for it, as told then.")


class Because(RequestBody):
    """A deed and why."""

    reason: Words = Field(default="", description="Why, in a few words.")


class Where(RequestBody):
    """A region of the space."""

    where: Name = Field(description="E.g. 'elevation>65', 'azimuth in 350..10 and lighting=L2', 'object=car-01'.")


class Undo(RequestBody):
    """Undo what an operator did."""

    event: int = Field(ge=1, le=MOST_NUMBER, description="Number of the event.")


class Budget(RequestBody):
    """A new budget of images, of time, or both."""

    budget: int | None = Field(default=None, ge=1, le=MOST_NUMBER, description="Images.")
    time_budget: float | None = Field(default=None, gt=0, le=1e9, description="Seconds from the first shot on.")


class NewObject(RequestBody):
    """Another object on the turntable."""

    object: Name = Field(description="Its name.")
    label: Name = Field(description="Its class.")


class OldObject(RequestBody):
    """An object that is taken away."""

    object: Name = Field(description="Its name.")


class ShotOutcome(BaseModel):
    """What became of an answer."""

    outcome: str


class Error(BaseModel):
    """Why something cannot be done, and what to do."""

    error: str
    hint: str


LONGEST_NAME = 2_000


class ShotConvertor(Convertor[str]):
    """Identifiers of shots hold names of objects, which may hold anything: slashes and line breaks too."""

    regex = "(?s:.*)"

    def convert(self, value: str) -> str:
        """As it is."""
        return value

    def to_string(self, value: str) -> str:
        """As it is."""
        return value


register_url_convertor("shot", ShotConvertor())


async def the_campaign(request: Request) -> Campaign:
    """The campaign, as used by the client of a request."""
    return as_caller(request, None)


def as_caller(request: Request, name: str | None) -> Campaign:
    """The campaign as used by whoever a client says it is."""
    campaign: Campaign = request.app.state.campaign
    client = request.client.host if request.client else "somebody"
    return Campaign(campaign.store, campaign.images, caller=f"http:{name or client}")


async def the_shot(
    shot: Annotated[str, Path(description="Identifier of a shot, percent-encoded.", max_length=LONGEST_NAME)],
) -> str:
    """The identifier of a shot.

    Raises:
        ShotError: If no database could hold it.
    """
    if "\0" in shot:
        raise ShotError("no shot of this campaign has NUL in its name", "ask for shots, and answer those")
    return shot


Camp = Annotated[Campaign, Depends(the_campaign)]
ShotName = Annotated[str, Depends(the_shot)]


def refusing(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Statuses for the description of a route, beside those that all have."""
    return {status: {"model": Error} for status in (400, 401, 403, 408, 413, 421, 422, 503, 507, *statuses)}


def event_document(event: Event) -> dict[str, Any]:
    """An event for JSON; of a plan, how many shots it has in place of all of them."""
    body = event.body
    if "shots" in body and event.kind == "replanned":
        body = {**body, "shots": len(body["shots"])}
    return {"number": event.number, "at": round(event.at, 3), "kind": event.kind, "shot": event.shot, "body": body}


SLOWEST = 50_000
"""Bytes a second that give a body more time."""

AT_ONCE = 8
"""Largest images that may be on their way at the same time; they are held in memory."""


class Bodies:
    """Hands an app whole bodies, and refuses all others; of these nothing is kept.

    Args:
        app: The app.
        settings: The limits.
    """

    def __init__(self, app: ASGIApp, settings: ServiceSettings) -> None:
        self.app, self.settings = app, settings
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body of a request, then hand it on."""
        if scope["type"] != "http" or not _has_body(Headers(scope=scope)):
            await self.app(scope, receive, send)
            return
        parts: list[bytes] = []
        try:
            if await self._read(scope, receive, parts):
                await self.app(scope, _replayed(b"".join(parts), receive), send)
        except Refusal as refusal:
            more = {"Connection": "close"} if refusal.status == 408 else {}
            await refusal.document(**more)(scope, receive, send)
        finally:
            self._held -= sum(map(len, parts))

    async def _read(self, scope: Scope, receive: Receive, parts: list[bytes]) -> bool:
        """Read a body; whether it came to its end before the client left."""
        most = self._most(scope)
        said = Headers(scope=scope).get("content-length", "")
        if said.isdigit() and int(said) > most:
            raise _too_large(most)
        began = time.monotonic()
        while True:
            message = await self._next(receive, began, sum(map(len, parts)))
            if message["type"] == "http.disconnect":
                return False
            part = message.get("body", b"")
            self._held += len(part)
            parts.append(part)
            self._check(parts, most)
            if not message.get("more_body", False):
                return True

    def _most(self, scope: Scope) -> int:
        is_image = scope["method"] == "PUT" and scope["path"].endswith("/image")
        return self.settings.most_upload if is_image else min(MOST_JSON, self.settings.most_upload)

    async def _next(self, receive: Receive, began: float, received: int) -> Message:
        limit = self.settings.body_seconds + received / SLOWEST
        try:
            async with asyncio.timeout(began + limit - time.monotonic()):
                return await receive()
        except TimeoutError as error:
            said = f"a body of which {received:,} bytes arrived in {limit:.0f} seconds"
            raise Refusal(408, said, "send it again, faster") from error

    def _check(self, parts: list[bytes], most: int) -> None:
        if sum(map(len, parts)) > most:
            raise _too_large(most)
        if self._held > AT_ONCE * self.settings.most_upload:
            raise Refusal(503, "too many large images at once", "send it again in a moment")


def _too_large(most: int) -> Refusal:
    return Refusal(413, f"a body of more than {most:,} bytes", "send a smaller one, or start with more --max-upload")


def _has_body(headers: Headers) -> bool:
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


def _replayed(body: bytes, receive: Receive) -> Receive:
    """What gives a body once, and afterwards what the client does."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay
