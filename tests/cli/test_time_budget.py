"""``acqplan recommend --time-budget``: what it plans, shows and writes, and what it refuses."""

import csv
import io
import itertools
import json
from pathlib import Path

import pytest

from acqplan.rig.spec import open_rig
from tests.cli.conftest import QUICK, Acqplan, Done, complaint, manifest, untouched, written

STAGE = """source = "live"
[[axis]]
name = "azimuth"
kind = "circle"
values = "0:330:30"
seconds_per_unit = 0.05
[[axis]]
name = "elevation"
kind = "interval"
values = "30:70:10"
seconds_per_unit = 0.1
[shot]
seconds = 0.4
[objects]
seconds_per_change = 20
[objects.labels]
car = ["car-0", "car-1"]
cow = ["cow-0", "cow-1"]
"""


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    """rig.toml of a robot that takes its time, four objects, 60 views each."""
    return written(tmp_path / "stage.toml", STAGE)


def planned(acqplan: Acqplan, rig: Path, out: Path, *options: object) -> Done:
    done = acqplan("recommend", "--rig", rig, "--out", out, *options)
    assert done.code == 0, done.err
    return done


def test_as_many_images_as_fit_are_planned_and_the_time_is_shown(acqplan: Acqplan, stage: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shown = planned(acqplan, stage, out, "--time-budget", "2min", "-v")
    plan = json.loads((out / "plan.json").read_text())
    rows = list(csv.DictReader(io.StringIO((out / "plan.csv").read_text())))
    assert 4 < len(rows) == plan["budget"] < 240
    assert 110 < plan["route_seconds"] <= 120 == plan["time_budget_seconds"]
    assert plan["route_seconds_naive"] > plan["route_seconds"]
    words = " ".join(shown.out.split())
    assert "of the 2 min at hand" in words
    assert "less than in the order of the strategy" in words
    assert "to take them" in (out / "report.html").read_text()
    names = [row["object"] for row in rows]
    assert sum(one != other for one, other in itertools.pairwise(names)) == 3


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2h", 7200), ("90min", 5400), ("1h30", 5400), ("1.5h", 5400), ("3 min", 180), ("2min30s", 150)],
)  # fmt: skip
def test_times_are_read_with_their_units(
    text: str, seconds: float, acqplan: Acqplan, stage: Path, tmp_path: Path
) -> None:
    done = planned(acqplan, stage, tmp_path / "out", "--time-budget", text, "--budget", 5, "--json")
    plan = json.loads(done.out)["plan"]
    assert (plan["time_budget_seconds"], plan["budget"], len(plan["shots"])) == (seconds, 5, 5)


@pytest.mark.parametrize(
    "text", ["ten", "10", "0h", "-2h", "2 days", "", "1h 2h", "1e3s", "nan", "inf", "h", "30min1h"]
)
def test_a_time_that_cannot_be_read_is_repeated(text: str, acqplan: Acqplan, stage: Path, out: Path) -> None:
    with untouched(out):
        done = acqplan("recommend", "--rig", stage, "--out", out, f"--time-budget={text}")
    assert (done.code, done.out) == (2, "")
    assert "--time-budget" in done.err
    assert f"'{text}' is not a time above zero" in done.err
    assert "2h, 90min" in " ".join(done.err.split())


def test_a_time_too_short_says_what_is_needed(acqplan: Acqplan, stage: Path, out: Path) -> None:
    with untouched(out):
        done = acqplan("recommend", "--rig", stage, "--out", out, "--time-budget", "20s")
    message = complaint(done, 2)
    assert message.startswith("a time budget of 20 s, but the fewest images that can be planned (4) take 1 min")


def test_a_rig_without_times_is_told_what_to_add(acqplan: Acqplan, live: Path, out: Path) -> None:
    with untouched(out):
        done = acqplan("recommend", "--rig", live, "--out", out, "--time-budget", "2h")
    assert "rig.toml does not say how long anything takes\n  give seconds_per_unit" in complaint(done, 2)


def test_no_budget_at_all_is_refused(acqplan: Acqplan, live: Path, out: Path) -> None:
    with untouched(out):
        done = acqplan("recommend", "--rig", live, "--out", out)
    assert complaint(done, 2).strip() == "neither --budget nor --time-budget is given\n  give e.g. --budget 2430"


def test_a_rig_without_times_takes_the_shots_of_an_object_together_and_shows_no_time(
    acqplan: Acqplan, live: Path, tmp_path: Path
) -> None:
    shown = planned(acqplan, live, tmp_path / "out", "--budget", 8, "--verbose")
    assert "That takes" not in shown.out
    assert "Taking them" not in shown.out
    assert "In this order: 3 changes of object" in shown.out
    plan = json.loads((tmp_path / "out" / "plan.json").read_text())
    assert (plan["route_seconds"], plan["changes"]) == (0, {"object": 3})
    objects = [shot["object"] for shot in plan["shots"]]
    assert [name for name, _ in itertools.groupby(objects)] == sorted(set(objects))
    # told that changes are free, the plan is the same and its order that of the strategy
    live.write_text(live.read_text().replace("[objects.labels]", "[objects]\nseconds_per_change = 0\n[objects.labels]"))
    planned(acqplan, live, tmp_path / "free", "--budget", 8)
    free = json.loads((tmp_path / "free" / "plan.json").read_text())
    assert sorted(shot["shot"] for shot in free["shots"]) == sorted(shot["shot"] for shot in plan["shots"])
    assert free["changes"]["object"] == 7


def test_the_embedded_toys_take_a_time_to_be_put_up() -> None:
    toys = [open_rig(), open_rig(Path(__file__).parents[2] / "examples" / "toys.toml")]
    assert {rig.seconds_per_object for rig in toys} == {20.0}


def test_a_plan_in_rounds_fits_the_time_too(acqplan: Acqplan, toys: Path, tmp_path: Path) -> None:
    times = toys.read_text().replace('values = "0:300:60"', 'values = "0:300:60"\nseconds_per_unit = 0.05')
    toys.write_text(times + "[shot]\nseconds = 0.5\n")
    planned(acqplan, toys, tmp_path / "out", "--time-budget", "40s", "--strategy", "benchmarks.ideas:Allocate", *QUICK)
    plan = json.loads((tmp_path / "out" / "plan.json").read_text())
    rounds = [shot["round"] for shot in plan["shots"]]
    assert rounds == sorted(rounds)
    assert len(set(rounds)) > 1
    assert 20 < plan["route_seconds"] <= 40


def test_only_images_still_to_be_taken_take_time(acqplan: Acqplan, live: Path, tmp_path: Path) -> None:
    times = live.read_text().replace('values = "0:270:90"', 'values = "0:270:90"\nseconds_per_unit = 0.05')
    live.write_text(times.replace("[objects.labels]", "[objects]\nseconds_per_change = 0\n[objects.labels]"))
    captured = manifest(tmp_path, "captured.csv", ["car-0", "car-1", "cow-0", "cow-1"], range(0, 180, 90))
    options = ("--captured", captured, "--time-budget", "5s", *QUICK, "--json")
    plan = json.loads(planned(acqplan, live, tmp_path / "out", *options).out)["plan"]
    assert (plan["budget"], plan["captured"], len(plan["shots"])) == (16, 8, 8)
    assert plan["route_seconds"] == 4.5


def test_seconds_of_changing_the_object_are_read(stage: Path) -> None:
    assert open_rig(stage).seconds_per_object == 20
