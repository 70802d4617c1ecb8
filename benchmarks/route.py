"""Orders that are quick to drive, and what to spend a time on: ``python benchmarks/route.py``.

Routes: seconds of taking the plans of three strategies on the space of the toys (25 objects; azimuth 0.05 s a degree,
elevation 0.10 s a degree, lighting 0.2 s a change, 0.4 s a shot), in the order of the strategy, sorted by axis, and
routed, with changes of the object that are free or cost 20 s; and the seconds of routing.

Choices (``--choices``): accuracy on new objects of what can be taken in a time, histograms as features: the largest
lattice that fits; the largest lattice on fewer poses, which has more images; and half as many lattice shots again, of
which those with the least gain per second are left out until the rest fits.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from common import QUICK_TOYS, machine, options, say, write

from acqplan.evaluate.experiment import train_on
from acqplan.evaluate.task import images_in_time, split_objects
from acqplan.features.extractor import Extractor
from acqplan.heads.linear import predict_all
from acqplan.plan import find_strategy
from acqplan.plan.base import History
from acqplan.plan.route import Times, cheap_order, route_seconds, travel_seconds
from acqplan.rig.norb import norb_space
from acqplan.rig.spec import open_rig
from acqplan.runtime import Runtime
from acqplan.space import Category, Circle, Interval, Objects, Shots, Space, parse_values

STRATEGIES = ("lattice", "random-shots", "even")
SIZES = (810, 2_430)
EXPOSURE = 0.4
OBJECT_CHANGES = (0.0, 20.0)
LARGE = 10_000

LIMITS = {0.0: (120.0, 300.0), 5.0: (600.0, 1200.0)}
"""Seconds at hand, by the seconds of changing the object."""

POSES = {"half the azimuths": (2, 1), "a quarter of the poses": (2, 2), "a ninth of the poses": (3, 3)}
"""Every how many azimuths and elevations of the space."""

TEST_VIEWS = 40
LEFT_OUT = 0.03
TOYS = 'source = "toys"\n[render]\nsize = 48\n'


def main() -> None:
    """Measure, print, write JSON."""
    asked = options(
        __doc__,
        ("--choices", {"action": "store_true", "help": "accuracies as well; renders about 10,000 images"}),
        ("--seeds", {"type": int, "default": 3, "help": "seeds of the choices"}),
    )
    about = machine("cpu")
    say(about)
    routes = [_routed(name, n) for name in STRATEGIES for n in (SIZES[:1] if asked.quick else SIZES)]
    results: dict[str, object] = {"routes": routes, "large": None if asked.quick else _large()}
    if asked.choices:
        results["choices"] = _choices(1 if asked.quick else asked.seeds, small=asked.quick)
    write("route", asked, about, results)


def _routed(name: str, n: int) -> dict[str, object]:
    objects = Objects(
        names=tuple(f"object-{number:02d}" for number in range(25)),
        labels=tuple(f"class-{number % 5}" for number in range(25)),
    )
    every = Shots.every(norb_space(), objects)
    shots = every.take(find_strategy(name).propose(every, History.empty(every), n, 0).rows)
    found = [_orders(shots, Times(per_shot=EXPOSURE, per_object=change)) for change in OBJECT_CHANGES]
    for one in found:
        print(name, one, flush=True)
    return {"strategy": name, "images": len(shots), "by_object_change": found}


def _orders(shots: Shots, times: Times) -> dict[str, float]:
    """Seconds of taking shots in three orders; sorted by axis means object, azimuth, elevation, light."""
    began = time.perf_counter()
    order = cheap_order(shots, times)
    took = time.perf_counter() - began
    by_axis = np.lexsort(shots.coordinates.T[::-1])
    by_object = np.lexsort([*shots.coordinates.T[::-1], shots.object_rows])
    seconds = {
        "strategy": route_seconds(shots, times),
        "sorted_by_axis": route_seconds(shots.take(by_axis), times),
        "sorted_by_object_and_axis": route_seconds(shots.take(by_object), times),
        "routed": route_seconds(shots.take(order), times),
    }
    return {
        "seconds_per_object": times.per_object,
        **{name: round(value, 1) for name, value in seconds.items()},
        "saved_share": round(1 - seconds["routed"] / seconds["strategy"], 3),
        "saved_of_best_sorted": round(
            1 - seconds["routed"] / min(seconds["sorted_by_axis"], seconds["sorted_by_object_and_axis"]), 3
        ),
        "exposure": EXPOSURE * len(shots),
        "routing_took": round(took, 3),
    }


def _large() -> list[dict[str, float]]:
    """10,000 random shots of a space of 2° by 1° steps."""
    azimuth, elevation, lighting = norb_space().axes
    assert isinstance(azimuth, Circle)
    assert isinstance(elevation, Interval)
    assert isinstance(lighting, Category)
    axes = (
        replace(azimuth, values=parse_values("0:358:2")),
        replace(elevation, values=parse_values("30:70:1")),
        lighting,
    )
    objects = Objects(names=tuple(map(str, range(10))), labels=("a", "b") * 5)
    every = Shots.every(Space(axes=axes), objects)
    shots = every.take(np.random.default_rng(0).choice(len(every), LARGE, replace=False))
    found = [_orders(shots, Times(per_shot=EXPOSURE, per_object=change)) for change in (0.0, 1.0, 20.0)]
    print(*found, sep="\n", flush=True)
    return found


def _choices(n_seeds: int, *, small: bool) -> list[dict[str, object]]:
    """Images and accuracy of each way to spend a time, over splits of the toys."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rig.toml"
        path.write_text(QUICK_TOYS if small else TOYS, encoding="utf-8")
        rig = open_rig(path).source
    eye = Extractor.open(rig, backbone="histogram", weights=None, runtime=Runtime.detect("cpu"))
    found = []
    for change, limits in LIMITS.items():
        for limit in limits[:1] if small else limits:
            times = Times(per_shot=EXPOSURE, per_object=change)
            per_seed = [_spent(eye, times, limit, seed) for seed in range(n_seeds)]
            found.append(_summary(change, limit, per_seed))
            print(found[-1], flush=True)
    return found


