"""Files that cannot be used, as the command line tells them; tests/rig and tests/features hold every case."""

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from acqplan.features.networks import EMBEDDED
from tests.cli.conftest import LIVE, QUICK, TOYS, Acqplan, complaint, untouched, written

TOYNET = EMBEDDED / "toynet.safetensors"

RIGS = {
    "axis": (TOYS.replace('"azimuth"', '"azimut"'), "line 3: a rendered rig has no axis 'azimut'", "'azimuth'?"),
    "key": (TOYS.replace("values =", "valuse =", 1), "line 5: unknown key 'valuse' in [[axis]] number 1", "'values'?"),
    "key on top": ("bugdet = 3\n" + LIVE, "line 1: unknown key 'bugdet' in rig.toml", "known: source, path"),
    "source": ('source = "tyos"\n', "line 1: source = 'tyos' cannot be used", "did you mean 'toys'?"),
    "angle": (TOYS.replace("0:300:60", "0:725:5"), "line 5:", "give"),
    "syntax": ("source = toys\n", "line 1: this is not TOML", "key = value"),
    "manifest that is missing": ('source = "folder"\npath = "no.csv"\n', "no.csv", ""),
}


@pytest.mark.parametrize("case", RIGS)
def test_a_mistake_in_rig_toml_is_told_with_its_line(case: str, acqplan: Acqplan, out: Path, tmp_path: Path) -> None:
    text, said, advice = RIGS[case]
    rig = written(tmp_path / "rig.toml", text)
    with untouched(out):
        done = acqplan("recommend", "--rig", rig, "--budget", 20, "--out", out, *QUICK)
    message = complaint(done, 3)
    assert (str(rig) if case != "manifest that is missing" else str(tmp_path / "no.csv")) in message
    assert said in message
    assert advice in message


def test_a_rig_that_is_not_there_is_told(acqplan: Acqplan, out: Path, tmp_path: Path) -> None:
    done = acqplan("recommend", "--rig", tmp_path / "no.toml", "--budget", 20, "--out", out)
    assert "no.toml: cannot be read (No such file or directory)\n  check the path" in complaint(done, 3)


ROWS: dict[str, tuple[Callable[[str], str], str]] = {
    "missing column": (lambda text: text.replace("label", "lable", 1), "line 1: no column 'label'"),
    "repeated shot": (lambda text: text.replace("car-0,90", "car-0,0"), "line 3:"),
    "word": (lambda text: text.replace("cow-1,270", "cow-1,west"), "line 17: azimuth 'west' is not a number"),
    "NaN": (lambda text: text.replace("cow-1,270", "cow-1,nan"), "line 17: azimuth 'nan'"),
    "angle of 725": (lambda text: text.replace("cow-1,270", "cow-1,725"), "line 17: azimuth '725'"),
    "outside": (lambda text: text.replace("cow-0_0.png", "../cow.png"), "line 10: path '../cow.png' leaves"),
    "missing image": (lambda text: text.replace("cow-0_0.png", "none.png"), "line 10: image"),
}


@pytest.mark.parametrize("case", ROWS)
def test_a_mistake_in_a_manifest_is_told_with_its_line(
    case: str, acqplan: Acqplan, photographs: Path, out: Path
) -> None:
    change, said = ROWS[case]
    path = photographs.parent / "manifest.csv"
    path.write_text(change(path.read_text()))
    with untouched(out):
        done = acqplan("recommend", "--rig", photographs, "--budget", 4, "--out", out, *QUICK)
    message = complaint(done, 3)
    assert str(path) in message
    assert said in message


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def _negative(path: Path) -> None:
    with path.open("wb") as file:
        Image.fromarray(np.full((9, 9), -1.0, dtype=np.float32)).save(file, format="TIFF")


IMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated": (_cut, "is damaged"),
    "empty": (lambda path: path.write_bytes(b""), "is empty (0 bytes)"),
    "text": (lambda path: path.write_text("no picture"), "is not an image"),
    "negative": (_negative, "has values from -1 to -1"),
}


