"""The six files of smallNORB: their names, their matrix format, packed or not, and how they are downloaded."""

from __future__ import annotations

import gzip
import http
import math
import struct
import urllib.request
import zlib
from collections.abc import Callable, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Final

import numpy as np

from acqplan.errors import InputError, MissingError
from acqplan.files import cache_folder, digest_file, folder, open_file, replacing
from acqplan.progress import SILENT, Progress

PARTS: Final = {
    "training": "smallnorb-5x46789x9x18x6x2x96x96-training",
    "testing": "smallnorb-5x01235x9x18x6x2x96x96-testing",
}
HOME: Final = "https://cs.nyu.edu/~ylclab/data/norb-v1.0-small/"
# Size in bytes and SHA-256 of each packed file. The home page states none; these are those of TensorFlow Datasets.
PUBLISHED: Final = {
    ("training", "cat"): (348, "2784e542c1922060691090952b6cd6278879a216c90f81476f0f00256d42cdaa"),
    ("training", "info"): (71_052, "de7eb932ebe7a4ee16217fead60660d0eb3d23632c2f4d1c51f88c501c17bf32"),
    ("training", "dat"): (131_896_188, "5ffd6272a07d32695ee1082a26a41a93a37aab8c28da047f8c34ed348d214873"),
    ("testing", "cat"): (347, "ecaf6d5bb8c3bc5eab9cf0258f6d2198dd474e016e374836fc097f2e5ff509ff"),
    ("testing", "info"): (10_428, "16adf314226327ee006d1a44db8cfef52773c06c829951d5653a9f6f310248a2"),
    ("testing", "dat"): (130_799_817, "cf7104eed3e51174d2f65b66d1e5878b9da233b886f161b0d88f4510ba2c7474"),
}
# Magic numbers of the authors' matrix format, little-endian like all its numbers (see their format page).
BYTES, INTEGERS = 0x1E3D4C55, 0x1E3D4C54
MAGICS = range(0x1E3D4C51, 0x1E3D4C57)
INTEGER: Final = np.dtype("<i4")
MOST_SIZES: Final = 8
HEADER_BYTES: Final = 4 * (2 + MOST_SIZES)
BLOCK: Final = 1 << 20
PATIENCE_SECONDS: Final = 60.0
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
        hint = f"get {path.name}.gz from {HOME} (acqplan study … --fetch does), {ELSE}"
        raise MissingError(f"{path} is missing, and packed (.gz) as well", hint, path=path)
    try:
        place = path if path.suffix == ".mat" else _unpacked(path, magic)
        with open_file(place) as handle:
            start, shape, needed = _layout(path, handle.read(HEADER_BYTES), magic)
        _check_size(path, place.stat().st_size, needed)
        return path, np.memmap(place, dtype=_number(magic), mode="r", offset=start, shape=shape)
    except OSError as error:
        raise unusable(path, f"cannot be read ({error.strerror})") from error


def fetch_smallnorb(
    directory: Path,
    progress: Progress = SILENT,
    *,
    home: str = HOME,
    published: Mapping[tuple[str, str], tuple[int, str]] = PUBLISHED,
) -> None:
    """Download the files of smallNORB that a folder lacks, 263 MB in all; a download that was cut short goes on.

    Args:
        directory: Where they go, packed, each once its size and checksum are right; made unless it is there.
        progress: Receives every MB.
        home: Address of the folder that holds them.
        published: Size in bytes and SHA-256 of each file.

    Raises:
        MissingError: If the network, the server or the disk fails; says what to do without.
        InputError: If a file is not the published one.
        OutputError: If the folder cannot be written.
    """
    lacking = {key: found for key, found in published.items() if _present(folder(directory), *key) is None}
    with progress.task("downloading, MB", sum(-(-size // BLOCK) for size, _ in lacking.values())) as advance:
        for key, (size, digest) in lacking.items():
            path = directory / f"{file_name(*key)}.gz"
            part = path.with_name(f".{path.name}.part")
            _download(home + path.name, part, size, advance)
            if part.stat().st_size != size or digest_file(part) != digest:
                part.unlink()
                said = f"{home}{path.name}: its size or checksum is not the published one"
                raise InputError(said, f"try again, or get the file from {HOME} by hand", path=path)
            part.rename(path)


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


def _download(url: str, part: Path, size: int, advance: Callable[[int], None]) -> None:
    """Append to a partial file what it lacks; all of it if the server cannot begin elsewhere."""
    have = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
            goes_on = answer.status == http.HTTPStatus.PARTIAL_CONTENT
            with part.open("ab" if goes_on else "wb") as handle:
                advance(handle.tell() // BLOCK)
                while handle.tell() <= size and (block := answer.read(BLOCK)):
                    handle.write(block)
                    advance(1)
        reason = f"it ended after {part.stat().st_size:,} of {size:,} bytes"
    except (OSError, HTTPException) as error:
        reason = str(error)
    if not part.is_file() or part.stat().st_size < size:
        hint = f"try again, it goes on where it stopped; or put the six files there by hand; {ELSE}"
        raise MissingError(f"{url} cannot be downloaded ({reason})", hint, path=part)
