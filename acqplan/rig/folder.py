"""The rig of a folder: images that exist already, named by a manifest."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from acqplan.errors import UsageError
from acqplan.progress import SILENT, Progress
from acqplan.rig.base import Image
from acqplan.rig.columns import Column, default_columns, space_of
from acqplan.rig.images import ImageFile, check_image, decode, digest, in_threads
from acqplan.rig.manifest import Manifest, check_shots, object_rows, read_manifest
from acqplan.rig.stamps import stamp
from acqplan.runtime import available_cores
from acqplan.space import Objects, Shots, Space


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FolderRig:
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
    ) -> FolderRig:
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
    ) -> FolderRig:
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
