"""Segments: immutable files of keys and features, whole or ignored."""

from __future__ import annotations

import hashlib
import os
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, UInt64
from numpy.lib import format as npy

from acqplan.files import replacing

SUFFIX: Final = ".features"

ROW: Final = np.dtype([("key", "<u8", (2,)), ("check", "<u8")])
"""What is kept of each image beside its features: 128 bits of its identity, and a sum over the features
by which a page that the disk lost is noticed."""

Keys = UInt64[np.ndarray, "images 2"]
Features = Float32[np.ndarray, "images features"]
Stored = Float[np.ndarray, "images features"]
"""Features as they lie on the disk, in single or half precision."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segment:
    """One file of the cache.

    Attributes:
        path: The file.
        rows: Key and check of each image, dtype `ROW`.
        features: Mapped from the disk; read when looked at.
    """

    path: Path
    rows: np.ndarray
    features: Stored

    def intact(self, rows: Int[np.ndarray, " wanted"], features: Stored) -> Bool[np.ndarray, " wanted"]:
        """Which of the features read from these rows are those that were written."""
        return np.asarray(_checks(features) == self.rows["check"][rows])


def image_keys(identities: Sequence[bytes]) -> Keys:
    """128 bits that stand for each image, shape ``[images, 2]``."""
    digests = b"".join(hashlib.blake2b(identity, digest_size=16).digest() for identity in identities)
    return np.frombuffer(digests, dtype="<u8").reshape(-1, 2)


def open_segment(path: Path, n_features: int) -> Segment | None:
    """Map a segment; ``None`` if it is gone, cut short, or not of this many features."""
    try:
        with path.open("rb") as handle:
            rows = np.load(handle, allow_pickle=False)
            if npy.read_magic(handle) != (1, 0):
                return None
            shape, _, kind = npy.read_array_header_1_0(handle)
            if rows.dtype != ROW or kind not in (np.float32, np.float16) or shape != (len(rows), n_features):
                return None
            features = np.memmap(handle, kind, "r", offset=handle.tell(), shape=shape)
    except (OSError, ValueError, EOFError):
        return None
    return Segment(path=path, rows=rows, features=features)


def write_segment(folder: Path, keys: Keys, features: Stored) -> Path:
    """Write keys and their features as a new segment, in the precision of the features.

    Names begin with the time, so that the newest come last.

    Raises:
        OutputError: If the folder cannot be written or the disk is full; nothing is left half-written.
    """
    path = folder / f"{time.time_ns():016x}-{uuid.uuid4().hex[:8]}{SUFFIX}"
    rows = np.empty(len(keys), dtype=ROW)
    rows["key"] = keys
    rows["check"] = _checks(features)
    kind = "<f2" if features.dtype == np.float16 else "<f4"
    with replacing(path, "wb") as handle:
        np.save(handle, rows)
        npy.write_array_header_1_0(handle, {"descr": kind, "fortran_order": False, "shape": features.shape})
        handle.write(np.ascontiguousarray(features, dtype=kind).data)
    return path


def touch(path: Path) -> None:
    """Note that a segment was used just now; one that another process removed stays removed."""
    try:
        os.utime(path)
    except OSError:
        return


def _checks(features: Stored) -> UInt64[np.ndarray, " images"]:
    """A sum over the bits of each row; not zero for zeros, which is what a lost page reads as."""
    words = np.ascontiguousarray(features, dtype="<f4").view("<u4")
    return np.asarray(words.sum(axis=1, dtype=np.uint64) + np.uint64(1))
