"""Backbones of the timm library, if it is installed: the last layer, pooled."""

from __future__ import annotations

import difflib
import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from acqplan.errors import BackboneError, MissingError, WeightsError
from acqplan.features.pixels import Preprocessing
from acqplan.features.weightfile import fill, mismatch, read_weights

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
