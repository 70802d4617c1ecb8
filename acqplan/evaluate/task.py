"""What is to be planned: what may be taken, what has been captured, what is kept for the test, and the budgets."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int

from acqplan.errors import BudgetError, BudgetSpent, SpaceExhausted, SplitError, UsageError, nearest
from acqplan.evaluate.replay import Arm
from acqplan.numbers import duration
from acqplan.plan.base import History, Strategy
from acqplan.plan.deployed import Deployed, view_rows
from acqplan.plan.plan import Setting
from acqplan.plan.rounds import stops_of
from acqplan.plan.route import Times, costs_travel
from acqplan.progress import SILENT, Progress
from acqplan.rig.spec import Rig, open_rig
from acqplan.rng import generator
from acqplan.space import Objects, Shots
from acqplan.space.kernel import nearest_views
from acqplan.space.shots import is_among

if TYPE_CHECKING:
    from acqplan.rig.folder import FolderSource

# Larger even plans that are tried where a time ends.
EVEN_PLANS = 8
# Steps of the search upwards; the last one goes too far, and large plans take long to make.
LARGEST_GROWTH = 8.0
LEAST_SECONDS = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Which objects are trained on and which are tested on.

    Attributes:
        train: Names of the train objects, in the order of the table they come from.
        test: Names of the test objects, in the same order; none of them is a train object.
    """

    train: tuple[str, ...]
    test: tuple[str, ...]

    def __post_init__(self) -> None:
        both = sorted(set(self.train) & set(self.test))
        if both:
            raise SplitError(f"object '{both[0]}' is in both train and test", "put it on one side")


def split_objects(
    objects: Objects, *, test_fraction: float = 0.5, test: tuple[str, ...] | None = None, seed: int = 0
) -> Split:
    """Split by object, every class on both sides.

    Args:
        objects: All objects with their labels.
        test_fraction: Share of each class that is tested on; halves are rounded towards train, and at
            least one object of a class goes to each side.
        test: Names of the test objects, to choose them by hand; ``test_fraction`` and ``seed`` then do nothing.
        seed: Seed of the draw; the order of ``objects`` does not matter.

    Returns:
        The split, objects in the order of the table.

    Raises:
        SplitError: If a class has one object only or is missing on a side, a name is unknown or repeated,
            or the fraction is not between 0 and 1.
    """
    members = {
        label: [name for name, its in zip(objects.names, objects.labels, strict=True) if its == label]
        for label in objects.classes
    }
    for label, names in members.items():
        if len(names) == 1:
            raise SplitError(
                f"label '{label}' has one object only ('{names[0]}'): it cannot be in both train and test",
                "add another object of this label, or leave the label out",
            )
    chosen = set(test or ())
    for name in test or ():
        if name not in objects.names:
            raise SplitError(f"test object '{name}' is unknown", nearest(name, objects.names))
        if test is not None and test.count(name) > 1:
            raise SplitError(f"test object '{name}' appears twice", "name it once")
    if test is None:
        if not 0.0 < test_fraction < 1.0:
            raise SplitError(f"test_fraction is {test_fraction:g}", "give a number between 0 and 1, e.g. 0.5")
        for label, names in members.items():
            n_test = min(max(math.ceil(len(names) * test_fraction - 0.5), 1), len(names) - 1)
            order = generator(seed, "split", label).permutation(len(names))
            chosen.update(sorted(names)[place] for place in order[:n_test])
    for side, missing in (("train", chosen.issuperset), ("test", chosen.isdisjoint)):
        for label, names in members.items():
            if missing(names):
                raise SplitError(f"no object of label '{label}' is in {side}", "move one of its objects there")
    return Split(
        train=tuple(name for name in objects.names if name not in chosen),
        test=tuple(name for name in objects.names if name in chosen),
    )


def check_disjoint(train: Shots, test: Shots) -> None:
    """Refuse shots of one object on both sides.

    Raises:
        SplitError: If train and test shots share an object; names it.
    """
    both = sorted(set(train.names) & set(test.names))
    if both:
        raise SplitError(f"shots of object '{both[0]}' are in both train and test", "split by object")


