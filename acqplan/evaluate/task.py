"""What is to be planned: what may be taken, what has been captured, and what is kept for the test."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int

from acqplan.campaign.route import Times
from acqplan.errors import BudgetError, BudgetSpent, SpaceExhausted, SplitError, UsageError
from acqplan.evaluate.replay import Arm
from acqplan.evaluate.rounds import stops_of
from acqplan.evaluate.split import split_objects
from acqplan.evaluate.time_budget import check_time_budget
from acqplan.rig.spec import RigSetup
from acqplan.space import Shots
from acqplan.space.distance import nearest_views
from acqplan.space.distinct import is_among
from acqplan.strategy.base import History, Strategy
from acqplan.strategy.strata import view_rows

if TYPE_CHECKING:
    from acqplan.rig.folder import FolderRig


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Task:
    """What is to be planned.

    Attributes:
        candidates: What may be taken; captured shots are not among them.
        start: What has been captured.
        test: Shots of the test objects; none on a live rig.
        is_live: Whether no image comes back before the end.
        times: How long an exposure and a change of the object take.
    """

    candidates: Shots
    start: History
    test: Shots
    is_live: bool
    times: Times

    @property
    def objects(self) -> Int[np.ndarray, " objects"]:
        """Rows of the objects that may still be photographed, ascending."""
        return np.unique(self.candidates.object_rows)

    @property
    def n_objects(self) -> int:
        """Objects that are or may be photographed."""
        return len(np.unique(np.concatenate([self.objects, self.start.shots.object_rows])))

    def arm(self, rule: Strategy, budget: int, seed: int) -> Arm:
        """A strategy with its rounds."""
        stops = () if self.is_live else stops_of(rule, budget, len(self.objects), known=len(self.start))
        return Arm(strategy=rule, budget=budget, seed=seed, stops=stops)


def task_of(setup: RigSetup, seed: int, seen: FolderRig | None) -> Task:
    """Everything the rig offers, without test objects and what has been captured.

    Args:
        setup: The rig.
        seed: Seed of the split into train and test.
        seen: What has been captured before.

    Raises:
        SplitError: If objects cannot be split, or an object of the test has been captured.
    """
    everything = setup.rig.shots()
    start = everything.take([]) if seen is None else seen.shots()
    tested = () if setup.rig.name == "live" else _test_objects(setup, seed)
    is_test = np.isin(np.array(setup.rig.objects.names), tested)
    if seen is not None and is_test[start.object_rows].any():
        row = int(np.argmax(is_test[start.object_rows]))
        said = f"object '{start.names[row]}' is captured already, but the test is on objects that nobody has seen"
        raise SplitError(f"{seen.manifest.where(row)}: {said}", 'name others in rig.toml: [objects] test = ["…"]')
    had = replace(start, coordinates=nearest_views(start.space, start.coordinates))
    free = ~is_test[everything.object_rows] & ~is_among(everything, had)
    met = np.ones(len(everything), dtype=np.bool_)
    if setup.view_weights is not None:
        met = setup.view_weights[view_rows(everything)] > 0
    return Task(
        candidates=everything.take(np.flatnonzero(free)),
        start=History(shots=start),
        test=everything.take(np.flatnonzero(is_test[everything.object_rows] & met)),
        is_live=setup.rig.name == "live",
        times=Times(per_shot=setup.seconds_per_shot, per_object=setup.seconds_per_object),
    )


def check_budgets(task: Task, budget: int | None, time_budget: float | None) -> None:
    """Refuse budgets that cannot be planned, before anything is captured.

    Raises:
        UsageError: If neither is given, or a time means nothing on this rig.
        BudgetError: If there are fewer images than objects, or more than can be had.
        BudgetSpent: If the captured images have used the budget up.
        SpaceExhausted: If all that can be had has been captured.
    """
    if budget is None and time_budget is None:
        raise UsageError("neither a budget of images nor one of time is given", "give one of them, or both")
    if time_budget is not None:
        check_time_budget(time_budget, task.candidates.space, task.times)
    known, free, n_objects = len(task.start), len(task.candidates), task.n_objects
    if budget is None:
        if free == 0:
            raise SpaceExhausted(f"all {known:,} images that can be had have been captured already")
        return
    if 0 < budget <= known:
        raise BudgetSpent(f"{known:,} of {budget:,} images have been captured already; a larger budget takes more")
    if budget < n_objects:
        raise BudgetError(f"a budget of {budget:,} images for {n_objects:,} objects", f"give at least {n_objects:,}")
    if budget > known + free:
        raise BudgetError(
            f"a budget of {budget:,} images, where {n_objects:,} objects can be shot {known + free:,} times",
            f"give at most {known + free:,}",
        )


def _test_objects(setup: RigSetup, seed: int) -> tuple[str, ...]:
    if setup.test_fraction == 0 and not setup.test:
        return ()
    setup.check_splittable()
    objects, test = setup.rig.objects, setup.test or None
    try:
        return split_objects(objects, test_fraction=setup.test_fraction, test=test, seed=seed).test
    except SplitError as error:
        raise SplitError(f"{setup.path or setup.rig.name}: {error.message}", error.hint) from error
