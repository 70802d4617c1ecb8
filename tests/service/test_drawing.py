"""The plan that pages draw: one reading of the store for all who look at once, and never older than their question."""

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sql

from acqplan.campaign import operators
from acqplan.errors import StoreError
from acqplan.service.views import Drawing, plan_document
from tests.service.serving import made, png, serving

VIEWERS = 12


@pytest.fixture
def readings() -> Iterator[list[str]]:
    """Queries that read all records of a store."""
    found: list[str] = []

    def listener(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if "FROM records" in statement and "WHERE" not in statement:
            found.append(statement)

    sql.event.listen(sql.Engine, "before_cursor_execute", listener)
    yield found
    sql.event.remove(sql.Engine, "before_cursor_execute", listener)


def test_many_viewers_cost_one_reading_for_each_event(tmp_path: Path, readings: list[str]) -> None:
    campaign = made(tmp_path)
    drawing = Drawing(campaign.store)

    async def look() -> None:
        for number in range(3):
            before = len(readings)
            event = operators.pause(campaign.store) if number % 2 == 0 else operators.resume(campaign.store)
            found = await asyncio.gather(*(drawing.content() for _ in range(VIEWERS)))
            assert len(readings) == before + 1
            assert {json.loads(content)["last"] for content in found} == {event.number}
            assert await drawing.content() == found[0]
            assert len(readings) == before + 1

    asyncio.run(look())
    assert json.loads(asyncio.run(Drawing(campaign.store).content())) == json.loads(
        json.dumps(plan_document(campaign.store))
    )
    campaign.close()


def test_whoever_asks_after_an_event_sees_it_also_while_others_look(tmp_path: Path) -> None:
    with serving(made(tmp_path)) as served, ThreadPoolExecutor(VIEWERS) as pool:
        for number, shot in enumerate(served.ask(8)):
            looking = [pool.submit(served.request, "GET", "/plan") for _ in range(VIEWERS)]
            served.tell(shot, png(number))
            states = {name: state for name, _, _, state, _ in served.request("GET", "/plan").document["shots"]}
            assert states[shot] == "captured"
            assert all(one.result().status == 200 for one in looking)


def test_a_drawing_that_failed_is_tried_again(tmp_path: Path) -> None:
    campaign = made(tmp_path)
    drawing, store = Drawing(campaign.store), tmp_path / "rig.db"
    campaign.close()
    content = store.read_bytes()
    store.write_bytes(b"x" * len(content))
    for _ in range(2):
        with pytest.raises(StoreError):
            asyncio.run(drawing.content())
        campaign.close()
    store.write_bytes(content)
    assert json.loads(asyncio.run(drawing.content()))["last"] == 2
    campaign.close()
