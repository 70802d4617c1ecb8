"""What the live page draws: axes, objects, and where every shot stands."""

from __future__ import annotations

from typing import Any

from acqplan.campaign.identifiers import ViewValue
from acqplan.campaign.record import CAPTURED, PROPOSED, WITHDRAWN, Record
from acqplan.campaign.region import WORDS, Region
from acqplan.campaign.spares import n_views, view_at
from acqplan.campaign.store import Store
from acqplan.campaign.store_ledger import Ledger

MOST_SHOTS = 100_000
"""Shots told one by one; of a larger plan, those that wait at the end of the queue are left out."""

MOST_VIEWS = 20_000
"""Views among which those of forbidden regions are looked for; of a larger space only shots tell where they lie."""

LATEST = 12


def dial_of(store: Store) -> dict[str, Any]:
    """Where every shot stands, compactly.

    Returns:
        Fit for JSON: ``last`` (number of the last event), ``axes`` ``[{name, kind, unit, period, values}]``, ``table``
        (whether views are no full grid), ``objects`` ``[[name, label]]``, ``shots`` ``[[identifier, place in objects,
        settings commanded, state, failed tries]]``, ``omitted`` (how many shots are not listed), ``forbidden`` (views
        that are for every object), and the ``latest`` captures ``[{shot, object, label, digest, at}]``, the last one
        first.
    """
    with store.reading() as ledger:
        known = [record for record in ledger.every() if record.state != WITHDRAWN or record.tries]
        told = [record for record in known if record.state == CAPTURED]
        latest = sorted(told, key=lambda record: record.captured_at, reverse=True)[:LATEST]
        known.sort(key=lambda record: (record.state == PROPOSED, record.position))
        return {
            "last": ledger.standing.last,
            "rig": store.terms.rig,
            "place": store.place.rpartition("/")[2],
            "table": store.terms.table is not None,
            **_setting(ledger, known[:MOST_SHOTS]),
            "omitted": max(len(known) - MOST_SHOTS, 0),
            "forbidden": _forbidden(ledger),
            "latest": list(map(capture_document, latest)),
        }


def capture_document(record: Record) -> dict[str, Any]:
    """A capture for JSON."""
    at = round(record.captured_at, 3)
    return {"shot": record.shot, "object": record.object, "label": record.label, "digest": record.digest, "at": at}


def _setting(ledger: Ledger, known: list[Record]) -> dict[str, Any]:
    terms, labels = ledger.terms, {**ledger.terms.objects, **ledger.standing.objects}
    place_of = {name: place for place, name in enumerate(labels)}
    axes = [
        {"name": axis.name, "kind": axis.kind, "unit": axis.unit, "period": axis.period, "values": list(axis.values)}
        for axis in terms.axes
    ]
    shots = [
        [one.shot, place_of.setdefault(one.object, len(place_of)), list(one.view), _state(one), one.tries]
        for one in known
    ]
    objects = [[name, labels.get(name, "")] for name in place_of]
    return {"axes": axes, "objects": objects, "shots": shots}


def _forbidden(ledger: Ledger) -> list[tuple[ViewValue, ...]]:
    terms = ledger.terms
    parsed = [Region.parse(text, terms, known_only=False) for text in ledger.standing.regions.values()]
    regions = [region for region in parsed if not any(name in WORDS for name, *_ in region.clauses)]
    if not regions or n_views(terms) > MOST_VIEWS:
        return []
    views = (view_at(terms, number) for number in range(n_views(terms)))
    return [view for view in views if any(region.holds("", "", terms.view(view)) for region in regions)]


def _state(record: Record) -> str:
    return "barred" if record.state == PROPOSED and record.barred else record.state
