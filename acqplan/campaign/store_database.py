"""The database under a store: its tables, how processes share it and copy it, and how it says what is wrong."""

from __future__ import annotations

import functools
import json
import os
import sqlite3
import threading
import time
import weakref
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import sqlalchemy as sql
from sqlalchemy.exc import DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from acqplan.campaign.events import LEASED, PROPOSED, Event, ShotRecord
from acqplan.errors import AcqplanError, MissingError, OutputError, StoreError, UsageError
from acqplan.files import sync_folder
from acqplan.numbers import duration

try:
    import fcntl
except ImportError:  # not on Windows: SQLite's own locks hold there, with longer waits
    fcntl = None  # type: ignore[assignment]

BUSY_SECONDS = 120.0  # how long a writer waits for its turn
FORK_SECONDS = 10.0  # how long a fork waits for the transactions of other threads
POLL_SECONDS = (0.0005, 0.004)  # between two looks whether it is a writer's turn, first and at most

LOCK = 0x61637170  # number of the advisory lock that writers on PostgreSQL take
SERVER_LIMITS = ("lock_timeout", "idle_in_transaction_session_timeout")
HOLDER = (
    "SELECT pid, coalesce(host(client_addr), 'the server''s machine') FROM pg_locks JOIN pg_stat_activity USING (pid)"
    f" WHERE locktype = 'advisory' AND objid = {LOCK} AND granted"
)
UNWRITABLE = ("disk is full", "readonly", "read-only", "disk i/o", "unable to open")
BROKEN = ("not a database", "malformed", "no such table", "no such column")
RESTORE = "put a backup in its place; the images beside it are files of their own"

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
    """

    def __init__(self, place: Path | str) -> None:
        if not is_url(place):
            file = sql.URL.create("sqlite", database=wherever(place))
            self._engine = sql.create_engine(file, isolation_level="AUTOCOMMIT")
            sql.event.listen(self._engine, "connect", _prepare_sqlite)
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
        _ENGINES.add(self._engine)

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
            if write and fcntl is not None:
                stack.enter_context(_turn(Path(f"{self.place}-turn")))
            stack.enter_context(_transaction_of_thread())
            connection = stack.enter_context(self._engine.connect())
            connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
            try:
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

    def _wait_for_server(self, connection: sql.Connection) -> None:
        """Wait for the turn on a server, which ends that of a machine of which it hears nothing."""
        limits = [f"set_config('{name}', '{BUSY_SECONDS:g}s', true)" for name in SERVER_LIMITS]
        try:
            connection.exec_driver_sql(f"SELECT {', '.join(limits)}, pg_advisory_xact_lock({LOCK})")
        except DBAPIError as error:
            if "lock timeout" not in str(error.orig):
                raise
            with self._engine.connect() as other:
                holder = other.exec_driver_sql(HOLDER).first()
            raise _busy(self.place, f"process {holder[0]} of {holder[1]}" if holder else "another process") from error


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
    except PoolTimeout as error:
        raise StoreError(f"{place}: too many requests at once", "ask again in a moment", path=place) from error
    except (DBAPIError, sqlite3.Error) as error:
        said = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        if any(words in said.lower() for words in UNWRITABLE):
            raise OutputError(f"{place}: cannot be written ({said})", "make room, or allow writing") from error
        if said == "database is locked":
            raise _busy(place, _holder(Path(f"{place}-shm"))) from error
        if any(words in said.lower() for words in BROKEN):
            raise StoreError(f"{place}: not a usable store ({said})", RESTORE, path=place) from error
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


@contextmanager
def _turn(path: Path) -> Iterator[None]:
    """Wait until no other writer has the turn; a killed process gives it back. The locked file stays, empty."""
    try:
        with _CHANGE:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            _TURNS.add(descriptor)
    except OSError as error:
        raise OutputError(f"{path.parent}: cannot be written ({error.strerror})", "allow writing") from error
    try:
        _lock(descriptor, path)
        yield
    finally:
        with _CHANGE:
            if descriptor in _TURNS:  # otherwise this is a child of a fork, and the turn its parent's
                _TURNS.remove(descriptor)
                fcntl.flock(descriptor, fcntl.LOCK_UN)  # a process that was forked meanwhile would keep it
                os.close(descriptor)


def _lock(descriptor: int, path: Path) -> None:
    pause, end = POLL_SECONDS[0], time.monotonic() + BUSY_SECONDS
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > end:
                raise _busy(str(path).removesuffix("-turn"), _holder(path)) from error
        except OSError as error:
            said = f"{path.parent}: files cannot be locked here ({error.strerror})"
            raise StoreError(said, "keep the store on a disk of this machine, or on PostgreSQL", path=path) from error
        time.sleep(pause)
        pause = min(2.0 * pause, POLL_SECONDS[1])


def _busy(place: str, holder: str) -> StoreError:
    said = f"{place}: {holder} has kept it locked for {duration(BUSY_SECONDS)}"
    return StoreError(said, "end that process if it hangs, or ask again", path=place)


def _holder(path: Path) -> str:
    """Which process has locked a file, as far as this system says."""
    with suppress(OSError):
        inode = str(path.stat().st_ino)
        for line in Path("/proc/locks").read_text(encoding="ascii").splitlines():
            fields = line.split()
            if "->" not in fields and fields[3] == "WRITE" and fields[5].rpartition(":")[2] == inode:
                return f"process {fields[4]} ({Path(f'/proc/{fields[4]}/comm').read_text(encoding='utf-8').strip()})"
    return "another process"


_ENGINES: weakref.WeakSet[sql.Engine] = weakref.WeakSet()
_TURNS: set[int] = set()  # descriptors of turns that this process has, or waits for
_THREADS: Counter[int] = Counter()  # transactions of each thread; under _FORK, how many threads are about to fork
_FORK = 0
_CHANGE = threading.Condition()  # of what is above


@contextmanager
def _transaction_of_thread() -> Iterator[None]:
    own = threading.get_ident()
    with _CHANGE:
        _CHANGE.wait_for(lambda: _THREADS[own] or not _THREADS[_FORK], FORK_SECONDS)
        _THREADS[own] += 1
    try:
        yield
    finally:
        with _CHANGE:
            _THREADS[own] -= 1
            _CHANGE.notify_all()


def _before_fork() -> None:
    """Let no other thread be within a transaction, and close connections.

    One that two processes share loses data: SQLite would take its parent's locks for its own.
    """
    _CHANGE.acquire()  # until the fork is over
    _THREADS[_FORK] += 1
    others = _THREADS.keys() - {_FORK, threading.get_ident()}
    _CHANGE.wait_for(lambda: not any(_THREADS[thread] for thread in others), FORK_SECONDS)
    for engine in list(_ENGINES):
        engine.dispose()


def _after_fork() -> None:
    _THREADS[_FORK] -= 1
    _CHANGE.notify_all()
    _CHANGE.release()


def _after_fork_in_child() -> None:
    for descriptor in _TURNS:  # or its parent's turn would not end with its parent
        os.close(descriptor)
    _TURNS.clear()
    _THREADS.clear()
    _CHANGE.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child)


def _prepare_sqlite(connection: Any, _: object) -> None:
    with closing(connection.cursor()) as cursor:
        for pragma in (f"busy_timeout={int(1000 * BUSY_SECONDS)}", "journal_mode=WAL", "synchronous=FULL"):
            cursor.execute(f"PRAGMA {pragma}")


def _driver(connection: sql.Connection) -> sqlite3.Connection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver
