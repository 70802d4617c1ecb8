"""The database under a store: its tables, how processes share it and copy it, and how it says what is wrong."""

from __future__ import annotations

import functools
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import sqlalchemy as sql
from sqlalchemy.exc import DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from acqplan.campaign import turns
from acqplan.campaign.events import LEASED, PROPOSED, Event, ShotRecord
from acqplan.errors import AcqplanError, MissingError, OutputError, StoreError, UsageError
from acqplan.files import sync_folder

LOCK = 0x61637170  # number of the advisory lock that writers on PostgreSQL take
SERVER_LIMITS = ("lock_timeout", "idle_in_transaction_session_timeout")
HOLDER = (
    "SELECT pid, coalesce(host(client_addr), 'the server''s machine') FROM pg_locks JOIN pg_stat_activity USING (pid)"
    f" WHERE locktype = 'advisory' AND objid = {LOCK} AND granted"
)
UNWRITABLE = ("disk is full", "readonly", "read-only", "disk i/o", "unable to open")
BROKEN = ("not a database", "malformed", "no such table", "no such column")
RESTORE = "put a backup in its place: acqplan campaign restore; the images beside it stay"
SIDE_FILES = ("-wal", "-shm", "-journal", "-turn")  # ends of the names of files that SQLite and writers keep beside

VERSION = 2  # layout of the tables. Version 1 had no column ``barred``; records of an older version are folded anew
METADATA = sql.MetaData()

facts = sql.Table(
    "facts", METADATA, sql.Column("name", sql.Text, primary_key=True), sql.Column("text", sql.Text, nullable=False)
)
events = sql.Table(
    "events",
    METADATA,
    sql.Column("number", sql.Integer, primary_key=True, autoincrement=False),
    sql.Column("at", sql.Double, nullable=False),
    sql.Column("kind", sql.Text, nullable=False),
    sql.Column("shot", sql.Text, nullable=False, index=True),
    sql.Column("body", sql.Text, nullable=False),
    sql.Index("kinds", "kind", "number"),
)
records = sql.Table(
    "records",
    METADATA,
    sql.Column("shot", sql.Text, primary_key=True),
    sql.Column("object", sql.Text, nullable=False),
    sql.Column("label", sql.Text, nullable=False),
    sql.Column("state", sql.Text, nullable=False),
    sql.Column("barred", sql.Boolean, nullable=False),
    sql.Column("position", sql.BigInteger, nullable=False),
    sql.Column("expires", sql.Double, nullable=False),
    sql.Column("rest", sql.Text, nullable=False),
    sql.Index("queue", "state", "barred", "position"),
    sql.Index("leases", "state", "expires"),
    sql.Index("tallies", "object", "label", "state", "barred"),
)
COLUMNS = tuple(column.name for column in records.c if column.name != "rest")
REST = tuple(field.name for field in fields(ShotRecord) if field.name not in COLUMNS)

# built once: SQLAlchemy takes longer to build a query than SQLite takes to answer it
RECORD = sql.select(records).where(records.c.shot == sql.bindparam("asked"))
IN_STATE = (  # in one order, as plans depend on it, and a database would choose another with each of its indexes
    sql.select(records)
    .where(records.c.state.in_(sql.bindparam("asked", expanding=True)))
    .order_by(records.c.state, records.c.barred, records.c.position, records.c.shot)
)
QUEUE = (
    sql.select(records)
    .where(records.c.state == PROPOSED, records.c.barred == sql.false())
    .order_by(records.c.position, records.c.shot)
    .limit(sql.bindparam("most"))
)
OVERDUE = (
    sql.select(records)
    .where(records.c.state == LEASED, records.c.expires <= sql.bindparam("now"))
    .order_by(records.c.position, records.c.shot)
)
CLOCKS = "clocks"  # the fact of what clocks showed
STATE = sql.select(facts).where(facts.c.name.in_(["standing", CLOCKS]))
NEW_STATE = sql.update(facts).where(facts.c.name == "standing").values(text=sql.bindparam("fresh"))
NEW_EVENTS = sql.insert(events)


