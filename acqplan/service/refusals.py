"""Who may use the service and what it refuses: a refusal is a status, and ``{"error", "hint"}``."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from acqplan.errors import (
    AcqplanError,
    ConflictError,
    ImageError,
    InputError,
    MissingError,
    OutputError,
    ShotError,
    UsageError,
)

# HTTP status of an error: that of the first class it is an instance of.
STATUSES: Mapping[type[AcqplanError], int] = {
    ShotError: 404,
    ConflictError: 409,
    ImageError: 422,
    OutputError: 507,
    InputError: 503,  # the store, or files that planning needs: nothing that the client sent
    MissingError: 503,
    AcqplanError: 422,
}
MEGABYTE = 1_000_000
MOST_JSON = 64_000  # bytes of a body that is no image
SLOWEST = 50_000  # bytes per second that give a body more time
AT_ONCE = 8  # images of the largest size that may be on their way at the same time; they are held in memory
FEWEST_TOKEN = 16  # characters of a token: fewer can be guessed
TOKEN = re.compile(r"[!-~]*")

BEHIND_PROXY = "behind a proxy, start it with --public-url"
PUBLIC = ("/", "/capture", "/docs", "/openapi.json")  # shown without a token: nothing in it is about the campaign
SAFE = ("GET", "HEAD")
# Headers of every answer that does not set them itself; an answer that is no page loads and runs nothing.
ALWAYS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
}


class Document(JSONResponse):
    """JSON in ASCII: names from file systems may hold what UTF-8 cannot."""

    def render(self, content: Any) -> bytes:
        """The bytes of the document."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


class Refusal(HTTPException):
    """An answer in place of the one that was asked for.

    Args:
        status: HTTP status.
        error: What was asked and found.
        hint: What to do.
        headers: Further headers.
    """

    def __init__(self, status: int, error: str, hint: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, error, headers)
        self.hint = hint

    def document(self) -> Document:
        """The answer."""
        return Document({"error": self.detail, "hint": self.hint}, self.status_code, self.headers)


async def answer_error(request: Request, error: Exception) -> Document:
    """Answer any error as `Refusal` does."""
    if isinstance(error, Refusal):
        refusal = error
    elif isinstance(error, AcqplanError):
        status = next(status for kind, status in STATUSES.items() if isinstance(error, kind))
        refusal = Refusal(status, error.message, error.hint)
    elif isinstance(error, RequestValidationError):
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
        hint = "see /docs"
        if first["loc"][0] == "body" and request.headers.get("content-type", "").split(";")[0] != "application/json":
            hint = "send JSON, with the header 'Content-Type: application/json'; see /docs"
        refusal = Refusal(422, f"{place}: {first['msg']}", hint)
    elif isinstance(error, HTTPException):
        said = f"{request.method} {request.scope['path']}: {error.detail}"
        allowed = (error.headers or {}).get("Allow")
        refusal = Refusal(
            error.status_code, said, f"use {allowed}; see /docs" if allowed else "see /docs", error.headers
        )
    else:
        refusal = Refusal(500, f"a defect of acqplan: {type(error).__name__}", "see the log of acqplan serve")
    return refusal.document()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """How the service behaves.

    Attributes:
        host: Address that it is bound to.
        token: What clients must show; empty for none, which only a loopback address allows.
        most_upload: Bytes of an image.
        body_seconds: Time in which a request has to arrive; a large image gets more, see `SLOWEST`.
        poll_seconds: Interval at which the store is asked for what other processes did.
        heartbeat_seconds: Silence after which a stream of events says that it is alive.
        public_url: Address by which a proxy passes requests on, e.g. ``https://lab.example``; empty for none.
    """

    host: str = "127.0.0.1"
    token: str = ""
    most_upload: int = 32 * MEGABYTE
    body_seconds: float = 30.0
    poll_seconds: float = 0.3
    heartbeat_seconds: float = 15.0
    public_url: str = ""

    def __post_init__(self) -> None:
        if self.most_upload < 1:
            raise UsageError(f"images of at most {self.most_upload} bytes", "give a size above zero")
        if self.token and (len(self.token) < FEWEST_TOKEN or not TOKEN.fullmatch(self.token)):
            raise UsageError(
                f"a token of {len(self.token)} characters",
                f"give at least {FEWEST_TOKEN} letters, digits and signs without spaces, e.g. of: openssl rand -hex 16",
            )
        public = _parsed(self.public_url)
        if self.public_url and not (public.scheme in ("http", "https") and public.hostname):
            raise UsageError(f"a public address '{self.public_url}'", "give one such as https://lab.example")
        seen = self.host if not self.is_local else public.hostname or self.host
        if not is_loopback(seen) and not self.token:
            raise UsageError(
                f"no token, although '{seen}' can be reached by others",
                "set ACQPLAN_TOKEN (or give --token), or stay on --host 127.0.0.1",
            )

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether a name or address is this machine's own."""
    name = host.strip().removeprefix("[").removesuffix("]").lower().removesuffix(".")
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


