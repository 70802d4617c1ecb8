"""Learning curves: heads learn from sub-samples of what is captured; ``a * n**-b + c`` is fitted to their errors."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Int
from scipy import stats

from acqplan.errors import UsageError
from acqplan.heads.exact import train_heads
from acqplan.heads.linear import NEVER, Head, object_folds
from acqplan.plan.base import History
from acqplan.progress import SILENT, Progress
from acqplan.rng import generator
from acqplan.space import Shots
from acqplan.statistics.objects import Estimate, outward, two_way_draws, two_way_mean

# Sizes of sub-samples, in equal ratios.
SIZES = 6
# Share of the smallest; never less than one image of each object.
SMALLEST_SHARE = 1 / 16
# Random sub-samples of each size.
REPEATS = 6
FOLDS = 5

# Half as many as `train_heads` tries; one is chosen for each size, see `_strengths`.
STRENGTHS = (1e-2, 1e-3, 1e-4)
# Exponents that are tried. Below 0.1 a curve cannot be told from a straight line in the logarithm, and its floor is no
# floor; above 3 it has ended before the second size.
STEEPEST, FLATTEST = 3.0, 0.1
# Exponents of a grid, and grids, each between the neighbours of the last one's best.
STEPS, PASSES = 41, 3
# As many as a curve has numbers to fit.
FEWEST_SIZES = 3
# Images that views and objects are compared by, as a share of those captured.
NEXT_SHARE = 0.1
# Resamples of objects and repeats.
DRAWS = 1_999


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
    # 2. One head for each fold of left-out objects, size and repeat: those of one strength are one batch.
    heads: dict[Key, Head] = {}
    subsets = _subsets(captured, folds, sizes, seed)
    for strength in sorted(set(strengths)):
        mine = {key: rows for key, rows in subsets.items() if strengths[key[1]] == strength}
        unique = {rows.tobytes(): rows for rows in mine.values()}  # equal subsets share a head
        trained = train_heads(
            captured.features,
            captured.targets,
            captured.targets,  # each class as one object: the strength is known, and no fold is trained to choose it
            list(unique.values()),
            n_classes=captured.n_classes,
            strengths=(strength,),
            device=device,
            progress=progress,
        )
        found = dict(zip(unique, trained, strict=True))
        heads |= {key: found[rows.tobytes()] for key, rows in mine.items()}
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
        contrast=float(np.mean([1 / max(n // 2, 1) - 1 / n for n in n_teachers])),
        objects=judged,
    )


# A head: its fold, its part (number of a size, then few objects, then many), its repeat.
Key = tuple[int, int, int]


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
        chosen = random.permutation(objects)[: max(len(objects) // 2, 1)]
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PowerLaw:
    """Learning curves ``err(n) = scale * (n / unit)**-exponent + floor``.

    Attributes:
        unit: Images that ``scale`` refers to: the largest size fitted.
        scale: Error that images can still remove at ``unit``, at least 0, shape ``[curves]``.
        exponent: How fast they do, shape ``[curves]``.
        floor: Error that remains, within ``0 .. 1``, shape ``[curves]``.
    """

    unit: float
    scale: Float[np.ndarray, " curves"]
    exponent: Float[np.ndarray, " curves"]
    floor: Float[np.ndarray, " curves"]

    def accuracy(self, images: float) -> Float[np.ndarray, " curves"]:
        """Accuracy with so many images, shape ``[curves]``."""
        return 1.0 - self.floor - self.scale * (images / self.unit) ** -self.exponent

    def images_for(self, accuracy: Float[np.ndarray, " curves"]) -> Float[np.ndarray, " curves"]:
        """Images that each curve needs for an accuracy; infinite where it never gets there, shape ``[curves]``."""
        spare = 1.0 - accuracy - self.floor
        possible = (spare > 0.0) | ((spare >= -1e-12) & (self.scale <= 1e-12))
        ratio = self.scale / np.where(spare > 0.0, spare, 1.0)
        logs = np.log(np.maximum(ratio, 1e-300)) / self.exponent
        return np.where(possible, self.unit * np.exp(np.clip(logs, -700.0, 600.0)), np.inf)


def fit_power_law(images: Float[np.ndarray, " sizes"], errors: Float[np.ndarray, "curves sizes"]) -> PowerLaw:
    """Fit a power law to each curve by weighted least squares, with ``scale >= 0`` and ``0 <= floor <= 1``.

    For each exponent on a grid the other two are the solution of a bounded linear problem in closed form, so that the
    best is found whatever the start, for thousands of resampled curves at once. Sizes weigh by their images: what is
    asked of the curve lies beyond the largest.

    Args:
        images: Images of each size, ascending, at least three sizes.
        errors: Errors, finite, within ``0 .. 1``, shape ``[curves, sizes]``.

    Raises:
        UsageError: If there are fewer sizes, they do not ascend, or a number is not finite.

    Source:
        G. H. Golub, V. Pereyra, SIAM J. Numer. Anal. 10 (1973) 413-432 (the linear numbers eliminated); weights of
        K. H. Tae, S. E. Whang, Slice Tuner, SIGMOD 2021, arXiv 2003.04549.
    """
    if len(images) < FEWEST_SIZES or images[0] <= 0 or not (np.diff(images) > 0).all() or not np.isfinite(errors).all():
        raise UsageError(f"errors of shape {errors.shape} at {len(images)} sizes", "give at least 3, ascending")
    shares = images / images[-1]
    weights = shares / shares.sum()
    exponent, reach = np.full(len(errors), (STEEPEST * FLATTEST) ** 0.5), (STEEPEST / FLATTEST) ** 0.5
    for _ in range(PASSES):
        # The exponent of least loss near that of each curve; the steepest of equals, which promises least.
        factors = np.geomspace(reach, 1 / reach, STEPS)
        tried = [np.clip(exponent * factor, FLATTEST, STEEPEST) for factor in factors]
        losses = [_at_exponent(shares ** -one[:, None], errors, weights)[2] for one in tried]
        best = np.argmin(np.round(losses, 15), axis=0)
        exponent = np.stack(tried)[best, np.arange(len(errors))]
        reach **= 2 / (STEPS - 1)
    scale, floor, _ = _at_exponent(shares ** -exponent[:, None], errors, weights)
    return PowerLaw(unit=float(images[-1]), scale=scale, exponent=exponent, floor=floor)


def _at_exponent(
    falls: Float[np.ndarray, "curves sizes"],
    errors: Float[np.ndarray, "curves sizes"],
    weights: Float[np.ndarray, " sizes"],
) -> tuple[Float[np.ndarray, " curves"], Float[np.ndarray, " curves"], Float[np.ndarray, " curves"]]:
    """Scale, floor and loss of the best curve of one exponent: the free solution, or the better of its bounds."""
    mean_fall, mean_error = falls @ weights, errors @ weights
    apart = falls - mean_fall[:, None]
    scale = np.maximum((apart * errors) @ weights / (apart**2 @ weights), 0.0)
    floor = mean_error - scale * mean_fall
    below = floor < 0.0
    scale = np.where(below, (falls * errors) @ weights / (falls**2 @ weights), scale)
    floor = np.where(below, 0.0, np.minimum(floor, 1.0))
    residual = errors - scale[:, None] * falls - floor[:, None]
    return scale, floor, residual**2 @ weights


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Resampled:
    """The fitted curve first, then those of resampled objects and repeats.

    Attributes:
        law: The curves, ``1 + draws`` of them.
        extra: What one more object per class adds to as many images of the old ones, shape ``[1 + draws]``; ``None``
            where classes have too few objects to leave some out.
        captured: Images captured.
        capacity: Images of these objects that the space has views for, at least ``captured``.
        smallest: Images of the smallest sub-sample.
        n_objects: Judged objects.
    """

    law: PowerLaw
    extra: Float[np.ndarray, " curves"] | None
    captured: int
    capacity: int
    smallest: int
    n_objects: int

    @classmethod
    def of(cls, samples: Samples, shots: Shots, *, seed: int = 0) -> Resampled:
        """Resample objects and repeats, all sizes together, and fit a curve to each resample.

        Args:
            samples: Accuracies of at least three sizes.
            shots: The captured shots.
            seed: Seed of the resamples.
        """
        # All sizes are resampled together, so that a resampled curve is one that other objects would have given.
        values = np.concatenate([samples.accuracy, samples.few[None], samples.many[None]])
        means = np.concatenate([two_way_mean(values)[None], two_way_draws(values, draws=DRAWS, seed=seed)])
        # The gain by objects at equal images falls as 1 / objects: carried to one more object by its slope there.
        extra = None
        if samples.contrast > 0.0:
            extra = (means[:, -1] - means[:, -2]) / samples.contrast * _fall_by_one_object(shots)
        return cls(
            law=fit_power_law(samples.images, np.clip(1.0 - means[:, :-2], 0.0, 1.0)),
            extra=extra,
            captured=len(shots),
            capacity=capacity_of(shots),
            smallest=round(float(samples.images[0])),
            n_objects=len(samples.objects),
        )

    def gain(self, images: int) -> Float[np.ndarray, " curves"]:
        """Gain of accuracy from what is captured to so many images of these objects, or all there are."""
        return self.law.accuracy(min(images, self.capacity)) - self.law.accuracy(self.captured)

    def interval(self, values: Float[np.ndarray, " curves"]) -> Estimate:
        """The fitted number with percentiles of the resampled ones, moved out for few objects."""
        below = outward(0.95, self.n_objects)
        low, high = np.quantile(values[1:], [below, 1.0 - below])
        estimate = float(values[0])
        return Estimate(
            estimate=estimate,
            low=max(min(float(low), estimate), -1.0),
            high=min(max(float(high), estimate), 1.0),
            level=0.95,
        )

    def confidence(self, holds: Bool[np.ndarray, " draws"]) -> float:
        """One-sided confidence that what holds in some resamples holds: moved in for few objects, never quite 1."""
        share = np.clip(float(np.mean(holds)), 1 / (1 + len(holds)), len(holds) / (1 + len(holds)))
        n = max(self.n_objects, 2)
        return float(stats.t.cdf(stats.norm.ppf(share) * ((n - 1) / n) ** 0.5, n - 1))


def capacity_of(shots: Shots) -> int:
    """Images of the captured objects that the space has views for; at least as many as are captured."""
    return max(len(np.unique(shots.object_rows)) * shots.space.n_views, len(shots))


def _fall_by_one_object(shots: Shots) -> float:
    """Fall of ``1 / objects`` of a class by one more object with its share of the next images, mean of classes.

    An object seen less than the others counts for less: as many objects as would leave the mean of a class, weighted by
    images, as uncertain (Kish's effective number).

    Source:
        L. Kish, Survey Sampling (1965), section 11.7.
    """
    rows, counts = np.unique(shots.object_rows, return_counts=True)
    classes = shots.objects.class_rows[rows]
    n_new = min(NEXT_SHARE * len(shots) / len(np.unique(classes)), float(shots.space.n_views))
    falls = []
    for target in np.unique(classes):
        seen = counts[classes == target].astype(np.float64)
        before, after = (float((one**2).sum() / one.sum() ** 2) for one in (seen, np.append(seen, n_new)))
        falls.append(before - after)
    return max(float(np.mean(falls)), 0.0)
