"""What a study of transfer reads: several backbones, each with weights of its own, and all their layers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int

from acqplan.errors import UsageError
from acqplan.features.extractor import DEFAULT_BACKBONES, IMAGENET_BACKBONE, Extractor
from acqplan.features.registry import NETWORKS, find_layers, full_name
from acqplan.progress import SILENT, Progress, Titled
from acqplan.rig.source import Source
from acqplan.runtime import Runtime
from acqplan.space import Shots
from acqplan.study.transfer_heads import Recipe

# What makes layers comparable that are read side by side.
UNIT = Recipe(head="mean", unit=True)
# Images by which a forward pass is timed.
TIMED = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneFile:
    """A backbone, and the file of its weights.

    Attributes:
        spec: ``name``, ``name:layer`` or ``name:layer+layer``; of a bare name all layers that are known are read.
        weights: The file; ``None`` for the embedded or published weights.
        label: What tables call it: its name, with the file's where several have that name.
    """

    spec: str
    weights: Path | None = None
    label: str = ""


def read_backbones(texts: Sequence[str], weights: Path | None, kind: str) -> list[BackboneFile]:
    """Read ``NAME[:LAYER[+LAYER]][=FILE]`` of each backbone.

    Args:
        texts: What was asked for; by default the rig's backbone, and gradient histograms as a floor.
        weights: File of the weights of the only backbone that is named (or of the rig's, if none is).
        kind: Kind of the rig's source.

    Raises:
        UsageError: If a file is given twice, or for no particular backbone, or one backbone is given twice.
        BackboneError: If there is no such backbone or layer; names the nearest.
    """
    found = []
    for text in texts or (usual_backbone(kind), "histogram"):
        spec, _, file = text.partition("=")
        name, spec = spec.partition(":")[0], full_name(spec)
        if not spec.startswith("timm/"):
            find_layers(spec)
            if ":" not in spec:
                spec += ":" + "+".join(layer for layer in NETWORKS[name].layers if layer != "logits")
        found.append(BackboneFile(spec=spec, weights=Path(file) if file else None, label=name))
    if weights is not None:
        if len(texts) > 1 or found[0].weights is not None:
            said = "--weights beside several backbones, or beside NAME=FILE"
            raise UsageError(said, "say which file belongs to which, e.g. --backbone mobilenet_v2=FILE")
        found[0] = replace(found[0], weights=weights)
    names = [one.label for one in found]
    named = [
        replace(one, label=f"{one.label} ({one.weights.stem})")
        if one.weights and names.count(one.label) > 1 and one.weights.stem != one.label
        else one
        for one in found
    ]
    twice = [one.label for number, one in enumerate(named) if one.label in [other.label for other in named[:number]]]
    if twice:
        raise UsageError(f"backbone {twice[0]} is given twice", "name its layers together, e.g. NAME:LAYER+LAYER")
    return named


def usual_backbone(kind: str) -> str:
    """The backbone of a kind of source for which none is asked."""
    return DEFAULT_BACKBONES.get(kind, IMAGENET_BACKBONE)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LayerFeatures:
    """Features of one layer of a backbone, or of several side by side.

    Attributes:
        backbone: Label of the backbone.
        layer: Name of the layer; ``layer+layer`` for several, each of length 1.
        depth: Place of the layer, 0 for the deepest; -1 for several side by side.
        features: Shape ``[shots, features]``.
        seconds: Of a forward pass of the backbone, per image.
    """

    backbone: str
    layer: str
    depth: int
    features: Float32[np.ndarray, "shots features"]
    seconds: float = np.nan

    def __str__(self) -> str:
        return f"{self.backbone}:{self.layer}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Side:
    """What heads are trained on and tested on.

    Attributes:
        split: Number of the split.
        train: Rows of the shots that are trained on.
        test: Rows of the shots that are tested on.
    """

    split: int
    train: Int[np.ndarray, " train"]
    test: Int[np.ndarray, " test"]


def by_object(shots: Shots, sides: Sequence[Side]) -> bool:
    """Whether train and test share no object, so that choices leave out objects too; otherwise views are split."""
    owners = shots.object_rows
    return not any(np.isin(owners[side.test], owners[side.train]).any() for side in sides)


def open_all(source: Source, named: Sequence[BackboneFile], runtime: Runtime, progress: Progress) -> list[Extractor]:
    """Every backbone loaded, so that what is wrong with one is found before another computes."""
    return [
        Extractor.open(source, backbone=one.spec, weights=one.weights, runtime=runtime, progress=progress)
        for one in named
    ]


def pass_seconds(extractor: Extractor) -> float:
    """Seconds of a forward pass per image, measured on black ones."""
    size = extractor.backbone.preprocessing.size
    black = [np.zeros((size, size), dtype=np.uint8)] * TIMED
    extractor.backbone.features(black)
    began = time.perf_counter()
    extractor.backbone.features(black)
    return (time.perf_counter() - began) / TIMED


def read_layers(
    label: str, extractor: Extractor, shots: Shots, *, seconds: float = np.nan, progress: Progress = SILENT
) -> list[LayerFeatures]:
    """Features of each layer of a backbone, and of several side by side; images are taken where none are cached."""
    backbone = extractor.backbone
    features = extractor(shots, progress=Titled(progress=progress, title=f"features {label}"))
    layers, columns = [layer.name for layer in backbone.layers], backbone.columns()
    known = list(NETWORKS[backbone.name].layers) if backbone.name in NETWORKS else layers
    depths = sorted(layers, key=known.index, reverse=True)
    whole = partial(LayerFeatures, backbone=label, seconds=seconds)
    found = [
        whole(layer=name, depth=depths.index(name), features=features[:, its])
        for name, its in zip(layers, columns, strict=True)
    ]
    if len(found) > 1:
        together = np.concatenate([UNIT.by_row(reading.features) for reading in found], axis=1)
        found.append(whole(layer="+".join(layers), depth=-1, features=together))
    return found
