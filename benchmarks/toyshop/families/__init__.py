"""Procedural shapes to pretrain on: many families, none of them a category of the toys.

No family is an animal, a human, an airplane, a truck or a car, nor anything built like one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float64, Int64
from trimesh import Trimesh

from acqplan.rng import generator
from benchmarks.toyshop.families.abstract import ABSTRACT
from benchmarks.toyshop.families.assemblies import ASSEMBLIES
from benchmarks.toyshop.families.buildings import BUILDINGS
from benchmarks.toyshop.families.furniture import FURNITURE
from benchmarks.toyshop.families.household import HOUSEHOLD
from benchmarks.toyshop.families.letters import LETTERS
from benchmarks.toyshop.families.pastimes import PASTIMES
from benchmarks.toyshop.families.plants import PLANTS
from benchmarks.toyshop.families.tools import TOOLS
from benchmarks.toyshop.families.vessels import VESSELS

Builder = Callable[[np.random.Generator], Trimesh]

FAMILIES: Mapping[str, Builder] = {
    **ABSTRACT,
    **ASSEMBLIES,
    **BUILDINGS,
    **FURNITURE,
    **HOUSEHOLD,
    **LETTERS,
    **PASTIMES,
    **PLANTS,
    **TOOLS,
    **VESSELS,
}
"""Family name -> builder of one random member, of any size and place."""


def build_member(
    family: str, number: int, *, seed: int = 0
) -> tuple[Float64[np.ndarray, "vertices 3"], Int64[np.ndarray, "faces 3"]]:
    """One member of a family, of random proportions and size, standing on the middle of the table.

    Args:
        family: A name of `FAMILIES`.
        number: Which member; the same number is the same shape.
        seed: Of the whole set.

    Returns:
        Vertices in cm, lowest at z = 0, and faces; the member fits a ball of 3.2 to 6.2 cm radius.
    """
    rng = generator(seed, "family", family, number)
    mesh = FAMILIES[family](rng)
    vertices = np.asarray(mesh.vertices) * rng.uniform(0.85, 1.18, 3)
    vertices = vertices - (vertices.min(axis=0) + vertices.max(axis=0)) / 2
    radius = float(np.linalg.norm(vertices, axis=1).max())
    vertices = vertices * (rng.uniform(3.2, 6.2) / radius)
    return vertices - [0.0, 0.0, vertices[:, 2].min()], np.asarray(mesh.faces)
