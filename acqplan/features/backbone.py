"""Backbones: frozen networks, and layers of them, that turn images into features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor, nn

from acqplan.errors import AcqplanError, WeightsError
from acqplan.features.compiled import compiled
from acqplan.features.networks import build, digest
from acqplan.features.pixels import Normalised, Preprocessing, resized, stack
from acqplan.features.registry import full_name
from acqplan.runtime import Runtime

# Pixels of a batch on a processor: what lies in its caches from layer to layer runs fastest (toynet in batches of 64
# ran 1.1 to 3.9 times as fast as of 256, measured on 2 cores).
CPU_PIXELS = 64 * 96 * 96
Images = Tensor | Sequence[UInt8[np.ndarray, "height width *channels"]]
Forward = Callable[[UInt8[Tensor, "images channels height width"]], Float32[np.ndarray, "images features"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer of a backbone.

    Attributes:
        name: As the registry calls it.
        fingerprint: SHA-256 of network, layer, preprocessing and weights; equal features need an equal one. It
            does not depend on the layers that are computed beside it.
        n_features: Numbers per image.
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
        """Name of the layer; ``layer+layer`` for several."""
        return "+".join(layer.name for layer in self.layers)

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the layer; for several layers, a digest of theirs."""
        prints = [layer.fingerprint for layer in self.layers]
        return prints[0] if len(prints) == 1 else digest({}, *prints)

    @property
    def n_features(self) -> int:
        """Numbers per image, over all layers."""
        return sum(layer.n_features for layer in self.layers)

    @property
    def spec(self) -> str:
        """``name:layer``, as `load_backbone` takes it."""
        return f"{self.name}:{self.layer}"

    @property
    def limit(self) -> int:
        """Most images in one pass: the runtime's ceiling, and on a processor what its caches hold."""
        if self.runtime.device != "cpu":
            return self.runtime.batch
        return min(max(1, CPU_PIXELS // self.preprocessing.size**2), self.runtime.batch)

    def columns(self) -> list[slice]:
        """Columns of the features of each layer."""
        ends = list(accumulate(layer.n_features for layer in self.layers))
        return [slice(end - layer.n_features, end) for end, layer in zip(ends, self.layers, strict=True)]

    def forward(self, images: UInt8[Tensor, "images channels height width"]) -> Float32[Tensor, "images features"]:
        """Features of a batch in one pass, on the device.

        Args:
            images: Grey or colour bytes of any size, on any device.
        """
        # which half precision "auto" may be is found by extract, on images
        precision, kind = self.runtime.precision, torch.device(self.runtime.device).type
        lower = nullcontext() if precision in ("float32", "auto") else torch.autocast(kind, getattr(torch, precision))
        with torch.inference_mode(), lower:
            ready = resized(images.to(self.runtime.device, non_blocking=True), self.preprocessing)
            out: Tensor = self.module(ready.contiguous(memory_format=torch.channels_last))
        return out.float()

    def _by_torch(self, images: Tensor) -> np.ndarray:
        return self.forward(images).cpu().numpy()

    def passes(self, threads: int = 1) -> Forward:
        """One pass after the other, for images of one shape; remembers how many images fit in memory.

        Args:
            threads: Threads that will call it side by side.

        Raises:
            AcqplanError: When called, if not even one image fits.
        """
        limit = self.limit
        if self.runtime.engine == "openvino":
            one_pass = compiled(self.module, self.preprocessing, self.runtime.precision, threads=threads)
        else:
            one_pass = self._by_torch

        def forward(images: Tensor) -> np.ndarray:
            nonlocal limit
            done: list[np.ndarray] = []
            row = 0
            while row < len(images):
                batch = images[row : row + limit]
                try:
                    done.append(one_pass(batch))
                    row += len(batch)
                except RuntimeError as error:
                    if not out_of_memory(error):
                        raise
                    if len(batch) == 1:
                        raise AcqplanError("one image does not fit in memory", "choose a smaller backbone") from error
                    # Half of it is computed outside of this handler, whose traceback holds on to tensors.
                    limit = len(batch) // 2
            return np.concatenate(done)

        return forward

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
        forward = self.passes()
        features = np.empty((len(images), self.n_features), dtype=np.float32)
        if isinstance(images, Tensor):
            return forward(images) if len(images) else features
        by_shape: dict[tuple[int, ...], list[int]] = {}
        for row, image in enumerate(images):
            by_shape.setdefault(image.shape, []).append(row)
        for rows in by_shape.values():
            features[rows] = forward(stack([images[row] for row in rows]))
        return features


def out_of_memory(error: Exception) -> bool:
    """Whether a device or main memory is full; torch has no class of its own for the latter."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)


def load_backbone(spec: str, *, weights: Path | None = None, runtime: Runtime) -> Backbone:
    """Load a frozen network.

    Args:
        spec: ``name``, ``name:layer`` or ``name:layer+layer``, e.g. ``vgg16:fc14`` or, for both in one pass,
            ``vgg16:fc14+fc15``; see `acqplan.features.registry.NETWORKS` and ``ALIASES``.
        weights: File of weights; by default the embedded ones, or torchvision's, downloaded once.
        runtime: Where, in which precision and in which batches it runs.

    Raises:
        BackboneError: If there is no such network or layer; names the nearest.
        WeightsError: If the file of weights cannot be used.
        MissingError: If no file is given and none can be had, or an extra is missing.
    """
    spec = full_name(spec)
    if spec.startswith("timm/"):
        from acqplan.features.timm_networks import build_timm

        built = build_timm(spec, weights=weights)
    else:
        built = build(spec, weights=weights)
    module = Normalised(built.net, built.preprocessing).requires_grad_(False)
    module = module.to(memory_format=torch.channels_last).to(runtime.device)
    size = built.preprocessing.size
    # How many features there are is seen on one black image.
    black = torch.zeros(1, built.preprocessing.channels, size, size, device=runtime.device)
    try:
        with torch.inference_mode():
            n_features = int(module(black).shape[1])
    except (AssertionError, RuntimeError) as error:
        raise WeightsError(
            f"{spec} cannot take images of {size} x {size} pixels, as its file of weights asks for ({error})",
            "correct the metadata 'input' of the file",
        ) from error
    widths = getattr(built.net, "widths", (n_features,))  # of several layers side by side
    layers = tuple(
        Layer(name=name, fingerprint=fingerprint, n_features=width)
        for (name, fingerprint), width in zip(built.fingerprints.items(), widths, strict=True)
    )
    return Backbone(name=built.name, layers=layers, preprocessing=built.preprocessing, module=module, runtime=runtime)