class Database:
    """SQLite in one file, or PostgreSQL by URL.

    Attributes:
        place: Path or URL, without a password.
        is_sqlite: Whether it is a file.
        is_readonly: Whether it is a file that nobody can write from here.
    """

    def __init__(self, place: Path | str) -> None:
        if not is_url(place):
            file = sql.URL.create("sqlite", database=wherever(place))
            self._engine = sql.create_engine(file, isolation_level="AUTOCOMMIT")
            sql.event.listen(self._engine, "do_connect", self._connect)
        else:
            try:
                url = sql.make_url(str(place))
                name = url.render_as_string()
                if url.get_backend_name() != "postgresql":
                    raise UsageError(f"'{name}' is no PostgreSQL database", "give a file, or postgresql://…")
                driver = url if "+" in url.drivername else url.set(drivername="postgresql+psycopg")
                self._engine = sql.create_engine(driver, pool_pre_ping=True)
            except (ModuleNotFoundError, NoSuchModuleError) as error:
                raise MissingError(f"'{name}' needs a driver ({error})", "pip install 'acqplan[postgresql]'") from error
            except SQLAlchemyError as error:
                raise UsageError(
                    "the URL of the store cannot be read", "write postgresql://user@host/database"
                ) from error
        self.is_sqlite = self._engine.dialect.name == "sqlite"
        url = self._engine.url
        self.place = str(url.database) if self.is_sqlite else url.render_as_string()
        self.is_readonly, self._has_log, self._file = False, False, ""
        turns.ENGINES.add(self._engine)

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[sql.Connection]:
        """Do all of a block or nothing; a writer waits for its turn, a reader sees one state throughout.

        Raises:
            OutputError: If it cannot be written.
            StoreError: If it cannot be used.
        """
        with plain_errors(self.place), ExitStack() as stack:
            if not self.is_sqlite:
                level = "READ COMMITTED" if write else "REPEATABLE READ"  # a writer must see what the last one wrote
                engine = self._engine.execution_options(isolation_level=level)
                connection = stack.enter_context(engine.begin())
                if write:
                    self._wait_for_server(connection)
                yield connection
                return
            if write:
                stack.enter_context(turns.turn(self.place))
            stack.enter_context(turns.transaction_of_thread())
            self._recognise(log=False)  # or connecting would make an empty file
            connection = stack.enter_context(self._engine.connect())
            if self.is_readonly:  # whoever can write it may do so before the next transaction
                stack.callback(self._engine.dispose)
            connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
            try:
                self._recognise(log=write)
                yield connection
                connection.exec_driver_sql("COMMIT")
            except BaseException:
                if _driver(connection).in_transaction:  # on a full disk SQLite has rolled back by itself
                    connection.exec_driver_sql("ROLLBACK")
                raise

    def check_empty(self, connection: sql.Connection) -> None:
        """Refuse a database that holds a campaign.

        Raises:
            UsageError: If it does.
        """
        if sql.inspect(connection).has_table("facts"):
            raise UsageError(f"{self.place}: a campaign is there already", "choose another place, or open it")

    def check_pages(self) -> None:
        """Check that the file is whole, as far as SQLite can tell quickly.

        Raises:
            StoreError: If it is damaged.
        """
        with self.transaction(write=False) as connection:
            found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one() if self.is_sqlite else "ok"
        if found != "ok":
            raise StoreError(f"{self.place}: the file is damaged ({' '.join(found.split())})", RESTORE, path=self.place)

    def write_log(self) -> None:
        """Write the log of SQLite into the file, as far as nobody reads it."""
        if self.is_sqlite:
            with plain_errors(self.place), turns.turn(self.place), self._engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint")

    def copy_to(self, path: Path) -> None:
        """Copy a file of SQLite as it is at one moment, while others may go on writing.

        Raises:
            UsageError: If it is on a server, or something is at ``path``.
            OutputError: If it cannot be written.
        """
        if not self.is_sqlite:
            raise UsageError(f"{self.place}: a database on a server", "use its own tools, e.g. pg_dump")
        if path.exists():
            raise UsageError(f"{path}: is there already", "choose another place", path=path)
        part = path.with_name(f".{path.name}.part")
        part.unlink(missing_ok=True)
        try:
            with plain_errors(str(path)), self._engine.connect() as own, closing(sqlite3.connect(part)) as copy:
                _driver(own).backup(copy)
            part.rename(path)
        finally:
            part.unlink(missing_ok=True)
        sync_folder(path.absolute().parent)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def _connect(self, _: object, record: object, __: object, named: dict[str, Any]) -> sqlite3.Connection:
        """Open the file; if it cannot be written, as on a disk that nobody writes."""
        connection = sqlite3.connect(self.place, **named)
        try:
            for pragma in (f"busy_timeout={int(1000 * turns.BUSY_SECONDS)}", "journal_mode=WAL", "synchronous=FULL"):
                connection.execute(f"PRAGMA {pragma}")
            self.is_readonly = not os.access(self.place, os.W_OK)
            return connection
        except sqlite3.OperationalError as error:
            connection.close()
            log = Path(f"{self.place}-wal")
            if not any(words in str(error) for words in UNWRITABLE) or not os.access(self.place, os.R_OK):
                raise
            if log.exists() and log.stat().st_size:
                said = f"{log}: holds events that cannot be read where nothing can be written"
                raise OutputError(said, "copy file, -wal and images to another disk", path=log) from error
            self.is_readonly = True
            return sqlite3.connect(f"{Path(self.place).as_uri()}?immutable=1", uri=True, **named)

    def _recognise(self, *, log: bool) -> None:
        """Refuse a file that is not the store any more, or has lost its log: what is written there would be lost."""
        file, written = Path(self.place), Path(f"{self.place}-wal")
        found = file.stat() if file.exists() else None
        now = f"{found.st_dev} {found.st_ino}" if found else ""
        had_log, self._has_log = self._has_log, self._has_log or written.exists()
        self._file = self._file or now
        if now != self._file or (log and had_log and not written.exists()):
            said = f"{self.place}: the store was deleted, moved or replaced while it was open; nothing was written"
            raise StoreError(said, "put it back, or restore a backup; then start again", path=self.place)

    def _wait_for_server(self, connection: sql.Connection) -> None:
        """Wait for the turn on a server, which ends that of a machine of which it hears nothing."""
        limits = [f"set_config('{name}', '{turns.BUSY_SECONDS:g}s', true)" for name in SERVER_LIMITS]
        try:
            connection.exec_driver_sql(f"SELECT {', '.join(limits)}, pg_advisory_xact_lock({LOCK})")
        except DBAPIError as error:
            if "lock timeout" not in str(error.orig):
                raise
            with self._engine.connect() as other:
                holder = other.exec_driver_sql(HOLDER).first()
            who = f"process {holder[0]} of {holder[1]}" if holder else "another process"
            raise turns.busy(self.place, who) from error


