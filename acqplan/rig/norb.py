"""The source of smallNORB: 50 toys photographed from every view of a grid, in the binary files of its authors."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Int, UInt8

from acqplan.errors import InputError, MissingError
from acqplan.progress import SILENT, Progress
from acqplan.rig.manifest import object_rows
from acqplan.rig.source import Image, Known, rows_of
from acqplan.space import Category, Circle, Interval, Objects, Shots, Space, parse_values

Stereo = Literal["left", "right", "both"]

PARTS = {
    "training": "smallnorb-5x46789x9x18x6x2x96x96-training",
    "testing": "smallnorb-5x01235x9x18x6x2x96x96-testing",
}
CATEGORIES = ("animal", "human", "airplane", "truck", "car")
# Magic numbers of the authors' matrix format (LeCun, Huang, Bottou, CVPR 2004; see their format page).
BYTES, INTEGERS = 0x1E3D4C55, 0x1E3D4C54
CAMERAS: dict[Stereo, tuple[int, ...]] = {"left": (0,), "right": (1,), "both": (0, 1)}
HOME = "https://cs.nyu.edu/~ylclab/data/norb-v1.0-small/"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NorbSource:
    """The images of smallNORB.

    Attributes:
        space: 18 azimuths, 9 elevations, 6 lightings.
        objects: The toys, named like the embedded ones: ``car-03`` is instance 3.
        testing: Names of the objects in the authors' testing part.
        taken: The shot of each image, the training part first.
        pairs: Stereo pairs of each part, on disk, shape ``[images, 2, 96, 96]``.
        rows: Row in ``taken`` of each shot.
        stereo: Which camera; ``both`` puts the images of a pair side by side.
    """

    name: ClassVar[str] = "norb"
    space: Space
    objects: Objects
    testing: tuple[str, ...]
    taken: Shots
    pairs: tuple[UInt8[np.ndarray, "images 2 height width"], ...]
    rows: Known
    stereo: Stereo

    @classmethod
    def open(cls, folder: Path, *, stereo: Stereo = "left") -> NorbSource:
        """Open the six unpacked files; images stay on disk until they are captured.

        Raises:
            MissingError: If a file is not there; says where to get it.
            InputError: If a file is not of the authors' format, truncated, or an image is described wrongly.
        """
        facts, pairs = [_read_facts(folder, part) for part in PARTS], []
        for part, rows in zip(PARTS, facts, strict=True):
            path = _file(folder, part, "dat")
            pairs.append(_matrix(path, BYTES))
            if pairs[-1].ndim != 4 or pairs[-1].shape[:2] != (len(rows), 2):
                raise _unusable(path, f"shape {pairs[-1].shape} for {len(rows)} described pairs")
        every = np.concatenate(facts)
        names = [f"{CATEGORIES[category]}-{instance:02d}" for category, instance in every[:, :2].tolist()]
        # one row of each toy, by category and instance
        _, first = np.unique(every[:, :2], axis=0, return_index=True)
        labels = tuple(CATEGORIES[category] for category in every[first, 0])
        objects = Objects(names=tuple(names[row] for row in first), labels=labels)
        taken = Shots(
            space=norb_space((0.0, 0.0, 0.0)),
            objects=objects,
            object_rows=object_rows(names, objects),
            coordinates=np.column_stack([every[:, 3] * 10.0, 30.0 + 5.0 * every[:, 2], every[:, 4]]),
        )
        return cls(
            space=taken.space,
            objects=objects,
            testing=tuple(sorted(set(names[len(facts[0]) :]))),
            taken=taken,
            pairs=tuple(pairs),
            rows={key: row for row, key in enumerate(taken.pairs())},
            stereo=stereo,
        )

    def shots(self) -> Shots:
        """One shot per image, the training part first."""
        return self.taken

    def identities(self, shots: Shots) -> list[bytes]:
        """SHA-256 of each shot's pixels."""
        return [hashlib.sha256(self._image(row).tobytes()).digest() for row in rows_of(shots, self.rows, "smallNORB")]

    def capture(self, shots: Shots, *, progress: Progress = SILENT) -> Iterator[tuple[int, Image]]:
        """Read the images of the shots, in order.

        Raises:
            UsageError: If there is no such shot.
        """
        rows = rows_of(shots, self.rows, "smallNORB")
        with progress.task("reading images", len(rows)) as advance:
            for position, row in enumerate(rows):
                yield position, self._image(row)
                advance(1)

    def _image(self, row: int) -> Image:
        in_training = len(self.pairs[0])
        pair = self.pairs[0][row] if row < in_training else self.pairs[1][row - in_training]
        return np.concatenate([pair[camera] for camera in CAMERAS[self.stereo]], axis=1)


