"""What an operator is told: progress, pace, and what fails where."""

import json
import random
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import hypergeom

from acqplan import Campaign
from acqplan.campaign import operators
from acqplan.campaign.status import Taken, failing_regions, fisher_greater
from tests.campaign.rigs import N_CANDIDATES, live_rig
from tests.campaign.test_campaign import Clock, made, picture

SECONDS = 9.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


def run(campaign: Campaign, clock: Clock, rounds: int, *, failing: str = "") -> None:
    """Take rounds of six shots, a shot every nine seconds; those at a level of an axis fail."""
    axis, _, level = failing.partition("=")
    for number in range(rounds):
        for place, shot in enumerate(campaign.ask(6)):
            clock.now += SECONDS
            if failing and str(shot.view[axis]) == level:
                campaign.fail(shot, reason="unreachable", retry=False)
            else:
                campaign.tell(shot, picture(10 * number + place))


def test_counts_agree_with_every_record(tmp_path: Path, clock: Clock) -> None:
    campaign = made(tmp_path, clock, budget=60, failure_limit=1.0)
    run(campaign, clock, 5, failing="elevation=70.0")
    operators.forbid(campaign.store, "lighting=L1")
    campaign.ask(3)
    status = campaign.status()
    assert status == json.loads(json.dumps(status))
    with campaign.store.reading() as ledger:
        records = list(ledger.every())
    states = {"captured": "captured", "leased": "leased", "rejected": "rejected"}
    for word, state in states.items():
        assert status[word] == sum(record.state == state for record in records)
    assert status["queued"] == sum(record.is_queued for record in records)
    for by, attribute in (("by_class", "label"), ("by_object", "object")):
        for name, group in status[by].items():
            mine = [record for record in records if getattr(record, attribute) == name]
            expected = {word: sum(record.state == state for record in mine) for word, state in states.items()}
            assert group == {**expected, "queued": sum(record.is_queued for record in mine)}
    live = [record for record in records if record.is_queued or record.state in ("captured", "leased")]
    for place, axis in enumerate(campaign.settings.axes):
        assert sum(level["planned"] for level in status["by_axis"][axis.name].values()) == len(live)
        for value in axis.values:
            level = status["by_axis"][axis.name][value if isinstance(value, str) else f"{value:g}"]
            assert level["captured"] == sum(r.state == "captured" and r.view[place] == value for r in records)
            assert level["failed"] == sum(record.tries for record in records if record.view[place] == value)
    assert status["regions"] == [{"number": status["events"] - 4, "where": "lighting=L1"}]


def test_levels_that_no_shot_has_used_are_shown(tmp_path: Path, clock: Clock) -> None:
    status = made(tmp_path, clock, budget=1).status()
    assert list(status["by_axis"]["azimuth"]) == ["0", "60", "120", "180", "240", "300"]
    assert sum(level["planned"] for level in status["by_axis"]["azimuth"].values()) == 1


def test_the_pace_counts_work_and_neither_pauses_nor_nights(tmp_path: Path, clock: Clock) -> None:
    campaign = made(tmp_path, clock, budget=100)
    assert campaign.status()["rate"] == {"per_hour_last": None, "per_hour": None, "since": None}
    assert campaign.status()["remaining_seconds"] is None
    run(campaign, clock, 5)
    operators.pause(campaign.store)
    clock.now += 100_000
    operators.resume(campaign.store)
    status = campaign.status()
    assert status["rate"]["per_hour"] == pytest.approx(3600 / SECONDS)
    assert status["rate"]["per_hour_last"] == pytest.approx(3600 / SECONDS, abs=0.01)
    assert status["remaining_seconds"] == pytest.approx(70 * SECONDS, rel=1e-3)
    ends = datetime.fromisoformat(status["ends_at"])
    assert ends.timestamp() == pytest.approx(clock.now + 70 * SECONDS, abs=1.0)
    assert f"{ends:%H:%M}" in campaign.report()
    clock.now += 100_000
    run(campaign, clock, 1)
    waits = 34 * SECONDS + campaign.settings.lease_seconds
    assert campaign.status()["rate"]["per_hour_last"] == pytest.approx(3600 * 35 / waits, abs=0.01)


def test_the_time_that_is_left_is_no_longer_than_the_time_budget(tmp_path: Path, clock: Clock) -> None:
    campaign = made(tmp_path, clock, budget=100, time_budget=100.0)
    run(campaign, clock, 1)
    status = campaign.status()
    assert status["seconds_left"] == status["remaining_seconds"] == pytest.approx(100 - 6 * SECONDS)


