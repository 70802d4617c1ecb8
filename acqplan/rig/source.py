"""What takes shots: the protocol that every source follows, and the source of a live rig, which takes none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, NoReturn, Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from acqplan.errors import UsageError
from acqplan.progress import SILENT, Progress
from acqplan.space import Objects, Shots, Space

# One picture: grey ``[height, width]`` or colour ``[height, width, 3]``, bytes.
Image = UInt8[np.ndarray, "height width *channels"]


class Source(Protocol):
    """What can take shots of objects from views."""

    @property
    def name(self) -> str:
        """Kind of source as in rig.toml: toys, meshes, folder, norb or live."""

    @property
    def space(self) -> Space:
        """The design space."""

    @property
    def objects(self) -> Objects:
        """The objects, with labels."""

    def shots(self) -> Shots:
        """Every shot that can be had, over all objects of the source."""

    def identities(self, shots: Shots) -> list[bytes]:
        """For each shot a digest that determines its image, without making the image."""

    def capture(self, shots: Shots, *, progress: Progress = SILENT) -> Iterator[tuple[int, Image]]:
        """Take shots; yields (row of ``shots``, image) in any order, each row once.

        Raises:
            ImageError: If an image that should be there cannot be used.
        """


@runtime_checkable
class Shrinkable(Protocol):
    """A source whose images may be far larger than a network takes."""

    def shrunk(self, side: int) -> Source:
        """The same source for a network that takes a square of so many pixels a side.

        Much larger images are decoded to three to six times as much; their identities say so.
        """


# Row of each shot that a source holds, by what tells shots apart (`Shots.pairs`).
Known = Mapping[tuple[str, tuple[float, ...]], int]


def rows_of(shots: Shots, known: Known, holder: str) -> list[int]:
    """Row of each shot among those that a source holds.

    Raises:
        UsageError: If the source holds no such shot; ``holder`` names it.
    """
    try:
        return [known[key] for key in shots.pairs()]
    except KeyError as error:
        name, view = error.args[0]
        said = f"{holder}: no image of object '{name}' from view {view}"
        raise UsageError(said, "ask for rows of shots()") from error


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LiveSource:
    """Objects before a robot's camera: acqplan plans their shots, but cannot take them.

    Attributes:
        space: What the robot can set.
        objects: The objects that the robot can be given.
    """

    name: ClassVar[str] = "live"
    space: Space
    objects: Objects

    def shots(self) -> Shots:
        """Every view of every object."""
        return Shots.every(self.space, self.objects)

    def identities(self, shots: Shots) -> list[bytes]:
        """Refused: there are no images to tell apart.

        Raises:
            UsageError: Always.
        """
        return self._refuse(len(shots))

    def capture(self, shots: Shots, *, progress: Progress = SILENT) -> Iterator[tuple[int, Image]]:
        """Refused: the images must come from the robot.

        Raises:
            UsageError: Always.
        """
        return self._refuse(len(shots))

    def _refuse(self, count: int) -> NoReturn:
        raise UsageError(
            f"{count:,} images asked of a live rig, which holds none",
            "take the shots of plan.csv with the robot and give their images with --captured MANIFEST",
        )
