"""The cache of features on disk: safe to interrupt, and to share between processes.

A folder for each backbone holds immutable segments. Nothing is ever changed in place, and no lock is
needed: a reader sees a segment whole or not at all, and each writer adds its own segments. Two processes that
merge at once store a few features twice.
"""

from __future__ import annotations

import hashlib
import os
import struct
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Bool, Float32, UInt64

from acqplan.errors import OutputError, UsageError
from acqplan.files import cache_folder, folder, open_file, replacing

SUFFIX: Final = ".features"

# A segment is this header, with the number of images and of features of each, a row of each image, and the features.
HEADER: Final = struct.Struct("<8sQQ")
MAGIC: Final = b"acqfeat2"
# What is kept of each image beside its features: 128 bits of its identity, and a hash of it and of the features.
ROW: Final = np.dtype([("key", "<u8", (2,)), ("hash", "<u8")])
LIMIT_GIGABYTES: Final = 10.0
MANY_SEGMENTS: Final = 32
# More than this many segments below this size are merged into one, half a gigabyte at most.
SMALL_BYTES: Final = 16_000_000
# A half-written file older than this is no longer being written.
ABANDONED_SECONDS: Final = 3600.0
Keys = UInt64[np.ndarray, "images 2"]
Features = Float32[np.ndarray, "images features"]