def test_a_level_that_fails_is_named_and_no_other(tmp_path: Path, clock: Clock) -> None:
    campaign = made(tmp_path, clock, budget=N_CANDIDATES, failure_limit=1.0)
    run(campaign, clock, 10, failing="elevation=70.0")
    failures = campaign.status()["failures"]
    assert list(failures["by_reason"]) == ["unreachable"]
    (region,) = failures["by_region"]
    assert region["where"] == "elevation=70"
    assert region["failed"] == region["answers"] == failures["by_reason"]["unreachable"]
    assert f"elevation=70 fails {region['failed']} of {region['failed']}" in campaign.report()


def tries(draw: random.Random, n: int) -> list[Taken]:
    """Tries of ten objects of two classes at six azimuths and three elevations."""
    rows = [draw.randrange(10) for _ in range(n)]
    return [(f"o{row}", f"class {row % 2}", (draw.randrange(6) * 60.0, draw.randrange(3) * 20.0)) for row in rows]


def test_failures_at_random_are_rarely_blamed_on_a_region() -> None:
    """At 1 % for each of four families, at most 40 of 1,000 campaigns are expected to be told something."""
    draw = random.Random(0)
    blamed = 0
    for _ in range(1000):
        bad, good = tries(draw, 20), tries(draw, 180)
        blamed += bool(failing_regions(("azimuth", "elevation"), bad, good))
    assert blamed <= 50


def test_an_object_tried_where_all_fail_is_not_blamed_as_well() -> None:
    draw = random.Random(1)
    good = [one for one in tries(draw, 300) if one[2][1] != 40.0]
    bad = [("o3", "class 1", (60.0 * number, 40.0)) for number in range(6)]
    assert failing_regions(("azimuth", "elevation"), bad, good) == [(("elevation", 40.0), 6, 6)]
    also = [("o5", "class 1", one[2]) for one in tries(draw, 30) if one[2][1] != 40.0]
    named = failing_regions(("azimuth", "elevation"), [*bad, *also], good)
    assert {region for region, *_ in named} == {("elevation", 40.0), ("object", "o5")}


@pytest.mark.parametrize(
    ("bad", "count", "failed", "answers"), [(8, 10, 30, 100), (0, 5, 2, 9), (3, 3, 3, 3), (40, 900, 60, 50_000)]
)
def test_fishers_test_agrees_with_scipy(bad: int, count: int, failed: int, answers: int) -> None:
    expected = hypergeom.sf(bad - 1, answers, failed, count)
    assert fisher_greater(bad, count, failed, answers) == pytest.approx(expected, rel=1e-6)


def test_a_report_says_why_nothing_is_handed_out(tmp_path: Path, clock: Clock) -> None:
    campaign = made(tmp_path, clock, budget=12)
    operators.pause(campaign.store)
    assert campaign.report().startswith("paused: ")
    operators.resume(campaign.store)
    run(campaign, clock, 2)
    assert campaign.report().splitlines() == [
        "finished: the budget of 12 images is spent",
        "12 of 12 images captured (100 %)",
        "400 images an hour lately, 400 on the whole",
    ]


@pytest.mark.parametrize("seed", range(3))
def test_status_is_that_of_the_events_alone(tmp_path: Path, clock: Clock, seed: int) -> None:
    campaign = made(tmp_path, clock, budget=40, failure_limit=1.0)
    draw = random.Random(seed)
    for number in range(60):
        for shot in campaign.ask(draw.randint(1, 3)):
            clock.now += draw.uniform(0, 400)
            if draw.random() < 0.3:
                campaign.fail(shot, reason=draw.choice("ab"), exposed=draw.random() < 0.2)
            elif draw.random() < 0.8:
                campaign.tell(shot, picture(number))
    before: dict[str, Any] = campaign.status()
    campaign.store.rebuild()
    assert campaign.status() == before


def test_a_space_of_one_allowed_table_has_its_levels(tmp_path: Path, clock: Clock) -> None:
    from dataclasses import replace

    setup = live_rig(tmp_path)
    space = replace(setup.source.space, table=setup.source.space.views()[::5])
    rig = replace(setup.source, space=space)  # type: ignore[type-var]
    campaign = Campaign.create(replace(setup, source=rig), budget=4, path=tmp_path / "table.db", clock=clock)
    assert sum(one["planned"] for one in campaign.status()["by_axis"]["elevation"].values()) == 4
