"""The source of images in files: named by a manifest, checked before anything is captured, decoded by threads."""

from __future__ import annotations

import stat
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from acqplan.errors import ImageError, ImageWarning, nearest
from acqplan.files import digest_content
from acqplan.images import CONVERSIONS, Crop, ImageHeader, check_file, decode_pixels
from acqplan.numbers import count_noun
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFile:
    """An image file and the line that names it.

    Attributes:
        path: The file.
        origin: Manifest and line, as errors begin.
        header: What it says of its pixels; ``None`` before the file is checked.
    """

    path: Path
    origin: str
    header: ImageHeader | None = None

    @property
    def n_bytes(self) -> int:
        """Size of its pixels once decoded; 0 before the file is checked."""
        return self.header.n_bytes if self.header else 0

    def error(self, complaint: str, advice: str) -> ImageError:
        """An error that names line, file and remedy."""
        return ImageError(f"{self.origin}: image '{self.path}' {complaint}", advice, path=self.path)

    def content(self) -> bytes:
        """Its bytes.

        Raises:
            ImageError: If it is missing, empty or cannot be read.
        """
        try:
            content = self.path.read_bytes()
        except (OSError, ValueError) as error:
            raise _unreadable(self, error) from error
        if not content:
            raise self.error("is empty (0 bytes)", "capture or copy it again")
        return content


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
        crop: What is looked at of each image; all of it by default.
        side: Side of the square that a network takes, for which large images are decoded small; 0 for all pixels.
        digests: SHA-256 of each file that was read, by its row; what it tells of copies is said once.
    """

    name: ClassVar[str] = "folder"
    space: Space
    objects: Objects
    manifest: Manifest
    images: tuple[ImageFile, ...]
    taken: Shots
    rows: Known
    workers: int
    crop: Crop | None = None
    side: int = 0
    digests: dict[int, bytes] = field(default_factory=dict, repr=False)

    @classmethod
    def open(
        cls,
        manifest: Manifest | Path,
        *,
        columns: Sequence[AxisColumn] = (),
        crop: Crop | None = None,
        workers: int | None = None,
        progress: Progress = SILENT,
    ) -> FolderSource:
        """Read a manifest and look at every image's header.

        Args:
            manifest: The manifest, ``image,label,object,<axis>,…``, or its path.
            columns: The columns that are axes; by default those of known names.
            crop: What is looked at of each image; all of it by default.
            workers: Threads; by default one per core.
            progress: Receives each image that is checked.

        Raises:
            ManifestError: If the manifest cannot be used; names file, line and remedy.
            ImageError: If an image cannot be used; names manifest, line, image and remedy.
        """
        if isinstance(manifest, Path):
            manifest = read_manifest(manifest, file_column="image")
        space, coordinates = space_of(manifest, columns or default_columns(manifest))
        objects, cores = manifest.objects(), workers or available_cores()
        return cls.on(manifest, space, objects, coordinates, crop=crop, workers=cores, progress=progress)

    @classmethod
    def on(
        cls,
        manifest: Manifest,
        space: Space,
        objects: Objects,
        coordinates: Float[np.ndarray, "rows axes"],
        *,
        workers: int,
        crop: Crop | None = None,
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
        counts = Counter(name for image in images if image.header for name in image.header.conversions)
        for name, count in sorted(counts.items()):
            said = f"{manifest.path}: {count_noun(count, 'image')} of {len(images):,}: {CONVERSIONS[name]}"
            warnings.warn(said, ImageWarning, stacklevel=2)
        row_of = {key: row for row, key in enumerate(taken.pairs())}
        return cls(
            space=space,
            objects=objects,
            manifest=manifest,
            images=images,
            taken=taken,
            rows=row_of,
            workers=workers,
            crop=crop,
        )

    def shots(self) -> Shots:
        """The rows of the manifest, in order."""
        return self.taken

    def shrunk(self, side: int) -> FolderSource:
        """The same images for a network that takes a square: much larger ones are decoded small."""
        return replace(self, side=side)

    def identities(self, shots: Shots) -> list[bytes]:
        """SHA-256 of each shot's file, what it is shrunk for, its crop; warns once of files that are copies of others.

        Raises:
            UsageError: If the manifest has no such shot.
            ImageError: If a file can no longer be read.
        """

        def digest(file: ImageFile) -> bytes:
            return bytes.fromhex(digest_content(file.content()))

        files, before = self._files(shots), self._copies()
        digests = list(in_threads(digest, files, workers=self.workers, name="reading images"))
        self.digests.update(zip((self.rows[key] for key in shots.pairs()), digests, strict=True))
        copies, line = self._copies(), self.manifest.line
        if copies and not before:
            (row, of), what = copies[0], f"{count_noun(len(copies), 'image')} of {len(self.digests):,} read"
            said = f"{self.manifest.path}: {what} repeat others byte for byte, e.g. {line(row)} {line(of)}"
            warnings.warn(f"{said}; did the camera hang?", ImageWarning, stacklevel=2)
        pairs = zip(files, digests, strict=True)
        return [file.header.identity(one, self.side, self.crop) if file.header else one for file, one in pairs]

    def capture(self, shots: Shots, *, progress: Progress = SILENT) -> Iterator[tuple[int, Image]]:
        """Decode the images of the shots, in order.

        Raises:
            UsageError: If the manifest has no such shot.
            ImageError: If an image is damaged.
        """

        def read(file: ImageFile) -> Image:
            return decode_pixels(file.content(), file.error, side=self.side, crop=self.crop)

        files = self._files(shots)
        return enumerate(in_threads(read, files, workers=self.workers, name="reading images", progress=progress))

    def _copies(self) -> list[tuple[int, int]]:
        """Rows whose file has the bytes of another file that was read, and the first row of those."""
        first: dict[bytes, int] = {}
        pairs = ((row, first.setdefault(digest, row)) for row, digest in sorted(self.digests.items()))
        return [(row, of) for row, of in pairs if self.images[row].path != self.images[of].path]

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
    cores, crop = workers or available_cores(), source.crop if isinstance(source, FolderSource) else None
    return FolderSource.on(
        manifest, source.space, source.objects, coordinates, crop=crop, workers=cores, progress=progress
    )


def check_image(file: ImageFile) -> ImageFile:
    """Refuse an image that cannot be used, mostly without decoding it.

    Returns:
        The same file, with its header.

    Raises:
        ImageError: If it is missing or empty; otherwise as `acqplan.images.check_file`.
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
    with handle:
        return replace(file, header=check_file(handle, file.error))


def _unreadable(file: ImageFile, error: OSError | ValueError) -> ImageError:
    if isinstance(error, FileNotFoundError):
        return file.error("is missing", "correct the path or take the line out")
    if isinstance(error, IsADirectoryError):
        return file.error("is not a file", "give the path of an image")
    reason = getattr(error, "strerror", None) or str(error)
    return file.error(f"cannot be read ({reason})", "check its path and permissions")
