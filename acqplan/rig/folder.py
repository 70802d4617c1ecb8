"""The rig of a folder: images that exist already, named by a manifest."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from acqplan.errors import ManifestError, UsageError, nearest
from acqplan.progress import SILENT, Progress
from acqplan.rig.base import Image, Source
from acqplan.rig.images import ImageFile, check_image, decode, digest, in_threads
from acqplan.rig.manifest import (
    Column,
    Manifest,
    axis_coordinates,
    check_shots,
    default_columns,
    object_rows,
    read_manifest,
    space_of,
)
from acqplan.runtime import available_cores
from acqplan.space import Objects, Shots, Space

SETTLED_NS: Final = 2_000_000_000
"""A file that changed less than this before it is looked at may change again without its times telling: FAT counts
in steps of 2 s, others in finer ones."""


@runtime_checkable
class Stamped(Protocol):
    """A rig whose images are files, so that what was read of them once can be remembered."""

    def stamps(self, shots: Shots) -> list[bytes]:
        """For each shot what changes whenever its file does; empty where that cannot be told."""


def stamp(path: Path, now_ns: int) -> bytes:
    """Path, size, times of change, inode and device of a file.

    The time of change of the inode cannot be set by programs, unlike that of the content, which copies preserve.

    Args:
        path: The file.
        now_ns: When this is asked, nanoseconds of `time.time_ns`; or any time before.

    Returns:
        Bytes that differ if the file is another or has changed; none if it changed just now, or cannot be seen.

    Source:
        git, Documentation/technical/racy-git.txt: an entry as young as its record is not to be trusted.
    """
    try:
        status = os.stat(path)  # noqa: PTH116 - it stands in the innermost loop, where Path.stat takes longer
    except (OSError, ValueError):
        return b""
    if max(status.st_mtime_ns, status.st_ctime_ns) > now_ns - SETTLED_NS:
        return b""
    numbers = (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino, status.st_dev)
    return struct.pack("<qqQQQ", *numbers) + os.fsencode(path)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FolderSource:
    """Images and a manifest; the views are those that exist.

    Attributes:
        space: The views that occur; a grid if they are all combinations of their levels.
        objects: The objects, sorted by name.
        manifest: What was read.
        images: File of each row of the manifest.
        taken: The shot on each row of the manifest.
        rows: Row of the manifest by what tells shots apart (`Shots.keys`).
        workers: Threads that decode.
    """

    name: ClassVar[str] = "folder"
    space: Space
    objects: Objects
    manifest: Manifest
    images: tuple[ImageFile, ...]
    taken: Shots
    rows: Mapping[tuple[str, tuple[float, ...]], int]
    workers: int

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        columns: Sequence[Column] = (),
        workers: int | None = None,
        progress: Progress = SILENT,
    ) -> FolderSource:
        """Read a manifest and look at every image's header.

        Args:
            path: The manifest, ``image,label,object,<axis>,…``.
            columns: The columns that are axes; by default all numeric ones.
            workers: Threads; by default one a core.
            progress: Who listens while the images are checked.

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
        numbered = {key: row for row, key in enumerate(taken.pairs())}
        return cls(
            space=space, objects=objects, manifest=manifest, images=images, taken=taken, rows=numbered, workers=workers
        )

    def shots(self) -> Shots:
        """The rows of the manifest, in order."""
        return self.taken

    def identities(self, shots: Shots) -> list[bytes]:
        """SHA-256 of each shot's file.

        Raises:
            UsageError: If the manifest has no such shot.
            ImageError: If a file cannot be read any more.
        """
        return list(in_threads(digest, self._files(shots), workers=self.workers, name="reading images"))

    def stamps(self, shots: Shots) -> list[bytes]:
        """For each shot what changes whenever its file does; empty where it changed just now, or is gone.

        Raises:
            UsageError: If the manifest has no such shot.
        """
        now_ns = time.time_ns()
        return [stamp(file.path, now_ns) for file in self._files(shots)]

    def capture(self, shots: Shots, *, progress: Progress = SILENT) -> Iterator[tuple[int, Image]]:
        """Decode the images of the shots, in order.

        Raises:
            UsageError: If the manifest has no such shot.
            ImageError: If an image is damaged.
        """
        files = self._files(shots)
        return enumerate(in_threads(decode, files, workers=self.workers, name="reading images", progress=progress))

    def _files(self, shots: Shots) -> list[ImageFile]:
        try:
            return [self.images[self.rows[key]] for key in shots.pairs()]
        except KeyError as error:
            name, view = error.args[0]
            raise UsageError(
                f"{self.manifest.path}: no image of object '{name}' from view {view}", "ask for rows of shots()"
            ) from error


def read_captured(path: Path, rig: Source, *, workers: int | None = None, progress: Progress = SILENT) -> FolderSource:
    """The captured images of a rig, as shots of its space and objects.

    Views need not be levels of the axes: where the robot reached 40.3 instead of 40, 40.3 is what counts.

    Args:
        path: A manifest, ``image,label,object,<axis>,…`` with every axis of the rig; other columns are
            passed over.
        rig: The rig whose objects were captured.
        workers: Threads; by default one a core.
        progress: Who listens while the images are checked.

    Returns:
        A rig of the same space and objects that holds just these shots and their images.

    Raises:
        ManifestError: If an object, label, axis or category level is not the rig's, or a shot is repeated.
        ImageError: If an image cannot be used.
    """
    manifest = read_manifest(path, file_column="image")
    _check_objects(manifest, rig)
    coordinates = np.stack([axis_coordinates(manifest, axis) for axis in rig.space.axes], axis=1)
    cores = workers or available_cores()
    return FolderSource.on(manifest, rig.space, rig.objects, coordinates, workers=cores, progress=progress)


def _check_objects(manifest: Manifest, rig: Source) -> None:
    labels = dict(zip(rig.objects.names, rig.objects.labels, strict=True))
    for row, (name, label) in enumerate(zip(manifest.names, manifest.labels, strict=True)):
        if name not in labels:
            raise ManifestError(f"{manifest.where(row)}: the rig has no object '{name}'", nearest(name, labels))
        if labels[name] != label:
            said = f"object '{name}' is labelled '{label}' but '{labels[name]}' in the rig"
            raise ManifestError(f"{manifest.where(row)}: {said}", "correct one of them")
