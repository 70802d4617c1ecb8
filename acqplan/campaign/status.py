"""How a campaign stands: what is taken and what is to come, how fast, and what keeps failing where."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from acqplan.campaign.events import CAPTURED, LEASED, PROPOSED, REJECTED, CampaignState
from acqplan.campaign.leases import finished
from acqplan.campaign.settings import CampaignAxis
from acqplan.campaign.store import Store, Transaction
from acqplan.numbers import ViewValue, duration

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


def failure_summary(ledger: Transaction) -> tuple[dict[str, Any], list[Counter[Any]]]:
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
    at = [Counter(record.view[place] for _, record in failed) for place in range(len(ledger.settings.axes))]
    bad = [(record.object, record.label, record.view) for _, record in failed]
    good = ledger.captured_shots() if len(bad) >= FEWEST_FAILED else []
    regions = [
        {"where": f"{word}={level_name(value)}", "failed": count, "answers": answers}
        for (word, value), count, answers in failing_regions(ledger.settings.names, bad, good)
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


LATELY = 60
"""Captures that the present rate is measured over."""

HOUR = 3600.0

Seen = tuple[tuple[ViewValue, ...], str, bool, int]
"""Commanded view, state, whether barred, and number of shots, as of `Transaction.views`."""

STATE_WORDS = {CAPTURED: "captured", LEASED: "leased", REJECTED: "rejected"}


def status_of(store: Store) -> dict[str, Any]:
    """How a campaign stands, as of one moment.

    Returns:
        Fit for JSON: ``budget``, ``exposures`` (images that count), ``captured``, ``leased``, ``queued``, ``failed``
        (failed tries), ``rejected``, ``surplus``, ``remaining`` (images that may still be leased); ``time_budget`` and
        ``seconds_left`` (``None`` without one), ``paused``, ``stopped`` and ``finished`` (reasons, empty if it is
        not), ``rounds``, ``objects`` (how many), ``events`` (number of the last); ``by_class`` and ``by_object``
        ``{name: {captured, leased, queued, rejected}}``; ``by_axis`` ``{axis: {level: {captured, planned, failed}}}``
        by commanded settings, where planned are the shots captured, leased or to come; ``rate`` ``{per_hour_last,
        per_hour, since}``, ``remaining_seconds`` by the present rate; ``failures`` as of
        `acqplan.campaign.status.failure_summary`; ``regions`` forbidden, ``[{number, where}]``; the last ``advice``
        and ``saturated``, why it says stop.
    """
    with store.reading() as ledger:
        standing = ledger.standing
        rate, progress = _rate(ledger), ledger.progress()
        views = ledger.views()
        failures, failed_at = failure_summary(ledger)
        reason = finished(store.settings, standing, ledger.now)
        return {
            **_counts(standing),
            **_time(standing, ledger.now),
            "paused": standing.paused_at is not None,
            "stopped": standing.stopped,
            "finished": reason,
            "rounds": standing.rounds,
            "objects": len(standing.objects),
            "events": standing.last,
            "by_class": _grouped([(label, state, barred, n) for _, label, state, barred, n in progress]),
            "by_object": _grouped([(name, state, barred, n) for name, _, state, barred, n in progress]),
            "by_axis": {
                axis.name: _levels(axis, place, views, failed_at[place])
                for place, axis in enumerate(store.settings.axes)
            },
            "rate": rate,
            "remaining_seconds": 0.0 if reason else _remaining_seconds(standing, rate["per_hour_last"], ledger.now),
            "failures": failures,
            "regions": [{"number": int(number), "where": where} for number, where in standing.regions.items()],
            "advice": standing.advice,
            "saturated": standing.saturated,
        }


def _counts(standing: CampaignState) -> dict[str, Any]:
    return {
        "budget": standing.budget,
        "exposures": standing.exposures,
        "captured": standing.captured,
        "leased": standing.counts[LEASED],
        "queued": standing.queued,
        "failed": standing.failures,
        "rejected": standing.counts[REJECTED],
        "surplus": standing.surplus,
        "remaining": standing.room,
    }


def _time(standing: CampaignState, now: float) -> dict[str, float | None]:
    left = standing.seconds_left(now)
    return {
        "time_budget": standing.time_budget,
        "seconds_left": None if math.isinf(left) else round(max(left, 0.0), 1),
    }


def _grouped(rows: list[tuple[str, str, bool, int]]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for name, state, barred, count in rows:
        group = found.setdefault(name, {"captured": 0, "leased": 0, "queued": 0, "rejected": 0})
        word = "queued" if state == PROPOSED and not barred else STATE_WORDS.get(state)
        if word:
            group[word] += count
    return dict(sorted(found.items()))


def _levels(axis: CampaignAxis, place: int, views: Sequence[Seen], failed: Counter[Any]) -> dict[str, dict[str, int]]:
    """Each level of an axis, those that no plan has used included."""
    levels = {axis.read(value): {"captured": 0, "planned": 0} for value in axis.values}
    for view, state, barred, count in views:
        level = levels.setdefault(view[place], {"captured": 0, "planned": 0})
        level["captured"] += count if state == CAPTURED else 0
        level["planned"] += count if state in (CAPTURED, LEASED) or (state == PROPOSED and not barred) else 0
    return {level_name(value): {**level, "failed": failed[value]} for value, level in levels.items()}


def _rate(ledger: Transaction) -> dict[str, float | None]:
    """Images an hour: over all the time that was not paused, and over the last captures.

    Of the latter, a wait longer than a lease counts as long as a lease: nobody was at work.
    """
    standing, told = ledger.standing, ledger.events(kinds=("told",), last=LATELY)
    if standing.began is None or not told:
        return {"per_hour_last": None, "per_hour": None, "since": standing.began}
    worked = told[-1].at - standing.began - _paused_seconds(ledger, standing.began, told[-1].at)
    times = [event.at for event in told]
    waits = [min(b - a, ledger.settings.lease_seconds) for a, b in pairwise(times)]
    return {
        "per_hour_last": _per_hour(len(waits), sum(waits)),
        "per_hour": _per_hour(standing.captured, worked),
        "since": round(standing.began, 3),
    }


def _paused_seconds(ledger: Transaction, began: float, ended: float) -> float:
    """Length of the pauses between two moments."""
    total, since = 0.0, ended
    for event in ledger.events(kinds=("paused", "resumed")):
        if event.kind == "resumed":
            total += max(min(event.at, ended) - since, 0.0)
        since = max(event.at, began) if event.kind == "paused" else ended
    return total


def _per_hour(count: int, seconds: float) -> float | None:
    return round(HOUR * count / seconds, 2) if count and seconds > 0 else None


def _remaining_seconds(standing: CampaignState, per_hour: float | None, now: float) -> float | None:
    """Time until the budget is spent, or the time is up; unknown before a rate can be measured."""
    left = standing.seconds_left(now)
    if not per_hour:
        return None
    needed = HOUR * (standing.room + standing.counts[LEASED]) / per_hour
    return round(min(needed, max(left, 0.0)), 1)


MOST_REASONS = 3


def status_sentences(status: Mapping[str, Any]) -> list[str]:
    """A few lines for people, the most important first.

    Args:
        status: As of `acqplan.campaign.status.status_of`.
    """
    return [*_whether_it_goes_on(status), _progress(status), *_pace(status), *_failures(status), *_limits(status)]


def _whether_it_goes_on(status: Mapping[str, Any]) -> Iterator[str]:
    if status["finished"]:
        yield f"finished: {status['finished']}"
    elif status["paused"]:
        yield "paused: no shots are handed out until it is resumed"


def _progress(status: Mapping[str, Any]) -> str:
    budget, captured = status["budget"], status["captured"]
    said = f"{captured:,} of {budget:,} images captured ({100 * captured / budget:.0f} %)"
    counts = [
        f"{status['leased']:,} leased",
        f"{status['remaining']:,} to come",
        f"{status['exposures'] - captured:,} more that count but are not in the data set",
        _plural(status["rejected"], "shot given up", "shots given up"),
    ]
    return ", ".join([said, *(one for one in counts if not one.startswith("0 "))])


def _pace(status: Mapping[str, Any]) -> Iterator[str]:
    rate, remaining = status["rate"], status["remaining_seconds"]
    if rate["per_hour_last"]:
        said = f"{_rounded(rate['per_hour_last'])} images an hour lately"
        said += f", {_rounded(rate['per_hour'])} on the whole" if rate["per_hour"] else ""
        yield said + (f"; about {duration(remaining)} to go" if remaining and not status["finished"] else "")
    if status["seconds_left"] is not None:
        yield f"{duration(status['seconds_left'])} left of a time budget of {duration(status['time_budget'])}"


def _failures(status: Mapping[str, Any]) -> Iterator[str]:
    if not status["failed"]:
        return
    reasons = list(status["failures"]["by_reason"].items())
    said = ", ".join(f"{reason} ({count:,})" for reason, count in reasons[:MOST_REASONS])
    more = f" and {len(reasons) - MOST_REASONS} other reasons" if len(reasons) > MOST_REASONS else ""
    yield f"{_plural(status['failed'], 'failed try', 'failed tries')}: {said}{more}"
    for region in status["failures"]["by_region"]:
        yield f"{region['where']} fails {region['failed']:,} of {region['answers']:,}"


def _limits(status: Mapping[str, Any]) -> Iterator[str]:
    if status["regions"]:
        yield "forbidden: " + "; ".join(region["where"] for region in status["regions"])
    if status["saturated"] and status["saturated"] != status["finished"]:
        yield f"advice: {status['saturated']}"


def _plural(count: int, one: str, several: str) -> str:
    return f"{count:,} {one if count == 1 else several}"


def _rounded(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"
