"""The same cells on a real dask cluster, whatever becomes of its workers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from acqplan.errors import AcqplanError, MissingError
from acqplan.evaluate.benchmark import Benchmark, Workplace, prepare, run_benchmark
from acqplan.evaluate.design import Design
from acqplan.evaluate.experiment import Material
from acqplan.evaluate.findings import find
from acqplan.evaluate.results import Results
from acqplan.plan.base import Choice, History
from acqplan.plan.designs import RandomShots
from acqplan.rig.spec import open_rig
from acqplan.space import Shots
from tests.cli.conftest import TOYS
from tests.dask_cluster import DaskCluster, dask_cluster, free_port, kill, needs_dask
from tests.evaluate.benchmark.conftest import contents, make_design

pytestmark = needs_dask
SIGNED = "ACQPLAN_TEST_SIGNED"
"""Variable that names the file where `Slow` signs."""


class Slow(RandomShots):
    """Takes so long that a worker can be killed meanwhile, and signs with its process."""

    def propose(self, candidates: Shots, history: History, n: int, seed: int) -> Choice:
        if SIGNED in os.environ:
            with Path(os.environ[SIGNED]).open("a") as log:
                log.write(f"{os.getpid()}\n")
            time.sleep(0.05)
        return RandomShots.propose(self, candidates, history, n, seed)


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cluster") / "signed"


@pytest.fixture(scope="module")
def cluster(signed: Path) -> Iterator[DaskCluster]:
    with dask_cluster(2, **{SIGNED: str(signed)}) as running:
        yield running


@pytest.fixture(scope="module")
def slow() -> Design:
    return make_design(strategies=(f"{__name__}:Slow", "lattice"), seeds=range(8))


@pytest.fixture(scope="module")
def here(slow: Design, material: Material, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a run in this process finds."""
    folder = tmp_path_factory.mktemp("here")
    return written(run_benchmark(material, slow, folder / "run"), folder / "files")


def written(results: Results, folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    results.write_csv(folder / "results.csv")
    find(results).write_json(folder / "validation.json")
    return contents(folder)


class When:
    """Progress that does something once, as soon as it may."""

    def __init__(self, ready: Callable[[], bool], act: Callable[[], None]) -> None:
        self.ready, self.act, self.acted = ready, act, False

    @contextmanager
    def task(self, _: str, __: int) -> Iterator[Callable[[int], None]]:
        yield self._look

    def _look(self, _: int) -> None:
        if not self.acted and self.ready():
            self.acted = True
            self.act()


def signers(signed: Path) -> set[int]:
    return {int(line) for line in signed.read_text().split()} if signed.exists() else set()


def test_a_cluster_finds_the_same_and_loses_nothing_with_a_worker(
    cluster: DaskCluster, signed: Path, slow: Design, here: dict[str, bytes], material: Material, tmp_path: Path
) -> None:
    victim, survivor = cluster.workers[:2]
    death = When(lambda: len(signers(signed)) == 2, lambda: kill(victim))
    there = Workplace(cluster=cluster.address)
    results = run_benchmark(material, slow, tmp_path / "out", workplace=there, progress=death)
    assert signers(signed) == {victim.pid, survivor.pid}
    assert victim.returncode == -9
    assert written(results, tmp_path / "files") == here


def test_a_cluster_that_loses_all_workers_is_said_and_a_later_run_goes_on(
    cluster: DaskCluster,
    slow: Design,
    here: dict[str, bytes],
    material: Material,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("acqplan.evaluate.benchmark.RETURN_SECONDS", 0.5)
    there, out = Workplace(cluster=cluster.address), tmp_path / "out"
    cluster.add_workers(2 - len(cluster.alive))
    death = When(lambda: True, cluster.lose_workers)
    with pytest.raises(AcqplanError, match="has lost all its workers") as lost:
        run_benchmark(material, slow, out, workplace=there, progress=death)
    assert "what was finished is kept" in lost.value.hint
    finished = {path: path.stat().st_mtime_ns for path in (out / "cells").iterdir()}
    assert 0 < len(finished) < len(slow.blocks())

    with pytest.raises(MissingError, match=r"has no workers") as nobody:
        run_benchmark(material, slow, out, workplace=there)
    assert "dask worker" in nobody.value.hint

    cluster.add_workers(1)
    assert written(run_benchmark(material, slow, out, workplace=there), tmp_path / "files") == here
    assert {path: path.stat().st_mtime_ns for path in finished} == finished


def test_a_strategy_that_workers_cannot_import_is_named(
    cluster: DaskCluster, material: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "known_here.py").write_text("from acqplan.plan.designs import RandomShots as Rule\n")
    monkeypatch.syspath_prepend(tmp_path)
    mine = make_design(strategies=("known_here:Rule", "lattice"), seeds=range(1))
    with pytest.raises(AcqplanError, match=r"'known_here:Rule' cannot be made .*No module named 'known_here'"):
        run_benchmark(material, mine, tmp_path / "out", workplace=Workplace(cluster=cluster.address))


def toys(folder: Path) -> Benchmark:
    rig = folder / "toys.toml"
    rig.write_text(TOYS)
    return prepare(
        open_rig(rig), strategies=("lattice", "random-shots"), budgets=(10,), seeds=range(2), backbone="histogram"
    )


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:PORT", "nonsense://here"])
def test_a_cluster_that_is_not_there_is_said_before_anything_is_captured(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACQPLAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("acqplan.features.devices.PATIENCE_SECONDS", 0.5)
    with pytest.raises(MissingError, match="no dask scheduler answers at") as caught:
        toys(tmp_path).run(tmp_path / "out", cluster=address.replace("PORT", str(free_port())))
    assert caught.value.exit_code == 4
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.rglob("*.features"))