def norb_space(seconds: tuple[float, float, float] = (0.05, 0.10, 0.2)) -> Space:
    """The views of smallNORB: 18 azimuths, 9 elevations, 6 lightings.

    Args:
        seconds: Time to move by a degree of azimuth and of elevation, and to change the lighting; of a usual arm
            unless given.
    """
    return Space(
        axes=(
            Circle(name="azimuth", values=parse_values("0:340:20"), seconds_per_unit=seconds[0]),
            Interval(name="elevation", values=parse_values("30:70:5"), unit="deg", seconds_per_unit=seconds[1]),
            Category(name="lighting", values=tuple(f"L{n}" for n in range(6)), seconds_per_change=seconds[2]),
        )
    )


def _read_facts(folder: Path, part: str) -> Int[np.ndarray, "images 5"]:
    """Category, instance, elevation, azimuth and lighting of each image, in the authors' numbers."""
    path, labels = _file(folder, part, "info"), _file(folder, part, "cat")
    category, rest = _matrix(labels, INTEGERS), _matrix(path, INTEGERS)
    if rest.shape != (len(category), 4) or category.ndim != 1:
        raise _unusable(path, f"{rest.shape} numbers for {category.shape} categories")
    facts = np.column_stack([category, rest]).astype(np.int64)
    # categories, instances, elevations, azimuths in steps of 20 degrees (even numbers), lightings
    outside = (facts < 0) | (facts > [4, 9, 8, 34, 5]) | (facts % [1, 1, 1, 2, 1] != 0)
    if outside.any():
        row = int(np.argmax(outside.any(axis=1)))
        raise _unusable(path, f"image {row} is described by {facts[row].tolist()}")
    return facts


def _matrix(path: Path, magic: int) -> np.ndarray:
    """A matrix in the authors' format, left on disk."""
    head = np.fromfile(path, dtype="<i4", count=16)
    if len(head) < 5 or head[0] != magic or not 1 <= head[1] <= 8:
        said = f"{path}: this is not a matrix of smallNORB"
        raise InputError(said, f"unpack it, or get it anew from {HOME}", path=path)
    dimensions = int(head[1])
    shape = tuple(head[2 : 2 + dimensions].tolist())
    start = 4 * (2 + max(dimensions, 3))  # the authors write at least three sizes
    kind = np.dtype(np.uint8 if magic == BYTES else "<i4")
    found, needed = path.stat().st_size, start + math.prod(shape) * kind.itemsize
    if min(shape) < 1 or found != needed:
        raise _unusable(path, f"{found:,} bytes found, {needed:,} expected")
    return np.memmap(path, dtype=kind, mode="r", offset=start, shape=shape)


def _file(folder: Path, part: str, kind: str) -> Path:
    path = folder / f"{PARTS[part]}-{kind}.mat"
    if path.is_file():
        return path
    packed = path.with_name(path.name + ".gz")
    advice = f"unpack it: gunzip {packed}" if packed.is_file() else f"get {packed.name} from {HOME} and unpack it there"
    raise MissingError(f"{path} is missing", advice)


def _unusable(path: Path, found: str) -> InputError:
    return InputError(f"{path}: {found}", f"get it anew from {HOME}", path=path)
