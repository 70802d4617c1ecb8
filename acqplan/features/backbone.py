"""Backbones: frozen networks, and layers of them, that turn images into features."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor, nn

from acqplan.errors import WeightsError
from acqplan.features.forward import Images, compute_all
from acqplan.features.networks import build, digest, fold_normalisation
from acqplan.features.pixels import Preprocessing, resized
from acqplan.features.timm_networks import LAYER, PREFIX, build_timm
from acqplan.features.zoo import find_layer
from acqplan.runtime import Runtime

CPU_PIXELS = 64 * 96 * 96
"""Pixels of a batch on a processor: what lies in its caches from layer to layer runs fastest (toynet in
batches of 64 ran 1.1 to 3.9 times as fast as of 256, measured on 2 cores)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Backbone:
    """A frozen network down to one layer, on a device.

    Attributes:
        name: Key of the registry, or ``timm/NAME``.
        layer: The layer whose output the features are.
        fingerprint: SHA-256 of name, layer, preprocessing and weights; equal features need an equal one.
        n_features: Numbers of an image.
        preprocessing: What the network expects of its input.
        module: The network, on the device of ``runtime``; takes ``[images, 1 or 3, size, size]`` in ``0 .. 255``.
        runtime: Where, in which precision and in which batches it runs.
    """

    name: str
    layer: str
    fingerprint: str
    n_features: int
    preprocessing: Preprocessing
    module: nn.Module
    runtime: Runtime

    @property
    def spec(self) -> str:
        """``name:layer``, as `load_backbone` takes it."""
        return f"{self.name}:{self.layer}"

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
        return compute_all(self.forward, images, limit=self.limit, n_features=self.n_features)

    def _autocast(self) -> AbstractContextManager[object]:
        if self.runtime.precision == "float32":
            return nullcontext()
        return torch.autocast(torch.device(self.runtime.device).type, dtype=getattr(torch, self.runtime.precision))


def load_backbone(spec: str, *, weights: Path | None = None, runtime: Runtime) -> Backbone:
    """Load a frozen network.

    Args:
        spec: ``name`` or ``name:layer``, e.g. ``vgg16:fc14``; see `acqplan.features.zoo.NETWORKS`.
        weights: File of weights; by default the embedded ones, or torchvision's, downloaded once.
        runtime: Where, in which precision and in which batches it runs.

    Raises:
        BackboneError: If there is no such network or layer; names the nearest.
        WeightsError: If the file of weights cannot be used.
        MissingError: If no file is given and none can be had, or an extra is missing.
    """
    name, net, layer, preprocessing = _built(spec, weights)
    fingerprint = digest(net, name, layer, str(preprocessing))
    folded = fold_normalisation(net, preprocessing).requires_grad_(False)
    module = folded.to(memory_format=torch.channels_last).to(runtime.device)
    return Backbone(
        name=name,
        layer=layer,
        fingerprint=fingerprint,
        n_features=_count_features(module, preprocessing, runtime.device, spec),
        preprocessing=preprocessing,
        module=module,
        runtime=runtime,
    )


def _built(spec: str, weights: Path | None) -> tuple[str, nn.Module, str, Preprocessing]:
    if spec.startswith(PREFIX):
        name, _, layer = spec.partition(":")
        net, preprocessing = build_timm(name.removeprefix(PREFIX), layer, weights=weights)
        return name, net, LAYER, preprocessing
    name, layer = find_layer(spec)
    net, preprocessing = build(name, layer, weights=weights)
    return name, net, layer, preprocessing


def _count_features(module: nn.Module, preprocessing: Preprocessing, device: str, spec: str) -> int:
    """By looking at one black image."""
    black = torch.zeros(1, preprocessing.channels, preprocessing.size, preprocessing.size, device=device)
    try:
        with torch.inference_mode():
            return int(module(black).shape[1])
    except (AssertionError, RuntimeError) as error:
        size = preprocessing.size
        raise WeightsError(
            f"{spec} cannot take images of {size} x {size} pixels, as its file of weights asks for ({error})",
            "correct the metadata 'input' of the file",
        ) from error
