"""Which way a surface faces: smooth where it bends gently, sharp at its creases."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32, Int, Int32

_CREASE = np.float32(np.cos(np.radians(40.0)))


def unit(vectors: Float32[np.ndarray, "*rows 3"]) -> Float32[np.ndarray, "*rows 3"]:
    """Vectors scaled to length 1; a zero vector stays zero."""
    lengths = np.sqrt(np.einsum("...i,...i->...", vectors, vectors))[..., None]
    scaled: Float32[np.ndarray, "*rows 3"] = vectors / np.maximum(lengths, np.float32(1e-12))
    return scaled


def corner_normals(
    vertices: Float32[np.ndarray, "vertices 3"], faces: Int32[np.ndarray, "faces 3"]
) -> Float32[np.ndarray, "faces 3 3"]:
    """Normal at each corner of each face: the mean over the faces round it that bend less than 40 degrees.

    Args:
        vertices: Positions; equal positions are one vertex, shape ``[vertices, 3]``.
        faces: Rows of ``vertices``, shape ``[faces, 3]``.

    Returns:
        Unit vectors, face by corner, shape ``[faces, 3, 3]``; zero for a face without area.
    """
    triangles = vertices[faces]
    crosses = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    normals = unit(crosses)
    corners, neighbours = _sharing_pairs(vertices, faces)
    own = normals[corners // 3]
    gentle: Bool[np.ndarray, " pairs"] = np.einsum("pi,pi->p", own, normals[neighbours]) > _CREASE
    total = np.zeros((faces.size, 3))
    for axis in range(3):
        weights = crosses[neighbours[gentle], axis]
        total[:, axis] = np.bincount(corners[gentle], weights=weights, minlength=faces.size)
    smooth = unit(total.reshape(-1, 3, 3).astype(np.float32))
    lost = ~smooth.any(axis=-1, keepdims=True)
    return np.where(lost, normals[:, None], smooth)


def _sharing_pairs(
    vertices: Float32[np.ndarray, "vertices 3"], faces: Int32[np.ndarray, "faces 3"]
) -> tuple[Int[np.ndarray, " pairs"], Int[np.ndarray, " pairs"]]:
    """Every corner with every face that shares its position, itself included."""
    rounded = np.round(vertices, 5) + np.float32(0.0)
    _, place = np.unique(rounded, axis=0, return_inverse=True)
    at_corner = place.reshape(-1)[faces].reshape(-1)
    order = np.argsort(at_corner, kind="stable")
    _, first, counts = np.unique(at_corner[order], return_index=True, return_counts=True)
    group = np.repeat(np.arange(len(counts)), counts)
    partners = counts[group]
    corners = np.repeat(order, partners)
    within = np.arange(partners.sum()) - np.repeat(np.cumsum(partners) - partners, partners)
    neighbours = order[np.repeat(first[group], partners) + within] // 3
    return corners, neighbours
