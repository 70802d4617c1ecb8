"""Every benchmark runs and writes what it measured; with ``--quick``, whose numbers say nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "benchmarks"
ALWAYS = ("campaign", "heads", "levels", "route")
ASKED_FOR = (
    "crash", "extraction", "factors", "finetuning", "judging", "judging_views", "null", "planning", "planning_speed",
    "same_views", "scale", "stopping", "strategies", "successor", "surface", "thesis_grid", "transfer",
)  # fmt: skip
unasked = pytest.mark.skipif("ACQPLAN_BENCHMARKS" not in os.environ, reason="ACQPLAN_BENCHMARKS unset: takes minutes")
QUICK = [*ALWAYS, *(pytest.param(name, marks=unasked) for name in ASKED_FOR)]


@pytest.mark.parametrize("name", QUICK)
def test_a_benchmark_runs_and_writes_what_it_measured(name: str, tmp_path: Path) -> None:
    command = [sys.executable, f"{FOLDER}/{name}.py", "--quick", "--device", "cpu", "--out", str(tmp_path / "results")]
    environment = {**os.environ, "ACQPLAN_CACHE": str(tmp_path / "cache"), "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    document = json.loads((tmp_path / "results" / f"{name}-cpu-quick.json").read_text())
    assert document["benchmark"] == name
    assert {"date", "commit", "cpu", "cores", "torch", "load_before"} <= set(document["machine"])
    assert document["results"]
