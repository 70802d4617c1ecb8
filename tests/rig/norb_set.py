"""Small sets in the format of smallNORB, written here from its description."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from acqplan.rig.norb import INSTANCES
from acqplan.rig.norb_files import BYTES, INTEGERS, PARTS
from acqplan.rig.spec import Rig, open_rig

Facts = tuple[int, int, int, int, int]
# category, instance, elevation, azimuth, lighting of each image
FACTS: dict[str, list[Facts]] = {
    "training": [(4, 6, 0, 0, 0), (4, 6, 8, 34, 5), (0, 4, 3, 2, 1)],
    "testing": [(4, 0, 0, 0, 0), (0, 1, 1, 4, 2)],
}
DAT = f"{PARTS['training']}-dat.mat"
CAT = f"{PARTS['training']}-cat.mat"
INFO = f"{PARTS['testing']}-info.mat"


def matrix(magic: int, numbers: np.ndarray) -> bytes:
    sizes = [*numbers.shape, 1, 1][: max(3, numbers.ndim)]
    return np.array([magic, numbers.ndim, *sizes], dtype="<i4").tobytes() + numbers.tobytes()


def write(folder: Path, facts: Mapping[str, Iterable[Facts]] = FACTS, *, side: int = 6) -> None:
    for number, (part, described) in enumerate(facts.items()):
        rows = np.array(list(described), dtype="<i4")
        pixels = np.random.default_rng(number).integers(0, 256, (len(rows), 2, side, side), dtype=np.uint8)
        contents = {"cat": matrix(INTEGERS, rows[:, 0].copy()), "info": matrix(INTEGERS, rows[:, 1:].copy())}
        for kind, content in {**contents, "dat": matrix(BYTES, pixels)}.items():
            (folder / f"{PARTS[part]}-{kind}.mat").write_bytes(content)


def whole() -> dict[str, list[Facts]]:
    """All that smallNORB describes."""
    views = [(e, a, light) for e in range(9) for a in range(0, 36, 2) for light in range(6)]
    return {
        part: [(category, n, *view) for category in range(5) for n in instances for view in views]
        for part, instances in INSTANCES.items()
    }


def opened(folder: Path, more: str = "") -> Rig:
    path = folder / "rig.toml"
    path.write_text('source = "norb"\npath = "."\n' + more)
    return open_rig(path)
