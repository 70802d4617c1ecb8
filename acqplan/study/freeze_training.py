"""Training a network from some depth on: what the study of freezing does thousands of times."""

from __future__ import annotations

import copy
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from acqplan.errors import BackboneError, UsageError
from acqplan.features.networks import build, make_network
from acqplan.features.pixels import parse_input
from acqplan.features.registry import NETWORKS, find_layers
from acqplan.features.stages import stages_of
from acqplan.rng import generator, stream
from acqplan.study.image_trees import Pictures

# The source's images and its crops of them, pixels; other networks take crops of the same share.
SIZE, CROP = 64, 57
# Deviation by which the values of pixels are divided.
DEVIATION = 64.0
TESTED_AT_ONCE = 256


class SeededDropout(nn.Module):
    """Dropout that draws from a generator of its own, so that networks can be trained side by side."""

    def __init__(self, share: float, draw: torch.Generator) -> None:
        super().__init__()
        self.share, self.draw = share, draw

    def forward(self, x: Float[Tensor, "images *numbers last"]) -> Float[Tensor, "images *numbers last"]:
        """Zero some numbers in training, and nothing otherwise."""
        if not self.training or self.share == 0.0:
            return x
        kept = torch.rand(x.shape, generator=self.draw, device=x.device) >= self.share
        return x * kept / (1.0 - self.share)


