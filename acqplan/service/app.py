"""The app: the campaign over HTTP, its live page, and the reference of its routes."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import anyio.to_thread
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse

from acqplan import __version__
from acqplan.campaign.campaign import Campaign
from acqplan.report.plot.style import DARK, LIGHT
from acqplan.service.feed import Feed
from acqplan.service.planner import Planner
from acqplan.service.refusals import BodyLimits, Document, Guard, ServiceSettings, add_refusals
from acqplan.service.routes import background, operators, rigs
from acqplan.service.views import observers

THREADS = 12
"""Requests served at once: as many as the pool of the store has connections."""

ABOUT = """
Ask for shots, take them, and tell what happened. Errors are `{"error", "hint"}`. Where a token is required, send
`Authorization: Bearer TOKEN`. Names of shots are percent-encoded in paths, slashes too.
"""

HERE = Path(__file__).parent
SCRIPTS = ("talk.js", "picture.js", "curve.js", "page.js")
CODE = re.compile(r"(`+)(.+?)\1")


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
    app.state.feed = Feed(
        campaign.store, poll_seconds=settings.poll_seconds, heartbeat_seconds=settings.heartbeat_seconds
    )
    add_refusals(app)
    for router in (rigs, operators, observers, background):
        app.include_router(router)

    @app.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    async def live_page() -> HTMLResponse:
        return _page(_part("page.html"), "\n".join(map(_part, SCRIPTS)))

    @app.api_route("/docs", methods=["GET", "HEAD"], include_in_schema=False)
    async def reference_page() -> HTMLResponse:
        return _page(_reference(app.openapi()), "")

    app.add_middleware(BodyLimits, settings=settings)
    app.add_middleware(Guard, settings=settings)  # added last, it sees requests first
    return app


def _page(markup: str, script: str) -> HTMLResponse:
    """A self-contained page, which may load only from here and run only its own script."""
    light, dark = (";".join(f"--{name}:{colour}" for name, colour in theme.items()) for theme in (LIGHT, DARK))
    colours = f":root{{color-scheme:light dark;{light}}}\n@media (prefers-color-scheme: dark){{:root{{{dark}}}}}"
    style = f"{colours}\n{_part('page.css')}"
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
            parameters = [_item(one["name"], one.get("description", "")) for one in route.get("parameters", [])]
            items = "".join([*parameters, *_fields(schema, route)])
            sections.append(
                f"<section><h2><code>{escape(f'{method.upper()} {path}')}</code></h2>"
                f"<p>{_html(route.get('description', ''))}</p><ul>{items}</ul>"
                f"<p class=soft>Statuses: {', '.join(sorted(route['responses']))}.</p></section>"
            )
    body = f"<main>{about}{more}{''.join(sections)}</main>"
    return f"<!DOCTYPE html><html lang=en>{head}{width}<style>$style</style>{body}"


def _fields(schema: dict[str, Any], route: dict[str, Any]) -> Iterator[str]:
    """Keys of a JSON body, or what another body is."""
    body = route.get("requestBody", {})
    document = body.get("content", {}).get("application/json")
    if document is None:
        if body:
            yield f"<li>Body: {_html(body['description'])}</li>"
        return
    found = re.search(r"#/components/schemas/(\w+)", str(document))
    assert found is not None, f"a body without a name: {document}"
    model = schema["components"]["schemas"][found[1]]
    for name, field in model["properties"].items():
        needed = "" if name in model.get("required", []) else " May be left out."
        yield _item(f'"{name}"', f"{field.get('description', '')}{needed}")


def _item(name: str, about: str) -> str:
    return f"<li><code>{escape(name)}</code> {_html(about)}</li>"


def _html(text: str) -> str:
    """Text as HTML, with its code marked."""
    return CODE.sub(r"<code>\2</code>", escape(text))
