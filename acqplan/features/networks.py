"""Building a network down to one of its layers, with the weights it needs."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from acqplan.errors import BackboneError, MissingError, WeightsError
from acqplan.features.pixels import FoldedConv, Normalised, Preprocessing, parse_input
from acqplan.features.registry import NETWORKS, Cut, Network
from acqplan.features.weights import Weights, fill, mismatch, published_weights, read_weights

EMBEDDED = Path(__file__).parent / "embedded"


def build(name: str, layer: str, *, weights: Path | None) -> tuple[nn.Module, Preprocessing]:
    """A network of the registry whose output is one of its layers.

    Args:
        name: Key of `NETWORKS`.
        layer: One of that network's layers.
        weights: File of weights; by default the embedded or the published one.

    Returns:
        The network in evaluation mode, for normalised images, and what it expects of them.

    Raises:
        WeightsError: If the file cannot be used for this network.
        MissingError: If no file is given and none can be had.
        BackboneError: If a file is given for features that have no weights.
    """
    network = NETWORKS[name]
    if network.weights == "none":
        _refuse(name, weights)
        net = _maker(network)()
        cut(net, network.layers[layer])
        return net.eval(), parse_input(network.input)
    loaded = read_weights(weights or _default_weights(name, network))
    net = _filled(name, network.layers[layer], loaded)
    return net.eval(), parse_input(loaded.metadata.get("input", network.input))


def cut(net: nn.Module, parts: Cut) -> None:
    """Cut away what comes after a layer: of each part only its first children stay."""
    for part, kept in parts.items():
        whole = getattr(net, part)
        setattr(net, part, whole[:kept] if isinstance(whole, nn.Sequential) else nn.Sequential())


def tensor_names(name: str, layer: str) -> list[str]:
    """Tensors of a network of the registry that ends at a layer, in its order."""
    net = _hollow(name)
    cut(net, NETWORKS[name].layers[layer])
    return list(net.state_dict())


def digest(tensors: Mapping[str, Tensor], *names: str) -> str:
    """SHA-256 over names and every tensor of a network, as 64 hexadecimal digits."""
    sha = hashlib.sha256("\x1f".join(names).encode())
    for key, tensor in tensors.items():
        sha.update(f"\x1f{key} {tensor.dtype} {list(tensor.shape)}\x1f".encode())
        sha.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return sha.hexdigest()


def fold_normalisation(net: nn.Module, preprocessing: Preprocessing) -> nn.Module:
    """The network for values in ``0 .. 255``, of grey or colour images.

    The normalisation goes into the first convolution (``net`` is changed), or before a network whose first
    convolution is of a special kind; a network without one takes the values as they are.

    Raises:
        WeightsError: If the network takes another number of channels.
    """
    key, first = next(((key, part) for key, part in net.named_modules() if isinstance(part, nn.Conv2d)), ("", None))
    if first is None:
        return net
    if first.in_channels != preprocessing.channels:
        raise WeightsError(
            f"input '{preprocessing}' was asked for, but the network takes {first.in_channels} channel(s)",
            "correct the metadata 'input' of the file of weights",
        )
    if type(first) is not nn.Conv2d or first.padding_mode != "zeros" or first.groups != 1:
        return Normalised(net, preprocessing)
    parent, _, leaf = key.rpartition(".")
    setattr(net.get_submodule(parent), leaf, FoldedConv(first, preprocessing))
    return net


def _refuse(name: str, weights: Path | None) -> None:
    if weights is not None:
        raise BackboneError(f"{name} has no weights, but {weights} was given", "leave out --weights")


def _default_weights(name: str, network: Network) -> Path:
    if network.weights == "torchvision":
        return published_weights(name)
    path = EMBEDDED / f"{name}.safetensors"
    if not path.exists():
        raise MissingError(
            f"{path} (3 MB), the embedded weights, is not here",
            "install acqplan again, make it by python -m benchmarks.toyshop.pretrain, or name a file with --weights",
        )
    return path


def _filled(name: str, parts: Cut, weights: Weights) -> nn.Module:
    net, shortened = _hollow(name), _hollow(name)
    cut(shortened, parts)
    problem = mismatch(net, weights, needed=set(shortened.state_dict()))
    if problem:
        guess = weights.metadata.get("architecture") or _guess(weights)
        raise WeightsError(
            f"{weights.path}: not the weights of {name}: {problem}" + (f"; the file holds {guess}" if guess else ""),
            "give a --backbone and --weights that belong together",
        )
    fill(net, weights)
    cut(net, parts)
    return net


def _hollow(name: str) -> nn.Module:
    """A network of shapes without values: made at once, and no random number is drawn."""
    with torch.device("meta"):
        return _maker(NETWORKS[name])()


def _maker(network: Network) -> Callable[[], nn.Module]:
    module, _, function = network.make.partition(":")
    made: Callable[[], nn.Module] = getattr(importlib.import_module(module), function)
    return made


def _guess(weights: Weights) -> str:
    """Which network of the registry has exactly these tensors; empty if none has."""
    found = {name: tensor.shape for name, tensor in weights.tensors.items()}
    for name, network in NETWORKS.items():
        if network.weights != "none":
            own = {key: tensor.shape for key, tensor in _hollow(name).state_dict().items()}
            if own == found:
                return name
    return ""


PREFIX = "timm/"
LAYER = "pool"


def build_timm(name: str, layer: str, *, weights: Path | None) -> tuple[nn.Module, Preprocessing]:
    """A network of timm without its classifier.

    Args:
        name: As timm calls it, without ``timm/``.
        layer: ``pool`` or empty.
        weights: File of weights; by default timm's own download.

    Raises:
        MissingError: If timm is not installed, or its weights cannot be had.
        BackboneError: If timm has no such network, or another layer is asked for.
        WeightsError: If the file cannot be used for this network.
    """
    if importlib.util.find_spec("timm") is None:
        raise MissingError(f"{PREFIX}{name} needs timm, which is not installed", "pip install 'acqplan[timm]'")
    if layer not in ("", LAYER):
        raise BackboneError(f"{PREFIX}{name} has no layer '{layer}'", f"known: {LAYER}")
    net = _created(name, pretrained=weights is None)
    if weights is not None:
        _fill_without_classifier(net, name, weights)
    return net.eval(), _preprocessing(net)


def _created(name: str, *, pretrained: bool) -> Any:
    import timm

    if name not in timm.list_models():
        similar = difflib.get_close_matches(name, timm.list_models(), n=5, cutoff=0.4)
        raise BackboneError(f"timm has no network '{name}'", f"similar: {', '.join(similar) or 'none'}")
    try:
        return timm.create_model(name, pretrained=pretrained, num_classes=0)
    except (OSError, RuntimeError) as error:
        raise MissingError(
            f"the weights of {PREFIX}{name} cannot be downloaded ({error})", "name a file of them with --weights"
        ) from error


def _fill_without_classifier(net: Any, name: str, path: Path) -> None:
    found = read_weights(path)
    head = f"{net.pretrained_cfg.get('classifier', '')}."
    kept = replace(found, tensors={key: value for key, value in found.tensors.items() if not key.startswith(head)})
    problem = mismatch(net, kept, needed=set(net.state_dict()))
    if problem:
        raise WeightsError(f"{path}: not the weights of {PREFIX}{name}: {problem}", "give a file that belongs to it")
    fill(net, kept)


def _preprocessing(net: Any) -> Preprocessing:
    import timm.data

    config = timm.data.resolve_model_data_config(net)
    channels, size, _ = config["input_size"]
    return Preprocessing(channels=channels, size=size, mean=tuple(config["mean"]), std=tuple(config["std"]))
