"""Building a network down to one layer, or to several side by side, with its weights.

Files of weights come from anywhere: nothing in them is executed.
"""

from __future__ import annotations

import hashlib
import importlib
import pickle
import socket
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import get_ident

import torch
from jaxtyping import Float, Num
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn import functional

from acqplan.errors import BackboneError, MissingError, WeightsError
from acqplan.features.caffemodel import read_caffemodel, reference_weights
from acqplan.features.pixels import Preprocessing, parse_input
from acqplan.features.registry import NETWORKS, Cut, find_layers
from acqplan.files import open_file, unpacks_to_far_more

EMBEDDED = Path(__file__).parent / "embedded"

SUFFIXES = (".safetensors", ".pth", ".pt", ".caffemodel")
COUNTER = "num_batches_tracked"
# Under these names training programs keep the state of a network beside others.
WRAPPERS = ("state_dict", "model_state_dict", "model", "network", "net", "weights")
# What nn.DataParallel, torch.compile and Lightning put before all names.
PREFIXES = ("module.", "_orig_mod.", "model.")

# The first release of each network's weights. The later ones classify ImageNet better, but the losses and augmentations
# that make them so make frozen features transfer worse (Kornblith et al., NeurIPS 2021).
RELEASE = "IMAGENET1K_V1"
# A network that swallows packets shall not hold the program for minutes.
PATIENCE_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BuiltNetwork:
    """A network with its weights, for normalised images."""

    name: str  # key of `NETWORKS`, or timm/NAME
    net: nn.Module  # the network in evaluation mode; its output is one layer, or several side by side
    preprocessing: Preprocessing  # what the network expects of its input
    fingerprints: Mapping[str, str]  # name of each layer -> SHA-256 of network, layer, preprocessing and weights


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
        self.net, self.order, self.shallow = net, order, frozenset(shallow)
        # by thread too: several threads pass batches of their own through one network
        self.taken: dict[tuple[int, str], Tensor] = {}
        self.widths: tuple[int, ...] = ()
        for layer, parts in shallow.items():
            # The layer is what enters the first part cut away, or what leaves the last child that stays of it.
            name, kept = next(iter(parts.items()))
            part = net.get_submodule(name)
            if kept:
                part.get_submodule(str(kept - 1)).register_forward_hook(partial(self._keep, layer))
            else:
                part.register_forward_pre_hook(partial(self._keep, layer))

    def forward(self, x: Num[Tensor, "images channels height width"]) -> Float[Tensor, "images features"]:
        """Features of all layers in the order asked, float32; ``widths`` says how many each has."""
        deepest = self.net(x)
        here = get_ident()
        layers = [self.taken.pop((here, name)) if name in self.shallow else deepest for name in self.order]
        self.widths = tuple(layer.shape[1] for layer in layers)
        return torch.cat([layer.float() for layer in layers], 1)

    def _keep(self, layer: str, _module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor | None = None) -> None:
        """Keep a layer, its mean over positions, as every network of the registry ends when it is cut.

        Hooks are methods, because networks travel to other processes by pickle.
        """
        out = inputs[0] if output is None else output
        self.taken[get_ident(), layer] = functional.adaptive_avg_pool2d(out, 1).flatten(1) if out.ndim == 4 else out


