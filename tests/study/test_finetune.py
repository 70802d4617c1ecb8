"""Fine-tuning: what is frozen, where it starts, who chooses how long it lasts."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import save_file

from acqplan.errors import UsageError
from acqplan.features.backbone import load_backbone
from acqplan.features.extractor import Extractor
from acqplan.features.stages import divide
from acqplan.images import png_of
from acqplan.rig.folder import FolderSource
from acqplan.runtime import Runtime
from acqplan.space import Category, Circle, Interval, Objects, Shots, Space
from acqplan.study.finetune import FineTuning, Tunable, fine_tune, pose_targets

SHORT = FineTuning(epochs=2, batch=8, rate=0.01, folds=1)
VIEWS, OBJECTS, CLASSES = 4, 4, 3


@pytest.fixture(scope="module")
def tunable(tmp_path_factory: pytest.TempPathFactory) -> Tunable:
    """Three classes of noisy stripes through a small untrained mobilenet_v2 that normalises for them."""
    draw = np.random.default_rng(0)
    groups = np.repeat(np.arange(CLASSES * OBJECTS), VIEWS)
    targets = groups // OBJECTS
    waves = np.sin(np.arange(64) * (targets[:, None] + 1) / 6.0 + groups[:, None])
    images = (128 + 60 * waves[:, None, None, :] + draw.normal(0, 20, (len(groups), 3, 64, 64))).clip(0, 255)
    torch.manual_seed(0)
    net = torchvision.models.mobilenet_v2(norm_layer=partial(torch.nn.BatchNorm2d, momentum=1.0)).train()
    net((torch.from_numpy(images).float() / 255 - 0.5) / 0.25)
    file = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_file(net.state_dict(), file, metadata={"input": "RGB 64, mean 0.5, std 0.25"})
    backbone = load_backbone("mobilenet_v2", weights=file, runtime=Runtime())
    divided = divide(backbone, 2)
    inputs = divided.lower.features(torch.from_numpy(images.astype(np.uint8)))
    angle = 2 * np.pi * np.tile(np.arange(VIEWS), CLASSES * OBJECTS) / VIEWS
    poses = np.stack([np.sin(angle), np.cos(angle)], axis=1).astype(np.float32)
    return Tunable(divided=divided, inputs=inputs, targets=targets, groups=groups, n_classes=CLASSES, poses=poses)


@pytest.fixture(scope="module")
def train(tunable: Tunable) -> np.ndarray:
    return np.flatnonzero(tunable.groups % OBJECTS < OBJECTS - 1)


@pytest.fixture(scope="module")
def tests(tunable: Tunable) -> np.ndarray:
    return np.flatnonzero(tunable.groups % OBJECTS == OBJECTS - 1)


def state(tunable: Tunable) -> dict[str, bytes]:
    parts = torch.nn.ModuleList([tunable.divided.lower.module, *tunable.divided.upper])
    return {name: value.numpy().tobytes() for name, value in parts.state_dict().items()}


def test_what_is_frozen_stays_byte_for_byte_and_the_rest_moves(
    tunable: Tunable, train: np.ndarray, tests: np.ndarray
) -> None:
    before = state(tunable)
    # objects that are left out may prefer no pass at all: of one class each, none is left out
    alone = train[tunable.groups[train] % OBJECTS == 0]
    found = fine_tune(tunable, train=alone, tests=tests, settings=replace(SHORT, epochs=4))
    assert found.epochs == 2
    assert found.losses == ()
    assert state(tunable) == before
    tuned = found.network.stages
    for own, original in zip(tuned, tunable.divided.upper, strict=True):
        for name, buffer in original.named_buffers():
            assert own.get_buffer(name).numpy().tobytes() == buffer.numpy().tobytes()
        moved = [not torch.equal(own.get_parameter(name), value) for name, value in original.named_parameters()]
        assert any(moved)


def test_without_a_pass_it_is_the_exact_head(tunable: Tunable, train: np.ndarray, tests: np.ndarray) -> None:
    still = fine_tune(tunable, train=train, tests=tests, settings=replace(SHORT, rate=0.0))
    np.testing.assert_allclose(still.probabilities, still.frozen, atol=1e-4)
    assert np.ptp(still.losses) < 1e-4
    random = fine_tune(tunable, train=train, tests=tests, settings=replace(SHORT, rate=0.0, start="random"))
    assert abs(random.losses[0] - still.losses[0]) > 0.01


def test_the_number_of_passes_is_the_best_on_left_out_objects(
    tunable: Tunable, train: np.ndarray, tests: np.ndarray
) -> None:
    found = fine_tune(tunable, train=train, tests=tests, settings=replace(SHORT, epochs=4, patience=1, folds=3))
    assert found.losses[found.epochs] == min(found.losses)
    assert 1 <= len(found.losses) <= 5


def test_test_images_choose_nothing_and_the_same_seed_gives_the_same(
    tunable: Tunable, train: np.ndarray, tests: np.ndarray
) -> None:
    first = fine_tune(tunable, train=train, tests=tests, settings=SHORT)
    inputs = tunable.inputs.copy()
    inputs[tests] = np.random.default_rng(1).random(inputs[tests].shape) * 9
    other = fine_tune(replace(tunable, inputs=inputs), train=train, tests=tests, settings=SHORT)
    assert first.losses == other.losses
    assert not np.array_equal(first.probabilities, other.probabilities)
    for a, b in zip(first.network.parameters(), other.network.parameters(), strict=True):
        assert torch.equal(a, b)


def test_poses_change_what_is_learnt_and_are_learnt(tunable: Tunable, train: np.ndarray, tests: np.ndarray) -> None:
    alone = train[tunable.groups[train] % OBJECTS == 0]
    long = replace(SHORT, epochs=40)
    without, with_poses = (
        fine_tune(tunable, train=alone, tests=tests, settings=replace(long, pose=pose)) for pose in (0.0, 1.0)
    )
    assert not np.array_equal(without.probabilities, with_poses.probabilities)
    inputs = torch.from_numpy(tunable.inputs[alone]).view(-1, *tunable.divided.shape)
    with torch.no_grad():
        guessed = with_poses.network.poses(with_poses.network.features(inputs)).numpy()
    assert np.square(guessed - tunable.poses[alone]).mean() < 0.5 * np.square(tunable.poses[alone]).mean()


def test_half_precision_gives_nearly_the_same(tunable: Tunable, train: np.ndarray, tests: np.ndarray) -> None:
    alone = train[tunable.groups[train] % OBJECTS == 0]
    whole, half = (
        fine_tune(tunable, train=alone, tests=tests, settings=replace(SHORT, precision=precision))
        for precision in ("float32", "bfloat16")
    )
    assert not np.array_equal(whole.probabilities, half.probabilities)
    np.testing.assert_allclose(whole.probabilities, half.probabilities, atol=0.1)


def test_poses_turn_with_the_circle_and_leave_out_categories() -> None:
    axes = (
        Circle(name="azimuth", values=(0.0, 90.0, 180.0)),
        Interval(name="elevation", values=(30.0, 70.0), unit="deg"),
        Category(name="lighting", values=("on", "off")),
    )
    shots = Shots.every(Space(axes=axes), Objects(names=("a",), labels=("cup",)))
    found = pose_targets(shots)
    assert found.shape == (12, 3)
    np.testing.assert_allclose(np.square(found[:, :2]).sum(axis=1), 1.0, atol=1e-6)
    assert set(np.round(found[:, 2], 6).tolist()) == {-1.0, 1.0}
    turned = replace(shots, coordinates=shots.coordinates + np.array([360.0, 0.0, 0.0]))
    np.testing.assert_allclose(pose_targets(turned), found, atol=1e-6)


def test_what_cannot_be_is_refused(tunable: Tunable, train: np.ndarray, tests: np.ndarray) -> None:
    with pytest.raises(UsageError, match="trained on and tested"):
        fine_tune(tunable, train=train, tests=train[:1])
    with pytest.raises(UsageError, match="folds 6"):
        FineTuning(folds=6)
    bare = replace(tunable, poses=np.empty((len(tunable.inputs), 0), dtype=np.float32))
    with pytest.raises(UsageError, match="without a circle"):
        fine_tune(bare, train=train, tests=tests, settings=FineTuning(pose=0.1))


def test_shots_of_a_source_are_tuned_through_the_cache(tmp_path: Path) -> None:
    lines = ["image,label,object,azimuth"]
    for number in range(12):
        pixels = np.random.default_rng(number).integers(0, 256, (32, 32), dtype=np.uint8)
        (tmp_path / f"{number}.png").write_bytes(png_of(pixels))
        lines.append(f"{number}.png,{'ab'[number % 2]},o{number % 4},{10 * number}")
    (tmp_path / "manifest.csv").write_text("\n".join(lines) + "\n")
    source = FolderSource.open(tmp_path / "manifest.csv")
    shots = source.shots()
    tunable = Tunable.of(Extractor.open(source, backbone="toynet"), shots, stages=1)
    train = np.flatnonzero(shots.object_rows < 2)
    found = fine_tune(tunable, train=train, tests=np.flatnonzero(shots.object_rows >= 2), settings=SHORT)
    assert found.probabilities.shape == (6, 2)
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1.0, atol=1e-5)
    assert found.epochs == 1
