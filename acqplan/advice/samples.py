"""What sub-samples of the captured images teach about objects left out: the measurements behind all advice."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from acqplan.heads.exact import train_heads
from acqplan.heads.linear import NEVER, Head, object_folds
from acqplan.plan.base import History
from acqplan.progress import SILENT, Progress
from acqplan.rng import generator

SIZES = 6
"""Sizes of sub-samples, in equal ratios."""

SMALLEST_SHARE = 1 / 16
"""Share of the smallest; never less than one image of each object."""

REPEATS = 6
"""Random sub-samples of each size."""

FOLDS = 5

STRENGTHS = (1e-2, 1e-3, 1e-4)
"""Half as many as `train_heads` tries; one is chosen for each size, see `_strengths`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Samples:
    """Accuracy on objects that the heads never saw.

    Attributes:
        images: Images of all objects at each size of sub-sample, ascending, the last all there are, shape ``[sizes]``.
        accuracy: Share of the images of each left-out object that heads of each size and repeat get right, shape
            ``[sizes, objects, repeats]``; the last size has no choice, and its repeats agree.
        few: Share by heads that saw all images of half of the other objects, shape ``[objects, repeats]``.
        many: Share by heads that saw as many images of each class, evenly of all other objects.
        contrast: Mean of ``1 / objects`` of a class of the few, less that of the many; 0 where there were no fewer.
        objects: Rows of the left-out objects, shape ``[objects]``.
    """

    images: Float[np.ndarray, " sizes"]
    accuracy: Float[np.ndarray, "sizes objects repeats"]
    few: Float[np.ndarray, "objects repeats"]
    many: Float[np.ndarray, "objects repeats"]
    contrast: float
    objects: Int[np.ndarray, " objects"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Captured:
    """Captured images in an order of their own, by object and view, so that the order of rows does not matter.

    Attributes:
        features: Shape ``[images, features]``.
        targets: Class of each, shape ``[images]``.
        objects: Object of each, shape ``[images]``.
        n_classes: Classes of the rig.
        folds: Fold that leaves each out; `NEVER` for the only object of a class, shape ``[images]``.
        depth: In each repeat, the share of the images of its object that come before it, shape ``[repeats, images]``.
    """

    features: Float32[np.ndarray, "images features"]
    targets: Int[np.ndarray, " images"]
    objects: Int[np.ndarray, " images"]
    n_classes: int
    folds: Int[np.ndarray, " images"]
    depth: Float[np.ndarray, "repeats images"]

    def of_depth(self, repeat: int, share: float | Float[np.ndarray, " images"]) -> Int[np.ndarray, " rows"]:
        """The first images of every object in the order of a repeat: that share of them, at least one."""
        return np.flatnonzero((self.depth[repeat] < share) | (self.depth[repeat] == 0.0))


def measure_samples(
    history: History, *, seed: int = 0, repeats: int = REPEATS, device: str = "cpu", progress: Progress = SILENT
) -> Samples:
    """Train heads on growing sub-samples, leaving objects out, and judge them on those.

    One object of each class is left out at a time (several, if a class has more than five); sub-samples are random
    shares of the images of each other object, nested within a repeat. Two more kinds of heads see equally many images
    of half of the objects and of all.

    Args:
        history: Captured shots with features, of at least one class with two objects.
        seed: Seed of the sub-samples; neither the order of rows nor names of objects matter.
        repeats: Sub-samples of each size.
        device: Where to train.
        progress: Hears of each head trained.
    """
    # 1. Sizes of sub-samples, and the strength of regularisation that suits each.
    captured = _in_order(history, seed, repeats)
    folds = [int(fold) for fold in np.unique(captured.folds) if fold != NEVER]
    sizes = _sizes(captured)
    strengths = _strengths(captured, sizes, seed, device, progress)
    # 2. One head for each fold of left-out objects, size and repeat.
    heads = _train(captured, _subsets(captured, folds, sizes, seed), strengths, device=device, progress=progress)
    # 3. Each head is judged on the objects of its fold.
    judged = np.unique(captured.objects[captured.folds != NEVER])
    accuracy = np.full((len(sizes) + 2, len(judged), repeats), np.nan)
    for (fold, part, repeat), head in heads.items():
        rows = np.flatnonzero(captured.folds == fold)
        right = head.predict(captured.features[rows]) == captured.targets[rows]
        names, places, counts = np.unique(captured.objects[rows], return_inverse=True, return_counts=True)
        accuracy[part, np.searchsorted(judged, names), repeat] = np.bincount(places, weights=right) / counts
    n_teachers = [len(objects) for fold in folds for _, objects in _teachers(captured, captured.folds != fold)]
    return Samples(
        images=np.array([np.mean([len(captured.of_depth(one, share)) for one in range(repeats)]) for share in sizes]),
        accuracy=accuracy[:-2],
        few=accuracy[-2],
        many=accuracy[-1],
        contrast=float(np.mean([1 / _half(n) - 1 / n for n in n_teachers])),
        objects=judged,
    )


Key = tuple[int, int, int]
"""A head: its fold, its part (number of a size, then few objects, then many), its repeat."""


def _strengths(captured: _Captured, sizes: Sequence[float], seed: int, device: str, progress: Progress) -> list[float]:
    """L2 strength of each part: that of the least loss on objects left out, in one repeat from which no fold is away.

    Chosen for each head anew, it takes eight times as long. So a judged object has a say in the strength of the heads
    that judge it, one of three, together with all other objects; in their weights it has none.
    """
    everywhere = np.ones(len(captured.targets), dtype=np.bool_)
    halves = _few_and_many(captured, everywhere, 0, generator(seed, "advise", "strengths"))
    heads = train_heads(
        captured.features,
        captured.targets,
        captured.objects,
        [*(captured.of_depth(0, share) for share in sizes), *halves],
        n_classes=captured.n_classes,
        strengths=STRENGTHS,
        device=device,
        progress=progress,
    )
    return [head.strength for head in heads]


def _train(
    captured: _Captured,
    subsets: Mapping[Key, Int[np.ndarray, " rows"]],
    strengths: Sequence[float],
    *,
    device: str,
    progress: Progress,
) -> dict[Key, Head]:
    """One head on each subset, those of one strength in one batch; equal subsets share one."""
    trained: dict[Key, Head] = {}
    for strength in sorted(set(strengths)):
        mine = {key: rows for key, rows in subsets.items() if strengths[key[1]] == strength}
        unique = {rows.tobytes(): rows for rows in mine.values()}
        heads = train_heads(
            captured.features,
            captured.targets,
            captured.targets,  # each class as one object: the strength is known, and no fold is trained to choose it
            list(unique.values()),
            n_classes=captured.n_classes,
            strengths=(strength,),
            device=device,
            progress=progress,
        )
        found = dict(zip(unique, heads, strict=True))
        trained |= {key: found[rows.tobytes()] for key, rows in mine.items()}
    return trained


def _in_order(history: History, seed: int, repeats: int) -> _Captured:
    assert history.features is not None
    shots = history.shots
    order = np.lexsort([*shots.coordinates.T[::-1], shots.object_rows])
    objects, targets = shots.object_rows[order], shots.class_rows[order]
    depth = np.empty((repeats, len(objects)))
    for repeat in range(repeats):
        lots = generator(seed, "advise", "images", repeat).random(len(objects))
        for one in np.unique(objects):
            rows = np.flatnonzero(objects == one)
            depth[repeat, rows] = np.argsort(np.argsort(lots[rows])) / len(rows)
    return _Captured(
        features=np.ascontiguousarray(history.features[order]),
        targets=targets,
        objects=objects,
        n_classes=len(shots.objects.classes),
        folds=object_folds(targets, objects, FOLDS),
        depth=depth,
    )


def _sizes(captured: _Captured) -> list[float]:
    """Shares of sub-samples, those left out that take the same images as a smaller one."""
    most = int(np.unique(captured.objects, return_counts=True)[1].max())
    shares = np.geomspace(min(max(SMALLEST_SHARE, 1 / most), 1.0), 1.0, SIZES)
    shares[-1] = 1.0
    # A share is cut to what whole images of the fullest object make of it, so that small captures have few sizes.
    whole = sorted({max(round(float(share) * most), 1) for share in shares})
    found: dict[int, float] = {}
    for count in whole:
        share = (count - 0.5) / most if count < most else 1.0
        found.setdefault(len(captured.of_depth(0, share)), share)
    return list(found.values())


def _subsets(
    captured: _Captured, folds: list[int], sizes: list[float], seed: int
) -> dict[Key, Int[np.ndarray, " rows"]]:
    """Rows that each head is trained on."""
    subsets = {}
    for fold, repeat in itertools.product(folds, range(len(captured.depth))):
        stays = captured.folds != fold
        for number, share in enumerate(sizes):
            rows = captured.of_depth(repeat, share)
            subsets[fold, number, repeat] = rows[stays[rows]]
        few, many = _few_and_many(captured, stays, repeat, generator(seed, "advise", "objects", fold, repeat))
        subsets[fold, len(sizes), repeat], subsets[fold, len(sizes) + 1, repeat] = few, many
    return subsets


def _few_and_many(
    captured: _Captured, stays: Bool[np.ndarray, " images"], repeat: int, random: np.random.Generator
) -> tuple[Int[np.ndarray, " few"], Int[np.ndarray, " many"]]:
    """All images of half of the objects of each class, and as many of all objects of the class."""
    kept, share = np.zeros(len(stays), dtype=np.bool_), np.ones(len(stays))
    for target, objects in _teachers(captured, stays):
        chosen = random.permutation(objects)[: _half(len(objects))]
        mine = (captured.targets == target) & stays
        kept |= np.isin(captured.objects, chosen)
        share[mine] = kept[mine].mean()
    many = captured.of_depth(repeat, share)
    return np.flatnonzero(kept), many[stays[many]]


def _teachers(
    captured: _Captured, stays: Bool[np.ndarray, " images"]
) -> Iterator[tuple[int, Int[np.ndarray, " objects"]]]:
    """Objects of each class that are not left out."""
    for target in np.unique(captured.targets[stays]):
        yield int(target), np.unique(captured.objects[stays & (captured.targets == target)])


def _half(n_objects: int) -> int:
    return max(n_objects // 2, 1)
