"""Image files: checked before anything is captured, then decoded to bytes by several threads."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import struct
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

import numpy as np
import PIL
import PIL.Image
import PIL.ImageOps

from acqplan.errors import ImageError
from acqplan.files import digest_file
from acqplan.progress import SILENT, Progress
from acqplan.rig.base import Image

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
END: Final = b"\0\0\0\0IEND\xaeB`\x82"

KINDS: Final = {(8, 0, 0, 0, 0): "L", (8, 2, 0, 0, 0): "RGB"}
"""Depth, colour, compression, filter and interlacing of grey and RGB in 8 bits, and what Pillow calls them."""

QUIET_CHUNKS: Final = {b"pHYs": 9, b"gAMA": 4, b"sRGB": 1, b"cHRM": 32, b"tIME": 7}
"""Chunks that change no pixel, and their lengths. Not text: it may say that the image is to be turned."""


def decode_plain(content: bytes, *, max_pixels: int) -> Image | None:
    """Pixels of a whole PNG file of 8 bits, grey or RGB, that says nothing but its pixels.

    Args:
        content: The file.
        max_pixels: Images of more are left to others.

    Returns:
        Grey ``[h, w]`` or colour ``[h, w, 3]``, uint8; ``None`` if the file is anything else, or damaged:
        what it is then, and what is wrong with it, is for Pillow to say.

    Source:
        W3C, Portable Network Graphics, third edition (2025), section 5 (chunks) and 11.2.1 (IHDR).
    """
    if not (content.startswith(SIGNATURE) and content.endswith(END)):
        return None
    try:
        (_, header), *rest = _chunks(content)
        width, height, *kind = struct.unpack(">IIBBBBB", header)
        mode = KINDS[tuple(kind)]
        if not 0 < width * height <= max_pixels:
            return None
        return np.array(PIL.Image.frombytes(mode, (width, height), _pixels(rest), "zip", mode))
    except (KeyError, ValueError, struct.error):
        return None


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of each chunk up to the end.

    Raises:
        ValueError: If a checksum is wrong (those of pixels are not looked at, as Pillow does not), or a chunk
            reaches beyond the end.
    """
    start, end = len(SIGNATURE), len(content) - len(END)
    while start < end:
        length, name = struct.unpack_from(">I4s", content, start)
        following = start + 12 + length
        if following > end:
            raise ValueError(name)
        if name != b"IDAT" and zlib.crc32(content[start + 4 : following - 4]) != int.from_bytes(
            content[following - 4 : following]
        ):
            raise ValueError(name)
        yield name, content[start + 8 : following - 4]
        start = following


def _pixels(chunks: list[tuple[bytes, bytes]]) -> bytes:
    """The packed pixels, after which nothing may stand.

    Raises:
        ValueError: If there is a chunk that may mean something.
    """
    parts = [body for name, body in chunks if name == b"IDAT"]
    before = chunks[: len(chunks) - len(parts)]
    if any(QUIET_CHUNKS.get(name) != len(body) for name, body in before):
        raise ValueError("a chunk that may mean something, or one behind the pixels")
    return parts[0] if len(parts) == 1 else b"".join(parts)


READABLE = ("PNG", "JPEG", "BMP", "PPM", "TIFF", "WEBP")
"""Formats that are read; Pillow knows others, some of which run foreign programs or hold no photographs."""

MAX_PIXELS = 89_478_485
"""Pillow's own bound against images that unpack to more than 256 MB."""

GREY, COLOUR = ("1", "L"), ("RGB", "P")
"""Pillow's modes that become ``[h, w]`` and ``[h, w, 3]``."""

ENDINGS = {"PNG": b"IEND\xaeB`\x82", "JPEG": b"\xff\xd9"}
"""Last bytes of a whole file; one that ends otherwise is decoded to see whether it is truncated."""

SMALL_BYTES: Final = 1_000_000
"""Files below this size are read at once, and images below it are handed over several at a time."""

TOGETHER: Final = 16
"""Images handed over at a time: what a hand-over costs (20 to 50 µs) shall be little beside a small image (90 µs)."""

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFile:
    """An image and the line that names it.

    Attributes:
        path: The file.
        origin: Manifest and line, as errors begin.
        n_bytes: Of its pixels once decoded; 0 before it is checked.
    """

    path: Path
    origin: str
    n_bytes: int = 0

    def error(self, complaint: str, advice: str) -> ImageError:
        """An error that names line, file and remedy."""
        return ImageError(f"{self.origin}: image '{self.path}' {complaint}", advice)


def check_image(file: ImageFile) -> ImageFile:
    """Refuse an image that cannot be decoded to 8 bits of grey or RGB, mostly without decoding it.

    Returns:
        The same file, with the size of its pixels.

    Raises:
        ImageError: If it is missing, empty, no image, truncated, too large, animated, has an alpha
            channel, 16 bits a channel or a colour space other than grey and RGB.
    """
    _check_regular(file)
    with _opened(file, None) as (image, handle):
        handle.seek(-min(12, handle.seek(0, 2)), 2)
        ending = ENDINGS.get(image.format or "")
        if ending is None or not handle.read().endswith(ending):
            handle.seek(0)
            image.load()
        return replace(file, n_bytes=image.width * image.height * (1 if image.mode in GREY else 3))


def decode(file: ImageFile) -> Image:
    """The pixels, upright as a viewer shows them: grey ``[h, w]`` or colour ``[h, w, 3]``, uint8.

    Raises:
        ImageError: As `check_image`, and if the file is damaged in the middle.
    """
    content = _content(file)
    plain = None if content is None else decode_plain(content, max_pixels=MAX_PIXELS)
    if plain is not None:
        return plain
    with _opened(file, content) as (image, _):
        mode = "L" if image.mode in GREY else "RGB"
        return np.array(PIL.ImageOps.exif_transpose(image).convert(mode), dtype=np.uint8)