def image_keys(identities: Sequence[bytes]) -> Keys:
    """128 bits that identify each image, shape ``[images, 2]``."""
    digests = b"".join(hashlib.blake2b(identity, digest_size=16).digest() for identity in identities)
    return np.frombuffer(digests, dtype="<u8").reshape(-1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureCache:
    """Features kept on disk.

    Attributes:
        root: Folder of the cache.
        limit_bytes: When it is larger, the segments not used for longest are removed.
    """

    root: Path
    limit_bytes: int

    @classmethod
    def open(cls, root: Path | None = None) -> FeatureCache:
        """The cache at ``root``, else ``$ACQPLAN_CACHE``, else the user's cache folder; nothing is made yet.

        The limit is ``$ACQPLAN_CACHE_LIMIT_GB``, else 10.

        Raises:
            UsageError: If the limit is not a number above zero.
        """
        text = os.environ.get("ACQPLAN_CACHE_LIMIT_GB", "")
        try:
            limit = float(text) if text else LIMIT_GIGABYTES
        except ValueError as error:
            raise UsageError(f"ACQPLAN_CACHE_LIMIT_GB is '{text}'", "give a number of gigabytes, e.g. 10") from error
        if not 0 < limit < float("inf"):
            raise UsageError(f"a cache of {limit:g} GB cannot be", "give ACQPLAN_CACHE_LIMIT_GB above 0, e.g. 10")
        return cls(root=(root or cache_folder()).absolute(), limit_bytes=int(limit * 1e9))

    def load(self, name: str, keys: Keys, n_features: int) -> tuple[Features, Bool[np.ndarray, " images"]]:
        """Look images up.

        Args:
            name: Fingerprint of the backbone.
            keys: Keys of the images, from `image_keys`, shape ``[images, 2]``.
            n_features: Numbers per image.

        Returns:
            Features, shape ``[images, n_features]``, and which of them were found; the rest is zero.
        """
        features = np.zeros((len(keys), n_features), dtype=np.float32)
        found = np.zeros(len(keys), dtype=np.bool_)
        seen: set[Path] = set()
        # another process may merge a listed segment away before it is opened: look at what is new since
        while not found.all() and (paths := [path for path in self._paths(name) if path not in seen]):
            seen.update(paths)
            for segment in _opened(paths, n_features):
                segment.fill_in(keys, features, found)
        return features, found

    def save(self, name: str, keys: Keys, features: Features) -> None:
        """Keep the features of images, and the whole within its limit.

        Raises:
            OutputError: If the folder cannot be written or the disk is full; what was kept before stays.
        """
        where = self.prepare(name)
        try:
            written = _write_segment(where, keys, features)
            # 1. Many small segments become one, without what is damaged or twice there.
            segments = _opened(self._paths(name), features.shape[1])
            small = [segment for segment in segments if segment.features.nbytes < SMALL_BYTES]
            if len(small) > MANY_SEGMENTS:
                whole = [segment.rows["hash"] == _hashes(segment.rows["key"], segment.features) for segment in small]
                pairs = list(zip(small, whole, strict=True))
                keys = np.concatenate([segment.rows["key"][intact] for segment, intact in pairs])
                features = np.concatenate([segment.features[intact] for segment, intact in pairs])
                _, first = np.unique(keys, axis=0, return_index=True)
                _write_segment(where, keys[first], features[first])
                for segment in small:
                    segment.path.unlink(missing_ok=True)
        except OutputError as error:
            raise OutputError(error.message, "make room, or set ACQPLAN_CACHE to another folder") from error
        # 2. What a killed process has left half-written goes.
        for path in self.root.glob(f"*/.*{SUFFIX}.*.part"):
            status = _status(path)
            if status and time.time() - status.st_mtime > ABANDONED_SECONDS:
                path.unlink(missing_ok=True)
        # 3. Beyond the limit, what has not been used for longest goes.
        oldest_first = sorted(self._segments())
        excess = sum(size for _, size, _ in oldest_first) - self.limit_bytes
        for _, size, path in oldest_first:
            if excess > 0 and path != written:
                path.unlink(missing_ok=True)
                excess -= size

    def prepare(self, name: str) -> Path:
        """Make the folder of a backbone.

        Raises:
            OutputError: If it cannot be made or written.
        """
        try:
            return folder(self.root / name)
        except OutputError as error:
            raise OutputError(error.message, "set ACQPLAN_CACHE to a folder that can be written") from error

    def size(self) -> int:
        """Bytes of all segments."""
        return sum(size for _, size, _ in self._segments())

    def _paths(self, name: str) -> list[Path]:
        """The newest first: if one is damaged, the features that were computed again are found before it."""
        return sorted((self.root / name).glob(f"*{SUFFIX}"), reverse=True)

    def _segments(self) -> list[tuple[int, int, Path]]:
        """When each segment was last used, its bytes, and its path."""
        found = [(path, _status(path)) for path in self.root.glob(f"*/*{SUFFIX}")]
        return [(status.st_mtime_ns, status.st_size, path) for path, status in found if status]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segment:
    """One file of the cache."""

    path: Path
    rows: np.ndarray  # key and hash of each image, dtype `ROW`
    features: Features  # mapped from the disk; read when looked at

    def fill_in(self, keys: Keys, features: Features, found: Bool[np.ndarray, " images"]) -> None:
        """Write what this segment holds of the images not found so far into ``features`` and ``found``."""
        wanted = np.flatnonzero(~found)
        if not len(wanted):
            return
        # The first 64 bits find the row and the others confirm it: two images that share the first half by chance
        # (once in 10 million million pairs of caches of a million) cost a second look, not a wrong answer.
        own = self.rows["key"]
        order = np.argsort(own[:, 0])
        rows = order[np.searchsorted(own[order, 0], keys[wanted, 0]).clip(max=len(own) - 1)]
        hits = np.flatnonzero((own[rows] == keys[wanted]).all(axis=1))
        if not len(hits):
            return
        read = self.features[rows[hits]]
        intact = self.rows["hash"][rows[hits]] == _hashes(keys[wanted[hits]], read)
        at = wanted[hits[intact]]
        features[at] = read if intact.all() else read[intact]  # one copy less of all that is wanted
        found[at] = True
        try:
            os.utime(self.path)  # so that it counts as just used
        except OSError:
            return  # another process has merged it away


def _opened(paths: list[Path], n_features: int) -> Iterator[Segment]:
    """Map segments; without those that are gone, cut short, or not of this many features."""
    for path in paths:
        try:
            with open_file(path) as handle:
                size = os.fstat(handle.fileno()).st_size - HEADER.size
                n_images, rest = divmod(size, ROW.itemsize + 4 * n_features)
                if rest or n_images < 1 or handle.read(HEADER.size) != HEADER.pack(MAGIC, n_images, n_features):
                    continue
                rows = np.fromfile(handle, ROW, n_images)
                features = np.memmap(handle, "<f4", "r", offset=handle.tell(), shape=(n_images, n_features))
        except (OSError, ValueError):
            continue
        yield Segment(path=path, rows=rows, features=features)


def _write_segment(folder: Path, keys: Keys, features: Features) -> Path:
    """Write keys and their features as a new segment; on an error nothing is left half-written."""
    # names begin with the time, so that the newest come last
    path = folder / f"{time.time_ns():016x}-{uuid.uuid4().hex[:8]}{SUFFIX}"
    rows = np.empty(len(keys), dtype=ROW)
    rows["key"] = keys
    rows["hash"] = _hashes(keys, features)
    with replacing(path, "wb") as handle:
        handle.write(HEADER.pack(MAGIC, *features.shape))
        handle.write(rows.data)
        handle.write(np.ascontiguousarray(features, dtype="<f4").data)
    return path


def _hashes(keys: Keys, features: Features) -> UInt64[np.ndarray, " images"]:
    """64 bits over the key and the features of each image.

    The sum of all words times odd numbers drawn once (multilinear hashing): a change of one word never goes unnoticed,
    any other once in thousands of millions. A CRC-32 of each row takes four times as long, its own loop included.
    """
    parts = [np.ascontiguousarray(part).view("<u4") for part in (keys, features)]
    odd = np.split(_odd_numbers(sum(part.shape[1] for part in parts)), [parts[0].shape[1]])
    sums = [np.einsum("ij,j->i", part, own, dtype=np.uint64) for part, own in zip(parts, odd, strict=True)]
    return np.asarray(sums[0] + sums[1])


@cache
def _odd_numbers(n: int) -> UInt64[np.ndarray, " n"]:
    return np.frombuffer(hashlib.shake_128(b"acqplan features").digest(8 * n), dtype="<u8") | np.uint64(1)


def _status(path: Path) -> os.stat_result | None:
    """Size and times of a file that another process may remove at any time."""
    try:
        return path.stat()
    except OSError:
        return None
