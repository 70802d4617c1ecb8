"""``acqplan plan-test``: a test of objects that nothing is trained on, in words, as JSON and as a plan."""

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest

from acqplan import open_rig
from acqplan.evaluate.judging import spendings_of
from acqplan.evaluate.task import draw_split
from acqplan.space import Circle, Objects, Shots, Space
from acqplan.statistics.judging import Components
from tests.cli.conftest import LIVE, Acqplan, complaint, manifest, untouched, written

BACKBONE = ("--backbone", "histogram", "--device", "cpu")
MANY = LIVE.replace('"car-1"]', '"car-1", "car-2", "car-3"]').replace('"cow-1"]', '"cow-1", "cow-2", "cow-3"]')


@pytest.fixture
def farm(tmp_path: Path) -> Path:
    """rig.toml of a robot with four objects of each of two classes, 4 views each."""
    return written(tmp_path / "farm.toml", MANY)


def plan_of(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "test-plan.csv").read_text(encoding="utf-8").splitlines()))


def test_it_tests_the_objects_that_recommend_keeps_aside(acqplan: Acqplan, toys: Path, tmp_path: Path) -> None:
    many = written(tmp_path / "many.toml", toys.read_text().replace("instances = 2", "instances = 4"))
    done = acqplan("plan-test", "--rig", many, "--budget", 33, "--out", tmp_path / "test", "--json")
    assert done.code == 0, done.err
    found, rows = json.loads(done.out), plan_of(tmp_path / "test")
    assert (found["chosen"]["objects"], found["chosen"]["images"], len(rows)) == (10, 33, 33)
    assert found["components"]["is_prior"]
    assert "as nothing was seen" in found["sentences"][-1]
    assert {len([1 for row in rows if row["object"] == name]) for name in {row["object"] for row in rows}} == {3, 4}
    assert {row["object"] for row in rows} == set(draw_split(open_rig(many), 0).test)
    again = acqplan("plan-test", "--rig", many, "--budget", 33, "--out", tmp_path / "again")
    assert (tmp_path / "again" / "test-plan.csv").read_bytes() == (tmp_path / "test" / "test-plan.csv").read_bytes()
    assert "33 images" in " ".join(again.out.split())


def test_views_that_will_not_be_met_are_not_tested(acqplan: Acqplan, farm: Path, tmp_path: Path) -> None:
    front = written(tmp_path / "front.toml", f"{farm.read_text()}[deployment]\nazimuth = [0, 90]\n")
    done = acqplan("plan-test", "--rig", front, "--budget", 500, "--out", tmp_path / "out", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["chosen"]["images"] == 8, "2 objects of each class are kept aside, 2 views of each"
    assert {row["azimuth"] for row in plan_of(tmp_path / "out")} == {"0", "90"}


def test_captured_images_tell_how_objects_differ_and_are_not_tested_on(
    acqplan: Acqplan, farm: Path, tmp_path: Path
) -> None:
    seen = manifest(tmp_path, "captured.csv", ["car-0", "car-3", "cow-0", "cow-1"], range(0, 360, 90))
    options = ("plan-test", "--rig", farm, "--captured", seen, "--budget", 8, "--out", tmp_path / "out", *BACKBONE)
    done = acqplan(*options, "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert (found["components"]["objects"], found["components"]["images"]) == (4, 16)
    assert {row["object"] for row in plan_of(tmp_path / "out")} == {"car-1", "car-2", "cow-2", "cow-3"}
    assert acqplan(*options).code == 0, "its own files are replaced"


def test_captured_images_of_one_object_a_class_leave_the_prior(acqplan: Acqplan, farm: Path, tmp_path: Path) -> None:
    seen = manifest(tmp_path, "captured.csv", ["car-0", "cow-0"], range(0, 360, 90))
    done = acqplan("plan-test", "--rig", farm, "--captured", seen, "--budget", 8, "--out", tmp_path / "out", "--json")
    assert json.loads(done.out)["components"]["is_prior"]


def test_dear_objects_are_fewer_as_cochran_says() -> None:
    """Sampling Techniques, section 10.6: the square root of cost x within / between images of each."""
    space = Space(axes=(Circle(name="azimuth", values=tuple(np.linspace(0.0, 359.0, 1000).tolist())),))
    names = tuple(f"{label}-{number}" for label in ("car", "cow") for number in range(60))
    shots = Shots.every(space, Objects(names=names, labels=tuple(name[:3] for name in names)))
    known = Components(between=0.04, within=0.12)
    chosen = min(spendings_of(known, shots, 1000, 8.0), key=lambda one: one.half_width)
    assert chosen.images / chosen.objects == pytest.approx(math.sqrt(8.0 * 3.0), abs=0.8)
    assert chosen.images + 8 * chosen.objects <= 1000
    assert min(spendings_of(known, shots, 1000), key=lambda one: one.half_width).objects == 120


WRONG = {
    "budget": (("--budget", 3), "a budget of 3 images to test 2 classes"),
    "cost": (("--budget", 8, "--object-cost", "nan"), "a test object that costs nan images"),
    "dear": (("--budget", 20, "--object-cost", 5), "give at least 24"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_use_is_told_and_leaves_nothing(case: str, acqplan: Acqplan, farm: Path, tmp_path: Path) -> None:
    options, said = WRONG[case]
    assert said in complaint(acqplan("plan-test", "--rig", farm, *options, "--out", tmp_path / "out"), 2)
    assert not (tmp_path / "out").exists()


def test_too_few_objects_are_told(acqplan: Acqplan, live: Path, farm: Path, tmp_path: Path) -> None:
    assert "1 car, 1 cow" in complaint(acqplan("plan-test", "--rig", live, "--budget", 8), 2)
    one = written(tmp_path / "one.toml", live.read_text().replace("cow = ", "# "))
    assert "one class" in complaint(acqplan("plan-test", "--rig", one, "--budget", 8), 2)
    assert len(open_rig(one).source.objects.classes) == 1
    views = written(tmp_path / "views.toml", farm.read_text() + '[objects]\ntest = "views"\n')
    assert "views to test on" in complaint(acqplan("plan-test", "--rig", views, "--budget", 8), 2)


def test_somebody_elses_folder_is_left_alone(acqplan: Acqplan, farm: Path, tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    written(folder / "test-plan.csv", "theirs")
    with untouched(folder):
        assert "test-plan.csv" in complaint(acqplan("plan-test", "--rig", farm, "--budget", 8, "--out", folder), 2)
