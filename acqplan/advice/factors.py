"""What the variety of each axis is worth: captured shots without it against as many with all of it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.optimize import linear_sum_assignment

from acqplan.advice.answers import QUARTER, SAME_VIEWS, Factor
from acqplan.advice.sub_designs import STRENGTHS
from acqplan.heads.exact import train_heads
from acqplan.heads.linear import NEVER, object_folds
from acqplan.plan.base import History
from acqplan.plan.greedy import Herding
from acqplan.progress import SILENT, Progress
from acqplan.rng import generator, stream
from acqplan.space import Axis, Category, Circle, Shots
from acqplan.space.kernel import distances
from acqplan.statistics.objects import Estimate, outward, two_way, two_way_draws, two_way_mean

# Shares of an object's images that are kept. Worths are those at the first; the others make the curve of a factor.
SHARES = (0.25, 0.5, 1.0)
# Settings that a factor is narrowed to, at each share, spread over those captured; of all images there is no choice.
REPEATS = (6, 3, 1)
FOLDS = 5
# As many images of an object make a quarter of them.
FEWEST_IMAGES = 4
# Share of the views asked for that were captured of other objects as well, so that these may be called the same.
ALIKE = 0.75
DRAWS = 999

# Images that are kept, by what they are (near one setting of an axis, `SAME_VIEWS`, `SPREAD`), share and repeat.
Mask = Bool[np.ndarray, " images"]
Masks = dict[tuple[str, int, int], Mask]
SPREAD = ""
# Share of the images of each left-out object that heads get right.
Scores = Float[np.ndarray, "objects repeats"]


def measure_factors(
    history: History, *, seed: int = 0, device: str = "cpu", progress: Progress = SILENT
) -> tuple[Factor, ...]:
    """What it is worth that captured shots vary in each axis, and from object to object, at equal numbers of images.

    A quarter of the images of each object is kept: those nearest to one setting of the axis, the same for all objects,
    or those that herding spreads over all axes and the objects of a class (a random quarter of a lattice is spread less
    evenly than what is near one setting, a lattice in the other axes: worths came out 1 to 2 points too low). Heads of
    both are judged on all images of left-out objects. From half of the images, narrowed, to all of them errors fall by
    a power law that, continued by a quarter, bounds what more images gain by the axis, generously
    (benchmarks/README.md); where levels are not captured, nothing is said.

    Args:
        history: Captured shots with features, of which `advise_history` found that a learning curve can be measured.
        seed: Seed of settings and sub-samples; neither the order of rows nor names of objects matter.
        device: Where heads are trained.
        progress: Hears of each head.

    Returns:
        A factor for each axis, in the order of the space, and `SAME_VIEWS`.

    Source:
        Curves of factors: L. Zha et al., Guiding Data Collection via Factored Scaling Curves, arXiv 2505.07728.
    """
    history = history.take(np.lexsort([*history.shots.coordinates.T[::-1], history.shots.object_rows]))
    shots, space = history.shots, history.shots.space
    per_object = len(shots) / len(np.unique(shots.object_rows))
    if round(per_object) < FEWEST_IMAGES:
        reason = f"it takes {FEWEST_IMAGES} images of each object to leave some out"
        return tuple(Factor(name=name, reason=reason) for name in (*space.names, SAME_VIEWS))
    # 1. Images that are kept in each way; a factor that they cannot be without is left out.
    kept, levels = [round(share * per_object) for share in SHARES[:-1]], space.levels(shots.coordinates)
    masks: Masks = {(SPREAD, 1, 0): _spread(shots, kept[1], seed), (SPREAD, 2, 0): np.ones(len(shots), dtype=np.bool_)}
    masks |= {(SPREAD, 0, repeat): _spread(shots, kept[0], stream(seed, repeat)) for repeat in range(REPEATS[0])}
    same, factors = _same_views(shots, masks, seed), []
    for column, axis in enumerate(space.axes):
        near = _near_one_setting(shots, column, kept, seed)
        factors.append(_narrowed(axis, levels[:, column], [near[axis.name, 0, one] for one in range(REPEATS[0])]))
        masks |= {} if factors[-1].reason else near
    reason = "" if same else "few views are captured of several objects"
    factors.append(Factor(name=SAME_VIEWS, narrowed="the same views for all", reason=reason))
    # 2. Heads of each, judged on left-out objects, and what they differ by.
    classes, found = _judged(history, masks | same, device, progress)
    for number, factor in enumerate(factors):
        if factor.reason:
            continue
        worth, further = _worth(found[SPREAD, 0], found[factor.name, 0], classes), None
        if factor.name in space.names and len(np.unique(levels[:, number])) == space.shape[number]:
            further = _next_quarter(found[factor.name, 1], found[SPREAD, 2], seed)
        factors[number] = replace(factor, images=kept[0], worth=worth, next=further)
    return tuple(factors)


def _spread(shots: Shots, n_kept: int, seed: int) -> Mask:
    """So many images of each object, or all it has, spread over all axes and the objects of a class."""
    counts = np.unique(shots.object_rows, return_counts=True)[1]
    # What objects are called must not matter.
    names = tuple(f"{row:06d}" for row in range(len(shots.objects)))
    blind = replace(shots, objects=replace(shots.objects, names=names))
    chosen = Herding().propose(blind, History.empty(blind), int(np.minimum(counts, n_kept).sum()), seed)
    return np.isin(np.arange(len(shots)), chosen.rows)


def _near_one_setting(shots: Shots, column: int, kept: list[int], seed: int) -> Masks:
    """The images of each object that are nearest to one setting of an axis."""
    axis, values = shots.space.axes[column], shots.coordinates[:, column]
    draw, masks = generator(seed, "factors", axis.name), Masks()
    start, (_, starts, counts) = draw.random(), np.unique(shots.object_rows, return_index=True, return_counts=True)
    for repeat in range(REPEATS[0]):
        setting = np.quantile(values, (repeat + start) / REPEATS[0], method="inverted_cdf")
        if isinstance(axis, Category):  # level by level, the others in an order drawn by lot
            places = 1.0 + draw.permutation(len(axis.values))[np.rint(values).astype(np.int64)]
            apart = places * axis.difference(values, setting)
        else:  # of two levels as far away the same one for all objects
            apart = axis.difference(values, setting + draw.choice([-1e-6, 1e-6]))
        order = np.lexsort([draw.random(len(values)), apart, shots.object_rows])
        places = np.arange(len(order)) - starts.repeat(counts)
        masks |= {
            (axis.name, number, repeat): np.isin(np.arange(len(order)), order[places < n_kept])
            for number, n_kept in enumerate(kept)
            if repeat < REPEATS[number]
        }
    return masks


def _same_views(shots: Shots, masks: Masks, seed: int) -> Masks:
    """The images of each object next to the views that one of them was spread over; none if few are those views."""
    objects, found, alike = np.unique(shots.object_rows), {}, []
    for repeat in range(REPEATS[0]):
        chosen = generator(seed, "factors", SAME_VIEWS, repeat).choice(objects)
        wanted = shots.coordinates[masks[SPREAD, 0, repeat] & (shots.object_rows == chosen)]
        mask = found[SAME_VIEWS, 0, repeat] = np.zeros(len(shots), dtype=np.bool_)
        for mine in (np.flatnonzero(shots.object_rows == one) for one in objects):
            apart = distances(shots.space, wanted, shots.coordinates[mine])
            asked, has = linear_sum_assignment(apart)
            mask[mine[has]] = True
            alike.append(float((apart[asked, has] < 0.1).mean()))
    return found if np.mean(alike) >= ALIKE else {}


def _narrowed(axis: Axis, levels: Int[np.ndarray, " images"], masks: list[Mask]) -> Factor:
    """The factor of an axis with what it is narrowed to, in words; or why it is not."""
    most = len(np.unique(levels))
    if most == 1:
        return Factor(name=axis.name, reason="one level of it is captured")
    # As many levels as hold nine tenths of what is kept.
    counts = [np.sort(np.unique(levels[mask], return_counts=True)[1])[::-1] for mask in masks]
    kept = round(float(np.median([1 + np.searchsorted(one.cumsum(), 0.9 * one.sum()) for one in counts])))
    if 2 * kept > most:
        return Factor(name=axis.name, reason=f"a quarter of an object's images is from {kept} of its {most} levels")
    codes = np.sort(axis.codes()[np.unique(levels)])
    closes = isinstance(axis, Circle) and np.diff(codes, append=codes[0] + axis.period).max() <= axis.period / 4.0
    narrowed = f"one {axis.name}" if kept == 1 else f"{kept} of {most} levels"
    return Factor(name=axis.name, narrowed=QUARTER if closes and 1 < kept <= most / 3 else narrowed)


def _judged(
    history: History, masks: Masks, device: str, progress: Progress
) -> tuple[Int[np.ndarray, " objects"], dict[tuple[str, int], Scores]]:
    """Classes of the left-out objects, and scores on them of the heads of what is kept, by what it is and share.

    Heads of one share have one strength, chosen for what is spread.
    """
    assert history.features is not None
    features, targets, objects = history.features, history.shots.class_rows, history.shots.object_rows
    n_classes = len(history.shots.objects.classes)
    train = partial(train_heads, features, targets, objects, n_classes=n_classes, device=device, progress=progress)
    usual = [np.flatnonzero(masks[SPREAD, number, 0]) for number in range(len(SHARES))]
    strengths = [head.strength for head in train(usual, strengths=STRENGTHS)]
    folds = object_folds(targets, objects, FOLDS)
    judged, found = np.unique(objects[folds != NEVER]), dict[tuple[str, int], Scores]()
    keys = [(key, fold) for key in masks for fold in np.unique(folds[folds != NEVER])]
    subsets = [np.flatnonzero(masks[key] & (folds != fold)) for key, fold in keys]
    heads = train(subsets, known=[strengths[number] for (_, number, _), _ in keys])
    for ((name, number, repeat), fold), head in zip(keys, heads, strict=True):
        rows = np.flatnonzero(folds == fold)
        right = head.predict(features[rows]) == targets[rows]
        names, places, counts = np.unique(objects[rows], return_inverse=True, return_counts=True)
        scores = found.setdefault((name, number), np.zeros((len(judged), REPEATS[number])))
        scores[np.searchsorted(judged, names), repeat] = np.bincount(places, weights=right) / counts
    return history.shots.objects.class_rows[judged], found


def _worth(varied: Scores, narrowed: Scores, classes: Int[np.ndarray, " objects"]) -> Estimate:
    """Mean difference with its interval over other objects of these classes and other sub-samples.

    Settings are spread over the range, not drawn, so that what they differ by is no noise; nor is what classes differ
    by, of which there are no others. Deviations from the mean of a class of ``n`` objects are stretched by
    ``sqrt(n / (n - 1))``, as the mean is theirs.
    """
    apart = varied - narrowed + narrowed.mean(axis=0) - narrowed.mean()
    means, overall = apart.mean(axis=1), apart.mean()
    for mine in (classes == one for one in np.unique(classes)):
        stretched = (means[mine] - means[mine].mean()) * (mine.sum() / (mine.sum() - 1)) ** 0.5
        apart[mine] += (overall + stretched - means[mine])[:, None]
    found = two_way(apart)
    return Estimate(estimate=found.mean, low=max(found.low, -1.0), high=min(found.high, 1.0), level=0.95)


def _next_quarter(half: Scores, everything: Scores, seed: int) -> Estimate:
    """Gain of a quarter more images, did the errors go on as they fell from half of a factor to all of it."""
    errors = 1.0 - np.stack([half, np.tile(everything, half.shape[1])])
    means = np.concatenate([two_way_mean(errors)[None], two_way_draws(errors, draws=DRAWS, seed=seed)])
    falls = np.minimum(means[:, 1] / np.maximum(means[:, 0], 1e-9), 1.0) ** np.log2(1.0 + SHARES[0])
    gains, below = means[:, 1] * (1.0 - falls), outward(0.95, len(half))
    low, high = np.quantile(gains[1:], [below, 1.0 - below])
    return Estimate(estimate=float(gains[0]), low=min(low, gains[0]), high=max(high, gains[0]), level=0.95)
