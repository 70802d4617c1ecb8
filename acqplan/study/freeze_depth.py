"""How many layers of a transferred network to freeze, at which number of images per class?

The classes are halved at random; a network learns one half and is transferred to the other, of which it sees few images
per class, and the other way round. Networks with random weights, with all layers transferred, and with the first of
them frozen are compared layer by layer, and with networks that were transferred to their own classes.

Source:
    J. Yosinski, J. Clune, Y. Bengio, H. Lipson, NIPS 2014: AnB, AnB+, BnB, BnB+. The study of freezing on 64 x 64
    images that this repeats had one run of each network; here there are repeats, and intervals over them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from acqplan.errors import BackboneError, InputError, UsageError
from acqplan.files import digest_file
from acqplan.numbers import count_noun, duration
from acqplan.pool import one_core_each, one_core_jobs
from acqplan.progress import SILENT, Progress
from acqplan.rng import generator, stream
from acqplan.runtime import available_cores
from acqplan.study.cells import Cells
from acqplan.study.freeze_training import ClassHalf, Crops, StudiedNetwork, TrainingPlan, accuracy, train
from acqplan.study.image_trees import Pictures

Origin = Literal["random", "source", "self"]
Stages = list[nn.Module]


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeProtocol:
    """How much of the study is run.

    Attributes:
        network: Whose layers are frozen.
        plan: How each network is trained on its target.
        source_iterations: Updates of a network on its source, all images.
        images: Numbers of training images per class.
        repeats: How often classes are halved anew; each has two directions.
        layers: Numbers of layers that are frozen; all but the layer of classes if empty.
        seed: Of all randomness.
    """

    network: StudiedNetwork = field(default_factory=StudiedNetwork)
    plan: TrainingPlan = field(default_factory=TrainingPlan)
    source_iterations: int = 10_000
    images: tuple[int, ...] = tuple(range(500, 0, -50))
    repeats: int = 5
    layers: tuple[int, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.images or min(self.images) < 1 or self.repeats < 1:
            said = f"images {', '.join(map(str, self.images))} and {self.repeats} repeats"
            raise UsageError(said, "give at least one number of images, all at least 1, and at least 1 repeat")


# Minutes on two cores: a narrow network that learns for a moment, and few numbers of images.
QUICK = FreezeProtocol(
    network=StudiedNetwork(width=0.25),
    plan=TrainingPlan(iterations=300, batch=16),
    source_iterations=2_000,
    images=(60, 20, 6),
    repeats=2,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One network of the study.

    Attributes:
        origin: Whose weights it gets: none, those of the source, or those of a network of its own classes.
        kept: How many of the first layers get them; the rest is random.
        frozen: How many of the first layers are not trained.
        images: Training images per class.
    """

    origin: Origin
    kept: int
    frozen: int
    images: int

    @property
    def name(self) -> str:
        """What its cell is called."""
        return f"{self.images}-{self.origin}-{self.kept}-{self.frozen}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FreezeDepth:
    """What the study found.

    Attributes:
        data: Where the pictures come from, in words.
        protocol: How much was run.
        depth: Layers with weights of the network.
        layers: Numbers of layers that were frozen.
        classes: Classes of a target.
        accuracies: Accuracy of each network on test images of its classes, by repeat and direction, shape ``[units]``.
    """

    data: str
    protocol: FreezeProtocol
    depth: int
    layers: tuple[int, ...]
    classes: int
    accuracies: Mapping[Condition, Float[np.ndarray, " units"]]

    @property
    def images(self) -> tuple[int, ...]:
        """Numbers of images per class, ascending."""
        return tuple(sorted(self.protocol.images))

    def of(self, origin: Origin, kept: int, frozen: int, images: int) -> Float[np.ndarray, " units"]:
        """Accuracies of a network; without any layer kept it is the one of random weights."""
        if origin == "random" or kept == 0:
            return self.accuracies[Condition(origin="random", kept=0, frozen=0, images=images)]
        return self.accuracies[Condition(origin=origin, kept=kept, frozen=frozen, images=images)]

    def frozen(self, layer: int, images: int, *, tuned: bool) -> Float[np.ndarray, " units"]:
        """Accuracies with the first layers frozen, the rest fine-tuned or random at the start."""
        return self.of("source", self.depth - 1 if tuned else layer, layer, images)

    def gains(self, *, tuned: bool) -> Float[np.ndarray, "layers images units"]:
        """What freezing adds: to fine-tuning all layers, or to starting all of them at random."""
        return np.array(
            [
                [self.frozen(layer, n, tuned=tuned) - self.frozen(0, n, tuned=tuned) for n in self.images]
                for layer in self.layers
            ]
        )


