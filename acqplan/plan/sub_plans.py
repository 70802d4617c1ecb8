"""Settings of a herding, and how good they are: sub-plans of the captured shots, judged on left-out objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from acqplan.plan.base import Choice, History, Situation, taking_order, weighted_quotas
from acqplan.plan.errors_by_view import ErrorMaps, Expected, error_maps, expected_errors, soft_errors
from acqplan.plan.greedy import Herd, greedy_choice, herd_batch, lots_of
from acqplan.rng import generator, stream
from acqplan.space import Space
from acqplan.space.kernel import Similarity

# Bounds of totals of objects and of weights of views, over their means.
FLOOR, CEILING = 0.5, 2.0
# Maps over more views take too long where one is needed for every part of the objects.
MOST_VIEWS = 2500
# Penalty over the mean squared length of a feature vector; answers are compared, none is used as a classifier.
RIDGE = 0.1
FOLDS = 5

# Objects judged at least: signs of fewer differences than five cannot be surer than one in twenty.
FEWEST_OBJECTS = 5
# Mean number of shots per object, at least: of fewer a sub-plan has next to no choice of views.
FEWEST_SHOTS = 3
# With more captures sub-plans are drawn from so many of them: solving takes the third power of their number.
MOST_SHOTS = 400
# Temperature of the softmax over scores, which are regressions to 0 and 1: an accuracy that moves with every margin,
# where the plain one moves by whole shots and a search sees mostly steps.
SOFTNESS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """Settings of a herding.

    Attributes:
        lengths: Length of each axis in its unit (of a category without unit), positive: the middle of the three
            over which similarities are averaged, as `acqplan.plan.greedy.Herding` has its scale.
        class_weight: Share of the class in the sum, in ``[0, 1]``: of 1, an object's shots avoid those of its
            class as much as its own.
        exponent: Power of the error expected at a view that its weight follows, from 0 (all alike) on.
        temperature: Power of the error expected of an object that its total follows, from 0 (equal totals) on.
    """

    lengths: tuple[float, ...]
    class_weight: float = 0.7
    exponent: float = 0.0
    temperature: float = 0.0

    @classmethod
    def default(cls, space: Space) -> Tuning:
        """What `acqplan.plan.greedy.Herding` does, and `Lattice` where it has no lattice."""
        return cls(lengths=tuple(float(scale) for scale in space.scales))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Errors:
    """What beliefs say of objects and of views; nothing without them.

    Attributes:
        expected: Soft errors of objects and classes.
        maps: Soft errors over views; none in a space of more than `MOST_VIEWS`.
    """

    expected: Expected | None = None
    maps: ErrorMaps | None = None

    @classmethod
    def of(cls, history: History, space: Space, *, seed: int) -> Errors:
        """Judge captured shots by their beliefs; the space is that of a `Situation`."""
        found = soft_errors(history)
        if found is None:
            return cls()
        maps = error_maps(space, found, seed=seed) if space.n_views <= MOST_VIEWS else None
        return cls(expected=expected_errors(found), maps=maps)

    def quotas(self, situation: Situation, temperature: float, n: int, seed: int) -> Int[np.ndarray, " objects"]:
        """Shots of each object, shape ``[objects]``, adding up to ``n``; totals follow the expected errors."""
        shares = np.ones(len(situation.names))
        if self.expected is not None and temperature != 0.0:
            pairs = zip(situation.names, situation.labels, strict=True)
            shares = _over_mean(np.array([self.expected.of(name, label) for name, label in pairs]), temperature)
        return weighted_quotas(situation, n, shares, seed, floor=FLOOR, ceiling=CEILING)

    def weights(self, label: str, exponent: float) -> Float[np.ndarray, " views"] | float:
        """Weight of each view for a class, about 1 in the mean, shape ``[views]``; 1 where all count alike."""
        if self.maps is None or exponent == 0.0:
            return 1.0
        return np.clip(_over_mean(self.maps.of(label), exponent), FLOOR, CEILING)


def tuned_herd(situation: Situation, tuning: Tuning, errors: Errors) -> Herd:
    """A herd with these settings."""
    weights = {label: errors.weights(label, tuning.exponent) for label in situation.classes}
    return Herd(situation, tuning.class_weight, lengths=tuning.lengths, weights=weights)


def tuned_choice(situation: Situation, tuning: Tuning, errors: Errors, n: int, *, seed: int, reason: str) -> Choice:
    """Choose greedily, object by object in turn.

    Args:
        situation: What may be taken.
        tuning: The settings.
        errors: What beliefs say.
        n: How many to take.
        seed: Seed of all lots.
        reason: Why, for a person; the same for each shot.
    """
    quota = errors.quotas(situation, tuning.temperature, n, seed)
    choice = greedy_choice(situation, tuned_herd(situation, tuning, errors), quota, seed)
    return replace(choice, reason=(reason,) * n)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Remainder:
    """The objects that are left when some are left out.

    Attributes:
        kept: Numbers of the objects that are left.
        situation: Their captured shots as candidates, nothing captured.
        errors: What beliefs say of these objects alone.
        seed: Seed of all lots.
    """

    kept: Int[np.ndarray, " kept"]
    situation: Situation
    errors: Errors
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SubPlans:
    """Captured shots from which plans of a given size are chosen as if they were candidates.

    Attributes:
        captured: The shots, as candidates; the order of all that counts shots.
        gram: Products of their features, shape ``[shots, shots]``.
        parts: What is left of the objects: for each repeat every fold left out, folds varying fastest.
        fold: Fold of each object in each repeat, shape ``[repeats, objects]``; -1 is never left out.
        size: Shots of a sub-plan.
    """

    captured: Situation
    gram: Float[np.ndarray, "shots shots"]
    parts: tuple[Remainder, ...]
    fold: Int[np.ndarray, "repeats objects"]
    size: int

    @classmethod
    def of(cls, history: History, *, repeats: int, share: float, seed: int) -> SubPlans | None:
        """Sort out captured shots.

        Args:
            history: Captured shots with features, and beliefs if there are any.
            repeats: How often objects are dealt out to folds anew.
            share: Size of a sub-plan over the captured shots that it is chosen from.
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
        fold = np.stack([places(classes, draw) % FOLDS for draw in draws])
        fold[:, np.bincount(classes)[classes] < 2] = -1
        parts = []
        for repeat, own in enumerate(fold):
            for left in range(int(fold.max()) + 1):
                kept, lot = np.flatnonzero(own != left), stream(seed, "bayes", "lots", repeat)
                situation = captured.only(kept.tolist())
                past = history.take(np.flatnonzero(np.isin(history.shots.names, situation.names)))
                errors = Errors.of(past, captured.space, seed=lot)
                parts.append(Remainder(kept=kept, situation=situation, errors=errors, seed=lot))
        return cls(
            captured=captured,
            gram=gram_of(features[order][rows].astype(np.float64)),
            parts=tuple(parts),
            fold=fold,
            size=max(int(share * min(int(part.situation.n_free.sum()) for part in parts)), 1),
        )

    @property
    def owner(self) -> Int[np.ndarray, " shots"]:
        """Number of the object of each shot."""
        return np.repeat(np.arange(len(self.captured.names)), self.captured.n_free)

    @property
    def class_of(self) -> Int[np.ndarray, " objects"]:
        """Number of the class of each object."""
        return np.searchsorted(list(self.captured.classes), self.captured.labels)

    def scores(self, tunings: Sequence[Tuning]) -> Float[np.ndarray, "tunings judged"]:
        """Smooth accuracy on the shots of each object by heads that never saw it, mean over repeats.

        Args:
            tunings: Settings by which sub-plans are chosen.

        Returns:
            Probabilities of the true class in ``[0, 1]``, shape ``[tunings, judged]``: objects that have another one
            in their class, in the order of their names.
        """
        taught = self.chosen(tunings).reshape(len(tunings) * len(self.parts), self.size)
        owner = self.owner
        truth = self.class_of[owner]
        # solve all regressions, one for each tuning and part, in one batch
        weights, mean = fit_ridge(self.gram, taught, np.eye(int(truth.max()) + 1)[truth])
        full = np.zeros((len(taught), *self.gram.shape[:1], weights.shape[-1]))
        np.put_along_axis(full, taught[..., None], weights, axis=1)
        # what each believes of every shot
        raised = (self.gram @ full + mean) / SOFTNESS
        raised = np.exp(raised - raised.max(axis=-1, keepdims=True))
        believed = (raised / raised.sum(axis=-1, keepdims=True))[:, np.arange(len(truth)), truth]
        believed = believed.reshape(len(tunings), len(self.fold), -1, len(truth))
        # of which only the shots of left-out objects count
        left = self.fold[:, None, owner] == np.arange(believed.shape[2])[:, None]
        of_shots = (believed * left).sum(axis=2).mean(axis=1)
        sums = np.add.reduceat(of_shots, np.flatnonzero(np.diff(owner, prepend=-1)), axis=1)
        return np.round((sums / self.captured.n_free)[:, self.fold[0] >= 0], 9)

    def chosen(self, tunings: Sequence[Tuning]) -> Int[np.ndarray, "tunings parts size"]:
        """Shots of each sub-plan in the order of taking, by `herd_batch`."""
        views = np.concatenate(self.captured.free)
        lots = {seed: self._of_shots(lots_of(self.captured, seed)) for seed in {part.seed for part in self.parts}}
        orders, wanted, kernels = [], [], []
        for tuning in tunings:
            similarity = Similarity(self.captured.space, tuning.lengths)
            kernels.append(similarity.between(views, views))
            mean = similarity.mean(views)
            for part in self.parts:
                quota = part.errors.quotas(part.situation, tuning.temperature, self.size, part.seed)
                order = [number for number, _ in taking_order(part.situation, quota, part.seed)]
                orders.append(part.kept[order])
                weights = {label: part.errors.weights(label, tuning.exponent) for label in self.captured.classes}
                wanted.append(mean * self._of_shots(weights))
        return herd_batch(
            orders=np.stack(orders),
            wanted=np.stack(wanted),
            kernels=np.stack(kernels),
            kernel_of=np.repeat(np.arange(len(tunings)), len(self.parts)),
            class_weight=np.repeat([tuning.class_weight for tuning in tunings], len(self.parts)),
            lots=np.tile(np.stack([lots[part.seed] for part in self.parts]), (len(tunings), 1)),
            owner=self.owner,
            class_of=self.class_of,
        ).reshape(len(tunings), len(self.parts), self.size)

    def _of_shots(self, by_class: Mapping[str, Any]) -> np.ndarray:
        """The value at the view of each shot, from values at all views (or one for all) by class."""
        shots = zip(self.captured.labels, self.captured.free, strict=True)
        n_views = len(self.captured.views)
        return np.concatenate([np.broadcast_to(by_class[label], n_views)[own] for label, own in shots])


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


def _over_mean(errors: Float[np.ndarray, " several"], power: float) -> Float[np.ndarray, " several"]:
    raised = np.maximum(errors, 0.0) ** power
    mean = float(raised.mean())
    return raised / mean if mean > 0.0 else np.ones(len(errors))


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