class Guard:
    """Refuses foreign requests before their bodies are read, and adds headers to every answer.

    Starlette's TrustedHostMiddleware knows no ranges of addresses, and answers 400 in plain text.

    Args:
        app: The app.
        settings: Who may use it.
    """

    def __init__(self, app: ASGIApp, settings: ServiceSettings) -> None:
        self.app, self.settings = app, settings
        self._bearer = HTTPBearer(auto_error=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a request, then hand it on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def hardened(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in ALWAYS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._check(Request(scope))
        except Refusal as refusal:
            await refusal.document()(scope, receive, hardened)
        else:
            await self.app(scope, receive, hardened)

    async def _check(self, request: Request) -> None:
        headers = request.headers
        # A page elsewhere whose name was made to point at this machine still sends that name.
        host = headers.get("host", "")
        asked, public = _parsed(f"//{host}").hostname or "", _parsed(self.settings.public_url)
        if self.settings.is_local and not is_loopback(asked) and asked != public.hostname:
            raise Refusal(
                421, f"host '{host}'", f"ask for 127.0.0.1 or localhost, where this service is; {BEHIND_PROXY}"
            )
        # A page of another site may lead here, but neither change nor embed anything.
        origin, is_safe = headers.get("origin"), request.method in SAFE
        usual_port = ":443" if public.scheme == "https" else ":80"
        own = {host.lower(), public.netloc.lower().removesuffix(usual_port)} - {""}
        is_foreign = origin is not None and _parsed(origin).netloc.lower() not in own
        leads_here = is_safe and headers.get("sec-fetch-mode") == "navigate"
        is_embedded = headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not leads_here
        if is_foreign or is_embedded:
            raise Refusal(
                403, f"a request from {origin or 'another site'}", f"use the page of this service; {BEHIND_PROXY}"
            )
        # The time of the comparison says nothing about the token.
        if self.settings.token and not (is_safe and request.scope["path"] in PUBLIC):
            shown = await self._bearer(request)
            if shown is None or not hmac.compare_digest(shown.credentials.encode(), self.settings.token.encode()):
                asked = "no token" if shown is None else "a wrong token"
                hint = "send the header 'Authorization: Bearer TOKEN'"
                raise Refusal(401, asked, hint, {"WWW-Authenticate": "Bearer"})


def _parsed(address: str) -> SplitResult:
    """Parts of a URL; empty parts if it cannot be read."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")


class BodyLimits:
    """Lets bodies arrive that are small and quick enough; what else arrives is refused to the route that reads it.

    Args:
        app: The app.
        settings: The limits.
    """

    def __init__(self, app: ASGIApp, settings: ServiceSettings) -> None:
        self.app, self.settings = app, settings
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on; the memory of its body is counted until it is answered."""
        if scope["type"] != "http" or scope["method"] in SAFE:
            await self.app(scope, receive, send)
            return
        is_image = scope["method"] == "PUT" and scope["path"].endswith("/image")
        most = self.settings.most_upload if is_image else min(MOST_JSON, self.settings.most_upload)
        announced = Request(scope).headers.get("content-length", "")
        hint = "an image goes to PUT /shots/SHOT/image; see /docs"
        hint = "send a smaller one, or start acqplan serve with more --max-upload" if is_image else hint
        too_large = Refusal(413, f"a body of more than {most:,} bytes", hint)
        began, received, is_whole = time.monotonic(), 0, False

        async def limited() -> Message:
            nonlocal received, is_whole
            if is_whole:
                return await receive()
            if announced.isdigit() and int(announced) > most:
                raise too_large
            seconds = self.settings.body_seconds + received / SLOWEST
            try:
                async with asyncio.timeout(began + seconds - time.monotonic()):
                    message = await receive()
            except TimeoutError as error:
                said = f"a body of which {received:,} bytes arrived in {seconds:.0f} seconds"
                raise Refusal(408, said, "send it again, faster", {"Connection": "close"}) from error
            size = len(message.get("body", b""))
            received += size
            self._held += size
            if received > most:
                raise too_large
            if self._held > AT_ONCE * self.settings.most_upload:
                raise Refusal(503, "too many large images at once", "send it again in a moment")
            is_whole = not message.get("more_body", False)
            return message

        try:
            await self.app(scope, limited, send)
        except ClientDisconnect:
            pass  # nobody is left to be answered
        finally:
            self._held -= received
