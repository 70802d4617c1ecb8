"""Does planning pay, and which idea does? ``python benchmarks/planning.py``.

Strategies on four rigs: rendered toys with toynet and with gradient histograms, photographs of ETH-80 and rendered
meshes with MobileNetV2 (the last two need ``--shared``, a folder with data and weights). Budgets run from 1 % of the
images of the train objects on; every seed has a split of its own, used from both sides. For each rig: `auto` against
every other strategy at every budget (objects and seeds, Holm within a budget), what every rule adds to the lattice, and
images to reach 99 % of what all images of the train objects reach; `Allocate` against equal shares at 2, 4, 8 and 16
images an object, and the lattice in two to five rounds against one. Each part writes a file of its own.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from common import machine, options, quick_rig, say, write

from acqplan.cli.console import ProgressBars
from acqplan.evaluate.benchmark import Workplace, prepare, run_benchmark
from acqplan.evaluate.results import Results
from acqplan.evaluate.verdict import Verdict
from acqplan.rig.spec import Rig, open_rig
from acqplan.runtime import Runtime, available_cores
from acqplan.statistics.curves import images_to_match
from acqplan.statistics.objects import two_way

LEARNED, DIFFICULTY, ALLOCATE, CHOOSE_OBJECTS = (
    f"benchmarks.ideas:{name}" for name in ("LearnedHerding", "Difficulty", "Allocate", "ChooseObjects")
)
IN_ROUNDS = tuple(f"benchmarks.in_rounds:{name}" for name in ("OneThenRest", "Halves", "Doubling"))
STRATEGIES = (
    "auto", "lattice", "herding", LEARNED, "variance", DIFFICULTY, ALLOCATE, "even-staggered", "random-shots", "even",
)  # fmt: skip
PARTS = {
    "ideas": (STRATEGIES, (0.01, 0.02, 0.04, 0.08), 20),
    "sharing": (("auto", "lattice", ALLOCATE, CHOOSE_OBJECTS), (), 20),
    "searching": (("auto", "lattice", "bayes"), (0.01, 0.02), 4),
    "rounds": (("auto", "lattice", *IN_ROUNDS), (), 20),
    "large": (("auto", "random-shots", "even"), (0.01, 0.04, 0.16, 0.5, 1.0), 5),
}
"""Of each part its strategies, its budgets as shares of the pool (none: `IMAGES_AN_OBJECT`) and its seeds. Few
strategies are run at large budgets; `bayes` searches for many seconds in every round."""

IMAGES_AN_OBJECT = (2, 4, 8, 16)
sys.path.append(str(Path(__file__).parent.parent))  # where `benchmarks.ideas` is found
REACHED = 0.99
"""Share of the accuracy with all images that counts as reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A rig and what looks at it.

    Attributes:
        name: Of the case.
        rig: rig.toml; ``None`` for the embedded toys.
        backbone: Name of the backbone.
        weights: Its weights.
        fewest: Images an object at least, where 1 % would be less.
    """

    name: str
    rig: Path | None
    backbone: str
    weights: Path | None = None
    fewest: int = 2


def main() -> None:
    """Measure, print, write JSON."""
    asked = options(
        __doc__,
        ("--cases", {"nargs": "+", "help": "toys-histogram, toys-toynet, eth80, meshes; by default those at hand"}),
        ("--shared", {"type": Path, "default": os.environ.get("ACQPLAN_SHARED")}),
        ("--parts", {"nargs": "+", "default": list(PARTS), "choices": list(PARTS)}),
        (
            "--seeds",
            {"type": int, "help": f"by default {', '.join(f'{n} for {part}' for part, (*_, n) in PARTS.items())}"},
        ),
        ("--keep", {"type": Path, "help": "folder of cells: with the same one, a run that was cut off goes on"}),
    )
    about = machine(asked.device)
    say(about)
    with tempfile.TemporaryDirectory() as folder:
        quick = [Case(name="quick", rig=quick_rig(Path(folder)), backbone="histogram")]
        for case in quick if asked.quick else _cases(asked):
            setup, found = open_rig(case.rig, progress=ProgressBars()), {}
            for part in asked.parts:
                cells = (asked.keep or Path(folder)) / case.name / part
                found[part] = _measure(case, setup, part, asked, cells)
                if not asked.quick:
                    write(f"planning-{case.name}-{part}", asked, about, found[part])
            if asked.quick:
                write("planning", asked, about, found)


def _cases(asked: argparse.Namespace) -> list[Case]:
    cases = [
        Case(name="toys-histogram", rig=None, backbone="histogram"),
        Case(name="toys-toynet", rig=None, backbone="toynet"),
    ]
    if asked.shared:
        weights = asked.shared / "weights" / "mobilenet_v2.safetensors"
        examples = Path(__file__).parent.parent / "examples"
        cases += [
            Case(name=name, rig=examples / f"{name}.toml", backbone="mobilenet_v2", weights=weights)
            for name in ("eth80", "meshes")
        ]
    return [case for case in cases if not asked.cases or case.name in asked.cases]


def _measure(case: Case, setup: Rig, part: str, asked: argparse.Namespace, folder: Path) -> dict[str, object]:
    strategies, shares, n_seeds = PARTS[part]
    budgets = _budgets(setup, shares, case) if shares else _an_object(setup)
    n_seeds = 2 if asked.quick else asked.seeds or n_seeds
    results = _run(case, setup, strategies, budgets, n_seeds, asked.device, folder)
    _show(f"{case.name}, {part}", results)
    return {**_found(results), **({"images to reach": _reach(results)} if part == "large" else {})}


def _budgets(setup: Rig, shares: Sequence[float], case: Case) -> tuple[int, ...]:
    """Shares of what the smaller side of a split can be shot, in whole images an object."""
    shots = setup.source.shots()
    n_objects = len(shots.objects) // 2
    pool = len(shots) // len(shots.objects) * n_objects
    return tuple(sorted({min(max(round(share * pool), case.fewest * n_objects), pool) for share in shares}))


def _an_object(setup: Rig) -> tuple[int, ...]:
    """2, 4, 8, 16 images of each object of the smaller side, as far as there are so many."""
    shots = setup.source.shots()
    n_objects = len(shots.objects) // 2
    return tuple(n * n_objects for n in IMAGES_AN_OBJECT if n <= len(shots) // len(shots.objects))


def _run(
    case: Case,
    setup: Rig,
    strategies: Sequence[str],
    budgets: Sequence[int],
    n_seeds: int,
    device: str,
    folder: Path,
) -> Results:
    benchmark = prepare(
        setup,
        strategies=strategies,
        budgets=budgets,
        seeds=range(n_seeds),
        backbone=case.backbone,
        weights=case.weights,
        runtime=Runtime.detect(device),
    )
    material = benchmark.material(progress=ProgressBars())
    workplace = Workplace(device=device, workers=available_cores() if device == "cpu" else 1)
    return run_benchmark(material, benchmark.design, folder, workplace=workplace, progress=ProgressBars())


def _found(results: Results) -> dict[str, object]:
    accuracy, design = results.accuracy(), results.design
    others = [name for name in design.strategies if name != "auto"]
    verdicts = {
        budget: [_short(verdict) for verdict in results.verdicts([("auto", b) for b in others], budget)]
        for budget in design.budgets
    }
    return {
        "design": design.digest,
        "budgets": list(design.budgets),
        "seeds": len(design.seeds),
        "accuracy": {
            name: [two_way(accuracy[row, column]).mean for column in range(len(design.budgets))]
            for row, name in enumerate(design.strategies)
        },
        "auto against": verdicts,
        "minus lattice": _minus_lattice(results, accuracy),
        "failed": len(results.failed()),
    }


def _minus_lattice(results: Results, accuracy: np.ndarray) -> dict[str, list[Mapping[str, float]]]:
    """The ablation: what every rule adds to the lattice, uncorrected."""
    design = results.design
    if "lattice" not in design.strategies:
        return {}
    base = accuracy[design.strategies.index("lattice")]
    return {
        name: [
            {"mean": found.mean, "low": found.low, "high": found.high, "p": found.p}
            for found in (two_way(accuracy[row, column] - base[column]) for column in range(len(design.budgets)))
        ]
        for row, name in enumerate(design.strategies)
        if name != "lattice"
    }


def _reach(results: Results) -> dict[str, object]:
    """Images to reach 99 % of what all images of the train objects reach."""
    accuracy, design = results.accuracy(), results.design
    whole = two_way(accuracy[design.strategies.index("random-shots"), -1]).mean
    flat = np.full(accuracy.shape[1:], REACHED * whole)
    found = {
        name: images_to_match(accuracy[row], flat, design.budgets, at=design.budgets[-1])[0]
        for row, name in enumerate(design.strategies)
    }
    return {
        "all images": {"images": design.budgets[-1], "accuracy": whole},
        **{
            name: {"images": one.text, "low": one.interval.to_dict()["low"], "high": one.interval.to_dict()["high"]}
            for name, one in found.items()
        },
    }


def _short(verdict: Verdict) -> dict[str, object]:
    return {
        "b": verdict.b,
        "difference": verdict.difference,
        "ci95": verdict.ci95,
        "p": verdict.p,
        "verdict": verdict.verdict,
    }


def _show(name: str, results: Results) -> None:
    found = _found(results)
    design = results.design
    print(f"\n{name}: {len(design.seeds)} seeds, {len(results.shots.objects)} objects")
    print(f"{'strategy':18s}" + "".join(f"{budget:>9,d}" for budget in design.budgets))
    for row, strategy in enumerate(design.strategies):
        shares = results.accuracy()[row]
        print(f"{strategy:18s}" + "".join(f"{100 * two_way(shares[c]).mean:9.1f}" for c in range(len(design.budgets))))
    for budget, verdicts in found["auto against"].items():  # type: ignore[union-attr]
        words = [
            f"{one['b']} {100 * one['difference']:+.1f}{'*' if one['verdict'] != 'no difference found' else ''}"
            for one in verdicts
        ]
        print(f"auto minus, at {budget:,}: " + ", ".join(words), flush=True)


if __name__ == "__main__":
    main()
