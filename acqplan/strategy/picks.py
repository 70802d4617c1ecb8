"""From chosen views of each object to a choice with gains and reasons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from acqplan.space import Category
from acqplan.space.distance import distances
from acqplan.strategy.base import Choice
from acqplan.strategy.pairs import diameter
from acqplan.strategy.quotas import taking_order
from acqplan.strategy.situation import Situation

BLOCK = 256
Reason = Callable[[int, int], str]
"""From the number of an object and the place of a shot among its new ones to a few words."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gap:
    """How far a shot is from the nearest one of the same object that is there before it.

    Attributes:
        distance: In scales; the diameter of the space if there is none before.
        words: The same for a person.
    """

    distance: float
    words: str


def choice_of(
    situation: Situation, views: Sequence[Sequence[int]], *, seed: int, reason: Reason | None = None
) -> Choice:
    """Take views object by object in turn; the gain of each is the gap that it fills.

    Args:
        situation: What may be taken.
        views: For each object, numbers of free views in the order of taking.
        seed: Seed of the order of objects.
        reason: Why each is taken; by default the gap in words.
    """
    order = taking_order(situation, np.array([len(own) for own in views]), seed)
    all_gaps = [gaps(situation, number, np.array(own, dtype=np.int64)) for number, own in enumerate(views)]
    return Choice(
        rows=rows_of(situation, [(number, views[number][k]) for number, k in order]),
        gain=np.array([all_gaps[number][k].distance for number, k in order]),
        reason=tuple(reason(number, k) if reason else all_gaps[number][k].words for number, k in order),
    )


def rows_of(situation: Situation, shots: Sequence[tuple[int, int]]) -> Int[np.ndarray, " shots"]:
    """Candidate rows of pairs of an object's number and a view's number."""
    rows = [situation.rows[number][np.searchsorted(situation.free[number], view)] for number, view in shots]
    return np.array(rows, dtype=np.int64)


def gaps(situation: Situation, number: int, views: Int[np.ndarray, " chosen"]) -> list[Gap]:
    """The gap that each view of one object fills, given its captures and the views before."""
    before = np.concatenate([situation.taken[number], views])
    found = []
    for start in range(0, len(views), BLOCK):
        block = views[start : start + BLOCK]
        n_before = len(situation.taken[number]) + start + np.arange(len(block))
        found += _gaps(situation, number, block, before[: n_before[-1]], n_before)
    return found


def _gaps(
    situation: Situation,
    number: int,
    views: Int[np.ndarray, " block"],
    before: Int[np.ndarray, " before"],
    n_before: Int[np.ndarray, " block"],
) -> list[Gap]:
    apart = distances(situation.space, situation.views[views], situation.views[before])
    apart[np.arange(len(before))[None] >= n_before[:, None]] = np.inf
    nearest = np.round(apart, 9).argmin(axis=1) if len(before) else np.zeros(len(views), dtype=np.int64)
    first = Gap(distance=diameter(situation.space), words=f"first view of {situation.names[number]}")
    return [
        first if n_before[row] == 0 else _gap(situation, view, before[nearest[row]], apart[row, nearest[row]])
        for row, view in enumerate(views)
    ]


def _gap(situation: Situation, view: int, other: int, distance: float) -> Gap:
    here, there = situation.views[view], situation.views[other]
    apart = [axis.difference(here[column], there[column]) for column, axis in enumerate(situation.space.axes)]
    return Gap(distance=float(distance), words=_words(situation, np.array(apart)))


def _words(situation: Situation, apart: Float[np.ndarray, " axes"]) -> str:
    axes = situation.space.axes
    degrees = float(np.hypot.reduce([d for axis, d in zip(axes, apart, strict=True) if axis.unit == "deg"] or [0.0]))
    widths = [f"{degrees:.0f} degrees"] if degrees else []
    changes = []
    for axis, d in zip(axes, apart, strict=True):
        if d and isinstance(axis, Category):
            changes.append(f"another {axis.name}")
        elif d and axis.unit != "deg":
            widths.append(f"{d:.4g} {axis.unit} of {axis.name}".replace("  ", " "))
    gap = [f"fills a gap of {' and '.join(widths)}"] if widths else []
    return ", ".join(gap + changes) or "the same view again"
