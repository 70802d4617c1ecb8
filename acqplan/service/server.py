"""The service: the app of a campaign with its pages, and the server with limits of time and a prompt end."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from html import escape
from pathlib import Path
from types import FrameType
from typing import Any

import anyio.to_thread
import uvicorn
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse
from uvicorn.protocols.http.h11_impl import H11Protocol

from acqplan import __version__
from acqplan.campaign.campaign import SERVED, Campaign
from acqplan.campaign.store import Store
from acqplan.errors import AcqplanError, UsageError
from acqplan.report.plot.style import DARK, LIGHT
from acqplan.service.planner import Planner
from acqplan.service.refusals import BodyLimits, Document, Guard, Refusal, ServiceSettings, answer_error
from acqplan.service.routes import background, operators, rigs
from acqplan.service.views import Drawing, Feed, observers

END_SECONDS = 3  # how long answers may take that are under way when the server is told to end
CONNECTIONS = 500
TOO_MANY = Refusal(
    503, f"more than {CONNECTIONS} connections", "close some, and ask again in a moment", {"Connection": "close"}
)

THREADS = 12  # requests served at once: as many as the pool of the store has connections
DECODING = 6  # and how many of them may decode images, or wait for their turn
ABOUT = """
Ask for shots, take them, and tell what happened. Errors are `{"error", "hint"}`. Where a token is required, send
`Authorization: Bearer TOKEN`. Names of shots are percent-encoded in paths, slashes too.
"""

HERE = Path(__file__).parent
SCRIPTS = ("talk.js", "words.js", "picture.js", "hemisphere.js", "curve.js", "page.js")
CAPTURE_SCRIPTS = ("talk.js", "words.js", "picture.js", "view.js", "photograph.js", "capture.js")
CODE = re.compile(r"(`+)(.+?)\1")


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
        host = own_address() if host in ("0.0.0.0", "::") else host
        address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        seen, through = settings.public_url.rstrip("/") or address, f", by {address}" if settings.public_url else ""
        say(f"live page: {seen}/{through}, for telephones {seen}/capture (Ctrl-C ends it; leases and images stay)")
        app = make_app(campaign, settings, Planner(place) if plans else None)
        with noted_address(campaign.store, seen):
            Server(app, settings).run(sockets=[listening])


def make_app(campaign: Campaign, settings: ServiceSettings, planner: Planner | None = None) -> FastAPI:
    """Build the app of a campaign.

    Args:
        campaign: The campaign, open; the caller closes it.
        settings: Who may use it, and how much of it.
        planner: Plans in the background; by default nothing does.
    """

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
        if planner is not None:
            planner.start()
        try:
            yield
        finally:
            await app.state.feed.close()
            if planner is not None:
                await run_in_threadpool(planner.stop)

    app = FastAPI(
        title="acqplan",
        version=__version__,
        description=ABOUT,
        lifespan=life,
        docs_url=None,
        redoc_url=None,
        default_response_class=Document,
    )
    app.state.campaign, app.state.planner = campaign, planner
    app.state.drawing = Drawing(campaign.store)
    app.state.decoding = asyncio.Semaphore(DECODING)
    app.state.feed = Feed(
        campaign.store, poll_seconds=settings.poll_seconds, heartbeat_seconds=settings.heartbeat_seconds
    )
    for kind in (AcqplanError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, answer_error)
    for router in (rigs, operators, observers, background):
        app.include_router(router)

    @app.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    async def live_page() -> HTMLResponse:
        return _page(_part("page.html"), "\n".join(map(_part, SCRIPTS)))

    @app.api_route("/capture", methods=["GET", "HEAD"], include_in_schema=False)
    async def capture_page() -> HTMLResponse:
        markup = _part("capture.html").replace("$most", str(settings.most_upload))
        return _page(markup, "\n".join(map(_part, CAPTURE_SCRIPTS)), _part("capture.css"))

    @app.api_route("/docs", methods=["GET", "HEAD"], include_in_schema=False)
    async def reference_page() -> HTMLResponse:
        return _page(_reference(app.openapi()), "")

    app.add_middleware(BodyLimits, settings=settings)
    app.add_middleware(Guard, settings=settings)  # added last, it sees requests first
    return app


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


def own_address() -> str:
    """An address by which others in the network may reach this machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as route:
        try:
            route.connect(("192.0.2.1", 9))  # an address that nobody has; nothing is sent
            return str(route.getsockname()[0])
        except OSError:
            return socket.gethostname()


