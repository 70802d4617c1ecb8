"""``acqplan campaign``: one JSON document a call, exit codes, and what operators see."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from acqplan import Campaign, open_rig
from tests.cli.conftest import LIVE, Acqplan, Done, complaint, untouched, written

Run = Callable[..., Any]


@pytest.fixture
def store(tmp_path: Path, live: Path, acqplan: Acqplan) -> Path:
    """A campaign of twelve images on a robot with four objects, 4 views each."""
    path = tmp_path / "robot.db"
    assert acqplan("campaign", "create", "--rig", live, "--store", path, "--budget", 12).code == 0
    return path


@pytest.fixture
def run(store: Path, acqplan: Acqplan) -> Run:
    """Call a command on the campaign and read its document."""

    def call(name: str, *arguments: object, code: int = 0) -> Any:
        done = acqplan("campaign", name, "--store", store, *arguments)
        assert done.code == code, done.err
        return json.loads(done.out)

    return call


@pytest.fixture
def image(tmp_path: Path) -> Callable[[int], Path]:
    """The file of a picture."""

    def draw(number: int) -> Path:
        path = tmp_path / f"picture-{number}.png"
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        return path

    return draw


def said(store: Path, acqplan: Acqplan, name: str, *arguments: object) -> Done:
    return acqplan("campaign", name, "--store", store, *arguments)


def test_a_loop_of_commands_takes_exactly_the_budget(run: Run, image: Callable[[int], Path]) -> None:
    told = 0
    while shots := (answer := run("ask", "--n", 5, code=5 if told == 12 else 0))["shots"]:
        for shot in shots:
            assert shot["view"].keys() == {"azimuth"}
            assert run("tell", "--shot", shot["id"], "--image", image(told)) == {
                "shot": shot["id"],
                "outcome": "captured",
            }
            told += 1
    assert answer == {"shots": [], "finished": "the budget of 12 images is spent"}
    status = run("status", "--json")
    assert (status["captured"], status["remaining"], status["leased"]) == (12, 0, 0)


def test_create_keeps_what_it_was_given(tmp_path: Path, live: Path, acqplan: Acqplan) -> None:
    path, images = tmp_path / "all.db", tmp_path / "pictures"
    options = ["--time-budget", "1h30", "--strategy", "lattice", "--seed", 7, "--lease", "10min", "--tries", 2]
    more = ["--failure-limit", 0.25, "--images", images, "--no-stop-when-saturated", "--backbone", "histogram"]
    done = acqplan("campaign", "create", "--rig", live, "--store", path, "--budget", 9, *options, *more)
    document = json.loads(done.out)
    assert document == {
        "store": str(path),
        "images": str(images),
        "budget": 9,
        "time_budget": 5400.0,
        "queued": 9,
        "objects": 4,
    }
    settings = Campaign.open(path).settings
    assert (settings.strategy, settings.seed, settings.lease_seconds, settings.most_tries) == ("lattice", 7, 600.0, 2)
    assert (settings.failure_limit, settings.stop_when_saturated, settings.backbone) == (0.25, False, "histogram")


def test_what_to_do_is_said_and_printed(run: Run, tmp_path: Path) -> None:
    (shot,) = run("ask")["shots"]
    assert shot["say"] == f"Put {shot['object']} on the table, turn it to {shot['view']['azimuth']:g}°."
    out = tmp_path / "sheet.html"
    assert run("sheet", "--out", out) == {"file": str(out), "shots": 12, "objects": 4}
    assert shot["id"] in out.read_text(encoding="utf-8")


def test_reached_settings_and_replacement(run: Run, store: Path, image: Callable[[int], Path]) -> None:
    (shot,) = run("ask")["shots"]
    assert run("tell", "--shot", shot["id"], "--image", image(0), "--reached", "azimuth=40.3")["outcome"] == "captured"
    assert run("tell", "--shot", shot["id"], "--image", image(0))["outcome"] == "already"
    assert run("tell", "--shot", shot["id"], "--image", image(1), "--replace")["outcome"] == "replaced"
    with Campaign.open(store).store.reading() as ledger:
        told = ledger.events(kinds=("told",))
    assert [event.body["reached"] for event in told] == [[40.3], list(shot["view"].values())]


def test_failures_retries_and_releases(run: Run) -> None:
    first, second, third = run("ask", "-n", 3)["shots"]
    assert run("fail", "--shot", first["id"], "--reason", "no light")["outcome"] == "retried"
    assert run("fail", "--shot", second["id"], "--reason", "unreachable", "--no-retry")["outcome"] == "rejected"
    assert run("release", "--shot", third["id"], "--shot", first["id"]) == {"released": 1}
    assert run("ask", "--caller", "arm-2")["shots"][0]["id"] == third["id"]
    assert run("release", "--shot", third["id"]) == {"released": 0}
    assert run("release", "--shot", third["id"], "--caller", "arm-2") == {"released": 1}
    (blurred,) = run("ask")["shots"]
    run("fail", "--shot", blurred["id"], "--reason", "blurred", "--exposed")
    status = run("status", "--json")
    assert (status["failed"], status["rejected"], status["exposures"]) == (3, 1, 1)
    assert status["failures"]["by_reason"] == {"no light": 1, "unreachable": 1, "blurred": 1}


def test_leases_of_a_shell_outlive_the_command_that_asked(run: Run) -> None:
    (first,), (second,) = run("ask")["shots"], run("ask")["shots"]
    assert first["id"] != second["id"]
    assert run("status", "--json")["leased"] == 2


def test_every_action_of_an_operator_is_an_event_and_can_be_undone(run: Run) -> None:
    before = run("status", "--json")
    actions = [
        ("forbid", "--where", "azimuth>90"),
        ("add-object", "--object", "cow-2", "--label", "cow"),
        ("remove-object", "--object", "car-0"),
        ("reject", "--shot", "car-1_90", "--reason", "broken"),
        ("budget", "--budget", 14, "--time-budget", "2h"),
        ("stop", "--reason", "lunch"),
        ("pause",),
    ]
    numbers = [run(*action)["number"] for action in actions]
    during = run("status", "--json")
    assert during["finished"] == "lunch"
    assert (during["budget"], during["time_budget"], during["objects"]) == (14, 7200.0, 4)
    assert during["regions"] == [{"number": numbers[0], "where": "azimuth>90"}]
    for number in reversed(numbers):
        assert run("undo", "--event", number)["body"]["undoes"] == number
    assert {**run("status", "--json"), "events": before["events"]} == before


def test_pause_allow_and_resume_by_name(run: Run, store: Path, acqplan: Acqplan) -> None:
    run("pause", "--reason", "lunch")
    done = said(store, acqplan, "ask")
    assert (done.code, json.loads(done.out)) == (0, {"shots": [], "finished": ""})
    assert "the campaign is paused" in done.err
    run("resume")
    run("forbid", "--where", "azimuth>90")
    assert run("allow", "--where", "azimuth>90")["kind"] == "allowed"
    run("ask", "-n", 12)
    assert "all that is left is leased" in said(store, acqplan, "ask").err


def test_events_are_listed_with_the_latest_last(run: Run, store: Path, acqplan: Acqplan) -> None:
    (shot,) = run("ask")["shots"]
    run("fail", "--shot", shot["id"], "--reason", "[bold]no[/bold] light")
    kinds = [event["kind"] for event in run("events", "--json", "--last", 0)]
    assert kinds == ["created", "replanned", "asked", "leased", "failed"]
    assert [event["kind"] for event in run("events", "--json", "--shot", shot["id"])] == ["leased", "failed"]
    assert [event["number"] for event in run("events", "--json", "--after", 3)] == [4, 5]
    assert run("events", "--json", "--last", 0)[1]["body"]["shots"] == 12
    shown = said(store, acqplan, "events").out
    assert f"{shot['id']}; [bold]no[/bold] light" in shown
    assert "12 shots by auto, round 0" in shown


def test_status_is_a_table_for_people(run: Run, store: Path, acqplan: Acqplan, image: Callable[[int], Path]) -> None:
    for number, shot in enumerate(run("ask", "-n", 5)["shots"]):
        run("tell", "--shot", shot["id"], "--image", image(number))
    shown = said(store, acqplan, "status").out
    assert "5 of 12 images captured (42 %), 7 to come" in shown
    for name, group in run("status", "--json")["by_class"].items():
        (line,) = (line for line in shown.splitlines() if line.startswith(f"{name} "))
        assert line.split()[2:] == [str(group[word]) for word in ("captured", "leased", "queued", "rejected")]
        assert line.count("█") == round(20 * group["captured"] / 6)
    assert "azimuth (deg): captured of planned" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_export_and_import_give_the_same_status(
    run: Run, store: Path, acqplan: Acqplan, image: Callable[[int], Path], tmp_path: Path
) -> None:
    for number, shot in enumerate(run("ask", "-n", 5)["shots"][:4]):
        run("tell", "--shot", shot["id"], "--image", image(number))
    document = run("export", "--out", tmp_path / "export")
    assert document["files"] == ["plan.csv", "manifest.csv", "rig.toml", "terms.json", "events.jsonl", "contact.png"]
    assert (tmp_path / "export" / "contact.png").read_bytes().startswith(b"\x89PNG")
    assert len(open_rig(tmp_path / "export" / "rig.toml").source.shots()) == 4
    again = acqplan("campaign", "import", "--from", tmp_path / "export", "--store", tmp_path / "again.db")
    assert json.loads(again.out)["captured"] == 4
    restored = json.loads(said(tmp_path / "again.db", acqplan, "status", "--json").out)
    now = run("status", "--json")
    assert {**restored, "ends_at": ""} == {**now, "ends_at": ""}  # which is some seconds from now
    with untouched(tmp_path / "export"):
        assert "is there already" in complaint(said(store, acqplan, "export", "--out", tmp_path / "export"), 2)


def test_a_backup_is_a_campaign_to_go_on_with(
    run: Run, tmp_path: Path, acqplan: Acqplan, image: Callable[[int], Path]
) -> None:
    shot = run("ask")["shots"][0]["id"]
    run("tell", "--shot", shot, "--image", image(0))
    copy = Path(run("backup", "--out", tmp_path / "copy")["store"])
    answer = acqplan("campaign", "tell", "--store", copy, "--shot", shot, "--image", image(0))
    assert json.loads(answer.out)["outcome"] == "already"
    assert json.loads(acqplan("campaign", "check", "--store", copy).out)["damaged"] == []
    again = acqplan("campaign", "backup", "--store", tmp_path / "robot.db", "--out", tmp_path / "copy")
    assert (again.code, "is there already" in again.err) == (2, True)


def test_plan_and_check_print_what_they_found(run: Run) -> None:
    assert run("plan") == {"planned": False, "due": ""}
    assert run("plan", "--force")["shots"] == 12
    found = run("check")
    assert found["damaged"] == []
    assert found["records"] == "agree"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("ask", "--n", "0"), 2, "ask for 1 or more"),
        (("tell", "--shot", "nobody", "--image", "picture.png"), 3, "cannot be read"),
        (("fail", "--shot", "nobody", "--reason", "x"), 2, "no shot of this campaign is called 'nobody'"),
        (("stop", "--reason", "\udcff"), 2, "is no text in UTF-8"),
        (("fail", "--shot", "\udcff", "--reason", "x"), 2, "is no text in UTF-8"),
        (("forbid", "--where", "elevation>65"), 2, "nothing is called 'elevation'"),
        (("allow", "--where", "azimuth>65"), 2, "is not forbidden"),
        (("undo", "--event", "99"), 2, "there is no event 99"),
        (("budget",), 2, "neither a budget nor a time budget is given"),
        (("budget", "--budget", "0"), 2, "a budget of 0 images"),
        (("resume",), 2, "neither paused nor stopped"),
        (("events", "--last", "-1"), 2, "give a number above zero"),
        (("remove-object", "--object", "car-9"), 2, "no object is called 'car-9'"),
    ],
)
def test_wrong_use_is_told_and_changes_nothing(
    store: Path, acqplan: Acqplan, arguments: tuple[str, ...], code: int, message: str
) -> None:
    before = Campaign.open(store).events()
    assert message in complaint(said(store, acqplan, *arguments), code)
    assert Campaign.open(store).events() == before


def test_a_setting_that_is_none_is_told(run: Run, store: Path, acqplan: Acqplan, image: Callable[[int], Path]) -> None:
    (shot,) = run("ask")["shots"]
    tell = ("tell", "--shot", shot["id"], "--image", image(0), "--reached")
    assert "write e.g. --reached azimuth=40.3" in complaint(said(store, acqplan, *tell, "40.3"), 2)
    assert "did you mean 'azimuth'" in complaint(said(store, acqplan, *tell, "azimut=40.3"), 2)
    assert "gives 'azimuth' twice" in complaint(said(store, acqplan, *tell, "azimuth=1", "--reached", "azimuth=2"), 2)
    assert "give degrees from -360 to 360" in complaint(said(store, acqplan, *tell, "azimuth=725"), 2)
    assert "'١٢' is not a number" in complaint(said(store, acqplan, *tell, "azimuth=١٢"), 2)
    assert run("status", "--json")["captured"] == 0


def test_no_campaign_is_a_bad_input_and_none_is_made(tmp_path: Path, acqplan: Acqplan, live: Path) -> None:
    with untouched(tmp_path):
        assert "there is no campaign" in complaint(said(tmp_path / "none.db", acqplan, "ask"), 3)
        create = ("create", "--rig", live, "--budget", 100)
        assert "16 can be had" in complaint(said(tmp_path / "none.db", acqplan, *create), 2)


def test_a_backup_is_restored(run: Run, store: Path, acqplan: Acqplan, image: Callable[[int], Path]) -> None:
    (shot,) = run("ask")["shots"]
    run("backup", "--out", store.parent / "backup")
    assert run("tell", "--shot", shot["id"], "--image", image(0))["outcome"] == "captured"
    restore = ("restore", "--from", store.parent / "backup")
    assert "give --replace" in complaint(said(store, acqplan, *restore), 2)
    found = run(*restore, "--replace")
    assert (found["store"], found["captured"]) == (str(store), 0)
    assert (Path(found["aside"]) / store.name).exists()
    assert run("status", "--json")["captured"] == 0


def test_a_second_campaign_in_one_place_is_refused(store: Path, live: Path, acqplan: Acqplan) -> None:
    assert "a campaign is there already" in complaint(said(store, acqplan, "create", "--rig", live, "--budget", 3), 2)


def test_processes_from_a_shell_share_a_campaign(store: Path, image: Callable[[int], Path]) -> None:
    def program(*arguments: object) -> dict[str, Any]:
        code = "from acqplan.cli.app import main; main()"
        command = [sys.executable, "-c", code, "campaign", *map(str, arguments), "--store", str(store)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    (shot,) = program("ask", "-n", 1)["shots"]
    assert program("tell", "--shot", shot["id"], "--image", image(0))["outcome"] == "captured"
    assert program("status", "--json")["captured"] == 1


def test_a_copy_is_noted_on_stderr_and_in_the_document(
    run: Run, store: Path, image: Callable[[int], Path], acqplan: Acqplan
) -> None:
    first, second = run("ask", "--n", 2)["shots"]
    assert "notes" not in run("tell", "--shot", first["id"], "--image", image(0))
    done = said(store, acqplan, "tell", "--shot", second["id"], "--image", image(0))
    note = f"the same bytes were told for '{first['id']}'; does the camera hang?"
    assert json.loads(done.out)["notes"] == [note]
    assert note in done.err
    assert "1 image with the bytes of another shot's image" in said(store, acqplan, "status").out


def test_an_operator_hears_what_ends_the_campaign_and_how_it_goes_on(store: Path, run: Run, acqplan: Acqplan) -> None:
    done = said(store, acqplan, "forbid", "--where", "azimuth>=0")
    number = json.loads(done.out)["number"]
    assert done.err == f"no shot is left that may be taken; to take it back: undo --event {number}\n"
    run("ask", code=5)
    done = said(store, acqplan, "budget", "--budget", 13)
    assert done.err == ""  # the next caller finds out
    run("ask", code=5)
    done = said(store, acqplan, "pause")
    assert "stays finished: no shot is left" in done.err
    assert "to go on: allow a region, or add an object" in done.err
    run("resume")
    run("undo", "--event", number)
    assert run("ask")["shots"]


def test_of_many_classes_status_shows_those_least_and_most_captured(tmp_path: Path, acqplan: Acqplan) -> None:
    labels = "\n".join(f'class-{number:02d} = ["object-{number:02d}"]' for number in range(30))
    rig = written(tmp_path / "rig.toml", LIVE.partition("[objects.labels]")[0] + "[objects.labels]\n" + labels + "\n")
    store = tmp_path / "many.db"
    assert acqplan("campaign", "create", "-r", rig, "-s", store, "-b", 30).code == 0
    (shot,) = json.loads(acqplan("campaign", "ask", "-s", store, "-n", 1, "--json").out)["shots"]
    image = tmp_path / "image.png"
    Image.new("L", (8, 8), 90).save(image)
    assert acqplan("campaign", "tell", shot["id"], image, "-s", store).code == 0
    lines = [line.split()[0] for line in acqplan("campaign", "status", "-s", store).out.splitlines() if line.strip()]
    shown = [word for word in lines if word.startswith(("class-", "…"))]
    assert len(shown) == 21
    assert shown[10] == "…"
    assert shown[-1] == shot["label"]
