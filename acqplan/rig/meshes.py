"""The rig of meshes: files that a manifest lists, rendered like the toys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import trimesh

from acqplan.errors import MeshError
from acqplan.rig.manifest import check_shots, read_manifest
from acqplan.rig.rendered import RenderedRig, norb_space
from acqplan.rig.studio import Settings, Shape
from acqplan.runtime import available_cores
from acqplan.space import Space


def mesh_rig(
    path: Path,
    *,
    space: Space | None = None,
    settings: Settings | None = None,
    workers: int | None = None,
) -> RenderedRig:
    """A rig of the meshes in a manifest, each brought to the size of the toys.

    Args:
        path: CSV with the columns mesh, label and object; meshes lie below its folder, front +x, up +z.
        space: Which views; those of smallNORB unless given.
        settings: Seed, noise, camera.
        workers: Processes for large captures; all cores unless given.

    Raises:
        ManifestError: If the manifest is not valid or an object stands twice.
        MeshError: If a mesh is missing, cannot be read, or has no faces, no extent or no finite vertices.
    """
    manifest = read_manifest(path, file_column="mesh")
    check_shots(manifest, (), np.zeros((len(manifest), 0)))
    objects = manifest.objects()
    shapes = {
        name: load_shape(file, where=manifest.where(row))
        for row, (name, file) in enumerate(zip(manifest.names, manifest.files, strict=True))
    }
    return RenderedRig(
        name="meshes",
        objects=objects,
        shape_of=lambda row: shapes[objects.names[row]],
        space=space or norb_space(),
        settings=settings or Settings(),
        workers=workers or available_cores(),
    )


def load_shape(file: Path, *, where: str) -> Shape:
    """Read a mesh in any format that trimesh knows and stand it on the table.

    Args:
        file: The mesh.
        where: File and line of the manifest, for errors.

    Raises:
        MeshError: If it is missing, cannot be read, or has no faces, no extent or no finite vertices.
    """
    said = f"{where}: mesh '{file.name}'"
    if not file.is_file():
        raise MeshError(f"{said} does not exist", f"put it at {file} or correct the path")
    mesh = _parse(file, said)
    vertices, faces = np.asarray(mesh.vertices, dtype=np.float64), np.asarray(mesh.faces)
    if faces.ndim != 2 or not len(faces):
        raise MeshError(f"{said} has no faces", "export the surface, not points or lines alone")
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise MeshError(f"{said} has a face of vertices that are not there", "export it again")
    if not np.isfinite(vertices[faces]).all():
        raise MeshError(f"{said} has a vertex that is not finite", "repair it: every coordinate must be a number")
    try:
        return Shape.standing(vertices, faces)
    except ValueError as error:
        raise MeshError(f"{said} has no extent: all its vertices lie in one point", "export it again") from error


def _parse(file: Path, said: str) -> Any:
    try:
        return trimesh.load(file, force="mesh", process=False, skip_materials=True)
    except Exception as error:  # parsers of fifty formats raise whatever comes
        known = ", ".join(sorted(trimesh.available_formats()))
        raise MeshError(f"{said} cannot be read ({error})", f"formats: {known}") from error
