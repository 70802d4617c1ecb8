"""A Gaussian process over shots: its kernel, and what captured features say of the kernel's hyper-parameters."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Float32, Int

from acqplan.errors import UsageError
from acqplan.pool import one_core_each
from acqplan.rng import generator
from acqplan.space import Category, Shots, Space
from acqplan.space.kernel import axis_similarity, view_kernel

if TYPE_CHECKING:
    from torch import Tensor

# Number of an object that is like no other, not even like itself: the mean of its class.
NEW_OBJECT = -1.0
# Length assumed of a category: its levels correlate 0.72.
CATEGORY_LENGTH = 3.0
# Shots of a fit: more would make it slow and hardly more certain.
LARGEST = 600
FEWEST = 8
COMPONENTS = 8
FOLDS = 5
# Strength of the discriminants, as a share of the mean variance of a direction times the shots.
RIDGE = 0.1
# Standard deviations of the log-normal priors: of variances, of lengths.
SPREAD = 0.7, 0.7
LEVELS = ("common", "shared", "offset", "deviation", "noise")
# Of variances; features have variance 1. A noise from 0.001 on keeps every matrix regular.
LOG_BOUNDS = math.log(1e-3), math.log(10.0)
# Lengths stay within this factor of the middle of their prior.
LONGEST = math.log(20.0)
ITERATIONS = 60
# Digits of the fitted numbers, so that last bits of a fit cannot change a plan.
DIGITS = 4
# Similarities above which the least alike levels of an axis count as hardly, or as a little, different.
HARDLY, A_LITTLE = 0.8, 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotKernel:
    """Covariance ``common·k + [same class]·shared·k + [same object]·(offset + deviation·k)``, and noise.

    ``k`` is the similarity of views, `acqplan.space.kernel.view_kernel`. On circles it is
    ``exp(-2 sin²(π d / period) / ℓ²)``; its length is reported in degrees, as ``ℓ·period / 2π``.

    Attributes:
        lengths: Length of each axis, in its unit; of a category without unit. Positive.
        common: Variance of what all classes share, a function of the view.
        shared: Variance of what the objects of a class share, a function of the view.
        offset: Variance of what tells an object from its class in every view.
        deviation: Variance of what tells it in one view and not in another.
        noise: Variance of a single shot, positive.

    Raises:
        UsageError: If a length or the noise is not positive, or a variance is negative or not finite.
    """

    lengths: tuple[float, ...]
    common: float = 0.1
    shared: float = 0.45
    offset: float = 0.2
    deviation: float = 0.2
    noise: float = 0.05

    def __post_init__(self) -> None:
        variances = (self.common, self.shared, self.offset, self.deviation)
        if not all(math.isfinite(value) and value >= 0.0 for value in variances):
            raise UsageError(f"variances {variances} of a kernel", "give numbers from 0 on")
        if not all(math.isfinite(value) and value > 0.0 for value in (self.noise, *self.lengths)):
            raise UsageError(f"noise {self.noise} and lengths {self.lengths} of a kernel", "give positive numbers")

    @classmethod
    def default(cls, space: Space) -> ShotKernel:
        """What is assumed before anything is known: one scale of an axis, and categories that change little.

        Near to what fits to rendered meshes (gradient histograms, MobileNetV2) and photographs (ETH-80) find.
        """
        return cls(lengths=tuple(CATEGORY_LENGTH if isinstance(axis, Category) else axis.scale for axis in space.axes))


def points_of(shots: Shots) -> Float[np.ndarray, "shots columns"]:
    """Class number, object number and coordinates of each shot, shape ``[shots, 2 + axes]``."""
    return np.column_stack([shots.class_rows, shots.object_rows, shots.coordinates]).astype(np.float64)


def class_points(number: int, views: Float[np.ndarray, "views axes"]) -> Float[np.ndarray, "views columns"]:
    """Points of a new object of a class, so far as its class tells, shape ``[views, 2 + axes]``."""
    return np.column_stack([np.full(len(views), float(number)), np.full(len(views), NEW_OBJECT), views])


def covariance(
    space: Space,
    kernel: ShotKernel,
    a: Float[np.ndarray, "left columns"],
    b: Float[np.ndarray, "right columns"],
) -> Float[np.ndarray, "left right"]:
    """Covariance of points from `points_of` or `class_points`, without noise, shape ``[left, right]``."""
    alike = view_kernel(space, a[:, 2:], b[:, 2:], scales=np.array(kernel.lengths))
    same_class, same_object = _same(a, b)
    levels = kernel.common + kernel.shared * same_class + kernel.deviation * same_object
    return levels * alike + kernel.offset * same_object


def gram(
    space: Space, points: Float[np.ndarray, "shots columns"]
) -> Callable[[Float[Tensor, " variances"], Float[Tensor, " axes"]], Float[Tensor, "shots shots"]]:
    """`covariance` of points with each other as a function of hyper-parameters that torch can differentiate.

    Args:
        space: Its axes say what wraps.
        points: Rows of `points_of`, shape ``[shots, 2 + axes]``.

    Returns:
        A function of the variances in the order of `LEVELS` and of the lengths of the axes, both tensors.
    """
    import torch  # takes long to import; needed for fits alone

    # Of a grid there are few ways in which two shots differ: each is computed once, and put where it belongs.
    same_class, same_object = _same(points, points)
    columns = list(enumerate(space.axes, start=2))
    way, first = (same_class + 2 * same_object).ravel(), np.arange(1)
    for column, axis in columns:
        apart = axis.difference(points[:, None, column], points[None, :, column]).round(9)
        values, place = np.unique(apart, return_inverse=True)
        _, first, way = np.unique(way * len(values) + place.ravel(), return_index=True, return_inverse=True)
    rows, others = np.unravel_index(first, same_class.shape)
    of_class, of_object = (torch.from_numpy(same[rows, others]) for same in (same_class, same_object))
    ways = [torch.from_numpy(axis.difference(points[rows, column], points[others, column])) for column, axis in columns]
    where = torch.from_numpy(way)

    def at(variances: Float[Tensor, " variances"], lengths: Float[Tensor, " axes"]) -> Float[Tensor, "shots shots"]:
        common, shared, offset, deviation, _ = variances
        alike: Any = 1.0
        for axis, own, length in zip(space.axes, ways, lengths, strict=True):
            alike = alike * axis_similarity(axis, own, length, library=torch)
        each = (common + shared * of_class + deviation * of_object) * alike + offset * of_object
        return each.index_select(0, where).reshape(same_class.shape)

    return at


def describe(space: Space, kernel: ShotKernel) -> str:
    """In words, e.g. ``azimuth changes the picture within 25°, lighting hardly at all``."""
    words: list[str] = []
    for axis, length in zip(space.axes, kernel.lengths, strict=True):
        # by the similarity of the lowest level to the least similar one
        levels = np.sort(axis.codes())
        alike = float(axis_similarity(axis, axis.difference(levels[:1], levels), length).min())
        unit = "°" if axis.unit == "deg" else f" {axis.unit}".rstrip()
        reach = f"within {round(length) if length >= 10 else round(length, 1):g}{unit}"
        if isinstance(axis, Category):
            reach = "a little" if alike > A_LITTLE else "much"
        if alike > HARDLY:
            reach = "hardly at all"
        words.append(f"{axis.name} {'' if words else 'changes the picture '}{reach}")
    return ", ".join(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surrogate:
    """A kernel, and what it rests on.

    Attributes:
        kernel: The hyper-parameters.
        n_shots: Captured shots of the fit; 0 for the defaults.
        n_coordinates: Projections of the features that it was fitted to.
        why: Why the defaults are used; empty after a fit.
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
) -> Surrogate:
    """Fit the kernel to captured features, or stay with `ShotKernel.default` where they say too little.

    Args:
        shots: Captured shots.
        features: What a backbone saw in each, shape ``[shots, features]``; ``None`` before any is known.
        seed: Seed of the choice among more than `LARGEST` shots, the same number of each object.

    Returns:
        A surrogate that depends neither on the order of rows nor on the direction that a circle calls zero.
        Its numbers are rounded to four digits.
    """
    middle = ShotKernel.default(shots.space)
    if features is None or features.shape[1] == 0 or len(shots) < FEWEST:
        return Surrogate(kernel=middle, why=f"fewer than {FEWEST} images with features")
    if not np.isfinite(features).all():
        return Surrogate(kernel=middle, why="features that are not numbers")
    rows = _chosen(shots, features, seed)
    some, seen = shots.take(rows), features[rows].astype(np.float64)
    # principal components and out-of-object discriminants, each of mean 0 and variance 1
    centred = seen - seen.mean(axis=0)
    products = centred @ centred.T
    values, vectors = np.linalg.eigh(products)
    kept = np.flatnonzero(values > 1e-9 * len(products) * max(float(values[-1]), 1e-9))[-COMPONENTS:]
    found = np.concatenate([vectors[:, kept], _discriminants(some, products)], axis=1)
    spread = found.std(axis=0)
    varies = spread > 1e-6 * max(float(spread.max(initial=0.0)), 1e-6)
    coordinates = (found[:, varies] - found[:, varies].mean(axis=0)) / spread[varies]
    if not coordinates.shape[1]:
        return Surrogate(kernel=middle, why="features that are all equal")
    points = points_of(some)
    points[:, 2:] = some.space.offsets(some.coordinates)
    try:
        kernel = fit(shots.space, points, coordinates, start=middle)
    except ArithmeticError as error:
        return Surrogate(kernel=middle, why=str(error))
    return Surrogate(kernel=kernel, n_shots=len(rows), n_coordinates=coordinates.shape[1])


