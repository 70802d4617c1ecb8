"""Where a campaign is kept: events, which are the truth, and records folded from them, in SQLite or PostgreSQL.

Every change is one transaction: it reads what it needs, decides, appends events and rewrites the records that they
change. Writers take turns, so that each decision sees everything that was decided before.
"""

from __future__ import annotations

import json
import math
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sql

from acqplan.campaign import store_database as tables
from acqplan.campaign.clock import JUMP_SECONDS, Reading
from acqplan.campaign.events import CAPTURED, CampaignState, Event, Fold, Records, ShotRecord
from acqplan.campaign.machine import this_clock, ticks
from acqplan.campaign.settings import CampaignSettings
from acqplan.campaign.store_database import CLOCKS, RESTORE, VERSION, Database, is_url
from acqplan.errors import StoreError, UsageError
from acqplan.files import share_of
from acqplan.numbers import ViewValue

KEPT_SECONDS = 60.0  # after which the reading of a clock is kept anew
MOST_CLOCKS = 16  # of machines, whose readings are kept
AT_ONCE = 500  # shots named in one query; SQLite before 3.32 takes 999
Clock = Callable[[], float]


class Transaction(Records):
    """Reads and changes a campaign within one transaction.

    Attributes:
        settings: What the campaign was created with.
        state: The campaign as a whole, as it is now.
        now: Time of the campaign, which never runs backwards.
        fold: Applies its events.
    """

    def __init__(
        self, connection: sql.Connection, settings: CampaignSettings, state: CampaignState, clock: Reading
    ) -> None:
        super().__init__()
        self.settings, self.state = settings, state
        self.now = max(clock.wall + clock.offset, state.last_at)
        self._connection, self.clock, self._unsaid = connection, clock, clock.jump
        self.fold = Fold(settings, state, self)
        self._changed: dict[str, ShotRecord] = {}
        self._fresh: list[Event] = []

    def append(self, kind: str, shot: str = "", **body: Any) -> Event:
        """Write an event and do what it says."""
        if self._unsaid and self.state.last:
            jump, self._unsaid = self._unsaid, 0.0
            if abs(self.clock.offset - self.state.offset) > JUMP_SECONDS:  # otherwise another process has said so
                self.append("clock", offset=self.clock.offset, jump=jump, uncounted=self._counted_in_vain())
        event = Event(number=self.state.last + 1, at=self.now, kind=kind, shot=shot, body=body)
        self.fold.apply(event)
        self._fresh.append(event)
        return event

    def get(self, shot: str) -> ShotRecord | None:
        """The record of a shot."""
        if shot not in self._held:
            self._held[shot] = None
            self._hold(self._connection.execute(tables.RECORD, {"asked": shot}))
        return self._held[shot]

    def fetch(self, shots: Sequence[str]) -> None:
        """Read the records of many shots at once; `get` then finds them at hand."""
        unread = [shot for shot in shots if shot not in self._held]
        for start in range(0, len(unread), AT_ONCE):
            some = unread[start : start + AT_ONCE]
            self._held.update(dict.fromkeys(some))
            self._hold(self._connection.execute(sql.select(tables.records).where(tables.records.c.shot.in_(some))))

    def put(self, record: ShotRecord) -> None:
        """Keep a record in place of the one before."""
        self._held[record.shot] = self._changed[record.shot] = record

    def every(self, *states: str) -> Iterator[ShotRecord]:
        """All records in these states, always in the same order, or all there are."""
        return self._read(tables.IN_STATE, asked=states) if states else self._read(sql.select(tables.records))

    def queue(self, n: int) -> list[ShotRecord]:
        """The first records that may be leased."""
        return list(self._read(tables.QUEUE, most=n))

    def overdue(self) -> list[ShotRecord]:
        """Records whose lease has expired."""
        return list(self._read(tables.OVERDUE, now=self.now))

    def tally(self) -> list[tuple[str, str, str, bool, int]]:
        """Object, label, state, whether barred, and number of shots."""
        self.flush()
        columns = (tables.records.c.object, tables.records.c.label, tables.records.c.state, tables.records.c.barred)
        rows = self._connection.execute(sql.select(*columns, sql.func.count()).group_by(*columns).order_by(*columns))
        return [(name, label, state, bool(barred), count) for name, label, state, barred, count in rows]

    def views(self) -> list[tuple[tuple[ViewValue, ...], str, bool, int]]:
        """Commanded view, state, whether barred, and number of shots."""
        self.flush()
        columns = (self._view.label("view"), tables.records.c.state, tables.records.c.barred)
        rows = self._connection.execute(sql.select(*columns, sql.func.count()).group_by("view", *columns[1:]))
        return [(tuple(json.loads(view)), state, bool(barred), count) for view, state, barred, count in rows]

    def captured_shots(self) -> list[tuple[str, str, tuple[ViewValue, ...]]]:
        """Object, label and commanded view of each captured shot."""
        self.flush()
        columns = (tables.records.c.object, tables.records.c.label, self._view)
        rows = self._connection.execute(sql.select(*columns).where(tables.records.c.state == CAPTURED))
        return [(name, label, tuple(json.loads(view))) for name, label, view in rows]

    def shots_of_image(self, digest: str) -> list[str]:
        """Shots that an image was told of, the first one first."""
        self.flush()
        told = tables.events.c.kind.in_(("told", "surplus")) & tables.events.c.body.contains(digest, autoescape=True)
        query = sql.select(tables.events.c.shot, tables.events.c.body).where(told).order_by(tables.events.c.number)
        return [shot for shot, body in self._connection.execute(query) if json.loads(body)["digest"] == digest]

    def events(
        self,
        *,
        after: int = 0,
        until: int | None = None,
        shot: str | None = None,
        kinds: Sequence[str] = (),
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
        query = sql.select(tables.events).where(tables.events.c.number > after)
        query = query if until is None else query.where(tables.events.c.number <= until)
        query = query if shot is None else query.where(tables.events.c.shot == shot)
        query = query.where(tables.events.c.kind.in_(kinds)) if kinds else query
        if last:
            latest = self._connection.execute(query.order_by(tables.events.c.number.desc()).limit(last))
            return [tables.event_of(row) for row in latest][::-1]
        return [tables.event_of(row) for row in self._connection.execute(query.order_by(tables.events.c.number))]

    def flush(self) -> None:
        """Write what has changed; it counts once the transaction is committed."""
        # events first: records and state are folded from them
        if self._fresh:
            self._connection.execute(tables.NEW_EVENTS, [tables.event_row(event) for event in self._fresh])
            self._fresh.clear()
            text = json.dumps(self.state.to_dict(), ensure_ascii=False)
            self._connection.execute(tables.NEW_STATE, {"fresh": text})
        if self._changed:
            rows = [tables.record_row(self._changed[shot]) for shot in sorted(self._changed)]
            self._connection.execute(tables.new_records(self._connection.dialect.name), rows)
            self._changed.clear()

    def _counted_in_vain(self) -> float:
        """What a clock is set back by, if it was ahead: then no event happened between two for at least so long."""
        ahead, state = max(self.clock.offset, 0.0) - max(self.state.offset, 0.0), self.state
        if ahead <= 0.0 or state.began is None:
            return 0.0
        kept, until = tables.events.c, math.inf if state.paused_at is None else state.paused_at
        gap = (kept.at - sql.func.lag(kept.at).over(order_by=kept.number)).label("gap")
        gaps = sql.select(kept.kind, gap).where(kept.at >= state.began, kept.at <= until).subquery()
        # a pause is not counted anyway
        longest = self._connection.execute(sql.select(sql.func.max(gaps.c.gap)).where(gaps.c.kind != "resumed"))
        return ahead if (longest.scalar() or 0.0) > ahead - JUMP_SECONDS else 0.0

    @property
    def _view(self) -> sql.ColumnElement[Any]:
        """The commanded view of a record, as text."""
        if self._connection.dialect.name == "postgresql":
            return sql.literal_column("(records.rest::json) ->> 'view'")
        return sql.literal_column("json_extract(records.rest, '$.view')")

    def _read(self, query: sql.Select[Any], **asked: Any) -> Iterator[ShotRecord]:
        self.flush()
        return iter(self._hold(self._connection.execute(query, asked)))

    def _hold(self, rows: Iterable[sql.Row[Any]]) -> list[ShotRecord]:
        found = list(map(tables.record_of, rows))
        self._held.update((record.shot, record) for record in found)
        return found


class Store:
    """A campaign's database.

    Attributes:
        place: Path or URL, as given, without a password.
        settings: What the campaign was created with.
        database: The database itself.
    """

    def __init__(self, database: Database, settings: CampaignSettings, clock: Clock | None) -> None:
        self.place, self.settings, self.database = database.place, settings, database
        self._clock = clock
        self._reading: Reading | None = None  # the last that was kept

    @classmethod
    def create(
        cls,
        place: Path | str,
        settings: CampaignSettings,
        founding: Iterable[tuple[str, dict[str, Any]]],
        *,
        clock: Clock | None = None,
    ) -> Store:
        """Make the tables and write the first events, all of it or nothing.

        Args:
            place: A file that does not exist, or a URL of a database.
            settings: What the campaign is created with.
            founding: Kind and body of the first events.
            clock: Says the time; by default the machine's, or that of the PostgreSQL server.

        Raises:
            UsageError: If a campaign is there already, or the place is on a share.
            OutputError: If it cannot be written.
            MissingError: If a driver of the database is missing.
        """
        _refuse_share(place)
        store = cls(Database(place), settings, clock)
        with store.database.transaction(write=True) as connection:
            store._make_tables(connection)
            transaction = Transaction(connection, settings, CampaignState(), store._read(connection))
            for kind, body in founding:
                transaction.append(kind, **body)
            transaction.flush()
        return store

    @classmethod
    def restore(cls, place: Path | str, happened: Iterable[Event], fold: Fold, *, clock: Clock | None = None) -> Store:
        """Make the tables and write a campaign that happened elsewhere, all of it or nothing.

        Args:
            place: A file that does not exist, or a URL of a database.
            happened: All events.
            fold: What these events are folded into.
            clock: As in `create`, with the same errors.
        """
        _refuse_share(place)
        store = cls(Database(place), fold.settings, clock)
        with store.database.transaction(write=True) as connection:
            store._make_tables(connection)
            connection.execute(sql.insert(tables.events), list(map(tables.event_row, happened)))
            store._write_fold(connection, fold)
        return store

    @staticmethod
    def check_free(place: Path | str) -> None:
        """Refuse a place at which something is already.

        Raises:
            UsageError: If there is.
        """
        if not is_url(place) and Path(place).exists():
            raise UsageError(f"{place}: is there already", "choose another place", path=place)
        if is_url(place):
            with closing(Database(place)) as database, database.transaction(write=False) as connection:
                database.check_empty(connection)

    @classmethod
    def open(cls, place: Path | str, *, clock: Clock | None = None) -> Store:
        """Open a campaign; records of an older layout are folded anew from its events.

        Raises:
            StoreError: If there is none, it is of a newer acqplan, or it is damaged.
        """
        if not is_url(place) and not Path(place).is_file():
            raise StoreError(f"{place}: there is no campaign", "create one: acqplan campaign create", path=place)
        try:
            _refuse_share(place)
        except UsageError as error:  # it may have been there for long, with one machine alone
            warnings.warn(str(error), stacklevel=2)
        database = Database(place)
        with database.transaction(write=False) as connection:
            if not sql.inspect(connection).has_table("facts"):
                raise StoreError(f"{database.place}: holds no campaign", "create one: acqplan campaign create")
            found = {row.name: row.text for row in connection.execute(sql.select(tables.facts))}
        missing = [name for name in ("version", "terms", "standing") if name not in found]
        if missing:
            raise StoreError(f"{database.place}: a campaign without its {missing[0]}", RESTORE, path=database.place)
        version = int(found["version"])
        if version > VERSION:
            raise StoreError(
                f"{database.place}: a store of layout {version}; this acqplan knows {VERSION}", "update acqplan"
            )
        try:
            settings = CampaignSettings.from_dict(json.loads(found["terms"]))
        except (KeyError, TypeError, ValueError, UsageError) as error:
            raise StoreError(f"{database.place}: what it was created with cannot be read ({error})", RESTORE) from error
        store = cls(database, settings, clock)
        if version < VERSION:
            store.rebuild()
        return store

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """A transaction that may append; all of it is written at its end, or nothing if it raises."""
        with self.database.transaction(write=True) as connection:
            transaction = self._transaction(connection)
            before = transaction.state.last
            yield transaction
            transaction.flush()
            if transaction.state.last > before:
                self._keep(connection, transaction.clock)

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """A transaction that sees one state of the campaign and changes nothing."""
        with self.database.transaction(write=False) as connection:
            yield self._transaction(connection)

    def rebuild(self) -> None:
        """Fold all events anew into fresh tables of records: after a change of layout, or to mend them."""
        with self.database.transaction(write=True) as connection:
            connection.exec_driver_sql("DROP TABLE IF EXISTS records")
            tables.records.create(connection)
            for index in tables.events.indexes:
                index.create(connection, checkfirst=True)
            kept = connection.execute(sql.select(tables.events).order_by(tables.events.c.number))
            self._write_fold(connection, Fold.replay(self.settings, map(tables.event_of, kept)))

    def check_events(self) -> None:
        """Check that all events are there that were written.

        Raises:
            StoreError: If some are missing.
        """
        with self.database.transaction(write=False) as connection:
            count, last = connection.execute(sql.select(sql.func.count(), sql.func.max(tables.events.c.number))).one()
            known = self._transaction(connection).state.last
        if not count == last == known:
            raise StoreError(f"{self.place}: {count:,} events, where {max(known, last or 0):,} were written", RESTORE)

    def noted(self, name: str) -> str:
        """The text noted under a name; empty if there is none."""
        with self.database.transaction(write=False) as connection:
            return connection.execute(sql.select(tables.facts.c.text).where(tables.facts.c.name == name)).scalar() or ""

    def note(self, name: str, text: str) -> None:
        """Note something that is no part of the campaign, such as which machine has checked it."""
        with self.database.transaction(write=True) as connection:
            connection.execute(sql.delete(tables.facts).where(tables.facts.c.name == name))
            connection.execute(sql.insert(tables.facts).values(name=name, text=text))
        self.database.write_log()  # the file itself says it, also to those who do not trust the log

    def close(self) -> None:
        """Close all connections."""
        self.database.close()

    def _make_tables(self, connection: sql.Connection) -> None:
        self.database.check_empty(connection)
        tables.METADATA.create_all(connection)
        texts = {
            "version": str(VERSION),
            "terms": json.dumps(self.settings.to_dict(), ensure_ascii=False),
            "standing": json.dumps(CampaignState().to_dict()),
        }
        connection.execute(sql.insert(tables.facts), [{"name": name, "text": text} for name, text in texts.items()])

    def _write_fold(self, connection: sql.Connection, fold: Fold) -> None:
        rows = list(map(tables.record_row, fold.records.every()))
        if rows:
            connection.execute(sql.insert(tables.records), rows)
        for name, text in (("standing", json.dumps(fold.state.to_dict())), ("version", str(VERSION))):
            connection.execute(sql.update(tables.facts).where(tables.facts.c.name == name).values(text=text))

    def _transaction(self, connection: sql.Connection) -> Transaction:
        found = {row.name: json.loads(row.text) for row in connection.execute(tables.STATE)}
        state, shown = CampaignState(**found["standing"]), found.get(CLOCKS, {}).get(this_clock())
        before = Reading(**shown) if shown and self._clock is None else self._reading
        return Transaction(connection, self.settings, state, self._read(connection).after(before, state))

    def _read(self, connection: sql.Connection) -> Reading:
        if self._clock is not None:
            return Reading(wall=self._clock())
        if self.database.is_sqlite:
            return Reading(wall=time.time(), ticks=ticks())
        # several machines, one clock
        wall = connection.exec_driver_sql("SELECT extract(epoch FROM clock_timestamp())").scalar_one()
        return Reading(wall=float(wall), ticks=ticks())

    def _keep(self, connection: sql.Connection, reading: Reading) -> None:
        """Keep what a clock showed: that of the machine for its other processes as well, now and then."""
        before, self._reading = self._reading, replace(reading, jump=0.0)
        own = this_clock() if self._clock is None else ""
        if not own:
            return
        if before and before.offset == reading.offset and abs(reading.wall - before.wall) < KEPT_SECONDS:
            self._reading = before
            return
        facts = tables.facts.c
        text = connection.execute(sql.select(facts.text).where(facts.name == CLOCKS)).scalar()
        others = {name: shown for name, shown in json.loads(text or "{}").items() if name != own}
        latest = dict([*others.items(), (own, asdict(self._reading))][-MOST_CLOCKS:])
        write = sql.insert(tables.facts) if text is None else sql.update(tables.facts).where(facts.name == CLOCKS)
        connection.execute(write.values(name=CLOCKS, text=json.dumps(latest)))


def _refuse_share(place: Path | str) -> None:
    share = "" if is_url(place) else share_of(Path(place))
    if share:
        raise UsageError(
            f"{place}: on a share ({share}), where two machines would lose shots without a word",
            "keep it on a disk of this machine, for others through 'acqplan serve'; or keep it on PostgreSQL",
        )
