"""One transaction on a store: what it reads, appends and changes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import sqlalchemy as sql
from sqlalchemy.dialects import postgresql, sqlite

from acqplan.campaign.fold import Fold
from acqplan.campaign.record import LEASED, PROPOSED, Event, Record, Standing
from acqplan.campaign.store_tables import event_of, event_row, events, facts, record_of, record_row, records
from acqplan.campaign.terms import Terms

SET_BACK_SECONDS = 1.0
"""A clock that lags the last event by more was set back; less is two processors' difference."""


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
        if shot not in self._held:
            row = self._connection.execute(sql.select(records).where(records.c.shot == shot)).one_or_none()
            if row is None:
                return None
            self._held[shot] = record_of(row)
        return self._held[shot]

    def put(self, record: Record) -> None:
        """Keep a record in place of the one before."""
        self._held[record.shot] = record
        self._changed.add(record.shot)

    def every(self, *states: str) -> Iterator[Record]:
        """All records in these states, or all there are."""
        query = sql.select(records)
        return self._read(query.where(records.c.state.in_(states)) if states else query)

    def queue(self, n: int) -> list[Record]:
        """The first records that may be handed out."""
        query = sql.select(records).where(records.c.state == PROPOSED, records.c.barred == sql.false())
        return list(self._read(query.order_by(records.c.position, records.c.shot).limit(n)))

    def overdue(self) -> list[Record]:
        """Records whose lease is over."""
        query = sql.select(records).where(records.c.state == LEASED, records.c.expires <= self.now)
        return list(self._read(query.order_by(records.c.position, records.c.shot)))

    def is_barred(self, record: Record) -> bool:
        """Whether an operator has forbidden where a shot lies, or taken its object away."""
        return self._fold.is_barred(record)

    def tally(self) -> list[tuple[str, str, str, int]]:
        """Object, label, state and number of shots."""
        self.flush()
        columns = (records.c.object, records.c.label, records.c.state)
        rows = self._connection.execute(sql.select(*columns, sql.func.count()).group_by(*columns).order_by(*columns))
        return [(name, label, state, count) for name, label, state, count in rows]

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
            self._connection.execute(sql.insert(events), [event_row(event) for event in self._fresh])
            self._fresh.clear()
            text = json.dumps(self.standing.to_dict(), ensure_ascii=False)
            self._connection.execute(sql.update(facts).where(facts.c.name == "standing").values(text=text))
        if self._changed:
            self._connection.execute(self._upsert(), [record_row(self._held[shot]) for shot in sorted(self._changed)])
            self._changed.clear()

    def _append(self, kind: str, shot: str, body: dict[str, Any]) -> Event:
        event = Event(number=self.standing.last + 1, at=self.now, kind=kind, shot=shot, body=body)
        self._fold.apply(event)
        self._fresh.append(event)
        return event

    def _read(self, query: sql.Select[Any]) -> Iterator[Record]:
        self.flush()
        for row in self._connection.execute(query).all():
            self._held[row.shot] = record_of(row)
            yield self._held[row.shot]

    def _upsert(self) -> sql.Insert:
        dialect = postgresql if self._connection.dialect.name == "postgresql" else sqlite
        insert = dialect.insert(records)
        changed = {column.name: insert.excluded[column.name] for column in records.c if column.name != "shot"}
        return insert.on_conflict_do_update(index_elements=["shot"], set_=changed)
