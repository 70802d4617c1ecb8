"""The protocol of a rig: whatever can take shots."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from jaxtyping import UInt8

from acqplan.progress import SILENT, Progress
from acqplan.space import Objects, Shots, Space

Image = UInt8[np.ndarray, "height width *channels"]
"""One picture: grey ``[height, width]`` or colour ``[height, width, 3]``, bytes."""


class Source(Protocol):
    """Whatever can take shots of objects from views."""

    @property
    def name(self) -> str:
        """Kind of rig as in rig.toml: toys, meshes, folder, norb or live."""

    @property
    def space(self) -> Space:
        """The design space."""

    @property
    def objects(self) -> Objects:
        """The objects, with labels."""

    def shots(self) -> Shots:
        """Every shot that can be had, over all objects of the rig."""

    def identities(self, shots: Shots) -> list[bytes]:
        """For each shot a digest that determines its image, without making the image."""

    def capture(self, shots: Shots, *, progress: Progress = SILENT) -> Iterator[tuple[int, Image]]:
        """Take shots; yields (row of ``shots``, image) in any order, each row once.

        Raises:
            ImageError: If an image that should be there cannot be used.
        """
