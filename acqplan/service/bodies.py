"""Bodies of requests: read as a whole, in time and within limits, before the app hears of the request."""

from __future__ import annotations

import asyncio
import time

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from acqplan.service.refusals import Refusal
from acqplan.service.settings import MOST_JSON, Settings

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

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
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
