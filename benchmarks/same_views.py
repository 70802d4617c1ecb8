"""Can captured shots tell whether all objects should have the same views? ``python benchmarks/same_views.py``.

In each split of the objects, from both sides, half of them are captured by the lattice, 4 to 40 images of each, and the
removal test of `benchmarks.ideas.same_views` compares sub-plans of half of these images. The truth is a head on `even`
minus one on `lattice`, at as many images as were captured, on the other objects.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from common import machine, options, say, write

from acqplan.evaluate.experiment import Material, train_on
from acqplan.features.extractor import Extractor
from acqplan.plan import find_strategy
from acqplan.plan.base import History
from acqplan.rig.folder import FolderSource
from acqplan.rig.spec import open_rig
from acqplan.rng import generator
from acqplan.runtime import Runtime
from acqplan.statistics.objects import mean_interval

sys.path.append(str(Path(__file__).parent.parent))  # where `benchmarks.ideas` is found
from benchmarks.ideas.same_views import same_or_staggered

CASES = ("toys/histogram", "toys/toynet", "eth80-other/mobilenet_v2", "eth80-4/mobilenet_v2")
"""The first three are for development: nothing was chosen on eth80-4."""

PILOTS = (4, 8, 16, 40)
JUDGED = 12_000
"""Shots of the other objects at most."""


def main() -> None:
    """Measure, print, write JSON."""
    asked = options(
        __doc__,
        ("--splits", {"type": int, "default": 6}),
        ("--cases", {"nargs": "+", "choices": CASES, "default": list(CASES)}),
        ("--shared", {"type": Path, "default": os.environ.get("ACQPLAN_SHARED")}),
    )
    about, results = machine(asked.device), {}
    say(about)
    for case in CASES[:1] if asked.quick else asked.cases:
        if case.startswith("toys") or asked.shared:
            material, cells = _material(case, asked.shared, asked.device), []
            for split in range(1 if asked.quick else asked.splits):
                for side in (0, 1):
                    cells += _cells(material, split, side, PILOTS[:1] if asked.quick else PILOTS, asked.device)
            results[case] = _summary(cells)
            for pilot, found in results[case].items():
                print(case, pilot, {name: np.round(value, 2).tolist() for name, value in found.items()}, flush=True)
            write("same_views", asked, about, results)


def _material(case: str, shared: Path, device: str) -> Material:
    name, backbone = case.split("/")
    source = open_rig(None).source if name == "toys" else FolderSource.open(shared / "data/eth80/manifest.csv")
    weights = shared / "weights/mobilenet_v2.safetensors" if backbone == "mobilenet_v2" else None
    shots = source.shots()
    if name != "toys":
        hard = FolderSource.open(shared / "data/eth80-4/manifest.csv").shots().objects.classes
        labels = np.array(shots.objects.classes)[shots.class_rows]
        shots = shots.take(np.flatnonzero(np.isin(labels, hard) == (name == "eth80-4")))
    extractor = Extractor.open(source, backbone=backbone, weights=weights, runtime=Runtime.detect(device))
    return Material(shots=shots, features=extractor(shots))


def _cells(
    material: Material, split: int, side: int, pilots: Sequence[int], device: str
) -> list[dict[str, float | str]]:
    """What the test says of each pilot, and what is true."""
    shots = material.shots
    first = []
    for label in np.unique(shots.class_rows):
        own = generator(split, "same views", label).permutation(np.unique(shots.object_rows[shots.class_rows == label]))
        first += own[: len(own) // 2].tolist()
    captured = np.isin(shots.object_rows, first) == (side == 0)
    candidates, rows = shots.take(np.flatnonzero(captured)), np.flatnonzero(captured)
    judging = np.flatnonzero(~captured)
    judging = judging[:: -(-len(judging) // JUDGED)]
    n_objects = len(np.unique(candidates.object_rows))

    def planned(rule: str, size: int) -> History:
        chosen = find_strategy(rule).propose(candidates, History.empty(candidates), size * n_objects, split).rows
        return History(shots=candidates.take(chosen), features=material.features[rows[chosen]])

    cells = []
    for pilot in pilots:
        known, even = planned("lattice", pilot), planned("even", pilot)
        half = planned("even", pilot // 2).shots
        views = half.coordinates[half.object_rows == half.object_rows[0]]
        said = same_or_staggered(known, views, seed=split)
        heads = train_on([even, known], device=device)
        same, staggered = (
            float((head.predict(material.features[judging]) == shots.class_rows[judging]).mean()) for head in heads
        )
        cells.append({"pilot": pilot, "difference": said.difference, "answer": said.answer, "true": same - staggered})
    return cells


def _summary(cells: Sequence[Mapping[str, float | str]]) -> dict[str, dict[str, float | list[float]]]:
    """Points: truth and estimate with 95 % intervals over cells, how often each is said, what following it gains."""
    found = {}
    for pilot in sorted({cell["pilot"] for cell in cells}):
        own = [cell for cell in cells if cell["pilot"] == pilot]
        true, said = (100.0 * np.array([cell[name] for cell in own]) for name in ("true", "difference"))
        same, staggered = (np.array([cell["answer"] == answer for cell in own]) for answer in ("same", "staggered"))
        spread = {"true": true, "estimated": said}
        found[f"{pilot} images per object"] = {
            **{name: list(mean_interval(values, lowest=-100.0, highest=100.0)) for name, values in spread.items()},
            "deviation of estimates": float(said.std(ddof=1)),
            "says same": float(same.mean()),
            "says staggered": float(staggered.mean()),
            "gain if followed": float(np.where(same, true, 0.0).mean()),
        }
    return found


if __name__ == "__main__":
    main()
