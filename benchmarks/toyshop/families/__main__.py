"""Pictures of procedural shapes, a folder per family: ``python -m benchmarks.toyshop.families --out shapes``.

Every picture shows another member of its family. They are what `acqplan study freeze-depth --data shapes` reads.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from acqplan.pool import in_order
from acqplan.runtime import available_cores
from benchmarks.toyshop.families import FAMILIES
from benchmarks.toyshop.families.pictures import PictureTask, write_family


def main() -> int:
    """Write what is not there yet."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.toyshop.families", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the pictures")
    parser.add_argument("--families", type=int, default=48, help=f"how many, up to {len(FAMILIES)}")
    parser.add_argument("--members", type=int, default=130, help="pictures of each family")
    parser.add_argument("--size", type=int, default=64, help="pixels")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    if not 1 <= asked.families <= len(FAMILIES) or asked.members < 1:
        parser.error(f"--families 1 to {len(FAMILIES)}, --members at least 1")
    names, began = list(FAMILIES)[: asked.families], time.monotonic()
    tasks = [
        PictureTask(family=name, members=asked.members, size=asked.size, seed=asked.seed, out=asked.out)
        for name in names
    ]
    for number, _ in enumerate(in_order(write_family, tasks, workers=available_cores()), start=1):
        left = (time.monotonic() - began) / number * (len(tasks) - number)
        print(f"{names[number - 1]}: {number} of {len(tasks)} families, {left:.0f} s left", file=sys.stderr, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
