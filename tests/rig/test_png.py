"""The short way through a plain PNG: the pixels that Pillow gives, or none, whatever the file."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from acqplan.rig.base import Image as Pixels
from acqplan.rig.images import SIGNATURE, decode_plain


def plain(content: bytes) -> Pixels | None:
    return decode_plain(content, max_pixels=1_000_000)


def by_pillow(content: bytes) -> Pixels:
    with Image.open(io.BytesIO(content)) as opened:
        return np.array(opened)


def packed(pixels: Pixels, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", **options)
    return buffer.getvalue()


def noise(*shape: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def with_chunk(content: bytes, name: bytes, body: bytes, *, behind_pixels: bool = False) -> bytes:
    at = len(content) - 12 if behind_pixels else len(SIGNATURE) + 25
    return content[:at] + chunk(name, body) + content[at:]


@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from([(), (3,)]),
    st.integers(0, 9),
    st.booleans(),
    st.integers(0),
)
@settings(max_examples=40, deadline=None)
def test_pixels_are_those_of_pillow(
    height: int, width: int, channels: tuple[int, ...], level: int, smooth: bool, seed: int
) -> None:
    pixels = noise(height, width, *channels, seed=seed)
    if smooth:  # for which the packer takes other filters
        pixels = np.cumsum(pixels // 64, axis=1).astype(np.uint8)
    found = plain(packed(pixels, compress_level=level))
    assert found is not None
    np.testing.assert_array_equal(found, pixels)
    assert found.flags.writeable


def test_pixels_in_several_chunks_and_behind_chunks_that_say_nothing_of_them_are_read() -> None:
    pixels = noise(300, 400)
    content = packed(pixels, dpi=(72, 72))
    assert content.count(b"IDAT") > 1
    assert b"pHYs" in content
    np.testing.assert_array_equal(plain(with_chunk(content, b"gAMA", struct.pack(">I", 45455))), pixels)


def text() -> PngImagePlugin.PngInfo:
    written = PngImagePlugin.PngInfo()
    written.add_text("Raw profile type exif", "turned")
    return written


GREY = packed(noise(24, 32))
OTHERS = {
    "text": b"azimuth 40",
    "nothing": b"",
    "alpha": packed(noise(4, 4, 4)),
    "16 bits": packed(noise(4, 4).astype(np.uint16)),
    "interlaced": GREY[:28] + b"\1" + struct.pack(">I", zlib.crc32(GREY[12:28] + b"\1")) + GREY[33:],
    "transparent colour": packed(noise(4, 4), transparency=3),
    "text inside": packed(noise(4, 4), pnginfo=text()),
    "wrong header checksum": GREY[:29] + bytes(4) + GREY[33:],
    "a chunk of the wrong length": with_chunk(GREY, b"gAMA", b"45455"),
    "an unknown chunk": with_chunk(GREY, b"teST", b""),
    "a chunk behind the pixels": with_chunk(GREY, b"pHYs", bytes(9), behind_pixels=True),
    "bytes behind the end": GREY + b"\n",
    "no pixels": GREY[:33] + GREY[-12:],
    "zero height": GREY[:20]
    + bytes(4)
    + GREY[24:29]
    + struct.pack(">I", zlib.crc32(GREY[12:20] + bytes(4) + GREY[24:29]))
    + GREY[33:],
}


@pytest.mark.parametrize("content", OTHERS.values(), ids=OTHERS)
def test_anything_else_is_left_to_pillow(content: bytes) -> None:
    assert plain(content) is None


def test_images_of_too_many_pixels_are_left_to_pillow() -> None:
    assert decode_plain(GREY, max_pixels=24 * 32 - 1) is None
    assert decode_plain(GREY, max_pixels=24 * 32) is not None


def test_a_file_cut_anywhere_is_left_to_pillow() -> None:
    assert [length for length in range(len(GREY)) if plain(GREY[:length]) is not None] == []


@given(st.integers(0, len(GREY) - 1), st.integers(1, 255))
@settings(max_examples=300, deadline=None)
def test_a_wrong_byte_gives_what_pillow_gives_or_nothing(at: int, change: int) -> None:
    wrong = bytearray(GREY)
    wrong[at] ^= change
    found = plain(bytes(wrong))
    if found is not None:
        np.testing.assert_array_equal(found, by_pillow(bytes(wrong)))