def freeze_depth(
    target: Pictures,
    out: Path | str = "acqplan-freeze-depth",
    *,
    source: Pictures | None = None,
    weights: Path | None = None,
    protocol: FreezeProtocol = QUICK,
    device: str = "cpu",
    progress: Progress = SILENT,
) -> FreezeDepth:
    """Run the study: ``acqplan study freeze-depth``; what is trained is kept, so that a killed run goes on.

    Args:
        target: Pictures of the classes to learn; without ``source`` and ``weights``, halves are source and target.
        out: Folder of the results.
        source: Pictures of other classes, which the source network learns.
        weights: File of weights of the source network, instead of a source.
        protocol: How much to run.
        device: Where networks are trained.
        progress: Hears of each network.

    Raises:
        InputError: If a class has fewer images than asked, source and target share one, or ``out`` holds another study.
        WeightsError: If the file of weights is of another network.
        BackboneError: If the network has fewer layers than asked.
    """
    if source is not None and (shared := set(source.classes) & set(target.classes)):
        raise InputError(f"class '{min(shared)}' is in the source and in the target", "take it out of one of them")
    if weights is not None and (source is not None or protocol.network.name == "alexnet"):
        said = "weights beside a source" if source is not None else "the study's AlexNet is trained from nothing"
        raise UsageError(f"{said}", "give a network of torchvision, e.g. --network resnet18, and no --source")
    depth, layers = checked(target, protocol, halved=source is None and weights is None)
    about = {
        "study": "freeze-depth",
        "target": target.digest,
        "source": source.digest if source is not None else digest_file(weights) if weights is not None else "halves",
        **{name: value for name, value in asdict(protocol).items() if name not in ("images", "repeats", "layers")},
    }
    cells = Cells(Path(out), about)
    work = _Work(target, source, weights, protocol, depth, cells, device)
    found = dict[Condition, list[float]]()
    conditions = list(_conditions(depth, layers, protocol.images))
    total = protocol.repeats * (2 if work.halved else 1) * len(conditions)
    with progress.task("training networks", total) as advance:
        for repeat in range(protocol.repeats):
            for condition, value in work.repeat(repeat, conditions, advance):
                found.setdefault(condition, []).append(value)
    return FreezeDepth(
        data=target.kind,
        protocol=protocol,
        depth=depth,
        layers=layers,
        classes=len(target.classes) // (2 if work.halved else 1),
        accuracies={condition: np.array(values) for condition, values in found.items()},
    )


def estimate_freezing(
    target: Pictures, *, protocol: FreezeProtocol, halved: bool, device: str = "cpu"
) -> dict[str, str]:
    """What a run would do, and about how long it takes, by training for a moment."""
    depth, layers = checked(target, protocol, halved=halved)
    stages = protocol.network.random(len(target.classes), 0)
    count = len(list(_conditions(depth, layers, protocol.images))) * protocol.repeats * (1 + halved)
    crops, rows = Crops.of(target, protocol.network, device), np.flatnonzero(~target.tests)
    few = replace(protocol.plan, iterations=10)
    with one_core_each() if device == "cpu" else nullcontext():
        for _ in range(2):  # the first is slower
            began = time.perf_counter()
            train(stages, 0, crops, rows, target.labels[rows], plan=few, seed=0)
    each = (time.perf_counter() - began) / few.iterations
    # frozen layers are only passed through: about three quarters of a full update on average
    seconds = each * (0.75 * count * protocol.plan.iterations + 2 * protocol.repeats * protocol.source_iterations)
    return {
        "networks": f"{count:,} of {protocol.plan.iterations:,} updates each, "
        f"{count_noun(protocol.repeats, 'repeat')}, images per class {', '.join(map(str, protocol.images))}",
        "time": f"about {duration(seconds / (available_cores() if device == 'cpu' else 1))} on {device}",
    }


def checked(pictures: Pictures, protocol: FreezeProtocol, *, halved: bool) -> tuple[int, tuple[int, ...]]:
    """Layers with weights of the network, and how many of them are frozen; what cannot be is refused.

    Raises:
        BackboneError: If the network has fewer layers than asked.
        InputError: If a class has fewer training images than asked, no test image, or there are too few classes.
    """
    depth, n = len(protocol.network.random(2, 0)), max(protocol.images)
    layers = protocol.layers or tuple(range(1, depth))
    if bad := [layer for layer in layers if not 1 <= layer < depth]:
        said = f"{bad[0]} layers of {protocol.network.name} to freeze, which has {depth} with the layer of classes"
        raise BackboneError(said, f"give 1 to {depth - 1}")
    if halved and len(pictures.classes) < 4:
        raise InputError(
            f"halves of {len(pictures.classes)} classes", "give at least 4 classes, or others to start from"
        )
    for number, label in enumerate(pictures.classes):
        mine = pictures.labels == number
        n_train, n_test = int((mine & ~pictures.tests).sum()), int((mine & pictures.tests).sum())
        if n_train < n or n_test == 0:
            said = f"class '{label}': {n} training images asked, {n_train} found, beside {n_test} test images"
            raise InputError(said, "ask for fewer with --images, or take the class out")
    return depth, layers