def digest(file: ImageFile) -> bytes:
    """SHA-256 of the file's bytes.

    Raises:
        ImageError: If the file cannot be read.
    """
    content = _content(file)
    try:
        return bytes.fromhex(digest_file(file.path)) if content is None else hashlib.sha256(content).digest()
    except OSError as error:
        raise _unreadable(file, error) from error


def in_threads(
    action: Callable[[ImageFile], Answer],
    files: Sequence[ImageFile],
    *,
    workers: int,
    name: str,
    progress: Progress = SILENT,
) -> Iterator[Answer]:
    """Apply an action to each file, in order; two groups of results a worker wait to be fetched.

    Args:
        action: What to do with each file; Pillow and hashing let other threads run.
        files: The files.
        workers: Threads.
        name: What the work is called in ``progress``.
        progress: Who listens.
    """
    waiting: deque[Future[list[Answer]]] = deque()
    with ThreadPoolExecutor(workers) as pool, progress.task(name, len(files)) as advance:
        try:
            for group in _groups(files):
                waiting.append(pool.submit(_each, action, group))
                if len(waiting) >= 2 * workers:
                    yield from _first(waiting, advance)
            while waiting:
                yield from _first(waiting, advance)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _groups(files: Sequence[ImageFile]) -> Iterator[list[ImageFile]]:
    """Small images some at a time, large ones one by one."""
    group: list[ImageFile] = []
    n_bytes = 0
    for file in files:
        if group and (len(group) == TOGETHER or n_bytes + file.n_bytes > SMALL_BYTES):
            yield group
            group, n_bytes = [], 0
        group.append(file)
        n_bytes += file.n_bytes
    yield group


def _each(action: Callable[[ImageFile], Answer], group: list[ImageFile]) -> list[Answer]:
    return [action(file) for file in group]


def _first(waiting: deque[Future[list[Answer]]], advance: Callable[[int], None]) -> Iterator[Answer]:
    for answer in waiting.popleft().result():
        yield answer
        advance(1)


@contextmanager
def _opened(file: ImageFile, content: bytes | None) -> Iterator[tuple[PIL.Image.Image, BinaryIO]]:
    """The image in a file, or in what was read of it already."""
    try:
        with (
            file.path.open("rb") if content is None else io.BytesIO(content) as handle,
            PIL.Image.open(handle, formats=READABLE) as image,
        ):
            _check_kind(file, image)
            yield image, handle
    except (ImageError, MemoryError):
        raise
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning) as error:
        raise file.error(f"has more than {MAX_PIXELS:,} pixels", "make it smaller") from error
    except PIL.UnidentifiedImageError as error:
        raise file.error("is not an image", f"give {', '.join(READABLE)}, or take the line out") from error
    except Exception as error:  # on a damaged file Pillow raises nearly anything: SyntaxError, zlib.error …
        raise file.error(f"is damaged ({error})", "capture or copy it again") from error


def _content(file: ImageFile) -> bytes | None:
    """All of a small file, ``None`` of a large one.

    Raises:
        ImageError: If it cannot be read.
    """
    size = _check_regular(file)
    if size >= SMALL_BYTES:
        return None
    try:
        # open() and read() of Path take twice as long, which is half of what hashing a small file costs
        descriptor = os.open(file.path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        try:
            content = os.read(descriptor, SMALL_BYTES)
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:
        raise _unreadable(file, error) from error
    return content if len(content) < SMALL_BYTES else None


def _check_regular(file: ImageFile) -> int:
    """Its size, bytes.

    Raises:
        ImageError: If it is missing, no file, or empty.
    """
    try:
        status = file.path.stat()
    except (OSError, ValueError) as error:
        raise _unreadable(file, error) from error
    if not stat.S_ISREG(status.st_mode):
        raise file.error("is not a file", "give the path of an image")
    if status.st_size == 0:
        raise file.error("is empty (0 bytes)", "capture or copy it again")
    return status.st_size


def _check_kind(file: ImageFile, image: PIL.Image.Image) -> None:
    frames = getattr(image, "n_frames", 1)
    if image.width * image.height > MAX_PIXELS:
        raise file.error(f"has {image.width} x {image.height} pixels", f"make it smaller than {MAX_PIXELS:,}")
    if image.has_transparency_data:
        raise file.error("has an alpha channel", "flatten it onto a background")
    if _is_deep(image):
        raise file.error("has 16 bits a channel or more", "convert it to 8 bits")
    if image.mode not in GREY + COLOUR:
        raise file.error(f"has the colour space {image.mode}", "convert it to grey or RGB")
    if frames > 1 and image.format != "MPO":  # telephones add a preview to a JPEG as a second picture
        raise file.error(f"holds {frames} pictures", "keep one")


def _is_deep(image: PIL.Image.Image) -> bool:
    # a 16-bit colour file opens in mode RGB; only the arguments of its decoder tell (RGB;16B, or the maximum of a PPM)
    arguments = [
        part for tile in getattr(image, "tile", ()) for part in (tile[3] if isinstance(tile[3], tuple) else (tile[3],))
    ]
    raw = any(";16" in part for part in arguments if isinstance(part, str))
    wide = image.format == "PPM" and any(part > 255 for part in arguments if isinstance(part, int))
    return raw or wide or image.mode[0] in "IF"


def _unreadable(file: ImageFile, error: OSError | ValueError) -> ImageError:
    reason = getattr(error, "strerror", None) or str(error)
    if isinstance(error, FileNotFoundError):
        return file.error("is missing", "correct the path or take the line out")
    return file.error(f"cannot be read ({reason})", "check its path and permissions")