def opened(rig: Rig | Path | str, progress: Progress = SILENT) -> Rig:
    """The rig itself, or the rig that a rig.toml describes."""
    return rig if isinstance(rig, Rig) else open_rig(Path(rig), progress=progress)


def settings_of(rule: Strategy) -> dict[str, Setting]:
    """Settings of a strategy by name; none if it is no dataclass."""
    if isinstance(rule, Deployed):
        return {**settings_of(rule.rule), "deployment_views": sum(weight > 0 for weight in rule.view_weights)}
    return asdict(rule) if is_dataclass(rule) and not isinstance(rule, type) else {}


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
        """How many objects are or may be photographed."""
        return len(np.unique(np.concatenate([self.objects, self.start.shots.object_rows])))

    @property
    def fewest(self) -> int:
        """Fewest images that make a plan, captured ones included."""
        return max(self.n_objects, len(self.start) + 1)

    def arm(self, rule: Strategy, budget: int, seed: int) -> Arm:
        """A strategy with its rounds."""
        stops = () if self.is_live else stops_of(rule, budget, len(self.objects), known=len(self.start))
        return Arm(strategy=rule, budget=budget, seed=seed, stops=stops)


def task_of(rig: Rig, seed: int, seen: FolderSource | None) -> Task:
    """Everything that the rig offers, without test objects and without what has been captured.

    Args:
        rig: The rig.
        seed: Seed of the split into train and test.
        seen: What has been captured before.

    Raises:
        SplitError: If objects cannot be split, or an object of the test has been captured.
    """
    everything, is_live = rig.source.shots(), rig.source.name == "live"
    start = everything.take([]) if seen is None else seen.shots()
    tested: tuple[str, ...] = ()
    if not is_live and (rig.test or rig.test_fraction > 0):
        rig.check_splittable()
        try:
            split = split_objects(rig.source.objects, test_fraction=rig.test_fraction, test=rig.test or None, seed=seed)
            tested = split.test
        except SplitError as error:
            raise SplitError(f"{rig.path or rig.source.name}: {error.message}", error.hint) from error
    is_test = np.isin(np.array(rig.source.objects.names), tested)
    if seen is not None and is_test[start.object_rows].any():
        row = int(np.argmax(is_test[start.object_rows]))
        said = f"object '{start.names[row]}' is captured already, but the test needs objects that are not"
        raise SplitError(f"{seen.manifest.where(row)}: {said}", 'name others in rig.toml: [objects] test = ["…"]')
    # An image may have been taken beside the grid: it counts as the nearest view, which is not taken again.
    taken = replace(start, coordinates=nearest_views(start.space, start.coordinates))
    free = ~is_test[everything.object_rows] & ~is_among(everything, taken)
    shown = is_test[everything.object_rows]
    if rig.view_weights is not None:
        shown &= rig.view_weights[view_rows(everything)] > 0
    return Task(
        candidates=everything.take(np.flatnonzero(free)),
        start=History(shots=start),
        test=everything.take(np.flatnonzero(shown)),
        is_live=is_live,
        times=Times(per_shot=rig.seconds_per_shot, per_object=rig.seconds_per_object),
    )


def check_budgets(task: Task, budget: int | None, time_budget: float | None) -> None:
    """Refuse budgets that cannot be planned, before anything is captured.

    Raises:
        UsageError: If neither is given, the time is not positive and finite, or nothing on the rig takes time.
        BudgetError: If there are fewer images than objects, or more than can be had.
        BudgetSpent: If the captured images have used the budget up.
        SpaceExhausted: If all that can be had has been captured.
    """
    if budget is None and time_budget is None:
        raise UsageError("neither a budget of images nor one of time is given", "give one of them, or both")
    if time_budget is not None:
        if not 0.0 < time_budget < math.inf:
            raise UsageError(f"a time budget of {time_budget:g} s", "give a time above zero, e.g. 2h")
        if not costs_travel(task.candidates.space, task.times) and task.times.per_shot == 0:
            raise UsageError(
                f"a time budget of {duration(time_budget)}, but rig.toml does not say how long anything takes",
                "give seconds_per_unit or seconds_per_change of [[axis]], or seconds of [shot]",
            )
    # Captured images are charged: the budget must exceed them, and reach every object.
    known, free, n_objects = len(task.start), len(task.candidates), task.n_objects
    if budget is None:
        if free == 0:
            raise SpaceExhausted(f"all {known:,} images that can be had have been captured already")
        return
    if 0 < budget <= known:
        raise BudgetSpent(f"{known:,} of {budget:,} images have been captured already; a larger budget takes more")
    check_budget(budget, n_objects, known + free)


