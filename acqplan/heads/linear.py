"""Linear heads: what training returns and everything downstream uses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int

from acqplan.errors import AcqplanError, UsageError

ROWS_AT_ONCE = 16_384
"""Rows of features whose logits under many heads are held in memory at once."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Head:
    """A linear classifier on features; standardisation and PCA are already folded in.

    Attributes:
        weight: Shape ``[features, classes]``; 0 for classes that were absent from training.
        bias: Shape ``[classes]``; minus infinity for absent classes, so that their probability is 0.
        strength: The L2 strength it was trained with.
        beliefs: Class probabilities of its training rows, each from a head that never saw the row's
            object, shape ``[rows, classes]``; equal over the present classes for an object that is the
            only one of its class (nothing honest can be said about it).
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
    blocks = [
        _block(features[start : start + ROWS_AT_ONCE], weights, biases, len(heads))
        for start in range(0, max(len(features), 1), ROWS_AT_ONCE)
    ]
    return np.concatenate(blocks, axis=1)


def _block(
    features: Float32[np.ndarray, "rows features"],
    weights: Float32[np.ndarray, "features columns"],
    biases: Float32[np.ndarray, " columns"],
    n_heads: int,
) -> Int[np.ndarray, "heads rows"]:
    logits = (features @ weights + biases).reshape(len(features), n_heads, len(biases) // n_heads)
    return np.ascontiguousarray(logits.argmax(axis=2).T.astype(np.int64))


def _check_width(features: Float32[np.ndarray, "rows features"], head: Head) -> None:
    if features.ndim != 2 or features.shape[1] != len(head.weight):
        raise UsageError(
            f"features of shape {features.shape} for a head trained on {len(head.weight)} features",
            "use features of the backbone and layer that the head was trained on",
        )


ROWS_AT_ONCE_CHECK = 4096
"""Rows looked at together, so that a large pool is not copied."""

Rows = Int[np.ndarray, " rows"]


def as_rows(rows: Rows) -> Rows:
    """Row numbers as every trainer takes them: int64, contiguous."""
    return np.ascontiguousarray(rows, dtype=np.int64)


def check_pool(
    features: Float32[np.ndarray, "pool features"],
    targets: Int[np.ndarray, " pool"],
    parts: Sequence[Rows],
    n_classes: int,
) -> None:
    """Refuse rows that no head can be trained on.

    Only rows that are named are looked at: features of shots that were not captured may be anything.

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
    _check_finite(features, used)


def _check_finite(features: Float32[np.ndarray, "pool features"], used: Rows) -> None:
    for start in range(0, len(used), ROWS_AT_ONCE_CHECK):
        some = used[start : start + ROWS_AT_ONCE_CHECK]
        broken = some[~np.isfinite(features[some]).all(axis=1)]
        if len(broken):
            raise AcqplanError(f"features of row {broken[0]} are not finite", "look for a broken image or backbone")