def build(spec: str, *, weights: Path | None) -> BuiltNetwork:
    """Build a network of the registry, down to the deepest of the layers asked for.

    Args:
        spec: ``name``, ``name:layer`` or ``name:layer+layer``; the name is a key of `NETWORKS`.
        weights: File of weights; by default the embedded or the published one.

    Raises:
        WeightsError: If the file cannot be used for this network.
        MissingError: If no file is given and none can be had.
        BackboneError: If there is no such network or layer, or a file is given for features without weights.
    """
    name, layers = find_layers(spec)
    network = NETWORKS[name]
    deepest = max(layers, key=list(network.layers).index)
    text = network.input
    if network.weights == "none":
        if weights is not None:
            raise BackboneError(f"{name} has no weights, but {weights} was given", "leave out --weights")
        net = make_network(name)
    else:
        embedded = EMBEDDED / f"{name}.safetensors"
        if weights is None and network.weights == "embedded" and not embedded.exists():
            raise MissingError(
                f"{embedded} (3 MB), the embedded weights, is not here",
                "install acqplan again, or name a file of weights with --weights",
            )
        default = embedded if network.weights == "embedded" else None
        loaded = read_weights(weights or default or published_weights(name))
        net, text = _hollow(name, {}), loaded.metadata.get("input", text)
        problem = fill(net, loaded, needed=set(_hollow(name, network.layers[deepest]).state_dict()))
        if problem:
            guess = loaded.metadata.get("architecture") or _guess(loaded)
            raise WeightsError(
                f"{loaded.path}: not the weights of {name}: {problem}" + (f"; the file holds {guess}" if guess else ""),
                "give a --backbone and --weights that belong together",
            )
    cut(net, network.layers[deepest])
    preprocessing, tensors, fingerprints = parse_input(text), net.state_dict(), {}
    for layer in layers:
        own = {key: tensors[key] for key in _hollow(name, network.layers[layer]).state_dict()}
        fingerprints[layer] = digest(own, name, layer, str(preprocessing))
    first = next((part for part in net.modules() if isinstance(part, nn.Conv2d)), None)
    if first is not None and first.in_channels != preprocessing.channels:
        raise WeightsError(
            f"input '{preprocessing}' was asked for, but the network takes {first.in_channels} channel(s)",
            "correct the metadata 'input' of the file of weights",
        )
    if len(layers) > 1:
        net = SeveralLayers(net, layers, {layer: network.layers[layer] for layer in layers if layer != deepest})
    return BuiltNetwork(name=name, net=net.eval(), preprocessing=preprocessing, fingerprints=fingerprints)


def make_network(name: str) -> nn.Module:
    """A network of the registry with the weights it starts training from."""
    module, _, function = NETWORKS[name].make.partition(":")
    made: nn.Module = getattr(importlib.import_module(module), function)()
    return made


def _hollow(name: str, parts: Cut) -> nn.Module:
    """A network of shapes without values: made at once, and no random number is drawn."""
    with torch.device("meta"):
        net = make_network(name)
    cut(net, parts)
    return net


def _guess(weights: Weights) -> str:
    """The network of the registry that has exactly these tensors; empty if none has."""
    found = {name: tensor.shape for name, tensor in weights.tensors.items()}
    for name in (name for name, network in NETWORKS.items() if network.weights != "none"):
        if found == {key: tensor.shape for key, tensor in _hollow(name, {}).state_dict().items()}:
            return name
    return ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Weights:
    """What a file of weights holds."""

    path: Path
    tensors: Mapping[str, Tensor]  # name -> values; numbers of any precision are float32
    metadata: Mapping[str, str]  # what a file says about itself; empty for torch's


def read_weights(path: Path) -> Weights:
    """Read a file of weights.

    Args:
        path: A ``.safetensors`` file, a ``.pth`` or ``.pt`` file that holds nothing but tensors, or a ``.caffemodel``.

    Raises:
        WeightsError: If the file is missing, empty, truncated, of another kind, holds anything but
            plain weights, or numbers that are not finite.
        MissingError: If it takes an extra that is not installed.
    """
    if not path.exists():
        raise WeightsError(f"{path}: there is no such file of weights", "check the path given as --weights", path=path)
    if path.is_dir():
        raise WeightsError(f"{path}: this is a folder, not a file of weights", "name the file inside it", path=path)
    if path.suffix not in SUFFIXES:
        raise WeightsError(f"{path}: weights end in {', '.join(SUFFIXES)}, not '{path.suffix}'", "convert or rename it")
    try:
        with open_file(path) as handle:
            if not handle.read(1):
                raise WeightsError(f"{path}: the file is empty", "get it again", path=path)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror})", "name a file of weights", path=path) from error
    metadata: Mapping[str, str] = {}
    if path.suffix == ".safetensors":
        try:
            with safe_open(path, framework="pt") as stored:
                tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
                metadata = dict(stored.metadata() or {})
        except Exception as error:  # of kinds of numbers that torch does not have, too
            raise WeightsError(
                f"{path}: cannot be read as safetensors ({error})", "get the whole file again"
            ) from error
    elif path.suffix == ".caffemodel":
        tensors, metadata = read_caffemodel(path)
    else:
        tensors = _pickled(path)
    # what a wrapper around the network has put before all names
    while prefix := next((one for one in PREFIXES if tensors and all(name.startswith(one) for name in tensors)), ""):
        tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    full = {}
    for name, tensor in tensors.items():
        if kind := _not_plain(tensor):
            said = f"{path}: tensor '{name}' is {kind}, not plain numbers"
            raise WeightsError(said, "save the state_dict() of the network in float32 or float16", path=path)
        full[name] = tensor.float() if tensor.is_floating_point() else tensor
        if not torch.isfinite(full[name]).all():
            raise WeightsError(f"{path}: tensor '{name}' holds NaN or infinity", "get the file again", path=path)
    return Weights(path=path, tensors=full, metadata=metadata)


