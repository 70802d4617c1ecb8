"""What the study of sets of views found, as data: heads tested, sets compared, wins counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Bool, Float, Float32, Int
from scipy.spatial.distance import cdist

from acqplan.evaluate.results import weighted_shares
from acqplan.space import Shots
from acqplan.statistics.clustered import McNemar, mcnemar
from acqplan.statistics.objects import TwoWay, two_way
from acqplan.study.norb_surface import Surface
from acqplan.study.softmax import SoftmaxSetting

# Level of McNemar's test in the thesis, and wins even:random that it reports of the 11 pairs.
LEVEL = 0.01
REPORTED = {"caffenet:fc7": (9, 1), "caffenet:fc6": (6, 4), "vgg16:fc15": (7, 2), "vgg16:fc14": (6, 3)}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tested:
    """What the heads of one arm got right, seed by seed.

    Attributes:
        rule: As of `ViewSet`.
        name: As of `ViewSet`.
        images: Images of the set, validation included.
        train_images: Images that heads were trained on.
        correct: Whether each test image was classified correctly, shape ``[seeds, tests]``.
        settings: The setting chosen with each seed.
        losses: Its validation cross-entropy, nats, shape ``[seeds]``.
    """

    rule: str
    name: str
    images: int
    train_images: int
    correct: Bool[np.ndarray, "seeds tests"]
    settings: tuple[SoftmaxSetting, ...]
    losses: Float[np.ndarray, " seeds"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """Two arms compared: over objects and seeds, and seed by seed by the thesis' test on images.

    Attributes:
        a: Name of the first.
        b: Name of the second.
        train_images: Images that heads of each were trained on.
        difference: Accuracy of the first minus that of the second, with its interval over objects and seeds.
        tests: McNemar's test with each seed.
    """

    a: str
    b: str
    train_images: int
    difference: TwoWay
    tests: tuple[McNemar, ...]

    @property
    def wins(self) -> tuple[int, ...]:
        """With each seed 1 if McNemar's test is for the first at the thesis' level, -1 for the second, else 0."""
        return tuple(0 if test.p >= LEVEL else 1 if test.n10 > test.n01 else -1 for test in self.tests)

    @property
    def object_win(self) -> int:
        """1 if the test over objects and seeds is for the first at the thesis' level, -1 for the second, else 0."""
        return 0 if self.difference.p >= LEVEL else 1 if self.difference.mean > 0 else -1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LayerFindings:
    """What the study found on the features of one layer.

    Attributes:
        backbone: Name and layer.
        tested: Every arm, by rule and name of the set.
        pairs: Even against random, by the order of `RANDOM_SETS`.
        dense: Dense azimuth against dense elevation, of even and of random sets.
        against_even: Each strategy against the even set of as many images, by the order of `RANDOM_SETS`.
        surface: Accuracy of every design.
        gaps: How far views that a set of the first seed leaves out lie from it, as of `view_gaps`, by rule and name.
        tests: The test images.
    """

    backbone: str
    tested: Mapping[tuple[str, str], Tested]
    pairs: Sequence[Contrast]
    dense: Mapping[str, Contrast]
    against_even: Mapping[str, Sequence[Contrast]]
    surface: Surface
    gaps: Mapping[tuple[str, str], float]
    tests: Shots

    def wins(self, seed: int = 0) -> tuple[int, int]:
        """Pairs that even and that random won by McNemar's test, with one seed."""
        won = [pair.wins[seed] for pair in self.pairs]
        return won.count(1), won.count(-1)

    def object_wins(self) -> tuple[int, int]:
        """Pairs that even and that random won by the test over objects and seeds."""
        won = [pair.object_win for pair in self.pairs]
        return won.count(1), won.count(-1)


def view_gaps(
    shots: Shots,
    features: Float32[np.ndarray, "shots features"],
    sets: Mapping[tuple[str, str], Int[np.ndarray, " images"]],
) -> dict[tuple[str, str], float]:
    """How much the views that sets leave out differ from those that they have, which says why one beats another.

    Args:
        shots: Every shot of a grid of views.
        features: Their features, shape ``[shots, features]``.
        sets: Rows of each set, of the same objects.

    Returns:
        For each set the mean distance in features from a view that it leaves out to the nearest view that it has of
        the same object, divided by the mean distance between two objects of a class in the same view. At a gap far
        below 1 it hardly matters which views are taken; 0 where nothing is left out.
    """
    owners, classes = shots.object_rows, shots.objects.class_rows
    views = np.ravel_multi_index(tuple(shots.space.levels(shots.coordinates).T), shots.space.shape)
    members = np.unique(np.concatenate([owners[rows] for rows in sets.values()]))
    rows_of = {member: (own := np.flatnonzero(owners == member))[np.argsort(views[own])] for member in members.tolist()}
    found: dict[tuple[str, str], list[float]] = {key: [] for key in sets}
    for own in rows_of.values():
        apart = cdist(features[own], features[own])
        for key, rows in sets.items():
            has = np.isin(own, rows)
            found[key].append(float(apart[~has][:, has].min(axis=1).mean()) if not has.all() else 0.0)
    pairs = [(a, b) for a, b in combinations(members.tolist(), 2) if classes[a] == classes[b]]
    between = [np.linalg.norm(features[rows_of[a]] - features[rows_of[b]], axis=1).mean() for a, b in pairs]
    return {key: float(np.mean(gaps) / np.mean(between)) for key, gaps in found.items()}


def contrast(a: Tested, b: Tested, tests: Shots) -> Contrast:
    """The first arm against the second, on the same test images.

    Args:
        a: The first.
        b: The second.
        tests: The test images.
    """
    differences = weighted_shares(a.correct, tests, None) - weighted_shares(b.correct, tests, None)
    return Contrast(
        a=f"{a.rule} {a.name}",
        b=f"{b.rule} {b.name}",
        train_images=a.train_images,
        difference=two_way(differences.T),
        tests=tuple(mcnemar(*both) for both in zip(a.correct, b.correct, strict=True)),
    )
