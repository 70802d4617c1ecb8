"""Networks by name: their layers, sizes and weights; loads no torch.

``caffenet:fc6``, ``caffenet:fc7``, ``vgg16:fc14`` and ``vgg16:fc15`` are those of the smallNORB thesis, all after ReLU.
It took VGG's own weights of 2014 in Caffe's style (BGR, pixels of 0 .. 255 less their mean 103.939 116.779 123.68);
those of torchvision are of the same network trained anew, for RGB scaled to unit deviation. VGG's own work too, as a
.safetensors of torchvision's names whose metadata ``input`` says ``BGR 224, mean ..., std 0.00392156862745098``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from acqplan.errors import BackboneError, nearest

# Part of a network -> how many of its children stay; a part with none left passes its input on.
Cut = Mapping[str, int]
WeightSource = Literal["torchvision", "embedded", "caffe", "none"]

WHOLE: Cut = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """One architecture.

    Attributes:
        make: ``module:function`` that builds it without weights.
        weights: Where its weights come from if no file is given.
        layers: What to cut away so that the output of the network is that layer, pooled over positions. Layers and
            the parts of each are in the order in which an image passes them.
        default: The layer if none is named.
        n_features: Numbers per image at that layer.
        n_weights: Numbers in a file of weights of the whole network, about; four bytes each.
        aliases: Other names of layers.
        input: Preprocessing in the grammar of `acqplan.features.pixels.parse_input`.
    """

    make: str
    weights: WeightSource = "torchvision"
    layers: Mapping[str, Cut]
    default: str
    n_features: int
    n_weights: int
    aliases: Mapping[str, str] = field(default_factory=dict)
    input: str = "RGB 224, mean 0.485 0.456 0.406, std 0.229 0.224 0.225"


_RESNET: Mapping[str, Cut] = {
    "layer1": {"layer2": 0, "layer3": 0, "layer4": 0, "fc": 0},
    "layer2": {"layer3": 0, "layer4": 0, "fc": 0},
    "layer3": {"layer4": 0, "fc": 0},
    "avgpool": {"fc": 0},
    "logits": WHOLE,
}
_TOYNET: Mapping[str, Cut] = {
    "stage2": {"stage3": 0, "stage4": 0, "mix": 0},
    "stage3": {"stage4": 0, "mix": 0},
    "pool": WHOLE,
}
_TOYNET_INPUT = "grey 96, mean 0.5, std 0.25"

NETWORKS: Mapping[str, Network] = {
    "alexnet": Network(
        make="torchvision.models:alexnet",
        layers={"fc6": {"classifier": 3}, "fc7": {"classifier": 6}, "logits": WHOLE},
        default="fc7",
        n_features=4096,
        n_weights=61_100_840,
    ),
    "caffenet": Network(
        make="acqplan.features.caffenet:CaffeNet",
        weights="caffe",
        layers={"fc6": {"fc7": 0, "fc8": 0}, "fc7": {"fc8": 0}, "logits": WHOLE},
        default="fc7",
        n_features=4096,
        n_weights=60_965_224,
        # mean pixel of ImageNet and no scale, as in Caffe
        input=f"BGR 227, mean {104.0070 / 255} {116.6688 / 255} {122.6789 / 255}, std {1 / 255}",
    ),
    "convnext_tiny": Network(
        make="torchvision.models:convnext_tiny",
        layers={"pool": {"classifier": 2}, "logits": WHOLE},
        default="pool",
        n_features=768,
        n_weights=28_589_128,
    ),
    "histogram": Network(
        make="acqplan.features.pixels:Histogram",
        weights="none",
        layers={"cells": WHOLE},
        default="cells",
        n_features=576,
        n_weights=0,
        input="grey 96, mean 0, std 1",
    ),
    "mobilenet_v2": Network(
        make="torchvision.models:mobilenet_v2",
        layers={"block13": {"features": 14, "classifier": 0}, "pool": {"classifier": 0}, "logits": WHOLE},
        default="pool",
        n_features=1280,
        n_weights=3_504_872,
    ),
    "mobilenet_v3_small": Network(
        make="torchvision.models:mobilenet_v3_small",
        layers={"pool": {"classifier": 0}, "logits": WHOLE},
        default="pool",
        n_features=576,
        n_weights=2_542_856,
    ),
    "resnet18": Network(
        make="torchvision.models:resnet18",
        layers=_RESNET,
        default="avgpool",
        n_features=512,
        n_weights=11_689_512,
        aliases={"layer4": "avgpool"},
    ),
    "resnet50": Network(
        make="torchvision.models:resnet50",
        layers=_RESNET,
        default="avgpool",
        n_features=2048,
        n_weights=25_557_032,
        aliases={"layer4": "avgpool"},
    ),
    "toynet": Network(
        make="acqplan.features.toynet:plain",
        weights="embedded",
        layers=_TOYNET,
        default="pool",
        n_features=256,
        n_weights=1_427_816,
        input=_TOYNET_INPUT,
    ),
    "toynet-untrained": Network(
        make="acqplan.features.toynet:untrained",
        weights="none",
        layers=_TOYNET,
        default="pool",
        n_features=256,
        n_weights=1_427_816,
        input=_TOYNET_INPUT,
    ),
    "vgg16": Network(
        make="torchvision.models:vgg16",
        layers={"fc14": {"classifier": 2}, "fc15": {"classifier": 5}, "logits": WHOLE},
        default="fc15",
        n_features=4096,
        n_weights=138_357_544,
        aliases={"fc6": "fc14", "fc7": "fc15"},
    ),
    "vit_b_16": Network(
        make="torchvision.models:vit_b_16",
        layers={"pool": {"heads": 0}, "logits": WHOLE},
        default="pool",
        n_features=768,
        n_weights=86_567_656,
    ),
}


# Networks of timm that people know by a shorter name.
ALIASES: Mapping[str, str] = {
    "clip": "timm/vit_base_patch16_clip_224.openai",
    "dinov2": "timm/vit_small_patch14_dinov2.lvd142m",
}


def full_name(spec: str) -> str:
    """A backbone with its alias resolved: ``timm/vit_small_patch14_dinov2.lvd142m:LAYER`` for ``dinov2:LAYER``."""
    name, mark, layer = spec.partition(":")
    return ALIASES.get(name, name) + mark + layer


def needs_file(spec: str) -> bool:
    """Whether the weights of a backbone come from outside, so that they may be missing or wrong."""
    network = NETWORKS.get(full_name(spec).partition(":")[0])
    return network is None or network.weights not in ("embedded", "none")


def find_layers(spec: str) -> tuple[str, tuple[str, ...]]:
    """Read ``name``, ``name:layer`` or ``name:layer+layer``.

    Returns:
        Name of the network, and names of its layers (aliases resolved) in the order asked, none twice.

    Raises:
        BackboneError: If there is no such network or layer; names the nearest.
    """
    name, _, asked = spec.partition(":")
    if name not in NETWORKS:
        # only timm has names with tags, such as resnet18.a1_in1k
        timm = asked.removeprefix("timm/") if name in ("hf-hub", "hf_hub") else name if "." in name else ""
        hint = f"did you mean 'timm/{timm}'?" if timm else nearest(name, [*NETWORKS, *ALIASES, "timm/NAME"])
        raise BackboneError(f"no backbone is called '{name}'", hint)
    network, layers = NETWORKS[name], []
    for layer in asked.split("+"):
        layers.append(network.aliases.get(layer, layer) or network.default)
        if layers[-1] not in network.layers:
            raise BackboneError(f"{name} has no layer '{layer}'", nearest(layer, [*network.layers, *network.aliases]))
    return name, tuple(dict.fromkeys(layers))
