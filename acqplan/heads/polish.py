"""Newton's method from a good guess: gradients in double precision, the costly products in single."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from acqplan.heads.solver import Problems, begin, dot, penalty_of, solve, steepness

ROUNDS = 8
"""Newton steps after which plain descent takes over (typical: 2 or 3)."""

INNER = 100
"""Steps of conjugate gradients a Newton step, at most."""

FORCING = 0.01
"""How much of the gradient, in the preconditioner's norm, a Newton step leaves: two steps win four digits."""


def polish(
    problems: Problems,
    strengths: Float[Tensor, " problems"],
    start: Float[Tensor, "problems classes variables"],
    *,
    tolerance: float,
) -> Float[Tensor, "problems classes variables"]:
    """Bring nearly solved problems to the accuracy of double precision.

    The gradient is taken in double precision, so the answer is as good as that of `solve` in it; the Hessian only
    decides how fast it is reached, and single precision does for it.

    Args:
        problems: The data in single precision.
        strengths: L2 strength of each problem, positive, float64.
        start: A solution in single precision, given as float64.
        tolerance: As for `solve`.

    Returns:
        Coefficients as of `solve`, float64.

    Raises:
        AcqplanError: If a problem does not converge.
    """
    double = problems.to(torch.float64)
    penalty, found = penalty_of(double, strengths), start
    state = begin(double, penalty, found)
    for _ in range(ROUNDS):
        open_ = steepness(double, penalty, state) > tolerance
        if not bool(open_.any()):
            return found
        step = _newton_step(problems, penalty.float(), state.chances.float(), state.gradient)
        tried = begin(double, penalty, torch.where(open_[:, None, None], found + step, found))
        if not bool((tried.loss <= state.loss + 1e-12)[open_].all()):
            break
        found, state = tried.coefficients, tried
    return solve(double, strengths, found, tolerance=tolerance)


def _newton_step(
    problems: Problems,
    penalty: Float[Tensor, "problems variables"],
    chances: Float[Tensor, "problems classes rows"],
    gradient: Float[Tensor, "problems classes variables"],
) -> Float[Tensor, "problems classes variables"]:
    """Minus the inverse Hessian times the gradient by preconditioned conjugate gradients, float64.

    A problem that is done moves no more, so that its answer does not depend on the others.
    """
    size = gradient.norm(dim=(1, 2), keepdim=True).clamp_min(torch.finfo(gradient.dtype).tiny)
    residual = -(gradient / size).float()
    inverse = 1.0 / _curvature(problems, penalty, chances)
    step, towards = torch.zeros_like(residual), inverse * residual
    weight = dot(residual, towards)
    enough = FORCING**2 * weight
    for _ in range(INNER):
        active = weight > enough
        if not bool(active.any()):
            break
        turned = _hessian(problems, penalty, chances, towards)
        length = torch.where(active, weight / dot(towards, turned), 0.0)[:, None, None]
        step = step + length * towards
        residual = residual - length * turned
        other = inverse * residual
        following = torch.where(active, dot(residual, other), weight)
        towards = other + (following / weight)[:, None, None] * towards
        weight = following
    return step.double() * size


def _hessian(problems: Problems, penalty: Tensor, chances: Tensor, direction: Tensor) -> Tensor:
    """The Hessian times a direction, shape ``[problems, classes, variables]``."""
    weighted = chances * (direction @ problems.inputs.mT)
    spread = (weighted - chances * weighted.sum(dim=1, keepdim=True)) * problems.weights[:, None]
    return spread @ problems.inputs + penalty[:, None] * direction


def _curvature(problems: Problems, penalty: Tensor, chances: Tensor) -> Float[Tensor, "problems classes variables"]:
    """Diagonal of the Hessian, kept off 0 where a class is certain everywhere."""
    spread = chances * (1.0 - chances) * problems.weights[:, None]
    bound = 0.5 * problems.squares + penalty
    found = torch.stack([some @ rows.square() for some, rows in zip(spread, problems.inputs, strict=True)])
    return torch.maximum(found + penalty[:, None], 1e-6 * bound[:, None])
