"""Where a campaign is kept: events, which are the truth, and records folded from them, in SQLite or PostgreSQL.

Every change is one transaction: it reads what it needs, decides, appends events and rewrites the records that they
change. Writers take turns, so that whoever decides sees everything that was decided before.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sql

from acqplan.campaign.fold import Fold
from acqplan.campaign.record import Event, Standing
from acqplan.campaign.store_database import RESTORE, Database, is_url
from acqplan.campaign.store_ledger import Ledger
from acqplan.campaign.store_tables import (
    METADATA,
    STANDING,
    VERSION,
    event_of,
    event_row,
    events,
    facts,
    record_row,
    records,
)
from acqplan.campaign.terms import Terms
from acqplan.errors import StoreError, UsageError

Clock = Callable[[], float]


class Store:
    """A campaign's database.

    Attributes:
        place: Path or URL, as given, without a password.
        terms: What the campaign was created with.
        database: Where it is kept.
    """

    def __init__(self, database: Database, terms: Terms, clock: Clock | None) -> None:
        self.place, self.terms, self.database = database.place, terms, database
        self._clock = clock

    @classmethod
    def create(
        cls,
        place: Path | str,
        terms: Terms,
        founding: Iterable[tuple[str, dict[str, Any]]],
        *,
        clock: Clock | None = None,
    ) -> Store:
        """Make the tables and write the first events, all of it or nothing.

        Args:
            place: A file that does not exist, or a URL of a database.
            terms: What the campaign is created with.
            founding: Kind and body of the first events.
            clock: Says the time; by default the machine's, or that of the PostgreSQL server.

        Raises:
            UsageError: If a campaign is there already.
            OutputError: If it cannot be written.
            MissingError: If a driver of the database is missing.
        """
        store = cls(Database(place), terms, clock)
        with store.database.transaction(write=True) as connection:
            store._make_tables(connection)
            ledger = Ledger(connection, terms, Standing(), store._wall(connection))
            for kind, body in founding:
                ledger.append(kind, **body)
            ledger.flush()
        return store

    @classmethod
    def restore(cls, place: Path | str, happened: Iterable[Event], fold: Fold, *, clock: Clock | None = None) -> Store:
        """Make the tables and write a campaign that happened elsewhere, all of it or nothing.

        Args:
            place: A file that does not exist, or a URL of a database.
            happened: All events.
            fold: What these events are folded into.
            clock: As of `create`; and the same errors.
        """
        store = cls(Database(place), fold.terms, clock)
        with store.database.transaction(write=True) as connection:
            store._make_tables(connection)
            connection.execute(sql.insert(events), list(map(event_row, happened)))
            store._write_fold(connection, fold)
        return store

    @classmethod
    def open(cls, place: Path | str, *, clock: Clock | None = None) -> Store:
        """Open a campaign; of an older layout, records are folded anew from its events.

        Raises:
            StoreError: If there is none, it is of a newer acqplan, or it is damaged.
        """
        if not is_url(place) and not Path(place).is_file():
            raise StoreError(f"{place}: there is no campaign", "create one: acqplan campaign create")
        database = Database(place)
        with database.transaction(write=False) as connection:
            if not sql.inspect(connection).has_table("facts"):
                raise StoreError(f"{database.place}: holds no campaign", "create one: acqplan campaign create")
            found = {row.name: row.text for row in connection.execute(sql.select(facts))}
        missing = [name for name in ("version", "terms", "standing") if name not in found]
        if missing:
            raise StoreError(f"{database.place}: a campaign without its {missing[0]}", RESTORE)
        version = int(found["version"])
        if version > VERSION:
            raise StoreError(
                f"{database.place}: a store of layout {version}; this acqplan knows {VERSION}", "update acqplan"
            )
        try:
            terms = Terms.from_json(found["terms"])
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(f"{database.place}: what it was created with cannot be read ({error})", RESTORE) from error
        store = cls(database, terms, clock)
        if version < VERSION:
            store.rebuild()
        return store

    @contextmanager
    def writing(self) -> Iterator[Ledger]:
        """A transaction that may append; all of it is written at its end, or nothing if it raises."""
        with self.database.transaction(write=True) as connection:
            ledger = self._ledger(connection)
            yield ledger
            ledger.flush()

    @contextmanager
    def reading(self) -> Iterator[Ledger]:
        """A transaction that sees one state of the campaign and changes nothing."""
        with self.database.transaction(write=False) as connection:
            yield self._ledger(connection)

    def rebuild(self) -> None:
        """Fold all events anew into fresh tables of records: after a change of layout, or to mend them."""
        with self.database.transaction(write=True) as connection:
            connection.exec_driver_sql("DROP TABLE IF EXISTS records")
            records.create(connection)
            for index in events.indexes:
                index.create(connection, checkfirst=True)
            kept = connection.execute(sql.select(events).order_by(events.c.number))
            fold = Fold.replay(self.terms, map(event_of, kept))
            self._write_fold(connection, fold)

    def check_events(self) -> None:
        """Whether all events are there that were written.

        Raises:
            StoreError: If some are missing.
        """
        with self.database.transaction(write=False) as connection:
            count, last = connection.execute(sql.select(sql.func.count(), sql.func.max(events.c.number))).one()
            known = self._ledger(connection).standing.last
        if not count == last == known:
            raise StoreError(f"{self.place}: {count:,} events, where {max(known, last or 0):,} were written", RESTORE)

    def noted(self, name: str) -> str:
        """What was noted under a name; empty if nothing was."""
        with self.database.transaction(write=False) as connection:
            return connection.execute(sql.select(facts.c.text).where(facts.c.name == name)).scalar() or ""

    def note(self, name: str, text: str) -> None:
        """Note something that is no part of the campaign, such as which machine has checked it."""
        with self.database.transaction(write=True) as connection:
            connection.execute(sql.delete(facts).where(facts.c.name == name))
            connection.execute(sql.insert(facts).values(name=name, text=text))

    def close(self) -> None:
        """Close all connections."""
        self.database.close()

    def _make_tables(self, connection: sql.Connection) -> None:
        if sql.inspect(connection).has_table("facts"):
            raise UsageError(f"{self.place}: a campaign is there already", "choose another place, or open it")
        METADATA.create_all(connection)
        texts = {"version": VERSION, "terms": self.terms.to_json(), "standing": json.dumps(Standing().to_dict())}
        connection.execute(sql.insert(facts), [{"name": name, "text": str(text)} for name, text in texts.items()])

    def _write_fold(self, connection: sql.Connection, fold: Fold) -> None:
        rows = list(map(record_row, fold.records.every()))
        if rows:
            connection.execute(sql.insert(records), rows)
        for name, text in (("standing", json.dumps(fold.standing.to_dict())), ("version", str(VERSION))):
            connection.execute(sql.update(facts).where(facts.c.name == name).values(text=text))

    def _ledger(self, connection: sql.Connection) -> Ledger:
        text = connection.execute(STANDING).scalar_one()
        return Ledger(connection, self.terms, Standing(**json.loads(text)), self._wall(connection))

    def _wall(self, connection: sql.Connection) -> float:
        if self._clock is not None:
            return self._clock()
        if not self.database.is_sqlite:  # several machines, one clock
            return float(connection.exec_driver_sql("SELECT extract(epoch FROM clock_timestamp())").scalar_one())
        return time.time()
