"""The cache of features on disk: safe to interrupt, and to share between processes.

A folder for each backbone holds immutable segments. Nothing is ever changed in place, and no lock is
needed: a reader sees a segment whole or not at all, writers add segments of their own, and two that
merge at once leave a few features twice.
"""

from __future__ import annotations

import hashlib
import os
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, UInt64
from numpy.lib import format as npy

from acqplan.errors import OutputError, UsageError
from acqplan.files import folder, replacing

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


LIMIT_GIGABYTES: Final = 10.0
MANY_SEGMENTS: Final = 32
SMALL_BYTES: Final = 16_000_000
"""More than this many segments below this size are merged into one, half a gigabyte at most."""

Storage = Literal["float32", "float16"]

HALF: Final = "-float16"
"""Ends the name of a folder of features in half precision."""

HALF_ERROR: Final = 1e-3
"""Features of an image that half precision cannot hold this well, relative, are kept in full."""

ABANDONED_SECONDS: Final = 3600.0
"""A half-written file older than this is no longer being written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureCache:
    """Features kept on disk.

    Attributes:
        root: Folder of the cache.
        limit_bytes: When it is larger, the segments not used for longest are removed.
        storage: ``"float16"`` takes half the room and keeps features to 1e-3 of their length; what it keeps is
            not seen by a cache of ``"float32"``.
    """

    root: Path
    limit_bytes: int
    storage: Storage = "float32"

    @classmethod
    def open(
        cls, root: Path | None = None, *, limit_gigabytes: float | None = None, storage: Storage = "float32"
    ) -> FeatureCache:
        """The cache at ``root``, else ``$ACQPLAN_CACHE``, else the user's cache folder.

        The limit is ``limit_gigabytes``, else ``$ACQPLAN_CACHE_LIMIT_GB``, else 10. Nothing is made yet.

        Raises:
            UsageError: If the limit is not a number above zero.
        """
        limit = _limit_from_environment() if limit_gigabytes is None else limit_gigabytes
        if not 0 < limit < float("inf"):
            raise UsageError(f"a cache of {limit:g} GB cannot be", "give ACQPLAN_CACHE_LIMIT_GB above 0, e.g. 10")
        return cls(root=root or _usual_root(), limit_bytes=int(limit * 1e9), storage=storage)

    def load(self, name: str, keys: Keys, n_features: int) -> tuple[Features, Bool[np.ndarray, " images"]]:
        """Look images up.

        Args:
            name: Of the backbone: its fingerprint.
            keys: Of the images, from `acqplan.features.cache.image_keys`, shape ``[images, 2]``.
            n_features: Numbers of an image.

        Returns:
            Features, shape ``[images, n_features]``, and which of them were found; the rest is zero.
        """
        features = np.zeros((len(keys), n_features), dtype=np.float32)
        found = np.zeros(len(keys), dtype=np.bool_)
        self._look(name, keys, features, found)
        if self.storage == "float16":
            self._look(name + HALF, keys, features, found)
        return features, found

    def _look(self, name: str, keys: Keys, features: Features, found: Bool[np.ndarray, " images"]) -> None:
        seen: set[Path] = set()
        # another process may merge a listed segment away before it is opened: look at what is new since
        while not found.all() and (paths := [path for path in self._paths(name) if path not in seen]):
            seen.update(paths)
            for segment in _opened(paths, features.shape[1]):
                _read(segment, keys, features, found)

    def save(self, name: str, keys: Keys, features: Features) -> None:
        """Keep the features of images, and the whole within its limit.

        Raises:
            OutputError: If the folder cannot be written or the disk is full; what was kept before stays.
        """
        in_half = _fit_in_half(features) if self.storage == "float16" else np.zeros(len(keys), dtype=np.bool_)
        written = []
        if in_half.any():
            written.append(self._add(name + HALF, keys[in_half], features[in_half].astype(np.float16)))
        if not in_half.all() or not len(keys):
            written.append(self._add(name, keys[~in_half], features[~in_half]))
        self._clean()
        self._evict(keep=written)

    def _add(self, name: str, keys: Keys, features: Stored) -> Path:
        where = self.prepare(name)
        try:
            written = write_segment(where, keys, features)
            self._merge(name, features.shape[1])
        except OutputError as error:
            raise OutputError(error.message, "make room, or set ACQPLAN_CACHE to another folder") from error
        return written

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
        return sum(size for _, size, _ in self._files())

    def clear(self) -> None:
        """Remove everything the cache has written, and nothing else."""
        for pattern in (f"*/*{SUFFIX}", f"*/.*{SUFFIX}.*.part"):
            for path in self.root.glob(pattern):
                path.unlink(missing_ok=True)

    def _paths(self, name: str) -> list[Path]:
        """The newest first: should one be damaged, what was computed again instead is found before it."""
        return sorted((self.root / name).glob(f"*{SUFFIX}"), reverse=True)

    def _merge(self, name: str, n_features: int) -> None:
        small = [s for s in _opened(self._paths(name), n_features) if s.features.nbytes < SMALL_BYTES]
        if len(small) <= MANY_SEGMENTS:
            return
        keys, features = _intact(small)
        _, first = np.unique(keys, axis=0, return_index=True)
        write_segment(self.root / name, keys[first], features[first])
        for segment in small:
            segment.path.unlink(missing_ok=True)

    def _evict(self, *, keep: list[Path]) -> None:
        oldest_first = sorted(self._files())
        excess = sum(size for _, size, _ in oldest_first) - self.limit_bytes
        for _, size, path in oldest_first:
            if excess <= 0:
                return
            if path not in keep:
                path.unlink(missing_ok=True)
                excess -= size

    def _clean(self) -> None:
        for path in self.root.glob(f"*/.*{SUFFIX}.*.part"):
            status = _status(path)
            if status and time.time() - status.st_mtime > ABANDONED_SECONDS:
                path.unlink(missing_ok=True)

    def _files(self) -> list[tuple[int, int, Path]]:
        """When each segment was last used, its bytes, and where it is."""
        found = [(path, _status(path)) for path in self.root.glob(f"*/*{SUFFIX}")]
        return [(status.st_mtime_ns, status.st_size, path) for path, status in found if status]


def _fit_in_half(features: Features) -> Bool[np.ndarray, " images"]:
    """Which images' features half precision holds; neither 1e5 nor 1e-9 is a number to it."""
    with np.errstate(over="ignore"):
        half = features.astype(np.float16)
    wrong = np.linalg.norm(half.astype(np.float64) - features, axis=1)
    return np.asarray(wrong <= HALF_ERROR * np.linalg.norm(features.astype(np.float64), axis=1))


