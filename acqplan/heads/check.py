"""What every trainer of heads asks of a pool of features and of rows taken from it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Int

from acqplan.errors import AcqplanError, UsageError

ROWS_AT_ONCE = 4096
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
    for start in range(0, len(used), ROWS_AT_ONCE):
        some = used[start : start + ROWS_AT_ONCE]
        broken = some[~np.isfinite(features[some]).all(axis=1)]
        if len(broken):
            raise AcqplanError(f"features of row {broken[0]} are not finite", "look for a broken image or backbone")
