"""Who may use the service: a token, or this machine alone, and no page of another site."""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from acqplan.service.refusals import Refusal
from acqplan.service.settings import Settings, is_loopback

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

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
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