def _opened(paths: list[Path], n_features: int) -> Iterator[Segment]:
    return (segment for path in paths if (segment := open_segment(path, n_features)))


def _read(segment: Segment, keys: Keys, features: Features, found: Bool[np.ndarray, " images"]) -> None:
    """Fill in what this segment has of what was not found so far."""
    wanted = np.flatnonzero(~found)
    if not len(wanted):
        return
    hits, rows = _match(segment.rows["key"], keys[wanted])
    if not len(hits):
        return
    read = segment.features[rows]
    intact = segment.intact(rows, read)
    at = wanted[hits[intact]]
    features[at] = read[intact]
    found[at] = True
    touch(segment.path)


def _match(own: Keys, wanted: Keys) -> tuple[Int[np.ndarray, " hits"], Int[np.ndarray, " hits"]]:
    """Where wanted keys stand among a segment's own.

    The first 64 bits find the row and the others confirm it: two images that share the first half by
    chance (once in 10 million million pairs of caches of a million) cost a second look, not a wrong answer.
    """
    order = np.argsort(own[:, 0])
    place = np.searchsorted(own[order, 0], wanted[:, 0]).clip(max=len(own) - 1)
    rows = order[place]
    hits = np.flatnonzero((own[rows] == wanted).all(axis=1))
    return hits, rows[hits]


def _intact(segments: list[Segment]) -> tuple[Keys, Stored]:
    keys, features = [], []
    for segment in segments:
        whole = segment.intact(np.arange(len(segment.rows)), segment.features)
        keys.append(segment.rows["key"][whole])
        features.append(segment.features[whole])
    return np.concatenate(keys), np.concatenate(features)


def _status(path: Path) -> os.stat_result | None:
    """Of a file that another process may remove at any time."""
    try:
        return path.stat()
    except OSError:
        return None


def _usual_root() -> Path:
    given = os.environ.get("ACQPLAN_CACHE")
    if given:
        return Path(given).expanduser()
    parent = os.environ.get("XDG_CACHE_HOME")
    return (Path(parent) if parent else Path.home() / ".cache") / "acqplan"


def _limit_from_environment() -> float:
    text = os.environ.get("ACQPLAN_CACHE_LIMIT_GB", "")
    try:
        return float(text) if text else LIMIT_GIGABYTES
    except ValueError as error:
        raise UsageError(f"ACQPLAN_CACHE_LIMIT_GB is '{text}'", "give a number of gigabytes, e.g. 10") from error