@contextmanager
def noted_address(store: Store, address: str) -> Iterator[None]:
    """Note for printed sheets where a store is served, while it is."""
    if not store.database.is_readonly:
        store.note(SERVED, address)
    try:
        yield
    finally:
        if not store.database.is_readonly:
            store.note(SERVED, "")


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
                proxy_headers=bool(settings.public_url),  # it says who asks
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
        self._served = self.app

    def handle_events(self) -> None:
        """Answer requests, on connections beyond `CONNECTIONS` that there are too many."""
        self.app = self._served if len(self.connections) <= CONNECTIONS else TOO_MANY.document()
        super().handle_events()

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


def _page(markup: str, script: str, more_style: str = "") -> HTMLResponse:
    """A self-contained page, which may load only from here and run only its own script."""
    light, dark = (";".join(f"--{name}:{colour}" for name, colour in theme.items()) for theme in (LIGHT, DARK))
    colours = f":root{{color-scheme:light dark;{light}}}\n@media (prefers-color-scheme: dark){{:root{{{dark}}}}}"
    style = f"{colours}\n{_part('page.css')}{more_style}"
    # Hashes let a browser use this style and this script, and no other that may get into the page.
    policy = (
        "default-src 'none'; connect-src 'self'; img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; "
        f"frame-ancestors 'none'; style-src {_hash(style)}; script-src {_hash(script)}"
    )
    content = markup.replace("$style", style).replace("$script", script)
    return HTMLResponse(content, headers={"Content-Security-Policy": policy})


@cache
def _part(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """A source for a content security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _reference(schema: dict[str, Any]) -> str:
    """All routes of an OpenAPI document as a page without a script."""
    head = "<meta charset=utf-8><title>acqplan over HTTP</title><link rel=icon href='data:,'>"
    width = '<meta name=viewport content="width=device-width, initial-scale=1">'
    about = f"<h1>acqplan over HTTP</h1><p>{_html(schema['info']['description'])}</p>"
    more = "<p>As a document for programs: <a href=openapi.json>openapi.json</a></p>"
    sections = []
    for path, methods in schema["paths"].items():
        for method, route in methods.items():
            items = [_item(one["name"], one.get("description", "")) for one in route.get("parameters", [])]
            # keys of a JSON body, or what another body is
            body = route.get("requestBody", {})
            document = body.get("content", {}).get("application/json")
            if document is not None:
                found = re.search(r"#/components/schemas/(\w+)", str(document))
                assert found is not None, f"a body without a name: {document}"
                model = schema["components"]["schemas"][found[1]]
                for name, field in model["properties"].items():
                    needed = "" if name in model.get("required", []) else " May be left out."
                    items.append(_item(f'"{name}"', f"{field.get('description', '')}{needed}"))
            elif body:
                items.append(f"<li>Body: {_html(body['description'])}</li>")
            sections.append(
                f"<section><h2><code>{escape(f'{method.upper()} {path}')}</code></h2>"
                f"<p>{_html(route.get('description', ''))}</p><ul>{''.join(items)}</ul>"
                f"<p class=soft>Statuses: {', '.join(sorted(route['responses']))}.</p></section>"
            )
    main = f"<main>{about}{more}{''.join(sections)}</main>"
    return f"<!DOCTYPE html><html lang=en>{head}{width}<style>$style</style>{main}"


def _item(name: str, about: str) -> str:
    return f"<li><code>{escape(name)}</code> {_html(about)}</li>"


def _html(text: str) -> str:
    """Text as HTML, with its code marked."""
    return CODE.sub(r"<code>\2</code>", escape(text))
