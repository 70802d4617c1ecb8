"""The rig of a robot that runs elsewhere: there is nothing to read, only to plan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, NoReturn

from acqplan.errors import UsageError
from acqplan.progress import SILENT, Progress
from acqplan.rig.base import Image
from acqplan.space import Objects, Shots, Space


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LiveRig:
    """Objects on a turntable that acqplan cannot move.

    Attributes:
        space: What the robot can set.
        objects: What stands on the turntable.
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
