"""``acqplan recommend --budget 2430`` on the embedded toy rig, cold and warm: ``python benchmarks/recommend.py``.

Runs the program as a user does, in a process of its own: from an empty cache, again with the cache that this left, and
from Python. Says when the plan was on the screen, and watches processor time and memory of the whole tree of processes
(proportional set size: shared pages count once).
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from common import Watched, machine, options, say, watch, watch_acqplan, write

BUDGET = 2430
# The same as the command does, by the library.
FROM_PYTHON = """
import sys
from acqplan import open_rig, recommend
if __name__ == "__main__":
    told = lambda early: print(early.plan, flush=True)
    result = recommend(open_rig(), budget=int(sys.argv[1]), on_plan=told)
    result.save(sys.argv[2])
"""


def main() -> None:
    """Measure in turn, print, write JSON."""
    asked = options(
        __doc__,
        ("--runs", {"type": int, "default": 1}),
        ("--arguments", {"default": "", "help": "more of acqplan: --arguments='--precision auto'"}),
    )
    about = machine(asked.device)
    say(about)
    budget = 90 if asked.quick else BUDGET
    runs = [_run(asked.device, budget, asked.arguments.split()) for _ in range(asked.runs)]
    write("recommend", asked, about, runs)


def _run(device: str, budget: int, extra: list[str]) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["recommend", "--budget", str(budget), "--device", device, *extra, "--out"]
        cache, script = Path(folder) / "cache", Path(folder) / "script.py"
        script.write_text(FROM_PYTHON, encoding="utf-8")
        found = {
            "cold": watch_acqplan([*arguments, f"{folder}/cold"], cache=cache),
            "warm": watch_acqplan([*arguments, f"{folder}/warm"], cache=cache),
        }
        if device == "cpu":  # with the package that is beside this benchmark, as the command has
            os.environ["PYTHONPATH"] = str(Path(__file__).parent.parent)
            command = [sys.executable, str(script), str(budget), f"{folder}/python"]
            found["from Python, cold"] = watch(command, cache=Path(folder) / "another cache")
            found["from Python, warm"] = watch(command, cache=cache)
    for name, one in found.items():
        print(
            f"{name:18s} plan after {one.first_seconds:5.1f} s, all after {one.seconds:6.1f} s, "
            f"processors {one.cpu_seconds:6.1f} s, memory {one.peak_gb:.2f} GB",
            flush=True,
        )
    return {"budget": budget, **{name: _numbers(one) for name, one in found.items()}}


def _numbers(one: Watched) -> dict[str, float]:
    return {name: getattr(one, name) for name in ("seconds", "first_seconds", "cpu_seconds", "peak_gb")}


if __name__ == "__main__":
    main()
