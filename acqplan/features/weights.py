"""Reading files of weights, which come from anywhere: nothing in them is executed."""

from __future__ import annotations

import pickle
import socket
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from acqplan.errors import MissingError, WeightsError

SUFFIXES = (".safetensors", ".pth", ".pt")
COUNTER = "num_batches_tracked"

RELEASE = "IMAGENET1K_V1"
"""The first release of each network's weights. The later ones classify ImageNet better, but the losses
and augmentations that make them so make frozen features transfer worse (Kornblith et al., NeurIPS 2021)."""

PATIENCE_SECONDS = 20.0
"""A network that swallows packets shall not hold the program for minutes."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Weights:
    """What a file of weights holds.

    Attributes:
        path: The file.
        tensors: Name -> values; numbers of any precision are float32.
        metadata: What a safetensors file says about itself; empty for others.
    """

    path: Path
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]


def read_weights(path: Path) -> Weights:
    """Read a file of weights.

    Args:
        path: A ``.safetensors`` file, or a ``.pth`` or ``.pt`` file that holds nothing but tensors.

    Raises:
        WeightsError: If the file is missing, empty, truncated, of another kind, holds anything but
            plain weights, or numbers that are not finite.
    """
    if not path.exists():
        raise WeightsError(f"{path}: there is no such file of weights", "check the path given as --weights")
    if not path.is_file():
        raise WeightsError(f"{path}: this is a folder, not a file of weights", "name the file inside it")
    if path.suffix not in SUFFIXES:
        raise WeightsError(f"{path}: weights end in {', '.join(SUFFIXES)}, not '{path.suffix}'", "convert or rename it")
    if path.stat().st_size == 0:
        raise WeightsError(f"{path}: the file is empty", "get it again")
    tensors, metadata = _safetensors(path) if path.suffix == ".safetensors" else (_pickled(path), {})
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise WeightsError(f"{path}: tensor '{name}' holds NaN or infinity", "get the file again")
    full = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    return Weights(path=path, tensors=full, metadata=metadata)


def mismatch(net: nn.Module, weights: Weights, *, needed: set[str]) -> str:
    """Why these weights do not fit a network; empty if they fit.

    Args:
        net: The whole network.
        weights: Weights to put into it.
        needed: Names of the tensors without which the layer asked for cannot be computed.
    """
    own, found = net.state_dict(), weights.tensors
    for name, tensor in own.items():
        if name in found and found[name].shape != tensor.shape:
            return f"tensor '{name}' has shape {list(found[name].shape)} where {list(tensor.shape)} is needed"
        if name in needed and name not in found and not name.endswith(COUNTER):
            return f"tensor '{name}' of shape {list(tensor.shape)} is missing"
    return next((f"tensor '{name}' is not part of it" for name in found if name not in own), "")


def fill(net: nn.Module, weights: Weights) -> None:
    """Replace the tensors of a network by weights that fit it, as `mismatch` says."""
    # torch's files from before 2018 lack the counters of batch norm, which evaluation does not read
    counters = {name: torch.zeros((), dtype=torch.int64) for name in net.state_dict() if name.endswith(COUNTER)}
    net.load_state_dict({**counters, **weights.tensors}, strict=False, assign=True)


def published_weights(name: str) -> Path:
    """The file of torchvision's weights of a network, downloaded with a progress bar unless it is there.

    Args:
        name: A network of torchvision.

    Raises:
        MissingError: If the file is not there and cannot be had; says which, how large, and where it goes.
    """
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


def _safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as opened:
            return {name: opened.get_tensor(name) for name in opened.keys()}, dict(opened.metadata() or {})  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: cannot be read as safetensors ({error})", "get the whole file again") from error


def _pickled(path: Path) -> dict[str, Tensor]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of unusual pickles, which end in an error or in plain tensors
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path}: holds more than plain weights, or is no file of torch; it was not executed",
            "save its state_dict() alone, best as .safetensors",
        ) from error
    except Exception as error:  # a damaged pickle fails in any way
        reason = str(error).partition("\n")[0]
        raise WeightsError(f"{path}: cannot be read, probably cut short ({reason})", "get the whole file") from error
    if isinstance(loaded, dict):
        inner = loaded.get("state_dict", loaded.get("model", loaded))
        if inner and isinstance(inner, dict) and all(isinstance(value, Tensor) for value in inner.values()):
            return inner
    raise WeightsError(f"{path}: holds {type(loaded).__name__}, not named tensors", "save the network's state_dict()")
