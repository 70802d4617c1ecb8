"""How often a benchmark sees a difference where there is none: ``python benchmarks/null.py``.

Two arms are the same strategy with different seeds. Each repeat is a benchmark of its own: a random split of the
objects, used from both sides, and a few seeds. Counted are the verdicts "better" and "worse", and what tests on objects
alone, on images, and clustered tests of one pair of heads would have said at .05.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from common import machine, options, quick_rig, say, write

from acqplan.cli.console import ProgressBars
from acqplan.evaluate.benchmark import Workplace, prepare, run_benchmark
from acqplan.evaluate.results import Results
from acqplan.evaluate.verdict import Verdict
from acqplan.rig.spec import open_rig
from acqplan.runtime import Runtime, available_cores

TESTS = {
    "verdict (objects and seeds)": "p",
    "objects alone (sign-flip)": "p_object",
    "images (McNemar)": "p_mcnemar",
    "clustered images (Obuchowski)": "p_obuchowski",
    "clustered images (Durkalski)": "p_durkalski",
}
LEVEL = 0.05


def main() -> None:
    """Measure, print, write JSON."""
    asked = options(
        __doc__,
        ("--rig", {"type": Path, "help": "rig.toml; without it, the embedded toy rig"}),
        ("--backbone", {"default": None}),
        ("--weights", {"type": Path, "default": None}),
        ("--strategy", {"default": "random-shots"}),
        ("--budget", {"type": int, "default": 100}),
        ("--repeats", {"type": int, "default": 200}),
        ("--seeds", {"type": int, "nargs": "+", "default": [1, 2, 5, 10], "help": "seeds of a repeat"}),
    )
    about = machine(asked.device)
    say(about)
    repeats, seeds = (4, [2]) if asked.quick else (asked.repeats, sorted(asked.seeds))
    with tempfile.TemporaryDirectory() as folder:
        results = _results(asked, repeats, seeds[-1], Path(folder))
    table = {n: _shares([_verdict(results, repeats, repeat, n) for repeat in range(repeats)]) for n in seeds}
    _show(table, repeats)
    write("null", asked, about, {"repeats": repeats, "share_below_05": table})


def _results(asked: argparse.Namespace, repeats: int, n_seeds: int, folder: Path) -> Results:
    """Everything in one run; seeds of one repeat lie ``repeats`` apart, and so have the same split."""
    benchmark = prepare(
        open_rig(quick_rig(folder) if asked.quick else asked.rig, progress=ProgressBars()),
        strategies=(asked.strategy, f"{asked.strategy}#2"),
        budgets=(20 if asked.quick else asked.budget,),
        seeds=range(repeats * n_seeds),
        n_splits=repeats,
        backbone="histogram" if asked.quick else asked.backbone,
        weights=asked.weights,
        runtime=Runtime.detect(asked.device),
    )
    material = benchmark.material(progress=ProgressBars())
    workplace = Workplace(device=asked.device, workers=available_cores() if asked.device == "cpu" else 1)
    return run_benchmark(material, benchmark.design, folder, workplace=workplace, progress=ProgressBars())


def _verdict(everything: Results, repeats: int, repeat: int, n_seeds: int) -> Verdict:
    seeds = everything.design.seeds[repeat::repeats][:n_seeds]
    mine = [result for result in everything.blocks if result.block.number == repeat and result.block.seed in seeds]
    results = replace(everything, design=replace(everything.design, seeds=seeds), blocks=mine)
    names = everything.design.strategies
    return results.verdicts([(names[0], names[1])], everything.design.primary_budget)[0]


def _shares(verdicts: Sequence[Verdict]) -> dict[str, float]:
    return {
        name: float(np.mean([getattr(verdict, field) < LEVEL for verdict in verdicts])) for name, field in TESTS.items()
    }


def _show(table: dict[int, dict[str, float]], repeats: int) -> None:
    error = 100 * (LEVEL * (1 - LEVEL) / repeats) ** 0.5
    print(f"\nshare of {repeats} repeats below .05, % (5 is right; its standard error is {error:.1f})")
    print(f"{'seeds':30s}" + "".join(f"{n:>8d}" for n in table))
    for name in TESTS:
        print(f"{name:30s}" + "".join(f"{100 * shares[name]:8.1f}" for shares in table.values()))


if __name__ == "__main__":
    main()
