"""Multinomial logistic regression with L2: many convex problems solved at once."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from acqplan.errors import AcqplanError

# Steps that L-BFGS remembers.
MEMORY = 8
# Steps after which a problem counts as not converged (typical: 10 to 60).
CEILING = 400
# Newton steps of `refine` (typical: 2 or 3), steps of conjugate gradients in each, and how much of the gradient a
# Newton step leaves: two steps win four digits.
NEWTON_STEPS, INNER_STEPS, FORCING = 8, 100, 0.01


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _State:
    """How far each problem is; every field has the problems as its first dimension."""

    coefficients: Float[Tensor, "problems classes variables"]
    logits: Float[Tensor, "problems classes rows"]
    chances: Float[Tensor, "problems classes rows"]
    loss: Float[Tensor, " problems"]
    gradient: Float[Tensor, "problems classes variables"]
    steps: Float[Tensor, "problems memory classes variables"]
    changes: Float[Tensor, "problems memory classes variables"]
    inverses: Float[Tensor, "problems memory"]


def solve(
    problems: Problems,
    strengths: Float[Tensor, " problems"],
    start: Float[Tensor, "problems classes variables"],
    *,
    tolerance: float,
) -> Float[Tensor, "problems classes variables"]:
    """Minimise mean log-loss + strength * (sum of squared weights) / 2, the bias free.

    Args:
        problems: The data; its number format is that of the answer.
        strengths: L2 strength of each problem, positive. scikit-learn's ``C`` is ``1 / (rows * strength)``.
        start: First guess.
        tolerance: Largest length of the gradient, measured in the inverse of the curvature bound.

    Returns:
        Coefficients, the bias last, shape ``[problems, classes, variables]``; 0 for absent classes.

    Raises:
        AcqplanError: If a problem does not converge even in double precision.
    """
    found, converged = _descend(problems, strengths, start, tolerance)
    if bool(converged.all()):
        return found
    rest = (~converged).nonzero()[:, 0]
    dtype = found.dtype if found.device.type == "mps" else torch.float64
    again, converged = _descend(
        problems.take(rest).to(dtype), strengths[rest].to(dtype), found[rest].to(dtype), tolerance
    )
    if not bool(converged.all()):
        raise AcqplanError(
            f"{int((~converged).sum())} of {len(problems)} heads did not converge in {CEILING} steps",
            "use larger strengths, or look for extreme features",
        )
    found[rest] = again.to(found.dtype)
    return found


def refine(
    problems: Problems,
    strengths: Float[Tensor, " problems"],
    start: Float[Tensor, "problems classes variables"],
    *,
    tolerance: float,
) -> Float[Tensor, "problems classes variables"]:
    """Bring solutions in single precision to double precision: Newton's method, far quicker than `solve` there.

    The gradient is taken in double precision. The Hessian only decides how fast the answer is reached, and single
    precision does for it. A problem that is done moves no more: its answer must not depend on the others.

    Takes problems and a start in single precision; otherwise as `solve`.
    """
    double, strengths, found = problems.to(torch.float64), strengths.double(), start.double()
    penalty = _penalty(double, strengths)
    bound = 0.5 * double.squares + penalty
    _, loss, chances, gradient = _evaluated(double, penalty, found)
    for _ in range(NEWTON_STEPS):
        going = _steepness(gradient, bound) > tolerance
        if not bool(going.any()):
            return found
        step = _newton_step(problems, penalty.float(), bound.float(), chances.float(), gradient)
        tried = torch.where(going[:, None, None], found + step, found)
        _, after, chances, gradient = _evaluated(double, penalty, tried)
        if not bool((after <= loss + 1e-12)[going].all()):
            break  # too far from the answer for Newton's steps
        found, loss = tried, after
    return solve(double, strengths, found, tolerance=tolerance)


def _newton_step(problems: Problems, penalty: Tensor, bound: Tensor, chances: Tensor, gradient: Tensor) -> Tensor:
    """Minus the inverse Hessian times the gradient, by preconditioned conjugate gradients, float64."""
    # 1. The preconditioner: the diagonal of the Hessian, kept off 0 where a class is certain everywhere.
    spread = chances * (1.0 - chances) * problems.weights[:, None]
    diagonal = torch.stack([some @ rows.square() for some, rows in zip(spread, problems.inputs, strict=True)])
    inverse = 1.0 / torch.maximum(diagonal + penalty[:, None], 1e-6 * bound[:, None])
    # 2. The gradient at length 1: near the answer single precision could not hold it.
    size = gradient.norm(dim=(1, 2), keepdim=True).clamp_min(torch.finfo(gradient.dtype).tiny)
    residual = -(gradient / size).float()
    step, towards = torch.zeros_like(residual), inverse * residual
    weight = _dot(residual, towards)
    enough = FORCING**2 * weight
    for _ in range(INNER_STEPS):
        active = weight > enough
        if not bool(active.any()):
            break
        # 3. The Hessian times the direction, and how far to go along it.
        weighted = (towards @ problems.inputs.mT).mul_(chances)
        spread = weighted.addcmul_(chances, weighted.sum(dim=1, keepdim=True), value=-1.0)
        spread.mul_(problems.weights[:, None])
        turned = spread @ problems.inputs + penalty[:, None] * towards
        length = torch.where(active, weight / _dot(towards, turned), 0.0)[:, None, None]
        step, residual = step + length * towards, residual - length * turned
        # 4. The next direction, conjugate to those before.
        other = inverse * residual
        following = torch.where(active, _dot(residual, other), weight)
        towards, weight = other + (following / weight)[:, None, None] * towards, following
    return step.double() * size


def _descend(
    problems: Problems, strengths: Float[Tensor, " problems"], start: Tensor, tolerance: float
) -> tuple[Float[Tensor, "problems classes variables"], Bool[Tensor, " problems"]]:
    """L-BFGS on all problems in step; converged problems are dropped when they are half of the batch.

    Source:
        J. Nocedal, S. J. Wright, Numerical Optimization (2006), algorithm 7.5, with the curvature bound of
        D. Böhning, Ann. Inst. Statist. Math. 44 (1992) 197-200 as first inverse Hessian: after PCA it is diagonal.
    """
    found, done = start.clone(), torch.zeros(len(problems), dtype=torch.bool, device=start.device)
    where = torch.arange(len(problems), device=start.device)
    penalty = _penalty(problems, strengths)
    logits, loss, chances, gradient = _evaluated(problems, penalty, start)
    memory = start.new_zeros(len(start), MEMORY, *start.shape[1:])
    state = _State(
        coefficients=start,
        logits=logits,
        chances=chances,
        loss=loss,
        gradient=gradient,
        steps=memory,
        changes=memory.clone(),
        inverses=start.new_zeros(len(start), MEMORY),
    )
    for _ in range(CEILING):
        bound = 0.5 * problems.squares + penalty
        # An answer is final once it is good enough: it must not depend on how long the rest of the batch takes.
        found[where] = torch.where(done[where, None, None], found[where], state.coefficients)
        done[where] |= _steepness(state.gradient, bound) <= tolerance
        # Go on with the problems that are left.
        left = (~done[where]).nonzero()[:, 0]
        if len(left) == 0:
            break
        if 2 * len(left) <= len(where):
            problems, penalty, bound = problems.take(left), penalty[left], bound[left]
            where = where[left]
            state = _State(**{field.name: getattr(state, field.name)[left] for field in fields(state)})
        state = _advance(problems, penalty, bound, state)
    return found, done


def _advance(
    problems: Problems,
    penalty: Float[Tensor, "problems variables"],
    bound: Float[Tensor, "problems variables"],
    state: _State,
) -> _State:
    """One step of every problem: L-BFGS direction, length by Newton's rule along it."""
    # 1. The direction, and what it adds to the logits.
    direction = _direction(state, bound)
    turned = direction @ problems.inputs.mT
    # 2. Newton's length: slope over second derivative of the loss along the direction.
    slope = _dot(state.gradient, direction)
    # Memory of many classes times rows is not asked for again: new pages would cost as much as the arithmetic.
    weighted = state.chances * turned
    middle = weighted.sum(dim=1).square()
    spread = weighted.mul_(turned).sum(dim=1) - middle
    length = -slope / ((problems.weights * spread).sum(dim=1) + _dot(penalty[:, None] * direction, direction))
    # 3. Böhning's length: the loss lies below its parabola with this bend, so that it never increases the loss.
    safe = -slope / _dot(bound[:, None] * direction, direction).clamp_min(torch.finfo(slope.dtype).tiny)
    length = torch.where(torch.isfinite(length) & (length > 0), length, safe)
    # 4. Try Newton's length; where the loss rises, take Böhning's.
    for attempt in range(2):
        step = length[:, None, None] * direction
        logits = torch.mul(turned, length[:, None, None], out=weighted).add_(state.logits)
        loss, chances = _loss(problems, penalty, state.coefficients + step, logits)
        worse = ~(loss <= state.loss + 1e-6 * state.loss.abs())
        if attempt == 1 or not bool(worse.any()):
            break
        length = torch.where(worse, safe, length)
    # 5. Remember the step and the change of the gradient, the newest first.
    coefficients = state.coefficients + step
    gradient = _gradient(problems, penalty, coefficients, chances, room=turned)
    change = gradient - state.gradient
    product = _dot(step, change)
    inverse = torch.where(product > 0, 1.0 / product, 0.0)
    return _State(
        coefficients=coefficients,
        logits=logits,
        chances=chances,
        loss=loss,
        gradient=gradient,
        steps=torch.cat([step[:, None], state.steps[:, :-1]], dim=1),
        changes=torch.cat([change[:, None], state.changes[:, :-1]], dim=1),
        inverses=torch.cat([inverse[:, None], state.inverses[:, :-1]], dim=1),
    )


