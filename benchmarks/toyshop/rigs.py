"""Photographs of procedural objects, several of each family: ``python -m benchmarks.toyshop.rigs --out simulated``.

Members of many families, each seen from views drawn by lot, as PNG files with a manifest. Any few of its families are a
small rig: `benchmarks/surface_prior.py` learns from hundreds of such what rigs are like.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from acqplan.cli.console import ProgressBars
from acqplan.rig.render import Shape
from acqplan.rig.rendered import RenderedSource
from acqplan.rng import generator
from acqplan.space import Category, Circle, Interval, Objects, Space
from benchmarks.toyshop.families import FAMILIES, build_member

VIEWS = Space(
    axes=(
        Circle(name="azimuth", values=tuple(range(0, 360, 15))),
        Interval(name="elevation", values=(10.0, 25.0, 40.0, 55.0, 70.0), unit="deg"),
        Category(name="lighting", values=("L0", "L2", "L4")),
    )
)


def main() -> int:
    """Render them all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.toyshop.rigs", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the images and manifest.csv")
    parser.add_argument("--families", type=int, default=44, help=f"how many, up to {len(FAMILIES)}")
    parser.add_argument("--members", type=int, default=14, help="objects of each family")
    parser.add_argument("--views", type=int, default=32, help="images of each object")
    parser.add_argument("--seed", type=int, default=7)
    asked = parser.parse_args()
    draw = generator(asked.seed, "simulated rigs")
    labels = sorted(draw.permutation(list(FAMILIES))[: asked.families].tolist())
    members = [(label, number) for label in labels for number in range(asked.members)]
    source = RenderedSource(
        name="meshes",
        objects=Objects(names=tuple(f"{a}-{b:02d}" for a, b in members), labels=tuple(a for a, _ in members)),
        shape_of=lambda row: Shape.standing(*build_member(*members[row], seed=asked.seed)),
        space=VIEWS,
    )
    every = source.shots()
    rows = [draw.permutation(np.flatnonzero(every.object_rows == one))[: asked.views] for one in range(len(members))]
    shots = every.take(np.sort(np.concatenate(rows)))
    asked.out.mkdir(parents=True, exist_ok=True)
    names = [f"{name}-{number:05d}.png" for number, name in enumerate(shots.names)]
    for row, image in source.capture(shots, progress=ProgressBars()):
        Image.fromarray(image).save(asked.out / names[row], compress_level=1)
    with (asked.out / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("image", "label", "object", *(axis.name for axis in VIEWS.axes)))
        for name, one, view in zip(names, shots.object_rows, shots.views(), strict=True):
            writer.writerow((name, source.objects.labels[one], source.objects.names[one], *view.values()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
