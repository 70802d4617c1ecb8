"""The one door for images: which files are taken, how large they may be, and their pixels as bytes of grey or colour.

Capture scripts, rigs of files, thumbnails and exports all come through here, so that what one takes all can use.
Nothing here loads numpy unless pixels are asked for or have more than 8 bits.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final, Literal

import PIL
import PIL.Image

from acqplan.errors import AcqplanError, ImageError, MissingError

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import UInt8

    Pixels = UInt8[np.ndarray, "height width *channels"]

# Formats that are read, and their suffixes; Pillow knows others, some of which run foreign programs or hold no
# photographs.
SUFFIXES: Final = {"PNG": ".png", "JPEG": ".jpg", "BMP": ".bmp", "TIFF": ".tif", "WEBP": ".webp", "PPM": ".ppm"} | {
    "HEIF": ".heic",
    "AVIF": ".avif",
}
# What files of these formats are called.
NAME_SUFFIXES: Final = {*SUFFIXES.values(), ".jpeg", ".tiff", ".pgm", ".heif"}
# The family of files that are read by a library of their own, and what their heads say.
FAMILY: Final = {b"avif": "AVIF", b"avis": "AVIF"} | dict.fromkeys(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), "HEIF"
)
# Pillow's own bound against images that unpack to more than 256 MB.
MAX_PIXELS: Final = 89_478_485
# Bytes per pixel while an image is decoded, measured with Pillow 13: at most 7, and 16 where it is decoded twice or
# converted. Together, all threads decode no more than the largest image needs.
PLAIN_BYTES, COSTLY_BYTES = 8, 16
DECODING_BYTES: Final = PLAIN_BYTES * MAX_PIXELS
# A JPEG file may go over its pixels again and again: about 2 s per 1,000 million. Ordinary files do so 1 to 12 times.
MOST_SCANS, MOST_SCANNED = 32, 16 * MAX_PIXELS
# Pillow reads numbers in text, or of an odd range, in Python: as long as so many scans.
SLOW_SCANS: Final = 500
# An image of more pixels is decoded small where a network takes far smaller ones.
LARGE_PIXELS: Final = 1_000_000
# Last bytes of a file that was written to its end.
ENDINGS: Final = {"PNG": b"IEND\xaeB`\x82", "JPEG": b"\xff\xd9"}
SCAN: Final = b"\xff\xda"
# Pillow's modes: of one channel, used as they are; of numbers above 8 bits; and others that can be converted.
GREY, PLAIN = ("1", "L", "LA"), ("1", "L", "RGB", "P")
NUMBERS, CONVERTIBLE = ("I", "F"), ("LA", "PA", "RGBA", "RGBX", "CMYK", "YCbCr")
BACKGROUND: Final = (128, 128, 128, 255)
# Largest values of numbers: of floats that are shares, and of 8, 12 and 16 bits.
FLOAT_RANGES, WHOLE_RANGES = (1.0, 255.0, 4095.0, 65535.0), (4095.0, 65535.0)
ORIENTATION: Final = 0x0112
TURNS: Final = {
    2: PIL.Image.Transpose.FLIP_LEFT_RIGHT,
    3: PIL.Image.Transpose.ROTATE_180,
    4: PIL.Image.Transpose.FLIP_TOP_BOTTOM,
    5: PIL.Image.Transpose.TRANSPOSE,
    6: PIL.Image.Transpose.ROTATE_270,
    7: PIL.Image.Transpose.TRANSVERSE,
    8: PIL.Image.Transpose.ROTATE_90,
}
# What is converted on the way to 8 bits of grey or colour, as people are told.
CONVERSIONS: Final[Mapping[str, str]] = {
    "alpha": "transparency is laid over grey",
    "depth": "more than 8 bits are brought to 8 by the range of 12 or 16 bits",
    "colour": "the colour space is converted to RGB",
    "frame": "the first of several pictures is taken",
    "orientation": "turned upright, as EXIF says",
}
QUALITY: Final = 80  # of thumbnails
# Blocks of 16 MB, Pillow's own, glibc keeps for each thread once they are free; above 32 MB it gives them back.
PIL.Image.core.set_block_size(40 * 2**20)  # type: ignore[attr-defined]

Refuse = Callable[[str, str], ImageError]  # an error from a complaint and advice: it names the image
# The part of an image that is looked at: the largest square in its middle, or left, top, right, bottom as shares.
Crop = Literal["square"] | tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageHeader:
    """What a file says of its image.

    Attributes:
        kind: Its format, a key of `SUFFIXES`.
        width: Columns as stored.
        height: Rows as stored.
        channels: 1 or 3, once decoded.
        conversions: What has to be converted, keys of `CONVERSIONS`.
    """

    kind: str
    width: int
    height: int
    channels: int
    conversions: tuple[str, ...] = ()

    @property
    def suffix(self) -> str:
        """Suffix of its file."""
        return SUFFIXES[self.kind]

    @property
    def n_bytes(self) -> int:
        """Bytes of its pixels."""
        return self.width * self.height * self.channels

    def shrinking(self, side: int, crop: Crop | None = None) -> int:
        """Power of two by which a large image can be shrunk and stay, cropped, three times as large as a square.

        With that, features differ by about 1 %, as they may in half precision; 1 if it cannot, or ``side`` is 0.
        """
        if not side or self.width * self.height <= LARGE_PIXELS:
            return 1
        kept = min(crop[2] - crop[0], crop[3] - crop[1]) if isinstance(crop, tuple) else 1.0
        return 1 << max(0, (int(kept * min(self.width, self.height)) // (3 * side)).bit_length() - 1)

    def identity(self, digest: bytes, side: int, crop: Crop | None = None) -> bytes:
        """What the pixels depend on: the digest of the file, the side if it is shrunk for that, and its crop."""
        shrunk = f" shrunk for {side}" if self.shrinking(side, crop) > 1 else ""
        return digest + (shrunk + (f" cropped to {crop}" if crop else "")).encode()


def read_header(file: BinaryIO, refuse: Refuse) -> ImageHeader:
    """What a file says of its image, without decoding it.

    Raises:
        ImageError: If it is no image, too large, or cannot be converted.
    """
    with _opened(file, refuse) as (_, header):
        return header


def check_file(file: BinaryIO, refuse: Refuse) -> ImageHeader:
    """Refuse what cannot be used, decoding only files that do not end as their format does.

    Raises:
        ImageError: As `read_header`, and if it is truncated.
    """
    with _opened(file, refuse) as (image, header):
        file.seek(-min(12, file.seek(0, 2)), 2)
        ending = ENDINGS.get(header.kind)
        if ending is None or not file.read().endswith(ending):
            file.seek(0)
            with _room(_cost(image)):
                _load(image, header, refuse)
        return header


def prove_whole(content: bytes, refuse: Refuse) -> ImageHeader:
    """Decode an image to prove that it is whole and can be used; its pixels are dropped.

    Raises:
        ImageError: As `read_header`, and if it is damaged anywhere, or its numbers have no range of known bits.
    """
    if not content:
        raise refuse("is empty (0 bytes)", "send it again")
    with _opened(io.BytesIO(content), refuse) as (image, header), _room(_cost(image)):
        _load(image, header, refuse)
        # Pillow takes a PNG that lacks its end, and the checksum before it, if no pixel is missing
        if header.kind == "PNG" and ENDINGS["PNG"] not in content:
            raise refuse("is a PNG without its end", "send it again")
        return header


def decode_pixels(content: bytes, refuse: Refuse, *, side: int = 0, crop: Crop | None = None) -> Pixels:
    """Pixels of an image, upright as a viewer shows it.

    Transparent pixels are laid over middle grey. Numbers above 8 bits are divided by the largest of their range, which
    is the smallest of 12 and 16 bits (of floats: 1, 8, 12 and 16 bits) that holds the image: cameras write 10 or 12
    bits into files of 16. So an image of a depth sensor keeps its scale as long as all are of one range. Colours of 16
    bits lose the lower 8. Of several pictures in a file the first is taken.

    Args:
        content: The file.
        refuse: Makes the error that names the image.
        side: Side of the square that a network takes: a much larger image is decoded to three to six times as much;
            0 for all pixels.
        crop: What is kept of the upright image; all of it by default.

    Returns:
        Grey ``[height, width]`` or colour ``[height, width, 3]``, uint8.

    Raises:
        ImageError: As `prove_whole`.
    """
    import numpy as np

    with _opened(io.BytesIO(content), refuse) as (image, header):
        shrinking = header.shrinking(side, crop)
        with _room(_cost(image, shrinking)):
            upright = _upright(image, header, refuse, shrinking)
            return np.array(upright.crop(_box(upright.size, crop)) if crop else upright, dtype=np.uint8)


def as_png(content: bytes, refuse: Refuse) -> bytes:
    """An image as `decode_pixels` gives it, as a PNG file."""
    with _opened(io.BytesIO(content), refuse) as (image, header), _room(_cost(image)):
        return _png(_upright(image, header, refuse))


def png_of(pixels: Pixels) -> bytes:
    """Pixels, uint8, ``[height, width]`` or ``[height, width, 3]``, as a PNG file."""
    return _png(PIL.Image.fromarray(pixels))


def thumbnail(pixels: Pixels, *, edge: int) -> Pixels:
    """Pixels with a longer side of at most ``edge``."""
    import numpy as np

    small = PIL.Image.fromarray(pixels)
    small.thumbnail((edge, edge))
    return np.array(small, dtype=np.uint8)


def jpeg_of(pixels: Pixels) -> bytes:
    """Pixels, as `png_of` takes them, as a JPEG file of a thumbnail's quality."""
    return _jpeg(PIL.Image.fromarray(pixels))


