"""A network as an ordered list of stages, so that a lower part can stay frozen and the rest be trained."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from acqplan.errors import BackboneError
from acqplan.features.backbone import Backbone, Layer
from acqplan.features.networks import digest
from acqplan.features.pixels import Normalised
from acqplan.features.timm_networks import POOL, TimmLayers

# Children whose own children are stages: what torchvision and timm call a chain of equal parts.
CHAINS = ("features", "classifier", "blocks")
NORMALISATIONS = (_BatchNorm, nn.GroupNorm, nn.LayerNorm)


def stages_of(net: nn.Module, example: Float[Tensor, "images channels height width"]) -> list[nn.Sequential]:
    """Divide a network into stages: one after the other they compute what it computes.

    Its children in order, those of `CHAINS` replaced by theirs, are its parts. A part with weights begins a stage;
    normalisations, activations and pooling belong to the stage before them. Where a network averages over positions,
    or lays them side by side, in its own code, the stage before does so.

    Args:
        net: A network in evaluation mode; the stages share its tensors.
        example: Images as the network takes them, with which this is checked.

    Raises:
        BackboneError: If the stages compute something else, e.g. because parts are skipped or used twice.
    """
    if isinstance(net, TimmLayers):
        raise BackboneError("a middle layer of a network of timm cannot be divided", "name its pool, timm/NAME")
    parts = list[nn.Module]()
    for name, child in net.named_children():
        parts += list(child.children()) if name in CHAINS and isinstance(child, nn.Sequential) else [child]
    stages, begun = list[list[nn.Module]](), False
    with torch.no_grad():
        x = example
        try:
            wanted = net(example)
            for part in parts:
                is_heavy = any(True for _ in part.parameters()) and not isinstance(part, NORMALISATIONS)
                if isinstance(part, nn.Linear) and x.ndim == 4:
                    stages[-1].append(_joined(x, part.in_features))
                    x = stages[-1][-1](x)
                if not stages or (is_heavy and begun):
                    stages.append([])
                begun |= is_heavy
                stages[-1].append(part)
                x = part(x)
            if x.ndim == 4 and wanted.ndim == 2:
                stages[-1].append(_joined(x, wanted.shape[1]))
                x = stages[-1][-1](x)
            is_same = x.shape == wanted.shape and torch.allclose(x, wanted, rtol=1e-3, atol=1e-4)
        except Exception:  # what is no chain fails in any way
            is_same = False
    if not is_same:
        raise BackboneError(f"{type(net).__name__} is not a chain of its parts", "choose e.g. resnet18 or mobilenet_v2")
    return [nn.Sequential(*stage) for stage in stages]


def _joined(x: Float[Tensor, "images channels height width"], width: int) -> nn.Module:
    """What makes so many numbers of channels at positions: all of them, or their means."""
    return nn.Flatten() if x[0].numel() == width else nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())


def keep_statistics(net: nn.Module) -> None:
    """Put a network in training mode, but for batch normalisation, whose running statistics stay as they are."""
    for part in net.train().modules():
        if isinstance(part, _BatchNorm):
            part.eval()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Divided:
    """A backbone in two parts.

    Attributes:
        lower: The stages that stay as they are; its features are the inputs of the upper part, laid flat.
        upper: The last stages, as deep as was asked; of none, it gives back its input.
        shape: Shape of one input of the upper part.
        n_features: Numbers per image that leave the upper part.
    """

    lower: Backbone
    upper: Sequence[nn.Sequential]
    shape: tuple[int, ...]
    n_features: int


def divide(backbone: Backbone, n_upper: int) -> Divided:
    """Divide a backbone before its last stages.

    Args:
        backbone: A backbone of one layer.
        n_upper: How many of its stages are in the upper part, from 0.

    Raises:
        BackboneError: If it has fewer stages, several layers, or is no chain of stages.
    """
    if len(backbone.layers) > 1 or not isinstance(backbone.module, Normalised):
        raise BackboneError(f"{backbone.spec}: several layers cannot be divided", "name one layer")
    preprocessing = backbone.preprocessing
    shape = (1, preprocessing.channels, preprocessing.size, preprocessing.size)
    draw = torch.Generator().manual_seed(0)
    example = torch.randn(shape, generator=draw).to(backbone.runtime.device, memory_format=torch.channels_last)
    net = backbone.module.net
    if isinstance(net, TimmLayers) and net.order == (POOL,):
        net = net.net  # of other layers timm cuts out none of what comes after them
    stages = stages_of(net, example)
    if not 0 <= n_upper <= len(stages):
        raise BackboneError(
            f"{n_upper} stages of {backbone.spec} to train, which has {len(stages)}", f"give 0 to {len(stages)}"
        )
    cut = len(stages) - n_upper
    below = nn.Sequential(*stages[:cut])
    with torch.no_grad():
        inner = tuple(below(example).shape[1:])
    module = Normalised(nn.Sequential(below, nn.Flatten()), preprocessing).to(backbone.runtime.device)
    layer = Layer(
        name=f"{backbone.layer}-{n_upper}",
        fingerprint=digest({}, backbone.fingerprint, f"input of the last {n_upper} stages"),
        n_features=math.prod(inner),
    )
    lower = replace(backbone, layers=(layer,), module=module.eval().requires_grad_(False))
    return Divided(lower=lower, upper=stages[cut:], shape=inner, n_features=backbone.n_features)
