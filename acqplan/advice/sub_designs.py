"""Sub-designs of what is captured: heads learn from fewer objects and shots, and are judged on left-out objects."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from acqplan.heads.exact import train_heads
from acqplan.heads.linear import NEVER, object_folds
from acqplan.plan.base import History
from acqplan.progress import SILENT, Progress
from acqplan.rng import generator

# Sub-designs of each number of objects and shots.
REPEATS = 4
FOLDS = 5
# Numbers of shots and of objects that are tried at most, each twice the one before or more.
SHOT_LEVELS, OBJECT_LEVELS = 6, 4
# Half as many as `train_heads` tries; one is chosen for each design, see `_strengths`.
STRENGTHS = (1e-2, 1e-3, 1e-4)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DesignSamples:
    """Errors on objects that the heads never saw, by design.

    Attributes:
        designs: Objects of a class and shots of each that heads learned from, means over heads, by objects and then
            by shots ascending, shape ``[designs, 2]``.
        errors: Share of the images of each left-out object that heads got wrong, shape ``[designs, objects, repeats]``.
        agreement: Cohen's kappa of the predictions on left-out objects by heads of all images of the other objects and
            by heads of half of them, in each repeat, shape ``[repeats]``; NaN where objects have one image.
        captured: Objects of a class and shots of each that are captured, means.
        classes: Classes captured.
        objects: Rows of the left-out objects, shape ``[objects]``.
    """

    designs: Float[np.ndarray, "designs 2"]
    errors: Float[np.ndarray, "designs objects repeats"]
    agreement: Float[np.ndarray, " repeats"]
    captured: tuple[float, float]
    classes: int
    objects: Int[np.ndarray, " objects"]

    @property
    def full(self) -> Int[np.ndarray, " sizes"]:
        """Rows of the designs of most objects, by shots ascending: the learning curve."""
        return np.flatnonzero(self.designs[:, 0] >= self.designs[:, 0].max() - 1e-9)


def measure_designs(
    history: History, *, seed: int = 0, repeats: int = REPEATS, device: str = "cpu", progress: Progress = SILENT
) -> DesignSamples:
    """Train heads on sub-designs of what is captured, leaving objects out, and judge them on those.

    One object of each class is left out at a time (several, if a class has more than five). Of the others a design
    takes some of each class, and of the images of each object a share; within a repeat the designs are nested.

    Args:
        history: Captured shots with features, of at least one class with two objects.
        seed: Seed of the sub-designs; neither the order of rows nor names of objects matter.
        repeats: Sub-designs of each number of objects and shots.
        device: Where to train.
        progress: Hears of each head trained.
    """
    # 1. Numbers of objects and of shots to try.
    history, shots = _in_order(history), history.shots
    features, targets, objects = history.features, history.shots.class_rows, history.shots.object_rows
    assert features is not None
    folds = object_folds(targets, objects, FOLDS)
    numbers = [int(fold) for fold in np.unique(folds) if fold != NEVER]
    rows_of = {int(one): np.flatnonzero(objects == one) for one in np.unique(objects)}
    class_of = {one: int(targets[rows[0]]) for one, rows in rows_of.items()}
    members = {
        target: [one for one, its in class_of.items() if its == target] for target in sorted(set(class_of.values()))
    }
    fullest = max(map(len, rows_of.values()))
    staying = max(len(own) - -(-len(own) // FOLDS) if len(own) > 1 else 1 for own in members.values())
    pairs = list(itertools.product(_levels(staying, OBJECT_LEVELS), _levels(fullest, SHOT_LEVELS)))
    # 2. Rows of each; in a repeat the images of an object have one random order, and in a fold the objects of a class.
    subsets: dict[Key, Bool[np.ndarray, " images"]] = {}
    used = np.zeros((len(pairs), 2))
    for repeat in range(repeats):
        depth = np.empty(len(objects))  # share of the images of its object that come before each
        draw = generator(seed, "designs", "shots", repeat)
        for rows in rows_of.values():
            depth[rows] = draw.permutation(len(rows)) / len(rows)
        for fold in numbers:
            draw = generator(seed, "designs", "objects", repeat, fold)
            place = np.full(len(objects), len(rows_of))  # of each image's object within its class
            for own in members.values():
                stays = [one for one in own if folds[rows_of[one][0]] != fold]
                for number, at in enumerate(draw.permutation(len(stays))):
                    place[rows_of[stays[at]]] = number
            for number, (n_objects, n_shots) in enumerate(pairs):
                taken = (place < n_objects) & ((depth < n_shots / fullest - 1e-9) | (depth == 0.0))
                subsets[number, fold, repeat] = taken
                n_seen = len(np.unique(objects[taken]))
                used[number] += n_seen / len(np.unique(targets[taken])), taken.sum() / n_seen
    # 3. Heads; equal subsets of one design share one.
    strengths = _strengths(history, subsets, device, progress)
    rows_for = {key: np.flatnonzero(taken) for key, taken in subsets.items()}
    unique = {(strengths[key[0]], held.tobytes()): held for key, held in rows_for.items()}
    heads = train_heads(
        features,
        targets,
        objects,
        list(unique.values()),
        known=[strength for strength, _ in unique],
        n_classes=len(shots.objects.classes),
        device=device,
        progress=progress,
    )
    head_of = dict(zip(unique, heads, strict=True))
    judged = np.unique(objects[folds != NEVER])
    errors = np.full((len(pairs), len(judged), repeats), np.nan)
    predicted = np.full((len(pairs), repeats, len(objects)), -1)
    for (number, fold, repeat), held in rows_for.items():
        tests = np.flatnonzero(folds == fold)
        predicted[number, repeat, tests] = head_of[strengths[number], held.tobytes()].predict(features[tests])
        wrong = predicted[number, repeat, tests] != targets[tests]
        names, places, counts = np.unique(objects[tests], return_inverse=True, return_counts=True)
        errors[number, np.searchsorted(judged, names), repeat] = np.bincount(places, weights=wrong) / counts
    seen = folds != NEVER
    agreement = np.full(repeats, np.nan)
    if fullest > 1:
        agreement = np.array([cohen_kappa(*predicted[[-2, -1], repeat][:, seen]) for repeat in range(repeats)])
    return DesignSamples(
        designs=used / (repeats * len(numbers)),
        errors=errors,
        agreement=agreement,
        captured=(len(rows_of) / len(members), len(objects) / len(rows_of)),
        classes=len(members),
        objects=judged,
    )


# A head: number of its design, its fold, its repeat.
Key = tuple[int, int, int]


def cohen_kappa(first: Int[np.ndarray, " images"], second: Int[np.ndarray, " images"]) -> float:
    """Agreement of two predictions beyond chance: 1 if they are equal, 0 if they agree as often as by lot.

    Source:
        J. Cohen, Educ. Psychol. Meas. 20 (1960) 37-46.
    """
    n_labels = int(max(first.max(), second.max())) + 1
    shares = [np.bincount(labels, minlength=n_labels) / len(labels) for labels in (first, second)]
    by_lot = float(shares[0] @ shares[1])
    return 1.0 if by_lot >= 1.0 else (float((first == second).mean()) - by_lot) / (1.0 - by_lot)


def _in_order(history: History) -> History:
    """The same images by object and view, so that the order of rows does not matter."""
    assert history.features is not None
    order = np.lexsort([*history.shots.coordinates.T[::-1], history.shots.object_rows])
    return replace(history, shots=history.shots.take(order), features=np.ascontiguousarray(history.features[order]))


def _levels(most: int, count: int) -> list[int]:
    """The number itself, its half, and down to 1 in equal ratios of about 2, or more where that would be too many."""
    half = (most + 1) // 2
    return sorted({most, *np.geomspace(1.0, half, min(count - 1, half.bit_length())).round().astype(int).tolist()})


def _strengths(
    history: History, subsets: dict[Key, Bool[np.ndarray, " images"]], device: str, progress: Progress
) -> dict[int, float]:
    """L2 strength of each design: that of the least loss on objects left out, in the first of its heads.

    Chosen for each head anew, it takes eight times as long.
    """
    assert history.features is not None
    first: dict[int, Int[np.ndarray, " rows"]] = {}
    for (number, *_), taken in subsets.items():
        first.setdefault(number, np.flatnonzero(taken))
    heads = train_heads(
        history.features,
        history.shots.class_rows,
        history.shots.object_rows,
        list(first.values()),
        n_classes=len(history.shots.objects.classes),
        strengths=STRENGTHS,
        device=device,
        progress=progress,
    )
    return {number: head.strength for number, head in zip(first, heads, strict=True)}
