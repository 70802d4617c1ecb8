"""Linear heads, what they can be trained on, and folds that leave objects out, by which they are judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int

from acqplan.errors import AcqplanError, UsageError

# Rows of features whose logits under many heads are held in memory at once.
ROWS_AT_ONCE = 16_384
# Rows that are checked together, so that a large pool is not copied.
CHECKED_AT_ONCE = 4096
# Fold of the rows of an object that is the only one of its class: it is never left out.
NEVER = -1
Rows = Int[np.ndarray, " rows"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Head:
    """A linear classifier on features; standardisation and PCA are already folded in.

    Attributes:
        weight: Shape ``[features, classes]``; 0 for classes that were absent from training.
        bias: Shape ``[classes]``; minus infinity for absent classes, so that their probability is 0.
        strength: The L2 strength it was trained with.
        beliefs: Class probabilities of its training rows, each from a head that never saw the row's
            object, shape ``[rows, classes]``; equal over the present classes for an object that is the
            only one of its class (no head that never saw it knows its class).
    """

    weight: Float32[np.ndarray, "features classes"]
    bias: Float32[np.ndarray, " classes"]
    strength: float
    beliefs: Float32[np.ndarray, "rows classes"]

    def probabilities(self, features: Float32[np.ndarray, "rows features"]) -> Float32[np.ndarray, "rows classes"]:
        """Class probabilities, shape ``[rows, classes]``, each row summing to 1."""
        _check_width(features, self)
        logits = features @ self.weight + self.bias
        likely = np.exp(logits - logits.max(axis=1, keepdims=True))
        return (likely / likely.sum(axis=1, keepdims=True)).astype(np.float32)

    def predict(self, features: Float32[np.ndarray, "rows features"]) -> Int[np.ndarray, " rows"]:
        """The most probable class of each row, shape ``[rows]``."""
        return predict_all([self], features)[0]


def predict_all(heads: Sequence[Head], features: Float32[np.ndarray, "rows features"]) -> Int[np.ndarray, "heads rows"]:
    """The most probable class of each row under each head, by one matrix product.

    Returns:
        Classes, shape ``[heads, rows]``, int64.

    Raises:
        UsageError: If the heads were trained on another number of features or of classes.
    """
    if not heads:
        return np.zeros((0, len(features)), dtype=np.int64)
    for head in heads:
        _check_width(features, head)
    if len({head.bias.shape for head in heads}) > 1:
        raise UsageError("heads of different numbers of classes", "predict with each kind on its own")
    weights = np.concatenate([head.weight for head in heads], axis=1)
    biases = np.concatenate([head.bias for head in heads])
    found = np.empty((len(heads), len(features)), dtype=np.int64)
    for start in range(0, len(features), ROWS_AT_ONCE):
        some = features[start : start + ROWS_AT_ONCE]
        logits = (some @ weights + biases).reshape(len(some), len(heads), -1)
        found[:, start : start + ROWS_AT_ONCE] = logits.argmax(axis=2).T
    return found


def _check_width(features: Float32[np.ndarray, "rows features"], head: Head) -> None:
    if features.ndim != 2 or features.shape[1] != len(head.weight):
        raise UsageError(
            f"features of shape {features.shape} for a head trained on {len(head.weight)} features",
            "use features of the backbone and layer that the head was trained on",
        )


def object_folds(
    targets: Int[np.ndarray, " rows"], groups: Int[np.ndarray, " rows"], n_folds: int
) -> Int[np.ndarray, " rows"]:
    """Assign rows to folds so that fold ``f`` leaves out the ``f``-th object of each class.

    Objects are counted in the order of their numbers, whatever the order of rows. A class with more
    than ``n_folds`` objects leaves several out at once; a class with fewer takes part in fewer folds.

    Args:
        targets: Class of each row, shape ``[rows]``.
        groups: Object of each row, shape ``[rows]``.
        n_folds: The most folds there may be.

    Returns:
        Fold of each row, shape ``[rows]``; `NEVER` for the only object of a class.
    """
    numbers = np.full(len(targets), NEVER, dtype=np.int64)
    for target in np.unique(targets):
        rows = np.flatnonzero(targets == target)
        objects, places = np.unique(groups[rows], return_inverse=True)
        if len(objects) > 1:
            numbers[rows] = places % n_folds
    return numbers


def out_of_object_loss(
    chances: Float32[np.ndarray, "rows classes"],
    targets: Int[np.ndarray, " rows"],
    groups: Int[np.ndarray, " rows"],
) -> float:
    """Log-loss of left-out rows in nats, averaged within each object, then over objects.

    Log-loss instead of errors because it changes smoothly: choosing by errors picked strengths a hundred
    times apart for the same data, and cost up to 1.1 points on ETH-80 at 820 images.
    """
    surprise = -np.log(np.maximum(chances[np.arange(len(targets)), targets].astype(np.float64), 1e-12))
    _, places = np.unique(groups, return_inverse=True)
    return float((np.bincount(places, weights=surprise) / np.bincount(places)).mean())


def as_rows(rows: Rows) -> Rows:
    """Row numbers as every trainer takes them: int64, contiguous."""
    return np.ascontiguousarray(rows, dtype=np.int64)


def check_subsets(
    features: Float32[np.ndarray, "pool features"],
    targets: Int[np.ndarray, " pool"],
    groups: Int[np.ndarray, " pool"],
    subsets: Sequence[Rows],
    n_classes: int,
) -> None:
    """Refuse subsets that no head can be trained on, as `check_pool`, with an object for each row of the pool.

    Raises:
        UsageError: If shapes differ, a subset is empty, or a row or class does not exist.
        AcqplanError: If a feature of a used row is not finite.
    """
    if len(groups) != len(targets):
        raise UsageError(f"{len(targets)} targets and {len(groups)} groups", "give a target and a group for each row")
    for number, rows in enumerate(subsets):
        if len(rows) == 0:
            raise UsageError(f"subset {number} is empty", "give it rows")
    check_pool(features, targets, subsets, n_classes)


def check_pool(
    features: Float32[np.ndarray, "pool features"],
    targets: Int[np.ndarray, " pool"],
    parts: Sequence[Rows],
    n_classes: int,
) -> None:
    """Refuse rows that no head can be trained on.

    Only the rows that are used are checked: features of shots that were not captured may be anything.

    Args:
        features: Shape ``[pool, features]``.
        targets: Class of each row, shape ``[pool]``.
        parts: Rows that will be used.
        n_classes: Classes there are.

    Raises:
        UsageError: If shapes differ, or a row or class does not exist.
        AcqplanError: If a feature of a used row is not finite.
    """
    if features.ndim != 2 or len(features) != len(targets):
        raise UsageError(
            f"features of shape {features.shape} and {len(targets)} targets",
            "give features [pool, features], and a target for each row",
        )
    used = np.unique(np.concatenate([np.empty(0, dtype=np.int64), *parts]))
    if len(used) == 0:
        return
    if used[0] < 0 or used[-1] >= len(features):
        row = used[0] if used[0] < 0 else used[-1]
        raise UsageError(f"row {row} is outside the pool", f"rows: 0..{len(features) - 1}")
    if not 0 <= targets[used].min() <= targets[used].max() < n_classes:
        raise UsageError(f"targets are not all in 0..{n_classes - 1}", "number the classes from 0")
    for start in range(0, len(used), CHECKED_AT_ONCE):
        some = used[start : start + CHECKED_AT_ONCE]
        broken = some[~np.isfinite(features[some]).all(axis=1)]
        if len(broken):
            raise AcqplanError(f"features of row {broken[0]} are not finite", "look for a broken image or backbone")
