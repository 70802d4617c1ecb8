"""How a campaign stands, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from acqplan.campaign.durations import duration

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
