"""The whole benchmark of strategies on the toy rig in one command, and its cells by scikit-learn one by one.

``python benchmarks/strategies.py``: 8 strategies x 6 budgets x 20 seeds, each split of 25 train and 25 test objects
used from both sides, from a cold cache. Then, side by side in this process, some cells as the benchmark trains them and
one by one with scikit-learn's LogisticRegression as it comes (L-BFGS, its own tolerance), given the same components,
folds and strengths; all are judged on the same test images.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from common import in_turn, machine, median_ratio, options, quick_rig, say, watch_acqplan, write
from heads import leave_out_one_by_one
from jaxtyping import Bool, Int
from threadpoolctl import threadpool_limits

from acqplan.evaluate.benchmark import STRATEGIES, Benchmark, prepare
from acqplan.evaluate.design import Block
from acqplan.evaluate.experiment import Material, arms_of, train_on
from acqplan.evaluate.replay import joined_history, replay
from acqplan.heads.linear import predict_all
from acqplan.plan.base import History
from acqplan.rig.spec import open_rig
from acqplan.runtime import available_cores

ONE_BY_ONE: Mapping[str, tuple[int | None, float]] = {
    "as it comes": (None, 1e-4),
    "one thread": (1, 1e-4),
    "one thread, as exact as ours": (1, 1e-5),
}
"""scikit-learn's threads of linear algebra (``None``: one a core) and tolerance. Its own tolerance leaves errors of
.18 in probabilities, and several threads wait for each other at every small product (`heads.py`)."""


def main() -> None:
    """Measure, print, write JSON."""
    asked = options(
        __doc__,
        ("--seeds", {"type": int, "default": 20}),
        ("--cells", {"type": int, "default": 3, "help": "cells of each budget that scikit-learn trains"}),
        ("--rounds", {"type": int, "default": 2}),
        (
            "--no-whole",
            {"action": "store_true", "help": "only cells side by side; the whole stays as it is"},
        ),
    )
    about = machine(asked.device)
    say(about)
    with tempfile.TemporaryDirectory() as folder:
        cache, rig = Path(folder) / "cache", quick_rig(Path(folder)) if asked.quick else None
        if asked.no_whole:
            whole = json.loads((asked.out / "strategies-cpu.json").read_text())["results"]["whole"]
        else:
            whole = _whole(2 if asked.quick else asked.seeds, asked.device, Path(folder) / "out", cache, rig)
        _show(whole)
        slice_ = _slice(cache, rig, 1 if asked.quick else asked.cells, 1 if asked.quick else asked.rounds)
    _show(slice_)
    write("strategies", asked, about, {"whole": whole, "slice": slice_})


def _whole(seeds: int, device: str, out: Path, cache: Path, rig: Path | None) -> dict[str, object]:
    arguments = ["benchmark", "--seeds", str(seeds), "--device", device, "--out", str(out)]
    watched = watch_acqplan([*arguments, *(["--rig", str(rig)] if rig else [])], cache=cache)
    times = [_seconds(path) for path in sorted((out / "cells").glob("*.npz"))]
    total = {part: sum(each[part] for each in times) for part in times[0]}
    design = json.loads((out / "design.json").read_text())
    sides = 2 if design["swap"] else 1
    return {
        "strategies": design["strategies"],
        "budgets": design["budgets"],
        "cells": len(design["strategies"]) * len(design["budgets"]) * seeds * sides,
        "seconds": watched.seconds,
        "peak_gb": watched.peak_gb,
        "seconds_in_cells_all_processes": total["altogether"],
        "share_of_heads_in_cells": total["heads"] / total["altogether"],
        "share_of_planning_in_cells": total["planning"] / total["altogether"],
        "verdicts": json.loads((out / "validation.json").read_text())["sentences"],
    }


def _seconds(path: Path) -> Mapping[str, float]:
    with np.load(path) as kept:
        return json.loads(str(kept["about"]))["seconds"]


def _slice(cache: Path, rig: Path | None, n_cells: int, rounds: int) -> dict[str, object]:
    """Some cells of the first block, all budgets alike: trained as the benchmark does, and one by one."""
    os.environ["ACQPLAN_CACHE"] = str(cache)
    benchmark = prepare(open_rig(rig), strategies=STRATEGIES)
    material = benchmark.material()
    block = benchmark.design.blocks()[0]
    histories = _histories(benchmark, material, block, n_cells)
    _, test = benchmark.design.split_of(block).sides(material.shots)
    right: dict[str, Bool[np.ndarray, "cells tests"]] = {}

    def ours() -> None:
        heads = train_on(histories)
        right["ours"] = predict_all(heads, material.features[test]) == material.shots.class_rows[test]

    def theirs(name: str) -> None:
        threads, tolerance = ONE_BY_ONE[name]
        with threadpool_limits(threads or available_cores(), user_api="blas"):
            right[name] = np.stack([_one_by_one(history, material, test, tolerance) for history in histories])

    works = {"ours": ours, **{name: partial(theirs, name) for name in ONE_BY_ONE}}
    times = in_turn(works, rounds)
    accuracy = {name: which.mean(axis=1) for name, which in right.items()}
    return {
        "cells": len(histories),
        "images": [len(history) for history in histories],
        "seconds": times,
        "ratios": {name: median_ratio(times[name], times["ours"]) for name in ONE_BY_ONE},
        "accuracy": {name: float(shares.mean()) for name, shares in accuracy.items()},
        "accuracy_apart_at_most": {name: float(np.abs(accuracy[name] - accuracy["ours"]).max()) for name in ONE_BY_ONE},
    }


def _histories(benchmark: Benchmark, material: Material, block: Block, n_cells: int) -> Sequence[History]:
    split = benchmark.design.split_of(block)
    candidates = material.shots.take(split.sides(material.shots)[0])
    arms = arms_of(benchmark.design, block, n_objects=len(split.train))
    chosen = [
        arm for budget in benchmark.design.budgets for arm in [one for one in arms if one.budget == budget][:n_cells]
    ]
    start = History.empty(candidates)
    return [joined_history(start, run) for run in replay(chosen, candidates, start, material)]


def _one_by_one(
    history: History, material: Material, test: Int[np.ndarray, " tests"], tolerance: float
) -> Bool[np.ndarray, " tests"]:
    assert history.features is not None
    shots = history.shots
    trained = leave_out_one_by_one(
        history.features, shots.class_rows, shots.object_rows, solver="lbfgs", rough=tolerance, fine=tolerance
    )
    inputs = trained.preparation.apply(torch.from_numpy(material.features[test])).double().numpy()
    return trained.method.predict(inputs) == material.shots.class_rows[test]


def _show(found: Mapping[str, object]) -> None:
    print("\n".join(f"{name:32s} {value}" for name, value in found.items()) + "\n", flush=True)


if __name__ == "__main__":
    main()
