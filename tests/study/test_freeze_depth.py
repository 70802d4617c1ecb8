"""The study of freezing: trees of images as they come, what is frozen, what is compared, the rule and its page."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import save_file
from typer.testing import CliRunner

from acqplan.cli.commands import app
from acqplan.errors import BackboneError, ImageError, InputError, UsageError, WeightsError
from acqplan.evaluate.task import draw_split
from acqplan.images import png_of
from acqplan.report.freeze_depth_page import freezing_document, save_freeze_depth
from acqplan.rig.spec import open_rig
from acqplan.study.cells import Cells
from acqplan.study.freeze_depth import (
    QUICK,
    Condition,
    FreezeDepth,
    _Work,
    estimate_freezing,
    freeze_depth,
)
from acqplan.study.freeze_rule import freeze_rule
from acqplan.study.freeze_training import Crops, StudiedNetwork, TrainingPlan, accuracy, small_alexnet, train
from acqplan.study.image_trees import Pictures, read_rig, read_tree
from tests.cli.conftest import TOYS

TINY = replace(
    QUICK,
    network=StudiedNetwork(width=0.05),
    plan=TrainingPlan(iterations=2, batch=4),
    source_iterations=3,
    images=(3, 2),
    layers=(1, 7),
)


def write(path: Path, seed: int, side: int = 8, tint: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 100, (side, side, 3), dtype=np.uint8)
    path.write_bytes(png_of(pixels + np.uint8(tint)))


def plain(root: Path, classes: int = 4, images: int = 5) -> Path:
    for number in range(classes):
        for image in range(images):
            write(root / f"class-{number}" / f"{image}.png", 100 * number + image, tint=30 * number)
    return root


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Pictures:
    return read_tree(plain(tmp_path_factory.mktemp("tree")), size=64)


def test_tiny_imagenet_is_read_as_it_comes(tmp_path: Path) -> None:
    for wnid in ("n01", "n02"):
        for number in range(3):
            write(tmp_path / "train" / wnid / "images" / f"{wnid}_{number}.JPEG", number)
        (tmp_path / "train" / wnid / f"{wnid}_boxes.txt").write_text("n01_0.JPEG\t0\t0\t9\t9\n")
        write(tmp_path / "val" / "images" / f"val_{wnid[-1]}.JPEG", 9)
    (tmp_path / "val" / "val_annotations.txt").write_text("val_1.JPEG\tn01\t0\t0\t9\t9\nval_2.JPEG\tn02\t0\t0\t9\t9\n")
    write(tmp_path / "test" / "images" / "test_0.JPEG", 1)
    found = read_tree(tmp_path, size=16)
    assert found.kind == "Tiny-ImageNet's layout"
    assert found.classes == ("n01", "n02")
    assert found.pixels.shape == (8, 16, 16, 3)
    assert found.labels[found.tests].tolist() == [0, 1]
    assert np.bincount(found.labels[~found.tests]).tolist() == [3, 3]


@pytest.mark.parametrize("place", [".", "data", "development_kit/data"])
def test_miniplaces_is_read_as_it_comes(tmp_path: Path, place: str) -> None:
    lists: dict[str, list[str]] = {"train.txt": [], "val.txt": []}
    for label, name in enumerate(("a/abbey", "y/yard")):
        for number in range(2):
            write(tmp_path / "images" / "train" / name / f"{number:08d}.jpg", number)
            lists["train.txt"].append(f"train/{name}/{number:08d}.jpg {label}")
        write(tmp_path / "images" / "val" / f"{label:08d}.jpg", 9)
        lists["val.txt"].append(f"val/{label:08d}.jpg {label}")
    (tmp_path / place).mkdir(parents=True, exist_ok=True)
    for name, lines in lists.items():
        (tmp_path / place / name).write_text("\n".join(lines) + "\n")
    found = read_tree(tmp_path, size=8)
    assert found.kind == "MiniPlaces' layout"
    assert found.labels.tolist() == [0, 0, 1, 1, 0, 1]
    assert found.tests.tolist() == [False] * 4 + [True] * 2
    (tmp_path / place / "val.txt").write_text("val/00000000.jpg 0\nval/00000001.jpg abbey\n")
    with pytest.raises(InputError, match=r"line 2: 'val/00000001\.jpg abbey' is no path and number"):
        read_tree(tmp_path, size=8)


def test_folders_of_classes_keep_a_quarter_for_the_test(tmp_path: Path) -> None:
    found = read_tree(plain(tmp_path / "a", classes=3, images=8), size=8)
    assert np.bincount(found.labels[found.tests]).tolist() == [2, 2, 2]
    other = read_tree(tmp_path / "a", size=8, seed=1)
    assert not np.array_equal(found.tests, other.tests)
    plain(tmp_path / "b" / "train", classes=2)
    plain(tmp_path / "b" / "val", classes=2, images=1)
    assert read_tree(tmp_path / "b", size=8).tests.sum() == 2


def test_a_damaged_or_missing_image_is_named(tmp_path: Path) -> None:
    root = plain(tmp_path)
    content = (root / "class-2" / "3.png").read_bytes()
    (root / "class-2" / "3.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(ImageError, match=r"class-2/3.png is damaged"):
        read_tree(root, size=8)
    (root / "class-2" / "3.png").unlink()
    (root / "class-2" / "3.png").symlink_to(tmp_path / "gone")
    with pytest.raises(ImageError, match=r"class-2/3.png cannot be read"):
        read_tree(root, size=8)
    with pytest.raises(InputError, match="no such folder"):
        read_tree(tmp_path / "nothing", size=8)
    with pytest.raises(InputError, match="at least two classes"):
        read_tree(root / "class-0", size=8)


def test_pictures_of_a_rig_are_tested_on_other_objects(tmp_path: Path) -> None:
    (tmp_path / "rig.toml").write_text(TOYS)
    rig = open_rig(tmp_path / "rig.toml")
    found = read_rig(rig, size=16)
    split, shots = draw_split(rig, 0), rig.source.shots()
    assert found.tests.sum() == np.isin(shots.names, split.test).sum() > 0
    _, image = next(iter(rig.source.capture(shots.take(split.sides(shots)[1][:1]))))
    assert found.pixels[found.tests][0].float().mean() == pytest.approx(float(image.mean()), abs=2.0)
    assert found.classes == rig.source.objects.classes


def test_alexnet_has_eight_layers_and_one_position_before_the_full_ones() -> None:
    net = small_alexnet(5, width=0.1).eval()
    assert net[:15](torch.zeros(1, 3, 57, 57)).shape[2:] == (1, 1)
    assert len(StudiedNetwork(width=0.1).random(5, 0)) == 8
    weights = [stage.state_dict() for stage in StudiedNetwork(width=0.1).random(5, 0)]
    again = [stage.state_dict() for stage in StudiedNetwork(width=0.1).random(5, 0)]
    assert all(torch.equal(a[key], b[key]) for a, b in zip(weights, again, strict=True) for key in a)


def test_crops_are_cut_from_the_picture_and_its_mean(pictures: Pictures) -> None:
    crops = Crops.of(pictures, StudiedNetwork(), "cpu")
    rows = np.arange(6)
    less = (pictures.pixels[:6].float() - crops.mean) / crops.deviation
    torch.testing.assert_close(crops.middle(rows), less[:, 3:60, 3:60].permute(0, 3, 1, 2))
    drawn = crops.random(rows, np.random.default_rng(0))
    every = torch.cat([image.unfold(0, 57, 1).unfold(1, 57, 1).reshape(-1, 3, 57, 57) for image in less])
    for crop in drawn:
        apart = torch.stack([(way - crop).abs().amax((1, 2, 3)) for way in (every, every.flip(3))])
        assert float(apart.min()) < 1e-5


@pytest.mark.parametrize("frozen", [1, 3, 5])
def test_frozen_layers_stay_byte_for_byte_and_all_others_move(frozen: int) -> None:
    network = StudiedNetwork(name="resnet18", crop=32)
    pixels = torch.randint(0, 256, (8, network.size, network.size, 3), dtype=torch.uint8)
    labels, tests = np.arange(8) % 2, np.zeros(8, dtype=bool)
    pictures = Pictures(kind="noise", pixels=pixels, labels=labels, tests=tests, classes=("a", "b"))
    stages = network.random(2, 0)
    before = [{key: value.clone() for key, value in stage.state_dict().items()} for stage in stages]
    crops = Crops.of(pictures, network, "cpu")
    net = train(stages, frozen, crops, np.arange(8), labels, plan=TrainingPlan(iterations=2, batch=8), seed=0)
    for number, (stage, was) in enumerate(zip(net, before, strict=True)):
        same = [value.numpy().tobytes() == was[key].numpy().tobytes() for key, value in stage.state_dict().items()]
        assert all(same) if number < frozen else not any(same)
    # the source itself is not changed
    for stage, was in zip(stages, before, strict=True):
        assert all(torch.equal(value, was[key]) for key, value in stage.state_dict().items())
    assert 0.0 <= accuracy(net, crops, np.arange(8), labels) <= 1.0


def test_a_training_learns_and_can_be_stopped(pictures: Pictures) -> None:
    network = StudiedNetwork(width=0.1)
    crops, rows = Crops.of(pictures, network, "cpu"), np.flatnonzero(~pictures.tests)
    plan = TrainingPlan(iterations=40, batch=16)
    net = train(network.random(4, 0), 0, crops, rows, pictures.labels[rows], plan=plan, seed=0)
    assert accuracy(net, crops, rows, pictures.labels[rows]) > 0.6
    stop = threading.Event()
    stop.set()
    with pytest.raises(KeyboardInterrupt):
        train(network.random(4, 0), 0, crops, rows, pictures.labels[rows], plan=plan, seed=0, stop=stop)


def test_source_and_target_never_share_a_class(pictures: Pictures, tmp_path: Path) -> None:
    work = _Work(pictures, None, None, TINY, 8, Cells(tmp_path, {"study": "one"}), "cpu")
    halves = set()
    for repeat in range(6):
        first, second = work.sides(repeat)
        assert not set(first.numbers.tolist()) & set(second.numbers.tolist())
        assert len(first.numbers) == len(second.numbers) == 2
        halves.add(tuple(first.numbers.tolist()))
        # more images hold the fewer, and none is tested on
        few, many = (set(first.rows(n, 0)[0].tolist()) for n in (2, 3))
        assert few < many
        assert not many & set(first.tests()[0].tolist())
        assert not pictures.tests[sorted(many)].any()
    assert len(halves) > 1
    with pytest.raises(InputError, match="class 'class-0' is in the source and in the target"):
        freeze_depth(pictures, tmp_path / "b", source=pictures, protocol=TINY)


class Stop:
    """Progress that stops the work after some steps."""

    def __init__(self, after: int) -> None:
        self.left = after

    @contextmanager
    def task(self, name: str, total: int) -> Iterator[Callable[[int], None]]:
        yield self.step

    def step(self, done: int) -> None:
        self.left -= done
        if self.left < 0:
            raise KeyboardInterrupt


def test_a_stopped_study_goes_on_and_ends_as_one_that_was_not(pictures: Pictures, tmp_path: Path) -> None:
    whole = freeze_depth(pictures, tmp_path / "whole", protocol=TINY)
    with pytest.raises(KeyboardInterrupt):
        freeze_depth(pictures, tmp_path / "cut", protocol=TINY, progress=Stop(20))
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "cut" / "cells").iterdir()}
    assert 20 <= len(kept) < len(list((tmp_path / "whole" / "cells").iterdir()))
    resumed = freeze_depth(pictures, tmp_path / "cut", protocol=TINY)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert freezing_document(whole) == freezing_document(resumed)
    for study, name in ((whole, "a"), (resumed, "b")):
        save_freeze_depth(study, tmp_path / name)
    names = {path.name for path in (tmp_path / "a").iterdir()}
    assert names == {
        "report.html",
        "results.csv",
        "findings.json",
        *(f"{n}.png" for n in ("layers", "images", "freezing", "generality")),
    }
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    # more repeats go on from the same folder
    more = freeze_depth(pictures, tmp_path / "cut", protocol=replace(TINY, repeats=3))
    for condition, values in whole.accuracies.items():
        np.testing.assert_array_equal(more.accuracies[condition][: len(values)], values)
    assert "networks" in estimate_freezing(pictures, protocol=TINY, halved=True)


def test_what_is_compared_is_there(pictures: Pictures, tmp_path: Path) -> None:
    found = freeze_depth(pictures, tmp_path, protocol=replace(TINY, repeats=1))
    assert found.depth == 8
    assert found.classes == 2
    for n in (2, 3):
        assert found.frozen(0, n, tuned=True).shape == (2,)
        np.testing.assert_array_equal(found.frozen(7, n, tuned=True), found.frozen(7, n, tuned=False))
    for layer in (1, 7):
        for origin in ("self", "source"):
            for frozen in (0, layer):
                assert found.of(origin, layer, frozen, 3).shape == (2,)
    np.testing.assert_array_equal(found.of("source", 7, 0, 3), found.frozen(0, 3, tuned=True))


def test_a_published_network_is_a_source_if_the_file_is_its_own(pictures: Pictures, tmp_path: Path) -> None:
    protocol = replace(
        TINY, network=StudiedNetwork(name="mobilenet_v3_small", crop=32), layers=(3,), images=(2,), repeats=1
    )
    save_file(torchvision.models.mobilenet_v3_small().state_dict(), tmp_path / "own.safetensors")
    own = replace(pictures, pixels=pictures.pixels[:, :35, :35].contiguous())
    found = freeze_depth(own, tmp_path / "a", weights=tmp_path / "own.safetensors", protocol=protocol)
    assert found.classes == 4
    assert found.gains(tuned=True).shape == (1, 1, 1)
    save_file({"conv.weight": torch.zeros(3, 3)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="not the weights of mobilenet_v3_small"):
        freeze_depth(own, tmp_path / "b", weights=tmp_path / "other.safetensors", protocol=protocol)
    with pytest.raises(UsageError, match="AlexNet is trained from nothing"):
        freeze_depth(pictures, tmp_path / "c", weights=tmp_path / "own.safetensors", protocol=TINY)


def study_of(gains: dict[int, list[float]], images: tuple[int, ...], noise: float = 0.0, units: int = 6) -> FreezeDepth:
    """A study whose gains by frozen layers and images are these."""
    draw, found = np.random.default_rng(0), dict[Condition, np.ndarray]()
    for place, n in enumerate(images):
        found[Condition(origin="random", kept=0, frozen=0, images=n)] = np.full(units, 0.3)
        found[Condition(origin="source", kept=7, frozen=0, images=n)] = np.full(units, 0.5)
        for layer, values in gains.items():
            value = 0.5 + values[place] + noise * draw.normal(size=units)
            found[Condition(origin="source", kept=7, frozen=layer, images=n)] = value
            found[Condition(origin="source", kept=layer, frozen=layer, images=n)] = value - 0.2
    protocol = replace(QUICK, images=images)
    return FreezeDepth(data="made up", protocol=protocol, depth=8, layers=tuple(gains), classes=2, accuracies=found)


def test_the_rule_is_the_layers_that_gain_most_until_they_gain_no_more() -> None:
    study = study_of({1: [0.01, 0.01, -0.02], 3: [0.05, 0.02, -0.02], 5: [0.06, -0.2, -0.3]}, (10, 40, 160))
    rule = freeze_rule(study, tuned=True)
    assert (rule.layer, rule.share) == (3, 1.0)
    assert rule.until == pytest.approx(80.0)  # halfway between 40 and 160 on a logarithmic scale
    assert [rule.low, rule.high] == pytest.approx([80.0, 80.0])
    assert rule.gain == pytest.approx(0.035)
    never = freeze_rule(study_of({1: [-0.01, 0.1], 2: [-0.1, -0.1]}, (5, 50)), tuned=True)
    assert (never.layer, never.until, never.share) == (0, 0.0, 0.0)
    always = freeze_rule(study_of({1: [0.1, 0.1]}, (5, 50)), tuned=False)
    assert always.layer == 1
    assert always.until == always.high == float("inf")


def test_the_interval_of_the_rule_grows_with_what_differs_between_repeats() -> None:
    gains = {1: [0.02, 0.0, -0.02], 3: [0.03, 0.01, -0.03]}
    sure, unsure = (freeze_rule(study_of(gains, (10, 40, 160), noise), tuned=True) for noise in (0.001, 0.05))
    assert sure.high - sure.low < unsure.high - unsure.low
    assert sure.layers.tolist() == [0.0, 1.0]
    assert unsure.layers.max() < 1.0
    alone = freeze_rule(study_of(gains, (10, 40, 160), units=1), tuned=True)
    assert (alone.low, alone.high) == (0.0, float("inf"))


def test_bad_numbers_are_refused(pictures: Pictures, tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match="8 layers of alexnet to freeze, which has 8 with the layer of classes"):
        freeze_depth(pictures, tmp_path, protocol=replace(TINY, layers=(8,)))
    with pytest.raises(InputError, match="class 'class-0': 9 training images asked, 4 found"):
        freeze_depth(pictures, tmp_path, protocol=replace(TINY, images=(2, 9)))
    three = replace(pictures, labels=pictures.labels.clip(max=2), classes=pictures.classes[:3])
    with pytest.raises(InputError, match="halves of 3 classes"):
        freeze_depth(three, tmp_path, protocol=TINY)
    assert not list(tmp_path.iterdir())


ENDS = [
    ([], 2, "give either --data or --rig"),
    (["--data", "{tree}", "--images", "9"], 3, "class 'class-0': 9 training images asked, 4 found"),
    (["--data", "{tree}", "--images", "2,x"], 2, "--images: 'x' is no whole number"),
    (["--data", "{tree}", "--images", "2", "--layers", "8"], 2, "8 layers of alexnet to freeze"),
    (["--data", "{tree}", "--images", "2", "--network", "resnet19"], 2, "did you mean 'resnet18'"),
    (["--data", "{tree}", "--images", "2", "--network", "toynet"], 2, "toynet is not one of torchvision"),
    (["--data", "{tree}", "--images", "2", "--network", "vit_b_16"], 2, "VisionTransformer is not a chain"),
]


@pytest.mark.parametrize(("arguments", "code", "message"), ENDS)
def test_the_command_says_what_is_wrong(tmp_path: Path, arguments: list[str], code: int, message: str) -> None:
    plain(tmp_path / "tree")
    asked = [part.format(tree=tmp_path / "tree") for part in arguments]
    done = CliRunner().invoke(app, ["study", "freeze-depth", "--quick", *asked, "--out", str(tmp_path / "out")])
    assert done.exit_code == code
    assert message in " ".join(done.output.split())
    assert not (tmp_path / "out").exists()


def test_the_command_writes_one_document(tmp_path: Path) -> None:
    plain(tmp_path / "tree")
    asked = ["--data", str(tmp_path / "tree"), "--images", "2", "--layers", "2", "--iterations", "1", "--repeats", "1"]
    done = CliRunner().invoke(app, ["study", "freeze-depth", "--quick", *asked, "--out", str(tmp_path / "o"), "--json"])
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["rules"]["tuned"]["layers"] in (0, 2)
    assert "no measure of it" in " ".join(document["sentences"])
    assert all(Path(name).exists() for name in document["files"])
    page = (tmp_path / "o" / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert page.count("<svg") == 4
