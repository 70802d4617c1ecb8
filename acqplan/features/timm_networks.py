"""Networks of timm as people write their names, tags and all: ``timm/resnet18.a1_in1k``, ``timm/NAME:layer3+pool``."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import importlib.util
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Num
from torch import Tensor, nn

from acqplan.errors import BackboneError, MissingError, WeightsError, nearest
from acqplan.features.networks import PATIENCE_SECONDS, BuiltNetwork, Weights, digest, fill, read_weights
from acqplan.features.pixels import Preprocessing

TIMM = "timm/"
# What enters the classifier.
POOL = "pool"


class TimmLayers(nn.Module):
    """A network of timm that gives some of its layers side by side, each its mean over positions.

    Args:
        net: The network without its classifier.
        order: Names of the layers in the order asked: ``pool``, or of ``net.feature_info``.
    """

    def __init__(self, net: Any, order: tuple[str, ...]) -> None:
        super().__init__()
        self.net, self.order = net, order
        self.widths: tuple[int, ...] = ()
        names = [about["module"] for about in net.feature_info] if order != (POOL,) else []
        places = {names.index(name): name for name in order if name != POOL}
        self.places = dict(sorted(places.items()))  # by depth, as timm gives them

    def forward(self, x: Num[Tensor, "images channels height width"]) -> Float[Tensor, "images features"]:
        """Features of all layers in the order asked, float32; ``widths`` says how many each has."""
        found: dict[str, Tensor] = {}
        if not self.places:
            found[POOL] = self.net(x)
        else:
            alone = {"intermediates_only": True, "stop_early": True} if POOL not in self.order else {}
            passed = self.net.forward_intermediates(x, indices=list(self.places), **alone)
            maps = passed if alone else passed[1]
            if not alone:
                found[POOL] = self.net.forward_head(passed[0])
            found |= {
                self.places[place]: of_layer.mean(dim=(2, 3)) for place, of_layer in zip(self.places, maps, strict=True)
            }
        layers = [found[name].float() for name in self.order]
        self.widths = tuple(layer.shape[1] for layer in layers)
        return torch.cat(layers, 1)


def build_timm(spec: str, *, weights: Path | None) -> BuiltNetwork:
    """Build a network of timm without its classifier.

    Args:
        spec: ``timm/NAME``, ``timm/NAME:LAYER`` or ``timm/NAME:LAYER+LAYER``; the name may have a tag, or be one that
            timm has given up for another.
        weights: File of weights, in timm's names or those of the network's authors; by default timm downloads them.

    Raises:
        MissingError: If timm is not installed, or no file is given and none can be had.
        BackboneError: If timm has no such network, or the network no such layer; names the nearest.
        WeightsError: If the file cannot be used for this network.
    """
    full, _, asked = spec.partition(":")
    name = full.removeprefix(TIMM)
    if importlib.util.find_spec("timm") is None:
        raise MissingError(f"{full} needs timm, which is not installed", "pip install 'acqplan[timm]'")
    import timm
    import timm.data

    known = [*timm.list_models(), *timm.list_models(pretrained=True)]  # the latter with tags, e.g. resnet18.a1_in1k
    if name not in known and ("." in name or not timm.is_model(name)):  # names given up have no tag
        similar = difflib.get_close_matches(name, known, n=5, cutoff=0.4)
        raise BackboneError(f"timm has no network '{name}'", f"similar: {', '.join(similar) or 'none'}")
    with torch.device("meta"):  # of shapes alone, at once
        whole = _created(name)
    layers = _layers(full, asked, whole)
    if weights is None:
        try:
            with _impatient():
                net = _created(name, pretrained=True, num_classes=0)
        except (OSError, RuntimeError) as error:
            home = whole.pretrained_cfg.get("hf_hub_id")
            raise MissingError(
                f"the weights of {full} cannot be downloaded ({str(error).strip()})",
                "name a file of them with --weights" + (f", e.g. model.safetensors of {home}" if home else ""),
            ) from error
    else:
        net = _created(name, num_classes=0)
        problem = _filled(net, whole, read_weights(weights))
        if problem:
            raise WeightsError(f"{weights}: not the weights of {full}: {problem}", "give a file that belongs to it")
    config = timm.data.resolve_model_data_config(net)
    channels, size, _ = config["input_size"]
    preprocessing = Preprocessing(channels=channels, size=size, mean=tuple(config["mean"]), std=tuple(config["std"]))
    tensors = net.state_dict()
    return BuiltNetwork(
        name=full,
        net=TimmLayers(net, layers).eval(),
        preprocessing=preprocessing,
        fingerprints={layer: digest(tensors, full, layer, str(preprocessing)) for layer in layers},
    )


def _created(name: str, **options: Any) -> Any:
    """A network, without the warning that timm gives of names that it has given up."""
    import timm

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return timm.create_model(name, **options)


def _layers(full: str, asked: str, net: Any) -> tuple[str, ...]:
    """Names of the layers asked for, none twice."""
    names = [about["module"] for about in getattr(net, "feature_info", None) or ()]
    known = [POOL, *(names if hasattr(net, "forward_intermediates") else ())]
    layers = tuple(dict.fromkeys(name or POOL for name in asked.split("+")))
    for layer in layers:
        if layer not in known:
            raise BackboneError(f"{full} has no layer '{layer}'", nearest(layer, known))
    return layers


def _filled(net: nn.Module, whole: nn.Module, found: Weights) -> str:
    """Put weights into a network without its classifier; why they do not fit, empty if they do."""
    needed = set(net.state_dict())
    classifier = set(whole.state_dict()) - needed
    of_timm = {name: tensor for name, tensor in found.tensors.items() if name not in classifier}
    problem = fill(net, replace(found, tensors=of_timm), needed=needed)
    # Authors write other names than timm, whose modules know how to translate them.
    translate = getattr(importlib.import_module(type(net).__module__), "checkpoint_filter_fn", None)
    if not problem or translate is None:
        return problem
    try:
        translated = translate(dict(found.tensors), net)
    except (KeyError, RuntimeError, ValueError, IndexError, AttributeError, TypeError):
        return problem  # neither timm's nor an author's names
    kept = {name: tensor for name, tensor in translated.items() if name in needed}
    return problem if fill(net, replace(found, tensors=kept), needed=needed) else ""


@contextlib.contextmanager
def _impatient() -> Iterator[None]:
    """Let weights come from the disk alone where their home cannot be reached: its library tries for a minute."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    try:
        urllib.request.urlopen(urllib.request.Request(constants.ENDPOINT, method="HEAD"), timeout=PATIENCE_SECONDS)
    except urllib.error.HTTPError:
        pass  # it answers
    except OSError:
        constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
