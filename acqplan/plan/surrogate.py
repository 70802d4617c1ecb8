"""What captured features say of the kernel: hyper-parameters fitted on a few projections of them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor

from acqplan.rng import generator
from acqplan.space import Axis, Category, Circle, Shots, Space
from acqplan.space.kernel import NEW_OBJECT, ShotKernel, points_of

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
    pass  # DROP  # loads botorch

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


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of torch about itself
    import botorch  # noqa: F401 - first: it changes how gpytorch solves
    import gpytorch
    from botorch.optim.core import scipy_minimize
    from gpytorch.priors import NormalPrior

LEVELS = ("common", "shared", "offset", "deviation", "noise")
LOG_BOUNDS = math.log(1e-3), math.log(10.0)
"""Of variances; features have variance 1. A noise from 0.001 on keeps every matrix regular."""

LONGEST = math.log(20.0)
"""Lengths stay within this factor of the middle of their prior."""

ITERATIONS = 60

AxisKernel = Callable[[Float[Tensor, "left right"], Float[Tensor, ""]], Float[Tensor, "left right"]]


class ShotModule(gpytorch.kernels.Kernel):  # type: ignore[misc]
    """`ShotKernel` with hyper-parameters that can be fitted, as logarithms with normal priors.

    Args:
        space: Its axes say what wraps.
        start: Where the fit begins, and the middle of the priors.
        spread: Standard deviations of the priors of log variances and of log lengths.
    """

    has_lengthscale = False

    def __init__(self, space: Space, start: ShotKernel, spread: tuple[float, float] = (1.0, 1.0)) -> None:
        super().__init__()
        self.axes = space.axes
        variances = torch.tensor([getattr(start, name) for name in LEVELS], dtype=torch.float64)
        lengths = torch.tensor(start.lengths, dtype=torch.float64)
        self.register_parameter("log_variances", torch.nn.Parameter(variances.clamp_min(1e-12).log()))
        self.register_parameter("log_lengths", torch.nn.Parameter(lengths.log()))
        for name, deviation in zip(("log_variances", "log_lengths"), spread, strict=True):
            middle = getattr(self, name).detach().clone()
            self.register_prior(f"{name}_prior", NormalPrior(middle, torch.full_like(middle, deviation)), name)

    def forward(
        self, x1: Float[Tensor, "left columns"], x2: Float[Tensor, "right columns"], diag: bool = False, **_: object
    ) -> Float[Tensor, "..."]:
        """Covariance without noise of rows ``class, object, coordinates``, shape ``[left, right]``."""
        if diag:
            return self.forward(x1, x2).diagonal(dim1=-1, dim2=-2)
        common, shared, offset, deviation, _noise = self.log_variances.exp()
        same_class, same_object = (x1[..., :, None, column] == x2[..., None, :, column] for column in (0, 1))
        same_object = same_object & (x1[..., :, None, 1] != NEW_OBJECT)
        alike = torch.ones_like(same_class, dtype=torch.float64)
        for column, (axis, length) in enumerate(zip(self.axes, self.log_lengths.exp(), strict=True)):
            apart = _difference(axis, x1[..., :, None, 2 + column], x2[..., None, :, 2 + column])
            alike = alike * AXIS_KERNELS[axis.kind](axis, apart, length)
        return (common + shared * same_class + deviation * same_object) * alike + offset * same_object

    def read(self) -> ShotKernel:
        """The hyper-parameters as they are now."""
        variances = self.log_variances.detach().exp().tolist()
        return ShotKernel(
            lengths=tuple(self.log_lengths.detach().exp().tolist()), **dict(zip(LEVELS, variances, strict=True))
        )


def fit(
    space: Space,
    points: Float[np.ndarray, "shots columns"],
    coordinates: Float[np.ndarray, "shots coordinates"],
    *,
    start: ShotKernel,
    spread: tuple[float, float],
) -> ShotKernel:
    """Most likely hyper-parameters, the same for all coordinates: one summed marginal likelihood, with priors.

    Args:
        space: Its axes say what wraps.
        points: Rows of `acqplan.space.kernel.points_of`, shape ``[shots, 2 + axes]``.
        coordinates: What was seen, each column of mean 0 and variance 1, shape ``[shots, coordinates]``.
        start: Where the fit begins, and the middle of the log-normal priors.
        spread: Standard deviations of log variances and of log lengths.

    Raises:
        ArithmeticError: If the likelihood cannot be computed.
    """
    module = ShotModule(space, start, spread)
    x, z = torch.from_numpy(points), torch.from_numpy(coordinates)
    middle = module.log_lengths.detach().clone()
    bounds = {"log_variances": LOG_BOUNDS, "log_lengths": (middle - LONGEST, middle + LONGEST)}
    parameters = dict(module.named_parameters())

    def closure() -> tuple[Tensor, Sequence[Tensor | None]]:
        loss = _loss(module, x, z)
        return loss, torch.autograd.grad(loss, list(parameters.values()))

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # few iterations are meant
            scipy_minimize(closure, parameters, bounds=bounds, options={"maxiter": ITERATIONS})
    except (RuntimeError, ValueError) as error:
        raise ArithmeticError(f"no likelihood of {len(points)} shots: {error}") from error
    return module.read()


def _loss(
    module: ShotModule, x: Float[Tensor, "shots columns"], z: Float[Tensor, "shots coordinates"]
) -> Float[Tensor, ""]:
    """Minus the log posterior; all coordinates share one factorisation."""
    noise = module.log_variances[-1].exp()
    gram = module(x).to_dense() + noise * torch.eye(len(x), dtype=torch.float64)
    factor = torch.linalg.cholesky(gram)
    white = torch.linalg.solve_triangular(factor, z, upper=False)
    loss = 0.5 * white.square().sum() + z.shape[1] * factor.diagonal().log().sum()
    for _, owner, prior, value, _ in module.named_priors():
        loss = loss - prior.log_prob(value(owner)).sum()
    return loss


def _difference(axis: Axis, a: Float[Tensor, "..."], b: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    if isinstance(axis, Category):
        return (a.round() != b.round()).to(torch.float64)
    apart = (a - b).abs()
    if isinstance(axis, Circle):
        apart = apart.remainder(axis.period)
        return torch.minimum(apart, axis.period - apart)
    return apart


def _periodic(axis: Axis, apart: Float[Tensor, "..."], length: Float[Tensor, ""]) -> Float[Tensor, "..."]:
    period = float(getattr(axis, "period", 360.0))
    chord = torch.sin(math.pi / period * apart) * period / math.pi
    return torch.exp(-0.5 * (chord / length) ** 2)


def _matern(_: Axis, apart: Float[Tensor, "..."], length: Float[Tensor, ""]) -> Float[Tensor, "..."]:
    reach = math.sqrt(5.0) * apart / length
    return (1.0 + reach + reach**2 / 3.0) * torch.exp(-reach)


def _categorical(_: Axis, apart: Float[Tensor, "..."], length: Float[Tensor, ""]) -> Float[Tensor, "..."]:
    return torch.exp(-apart / length)


AXIS_KERNELS = {"circle": _periodic, "interval": _matern, "category": _categorical}