@pytest.mark.parametrize("case", IMAGES)
def test_an_image_that_cannot_be_used_is_told_with_its_line(
    case: str, acqplan: Acqplan, photographs: Path, out: Path
) -> None:
    spoil, said = IMAGES[case]
    spoil(photographs.parent / "cow-0_0.png")
    with untouched(out):
        done = acqplan("recommend", "--rig", photographs, "--budget", 4, "--out", out, *QUICK)
    message = complaint(done, 3)
    assert f"{photographs.parent / 'manifest.csv'}: line 10: image" in message
    assert said in message


POINTS = "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\n"
MESHES = {
    "no faces": (POINTS, "has no faces"),
    "NaN": (POINTS.replace("v 1 0", "v nan 0") + "f 1 2 3\nf 1 2 4\n", "has a vertex that is not finite"),
    "text": ("not a mesh", "has no faces"),
}


@pytest.mark.parametrize("case", MESHES)
def test_a_mesh_that_cannot_be_rendered_is_told_with_its_line(
    case: str, acqplan: Acqplan, out: Path, tmp_path: Path
) -> None:
    content, said = MESHES[case]
    for name in ("a-0", "b-0", "b-1"):
        written(tmp_path / f"{name}.obj", POINTS + "f 1 2 3\nf 1 2 4\nf 1 3 4\nf 2 3 4\n")
    written(tmp_path / "a-1.obj", content)
    lines = [f"{name}.obj,{name[0]},{name}" for name in ("a-0", "a-1", "b-0", "b-1")]
    table = written(tmp_path / "objects.csv", "\n".join(["mesh,label,object", *lines]) + "\n")
    rig = written(tmp_path / "rig.toml", 'source = "meshes"\npath = "objects.csv"\n')
    with untouched(out):
        done = acqplan("recommend", "--rig", rig, "--budget", 4, "--out", out, *QUICK)
    message = complaint(done, 3)
    assert f"{table}: line 3: mesh 'a-1.obj'" in message
    assert said in message


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, victim: str) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (self.victim, "w")


def weights(kind: str, folder: Path) -> Path:
    path = folder / ("weights.safetensors" if kind == "truncated" else "weights.pth")
    if kind == "truncated":
        path.write_bytes(TOYNET.read_bytes()[:100_000])
    elif kind == "cut pickle":
        torch.save({"first.weight": torch.zeros(300)}, path)
        path.write_bytes(path.read_bytes()[:-200])
    elif kind == "pickle":
        path.write_bytes(pickle.dumps(Evil(str(folder / "victim"))))
    elif kind == "pickle of torch":
        torch.save({"first.weight": Evil(str(folder / "victim"))}, path)
    elif kind == "missing":
        return folder / "none.pth"
    return TOYNET if kind == "another architecture" else path


WEIGHTS = {
    "another architecture": "not the weights of resnet18: tensor 'conv1.weight'",
    "truncated": "cannot be read as safetensors",
    "cut pickle": "cannot be read, probably cut short",
    "pickle": "holds more than plain weights, or is no file of torch; it was not executed",
    "pickle of torch": "holds more than plain weights, or is no file of torch; it was not executed",
    "missing": "there is no such file of weights",
}


@pytest.mark.parametrize("kind", WEIGHTS)
def test_weights_that_cannot_be_used_are_refused_and_not_executed(
    kind: str, acqplan: Acqplan, photographs: Path, out: Path, tmp_path: Path
) -> None:
    path = weights(kind, tmp_path)
    with untouched(out):
        done = acqplan(
            "recommend", "--rig", photographs, "--budget", 4, "--out", out, "--backbone", "resnet18", "--weights", path
        )
    message = complaint(done, 3)
    assert f"{path}: {WEIGHTS[kind]}" in message
    assert not (tmp_path / "victim").exists()


def test_weights_for_a_backbone_without_any_are_refused(acqplan: Acqplan, photographs: Path, out: Path) -> None:
    done = acqplan("recommend", "--rig", photographs, "--budget", 4, "--out", out, *QUICK, "--weights", TOYNET)
    assert "histogram has no weights" in complaint(done, 2)