def put_in_place(copy: Path, place: Path, aside: Path) -> None:
    """Put a file in the place of another, which goes aside with its log: with that SQLite would destroy the new one.

    Args:
        copy: A whole file of SQLite on the same disk.
        place: Where it goes; there may be nothing, or a log alone.
        aside: Folder of what is there, made if anything is.
    """
    with turns.turn(place):
        for old in (place, *(Path(f"{place}{end}") for end in SIDE_FILES[:3])):
            if old.exists():
                aside.mkdir(exist_ok=True)
                old.rename(aside / old.name)
        copy.rename(place)
    sync_folder(place.parent)


def is_open_here(place: Path) -> bool:
    """Whether this process has a connection to a file: closing it otherwise would take the locks of SQLite away."""
    here = [engine for engine in list(turns.ENGINES) if engine.url.database == str(place)]
    return any(engine.pool.checkedin() + engine.pool.checkedout() for engine in here)


def is_url(place: Path | str) -> bool:
    """Whether a store is named by the URL of a database."""
    return "://" in str(place)


def wherever(place: Path | str) -> str:
    """A store's path or URL as it is understood also where the program, or another one, goes later."""
    return str(place) if is_url(place) else str(Path(place).absolute())


@contextmanager
def plain_errors(place: str) -> Iterator[None]:
    """Turn what a database says into what a person can act on."""
    try:
        yield
    except AcqplanError:
        raise
    except UnicodeEncodeError as error:
        said = f"{error.object!a} is no text in UTF-8"
        raise UsageError(said, "write it in UTF-8", asked=error.object) from error
    except PoolTimeout as error:
        raise StoreError(f"{place}: too many requests at once", "ask again in a moment", path=place) from error
    except (DBAPIError, sqlite3.Error) as error:
        said = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        if any(words in said.lower() for words in UNWRITABLE):
            raise OutputError(f"{place}: cannot be written ({said})", "make room, or allow writing") from error
        if said == "database is locked":
            raise turns.busy(place, turns.holder(Path(f"{place}-shm"))) from error
        if any(words in said.lower() for words in BROKEN):
            # what was never a store must not be replaced by a backup
            hint = f"name the file of a campaign; if it was one, {RESTORE}" if "not a database" in said else RESTORE
            raise StoreError(f"{place}: not a usable store ({said})", hint, path=place) from error
        raise StoreError(f"{place}: the database says: {said}", "is it running, and may you use it?") from error


@functools.cache
def new_records(dialect: str) -> sql.Insert:
    """Writes records, each in place of the one before."""
    if dialect == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as insert_into  # a sixth of the time to load a campaign
    else:
        from sqlalchemy.dialects.sqlite import insert as insert_into  # type: ignore[assignment]
    insert = insert_into(records)
    changed = {column.name: insert.excluded[column.name] for column in records.c if column.name != "shot"}
    return insert.on_conflict_do_update(index_elements=["shot"], set_=changed)


def record_row(record: ShotRecord) -> dict[str, Any]:
    """A record as a row."""
    row = {name: getattr(record, name) for name in COLUMNS}
    rest = {name: getattr(record, name) for name in REST}
    return {**row, "rest": json.dumps(rest, ensure_ascii=False)}


def record_of(row: sql.Row[Any]) -> ShotRecord:
    """The inverse of `record_row`."""
    values = row._asdict()
    rest = json.loads(values.pop("rest"))
    rest["view"], rest["reached"] = tuple(rest["view"]), tuple(rest["reached"])
    return ShotRecord(**{**values, **rest})


def event_row(event: Event) -> dict[str, Any]:
    """An event as a row."""
    body = json.dumps(event.body, ensure_ascii=False)
    return {"number": event.number, "at": event.at, "kind": event.kind, "shot": event.shot, "body": body}


def event_of(row: sql.Row[Any]) -> Event:
    """The inverse of `event_row`."""
    return Event(number=row.number, at=row.at, kind=row.kind, shot=row.shot, body=json.loads(row.body))


def _driver(connection: sql.Connection) -> sqlite3.Connection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver
