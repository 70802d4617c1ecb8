"""Fine-tuning against frozen heads, and the pose as an auxiliary target: ``python benchmarks/finetuning.py``.

ETH-80 and its half of four easily confused categories (``ACQPLAN_SHARED``), MobileNetV2, many splits: of each category
four objects are trained on, with four random views each, and ten views of each of the other six are tested. All arms of
a split have the same images; the frozen arm is the exact head. An interval is Student's over splits, which share
objects and so are not quite independent. What is finished is kept beside the JSON, so that a stopped run goes on.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from common import machine, options, quick_rig, say, write
from jaxtyping import Int

from acqplan.features.extractor import Extractor
from acqplan.numbers import percent, points
from acqplan.rig.spec import open_rig
from acqplan.rng import generator
from acqplan.space import Shots
from acqplan.statistics.objects import mean_interval
from acqplan.study.cells import Cells
from acqplan.study.finetune import FineTuning, Tunable, fine_tune

RIG = 'source = "folder"\npath = "{path}"\n'
OBJECTS, VIEWS, TEST_VIEWS = 4, 4, 10
# Name of an arm -> how many of the last stages it trains, and how.
ARMS: Mapping[str, tuple[int, FineTuning]] = {
    "2 stages": (2, FineTuning()),
    "2 stages, pose .3": (2, FineTuning(pose=0.3)),
    "4 stages": (4, FineTuning()),
    "4 stages, pose .3": (4, FineTuning(pose=0.3)),
    "2 stages, random start": (2, FineTuning(start="random")),
}
# What is subtracted from an arm; the frozen head from all others.
AGAINST = {"2 stages, pose .3": "2 stages", "4 stages, pose .3": "4 stages"}
QUICK = ("2 stages", "2 stages, pose .3")
# Takes all passes in every fold, and so is measured on every so many splits.
SLOW, EVERY = "2 stages, random start", 4


def main() -> None:
    """Measure, print, write JSON."""
    shared = Path(os.environ.get("ACQPLAN_SHARED", "")) / "data"
    asked = options(
        __doc__,
        ("--splits", {"type": int, "default": 20}),
        ("--rigs", {"nargs": "+", "default": ["eth80-4", "eth80"], "help": "folders of ACQPLAN_SHARED/data"}),
        ("--threads", {"type": int, "default": torch.get_num_threads()}),
    )
    torch.set_num_threads(asked.threads)
    about = machine(asked.device)
    say(about)
    results = {}
    with tempfile.TemporaryDirectory() as place:
        for name in ["toys"] if asked.quick else asked.rigs:
            rig = quick_rig(Path(place)) if asked.quick else Path(place) / f"{name}.toml"
            if not asked.quick:
                rig.write_text(RIG.format(path=shared / name / "manifest.csv"), encoding="utf-8")
            results[name] = measured(name, rig, 2 if asked.quick else asked.splits, asked.out, quick=asked.quick)
    write("finetuning", asked, about, results)


def measured(name: str, rig: Path, n_splits: int, out: Path, *, quick: bool) -> dict[str, object]:
    """All arms on all splits of a rig."""
    source = open_rig(rig).source
    weights = Path(os.environ.get("ACQPLAN_SHARED", "")) / "weights" / "mobilenet_v2.safetensors"
    spec = "toynet" if quick else "mobilenet_v2"
    extractor = Extractor.open(source, backbone=spec, weights=None if quick else weights)
    shots = source.shots()
    about = {"study": f"finetuning {name}", "backbone": extractor.backbone.fingerprint, "arms": str(ARMS)}
    cells = Cells(out / f"finetuning-{name}{'-quick' if quick else ''}", about)
    accuracy: dict[str, list[float]] = {"frozen": []}
    passes, took = dict[str, list[int]](), dict[str, list[float]]()
    tunables = dict[int, Tunable]()
    for split in range(n_splits):
        for arm, (stages, settings) in ARMS.items():
            if (quick and arm not in QUICK) or (arm == SLOW and split % EVERY):
                continue
            kept = cells.load(f"{split}-{arm}")
            if kept is None:
                if stages not in tunables:
                    tunables[stages] = Tunable.of(extractor, shots, stages=stages)
                train, tests = divided(shots, split, quick=quick)
                began, chosen = time.perf_counter(), replace(settings, seed=split, epochs=3 if quick else 20)
                found = fine_tune(tunables[stages], train=train, tests=tests, settings=chosen)
                right = [
                    float((chances.argmax(1) == shots.class_rows[tests]).mean())
                    for chances in (found.frozen, found.probabilities)
                ]
                took_seconds = np.array(time.perf_counter() - began)
                kept = {"right": np.array(right), "passes": np.array(found.epochs), "seconds": took_seconds}
                cells.save(f"{split}-{arm}", kept)
            if arm == next(iter(ARMS)):
                accuracy["frozen"].append(float(kept["right"][0]))
            accuracy.setdefault(arm, []).append(float(kept["right"][1]))
            passes.setdefault(arm, []).append(int(kept["passes"]))
            took.setdefault(arm, []).append(float(kept["seconds"]))
    return shown(name, accuracy, passes, took)


def divided(shots: Shots, split: int, *, quick: bool) -> tuple[Int[np.ndarray, " train"], Int[np.ndarray, " tests"]]:
    """Rows to train on and to test on, of other objects."""
    draw, train, tests = generator(split, "finetuning"), list[int](), list[int]()
    for label in range(len(shots.objects.classes)):
        objects = draw.permutation(np.flatnonzero(shots.objects.class_rows == label))
        for place, number in enumerate(objects):
            rows = np.flatnonzero(shots.object_rows == number)
            is_train = place < (2 if quick else OBJECTS)
            side, n_views = (train, VIEWS) if is_train else (tests, TEST_VIEWS)
            side += draw.choice(rows, min(n_views, len(rows)), replace=False).tolist()
    return np.array(sorted(train)), np.array(sorted(tests))


def shown(
    name: str, accuracy: dict[str, list[float]], passes: dict[str, list[int]], took: dict[str, list[float]]
) -> dict[str, object]:
    """The arms as a table on the screen and as a document."""
    print(f"\n{name}: {len(accuracy['frozen'])} splits, frozen head {percent(float(np.mean(accuracy['frozen'])))} %")
    document: dict[str, object] = {"frozen": accuracy["frozen"]}
    for arm in took:
        other = AGAINST.get(arm, "frozen")
        step = EVERY if arm == SLOW else 1
        differences = {
            against: mean_interval(np.array(accuracy[arm]) - np.array(accuracy[against][::step]), lowest=-1.0)
            for against in dict.fromkeys(["frozen", other])
        }
        document[arm] = {
            "accuracy": accuracy[arm],
            "minus": {key: list(found) for key, found in differences.items()},
            "passes": passes[arm],
            "seconds": took[arm],
        }
        said = "; ".join(
            f"minus {key} {points(mean)} ({points(low)} to {points(high)})"
            for key, (mean, low, high) in differences.items()
        )
        print(
            f"  {arm:24s} {percent(float(np.mean(accuracy[arm])))} %; {said}; "
            f"passes {np.median(passes[arm]):.0f}; {np.median(took[arm]):.0f} s a split"
        )
    return document


if __name__ == "__main__":
    main()
