"""Fine-tuning: the last stages of a backbone and a head are trained on, the stages below stay as they are.

What the frozen stages make of each image is computed once and kept in the cache of features. Every training starts from
the exact head of frozen features, and how long it lasts is chosen by objects that it has not seen; no epoch at all is
one of the choices.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor, nn
from torch.nn import functional

from acqplan.errors import UsageError
from acqplan.features.extractor import Extractor
from acqplan.features.stages import Divided, divide, keep_statistics
from acqplan.heads.exact import train_heads
from acqplan.heads.linear import NEVER, Head, Rows, object_folds, out_of_object_loss
from acqplan.heads.prepare import feature_scales
from acqplan.progress import SILENT, Progress
from acqplan.rng import stream
from acqplan.space import Circle, Interval, Shots

# Objects are left out as by the exact heads, but not every fold is: each costs a training.
FOLDS = 5
ROWS_AT_ONCE = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTuning:
    """How a backbone is fine-tuned.

    Attributes:
        rate: Learning rate (Adam) of the head.
        top: Share of it for the upper half of the trained stages.
        middle: Share of it for the lower half; the stages below are frozen.
        epochs: Most passes over the training images.
        patience: Passes without a lower loss on left-out objects after which a fold ends.
        folds: How many folds choose the number of passes, 1 to 5; each leaves out about a fifth of the objects.
        batch: Images per update.
        start: ``exact``: the head starts as the exact head on frozen features; ``random``: at random.
        pose: Weight of the pose of each shot as an auxiliary target; 0 for none.
        precision: Number format of the passes; weights and updates are float32. ``auto``: bfloat16 on CUDA.
        seed: Of the order of images, dropout and random starts.
    """

    rate: float = 1e-3
    top: float = 0.1
    middle: float = 0.01
    epochs: int = 20
    patience: int = 4
    folds: int = 2
    batch: int = 32
    start: Literal["exact", "random"] = "exact"
    pose: float = 0.0
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 1 or self.patience < 1 or not 1 <= self.folds <= FOLDS:
            said = f"epochs {self.epochs}, batch {self.batch}, patience {self.patience}, folds {self.folds}"
            raise UsageError(said, f"give at least 1, and at most {FOLDS} folds")
        if min(self.rate, self.top, self.middle, self.pose) < 0.0:
            raise UsageError("a rate, share or weight is negative", "give 0 or more")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tunable:
    """Images as they enter the trained stages of a backbone, ready to be fine-tuned on many subsets of them.

    Attributes:
        divided: The backbone, divided before its trained stages.
        inputs: What its lower part gives, ``divided.lower.features(images)``, shape ``[pool, numbers]``.
        targets: Class of each image, from 0, shape ``[pool]``.
        groups: Object of each image, shape ``[pool]``.
        n_classes: Classes there are.
        poses: Auxiliary targets of about unit size, see `pose_targets`, shape ``[pool, targets]``.
    """

    divided: Divided
    inputs: Float32[np.ndarray, "pool numbers"]
    targets: Int[np.ndarray, " pool"]
    groups: Int[np.ndarray, " pool"]
    n_classes: int
    poses: Float32[np.ndarray, "pool targets"]

    @classmethod
    def of(cls, extractor: Extractor, shots: Shots, *, stages: int, progress: Progress = SILENT) -> Tunable:
        """Shots of a source, through the stages that stay frozen; images are taken only where nothing is cached.

        Args:
            extractor: A source and a backbone of one layer.
            shots: Training and test shots together; rows of `fine_tune` refer to them.
            stages: How many of the last stages will be trained; 0 for the head alone.
            progress: Hears of images.

        Raises:
            BackboneError: If the backbone has fewer stages, or is no chain of stages.
        """
        divided = divide(extractor.backbone, stages)
        return cls(
            divided=divided,
            inputs=replace(extractor, backbone=divided.lower)(shots, progress=progress),
            targets=shots.class_rows,
            groups=shots.object_rows,
            n_classes=len(shots.objects.classes),
            poses=pose_targets(shots),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FineTuned:
    """A fine-tuned network, and what it says of the test images.

    Attributes:
        probabilities: Class probabilities of the test rows, shape ``[tests, classes]``.
        frozen: Those of the exact head on frozen features, trained on the same rows, shape ``[tests, classes]``.
        epochs: Passes over the training images, chosen by left-out objects; 0 is the head that it started from.
        losses: Log-loss on left-out objects after each number of passes that all folds reached; empty if no class
            has two objects, and nothing can be left out.
        network: The trained stages and the head; takes ``[images, *divided.shape]``.
    """

    probabilities: Float32[np.ndarray, "tests classes"]
    frozen: Float32[np.ndarray, "tests classes"]
    epochs: int
    losses: tuple[float, ...]
    network: TunedNetwork


class TunedNetwork(nn.Module):
    """Copies of the trained stages, a head of classes, and one of poses, on features scaled as the exact head does it.

    Args:
        stages: The stages as they were; copied.
        features: Features of the training rows before any training, shape ``[rows, features]``.
        head: The exact head on them, from which the head starts.
        n_poses: Auxiliary targets.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self, stages: Sequence[nn.Module], features: Float[Tensor, "rows features"], head: Head, n_poses: int
    ) -> None:
        super().__init__()
        self.stages = nn.ModuleList(copy.deepcopy(stage).requires_grad_(True) for stage in stages)
        mean, width = features.mean(0), features.shape[1]
        # Of unit size, so that one rate of Adam suits all backbones; the penalty undoes it.
        scale = width**0.5 * feature_scales((features - mean).square().mean(0).sqrt(), mean.abs())
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)
        with torch.device("meta"):  # draws no number, so that the caller's random state stays
            classes, poses = nn.Linear(width, len(head.bias)), nn.Linear(width, n_poses)
        self.classes, self.poses = (part.to_empty(device=features.device) for part in (classes, poses))
        weight, bias = torch.from_numpy(head.weight).to(mean), torch.from_numpy(head.bias).to(mean)
        with torch.no_grad():
            self.classes.weight.copy_(weight.T / scale.clamp_min(torch.finfo(scale.dtype).tiny))
            self.classes.bias.copy_(bias + mean @ weight)
            for tensor in self.poses.parameters():
                tensor.zero_()

    def features(self, x: Float[Tensor, "images *inner last"]) -> Float[Tensor, "images features"]:
        """Features of the backbone as it is now, scaled."""
        for stage in self.stages:
            x = stage(x)
        return (x.flatten(1).float() - self.mean) * self.scale

    def forward(self, x: Float[Tensor, "images *inner last"]) -> Float[Tensor, "images classes"]:
        """Logits of the classes."""
        logits: Tensor = self.classes(self.features(x))
        return logits


