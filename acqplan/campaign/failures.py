"""What keeps failing, and where: reasons, and levels and objects that fail more often than the rest."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from acqplan.campaign.identifiers import ViewValue
from acqplan.campaign.store_ledger import Ledger

FEWEST_FAILED = 3
"""Failures in a region below which nothing is said of it."""

CHANCE = 0.01
"""How often a campaign whose failures strike at random may be told of any region."""

NEGLIGIBLE = 1e-17
MOST_REGIONS = 10
NO_REASON = "no reason given"

Taken = tuple[str, str, tuple[ViewValue, ...]]
"""Object, label and commanded view of a try."""

Place = tuple[str, ViewValue]
"""A region: an axis, ``object`` or ``label``, and the level or name."""

Share = tuple[Place, int, int]
"""A region, its failed tries, and its answers: captures and failed tries."""


def level_name(value: ViewValue) -> str:
    """A level as people write it: ``40``, ``2.5``, ``L2``."""
    return value if isinstance(value, str) else f"{value:.9g}"


def failure_summary(ledger: Ledger) -> tuple[dict[str, Any], list[Counter[Any]]]:
    """Failures by reason and by region.

    A region is a level of an axis, an object, or a class of several objects. It is named if it has at least three
    failures and its share of failures among its answers is above that of all other answers by Fisher's exact test,
    one-sided, at 1 % divided by the number of levels (objects, classes) that it is one of. After the clearest region
    others are named only if they stand out among the answers outside of it: where elevation 70 fails, an object that
    was mostly tried there is not blamed as well. Tries of one shot are taken as independent, which they are not: a
    region that is named has failed often; that it is the cause is for a person to judge.

    Args:
        ledger: A transaction.

    Returns:
        ``{"by_reason": {reason: n}, "by_region": [{"where", "failed", "answers"}, …]}``, most frequent and clearest
        first, and for each axis the failed tries at each setting.
    """
    failed = ledger.failures()
    reasons = Counter(event.body["reason"] or NO_REASON for event, _ in failed)
    at = [Counter(record.view[place] for _, record in failed) for place in range(len(ledger.terms.axes))]
    bad = [(record.object, record.label, record.view) for _, record in failed]
    good = ledger.captured_shots() if len(bad) >= FEWEST_FAILED else []
    regions = [
        {"where": f"{word}={level_name(value)}", "failed": count, "answers": answers}
        for (word, value), count, answers in failing_regions(ledger.terms.names, bad, good)
    ]
    return {"by_reason": dict(reasons.most_common()), "by_region": regions}, at


def failing_regions(axes: Sequence[str], bad: Sequence[Taken], good: Sequence[Taken]) -> list[Share]:
    """Regions that fail clearly more often than the rest, clearest first, as of `failure_summary`.

    Args:
        axes: Names of the axes.
        bad: Failed tries.
        good: Captures.
    """
    families = _families(axes, bad, good)
    whole = {share[0]: share for family in families for share in family}
    found: list[Share] = []
    while len(found) < MOST_REGIONS and (region := _clearest(families, len(bad), len(good))):
        found.append(whole[region])
        bad, good = _outside(bad, axes, region), _outside(good, axes, region)
        families = _families(axes, bad, good)
    return found


def _clearest(families: Sequence[Sequence[Share]], bad: int, good: int) -> Place | None:
    judged = [
        (fisher_greater(failed, answers, bad, bad + good) * len(family), region)
        for family in families
        for region, failed, answers in family
        if failed >= FEWEST_FAILED and failed * (bad + good) > answers * bad
    ]
    chance, region = min(judged, key=lambda one: one[0], default=(1.0, None))
    return region if chance <= CHANCE else None


def _families(axes: Sequence[str], bad: Sequence[Taken], good: Sequence[Taken]) -> list[list[Share]]:
    """Levels of each axis, objects, and classes of several objects."""
    several = Counter(label for _, label in {one[:2] for one in (*bad, *good)})
    words = (*axes, "object", "label")
    families = [_shares(word, _parts(word, axes, bad), _parts(word, axes, good)) for word in words]
    return [*families[:-1], [share for share in families[-1] if several[str(share[0][1])] > 1]]


def _shares(word: str, bad: Iterable[ViewValue], good: Iterable[ViewValue]) -> list[Share]:
    failed, captured = Counter(bad), Counter(good)
    return [((word, value), failed[value], failed[value] + captured[value]) for value in {**failed, **captured}]


def _parts(word: str, axes: Sequence[str], tries: Sequence[Taken]) -> list[ViewValue]:
    """The level, object or label of each try."""
    if word in axes:
        place = axes.index(word)
        return [one[2][place] for one in tries]
    return [one[0] if word == "object" else one[1] for one in tries]


def _outside(tries: Sequence[Taken], axes: Sequence[str], region: Place) -> list[Taken]:
    parts = _parts(region[0], axes, tries)
    return [one for one, part in zip(tries, parts, strict=True) if part != region[1]]


def fisher_greater(bad: int, count: int, failed: int, answers: int) -> float:
    """Chance of at least ``bad`` failures among ``count`` answers drawn from ``answers``, of which ``failed`` are.

    Source:
        R. A. Fisher, The Design of Experiments (1935), chapter 2: the upper tail of the hypergeometric distribution.
    """
    whole, total = _log_ways(answers, count), 0.0
    for k in range(max(bad, count - (answers - failed)), min(count, failed) + 1):
        term = math.exp(_log_ways(failed, k) + _log_ways(answers - failed, count - k) - whole)
        total += term
        if term < total * NEGLIGIBLE:
            break
    return min(total, 1.0)


def _log_ways(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
