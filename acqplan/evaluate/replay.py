"""Replay: strategies run on a rig whose every shot can be had, and pay for each shot they take.

Features reach a strategy through its history alone, and the history holds what was captured: the
one door to pixels is `Capture`, and it is opened only for shots that a strategy has chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from acqplan.errors import BudgetError
from acqplan.progress import SILENT, Progress, Titled
from acqplan.space import Shots
from acqplan.strategy.base import Choice, History, Strategy, check_choice


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
        pilot: Images of its first round; 0 to take everything in one round.
    """

    strategy: Strategy
    budget: int
    seed: int
    pilot: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.pilot < self.budget:
            raise BudgetError(f"a pilot of {self.pilot} images does not fit a budget of {self.budget}", "lower it")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """What an arm took, in order, the pilot included and the starting history not.

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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Failure:
    """An arm whose strategy raised, or broke its contract.

    Attributes:
        arm: The arm.
        error: What was raised.
    """

    arm: Arm
    error: Exception


def replay(
    arms: Sequence[Arm], candidates: Shots, start: History, capture: Capture | None, *, progress: Progress = SILENT
) -> list[Run]:
    """Run all arms in lock-step, taking the shots of a round for all of them at once.

    Args:
        arms: Strategies with budgets and seeds.
        candidates: What may be taken; shots of ``start`` are not among them.
        start: What had been captured before, the same for every arm and charged to each.
        capture: Takes shots; is asked only for shots that an arm has chosen. ``None`` to plan blind, when
            no image comes back before the end: features then have shape ``[shots, 0]``.
        progress: Hears about planning and capture.

    Returns:
        One run per arm, in order; none takes more than its budget.

    Raises:
        StrategyError: If a strategy breaks its contract. What a strategy raises is not caught.
    """
    ended = _rounds(arms, candidates, start, capture, _refuse, progress)
    return [run for run in ended if isinstance(run, Run)]


def attempt(
    arms: Sequence[Arm], candidates: Shots, start: History, capture: Capture | None, *, progress: Progress = SILENT
) -> list[Run | Failure]:
    """The same, but an arm that fails leaves, and the others go on. Arguments are those of `replay`."""
    return _rounds(arms, candidates, start, capture, lambda arm, error: Failure(arm=arm, error=error), progress)


def _refuse(_: Arm, error: Exception) -> Failure:
    raise error


def _rounds(
    arms: Sequence[Arm],
    candidates: Shots,
    start: History,
    capture: Capture | None,
    fail: Callable[[Arm, Exception], Failure],
    progress: Progress,
) -> list[Run | Failure]:
    ended: list[Run | Failure] = [_nothing_yet(arm, candidates, start) for arm in arms]
    for number in range(1 + any(arm.pilot for arm in arms)):
        steps = _choose_all(ended, candidates, start, number, fail, progress)
        taken = [candidates.take(step.rows) if isinstance(step, Choice) else candidates.take([]) for step in steps]
        pilot = number == 0 and any(arm.pilot for arm in arms)
        seen = capture_all(taken, capture, progress=Titled(progress=progress, title="pilot" if pilot else "plan"))
        ended = [
            _after(run, step, shots, features, number)
            for run, step, shots, features in zip(ended, steps, taken, seen, strict=True)
        ]
    return ended


def capture_all(
    tables: Sequence[Shots], capture: Capture | None, *, progress: Progress = SILENT
) -> list[Float32[np.ndarray, "shots features"]]:
    """Features of several tables of shots; a shot that stands in many is taken once.

    Args:
        tables: Tables over the same space and objects.
        capture: Takes shots; ``None`` to see nothing.
        progress: Hears about the capture.

    Returns:
        Features of each table, in the order of its rows.
    """
    joined = tables[0]
    for table in tables[1:]:
        joined = joined.join(table)
    if capture is None or len(joined) == 0:
        return [np.empty((len(table), 0), dtype=np.float32) for table in tables]
    first, inverse = distinct(joined)
    features = capture(joined.take(first), progress=progress)[inverse]
    return np.split(features, np.cumsum([len(table) for table in tables])[:-1])


def distinct(shots: Shots) -> tuple[Int[np.ndarray, " distinct"], Int[np.ndarray, " shots"]]:
    """Rows of the distinct shots, sorted by object and view, and for every shot which of them it is."""
    codes = shots.object_rows.astype(np.int64)
    for column in np.round(shots.coordinates, 6).T:
        # numbers of levels instead of the levels themselves: sorting whole rows takes eight times as long
        levels, numbers = np.unique(column, return_inverse=True)
        if len(codes) and (int(codes.max()) + 1) * len(levels) >= 2**62:
            codes = np.unique(codes, return_inverse=True)[1]
        codes = codes * len(levels) + numbers
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    return first, inverse


def _nothing_yet(arm: Arm, candidates: Shots, start: History) -> Run:
    width = 0 if start.features is None else start.features.shape[1]
    return Run(
        arm=arm,
        shots=candidates.take(np.empty(0, dtype=np.int64)),
        rounds=np.empty(0, dtype=np.int64),
        gain=np.empty(0),
        reason=(),
        features=np.empty((0, width), dtype=np.float32),
    )


def _choose_all(
    runs: Sequence[Run | Failure],
    candidates: Shots,
    start: History,
    number: int,
    fail: Callable[[Arm, Exception], Failure],
    progress: Progress,
) -> list[Choice | Failure]:
    choices: list[Choice | Failure] = []
    with progress.task("planning", len(runs)) as advance:
        for run in runs:
            choices.append(_choose_or_fail(run, candidates, start, number, fail))
            advance(1)
    return choices


def _choose_or_fail(
    run: Run | Failure, candidates: Shots, start: History, number: int, fail: Callable[[Arm, Exception], Failure]
) -> Choice | Failure:
    if isinstance(run, Failure):
        return run
    try:
        return _choose(run, candidates, start, number)
    except Exception as error:  # whatever a strategy of somebody else's raises
        return fail(run.arm, error)


def _choose(run: Run, candidates: Shots, start: History, number: int) -> Choice:
    """What the arm takes in this round; nothing if the round is not its own."""
    left = run.arm.budget - len(start) - len(run.shots)
    n = min(run.arm.pilot, left) if run.arm.pilot and number == 0 else left
    if n <= 0 or (number > 0 and not run.arm.pilot):
        return Choice(rows=np.empty(0, dtype=np.int64), gain=np.empty(0), reason=())
    return _checked(run.arm, candidates, joined_history(start, run), n)


def joined_history(start: History, run: Run) -> History:
    """Everything the arm has seen: the starting history and its own shots."""
    if len(start) == 0:
        return History(shots=run.shots, features=run.features)
    blind = start.features is None or (len(run.shots) > 0 and run.features.shape[1] == 0)
    features = None if blind else np.concatenate([start.features, run.features])
    return History(shots=start.shots.join(run.shots), features=features)


def _checked(arm: Arm, candidates: Shots, history: History, n: int) -> Choice:
    """Let the strategy choose among what is left, and translate its rows to those of all candidates."""
    left = np.flatnonzero(~is_among(candidates, history.shots))
    remaining = candidates.take(left)
    choice = arm.strategy.propose(remaining, history, n, arm.seed)
    check_choice(choice, remaining, n, strategy=arm.strategy)
    return Choice(rows=left[choice.rows], gain=choice.gain, reason=choice.reason)


def is_among(shots: Shots, others: Shots) -> Bool[np.ndarray, " shots"]:
    """Whether each of ``shots`` stands among ``others``."""
    if len(others) == 0:
        return np.zeros(len(shots), dtype=bool)
    _, inverse = distinct(others.join(shots))
    return np.isin(inverse[len(others) :], inverse[: len(others)])


def _after(
    run: Run | Failure, step: Choice | Failure, shots: Shots, features: Float32[np.ndarray, "new features"], number: int
) -> Run | Failure:
    if isinstance(step, Failure):
        return step
    return run if isinstance(run, Failure) else _extend(run, shots, step, features, number)


def _extend(run: Run, shots: Shots, choice: Choice, features: Float32[np.ndarray, "new features"], number: int) -> Run:
    if len(shots) == 0:
        return run
    return Run(
        arm=run.arm,
        shots=run.shots.join(shots),
        rounds=np.concatenate([run.rounds, np.full(len(shots), number)]),
        gain=np.concatenate([run.gain, choice.gain]),
        reason=run.reason + choice.reason,
        features=np.concatenate([run.features, features]) if len(run.features) else features,
    )
