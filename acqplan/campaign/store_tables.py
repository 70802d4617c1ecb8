"""Tables of a store, and how records are written in them."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import sqlalchemy as sql

from acqplan.campaign.record import Event, Record

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
)
COLUMNS = ("shot", "object", "label", "state", "barred", "position", "expires")


def record_row(record: Record) -> dict[str, Any]:
    """A record as a row."""
    values = asdict(record)
    row = {name: values.pop(name) for name in COLUMNS}
    return {**row, "rest": json.dumps(values, ensure_ascii=False)}


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