def _direction(state: _State, bound: Float[Tensor, "problems variables"]) -> Tensor:
    """Minus the inverse Hessian estimate times the gradient: the two loops of L-BFGS."""
    # First loop, from the newest step to the oldest.
    residual, shares = state.gradient, []
    for age in range(MEMORY):
        share = state.inverses[:, age] * _dot(state.steps[:, age], residual)
        residual = residual - share[:, None, None] * state.changes[:, age]
        shares.append(share)
    # First inverse Hessian: that of the bound, scaled by how much less the loss bends along the newest step.
    change = state.changes[:, 0]
    size = _dot(change, change / bound[:, None])
    usable = (state.inverses[:, 0] > 0) & (size > 0)
    scale = torch.where(usable, 1.0 / (state.inverses[:, 0] * size), 1.0)
    result = scale[:, None, None] * residual / bound[:, None]
    # Second loop, from the oldest step to the newest.
    for age in reversed(range(MEMORY)):
        excess = shares[age] - state.inverses[:, age] * _dot(state.changes[:, age], result)
        result = result + excess[:, None, None] * state.steps[:, age]
    return -result


def _penalty(problems: Problems, strengths: Float[Tensor, " problems"]) -> Float[Tensor, "problems variables"]:
    """L2 strength of each variable; the bias is free."""
    penalty = strengths[:, None].expand(-1, problems.inputs.shape[2]).clone()
    penalty[:, -1] = 0.0
    return penalty


