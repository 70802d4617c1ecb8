"""Where features go while they are being computed: into one table, and layer by layer into the cache."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Self

import numpy as np
from jaxtyping import Bool, Float32, Int

from acqplan.errors import AcqplanError
from acqplan.features.backbone import Backbone
from acqplan.features.cache import FeatureCache
from acqplan.features.segment import Keys

FLUSH_IMAGES: Final = 2048
FLUSH_SECONDS: Final = 20.0
"""Features are kept whenever so many are new, or are so old: all that a kill can lose."""

Features = Float32[np.ndarray, "shots features"]
Rows = Int[np.ndarray, " images"]


@dataclass(slots=True, kw_only=True, eq=False)
class Store:
    """Features of shots, and which of them are not yet on disk; so it is not frozen.

    Attributes:
        backbone: What they are the features of.
        cache: Where they are kept; ``None`` to keep none.
        keys: Of the images, shape ``[shots, 2]``.
        features: What is known so far, zero elsewhere, shape ``[shots, n_features]``.
        found: Which layers of which shots the cache has, shape ``[shots, layers]``.
        clock: Seconds that only grow.
    """

    backbone: Backbone
    cache: FeatureCache | None
    keys: Keys
    features: Features
    found: Bool[np.ndarray, "shots layers"]
    clock: Callable[[], float]
    unsaved: list[Rows] = field(default_factory=list)
    n_unsaved: int = 0
    saved_at: float = field(init=False)

    def __post_init__(self) -> None:
        self.saved_at = self.clock()

    @classmethod
    def open(cls, backbone: Backbone, keys: Keys, *, cache: FeatureCache | None, clock: Callable[[], float]) -> Store:
        """With what the cache has of these images."""
        features = np.zeros((len(keys), backbone.n_features), dtype=np.float32)
        found = np.zeros((len(keys), len(backbone.layers)), dtype=np.bool_)
        if cache is not None:
            for number, (name, columns) in enumerate(_places(backbone)):
                features[:, columns], found[:, number] = cache.load(name, keys, columns.stop - columns.start)
        return cls(backbone=backbone, cache=cache, keys=keys, features=features, found=found, clock=clock)

    def __enter__(self) -> Self:
        if self.cache is not None:
            for name, _ in _places(self.backbone):
                # a folder that cannot be written shall be found out now, not after the work
                self.cache.prepare(name)
        return self

    def __exit__(self, *_: object) -> None:
        self.save()

    @property
    def complete(self) -> Bool[np.ndarray, " shots"]:
        """Which shots the cache has in every layer."""
        return np.asarray(self.found.all(axis=1))

    def put(self, rows: Rows, features: Features) -> None:
        """Take in the features of these shots, and save once enough are new.

        Raises:
            AcqplanError: If they are not finite numbers.
        """
        _check_finite(features, self.backbone)
        self.features[rows] = features
        self.unsaved.append(rows)
        self.n_unsaved += len(rows)
        if self.n_unsaved >= FLUSH_IMAGES or self.clock() - self.saved_at >= FLUSH_SECONDS:
            self.save()

    def save(self) -> None:
        """Save what is new, each layer under its own fingerprint."""
        rows = np.concatenate(self.unsaved) if self.unsaved else np.empty(0, dtype=np.int64)
        self.unsaved, self.n_unsaved, self.saved_at = [], 0, self.clock()
        for number, (name, columns) in enumerate(_places(self.backbone)):
            new = rows[~self.found[rows, number]]
            if self.cache is not None and len(new):
                self.cache.save(name, self.keys[new], self.features[new, columns])


def _places(backbone: Backbone) -> list[tuple[str, slice]]:
    """For each layer its name in the cache, where features in another precision are others, and its columns."""
    precision = backbone.runtime.precision
    suffix = "" if precision == "float32" else f"-{precision}"
    names = [layer.fingerprint + suffix for layer in backbone.layers]
    return list(zip(names, backbone.columns(), strict=True))


def _check_finite(features: Features, backbone: Backbone) -> None:
    if not np.isfinite(features).all():
        raise AcqplanError(
            f"{backbone.spec} gave features that are not finite numbers, in {backbone.runtime.precision}",
            "use float32, or other weights",
        )
