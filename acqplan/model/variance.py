"""Greedy integrated variance in closed form: the shots that leave least unknown about the next object of a class.

What is unknown is the part of the kernel that the objects of a class share, at the views where new objects will be
seen. The part that all classes have in common is taken as known: it tells no class from another, and every shot
informs about it. Classes are then independent of each other.

Within a class the shared part has as many coordinates as the views need (eigenvectors of their kernel), and given
it the objects are independent. That makes adding a shot a few updates of rank one: of the covariance of the
coordinates, and of one object's own part.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from acqplan.model.kernels import ShotKernel, covariance
from acqplan.space import Space
from acqplan.space.distance import view_kernel

LARGEST_RANK = 300
"""Coordinates of the shared part of a class at most."""

TRUNCATED = 1e-4
"""Share of the variance at target views that coordinates may leave out, if there are more views than `LARGEST_RANK`.
What is left out counts as an object's own, so that the variance of each shot stays exact."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Basis:
    """Coordinates of functions of the view under a kernel.

    Attributes:
        functions: Value of each at each view, so that ``functions.T @ functions`` is about the kernel, shape
            ``[rank, views]``.
        weights: Integral of the square of each over the target views; they are orthogonal there, shape ``[rank]``.
        alike: The kernel itself, shape ``[views, views]``.
        left_out: Share of the variance at the target views that no coordinate describes.
    """

    functions: Float[np.ndarray, "rank views"]
    weights: Float[np.ndarray, " rank"]
    alike: Float[np.ndarray, "views views"]
    left_out: float


def basis_of(
    space: Space,
    views: Float[np.ndarray, "views axes"],
    lengths: tuple[float, ...],
    *,
    weights: Float[np.ndarray, " views"] | None = None,
    rank: int = LARGEST_RANK,
) -> Basis:
    """The coordinates that matter most at the target views.

    Args:
        space: The space whose axes say what wraps.
        views: Views of candidates and targets, shape ``[views, axes]``.
        lengths: Length of each axis.
        weights: How much each view matters, not negative, some positive, shape ``[views]``; all alike by default.
        rank: Coordinates at most.
    """
    share = np.ones(len(views)) if weights is None else np.asarray(weights, dtype=np.float64)
    share = share / share.sum()
    alike = view_kernel(space, views, views, scales=np.array(lengths))
    values, vectors = np.linalg.eigh(alike)
    kept = values > 1e-10 * values[-1]
    whole = vectors[:, kept].T * np.sqrt(values[kept])[:, None]
    weight, turn = np.linalg.eigh((whole * share) @ whole.T)
    order = np.argsort(weight)[::-1][:rank]
    if len(views) > rank:
        order = order[: np.searchsorted(np.cumsum(weight[order]), (1.0 - TRUNCATED) * weight.sum()) + 1]
    functions = np.ascontiguousarray(turn[:, order].T @ whole)
    left = 1.0 - float(weight[order].sum() / weight.sum())
    return Basis(functions=functions, weights=np.maximum(weight[order], 0.0), alike=alike, left_out=max(left, 0.0))


class ClassVariance:
    """What is unknown about a class, while shots of its objects are added.

    Attributes:
        unknown: Integral of the variance of the shared part over the target views.

    Args:
        kernel: The hyper-parameters; ``common`` is taken as known.
        basis: Coordinates of the views.
        n_objects: Objects of the class.
    """

    def __init__(self, kernel: ShotKernel, basis: Basis, n_objects: int) -> None:
        functions = np.sqrt(kernel.shared) * basis.functions
        own = (kernel.deviation + kernel.shared) * basis.alike - functions.T @ functions + kernel.offset
        self._weights = kernel.shared * basis.weights
        self._objects = [_Own(functions, own, kernel.noise) for _ in range(n_objects)]
        self._moves: list[Float[np.ndarray, " rank"]] = []
        self.unknown = float(self._weights.sum())

    def gains(self, number: int) -> Float[np.ndarray, " views"]:
        """How much of `unknown` a shot of each view of an object would take away, shape ``[views]``."""
        own = self._objects[number]
        own.catch_up(self._moves)
        return own.gains(self._weights)

    def add(self, number: int, view: int) -> None:
        """Count a shot of an object as taken."""
        own = self._objects[number]
        own.catch_up(self._moves)
        self._moves.append(own.add(view))
        self.unknown -= float(self._weights @ self._moves[-1] ** 2)