def _conditions(depth: int, layers: Sequence[int], images: Sequence[int]) -> Iterator[Condition]:
    """Every network, each once: one with all layers frozen is both of the ways to train the rest."""
    found = dict[Condition, None]()
    for n in images:
        found[Condition(origin="random", kept=0, frozen=0, images=n)] = None
        for frozen in (0, *layers):
            found[Condition(origin="source", kept=depth - 1, frozen=frozen, images=n)] = None
        for layer in layers:
            found[Condition(origin="source", kept=layer, frozen=layer, images=n)] = None
    # generality layer by layer, where there are most images
    for layer, frozen in product(layers, (False, True)):
        found[Condition(origin="self", kept=layer, frozen=layer * frozen, images=max(images))] = None
        found[Condition(origin="source", kept=layer, frozen=layer * frozen, images=max(images))] = None
    yield from found


class _Work:
    """The trainings of a study, several side by side on a processor."""

    def __init__(
        self,
        target: Pictures,
        source: Pictures | None,
        weights: Path | None,
        protocol: FreezeProtocol,
        depth: int,
        cells: Cells,
        device: str,
    ) -> None:
        self.target, self.weights, self.protocol, self.depth, self.cells = target, weights, protocol, depth, cells
        self.halved = source is None and weights is None
        self.crops = Crops.of(target, protocol.network, device)
        self.source = None if source is None else (source, Crops.of(source, protocol.network, device))
        self.workers, self.stop = available_cores() if device == "cpu" else 1, threading.Event()

    def sides(self, repeat: int) -> list[ClassHalf]:
        """What is learnt in a repeat: two halves of the classes, or the target and what is before it, if anything."""
        numbers, sides = np.arange(len(self.target.classes)), list[ClassHalf]()
        if self.halved:
            drawn = generator(self.protocol.seed, "freeze-depth", "halves", repeat).permutation(numbers)
            half = len(drawn) // 2
            parts = [np.sort(drawn[:half]), np.sort(drawn[half : 2 * half])]
        else:
            parts = [numbers]
        for place, part in enumerate(parts):
            sides.append(ClassHalf(pictures=self.target, crops=self.crops, numbers=part, names=(repeat, place)))
        if self.source is not None:
            pictures, crops = self.source
            every = np.arange(len(pictures.classes))
            sides.append(ClassHalf(pictures=pictures, crops=crops, numbers=every, names=(repeat, "source")))
        return sides

    def repeat(
        self, repeat: int, conditions: Sequence[Condition], advance: Callable[[int], None]
    ) -> Iterator[tuple[Condition, float]]:
        """Every network of a repeat: direction by direction, in the order of the conditions."""
        sides, seed = self.sides(repeat), self.protocol.seed
        network, places = self.protocol.network, (0, 1) if self.halved else (0,)
        # Weights are drawn here: threads share the random state of torch.
        starts = [network.random(len(side.numbers), seed, *side.names) for side in sides]
        # 1. A network of each side, all of its images.
        jobs = partial(one_core_jobs, workers=self.workers, stop=self.stop)
        learnt = dict(jobs(lambda place: self._source(sides[place], starts[place]), range(len(sides))))
        if self.weights is not None:
            learnt[1] = network.published(len(sides[0].numbers), self.weights, seed)
        # 2. From the other side, or from its own, to each target.
        fresh = [network.random(len(side.numbers), seed, *side.names, "target") for side in sides]
        tasks = [(place, condition) for place in places for condition in conditions]
        values = dict[tuple[int, Condition], float]()

        def one(task: tuple[int, Condition]) -> float:
            place, condition = task
            origins = {"random": fresh[place], "source": learnt[1 - place], "self": learnt[place]}
            return self._target(sides[place], f"{repeat}-{place}-{condition.name}", condition, origins)

        for task, value in jobs(one, tasks):
            values[task] = value
            advance(1)
        yield from ((condition, values[place, condition]) for place, condition in tasks)

    def _source(self, side: ClassHalf, stages: Stages) -> Stages:
        """The network of a side as it was kept, or trained now."""
        protocol, name = self.protocol, "-".join(map(str, ("source", *side.names)))
        kept, net = self.cells.load(name), nn.Sequential(*stages)
        if kept is None:
            rows, targets = side.rows(None, protocol.seed)
            plan = replace(protocol.plan, iterations=protocol.source_iterations)
            seed = stream(protocol.seed, "freeze-depth", "source", *side.names)
            net = train(stages, 0, side.crops, rows, targets, plan=plan, seed=seed, stop=self.stop)
            kept = {key: value.cpu().numpy() for key, value in net.state_dict().items()}
            self.cells.save(name, kept)
        net.load_state_dict({key: torch.from_numpy(value) for key, value in kept.items()})
        return [*net.eval()]

    def _target(self, side: ClassHalf, name: str, condition: Condition, origins: Mapping[str, Stages]) -> float:
        kept = self.cells.load(name)
        if kept is None:
            stages = [*origins[condition.origin][: condition.kept], *origins["random"][condition.kept :]]
            rows, targets = side.rows(condition.images, self.protocol.seed)
            # networks of one target and as many images see them in the same order
            seed = stream(self.protocol.seed, "freeze-depth", *side.names, condition.images)
            net = train(
                stages, condition.frozen, side.crops, rows, targets, plan=self.protocol.plan, seed=seed, stop=self.stop
            )
            kept = {"accuracy": np.array(accuracy(net, side.crops, *side.tests()))}
            self.cells.save(name, kept)
        return float(kept["accuracy"])
