"""Does the design surface foretell what other designs reach? ``python benchmarks/surface.py``.

Pilots of a few objects of each class and a few shots of each are drawn by lot; the surface of each (`DesignSurface`) is
set against heads of every design on two other objects of each class. Do its intervals of 80 % hold, inside the pilot
and beyond it? How good are predicted differences of designs of as many images? What is lost if the design of four times
the pilot's images is chosen by the surface, and what is gained over more views of the pilot's objects?
"""

from __future__ import annotations

import itertools
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from common import machine, options, quick_rig, say, write
from jaxtyping import Float, Int

from acqplan.advice.advise import surface_of
from acqplan.advice.sub_designs import STRENGTHS, measure_designs
from acqplan.evaluate.experiment import Material
from acqplan.features.extractor import Extractor
from acqplan.heads.exact import train_heads
from acqplan.plan.base import History
from acqplan.rig.folder import FolderSource
from acqplan.rig.spec import Rig, open_rig
from acqplan.rng import generator
from acqplan.runtime import Runtime
from acqplan.statistics.objects import mean_interval
from acqplan.study.transfer import TransferProtocol, pool_of

Rows = Int[np.ndarray, " rows"]
Designs = Float[np.ndarray, "designs 2"]
# Objects of a class and shots of each of the true surface and of the pilots.
OBJECTS, SHOTS, PILOTS = (1, 2, 3, 4, 6, 8), (1, 2, 4, 8, 16, 32), ((2, 4), (3, 4), (3, 8), (5, 4), (5, 8))
LOOKED = 41  # shots of each object that are looked at
# Test objects of a class, and draws of the true surface.
TESTS, TRUTHS = 2, 48
MORE = 4  # a pilot is at most this part of what is spent


def main() -> None:
    """Measure, print a line for each rig and pilot, write JSON."""
    shared = Path(os.environ.get("ACQPLAN_SHARED", "../shared"))
    asked = options(
        __doc__,
        ("--splits", {"type": int, "default": 20}),
        ("--cases", {"nargs": "+", "help": "rig/backbone, e.g. toys/toynet; by default all that are at hand"}),
    )
    about = machine(asked.device)
    say(about)
    net, data = shared / "weights" / "mobilenet_v2.safetensors", shared / "data"
    cases: dict[str, tuple[Path | None, str, Path | None]] = {
        "toys/toynet": (None, "toynet", None),
        "toys/histogram": (None, "histogram", None),
    }
    if net.exists():
        cases |= {
            "toys/mobilenet_v2": (None, "mobilenet_v2", net),
            "meshes/mobilenet_v2": (data / "meshes50.toml", "mobilenet_v2", net),
            "eth80-4/mobilenet_v2": (data / "eth80-4", "mobilenet_v2", net),
            "eth80/mobilenet_v2": (data / "eth80.toml", "mobilenet_v2", net),
            "eth80/histogram": (data / "eth80.toml", "histogram", None),
        }
    results = {}
    with TemporaryDirectory() as folder:
        if asked.quick:
            cases = {"toys/histogram": (quick_rig(Path(folder)), "histogram", None)}
        for case, (rig, backbone, weights) in cases.items():
            if asked.cases and case not in asked.cases:
                continue
            material = _material(rig, backbone, weights, asked.device)
            pilots = ((2, 4),) if asked.quick else PILOTS
            results[case] = _examined(material, pilots, 2 if asked.quick else asked.splits, asked.device)
            print(case, results[case]["true"])
            for pilot, found in results[case]["pilots"].items():
                print(case, pilot, found, flush=True)
            write("surface", asked, about, results)


def _material(rig: Path | None, backbone: str, weights: Path | None, device: str) -> Material:
    """Some shots of every object, the same number, spread by lot, with their features."""
    is_folder = rig is not None and rig.is_dir()
    opened = Rig(source=FolderSource.open(rig / "manifest.csv")) if is_folder else open_rig(rig)
    pool = pool_of(opened, TransferProtocol())
    draw = generator(0, "surface", "looked")
    rows = [draw.permutation(np.flatnonzero(pool.object_rows == one))[:LOOKED] for one in np.unique(pool.object_rows)]
    pool = pool.take(np.sort(np.concatenate(rows)))
    extractor = Extractor.open(opened.source, backbone=backbone, weights=weights, runtime=Runtime.detect(device))
    return Material(shots=pool, features=extractor(pool))


def _members(material: Material) -> list[Rows]:
    shots = material.shots
    return [np.unique(shots.object_rows[shots.class_rows == one]) for one in np.unique(shots.class_rows)]


def _design(material: Material, members: list[Rows], n_objects: int, n_shots: int, draw: np.random.Generator) -> Rows:
    """Rows of so many shots of so many objects of each class, drawn by lot."""
    chosen = np.concatenate([draw.permutation(mine)[:n_objects] for mine in members])
    objects = material.shots.object_rows
    return np.sort(np.concatenate([draw.permutation(np.flatnonzero(objects == one))[:n_shots] for one in chosen]))