class _Own:
    """One object: how its views depend on the coordinates of the class, and what is its own.

    Given coordinates of the class with covariance ``P``, a view has a mean that is ``load`` times these, and the
    covariance ``prior - past.T @ past``; ``joint`` is ``P @ load``.
    """

    def __init__(
        self, functions: Float[np.ndarray, "rank views"], prior: Float[np.ndarray, "views views"], noise: float
    ) -> None:
        self._load, self._joint, self._prior, self._noise = functions.copy(), functions.copy(), prior, noise
        self._variance = prior.diagonal().copy()
        self._past = np.zeros((16, functions.shape[1]))
        self._n_past, self._seen = 0, 0

    def catch_up(self, moves: list[Float[np.ndarray, " rank"]]) -> None:
        """Learn of the shots of other objects since last time."""
        if self._seen < len(moves):
            news = np.stack(moves[self._seen :])
            self._joint -= news.T @ (news @ self._load)
            self._seen = len(moves)

    def gains(self, weights: Float[np.ndarray, " rank"]) -> Float[np.ndarray, " views"]:
        """Σ Cov(coordinate, shot)² over the variance of the shot, shape ``[views]``."""
        variance = np.einsum("rv,rv->v", self._load, self._joint) + self._variance + self._noise
        return weights @ self._joint**2 / variance

    def add(self, view: int) -> Float[np.ndarray, " rank"]:
        """Take a shot; returns the vector ``u`` by which ``P`` becomes ``P - u uᵀ``."""
        load, joint = self._load[:, view].copy(), self._joint[:, view].copy()
        past = self._past[: self._n_past]
        column = self._prior[:, view] - past[:, view] @ past
        alone = float(column[view]) + self._noise
        move = joint / np.sqrt(load @ joint + alone)
        self._load -= np.outer(load, column / alone)
        self._joint -= np.outer(joint, column / alone) + np.outer(move, move @ self._load)
        self._variance -= column**2 / alone
        self._remember(column / np.sqrt(alone))
        self._seen += 1
        return move

    def _remember(self, row: Float[np.ndarray, " views"]) -> None:
        if self._n_past == len(self._past):
            self._past = np.concatenate([self._past, np.zeros_like(self._past)])
        self._past[self._n_past] = row
        self._n_past += 1


def integrated_variance(
    space: Space,
    kernel: ShotKernel,
    shots: Float[np.ndarray, "shots columns"],
    targets: Float[np.ndarray, "targets columns"],
    weights: Float[np.ndarray, " targets"] | None = None,
) -> float:
    """Mean variance at target points that is left after some shots: the exact reference.

    Args:
        space: The space whose axes say what wraps.
        kernel: The hyper-parameters, ``common`` included.
        shots: Rows of `acqplan.model.kernels.points_of`, shape ``[shots, 2 + axes]``.
        targets: Rows of `acqplan.model.kernels.class_points`, shape ``[targets, 2 + axes]``.
        weights: Weight of each target, adding up to 1; all alike by default.
    """
    share = np.full(len(targets), 1.0 / len(targets)) if weights is None else weights
    gram = covariance(space, kernel, shots, shots) + kernel.noise * np.eye(len(shots))
    white = np.linalg.solve(np.linalg.cholesky(gram), covariance(space, kernel, shots, targets))
    return float(share @ (kernel.common + kernel.shared - (white**2).sum(axis=0)))
