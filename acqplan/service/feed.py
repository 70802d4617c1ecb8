"""Events of a campaign for any number of listeners: one reading of the store serves all of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncIterator

from starlette.concurrency import run_in_threadpool

from acqplan.campaign.events import Event
from acqplan.campaign.operators import event_document
from acqplan.campaign.store import Store
from acqplan.errors import AcqplanError

PAGE = 500  # events read at once
KEPT = 2_000  # latest events kept in memory, so that listeners who are up to date cost no reading


class Feed:
    """Sends listeners new events, from whatever process they come.

    Args:
        store: The campaign's store.
        poll_seconds: How often it is read while somebody listens.
        heartbeat_seconds: Silence after which a listener hears that the stream is alive.
    """

    def __init__(self, store: Store, *, poll_seconds: float, heartbeat_seconds: float) -> None:
        self._store = store
        self._poll_seconds, self._heartbeat_seconds = poll_seconds, heartbeat_seconds
        self._kept: deque[Event] = deque(maxlen=KEPT)
        self._last = 0
        self._listeners = 0
        self._poller: asyncio.Task[None] | None = None
        self._news, self._starting, self._closed = asyncio.Condition(), asyncio.Lock(), asyncio.Event()

    async def follow(self, after: int | None) -> AsyncIterator[bytes]:
        """Server-sent events after the event of a number, or from now on, as long as the listener stays."""
        self._listeners += 1
        try:
            # The first listener starts the poller; it ends with the last one.
            async with self._starting:
                if self._poller is None or self._poller.done():
                    self._kept.clear()
                    self._last = await run_in_threadpool(_last_number, self._store)
                    self._poller = asyncio.create_task(self._poll())
            cursor = self._last if after is None else after
            yield b": listening\n\n"
            while not self._closed.is_set():
                # from memory if it reaches back so far, else a page of the store
                found: list[Event] = []
                if cursor < self._last:
                    if self._kept and self._kept[0].number <= cursor + 1 and self._kept[-1].number == self._last:
                        found = [event for event in self._kept if event.number > cursor]
                    else:
                        found = await run_in_threadpool(read_events, self._store, cursor, PAGE)
                for event in found:
                    yield f"id: {event.number}\ndata: {json.dumps(event_document(event))}\n\n".encode("ascii")
                    cursor = event.number
                if not await self._has_news(cursor):
                    yield b": still here\n\n"
        finally:
            self._listeners -= 1

    async def close(self) -> None:
        """End all streams."""
        self._closed.set()
        async with self._news:
            self._news.notify_all()
        if self._poller is not None:
            await self._poller

    async def _poll(self) -> None:
        while self._listeners and not self._closed.is_set():
            try:
                found = await run_in_threadpool(read_events, self._store, self._last, PAGE)
            except AcqplanError:
                found = []  # every other answer reports a store that is away for a while
            if found:
                self._kept.extend(found)
                self._last = found[-1].number
                async with self._news:
                    self._news.notify_all()
            # After a full page the next one is read at once.
            if len(found) < PAGE:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._closed.wait(), self._poll_seconds)

    async def _has_news(self, cursor: int) -> bool:
        """Wait for an event after a number, or the end; false once a heartbeat is due."""
        async with self._news:
            try:
                async with asyncio.timeout(self._heartbeat_seconds):
                    await self._news.wait_for(lambda: self._last > cursor or self._closed.is_set())
            except TimeoutError:
                return False
        return True


def read_events(store: Store, after: int, limit: int) -> list[Event]:
    """Read the first ``limit`` events after the event of a number."""
    with store.reading() as ledger:
        return ledger.events(after=after, until=after + limit) if ledger.state.last > after else []


def _last_number(store: Store) -> int:
    with store.reading() as ledger:
        return ledger.state.last
