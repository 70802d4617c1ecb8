"""Is what ``advise --transfer`` recommends the best way on objects it never saw? ``python benchmarks/transfer.py``.

For each split of the objects (of the views, where every label has one object) a lattice captures a few images of each
train object. The advice sees these alone. Then every way is trained on all of them and tested on all other objects.
Regret is the accuracy of the one way that is best there on average over all splits, found with hindsight, less that of
the ways recommended; beside it that of the best way of each split, which noise flatters.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from common import machine, options, quick_rig, say, write

from acqplan.evaluate.task import draw_split
from acqplan.plan import find_strategy
from acqplan.plan.base import History
from acqplan.progress import SILENT
from acqplan.rig.spec import open_rig
from acqplan.runtime import Runtime
from acqplan.space import Shots
from acqplan.statistics.objects import two_way
from acqplan.study.transfer import TransferProtocol, Way, measured, pool_of
from acqplan.study.transfer_advice import left_out, wrong_views
from acqplan.study.transfer_features import Side, open_all, read_backbones, read_layers, usual_backbone
from acqplan.study.transfer_heads import USUAL, Recipe

RECIPES = (
    USUAL,
    Recipe(head="logistic", unit=True),
    Recipe(head="ridge", power=True, unit=True),
    Recipe(head="mean", unit=True),
)
# Images of each train object that are captured, shots of each object that are looked at, and splits.
VIEWS, LOOKED, SPLITS = 4, 24, 2


def main() -> None:
    """Measure, print the table in Markdown, write the numbers as JSON."""
    shared = Path(os.environ.get("ACQPLAN_SHARED", "../shared"))
    asked = options(
        __doc__, ("--rigs", {"default": "eth80,coil20,toys,meshes"}), ("--splits", {"type": int, "default": SPLITS})
    )
    about = machine(asked.device)
    say(about)
    weights = shared / "weights"
    photographs = [
        f"mobilenet_v2={weights / 'mobilenet_v2.safetensors'}",
        f"timm/tf_efficientnet_lite0={weights / 'tf_efficientnet_lite0.safetensors'}",
        f"mobilenet_v2={weights / 'mobilenet_v2_inat_bird.safetensors'}",
        "histogram",
        "toynet:pool",
    ]
    here = Path(__file__).parent.parent
    rigs = {
        "eth80": (shared / "data" / "eth80.toml", photographs),
        "coil20": (here / "examples" / "coil20.toml", photographs),
        "toys": (None, [photographs[0], "histogram", "toynet"]),
        "meshes": (shared / "data" / "meshes50.toml", photographs[:1] + photographs[3:]),
    }
    results = {}
    with TemporaryDirectory() as folder:
        if asked.quick:
            rigs = {"toys": (quick_rig(Path(folder)), ["histogram", "toynet-untrained:pool"])}
        for name in rigs if asked.quick else asked.rigs.split(","):
            results[name] = examined(*rigs[name], splits=2 if asked.quick else asked.splits)
            print(f"{name}: {results[name]}", flush=True)
    heads = ("rig", "captured", "recommended, %", "best, %", "regret", "regret, best of each split", "usual, %")
    print("\n| " + " | ".join((*heads, "worst, %", "wrong backbone costs", "wrong views cost", "s")) + " |")
    print("|---" * 11 + "|")
    for name, found in results.items():
        print(f"| {name} | {found['images']} | " + " | ".join(str(found[key]) for key in COLUMNS) + " |")
    write("transfer", asked, about, results)


PICKS = ("recommended", "best of the split", "usual", "best backbone", "worst backbone")
COLUMNS = (
    "recommended",
    "best",
    "regret",
    "regret_of_each_split",
    "usual",
    "worst",
    "wrong_backbone",
    "wrong_views",
    "seconds",
)


def examined(file: Path | None, backbones: list[str], *, splits: int) -> dict[str, object]:
    """The advice of every split beside what every way reaches on the objects that it never saw."""
    began, rig = time.perf_counter(), open_rig(file)
    rig = replace(rig, test=())
    pool = pool_of(rig, TransferProtocol())
    kept = np.concatenate([np.flatnonzero(pool.object_rows == n)[:: max(len(pool) // len(pool.objects) // LOOKED, 1)]
                           for n in np.unique(pool.object_rows)])  # fmt: skip
    pool = pool.take(np.sort(kept))
    named = read_backbones(backbones, None, rig.source.name)
    readings = [
        reading
        for one, extractor in zip(named, open_all(rig.source, named, Runtime.detect(), SILENT), strict=True)
        for reading in read_layers(one.label, extractor, pool)
    ]
    usual = next(one.label for one in named if one.spec.startswith(usual_backbone(rig.source.name)))
    rows: list[dict[str, np.ndarray]] = []
    chosen, views, images = [], [], []
    for number in range(splits):
        for split in (draw_split(rig, number), draw_split(rig, number).swapped()):
            train, test = split.sides(pool, rig.view_weights)
            taken = train[captured(pool.take(train), number)]
            images.append(len(taken))
            few = [replace(reading, features=reading.features[taken]) for reading in readings]
            shots = pool.take(taken)
            folds = left_out(shots, number)
            ways = measured(few, shots, folds, RECIPES)
            chosen.append(str(ways[0]))
            views.append(wrong_views(ways[0].reading, shots, folds, number).mean)
            tested = measured(readings, pool, [Side(split=0, train=taken, test=test)], RECIPES)
            rows.append({str(way): way.accuracy[:, 0] for way in tested} | picked(tested, str(ways[0]), usual))
    table = {name: np.stack([row[name] for row in rows], axis=1) for name in rows[0]}  # [objects, runs] of each
    wanted, highest, plain, good, worst = (table[name] for name in PICKS)
    means = {name: np.nanmean(values) for name, values in table.items() if name not in PICKS}
    name = max(means, key=lambda way: means[way])
    best = table[name]

    def level(values: np.ndarray) -> str:
        found = two_way(values)
        return f"{100 * found.mean:.1f} ({100 * found.low:.1f} to {100 * found.high:.1f})"

    return {
        "images": images[0],
        "recommended": level(wanted),
        "best": level(best),
        "best_way": name,
        "regret": level(best - wanted),
        "regret_of_each_split": level(highest - wanted),
        "usual": level(plain),
        "worst": level(worst),
        "wrong_backbone": level(good - worst),
        "wrong_views": f"{100 * np.mean(views):.1f} ({100 * np.min(views):.1f} to {100 * np.max(views):.1f})",
        "seconds": round(time.perf_counter() - began),
        "chosen": chosen,
    }


def captured(shots: Shots, seed: int) -> np.ndarray:
    """What a lattice takes of these shots."""
    objects = np.unique(shots.object_rows)
    candidates = shots.narrow(objects)
    n = min(VIEWS * len(objects), len(shots))
    return np.sort(find_strategy("lattice").propose(candidates, History.empty(candidates), n, seed).rows)


def picked(ways: list[Way], chosen: str, usual: str) -> dict[str, np.ndarray]:
    """Accuracy on each object of the way chosen, the best, the usual one, and the best and the worst backbone."""
    by_name = {str(way): way for way in ways}
    plain = [way for way in ways if way.recipe == USUAL]
    backbones = {way.reading.backbone: way for way in reversed(plain)}  # the best layer of each stays
    ends = sorted(backbones.values(), key=lambda way: -way.mean.mean)
    usual_way = next(way for way in plain if way.reading.backbone == usual and way.reading.depth == 0)
    picks = (by_name[chosen], ways[0], usual_way, ends[0], ends[-1])
    return {name: way.accuracy[:, 0] for name, way in zip(PICKS, picks, strict=True)}


if __name__ == "__main__":
    main()