def _steepness(gradient: Tensor, bound: Float[Tensor, "problems variables"]) -> Float[Tensor, " problems"]:
    """Length of the gradient in the inverse of the curvature bound."""
    return (gradient.square() / bound[:, None]).sum(dim=(1, 2)).sqrt()


def _evaluated(problems: Problems, penalty: Tensor, coefficients: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Logits, loss, probabilities and gradient at some coefficients."""
    absent = torch.where(problems.present, 0.0, -torch.inf).to(coefficients.dtype)
    logits = coefficients @ problems.inputs.mT + absent[:, :, None]
    loss, chances = _loss(problems, penalty, coefficients, logits)
    return logits, loss, chances, _gradient(problems, penalty, coefficients, chances)


def _loss(
    problems: Problems, penalty: Tensor, coefficients: Tensor, logits: Tensor
) -> tuple[Float[Tensor, " problems"], Float[Tensor, "problems classes rows"]]:
    """Penalised log-loss, and the class probabilities of each row."""
    logarithms = torch.log_softmax(logits, dim=1)
    hit = logarithms.gather(1, problems.targets[:, None])[:, 0]
    ridge = 0.5 * (penalty[:, None] * coefficients.square()).sum(dim=(1, 2))
    return ridge - (problems.weights * hit).sum(dim=1), logarithms.exp_()


def _gradient(
    problems: Problems, penalty: Tensor, coefficients: Tensor, chances: Tensor, *, room: Tensor | None = None
) -> Tensor:
    surplus = torch.mul(chances, problems.weights[:, None], out=room)
    surplus.scatter_add_(1, problems.targets[:, None], -problems.weights[:, None])
    return surplus @ problems.inputs + penalty[:, None] * coefficients


def _dot(a: Float[Tensor, "problems classes variables"], b: Tensor) -> Float[Tensor, " problems"]:
    """Inner product of each problem's coefficients."""
    return (a * b).sum(dim=(1, 2))