def _summary(change: float, limit: float, per_seed: list[dict[str, tuple[int, float]]]) -> dict[str, object]:
    first = np.array([seed["largest lattice"][1] for seed in per_seed])
    ways = {}
    for way in per_seed[0]:
        accuracy = np.array([seed[way][1] for seed in per_seed])
        against = accuracy - first
        error = float(against.std(ddof=1) / len(against) ** 0.5) if len(against) > 1 else 0.0
        ways[way] = {
            "images": float(np.mean([seed[way][0] for seed in per_seed])),
            "accuracy": round(float(accuracy.mean()), 4),
            "against_largest_lattice": round(float(against.mean()), 4),
            "standard_error": round(error, 4),
        }
    return {"seconds_per_object": change, "seconds": limit, "seeds": len(per_seed), "ways": ways}


def _spent(eye: Extractor, times: Times, limit: float, seed: int) -> dict[str, tuple[int, float]]:
    """Images and accuracy of each way."""
    every = eye.source.shots()
    names = np.array(eye.source.objects.names)
    test = np.isin(names, split_objects(eye.source.objects, seed=seed).test)[every.object_rows]
    pool, kept = every.take(np.flatnonzero(~test)), every.take(np.flatnonzero(test))
    views = np.random.default_rng(seed).permutation(len(kept))[: TEST_VIEWS * int(len(names) / 2)]
    ways = {"largest lattice": _largest(pool, times, limit, seed)}
    coarse = {way: _on_fewer_poses(pool, steps) for way, steps in POSES.items()}
    ways |= {way: _in_space(_largest(own, times, limit, seed), pool.space) for way, own in coarse.items()}
    ways["gain per second"] = _by_gain(pool, len(ways["largest lattice"]) * 3 // 2, times, limit, seed)
    histories = [History(shots=shots, features=eye(shots)) for shots in ways.values()]
    heads = train_on(histories)
    right = predict_all(heads, eye(kept.take(views))) == kept.take(views).class_rows
    return {way: (len(shots), float(own.mean())) for (way, shots), own in zip(ways.items(), right, strict=True)}


def _largest(pool: Shots, times: Times, limit: float, seed: int) -> Shots:
    """The largest lattice whose route fits."""

    def seconds_of(images: int) -> float:
        shots = _lattice(pool, images, seed)
        return route_seconds(shots.take(cheap_order(shots, times)), times)

    least = len(np.unique(pool.object_rows))
    return _lattice(pool, images_in_time(seconds_of, limit, least=least, most=len(pool), step=least), seed)


def _lattice(pool: Shots, images: int, seed: int) -> Shots:
    return pool.take(find_strategy("lattice").propose(pool, History.empty(pool), images, seed).rows)


def _on_fewer_poses(pool: Shots, steps: tuple[int, int]) -> Shots:
    """All shots of the same objects in a space with some of the azimuths and elevations."""
    azimuth, elevation, *others = pool.space.axes
    assert isinstance(azimuth, Circle)
    assert isinstance(elevation, Interval)
    fewer = (
        replace(azimuth, values=azimuth.values[:: steps[0]]),
        replace(elevation, values=elevation.values[steps[1] // 2 :: steps[1]]),
    )
    every = Shots.every(Space(axes=(*fewer, *others)), pool.objects)
    return every.take(np.flatnonzero(np.isin(every.object_rows, pool.object_rows)))


def _in_space(shots: Shots, space: Space) -> Shots:
    return replace(shots, space=space)


def _by_gain(pool: Shots, images: int, times: Times, limit: float, seed: int) -> Shots:
    """A lattice that is too large, without the shots of least gain per second of detour and exposure."""
    choice = find_strategy("lattice").propose(pool, History.empty(pool), min(images, len(pool)), seed)
    shots, gain = pool.take(choice.rows), choice.gain
    while True:
        order = cheap_order(shots, times)
        shots, gain = shots.take(order), gain[order]
        if route_seconds(shots, times) <= limit:
            return shots
        worth = gain / _detours(shots, times)
        dropped = np.argsort(worth, kind="stable")[: max(1, round(LEFT_OUT * len(shots)))]
        kept = np.delete(np.arange(len(shots)), dropped)
        shots, gain = shots.take(kept), gain[kept]


def _detours(shots: Shots, times: Times) -> np.ndarray:
    """Seconds that each shot of a route costs: its exposure, and its way against going past it."""
    step: Callable[[Shots, Shots], np.ndarray] = lambda a, b: (  # noqa: E731
        travel_seconds(shots.space, a.coordinates, b.coordinates) + times.per_object * (a.object_rows != b.object_rows)
    )
    numbers = np.arange(len(shots))
    before, after = shots.take(np.maximum(numbers - 1, 0)), shots.take(np.minimum(numbers + 1, len(shots) - 1))
    return times.per_shot + np.maximum(step(before, shots) + step(shots, after) - step(before, after), 0.0)


if __name__ == "__main__":
    main()
