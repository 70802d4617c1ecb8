"""What a command that succeeds prints and writes."""

import csv
import html
import io
import json
from pathlib import Path

import pytest

from acqplan.cli import console
from acqplan.report.result import FILES
from tests.cli.conftest import QUICK, Acqplan, Done, complaint, contents, untouched, written

# Files of a plan that was taken and not compared.
UNJUDGED = [*FILES[:2], *FILES[3:9], "advice.png", "surface.png", "images.png", "mistakes.png", "worst.png"]


def recommended(acqplan: Acqplan, rig: Path, budget: int, out: Path, *more: str) -> Done:
    done = acqplan("recommend", "--rig", rig, "--budget", budget, "--out", out, "--backbone", "histogram", *more)
    assert done.code == 0, done.err
    return done


def test_a_validated_plan_is_shown_written_and_repeated_byte_for_byte(
    acqplan: Acqplan, toys: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    # one object a class is left to train on: no advice to draw; and all was taken, so that nothing comes next
    made = [name for name in FILES if name not in ("advice.png", "surface.png", "next.png")]
    shown = recommended(acqplan, toys, 40, out)
    assert shown.out.startswith("Take these 40 images: 8 of each of 5 objects.")
    assert "difference found against " in " ".join(shown.out.split())
    assert "Cannot tell: one object of each class is captured" in " ".join(shown.out.split())
    *slow, last = shown.err.splitlines()  # of steps that take longer than 2 s on a busy machine
    assert last == f"written to {out}: {', '.join(made)}"
    assert all(" in " in line and line.endswith(" s") for line in slow), shown.err
    assert sorted(contents(out)) == sorted(made)
    assert len(list(csv.DictReader(io.StringIO((out / "plan.csv").read_text())))) == 40

    recommended(acqplan, toys, 40, tmp_path / "again")
    assert (tmp_path / "again" / "plan.csv").read_bytes() == (out / "plan.csv").read_bytes()
    again = recommended(acqplan, toys, 40, tmp_path / "again", "--no-validate", "--json")
    document = json.loads(again.out)
    assert (document["validation"], document["plan"]["kept_aside"]) == (None, None)
    assert len({shot["object"] for shot in document["plan"]["shots"]}) == 10, "without a test every object is planned"
    assert len(document["plan"]["shots"]) == 40
    assert [Path(path).name for path in document["files"]] == UNJUDGED

    other = recommended(acqplan, toys, 40, out, "--no-validate", "--seed", "1")
    assert (out / "plan.csv").read_bytes() != (tmp_path / "again" / "plan.csv").read_bytes()
    assert sorted(contents(out)) == sorted(UNJUDGED), "the old validation speaks of another plan"
    assert "validation.json" not in other.err


def test_the_advice_stands_in_the_terminal_in_the_report_and_in_the_document(
    acqplan: Acqplan, toys: Path, tmp_path: Path
) -> None:
    many = written(tmp_path / "many.toml", toys.read_text().replace("instances = 2", "instances = 4"))
    out = tmp_path / "out"
    document = json.loads(recommended(acqplan, many, 60, out, "--no-validate", "--json").out)
    sentences = document["advice"]["sentences"]
    assert document["advice"]["images"] == 60
    page = html.unescape((out / "report.html").read_text())
    assert all(sentence in page for sentence in sentences)
    assert {"advice.png", "surface.png"} <= set(contents(out))
    shown = " ".join(recommended(acqplan, many, 60, out, "--no-validate", "-v").out.split()).replace(" • ", " ")
    assert f"Stop, or go on? • {' '.join(sentences[:4])}".replace("? • ", "? ") in shown
    assert sentences[4] not in shown, "all of it is in the report"


def test_the_json_of_a_validation_is_one_document(acqplan: Acqplan, photographs: Path, tmp_path: Path) -> None:
    done = recommended(acqplan, photographs, 6, tmp_path / "out", "--json")
    document = json.loads(done.out)
    assert document["validation"] == json.loads((tmp_path / "out" / "validation.json").read_text())
    assert len(document["sentences"]) == len(document["validation"]["verdicts"]) == 4
    assert json.loads((tmp_path / "out" / "plan.json").read_text()) == document["plan"]


def test_one_label_alone_is_validated_with_numbers_that_json_knows(
    acqplan: Acqplan, photographs: Path, tmp_path: Path
) -> None:
    manifest = tmp_path / "manifest.csv"
    manifest.write_text(manifest.read_text().replace(",cow,", ",car,"))
    done = recommended(acqplan, photographs, 6, tmp_path / "out", "--json")
    assert json.loads(done.out)["plan"]["budget"] == 6


def test_a_log_without_a_terminal_is_told_of_the_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "LOG_SECONDS", 0.0)
    with console.ProgressBars().task("rendering", 1200) as advance:
        advance(300)
        advance(900)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("rendering: 300 of 1,200, about ")
    assert line.endswith(" left")


def test_a_live_rig_is_planned_without_a_validation(acqplan: Acqplan, live: Path, tmp_path: Path) -> None:
    done = acqplan("recommend", "--rig", live, "--budget", 8, "--out", tmp_path / "out", "--json")
    document = json.loads(done.out)
    assert document["validation"] is None
    assert "simulated rigs" in document["advice"]["sentences"][0]
    assert document["plan"]["backbone"] is None
    assert done.err == ""


ROWS = [(f"{thing}-{view}", thing, thing[:3]) for thing in ("car-0", "car-1", "cow-0", "cow-1") for view in range(5)]


