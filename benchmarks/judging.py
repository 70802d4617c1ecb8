"""Does the interval of a planned test hold, and is it as wide as foretold? ``python benchmarks/judging.py``.

In each split some objects of each class teach a head, and foretell how wide the interval of a test will be. The others
are the population: a test draws its objects from them with replacement, as new objects of which each kept-aside one
stands for its likes, and the truth is the head's accuracy on all of their views. So truth is known, test objects are
independent, and no interval has to be corrected for a population that ends. At equal images, the planned test (many
objects, views of a lattice) is set against the same objects with views by lot and with neighbouring ones, against
images by lot of all objects, and against two objects of each class.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from common import machine, options, quick_rig, say, write
from jaxtyping import Bool, Float, Int

from acqplan.evaluate.experiment import Material, train_on
from acqplan.features.extractor import Extractor
from acqplan.plan import find_strategy
from acqplan.plan.base import History
from acqplan.rig.rendered import toy_rig
from acqplan.rig.spec import open_rig
from acqplan.rng import generator
from acqplan.runtime import Runtime
from acqplan.space import Category, Circle, Interval, Objects, Shots, Space
from acqplan.statistics.judging import Components, class_interval
from acqplan.statistics.objects import mean_interval
from acqplan.study.transfer import TransferProtocol, pool_of

VIEWS = Space(
    axes=(
        Circle(name="azimuth", values=tuple(range(0, 360, 20))),
        Interval(name="elevation", values=(30.0, 40.0, 50.0, 60.0, 70.0), unit="deg"),
        Category(name="lighting", values=("L0", "L2", "L4")),
    )
)
"""270 views of each toy."""

TEACHERS, SHOTS = 4, 8
"""Objects of each class that teach, and images of each."""

SIZES = ((6, 1), (6, 2), (6, 4), (6, 8), (3, 4))
"""Test objects of each class, and images of each."""

DRAWS = {"planned": 20, "views by lot": 100, "views in a row": 100, "images by lot": 100, "two objects": 100}
"""Tests drawn in each split."""

FORETOLD = ("planned", "views by lot")
"""Tests of the objects and views that the expectation is about."""

# Rows of a test: of which shots, and which of its objects each shows.
Test = tuple[Int[np.ndarray, " images"], Int[np.ndarray, " images"]]


def main() -> None:
    """Measure, print a line for each rig and size, write JSON."""
    shared = Path(os.environ.get("ACQPLAN_SHARED", "../shared"))
    asked = options(__doc__, ("--splits", {"type": int, "default": 20}))
    about = machine(asked.device)
    say(about)
    cases = ["toys/histogram", "toys/toynet"]
    if (shared / "weights" / "mobilenet_v2.safetensors").exists():
        cases += ["meshes50/mobilenet_v2", "eth80/mobilenet_v2"]
    results = {}
    for case in cases[:1] if asked.quick else cases:
        began = time.perf_counter()
        material = _material(case, shared, asked.device, quick=asked.quick)
        results[case] = _examined(material, 2 if asked.quick else asked.splits, asked.device, quick=asked.quick)
        results[case]["seconds"] = round(time.perf_counter() - began, 1)
        print(case, results[case]["rig"])
        for size, found in results[case]["sizes"].items():
            print(f"{case} {size}", *(f"\n    {key}: {value}" for key, value in found.items()), flush=True)
    write("judging", asked, about, results)


def _material(case: str, shared: Path, device: str, *, quick: bool) -> Material:
    name, backbone = case.split("/")
    weights = shared / "weights" / "mobilenet_v2.safetensors" if backbone == "mobilenet_v2" else None
    if quick:
        with TemporaryDirectory() as folder:
            source = open_rig(quick_rig(Path(folder))).source
        shots = source.shots()
    elif name == "toys":
        source = toy_rig(space=VIEWS)
        shots = source.shots()
    else:
        rig = open_rig(shared / "data" / f"{name}.toml")
        source, shots = rig.source, pool_of(rig, TransferProtocol())
    eye = Extractor.open(source, backbone=backbone, weights=weights, runtime=Runtime.detect(device))
    return Material(shots=shots, features=eye(shots))


def _examined(material: Material, splits: int, device: str, *, quick: bool) -> dict[str, dict]:
    shots = material.shots
    sizes = ((2, 2),) if quick else SIZES
    draws = dict.fromkeys(DRAWS, 5) if quick else DRAWS
    rows: dict[tuple, list] = {}
    rig = []
    for split in range(splits):
        teachers, others = _sides(shots, split, 2 if quick else TEACHERS)
        known, right = _taught(material, teachers, split, device)
        mine = np.isin(shots.object_rows, others)
        accuracies = np.array([right[shots.object_rows == one].mean() for one in others])
        population = Components.of(right[mine].astype(float), shots.object_rows[mine], shots.class_rows[mine])
        rig.append((accuracies.mean(), population.correlation, known.accuracy, known.correlation))
        n_views = np.mean([(shots.object_rows == one).sum() for one in others])
        classes = len(shots.objects.classes)
        for size in sizes:
            n_objects = size[0] * classes
            expected = known.half_width(n_objects, classes, size[1], n_views)
            supposed = Components().half_width(n_objects, classes, size[1], n_views)
            for kind, n_draws in draws.items():
                draw = generator(split, "judging", kind, *size)
                for its, places in _tests(kind, shots, others, size, n_draws, draw):
                    names, numbers, counts = np.unique(places, return_inverse=True, return_counts=True)
                    found = np.bincount(numbers, weights=right[its]) / counts
                    labels = np.zeros(len(names), dtype=np.int64)
                    labels[numbers] = shots.class_rows[its]
                    row = _judged(found, labels, float(accuracies.mean()))
                    rows.setdefault((size, kind), []).append((*row, expected, supposed))
    means = np.mean(rig, axis=0).round(3).tolist()
    told = dict(zip(("accuracy", "correlation", "pilot_accuracy", "pilot_correlation"), means, strict=True))
    found: dict[str, dict] = {"rig": {"splits": splits, "views": float(n_views), **told}, "sizes": {}}
    for size in sizes:
        found["sizes"]["{} x {}".format(*size)] = {
            kind: _summary(np.array(rows[size, kind]), foretold=kind in FORETOLD) for kind in draws
        }
    return found


def _sides(shots: Shots, split: int, n_teachers: int) -> tuple[np.ndarray, np.ndarray]:
    draw = generator(split, "judging", "split")
    of_class = [np.flatnonzero(shots.objects.class_rows == one) for one in range(len(shots.objects.classes))]
    order = [draw.permutation(mine) for mine in of_class]
    return np.concatenate([mine[:n_teachers] for mine in order]), np.concatenate([mine[n_teachers:] for mine in order])


def _taught(
    material: Material, teachers: np.ndarray, split: int, device: str
) -> tuple[Components, Bool[np.ndarray, " shots"]]:
    """What heads on left-out teachers tell of a test, and which shots a head of all teachers gets right."""
    shots = material.shots
    pool = shots.take(np.isin(shots.object_rows, teachers))
    n_shots = min(SHOTS, len(pool) // len(teachers)) * len(teachers)
    taken = pool.take(find_strategy("lattice").propose(pool, History.empty(pool), n_shots, split).rows)
    head = train_on([History(shots=taken, features=material(taken))], device=device)[0]
    right = (head.beliefs.argmax(axis=1) == taken.class_rows).astype(float)
    known = Components.of(right, taken.object_rows, taken.class_rows)
    return known, head.predict(material.features) == shots.class_rows


def _tests(
    kind: str, shots: Shots, others: np.ndarray, size: tuple[int, int], n_draws: int, draw: np.random.Generator
) -> Iterator[Test]:
    """Tests of a kind, all of as many images."""
    n_objects, n_views = size
    rows_of = {int(one): np.flatnonzero(shots.object_rows == one) for one in others}
    classes = [others[shots.objects.class_rows[others] == one] for one in range(len(shots.objects.classes))]
    total = n_objects * n_views * len(classes)
    if kind == "two objects":
        n_objects, n_views = 2, min(n_objects * n_views // 2, min(map(len, rows_of.values())))
    for _ in range(n_draws):
        chosen = np.concatenate([draw.choice(mine, n_objects) for mine in classes])
        its = [rows_of[int(one)] for one in chosen]
        if kind == "images by lot":
            every = np.concatenate(its)
            places = np.repeat(np.arange(len(its)), [len(mine) for mine in its])
            lots = draw.permutation(len(every))[:total]
            yield every[lots], places[lots]
        elif kind == "planned":
            yield _planned(shots, chosen, its, total, int(draw.integers(2**31)))
        else:
            if kind == "views in a row":  # azimuth by azimuth from one that is drawn
                its = [np.roll(mine[np.lexsort(shots.coordinates[mine].T)], draw.integers(len(mine))) for mine in its]
            else:
                its = [draw.permutation(mine) for mine in its]
            yield (
                np.concatenate([mine[:n_views] for mine in its]),
                np.repeat(np.arange(len(its)), n_views),
            )


def _planned(shots: Shots, chosen: np.ndarray, its: list[np.ndarray], total: int, seed: int) -> Test:
    """The lattice over drawn objects; one that was drawn twice is two objects."""
    labels = tuple(shots.objects.labels[one] for one in chosen)
    rows, places = np.concatenate(its), np.repeat(np.arange(len(its)), [len(mine) for mine in its])
    objects = Objects(names=tuple(f"object-{number:03d}" for number in range(len(its))), labels=labels)
    pool = Shots(space=shots.space, objects=objects, object_rows=places, coordinates=shots.coordinates[rows])
    taken = find_strategy("lattice").propose(pool, History.empty(pool), total, seed).rows
    return rows[taken], places[taken]


def _judged(
    found: Float[np.ndarray, " objects"], labels: np.ndarray, truth: float
) -> tuple[float, float, bool, float, bool]:
    """Error, and of both intervals the half-width and whether it holds."""
    mean, low, high = class_interval(found, labels)
    _, lower, upper = mean_interval(found)
    return mean - truth, (high - low) / 2, low <= truth <= high, (upper - lower) / 2, lower <= truth <= upper


def _summary(rows: np.ndarray, *, foretold: bool) -> dict[str, float]:
    error, half, holds, half_t, holds_t, expected, supposed = rows.T
    found = {
        "tests": len(rows),
        "error_sd_points": round(100 * float(error.std()), 2),
        "half_width_points": round(100 * float(half.mean()), 2),
        "holds": round(float(holds.mean()), 3),
        "t_half_width_points": round(100 * float(half_t.mean()), 2),
        "t_holds": round(float(holds_t.mean()), 3),
    }
    if foretold:
        found |= {
            "expected_points": round(100 * float(expected.mean()), 2),
            "expected_over_found_sd": round(math.exp(float(np.log(expected / half).std())) - 1, 3),
            "prior_points": round(100 * float(supposed.mean()), 2),
        }
    return found


if __name__ == "__main__":
    main()
