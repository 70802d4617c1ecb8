"""What a client is told when something cannot be done: a status, and ``{"error", "hint"}``."""

from __future__ import annotations

import hmac
import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
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

STATUSES: Mapping[type[AcqplanError], int] = {
    ShotError: 404,
    ConflictError: 409,
    ImageError: 422,
    OutputError: 507,
    InputError: 503,  # the store, or files that planning needs: nothing that the client sent
    MissingError: 503,
    AcqplanError: 422,
}
"""The first that an error is an instance of holds."""


class Document(JSONResponse):
    """JSON in ASCII: names from elsewhere may hold what UTF-8 cannot."""

    def render(self, content: Any) -> bytes:
        """The bytes of the document."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


class Refusal(Exception):  # noqa: N818 - it is an answer
    """An answer in place of the one that was asked for.

    Args:
        status: HTTP status.
        error: What was asked and found.
        hint: What to do.
    """

    def __init__(self, status: int, error: str, hint: str = "") -> None:
        super().__init__(error)
        self.status, self.error, self.hint = status, error, hint

    def document(self, **headers: str) -> Document:
        """The answer."""
        return Document({"error": self.error, "hint": self.hint}, status_code=self.status, headers=headers or None)


def status_of_error(error: AcqplanError) -> int:
    """The HTTP status of an error."""
    return next(status for kind, status in STATUSES.items() if isinstance(error, kind))


def add_refusals(app: FastAPI) -> None:
    """Let an app answer errors as `Refusal` does."""
    app.add_exception_handler(AcqplanError, _of_acqplan)
    app.add_exception_handler(Refusal, _of_refusal)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(Exception, _of_defect)


async def _of_acqplan(request: Request, error: Exception) -> Document:
    assert isinstance(error, AcqplanError)
    return Refusal(status_of_error(error), error.message, error.hint).document()


async def _of_refusal(request: Request, error: Exception) -> Document:
    assert isinstance(error, Refusal)
    return error.document()


async def _of_validation(request: Request, error: Exception) -> Document:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
    hint = "see /docs"
    if request.headers.get("content-type", "").split(";")[0] != "application/json" and first["loc"][0] == "body":
        hint = "send JSON, with the header 'Content-Type: application/json'; see /docs"
    return Refusal(422, f"{place}: {first['msg']}", hint).document()


async def _of_http(request: Request, error: Exception) -> Document:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    return Refusal(error.status_code, f"{request.method} {request.url.path}: {error.detail}", "see /docs").document(
        **headers
    )


async def _of_defect(request: Request, error: Exception) -> Document:
    return Refusal(500, f"a defect of acqplan: {type(error).__name__}", "see the log of acqplan serve").document()


PORT = 8765
MEGABYTE = 1_000_000
MOST_UPLOAD = 32 * MEGABYTE
MOST_JSON = 64_000
"""Bytes of a body that is no image."""

FEWEST_TOKEN = 16
"""Characters of a token: fewer can be guessed."""

TOKEN = re.compile(r"[!-~]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """How the service behaves.

    Attributes:
        host: Address that it is bound to.
        token: What clients must show; empty for none, which only a loopback address allows.
        most_upload: Bytes of an image.
        body_seconds: Time in which a request has to arrive; more for large images, see `SLOWEST` of `bodies`.
        poll_seconds: How often the store is looked at for what other processes did.
        heartbeat_seconds: Silence after which a stream of events says that it is alive.
    """

    host: str = "127.0.0.1"
    token: str = ""
    most_upload: int = MOST_UPLOAD
    body_seconds: float = 30.0
    poll_seconds: float = 0.3
    heartbeat_seconds: float = 15.0

    def __post_init__(self) -> None:
        if self.most_upload < 1:
            raise UsageError(f"images of at most {self.most_upload} bytes", "give a size above zero")
        if self.token and (len(self.token) < FEWEST_TOKEN or not TOKEN.fullmatch(self.token)):
            raise UsageError(
                f"a token of {len(self.token)} characters",
                f"give at least {FEWEST_TOKEN} letters, digits and signs without spaces, e.g. of: openssl rand -hex 16",
            )
        if not self.is_local and not self.token:
            raise UsageError(
                f"no token, although '{self.host}' can be reached by others",
                "set ACQPLAN_TOKEN (or give --token), or stay on --host 127.0.0.1",
            )

    @property
    def is_local(self) -> bool:
        """Whether nobody but this machine can reach it."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether a name or address is this machine's own."""
    name = host.strip().removeprefix("[").removesuffix("]").lower().removesuffix(".")
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


OPEN = ("/", "/docs", "/openapi.json")
"""What is shown without a token: nothing in it is about the campaign."""

SAFE = ("GET", "HEAD")
ALWAYS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
"""Headers of every answer that does not set them itself."""

NOTHING = "default-src 'none'; frame-ancestors 'none'; sandbox"
"""What an answer that is no page may load and run."""


class Guard:
    """Refuses what must not reach the app, before a body is read.

    Args:
        app: The app.
        settings: Who may use it.
    """

    def __init__(self, app: ASGIApp, settings: ServiceSettings) -> None:
        self.app, self.settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a request, then hand it on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def hardened(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in (*ALWAYS.items(), ("content-security-policy", NOTHING)):
                    headers.setdefault(name, value)
            await send(message)

        try:
            self._check(scope, Headers(scope=scope))
        except Refusal as refusal:
            more = {"WWW-Authenticate": "Bearer"} if refusal.status == 401 else {}
            await refusal.document(**more)(scope, receive, hardened)
            return
        await self.app(scope, receive, hardened)

    def _check(self, scope: Scope, headers: Headers) -> None:
        self._check_host(headers)
        self._check_origin(scope, headers)
        if self.settings.token and not (scope["path"] in OPEN and scope["method"] in SAFE):
            self._check_token(headers)

    def _check_host(self, headers: Headers) -> None:
        """A page elsewhere whose name was made to point at this machine still sends that name."""
        if not self.settings.is_local:
            return
        host = headers.get("host", "")
        if not is_loopback(_hostname(host)):
            raise Refusal(421, f"host '{host}'", "ask for 127.0.0.1 or localhost, where this service is")

    def _check_origin(self, scope: Scope, headers: Headers) -> None:
        """A page of another site may lead here, but neither change nor embed anything."""
        origin = headers.get("origin")
        foreign = origin is not None and _address(origin) != headers.get("host", "").lower()
        site = headers.get("sec-fetch-site", "none")
        leads_here = scope["method"] in SAFE and headers.get("sec-fetch-mode") == "navigate"
        if foreign or (site not in ("none", "same-origin") and not leads_here):
            raise Refusal(403, f"a request from {origin or 'another site'}", "use the page of this service")

    def _check_token(self, headers: Headers) -> None:
        scheme, _, shown = headers.get("authorization", "").partition(" ")
        wanted, found = self.settings.token.encode(), shown.strip().encode("utf-8", "replace")
        if not hmac.compare_digest(found, wanted) or scheme.lower() != "bearer":
            asked = "a wrong token" if shown else "no token"
            raise Refusal(401, asked, "send the header 'Authorization: Bearer TOKEN'")


def _hostname(host: str) -> str:
    """Name in a Host header, without the port; empty if it cannot be read."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _address(origin: str) -> str:
    """Host and port of an origin as a Host header has them; ``null`` has none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
