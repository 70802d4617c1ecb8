"""The server: a socket, limits of time for connections, and a prompt end."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from acqplan.campaign.campaign import Campaign
from acqplan.errors import UsageError
from acqplan.service.app import make_app
from acqplan.service.planner import Planner
from acqplan.service.refusals import ServiceSettings

END_SECONDS = 3
"""How long answers may take that are under way when the server is told to end."""

CONNECTIONS = 500


def serve(
    place: Path | str,
    settings: ServiceSettings,
    *,
    port: int,
    plans: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve a campaign until Ctrl-C or SIGTERM.

    Args:
        place: Its store.
        settings: Who may use it, and how much of it.
        port: Port; 0 for any that is free.
        plans: Whether to plan and advise in the background.
        say: Hears where the live page is.

    Raises:
        UsageError: If the address cannot be used.
        StoreError: If there is no campaign.
    """
    with Campaign.open(place) as campaign, bound(settings.host, port) as listening:
        host, port = listening.getsockname()[:2]
        address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        say(f"live page: {address}/ (Ctrl-C ends it; leases and images stay)")
        app = make_app(campaign, settings, Planner(place) if plans else None)
        Server(app, settings).run(sockets=[listening])


def bound(host: str, port: int) -> socket.socket:
    """Open a listening socket.

    Raises:
        UsageError: If the address cannot be used.
    """
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            host.removeprefix("[").removesuffix("]") or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
    except OSError as error:
        raise UsageError(f"host '{host}' ({error.strerror})", "give an address of this machine") from error
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(where)
        listening.listen()  # from here on clients wait instead of being refused
    except OSError as error:
        listening.close()
        raise UsageError(
            f"port {port} of {host} cannot be used ({error.strerror})", "choose another with --port, or 0 for any"
        ) from error
    return listening


class Server(uvicorn.Server):
    """A server that ends its streams, too, when it is told to end.

    Args:
        app: The app.
        settings: Its settings.
    """

    def __init__(self, app: FastAPI, settings: ServiceSettings) -> None:
        self._feed = app.state.feed
        super().__init__(
            uvicorn.Config(
                app,
                http=type("TimedConnection", (Connection,), {"request_seconds": settings.body_seconds}),
                ws="none",
                log_level="error",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                limit_concurrency=CONNECTIONS,
                timeout_graceful_shutdown=END_SECONDS,
            )
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, then the rest."""
        await self._feed.close()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End on Ctrl-C; uvicorn would raise the signal again, as if something had been broken off."""
        self.force_exit = self.should_exit
        self.should_exit = True


class Connection(H11Protocol):
    """A connection on which a request has to arrive in time, and is told if it breaks off in the middle.

    uvicorn limits neither the time in which the head of a request arrives nor that of its body.
    """

    request_seconds = 30.0

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._set_timer(True)

    def data_received(self, data: bytes) -> None:
        """Wait for the head of a request that has begun; its body has limits of its own, see `BodyLimits`."""
        super().data_received(data)
        self._set_timer(self._is_idle())

    def eof_received(self) -> None:
        """Answer a client that sends no more in the middle of a request, but may listen still."""
        super().eof_received()
        if not self._is_idle() and self.cycle.more_body and not self.cycle.response_started:
            self.conn.receive_data(b"")
            self.handle_events()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._set_timer(False)
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answer as JSON what never reaches the app."""
        self._refuse(b"400 Bad Request", "the request broke off, or is no HTTP", "send it again")

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _set_timer(self, is_waiting: bool) -> None:
        """Run a timer while a request is waited for; parts of its head do not start the timer anew."""
        if is_waiting and self._late is None:
            said = f"no request in {self.request_seconds:.0f} seconds"
            answer = (b"408 Request Timeout", said, "send it again, faster")
            self._late = self.loop.call_later(self.request_seconds, self._refuse, *answer)
        elif not is_waiting and self._late is not None:
            self._late.cancel()
            self._late = None

    def _refuse(self, status: bytes, error: str, hint: str) -> None:
        """Answer without h11, whose state is that of a client that has left."""
        if self.transport.is_closing():
            return
        body = json.dumps({"error": error, "hint": hint}).encode("ascii")
        head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
        self.transport.write(head % (status, len(body)) + body)
        self.transport.close()