def thumbnail_jpeg(content: bytes, refuse: Refuse, *, edge: int) -> bytes:
    """An image as `decode_pixels` gives it, with a longer side of at most ``edge`` pixels, as a JPEG file."""
    with _opened(io.BytesIO(content), refuse) as (image, header):
        shrinking = max(1, max(image.size) // (2 * edge))
        with _room(_cost(image, shrinking)):
            small = _upright(image, header, refuse, shrinking)
            small.thumbnail((edge, edge))
            return _jpeg(small)


@contextmanager
def _opened(file: BinaryIO, refuse: Refuse) -> Iterator[tuple[PIL.Image.Image, ImageHeader]]:
    """An image that is not decoded yet, within its bounds; whatever Pillow raises becomes an error that names it."""

    def check_size(width: int, height: int, costs: int) -> int:
        if width * height * costs > DECODING_BYTES:
            raise refuse(f"has {width} x {height} pixels", f"make it smaller than {DECODING_BYTES // costs:,}")
        return width * height * costs

    try:
        # the decoder of WebP takes its memory when it is opened
        n_bytes = check_size(*_webp_size(file), COSTLY_BYTES)
        with _room(n_bytes), PIL.Image.open(file, formats=_formats(file, refuse)) as image:
            header, costs = _header(image, refuse), _pixel_bytes(image)
            check_size(image.width, image.height, costs)
            tags = getattr(image, "tag_v2", {})
            check_size(tags.get(322, 0), tags.get(323, 0), costs)  # the tiles of a TIFF may be larger than its image
            scans, pixels = _scans(image, file), image.width * image.height
            if scans > (SLOW_SCANS if header.kind == "PPM" else MOST_SCANS) or scans * pixels > MOST_SCANNED:
                how = "numbers that take long to read" if header.kind == "PPM" else f"{scans:,} scans"
                raise refuse(f"has {how}, at {image.width} x {image.height} pixels", "save it anew, e.g. as PNG")
            yield image, header
    except (AcqplanError, MemoryError):
        raise
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning) as error:
        raise refuse(f"has more than {MAX_PIXELS:,} pixels", "make it smaller") from error
    except PIL.UnidentifiedImageError as error:
        raise refuse("is not an image", f"give {', '.join(SUFFIXES)}, or take it out") from error
    except Exception as error:  # on a damaged file Pillow raises nearly anything: SyntaxError, zlib.error …
        raise refuse(f"is damaged ({error})", "capture or copy it again") from error


