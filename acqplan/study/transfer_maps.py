"""What features show and what they ignore: neighbours across objects, shares of their variance, and a map of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.neighbors import NearestNeighbors

from acqplan.rng import generator, stream
from acqplan.space import Shots
from acqplan.study.transfer_features import UNIT

NEIGHBOURS = 5
# Shots of a map, and components that it is made of; a map of more takes long and shows no more.
MAPPED, COMPONENTS = 480, 32
# Images whose neighbours are looked at.
JUDGED = 1_200


@dataclass(frozen=True, slots=True, kw_only=True)
class Consistency:
    """What features say of class, object and view.

    Attributes:
        neighbours: Share of the nearest images of other objects that have the class; where every class has one
            object, of the nearest images.
        by_chance: The share that random images would have.
        of_class: Share of the variance between classes.
        of_object: Share between objects of a class.
        of_view: Share between the images of an object: views, lights, noise.
    """

    neighbours: float
    by_chance: float
    of_class: float
    of_object: float
    of_view: float


def consistency(features: Float32[np.ndarray, "shots features"], shots: Shots) -> Consistency:
    """Neighbours and shares of variance, of features of length 1.

    Args:
        features: Shape ``[shots, features]``.
        shots: The shots.
    """
    drawn = np.sort(generator(0, "transfer", "neighbours").permutation(len(shots))[:JUDGED])
    rows, shots = UNIT.by_row(features)[drawn], shots.take(drawn)
    owners, classes = shots.object_rows, shots.class_rows
    alone = len(np.unique(classes)) == len(np.unique(owners))
    others = owners if not alone else np.arange(len(shots))
    # 1. The nearest images of other objects: as many are looked at as an object has images, and some more.
    most = min(int(np.bincount(others).max()) + NEIGHBOURS, len(shots))
    near = NearestNeighbors(n_neighbors=most).fit(rows).kneighbors(rows, return_distance=False)
    other = others[near] != others[:, None]
    counted = other & (np.cumsum(other, axis=1) <= NEIGHBOURS)
    same = (classes[near] == classes[:, None]) & counted
    # 2. By chance: images of other objects of the class among all images of other objects.
    of_class, of_object = np.bincount(classes)[classes], np.bincount(others)[others]
    chance = float(((of_class - of_object) / np.maximum(len(shots) - of_object, 1)).mean())
    # 3. Variance between classes, objects and images.
    total = float(rows.var(axis=0).sum()) or 1.0
    within = [_within(rows, numbers) / total for numbers in (classes, owners)]
    return Consistency(
        neighbours=float(same.sum() / counted.sum()),
        by_chance=chance,
        of_class=1.0 - within[0],
        of_object=within[0] - within[1],
        of_view=within[1],
    )


def _within(rows: np.ndarray, numbers: np.ndarray) -> float:
    """Variance within groups, summed over features."""
    _, places, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), rows.shape[1]))
    np.add.at(sums, places, rows)
    return float(((rows - (sums / counts[:, None])[places]) ** 2).sum() / len(rows))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FeatureMap:
    """Where images lie on a plane on which neighbours stay neighbours.

    Attributes:
        title: What is mapped.
        rows: Rows of the shots, shape ``[mapped]``.
        places: Shape ``[mapped, 2]``.
    """

    title: str
    rows: Int[np.ndarray, " mapped"]
    places: Float[np.ndarray, "mapped 2"]


def feature_map(title: str, features: Float32[np.ndarray, "shots features"]) -> FeatureMap:
    """A map of some images by t-SNE on principal components; the same features give the same map.

    Source:
        L. van der Maaten, G. Hinton, J. Mach. Learn. Res. 9 (2008) 2579-2605.
    """
    draw = generator(0, "transfer", "map")
    rows = np.sort(draw.permutation(len(features))[:MAPPED])
    some = UNIT.by_row(features)[rows]
    few = PCA(n_components=min(COMPONENTS, *some.shape), random_state=0).fit_transform(some)
    perplexity = min(30.0, (len(rows) - 1) / 3.0)
    method = TSNE(perplexity=perplexity, init="pca", random_state=stream(0, "t-SNE") % 2**32, n_jobs=1)
    return FeatureMap(title=title, rows=rows, places=method.fit_transform(few).astype(np.float64))
