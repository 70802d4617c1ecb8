"""Replay: strategies run on a rig whose every shot can be had, and pay for each shot that they take.

Features reach a strategy through its history alone: pixels have one door, `Capture`, opened only for chosen shots.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Protocol

import numpy as np
from jaxtyping import Float, Float32, Int

from acqplan.errors import AcqplanError, BudgetError
from acqplan.plan.base import Choice, History, Strategy, check_choice, learns
from acqplan.progress import SILENT, Progress, Titled
from acqplan.space import Shots
from acqplan.space.shots import distinct, is_among

# Adds beliefs to histories: class probabilities of captured shots by heads that never saw their objects.
Learn = Callable[[Sequence[History]], Sequence[History]]


class Capture(Protocol):
    """Takes shots and says what a frozen backbone sees in them."""

    def __call__(self, shots: Shots, *, progress: Progress = SILENT) -> Float32[np.ndarray, "shots features"]:
        """Features of the images of these shots, in their order."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Arm:
    """One strategy with one budget and one seed.

    Attributes:
        strategy: The rule.
        budget: Images it may take, those of the starting history included.
        seed: Its seed.
        stops: Images after which it looks at what was captured so far, ascending, those of the starting history
            included; empty to take everything in one round.
    """

    strategy: Strategy
    budget: int
    seed: int
    stops: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if any(one >= other for one, other in itertools.pairwise((0, *self.ends))):
            rounds = ", ".join(map(str, self.stops))
            raise BudgetError(
                f"rounds up to {rounds or 'nothing'} of a budget of {self.budget}", "let them ascend to it"
            )

    @property
    def ends(self) -> tuple[int, ...]:
        """Images after each round."""
        return (*self.stops, self.budget)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """What an arm took, in order; the starting history is not in it.

    Attributes:
        arm: The arm.
        shots: What it took.
        rounds: Round of each shot, from 0, shape ``[shots]``.
        gain: Gain of each shot as its strategy saw it, shape ``[shots]``.
        reason: Reason of each shot.
        features: What the backbone saw in each, shape ``[shots, features]``.
    """

    arm: Arm
    shots: Shots
    rounds: Int[np.ndarray, " shots"]
    gain: Float[np.ndarray, " shots"]
    reason: tuple[str, ...]
    features: Float32[np.ndarray, "shots features"]

    @property
    def has_features(self) -> bool:
        """Whether its images were looked at."""
        return self.features.size > 0


@dataclass(frozen=True, slots=True, eq=False)
class Failure:
    """An arm whose strategy raised, or broke its contract.

    Attributes:
        arm: The arm.
        error: What was raised.
    """

    arm: Arm
    error: Exception

    @property
    def reason(self) -> str:
        """The error in words, with its type unless it is one of ours; never empty."""
        kind = "" if isinstance(self.error, AcqplanError) else f"{type(self.error).__name__}: "
        return f"{kind}{self.error}" or type(self.error).__name__


def replay(
    arms: Sequence[Arm],
    candidates: Shots,
    start: History,
    capture: Capture | None,
    *,
    learn: Learn | None = None,
    progress: Progress = SILENT,
) -> list[Run]:
    """Run all arms in lock-step, taking the shots of a round for all of them at once.

    Args:
        arms: Strategies with budgets and seeds.
        candidates: What may be taken; shots of ``start`` are not among them.
        start: What had been captured before, the same for every arm and charged to each.
        capture: Takes shots; is asked only for shots that an arm has chosen. ``None`` to plan blind, when
            no image comes back before the end: features then have shape ``[shots, 0]``.
        learn: Adds beliefs to the histories of strategies that learn, before each round but the first; ``None`` to
            give them features alone.
        progress: Hears about planning and capture.

    Returns:
        One run per arm, in order; none takes more than its budget.

    Raises:
        StrategyError: If a strategy breaks its contract. What a strategy raises is not caught.
    """
    ended = attempt(arms, candidates, start, capture, learn=learn, fail=None, progress=progress)
    return [run for run in ended if isinstance(run, Run)]


