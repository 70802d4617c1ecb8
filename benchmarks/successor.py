"""Does the plan change with the use? ``python benchmarks/successor.py``.

Images of ETH-80 are planned without looking at any (even, random-shots, lattice), and the same images are then used in
several ways: heads on frozen features, a linear SVM, the last stages fine-tuned, and another backbone (the successor).
Each split of the objects is used from both sides. If a use preferred other plans than the rest, its differences of
plans would differ from theirs: the last columns say by how much, with intervals over objects and splits.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from common import machine, options, quick_rig, say, write

from acqplan.evaluate.results import weighted_shares
from acqplan.evaluate.task import draw_split
from acqplan.features.extractor import Extractor
from acqplan.plan import find_strategy
from acqplan.plan.base import History
from acqplan.rig.spec import Rig, open_rig
from acqplan.space import Shots
from acqplan.statistics.objects import two_way
from acqplan.study.finetune import FineTuning, Tunable, fine_tune
from acqplan.study.transfer_heads import USUAL, Recipe, fit

PLANS = ("random-shots", "even", "lattice")
VIEWS, SPLITS, STAGES = 4, 3, 3
TUNING = FineTuning(epochs=8, patience=3, folds=1)
# Says which class each test shot is, from the rows that were trained on and the rows that are tested on.
Use = Callable[[np.ndarray, np.ndarray], np.ndarray]


def main() -> None:
    """Measure, print the tables in Markdown, write the numbers as JSON."""
    shared = Path(os.environ.get("ACQPLAN_SHARED", "../shared"))
    asked = options(__doc__, ("--splits", {"type": int, "default": SPLITS}), ("--no-tuning", {"action": "store_true"}))
    about, weights = machine(asked.device), shared / "weights"
    say(about)
    backbone, successor = "mobilenet_v2", "timm/tf_efficientnet_lite0"
    files = {backbone: weights / "mobilenet_v2.safetensors", successor: weights / "tf_efficientnet_lite0.safetensors"}
    with TemporaryDirectory() as folder:
        rig = open_rig(quick_rig(Path(folder)) if asked.quick else shared / "data" / "eth80.toml")
        if asked.quick:
            backbone, successor, files = "toynet-untrained", "histogram", {}
        shots, uses = rig.source.shots(), dict[str, Use]()
        for name, label in ((backbone, "frozen"), (successor, "successor")):
            features = Extractor.open(rig.source, backbone=name, weights=files.get(name))(shots)
            uses[f"{label}: {name}"] = headed(features, shots, USUAL)
            if name == backbone:
                uses["linear SVM"] = headed(features, shots, Recipe(head="svm", unit=True))
        if not (asked.quick or asked.no_tuning):
            extractor = Extractor.open(rig.source, backbone=backbone, weights=files.get(backbone))
            uses[f"last {STAGES} stages fine-tuned"] = tuned(extractor, shots)
        results = compared(rig, shots, uses, splits=1 if asked.quick else asked.splits)
    write("successor", asked, about, results)


def headed(features: np.ndarray, shots: Shots, recipe: Recipe) -> Use:
    """A head on frozen features."""

    def use(train: np.ndarray, test: np.ndarray) -> np.ndarray:
        classes, groups = shots.class_rows[train], shots.object_rows[train]
        head = fit(recipe, features[train], classes, groups, n_classes=len(shots.objects.classes))
        return head.scores(features[test]).argmax(axis=1)

    return use


def tuned(extractor: Extractor, shots: Shots) -> Use:
    """The last stages of a backbone, fine-tuned with their head."""
    pool = Tunable.of(extractor, shots, stages=STAGES)
    return lambda train, test: fine_tune(pool, train=train, tests=test, settings=TUNING).probabilities.argmax(axis=1)


def compared(rig: Rig, shots: Shots, uses: dict[str, Use], *, splits: int) -> dict[str, object]:
    """Accuracy of every plan under every use, plans against random shots, and uses against the first."""
    accuracy = {(plan, use): np.full((len(shots.objects), 2 * splits), np.nan) for plan in PLANS for use in uses}
    seconds, images = dict.fromkeys(uses, 0.0), dict[str, int]()
    for number in range(2 * splits):
        split = draw_split(replace(rig, test=()), number // 2)
        train, test = (split.swapped() if number % 2 else split).sides(shots)
        tests = shots.take(test)
        for plan in PLANS:
            rows = train[planned(shots.take(train), plan, number)]
            images[plan] = len(rows)
            for use, classify in uses.items():
                began = time.perf_counter()
                right = classify(rows, test) == tests.class_rows
                seconds[use] += time.perf_counter() - began
                accuracy[plan, use][np.unique(tests.object_rows), number] = weighted_shares(right, tests, None)
        print(f"side {number + 1} of {2 * splits}", flush=True)
    first, found = next(iter(uses)), dict[str, object]()
    names = [f"{plan} − random-shots" for plan in PLANS[1:]]
    heads = ("use", *PLANS, *names, *(f"{name}, other than {first}" for name in names), "s")
    print(f"\nimages: {images}\n\n| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|")
    for use in uses:
        gains = {plan: accuracy[plan, use] - accuracy[PLANS[0], use] for plan in PLANS[1:]}
        others = {plan: gain - (accuracy[plan, first] - accuracy[PLANS[0], first]) for plan, gain in gains.items()}
        own = {
            "accuracy": {plan: level(accuracy[plan, use]) for plan in PLANS},
            "gains": {plan: level(gain) for plan, gain in gains.items()},
            "other_than_first": {plan: level(other) for plan, other in others.items()} if use != first else {},
            "seconds": round(seconds[use], 1),
        }
        found[use] = own
        cells = [*own["accuracy"].values(), *own["gains"].values(), *(own["other_than_first"].values() or ("–", "–"))]
        print(f"| {use} | " + " | ".join(map(str, (*cells, own["seconds"]))) + " |")
    return {"images": images, "uses": found}


def level(values: np.ndarray) -> str:
    """A mean in percent or points, with its interval over objects and sides."""
    found = two_way(values)
    return f"{100 * found.mean:.1f} ({100 * found.low:.1f} to {100 * found.high:.1f})"


def planned(shots: Shots, plan: str, seed: int) -> np.ndarray:
    """Rows that a plan takes of these shots."""
    objects = np.unique(shots.object_rows)
    candidates = shots.narrow(objects)
    n = min(VIEWS * len(objects), len(shots))
    return np.sort(find_strategy(plan).propose(candidates, History.empty(candidates), n, seed).rows)


if __name__ == "__main__":
    main()
