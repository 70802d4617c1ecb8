"""What a strategy is given and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32, Int

from acqplan.errors import BudgetError, StrategyError
from acqplan.space import Shots

LONGEST_REASON = 80
"""Letters of a reason at most."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class History:
    """Shots taken so far, with what was learned from their images and from no others.

    Attributes:
        shots: The captured shots, over the same objects as the candidates.
        features: Features of their images, shape ``[captured, features]``; ``None`` before any is known.
        beliefs: Class probabilities of each captured shot from heads that never saw its object, shape
            ``[captured, classes]``; ``None`` before any is known.
    """

    shots: Shots
    features: Float32[np.ndarray, "captured features"] | None = None
    beliefs: Float32[np.ndarray, "captured classes"] | None = None

    def __len__(self) -> int:
        return len(self.shots)

    @classmethod
    def empty(cls, candidates: Shots) -> History:
        """Nothing captured yet."""
        return cls(shots=candidates.take([]))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Choice:
    """Which candidates to take, in order, and why.

    Attributes:
        rows: Rows of the candidates in the order of taking, shape ``[chosen]``.
        gain: What each adds in the strategy's own measure, shape ``[chosen]``, finite.
        reason: For each a few words that a person understands.
    """

    rows: Int[np.ndarray, " chosen"]
    gain: Float[np.ndarray, " chosen"]
    reason: tuple[str, ...]


@runtime_checkable
class Strategy(Protocol):
    """A rule that says which candidates to take next.

    Attributes:
        name: Name by which the strategy is asked for.
        exact: Whether it uses exactly the number of shots asked for; a factorial design
            (`even`, `random`) takes the largest that fits.
        turns: Whether turning all azimuths of the space turns the plan with it.
    """

    name: ClassVar[str]
    exact: ClassVar[bool]
    turns: ClassVar[bool]

    def propose(self, candidates: Shots, history: History, n: int, seed: int) -> Choice:
        """Choose ``n`` candidates: a pure function of its arguments.

        Args:
            candidates: What may be taken; captured shots are not among them.
            history: What has been captured so far.
            n: How many to choose, ``1 <= n <= len(candidates)``.
            seed: Seed of all randomness.
        """


def learns(strategy: Strategy) -> bool:
    """Whether a strategy says that it looks at what was captured, and so takes its shots in rounds."""
    return bool(getattr(strategy, "learns", False))


def check_request(candidates: Shots, n: int) -> None:
    """Refuse a number of shots that cannot be chosen.

    Raises:
        BudgetError: If ``n`` is outside ``1..len(candidates)``.
    """
    if not 1 <= n <= len(candidates):
        raise BudgetError(f"{n:,} shots asked for, {len(candidates):,} candidates found", "ask for 1 to that many")


def check_choice(choice: Choice, candidates: Shots, n: int, *, strategy: Strategy) -> Choice:
    """Hold a strategy to its contract.

    Raises:
        StrategyError: If rows are unknown, repeated, too few or too many, or gains are not finite.
    """
    wrong = _broken_clause(choice, candidates, n, strategy.exact)
    if wrong:
        raise StrategyError(f"strategy '{strategy.name}' {wrong}", "this is a defect of the strategy")
    return choice


def _broken_clause(choice: Choice, candidates: Shots, n: int, exact: bool) -> str:
    """What is wrong with a choice, empty if nothing is."""
    if not isinstance(choice, Choice) or not isinstance(choice.rows, np.ndarray):
        return f"returned a {type(choice).__name__} without an array of rows, not a Choice"
    count = len(choice.rows)
    if count > n or count == 0 or (exact and count != n):
        return f"chose {count:,} of {n:,} shots"
    if len(choice.gain) != count or len(choice.reason) != count:
        return f"gave {len(choice.gain)} gains and {len(choice.reason)} reasons for {count} shots"
    if not np.issubdtype(choice.rows.dtype, np.integer):
        return f"gave rows of type {choice.rows.dtype}"
    if choice.rows.min() < 0 or choice.rows.max() >= len(candidates):
        return f"chose a row outside 0..{len(candidates) - 1}"
    if len(np.unique(choice.rows)) != count:
        return "chose a shot twice"
    return "" if np.isfinite(choice.gain).all() else "gave a gain that is not a number"
