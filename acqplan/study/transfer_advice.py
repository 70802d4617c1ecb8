"""``acqplan advise --transfer``: which way of using the captured images is best, by objects left out of them.

The lectures' table asks how many images there are, and how similar they are to those that a backbone was trained on.
Here both are measured: images of each class are counted, and similarity is what is lost from the deepest layer to the
middle ones, and how many neighbours across objects share their class. Beside the table's answer stands that of a
cross-validation over the captured objects, which decides.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from acqplan.errors import SplitError
from acqplan.evaluate.results import weighted_shares
from acqplan.features.extractor import Extractor
from acqplan.heads.linear import NEVER, object_folds
from acqplan.numbers import count_noun, finite, percent, points
from acqplan.progress import SILENT, Progress
from acqplan.rig.source import Source
from acqplan.rng import generator
from acqplan.runtime import Runtime
from acqplan.space import Shots
from acqplan.space.kernel import distances
from acqplan.statistics.objects import TwoWay, two_way
from acqplan.study.finetune import FineTuning, Tunable, fine_tune
from acqplan.study.transfer import Way, measured, same_as_best, usual_way
from acqplan.study.transfer_features import (
    BackboneFile,
    LayerFeatures,
    Side,
    by_object,
    open_all,
    pass_seconds,
    read_backbones,
    read_layers,
)
from acqplan.study.transfer_heads import QUICK_RECIPES, USUAL, Recipe, fit
from acqplan.study.transfer_maps import Consistency, consistency

FOLDS = 5
# Draws of views that wrong ones are shown by.
DRAWS = 3
# A loss of accuracy that a faster head is worth.
CLOSE = 0.01
# Images of a class from which on data are many: below 300 to 900 frozen lower layers win in the freeze-depth study.
MANY = 300
# The lectures' table, by whether the images are similar to the backbone's own and whether there are many.
TABLE = {
    (True, False): "a linear head on the deepest layer",
    (False, False): "heads on several layers",
    (True, True): "fine-tune the last stages",
    (False, True): "fine-tune many stages",
}
# Fine-tuning that is tried: how many of the last stages, and how.
STAGES, TUNING = (1, 3), FineTuning(epochs=10, patience=3, folds=1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TransferAdvice:
    """How to use captured images.

    Attributes:
        tested: What accuracies are about: new objects, or new views where every label has one object.
        images: Images captured.
        objects: Objects captured.
        per_class: Images of the class that has the fewest.
        drop: Accuracy of the deepest layer of the best backbone less that of its best other layer, under the usual
            head; ``None`` of a backbone with one known layer.
        consistency: What the deepest layer of the best backbone says of class, object and view.
        ways: Every way, the most accurate on left-out objects first: the first is recommended.
        same: Of each way whether no difference from the first was found.
        usual: What acqplan uses unless asked; ``None`` if it was not among them.
        wrong_backbone: The best backbone less the worst, each at its best layer, under the usual head; ``None`` of
            one backbone.
        worst: Name of the worst backbone.
        wrong_views: Half of the images of each object drawn at random, less the half on one side, under the usual head.
        seconds: What the advice took.
    """

    tested: str
    images: int
    objects: int
    per_class: int
    drop: TwoWay | None
    consistency: Consistency
    ways: Sequence[Way]
    same: Bool[np.ndarray, " ways"]
    usual: Way | None
    wrong_backbone: TwoWay | None
    worst: str
    wrong_views: TwoWay
    seconds: float

    @property
    def best(self) -> Way:
        """What is recommended."""
        return self.ways[0]

    @property
    def similar(self) -> bool:
        """Whether the images are like those of the backbone: its deepest layer is not behind those before it.

        Of a backbone with one known layer, whether neighbours share their class more than halfway from chance to all.
        """
        if self.drop is not None:
            return self.drop.high >= 0.0
        return 2.0 * self.consistency.neighbours >= 1.0 + self.consistency.by_chance

    @property
    def many(self) -> bool:
        """Whether every class has many images."""
        return self.per_class >= MANY


def advise_transfer(
    source: Source,
    shots: Shots,
    *,
    kind: str = "",
    backbones: Sequence[str] = (),
    weights: Path | None = None,
    recipes: Sequence[Recipe] = QUICK_RECIPES,
    tune: bool = False,
    seed: int = 0,
    runtime: Runtime | None = None,
    progress: Progress = SILENT,
) -> TransferAdvice:
    """Advise how to use captured images, from these images alone.

    Args:
        source: What holds the images.
        shots: What was captured.
        kind: Kind of the rig's source, which has its usual backbone; by default that of ``source``.
        backbones: ``name[:layer[+layer]][=file]`` of each; by default the rig's, and gradient histograms.
        weights: File of the weights of the only backbone.
        recipes: Heads, and what is done before them; the usual one among them.
        tune: Whether the last stages of the best backbone are fine-tuned as well, which takes minutes.
        seed: Draws the folds.
        runtime: Where backbones run; the fastest device by default.
        progress: Hears about long work.

    Raises:
        SplitError: If there are fewer than two classes, or too few images to leave any out. Other errors are those of
            `read_backbones` and `Extractor.open`.
    """
    began, runtime = time.perf_counter(), runtime or Runtime.detect()
    kind = kind or source.name
    named = read_backbones(backbones, weights, kind)
    sides = left_out(shots, seed)
    extractors = open_all(source, named, runtime, progress)
    readings = [
        reading
        for one, its in zip(named, extractors, strict=True)
        for reading in read_layers(one.label, its, shots, seconds=pass_seconds(its), progress=progress)
    ]
    # 1. Every way, on objects left out in turn.
    ways = measured(readings, shots, sides, recipes, progress=progress)
    best = ways[0].reading
    with progress.task("views", 1) as advance:
        views = wrong_views(best, shots, sides, seed)
        advance(1)
    frozen, usual = ways, usual_way(ways, named, kind)
    if tune and by_object(shots, sides):
        one = next(one for one in named if one.label == best.backbone)
        ways = [*ways, *tuned(source, one, shots, sides, runtime=runtime, progress=progress)]
        ways.sort(key=lambda way: -way.mean.mean)
    # 2. What the deepest layer is worth, and what the backbone is.
    plain = list({str(way.reading): way for way in frozen if way.recipe == USUAL}.values())
    mine = [way for way in plain if way.reading.backbone == best.backbone and way.reading.depth >= 0]
    deepest = next(way for way in mine if way.reading.depth == 0)
    others = [way for way in mine if way is not deepest]
    by_backbone = {way.reading.backbone: way for way in reversed(plain)}  # the best layer of each stays
    ends = sorted(by_backbone.values(), key=lambda way: -way.mean.mean)
    return TransferAdvice(
        tested="new objects" if by_object(shots, sides) else "new views",
        images=len(shots),
        objects=len(np.unique(shots.object_rows)),
        per_class=int(np.unique(shots.class_rows, return_counts=True)[1].min()),
        drop=deepest.less(others[0]) if others else None,
        consistency=consistency(deepest.reading.features, shots),
        ways=ways,
        same=same_as_best(ways),
        usual=usual,
        wrong_backbone=ends[0].less(ends[-1]) if len(ends) > 1 else None,
        worst=str(ends[-1].reading),
        wrong_views=views,
        seconds=time.perf_counter() - began,
    )


def left_out(shots: Shots, seed: int) -> list[Side]:
    """Folds that leave out objects of every class; images where every label has one object.

    Raises:
        SplitError: If there are fewer than two classes, or too few images to leave any out.
    """
    objects, classes = shots.object_rows, shots.class_rows
    if len(np.unique(classes)) < 2:
        raise SplitError("images of one class only", "capture objects of two classes at least")
    several = len(np.unique(objects)) > len(np.unique(classes))
    groups = objects if several else np.arange(len(shots))
    draw = generator(seed, "transfer", "folds").permutation(int(groups.max()) + 1)
    numbers = object_folds(classes, draw[groups], FOLDS)
    sides = [
        Side(split=0, train=np.flatnonzero(numbers != number), test=np.flatnonzero(numbers == number))
        for number in np.unique(numbers[numbers != NEVER])
    ]
    if not sides:
        raise SplitError("one image of each class: none can be left out", "capture more")
    return sides


def tuned(
    source: Source,
    one: BackboneFile,
    shots: Shots,
    sides: Sequence[Side],
    *,
    runtime: Runtime,
    progress: Progress = SILENT,
) -> list[Way]:
    """The last stages of a backbone fine-tuned."""
    name = one.spec.partition(":")[0]
    extractor = Extractor.open(source, backbone=name, weights=one.weights, runtime=runtime, progress=progress)
    reading = LayerFeatures(
        backbone=one.label, layer=extractor.backbone.layer, depth=0, features=np.empty((0, 0), np.float32)
    )
    found = []
    for stages in STAGES:
        began, accuracy = time.perf_counter(), np.full((len(shots.objects), 1), np.nan)
        pool = Tunable.of(extractor, shots, stages=stages, progress=progress)
        for side in sides:
            said = fine_tune(pool, train=side.train, tests=side.test, settings=TUNING, progress=progress)
            tests = shots.take(side.test)
            right = said.probabilities.argmax(axis=1) == tests.class_rows
            accuracy[np.unique(tests.object_rows), 0] = weighted_shares(right, tests, None)
        seconds = (time.perf_counter() - began) / len(sides)
        recipe = Recipe(head="tuned", stages=stages)
        found.append(Way(reading=reading, recipe=recipe, accuracy=accuracy, seconds=seconds, mean=two_way(accuracy)))
    return found


def wrong_views(reading: LayerFeatures, shots: Shots, sides: Sequence[Side], seed: int) -> TwoWay:
    """Half of each object's images drawn at random, less the half nearest to one view, under the usual head.

    Args:
        reading: Features of the shots.
        shots: The shots.
        sides: What is trained on and tested on.
        seed: Draws the halves, and the view that all objects are seen from.
    """
    accuracy, classes = np.full((2, len(shots.objects), DRAWS), np.nan), shots.class_rows
    groups = shots.object_rows if by_object(shots, sides) else np.arange(len(shots))
    for (number, side), drawn in product(enumerate(sides), range(DRAWS)):
        draw, owners = generator(seed, "transfer", "views", number, drawn), shots.object_rows[side.train]
        towards, tests = shots.coordinates[draw.choice(side.train)][None], shots.take(side.test)
        away = distances(shots.space, shots.coordinates[side.train], towards)[:, 0]
        for place, order in enumerate((draw.random(len(side.train)), away)):
            of_each = (np.flatnonzero(owners == owner) for owner in np.unique(owners))
            halves = [mine[np.argsort(order[mine], kind="stable")[: (len(mine) + 1) // 2]] for mine in of_each]
            rows = side.train[np.sort(np.concatenate(halves))]
            found = fit(
                USUAL, reading.features[rows], classes[rows], groups[rows], n_classes=len(shots.objects.classes)
            )
            right = found.scores(reading.features[side.test]).argmax(axis=1) == tests.class_rows
            accuracy[place, np.unique(tests.object_rows), drawn] = weighted_shares(right, tests, None)
    return two_way((accuracy[0] - accuracy[1]).mean(axis=1, keepdims=True))


def transfer_sentences(advice: TransferAdvice) -> list[str]:
    """The advice in words, the recommendation first."""
    best, said = advice.best, advice.consistency
    alike = [way for way, same in zip(advice.ways, advice.same, strict=True) if same and best.less(way).mean <= CLOSE]
    cheaper = min(alike, key=lambda way: way.seconds)
    found = [
        f"use {best}: {percent(best.mean.mean)} % ({percent(max(best.mean.low, 0.0))} to "
        f"{percent(min(best.mean.high, 1.0))}) on {_left(advice)}; {int(advice.same.sum()) - 1} of "
        f"{len(advice.ways) - 1} other ways are not told from it; {best.seconds:.2g} s of training"
    ]
    if cheaper is not best:
        behind = best.less(cheaper).mean
        found.append(
            f"within a point and trained fastest: {cheaper} ({points(-behind)} points, {cheaper.seconds:.2g} s)"
        )
    if advice.usual is not None and advice.usual is not best:
        found.append(f"what acqplan uses unless asked, {advice.usual}: {_cost(best.less(advice.usual), -1)} points")
    images = f"{count_noun(advice.per_class, 'image')} of the rarest class ({'many' if advice.many else 'few'})"
    drop = "one layer is known of it"
    if advice.drop is not None:
        drop = f"its deepest layer is {_cost(advice.drop, 1)} points ahead of those before it"
    like, objects = "similar to" if advice.similar else "unlike", advice.tested == "new objects"
    near = f"{percent(said.neighbours)} % of nearest images{' of other objects' * objects} have the class"
    found.append(
        f"the lectures' table: {images}, {like} what {best.reading.backbone} was trained on ({drop}; {near}, "
        f"{percent(said.by_chance)} % by chance): {TABLE[advice.similar, advice.many]}"
    )
    views = f"images from one side alone cost {_cost(advice.wrong_views, 1)} points"
    if advice.wrong_backbone is not None:
        worse = advice.wrong_backbone.mean - advice.wrong_views.mean
        wrong = f"the wrong backbone ({advice.worst}) costs {_cost(advice.wrong_backbone, 1)} points"
        views = f"{wrong}, {views}: {points(worse)} points between the two"
    found.append(views)
    fine = next((way for way in advice.ways if way.recipe.stages), None)
    if fine is None:
        found.append("fine-tuning was not tried (--fine-tune: minutes)")
    elif fine is not best:
        found.append(f"{fine}: {_cost(best.less(fine), -1)} points, {fine.seconds:.2g} s of training")
    if advice.tested == "new views":
        found.append("every label has one object: all this is about new views of these objects, not about new objects")
    return found


def _left(advice: TransferAdvice) -> str:
    return "objects left out in turn" if advice.tested == "new objects" else "images left out in turn"


def _cost(found: TwoWay, sign: int) -> str:
    ends = sorted((sign * found.low, sign * found.high))
    return f"{points(sign * found.mean)} ({points(ends[0])} to {points(ends[1])})"


def transfer_document(advice: TransferAdvice) -> dict[str, Any]:
    """The advice for JSON, with its sentences."""

    def span(found: TwoWay | None) -> dict[str, float] | None:
        return None if found is None else {"mean": found.mean, "low": found.low, "high": found.high}

    return finite(
        {
            "tested": advice.tested,
            "images": advice.images,
            "objects": advice.objects,
            "images_of_rarest_class": advice.per_class,
            "similar": advice.similar,
            "many": advice.many,
            "table": TABLE[advice.similar, advice.many],
            "neighbours": advice.consistency.neighbours,
            "neighbours_by_chance": advice.consistency.by_chance,
            "deepest_layer_ahead": span(advice.drop),
            "wrong_backbone": span(advice.wrong_backbone),
            "worst_backbone": advice.worst,
            "wrong_views": span(advice.wrong_views),
            "seconds": advice.seconds,
            "ways": [
                {"way": str(way), "accuracy": way.mean.mean, "ci95": [way.mean.low, way.mean.high], "same": bool(same),
                 "seconds": way.seconds}
                for way, same in zip(advice.ways, advice.same, strict=True)
            ],
            "sentences": transfer_sentences(advice),
        }
    )  # fmt: skip
