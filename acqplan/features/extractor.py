"""A source seen through a backbone: the one place where capture and features meet; loads torch when opened."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from acqplan.progress import SILENT, Progress
from acqplan.runtime import Runtime

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float32

    from acqplan.features.backbone import Backbone
    from acqplan.features.cache import FeatureCache
    from acqplan.rig.source import Source
    from acqplan.space import Shots

# Backbone of a source unless another is asked for; any other source gets ImageNet's.
DEFAULT_BACKBONES = {"toys": "toynet"}
IMAGENET_BACKBONE = "mobilenet_v2"


def default_backbone(source: Source) -> str:
    """The backbone of a source unless another is asked for."""
    return DEFAULT_BACKBONES.get(source.name, IMAGENET_BACKBONE)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Extractor:
    """Takes shots of a source and gives the features that a frozen backbone finds in them.

    Attributes:
        source: Where shots are taken.
        backbone: What turns images into features.
        runtime: Where the backbone runs.
        cache: Where features are kept; ``None`` to keep none.
    """

    source: Source
    backbone: Backbone
    runtime: Runtime
    cache: FeatureCache | None

    @classmethod
    def open(
        cls,
        source: Source,
        *,
        backbone: str | None = None,
        weights: Path | str | None = None,
        runtime: Runtime | None = None,
        progress: Progress = SILENT,
    ) -> Extractor:
        """Load a backbone for a source.

        Args:
            source: Where shots are taken.
            backbone: ``name``, ``name:layer`` or ``name:layer+layer``; by default toynet for toys and mobilenet_v2
                for any other source.
            weights: File of its weights; by default the embedded or the published ones.
            runtime: Where it runs; by default on the fastest device.
            progress: Hears about loading torch, which takes seconds.

        Raises:
            BackboneError: If there is no such backbone or layer.
            WeightsError: If its weights cannot be used.
            MissingError: If its weights are not there.
        """
        with progress.task("loading torch", 1) as advance:
            from acqplan.features.backbone import load_backbone
            from acqplan.features.cache import FeatureCache

            advance(1)
        runtime = runtime or Runtime.detect()
        spec = backbone or default_backbone(source)
        loaded = load_backbone(spec, weights=Path(weights) if weights else None, runtime=runtime)
        return cls(source=source, backbone=loaded, runtime=runtime, cache=FeatureCache.open())

    def on(self, source: Source) -> Extractor:
        """The same backbone on another source."""
        return replace(self, source=source)

    def __call__(self, shots: Shots, *, progress: Progress = SILENT) -> Float32[np.ndarray, "shots features"]:
        """Features of these shots, shape ``[shots, features]``; images are taken only where none are cached."""
        from acqplan.features.extract import extract

        return extract(self.source, shots, self.backbone, runtime=self.runtime, cache=self.cache, progress=progress)