def attempt(
    arms: Sequence[Arm],
    candidates: Shots,
    start: History,
    capture: Capture | None,
    *,
    learn: Learn | None = None,
    fail: Callable[[Arm, Exception], Failure] | None = Failure,
    progress: Progress = SILENT,
) -> list[Run | Failure]:
    """Run all arms as `replay` does, but let the others go on when one fails.

    Further arguments are those of `replay`; ``fail`` makes what is returned for an arm whose strategy raised, ``None``
    lets it raise.
    """
    none = np.empty(0, dtype=np.int64)
    empty = Choice(rows=none, gain=np.empty(0), reason=())
    nothing = candidates.take([])
    blank = np.empty((0, 0 if start.features is None else start.features.shape[1]), dtype=np.float32)
    ended: list[Run | Failure] = [
        Run(arm=arm, shots=nothing, rounds=none, gain=np.empty(0), reason=(), features=blank) for arm in arms
    ]
    last = max((len(arm.stops) for arm in arms), default=0)
    for number in range(1 + last):
        # 1. Each arm of this round chooses from what it knows: its own captures, and what heads learned from them.
        known = _known(ended, start, number, learn)
        choices = [empty] * len(arms)
        with progress.task("planning", len(arms)) as advance:
            for place, (arm, history) in enumerate(zip(arms, known, strict=True)):
                try:
                    if history is not None and (n := arm.ends[number] - len(history)) > 0:
                        # The strategy chooses among what is left; its rows become those of all candidates.
                        left = np.flatnonzero(~is_among(candidates, history.shots))
                        remaining = candidates if len(left) == len(candidates) else candidates.take(left)
                        choice = arm.strategy.propose(remaining, history, n, arm.seed)
                        check_choice(choice, remaining, n, strategy=arm.strategy)
                        choices[place] = replace(choice, rows=left[choice.rows])
                except Exception as error:  # strategies of others may raise anything
                    if fail is None:
                        raise
                    ended[place] = fail(arm, error)
                advance(1)
        # 2. The chosen shots of all arms are taken, each distinct one once.
        taken = [candidates.take(choice.rows) for choice in choices]
        seen = [np.empty((len(shots), 0), dtype=np.float32) for shots in taken]
        joined = reduce(Shots.join, taken)
        if capture is not None and len(joined):
            title = "plan" if number == last else "pilot" if number == 0 else f"round {number + 1}"
            first, inverse = distinct(joined)
            features = capture(joined.take(first), progress=Titled(progress=progress, title=title))[inverse]
            seen = np.split(features, np.cumsum([len(shots) for shots in taken])[:-1])
        # 3. Each arm remembers what it took and saw.
        for place, (choice, shots, features) in enumerate(zip(choices, taken, seen, strict=True)):
            run = ended[place]
            if isinstance(run, Run) and len(shots):
                ended[place] = replace(
                    run,
                    shots=run.shots.join(shots),
                    rounds=np.concatenate([run.rounds, np.full(len(shots), number)]),
                    gain=np.concatenate([run.gain, choice.gain]),
                    reason=run.reason + choice.reason,
                    features=np.concatenate([run.features, features]) if len(run.features) else features,
                )
    return ended


def joined_history(start: History, run: Run) -> History:
    """Everything the arm has seen: the starting history and its own shots."""
    if len(start) == 0:
        return History(shots=run.shots, features=run.features)
    blind = start.features is None or (len(run.shots) > 0 and run.features.shape[1] == 0)
    features = None if blind else np.concatenate([start.features, run.features])
    return History(shots=start.shots.join(run.shots), features=features)


def _known(ended: Sequence[Run | Failure], start: History, number: int, learn: Learn | None) -> list[History | None]:
    """What each arm that takes part in this round knows; with beliefs if its strategy learns and images were seen."""
    known = [
        joined_history(start, run) if isinstance(run, Run) and number <= len(run.arm.stops) else None for run in ended
    ]
    eager = {
        place: history
        for place, history in enumerate(known)
        if history is not None and learns(ended[place].arm.strategy)
        if history.features is not None and history.features.size > 0
    }
    if learn is not None and eager:
        for place, history in zip(eager, learn(list(eager.values())), strict=True):
            known[place] = history
    return known
