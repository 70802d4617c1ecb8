"""The toys that the package ships, made of numbers alone: ``python -m benchmarks.toyshop.toys``.

Writes ``acqplan/rig/toys.npz``, which `acqplan.rig.rendered` reads.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

import acqplan
from acqplan.files import replacing
from acqplan.rig.norb import CATEGORIES
from acqplan.rig.render import Shape
from acqplan.rig.rendered import N_INSTANCES
from acqplan.rng import generator
from benchmarks.toyshop.toy_shapes.airplanes import airplane
from benchmarks.toyshop.toy_shapes.animals import animal
from benchmarks.toyshop.toy_shapes.cars import car
from benchmarks.toyshop.toy_shapes.humans import human
from benchmarks.toyshop.toy_shapes.parts import Part
from benchmarks.toyshop.toy_shapes.trucks import truck

EMBEDDED = Path(acqplan.__file__).parent / "rig" / "toys.npz"

BUILDERS: dict[str, Callable[[int, np.random.Generator], Part]] = {
    "animal": animal,
    "human": human,
    "airplane": airplane,
    "truck": truck,
    "car": car,
}
"""Each makes its toy of a number; ten body plans, repeated with other measures beyond."""


def build_toy(label: str, number: int, seed: int = 0) -> Shape:
    """Build one toy; its number chooses the body plan, its seed and number the measures."""
    part = BUILDERS[label](number, generator(seed, "toys", label, number))
    return Shape.standing(part.vertices, part.faces)


def pack(shapes: Sequence[Shape]) -> dict[str, np.ndarray]:
    """Arrays of some shapes, arranged so that they compress to two thirds of what they would.

    Returns:
        ``counts``: Vertices and faces of each shape, shape ``[shapes, 2]``.
        ``vertices``: The bytes of the coordinates in float32, those of the same value together: byte by
        coordinate by vertex, shape ``[4, 3, vertices]``, uint8.
        ``faces``: Differences of consecutive corners, shape ``[3 * faces]``, int16.
    """
    vertices = np.concatenate([shape.vertices for shape in shapes]).astype("<f4")
    corners = np.concatenate([shape.faces.reshape(-1) for shape in shapes])
    differences = np.diff(corners, prepend=0)
    if np.abs(differences).max() > np.iinfo(np.int16).max:
        raise SystemExit("a toy has more vertices than 16 bits can tell apart")
    return {
        "counts": np.array([(len(shape.vertices), len(shape.faces)) for shape in shapes], dtype=np.int32),
        "vertices": np.ascontiguousarray(vertices.view(np.uint8).reshape(-1, 3, 4).T),
        "faces": differences.astype(np.int16),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Build the 50 toys of seed 0 and write them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.toyshop.toys", description=__doc__)
    parser.add_argument("--out", type=Path, default=EMBEDDED, help="file to write (default: the embedded one)")
    options = parser.parse_args(arguments)
    shapes = [build_toy(label, number) for label in CATEGORIES for number in range(N_INSTANCES)]
    with replacing(options.out, "wb") as handle:
        np.savez_compressed(handle, allow_pickle=False, **pack(shapes))
    print(f"{options.out}: {len(shapes)} toys, {options.out.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