def _not_plain(tensor: Tensor) -> str:
    """What a tensor is that does not simply hold its numbers; empty if it does."""
    if tensor.layout is not torch.strided:
        return "sparse"
    if tensor.is_quantized:
        return "quantised"
    if tensor.is_meta:
        return "without values"
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        return f"a few numbers repeated to {list(tensor.shape)}"  # which would fill memory
    return ""


def fill(net: nn.Module, weights: Weights, *, needed: set[str]) -> str:
    """Replace the tensors of a network by weights, if they fit.

    Args:
        net: The whole network.
        weights: Weights to put into it.
        needed: Names of the tensors without which the layer asked for cannot be computed.

    Returns:
        Why the weights do not fit; empty if they do.
    """
    own, found = net.state_dict(), weights.tensors
    for name, tensor in own.items():
        if name not in needed:
            continue  # such as a head with other classes
        if name not in found:
            if name.endswith(COUNTER):
                continue
            return f"tensor '{name}' of shape {list(tensor.shape)} is missing"
        if found[name].shape != tensor.shape:
            return f"tensor '{name}' has shape {list(found[name].shape)} where {list(tensor.shape)} is needed"
        if tensor.is_floating_point() and not found[name].is_floating_point():
            kind = str(found[name].dtype).removeprefix("torch.")
            return f"tensor '{name}' holds {kind} where numbers with a point are needed (it may be quantised)"
    foreign = next((name for name in found if name not in own), None)
    if foreign is not None:
        return f"tensor '{foreign}' is not part of it"
    # torch's files from before 2018 lack the counters of batch norm, which evaluation does not read
    counters = {name: torch.zeros((), dtype=torch.int64) for name in own if name.endswith(COUNTER)}
    fitting = {name: tensor for name, tensor in found.items() if name in needed}
    net.load_state_dict({**counters, **fitting}, strict=False, assign=True)
    return ""


def published_weights(name: str) -> Path:
    """The file of published weights of a network; torchvision's are downloaded with a progress bar if need be.

    Args:
        name: A network of torchvision or of Caffe.

    Raises:
        MissingError: If the file is not there and cannot be had; says which, how large, and where it goes.
    """
    if NETWORKS[name].weights == "caffe":
        return reference_weights()
    from torchvision.models import get_model_weights

    release = get_model_weights(name)[RELEASE]
    path = Path(torch.hub.get_dir()) / "checkpoints" / release.url.rpartition("/")[2]
    if path.exists():
        return path
    # torchvision names its files <what>-<first digits of their SHA-256>.pth
    digest = path.stem.rpartition("-")[2]
    before = socket.getdefaulttimeout()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        socket.setdefaulttimeout(PATIENCE_SECONDS)
        torch.hub.download_url_to_file(release.url, str(path), hash_prefix=digest, progress=True)
    except (OSError, RuntimeError) as error:
        raise MissingError(
            f"{path.name} ({release.meta['_file_size']:.0f} MB) is not here and cannot be downloaded ({error})",
            f"get it from {release.url} and put it at {path}, or name the file with --weights",
        ) from error
    finally:
        socket.setdefaulttimeout(before)
    return path


def _pickled(path: Path) -> dict[str, Tensor]:
    try:
        if unpacks_to_far_more(path):
            raise WeightsError(f"{path}: a packed file that would fill memory", "save its state_dict() anew", path=path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of unusual pickles, which end in an error or in plain tensors
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except WeightsError:
        raise
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path}: holds more than plain weights, or is no file of torch; it was not executed",
            "save its state_dict() alone, best as .safetensors",
        ) from error
    except Exception as error:  # a damaged pickle fails in any way
        reason = str(error).partition("\n")[0]
        raise WeightsError(f"{path}: cannot be read, probably cut short ({reason})", "get the whole file") from error
    if isinstance(loaded, dict):
        inner = next((loaded[key] for key in WRAPPERS if isinstance(loaded.get(key), dict)), loaded)
        if inner and all(isinstance(key, str) and isinstance(value, Tensor) for key, value in inner.items()):
            return dict(inner)
    raise WeightsError(f"{path}: holds {type(loaded).__name__}, not named tensors", "save the network's state_dict()")