def _formats(file: BinaryIO, refuse: Refuse) -> tuple[str, ...]:
    """Formats that a file may have; those that a library of their own reads by its head.

    Raises:
        MissingError: If that library is not there.
    """
    head = file.read(12)
    file.seek(0)
    kind = FAMILY.get(head[8:12], "") if head[4:8] == b"ftyp" else ""
    hint = "pip install 'Pillow>=11.3'" if kind == "AVIF" else "pip install 'acqplan[heic]', or save it as JPEG"
    try:
        if kind == "AVIF":
            from PIL import AvifImagePlugin

            if not AvifImagePlugin.SUPPORTED:
                raise ImportError
        elif kind == "HEIF":
            from pillow_heif import register_heif_opener

            register_heif_opener(thumbnails=False)
    except ImportError as error:
        failed = refuse(f"is {kind}, which cannot be read here", hint)
        raise MissingError(failed.message, failed.hint, path=failed.path) from error
    return (kind,) if kind else tuple(SUFFIXES)[:-2]


def _box(size: tuple[int, int], crop: Crop) -> tuple[int, int, int, int]:
    """Left, top, right and bottom in pixels, at least one pixel apart."""
    width, height = size
    if crop == "square":
        side = min(size)
        left, top = (width - side) // 2, (height - side) // 2
        return left, top, left + side, top + side
    left, top = min(int(crop[0] * width), width - 1), min(int(crop[1] * height), height - 1)
    return left, top, max(round(crop[2] * width), left + 1), max(round(crop[3] * height), top + 1)


