"""Is the worth of a factor right, and do designs of one factor at a time save time? ``python benchmarks/factors.py``.

Worths: in each split of the objects five of each class are captured, some images of each by the lattice (or by `even`,
for what other views from object to object are worth), and the advice is drawn from these images alone. The truth is
heads of as many images, a quarter of those captured, from all views of the same objects and from the quarter of the
views that is nearest to one setting, judged on all views of the other objects, mean of all splits. What a quarter more
images gain by an axis is set against heads of the captured images and new ones at captured settings of all other axes.

Minutes (``--minutes``): accuracy on new objects of the lattice, of `even`, and of designs that change one factor at a
time (`Stair`, `Ell`), with as many images and in the same time, where moves cost little, or one axis is dear to move.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from common import machine, options, say, write
from jaxtyping import Float, Int
from scipy import stats
from stopping import VIEWS

from acqplan.advice.answers import SAME_VIEWS
from acqplan.advice.factors import measure_factors
from acqplan.advice.sub_designs import STRENGTHS
from acqplan.evaluate.experiment import Material
from acqplan.features.extractor import Extractor
from acqplan.heads.exact import train_heads
from acqplan.heads.linear import predict_all
from acqplan.plan import find_strategy
from acqplan.plan.base import Choice, History
from acqplan.plan.route import Times, cheap_order, route_seconds
from acqplan.rig.folder import FolderSource
from acqplan.rig.rendered import mesh_rig, toy_rig
from acqplan.rng import generator
from acqplan.runtime import Runtime
from acqplan.space import Category, Shots, Space

CASES = (
    "toys/histogram", "toys/toynet", "meshes/mobilenet_v2", "eth80-4/histogram", "eth80-4/mobilenet_v2",
    "eth80/mobilenet_v2",
)  # fmt: skip
MESH_VIEWS = Space(axes=(replace(VIEWS.axes[0], values=tuple(range(0, 360, 40))), *VIEWS.axes[1:]))
"""135 views of each mesh."""

CAPTURED = 5
"""Objects of each class that are captured; the others judge."""

PILOTS = {"lattice": 16, "even": 16}
"""Images of each object that rules take."""

SETTINGS = 6
GAINS = 8
"""Splits in which it is measured what a quarter more images gain."""

sys.path.append(str(Path(__file__).parent.parent))  # where `benchmarks.ideas` is found
STAIR, ELL = (find_strategy(f"benchmarks.ideas:{name}") for name in ("Stair", "Ell"))


@dataclass(frozen=True, slots=True, kw_only=True)
class FewPoses:
    """The lattice on a third of the azimuths and two elevations, so that fewer moves are needed."""

    def propose(self, candidates: Shots, history: History, n: int, seed: int) -> Choice:
        """Choose among the candidates at these poses, at most all of them."""
        azimuth, elevation, lighting = candidates.space.axes
        fewer = (replace(azimuth, values=azimuth.values[::3]), replace(elevation, values=elevation.values[1::2]))
        space = Space(axes=(*fewer, lighting))
        own = [np.isin(candidates.coordinates[:, column], axis.codes()) for column, axis in enumerate(space.axes)]
        rows = np.flatnonzero(np.all(own, axis=0))
        chosen = find_strategy("lattice").propose(
            replace(candidates.take(rows), space=space),
            replace(history, shots=replace(history.shots, space=space)),
            min(n, len(rows)),
            seed,
        )
        return replace(chosen, rows=rows[chosen.rows])


RULES = {
    "lattice": find_strategy("lattice"),
    "lattice, few poses": FewPoses(),
    "even": find_strategy("even"),
    "stair": STAIR,
    "stair, shared": replace(STAIR, shared=True),
    "ell": ELL,
    "ell, shared": replace(ELL, shared=True),
}
SHARED = ("even", "stair, shared", "ell, shared")
SIZES = (2, 4, 8, 16, 32, 64, 128)
"""Images of each object."""

MOST = 32
"""Images of each object of rules whose objects do not share views: in the same time others take more."""

EXPOSURE = 0.4
PROFILES = {
    "motors": ({"azimuth": 0.05, "elevation": 0.1, "lighting": 0.2}, 20.0),
    "elevation by hand": ({"azimuth": 0.05, "elevation": 3.0, "lighting": 0.2}, 20.0),
    "all by hand, objects at once": ({"azimuth": 0.5, "elevation": 3.0, "lighting": 60.0}, 1.0),
}
"""Seconds a degree or a change of light, and seconds of changing the object."""

ROUTED = 2
"""Splits whose plans are routed: those of others take about as long."""

Rows = Int[np.ndarray, " rows"]


def main() -> None:
    """Measure, print, write JSON."""
    asked = options(
        __doc__,
        ("--splits", {"type": int, "default": 20}),
        ("--cases", {"nargs": "+", "choices": CASES, "default": list(CASES)}),
        ("--rules", {"nargs": "+", "choices": list(PILOTS), "default": list(PILOTS), "help": "rules that capture"}),
        ("--minutes", {"action": "store_true", "help": "accuracy by minutes instead of worths"}),
        ("--shared", {"default": os.environ.get("ACQPLAN_SHARED", ""), "help": "folder of photographs and weights"}),
    )
    about, shared = machine(asked.device), Path(asked.shared)
    say(about)
    asked.shared, earlier = (
        bool(asked.shared),
        asked.out / f"{'minutes' if asked.minutes else 'factors'}-{asked.device.split(':')[0]}.json",
    )
    results = {} if asked.quick or not earlier.exists() else json.loads(earlier.read_text(encoding="utf-8"))["results"]
    for case in ["toys/histogram"] if asked.quick else asked.cases:
        if not case.startswith("toys") and not asked.shared:
            print(f"{case}: left out, ACQPLAN_SHARED is not set")
            continue
        material = _material(case, shared, asked.device, quick=asked.quick)
        if asked.minutes:
            results[case] = _minutes(material, 1 if asked.quick else asked.splits, asked.device)
            write("minutes", asked, about, results)
            continue
        results.setdefault(case, {})
        for rule in asked.rules[:1] if asked.quick else asked.rules:
            splits = range(1 if asked.quick else asked.splits)
            found = _summary([_split(material, rule, PILOTS[rule], number, asked.device) for number in splits])
            results[case][rule] = {"images_of_each_object": PILOTS[rule], "commit": about["commit"], "factors": found}
            for name, one in found.items():
                print(case, rule, name, one, flush=True)
        write("factors", asked, about, results)


def _material(case: str, shared: Path, device: str, *, quick: bool) -> Material:
    name, backbone = case.split("/")
    if name == "toys":
        rig = toy_rig(space=MESH_VIEWS if quick else VIEWS, n_instances=6 if quick else 10)
    elif name == "meshes":
        rig = mesh_rig(shared / "data/meshes50/objects.csv", space=MESH_VIEWS)
    else:
        rig = FolderSource.open(shared / f"data/{name}/manifest.csv")
    weights = shared / "weights/mobilenet_v2.safetensors" if backbone == "mobilenet_v2" else None
    eye = Extractor.open(rig, backbone=backbone, weights=weights, runtime=Runtime.detect(device))
    return Material(shots=rig.shots(), features=eye(rig.shots()))


def _sides(shots: Shots, number: int) -> tuple[Rows, Rows]:
    """Rows of the objects that may be captured, and of those that judge."""
    classes, random = shots.objects.class_rows, generator(number, "factors", "split")
    order = [random.permutation(np.flatnonzero(classes == label)) for label in np.unique(classes)]
    ours = np.isin(shots.object_rows, np.concatenate([own[:CAPTURED] for own in order]))
    return np.flatnonzero(ours), np.flatnonzero(~ours)


def _split(material: Material, rule: str, images: int, number: int, device: str) -> dict[str, dict[str, object]]:
    """Advice of each factor beside the truth of this split, points."""
    ours, others = _sides(material.shots, number)
    pool, judge = material.take(ours), material.take(others)
    n_objects = len(np.unique(pool.shots.object_rows))
    rows = find_strategy(rule).propose(pool.shots, History.empty(pool.shots), images * n_objects, number).rows
    captured = History(shots=pool.shots.take(rows), features=pool.features[rows])
    began = time.perf_counter()
    factors = measure_factors(captured, seed=number, device=device)
    seconds = time.perf_counter() - began
    true, gains = _truth(pool, judge, rows, round(len(rows) / n_objects / 4), number, device)
    found: dict[str, dict[str, object]] = {}
    for factor in factors:
        worth, further = factor.worth, factor.next
        found[factor.name] = {
            "narrowed": factor.narrowed or factor.reason,
            "true": true[factor.name],
            "worth": None if worth is None else [100 * worth.estimate, 100 * worth.low, 100 * worth.high],
            "gain": gains.get(factor.name),
            "next": None if further is None else [100 * further.estimate, 100 * further.low, 100 * further.high],
            "seconds": seconds,
        }
    return found


def _truth(
    pool: Material, judge: Material, taken: Rows, n_kept: int, number: int, device: str
) -> tuple[dict[str, float], dict[str, float]]:
    """Points that all of a factor is worth over a part of it, and that a quarter more images gain by each axis."""
    shots, space = pool.shots, pool.shots.space
    objects, views = np.unique(shots.object_rows), space.views()
    of_view = {
        (int(o), tuple(view)): row
        for row, (o, view) in enumerate(zip(shots.object_rows, shots.coordinates.tolist(), strict=True))
    }
    narrow: dict[str, list[Rows]] = {name: [] for name in ("", *space.names, SAME_VIEWS)}
    more: dict[str, list[Rows]] = {name: [taken] for name in space.names}

    def drawn(which: Float[np.ndarray, "some axes"], draw: np.random.Generator) -> Rows:
        return np.array(
            [of_view[int(o), tuple(view)] for o in objects for view in draw.permutation(which)[:n_kept].tolist()]
        )

    for setting in range(SETTINGS):
        draw = generator(number, "factors", "truth", setting)
        narrow[""].append(drawn(views, draw))
        same = draw.permutation(views)[:n_kept]
        narrow[SAME_VIEWS].append(drawn(same, draw))
        for column, axis in enumerate(space.axes):
            centre = np.quantile(views[:, column], (setting + draw.random()) / SETTINGS, method="inverted_cdf")
            apart = axis.difference(views[:, column], centre + 1e-6)
            if isinstance(axis, Category):
                apart = apart * (1.0 + draw.permutation(len(axis.values))[np.rint(views[:, column]).astype(np.int64)])
            near = np.lexsort([draw.random(len(views)), apart])[: round(len(views) / 4)]
            narrow[axis.name].append(drawn(views[near], draw))
            if number < GAINS:
                more[axis.name].append(np.concatenate([taken, _along(shots, taken, column, n_kept, draw)]))
    right = partial(_accuracies, pool, judge, device=device)
    means = {name: float(right(subsets).mean()) for name, subsets in narrow.items()}
    gained = {name: right(subsets) for name, subsets in more.items() if len(subsets) > 1}
    return (
        {name: 100 * (means[""] - mean) for name, mean in means.items() if name},
        {name: 100 * float(own[1:].mean() - own[0]) for name, own in gained.items()},
    )


def _along(shots: Shots, taken: Rows, column: int, n_more: int, draw: np.random.Generator) -> Rows:
    """New shots of each object that differ from captured ones in one axis alone, as many of each as there are."""
    others = np.delete(shots.coordinates, column, axis=1)
    held, known, new = {}, set(taken.tolist()), []
    for row in taken:
        held.setdefault(shots.object_rows[row], set()).add(tuple(others[row]))
    for one in np.unique(shots.object_rows):
        free = [
            row
            for row in np.flatnonzero(shots.object_rows == one)
            if row not in known and tuple(others[row]) in held[one]
        ]
        new.append(draw.permutation(np.array(free, dtype=np.int64))[:n_more])
    return np.concatenate(new)


def _accuracies(
    pool: Material, judge: Material, subsets: Sequence[Rows], *, device: str
) -> Float[np.ndarray, " heads"]:
    """Accuracies of heads on other objects, all of the strength that the first one chooses."""
    train = partial(
        train_heads,
        pool.features,
        pool.shots.class_rows,
        pool.shots.object_rows,
        n_classes=len(pool.shots.objects.classes),
        device=device,
    )
    strength = train([subsets[0]], strengths=STRENGTHS)[0].strength
    heads = train(subsets, known=[strength] * len(subsets))
    return (predict_all(heads, judge.features) == judge.shots.class_rows).mean(axis=1)


def _summary(splits: Sequence[Mapping[str, Mapping[str, object]]]) -> dict[str, dict[str, object]]:
    """For each factor: the truth, estimates, how often intervals hold and speak, and how often they are right then."""
    found = {}
    for name in splits[0]:
        own = [split[name] for split in splits]
        true = float(np.mean([one["true"] for one in own]))
        said = np.array([one["worth"] for one in own if one["worth"] is not None], dtype=np.float64).reshape(-1, 3)
        spoke = said[(said[:, 1] > 0.0) | (said[:, 2] < 0.0)]
        margin = said[np.maximum(-said[:, 1], said[:, 2]) <= 1.0]
        gains = [one["gain"] for one in own if one["gain"] is not None]
        bound = np.array([one["next"] for one in own if one["next"] is not None], dtype=np.float64).reshape(-1, 3)
        found[name] = {
            "narrowed": max((one["narrowed"] for one in own), key=[one["narrowed"] for one in own].count),
            "true": round(true, 2),
            "true_error": round(float(np.std([one["true"] for one in own]) / len(own) ** 0.5), 2),
            "measured": len(said),
            **_means(said, true),
            "speaks": len(spoke),
            "sign_right": int((spoke[:, 0] * true > 0.0).sum()),
            "within_a_point": len(margin),
            "within_a_point_right": len(margin) * (abs(true) <= 1.0),
            "gain": round(float(np.mean(gains)), 2) if gains else None,
            "next": [round(float(one), 2) for one in bound.mean(axis=0)] if len(bound) else None,
            "next_bounds": int((bound[:, 2] >= np.mean(gains)).sum()) if len(bound) else None,
            "seconds": round(float(np.mean([one["seconds"] for one in own])), 2),
        }
    return found


def _means(said: Float[np.ndarray, "splits 3"], true: float) -> dict[str, object]:
    if not len(said):
        return {}
    return {
        "estimate": round(float(said[:, 0].mean()), 2),
        "spread": round(float(said[:, 0].std()), 2),
        "half_width": round(float((said[:, 2] - said[:, 1]).mean() / 2.0), 2),
        "holds": int(((said[:, 1] <= true) & (true <= said[:, 2])).sum()),
    }


def _minutes(material: Material, n_splits: int, device: str) -> dict[str, object]:
    """Points of accuracy over the lattice with as many images, and in as much time for each kind of rig."""
    accuracies = np.full((n_splits, len(RULES), len(SIZES)), np.nan)
    images, seconds = (
        accuracies[0].copy(),
        np.full((len(PROFILES), min(n_splits, ROUTED), *accuracies.shape[1:]), np.nan),
    )
    for number in range(n_splits):
        ours, others = _sides(material.shots, number)
        pool, judge = material.take(ours), material.take(others)
        n_objects, nothing = len(np.unique(pool.shots.object_rows)), History.empty(pool.shots)
        for column, size in enumerate(SIZES):
            some = [row for row, name in enumerate(RULES) if size <= MOST or name in SHARED]
            rules = [list(RULES.values())[row] for row in some]
            plans = [rule.propose(pool.shots, nothing, size * n_objects, number).rows for rule in rules]
            accuracies[number, some, column] = _accuracies(pool, judge, plans, device=device)
            images[some, column] = [len(rows) for rows in plans]
            for place, kind in enumerate(PROFILES if number < ROUTED else ()):
                took = [_route_seconds(pool.shots.take(rows), kind) for rows in plans]
                seconds[place, number, some, column] = took
    seconds = seconds.mean(axis=1)
    found: dict[str, object] = {
        "images": {name: own[np.isfinite(own)].tolist() for name, own in zip(RULES, images, strict=True)},
        "accuracy": {
            name: own[np.isfinite(own)].round(4).tolist()
            for name, own in zip(RULES, accuracies.mean(axis=0), strict=True)
        },
        "with_as_many_images": _over_lattice(accuracies[:, :, : SIZES.index(MOST) + 1]),
    }
    for kind, own in zip(PROFILES, seconds, strict=True):
        times = own[0, 1:4]  # of the lattice; what another rule's largest plan reaches counts beyond it
        at = np.array([[_at(times, one, row) for one, row in zip(own, split, strict=True)] for split in accuracies])
        found[kind] = {"minutes": (times / 60).round(1).tolist(), **_over_lattice(at)}
    for part, values in found.items():
        print(part, values, flush=True)
    return found


def _at(
    times: Float[np.ndarray, " times"], seconds: Float[np.ndarray, " sizes"], accuracy: Float[np.ndarray, " sizes"]
) -> Float[np.ndarray, " times"]:
    """Accuracy of a rule in some times, between those of its plans."""
    there = np.isfinite(accuracy)
    return np.interp(np.log(times), np.log(seconds[there]), accuracy[there], left=np.nan)


def _route_seconds(shots: Shots, kind: str) -> float:
    """Seconds of a plan in an order that is quick to drive."""
    per_unit, per_object = PROFILES[kind]
    axes = tuple(
        replace(
            axis, **{"seconds_per_change" if isinstance(axis, Category) else "seconds_per_unit": per_unit[axis.name]}
        )
        for axis in shots.space.axes
    )
    shots, times = replace(shots, space=Space(axes=axes)), Times(per_shot=EXPOSURE, per_object=per_object)
    return route_seconds(shots.take(cheap_order(shots, times)), times)


def _over_lattice(accuracies: Float[np.ndarray, "splits rules sizes"]) -> dict[str, list[str]]:
    """Points of each rule over the lattice, with the half width of a 95 % t interval over splits."""
    found = {}
    for row, name in enumerate(RULES):
        apart = 100 * (accuracies[:, row] - accuracies[:, 0])
        half = (
            stats.t.ppf(0.975, max(len(apart) - 1, 1)) * apart.std(axis=0, ddof=int(len(apart) > 1)) / len(apart) ** 0.5
        )
        found[name] = [f"{mean:+.1f} ± {reach:.1f}" for mean, reach in zip(apart.mean(axis=0), half, strict=True)]
    return found


if __name__ == "__main__":
    main()
