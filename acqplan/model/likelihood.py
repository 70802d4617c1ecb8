"""The kernel of `acqplan.model.kernels` for gpytorch, and the fit of its hyper-parameters.

Importing this module loads botorch and gpytorch, which takes seconds: import it in the function that fits.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from acqplan.model.kernels import NEW_OBJECT, ShotKernel
from acqplan.space import Axis, Category, Circle, Space

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
        points: Rows of `acqplan.model.kernels.points_of`, shape ``[shots, 2 + axes]``.
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
