"""The source of smallNORB: 50 toys photographed from every view of a grid, in the binary files of its authors."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, Literal

import numpy as np
from jaxtyping import Int, UInt8

from acqplan.errors import InputError
from acqplan.progress import SILENT, Progress
from acqplan.rig.manifest import object_rows
from acqplan.rig.norb_files import ELSE, HOME, PARTS, fetch_smallnorb, read_matrix, unusable
from acqplan.rig.source import Image, Known, rows_of
from acqplan.space import Axis, Category, Circle, Interval, Objects, Shots, Space, parse_values

if TYPE_CHECKING:
    from acqplan.rig.spec import Rig

Stereo = Literal["left", "right", "both"]
# Category, instance, elevation, azimuth and lighting of each image, in the authors' numbers.
Facts = Int[np.ndarray, "images 5"]

CATEGORIES: Final = ("animal", "human", "airplane", "truck", "car")
# Which instances of each category the authors' parts hold, as the names of the files say.
INSTANCES: Final = {"training": (4, 6, 7, 8, 9), "testing": (0, 1, 2, 3, 5)}
# What each fact is, its largest number and its step: azimuths are in steps of 20 degrees, told in tens.
FACTS: Final = (("category", 4, 1), ("instance", 9, 1), ("elevation", 8, 1), ("azimuth", 34, 2), ("lighting", 5, 1))
N_VIEWS: Final = 18 * 9 * 6
CAMERAS: dict[Stereo, tuple[int, ...]] = {"left": (0,), "right": (1,), "both": (0, 1)}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NorbSource:
    """The images of smallNORB.

    Attributes:
        space: The views that occur, of 18 azimuths, 9 elevations, 6 lightings.
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
        """Open the six files, packed (.gz) or not; images stay on disk until they are captured.

        Raises:
            MissingError: If a file is not there; says where to get it.
            InputError: If a file is not of the authors' format or truncated; an image is described wrongly or twice;
                or the files are not in each other's places.
        """
        facts, pairs = [_read_facts(folder, part) for part in PARTS], []
        for part, rows in zip(PARTS, facts, strict=True):
            path, images = read_matrix(folder, part, "dat")
            pairs.append(images)
            if images.ndim != 4 or images.shape[:2] != (len(rows), 2):
                raise unusable(path, f"shape {images.shape} for {len(rows)} described pairs")
        _check_parts(folder, *facts)
        every = np.concatenate(facts)
        names = [object_name(category, instance) for category, instance in every[:, :2].tolist()]
        # one row of each toy, by category and instance
        _, first = np.unique(every[:, :2], axis=0, return_index=True)
        labels = tuple(CATEGORIES[category] for category in every[first, 0])
        objects = Objects(names=tuple(names[row] for row in first), labels=labels)
        # the views that occur: in a set that was exported, these may be some of the levels
        levels, axes = every[:, [3, 2, 4]] // [2, 1, 1], list[Axis]()
        coordinates = np.empty(levels.shape)
        for column, axis in enumerate(norb_space((0.0, 0.0, 0.0)).axes):
            there, places = np.unique(levels[:, column], return_inverse=True)
            axes.append(replace(axis, values=tuple(axis.values[level] for level in there)))  # type: ignore[arg-type]
            coordinates[:, column] = axes[-1].codes()[places]
        space, views = Space(axes=tuple(axes)), np.unique(coordinates, axis=0)
        taken = Shots(
            space=space if len(views) == space.n_views else Space(axes=space.axes, table=views),
            objects=objects,
            object_rows=object_rows(names, objects),
            coordinates=coordinates,
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


def smallnorb_rig(
    folder: Path, *, stereo: Stereo = "left", whole: bool = True, fetch: bool = False, progress: Progress = SILENT
) -> Rig:
    """The rig of the files in a folder, split as they are.

    Args:
        folder: Where the six files are, packed or not.
        stereo: Which camera.
        whole: Whether all 972 views of all 50 toys must be there, in the parts of the authors.
        fetch: Whether files that are missing are downloaded.
        progress: Receives the download.

    Raises:
        MissingError: If a file is not there, or cannot be downloaded.
        InputError: If a file cannot be used, or a toy or a view is missing.
    """
    from acqplan.rig.spec import Rig  # only here: the processes that render need no reader of rig.toml

    if fetch:
        fetch_smallnorb(folder, progress)
    source = NorbSource.open(folder, stereo=stereo)
    names, in_training = source.taken.names, len(source.pairs[0])
    for part, taken in (("training", names[:in_training]), ("testing", names[in_training:])) if whole else ():
        for name in (object_name(category, instance) for category in range(5) for instance in INSTANCES[part]):
            if (found := taken.count(name)) != N_VIEWS:
                raise _inconsistent(folder, part, f"{found} of {N_VIEWS} images of {name}")
    return Rig(source=source, test=source.testing)


def object_name(category: int, instance: int) -> str:
    """Name of an object of the authors' numbers, ``car-03``."""
    return f"{CATEGORIES[category]}-{instance:02d}"


def look_swapped(training: Iterable[int], testing: Iterable[int]) -> bool:
    """Whether all instances of each part are of the authors' other part."""
    return {*training} <= {*INSTANCES["testing"]} and {*testing} <= {*INSTANCES["training"]}


def _read_facts(folder: Path, part: str) -> Facts:
    (labels, category), (path, rest) = (read_matrix(folder, part, kind) for kind in ("cat", "info"))
    if category.ndim != 1 or rest.shape != (len(category), 4):
        raise unusable(path, f"shape {rest.shape} where {labels.name} has shape {category.shape}")
    facts = np.column_stack([category, rest]).astype(np.int64)
    for column, (fact, most, step) in enumerate(FACTS):
        wrong = (facts[:, column] < 0) | (facts[:, column] > most) | (facts[:, column] % step != 0)
        if wrong.any():
            row = int(np.argmax(wrong))
            said = f"image {row} is described by {fact} {facts[row, column]}, not by one of 0, {step}, …, {most}"
            raise unusable(path if column else labels, said)
    return facts


def _check_parts(folder: Path, training: Facts, testing: Facts) -> None:
    """Refuse an image described twice, an object in both parts, and parts in each other's place."""
    for part, rows in (("training", training), ("testing", testing)):
        _, first, counts = np.unique(rows, axis=0, return_index=True, return_counts=True)
        if len(first) < len(rows):
            twice = rows[first[np.argmax(counts > 1)]]
            described = ", ".join(f"{fact} {number}" for (fact, *_), number in zip(FACTS, twice, strict=True))
            one, two, *_ = np.flatnonzero((rows == twice).all(axis=1))
            raise _inconsistent(folder, part, f"images {one} and {two} are both {described}")
    for category, instance in {*map(tuple, training[:, :2].tolist())} & {*map(tuple, testing[:, :2].tolist())}:
        raise _inconsistent(folder, "testing", f"{object_name(category, instance)} is in the training part as well")
    if look_swapped(training[:, 1].tolist(), testing[:, 1].tolist()):
        raise _inconsistent(folder, "training", f"instance {training[0, 1]} is of the testing part: swap the parts")


def _inconsistent(folder: Path, part: str, found: str) -> InputError:
    hint = f"get its three files anew from {HOME}, {ELSE}"
    return InputError(f"{folder}: {part} part of smallNORB: {found}", hint, path=folder)
