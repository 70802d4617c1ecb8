"""Backbones: frozen networks, and layers of them, that turn images into features."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor, nn

from acqplan.errors import WeightsError
from acqplan.features.compiled import compile_module
from acqplan.features.forward import Forward, Images, compute_all
from acqplan.features.memory import Room
from acqplan.features.networks import build, digest, fold_normalisation, tensor_names
from acqplan.features.pixels import Preprocessing, resized
from acqplan.features.taps import Tapped
from acqplan.features.timm_networks import LAYER, PREFIX, build_timm
from acqplan.features.zoo import NETWORKS, find_layers
from acqplan.runtime import Runtime

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
            ``vgg16:fc14+fc15``; see `acqplan.features.zoo.NETWORKS`.
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