def _webp_size(file: BinaryIO) -> tuple[int, int]:
    """Width and height of a WebP by its head; of another file nothing."""
    head = file.read(30)
    file.seek(0)
    if head[:4] != b"RIFF" or len(head) < 30:
        return 0, 0
    if head[12:16] == b"VP8X":
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    if head[12:16] == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return int.from_bytes(head[26:28], "little") & 0x3FFF, int.from_bytes(head[28:30], "little") & 0x3FFF


def _header(image: PIL.Image.Image, refuse: Refuse) -> ImageHeader:
    kind, mode = "JPEG" if image.format == "MPO" else str(image.format), image.mode.partition(";")[0]
    if mode not in (*PLAIN, *NUMBERS, *CONVERTIBLE):
        raise refuse(f"has the colour space {mode}", "convert it to grey or RGB")
    # a 16-bit colour file opens in mode RGB; its decoder's arguments tell: RGB;16B, or the maximum of a PPM
    tiles = [tile[3] if isinstance(tile[3], tuple) else (tile[3],) for tile in getattr(image, "tile", ())]
    arguments = [part for tile in tiles for part in tile]
    is_raw = any(";16" in part for part in arguments if isinstance(part, str))
    is_wide = kind == "PPM" and any(part > 255 for part in arguments if isinstance(part, int))
    found = {
        "alpha": image.has_transparency_data and mode not in NUMBERS,
        "depth": is_raw or is_wide or mode in NUMBERS,
        "colour": mode in ("CMYK", "YCbCr"),
        # telephones add previews as further pictures
        "frame": image.format not in ("MPO", "HEIF") and _has_more(image),
        "orientation": _orientation(image) in TURNS,
    }
    return ImageHeader(
        kind=kind,
        width=image.width,
        height=image.height,
        channels=1 if mode in (*GREY, *NUMBERS) else 3,
        conversions=tuple(name for name, is_so in found.items() if is_so),
    )


def _has_more(image: PIL.Image.Image) -> bool:
    """Whether there are more pictures; all those of a TIFF are not counted, which takes long for many."""
    if image.format != "TIFF":
        return getattr(image, "n_frames", 1) > 1
    try:
        image.seek(1)
    except EOFError:
        return False
    image.seek(0)
    return True


def _orientation(image: PIL.Image.Image) -> int:
    """How the camera was held; 1 if that cannot be read, or a PNG may say it behind its pixels."""
    if image.format == "PNG" and getattr(image, "tile", None) and "exif" not in image.info:
        return 1
    try:
        return int(PIL.Image.Image.getexif(image).get(ORIENTATION, 1))
    except Exception:  # damaged EXIF raises nearly anything, and harms no pixel
        return 1


def _cost(image: PIL.Image.Image, shrinking: int = 1) -> int:
    """Bytes that it takes to decode and convert an image; those of a WebP are taken already."""
    n_bytes = image.width * image.height * _pixel_bytes(image) * (image.format != "WEBP")
    is_scaled = image.format in ("JPEG", "MPO") and "progressive" not in image.info
    return n_bytes // min(shrinking, 8) ** 2 if is_scaled else n_bytes


def _pixel_bytes(image: PIL.Image.Image) -> int:
    is_costly = image.mode not in PLAIN or image.format in ("WEBP", "HEIF", "AVIF")
    return COSTLY_BYTES if is_costly else PLAIN_BYTES


