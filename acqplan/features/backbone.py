"""Backbones: frozen networks, and layers of them, that turn images into features."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import torch
from jaxtyping import Float, Float32, Num, UInt8
from torch import Tensor, nn
from torch.nn import functional

from acqplan.errors import AcqplanError, MissingError, WeightsError
from acqplan.features.networks import LAYER, PREFIX, build, build_timm, digest, fold_normalisation, tensor_names
from acqplan.features.pixels import Preprocessing, resized, stack
from acqplan.features.registry import NETWORKS, Cut, find_layers
from acqplan.runtime import Runtime

PROBE_IMAGES: Final = 8
"""Enough that what a pass takes whatever the number of its images counts little."""

SHARE: Final = 0.8
"""Of the memory there is; the rest is for what the allocator cannot use in one piece."""

Pass = Callable[[Tensor], Tensor]


class Meter(Protocol):
    """Knows the memory of a device."""

    def free(self) -> int:
        """Bytes that a pass may take now."""

    def peak(self, once: Pass, images: Tensor) -> int:
        """Bytes that a pass of these images takes at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """The memory that passes may take.

    Attributes:
        meter: Of the device.
        ceiling_bytes: More than this no pass takes, whatever is free; ``None`` for no ceiling.
    """

    meter: Meter
    ceiling_bytes: int | None = None

    @classmethod
    def on(cls, runtime: Runtime) -> Room | None:
        """That of a GPU; ``None`` elsewhere, where caches set the size of a batch."""
        if torch.device(runtime.device).type != "cuda":
            return None
        gigabytes = runtime.memory_gigabytes
        return cls(meter=Gpu(device=runtime.device), ceiling_bytes=None if gigabytes is None else int(gigabytes * 1e9))

    def holds(self, once: Pass, images: Tensor) -> int:
        """Images in a pass that fits, at least 1, judged by a pass of the first few of ``images``."""
        few = images[:PROBE_IMAGES]
        each = max(1, -(-self.meter.peak(once, few) // len(few)))
        room = SHARE * self.meter.free()
        return max(1, int(room if self.ceiling_bytes is None else min(room, self.ceiling_bytes)) // each)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """The memory of one GPU, as torch's allocator sees it."""

    device: str

    def free(self) -> int:
        """Bytes that no tensor holds: those of the device, and those the allocator keeps ready."""
        unheld = torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)
        return int(torch.cuda.mem_get_info(self.device)[0]) + unheld

    def peak(self, once: Pass, images: Tensor) -> int:
        """Bytes that a pass of these images takes at most."""
        before = torch.cuda.memory_allocated(self.device)
        torch.cuda.reset_peak_memory_stats(self.device)
        once(images)
        torch.cuda.synchronize(self.device)
        return torch.cuda.max_memory_allocated(self.device) - before


Images = Tensor | Sequence[UInt8[np.ndarray, "height width *channels"]]
PassForward = Callable[[UInt8[Tensor, "images channels height width"]], Float32[Tensor, "images features"]]


@dataclass(slots=True, kw_only=True, eq=False)
class Forward:
    """One pass after the other; not frozen: it remembers the batch that fits in memory.

    Attributes:
        once: A single pass, on its device.
        limit: Images in a pass; halved when the memory is out.
        room: Memory that a pass may take; looked at before the first batch.
    """

    once: PassForward
    limit: int
    room: Room | None = None

    def __call__(self, images: UInt8[Tensor, "images channels height width"]) -> Float32[np.ndarray, "images features"]:
        """Features of images of one shape, shape ``[images, features]``, in main memory.

        Raises:
            AcqplanError: If not even one image fits.
        """
        self._measure(images)
        done: list[np.ndarray] = []
        row = 0
        while row < len(images):
            batch = images[row : row + self.limit]
            features = self._attempt(batch)
            if features is not None:
                done.append(features)
                row += len(batch)
        return np.concatenate(done)

    def _measure(self, images: Tensor) -> None:
        if self.room is not None and min(self.limit, len(images)) > PROBE_IMAGES:
            try:
                self.limit = min(self.limit, self.room.holds(self.once, images))
            except torch.OutOfMemoryError:
                self.limit = PROBE_IMAGES
            self.room = None

    def _attempt(self, batch: Tensor) -> Float32[np.ndarray, "batch features"] | None:
        try:
            features: np.ndarray = self.once(batch).cpu().numpy()
            return features
        except RuntimeError as error:
            if not _out_of_memory(error):
                raise
            if len(batch) == 1:
                raise AcqplanError("one image does not fit in memory", "choose a smaller backbone") from error
        # outside the handler, whose traceback holds on to the tensors of the pass that failed
        self.limit = max(1, len(batch) // 2)
        return None


def compute_all(forward: Forward, images: Images, *, n_features: int) -> Float32[np.ndarray, "images features"]:
    """Features of images of any shapes, in their order.

    Args:
        forward: One pass after the other.
        images: One tensor, or a list of arrays.
        n_features: Numbers of an image, for the answer to no images.
    """
    features = np.empty((len(images), n_features), dtype=np.float32)
    for rows, together in _same_shapes(images):
        features[rows] = forward(together)
    return features


def _same_shapes(images: Images) -> list[tuple[list[int], Tensor]]:
    if isinstance(images, Tensor):
        return [(list(range(len(images))), images)] if len(images) else []
    groups: dict[tuple[int, ...], list[int]] = {}
    for row, image in enumerate(images):
        groups.setdefault(image.shape, []).append(row)
    return [(rows, stack([images[row] for row in rows])) for rows in groups.values()]


def _out_of_memory(error: RuntimeError) -> bool:
    """Of a device, or of main memory, for which torch has no class of its own."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def compile_module(module: nn.Module, example: Tensor, *, spec: str) -> None:
    """Compile a network in place; its tensors and names stay, and copies sent to other processes are not compiled.

    Args:
        module: The network, on its device.
        example: A batch as it will come.
        spec: What to call it in an error.

    Raises:
        MissingError: If it cannot be compiled here, most often for want of a compiler.
    """
    try:
        module.compile()
        with torch.inference_mode():
            module(example)
    except Exception as error:  # each backend and each of its compilers fails in its own way
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise MissingError(
            f"torch.compile does not work for {spec} on {example.device} ({reason})",
            "install a C++ compiler and, for a GPU, triton; or leave compile off",
        ) from error


class Tapped(nn.Module):
    """A network that gives several of its layers, side by side.

    Args:
        net: The network down to its deepest layer.
        order: Names of the layers in the order asked; all but one stand in ``shallow``.
        shallow: For each layer but the deepest what a network that ends there is without.
    """

    def __init__(self, net: nn.Module, order: tuple[str, ...], shallow: Mapping[str, Cut]) -> None:
        super().__init__()
        self.net, self.order = net, order
        self.taken: dict[str, Tensor] = {}
        self.widths: tuple[int, ...] = ()
        for layer, parts in shallow.items():
            self._tap(layer, parts)

    def forward(self, x: Num[Tensor, "images channels height width"]) -> Float[Tensor, "images features"]:
        """Features of all layers in the order asked, float32; ``widths`` says how many each has."""
        deepest = self.net(x)
        layers = [self.taken.pop(layer, deepest).float() for layer in self.order]
        self.widths = tuple(layer.shape[1] for layer in layers)
        return torch.cat(layers, 1)

    def _tap(self, layer: str, parts: Cut) -> None:
        """Listen where the network would end: before the first part cut away, or behind its last child left."""
        part, kept = next(iter(parts.items()))
        place = self.net.get_submodule(part)
        if kept:
            place.get_submodule(str(kept - 1)).register_forward_hook(partial(self._behind, layer))
        else:
            place.register_forward_pre_hook(partial(self._before, layer))

    def _behind(self, layer: str, _module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        self.taken[layer] = _pooled(output)

    def _before(self, layer: str, _module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self.taken[layer] = _pooled(inputs[0])


def _pooled(out: Tensor) -> Float[Tensor, "images features"]:
    """The mean over positions, as every network of the registry ends when it is cut."""
    return functional.adaptive_avg_pool2d(out, 1).flatten(1) if out.ndim == 4 else out


CPU_PIXELS = 64 * 96 * 96
"""Pixels of a batch on a processor: what lies in its caches from layer to layer runs fastest (toynet in
batches of 64 ran 1.1 to 3.9 times as fast as of 256, measured on 2 cores)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer of a backbone.

    Attributes:
        name: As the registry calls it.
        fingerprint: SHA-256 of network, layer, preprocessing and weights; equal features need an equal one. It
            does not depend on the layers that are computed beside it.
        n_features: Numbers of an image.
    """

    name: str
    fingerprint: str
    n_features: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Backbone:
    """A frozen network down to one layer, or to several side by side, on a device.

    Attributes:
        name: Key of the registry, or ``timm/NAME``.
        layers: What the features are, in the order of their columns.
        preprocessing: What the network expects of its input.
        module: The network, on the device of ``runtime``; takes ``[images, 1 or 3, size, size]`` in ``0 .. 255``.
        runtime: Where, in which precision and in which batches it runs.
    """

    name: str
    layers: tuple[Layer, ...]
    preprocessing: Preprocessing
    module: nn.Module
    runtime: Runtime

    @property
    def layer(self) -> str:
        """Name of the layer; of several ``layer+layer``."""
        return "+".join(layer.name for layer in self.layers)

    @property
    def fingerprint(self) -> str:
        """That of the layer; of several one that stands for all."""
        prints = [layer.fingerprint for layer in self.layers]
        return prints[0] if len(prints) == 1 else digest({}, *prints)

    @property
    def n_features(self) -> int:
        """Numbers of an image, over all layers."""
        return sum(layer.n_features for layer in self.layers)

    @property
    def spec(self) -> str:
        """``name:layer``, as `load_backbone` takes it."""
        return f"{self.name}:{self.layer}"

    def columns(self) -> list[slice]:
        """Where the features of each layer stand."""
        ends = list(accumulate(layer.n_features for layer in self.layers))
        return [slice(end - layer.n_features, end) for end, layer in zip(ends, self.layers, strict=True)]

    @property
    def limit(self) -> int:
        """Images in one pass: the runtime's ceiling, on a processor what its caches hold."""
        fitting = (
            max(1, CPU_PIXELS // self.preprocessing.size**2) if self.runtime.device == "cpu" else self.runtime.batch
        )
        return min(fitting, self.runtime.batch)

    def forward(self, images: UInt8[Tensor, "images channels height width"]) -> Float32[Tensor, "images features"]:
        """Features of a batch in one pass, on the device.

        Args:
            images: Grey or colour bytes of any size, on any device.
        """
        with torch.inference_mode(), self._autocast():
            ready = resized(images.to(self.runtime.device, non_blocking=True), self.preprocessing)
            out: Tensor = self.module(ready.contiguous(memory_format=torch.channels_last))
        return out.float()

    def passes(self) -> Forward:
        """One pass after the other, each of as many images as fit in memory."""
        return Forward(once=self.forward, limit=self.limit, room=Room.on(self.runtime))

    def features(self, images: Images) -> Float32[np.ndarray, "images features"]:
        """Features of any number of images, in main memory.

        Args:
            images: A tensor of bytes ``[images, channels, height, width]``, or a list of arrays of any sizes,
                each ``[height, width]`` or ``[height, width, 3]``.

        Returns:
            Features in the order of the images, shape ``[images, n_features]``.

        Raises:
            ImageError: If an image is neither grey nor colour.
            AcqplanError: If not even one image fits in memory.
        """
        return compute_all(self.passes(), images, n_features=self.n_features)

    def _autocast(self) -> AbstractContextManager[object]:
        # which half precision "auto" may be is found by extract, on images
        if self.runtime.precision in ("float32", "auto"):
            return nullcontext()
        return torch.autocast(torch.device(self.runtime.device).type, dtype=getattr(torch, self.runtime.precision))


def black_image(preprocessing: Preprocessing, device: str) -> Float32[Tensor, "1 channels size size"]:
    """One image as a network takes it."""
    side = preprocessing.size
    return torch.zeros(1, preprocessing.channels, side, side, device=device)


def load_backbone(spec: str, *, weights: Path | None = None, runtime: Runtime) -> Backbone:
    """Load a frozen network.

    Args:
        spec: ``name``, ``name:layer`` or ``name:layer+layer``, e.g. ``vgg16:fc14`` or, for both in one pass,
            ``vgg16:fc14+fc15``; see `acqplan.features.networks.NETWORKS`.
        weights: File of weights; by default the embedded ones, or torchvision's, downloaded once.
        runtime: Where, in which precision and in which batches it runs.

    Raises:
        BackboneError: If there is no such network or layer; names the nearest.
        WeightsError: If the file of weights cannot be used.
        MissingError: If no file is given and none can be had, an extra is missing, or it cannot be compiled.
    """
    made = _made(spec, weights)
    folded = fold_normalisation(made.net, made.preprocessing).requires_grad_(False)
    module = folded.to(memory_format=torch.channels_last).to(runtime.device)
    n_features = _count_features(module, made.preprocessing, runtime.device, spec)
    widths = made.net.widths if isinstance(made.net, Tapped) else (n_features,)
    if runtime.compile:
        compile_module(module, black_image(made.preprocessing, runtime.device), spec=spec)
    layers = tuple(
        Layer(name=name, fingerprint=fingerprint, n_features=width)
        for (name, fingerprint), width in zip(made.fingerprints.items(), widths, strict=True)
    )
    return Backbone(name=made.name, layers=layers, preprocessing=made.preprocessing, module=module, runtime=runtime)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Made:
    """A network for normalised images, and the fingerprint of each of its layers."""

    name: str
    net: nn.Module
    fingerprints: Mapping[str, str]
    preprocessing: Preprocessing


def _made(spec: str, weights: Path | None) -> _Made:
    if spec.startswith(PREFIX):
        name, _, layer = spec.partition(":")
        net, preprocessing = build_timm(name.removeprefix(PREFIX), layer, weights=weights)
        fingerprints = {LAYER: digest(net.state_dict(), name, LAYER, str(preprocessing))}
        return _Made(name=name, net=net, fingerprints=fingerprints, preprocessing=preprocessing)
    name, layers = find_layers(spec)
    known = NETWORKS[name].layers
    deepest = max(layers, key=list(known).index)
    net, preprocessing = build(name, deepest, weights=weights)
    tensors = net.state_dict()
    fingerprints = {
        layer: digest({key: tensors[key] for key in tensor_names(name, layer)}, name, layer, str(preprocessing))
        for layer in layers
    }
    if len(layers) > 1:
        net = Tapped(net, layers, {layer: known[layer] for layer in layers if layer != deepest})
    return _Made(name=name, net=net, fingerprints=fingerprints, preprocessing=preprocessing)


def _count_features(module: nn.Module, preprocessing: Preprocessing, device: str, spec: str) -> int:
    """By looking at one black image."""
    black = black_image(preprocessing, device)
    try:
        with torch.inference_mode():
            return int(module(black).shape[1])
    except (AssertionError, RuntimeError) as error:
        size = preprocessing.size
        raise WeightsError(
            f"{spec} cannot take images of {size} x {size} pixels, as its file of weights asks for ({error})",
            "correct the metadata 'input' of the file",
        ) from error
