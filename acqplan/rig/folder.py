"""The source of images in files: named by a manifest, checked before anything is captured, decoded by threads."""

from __future__ import annotations

import hashlib
import io
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, ClassVar, Final

import numpy as np
import PIL
import PIL.Image
import PIL.ImageOps
from jaxtyping import Float

from acqplan.errors import ImageError, nearest
from acqplan.pool import in_threads
from acqplan.progress import SILENT, Progress
from acqplan.rig.manifest import (
    AxisColumn,
    Manifest,
    axis_coordinates,
    check_shots,
    default_columns,
    object_rows,
    read_manifest,
    space_of,
)
from acqplan.rig.source import Image, Known, Source, rows_of
from acqplan.runtime import available_cores
from acqplan.space import Objects, Shots, Space

# Formats that are read; Pillow knows others, some of which run foreign programs or hold no photographs.
READABLE: Final = ("PNG", "JPEG", "BMP", "PPM", "TIFF", "WEBP")
# Pillow's own bound against images that unpack to more than 256 MB.
MAX_PIXELS: Final = 89_478_485
# Pillow's modes that become ``[h, w]`` and ``[h, w, 3]``.
GREY, COLOUR = ("1", "L"), ("RGB", "P")
# Last bytes of a whole file; one that ends otherwise is decoded to see whether it is truncated.
ENDINGS: Final = {"PNG": b"IEND\xaeB`\x82", "JPEG": b"\xff\xd9"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFile:
    """An image file and the line that names it.

    Attributes:
        path: The file.
        origin: Manifest and line, as errors begin.
        n_bytes: Size of its pixels once decoded; 0 before the file is checked.
    """

    path: Path
    origin: str
    n_bytes: int = 0

    def error(self, complaint: str, advice: str) -> ImageError:
        """An error that names line, file and remedy."""
        return ImageError(f"{self.origin}: image '{self.path}' {complaint}", advice, path=self.path)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FolderSource:
    """Images and a manifest; the views are those that exist.

    Attributes:
        space: The views that occur; a grid if they are all combinations of their levels.
        objects: The objects, sorted by name.
        manifest: What was read.
        images: File of each row of the manifest.
        taken: The shot on each row of the manifest.
        rows: Row of the manifest of each shot.
        workers: Threads that decode.
    """

    name: ClassVar[str] = "folder"
    space: Space
    objects: Objects
    manifest: Manifest
    images: tuple[ImageFile, ...]
    taken: Shots
    rows: Known
    workers: int

    @classmethod
    def open(
        cls, path: Path, *, columns: Sequence[AxisColumn] = (), workers: int | None = None, progress: Progress = SILENT
    ) -> FolderSource:
        """Read a manifest and look at every image's header.

        Args:
            path: The manifest, ``image,label,object,<axis>,…``.
            columns: The columns that are axes; by default all numeric ones.
            workers: Threads; by default one per core.
            progress: Receives each image that is checked.

        Raises:
            ManifestError: If the manifest cannot be used; names file, line and remedy.
            ImageError: If an image cannot be used; names manifest, line, image and remedy.
        """
        manifest = read_manifest(path, file_column="image")
        space, coordinates = space_of(manifest, columns or default_columns(manifest))
        objects = manifest.objects()
        return cls.on(manifest, space, objects, coordinates, workers=workers or available_cores(), progress=progress)

    @classmethod
    def on(
        cls,
        manifest: Manifest,
        space: Space,
        objects: Objects,
        coordinates: Float[np.ndarray, "rows axes"],
        *,
        workers: int,
        progress: Progress = SILENT,
    ) -> FolderSource:
        """The images of a manifest as shots of a given space and objects.

        Raises:
            ManifestError: If an object is seen twice from the same view.
            ImageError: If an image cannot be used.
        """
        check_shots(manifest, space.names, coordinates)
        rows = object_rows(manifest.names, objects)
        taken = Shots(space=space, objects=objects, object_rows=rows, coordinates=coordinates)
        named = [ImageFile(path=file, origin=manifest.where(row)) for row, file in enumerate(manifest.files)]
        images = tuple(in_threads(check_image, named, workers=workers, name="checking images", progress=progress))
        row_of = {key: row for row, key in enumerate(taken.pairs())}
        return cls(
            space=space, objects=objects, manifest=manifest, images=images, taken=taken, rows=row_of, workers=workers
        )

    def shots(self) -> Shots:
        """The rows of the manifest, in order."""
        return self.taken

    def identities(self, shots: Shots) -> list[bytes]:
        """SHA-256 of each shot's file.

        Raises:
            UsageError: If the manifest has no such shot.
            ImageError: If a file can no longer be read.
        """

        def digest(file: ImageFile) -> bytes:
            return hashlib.sha256(_content(file)).digest()

        return list(in_threads(digest, self._files(shots), workers=self.workers, name="reading images"))

    def capture(self, shots: Shots, *, progress: Progress = SILENT) -> Iterator[tuple[int, Image]]:
        """Decode the images of the shots, in order.

        Raises:
            UsageError: If the manifest has no such shot.
            ImageError: If an image is damaged.
        """
        files = self._files(shots)
        return enumerate(in_threads(decode, files, workers=self.workers, name="reading images", progress=progress))

    def _files(self, shots: Shots) -> list[ImageFile]:
        return [self.images[row] for row in rows_of(shots, self.rows, str(self.manifest.path))]


def read_captured(
    path: Path, source: Source, *, workers: int | None = None, progress: Progress = SILENT
) -> FolderSource:
    """The captured images of a rig, as shots of its space and objects.

    Views need not be levels of the axes: where the robot reached 40.3 instead of 40, 40.3 is what counts.

    Args:
        path: A manifest, ``image,label,object,<axis>,…`` with every axis of the rig; other columns are ignored.
        source: The source of the rig whose objects were captured.
        workers: Threads; by default one per core.
        progress: Receives each image that is checked.

    Returns:
        A source of the same space and objects that holds just these shots and their images.

    Raises:
        ManifestError: If an object, label, axis or category level is not the rig's, or a shot is repeated.
        ImageError: If an image cannot be used.
    """
    manifest = read_manifest(path, file_column="image")
    labels = dict(zip(source.objects.names, source.objects.labels, strict=True))
    for row, (name, label) in enumerate(zip(manifest.names, manifest.labels, strict=True)):
        if name not in labels:
            raise manifest.error(row, f"the rig has no object '{name}'", nearest(name, labels), asked=name)
        if labels[name] != label:
            said = f"object '{name}' is labelled '{label}' but '{labels[name]}' in the rig"
            raise manifest.error(row, said, "correct one of them", asked=label)
    coordinates = np.stack([axis_coordinates(manifest, axis) for axis in source.space.axes], axis=1)
    cores = workers or available_cores()
    return FolderSource.on(manifest, source.space, source.objects, coordinates, workers=cores, progress=progress)


def check_image(file: ImageFile) -> ImageFile:
    """Refuse an image that cannot be decoded to 8 bits of grey or RGB, mostly without decoding it.

    Returns:
        The same file, with the size of its pixels.

    Raises:
        ImageError: If it is missing, empty, no image, truncated, too large, animated, has an alpha
            channel, 16 bits a channel or a colour space other than grey and RGB.
    """
    try:
        status = file.path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise file.error("is not a file", "give the path of an image")
        if status.st_size == 0:
            raise file.error("is empty (0 bytes)", "capture or copy it again")
        handle = file.path.open("rb")
    except (OSError, ValueError) as error:
        raise _unreadable(file, error) from error
    with handle, _opened(file, handle) as image:
        # a file that ends as its format does was written to the end; others are decoded to see
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
    with _opened(file, io.BytesIO(_content(file))) as image:
        # in place, and converted only if need be: two copies less of each image
        PIL.ImageOps.exif_transpose(image, in_place=True)
        mode = "L" if image.mode in GREY else "RGB"
        return np.array(image if image.mode == mode else image.convert(mode), dtype=np.uint8)


def _content(file: ImageFile) -> bytes:
    try:
        content = file.path.read_bytes()
    except (OSError, ValueError) as error:
        raise _unreadable(file, error) from error
    if not content:
        raise file.error("is empty (0 bytes)", "capture or copy it again")
    return content


def _unreadable(file: ImageFile, error: OSError | ValueError) -> ImageError:
    if isinstance(error, FileNotFoundError):
        return file.error("is missing", "correct the path or take the line out")
    if isinstance(error, IsADirectoryError):
        return file.error("is not a file", "give the path of an image")
    reason = getattr(error, "strerror", None) or str(error)
    return file.error(f"cannot be read ({reason})", "check its path and permissions")


@contextmanager
def _opened(file: ImageFile, handle: BinaryIO) -> Iterator[PIL.Image.Image]:
    """The image in a file, if it is of a kind that can be used; whatever Pillow raises names the file."""
    try:
        with PIL.Image.open(handle, formats=READABLE) as image:
            if image.width * image.height > MAX_PIXELS:
                raise file.error(f"has {image.width} x {image.height} pixels", f"make it smaller than {MAX_PIXELS:,}")
            if image.has_transparency_data:
                raise file.error("has an alpha channel", "flatten it onto a background")
            # a 16-bit colour file opens in mode RGB; its decoder's arguments tell: RGB;16B, or the maximum of a PPM
            tiles = [tile[3] if isinstance(tile[3], tuple) else (tile[3],) for tile in getattr(image, "tile", ())]
            arguments = [part for tile in tiles for part in tile]
            raw = any(";16" in part for part in arguments if isinstance(part, str))
            wide = image.format == "PPM" and any(part > 255 for part in arguments if isinstance(part, int))
            if raw or wide or image.mode[0] in "IF":
                raise file.error("has 16 bits a channel or more", "convert it to 8 bits")
            if image.mode not in GREY + COLOUR:
                raise file.error(f"has the colour space {image.mode}", "convert it to grey or RGB")
            frames = getattr(image, "n_frames", 1)
            if frames > 1 and image.format != "MPO":  # telephones add a preview to a JPEG as a second picture
                raise file.error(f"holds {frames} pictures", "keep one")
            yield image
    except (ImageError, MemoryError):
        raise
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning) as error:
        raise file.error(f"has more than {MAX_PIXELS:,} pixels", "make it smaller") from error
    except PIL.UnidentifiedImageError as error:
        raise file.error("is not an image", f"give {', '.join(READABLE)}, or take the line out") from error
    except Exception as error:  # on a damaged file Pillow raises nearly anything: SyntaxError, zlib.error …
        raise file.error(f"is damaged ({error})", "capture or copy it again") from error