def pose_targets(shots: Shots) -> Float32[np.ndarray, "shots targets"]:
    """Poses as a network can learn them: sine and cosine on circles, -1 to 1 on intervals; categories are left out."""
    columns = []
    for column, axis in zip(shots.coordinates.T, shots.space.axes, strict=True):
        if isinstance(axis, Circle):
            angle = 2.0 * np.pi * column / axis.period
            columns += [np.sin(angle), np.cos(angle)]
        elif isinstance(axis, Interval) and np.ptp(axis.values) > 0.0:
            columns.append(2.0 * (column - min(axis.values)) / np.ptp(axis.values) - 1.0)
    return np.stack(columns, axis=1).astype(np.float32) if columns else np.empty((len(shots), 0), dtype=np.float32)


def fine_tune(
    tunable: Tunable,
    *,
    train: Rows,
    tests: Rows,
    settings: FineTuning | None = None,
    progress: Progress = SILENT,
) -> FineTuned:
    """Fine-tune a backbone on some images and classify others.

    Args:
        tunable: The images, before the stages to be trained.
        train: Rows to train on; the number of passes is chosen by leaving out objects of these.
        tests: Rows to classify; they choose nothing.
        settings: How; the defaults if ``None``.
        progress: Hears of each pass over the images.

    Raises:
        UsageError: If an object is in both, rows are missing, or poses are asked for where there are none.
    """
    asked = settings or FineTuning()
    train, tests = np.asarray(train, dtype=np.int64), np.asarray(tests, dtype=np.int64)
    if len(train) == 0 or np.isin(tunable.groups[tests], tunable.groups[train]).any():
        raise UsageError("no training images, or an object that is trained on and tested", "divide by objects")
    if asked.pose and not tunable.poses.shape[1]:
        raise UsageError("poses asked for on a rig without a circle or interval", "set the weight of poses to 0")
    return _Tuner(tunable, asked).tuned(train, tests, progress)


