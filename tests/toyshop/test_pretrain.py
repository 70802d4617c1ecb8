"""Pretraining: the same recipe gives the same weights, interrupted or not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from acqplan.errors import UsageError
from acqplan.features.toynet import plain
from acqplan.progress import SILENT, Progress
from acqplan.rig.norb import CATEGORIES
from acqplan.rig.render import LIGHTINGS, expose
from benchmarks.toyshop.pretrain.__main__ import EMBEDDED, pretrain, write_weights
from benchmarks.toyshop.pretrain.augment import plain_light, varied
from benchmarks.toyshop.pretrain.data import render_poses
from benchmarks.toyshop.pretrain.loop import Training, folded
from benchmarks.toyshop.pretrain.recipe import HELD_OUT, TRAINED, Recipe

TINY = Recipe(members=2, views=2, epochs=2, batch=4, precision="float32")
FAMILIES = (("cup", "stool"), ("knot", "tent"))


class Interrupting:
    """Somebody presses Ctrl-C during a task of some name."""

    def __init__(self, name: str) -> None:
        self.name = name

    @contextmanager
    def task(self, name: str, total: int) -> Iterator[Callable[[int], None]]:
        """A task; the first step of the named one is interrupted."""

        def advance(_: int) -> None:
            if name.startswith(self.name):
                raise KeyboardInterrupt

        yield advance


def tiny_run(work: Path, progress: Progress = SILENT) -> Training:
    return pretrain(TINY, work, families=FAMILIES, progress=progress)


def same_weights(a: Training, b: Training) -> bool:
    pairs = zip(a.net.state_dict().values(), b.net.state_dict().values(), strict=True)
    return all(torch.equal(first, second) for first, second in pairs)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Training:
    return tiny_run(tmp_path_factory.mktemp("undisturbed"))


def test_same_recipe_gives_the_same_weights(undisturbed: Training, tmp_path: Path) -> None:
    assert same_weights(tiny_run(tmp_path), undisturbed)


def test_another_seed_gives_other_weights(undisturbed: Training, tmp_path: Path) -> None:
    other = Recipe(seed=1, members=2, views=2, epochs=1, batch=4, precision="float32")
    assert not same_weights(pretrain(other, tmp_path, families=FAMILIES), undisturbed)


@pytest.mark.parametrize("when", ["rendering", "epoch 1", "epoch 2"])
def test_interrupted_and_resumed_equals_undisturbed(undisturbed: Training, tmp_path: Path, when: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        tiny_run(tmp_path, Interrupting(when))
    assert same_weights(tiny_run(tmp_path), undisturbed)


def test_written_weights_are_small_and_load_with_their_recipe(undisturbed: Training, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    write_weights(folded(undisturbed.net.eval()), path, {"recipe": {"seed": 0}})
    assert path.stat().st_size <= 3_000_000
    plain().load_state_dict(load_file(path))
    about = json.loads(path.with_suffix(".json").read_text())
    with safe_open(path, "pt") as opened:
        assert json.loads(opened.metadata()["recipe"]) == about["recipe"] == {"seed": 0}


def test_embedded_weights_are_small_and_say_how_they_were_made() -> None:
    about = json.loads(EMBEDDED.with_suffix(".json").read_text())
    assert EMBEDDED.stat().st_size <= 3_000_000
    assert {"recipe", "training_seconds", "device", "versions", "command"} <= set(about)
    assert not set(CATEGORIES) & set(about["families"])
    plain().load_state_dict(load_file(EMBEDDED))


def test_held_out_families_are_not_trained_on() -> None:
    assert not set(HELD_OUT) & set(TRAINED)
    assert len(TRAINED) >= 60


def test_plain_light_is_the_renderers(tmp_path: Path) -> None:
    poses = render_poses(("cup",), TINY, tmp_path)
    levels = poses.gather(torch.arange(2))
    for row, strengths in enumerate(LIGHTINGS.values()):
        ours = plain_light(levels, row)[:, 0].numpy()
        theirs = expose(levels[0].numpy(), np.array([strengths]))[0]
        np.testing.assert_allclose(ours[0], theirs, atol=0.51)


def test_a_pose_looks_different_at_every_visit_and_the_same_for_a_seed(tmp_path: Path) -> None:
    levels = render_poses(("cup",), TINY, tmp_path).gather(torch.arange(4))
    first, again, other = (varied(levels, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert first.shape == (4, 1, 96, 96)
    assert first.abs().max() <= 2.0
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    assert (first - other).abs().mean() > 0.05


def test_recipe_without_epochs_is_refused() -> None:
    with pytest.raises(UsageError, match="epochs = 0"):
        Recipe(epochs=0)
