"""A rig seen through a backbone: the one place where capture and features meet."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from acqplan.features.backbone import Backbone, load_backbone
from acqplan.features.cache import FeatureCache
from acqplan.features.extract import extract
from acqplan.progress import SILENT, Progress
from acqplan.rig.source import Source
from acqplan.runtime import Runtime
from acqplan.space import Shots

DEFAULT_BACKBONES = {"toys": "toynet"}
"""What looks at a rig unless another backbone is asked for; any other rig gets ImageNet's."""

IMAGENET_BACKBONE = "mobilenet_v2"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Extractor:
    """Takes shots of a rig and says what a frozen backbone sees in them.

    Attributes:
        source: Where shots are taken.
        backbone: What looks at the images.
        runtime: Where the backbone runs.
        cache: Where features are kept; ``None`` to keep none.
    """

    source: Source
    backbone: Backbone
    runtime: Runtime
    cache: FeatureCache | None

    @classmethod
    def open(cls, rig: Source, *, backbone: str | None, weights: Path | None, runtime: Runtime) -> Extractor:
        """Load the backbone that is asked for, or the rig's default one.

        Raises:
            BackboneError: If there is no such backbone or layer.
            WeightsError: If its weights cannot be used.
            MissingError: If its weights are not there.
        """
        spec = backbone or DEFAULT_BACKBONES.get(rig.name, IMAGENET_BACKBONE)
        loaded = load_backbone(spec, weights=weights, runtime=runtime)
        return cls(source=rig, backbone=loaded, runtime=runtime, cache=FeatureCache.open())

    def on(self, rig: Source) -> Extractor:
        """The same backbone on another rig."""
        return replace(self, source=rig)

    def __call__(self, shots: Shots, *, progress: Progress = SILENT) -> Float32[np.ndarray, "shots features"]:
        """Features of these shots, shape ``[shots, features]``; images are taken only where none are cached."""
        return extract(self.source, shots, self.backbone, runtime=self.runtime, cache=self.cache, progress=progress)