class _Tuner:
    """The work of `fine_tune`."""

    def __init__(self, tunable: Tunable, settings: FineTuning) -> None:
        self.tunable, self.settings = tunable, settings
        self.device = torch.device(tunable.divided.lower.runtime.device)
        half = settings.precision == "bfloat16" or (settings.precision == "auto" and self.device.type == "cuda")
        self.passes = torch.autocast(self.device.type, torch.bfloat16, enabled=half)

    def tuned(self, train: Rows, tests: Rows, progress: Progress) -> FineTuned:
        pool, settings = self.tunable, self.settings
        frozen = np.zeros((len(pool.inputs), pool.divided.n_features), dtype=np.float32)
        used = np.concatenate([train, tests])
        frozen[used] = self._through(nn.Sequential(*pool.divided.upper), used)
        # 1. Exact heads on frozen features: of all training rows, and of those that each fold leaves.
        numbers = object_folds(pool.targets[train], pool.groups[train], FOLDS)
        folds = [(train[numbers != fold], train[numbers == fold]) for fold in np.unique(numbers[numbers != NEVER])]
        folds = folds[: settings.folds]
        whole, *heads = train_heads(
            frozen,
            pool.targets,
            pool.groups,
            [train, *(stay for stay, _ in folds)],
            n_classes=pool.n_classes,
            device=self.device.type,
        )
        total = (len(folds) + 1) * settings.epochs
        with progress.task("fine-tuning", total) as advance:
            # 2. Each fold, until the loss on the objects that it leaves out has not fallen for a while.
            curves = list[list[float]]()
            for number, ((stay, left), head) in enumerate(zip(folds, heads, strict=True)):
                curves.append([])
                for network in self._epochs(stay, head, frozen, f"fold {number}"):
                    chances = self._through(network, left, chances=True)
                    curves[-1].append(out_of_object_loss(chances, pool.targets[left], pool.groups[left]))
                    advance(len(curves[-1]) > 1)
                    if len(curves[-1]) - 1 - int(np.argmin(curves[-1])) >= settings.patience:
                        break
                advance(settings.epochs + 1 - len(curves[-1]))
            shared = min(map(len, curves), default=0)
            losses = tuple(np.mean([curve[:shared] for curve in curves], axis=0).tolist()) if shared else ()
            epochs = int(np.argmin(losses)) if losses else settings.epochs // 2
            # 3. All training rows, for as many passes as were best on average.
            for done, tuned in enumerate(islice(self._epochs(train, whole, frozen, "whole"), epochs + 1)):
                advance(done > 0)
                network = tuned
            advance(settings.epochs - epochs)
        return FineTuned(
            probabilities=self._through(network, tests, chances=True),
            frozen=whole.probabilities(frozen[tests]),
            epochs=epochs,
            losses=losses,
            network=network,
        )

    def _epochs(self, rows: Rows, head: Head, frozen: np.ndarray, name: str) -> Iterator[TunedNetwork]:
        """A network as it starts, and after each pass over these rows."""
        pool, settings = self.tunable, self.settings
        features = torch.from_numpy(frozen[rows]).to(self.device)
        network = TunedNetwork(pool.divided.upper, features, head, pool.poses.shape[1])
        draw = torch.Generator().manual_seed(stream(settings.seed, "fine-tuning", name))
        if settings.start == "random":
            with torch.no_grad():
                weight = network.classes.weight
                weight.copy_(torch.randn(weight.shape, generator=draw) * weight.shape[1] ** -0.5)
                network.classes.bias.copy_(torch.where(network.classes.bias.isfinite(), 0.0, -torch.inf))
        optimiser = torch.optim.Adam(self._rates(network))
        targets, poses = torch.from_numpy(pool.targets), torch.from_numpy(pool.poses)
        yield network.eval()
        for epoch in range(settings.epochs):
            keep_statistics(network)
            with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
                torch.manual_seed(stream(settings.seed, "fine-tuning", name, epoch))
                for places in torch.split(torch.randperm(len(rows), generator=draw), settings.batch):
                    some = torch.from_numpy(rows)[places]
                    loss = self._loss(network, self._inputs(some.numpy()), targets[some], poses[some], head.strength)
                    optimiser.zero_grad(set_to_none=True)
                    loss.backward()  # type: ignore[no-untyped-call]
                    optimiser.step()
            yield network.eval()

    def _rates(self, network: TunedNetwork) -> list[dict[str, object]]:
        """Parameters and their rates: head, upper half and lower half of the trained stages."""
        settings, n = self.settings, len(network.stages)
        heads = [*network.classes.parameters(), *network.poses.parameters()]
        groups: list[dict[str, object]] = [{"params": heads, "lr": settings.rate}]
        for number, stage in enumerate(network.stages):
            share = settings.top if 2 * number >= n - 1 else settings.middle
            groups.append({"params": list(stage.parameters()), "lr": settings.rate * share})
        return [group for group in groups if group["params"]]

    def _loss(
        self, network: TunedNetwork, inputs: Tensor, targets: Tensor, poses: Tensor, strength: float
    ) -> Float[Tensor, ""]:
        """The loss of the exact head, at whose minimum it starts, and that of the poses."""
        with self.passes:
            features = network.features(inputs)
        logits, weight = network.classes(features), network.classes.weight
        loss = functional.cross_entropy(logits, targets.to(self.device))
        loss = loss + 0.5 * strength * weight.shape[1] * weight.square().sum()
        if self.settings.pose:
            loss = loss + self.settings.pose * functional.mse_loss(network.poses(features), poses.to(self.device))
        return loss

    def _inputs(self, rows: Rows) -> Tensor:
        inputs = torch.from_numpy(self.tunable.inputs[rows]).view(-1, *self.tunable.divided.shape).to(self.device)
        return inputs.contiguous(memory_format=torch.channels_last) if inputs.ndim == 4 else inputs

    def _through(
        self, network: Callable[[Tensor], Tensor], rows: Rows, *, chances: bool = False
    ) -> Float32[np.ndarray, "rows numbers"]:
        """What a network makes of these rows; of logits their softmax."""
        found = list[Tensor]()
        with torch.no_grad():
            for start in range(0, len(rows), ROWS_AT_ONCE):
                with self.passes:
                    out = network(self._inputs(rows[start : start + ROWS_AT_ONCE])).flatten(1)
                found.append((torch.softmax(out.float(), 1) if chances else out.float()).cpu())
        return torch.cat(found).numpy() if found else np.zeros((0, self.tunable.n_classes), dtype=np.float32)