def check_budget(budget: int, n_objects: int, most: int) -> None:
    """Refuse a number of images that does not reach every object, or that cannot be had.

    Raises:
        BudgetError: If there are fewer images than objects, or more than ``most``.
    """
    if budget < n_objects:
        raise BudgetError(f"a budget of {budget:,} images for {n_objects:,} objects", f"give at least {n_objects:,}")
    if budget > most:
        raise BudgetError(
            f"a budget of {budget:,} images, where {n_objects:,} objects can be shot {most:,} times",
            f"give at most {most:,}",
        )


def images_in_time(seconds_of: Callable[[int], float], limit: float, *, least: int, most: int, step: int = 1) -> int:
    """A number of images whose plan fits into a time while the plan of one more image does not.

    Larger plans are not always slower: one of as many images of every object may have a shorter way than a smaller
    one that is uneven (lattices differ by a tenth). So the end of the time is narrowed down from both sides, and then
    somewhat larger plans that are even are tried. The result is the largest number found, not the largest of all.

    Args:
        seconds_of: Seconds of a plan, by its number of images.
        limit: Seconds at hand.
        least: Fewest images that make a plan.
        most: Most images that can be had, at least ``least``.
        step: Plans of a multiple of so many are even: the number of objects.

    Raises:
        BudgetError: If not even the least fits.
    """
    needed = seconds_of(least)
    if needed > limit:
        raise BudgetError(
            f"a time budget of {duration(limit)}, but the fewest images that can be planned ({least:,}) take "
            f"{duration(needed)}",
            "give more time",
        )
    # 1. Grow in proportion to the time that is left until a plan is too long.
    low = high = (least, needed)
    while high[1] <= limit and high[0] < most:
        low = high
        more = min(max(math.ceil(low[0] * min(limit / max(low[1], LEAST_SECONDS), LARGEST_GROWTH)), 2 * low[0]), most)
        high = (more, seconds_of(more))
    if high[1] <= limit:
        return high[0]
    # 2. Narrow down between the last plan that fits and the first that does not.
    found = _narrowed(seconds_of, limit, low, high)
    # 3. Try the next even plans; if one fits, look again above it.
    even = range((found // step + 1) * step, most + 1, step)[:EVEN_PLANS]
    fitting = [(number, seconds) for number in even if (seconds := seconds_of(number)) <= limit]
    if not fitting:
        return found
    low = fitting[-1]
    above = min(low[0] + step, most)
    seconds = seconds_of(above)
    if seconds <= limit:
        return images_in_time(seconds_of, limit, least=above, most=most, step=step)
    return _narrowed(seconds_of, limit, low, (above, seconds))


def _narrowed(seconds_of: Callable[[int], float], limit: float, low: tuple[int, float], high: tuple[int, float]) -> int:
    """The number that fits while one more does not, found by interpolation and by bisection in turn."""
    by_line = True
    while high[0] - low[0] > 1:
        share = (limit - low[1]) / (high[1] - low[1]) if by_line else 0.5  # what fits takes less than what does not
        middle = min(max(low[0] + round(share * (high[0] - low[0])), low[0] + 1), high[0] - 1)
        found = (middle, seconds_of(middle))
        low, high = (found, high) if found[1] <= limit else (low, found)
        by_line = not by_line
    return low[0]
