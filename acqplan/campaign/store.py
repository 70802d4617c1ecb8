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
from sqlalchemy.exc import DBAPIError, NoSuchModuleError, SQLAlchemyError

from acqplan.campaign.fold import Fold
from acqplan.campaign.record import Standing
from acqplan.campaign.store_ledger import Ledger
from acqplan.campaign.store_tables import METADATA, VERSION, event_of, events, facts, record_row, records
from acqplan.campaign.terms import Terms
from acqplan.campaign.turns import turn
from acqplan.errors import AcqplanError, MissingError, OutputError, StoreError, UsageError

BUSY_SECONDS = 120.0
"""How long a writer waits for its turn."""

LOCK = 0x61637170
"""Number of the advisory lock that writers on PostgreSQL take."""

PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={int(1000 * BUSY_SECONDS)}")

UNWRITABLE = ("disk is full", "readonly", "read-only", "disk i/o", "unable to open")
BROKEN = ("not a database", "malformed", "no such table", "no such column")

Clock = Callable[[], float]


class Store:
    """A campaign's database.

    Attributes:
        place: Path or URL, as given, without a password.
        terms: What the campaign was created with.
    """

    def __init__(self, engine: sql.Engine, terms: Terms, clock: Clock | None) -> None:
        self.place = _shown(engine)
        self.terms = terms
        self._engine, self._clock = engine, clock

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
        store = cls(_engine(place), terms, clock)
        with _plain_errors(store.place), store._transaction(write=True) as connection:
            if sql.inspect(connection).has_table("facts"):
                raise UsageError(f"{store.place}: a campaign is there already", "choose another place, or open it")
            METADATA.create_all(connection)
            texts = {"version": str(VERSION), "terms": terms.to_json(), "standing": json.dumps(Standing().to_dict())}
            connection.execute(sql.insert(facts), [{"name": name, "text": text} for name, text in texts.items()])
            ledger = Ledger(connection, terms, Standing(), store._wall(connection))
            for kind, body in founding:
                ledger.append(kind, **body)
            ledger.flush()
        return store

    @classmethod
    def open(cls, place: Path | str, *, clock: Clock | None = None) -> Store:
        """Open a campaign; of an older layout, records are folded anew from its events.

        Raises:
            StoreError: If there is none, it is of a newer acqplan, or it is damaged.
        """
        if not is_url(place) and not Path(place).is_file():
            raise StoreError(f"{place}: there is no campaign", "create one: acqplan campaign create")
        engine = _engine(place)
        with _plain_errors(_shown(engine)), engine.connect() as connection:
            if not sql.inspect(connection).has_table("facts"):
                raise StoreError(f"{_shown(engine)}: holds no campaign", "create one: acqplan campaign create")
            found = {row.name: row.text for row in connection.execute(sql.select(facts))}
        version, terms = int(found["version"]), found["terms"]
        if version > VERSION:
            raise StoreError(
                f"{_shown(engine)}: a store of layout {version}; this acqplan knows {VERSION}", "update acqplan"
            )
        store = cls(engine, Terms.from_json(terms), clock)
        if version < VERSION:
            store.rebuild()
        return store

    @contextmanager
    def writing(self) -> Iterator[Ledger]:
        """A transaction that may append; all of it is written at its end, or nothing if it raises."""
        with _plain_errors(self.place), self._transaction(write=True) as connection:
            ledger = self._ledger(connection)
            yield ledger
            ledger.flush()

    @contextmanager
    def reading(self) -> Iterator[Ledger]:
        """A transaction that sees one state of the campaign and changes nothing."""
        with _plain_errors(self.place), self._transaction(write=False) as connection:
            yield self._ledger(connection)

    def rebuild(self) -> None:
        """Fold all events anew into fresh tables of records: after a change of layout, or to mend them."""
        with _plain_errors(self.place), self._transaction(write=True) as connection:
            connection.exec_driver_sql("DROP TABLE IF EXISTS records")
            records.create(connection)
            kept = connection.execute(sql.select(events).order_by(events.c.number))
            fold = Fold.replay(self.terms, map(event_of, kept))
            rows = list(map(record_row, fold.records.every()))
            if rows:
                connection.execute(sql.insert(records), rows)
            for name, text in (("standing", json.dumps(fold.standing.to_dict())), ("version", str(VERSION))):
                connection.execute(sql.update(facts).where(facts.c.name == name).values(text=text))

    def wipe(self) -> None:
        """Take all of the campaign away; for tests of a database that is shared."""
        with _plain_errors(self.place), self._transaction(write=True) as connection:
            METADATA.drop_all(connection)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def _ledger(self, connection: sql.Connection) -> Ledger:
        text = connection.execute(sql.select(facts.c.text).where(facts.c.name == "standing")).scalar_one()
        return Ledger(connection, self.terms, Standing(**json.loads(text)), self._wall(connection))

    def _wall(self, connection: sql.Connection) -> float:
        if self._clock is not None:
            return self._clock()
        if connection.dialect.name == "postgresql":  # several machines, one clock
            return float(connection.exec_driver_sql("SELECT extract(epoch FROM clock_timestamp())").scalar_one())
        return time.time()

    @contextmanager
    def _transaction(self, *, write: bool) -> Iterator[sql.Connection]:
        if self._engine.dialect.name == "postgresql":
            with self._engine.begin() as connection:
                if write:
                    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
                yield connection
            return
        with turn(Path(f"{self._engine.url.database}-turn"), wanted=write), self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
            try:
                yield connection
            except BaseException:
                connection.exec_driver_sql("ROLLBACK")
                raise
            connection.exec_driver_sql("COMMIT")


def is_url(place: Path | str) -> bool:
    """Whether a store is named by the URL of a database."""
    return "://" in str(place)


def _engine(place: Path | str) -> sql.Engine:
    if not is_url(place):
        engine = sql.create_engine(f"sqlite:///{Path(place).absolute()}", isolation_level="AUTOCOMMIT")
        sql.event.listen(engine, "connect", _prepare_sqlite)
        return engine
    try:
        url = sql.make_url(str(place))
        if url.get_backend_name() != "postgresql":
            raise UsageError(f"'{_name(url)}' is no PostgreSQL database", "give a file, or postgresql://…")
        driver = url if "+" in url.drivername else url.set(drivername="postgresql+psycopg")
        return sql.create_engine(driver, pool_pre_ping=True)
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise MissingError(f"'{_name(url)}' needs a driver ({error})", "pip install 'acqplan[postgresql]'") from error
    except SQLAlchemyError as error:
        raise UsageError("the URL of the store cannot be read", "write postgresql://user@host/database") from error


def _prepare_sqlite(connection: Any, _: object) -> None:
    cursor = connection.cursor()
    for pragma in PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _shown(engine: sql.Engine) -> str:
    return str(engine.url.database) if engine.dialect.name == "sqlite" else _name(engine.url)


def _name(url: sql.URL) -> str:
    return url.render_as_string(hide_password=True)


@contextmanager
def _plain_errors(place: str) -> Iterator[None]:
    """Turn what a database says into what a person can act on."""
    try:
        yield
    except AcqplanError:
        raise
    except DBAPIError as error:
        said = str(error.orig or error).strip().splitlines()[0]
        if any(words in said.lower() for words in UNWRITABLE):
            raise OutputError(f"{place}: cannot be written ({said})", "make room, or allow writing") from error
        if any(words in said.lower() for words in BROKEN):
            raise StoreError(f"{place}: not a usable store ({said})", "restore it from a copy or an export") from error
        raise StoreError(f"{place}: the database says: {said}", "is it running, and may you use it?") from error
