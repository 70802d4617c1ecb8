"""A benchmark killed again and again: ``python benchmarks/crash.py``.

``acqplan benchmark`` on 20 rendered toys (4 strategies x 3 budgets x 10 seeds x 2 sides = 240 cells, the cache cold) is
killed with SIGKILL at moments drawn over the time of an undisturbed run, and run again until it is done; then it begins
anew, by turns with 2 workers and 1, until it was killed 20 times. Tables must be those of the undisturbed run, byte for
byte. Rendering, features, cells and the report are all killed in.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from common import machine, options, say, write

RIG = """source = "toys"
[[axis]]
name = "azimuth"
kind = "circle"
values = "0:330:30"
[[axis]]
name = "elevation"
kind = "interval"
values = "30:70:20"
[[axis]]
name = "lighting"
kind = "category"
values = ["L0", "L3"]
[render]
instances = 4
size = 48
"""
STRATEGIES, BUDGETS = "lattice,herding,random-shots,even", "32,64,128"
FILES = ("results.csv", "validation.json")
KILLS, QUICK_KILLS = 20, 1
PATIENCE_SECONDS = 30.0
"""What a killed run started is given so long to end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """One kill.

    Attributes:
        series: Which new beginning it was in.
        workers: Processes that computed cells.
        second: When it came, from the start of the program.
        cells_done: Cells on disk then.
        seconds_to_end: Until every process that the program had started was gone; ``None`` if one stayed.
        half_written: Temporary files and folders that were left.
    """

    series: int
    workers: int
    second: float
    cells_done: int
    seconds_to_end: float | None
    half_written: int


def main() -> None:
    """Measure, print, write JSON."""
    asked = options(__doc__, ("--kills", {"type": int, "default": KILLS}), ("--seed", {"type": int, "default": 0}))
    about = machine()
    say(about)
    with tempfile.TemporaryDirectory() as work:
        results = _measure(Path(work), QUICK_KILLS if asked.quick else asked.kills, asked.quick, asked.seed)
    print("\n".join(f"{name:26s} {value}" for name, value in results.items() if name != "kills"), flush=True)
    write("crash", asked, about, results)
    if not results["all_identical"] or results["processes_left"]:
        sys.exit(1)


def _measure(work: Path, n_kills: int, quick: bool, seed: int) -> dict[str, object]:
    began = time.perf_counter()
    (work / "rig.toml").write_text(RIG.replace('"0:330:30"', '"0:270:90"') if quick else RIG, encoding="utf-8")
    n_seeds, cells = (1, 12) if quick else (10, 12)
    _run(work, "whole", 2, n_seeds).wait()
    undisturbed = longest = time.perf_counter() - began
    expected, moments = _found(work / "whole"), random.Random(seed)
    kills: list[Kill] = []
    identical: list[bool] = []
    while len(kills) < n_kills:
        name, workers = f"series-{len(identical)}", 2 - len(identical) % 2
        process, started = _run(work, name, workers, n_seeds), time.perf_counter()
        while not _done(process, moments.uniform(0.0, longest) if len(kills) < n_kills else None):
            kills.append(_kill(process, work / name, len(identical), workers, started, cells))
            print(kills[-1], flush=True)
            process, started = _run(work, name, workers, n_seeds), time.perf_counter()
        if not kills or kills[-1].series < len(identical):  # the first run met a busier machine
            longest = min(longest, time.perf_counter() - started)
        identical.append(_found(work / name) == expected)
    return {
        "cells": 2 * n_seeds * cells,
        "seconds_undisturbed": undisturbed,
        "kills": [asdict(kill) for kill in kills],
        "n_kills": len(kills),
        "cells_done_at_kills": sorted(kill.cells_done for kill in kills),
        "completed_series": len(identical),
        "all_identical": all(identical),
        "processes_left": sum(kill.seconds_to_end is None for kill in kills),
        "longest_seconds_to_end": max(
            PATIENCE_SECONDS if kill.seconds_to_end is None else kill.seconds_to_end for kill in kills
        ),
        "seconds": time.perf_counter() - began,
    }


def _run(work: Path, name: str, workers: int, n_seeds: int) -> subprocess.Popen[bytes]:
    """Start the program as leader of a session of its own, with a cache of its own."""
    program = [sys.executable, "-c", "from acqplan.cli.app import main; main()", "benchmark"]
    design = ["--strategies", STRATEGIES, "--budgets", BUDGETS, "--seeds", str(n_seeds), "--device", "cpu"]
    own = ["--rig", str(work / "rig.toml"), "--out", str(work / name), "--workers", str(workers)]
    environment = {**os.environ, "ACQPLAN_CACHE": str(work / f"cache-{name}")}
    command, nowhere = [*program, *design, *own], subprocess.DEVNULL
    return subprocess.Popen(command, env=environment, start_new_session=True, stdout=nowhere, stderr=nowhere)


def _done(process: subprocess.Popen[bytes], seconds: float | None) -> bool:
    try:
        return process.wait(seconds) is not None
    except subprocess.TimeoutExpired:
        return False


def _kill(process: subprocess.Popen[bytes], out: Path, series: int, workers: int, started: float, cells: int) -> Kill:
    process.kill()
    process.wait()
    killed = time.perf_counter()
    while (left := _living(process.pid)) and time.perf_counter() - killed < PATIENCE_SECONDS:
        time.sleep(0.05)
    return Kill(
        series=series,
        workers=workers,
        second=round(killed - started, 2),
        cells_done=cells * len(list(out.glob("cells/seed-*.npz"))),
        seconds_to_end=None if left else round(time.perf_counter() - killed, 2),
        half_written=len([*out.glob(".*"), *out.glob("cells/.*")]),
    )


def _living(session: int) -> Sequence[str]:
    """Processes of a session, those excepted that are dead and wait to be collected."""
    left = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, own = path.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue  # has ended meanwhile
        if int(own) == session and state != "Z":
            left.append(path.parent.name)
    return left


def _found(out: Path) -> list[bytes]:
    return [(out / name).read_bytes() for name in FILES]


if __name__ == "__main__":
    main()
