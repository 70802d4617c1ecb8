"""``acqplan recommend --budget 2430`` on the embedded toy rig, from a cold cache: ``python benchmarks/recommend.py``.

Runs the program as a user does, in a process of its own with an empty cache, and watches the memory of the whole tree
of processes (proportional set size: shared pages count once).
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from common import machine, options, say, watch_acqplan, write

BUDGET = 2430


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
        arguments = ["recommend", "--budget", str(budget), "--device", device, "--out", f"{folder}/out", *extra]
        watched = watch_acqplan(arguments, cache=Path(folder) / "cache")
    return {"budget": budget, "seconds": watched.seconds, "peak_gb": watched.peak_gb}


if __name__ == "__main__":
    main()
