"""Extraction when something goes wrong: nothing lost, nothing wrong kept."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from acqplan.errors import AcqplanError, OutputError
from acqplan.features.backbone import Backbone
from acqplan.features.cache import FeatureCache
from acqplan.features.extract import extract
from acqplan.runtime import Runtime

if TYPE_CHECKING:
    from tests.features.conftest import FileSource

Tiny = Callable[..., Backbone]
Expected = Callable[["FileSource"], np.ndarray]
RUNTIME = Runtime(batch=8)


class Small(nn.Module):
    """Runs out of memory above some number of images."""

    def __init__(self, inner: nn.Module, holds: int) -> None:
        super().__init__()
        self.inner, self.holds, self.asked = inner, holds, list[int]()

    def forward(self, x: Tensor) -> Tensor:
        self.asked.append(len(x))
        if len(x) > self.holds:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        out: Tensor = self.inner(x)
        return out


@pytest.mark.parametrize("holds", [1, 3, 8, 20])
def test_batches_are_halved_until_they_fit_and_stay_so(
    rig: "FileSource", holds: int, quarters: nn.Module, tiny: Tiny, expected: Expected
) -> None:
    module = Small(quarters, holds)
    features = extract(rig, rig.shots(), tiny(module), runtime=Runtime(batch=40), cache=None)
    np.testing.assert_allclose(features, expected(rig), rtol=1e-5)
    failed = [asked for asked in module.asked if asked > holds]
    assert failed == [size for size in (40, 20, 10, 5, 2) if size > holds]


def test_one_image_too_large_for_the_memory_is_said(rig: "FileSource", quarters: nn.Module, tiny: Tiny) -> None:
    with pytest.raises(AcqplanError, match="one image does not fit in memory"):
        extract(rig, rig.shots(), tiny(Small(quarters, 0)), runtime=RUNTIME, cache=None)


class Poisonous(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.full((len(x), 4), float("nan"))


def test_features_that_are_not_finite_name_the_backbone_and_are_not_kept(
    rig: "FileSource", cache: FeatureCache, tiny: Tiny
) -> None:
    with pytest.raises(AcqplanError, match="tiny:quarters gave features that are not finite"):
        extract(rig, rig.shots(), tiny(Poisonous()), runtime=RUNTIME, cache=cache)
    assert cache.size() == 0


def test_a_rig_that_leaves_out_a_shot_is_found_out(rig: "FileSource", tiny: Tiny) -> None:
    lazy = replace(rig, leaves_out=1)
    with pytest.raises(AcqplanError, match="took 39 of 40 shots"):
        extract(lazy, rig.shots(), tiny(), runtime=RUNTIME, cache=None)


def test_interrupted_work_is_kept_and_the_rig_is_closed(
    rig: "FileSource", cache: FeatureCache, tiny: Tiny, expected: Expected
) -> None:
    interrupted = replace(rig, interrupted_after=30)
    with pytest.raises(KeyboardInterrupt):
        extract(interrupted, rig.shots(), tiny(batch=2), runtime=Runtime(batch=2), cache=cache)
    assert (rig.folder / "closed").exists()
    features = extract(rig, rig.shots(), tiny(), runtime=RUNTIME, cache=cache)
    np.testing.assert_allclose(features, expected(rig), rtol=1e-5)
    assert len(rig.taken()) <= 40 + 2 * 4


def test_a_failing_backbone_closes_the_rig_and_ends_its_thread(rig: "FileSource", tiny: Tiny) -> None:
    class Failing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("shapes do not match")

    interrupted = replace(rig, interrupted_after=30)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        extract(interrupted, rig.shots(), tiny(Failing(), batch=2), runtime=Runtime(batch=2), cache=None)
    assert (rig.folder / "closed").exists()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("features")]


def test_a_cache_that_cannot_be_written_is_said_before_any_capture(
    rig: "FileSource", tmp_path: Path, tiny: Tiny
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="ACQPLAN_CACHE"):
        extract(rig, rig.shots(), tiny(), runtime=RUNTIME, cache=FeatureCache.open(tmp_path / "file"))
    assert rig.taken() == []


PROCESS = """
import itertools, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from conftest import open_file_rig, tiny_backbone
from acqplan.features.cache import FeatureCache
from acqplan.features.extract import extract
from acqplan.runtime import Runtime
rig = open_file_rig(Path(sys.argv[2]), 40, seconds=float(sys.argv[4]))
ticks = itertools.count(step=30)  # seconds: every batch is saved
cache = FeatureCache.open(Path(sys.argv[3]))
extract(rig, rig.shots(), tiny_backbone(batch=2), runtime=Runtime(batch=2), cache=cache, clock=lambda: next(ticks))
"""


def start(rig: "FileSource", cache: FeatureCache, seconds: float) -> subprocess.Popen[bytes]:
    here = Path(__file__).parent
    arguments = map(str, (here, rig.folder, cache.root, seconds))
    return subprocess.Popen([sys.executable, "-c", PROCESS, *arguments], stderr=subprocess.PIPE)


def test_killed_work_goes_on_where_it_was(
    rig: "FileSource", cache: FeatureCache, tiny: Tiny, expected: Expected
) -> None:
    process = start(rig, cache, 0.05)
    while len(rig.taken()) < 20 and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    process.communicate()
    before = len(rig.taken())
    features = extract(rig, rig.shots(), tiny(), runtime=RUNTIME, cache=cache)
    np.testing.assert_allclose(features, expected(rig), rtol=1e-5)
    # two images a batch: one being filled, two waiting, one in the network, one being saved
    assert before <= len(rig.taken()) <= 40 + 2 * 5


def test_two_processes_at_once_agree(rig: "FileSource", cache: FeatureCache, tiny: Tiny, expected: Expected) -> None:
    processes = [start(rig, cache, 0.01) for _ in range(2)]
    for process in processes:
        assert process.communicate()[1] == b""
        assert process.returncode == 0
    before = len(rig.taken())
    features = extract(rig, rig.shots(), tiny(), runtime=RUNTIME, cache=cache)
    np.testing.assert_allclose(features, expected(rig), rtol=1e-5)
    assert len(rig.taken()) == before
