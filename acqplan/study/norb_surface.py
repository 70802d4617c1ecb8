"""How dense in azimuth, how sparse in elevation, how many lights and objects: the accuracy of every such design."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np
from jaxtyping import Float, Float32, Int

from acqplan.evaluate.results import weighted_shares
from acqplan.heads.exact import train_heads
from acqplan.heads.linear import predict_all
from acqplan.plan import find_strategy
from acqplan.plan.base import History
from acqplan.plan.designs import shifted
from acqplan.progress import SILENT, Progress
from acqplan.rng import generator
from acqplan.space import Category, Shots

COUNTS = {"azimuth": (1, 2, 3, 6, 9, 18), "elevation": (1, 2, 3, 5, 9)}
PLACEMENTS = ("even", "staggered", "lattice")
# Strengths of the exact heads: weaker ones take longer and were not chosen.
STRENGTHS = (1e-2, 1e-3, 1e-4)
# Multiples of its powers, modulo 1, spread shifts evenly over the objects of a class.
GOLDEN = 0.618034


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Surface:
    """Accuracy of designs of azimuths x elevations x lights x objects, each placed in several ways.

    Attributes:
        designs: Azimuths, elevations, lights and objects per class of each design, shape ``[designs, 4]``.
        placements: ``even``: the same grid for every object; ``staggered``: the grid moved from object to object;
            ``lattice``: as many images by that strategy, which knows no number of azimuths.
        accuracy: Mean accuracy over test objects, shape ``[placements, seeds, designs]``.
        classes: Number of classes.
    """

    designs: Int[np.ndarray, "designs 4"]
    placements: tuple[str, ...]
    accuracy: Float[np.ndarray, "placements seeds designs"]
    classes: int

    @property
    def images(self) -> Int[np.ndarray, " designs"]:
        """Images of each design."""
        return self.classes * self.designs.prod(axis=1)


def designs_of(
    shots: Shots, *, lights: Sequence[int], objects: Sequence[int], most: int
) -> Int[np.ndarray, "designs 4"]:
    """Azimuths, elevations, lights and objects per class of every design of at most so many images.

    Args:
        shots: Every shot of the rig; without a category among its axes, each design has one light.
        lights: Numbers of lights to try.
        objects: Numbers of objects per class to try.
        most: Images at most.
    """
    levels = [len(axis.values) for axis in shots.space.axes if isinstance(axis, Category)]
    possible = [n for n in lights if n <= levels[0]] if levels else [1]
    every = product(*COUNTS.values(), possible, objects)
    return np.array([design for design in every if len(shots.objects.classes) * prod(design) <= most])


def accuracies(
    shots: Shots,
    features: Float32[np.ndarray, "shots features"],
    designs: Int[np.ndarray, "designs 4"],
    *,
    train: Int[np.ndarray, " objects"],
    seed: int,
    device: str = "cpu",
    progress: Progress = SILENT,
) -> Float[np.ndarray, "placements designs"]:
    """Mean accuracy over the other objects of each design, placed in each of `PLACEMENTS`, by exact heads.

    Args:
        shots: Every shot of the rig, of a grid of views.
        features: Their features, shape ``[shots, features]``.
        designs: As of `designs_of`.
        train: Rows of the objects that may be photographed; the others are the test.
        seed: Draws the objects of each design, and where its grid begins.
        device: Where heads are trained.
        progress: Hears of each head.
    """
    objects, space, draw = shots.objects, shots.space, generator(seed, "norb-sampling", "surface")
    members = [draw.permutation(train[objects.class_rows[train] == number]) for number in range(len(objects.classes))]
    starts, others = draw.random(len(space.axes)), [axis.name for axis in space.axes if axis.name not in COUNTS]
    # 1. The row of each view of each object.
    views = np.ravel_multi_index(tuple(space.levels(shots.coordinates).T), space.shape)
    row_of = np.empty((len(objects), space.n_views), dtype=np.int64)
    row_of[shots.object_rows, views] = np.arange(len(shots))
    # 2. The images of each design: the same grid for all objects, a grid that moves, a lattice.
    subsets = list[Int[np.ndarray, " rows"]]()
    for *counts, n_objects in designs.tolist():
        chosen = [(place, row) for rows in members for place, row in enumerate(rows[:n_objects].tolist())]
        levels_of = dict(zip((*COUNTS, *others), counts, strict=False))
        for moves in (False, True):
            grids = []
            for place, row in chosen:
                fractions = (starts + moves * place * GOLDEN ** np.arange(1.0, len(starts) + 1.0)) % 1.0
                own = zip(space.axes, fractions, strict=True)
                levels = [shifted(axis, levels_of[axis.name], fraction) for axis, fraction in own]
                grids.append(row_of[row].reshape(space.shape)[np.ix_(*levels)].ravel())
            subsets.append(np.sort(np.concatenate(grids)))
        rows = np.flatnonzero(np.isin(shots.object_rows, [row for _, row in chosen]))
        candidates = shots.take(rows).narrow(np.sort([row for _, row in chosen]))
        n = prod(counts) * len(chosen)
        choice = find_strategy("lattice").propose(candidates, History.empty(candidates), n, seed)
        subsets.append(np.sort(rows[choice.rows]))
    # 3. A head on each, once where two are the same, and its accuracy on the test objects.
    unique = {subset.tobytes(): subset for subset in subsets}
    heads = train_heads(
        features,
        shots.class_rows,
        shots.object_rows,
        list(unique.values()),
        n_classes=len(objects.classes),
        strengths=STRENGTHS,
        device=device,
        progress=progress,
    )
    test_rows = np.flatnonzero(~np.isin(shots.object_rows, train))
    tests = shots.take(test_rows)
    right = predict_all(heads, features[test_rows]) == tests.class_rows
    means = dict(zip(unique, weighted_shares(right, tests, None).mean(axis=1), strict=True))
    return np.array([means[subset.tobytes()] for subset in subsets]).reshape(len(designs), len(PLACEMENTS)).T
