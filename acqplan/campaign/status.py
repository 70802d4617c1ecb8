"""The status of a campaign: what is captured and what is to come, how fast, and what keeps failing where."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from acqplan.campaign.events import CAPTURED, LEASED, PROPOSED, REJECTED
from acqplan.campaign.leases import finished, way_on
from acqplan.campaign.store import Store, Transaction
from acqplan.campaign.wording import level_name
from acqplan.images import CONVERSIONS
from acqplan.numbers import ViewValue, clock_words, count_noun, duration, local_time

LATELY = 60  # captures over which the present rate is measured
HOUR = 3600.0

FEWEST_FAILED = 3  # failures in a region below which it is not named
CHANCE = 0.01  # probability that any region of a family is named in a campaign whose failures strike at random
NEGLIGIBLE = 1e-17
MOST_REGIONS = 10
MOST_REASONS = 3
NO_REASON = "no reason given"

Taken = tuple[str, str, tuple[ViewValue, ...]]  # object, label and commanded view of a try
Place = tuple[str, ViewValue]  # a region: an axis, ``object`` or ``label``, and the level or name
Share = tuple[Place, int, int]  # a region, its failed tries, and its answers: captures and failed tries


def status_of(store: Store) -> dict[str, Any]:
    """The status of a campaign at one moment.

    Returns:
        Fit for JSON: ``budget``, ``exposures`` (images that count), ``captured``, ``leased``, ``queued``, ``failed``
        (failed tries), ``rejected``, ``surplus``, ``copies`` (images with the bytes of another shot's), ``converted``
        ``{kind: n}``, ``notes`` (sentences about both), ``remaining`` (images that may still be leased);
        ``time_budget`` and ``seconds_left`` (``None`` without one), ``paused``, ``stopped`` and ``finished`` (reasons,
        empty if it is not), ``way_on`` (what an operator does to go on after a stop),
        ``rounds``, ``objects`` (how many), ``events`` (number of the last); ``by_class`` and
        ``by_object`` ``{name: {captured, leased, queued, rejected}}``; ``by_axis`` ``{axis: {level: {captured,
        planned, failed}}}`` by commanded settings, where planned are the shots captured, leased or to come; ``rate``
        ``{per_hour_last, per_hour, since}``, ``remaining_seconds`` by the present rate and ``ends_at``, when that is;
        ``failures`` as in `acqplan.campaign.status.failure_summary`; ``regions`` forbidden, ``[{number, where}]``;
        the last ``advice`` and ``saturated``, why it says stop.
    """
    with store.reading() as transaction:
        state = transaction.state
        rate, tally = _rate(transaction), transaction.tally()
        failures, failed_at = failure_summary(transaction)
        reason, left = finished(store.settings, state, transaction.now), state.seconds_left(transaction.now)
        notes = [f"{count_noun(count, 'image')}: {CONVERSIONS[kind]}" for kind, count in state.converted.items()]
        if state.copies:
            what = count_noun(state.copies, "image")
            notes.insert(0, f"{what} with the bytes of another shot's image: does the camera hang?")
        # until the budget is spent, or the time is up; unknown before a rate can be measured
        to_go = 0.0 if reason else None
        if not reason and rate["per_hour_last"]:
            needed = HOUR * (state.room + state.counts[LEASED]) / rate["per_hour_last"]
            to_go = round(min(needed, max(left, 0.0)), 1)
        return {
            "budget": state.budget,
            "exposures": state.exposures,
            "captured": state.captured,
            "leased": state.counts[LEASED],
            "queued": state.queued,
            "failed": state.failures,
            "rejected": state.counts[REJECTED],
            "surplus": state.surplus,
            "copies": state.copies,
            "converted": state.converted,
            "notes": notes,
            "remaining": state.room,
            "time_budget": state.time_budget,
            "seconds_left": None if math.isinf(left) else round(max(left, 0.0), 1),
            "paused": state.paused_at is not None,
            "stopped": state.stopped,
            "finished": reason,
            "way_on": way_on(state) if reason else "",
            "rounds": state.rounds,
            "objects": len(state.objects),
            "events": state.last,
            "by_class": _grouped([(label, *rest) for _, label, *rest in tally]),
            "by_object": _grouped([(name, *rest) for name, _, *rest in tally]),
            "by_axis": _levels(transaction, failed_at),
            "rate": rate,
            "remaining_seconds": to_go,
            "ends_at": local_time(transaction.clock.wall + to_go) if to_go else None,
            "failures": failures,
            "regions": [{"number": int(number), "where": where} for number, where in state.regions.items()],
            "advice": state.advice,
            "saturated": state.saturated,
        }


def status_sentences(status: Mapping[str, Any]) -> list[str]:
    """A few lines for people, the most important first.

    Args:
        status: From `acqplan.campaign.status.status_of`.
    """
    said = [f"finished: {status['finished']}"] if status["finished"] else []
    said += [f"to go on: {status['way_on']}"] if status["way_on"] else []
    if status["paused"] and not said:
        said = ["paused: no shots are handed out until it is resumed"]
    # progress
    budget, captured = status["budget"], status["captured"]
    counts = {
        "{:,} leased": status["leased"],
        "{:,} to come": status["remaining"],
        "{:,} more that count but are not in the data set": status["exposures"] - captured,
        f"{count_noun(status['rejected'], 'shot')} given up": status["rejected"],
    }
    words = [f"{captured:,} of {budget:,} images captured ({100 * captured / budget:.0f} %)"]
    said.append(", ".join(words + [text.format(count) for text, count in counts.items() if count]))
    # pace
    lately, overall = (
        rate and (f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}")
        for rate in (status["rate"]["per_hour_last"], status["rate"]["per_hour"])
    )
    if lately:
        left = status["remaining_seconds"] if not status["finished"] else None
        said.append(f"{lately} images an hour lately" + (f", {overall} on the whole" if overall else ""))
        if left:
            end = datetime.fromisoformat(status["ends_at"]).timestamp()
            said[-1] += f"; about {duration(left)} to go, ends at {clock_words(end, end - left)}"
    if status["seconds_left"] is not None:
        said.append(f"{duration(status['seconds_left'])} left of a time budget of {duration(status['time_budget'])}")
    # failures
    if status["failed"]:
        reasons = list(status["failures"]["by_reason"].items())
        named = ", ".join(f"{reason} ({count:,})" for reason, count in reasons[:MOST_REASONS])
        more = f" and {len(reasons) - MOST_REASONS} other reasons" if len(reasons) > MOST_REASONS else ""
        said.append(f"{status['failed']:,} failed {'try' if status['failed'] == 1 else 'tries'}: {named}{more}")
        for region in status["failures"]["by_region"]:
            said.append(f"{region['where']} fails {region['failed']:,} of {region['answers']:,}")
    said += status["notes"]
    if status["regions"]:
        said.append("forbidden: " + "; ".join(region["where"] for region in status["regions"]))
    if status["saturated"] and status["saturated"] != status["finished"]:
        said.append(f"advice: {status['saturated']}")
    return said


def failure_summary(transaction: Transaction) -> tuple[dict[str, Any], list[Counter[ViewValue]]]:
    """Failures by reason and by region.

    A region is a level of an axis, an object, or a class of several objects. It is named if it has at least three
    failures and its share of failures among its answers is above that of all other answers by Fisher's exact test,
    one-sided, at 1 % divided by the number of levels (objects, classes) that it is one of. After the clearest region
    others are named only if they stand out among the answers outside of it: where elevation 70 fails, an object that
    was mostly tried there is not blamed as well. Tries of one shot are taken as independent, which they are not: a
    region that is named has failed often; that it is the cause is for a person to judge.

    Args:
        transaction: A transaction.

    Returns:
        ``{"by_reason": {reason: n}, "by_region": [{"where", "failed", "answers"}, …]}``, most frequent and clearest
        first, and for each axis the failed tries at each setting.
    """
    failed = transaction.events(kinds=("failed",))
    transaction.fetch([event.shot for event in failed])
    records = [record for event in failed if (record := transaction.get(event.shot))]
    reasons = Counter(event.body["reason"] or NO_REASON for event in failed)
    at = [Counter(record.view[place] for record in records) for place in range(len(transaction.settings.axes))]
    bad = [(record.object, record.label, record.view) for record in records]
    good = transaction.captured_shots() if len(bad) >= FEWEST_FAILED else []
    regions = [
        {"where": f"{word}={level_name(value)}", "failed": count, "answers": answers}
        for (word, value), count, answers in failing_regions(transaction.settings.names, bad, good)
    ]
    return {"by_reason": dict(reasons.most_common()), "by_region": regions}, at


def failing_regions(axes: Sequence[str], bad: Sequence[Taken], good: Sequence[Taken]) -> list[Share]:
    """Regions that fail clearly more often than the rest, clearest first, as in `failure_summary`.

    Args:
        axes: Names of the axes.
        bad: Failed tries.
        good: Captures.
    """
    whole = {share[0]: share for family in _families(axes, bad, good) for share in family}
    found: list[Share] = []
    while len(found) < MOST_REGIONS:
        # Bonferroni within each family: its regions are judged side by side
        judged = [
            (fisher_greater(failed, answers, len(bad), len(bad) + len(good)) * len(family), place)
            for family in _families(axes, bad, good)
            for place, failed, answers in family
            if failed >= FEWEST_FAILED and failed * (len(bad) + len(good)) > answers * len(bad)
        ]
        chance, clearest = min(judged, key=lambda one: one[0], default=(1.0, None))
        if clearest is None or chance > CHANCE:
            break
        # its shares are those among all answers, but the next region is looked for outside of it
        found.append(whole[clearest])
        word, value = clearest
        bad = [one for one, part in zip(bad, _parts(word, axes, bad), strict=True) if part != value]
        good = [one for one, part in zip(good, _parts(word, axes, good), strict=True) if part != value]
    return found


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


def _families(axes: Sequence[str], bad: Sequence[Taken], good: Sequence[Taken]) -> list[list[Share]]:
    """Levels of each axis, objects, and classes of several objects, with what failed there."""
    n_objects = Counter(label for _, label in {one[:2] for one in (*bad, *good)})
    families = []
    for word in (*axes, "object", "label"):
        failed, captured = Counter(_parts(word, axes, bad)), Counter(_parts(word, axes, good))
        values = [value for value in {**failed, **captured} if word != "label" or n_objects[str(value)] > 1]
        families.append([((word, value), failed[value], failed[value] + captured[value]) for value in values])
    return families


def _parts(word: str, axes: Sequence[str], tries: Sequence[Taken]) -> list[ViewValue]:
    """The level, object or label of each try."""
    if word in axes:
        place = axes.index(word)
        return [view[place] for *_, view in tries]
    return [name if word == "object" else label for name, label, _ in tries]


def _grouped(rows: Sequence[tuple[Any, ...]]) -> dict[str, dict[str, int]]:
    """Counts of shots by name; those barred or withdrawn are none of what is counted."""
    found: dict[str, dict[str, int]] = {}
    for name, state, barred, count in rows:
        group = found.setdefault(name, {"captured": 0, "leased": 0, "queued": 0, "rejected": 0})
        word = "queued" if state == PROPOSED and not barred else state
        if word in group:
            group[word] += count
    return dict(sorted(found.items()))


def _levels(transaction: Transaction, failed_at: Sequence[Counter[ViewValue]]) -> dict[str, dict[str, dict[str, int]]]:
    """Counts of shots by level of each axis, levels that no plan has used included."""
    views, found = transaction.views(), {}
    for place, axis in enumerate(transaction.settings.axes):
        levels = {axis.read(value): {"captured": 0, "planned": 0} for value in axis.values}
        for view, state, barred, count in views:
            level = levels.setdefault(view[place], {"captured": 0, "planned": 0})
            level["captured"] += count if state == CAPTURED else 0
            level["planned"] += count if state in (CAPTURED, LEASED) or (state == PROPOSED and not barred) else 0
        failed = failed_at[place]
        found[axis.name] = {level_name(value): {**level, "failed": failed[value]} for value, level in levels.items()}
    return found


def _rate(transaction: Transaction) -> dict[str, float | None]:
    """Images per hour: over all the time that was not paused, and over the last captures.

    In the latter, a wait longer than a lease counts as long as a lease: nobody was at work.
    """
    state, told = transaction.state, transaction.events(kinds=("told",), last=LATELY)
    if state.began is None or not told:
        return {"per_hour_last": None, "per_hour": None, "since": state.began}
    ended = told[-1].at
    # the pauses between the first lease and the last capture; the last of them may be open
    paused, since = 0.0, ended
    for event in transaction.events(kinds=("paused", "resumed", "clock")):
        if event.kind == "clock":  # what it had been ahead by
            paused += event.body.get("uncounted", 0.0)
            continue
        if event.kind == "resumed":
            paused += max(min(event.at, ended) - since, 0.0)
        since = max(event.at, state.began) if event.kind == "paused" else ended
    waits = [min(b.at - a.at, transaction.settings.lease_seconds) for a, b in pairwise(told)]
    return {
        "per_hour_last": _per_hour(len(waits), sum(waits)),
        "per_hour": _per_hour(state.captured, ended - state.began - paused),
        "since": round(state.began, 3),
    }


def _per_hour(count: int, seconds: float) -> float | None:
    return round(HOUR * count / seconds, 2) if count and seconds > 0 else None
