"""Sub-plans of the captured shots, chosen, trained on and judged on left-out objects in one batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from acqplan.plan.base import History
from acqplan.plan.greedy import greedy_batch
from acqplan.plan.quotas import taking_order
from acqplan.plan.situation import Situation
from acqplan.plan.tuned import Errors, Tuning, tuned_quotas
from acqplan.rng import generator, stream
from acqplan.space import Space
from acqplan.space.kernel import LENGTHS, view_kernel

RIDGE = 0.1
"""Penalty over the mean squared length of a feature vector; answers are compared, none is used as a classifier."""


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


FOLDS = 5

FEWEST_OBJECTS = 5
"""Objects judged at least: signs of fewer differences than five cannot be surer than one in twenty."""

FEWEST_SHOTS = 3
"""Shots of an object in the mean, at least: of fewer a sub-plan has next to no choice of views."""

MOST_SHOTS = 400
"""With more captures sub-plans are drawn from so many of them: solving takes the third power of their number."""

SOFTNESS = 0.1
"""Temperature of the softmax over scores, which are regressions to 0 and 1: an accuracy that moves with every margin,
where the plain one moves by whole shots and a search sees mostly steps."""

SAMPLED_VIEWS = 200


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """What is left of the objects when some are left out.

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
        parts: Parts of the objects: for each repeat every fold left out, folds varying fastest.
        fold: Fold of each object in each repeat, shape ``[repeats, objects]``; -1 is never left out.
        size: Shots of a sub-plan.
    """

    captured: Situation
    gram: Float[np.ndarray, "shots shots"]
    parts: tuple[Part, ...]
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
            `FEWEST_OBJECTS` objects in classes of two or more, or fewer than `FEWEST_SHOTS` shots of an object in
            the mean.
        """
        features = history.features
        if features is None or features.size == 0 or not np.isfinite(features).all() or (features == features[0]).all():
            return None
        history = _in_own_order(history)
        captured = _thinned(Situation.of(history.shots, History.empty(history.shots)), seed)
        rows, members = np.concatenate(captured.rows), captured.classes
        if len(members) < 2 or _n_judged(captured) < FEWEST_OBJECTS or len(rows) < FEWEST_SHOTS * len(captured.names):
            return None
        fold = np.stack([_folds(captured, generator(seed, "bayes", "folds", repeat)) for repeat in range(repeats)])
        parts = [
            _part(captured, history, np.flatnonzero(own != left), stream(seed, "bayes", "lots", repeat))
            for repeat, own in enumerate(fold)
            for left in range(int(fold.max()) + 1)
        ]
        return cls(
            captured=captured,
            gram=gram_of(np.asarray(history.features)[rows].astype(np.float64)),
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

        All regressions, one for each tuning and part, are solved in one batch.

        Args:
            tunings: Settings by which sub-plans are chosen.

        Returns:
            Probabilities of the true class in ``[0, 1]``, shape ``[tunings, judged]``: objects that have another one
            in their class, in the order of their names.
        """
        taught = self.chosen(tunings).reshape(len(tunings) * len(self.parts), self.size)
        truth = self.class_of[self.owner]
        weights, mean = fit_ridge(self.gram, taught, np.eye(int(truth.max()) + 1)[truth])
        full = np.zeros((len(taught), *self.gram.shape[:1], weights.shape[-1]))
        np.put_along_axis(full, taught[..., None], weights, axis=1)
        believed = _softmax((self.gram @ full + mean) / SOFTNESS)[:, np.arange(len(truth)), truth]
        return self._by_object(believed.reshape(len(tunings), len(self.fold), -1, len(truth)))

    def _by_object(
        self, believed: Float[np.ndarray, "tunings repeats folds shots"]
    ) -> Float[np.ndarray, "tunings judged"]:
        folds = np.arange(believed.shape[2])
        left = self.fold[:, None, self.owner] == folds[:, None]
        of_shots = (believed * left).sum(axis=2).mean(axis=1)
        sums = np.add.reduceat(of_shots, np.flatnonzero(np.diff(self.owner, prepend=-1)), axis=1)
        judged = self.fold[0] >= 0
        return np.round((sums / self.captured.n_free)[:, judged], 9)

    def chosen(self, tunings: Sequence[Tuning]) -> Int[np.ndarray, "tunings parts size"]:
        """Shots of each sub-plan in the order of taking; see `greedy_batch`, which says what is greedy."""
        orders = [[self._order(part, tuning.temperature) for part in self.parts] for tuning in tunings]
        kernels, means = zip(*(self._similarity(tuning) for tuning in tunings), strict=True)
        wanted = [
            [mean * self._weights(part, tuning.exponent) for part in self.parts]
            for tuning, mean in zip(tunings, means, strict=True)
        ]
        shape = (len(tunings), len(self.parts), self.size)
        return greedy_batch(
            orders=np.array(orders).reshape(-1, self.size),
            wanted=np.array(wanted).reshape(-1, len(self.owner)),
            kernels=np.stack(kernels),
            kernel_of=np.repeat(np.arange(len(tunings)), len(self.parts)),
            class_weight=np.repeat([tuning.class_weight for tuning in tunings], len(self.parts)),
            lots=np.tile(self._lots(), (len(tunings), 1)),
            owner=self.owner,
            class_of=self.class_of,
        ).reshape(shape)

    def _order(self, part: Part, temperature: float) -> Int[np.ndarray, " size"]:
        quota = tuned_quotas(part.situation, part.errors, temperature, self.size, part.seed)
        return part.kept[[number for number, _ in taking_order(part.situation, quota, part.seed)]]

    def _similarity(self, tuning: Tuning) -> tuple[Float[np.ndarray, "shots shots"], Float[np.ndarray, " shots"]]:
        """Similarity of captured views to each other, and its mean over all views of the space."""
        space, views = self.captured.space, self.captured.views[np.concatenate(self.captured.free)]
        scales = [np.array(tuning.lengths) * factor for factor in LENGTHS]
        kernel = np.mean([view_kernel(space, views, views, scales=own) for own in scales], axis=0)
        return kernel, np.mean([_mean_similarity(space, views, own) for own in scales], axis=0)

    def _weights(self, part: Part, exponent: float) -> Float[np.ndarray, " shots"]:
        shots = zip(self.captured.labels, self.captured.free, strict=True)
        return np.concatenate(
            [
                np.broadcast_to(part.errors.weights(label, exponent), len(self.captured.views))[own]
                for label, own in shots
            ]
        )

    def _lots(self) -> Int[np.ndarray, "parts shots"]:
        # the lots of acqplan.plan.greedy.greedy_views, so that both tell equals apart alike
        drawn: dict[int, Int[np.ndarray, " shots"]] = {}
        for seed in dict.fromkeys(part.seed for part in self.parts):
            draws = {label: generator(seed, "greedy", label) for label in self.captured.classes}
            lots = {label: draw.permutation(len(self.captured.views)) for label, draw in draws.items()}
            shots = zip(self.captured.labels, self.captured.free, strict=True)
            drawn[seed] = np.concatenate([lots[label][own] for label, own in shots])
        return np.stack([drawn[part.seed] for part in self.parts])


def _in_own_order(history: History) -> History:
    """The history in an order that no table of rows decides: repeated shots by what was seen of them."""
    features = np.asarray(history.features)
    order = np.lexsort(features.T[:8][::-1])
    order = order[history.shots.take(order).canonical_order()]
    beliefs = None if history.beliefs is None else history.beliefs[order]
    return History(shots=history.shots.take(order), features=features[order], beliefs=beliefs)


def _thinned(captured: Situation, seed: int) -> Situation:
    """At most `MOST_SHOTS` of the shots, of each object as many or all it has."""
    most = max(MOST_SHOTS // len(captured.names), 1)
    kept = [
        np.sort(generator(seed, "bayes", "kept", name).permutation(len(own))[:most])
        for name, own in zip(captured.names, captured.free, strict=True)
    ]
    return replace(
        captured,
        free=tuple(own[rows] for own, rows in zip(captured.free, kept, strict=True)),
        rows=tuple(own[rows] for own, rows in zip(captured.rows, kept, strict=True)),
    )


def _n_judged(captured: Situation) -> int:
    return sum(len(members) for members in captured.classes.values() if len(members) > 1)


def _folds(captured: Situation, draw: np.random.Generator) -> Int[np.ndarray, " objects"]:
    """Fold of each object; the objects of a class are dealt out, so that never all of them are left out."""
    classes = np.searchsorted(list(captured.classes), captured.labels)
    fold = places(classes, draw) % FOLDS
    fold[np.bincount(classes)[classes] < 2] = -1
    return fold


def _part(captured: Situation, history: History, kept: Int[np.ndarray, " kept"], seed: int) -> Part:
    names = {captured.names[number] for number in kept}
    rows = np.array([row for row, name in enumerate(history.shots.names) if name in names], dtype=np.int64)
    beliefs = None if history.beliefs is None else history.beliefs[rows]
    situation = replace(
        captured,
        names=tuple(captured.names[number] for number in kept),
        labels=tuple(captured.labels[number] for number in kept),
        free=tuple(captured.free[number] for number in kept),
        rows=tuple(captured.rows[number] for number in kept),
        taken=tuple(captured.taken[number] for number in kept),
    )
    errors = Errors.of(History(shots=history.shots.take(rows), beliefs=beliefs), captured.space, seed=seed)
    return Part(kept=kept, situation=situation, errors=errors, seed=seed)


def _mean_similarity(
    space: Space, views: Float[np.ndarray, "shots axes"], scales: Float[np.ndarray, " axes"]
) -> Float[np.ndarray, " shots"]:
    """Mean similarity of views to all of the space, of a large table to `SAMPLED_VIEWS` of them."""
    if space.table is not None:
        rows = np.linspace(0, space.n_views - 1, min(SAMPLED_VIEWS, space.n_views)).round().astype(np.int64)
        return view_kernel(space, views, space.table[rows], scales=scales).mean(axis=1)
    mean = np.ones(len(views))
    for column, axis in enumerate(space.axes):
        one = Space(axes=(axis,))
        mean *= view_kernel(one, views[:, column : column + 1], one.views(), scales=scales[column : column + 1]).mean(
            axis=1
        )
    return mean


def _softmax(scores: Float[np.ndarray, "... classes"]) -> Float[np.ndarray, "... classes"]:
    raised = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)
