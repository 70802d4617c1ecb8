"""What is to be planned: what may be taken, what has been captured, what is kept for the test, and the budgets."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from acqplan.errors import BudgetError, BudgetSpent, SpaceExhausted, SplitError, UsageError, nearest
from acqplan.evaluate.replay import Arm
from acqplan.numbers import count_noun, duration
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
# Shots of each test object that a recommendation is judged by: by all 972 of a toy, intervals of differences are 0 to
# 14 % narrower.
TEST_VIEWS = 108
# Names of objects that a sentence lists.
MOST_NAMED = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """What is trained on and what is tested on: other objects or, of the same objects, other views.

    Attributes:
        train: Names of the train objects, in the order of the table they come from.
        test: Names of the test objects, in the same order; none of them is a train object unless views are split.
        alone: Train objects that are the only ones of their label: they train on both sides of a swap.
        train_views: Rows of the views that are trained on, in ``space.views()``; empty where objects are split.
        test_views: Rows of the views that are tested on.
    """

    train: tuple[str, ...]
    test: tuple[str, ...]
    alone: tuple[str, ...] = ()
    train_views: tuple[int, ...] = ()
    test_views: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        both = sorted(set(self.train) & set(self.test))
        if both and not self.test_views:
            raise SplitError(f"object '{both[0]}' is in both train and test", "put it on one side")

    @property
    def tested(self) -> str:
        """What accuracies are about."""
        return "new views" if self.test_views else "new objects"

    def swapped(self) -> Split:
        """Train and test in each other's place."""
        if self.test_views:
            return replace(self, train_views=self.test_views, test_views=self.train_views)
        rest = tuple(name for name in self.train if name not in self.alone)
        return replace(self, train=self.test + self.alone, test=rest)

    def sides(
        self, shots: Shots, view_weights: Float[np.ndarray, " views"] | None = None
    ) -> tuple[Int[np.ndarray, " train"], Int[np.ndarray, " test"]]:
        """Rows of the shots that may be trained on, and of those that are tested on.

        Args:
            shots: All shots.
            view_weights: How often each view will be met; views of weight 0 are not tested on.
        """
        names = np.array(shots.objects.names)
        train, test = (np.isin(names, side)[shots.object_rows] for side in (self.train, self.test))
        if self.test_views:
            aside = np.isin(view_rows(shots), self.test_views)
            # an object that is seen from test views alone is trained on
            aside &= np.bincount(shots.object_rows[~aside], minlength=len(names))[shots.object_rows] > 0
            train, test = train & ~aside, test & aside
        if view_weights is not None:
            test &= view_weights[view_rows(shots)] > 0
        return np.flatnonzero(train), np.flatnonzero(test)

    def offered(
        self, n_views: int, view_weights: Float[np.ndarray, " views"] | None
    ) -> Float[np.ndarray, " views"] | None:
        """Weights of views as strategies know them: views of the test weigh nothing."""
        if not self.test_views:
            return view_weights
        weights = np.ones(n_views) if view_weights is None else view_weights.copy()
        weights[list(self.test_views)] = 0.0
        return weights

    def to_dict(self) -> dict[str, Any]:
        """What is kept aside, fit for JSON and in words."""
        if self.test_views:
            aside, every = len(self.test_views), len(self.train_views) + len(self.test_views)
            said = (
                f"{aside:,} of {every:,} views kept aside to judge the plan, the same of each object: accuracies and "
                "their intervals (over objects and seeds) are about new views of these objects, not about new objects"
            )
            return {"tested": self.tested, "objects": [], "train_only": [], "views": aside, "words": [said]}
        words = [f"{count_noun(len(self.test), 'object')} kept aside to judge the plan: {_listed(self.test)}"]
        if self.alone:
            words.append(f"trained on and not tested, as the only objects of their labels: {_listed(self.alone)}")
        kept, only = list(self.test), list(self.alone)
        return {"tested": self.tested, "objects": kept, "train_only": only, "views": 0, "words": words}


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def draw_split(rig: Rig, seed: int) -> Split:
    """The split of a rig: by object, or by view where rig.toml says so or every label has one object.

    Raises:
        SplitError: As `split_objects` and `split_views`.
    """
    objects, fraction = rig.source.objects, rig.test_fraction or 0.5
    if rig.test == "views" or (not rig.test and len(objects.classes) == len(objects)):
        views, weights = rig.source.space.n_views, rig.view_weights
        met = np.arange(views) if weights is None else np.flatnonzero(weights > 0.0)
        return split_views(objects, met, test_fraction=fraction, seed=seed)
    return split_objects(objects, test_fraction=fraction, test=tuple(rig.test) or None, seed=seed)


