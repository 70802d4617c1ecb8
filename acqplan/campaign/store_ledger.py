"""One transaction on a store: what it reads, appends and changes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy as sql

from acqplan.campaign.fold import Fold
from acqplan.campaign.identifiers import ViewValue
from acqplan.campaign.record import CAPTURED, Event, Record, Standing
from acqplan.campaign.store_tables import (
    IN_STATE,
    NEW_EVENTS,
    NEW_STANDING,
    OVERDUE,
    QUEUE,
    RECORD,
    event_of,
    event_row,
    events,
    new_records,
    record_of,
    record_row,
    records,
)
from acqplan.campaign.terms import Terms

SET_BACK_SECONDS = 1.0
"""A clock that lags the last event by more was set back; less is two processors' difference."""

AT_ONCE = 500
"""Shots named in one question; SQLite before 3.32 takes 999."""


class Ledger:
    """Reads and changes a campaign within one transaction.

    Attributes:
        terms: What the campaign was created with.
        standing: The campaign as a whole, as of now.
        now: Time of the campaign, which never runs backwards.
    """

    def __init__(self, connection: sql.Connection, terms: Terms, standing: Standing, wall: float) -> None:
        self.terms, self.standing = terms, standing
        self.now = max(wall + standing.offset, standing.last_at)
        self._connection = connection
        self._fold = Fold(terms, standing, self)
        self._held: dict[str, Record] = {}
        self._absent: set[str] = set()
        self._changed: set[str] = set()
        self._fresh: list[Event] = []
        self._wall = wall

    def append(self, kind: str, shot: str = "", **body: Any) -> Event:
        """Write an event and do what it says."""
        lag = self.standing.last_at - (self._wall + self.standing.offset)
        if lag > SET_BACK_SECONDS and self.standing.last:
            self._append("clock", "", {"offset": self.standing.offset + lag})
        return self._append(kind, shot, body)

    def get(self, shot: str) -> Record | None:
        """The record of a shot."""
        if shot not in self._held and shot not in self._absent:
            self._absent.add(shot)
            self._hold(self._connection.execute(RECORD, {"asked": shot}))
        return self._held.get(shot)

    def fetch(self, shots: Sequence[str]) -> None:
        """Read the records of many shots at once; `get` then finds them at hand."""
        unread = [shot for shot in shots if shot not in self._held]
        for start in range(0, len(unread), AT_ONCE):
            some = unread[start : start + AT_ONCE]
            self._absent.update(some)
            self._hold(self._connection.execute(sql.select(records).where(records.c.shot.in_(some))))

    def put(self, record: Record) -> None:
        """Keep a record in place of the one before."""
        self._held[record.shot] = record
        self._absent.discard(record.shot)
        self._changed.add(record.shot)

    def every(self, *states: str) -> Iterator[Record]:
        """All records in these states, or all there are."""
        if len(states) == 1:
            return self._read(IN_STATE, asked=states[0])
        query = sql.select(records)
        return self._read(query.where(records.c.state.in_(states)) if states else query)

    def queue(self, n: int) -> list[Record]:
        """The first records that may be handed out."""
        return list(self._read(QUEUE, most=n))

    def overdue(self) -> list[Record]:
        """Records whose lease is over."""
        return list(self._read(OVERDUE, now=self.now))

    def is_barred(self, record: Record) -> bool:
        """Whether an operator has forbidden where a shot lies, or taken its object away."""
        return self._fold.is_barred(record)

    def tally(self) -> list[tuple[str, str, str, int]]:
        """Object, label, state and number of shots."""
        self.flush()
        columns = (records.c.object, records.c.label, records.c.state)
        rows = self._connection.execute(sql.select(*columns, sql.func.count()).group_by(*columns).order_by(*columns))
        return [(name, label, state, count) for name, label, state, count in rows]

    def progress(self) -> list[tuple[str, str, str, bool, int]]:
        """Object, label, state, whether barred, and number of shots."""
        self.flush()
        columns = (records.c.object, records.c.label, records.c.state, records.c.barred)
        rows = self._connection.execute(sql.select(*columns, sql.func.count()).group_by(*columns).order_by(*columns))
        return [(name, label, state, bool(barred), count) for name, label, state, barred, count in rows]

    def views(self) -> list[tuple[tuple[ViewValue, ...], str, bool, int]]:
        """Commanded view, state, whether barred, and number of shots."""
        self.flush()
        columns = (self._view.label("view"), records.c.state, records.c.barred)
        rows = self._connection.execute(sql.select(*columns, sql.func.count()).group_by("view", *columns[1:]))
        return [(tuple(json.loads(view)), state, bool(barred), count) for view, state, barred, count in rows]

    def captured_shots(self) -> list[tuple[str, str, tuple[ViewValue, ...]]]:
        """Object, label and commanded view of each captured shot."""
        self.flush()
        columns = (records.c.object, records.c.label, self._view)
        rows = self._connection.execute(sql.select(*columns).where(records.c.state == CAPTURED))
        return [(name, label, tuple(json.loads(view))) for name, label, view in rows]

    def failures(self) -> list[tuple[Event, Record]]:
        """Every failed try, in order, and what is known of its shot now."""
        failed = self.events(kinds=("failed",))
        named = sql.select(events.c.shot).where(events.c.kind == "failed")
        known = {record.shot: record for record in self._read(sql.select(records).where(records.c.shot.in_(named)))}
        return [(event, known[event.shot]) for event in failed]

    def events(
        self,
        *,
        after: int = 0,
        until: int | None = None,
        shot: str | None = None,
        kinds: Iterable[str] = (),
        last: int = 0,
    ) -> list[Event]:
        """Events in their order.

        Args:
            after: Only those of greater numbers.
            until: Only those of no greater number.
            shot: Only those of this shot.
            kinds: Only those of these kinds.
            last: Only so many, the latest; 0 for all.
        """
        self.flush()
        query = sql.select(events).where(events.c.number > after)
        query = query if until is None else query.where(events.c.number <= until)
        query = query if shot is None else query.where(events.c.shot == shot)
        wanted = tuple(kinds)
        query = query.where(events.c.kind.in_(wanted)) if wanted else query
        if last:
            latest = self._connection.execute(query.order_by(events.c.number.desc()).limit(last))
            return [event_of(row) for row in latest][::-1]
        return [event_of(row) for row in self._connection.execute(query.order_by(events.c.number))]

    def flush(self) -> None:
        """Write what has changed; it counts once the transaction is committed."""
        if self._fresh:
            self._connection.execute(NEW_EVENTS, [event_row(event) for event in self._fresh])
            self._fresh.clear()
            text = json.dumps(self.standing.to_dict(), ensure_ascii=False)
            self._connection.execute(NEW_STANDING, {"fresh": text})
        if self._changed:
            rows = [record_row(self._held[shot]) for shot in sorted(self._changed)]
            self._connection.execute(new_records(self._connection.dialect.name), rows)
            self._changed.clear()

    def _append(self, kind: str, shot: str, body: dict[str, Any]) -> Event:
        event = Event(number=self.standing.last + 1, at=self.now, kind=kind, shot=shot, body=body)
        self._fold.apply(event)
        self._fresh.append(event)
        return event

    @property
    def _view(self) -> sql.ColumnElement[Any]:
        """The commanded view of a record, as text."""
        if self._connection.dialect.name == "postgresql":
            return sql.literal_column("(records.rest::json) ->> 'view'")
        return sql.literal_column("json_extract(records.rest, '$.view')")

    def _read(self, query: sql.Select[Any], **asked: Any) -> Iterator[Record]:
        self.flush()
        return iter(self._hold(self._connection.execute(query, asked)))

    def _hold(self, rows: Iterable[sql.Row[Any]]) -> list[Record]:
        found = list(map(record_of, rows))
        for record in found:
            self._held[record.shot] = record
            self._absent.discard(record.shot)
        return found
