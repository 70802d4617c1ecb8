"""Images captured already: a manifest read against the space and objects of a rig."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from acqplan.errors import ManifestError, nearest
from acqplan.progress import SILENT, Progress
from acqplan.rig.base import Rig
from acqplan.rig.columns import axis_coordinates
from acqplan.rig.folder import FolderRig
from acqplan.rig.manifest import Manifest, read_manifest
from acqplan.runtime import available_cores


def read_captured(path: Path, rig: Rig, *, workers: int | None = None, progress: Progress = SILENT) -> FolderRig:
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
    return FolderRig.on(manifest, rig.space, rig.objects, coordinates, workers=cores, progress=progress)


def _check_objects(manifest: Manifest, rig: Rig) -> None:
    labels = dict(zip(rig.objects.names, rig.objects.labels, strict=True))
    for row, (name, label) in enumerate(zip(manifest.names, manifest.labels, strict=True)):
        if name not in labels:
            raise ManifestError(f"{manifest.where(row)}: the rig has no object '{name}'", nearest(name, labels))
        if labels[name] != label:
            said = f"object '{name}' is labelled '{label}' but '{labels[name]}' in the rig"
            raise ManifestError(f"{manifest.where(row)}: {said}", "correct one of them")