def split_objects(
    objects: Objects, *, test_fraction: float = 0.5, test: tuple[str, ...] | None = None, seed: int = 0
) -> Split:
    """Split by object, every class on both sides; the only object of a class is trained on.

    Args:
        objects: All objects with their labels.
        test_fraction: Share of each class that is tested on; halves are rounded towards train, and at
            least one object of a class of several goes to each side.
        test: Names of the test objects, to choose them by hand; ``test_fraction`` and ``seed`` then do nothing.
        seed: Seed of the draw; the order of ``objects`` does not matter.

    Returns:
        The split, objects in the order of the table.

    Raises:
        SplitError: If every class has one object only, a class of several is missing on a side, a name is unknown or
            repeated, or the fraction is not between 0 and 1.
    """
    members = {
        label: [name for name, its in zip(objects.names, objects.labels, strict=True) if its == label]
        for label in objects.classes
    }
    alone = {names[0] for names in members.values() if len(names) == 1}
    if len(alone) == len(objects):
        said = "every label has one object only: none can be kept for the test"
        raise SplitError(said, 'test on views; in rig.toml: [objects] test = "views"')
    chosen = set(test or ())
    for name in test or ():
        if name not in objects.names:
            raise SplitError(f"test object '{name}' is unknown", nearest(name, objects.names))
        if test is not None and test.count(name) > 1:
            raise SplitError(f"test object '{name}' appears twice", "name it once")
    if test is None:
        for label, names in members.items():
            order = generator(seed, "split", label).permutation(len(names))
            chosen.update(sorted(names)[place] for place in order[: _n_test(len(names), test_fraction)])
    for side, missing in (("train", chosen.issuperset), ("test", (chosen | alone).isdisjoint)):
        for label, names in members.items():
            if missing(names):
                raise SplitError(f"no object of label '{label}' is in {side}", "move one of its objects there")
    return Split(
        train=tuple(name for name in objects.names if name not in chosen),
        test=tuple(name for name in objects.names if name in chosen),
        alone=tuple(name for name in objects.names if name in alone),
    )


def split_views(objects: Objects, met: Int[np.ndarray, " met"], *, test_fraction: float = 0.5, seed: int = 0) -> Split:
    """Split by view: the same views of every object are kept for the test.

    Args:
        objects: All objects.
        met: Rows of the views that the classifier will meet; the test views are drawn from these.
        test_fraction: Share of them that is tested on; halves are rounded towards train, at least one on each side.
        seed: Seed of the draw.

    Raises:
        SplitError: If there are fewer than two views, or the fraction is not between 0 and 1.
    """
    if len(met) < 2:
        raise SplitError("a test on views needs two views at least", "add views")
    drawn = met[generator(seed, "split", "views").permutation(len(met))].tolist()
    n = _n_test(len(met), test_fraction)
    views = {"train_views": tuple(sorted(drawn[n:])), "test_views": tuple(sorted(drawn[:n]))}
    return Split(train=objects.names, test=objects.names, **views)


def _n_test(n: int, test_fraction: float) -> int:
    if not 0.0 < test_fraction < 1.0:
        raise SplitError(f"test_fraction is {test_fraction:g}", "give a number between 0 and 1, e.g. 0.5")
    return min(max(math.ceil(n * test_fraction - 0.5), 1), n - 1)


def check_disjoint(train: Shots, test: Shots, *, by_view: bool = False) -> None:
    """Refuse shots of one object on both sides, or, where views are split, a shot on both sides.

    Raises:
        SplitError: If train and test share an object, or a shot; names it.
    """
    both = (
        np.array(test.names)[is_among(test, train)].tolist() if by_view else sorted(set(train.names) & set(test.names))
    )
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
        split: What is kept aside for the test; ``None`` if nothing is.
        view_weights: How often each view will be met, as strategies are told; all alike.
    """

    candidates: Shots
    start: History
    test: Shots
    is_live: bool
    times: Times
    split: Split | None = None
    view_weights: Float[np.ndarray, " views"] | None = None

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


def task_of(rig: Rig, seed: int, seen: FolderSource | None, *, validate: bool = True) -> Task:
    """Everything that the rig offers, without what has been captured and, if the plan is judged, what that takes.

    Args:
        rig: The rig.
        seed: Seed of the split into train and test.
        seen: What has been captured before.
        validate: Whether objects (or views) are kept aside for a test.

    Raises:
        SplitError: If objects cannot be split, or an object of the test has been captured.
    """
    everything, is_live = rig.source.shots(), rig.source.name == "live"
    start = everything.take([]) if seen is None else seen.shots()
    split, train, test = None, np.arange(len(everything)), np.empty(0, dtype=np.int64)
    if validate and not is_live and (rig.test or rig.test_fraction > 0):
        try:
            split = draw_split(rig, seed)
        except SplitError as error:
            raise SplitError(f"{rig.path or rig.source.name}: {error.message}", error.hint) from error
        train, test = split.sides(everything, rig.view_weights)
        is_kept = np.isin(start.names, () if split.test_views else split.test)
        if seen is not None and is_kept.any():
            row = int(np.argmax(is_kept))
            said = f"object '{start.names[row]}' is captured already, but the test needs objects that are not"
            raise SplitError(f"{seen.manifest.where(row)}: {said}", 'name others in rig.toml: [objects] test = ["…"]')
    # An image may have been taken beside the grid: it counts as the nearest view, which is not taken again.
    taken = is_among(everything, replace(start, coordinates=nearest_views(start.space, start.coordinates)))
    return Task(
        candidates=everything.take(train[~taken[train]]),
        start=History(shots=start),
        test=everything.take(test[~taken[test]]),
        is_live=is_live,
        times=Times.of(rig),
        split=split,
        view_weights=split.offered(everything.space.n_views, rig.view_weights) if split else rig.view_weights,
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
    more = "" if task.split is None else ", or plan without validation (--no-validate), which keeps nothing aside"
    check_budget(budget, n_objects, known + free, more=more)


def check_budget(budget: int, n_objects: int, most: int, *, more: str = "") -> None:
    """Refuse a number of images that does not reach every object, or that cannot be had; ``more`` ends the hint.

    Raises:
        BudgetError: If there are fewer images than objects, or more than ``most``.
    """
    if budget < n_objects:
        raise BudgetError(f"a budget of {budget:,} images for {n_objects:,} objects", f"give at least {n_objects:,}")
    if budget > most:
        raise BudgetError(
            f"a budget of {budget:,} images, where {n_objects:,} objects can be shot {most:,} times",
            f"give at most {most:,}{more}",
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
