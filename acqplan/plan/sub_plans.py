"""Sub-plans of the captured shots by design, judged on left-out objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from acqplan.plan.base import History, Situation
from acqplan.rng import generator

# Bounds of the share of a class, over the mean.
FLOOR, CEILING = 0.5, 2.0
# Penalty over the mean squared length of a feature vector; answers are compared, none is used as a classifier.
RIDGE = 0.1
FOLDS = 5

# Objects judged at least: signs of fewer differences than five cannot be surer than one in twenty.
FEWEST_OBJECTS = 5
# Mean number of shots per object, at least: of fewer a sub-plan has next to no choice.
FEWEST_SHOTS = 3
# With more captures sub-plans are drawn from so many of them: solving takes the third power of their number.
MOST_SHOTS = 400
# Temperature of the softmax over scores, which are regressions to 0 and 1: an accuracy that moves with every margin,
# where the plain one moves by whole shots and a search sees mostly steps.
SOFTNESS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class DesignShares:
    """A design, as shares of what there is.

    Attributes:
        objects: Share of the objects of each class, in ``(0, 1]``; at least one.
        shots: Share of the shots of each object, in ``(0, 1]``; at least one.
        tilt: Power of the error of a class that its share of the shots follows, from 0 (all alike) on.
    """

    objects: float = 1.0
    shots: float = 1.0
    tilt: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SubPlans:
    """Captured shots of which sub-plans of any design are drawn.

    Attributes:
        captured: The shots, as candidates; the order of all that counts shots.
        gram: Products of their features, shape ``[shots, shots]``.
        fold: Fold of each object in each repeat, shape ``[repeats, objects]``; -1 is never left out.
        place: Place of each object within its class in each repeat, shape ``[repeats, objects]``.
        depth: Place of each shot within its object in each repeat, shape ``[repeats, shots]``.
    """

    captured: Situation
    gram: Float[np.ndarray, "shots shots"]
    fold: Int[np.ndarray, "repeats objects"]
    place: Int[np.ndarray, "repeats objects"]
    depth: Int[np.ndarray, "repeats shots"]

    @classmethod
    def of(cls, history: History, *, repeats: int, seed: int) -> SubPlans | None:
        """Sort out captured shots.

        Args:
            history: Captured shots with features.
            repeats: How often objects are dealt out to folds anew.
            seed: Seed of folds and lots.

        Returns:
            ``None`` if features are missing, all the same or not finite, with fewer than two classes, fewer than
            `FEWEST_OBJECTS` objects in classes of two or more, or fewer than `FEWEST_SHOTS` shots per object in
            the mean.
        """
        features = history.features
        if features is None or features.size == 0 or not np.isfinite(features).all() or (features == features[0]).all():
            return None
        # an order that no table of rows decides: repeated shots by what was seen of them
        order = np.lexsort(features.T[:8][::-1])
        order = order[history.shots.take(order).canonical_order()]
        history = history.take(order)
        captured = _thinned(Situation.of(history.shots, History.empty(history.shots)), seed)
        rows, members = np.concatenate(captured.rows), captured.classes
        n_judged = sum(len(own) for own in members.values() if len(own) > 1)
        if len(members) < 2 or n_judged < FEWEST_OBJECTS or len(rows) < FEWEST_SHOTS * len(captured.names):
            return None
        # the objects of a class are dealt out to folds, so that never all of them are left out
        classes = np.searchsorted(list(members), captured.labels)
        draws = [generator(seed, "bayes", "folds", repeat) for repeat in range(repeats)]
        place = np.stack([places(classes, draw) for draw in draws])
        fold = np.where(np.bincount(classes)[classes] < 2, -1, place % FOLDS)
        owner = np.repeat(np.arange(len(captured.names)), captured.n_free)
        return cls(
            captured=captured,
            gram=gram_of(features[order][rows].astype(np.float64)),
            fold=fold,
            place=np.stack([places(classes, draw) for draw in draws]),
            depth=np.stack([places(owner, draw) for draw in draws]),
        )

    @property
    def owner(self) -> Int[np.ndarray, " shots"]:
        """Number of the object of each shot."""
        return np.repeat(np.arange(len(self.captured.names)), self.captured.n_free)

    @property
    def class_of(self) -> Int[np.ndarray, " objects"]:
        """Number of the class of each object."""
        return np.searchsorted(list(self.captured.classes), self.captured.labels)

    @property
    def judged(self) -> Int[np.ndarray, " judged"]:
        """Numbers of the objects that have another one in their class, in the order of their names."""
        return np.flatnonzero(self.fold[0] >= 0)

    def shots_of(
        self, design: DesignShares, errors: Float[np.ndarray, " classes"], repeat: int, left: int
    ) -> Int[np.ndarray, " taught"]:
        """Shots of the sub-plan of a design, of the objects that are not left out.

        Args:
            design: The design.
            errors: Error of each class, which shares follow.
            repeat: Decides what is taken.
            left: The fold that is left out.
        """
        class_of, kept = self.class_of, np.flatnonzero(self.fold[repeat] != left)
        quota = np.zeros(len(class_of), dtype=np.int64)
        weights = class_weights(errors, design.tilt)
        for number, weight in enumerate(weights):
            own = kept[class_of[kept] == number]
            own = own[np.argsort(self.place[repeat, own])][: max(round(design.objects * len(own)), 1)]
            quota[own] = np.maximum(np.round(design.shots * weight * self.captured.n_free[own]), 1)
        return np.flatnonzero(self.depth[repeat] < quota[self.owner])

    def scores(
        self, designs: Sequence[DesignShares], errors: Float[np.ndarray, " classes"]
    ) -> tuple[Float[np.ndarray, "designs 2"], Float[np.ndarray, "designs judged"]]:
        """Smooth accuracy on the shots of each object by heads that never saw it, mean over repeats.

        Args:
            designs: Designs of sub-plans.
            errors: Error of each class, which shares follow.

        Returns:
            Objects of a class and shots of each that were used, means; and probabilities of the true class.
        """
        owner, class_of = self.owner, self.class_of
        truth = class_of[owner]
        wanted = np.eye(int(truth.max()) + 1)[truth]
        used = np.zeros((len(designs), 2))
        found = np.zeros((len(designs), len(truth)))
        n_repeats, n_folds = len(self.fold), int(self.fold.max()) + 1
        for number, design in enumerate(designs):
            for repeat in range(n_repeats):
                for left in range(n_folds):
                    taught = self.shots_of(design, errors, repeat, left)
                    weights, mean = fit_ridge(self.gram, taught, wanted)
                    tests = np.flatnonzero(self.fold[repeat, owner] == left)
                    raised = (self.gram[np.ix_(tests, taught)] @ weights + mean) / SOFTNESS
                    raised = np.exp(raised - raised.max(axis=1, keepdims=True))
                    believed = raised[np.arange(len(tests)), truth[tests]] / raised.sum(axis=1)
                    found[number, tests] += believed / n_repeats
                    seen = np.unique(owner[taught])
                    used[number] += len(seen) / len(np.unique(class_of[seen])), len(taught) / len(seen)
        sums = np.add.reduceat(found, np.flatnonzero(np.diff(owner, prepend=-1)), axis=1)
        return used / (n_repeats * n_folds), np.round((sums / self.captured.n_free)[:, self.judged], 9)


def class_weights(errors: Float[np.ndarray, " classes"], tilt: float) -> Float[np.ndarray, " classes"]:
    """Share of each class over the mean: its error to a power, within bounds."""
    raised = np.maximum(errors, 1e-3) ** tilt
    return np.clip(raised / raised.mean(), FLOOR, CEILING)


def gram_of(features: Float[np.ndarray, "shots features"]) -> Float[np.ndarray, "shots shots"]:
    """Products of centred features, of mean squared length 1; huge ones are scaled before they are squared."""
    centred = features - features.mean(axis=0)
    centred /= max(float(np.abs(centred).max()), np.finfo(np.float64).tiny)
    gram = centred @ centred.T
    return gram / max(float(np.diag(gram).mean()), np.finfo(np.float64).tiny)


def fit_ridge(
    gram: Float[np.ndarray, "shots shots"],
    taught: Int[np.ndarray, "*batch taught"],
    wanted: Float[np.ndarray, "shots classes"],
) -> tuple[Float[np.ndarray, "*batch taught classes"], Float[np.ndarray, "*batch one classes"]]:
    """Solve ridge regressions on some of the shots, all of a batch at once.

    Args:
        gram: Products from `gram_of`, shape ``[shots, shots]``.
        taught: Rows of the shots that each regression sees, as many for all, shape ``[..., taught]``.
        wanted: What is to be predicted of every shot, shape ``[shots, classes]``.

    Returns:
        Weights of the taught shots and means: the scores of shots are ``gram[shots, taught] @ weights + mean``;
        shapes ``[..., taught, classes]`` and ``[..., 1, classes]``.
    """
    targets = wanted[taught]
    mean = targets.mean(axis=-2, keepdims=True)
    within = gram[taught[..., :, None], taught[..., None, :]] + RIDGE * np.eye(taught.shape[-1])
    return np.linalg.solve(within, targets - mean), mean


def places(groups: Int[np.ndarray, " members"], draw: np.random.Generator) -> Int[np.ndarray, " members"]:
    """Place of each member within its group, in an order drawn by lot, shape ``[members]``."""
    place = np.zeros(len(groups), dtype=np.int64)
    for group in np.unique(groups):
        mine = np.flatnonzero(groups == group)
        place[mine] = draw.permutation(len(mine))
    return place


def _thinned(captured: Situation, seed: int) -> Situation:
    """At most `MOST_SHOTS` of the shots, of each object as many or all it has."""
    most = max(MOST_SHOTS // len(captured.names), 1)
    kept = [
        np.sort(generator(seed, "bayes", "kept", name).permutation(len(own))[:most])
        for name, own in zip(captured.names, captured.free, strict=True)
    ]
    free, rows = (
        tuple(own[places] for own, places in zip(part, kept, strict=True)) for part in (captured.free, captured.rows)
    )
    return replace(captured, free=free, rows=rows)
