"""``acqplan recommend --budget 2430`` on the embedded toy rig, from a cold cache: ``python benchmarks/recommend.py``.

Runs the program as a user does, in a process of its own with an empty cache, and watches the memory of the whole tree
of processes (proportional set size: shared pages count once).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import machine, options, say, write

BUDGET = 2430
PAUSE_SECONDS = 0.25
PROGRAM = "from acqplan.cli.app import main; main()"


def main() -> None:
    """Measure, print, write JSON."""
    asked = options(
        __doc__,
        ("--runs", {"type": int, "default": 1}),
        ("--arguments", {"default": "", "help": "more of acqplan: --arguments='--strategy lattice'"}),
    )
    about = machine(asked.device)
    say(about)
    runs = [_run(asked.device, 90 if asked.quick else BUDGET, asked.arguments.split()) for _ in range(asked.runs)]
    for run in runs:
        print(f"{run['seconds']:.1f} s, peak memory of all processes {run['peak_gb']:.2f} GB")
    write("recommend", asked, about, runs)


def _run(device: str, budget: int, extra: list[str]) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", PROGRAM, "recommend", "--budget", str(budget), "--device", device]
        command += ["--out", f"{folder}/out", *extra]
        began, peak = time.perf_counter(), 0.0
        with (Path(folder) / "log").open("w+") as log:
            program = subprocess.Popen(
                command, env={**os.environ, "ACQPLAN_CACHE": f"{folder}/cache"}, stdout=log, stderr=subprocess.STDOUT
            )
            while program.poll() is None:
                peak = max(peak, sum(map(_bytes, _tree(program.pid))))
                _wait(program)
            took = time.perf_counter() - began
            log.seek(0)
            shown = log.read()
        if program.returncode:
            raise SystemExit(f"acqplan ended with code {program.returncode}:\n{shown}")
    return {"budget": budget, "seconds": took, "peak_gb": peak / 1e9}


def _wait(program: subprocess.Popen[bytes]) -> None:
    """A pause that ends with the program."""
    try:
        program.wait(PAUSE_SECONDS)
    except subprocess.TimeoutExpired:
        return


def _tree(root: int) -> list[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # the name, in parentheses, may hold anything
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    found = [root]
    for process in found:
        found += children.get(process, [])
    return found


def _bytes(process: int) -> int:
    """Memory of a process, its share of shared pages; 0 once it is gone."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))


if __name__ == "__main__":
    main()
