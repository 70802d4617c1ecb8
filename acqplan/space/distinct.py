"""Which shots are the same."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int

from acqplan.space.shots import Shots


def distinct(shots: Shots) -> tuple[Int[np.ndarray, " distinct"], Int[np.ndarray, " shots"]]:
    """Rows of the distinct shots, sorted by object and view, and for every shot which of them it is."""
    codes = shots.object_rows.astype(np.int64)
    for column in np.round(shots.coordinates, 6).T:
        # numbers of levels instead of the levels themselves: sorting whole rows takes eight times as long
        levels, numbers = np.unique(column, return_inverse=True)
        if len(codes) and (int(codes.max()) + 1) * len(levels) >= 2**62:
            codes = np.unique(codes, return_inverse=True)[1]
        codes = codes * len(levels) + numbers
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    return first, inverse


def is_among(shots: Shots, others: Shots) -> Bool[np.ndarray, " shots"]:
    """Whether each of ``shots`` stands among ``others``."""
    if len(others) == 0:
        return np.zeros(len(shots), dtype=bool)
    _, inverse = distinct(others.join(shots))
    return np.isin(inverse[len(others) :], inverse[: len(others)])
