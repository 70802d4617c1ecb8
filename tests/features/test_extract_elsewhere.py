"""Extraction by other processes: one for each device, or those of a dask cluster."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from torch import Tensor, nn

from acqplan.errors import AcqplanError, MissingError, UsageError
from acqplan.features.backbone import Backbone, load_backbone
from acqplan.features.cache import FeatureCache
from acqplan.features.devices import networks_for
from acqplan.features.extract import extract
from acqplan.progress import SILENT, Progress
from acqplan.rig.source import Image
from acqplan.runtime import Runtime
from acqplan.space import Objects, Shots, Space
from tests.dask_cluster import DaskCluster, dask_cluster, free_port, kill, needs_dask

if TYPE_CHECKING:
    from tests.features.conftest import FileSource

Tiny = Callable[..., Backbone]
Expected = Callable[["FileSource"], np.ndarray]
TWO = Runtime(batch=4, devices=("cpu", "cpu"))


class Signing(nn.Module):
    """Notes the process of each pass, and may take its time or kill the process at a certain pass."""

    def __init__(self, inner: nn.Module, log: Path, *, seconds: float = 0.0, dies_at: int = 0) -> None:
        super().__init__()
        self.inner, self.log, self.seconds, self.dies_at, self.n_passes = inner, log, seconds, dies_at, 0

    def forward(self, x: Tensor) -> Tensor:
        time.sleep(self.seconds)
        self.n_passes += 1
        if self.n_passes == self.dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        with self.log.open("a") as log:
            log.write(f"{os.getpid()}\n")
        out: Tensor = self.inner(x)
        return out


def signers(log: Path) -> list[int]:
    return [int(line) for line in log.read_text().split()] if log.exists() else []


def test_devices_share_the_work_and_the_features_are_the_same(
    rig: "FileSource", cache: FeatureCache, tmp_path: Path, quarters: nn.Module, tiny: Tiny, expected: Expected
) -> None:
    log = tmp_path / "passes"
    features = extract(rig, rig.shots(), tiny(Signing(quarters, log)), runtime=TWO, cache=cache)
    np.testing.assert_allclose(features, expected(rig), rtol=1e-5)
    assert len(rig.taken()) == 40
    by_process = [signers(log).count(pid) for pid in sorted(set(signers(log)))]
    assert by_process == [5, 5]
    assert os.getpid() not in signers(log)


def test_a_process_that_dies_is_named_and_what_was_computed_is_kept(
    rig: "FileSource", cache: FeatureCache, tmp_path: Path, quarters: nn.Module, tiny: Tiny, expected: Expected
) -> None:
    deadly = tiny(Signing(quarters, tmp_path / "passes", dies_at=3))
    with pytest.raises(AcqplanError, match=r"the process that computed features on cpu died; .* in the cache"):
        extract(rig, rig.shots(), deadly, runtime=TWO, cache=cache)
    before = len(rig.taken())
    assert (rig.folder / "closed").exists()
    features = extract(rig, rig.shots(), tiny(), runtime=Runtime(batch=4), cache=cache)
    np.testing.assert_allclose(features, expected(rig), rtol=1e-5)
    # each process did two batches of four before its third killed it
    assert len(rig.taken()) - before == 40 - 4 * 4


def test_devices_of_two_kinds_are_refused() -> None:
    with pytest.raises(UsageError, match="of one kind"):
        Runtime(device="cpu", devices=("cpu", "cuda:0"))


def test_dask_missing_names_the_extra(rig: "FileSource", tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(
        MissingError, match=r"needs dask, which is not installed; pip install 'acqplan\[dask\]'"
    ) as caught:
        extract(rig, rig.shots(), tiny(), runtime=Runtime(cluster="tcp://127.0.0.1:1"), cache=None)
    assert caught.value.exit_code == 4


@needs_dask
@pytest.mark.parametrize("address", ["tcp://127.0.0.1:PORT", "nonsense://here"])
def test_a_cluster_that_is_not_there_is_said_before_any_capture(rig: "FileSource", tiny: Tiny, address: str) -> None:
    runtime = Runtime(cluster=address.replace("PORT", str(free_port())))
    with pytest.raises(MissingError, match="no dask scheduler answers at") as caught:
        extract(rig, rig.shots(), tiny(), runtime=runtime, cache=None)
    assert caught.value.exit_code == 4
    assert rig.taken() == []


@pytest.fixture(scope="module")
def cluster() -> Iterator[DaskCluster]:
    """A scheduler on loopback, and its two worker processes."""
    with dask_cluster() as running:
        yield running


@dataclass(frozen=True, slots=True, kw_only=True)
class Killing:
    """A rig in whose capture a worker is killed once both have computed something."""

    rig: "FileSource"
    victim: subprocess.Popen[bytes]
    log: Path
    name: str = "killing"

    @property
    def space(self) -> Space:
        return self.rig.space

    @property
    def objects(self) -> Objects:
        return self.rig.objects

    def shots(self) -> Shots:
        return self.rig.shots()

    def identities(self, shots: Shots) -> list[bytes]:
        return self.rig.identities(shots)

    def capture(self, shots: Shots, *, progress: Progress = SILENT) -> Iterator[tuple[int, Image]]:
        for row, image in self.rig.capture(shots):
            yield row, image
            if self.victim.poll() is None and len(set(signers(self.log))) == 2:
                kill(self.victim)


@needs_dask
def test_a_cluster_gives_the_same_features_and_loses_nothing_with_a_worker(
    cluster: DaskCluster,
    rig: "FileSource",
    cache: FeatureCache,
    tmp_path: Path,
    quarters: nn.Module,
    tiny: Tiny,
    expected: Expected,
) -> None:
    address, workers = cluster.address, cluster.workers
    runtime, log = Runtime(batch=2, cluster=address), tmp_path / "passes"
    slow = tiny(Signing(quarters, log, seconds=0.1))
    features = extract(Killing(rig=rig, victim=workers[0], log=log), rig.shots(), slow, runtime=runtime, cache=cache)
    np.testing.assert_allclose(features, expected(rig), rtol=1e-5)
    assert len(rig.taken()) == 40
    assert {worker.pid for worker in workers} == set(signers(log))
    assert signers(log)[-1] == workers[1].pid
    extract(rig, rig.shots(), tiny(), runtime=Runtime(), cache=cache)
    assert len(rig.taken()) == 40, "all is in the cache"


@needs_dask
def test_a_real_backbone_travels_to_the_cluster(cluster: DaskCluster, rig: "FileSource") -> None:
    backbone = load_backbone("toynet-untrained:stage2+pool", runtime=Runtime())
    there = extract(rig, rig.shots().take([0, 1]), backbone, runtime=Runtime(cluster=cluster.address), cache=None)
    here = extract(rig, rig.shots().take([0, 1]), backbone, runtime=Runtime(), cache=None)
    np.testing.assert_allclose(there, here, rtol=1e-5, atol=1e-6)


@needs_dask
def test_a_cluster_whose_last_worker_dies_is_said_and_what_was_computed_is_kept(
    cluster: DaskCluster,
    rig: "FileSource",
    cache: FeatureCache,
    tmp_path: Path,
    quarters: nn.Module,
    tiny: Tiny,
    expected: Expected,
) -> None:
    address, workers = cluster.address, cluster.workers
    for worker in workers[:-1]:
        kill(worker)
    deadly = tiny(Signing(quarters, tmp_path / "passes", dies_at=6))
    with pytest.raises(AcqplanError, match=r"the dask cluster .*look after its workers"):
        extract(rig, rig.shots(), deadly, runtime=Runtime(batch=2, cluster=address), cache=cache)
    before = len(rig.taken())
    features = extract(rig, rig.shots(), tiny(), runtime=Runtime(batch=4), cache=cache)
    np.testing.assert_allclose(features, expected(rig), rtol=1e-5)
    assert len(rig.taken()) - before < 40


def test_one_device_needs_no_process(tiny: Tiny) -> None:
    one = replace(tiny(), runtime=Runtime(devices=("cpu",)))
    with networks_for(one, 1) as networks:
        assert networks.count == 1
