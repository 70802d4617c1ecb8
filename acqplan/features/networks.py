"""Building a network down to one layer, or to several side by side, with the weights it needs."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float, Num
from torch import Tensor, nn
from torch.nn import functional

from acqplan.errors import BackboneError, MissingError, WeightsError
from acqplan.features.pixels import Preprocessing, parse_input
from acqplan.features.registry import NETWORKS, Cut, find_layers
from acqplan.features.weights import Weights, fill, mismatch, published_weights, read_weights

EMBEDDED = Path(__file__).parent / "embedded"
TIMM = "timm/"
TIMM_LAYER = "pool"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BuiltNetwork:
    """A network with its weights, for normalised images.

    Attributes:
        name: Key of `NETWORKS`, or ``timm/NAME``.
        net: The network in evaluation mode; its output is one layer, or several side by side.
        preprocessing: What the network expects of its input.
        fingerprints: Name of each layer -> SHA-256 of network, layer, preprocessing and weights.
    """

    name: str
    net: nn.Module
    preprocessing: Preprocessing
    fingerprints: Mapping[str, str]


def build(spec: str, *, weights: Path | None) -> BuiltNetwork:
    """Build a network that ends at the layers asked for.

    Args:
        spec: ``name``, ``name:layer`` or ``name:layer+layer``; the name is a key of `NETWORKS` or ``timm/NAME``.
        weights: File of weights; by default the embedded or the published one.

    Raises:
        WeightsError: If the file cannot be used for this network.
        MissingError: If no file is given and none can be had, or timm is not installed.
        BackboneError: If there is no such network or layer, or a file is given for features without weights.
    """
    built = _build_timm(spec, weights) if spec.startswith(TIMM) else _build_known(spec, weights)
    first = next((part for part in built.net.modules() if isinstance(part, nn.Conv2d)), None)
    if first is not None and first.in_channels != built.preprocessing.channels:
        raise WeightsError(
            f"input '{built.preprocessing}' was asked for, but the network takes {first.in_channels} channel(s)",
            "correct the metadata 'input' of the file of weights",
        )
    return built


def cut(net: nn.Module, parts: Cut) -> None:
    """Cut away what comes after a layer: of each part only its first children stay."""
    for part, kept in parts.items():
        whole = getattr(net, part)
        setattr(net, part, whole[:kept] if isinstance(whole, nn.Sequential) else nn.Sequential())


def digest(tensors: Mapping[str, Tensor], *names: str) -> str:
    """SHA-256 over names and every tensor of a network, as 64 hexadecimal digits."""
    sha = hashlib.sha256("\x1f".join(names).encode())
    for key, tensor in tensors.items():
        sha.update(f"\x1f{key} {tensor.dtype} {list(tensor.shape)}\x1f".encode())
        sha.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return sha.hexdigest()


class SeveralLayers(nn.Module):
    """A network that gives several of its layers side by side.

    Args:
        net: The network down to its deepest layer.
        order: Names of the layers in the order asked; all but one are keys of ``shallow``.
        shallow: For each layer but the deepest, the parts that a network which ends there lacks.
    """

    def __init__(self, net: nn.Module, order: tuple[str, ...], shallow: Mapping[str, Cut]) -> None:
        super().__init__()
        self.net, self.order = net, order
        self.taken: dict[str, Tensor] = {}
        self.widths: tuple[int, ...] = ()
        for layer, parts in shallow.items():
            # The layer is what enters the first part cut away, or what leaves the last child that stays of it.
            name, kept = next(iter(parts.items()))
            part = net.get_submodule(name)
            if kept:
                part.get_submodule(str(kept - 1)).register_forward_hook(partial(self._keep_output, layer))
            else:
                part.register_forward_pre_hook(partial(self._keep_input, layer))

    def forward(self, x: Num[Tensor, "images channels height width"]) -> Float[Tensor, "images features"]:
        """Features of all layers in the order asked, float32; ``widths`` says how many each has."""
        deepest = self.net(x)
        layers = [self.taken.pop(layer, deepest).float() for layer in self.order]
        self.widths = tuple(layer.shape[1] for layer in layers)
        return torch.cat(layers, 1)

    def _keep_output(self, layer: str, _module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        self.taken[layer] = _pooled(output)

    def _keep_input(self, layer: str, _module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self.taken[layer] = _pooled(inputs[0])


def _pooled(out: Tensor) -> Float[Tensor, "images features"]:
    """The mean over positions, as every network of the registry ends when it is cut."""
    return functional.adaptive_avg_pool2d(out, 1).flatten(1) if out.ndim == 4 else out


def _build_known(spec: str, weights: Path | None) -> BuiltNetwork:
    name, layers = find_layers(spec)
    network = NETWORKS[name]
    deepest = max(layers, key=list(network.layers).index)
    if network.weights == "none":
        if weights is not None:
            raise BackboneError(f"{name} has no weights, but {weights} was given", "leave out --weights")
        net, text = _make(name), network.input
        cut(net, network.layers[deepest])
    else:
        embedded = EMBEDDED / f"{name}.safetensors"
        if weights is None and network.weights == "embedded" and not embedded.exists():
            raise MissingError(
                f"{embedded} (3 MB), the embedded weights, is not here",
                "install acqplan again, or name a file of weights with --weights",
            )
        default = embedded if network.weights == "embedded" else None
        loaded = read_weights(weights or default or published_weights(name))
        net, text = _filled(name, network.layers[deepest], loaded), loaded.metadata.get("input", network.input)
    preprocessing, tensors = parse_input(text), net.state_dict()
    fingerprints = {
        layer: digest(
            {key: tensors[key] for key in _hollow(name, network.layers[layer]).state_dict()},
            name,
            layer,
            str(preprocessing),
        )
        for layer in layers
    }
    if len(layers) > 1:
        net = SeveralLayers(net, layers, {layer: network.layers[layer] for layer in layers if layer != deepest})
    return BuiltNetwork(name=name, net=net.eval(), preprocessing=preprocessing, fingerprints=fingerprints)


def _make(name: str) -> nn.Module:
    module, _, function = NETWORKS[name].make.partition(":")
    made: nn.Module = getattr(importlib.import_module(module), function)()
    return made


def _hollow(name: str, parts: Cut) -> nn.Module:
    """A network of shapes without values: made at once, and no random number is drawn."""
    with torch.device("meta"):
        net = _make(name)
    cut(net, parts)
    return net


def _filled(name: str, parts: Cut, weights: Weights) -> nn.Module:
    net = _hollow(name, {})
    problem = mismatch(net, weights, needed=set(_hollow(name, parts).state_dict()))
    if problem:
        guess = weights.metadata.get("architecture") or _guess(weights)
        raise WeightsError(
            f"{weights.path}: not the weights of {name}: {problem}" + (f"; the file holds {guess}" if guess else ""),
            "give a --backbone and --weights that belong together",
        )
    fill(net, weights)
    cut(net, parts)
    return net


def _guess(weights: Weights) -> str:
    """The network of the registry that has exactly these tensors; empty if none has."""
    found = {name: tensor.shape for name, tensor in weights.tensors.items()}
    for name, network in NETWORKS.items():
        if network.weights != "none":
            own = {key: tensor.shape for key, tensor in _hollow(name, {}).state_dict().items()}
            if own == found:
                return name
    return ""


def _build_timm(spec: str, weights: Path | None) -> BuiltNetwork:
    """A network of timm without its classifier; weights are downloaded by timm unless a file is given."""
    full, _, layer = spec.partition(":")
    name = full.removeprefix(TIMM)
    if importlib.util.find_spec("timm") is None:
        raise MissingError(f"{full} needs timm, which is not installed", "pip install 'acqplan[timm]'")
    if layer not in ("", TIMM_LAYER):
        raise BackboneError(f"{full} has no layer '{layer}'", f"known: {TIMM_LAYER}")
    import timm
    import timm.data

    if name not in timm.list_models():
        similar = difflib.get_close_matches(name, timm.list_models(), n=5, cutoff=0.4)
        raise BackboneError(f"timm has no network '{name}'", f"similar: {', '.join(similar) or 'none'}")
    try:
        net = timm.create_model(name, pretrained=weights is None, num_classes=0)
    except (OSError, RuntimeError) as error:
        raise MissingError(
            f"the weights of {full} cannot be downloaded ({error})", "name a file of them with --weights"
        ) from error
    if weights is not None:
        found, head = read_weights(weights), f"{net.pretrained_cfg.get('classifier', '')}."
        kept = replace(found, tensors={key: value for key, value in found.tensors.items() if not key.startswith(head)})
        problem = mismatch(net, kept, needed=set(net.state_dict()))
        if problem:
            raise WeightsError(f"{weights}: not the weights of {full}: {problem}", "give a file that belongs to it")
        fill(net, kept)
    config = timm.data.resolve_model_data_config(net)
    channels, size, _ = config["input_size"]
    preprocessing = Preprocessing(channels=channels, size=size, mean=tuple(config["mean"]), std=tuple(config["std"]))
    fingerprints = {TIMM_LAYER: digest(net.state_dict(), full, TIMM_LAYER, str(preprocessing))}
    return BuiltNetwork(name=full, net=net.eval(), preprocessing=preprocessing, fingerprints=fingerprints)
