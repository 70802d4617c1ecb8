"""How to use the images: every backbone, layer and head that is at hand, measured on objects that it never saw.

Heads on frozen features are trained on half of the objects and tested on the other half, then the other way round, with
several random splits. Where every label has one object there are no new objects: then views are split, which answers
another question (new views of these very objects), and every sentence says so.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from acqplan.errors import BudgetError
from acqplan.evaluate.results import weighted_shares
from acqplan.evaluate.task import draw_split, opened
from acqplan.features.registry import NETWORKS
from acqplan.numbers import count_noun, duration
from acqplan.plan import find_strategy
from acqplan.plan.base import History
from acqplan.pool import side_by_side
from acqplan.progress import SILENT, Progress
from acqplan.rig.spec import Rig, open_rig
from acqplan.rng import generator
from acqplan.runtime import Runtime, available_cores
from acqplan.space import Shots
from acqplan.statistics.objects import TwoWay, two_way
from acqplan.study.cells import Arrays, Cells
from acqplan.study.transfer_features import (
    BackboneFile,
    LayerFeatures,
    Side,
    by_object,
    open_all,
    pass_seconds,
    read_backbones,
    read_layers,
    usual_backbone,
)
from acqplan.study.transfer_heads import QUICK_RECIPES, RECIPES, USUAL, Recipe, fit
from acqplan.study.transfer_maps import Consistency, FeatureMap, consistency, feature_map
from acqplan.study.transfer_patches import AlteredFindings, altered_images, few_shots

# Images of each train object unless a budget is given, and shots of each object that are looked at, at most.
VIEWS, POOL = 8, 72
LEVEL = 0.05
Rows = Int[np.ndarray, " rows"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferProtocol:
    """How much of the study is run.

    Attributes:
        recipes: Heads, and what is done to features before them.
        splits: Random splits of the objects, each used from both sides.
        budget: Images that heads are trained on; by default `VIEWS` of each train object.
        everything: Whether all images of the train objects are trained on, and all shots of the rig are looked at.
        augment: Whether crops and rotations are tried, with the best backbone and layer.
        patches: Whether patches of several sizes are tried, with the best backbone and layer.
    """

    recipes: tuple[Recipe, ...] = RECIPES
    splits: int = 5
    budget: int | None = None
    everything: bool = False
    augment: bool = False
    patches: bool = False


QUICK = TransferProtocol(recipes=QUICK_RECIPES, splits=3)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Way:
    """One way of using the images, measured.

    Attributes:
        reading: Backbone and layer, as ``backbone:layer``.
        recipe: The head, and what is done before it.
        accuracy: Accuracy on each object with each split, shape ``[objects, splits]``; NaN where it was not tested.
        seconds: Of training one head, choices included, on one core.
        mean: Its mean with its interval, over objects and splits.
    """

    reading: LayerFeatures
    recipe: Recipe
    accuracy: Float[np.ndarray, "objects splits"]
    seconds: float
    mean: TwoWay

    def __str__(self) -> str:
        return f"{self.reading}, {self.recipe}"

    def less(self, other: Way) -> TwoWay:
        """By how much this one is more accurate than another on the same objects and splits."""
        return two_way(self.accuracy - other.accuracy)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TransferFindings:
    """What the study found.

    Attributes:
        rig: Kind of the rig.
        tested: ``new objects``, or ``new views`` where every label has one object.
        shots: The shots that were looked at.
        images: Images that each head was trained on.
        protocol: How much was run.
        ways: Every way, the most accurate first.
        usual: The rig's usual backbone and layer under the usual head; ``None`` if it was not measured.
        same: Of each way whether no difference from the first was found (`same_as_best`).
        consistency: What each reading says of class, object and view, by its name.
        maps: Maps of the images, through the best reading and the worst.
        altered: What crops, rotations and patches gain with the best reading; ``None`` if that was not asked for.
    """

    rig: str
    tested: str
    shots: Shots
    images: int
    protocol: TransferProtocol
    ways: Sequence[Way]
    usual: Way | None
    same: Bool[np.ndarray, " ways"]
    consistency: Mapping[str, Consistency] = field(default_factory=dict)
    maps: Sequence[FeatureMap] = ()
    altered: AlteredFindings | None = None

    @property
    def best(self) -> Way:
        """The most accurate way; of all ways it is chosen with hindsight."""
        return self.ways[0]

    @property
    def readings(self) -> list[LayerFeatures]:
        """Every backbone and layer, by its most accurate way."""
        return list({str(way.reading): way.reading for way in self.ways}.values())


def transfer(
    rig: Rig | Path | str | None = None,
    out: Path | str = "acqplan-transfer",
    *,
    backbones: Sequence[str] = (),
    weights: Path | None = None,
    protocol: TransferProtocol = QUICK,
    runtime: Runtime | None = None,
    progress: Progress = SILENT,
) -> TransferFindings:
    """Run the study: ``acqplan study transfer``; what is finished is kept, so that a killed run goes on.

    Args:
        rig: The rig; the embedded toys by default.
        out: Folder of the results.
        backbones: ``name[:layer[+layer]][=file]`` of each; by default the rig's, and gradient histograms.
        weights: File of the weights of the only backbone.
        protocol: How much to run.
        runtime: Where backbones run; the fastest device by default.
        progress: Hears about long work.

    Raises:
        UsageError: If backbones are ambiguous. Other errors are those of `read_backbones` and `Extractor.open`.
        BudgetError: If the budget is not from one image per train object to all of them.
        SplitError: If there is nothing to split.
        InputError: If ``out`` holds another study.
    """
    rig = open_rig(progress=progress) if rig is None else opened(rig, progress)
    rig = replace(rig, test="views" if rig.test == "views" else ())  # objects of all splits take part in turn
    named = read_backbones(backbones, weights, rig.source.name)
    shots = pool_of(rig, protocol)
    sides = sides_of(rig, shots, protocol)
    runtime = runtime or Runtime.detect()
    extractors = open_all(rig.source, named, runtime, progress)
    about = {
        "study": "transfer",
        "rig": rig.digest,
        "backbones": [[one.label, its.backbone.fingerprint] for one, its in zip(named, extractors, strict=True)],
        "recipes": [str(recipe) for recipe in protocol.recipes],
        "images": len(sides[0].train),
        "shots": len(shots),
    }
    cells = Cells(Path(out), about)
    timing = cells.load("passes") or {"seconds": np.array([pass_seconds(extractor) for extractor in extractors])}
    cells.save("passes", timing)
    readings = [
        reading
        for one, extractor, took in zip(named, extractors, timing["seconds"].tolist(), strict=True)
        for reading in read_layers(one.label, extractor, shots, seconds=took, progress=progress)
    ]
    ways = measured(readings, shots, sides, protocol.recipes, cells=cells, progress=progress)
    best, altered = ways[0].reading, None
    if protocol.augment or protocol.patches:
        few = few_shots(shots)
        altered = altered_images(
            next(its for one, its in zip(named, extractors, strict=True) if one.label == best.backbone),
            best,
            few,
            sides_of(rig, few, replace(protocol, everything=True)),
            augment=protocol.augment,
            patches=protocol.patches,
            cells=cells,
            progress=progress,
        )
    findings = TransferFindings(
        rig=rig.source.name,
        tested=draw_split(rig, 0).tested,
        shots=shots,
        images=len(sides[0].train),
        protocol=protocol,
        ways=ways,
        usual=usual_way(ways, named, rig.source.name),
        same=same_as_best(ways),
        altered=altered,
    )
    return _mapped(findings, progress)


def usual_way(ways: Sequence[Way], named: Sequence[BackboneFile], kind: str) -> Way | None:
    """What acqplan uses on a kind of source unless asked: its backbone and layer under the usual head, if measured."""
    usual = usual_backbone(kind)
    label = next((one.label for one in named if one.spec.partition(":")[0] == usual), "")
    wanted = (label, NETWORKS[usual].default, USUAL)
    return {(way.reading.backbone, way.reading.layer, way.recipe): way for way in ways}.get(wanted)


def _mapped(findings: TransferFindings, progress: Progress) -> TransferFindings:
    """The findings with what each reading says of class, object and view, and maps of the best and the worst."""
    readings = findings.readings
    ends = readings[:: max(len(readings) - 1, 1)]
    with progress.task("maps of features", len(readings) + len(ends)) as advance:
        said, maps = {}, []
        for reading in readings:
            said[str(reading)] = consistency(reading.features, findings.shots)
            advance(1)
        for reading in ends:
            maps.append(feature_map(str(reading), reading.features))
            advance(1)
    return replace(findings, consistency=said, maps=maps)


def pool_of(rig: Rig, protocol: TransferProtocol) -> Shots:
    """The shots that are looked at: all, or so many of each object, drawn once."""
    shots = rig.source.shots()
    if protocol.everything or np.bincount(shots.object_rows).max() <= POOL:
        return shots
    order = generator(0, "transfer", "pool").permutation(len(shots))
    kept = [order[shots.object_rows[order] == number][:POOL] for number in np.unique(shots.object_rows)]
    return shots.take(np.sort(np.concatenate(kept)))


def sides_of(rig: Rig, shots: Shots, protocol: TransferProtocol) -> list[Side]:
    """Every split from both sides; the images of the train objects (or views) are drawn as random-shots does.

    Raises:
        BudgetError: If the budget is not from one image per train object to all of them.
        SplitError: If there is nothing to split.
    """
    sides = []
    for number in range(protocol.splits):
        split = draw_split(rig, number)
        for its in (split, split.swapped()):
            train, test = its.sides(shots, rig.view_weights)
            objects = np.unique(shots.object_rows[train])
            budget = protocol.budget or min(VIEWS * len(objects), len(train))
            if not protocol.everything:
                if not len(objects) <= budget <= len(train):
                    said = f"a budget of {budget:,} images, but the {count_noun(len(objects), 'train object')} of a "
                    more = "give from one image of each to all of them (--budget all looks at every shot of the rig)"
                    raise BudgetError(f"{said}split have {len(train):,} that are looked at", more)
                candidates = shots.take(train).narrow(objects)
                rule = find_strategy("random-shots")
                train = train[rule.propose(candidates, History.empty(candidates), budget, number).rows]
            sides.append(Side(split=number, train=np.sort(train), test=test))
    return sides


def measured(
    readings: Sequence[LayerFeatures],
    shots: Shots,
    sides: Sequence[Side],
    recipes: Sequence[Recipe],
    *,
    cells: Cells | None = None,
    progress: Progress = SILENT,
) -> list[Way]:
    """Every recipe on every reading, trained and tested on every side; what is in ``cells`` is not done again.

    Args:
        readings: Features of the shots.
        shots: The shots, with their objects.
        sides: What is trained on and tested on.
        recipes: Heads, and what is done before them.
        cells: Where finished sides are kept.
        progress: Hears of each side.

    Returns:
        The ways, the most accurate first.
    """
    classes = shots.class_rows
    # where views are split, it is images that are left out to choose by
    groups = shots.object_rows if by_object(shots, sides) else np.arange(len(shots))

    def examined(job: tuple[int, int]) -> Arrays:
        features, side = readings[job[0]].features, sides[job[1]]
        right, seconds = [], []
        for recipe in recipes:
            began = time.perf_counter()
            train = side.train
            found = fit(recipe, features[train], classes[train], groups[train], n_classes=len(shots.objects.classes))
            seconds.append(time.perf_counter() - began)
            right.append(found.scores(features[side.test]).argmax(axis=1) == classes[side.test])
        return {"right": np.packbits(np.stack(right), axis=1), "seconds": np.array(seconds)}

    jobs = [(reading, side) for reading in range(len(readings)) for side in range(len(sides))]
    kept = {job: cells.load("{}-{}".format(*job)) if cells else None for job in jobs}
    left = [job for job in jobs if kept[job] is None]
    with progress.task("training heads", len(jobs)) as advance:
        advance(len(jobs) - len(left))
        for job, arrays in side_by_side(examined, left, device="cpu"):
            if cells:
                cells.save("{}-{}".format(*job), arrays)
            kept[job] = arrays
            advance(1)
    ways = [
        _way(reading, recipe, place, shots, sides, [kept[number, side] or {} for side in range(len(sides))])
        for number, reading in enumerate(readings)
        for place, recipe in enumerate(recipes)
    ]
    return sorted(ways, key=lambda way: -way.mean.mean)


def _way(
    reading: LayerFeatures, recipe: Recipe, place: int, shots: Shots, sides: Sequence[Side], found: Sequence[Arrays]
) -> Way:
    # where both sides test an object (views are split) its accuracy with a split is the mean of the two
    sums = np.zeros((2, len(shots.objects), max(side.split for side in sides) + 1))
    for side, arrays in zip(sides, found, strict=True):
        right = np.unpackbits(arrays["right"][place], count=len(side.test)).astype(bool)
        tested = shots.take(side.test)
        objects = np.unique(tested.object_rows)
        sums[:, objects, side.split] += weighted_shares(right, tested, None), np.ones(len(objects))
    accuracy = np.divide(sums[0], sums[1], out=np.full(sums[0].shape, np.nan), where=sums[1] > 0)
    seconds = float(np.mean([arrays["seconds"][place] for arrays in found]))
    return Way(reading=reading, recipe=recipe, accuracy=accuracy, seconds=seconds, mean=two_way(accuracy))


def same_as_best(ways: Sequence[Way]) -> Bool[np.ndarray, " ways"]:
    """Of each way whether no difference from the first is found, over objects and splits, at .05 each.

    Uncorrected: Holm's correction over 144 ways with three splits called ways the same that were 16 points behind.
    """
    return np.array([True, *(ways[0].less(way).p >= LEVEL for way in ways[1:])])


def estimate(rig: Rig, named: Sequence[BackboneFile], protocol: TransferProtocol) -> dict[str, str]:
    """What a run would do, and about how long its heads take, by training on random features for a moment."""
    shots = pool_of(rig, protocol)
    sides = sides_of(rig, shots, protocol)
    draw, train, wide = generator(0, "transfer", "estimate"), sides[0].train, 1_000
    n_readings = sum(n + (n > 1) for n in (one.spec.count("+") + 1 for one in named))
    noise, classes = draw.random((len(train), wide), dtype=np.float32), shots.class_rows[train]
    began = time.perf_counter()
    for recipe in protocol.recipes:
        fit(recipe, noise, classes, shots.object_rows[train], n_classes=len(shots.objects.classes))
    seconds = (time.perf_counter() - began) * n_readings * len(sides) / min(available_cores(), len(sides))
    backbones = count_noun(len(named), "backbone")
    return {
        "ways": f"{count_noun(len(protocol.recipes), 'head')} on {count_noun(n_readings, 'layer')} of {backbones}",
        "images": f"{len(train):,} to train on; {len(shots):,} shots are looked at, as far as they are not cached",
        "splits": f"{protocol.splits} of {draw_split(rig, 0).tested}, each used from both sides",
        "time": f"about {duration(seconds)} for heads of {wide:,} features; images beside",
    }