def predictions(path: Path, wrong: int) -> Path:
    guesses = ["cow" if label == "car" else "car" for _, _, label in ROWS[:wrong]] + [
        label for _, _, label in ROWS[wrong:]
    ]
    lines = [",".join((*row, guess)) for row, guess in zip(ROWS, guesses, strict=True)]
    return written(path, "\n".join(["image,object,label,predicted", *lines]) + "\n")


def test_two_files_of_predictions_are_compared(acqplan: Acqplan, tmp_path: Path) -> None:
    a, b = predictions(tmp_path / "a.csv", 2), predictions(tmp_path / "b.csv", 9)
    table = acqplan("compare", a, b)
    assert (table.code, table.err) == (0, "")
    assert "McNemar" in table.out
    document = acqplan("compare", a, b, "--json")
    assert (document.code, document.err) == (0, "")
    assert json.loads(document.out)["n_objects"] == 4


BAD = {
    "column": ("label", "lable", "line 1: no column 'label'"),
    "image twice": ("car-0-1,", "car-0-0,", "line 3: image 'car-0-0' appears already in line 2"),
    "empty cell": ("car-0-1,car-0", "car-0-1,", "line 3: 'object' is empty"),
    "other image": ("car-0-1,", "car-0-9,", "1 of the 20 images"),
    "label changes": ("car-0-1,car-0,car", "car-0-1,car-0,cat", "line 3: object 'car-0' has label 'cat'"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_file_of_predictions_that_cannot_be_used_is_told_with_its_line(
    case: str, acqplan: Acqplan, tmp_path: Path
) -> None:
    old, new, said = BAD[case]
    a, b = predictions(tmp_path / "a.csv", 2), predictions(tmp_path / "b.csv", 9)
    b.write_text(b.read_text().replace(old, new, 1))
    with untouched(tmp_path):
        message = complaint(acqplan("compare", a, b, "--json"), 3)
    assert said in message
    assert str(b) in message


def test_predictions_that_are_not_there_are_told(acqplan: Acqplan, tmp_path: Path) -> None:
    message = complaint(acqplan("compare", tmp_path / "a.csv", tmp_path / "b.csv"), 3)
    assert "a.csv: cannot be read (No such file or directory)" in message


def test_doctor_names_device_weights_renderer_cache_and_versions(acqplan: Acqplan, shared_cache: Path) -> None:
    table = acqplan("doctor")
    document = acqplan("doctor", "--json")
    assert (table.code, table.err, document.code, document.err) == (0, "", 0, "")
    findings = json.loads(document.out)
    assert {"acqplan", "torch", "device", "embedded backbone", "renderer", "cache"} <= set(findings)
    assert str(shared_cache) in findings["cache"]
    assert all(name in table.out for name in findings)


def test_doctor_says_what_is_wrong_and_all_the_rest(acqplan: Acqplan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACQPLAN_CACHE_LIMIT_GB", "much")
    done = acqplan("doctor", "--json")
    assert done.code == 4
    assert "renderer" in json.loads(done.out)
    assert done.err.startswith("error: ACQPLAN_CACHE_LIMIT_GB is 'much'\n  give")


def test_a_folder_of_somebody_else_is_refused_before_any_work(acqplan: Acqplan, toys: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    written(theirs / "plan.csv", "my own plan")
    written(theirs / "validation.json", "{}")
    for command, taken in ((["recommend", "--budget", 9], "plan.csv"), (["benchmark"], "validation.json")):
        with untouched(theirs):
            message = complaint(acqplan(*command, "--rig", toys, "--out", theirs, "--backbone", "histogram"), 2)
        assert f"{theirs / taken}: would be replaced" in message


def test_a_recommendation_and_a_benchmark_do_not_replace_each_other(
    acqplan: Acqplan, toys: Path, tmp_path: Path
) -> None:
    plan, bench = tmp_path / "plan", tmp_path / "bench"
    recommended(acqplan, toys, 20, plan, "--no-validate")
    few = ("--strategies", "random-shots,even", "--budgets", 10, "--seeds", 2, "--workers", 1)
    done = acqplan("benchmark", "--rig", toys, "--out", bench, "--backbone", "histogram", *few)
    assert done.code == 0, done.err
    with untouched(plan):
        assert "would be replaced" in complaint(acqplan("benchmark", "--rig", toys, "--out", plan, *few), 2)
    with untouched(bench):
        again = acqplan("recommend", "--rig", toys, "--budget", 20, "--out", bench, *QUICK)
        assert f"{bench / 'validation.json'}: would be replaced" in complaint(again, 2)
    # each goes on in its own
    recommended(acqplan, toys, 20, plan, "--no-validate")
    assert acqplan("benchmark", "--rig", toys, "--out", bench, "--backbone", "histogram", *few).code == 0


def test_which_columns_of_a_manifest_are_axes_is_said_once(acqplan: Acqplan, photographs: Path, tmp_path: Path) -> None:
    table = tmp_path / "manifest.csv"
    header, *rows = table.read_text().splitlines()
    table.write_text(
        "\n".join([f"{header},frame,exposure_ms", *(f"{row},{n},{n * 1.5}" for n, row in enumerate(rows))])
    )
    done = recommended(acqplan, photographs, 6, tmp_path / "out", "--json")
    assert done.err.count("axes: azimuth; ignored: frame, exposure_ms\n") == 1
    assert "axes: azimuth; ignored: frame, exposure_ms" in (tmp_path / "out" / "report.html").read_text()
    assert {"azimuth", "frame"} & set(json.loads(done.out)["plan"]["shots"][0]) == {"azimuth"}
