"""Tables of a store, and how records are written in them."""

from __future__ import annotations

import functools
import json
from dataclasses import fields
from typing import Any

import sqlalchemy as sql

from acqplan.campaign.record import LEASED, PROPOSED, Event, Record

VERSION = 2
"""Layout of the tables. Version 1 had no column ``barred``; records of an older version are folded anew."""

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
COLUMNS = ("shot", "object", "label", "state", "barred", "position", "expires")
REST = tuple(one.name for one in fields(Record) if one.name not in COLUMNS)

# built once: SQLAlchemy takes longer to build a question than SQLite to answer it
RECORD = sql.select(records).where(records.c.shot == sql.bindparam("asked"))
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
IN_STATE = sql.select(records).where(records.c.state == sql.bindparam("asked"))
STANDING = sql.select(facts.c.text).where(facts.c.name == "standing")
NEW_STANDING = sql.update(facts).where(facts.c.name == "standing").values(text=sql.bindparam("fresh"))
NEW_EVENTS = sql.insert(events)


@functools.cache
def new_records(dialect: str) -> sql.Insert:
    """Writes records, each in place of the one before."""
    if dialect == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as insert_into  # a sixth of loading a campaign
    else:
        from sqlalchemy.dialects.sqlite import insert as insert_into  # type: ignore[assignment]
    insert = insert_into(records)
    changed = {column.name: insert.excluded[column.name] for column in records.c if column.name != "shot"}
    return insert.on_conflict_do_update(index_elements=["shot"], set_=changed)


def record_row(record: Record) -> dict[str, Any]:
    """A record as a row."""
    row = {name: getattr(record, name) for name in COLUMNS}
    rest = {name: getattr(record, name) for name in REST}
    return {**row, "rest": json.dumps(rest, ensure_ascii=False)}


def record_of(row: sql.Row[Any]) -> Record:
    """The inverse of `record_row`."""
    values = row._asdict()
    rest = json.loads(values.pop("rest"))
    rest["view"], rest["reached"] = tuple(rest["view"]), tuple(rest["reached"])
    return Record(**{**values, **rest})


def event_row(event: Event) -> dict[str, Any]:
    """An event as a row."""
    body = json.dumps(event.body, ensure_ascii=False)
    return {"number": event.number, "at": event.at, "kind": event.kind, "shot": event.shot, "body": body}


def event_of(row: sql.Row[Any]) -> Event:
    """The inverse of `event_row`."""
    return Event(number=row.number, at=row.at, kind=row.kind, shot=row.shot, body=json.loads(row.body))
