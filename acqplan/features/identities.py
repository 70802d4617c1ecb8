"""Keys of images; those of files that have not changed are remembered in the cache, so that nobody reads them again."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Final

import numpy as np
from jaxtyping import Bool

from acqplan.errors import OutputError
from acqplan.features.cache import FeatureCache
from acqplan.features.segment import Keys, image_keys
from acqplan.rig.base import Rig
from acqplan.rig.stamps import Stamped
from acqplan.space import Shots

FOLDER: Final = "digests"
"""Where the cache keeps them, beside the folders of features: under the same limit, and as safe."""

WORDS: Final = 4
"""A key of 128 bits takes as much room as so many features, and is kept as if it were these."""


def keys_of(rig: Rig, shots: Shots, *, cache: FeatureCache | None) -> Keys:
    """Keys of the shots' images, shape ``[shots, 2]``.

    Args:
        rig: What takes the shots; of one that stamps its files only those are read that are new.
        shots: What is wanted.
        cache: Where keys of files are remembered; ``None`` to read all of them.

    Raises:
        ImageError: If a file cannot be read.
    """
    if cache is None or not isinstance(rig, Stamped):
        return image_keys(rig.identities(shots))
    # before any file is read: one that changes meanwhile has another stamp from then on
    stamps = rig.stamps(shots)
    stamped = np.fromiter(map(bool, stamps), dtype=np.bool_, count=len(stamps))
    full = replace(cache, storage="float32")
    return _remembered(rig, shots, full, image_keys(stamps), stamped)


def _remembered(rig: Rig, shots: Shots, cache: FeatureCache, stamps: Keys, stamped: Bool[np.ndarray, " shots"]) -> Keys:
    words, known = cache.load(FOLDER, stamps, WORDS)
    keys = words.view(np.uint64)  # what was copied were bits, whatever number they would be
    unknown = np.flatnonzero(~(known & stamped))
    if len(unknown):
        keys[unknown] = image_keys(rig.identities(shots.take(unknown)))
    new = unknown[stamped[unknown]]
    if len(new):
        with contextlib.suppress(OutputError):  # a cache that may only be read still answers
            cache.save(FOLDER, stamps[new], words[new])
    return keys
