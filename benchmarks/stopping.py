"""Is the advice right? Stop or go on, more views or more objects: ``python benchmarks/stopping.py``.

In each split of the objects, some of each class are captured, two more wait to be added, and the rest judges. A lattice
captures ever more images of each object: what was reached where the advice first says stop is set against a head of all
images of the same objects, and its images against those from which on the true curve stays within half a point of that.
At every size a quarter more images is really added, once of the same objects and once of one more object a class (each
that waits, by turns), and the advice about that is compared with which of them gained more on the judging objects.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from common import machine, options, say, write
from jaxtyping import Int
from scipy import stats

from acqplan.advice.advise import advise_history
from acqplan.evaluate.experiment import Material, train_on
from acqplan.evaluate.replay import Arm, joined_history, replay
from acqplan.features.extractor import Extractor
from acqplan.plan import find_strategy
from acqplan.plan.base import History
from acqplan.rig.folder import FolderSource
from acqplan.rig.rendered import toy_rig
from acqplan.rng import generator
from acqplan.runtime import Runtime
from acqplan.space import Category, Circle, Interval, Shots, Space
from acqplan.space.shots import is_among

VIEWS = Space(
    axes=(
        Circle(name="azimuth", values=tuple(range(0, 360, 20))),
        Interval(name="elevation", values=(30.0, 40.0, 50.0, 60.0, 70.0), unit="deg"),
        Category(name="lighting", values=("L0", "L2", "L4")),
    )
)
"""270 views of each toy."""

CASES = ("toys/toynet", "toys/histogram", "eth80-4/mobilenet_v2")
SIZES = (4, 8, 12, 16, 24, 32, 48, 64)
"""Images of each captured object."""

CAPTURED, WAITING = 4, 2
"""Objects of each class that are captured, and that may be added; the others judge."""

SEEDS = 3
"""Plans of the images that are added."""

SHARE = 0.25
WITHIN = 0.005


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sides:
    """Rows of the shots of a split.

    Attributes:
        captured: Of objects that are captured.
        waiting: Of one more object a class, each that waits.
        judging: Of objects that judge.
    """

    captured: Int[np.ndarray, " some"]
    waiting: tuple[Int[np.ndarray, " some"], ...]
    judging: Int[np.ndarray, " some"]


def main() -> None:
    """Measure, print, write JSON after each split; splits measured earlier are kept, so that it can go on."""
    asked = options(
        __doc__,
        ("--splits", {"type": int, "default": 10}),
        ("--cases", {"nargs": "+", "choices": CASES, "default": list(CASES)}),
        ("--shared", {"default": os.environ.get("ACQPLAN_SHARED", ""), "help": "folder of photographs and weights"}),
        ("--fresh", {"action": "store_true", "help": "measure the cases anew"}),
    )
    about, shared = machine(asked.device), Path(asked.shared)
    say(about)
    asked.shared = bool(asked.shared)  # a path of this machine is no result
    results = {} if asked.quick else _earlier(asked.out / f"stopping-{asked.device.split(':')[0]}.json")
    for case in ["toys/histogram"] if asked.quick else asked.cases:
        if case.startswith("eth80-4") and not asked.shared:
            print(f"{case}: left out, ACQPLAN_SHARED is not set")
            continue
        material = _material(case, shared, asked.device, quick=asked.quick)
        splits = [] if asked.fresh else list(results.get(case, {}).get("each", []))
        for number in range(len(splits), 1 if asked.quick else asked.splits):
            splits.append(_split(material, number, SIZES[:2] if asked.quick else SIZES, asked.device))
            results[case] = {**_summary(splits), "commit": about["commit"], "date": about["date"], "each": splits}
            write("stopping", asked, about, results)
        print(case, json.dumps({key: value for key, value in results[case].items() if key != "each"}, indent=1))


def _earlier(path: Path) -> dict[str, dict[str, object]]:
    return json.loads(path.read_text(encoding="utf-8"))["results"] if path.exists() else {}


def _material(case: str, shared: Path, device: str, *, quick: bool) -> Material:
    name, backbone = case.split("/")
    rig = toy_rig(space=VIEWS, n_instances=8 if quick else 10) if name == "toys" else None
    rig = rig or FolderSource.open(shared / "data/eth80-4/manifest.csv")
    weights = shared / "weights/mobilenet_v2.safetensors" if backbone == "mobilenet_v2" else None
    eye = Extractor.open(rig, backbone=backbone, weights=weights, runtime=Runtime.detect(device))
    return Material(shots=rig.shots(), features=eye(rig.shots()))


def _split(material: Material, number: int, sizes: Sequence[int], device: str) -> dict[str, object]:
    sides = _sides(material.shots, number)
    pool, n_objects = material.shots.take(sides.captured), len(np.unique(material.shots.object_rows[sides.captured]))
    whole = History(shots=pool, features=material.features[sides.captured])
    steps: list[dict[str, object]] = []
    for size in (size for size in sizes if size * n_objects < len(pool)):
        captured = _capture(material, sides.captured, size * n_objects, number)
        advice = advise_history(captured, device=device)
        steps.append(
            {
                "images": len(captured),
                "share_of_pool": len(captured) / len(pool),
                "stop": advice.end.answer,
                "confidence": advice.end.confidence,
                "agreement": advice.end.agreement,
                "expected_gain": None if advice.end.gain is None else advice.end.gain.estimate,
                "next": advice.next.answer,
                "expected_extra": None if advice.next.extra is None else advice.next.extra.estimate,
                **_truth(material, sides, captured, whole, number, device),
            }
        )
    return {"split": number, "steps": steps}


def _sides(shots: Shots, number: int) -> Sides:
    classes = shots.objects.class_rows
    random = generator(number, "stopping", "split")
    order = [random.permutation(np.flatnonzero(classes == label)) for label in np.unique(classes)]

    def rows(start: int, end: int | None) -> Int[np.ndarray, " some"]:
        return np.flatnonzero(np.isin(shots.object_rows, np.concatenate([objects[start:end] for objects in order])))

    waiting = tuple(rows(place, place + 1) for place in range(CAPTURED, CAPTURED + WAITING))
    return Sides(captured=rows(0, CAPTURED), waiting=waiting, judging=rows(CAPTURED + WAITING, None))


def _capture(
    material: Material, rows: Int[np.ndarray, " some"], budget: int, seed: int, start: History | None = None
) -> History:
    """What a lattice takes up to a budget, beside what had been captured."""
    candidates = material.shots.take(rows)
    known = start or History.empty(candidates)
    left = candidates.take(np.flatnonzero(~is_among(candidates, known.shots)))
    arm = Arm(strategy=find_strategy("lattice"), budget=budget, seed=seed)
    return joined_history(known, replay([arm], left, known, material)[0])


def _truth(
    material: Material, sides: Sides, captured: History, whole: History, number: int, device: str
) -> dict[str, float]:
    """Accuracies on the judging objects: now, with all images, and with a tenth more of either kind."""
    n_next = round(SHARE * len(captured))
    views = [
        _capture(material, sides.captured, len(captured) + n_next, 100 * number + seed, captured)
        for seed in range(SEEDS * WAITING)
    ]
    added = [_capture(material, rows, n_next, 100 * number + seed) for rows in sides.waiting for seed in range(SEEDS)]
    objects = [
        History(shots=captured.shots.join(new.shots), features=np.concatenate([_seen(captured), _seen(new)]))
        for new in added
    ]
    heads = train_on([captured, whole, *views, *objects], device=device)
    features, targets = material.features[sides.judging], material.shots.class_rows[sides.judging]
    found = [float((head.predict(features) == targets).mean()) for head in heads]
    middle = 2 + len(views)
    return {
        "accuracy": found[0],
        "whole_pool": found[1],
        "with_views": float(np.mean(found[2:middle])),
        "with_objects": float(np.mean(found[middle:])),
    }


def _seen(history: History) -> np.ndarray:
    assert history.features is not None
    return history.features


def _summary(splits: Sequence[Mapping[str, object]]) -> dict[str, object]:
    every = [step for split in splits for step in split["steps"]]
    # where each first said stop, and how many times the images that would have done
    firsts = [next((step for step in split["steps"] if step["stop"] == "stop"), None) for split in splits]
    stopped = [step for step in firsts if step is not None]
    times = [
        step["images"] / _enough(split["steps"]) for split, step in zip(splits, firsts, strict=True) if step is not None
    ]
    return {
        "splits": len(splits),
        "stopped": len(stopped),
        "points_lost_at_stop": _spread([100 * (step["whole_pool"] - step["accuracy"]) for step in stopped]),
        "share_of_pool_at_stop": _spread([step["share_of_pool"] for step in stopped]),
        "images_at_stop": _spread([step["images"] for step in stopped]),
        "times_the_images_that_do": _spread(times),
        "error_of_expected_gain": _spread(
            [
                100 * (step["expected_gain"] - (step["whole_pool"] - step["accuracy"]))
                for step in every
                if step["expected_gain"] is not None
            ]
        ),
        "points_left_at_go_on": _spread(
            [100 * (step["whole_pool"] - step["accuracy"]) for step in every if step["stop"] == "go on"]
        ),
        "by_size": {
            str(images): {
                "stop": sum(step["stop"] == "stop" for step in every if step["images"] == images),
                "points_left": _spread(
                    [100 * (step["whole_pool"] - step["accuracy"]) for step in every if step["images"] == images]
                ),
            }
            for images in sorted({step["images"] for step in every})
        },
        "objects_less_views": {
            answer: _judged([step for step in every if step["next"] == answer])
            for answer in ("more views", "more objects", "cannot tell")
        },
    }


def _enough(steps: Sequence[Mapping[str, float]]) -> float:
    """Images from which on the true curve stays within half a point of its end; all of the pool if at no size."""
    enough = steps[-1]["images"] / steps[-1]["share_of_pool"]
    for step in reversed(steps):
        if step["whole_pool"] - step["accuracy"] > WITHIN:
            break
        enough = step["images"]
    return enough


def _judged(steps: Sequence[Mapping[str, float]]) -> dict[str, object]:
    """Points that one more object a class really gained beyond as many views, and how often it was the better."""
    extra = [100 * (step["with_objects"] - step["with_views"]) for step in steps]
    return {
        "times": len(extra),
        "objects_better": sum(one > 0 for one in extra),
        "equal": sum(one == 0 for one in extra),
        "points": _spread(extra),
        "points_expected": _spread([100 * step["expected_extra"] for step in steps if step["expected_extra"]]),
    }


def _spread(values: Sequence[float]) -> dict[str, float] | None:
    """Mean, the half width of its 95 % t interval over cases, the least and the largest."""
    if not values:
        return None
    n = len(values)
    half = float(stats.t.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n)) if n > 1 else None
    rounded = {"mean": float(np.mean(values)), "half95": half, "least": min(values), "largest": max(values)}
    return {name: None if value is None else round(value, 4) for name, value in rounded.items()}


if __name__ == "__main__":
    main()
