"""Images of a campaign: on the disk, whole and named by their content, before any event speaks of them."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acqplan.errors import ImageError
from acqplan.files import digest_bytes, folder, replacing, sync_folder

if TYPE_CHECKING:
    import numpy as np

    Picture = bytes | Path | np.ndarray[Any, Any]

SUFFIXES = {"PNG": ".png", "JPEG": ".jpg", "BMP": ".bmp", "TIFF": ".tif", "WEBP": ".webp", "PPM": ".ppm"}
UNSAFE = re.compile(r"[^A-Za-z0-9._+-]")
LONGEST_NAME = 120
DIGITS = 16
"""Of the digest, in the name of a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """An image on the disk.

    Attributes:
        digest: SHA-256 of its bytes.
        name: Path in the folder of images.
        fresh: Whether it was not there before.
    """

    digest: str
    name: str
    fresh: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """The folder of a campaign's images.

    Attributes:
        root: The folder.
    """

    root: Path

    def write(self, shot: str, picture: Picture) -> Written:
        """Put an image on the disk; when this returns it will survive a loss of power.

        Args:
            shot: Identifier of its shot.
            picture: Bytes of an image file, a file, or an array, uint8, ``[height, width]`` or
                ``[height, width, 3]``.

        Raises:
            ImageError: If it is no whole image.
            OutputError: If it cannot be written.
        """
        content, suffix = encoded(picture, shot)
        digest = digest_bytes(content)
        name = f"{digest[:2]}/{_safe(shot)}__{digest[:DIGITS]}{suffix}"
        path = self.root / name
        if path.is_file() and self.is_whole(name, digest):
            return Written(digest=digest, name=name, fresh=False)
        made = not path.parent.is_dir()
        with replacing(folder(path.parent) / path.name, "wb") as handle:
            handle.write(content)
        sync_folder(path.parent)
        if made:
            sync_folder(self.root)
        return Written(digest=digest, name=name, fresh=True)

    def read(self, name: str) -> bytes:
        """Bytes of an image.

        Raises:
            ImageError: If it is not there.
        """
        try:
            return (self.root / name).read_bytes()
        except OSError as error:
            raise ImageError(f"{self.root / name}: cannot be read ({error.strerror})", "run a check") from error

    def is_whole(self, name: str, digest: str) -> bool:
        """Whether an image is there as it was written."""
        try:
            return digest_bytes((self.root / name).read_bytes()) == digest
        except OSError:
            return False

    def names(self) -> list[str]:
        """Names of all images, and of nothing half-written."""
        return sorted(
            path.relative_to(self.root).as_posix()
            for path in self.root.glob("??/*")
            if not path.name.startswith(".") and "__" in path.name
        )

    def forget(self, name: str) -> None:
        """Take an image away that no event speaks of."""
        (self.root / name).unlink(missing_ok=True)


def encoded(picture: Picture, shot: str) -> tuple[bytes, str]:
    """Bytes and suffix of an image that was proven to be whole.

    Raises:
        ImageError: If it is not.
    """
    if isinstance(picture, Path | str):
        path = Path(picture)
        try:
            return _checked(path.read_bytes(), str(path))
        except OSError as error:
            raise ImageError(f"{path}: cannot be read ({error.strerror})", "give the file of an image") from error
    if isinstance(picture, bytes | bytearray | memoryview):
        return _checked(bytes(picture), f"image of {shot}")
    return _drawn(picture, shot), ".png"


def _checked(content: bytes, source: str) -> tuple[bytes, str]:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(content)) as image:
            kind = image.format or ""
            image.load()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        said = str(error).split("<")[0].strip() or "unknown"
        raise ImageError(
            f"{source}: {len(content):,} bytes that are no whole image ({said})", "send it again"
        ) from error
    if kind not in SUFFIXES:
        raise ImageError(f"{source}: an image of kind {kind or 'unknown'}", f"give {', '.join(SUFFIXES)}")
    return content, SUFFIXES[kind]


def _drawn(picture: Any, shot: str) -> bytes:
    from PIL import Image

    shape, kind = getattr(picture, "shape", None), str(getattr(picture, "dtype", type(picture).__name__))
    fits = shape is not None and (len(shape) == 2 or (len(shape) == 3 and shape[2] == 3)) and 0 not in shape
    if kind != "uint8" or not fits:
        raise ImageError(
            f"image of {shot}: {kind} of shape {shape}", "give uint8 of shape [height, width] or [height, width, 3]"
        )
    file = io.BytesIO()
    Image.fromarray(picture).save(file, format="PNG", compress_level=1)
    return file.getvalue()


def _safe(shot: str) -> str:
    return UNSAFE.sub("-", shot)[:LONGEST_NAME]
