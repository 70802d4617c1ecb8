"""What captured features say of the kernel: hyper-parameters fitted on a few projections of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int

from acqplan.model.kernels import ShotKernel, points_of
from acqplan.rng import generator
from acqplan.space import Circle, Shots

LARGEST = 600
"""Shots of a fit: more would make it slow and hardly more certain."""

FEWEST = 8
COMPONENTS = 8
FOLDS = 5
RIDGE = 0.1
"""Strength of the discriminants, as a share of the mean variance of a direction times the shots."""

SPREAD = 0.7, 0.7
"""Standard deviations of the log-normal priors: of variances, of lengths."""

DIGITS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Surrogate:
    """A kernel, and what it rests on.

    Attributes:
        kernel: The hyper-parameters.
        n_shots: Captured shots of the fit; 0 for the defaults.
        n_coordinates: Projections of the features that it was fitted to.
        why: Why the defaults stand; empty after a fit.
    """

    kernel: ShotKernel
    n_shots: int = 0
    n_coordinates: int = 0
    why: str = ""

    @property
    def learned(self) -> bool:
        """Whether captured features were used."""
        return self.n_shots > 0


def fit_surrogate(
    shots: Shots,
    features: Float32[np.ndarray, "shots features"] | None,
    *,
    seed: int,
    prior: ShotKernel | None = None,
    spread: tuple[float, float] = SPREAD,
) -> Surrogate:
    """Fit the kernel to captured features, or stay with the prior where they say too little.

    Args:
        shots: Captured shots.
        features: What a backbone saw in each, shape ``[shots, features]``; ``None`` before any is known.
        seed: Seed of the choice among more than `LARGEST` shots, the same number of each object.
        prior: Middle of the log-normal priors; by default `ShotKernel.default`.
        spread: Standard deviations of log variances and of log lengths.

    Returns:
        A surrogate that depends neither on the order of rows nor on the direction that a circle calls zero.
        Its numbers are rounded to four digits, so that last bits cannot change a plan.
    """
    middle = prior or ShotKernel.default(shots.space)
    if features is None or features.shape[1] == 0 or len(shots) < FEWEST:
        return Surrogate(kernel=middle, why=f"fewer than {FEWEST} images with features")
    if not np.isfinite(features).all():
        return Surrogate(kernel=middle, why="features that are not numbers")
    rows = _balanced(shots, _ordered(shots, features), seed)
    some, seen = shots.take(rows), features[rows].astype(np.float64)
    coordinates = _coordinates(some, seen)
    if not coordinates.shape[1]:
        return Surrogate(kernel=middle, why="features that are all equal")
    from acqplan.model.likelihood import fit  # loads botorch

    try:
        kernel = fit(shots.space, _turned_points(some), coordinates, start=middle, spread=spread)
    except ArithmeticError as error:
        return Surrogate(kernel=middle, why=str(error))
    return Surrogate(kernel=_rounded(kernel), n_shots=len(rows), n_coordinates=coordinates.shape[1])


def _ordered(shots: Shots, features: Float32[np.ndarray, "shots features"]) -> Int[np.ndarray, " shots"]:
    """Rows in an order of their own; repeated shots by their features."""
    order = np.lexsort(features.T[:8][::-1])
    return order[shots.take(order).canonical_order()]


def _balanced(shots: Shots, order: Int[np.ndarray, " shots"], seed: int) -> Int[np.ndarray, " kept"]:
    """At most `LARGEST` of the rows, of each object as many or all it has."""
    if len(order) <= LARGEST:
        return order
    owners = shots.object_rows[order]
    turn = np.zeros(len(order))
    for owner in np.unique(owners):
        draw = generator(seed, "surrogate", shots.objects.names[int(owner)])
        mine = np.flatnonzero(owners == owner)
        turn[mine] = draw.permutation(len(mine)) + draw.random()
    return order[np.sort(np.argsort(turn, kind="stable")[:LARGEST])]


def _coordinates(shots: Shots, seen: Float[np.ndarray, "shots features"]) -> Float[np.ndarray, "shots coordinates"]:
    """Principal components and out-of-object discriminants, each of mean 0 and variance 1."""
    centred = seen - seen.mean(axis=0)
    gram = centred @ centred.T
    found = np.concatenate([_components(gram), _discriminants(shots, gram)], axis=1)
    spread = found.std(axis=0)
    kept = spread > 1e-6 * max(float(spread.max(initial=0.0)), 1e-6)
    return (found[:, kept] - found[:, kept].mean(axis=0)) / spread[kept]


def _components(gram: Float[np.ndarray, "shots shots"]) -> Float[np.ndarray, "shots components"]:
    values, vectors = np.linalg.eigh(gram)
    kept = np.flatnonzero(values > 1e-9 * len(gram) * max(float(values[-1]), 1e-9))[-COMPONENTS:]
    return vectors[:, kept]


def _discriminants(shots: Shots, gram: Float[np.ndarray, "shots shots"]) -> Float[np.ndarray, "shots classes"]:
    """Scores of each class from ridge regressions that never saw the object, shape ``[shots, classes]``."""
    classes = np.unique(shots.class_rows)
    if len(classes) < 2 or not gram.any():
        return np.zeros((len(shots), 0))
    wanted = (shots.class_rows[:, None] == classes).astype(np.float64)
    fold, scores = _folds(shots), np.zeros_like(wanted)
    strength = RIDGE * float(np.trace(gram)) / len(gram)
    for number in np.unique(fold):
        out, stay = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
        if len(stay) and len(out):
            mean = wanted[stay].mean(axis=0)
            inner = gram[np.ix_(stay, stay)] + strength * np.eye(len(stay))
            scores[out] = mean + gram[np.ix_(out, stay)] @ np.linalg.solve(inner, wanted[stay] - mean)
    return scores


def _folds(shots: Shots) -> Int[np.ndarray, " shots"]:
    """Fold of each shot: objects of a class dealt out in the order of their names."""
    names = np.array(shots.objects.names)
    fold = np.zeros(len(names), dtype=np.int64)
    for label in shots.objects.classes:
        members = np.flatnonzero(np.array(shots.objects.labels) == label)
        fold[members[np.argsort(names[members])]] = np.arange(len(members)) % FOLDS
    return fold[shots.object_rows]


def _turned_points(shots: Shots) -> Float[np.ndarray, "shots columns"]:
    """Points with coordinates counted from the first level, so that turning a circle changes no bit."""
    points = points_of(shots)
    for column, axis in enumerate(shots.space.axes, start=2):
        apart = np.round(points[:, column] - axis.codes()[0], 6)
        points[:, column] = np.mod(apart, axis.period) if isinstance(axis, Circle) else apart
    return points


def _rounded(kernel: ShotKernel) -> ShotKernel:
    def digits(value: float) -> float:
        return float(f"{value:.{DIGITS}g}")

    return ShotKernel(
        lengths=tuple(map(digits, kernel.lengths)),
        common=digits(kernel.common),
        shared=digits(kernel.shared),
        offset=digits(kernel.offset),
        deviation=digits(kernel.deviation),
        noise=digits(kernel.noise),
    )
