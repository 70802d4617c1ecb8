"""Shots in place of those that were given up, drawn by lot, until the next plan: at once, and without numpy."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from acqplan.campaign.identifiers import ViewValue, shot_identifier
from acqplan.campaign.record import REJECTED, WITHDRAWN, Record
from acqplan.campaign.terms import Terms
from acqplan.rng import stream

if TYPE_CHECKING:
    from acqplan.campaign.store_ledger import Ledger

DRAWS = 30
"""Draws for each shot that is missing, before all shots of a small space are gone through."""

MOST_LISTED = 200_000
REASON = "in place of a shot that cannot be had, by lot"


def draw_spares(ledger: Ledger, n: int) -> list[list[Any]]:
    """Rows of a plan (`shot, object, view, gain, reason`) of up to ``n`` shots that nobody has taken or forbidden.

    Objects with fewest shots come first; views are drawn by their weight in deployment being above zero.
    """
    draw = random.Random(stream(ledger.terms.seed, "spares", ledger.standing.last))
    found: dict[str, list[Any]] = {}
    wanted = Counter(dict.fromkeys(sorted(ledger.standing.objects), 0))
    for name, _, state, count in ledger.tally():
        if name in wanted and state not in (REJECTED, WITHDRAWN):
            wanted[name] += count
    if not wanted:
        return []
    for name, view in _drawn(ledger.terms, wanted, n, draw):
        _add(found, ledger, name, view, wanted)
        if len(found) == n:
            return list(found.values())
    if len(wanted) * n_views(ledger.terms) <= MOST_LISTED:
        listed = [(name, number) for name in wanted for number in range(n_views(ledger.terms))]
        draw.shuffle(listed)
        for name, number in listed:
            if len(found) == n:
                break
            _add(found, ledger, name, number, wanted)
    return list(found.values())


def n_views(terms: Terms) -> int:
    """Views of the space."""
    if terms.table is not None:
        return len(terms.table)
    total = 1
    for axis in terms.axes:
        total *= len(axis.values)
    return total


def view_at(terms: Terms, number: int) -> tuple[ViewValue, ...]:
    """A view by its number; of a grid the last axis varies fastest."""
    if terms.table is not None:
        return terms.table[number]
    levels: list[ViewValue] = []
    for axis in reversed(terms.axes):
        number, level = divmod(number, len(axis.values))
        value = axis.values[level]
        levels.append(value % axis.period if axis.kind == "circle" and not isinstance(value, str) else value)
    return tuple(reversed(levels))


def _drawn(terms: Terms, wanted: Counter[str], n: int, draw: random.Random) -> Iterator[tuple[str, int]]:
    views = n_views(terms)
    for _ in range(min(DRAWS * n, MOST_LISTED)):
        fewest = min(wanted.values(), default=0)
        names = [name for name, count in wanted.items() if count == fewest]
        yield draw.choice(names or sorted(wanted)), draw.randrange(views)


def _add(found: dict[str, list[Any]], ledger: Ledger, name: str, number: int, wanted: Counter[str]) -> None:
    terms = ledger.terms
    if terms.view_weights is not None and terms.view_weights[number] <= 0:
        return
    view = view_at(terms, number)
    shot = shot_identifier(name, view)
    if shot in found:
        return
    before = ledger.get(shot)
    fresh = before or Record(shot=shot, object=name, label=ledger.standing.objects[name], view=view)
    if (before is None or before.state == WITHDRAWN) and not ledger.is_barred(fresh):
        found[shot] = [shot, name, list(view), 0.0, REASON]
        wanted[name] += 1