def small_alexnet(n_classes: int, width: float = 1.0) -> nn.Sequential:
    """AlexNet as Caffe builds it, for images of 57 pixels: of them one position is left before the first full layer.

    Args:
        n_classes: Classes.
        width: Share of its channels and units.

    Source:
        A. Krizhevsky, I. Sutskever, G. Hinton, NIPS 2012; BVLC's reference network, see `acqplan.features.caffenet`.
    """

    def scaled(count: int) -> int:
        return max(2, 2 * round(count * width / 2))

    def pool() -> nn.Module:
        return nn.MaxPool2d(3, 2, ceil_mode=True)

    c1, c2, c3, units = (scaled(count) for count in (96, 256, 384, 4096))
    # Halves of units are dropped in the source's network only: a narrow one then hardly learns.
    share = 0.5 if width == 1.0 else 0.0
    last = nn.Linear(units, n_classes)
    net = nn.Sequential(
        *(nn.Conv2d(3, c1, 11, 4), nn.ReLU(), pool(), nn.LocalResponseNorm(5, 1e-4, 0.75, 1.0)),
        *(nn.Conv2d(c1, c2, 5, padding=2, groups=2), nn.ReLU(), pool(), nn.LocalResponseNorm(5, 1e-4, 0.75, 1.0)),
        *(nn.Conv2d(c2, c3, 3, padding=1), nn.ReLU(), nn.Conv2d(c3, c3, 3, padding=1, groups=2), nn.ReLU()),
        *(nn.Conv2d(c3, c2, 3, padding=1, groups=2), nn.ReLU(), pool(), nn.Flatten()),
        *(nn.Linear(c2, units), nn.ReLU(), nn.Dropout(share), nn.Linear(units, units), nn.ReLU()),
        *(nn.Dropout(share), last),
    )
    for part in net:
        if isinstance(part, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
            nn.init.zeros_(part.bias)  # type: ignore[arg-type]
    nn.init.normal_(last.weight, std=0.01)  # as in Caffe; with more, half of the units die in the first updates
    return net


@dataclass(frozen=True, slots=True, kw_only=True)
class StudiedNetwork:
    """A kind of network whose layers are frozen.

    Attributes:
        name: ``alexnet``, or a network of `acqplan.features.registry` that is a chain of stages.
        width: Share of AlexNet's channels and units.
        crop: Height and width of its input, pixels.
    """

    name: str = "alexnet"
    width: float = 1.0
    crop: int = CROP

    @classmethod
    def named(cls, name: str, *, published: bool = False) -> StudiedNetwork:
        """A network by its name; with published weights its input has the size that they expect.

        Raises:
            BackboneError: If there is no such network of torchvision.
        """
        if name == "alexnet":
            return cls()
        found = NETWORKS[find_layers(name)[0]]
        if found.weights != "torchvision":
            raise BackboneError(f"{name} is not one of torchvision", "choose alexnet, or e.g. resnet18")
        size = parse_input(found.input).size
        return cls(name=name, crop=size if published else CROP)

    @property
    def size(self) -> int:
        """Height and width of the images that crops are taken of, pixels."""
        return self.crop * SIZE // CROP

    def random(self, n_classes: int, seed: int, *names: object) -> list[nn.Module]:
        """Its stages with random weights, the last one a layer of classes.

        Raises:
            BackboneError: If there is no such network, or it is no chain of stages.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream(seed, "freeze-depth", "weights", *names))
            if self.name == "alexnet":
                net: nn.Module = small_alexnet(n_classes, self.width)
            else:
                net = make_network(find_layers(self.name)[0])
            return self._divided(net, n_classes)

    def published(self, n_classes: int, weights: Path, seed: int) -> list[nn.Module]:
        """Its stages with the weights of a file, but for a random layer of classes.

        Raises:
            WeightsError: If the file holds the weights of another network.
        """
        built = build(f"{self.name}:logits", weights=weights)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream(seed, "freeze-depth", "weights"))
            return self._divided(built.net, n_classes)

    def _divided(self, net: nn.Module, n_classes: int) -> list[nn.Module]:
        example = torch.zeros(2, 3, self.crop, self.crop)
        stages = stages_of(net.eval(), example)
        *_, (number, last) = [(n, part) for n, part in enumerate(stages[-1]) if isinstance(part, nn.Linear)]
        if last.out_features != n_classes:
            stages[-1][number] = nn.Linear(last.in_features, n_classes)
        return [*stages]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """How each network is trained: SGD with momentum, random crops and mirror images, a rate that falls as a cosine.

    Attributes:
        iterations: Updates.
        batch: Images of each.
        rate: Learning rate at the start.
        momentum: Of SGD.
        decay: Weight decay.
    """

    iterations: int = 10_000
    batch: int = 64
    rate: float = 0.01
    momentum: float = 0.9
    decay: float = 5e-4

    def __post_init__(self) -> None:
        if self.iterations < 1 or self.batch < 1:
            raise UsageError(f"{self.iterations} iterations of {self.batch} images", "give at least 1")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Crops:
    """Crops of pictures as a network takes them.

    Attributes:
        pixels: On the device of the training, shape ``[pictures, size, size, 3]``.
        mean: What is subtracted, in the same place of each picture, shape ``[size, size, 3]``.
        deviation: What the rest is divided by, shape ``[3]``.
        crop: Height and width of a crop, pixels.
    """

    pixels: Tensor
    mean: Tensor
    deviation: Tensor
    crop: int

    @classmethod
    def of(cls, pictures: Pictures, network: StudiedNetwork, device: str) -> Crops:
        """Crops for a network: less the mean training picture for AlexNet, less the colour that others expect."""
        pixels = pictures.pixels.to(device)
        if network.name == "alexnet":
            train = torch.from_numpy(np.flatnonzero(~pictures.tests))
            mean = torch.stack([part.float().mean(0) for part in torch.split(pictures.pixels[train], 1024)]).mean(0)
            deviation = torch.full((3,), DEVIATION)
        else:
            expected = parse_input(NETWORKS[network.name].input)
            mean = 255.0 * torch.tensor(expected.mean).expand(network.size, network.size, 3)
            deviation = 255.0 * torch.tensor(expected.std)
        return cls(pixels=pixels, mean=mean.to(device), deviation=deviation.to(device), crop=network.crop)

    def random(self, rows: Int[np.ndarray, " rows"], draw: np.random.Generator) -> Float[Tensor, "rows 3 crop crop"]:
        """A crop of each picture from anywhere, half of them mirrored."""
        top, left = draw.integers(0, self.pixels.shape[1] - self.crop + 1, (2, len(rows)))
        inside = np.arange(self.crop)
        across = np.where(draw.random(len(rows))[:, None] < 0.5, inside, inside[::-1])
        return self._cut(rows, top[:, None] + inside, left[:, None] + across)

    def middle(self, rows: Int[np.ndarray, " rows"]) -> Float[Tensor, "rows 3 crop crop"]:
        """The middle of each picture."""
        inside = (self.pixels.shape[1] - self.crop) // 2 + np.tile(np.arange(self.crop), (len(rows), 1))
        return self._cut(rows, inside, inside)

    def _cut(self, rows: np.ndarray, down: np.ndarray, across: np.ndarray) -> Tensor:
        where, y, x = (torch.from_numpy(part).to(self.pixels.device) for part in (rows, down, across))
        y, x = y[:, :, None], x[:, None, :]
        found = (self.pixels[where[:, None, None], y, x].float() - self.mean[y, x]) / self.deviation
        return found.permute(0, 3, 1, 2)  # channels last in memory


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClassHalf:
    """Some classes of some pictures: what a network learns.

    Attributes:
        pictures: Whose classes.
        crops: The pictures as networks take them.
        numbers: The classes, shape ``[classes]``.
        names: Names of the random streams that order its images.
    """

    pictures: Pictures
    crops: Crops
    numbers: Int[np.ndarray, " classes"]
    names: tuple[object, ...]

    def rows(self, n: int | None, seed: int) -> tuple[Int[np.ndarray, " rows"], Int[np.ndarray, " rows"]]:
        """Training images, at most so many of each class, and their classes from 0; more images hold the fewer."""
        rows, targets = list[int](), list[int]()
        for target, number in enumerate(self.numbers):
            mine = np.flatnonzero((self.pictures.labels == number) & ~self.pictures.tests)
            chosen = generator(seed, "freeze-depth", "images", *self.names, target).permutation(mine)[:n].tolist()
            rows += chosen
            targets += [target] * len(chosen)
        return np.array(rows), np.array(targets)

    def tests(self) -> tuple[Int[np.ndarray, " rows"], Int[np.ndarray, " rows"]]:
        """Test images and their classes from 0."""
        rows = np.flatnonzero(np.isin(self.pictures.labels, self.numbers) & self.pictures.tests)
        place = {int(number): target for target, number in enumerate(self.numbers)}
        return rows, np.array([place[int(label)] for label in self.pictures.labels[rows]])


def train(
    stages: Sequence[nn.Module],
    frozen: int,
    crops: Crops,
    rows: Int[np.ndarray, " rows"],
    targets: Int[np.ndarray, " rows"],
    *,
    plan: TrainingPlan,
    seed: int,
    stop: threading.Event | None = None,
) -> nn.Sequential:
    """Train copies of some stages; those below stay as they are, with their statistics.

    Args:
        stages: The whole network, the last stage with a layer of classes.
        frozen: How many of the first stages are not trained.
        crops: The pictures.
        rows: Which of them to train on.
        targets: Class of each of these rows, from 0.
        plan: How.
        seed: Of the order of images, crops and dropout.
        stop: Ends the training early with `KeyboardInterrupt`, once it is set.

    Returns:
        The network, in evaluation mode.
    """
    device, draw = crops.pixels.device, np.random.default_rng(seed)
    net = nn.Sequential(*(copy.deepcopy(stage) for stage in stages))
    _replace_chance(net, torch.Generator(device).manual_seed(seed))
    net = net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    below, above = net[:frozen].requires_grad_(False).eval(), net[frozen:].requires_grad_(True).train()
    optimiser = torch.optim.SGD(above.parameters(), lr=plan.rate, momentum=plan.momentum, weight_decay=plan.decay)
    wanted, order = torch.from_numpy(targets).to(device), np.empty(0, dtype=np.int64)
    for iteration in range(plan.iterations):
        if stop is not None and stop.is_set():
            raise KeyboardInterrupt
        while len(order) < plan.batch:
            order = np.concatenate([order, draw.permutation(len(rows))])
        some, order = order[: plan.batch], order[plan.batch :]
        optimiser.param_groups[0]["lr"] = plan.rate * 0.5 * (1.0 + math.cos(math.pi * iteration / plan.iterations))
        with torch.no_grad():
            inputs = below(crops.random(rows[some], draw))
        loss = functional.cross_entropy(above(inputs), wanted[torch.from_numpy(some).to(device)])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return net.eval()


def accuracy(net: nn.Module, crops: Crops, rows: Int[np.ndarray, " rows"], targets: Int[np.ndarray, " rows"]) -> float:
    """Share of these pictures that a network classifies right by the middle of each."""
    right = 0
    with torch.inference_mode():
        for start in range(0, len(rows), TESTED_AT_ONCE):
            some = slice(start, start + TESTED_AT_ONCE)
            right += int((net(crops.middle(rows[some])).argmax(1).cpu().numpy() == targets[some]).sum())
    return right / len(rows)


def _replace_chance(net: nn.Module, draw: torch.Generator) -> None:
    """Give dropout a generator of its own, and leave out what drops whole paths at random."""
    for part in net.modules():
        for name, child in part.named_children():
            if isinstance(child, nn.Dropout):
                setattr(part, name, SeededDropout(child.p, draw))
            elif type(child).__name__ in ("StochasticDepth", "DropPath"):
                setattr(part, name, nn.Identity())
