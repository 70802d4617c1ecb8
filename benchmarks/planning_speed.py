"""Seconds and peak memory of planning: ``python benchmarks/planning_speed.py``.

Every plan is made in a process of its own, blind (no image captured), a tenth of the candidates; the largest space has
1° steps of azimuth and elevation, 16 lights, and 5 objects. Memory is the peak of the process without its imports.
``variance`` joins neighbouring views into cells beyond a thousand views; what that loses is measured on a space that it
can plan both ways, as the share of the class variance that is left.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from common import machine, options, say, seconds, write
from reference import integrated_variance

from acqplan.plan import find_strategy
from acqplan.plan.base import History
from acqplan.plan.surrogate import ShotKernel, class_points, covariance, fit_surrogate, points_of
from acqplan.plan.variance import Variance
from acqplan.space import Category, Circle, Interval, Objects, Shots, Space, parse_values

STRATEGIES = ("lattice", "herding", "variance")

SPACES: Mapping[str, tuple[str, str, int, int, int]] = {
    "1,458": ("0:320:40", "30:70:20", 2, 27, 145),
    "5,400": ("0:340:20", "30:70:10", 4, 15, 540),
    "24,300": ("0:340:20", "30:70:5", 6, 25, 2_430),
    "103,680": ("0:355:5", "30:65:5", 12, 15, 5_000),
    "1,008,000": ("0:359:1", "30:64:1", 16, 5, 10_000),
}
"""Candidates: azimuths, elevations, lights, objects, and shots to choose."""

CLASSES = 5
LOSS = ("0:350:10", "30:70:5", 6, 5, 400)


def main() -> None:
    """Measure, print, write JSON."""
    asked = options(
        __doc__,
        ("--one", {"nargs": 2, "help": argparse.SUPPRESS}),
        ("--sizes", {"nargs": "+", "choices": list(SPACES), "default": list(SPACES)}),
        ("--strategies", {"nargs": "+", "default": list(STRATEGIES)}),
    )
    if asked.one:
        print(json.dumps(_plan(*asked.one)))
        return
    about = machine("cpu")
    say(about)
    sizes = list(SPACES)[:2] if asked.quick else asked.sizes
    plans = {name: [_measured(name, size) for size in sizes] for name in asked.strategies}
    growth = {name: _exponent(found) for name, found in plans.items()}
    for name, exponent in growth.items():
        print(f"{name}: seconds grow as candidates^{exponent:.2f}")
    fits = [_fit(n) for n in ((50,) if asked.quick else (50, 200, 600))]
    print("\n".join(f"fit to {fit['shots']} shots: {fit['seconds']:.2f} s" for fit in fits))
    results = {"plans": plans, "exponent": growth, "fits": fits, "loss": None if asked.quick else _loss()}
    print(results["loss"])
    write("planning_speed", asked, about, results)


def _measured(name: str, size: str) -> dict[str, float]:
    done = subprocess.run([sys.executable, __file__, "--one", name, size], capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    print(
        f"{name:10s} {found['shots']:>7,} of {found['candidates']:>9,}: {found['seconds']:6.2f} s, "
        f"{found['peak_gb']:.2f} GB",
        flush=True,
    )
    return found


def _plan(name: str, size: str) -> dict[str, float]:
    shots, n = _shots(*SPACES[size])
    strategy, start = find_strategy(name), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    choice = strategy.propose(shots, History.empty(shots), n, 0)
    took = time.perf_counter() - began
    assert len(np.unique(choice.rows)) == n
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "candidates": len(shots),
        "shots": n,
        "seconds": took,
        "peak_gb": peak * 1024 / 1e9,
        "added_gb": (peak - start) * 1024 / 1e9,
    }


def _shots(azimuths: str, elevations: str, lights: int, n_objects: int, n: int) -> tuple[Shots, int]:
    space = Space(
        axes=(
            Circle(name="azimuth", values=parse_values(azimuths)),
            Interval(name="elevation", values=parse_values(elevations), unit="deg"),
            Category(name="lighting", values=tuple(f"L{number}" for number in range(lights))),
        )
    )
    # one class if objects are few: the more shots know of each other, the harder
    classes = CLASSES if n_objects > CLASSES else 1
    objects = Objects(
        names=tuple(f"object-{number:02d}" for number in range(n_objects)),
        labels=tuple(f"class-{number % classes}" for number in range(n_objects)),
    )
    return Shots.every(space, objects), n


def _exponent(plans: list[dict[str, float]]) -> float:
    """Slope of log seconds against log candidates."""
    candidates, took = ([plan[key] for plan in plans] for key in ("candidates", "seconds"))
    return float(np.polyfit(np.log(candidates), np.log(took), 1)[0])


def _fit(n: int) -> dict[str, float]:
    """Seconds of one fit of the kernel to features drawn from it; imports of botorch are not counted."""
    shots, _ = _shots(*SPACES["24,300"])
    some = shots.take(np.random.default_rng(0).permutation(len(shots))[:n])
    points, kernel = points_of(some), ShotKernel(lengths=(25.0, 35.0, 5.0))
    gram = covariance(shots.space, kernel, points, points) + kernel.noise * np.eye(n)
    features = (np.linalg.cholesky(gram) @ np.random.default_rng(1).standard_normal((n, 64))).astype(np.float32)
    fit_surrogate(some.take(range(20)), features[:20], seed=0)
    return {"shots": n, "seconds": seconds(lambda: fit_surrogate(some, features, seed=0))}


def _loss() -> dict[str, float]:
    """Class variance left by plans that join views into cells, over that of plans that tell all views apart."""
    shots, n = _shots(*LOSS)
    kernel = replace(ShotKernel.default(shots.space), common=0.0)
    targets = class_points(0, shots.space.views())
    left = {}
    for largest in (shots.space.n_views, 1000, 500, 250):
        choice = Variance(largest=largest).propose(shots, History.empty(shots), n, 0)
        points = points_of(shots.take(choice.rows))
        left[largest] = integrated_variance(shots.space, kernel, points, targets)
    lots = find_strategy("random-shots").propose(shots, History.empty(shots), n, 0)
    random = integrated_variance(shots.space, kernel, points_of(shots.take(lots.rows)), targets)
    whole = left[shots.space.n_views]
    return {
        "views": shots.space.n_views,
        "shots": n,
        "left_all_views": whole,
        "random_shots_over_all_views": random / whole,
        **{f"cells_{largest}_over_all_views": value / whole for largest, value in left.items()},
    }


if __name__ == "__main__":
    main()
