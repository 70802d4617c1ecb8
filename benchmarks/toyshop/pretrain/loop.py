"""The training loop: one state that is stepped, saved after each epoch, and resumed as if undisturbed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_weights

from acqplan.features.toynet import N_FEATURES, ConvNorm, ToyNet, plain
from acqplan.files import replacing
from acqplan.progress import SILENT, Progress
from acqplan.rng import stream
from benchmarks.toyshop.pretrain.augment import varied
from benchmarks.toyshop.pretrain.data import Poses
from benchmarks.toyshop.pretrain.recipe import Recipe
from benchmarks.toyshop.pretrain.teacher import N_TEACHER, Answers, disagreement

_WARM_UP = 0.1

Rows = Int[Tensor, " batch"]
Images = Float[Tensor, "batch 1 96 96"]


@dataclass(slots=True, eq=False)
class Training:
    """Everything that changes while training; made by `begin` or `resume`.

    Args:
        net: The backbone, with batch normalisation.
        heads: ``family`` names the family, ``teacher`` guesses the teacher's features.
        optimiser: AdamW over both.
        epoch: How many are done.
        held_out: Accuracy on families never trained on, after each of them.
        seconds: That they took, over all runs.
    """

    net: ToyNet
    heads: nn.ModuleDict
    optimiser: torch.optim.AdamW
    epoch: int = 0
    held_out: list[float] = field(default_factory=list)
    seconds: float = 0.0


def begin(recipe: Recipe, n_families: int) -> Training:
    """A fresh state, its weights drawn from the seed of the recipe."""
    with torch.random.fork_rng():
        torch.manual_seed(stream(recipe.seed, "pretraining weights"))
        net = ToyNet()
        heads = nn.ModuleDict(
            {"family": nn.Linear(N_FEATURES, n_families), "teacher": nn.Linear(N_FEATURES, N_TEACHER)}
        )
    optimiser = torch.optim.AdamW(
        [*net.parameters(), *heads.parameters()], lr=recipe.rate, weight_decay=recipe.weight_decay
    )
    return Training(net, heads, optimiser)


def save(training: Training, path: Path) -> None:
    """Write a checkpoint, whole or not at all."""
    state = {
        "net": training.net.state_dict(),
        "heads": training.heads.state_dict(),
        "optimiser": training.optimiser.state_dict(),
        "epoch": training.epoch,
        "held_out": training.held_out,
        "seconds": training.seconds,
    }
    with replacing(path, "wb") as handle:
        torch.save(state, handle)


def resume(path: Path, recipe: Recipe, n_families: int) -> Training:
    """The state of a checkpoint of the same recipe."""
    training = begin(recipe, n_families)
    state = torch.load(path, weights_only=True)
    training.net.load_state_dict(state["net"])
    training.heads.load_state_dict(state["heads"])
    training.optimiser.load_state_dict(state["optimiser"])
    training.epoch, training.held_out, training.seconds = state["epoch"], state["held_out"], state["seconds"]
    return training


def train_epoch(
    training: Training,
    poses: Poses,
    recipe: Recipe,
    *,
    answers: Answers | None = None,
    progress: Progress = SILENT,
) -> float:
    """Visit every pose once; what happens depends on the recipe and the epoch's number alone.

    Args:
        training: Changed in place.
        poses: Of the families to be named.
        recipe: Rate, batch, seed.
        answers: Of the teacher, if the recipe asks for distillation.
        progress: Hears of each image.

    Returns:
        Mean loss.
    """
    training.net.train()
    batches = _batches(len(poses), recipe, training.epoch)
    labels, total = poses.labels, 0.0
    with progress.task(f"epoch {training.epoch + 1} of {recipe.epochs}", len(poses)) as advance:
        for step, (rows, images) in enumerate(_prepared(poses, batches, recipe, training.epoch)):
            _set_rate(training, recipe, training.epoch + step / len(batches))
            answer = None if answers is None else answers.gather(rows)
            total += _step(training, images, labels[rows], recipe, answer)
            advance(len(rows))
    training.epoch += 1
    return total / len(batches)


def _step(
    training: Training,
    images: Images,
    labels: Rows,
    recipe: Recipe,
    answer: Float[Tensor, "batch teacher"] | None,
) -> float:
    heads = training.heads
    with torch.autocast("cpu", torch.bfloat16, enabled=recipe.precision == "bfloat16"):
        features = training.net(images)
        named = heads["family"](features).float()
        guess = heads["teacher"](features) if answer is not None else None
    loss = functional.cross_entropy(named, labels, label_smoothing=recipe.smoothing)
    if answer is not None and guess is not None:
        loss = loss + recipe.distillation * disagreement(guess, answer)
    training.optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    training.optimiser.step()
    return float(loss.detach())


def _batches(n: int, recipe: Recipe, epoch: int) -> list[Rows]:
    """A new order each epoch; what is left over from whole batches is dropped."""
    generator = torch.Generator().manual_seed(stream(recipe.seed, "pretraining order", epoch))
    order = torch.randperm(n, generator=generator)
    size = min(recipe.batch, n)
    return list(torch.split(order[: n // size * size], size))


def _prepared(poses: Poses, batches: list[Rows], recipe: Recipe, epoch: int) -> Iterator[tuple[Rows, Images]]:
    """Batches with their images; the next one is made while the last one is learnt."""

    def prepare(step: int) -> Images:
        generator = torch.Generator().manual_seed(stream(recipe.seed, "pretraining images", epoch, step))
        return varied(poses.gather(batches[step]), generator)

    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(prepare, 0)
        for step, rows in enumerate(batches):
            images = coming.result()
            if step + 1 < len(batches):
                coming = pool.submit(prepare, step + 1)
            yield rows, images


def _set_rate(training: Training, recipe: Recipe, epoch: float) -> None:
    """Up in a straight line, then down as a half cosine to zero."""
    done = epoch / recipe.epochs
    fall = 0.5 * (1 + math.cos(math.pi * (done - _WARM_UP) / (1 - _WARM_UP)))
    for group in training.optimiser.param_groups:
        group["lr"] = recipe.rate * (done / _WARM_UP if done < _WARM_UP else fall)


def folded(net: ToyNet) -> ToyNet:
    """The same function as a trained network in evaluation mode, without batch normalisation.

    Args:
        net: A network made with `torch.nn.BatchNorm2d`.

    Returns:
        A new network without normalisation, whose ``state_dict()`` is what the embedded file holds, in half
        precision, with the metadata `acqplan.features.toynet.METADATA`.
    """
    result = plain()
    before, after = ([part for part in some.modules() if isinstance(part, ConvNorm)] for some in (net, result))
    for trained, target in zip(before, after, strict=True):
        conv, norm = trained.conv, trained.norm
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        target.conv.weight, target.conv.bias = fuse_conv_bn_weights(
            conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
        )
    return result
