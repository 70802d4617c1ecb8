"""Images of exposures: each from a number, no two alike, drawn without numpy."""

from __future__ import annotations

import random
import struct
import zlib

SIZE = 8


def picture(number: int, size: int = SIZE) -> bytes:
    """A PNG file of noise, grey, ``size`` pixels a side."""
    noise = random.Random(number).randbytes(size * size)
    rows = b"".join(b"\0" + noise[row * size : (row + 1) * size] for row in range(size))
    head = struct.pack(">IIBBBBB", size, size, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(rows, 1)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)
