"""``acqplan study transfer`` and ``acqplan advise --transfer``: what they print, and mistakes told in one message."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Acqplan, complaint, manifest

HISTOGRAM = ("--backbone", "histogram", "--device", "cpu")
STUDY = ("study", "transfer", *HISTOGRAM)


def test_a_study_prints_and_keeps_what_it_found(acqplan: Acqplan, photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ("--rig", photographs, "--quick", "--head", "mean", "--head", "ridge", "--out", out)
    done = acqplan(*STUDY, *options, "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert (found["tested"], found["images"], found["splits"]) == ("new objects", 8, 3)
    assert {way["head"].partition(",")[0] for way in found["ways"]} == {"ridge", "nearest class mean"}
    assert {"report.html", "results.csv", "ways.png", "maps.png"} <= {path.name for path in out.iterdir()}
    again = acqplan(*STUDY, *options)
    words = " ".join(again.out.split())
    assert again.code == 0
    assert " ".join(found["sentences"][0].split())[:60] in words


def test_a_plan_is_said_and_nothing_done(acqplan: Acqplan, photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = acqplan(*STUDY, "--rig", photographs, "--quick", "--head", "mean", "--plan-only", "--out", out)
    assert done.code == 0, done.err
    assert "8 to train on" in done.out
    assert not out.exists()


WRONG = {
    "head": (("--head", "softmex"), "no head is called 'softmex'"),
    "backbone": (("--backbone", "mobilenet_v4"), "no backbone is called 'mobilenet_v4'"),
    "weights": (("--backbone", "toynet", "--weights", "w.pth"), "--weights beside several backbones"),
    "budget": (("--budget", "99"), "a budget of 99 images"),
    "no number": (("--budget", "many"), "--budget 'many' is not a whole number"),
    "splits": (("--splits", "0"), "--splits 0 cannot be"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_use_is_told(case: str, acqplan: Acqplan, photographs: Path, tmp_path: Path) -> None:
    options, said = WRONG[case]
    out = tmp_path / "out"
    assert said in complaint(acqplan(*STUDY, "--rig", photographs, "--quick", "--out", out, *options), 2)
    assert not out.exists()


def test_weights_of_another_network_are_told(acqplan: Acqplan, photographs: Path, tmp_path: Path) -> None:
    embedded = Path(__file__).parents[2] / "acqplan" / "features" / "embedded" / "toynet.safetensors"
    options = ("--rig", photographs, "--backbone", f"mobilenet_v2={embedded}", "--out", tmp_path / "out")
    done = acqplan("study", "transfer", *options)
    assert "not the weights of mobilenet_v2" in complaint(done, 3)


def test_somebody_elses_folder_is_left_alone(acqplan: Acqplan, photographs: Path, out: Path) -> None:
    (out / "results.csv").write_text("mine")
    assert "would be replaced" in complaint(acqplan(*STUDY, "--rig", photographs, "--out", out), 2)


def test_captured_images_are_advised_on(acqplan: Acqplan, live: Path, tmp_path: Path) -> None:
    captured = manifest(tmp_path, "captured.csv", ["car-0", "car-1", "cow-0", "cow-1"], range(0, 360, 90))
    options = ("--rig", live, "--captured", captured, *HISTOGRAM, "--backbone", "toynet-untrained:pool")
    done = acqplan("advise", "--transfer", *options, "--json")
    assert done.code == 0, done.err
    advice = json.loads(done.out)
    assert (advice["images"], advice["objects"], advice["many"]) == (16, 4, False)
    assert advice["wrong_backbone"]["low"] <= advice["wrong_backbone"]["mean"]
    assert advice["ways"][0]["same"]
    assert advice["sentences"][0].startswith(f"use {advice['ways'][0]['way']}: ")


MISTAKES = {
    "no images": (("--transfer",), "no captured images of a live rig"),
    "two backbones": (("--captured", "c.csv", "--backbone", "toynet"), "2 backbones without --transfer"),
    "fine-tune": (("--captured", "c.csv", "--fine-tune"), "--fine-tune without --transfer"),
    "store": (("--transfer", "--store", "c.db"), "--store beside --rig"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_of_advice_are_told(case: str, acqplan: Acqplan, live: Path) -> None:
    options, said = MISTAKES[case]
    assert said in complaint(acqplan("advise", "--rig", live, *HISTOGRAM, *options), 2)
