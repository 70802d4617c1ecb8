"""Multinomial logistic regression with L2: many convex problems solved at once."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from acqplan.errors import AcqplanError

# Newton's steps after which a problem counts as not converged (typical: 2 to 6), and how often a step is halved.
CEILING, HALVINGS = 60, 20
# Steps of conjugate gradients in each at most, and how much of the gradient they leave: on the way to single precision,
# and from there to double.
INNER_STEPS = 200
FORCING = {torch.float32: 0.1, torch.float64: 0.01}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Problems:
    """Problems of the same padded size, with uncorrelated variables."""

    inputs: Float[Tensor, "problems rows variables"]  # the last variable is 1 (the bias); padded rows are 0
    targets: Int[Tensor, "problems rows"]  # class of each row
    weights: Float[Tensor, "problems rows"]  # what each row counts, summing to 1 per problem, 0 for padding
    squares: Float[Tensor, "problems variables"]  # weighted mean square of each variable
    present: Bool[Tensor, "problems classes"]  # which classes occur; the others get probability 0

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, rows: Int[Tensor, " taken"]) -> Problems:
        """Some of the problems."""
        return Problems(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def to(self, dtype: torch.dtype) -> Problems:
        """These problems in another number format."""
        return replace(
            self, inputs=self.inputs.to(dtype), weights=self.weights.to(dtype), squares=self.squares.to(dtype)
        )


def solve(
    problems: Problems,
    strengths: Float[Tensor, " problems"],
    start: Float[Tensor, "problems classes variables"],
    *,
    tolerance: float,
) -> Float[Tensor, "problems classes variables"]:
    """Minimise mean log-loss + strength * (sum of squared weights) / 2, the bias free.

    Newton's method, each step by conjugate gradients. The gradient is taken in the number format of the start. The
    Hessian only decides how fast the answer is reached, and that of the problems, single precision, does for it.

    Args:
        problems: The data.
        strengths: L2 strength of each problem, positive. scikit-learn's ``C`` is ``1 / (rows * strength)``.
        start: First guess; its number format is that of the answer.
        tolerance: Largest length of the gradient, measured in the inverse of the curvature bound.

    Returns:
        Coefficients, the bias last, shape ``[problems, classes, variables]``; 0 for absent classes.

    Raises:
        AcqplanError: If a problem does not converge even in double precision.

    Source:
        J. Nocedal, S. J. Wright, Numerical Optimization (2006), algorithm 7.1, with a step that is halved until the
        loss does not rise, and a preconditioner.
    """
    found, converged = _descend(problems, strengths, start, tolerance)
    if bool(converged.all()):
        return found
    rest = (~converged).nonzero()[:, 0]
    dtype = found.dtype if found.device.type == "mps" else torch.float64
    again, converged = _descend(problems.take(rest).to(dtype), strengths[rest], found[rest].to(dtype), tolerance)
    if not bool(converged.all()):
        raise AcqplanError(
            f"{int((~converged).sum())} of {len(problems)} heads did not converge in {CEILING} steps",
            "use larger strengths, or look for extreme features",
        )
    found[rest] = again.to(found.dtype)
    return found


def _descend(
    problems: Problems, strengths: Float[Tensor, " problems"], start: Tensor, tolerance: float
) -> tuple[Float[Tensor, "problems classes variables"], Bool[Tensor, " problems"]]:
    """Newton's steps of all problems together, and which of them converged."""
    exact = problems.to(start.dtype)
    penalty = strengths.to(start.dtype)[:, None].expand(-1, start.shape[2]).clone()
    penalty[:, -1] = 0.0  # the bias is free
    # By how much rounding alone may make a loss rise.
    slack = 1e-6 if start.dtype == torch.float32 else 1e-12
    found, coefficients = start.clone(), start
    done = torch.zeros(len(start), dtype=torch.bool, device=start.device)
    where, stuck = torch.arange(len(start), device=start.device), done.clone()
    loss, chances, gradient = _evaluated(exact, penalty, coefficients)
    for _ in range(CEILING):
        # 1. A problem that is done moves no more: its answer must not depend on how long the others take.
        bound = 0.5 * exact.squares + penalty
        steep = (gradient.square() / bound[:, None]).sum(dim=(1, 2)).sqrt() > tolerance
        found[where], done[where] = coefficients, ~steep
        going = steep & ~stuck
        left = going.nonzero()[:, 0]
        if len(left) == 0:
            break
        if 2 * len(left) <= len(where):
            problems, exact = problems.take(left), exact.take(left)
            kept = (where, going, stuck, penalty, bound, coefficients, loss, chances, gradient)
            where, going, stuck, penalty, bound, coefficients, loss, chances, gradient = (one[left] for one in kept)
        # 2. The step, halved where the loss would rise; where no step will do, rounding has the last word.
        dtype = problems.inputs.dtype
        step = _newton_step(problems, penalty.to(dtype), bound.to(dtype), chances.to(dtype), gradient)
        length = going.to(start.dtype)
        for halving in range(HALVINGS + 1):
            tried = coefficients + length[:, None, None] * step
            after, chances, gradient = _evaluated(exact, penalty, tried)
            worse = ~(after <= loss + slack * loss.abs())
            if not bool(worse.any()):
                break
            length = torch.where(worse, 0.5 * length if halving < HALVINGS - 1 else 0.0, length)
        stuck |= going & (length == 0.0)
        coefficients, loss = tried, after
    return found, done


