"""Multinomial logistic regression with L2: many convex problems solved at once."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from acqplan.errors import AcqplanError

MEMORY = 8
"""Steps that L-BFGS remembers."""

CEILING = 400
"""Steps after which a problem counts as not converged (typical: 10 to 60)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Problems:
    """Problems of the same padded size, with uncorrelated variables.

    Attributes:
        inputs: Shape ``[problems, rows, variables]``; the last variable is 1 (the bias). Padded rows are 0.
        targets: Class of each row, shape ``[problems, rows]``.
        weights: What each row counts, summing to 1 a problem, 0 for padding, shape ``[problems, rows]``.
        squares: Weighted mean square of each variable, shape ``[problems, variables]``.
        present: Which classes occur, shape ``[problems, classes]``; the others get probability 0.
    """

    inputs: Float[Tensor, "problems rows variables"]
    targets: Int[Tensor, "problems rows"]
    weights: Float[Tensor, "problems rows"]
    squares: Float[Tensor, "problems variables"]
    present: Bool[Tensor, "problems classes"]

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, rows: Int[Tensor, " taken"]) -> Problems:
        """Some of the problems."""
        return Problems(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def of_classes(self, seen: Bool[Tensor, " classes"]) -> Problems:
        """The same without classes that no problem has."""
        return replace(self, targets=(seen.cumsum(0) - 1)[self.targets], present=self.present[:, seen])

    def to(self, dtype: torch.dtype) -> Problems:
        """The same in another number format."""
        return replace(
            self, inputs=self.inputs.to(dtype), weights=self.weights.to(dtype), squares=self.squares.to(dtype)
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _State:
    """Where each problem stands; every field has the problems as its first dimension."""

    coefficients: Float[Tensor, "problems classes variables"]
    logits: Float[Tensor, "problems classes rows"]
    chances: Float[Tensor, "problems classes rows"]
    loss: Float[Tensor, " problems"]
    gradient: Float[Tensor, "problems classes variables"]
    steps: Float[Tensor, "problems memory classes variables"]
    changes: Float[Tensor, "problems memory classes variables"]
    inverses: Float[Tensor, "problems memory"]

    def take(self, rows: Int[Tensor, " taken"]) -> _State:
        return _State(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


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


def _descend(
    problems: Problems, strengths: Float[Tensor, " problems"], start: Tensor, tolerance: float
) -> tuple[Float[Tensor, "problems classes variables"], Bool[Tensor, " problems"]]:
    """L-BFGS on all problems in step; those that have converged are dropped when they are half of the batch.

    Source:
        J. Nocedal, S. J. Wright, Numerical Optimization (2006), algorithm 7.5, with the curvature bound of
        D. Böhning, Ann. Inst. Statist. Math. 44 (1992) 197-200 as first inverse Hessian: after PCA it is diagonal.
    """
    found, done = start.clone(), torch.zeros(len(problems), dtype=torch.bool, device=start.device)
    where = torch.arange(len(problems), device=start.device)
    penalty = penalty_of(problems, strengths)
    state = begin(problems, penalty, start)
    for _ in range(CEILING):
        met = steepness(problems, penalty, state) <= tolerance
        # An answer is final once it is good enough: it must not depend on how long the rest of the batch takes.
        found[where] = torch.where(done[where, None, None], found[where], state.coefficients)
        done[where] |= met
        left = (~done[where]).nonzero()[:, 0]
        if len(left) == 0:
            break
        if 2 * len(left) <= len(where):
            problems, penalty, state, where = problems.take(left), penalty[left], state.take(left), where[left]
        state = _advance(problems, penalty, state)
    return found, done


def penalty_of(problems: Problems, strengths: Float[Tensor, " problems"]) -> Float[Tensor, "problems variables"]:
    """L2 strength of each variable; the bias is free."""
    penalty = strengths[:, None].expand(-1, problems.inputs.shape[2]).clone()
    penalty[:, -1] = 0.0
    return penalty


def steepness(problems: Problems, penalty: Float[Tensor, "problems variables"], state: _State) -> Tensor:
    """Length of the gradient in the inverse of the curvature bound, shape ``[problems]``."""
    bound = 0.5 * problems.squares + penalty
    return (state.gradient.square() / bound[:, None]).sum(dim=(1, 2)).sqrt()


def begin(problems: Problems, penalty: Float[Tensor, "problems variables"], start: Tensor) -> _State:
    """The state at some coefficients, before any step."""
    barred = torch.where(problems.present, 0.0, -torch.inf).to(start.dtype)
    logits = start @ problems.inputs.mT + barred[:, :, None]
    memory = start.new_zeros(len(start), MEMORY, *start.shape[1:])
    loss, chances = _loss(problems, penalty, start, logits)
    return _State(
        coefficients=start,
        logits=logits,
        chances=chances,
        loss=loss,
        gradient=_gradient(problems, penalty, start, chances),
        steps=memory,
        changes=memory.clone(),
        inverses=start.new_zeros(len(start), MEMORY),
    )


def _loss(
    problems: Problems, penalty: Tensor, coefficients: Tensor, logits: Tensor
) -> tuple[Float[Tensor, " problems"], Float[Tensor, "problems classes rows"]]:
    logarithms = torch.log_softmax(logits, dim=1)
    hit = logarithms.gather(1, problems.targets[:, None])[:, 0]
    ridge = 0.5 * (penalty[:, None] * coefficients.square()).sum(dim=(1, 2))
    return ridge - (problems.weights * hit).sum(dim=1), logarithms.exp()


def _gradient(problems: Problems, penalty: Tensor, coefficients: Tensor, chances: Tensor) -> Tensor:
    surplus = chances * problems.weights[:, None]
    surplus.scatter_add_(1, problems.targets[:, None], -problems.weights[:, None])
    return surplus @ problems.inputs + penalty[:, None] * coefficients


def _advance(problems: Problems, penalty: Float[Tensor, "problems variables"], state: _State) -> _State:
    """One step of every problem: L-BFGS direction, length by Newton's rule along it."""
    bound = 0.5 * problems.squares + penalty
    direction = _direction(state, bound)
    turned = direction @ problems.inputs.mT
    slope = dot(state.gradient, direction)
    length = -slope / _bend(problems, penalty, state.chances, direction, turned)
    # Böhning: the loss lies below its parabola with this bend, so this length never increases it.
    safe = -slope / dot(bound[:, None] * direction, direction).clamp_min(torch.finfo(slope.dtype).tiny)
    length = torch.where(torch.isfinite(length) & (length > 0), length, safe)
    loss, chances = _try(problems, penalty, state, direction, turned, length)
    worse = ~(loss <= state.loss + 1e-6 * state.loss.abs())
    if bool(worse.any()):
        length = torch.where(worse, safe, length)
        loss, chances = _try(problems, penalty, state, direction, turned, length)
    return _remember(problems, penalty, state, length[:, None, None] * direction, turned, length, loss, chances)


def _try(
    problems: Problems, penalty: Tensor, state: _State, direction: Tensor, turned: Tensor, length: Tensor
) -> tuple[Tensor, Tensor]:
    factor = length[:, None, None]
    return _loss(problems, penalty, state.coefficients + factor * direction, state.logits + factor * turned)


def _bend(problems: Problems, penalty: Tensor, chances: Tensor, direction: Tensor, turned: Tensor) -> Tensor:
    """Second derivative of the loss along a direction, shape ``[problems]``."""
    weighted = chances * turned
    spread = (weighted * turned).sum(dim=1) - weighted.sum(dim=1).square()
    return (problems.weights * spread).sum(dim=1) + dot(penalty[:, None] * direction, direction)


def _remember(
    problems: Problems,
    penalty: Tensor,
    state: _State,
    step: Tensor,
    turned: Tensor,
    length: Tensor,
    loss: Tensor,
    chances: Tensor,
) -> _State:
    coefficients = state.coefficients + step
    gradient = _gradient(problems, penalty, coefficients, chances)
    change = gradient - state.gradient
    product = dot(step, change)
    inverse = torch.where(product > 0, 1.0 / product, 0.0)
    return _State(
        coefficients=coefficients,
        logits=state.logits + length[:, None, None] * turned,
        chances=chances,
        loss=loss,
        gradient=gradient,
        steps=torch.cat([step[:, None], state.steps[:, :-1]], dim=1),
        changes=torch.cat([change[:, None], state.changes[:, :-1]], dim=1),
        inverses=torch.cat([inverse[:, None], state.inverses[:, :-1]], dim=1),
    )


def _direction(state: _State, bound: Float[Tensor, "problems variables"]) -> Tensor:
    """Minus the inverse Hessian estimate times the gradient: the two loops of L-BFGS, newest step first."""
    residual, shares = state.gradient, []
    for age in range(MEMORY):
        share = state.inverses[:, age] * dot(state.steps[:, age], residual)
        residual = residual - share[:, None, None] * state.changes[:, age]
        shares.append(share)
    result = _newest_scale(state, bound)[:, None, None] * residual / bound[:, None]
    for age in reversed(range(MEMORY)):
        excess = shares[age] - state.inverses[:, age] * dot(state.changes[:, age], result)
        result = result + excess[:, None, None] * state.steps[:, age]
    return -result


def _newest_scale(state: _State, bound: Float[Tensor, "problems variables"]) -> Float[Tensor, " problems"]:
    """How much less the loss bends than its bound along the newest step; 1 before any step."""
    change = state.changes[:, 0]
    size = dot(change, change / bound[:, None])
    usable = (state.inverses[:, 0] > 0) & (size > 0)
    return torch.where(usable, 1.0 / (state.inverses[:, 0] * size), 1.0)


def dot(a: Float[Tensor, "problems classes variables"], b: Tensor) -> Float[Tensor, " problems"]:
    """Inner product of each problem's coefficients."""
    return (a * b).sum(dim=(1, 2))


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
