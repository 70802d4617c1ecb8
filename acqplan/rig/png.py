"""Plain PNG files, decoded by Pillow's C code alone; Pillow's way through a file in Python takes as long again."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Final

import numpy as np
import PIL.Image

from acqplan.rig.base import Image

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
END: Final = b"\0\0\0\0IEND\xaeB`\x82"

KINDS: Final = {(8, 0, 0, 0, 0): "L", (8, 2, 0, 0, 0): "RGB"}
"""Depth, colour, compression, filter and interlacing of grey and RGB in 8 bits, and what Pillow calls them."""

SILENT: Final = {b"pHYs": 9, b"gAMA": 4, b"sRGB": 1, b"cHRM": 32, b"tIME": 7}
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
    if any(SILENT.get(name) != len(body) for name, body in before):
        raise ValueError("a chunk that may mean something, or one behind the pixels")
    return parts[0] if len(parts) == 1 else b"".join(parts)