def _newton_step(problems: Problems, penalty: Tensor, bound: Tensor, chances: Tensor, gradient: Tensor) -> Tensor:
    """Minus the inverse Hessian times the gradient, by preconditioned conjugate gradients, in the gradient's format."""
    # 1. The preconditioner: the diagonal of the Hessian, kept off 0 where a class is certain everywhere.
    room = torch.mul(chances, 1.0 - chances).mul_(problems.weights[:, None])
    diagonal = torch.stack([some @ rows.square() for some, rows in zip(room, problems.inputs, strict=True)])
    inverse = 1.0 / torch.maximum(diagonal + penalty[:, None], 1e-6 * bound[:, None])
    # 2. The gradient at length 1: near the answer single precision could not hold it.
    size = gradient.norm(dim=(1, 2), keepdim=True).clamp_min(torch.finfo(gradient.dtype).tiny)
    residual = -(gradient / size).to(chances.dtype)
    step, towards = torch.zeros_like(residual), inverse * residual
    weight = _dot(residual, towards)
    enough = FORCING[gradient.dtype] ** 2 * weight
    for _ in range(INNER_STEPS):
        active = weight > enough
        if not bool(active.any()):
            break
        # 3. The Hessian times the direction, and how far to go along it. Memory of many classes times rows is not asked
        #    for again: new pages would cost as much as the arithmetic.
        weighted = torch.bmm(towards, problems.inputs.mT, out=room).mul_(chances)
        spread = weighted.addcmul_(chances, weighted.sum(dim=1, keepdim=True), value=-1.0)
        turned = spread.mul_(problems.weights[:, None]) @ problems.inputs + penalty[:, None] * towards
        length = torch.where(active, weight / _dot(towards, turned), 0.0)[:, None, None]
        step, residual = step + length * towards, residual - length * turned
        # 4. The next direction, conjugate to those before.
        other = inverse * residual
        following = torch.where(active, _dot(residual, other), weight)
        towards, weight = other + (following / weight)[:, None, None] * towards, following
    return step.to(gradient.dtype) * size


def _evaluated(
    problems: Problems, penalty: Tensor, coefficients: Tensor
) -> tuple[Float[Tensor, " problems"], Float[Tensor, "problems classes rows"], Tensor]:
    """Penalised log-loss, class probabilities of each row, and gradient at some coefficients."""
    absent = torch.where(problems.present, 0.0, -torch.inf).to(coefficients.dtype)
    logits = torch.matmul(coefficients, problems.inputs.mT).add_(absent[:, :, None])
    logarithms = torch.log_softmax(logits, dim=1)
    hit = logarithms.gather(1, problems.targets[:, None])[:, 0]
    ridge = 0.5 * (penalty[:, None] * coefficients.square()).sum(dim=(1, 2))
    chances = logarithms.exp_()
    surplus = torch.mul(chances, problems.weights[:, None], out=logits)
    surplus.scatter_add_(1, problems.targets[:, None], -problems.weights[:, None])
    gradient = surplus @ problems.inputs + penalty[:, None] * coefficients
    return ridge - (problems.weights * hit).sum(dim=1), chances, gradient


def _dot(a: Float[Tensor, "problems classes variables"], b: Tensor) -> Float[Tensor, " problems"]:
    """Inner product of each problem's coefficients."""
    return (a * b).sum(dim=(1, 2))