def fit(
    space: Space,
    points: Float[np.ndarray, "shots columns"],
    coordinates: Float[np.ndarray, "shots coordinates"],
    *,
    start: ShotKernel,
) -> ShotKernel:
    """Most likely hyper-parameters, the same for all coordinates: one summed marginal likelihood, with priors.

    Args:
        space: Its axes say what wraps.
        points: Rows of `points_of`, shape ``[shots, 2 + axes]``.
        coordinates: What was seen, each column of mean 0 and variance 1, shape ``[shots, coordinates]``.
        start: Where the fit begins, and the middle of the log-normal priors.

    Returns:
        The kernel, its numbers rounded to `DIGITS`.

    Raises:
        ArithmeticError: If the likelihood cannot be computed.
    """
    import torch  # takes long to import, as does botorch; needed for fits alone
    from torch.distributions import Normal

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch about itself
        from botorch.optim.core import scipy_minimize

    variances = [max(getattr(start, name), 1e-12) for name in LEVELS]
    starts = {"variances": variances, "lengths": start.lengths}
    middles = {name: torch.tensor(values, dtype=torch.float64).log() for name, values in starts.items()}
    logs = {name: middle.clone().requires_grad_() for name, middle in middles.items()}
    priors: list[Any] = [Normal(middle, own) for middle, own in zip(middles.values(), SPREAD, strict=True)]
    bounds: Any = {"variances": LOG_BOUNDS, "lengths": (middles["lengths"] - LONGEST, middles["lengths"] + LONGEST)}
    gram_at, seen = gram(space, points), torch.from_numpy(coordinates)
    unit = torch.eye(len(points), dtype=torch.float64)

    def closure() -> tuple[Tensor, tuple[Tensor, ...]]:
        # minus the log posterior; all coordinates share one factorisation
        levels = logs["variances"].exp()
        matrix = gram_at(levels, logs["lengths"].exp()) + levels[-1] * unit
        factor = torch.linalg.cholesky(matrix.detach())
        solved = torch.cholesky_solve(seen, factor)
        prior = -sum(own.log_prob(value).sum() for own, value in zip(priors, logs.values(), strict=True))
        loss = 0.5 * (seen * solved).sum() + seen.shape[1] * factor.diagonal().log().sum() + prior.detach()
        # the slope along the matrix is known; torch's, back through the factorisation, takes three times as long
        along = 0.5 * (seen.shape[1] * torch.cholesky_inverse(factor) - solved @ solved.mT)
        return loss, torch.autograd.grad([matrix, prior], list(logs.values()), [along, None])

    try:
        with warnings.catch_warnings(), one_core_each():
            warnings.simplefilter("ignore")  # few iterations are meant
            scipy_minimize(closure, logs, bounds=bounds, options={"maxiter": ITERATIONS})
    except (RuntimeError, ValueError) as error:
        raise ArithmeticError(f"no likelihood of {len(points)} shots: {error}") from error
    found = {
        name: [float(f"{number:.{DIGITS}g}") for number in value.detach().exp().tolist()]
        for name, value in logs.items()
    }
    return ShotKernel(lengths=tuple(found["lengths"]), **dict(zip(LEVELS, found["variances"], strict=True)))


