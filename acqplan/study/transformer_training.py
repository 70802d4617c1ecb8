"""A spatial transformer trained in front of a frozen backbone, with PCA and softmax as linear layers behind it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32
from torch import Tensor, nn
from torch.nn import functional

from acqplan.errors import UsageError
from acqplan.features.backbone import Backbone
from acqplan.features.pixels import resized
from acqplan.rng import generator, stream
from acqplan.study.cells import Arrays, Cells
from acqplan.study.softmax import BATCH
from acqplan.study.transformer import SpatialTransformer

# Of the base head and not trained; of the base head, and trained from there; Glorot-uniform; not there.
Start = Literal["fixed", "initialised", "random", "none"]
# Share of the inputs of the softmax that are set to zero at an update.
DROPOUT: Mapping[Start, float] = {"fixed": 0.0, "initialised": 0.25, "random": 0.5}


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """How the two layers behind the backbone start, and whether they are trained.

    Attributes:
        pca: The layer of principal components.
        softmax: The softmax layer.
    """

    pca: Start
    softmax: Start

    @property
    def is_base(self) -> bool:
        """Whether nothing but the transformer is trained."""
        return self.softmax == "fixed"

    def __str__(self) -> str:
        return f"{'no PCA' if self.pca == 'none' else f'PCA {self.pca}'}, softmax {self.softmax}"


# The thesis' table 3.5, by number, in our reading.
EXPERIMENTS: Mapping[int, Experiment] = {
    1: Experiment(pca="fixed", softmax="fixed"),
    2: Experiment(pca="fixed", softmax="initialised"),
    3: Experiment(pca="fixed", softmax="random"),
    4: Experiment(pca="initialised", softmax="initialised"),
    5: Experiment(pca="initialised", softmax="random"),
    6: Experiment(pca="random", softmax="random"),
    7: Experiment(pca="none", softmax="random"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformerSetting:
    """Hyper-parameters of one training.

    Attributes:
        rate: Learning rate of Adam for the layers behind the backbone.
        localisation: What the localisation network's rate is of that; ``None`` for no transformer.
        warm_up: Share of the updates in which the rates rise linearly to their full size.
        projective: Whether the transformer is a homography.
    """

    rate: float
    localisation: float | None = 1.0
    warm_up: float = 0.0
    projective: bool = False

    def __str__(self) -> str:
        parts = [f"rate {self.rate:g}"]
        if self.localisation not in (None, 1.0):
            parts.append(f"of the localisation network {self.rate * self.localisation:g}")
        return ", ".join([*parts, *(["warm-up"] if self.warm_up else [])])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BaseHead:
    """A softmax head on principal components.

    Attributes:
        mean: Mean of the training rows, shape ``[features]``.
        projection: Components, of length 1, shape ``[features, components]``.
        weight: Shape ``[components, classes]``.
        bias: Shape ``[classes]``.
    """

    mean: Float[Tensor, " features"]
    projection: Float[Tensor, "features components"]
    weight: Float[Tensor, "components classes"]
    bias: Float[Tensor, " classes"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Examples:
    """Images, or where there is no transformer their features, with the class of each.

    Attributes:
        inputs: Grey bytes ``[examples, 1, size, size]``, or features ``[examples, features]``.
        targets: Class of each, shape ``[examples]``, on the device of ``inputs``.
    """

    inputs: Tensor
    targets: Tensor


class Pipeline(nn.Module):
    """Transformer, then the frozen backbone (which is no part of it), PCA, softmax.

    Args:
        experiment: How PCA and softmax start.
        base: What they start from, if not by chance.
        setting: Whether there is a transformer, and of which form.
        size: Height and width of the images, pixels.
        seed: Seed of all that starts by chance.
    """

    def __init__(
        self, experiment: Experiment, base: BaseHead, setting: TransformerSetting, *, size: int, seed: int
    ) -> None:
        super().__init__()
        self.transformer = None
        if setting.localisation is not None:
            self.transformer = SpatialTransformer(projective=setting.projective, size=size, seed=seed)
            self.transformer.to(memory_format=torch.channels_last)
        self.dropout, self.pca = DROPOUT[experiment.softmax], None
        width = len(base.weight)
        if experiment.pca == "none":
            width = len(base.mean)
        else:
            weight, bias = base.projection.mT, -base.mean @ base.projection
            self.pca = _layer(experiment.pca, weight, bias, stream(seed, "spatial-transformer", "pca"))
        weight = base.weight.mT if width == len(base.weight) else base.weight.new_empty(len(base.bias), width)
        self.softmax = _layer(experiment.softmax, weight, base.bias, stream(seed, "spatial-transformer", "softmax"))

    def forward(
        self, inputs: Tensor, backbone: Backbone, chance: torch.Generator | None = None
    ) -> tuple[Float[Tensor, "images classes"], Float[Tensor, "images parameters"] | None]:
        """Logits, and the parameters of the transformations.

        Args:
            inputs: As of `Examples`.
            backbone: In evaluation mode and without gradients of its own; they pass through it.
            chance: Draws which inputs of the softmax are dropped; ``None`` to drop none.
        """
        features, parameters = inputs, None
        if self.transformer is not None:
            images, parameters = self.transformer(inputs)
            features = backbone.module(resized(images, backbone.preprocessing))
        if self.pca is not None:
            features = self.pca(features)
        if chance is not None and self.dropout:
            kept = torch.rand(features.shape, generator=chance) >= self.dropout
            features = features * kept.to(features.device) / (1.0 - self.dropout)
        return self.softmax(features), parameters


def _layer(start: Start, weight: Tensor, bias: Tensor, seed: int) -> nn.Linear:
    """A linear layer of these numbers, or as large and by chance."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], device="meta").to_empty(device="cpu")
    with torch.no_grad():
        if start == "random":
            nn.init.xavier_uniform_(layer.weight, generator=torch.Generator().manual_seed(seed))
            layer.bias.zero_()
        else:
            layer.weight.copy_(weight)
            layer.bias.copy_(bias)
    return layer.requires_grad_(start != "fixed")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Training:
    """One training: what starts how, and how it is trained.

    Attributes:
        name: Under which its state is kept.
        experiment: How PCA and softmax start.
        base: What they start from.
        setting: Its hyper-parameters.
        epochs: Passes over the training images.
        seed: Seed of starts, orders of images and dropout.
    """

    name: str
    experiment: Experiment
    base: BaseHead
    setting: TransformerSetting
    epochs: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curves:
    """Mean cross-entropies of a training, nats.

    Attributes:
        training: During each epoch, with dropout, shape ``[epochs]``.
        validation: At the start and after each epoch; infinite where it is no number, shape ``[epochs + 1]``.
    """

    training: Float[np.ndarray, " epochs"]
    validation: Float[np.ndarray, " epochs_and_start"]

    @property
    def best_epoch(self) -> int:
        """The epoch of the least validation loss, the first of equals, counted from 1."""
        return int(np.argmin(self.validation[1:])) + 1

    @property
    def loss(self) -> float:
        """Validation loss at the best epoch."""
        return float(self.validation[self.best_epoch])


