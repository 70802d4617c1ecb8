"""Images captured already: read against the rig, charged to the budget, never planned again."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import QUICK, Acqplan, complaint, manifest, untouched, written


@pytest.fixture
def captured(tmp_path: Path) -> Path:
    """Two views of each object of the live rig."""
    return manifest(tmp_path, "captured.csv", ["car-0", "car-1", "cow-0", "cow-1"], range(0, 180, 90))


BAD: dict[str, tuple[Callable[[str], str], str]] = {
    "object": (lambda text: text.replace(",cow-1,0", ",cow-9,0"), "line 8: the rig has no object 'cow-9'"),
    "label": (lambda text: text.replace(",cow,cow-1", ",car,cow-1"), "line 8: object 'cow-1' is labelled 'car'"),
    "axis": (lambda text: text.replace("azimuth", "azimut", 1), "line 1: no column 'azimuth'"),
    "shot twice": (lambda text: text.replace("cow-1,90", "cow-1,0"), "line 9:"),
    "word": (lambda text: text.replace("cow-1,90", "cow-1,east"), "line 9: azimuth 'east' is not a number"),
    "image": (lambda text: text.replace("cow-1_90.png", "none.png"), "line 9: image"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_mistake_in_the_captured_manifest_is_told_with_its_line(
    case: str, acqplan: Acqplan, live: Path, captured: Path, out: Path
) -> None:
    change, said = BAD[case]
    captured.write_text(change(captured.read_text()))
    with untouched(out):
        done = acqplan("recommend", "--rig", live, "--budget", 12, "--captured", captured, "--out", out, *QUICK)
    message = complaint(done, 3)
    assert str(captured) in message
    assert said in message


def test_a_captured_test_object_is_told_with_its_line(
    acqplan: Acqplan, photographs: Path, captured: Path, out: Path
) -> None:
    photographs.write_text(photographs.read_text() + '[objects]\ntest = ["car-1", "cow-1"]\n')
    plan = ("recommend", "--rig", photographs, "--budget", 12, "--captured", captured, "--out", out, *QUICK)
    with untouched(out):
        done = acqplan(*(word for word in plan if word != "--no-validate"))
    message = complaint(done, 2)
    assert f"{captured}: line 4: object 'car-1' is captured already" in message
    assert "[objects] test" in message
    assert "--no-validate" in message
    assert acqplan(*plan).code == 0, "without a test no object is kept aside"


def test_captured_images_without_their_rig_are_told_to_name_it(acqplan: Acqplan, captured: Path, out: Path) -> None:
    message = complaint(acqplan("recommend", "--budget", 60, "--out", out, *QUICK, "--captured", captured), 3)
    assert "line 2: the rig has no object 'car-0'" in message
    assert "the rig is the embedded toys; give that of these images: --rig rig.toml" in message
    assert "did you mean" not in message


@pytest.mark.parametrize("budget", [8, 3])
def test_a_spent_budget_is_finished_and_no_failure(
    budget: int, acqplan: Acqplan, live: Path, captured: Path, out: Path
) -> None:
    with untouched(out):
        done = acqplan("recommend", "--rig", live, "--budget", budget, "--captured", captured, "--out", out, *QUICK)
    assert (done.code, done.out) == (5, "")
    assert done.err == f"finished: 8 of {budget} images have been captured already; a larger budget takes more\n"


def test_captured_images_are_charged_and_not_planned_again(
    acqplan: Acqplan, live: Path, captured: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new"
    done = acqplan("recommend", "--rig", live, "--budget", 12, "--captured", captured, "--out", out, *QUICK, "--json")
    assert done.code == 0, done.err
    rows = list(csv.DictReader(io.StringIO((out / "plan.csv").read_text())))
    assert sorted(row["object"] for row in rows) == ["car-0", "car-1", "cow-0", "cow-1"]
    assert {row["azimuth"] for row in rows} <= {"180", "270"}
    document = json.loads(done.out)
    plan = document["plan"]
    assert document["advice"]["images"] == 8, "what is captured speaks"
    assert (plan["budget"], plan["captured"], len(plan["shots"])) == (12, 8, 4)
    assert plan["predicted_accuracy"] is not None


def test_a_captured_manifest_without_rows_is_told(acqplan: Acqplan, live: Path, out: Path, tmp_path: Path) -> None:
    empty = written(tmp_path / "empty.csv", "image,label,object,azimuth\n")
    with untouched(out):
        done = acqplan("recommend", "--rig", live, "--budget", 12, "--captured", empty, "--out", out, *QUICK)
    assert str(empty) in complaint(done, 3)
