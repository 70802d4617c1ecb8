"""Files of images of every kind: those that can be converted, with what they show, and those that must be refused."""

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 24, 32
GREY = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
ALPHA = np.where(np.arange(WIDTH) < 16, 255, 0).astype(np.uint8) * np.ones((HEIGHT, 1), dtype=np.uint8)


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png(width: int, height: int, depth: int, kind: int, rows: bytes, *more: tuple[bytes, bytes]) -> bytes:
    """A PNG of depths and kinds that Pillow does not write; rows begin with their filter, 0."""
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    chunks = [(b"IHDR", header), *more, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    parts = [struct.pack(">I", len(b)) + a + b + struct.pack(">I", zlib.crc32(a + b)) for a, b in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def deep_png(values: np.ndarray) -> bytes:
    """16 bits a channel: ``[height, width]`` or ``[height, width, 3 or 4]``."""
    kind = {2: 0, 3: 2 if values.shape[-1] == 3 else 6}[values.ndim]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return png(values.shape[1], values.shape[0], 16, kind, rows)


def several(kind: str, mode: str = "L", n: int = 2, **options: Any) -> bytes:
    """A file of several pictures, of which `GREY` is the first."""
    first = Image.fromarray(GREY).convert(mode)
    others = [Image.new(mode, (WIDTH, HEIGHT), number % 256) for number in range(1, n)]
    return saved(first, kind, save_all=True, append_images=others, **options)


def turned(kind: str, orientation: int, image: Image.Image) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(image, kind, exif=exif, quality=95)


def over_grey(colour: np.ndarray) -> np.ndarray:
    shape = (*ALPHA.shape, 1) if colour.ndim == 3 else ALPHA.shape
    return np.where(ALPHA.reshape(shape) == 255, colour, 128).astype(np.uint8)


def seen(content: bytes, mode: str = "RGB") -> np.ndarray:
    """What Pillow itself makes of the first picture."""
    return np.asarray(Image.open(io.BytesIO(content)).convert(mode))


@dataclass(frozen=True)
class Kind:
    """A file that can be converted."""

    suffix: str
    content: bytes
    conversions: tuple[str, ...]
    pixels: np.ndarray


def rgba(colour: np.ndarray) -> Image.Image:
    return Image.fromarray(np.concatenate([colour, ALPHA[..., None]], axis=2))


def transparent_palette() -> Kind:
    image = Image.fromarray(np.zeros((HEIGHT, WIDTH), dtype=np.uint8), "P")
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putdata([0] * (HEIGHT * WIDTH // 2) + [1] * (HEIGHT * WIDTH // 2))
    expected = np.full((HEIGHT, WIDTH, 3), 128, dtype=np.uint8)
    expected[: HEIGHT // 2] = [10, 20, 30]
    return Kind("png", saved(image, transparency=1), ("alpha",), expected)


def photograph(mode: str = "RGB") -> Image.Image:
    """Smooth, so that a JPEG keeps it."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return Image.fromarray(np.stack([8 * rows, 6 * columns, 255 - 8 * rows], axis=2).astype(np.uint8)).convert(mode)


def kinds() -> dict[str, Kind]:
    twelve = GREY.astype(np.uint16) * 16 + 7
    sixteen = GREY.astype(np.uint16) * 257
    lit = COLOUR.astype(np.uint16) * 257
    deep = np.concatenate([lit, ALPHA[..., None].astype(np.uint16) * 257], axis=2)
    phone = saved(photograph(), "MPO", save_all=True, append_images=[Image.new("RGB", (8, 8))])
    cmyk = saved(photograph("CMYK"), "JPEG")
    found = {
        "alpha": Kind("png", saved(rgba(COLOUR)), ("alpha",), over_grey(COLOUR)),
        "grey with alpha": Kind(
            "png", saved(Image.merge("LA", [*map(Image.fromarray, (GREY, ALPHA))])), ("alpha",), over_grey(GREY)
        ),
        "palette with transparency": transparent_palette(),
        "WebP with alpha": Kind(
            "webp", saved(rgba(COLOUR), "WEBP", lossless=True, exact=True), ("alpha",), over_grey(COLOUR)
        ),
        "12 bits in 16": Kind("png", deep_png(twelve), ("depth",), np.rint(twelve * (255 / 4095)).astype(np.uint8)),
        "16 bits": Kind("png", deep_png(sixteen), ("depth",), GREY),
        "16-bit TIFF": Kind("tif", saved(Image.fromarray(sixteen), "TIFF"), ("depth",), GREY),
        "16-bit PGM": Kind("pgm", b"P5 32 24 65535\n" + sixteen.astype(">u2").tobytes(), ("depth",), GREY),
        "12-bit PGM": Kind(
            "pgm",
            b"P5 32 24 4095\n" + twelve.astype(">u2").tobytes(),
            ("depth",),
            np.rint(twelve * (255 / 4095)).astype(np.uint8),
        ),
        "16-bit colour": Kind("png", deep_png(lit), ("depth",), COLOUR),
        "16-bit colour with alpha": Kind("png", deep_png(deep), ("alpha", "depth"), over_grey(COLOUR)),
        "floats to 1": Kind("tif", saved(Image.fromarray((GREY / 255).astype(np.float32)), "TIFF"), ("depth",), GREY),
        "floats to 255": Kind("tif", saved(Image.fromarray(GREY.astype(np.float32)), "TIFF"), ("depth",), GREY),
        "CMYK": Kind("jpg", cmyk, ("colour",), seen(cmyk)),
        "animated WebP": Kind("webp", several("WEBP", "RGB", lossless=True), ("frame",), np.stack([GREY] * 3, axis=2)),
        "APNG": Kind("png", several("PNG"), ("frame",), GREY),
        "pages": Kind("tif", several("TIFF"), ("frame",), GREY),
        "telephone": Kind("jpg", phone, (), seen(phone)),
    }
    for number, way in enumerate(
        [np.fliplr, lambda a: np.rot90(a, 2), np.flipud, lambda a: a.swapaxes(0, 1), lambda a: np.rot90(a, -1)], 2
    ):
        content = turned("JPEG", number, photograph())
        found[f"turned as {number}"] = Kind("jpg", content, ("orientation",), way(seen(content)))
    found["a turned PNG"] = Kind("png", turned("PNG", 6, Image.fromarray(GREY)), ("orientation",), np.rot90(GREY, -1))
    found["a turned TIFF"] = Kind("tif", turned("TIFF", 8, Image.fromarray(GREY)), ("orientation",), np.rot90(GREY))
    return found


KINDS = kinds()


def scanned(width: int, height: int, more: int) -> bytes:
    """A progressive JPEG that goes over its pixels again and again."""
    content = saved(Image.new("L", (width, height), 128), "JPEG", progressive=True, quality=10)
    start = content.index(b"\xff\xda")
    last = content[content.rindex(b"\xff\xda") : -2]
    return content[:start] + content[start:-2] + last * more + b"\xff\xd9"


def tiff_of_a_large_tile() -> bytes:
    """16 x 16 pixels in one tile of 32,768 x 32,768."""
    tags = [(256, 16), (257, 16), (258, 8), (259, 8), (262, 1), (277, 1), (322, 32768), (323, 32768)]
    packed = zlib.compress(bytes(100_000))
    body = b"II*\0" + struct.pack("<I", 8)
    entries = [*tags, (324, 8 + 2 + 12 * (len(tags) + 2) + 4), (325, len(packed))]
    body += struct.pack("<H", len(entries))
    body += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries) + bytes(4)
    return body + packed


REFUSED: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "colours of the eye": ("tif", lambda: saved(Image.new("LAB", (8, 8)), "TIFF"), "has the colour space LAB"),
    "negative numbers": (
        "tif",
        lambda: saved(Image.fromarray(GREY.astype(np.float32) - 9), "TIFF"),
        "has values from -9 to 2",
    ),
    "no numbers": (
        "tif",
        lambda: saved(Image.fromarray(np.full((4, 4), np.nan, dtype=np.float32)), "TIFF"),
        "has values from nan",
    ),
    "numbers beyond 16 bits": (
        "tif",
        lambda: saved(Image.fromarray(np.full((4, 4), 70_000, dtype=np.int32)), "TIFF"),
        "from 70000 to 70000",
    ),
    "12-bit colour in 16": ("png", lambda: deep_png(COLOUR.astype(np.uint16) * 16), "no value uses the upper 4"),
    "9,500 x 9,500": (
        "png",
        lambda: png(9500, 9500, 8, 0, b"\0" * 9),
        "pixels; make it smaller",
    ),
    "WebP of 13,300 x 13,400": (
        "webp",
        lambda: saved(Image.new("RGB", (13_300, 13_400)), "WEBP", lossless=True, method=0),
        "pixels; make it smaller",
    ),
    "WebP of 9,000 x 9,000": (  # Pillow takes 16 bytes for each of its pixels
        "webp",
        lambda: saved(Image.new("RGB", (9_000, 9_000)), "WEBP", lossless=True, method=0),
        "than 44,739,242",
    ),
    "100 more scans": ("jpg", lambda: scanned(400, 300, 100), "scans, at 400 x 300 pixels; save it anew"),
    "a large tile": ("tif", tiff_of_a_large_tile, "has 32768 x 32768 pixels"),
    "numbers in text": ("ppm", lambda: b"P2 2000 1500 255\n" + b"7 " * 3_000_000, "has numbers that take long to read"),
    "100 MB of text": (
        "png",
        lambda: png(4, 4, 8, 0, bytes(20), (b"zTXt", b"a\0\0" + zlib.compress(bytes(100_000_000)))),
        "is damaged",
    ),
    "100 MB of profile": (
        "png",
        lambda: png(4, 4, 8, 0, bytes(20), (b"iCCP", b"a\0\0" + zlib.compress(bytes(100_000_000)))),
        "is damaged",
    ),
    "GIF": ("gif", lambda: saved(Image.fromarray(GREY), "GIF"), "is not an image; give PNG, JPEG, BMP, TIFF"),
}