def train(
    training: Training,
    images: Examples,
    validation: Examples,
    backbone: Backbone,
    *,
    kept: tuple[Cells, float] | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> tuple[Pipeline, Curves]:
    """Train, and go back to the best epoch; what was killed goes on from the last epoch that was kept.

    All draws of an epoch come from its number, so that weights, moments and losses are all there is to keep.

    Args:
        training: What to train.
        images: Images or features to train on, on the device of the backbone.
        validation: Those of other objects, by which the epoch is chosen.
        backbone: What stands between transformer and PCA.
        kept: Where the state is kept, and after how many seconds at the end of an epoch; the last one always is.
        advance: Hears of updates; what it raises ends the training.
    """
    pipeline = Pipeline(
        training.experiment, training.base, training.setting, size=images.inputs.shape[-1], seed=training.seed
    ).to(backbone.runtime.device)
    optimiser = _optimiser(pipeline, training.setting)
    state = kept[0].load(training.name) if kept else None
    if state is None:
        best, losses, after = _trained_part(pipeline), list[float](), [examine(pipeline, validation, backbone).loss]
    else:
        best = _restore(pipeline, optimiser, state)
        losses, after = state["training"].tolist(), state["validation"].tolist()
        advance(len(losses) * -(-len(images.targets) // BATCH))
    saved = time.monotonic()
    for epoch in range(len(losses), training.epochs):
        losses.append(_epoch(pipeline, optimiser, training, images, backbone, epoch, advance))
        after.append(examine(pipeline, validation, backbone).loss)
        if after[-1] < min(after[1:-1], default=np.inf):
            best = _trained_part(pipeline)
        if kept and (epoch + 1 == training.epochs or time.monotonic() - saved >= kept[1]):
            curves = {"training": np.array(losses), "validation": np.array(after)}
            kept[0].save(training.name, {**curves, **_state(pipeline, optimiser, best)})
            saved = time.monotonic()
    pipeline.load_state_dict(best, strict=False)
    return pipeline, Curves(training=np.array(losses), validation=np.array(after))


def _optimiser(pipeline: Pipeline, setting: TransformerSetting) -> torch.optim.Adam:
    """Adam; the full rate of each group stands beside its present one."""
    moved = [] if pipeline.transformer is None else list(pipeline.transformer.parameters())
    behind = [own for layer in (pipeline.pca, pipeline.softmax) if layer is not None for own in layer.parameters()]
    rates = ((moved, setting.rate * (setting.localisation or 0.0)), (behind, setting.rate))
    groups = [
        {"params": trained, "lr": rate, "full": rate}
        for parameters, rate in rates
        if (trained := [parameter for parameter in parameters if parameter.requires_grad])
    ]
    return torch.optim.Adam(groups, fused=True)


def _epoch(
    pipeline: Pipeline,
    optimiser: torch.optim.Adam,
    training: Training,
    images: Examples,
    backbone: Backbone,
    epoch: int,
    advance: Callable[[int], None],
) -> float:
    """Every training image once; their mean loss while the weights change."""
    names = ("spatial-transformer", "epoch", epoch)
    order = torch.from_numpy(generator(training.seed, *names).permutation(len(images.targets)))
    chance = torch.Generator().manual_seed(stream(training.seed, *names, "dropout"))
    batches = torch.split(order.to(images.targets.device), BATCH)
    warm_up = training.setting.warm_up * len(batches) * training.epochs
    total = torch.zeros((), device=images.targets.device)
    for number, rows in enumerate(batches, 1 + epoch * len(batches)):
        for group in optimiser.param_groups:
            group["lr"] = group["full"] * min(1.0, number / max(warm_up, 1.0))
        logits, _ = pipeline(images.inputs[rows], backbone, chance)
        loss = functional.cross_entropy(logits, images.targets[rows])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        total += loss.detach() * len(rows)
        advance(1)
    return float(total) / len(order)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Examined:
    """What a pipeline says of images.

    Attributes:
        losses: Cross-entropy of each, nats, shape ``[images]``.
        correct: Whether each is classified correctly, shape ``[images]``.
        parameters: Of the transformation of each, shape ``[images, parameters]``; no columns without a transformer.
    """

    losses: Float32[np.ndarray, " images"]
    correct: Bool[np.ndarray, " images"]
    parameters: Float32[np.ndarray, "images parameters"]

    @property
    def loss(self) -> float:
        """Mean loss, nats; infinite if it is no number."""
        return float(np.nan_to_num(self.losses.mean(dtype=np.float64), nan=np.inf))


@torch.no_grad()
def examine(pipeline: Pipeline, examples: Examples, backbone: Backbone) -> Examined:
    """Classify images with nothing dropped, as many at a time as the backbone takes."""
    losses, correct, parameters = [], [], []
    device = next(pipeline.parameters()).device
    for first in range(0, len(examples.targets), backbone.limit):
        some = slice(first, first + backbone.limit)
        inputs, targets = examples.inputs[some].to(device), examples.targets[some].to(device)
        logits, found = pipeline(inputs, backbone)
        losses.append(functional.cross_entropy(logits, targets, reduction="none").cpu().numpy())
        correct.append((logits.argmax(dim=1) == targets).cpu().numpy())
        parameters.append(logits.new_empty(len(logits), 0).cpu().numpy() if found is None else found.cpu().numpy())
    return Examined(
        losses=np.concatenate(losses), correct=np.concatenate(correct), parameters=np.concatenate(parameters)
    )


def _trained_part(pipeline: Pipeline) -> dict[str, Tensor]:
    return {name: own.detach().clone() for name, own in pipeline.named_parameters() if own.requires_grad}


def _state(pipeline: Pipeline, optimiser: torch.optim.Adam, best: Mapping[str, Tensor]) -> Arrays:
    """Weights now and at the best epoch, and Adam's moments, as arrays by name."""
    tensors = {f"now {name}": own for name, own in _trained_part(pipeline).items()}
    tensors |= {f"best {name}": own for name, own in best.items()}
    for row, moments in optimiser.state_dict()["state"].items():
        tensors |= {f"adam {row} {key}": value for key, value in moments.items()}
    return {name: tensor.cpu().numpy() for name, tensor in tensors.items()}


def _restore(pipeline: Pipeline, optimiser: torch.optim.Adam, state: Arrays) -> dict[str, Tensor]:
    """Put weights and moments back; gives the weights of the best epoch."""
    parts: dict[str, dict[str, Tensor]] = {"now": {}, "best": {}, "adam": {}}
    for key, array in state.items():
        kind, _, name = key.partition(" ")
        if kind in parts:
            parts[kind][name] = torch.from_numpy(array).to(next(pipeline.parameters()).device)
    pipeline.load_state_dict(parts["now"], strict=False)
    trained = [own for group in optimiser.param_groups for own in group["params"]]
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in parts["adam"].items():
        row, _, key = name.partition(" ")
        # in memory as its weights are, as fused steps take it for granted
        moment = torch.empty_like(trained[int(row)]).copy_(tensor) if tensor.ndim else tensor
        moments.setdefault(int(row), {})[key] = moment
    optimiser.load_state_dict({"state": moments, "param_groups": optimiser.state_dict()["param_groups"]})
    return parts["best"]


def check_gradient(backbone: Backbone, images: Tensor) -> None:
    """Refuse a backbone through which no gradient reaches the pixels.

    Raises:
        UsageError: If the gradient at these images, shape ``[images, 1, size, size]``, is not there or not finite.
    """
    pixels = images.float().requires_grad_()
    features = backbone.module(resized(pixels, backbone.preprocessing))
    gradient = torch.autograd.grad(features.sum(), pixels, allow_unused=True)[0] if features.requires_grad else None
    if gradient is None or not torch.isfinite(gradient).all() or not gradient.any():
        said = f"{backbone.spec}: no finite gradient of the features reaches the pixels"
        raise UsageError(said, "train a transformer through a network, e.g. --backbone toynet")
