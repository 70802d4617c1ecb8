"""News of a campaign for any number of listeners: one look at the store serves all of them."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator

from starlette.concurrency import run_in_threadpool

from acqplan.campaign.events import Event
from acqplan.campaign.store import Store
from acqplan.errors import AcqplanError
from acqplan.service.questions import event_document

PAGE = 500
"""Events read at once."""

KEPT = 2_000
"""Latest events kept in memory, so that listeners who are up to date cost no reading."""


class Feed:
    """Tells listeners of new events, whoever caused them.

    Args:
        store: The campaign's store.
        poll_seconds: How often it is looked at while somebody listens.
        heartbeat_seconds: Silence after which a listener hears that all is well.
    """

    def __init__(self, store: Store, *, poll_seconds: float, heartbeat_seconds: float) -> None:
        self._store = store
        self._poll_seconds, self._heartbeat_seconds = poll_seconds, heartbeat_seconds
        self._kept: deque[Event] = deque(maxlen=KEPT)
        self._last = 0
        self._listeners = 0
        self._poller: asyncio.Task[None] | None = None
        self._news, self._starting = asyncio.Condition(), asyncio.Lock()
        self._closed = False

    async def follow(self, after: int | None) -> AsyncIterator[bytes]:
        """Server-sent events after that of a number, or from now on, as long as the listener stays."""
        self._listeners += 1
        try:
            await self._start()
            cursor = self._last if after is None else after
            yield b": listening\n\n"
            while not self._closed:
                for event in await self._after(cursor):
                    yield _message(event)
                    cursor = event.number
                if cursor >= self._last and not await self._is_news(cursor):
                    yield b": still here\n\n"
        finally:
            self._listeners -= 1

    async def close(self) -> None:
        """Let all listeners go."""
        self._closed = True
        async with self._news:
            self._news.notify_all()
        if self._poller is not None:
            await self._poller

    async def _start(self) -> None:
        async with self._starting:
            if self._poller is None or self._poller.done():
                self._kept.clear()
                self._last = await run_in_threadpool(last_number, self._store)
                self._poller = asyncio.create_task(self._poll())

    async def _poll(self) -> None:
        while self._listeners and not self._closed:
            try:
                found = await run_in_threadpool(read_events, self._store, self._last, PAGE)
            except AcqplanError:
                found = []  # a store that is away for a while is told by every other answer
            if found:
                self._kept.extend(found)
                self._last = found[-1].number
                async with self._news:
                    self._news.notify_all()
            if len(found) < PAGE:
                await self._sleep()

    async def _sleep(self) -> None:
        for _ in range(10):  # in short naps, so that the end is prompt
            if not self._closed:
                await asyncio.sleep(self._poll_seconds / 10)

    async def _after(self, cursor: int) -> list[Event]:
        if cursor >= self._last:
            return []
        if self._kept and self._kept[0].number <= cursor + 1 and self._kept[-1].number == self._last:
            return [event for event in self._kept if event.number > cursor]
        return await run_in_threadpool(read_events, self._store, cursor, PAGE)

    async def _is_news(self, cursor: int) -> bool:
        """Wait for an event; false if there was none for so long that a listener may worry."""
        async with self._news:
            try:
                async with asyncio.timeout(self._heartbeat_seconds):
                    await self._news.wait_for(lambda: self._last > cursor or self._closed)
            except TimeoutError:
                return False
        return True


def last_number(store: Store) -> int:
    """Number of the last event."""
    with store.reading() as ledger:
        return ledger.state.last


def read_events(store: Store, after: int, limit: int) -> list[Event]:
    """The first events after that of a number."""
    with store.reading() as ledger:
        if ledger.state.last <= after:
            return []
        return ledger.events(after=after, until=after + limit)


def _message(event: Event) -> bytes:
    return f"id: {event.number}\ndata: {json.dumps(event_document(event))}\n\n".encode("ascii")