def _scans(image: PIL.Image.Image, file: BinaryIO) -> int:
    """How often a decoder goes over all pixels; a JPEG on the disk is read to its end only if it is progressive."""
    if image.format == "PPM":
        return 1 if [tile[0] for tile in getattr(image, "tile", ())] == ["raw"] else SLOW_SCANS
    is_packed = image.format == "TIFF" and image.info.get("compression") in ("jpeg", "tiff_jpeg")
    is_known = image.format in ("JPEG", "MPO") and (isinstance(file, io.BytesIO) or "progressive" in image.info)
    if not is_packed and not is_known:
        return 1
    place = file.tell()
    file.seek(0)
    scans = file.read().count(SCAN)
    file.seek(place)
    # each strip or tile of a TIFF is a JPEG of its own
    tags = getattr(image, "tag_v2", {})
    return -(-scans // max(len(tags.get(273, ())), len(tags.get(324, ())), 1))


def _load(image: PIL.Image.Image, header: ImageHeader, refuse: Refuse) -> PIL.Image.Image:
    """Decode; numbers become bytes.

    Raises:
        ImageError: If the range of numbers is none that is known.
    """
    image.load()
    if "depth" not in header.conversions:
        return image
    if image.mode.partition(";")[0] in NUMBERS:
        import numpy as np

        values = np.asarray(image)
        low, high = float(values.min()), float(values.max())
        limit = next((one for one in (FLOAT_RANGES if image.mode == "F" else WHOLE_RANGES) if high <= one), None)
        if limit is None or not low >= 0.0:  # NaN too
            raise refuse(f"has values from {low:g} to {high:g}", "scale them to 0 to 65535, or to 8 bits")
        return PIL.Image.fromarray(np.rint(values * np.float32(255.0 / limit)).astype(np.uint8))
    if max(high for _, high in image.convert("RGB").getextrema()) < 16:  # type: ignore[misc]
        complaint = "has 16 bits a channel, of which no value uses the upper 4"
        raise refuse(complaint, "use the whole range, or convert it to 8 bits")
    return image


def _upright(image: PIL.Image.Image, header: ImageHeader, refuse: Refuse, shrinking: int = 1) -> PIL.Image.Image:
    """The image in mode L or RGB, shrunk and turned."""
    longer = max(image.size)
    if shrinking > 1 and header.kind == "JPEG":
        image.draft(None, (image.width // shrinking, image.height // shrinking))
    plain = _load(image, header, refuse)
    turn, mode = TURNS.get(_orientation(image)), "L" if plain.mode in GREY else "RGB"
    if "alpha" in header.conversions:
        behind = PIL.Image.new("RGBA", plain.size, BACKGROUND)
        behind.alpha_composite(plain.convert("RGBA"))
        plain = behind
    plain = plain if plain.mode == mode else plain.convert(mode)
    rest = shrinking * max(plain.size) // longer  # what a JPEG decoder has left to do, or all of it
    plain = plain.reduce(rest) if rest > 1 else plain
    return plain if turn is None else plain.transpose(turn)


def _png(image: PIL.Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, format="PNG", compress_level=1)
    return file.getvalue()


def _jpeg(image: PIL.Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, format="JPEG", quality=QUALITY)
    return file.getvalue()


class _Decoding:
    """How much all threads decode at present; those that wait get their turn in the order in which they came."""

    def __init__(self) -> None:
        self.turn, self.change, self.n_bytes = threading.Lock(), threading.Condition(), 0


_DECODING = _Decoding()
if hasattr(os, "register_at_fork"):
    # what the threads of the parent decode is nothing to its child, which would wait for them for ever
    os.register_at_fork(after_in_child=_DECODING.__init__)  # type: ignore[misc]


@contextmanager
def _room(n_bytes: int) -> Iterator[None]:
    """Wait until so much may be decoded beside what other threads decode; the block ends when it is done with."""
    if n_bytes:
        with _DECODING.turn, _DECODING.change:
            _DECODING.change.wait_for(lambda: _DECODING.n_bytes + n_bytes <= DECODING_BYTES)
            _DECODING.n_bytes += n_bytes
    try:
        yield
    finally:
        with _DECODING.change:
            _DECODING.n_bytes -= n_bytes
            _DECODING.change.notify_all()
