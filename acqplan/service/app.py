"""The app: the campaign over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio.to_thread
from fastapi import FastAPI, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse

from acqplan import __version__
from acqplan.campaign.campaign import Campaign
from acqplan.service import operators, shots, views
from acqplan.service.feed import Feed
from acqplan.service.planner import NoPlanner, Planner
from acqplan.service.questions import Bodies
from acqplan.service.refusals import Document, Guard, ServiceSettings, add_refusals
from acqplan.service.views import Thumbnails, live_page, reference_page

THREADS = 12
"""Requests served at once: as many as have connections to the store in its pool."""

ABOUT = """
Ask for shots, take them, and tell what happened. Errors are `{"error", "hint"}`. Where a token is required, send
`Authorization: Bearer TOKEN`. Names of shots are percent-encoded in paths, slashes too.
"""


def make_app(campaign: Campaign, settings: ServiceSettings, planner: Planner | NoPlanner | None = None) -> FastAPI:
    """Build the app of a campaign.

    Args:
        campaign: The campaign, open; who opened it closes it.
        settings: Who may use it, and how much of it.
        planner: Who plans in the background; by default nobody.
    """
    app = FastAPI(
        title="acqplan",
        version=__version__,
        description=ABOUT,
        lifespan=_life,
        docs_url=None,
        redoc_url=None,
        default_response_class=Document,
    )
    app.state.campaign, app.state.planner = campaign, planner or NoPlanner()
    app.state.thumbnails = Thumbnails(campaign.images)
    app.state.feed = Feed(
        campaign.store, poll_seconds=settings.poll_seconds, heartbeat_seconds=settings.heartbeat_seconds
    )
    add_refusals(app)
    for router in (shots.router, operators.router, views.router, operators.background_router):
        app.include_router(router)
    app.add_api_route("/", _live, methods=["GET", "HEAD"], include_in_schema=False)
    app.add_api_route("/docs", _reference, methods=["GET", "HEAD"], include_in_schema=False)
    app.add_middleware(Bodies, settings=settings)
    app.add_middleware(Guard, settings=settings)  # the outermost, which sees requests first
    return app


@asynccontextmanager
async def _life(app: FastAPI) -> AsyncIterator[None]:
    anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
    app.state.planner.start()
    try:
        yield
    finally:
        await app.state.feed.close()
        await run_in_threadpool(app.state.planner.stop)


async def _live() -> HTMLResponse:
    return live_page()


async def _reference(request: Request) -> HTMLResponse:
    return reference_page(request.app.openapi())
