"""Replay: strategies run on a rig whose every shot can be had, and pay for each shot they take.

Features reach a strategy through its history alone: pixels have one door, `Capture`, opened only for chosen shots.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Float, Float32, Int

from acqplan.errors import BudgetError
from acqplan.plan.base import Choice, History, Strategy, check_choice, learns
from acqplan.progress import SILENT, Progress, Titled
from acqplan.space import Shots
from acqplan.space.shots import distinct, is_among

Learn = Callable[[Sequence[History]], Sequence[History]]
"""Adds beliefs to histories: class probabilities of captured shots by heads that never saw their objects."""


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
        ends = (0, *self.stops, self.budget)
        if any(one >= other for one, other in itertools.pairwise(ends)):
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
    ended = _rounds(arms, candidates, start, _Means(capture=capture, learn=learn, fail=_refuse), progress)
    return [run for run in ended if isinstance(run, Run)]


def attempt(
    arms: Sequence[Arm],
    candidates: Shots,
    start: History,
    capture: Capture | None,
    *,
    learn: Learn | None = None,
    progress: Progress = SILENT,
) -> list[Run | Failure]:
    """The same, but an arm that fails leaves, and the others go on. Arguments are those of `replay`."""
    means = _Means(capture=capture, learn=learn, fail=lambda arm, error: Failure(arm=arm, error=error))
    return _rounds(arms, candidates, start, means, progress)


def _refuse(_: Arm, error: Exception) -> Failure:
    raise error


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Means:
    """What a replay has at hand: how shots are taken, what is learned from them, and what becomes of failures."""

    capture: Capture | None
    learn: Learn | None
    fail: Callable[[Arm, Exception], Failure]


def _rounds(
    arms: Sequence[Arm], candidates: Shots, start: History, means: _Means, progress: Progress
) -> list[Run | Failure]:
    ended: list[Run | Failure] = [_nothing_yet(arm, candidates, start) for arm in arms]
    last = max((len(arm.stops) for arm in arms), default=0)
    for number in range(1 + last):
        known = _known(ended, start, number, means.learn)
        steps = _choose_all(ended, known, candidates, number, means.fail, progress)
        taken = [candidates.take(step.rows) if isinstance(step, Choice) else candidates.take([]) for step in steps]
        title = "plan" if number == last else "pilot" if number == 0 else f"round {number + 1}"
        seen = capture_all(taken, means.capture, progress=Titled(progress=progress, title=title))
        ended = [
            _after(run, step, shots, features, number)
            for run, step, shots, features in zip(ended, steps, taken, seen, strict=True)
        ]
    return ended


def _known(ended: Sequence[Run | Failure], start: History, number: int, learn: Learn | None) -> list[History | None]:
    """What each arm knows that takes part in this round; with beliefs, if its strategy learns and shots are seen."""
    known = [
        joined_history(start, run) if isinstance(run, Run) and number <= len(run.arm.stops) else None for run in ended
    ]
    eager = {
        place: history
        for place, history in enumerate(known)
        if history is not None and learns(ended[place].arm.strategy) and _is_seen(history)
    }
    if learn is not None and eager:
        for place, history in zip(eager, learn(list(eager.values())), strict=True):
            known[place] = history
    return known


def _is_seen(history: History) -> bool:
    return history.features is not None and history.features.size > 0


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
    known: Sequence[History | None],
    candidates: Shots,
    number: int,
    fail: Callable[[Arm, Exception], Failure],
    progress: Progress,
) -> list[Choice | Failure]:
    choices: list[Choice | Failure] = []
    with progress.task("planning", len(runs)) as advance:
        for run, history in zip(runs, known, strict=True):
            choices.append(_choose(run, history, candidates, number, fail))
            advance(1)
    return choices


def _choose(
    run: Run | Failure,
    history: History | None,
    candidates: Shots,
    number: int,
    fail: Callable[[Arm, Exception], Failure],
) -> Choice | Failure:
    """What the arm takes in this round; nothing if the round is not its own."""
    if isinstance(run, Failure):
        return run
    n = 0 if history is None else run.arm.ends[number] - len(history)
    if history is None or n <= 0:
        return Choice(rows=np.empty(0, dtype=np.int64), gain=np.empty(0), reason=())
    try:
        return _checked(run.arm, candidates, history, n)
    except Exception as error:  # whatever a strategy of somebody else's raises
        return fail(run.arm, error)


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