def _truth(material: Material, designs: Designs, device: str) -> Float[np.ndarray, " designs"]:
    """Accuracy of each design on new objects, mean of draws; each design's strength is chosen in the first of them."""
    shots, n_classes = material.shots, len(material.shots.objects.classes)
    found, strengths = np.zeros((TRUTHS, len(designs))), None
    for number in range(TRUTHS):
        draw = generator(number, "surface", "truth")
        split = [draw.permutation(mine) for mine in _members(material)]
        tests = np.flatnonzero(np.isin(shots.object_rows, np.concatenate([mine[:TESTS] for mine in split])))
        teachers = [mine[TESTS:] for mine in split]
        # designs of a draw are nested, so that their differences owe little to the luck of the draw
        place = np.zeros((2, len(shots)))
        for mine in teachers:
            for number_of, one in enumerate(mine):
                own = np.flatnonzero(shots.object_rows == one)
                place[:, own] = np.full(len(own), number_of), draw.permutation(len(own))
        teaches = np.isin(shots.object_rows, np.concatenate(teachers))
        rows = [np.flatnonzero(teaches & (place[0] < k) & (place[1] < m)) for k, m in designs]
        heads = train_heads(
            material.features,
            shots.class_rows,
            shots.object_rows,
            rows,
            n_classes=n_classes,
            strengths=STRENGTHS,
            known=strengths,
            device=device,
        )
        found[number] = [(head.predict(material.features[tests]) == shots.class_rows[tests]).mean() for head in heads]
        strengths = strengths or [head.strength for head in heads]
    return found.mean(axis=0)


def _examined(material: Material, pilots: tuple[tuple[int, int], ...], splits: int, device: str) -> dict[str, dict]:
    least = min(map(len, _members(material)))
    shots = int(np.unique(material.shots.object_rows, return_counts=True)[1].min())
    designs = np.array([(k, m) for k in OBJECTS if k <= least - TESTS for m in SHOTS if m <= shots], dtype=np.float64)
    true = _truth(material, designs, device)
    costs = designs.prod(axis=1)
    pairs = [(a, b) for a, b in itertools.combinations(range(len(designs)), 2) if costs[a] == costs[b]]
    found: dict[str, dict] = {
        "true": {f"{k:.0f} x {m:.0f}": round(float(one), 4) for (k, m), one in zip(designs, true, strict=True)},
        "pilots": {},
    }
    for pilot in pilots:
        within = (designs <= pilot).all(axis=1)
        # designs of four times the pilot's images: the surface's choice, the best, and more views of the same objects
        same = np.flatnonzero(costs == MORE * np.prod(pilot))
        usual = [row for row in same if designs[row, 0] == pilot[0]]
        rows: dict[str, list] = {name: [] for name in ("held", "level", "apart", "right", "pairs", "seconds", "lost")}
        rows["gained"] = []
        for split in range(splits):
            draw = generator(split, "surface", "pilot", *pilot)
            some = _design(material, _members(material), *pilot, draw)
            history = History(shots=material.shots.take(some), features=material.features[some])
            began = time.perf_counter()
            surface = surface_of(measure_designs(history, seed=split, device=device), seed=split)
            draws = surface.accuracies(designs)
            rows["seconds"].append(time.perf_counter() - began)
            low, middle, high = np.quantile(draws, [0.1, 0.5, 0.9], axis=0)
            rows["held"].append((low <= true) & (true <= high))
            rows["level"].append(middle - true)
            for a, b in pairs:
                gain, known = draws[:, b] - draws[:, a], true[b] - true[a]
                rows["apart"].append(abs(np.median(gain) - known))
                rows["pairs"].append(np.quantile(gain, 0.1) <= known <= np.quantile(gain, 0.9))
                if abs(known) >= 0.01:
                    rows["right"].append(np.median(gain) * known > 0.0)
            if len(same) > 1:
                choice = same[draws[:, same].mean(axis=0).argmax()]
                rows["lost"].append(true[same].max() - true[choice])
                if usual:
                    rows["gained"].append(true[choice] - true[usual[0]])
        held = np.array(rows["held"])
        found["pilots"]["{} x {}".format(*pilot)] = {
            "hold_inside": round(float(held[:, within].mean()), 3),
            "hold_beyond": round(float(held[:, ~within].mean()), 3),
            "level_points": [round(100 * float(of(rows["level"])), 2) for of in (np.mean, np.std)],
            "differences_points": round(100 * float(np.median(rows["apart"])), 2),
            "differences_hold": round(float(np.mean(rows["pairs"])), 3),
            "right_where_a_point_apart": round(float(np.mean(rows["right"])), 3) if rows["right"] else None,
            "lost_points": [round(100 * float(of(rows["lost"])), 2) for of in (np.mean, np.max)]
            if rows["lost"]
            else None,
            "gained_points": [round(100 * one, 2) for one in mean_interval(np.array(rows["gained"]), lowest=-1.0)]
            if rows["gained"]
            else None,
            "seconds": round(float(np.mean(rows["seconds"])), 2),
        }
    return found


if __name__ == "__main__":
    main()