def _same(a: Float[np.ndarray, "left columns"], b: Float[np.ndarray, "right columns"]) -> tuple[np.ndarray, np.ndarray]:
    """Whether points are of the same class, and whether they are of the same object."""
    same_class, same_object = (a[:, None, column] == b[None, :, column] for column in (0, 1))
    return same_class, same_object & (a[:, None, 1] != NEW_OBJECT)


def _chosen(shots: Shots, features: Float32[np.ndarray, "shots features"], seed: int) -> Int[np.ndarray, " kept"]:
    """At most `LARGEST` of the shots in an order of their own: of each object as many or all it has."""
    order = np.lexsort(features.T[:8][::-1])  # tells repeated shots apart
    order = order[shots.take(order).canonical_order()]
    if len(order) <= LARGEST:
        return order
    owners = shots.object_rows[order]
    place = np.zeros(len(order))
    for owner in np.unique(owners):
        draw = generator(seed, "surrogate", shots.objects.names[int(owner)])
        mine = np.flatnonzero(owners == owner)
        place[mine] = draw.permutation(len(mine)) + draw.random()
    return order[np.sort(np.argsort(place, kind="stable")[:LARGEST])]


def _discriminants(shots: Shots, products: Float[np.ndarray, "shots shots"]) -> Float[np.ndarray, "shots classes"]:
    """Scores of each class from ridge regressions that never saw the object, shape ``[shots, classes]``."""
    classes = np.unique(shots.class_rows)
    if len(classes) < 2 or not products.any():
        return np.zeros((len(shots), 0))
    # the objects of a class are dealt out to folds in the order of their names
    names, labels = np.array(shots.objects.names), np.array(shots.objects.labels)
    fold_of = np.zeros(len(names), dtype=np.int64)
    for label in shots.objects.classes:
        members = np.flatnonzero(labels == label)
        fold_of[members[np.argsort(names[members])]] = np.arange(len(members)) % FOLDS
    fold = fold_of[shots.object_rows]
    wanted = (shots.class_rows[:, None] == classes).astype(np.float64)
    scores, strength = np.zeros_like(wanted), RIDGE * float(np.trace(products)) / len(products)
    for number in np.unique(fold):
        out, stay = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
        if len(stay) and len(out):
            mean = wanted[stay].mean(axis=0)
            inner = products[np.ix_(stay, stay)] + strength * np.eye(len(stay))
            scores[out] = mean + products[np.ix_(out, stay)] @ np.linalg.solve(inner, wanted[stay] - mean)
    return scores
