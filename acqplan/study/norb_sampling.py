"""The thesis' first question on smallNORB: do informed sets of views beat random ones? And how dense, how sparse?

Even sets (factorial grids, the same for every object) against random sets of as many levels, softmax heads on frozen
features, a grid of settings per set, McNemar's test on all test images: the protocol of the thesis. Beside it what the
thesis did not have: several seeds, tests over objects, strategies of `acqplan.plan` at the same numbers of images, and
the accuracy of every number of azimuths, elevations, lights and objects.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product, takewhile
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, Int

from acqplan.evaluate.task import opened
from acqplan.features.extractor import Extractor
from acqplan.numbers import count_noun, duration
from acqplan.plan import find_strategy
from acqplan.plan.base import History, check_choice
from acqplan.progress import SILENT, Progress, Titled
from acqplan.rig.spec import Rig, open_rig
from acqplan.rng import generator
from acqplan.runtime import Runtime
from acqplan.space import Shots
from acqplan.study.cells import Arrays, Cells
from acqplan.study.norb_findings import LayerFindings, Tested, contrast, view_gaps
from acqplan.study.norb_sets import DENSE_AZIMUTH, DENSE_ELEVATION, IMAGES, RANDOM_SETS, parts_of, set_rows
from acqplan.study.norb_surface import PLACEMENTS, Surface, accuracies, designs_of
from acqplan.study.softmax import BATCH, UPDATES, DataSet, SoftmaxSetting, thesis_settings, train_softmax

STRATEGIES = ("lattice", "herding", "even-staggered", "random-shots")
# Heads that are trained together on a processor: fewer take longer each.
HEADS = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """How much of the study is run.

    Attributes:
        settings: Hyper-parameters of the softmax heads; the best by validation cross-entropy is tested.
        updates: Updates of every head.
        seeds: Seeds; each draws random sets, strategies and starts of heads anew. The first is the thesis' run.
        strategies: Strategies that plan as many images as each set has.
        lights: Numbers of lights of the surface.
        objects: Numbers of train objects per class of the surface.
        most: Most images of a design of the surface.
    """

    settings: tuple[SoftmaxSetting, ...] = thesis_settings()
    updates: int = UPDATES
    seeds: tuple[int, ...] = tuple(range(5))
    strategies: tuple[str, ...] = STRATEGIES
    lights: tuple[int, ...] = (1, 2, 6)
    objects: tuple[int, ...] = (1, 2, 3, 5)
    most: int = 6_750


# Minutes on two cores: a fifth of the updates (five epochs of the thesis' largest set), and the larger rates, that need
# no more; with toynet the full grid chose among these in every set.
QUICK = Protocol(
    settings=tuple(SoftmaxSetting(dropout=dropout, rate=rate) for dropout in (0.0, 0.5) for rate in (5e-5, 1e-4)),
    updates=UPDATES // 5,
    seeds=(0, 1, 2),
    strategies=("lattice", "random-shots"),
    lights=(1, 6),
    objects=(2, 5),
    most=2_430,
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ViewSet:
    """A set of images, drawn by some rule.

    Attributes:
        rule: ``even``, ``random`` or the name of a strategy.
        name: Name of the set: ``A40E15``, or the number of images that a strategy planned.
        rows: Rows of the shots, shape ``[images]``.
    """

    rule: str
    name: str
    rows: Int[np.ndarray, " images"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NorbSampling:
    """What the whole study found.

    Attributes:
        rig: Kind of the rig: ``norb`` for the thesis' own images.
        protocol: How much was run.
        layers: What was found on each layer's features.
    """

    rig: str
    protocol: Protocol
    layers: Sequence[LayerFindings]


def norb_sampling(
    rig: Rig | Path | str | None = None,
    out: Path | str = "acqplan-norb-sampling",
    *,
    backbones: Sequence[str] = (),
    weights: Path | None = None,
    protocol: Protocol = QUICK,
    runtime: Runtime | None = None,
    progress: Progress = SILENT,
) -> NorbSampling:
    """Run the study: ``acqplan study norb-sampling``; what is finished is kept, so that a killed run goes on.

    Args:
        rig: A rig with the axes of smallNORB and ten objects per class; the embedded toys by default.
        out: Folder of the results.
        backbones: ``name:layer`` of each layer to study; by default the rig's backbone.
        weights: File of the backbones' weights; downloaded if ``None``.
        protocol: How much to run.
        runtime: Where backbones and heads run; the fastest device by default.
        progress: Hears about long work.

    Raises:
        UsageError: If the rig has other axes, or a strategy cannot plan as many images.
        SplitError: If a class has not ten objects.
        InputError: If ``out`` holds another study.
    """
    rig = open_rig(progress=progress) if rig is None else opened(rig, progress)
    runtime = runtime or Runtime.detect()
    extractors = [
        Extractor.open(rig.source, backbone=name, weights=weights, runtime=runtime, progress=progress)
        for name in backbones or (None,)
    ]
    shots = rig.source.shots()
    parts_of(shots)  # refuses another rig before anything is captured
    about = {
        "study": "norb-sampling",
        "rig": rig.digest,
        "backbones": [extractor.backbone.fingerprint for extractor in extractors],
        "settings": [str(setting) for setting in protocol.settings],
        **{name: getattr(protocol, name) for name in ("updates", "lights", "objects", "most")},
    }
    cells = Cells(Path(out), about)
    layers = [
        layer_findings(
            shots,
            extractor(shots, progress=progress),
            backbone=f"{extractor.backbone.name}:{extractor.backbone.layer}",
            protocol=protocol,
            cells=cells,
            prefix=f"layer-{number}",
            device=runtime.device,
            progress=progress,
        )
        for number, extractor in enumerate(extractors)
    ]
    return NorbSampling(rig=rig.source.name, protocol=protocol, layers=layers)


def estimate(protocol: Protocol, *, n_layers: int, n_features: int = 4096, device: str = "cpu") -> dict[str, str]:
    """What a run would do, and about how long its heads take, by training a few for a moment.

    Args:
        protocol: How much would be run.
        n_layers: Layers to study.
        n_features: Features of a layer; 4096 in the thesis.
        device: Where heads would be trained.
    """
    sets = len(IMAGES) + len(RANDOM_SETS) + len(protocol.strategies) * len({IMAGES[name] for name in RANDOM_SETS})
    heads = sets * len(protocol.settings) * len(protocol.seeds) * n_layers
    draw, updates = generator(0, "norb-sampling", "estimate"), 100
    features = draw.random((400, n_features), dtype=np.float32)
    targets = np.arange(400) % 5
    data = DataSet(train=np.arange(300), validation=np.arange(300, 400))
    settings = [replace(setting, variance=None) for setting in protocol.settings]
    began = time.perf_counter()
    train_softmax(features, targets, [data], settings, n_classes=5, updates=updates, batch=BATCH, device=device)
    seconds = (time.perf_counter() - began) / updates / len(settings) * heads * protocol.updates
    return {
        "sets": f"{sets} of images for each seed: 12 even, 11 random, and those of {', '.join(protocol.strategies)}",
        "heads": f"{heads:,} of {protocol.updates:,} updates each, "
        f"{count_noun(len(protocol.settings), 'setting')}, {count_noun(len(protocol.seeds), 'seed')}",
        "time": f"about {duration(seconds)} for heads of {n_features:,} features on {device}; images beside",
    }


def layer_findings(
    shots: Shots,
    features: Float32[np.ndarray, "shots features"],
    *,
    backbone: str,
    protocol: Protocol,
    cells: Cells,
    prefix: str = "layer-0",
    device: str = "cpu",
    progress: Progress = SILENT,
) -> LayerFindings:
    """What the study finds on one layer's features.

    Args:
        shots: Every shot of a rig with the axes of smallNORB.
        features: Their features, shape ``[shots, features]``.
        backbone: What the features are called.
        protocol: How much to run.
        cells: Where finished heads are kept.
        prefix: What the names of its cells begin with.
        device: Where heads are trained.
        progress: Hears of heads.
    """
    layer = _Layer(
        shots=shots,
        parts=parts_of(shots),
        features=features,
        device=device,
        cells=cells,
        protocol=protocol,
        prefix=prefix,
        progress=progress,
    )
    return layer.findings(backbone)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Layer:
    """The study on the features of one layer."""

    shots: Shots
    parts: tuple[Int[np.ndarray, " train"], Int[np.ndarray, " rest"], Int[np.ndarray, " test"]]
    features: Float32[np.ndarray, "shots features"]
    device: str
    cells: Cells
    protocol: Protocol
    prefix: str
    progress: Progress

    @property
    def tests(self) -> Int[np.ndarray, " tests"]:
        """Rows of the test images."""
        return np.flatnonzero(np.isin(self.shots.object_rows, self.parts[2]))

    @property
    def seen(self) -> Int[np.ndarray, " seen"]:
        """Rows of all other images."""
        return np.flatnonzero(~np.isin(self.shots.object_rows, self.parts[2]))

    def findings(self, backbone: str) -> LayerFindings:
        tested, tests = self._tested(), self.shots.take(self.tests)
        protocol, by_seed = self.protocol, list[Float[np.ndarray, "placements designs"]]()
        designs = designs_of(self.shots, lights=protocol.lights, objects=protocol.objects, most=protocol.most)
        for seed in protocol.seeds:
            name = f"{self.prefix}-{seed}-surface"
            kept = self.cells.load(name)
            if kept is None:
                title = Titled(progress=self.progress, title=f"designs, seed {seed}")
                train = np.union1d(*self.parts[:2])
                found = accuracies(
                    self.shots, self.features, designs, train=train, seed=seed, device=self.device, progress=title
                )
                kept = {"accuracy": found}
                self.cells.save(name, kept)
            by_seed.append(kept["accuracy"])
        surface = Surface(
            designs=designs,
            placements=PLACEMENTS,
            accuracy=np.stack(by_seed, axis=1),
            classes=len(self.shots.objects.classes),
        )

        sets = takewhile(lambda arm: arm.rule not in protocol.strategies, self._arms(protocol.seeds[0]))
        return LayerFindings(
            backbone=backbone,
            tested=tested,
            pairs=[contrast(tested["even", name], tested["random", name], tests) for name in RANDOM_SETS],
            dense={
                rule: contrast(tested[rule, DENSE_AZIMUTH], tested[rule, DENSE_ELEVATION], tests)
                for rule in ("even", "random")
            },
            against_even={
                rule: [contrast(tested[rule, str(IMAGES[name])], tested["even", name], tests) for name in RANDOM_SETS]
                for rule in protocol.strategies
            },
            surface=surface,
            gaps=view_gaps(self.shots, self.features, {(arm.rule, arm.name): arm.rows for arm in sets}),
            tests=tests,
        )

    def _arms(self, seed: int) -> Iterator[ViewSet]:
        """Every set of a seed."""
        shots = self.shots.take(self.seen)
        for rule, names in (("even", tuple(IMAGES)), ("random", RANDOM_SETS)):
            for name in names:
                yield ViewSet(rule=rule, name=name, rows=self.seen[set_rows(shots, rule, name, seed)])  # type: ignore[arg-type]
        candidates = shots.narrow(np.union1d(*self.parts[:2]))
        for rule, n in product(self.protocol.strategies, sorted({IMAGES[name] for name in RANDOM_SETS})):
            strategy = find_strategy(rule)
            choice = strategy.propose(candidates, History.empty(candidates), n, seed)
            rows = check_choice(choice, candidates, n, strategy=strategy).rows
            yield ViewSet(rule=rule, name=str(n), rows=self.seen[rows])

    def _tested(self) -> dict[tuple[str, str], Tested]:
        """Train and test every set with every seed, as far as that has not been done."""
        owners, found = self.shots.object_rows, dict[tuple[str, str], list[Arrays]]()
        sizes = dict[tuple[str, str], tuple[int, int]]()
        for seed in self.protocol.seeds:
            waiting: list[tuple[ViewSet, DataSet, str]] = []
            for arm in self._arms(seed):
                is_train = np.isin(owners[arm.rows], self.parts[0])
                data = DataSet(train=arm.rows[is_train], validation=arm.rows[~is_train])
                sizes[arm.rule, arm.name] = len(arm.rows), len(data.train)
                waiting.append((arm, data, f"{self.prefix}-{seed}-{arm.rule}-{arm.name}"))
            kept = {name: self.cells.load(name) for _, _, name in waiting}
            left = [(data, name) for _, data, name in waiting if kept[name] is None]
            # On a processor some sets at a time, so that little is lost; elsewhere all, so that the device is full.
            together = max(HEADS // len(self.protocol.settings), 1) if self.device == "cpu" else max(len(left), 1)
            with self.progress.task(f"training heads, seed {seed}", len(waiting)) as advance:
                advance(len(waiting) - len(left))
                for first in range(0, len(left), together):
                    some = left[first : first + together]
                    for (_, name), arrays in zip(some, self._trained([data for data, _ in some], seed), strict=True):
                        self.cells.save(name, arrays)
                        kept[name] = arrays
                    advance(len(some))
            for arm, _, name in waiting:
                found.setdefault((arm.rule, arm.name), []).append(kept[name] or {})
        settings = self.protocol.settings
        return {
            key: Tested(
                rule=key[0],
                name=key[1],
                images=sizes[key][0],
                train_images=sizes[key][1],
                correct=np.stack([np.unpackbits(one["correct"], count=len(self.tests)) for one in runs]).astype(bool),
                settings=tuple(
                    replace(settings[int(one["setting"])], seed=seed)
                    for one, seed in zip(runs, self.protocol.seeds, strict=True)
                ),
                losses=np.array([float(one["loss"]) for one in runs]),
            )
            for key, runs in found.items()
        }

    def _trained(self, data: list[DataSet], seed: int) -> Iterator[Arrays]:
        """The grid of heads on each set; the one of the least validation loss is tested on all test images."""
        classes = self.shots.class_rows
        fits = train_softmax(
            self.features,
            classes,
            data,
            [replace(setting, seed=seed) for setting in self.protocol.settings],
            n_classes=len(self.shots.objects.classes),
            updates=self.protocol.updates,
            batch=BATCH,
            device=self.device,
        )
        for of_set in fits:
            best = int(np.argmin([fit.losses.min() for fit in of_set]))
            fit = of_set[best]
            said = (self.features[self.tests] @ fit.weight + fit.bias).argmax(axis=1)
            yield {
                "correct": np.packbits(said == classes[self.tests]),
                "setting": np.array(best),
                "epoch": np.array(fit.best_epoch),
                "loss": np.array(fit.losses.min()),
            }
