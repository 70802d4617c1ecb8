"""A test of a classifier within a budget: how many new objects, how many views of each, and which."""

from __future__ import annotations

import json
import math
from collections.abc import Set
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from acqplan.errors import BudgetError, SplitError, UsageError
from acqplan.evaluate.experiment import train_on
from acqplan.evaluate.recommend import captured_images
from acqplan.evaluate.task import draw_split, opened, settings_of
from acqplan.features.extractor import Extractor
from acqplan.files import check_free, folder, replace_files, replacing, uninterrupted, work_folder
from acqplan.heads.linear import NEVER, object_folds
from acqplan.numbers import count_noun, count_range, percent
from acqplan.plan import find_strategy
from acqplan.plan.base import History
from acqplan.plan.deployed import deployed, view_rows
from acqplan.plan.plan import Plan
from acqplan.plan.route import Times, routed
from acqplan.progress import SILENT, Progress, Titled
from acqplan.rig.spec import Rig
from acqplan.rng import generator
from acqplan.runtime import Runtime
from acqplan.space import Shots
from acqplan.statistics.judging import Components

# What a folder of a planned test holds, and how it is known that it may be replaced.
FILES, MARK = ("test-plan.csv", "test-plan.json"), ("test-plan.json", ("chosen", "spendings", "plan"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """One way of spending a budget on a test.

    Attributes:
        per_class: Objects of each class, or all that a class has.
        objects: Objects.
        images: Images, shared out evenly over them.
        half_width: Half of the 95 % interval of accuracy to expect.
    """

    per_class: int
    objects: int
    images: int
    half_width: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlannedTest:
    """A test, and the interval to expect of it.

    Attributes:
        plan: Its shots, in order.
        chosen: How it spends the budget.
        spendings: Every way that was weighed, fewest objects first.
        components: What the expected intervals follow from.
    """

    plan: Plan
    chosen: Spending
    spendings: tuple[Spending, ...] = field(repr=False)
    components: Components

    @property
    def sentences(self) -> tuple[str, ...]:
        """The test in plain words, the most important first."""
        known, chosen, n_classes = self.components, self.chosen, len(self.plan.shots.objects.classes)
        views = count_range(np.bincount(self.plan.shots.object_rows))
        source = "supposed, as nothing was seen (the prior); captured images (--captured) would tell"
        if known.objects:
            source = f"from {count_noun(known.images, 'image')} of {count_noun(known.objects, 'left-out object')}"
        # With images without end of the same objects.
        least = known.half_width(chosen.objects, n_classes, math.inf, math.inf)
        return (
            f"{count_noun(chosen.objects, 'test object')} of {n_classes} classes, {views} views of each: "
            f"{count_noun(len(self.plan), 'image')}; nothing may be trained on these objects",
            f"such a test tells an accuracy of {percent(known.accuracy)} % to ± {percent(chosen.half_width)} points "
            f"(95 % interval); with more images of these objects never below {percent(least)}: that takes more objects",
            f"correlation of two images of an object {known.correlation:.2f}, accuracy {percent(known.accuracy)} %: "
            f"{source}",
        )

    def to_dict(self) -> dict[str, object]:
        """All of it as one JSON document."""
        return {
            "chosen": asdict(self.chosen),
            "spendings": [asdict(one) for one in self.spendings],
            "components": {**asdict(self.components), "is_prior": self.components.objects == 0},
            "sentences": list(self.sentences),
            "plan": self.plan.to_dict(),
        }

    def save(self, out: Path | str) -> list[Path]:
        """Write the shots as test-plan.csv, in the form of plan.csv, and all as test-plan.json: both files or none."""
        place = folder(Path(out))
        check_free(place, FILES, *MARK)
        with work_folder(place / "result") as work:
            self.plan.write_csv(work / FILES[0])
            with replacing(work / FILES[1]) as handle:
                json.dump(self.to_dict(), handle, indent=1)
            with uninterrupted():
                replace_files(work, place, FILES)
        return [place / name for name in FILES]


def plan_test(
    rig: Rig | Path | str,
    budget: int,
    *,
    object_cost: float = 0.0,
    captured: Path | str | None = None,
    backbone: str | None = None,
    weights: Path | str | None = None,
    seed: int = 0,
    runtime: Runtime | None = None,
    progress: Progress = SILENT,
) -> PlannedTest:
    """Plan the test whose 95 % interval of accuracy is the narrowest within a budget: ``acqplan plan-test``.

    Objects are drawn by lot, as many of each class, and their views by the lattice.

    Args:
        rig: The rig, from `open_rig`, or the path of its rig.toml.
        budget: Images, each object counted as ``object_cost`` more.
        object_cost: What another test object costs, in images.
        captured: Manifest of the images captured for training: heads on left-out objects show how objects differ,
            and the test is of all other objects. Without it, the test is of the objects that `recommend` keeps aside.
        backbone: As in `recommend`, like the weights, the runtime and the progress.
        weights: File of its weights.
        seed: Seed of the split, the lots and the plan.
        runtime: Where it runs.
        progress: Hears about long work.

    Raises:
        UsageError: If the cost cannot be.
        BudgetError: If the budget does not reach two objects of each class.
        SplitError: If there is one class, or too few objects are left for a test.
    """
    # 1. What may be tested on, and what captured images tell.
    if not 0.0 <= object_cost < math.inf:
        raise UsageError(f"a test object that costs {object_cost:g} images", "give a number from 0 on, e.g. 5")
    rig, known = opened(rig, progress), Components()
    seen, shots = (None, None) if captured is None else captured_images(rig, captured, progress=progress)
    candidates = _candidates(rig, None if shots is None else set(shots.names), seed)
    spendings_of(known, candidates, budget, object_cost)  # a budget that cannot be is reported now
    if seen is not None and shots is not None:
        # The only object of a class is never left out, and a head of one class is always right.
        judged = object_folds(shots.class_rows, shots.object_rows, 2) != NEVER
        if len(np.unique(shots.class_rows)) > 1 and judged.any():
            extractor = Extractor.open(
                rig.source, backbone=backbone, weights=weights, runtime=runtime, progress=progress
            )
            features = extractor.on(seen)(shots, progress=Titled(progress=progress, title="captured"))
            history = History(shots=shots, features=features)
            head = train_on([history], device=extractor.runtime.device, progress=progress)[0]
            right = (head.beliefs.argmax(axis=1) == shots.class_rows)[judged].astype(np.float64)
            known = Components.of(right, shots.object_rows[judged], shots.class_rows[judged])
    # 2. The narrowest interval, with objects by lot.
    spendings = spendings_of(known, candidates, budget, object_cost)
    chosen, classes = min(spendings, key=lambda one: one.half_width), candidates.objects.class_rows
    lots = [
        generator(seed, "plan-test", label).permutation(np.flatnonzero(classes == number))[: chosen.per_class]
        for number, label in enumerate(candidates.objects.classes)
    ]
    plan = _planned(rig, candidates.narrow(np.sort(np.concatenate(lots))), chosen.images, seed, progress)
    return PlannedTest(plan=plan, chosen=chosen, spendings=spendings, components=known)


def _planned(rig: Rig, pool: Shots, images: int, seed: int, progress: Progress) -> Plan:
    """The lattice over these objects, in an order that is quick to drive."""
    rule = deployed(find_strategy("lattice"), rig.view_weights)
    with progress.task("planning", 1) as advance:
        choice = rule.propose(pool, History.empty(pool), min(images, len(pool)), seed)
        advance(1)
    plan = Plan(
        shots=pool.take(choice.rows),
        rounds=np.zeros(len(choice.rows), dtype=np.int64),
        gain=choice.gain,
        reason=choice.reason,
        strategy=rule.name,
        parameters=settings_of(rule),
        seed=seed,
        budget=len(choice.rows),
    )
    return routed(plan, Times.of(rig))


def spendings_of(known: Components, candidates: Shots, budget: float, object_cost: float = 0.0) -> tuple[Spending, ...]:
    """Every number of objects that a budget reaches, from two of each class on, with the images that are left.

    Args:
        known: How images and objects vary.
        candidates: Shots that a test may show, of no other objects.
        budget: Images, each object counted as ``object_cost`` more.
        object_cost: What an object costs, in images.

    Raises:
        BudgetError: If it does not reach two objects of each class.
    """
    per_class, n_views = np.bincount(candidates.objects.class_rows), len(candidates) / len(candidates.objects)
    found = []
    for number in range(2, max(per_class.max(), 2) + 1):
        n_objects = int(np.minimum(per_class, number).sum())
        images = math.floor(min(budget - n_objects * object_cost, n_objects * n_views))
        if images >= n_objects:
            half_width = known.half_width(n_objects, len(per_class), images / n_objects, n_views)
            found.append(Spending(per_class=number, objects=n_objects, images=images, half_width=half_width))
        elif number == 2:
            least = math.ceil(n_objects * (1.0 + object_cost))
            raise BudgetError(
                f"a budget of {budget:,} images to test {len(per_class)} classes",
                f"give at least {least:,}: two objects of each class, and their costs",
            )
    return tuple(found)


def _candidates(rig: Rig, trained: Set[str] | None, seed: int) -> Shots:
    """Shots of the objects that nothing is trained on, from views that the classifier will meet.

    Raises:
        SplitError: If they make no test.
    """
    objects, split = rig.source.objects, draw_split(rig, seed)
    if split.test_views or len(objects.classes) == 1:
        said = "views" if split.test_views else "one class"
        raise SplitError(f"the rig has {said} to test on, not objects of several classes", "add objects for the test")
    names = set(split.test) if trained is None or rig.test else set(objects.names) - trained
    kept = np.array([row for row, name in enumerate(objects.names) if name in names - (trained or set())], dtype=int)
    counts = np.bincount(objects.class_rows[kept], minlength=len(objects.classes))
    if counts.min() == 0 or counts.max() == 1:
        left = ", ".join(f"{count} {label}" for label, count in zip(objects.classes, counts, strict=True))
        raise SplitError(f"too few objects are left for a test: {left}", "keep two of each class that nothing learns")
    shots = rig.source.shots().narrow(kept)
    return shots if rig.view_weights is None else shots.take(rig.view_weights[view_rows(shots)] > 0.0)
