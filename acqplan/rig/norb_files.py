"""The six files of smallNORB: their names, their matrix format, packed or not."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import Final

import numpy as np

from acqplan.errors import InputError, MissingError
from acqplan.files import cache_folder, digest_file, folder, replacing

PARTS: Final = {
    "training": "smallnorb-5x46789x9x18x6x2x96x96-training",
    "testing": "smallnorb-5x01235x9x18x6x2x96x96-testing",
}
HOME: Final = "https://cs.nyu.edu/~ylclab/data/norb-v1.0-small/"
# Magic numbers of the authors' matrix format, little-endian like all its numbers (see their format page).
BYTES, INTEGERS = 0x1E3D4C55, 0x1E3D4C54
MAGICS = range(0x1E3D4C51, 0x1E3D4C57)
INTEGER: Final = np.dtype("<i4")
MOST_SIZES: Final = 8
HEADER_BYTES: Final = 4 * (2 + MOST_SIZES)
BLOCK: Final = 1 << 20
ELSE: Final = "or write another rig in this format: acqplan convert --to smallnorb"


def file_name(part: str, kind: str) -> str:
    """Name of a file, unpacked; its kind is ``dat`` (images), ``cat`` (categories) or ``info`` (views)."""
    return f"{PARTS[part]}-{kind}.mat"


def header(magic: int, shape: tuple[int, ...]) -> bytes:
    """What a matrix begins with: magic number, number of dimensions, and at least three sizes."""
    sizes = (*shape, 1, 1)[: max(3, len(shape))]
    return struct.pack(f"<{2 + len(sizes)}i", magic, len(shape), *sizes)


def read_matrix(directory: Path, part: str, kind: str) -> tuple[Path, np.ndarray]:
    """One of the six matrices, left on disk; a packed one is unpacked into the cache once.

    Returns:
        The file that it came from, and the matrix.

    Raises:
        MissingError: If the file is not there; says where to get it.
        InputError: If the file is not of the authors' format, damaged, or has too few or too many bytes.
        OutputError: If a packed file cannot be unpacked into the cache.
    """
    path, magic = _present(directory, part, kind), BYTES if kind == "dat" else INTEGERS
    if path is None:
        path = directory / file_name(part, kind)
        hint = f"get {path.name}.gz from {HOME}, {ELSE}"
        raise MissingError(f"{path} is missing, and packed (.gz) as well", hint, path=path)
    try:
        place = path if path.suffix == ".mat" else _unpacked(path, magic)
        with place.open("rb") as handle:
            start, shape, needed = _layout(path, handle.read(HEADER_BYTES), magic)
        _check_size(path, place.stat().st_size, needed)
        return path, np.memmap(place, dtype=_number(magic), mode="r", offset=start, shape=shape)
    except OSError as error:
        raise unusable(path, f"cannot be read ({error.strerror})") from error


def unusable(path: Path, found: str) -> InputError:
    """An error about a file that cannot be used."""
    return InputError(f"{path}: {found}", f"get it anew from {HOME}, {ELSE}", path=path)


def _present(directory: Path, part: str, kind: str) -> Path | None:
    path = directory / file_name(part, kind)
    return next((place for place in (path, path.with_name(f"{path.name}.gz")) if place.is_file()), None)


def _layout(path: Path, head: bytes, magic: int) -> tuple[int, tuple[int, ...], int]:
    """Where the numbers of a matrix begin, its shape, and the size of its file, from the first bytes."""
    found, turned = int.from_bytes(head[:4], "little"), int.from_bytes(head[:4], "big")
    if head[:2] == b"\x1f\x8b":
        raise InputError(f"{path}: this is packed", f"name it {path.name}.gz, or unpack it", path=path)
    if found != magic and found in MAGICS:
        raise unusable(path, f"a matrix of kind {found:#x}, {magic:#x} expected: is another of the six files here?")
    if turned in MAGICS:
        raise unusable(path, "its numbers are big-endian, little-endian expected")
    n_sizes = int.from_bytes(head[4:8], "little")
    start = 4 * (2 + max(n_sizes, 3))  # the authors write at least three sizes
    if found != magic or not 1 <= n_sizes <= MOST_SIZES or len(head) < start:
        raise unusable(path, "this is not a matrix of smallNORB")
    shape = struct.unpack_from(f"<{n_sizes}i", head, 8)
    if min(shape) < 1:
        raise unusable(path, f"a matrix of shape {shape}")
    return start, shape, start + math.prod(shape) * _number(magic).itemsize


def _number(magic: int) -> np.dtype[np.uint8] | np.dtype[np.int32]:
    return np.dtype(np.uint8) if magic == BYTES else INTEGER


def _check_size(path: Path, found: int, needed: int) -> None:
    if found != needed:
        raise unusable(path, f"{found:,} bytes found, {needed:,} expected")


def _unpacked(packed: Path, magic: int) -> Path:
    """The content of a packed file, in the cache under the digest of the packed file."""
    place = folder(cache_folder() / "smallnorb") / f"{digest_file(packed)}.mat"
    if place.is_file():
        return place
    with gzip.open(packed) as source, replacing(place, "wb") as handle:
        try:
            head = source.read(HEADER_BYTES)
            *_, needed = _layout(packed, head, magic)
            handle.write(head)
            # at most a block more than it announces, so that no file fills the disk
            while handle.tell() <= needed and (block := source.read(BLOCK)):
                handle.write(block)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise unusable(packed, f"cannot be unpacked ({error})") from error
        _check_size(packed, handle.tell(), needed)
    return place
