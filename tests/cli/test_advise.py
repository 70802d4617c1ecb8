"""``acqplan advise``: from a manifest or from a virtual capture, in words or as JSON; mistakes told in one message."""

import json
from pathlib import Path

import numpy as np
import pytest

from acqplan import Campaign
from tests.cli.conftest import Acqplan, complaint, manifest, written

BACKBONE = ("--backbone", "histogram", "--device", "cpu")


def test_toys_can_be_tried(acqplan: Acqplan, tmp_path: Path, toys: Path) -> None:
    many = written(tmp_path / "many.toml", toys.read_text().replace("instances = 2", "instances = 6"))
    done = acqplan("advise", "--rig", many, "--budget", 90, *BACKBONE, "--json")
    assert done.code == 0, done.err
    advice = json.loads(done.out)
    assert (advice["images"], advice["objects"], advice["classes"], advice["test_objects"]) == (90, 15, 5, 15)
    assert advice["end"]["answer"] in ("stop", "go on")
    assert [point["images"] for point in advice["points"]][-1] == 90
    assert [reach["share"] for reach in advice["reach"]] == [None, 0.99]
    shown = acqplan("advise", "--rig", many, "--budget", 90, *BACKBONE, "--verbose")
    words = " ".join(shown.out.split()).replace(" • ", " ")
    assert shown.code == 0
    assert all(" ".join(sentence.split()) in words for sentence in advice["sentences"])
    screen = acqplan("advise", "--rig", many, "--budget", 90, *BACKBONE).out
    assert f"{advice['end']['answer'].capitalize()}: {advice['end']['reason']}" in " ".join(screen.split())
    assert len(screen.splitlines()) <= 40


def test_captured_images_are_advised_on(acqplan: Acqplan, live: Path, tmp_path: Path) -> None:
    captured = manifest(tmp_path, "captured.csv", ["car-0", "car-1", "cow-0", "cow-1"], range(0, 360, 90))
    done = acqplan("advise", "--rig", live, "--captured", captured, *BACKBONE, "--json")
    assert done.code == 0, done.err
    advice = json.loads(done.out)
    assert (advice["images"], advice["capacity"], advice["judged"]) == (16, 16, 4)
    assert advice["sentences"]


def test_one_object_a_class_is_told(acqplan: Acqplan, live: Path, tmp_path: Path) -> None:
    captured = manifest(tmp_path, "captured.csv", ["car-0", "cow-0"], range(0, 360, 90))
    done = acqplan("advise", "--rig", live, "--captured", captured, *BACKBONE)
    assert done.code == 0
    assert "Cannot tell: one object of each class" in done.out


WRONG = {
    "nothing captured": (("--budget", "8"), "no captured images of a live rig"),
    "both": (("--budget", "8", "--captured", "none.csv"), "captured images and a budget"),
    "percent": (("--accuracy", "95", "--captured", "none.csv"), "an accuracy of 95 to be reached"),
    "nan": (("--accuracy", "nan", "--captured", "none.csv"), "an accuracy of nan to be reached"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_use_is_told(case: str, acqplan: Acqplan, live: Path) -> None:
    options, said = WRONG[case]
    assert said in complaint(acqplan("advise", "--rig", live, *options, *BACKBONE), 2)


def test_a_virtual_rig_needs_images_or_a_budget(acqplan: Acqplan, toys: Path) -> None:
    assert "--budget IMAGES" in complaint(acqplan("advise", "--rig", toys, *BACKBONE), 2)
    assert "a budget of 3 images for 5 objects" in complaint(acqplan("advise", "--rig", toys, "--budget", 3), 2)


def test_a_captured_manifest_that_is_not_there_is_a_bad_file(acqplan: Acqplan, live: Path, tmp_path: Path) -> None:
    done = acqplan("advise", "--rig", live, "--captured", tmp_path / "none.csv", *BACKBONE)
    assert "none.csv" in complaint(done, 3)


def test_a_campaign_is_advised_on_and_keeps_the_advice(acqplan: Acqplan, live: Path, tmp_path: Path) -> None:
    store = tmp_path / "robot.db"
    assert acqplan("campaign", "create", "--rig", live, "--store", store, "--budget", 16).code == 0
    assert "no image is captured yet" in complaint(acqplan("advise", "--store", store, *BACKBONE), 2)
    noise = np.random.default_rng(0)
    with Campaign.open(store) as campaign:
        for shot in campaign.ask(16):
            campaign.tell(shot, noise.integers(0, 256, (24, 24), dtype=np.uint8))
    done = acqplan("advise", "--store", store, "--accuracy", "0.9", *BACKBONE, "--json")
    assert done.code == 0, done.err
    advice = json.loads(done.out)
    assert (advice["images"], advice["objects"]) == (16, 4)
    with Campaign.open(store) as campaign:
        assert campaign.status()["advice"]["sentences"] == advice["sentences"]
    shown = acqplan("advise", "--store", store, *BACKBONE)
    assert "16 images of 4 objects, 2 classes" in shown.out


def test_a_campaign_stands_for_itself(acqplan: Acqplan, live: Path, tmp_path: Path) -> None:
    assert "the campaign knows them" in complaint(acqplan("advise", "--rig", live, "--store", "robot.db"), 2)
    assert "there is no campaign" in complaint(acqplan("advise", "--store", tmp_path / "none.db"), 3)


def test_advice_is_not_told_of_options_that_it_has_not(acqplan: Acqplan, toys: Path) -> None:
    message = complaint(acqplan("advise", "--rig", toys, "--budget", 4000, *BACKBONE), 2)
    assert "give at most" in message
    assert "--no-validate" not in message
