"""Images of another source, cut to a part and turned: for augmentation, and for patches."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from acqplan.files import digest_bytes
from acqplan.progress import SILENT, Progress
from acqplan.rig.source import Image, Shrinkable, Source
from acqplan.space import Objects, Shots, Space


@dataclass(frozen=True, slots=True, kw_only=True)
class AlteredSource:
    """A source whose every image is turned about its middle and cut to a part; features are cached by what was done.

    Attributes:
        source: What takes the images.
        top: Upper edge of the part, as a share of the height.
        left: Left edge, as a share of the width.
        size: Height and width of the part, as shares, above 0 and at most 1.
        degrees: By how much the image is turned before, anticlockwise; its corners are filled with its border.
    """

    source: Source
    top: float = 0.0
    left: float = 0.0
    size: float = 1.0
    degrees: float = 0.0

    @property
    def name(self) -> str:
        """Kind of the source behind."""
        return self.source.name

    @property
    def space(self) -> Space:
        """The design space."""
        return self.source.space

    @property
    def objects(self) -> Objects:
        """The objects, with labels."""
        return self.source.objects

    def shots(self) -> Shots:
        """Every shot that can be had."""
        return self.source.shots()

    def shrunk(self, side: int) -> AlteredSource:
        """The same parts for a network that takes a square: images are decoded no smaller than a part needs."""
        if not isinstance(self.source, Shrinkable):
            return self
        return replace(self, source=self.source.shrunk(math.ceil(side / self.size)))

    def identities(self, shots: Shots) -> list[bytes]:
        """Digests of each image and of what is done to it."""
        done = repr((self.top, self.left, self.size, self.degrees)).encode()
        return [bytes.fromhex(digest_bytes(identity, done)) for identity in self.source.identities(shots)]

    def capture(self, shots: Shots, *, progress: Progress = SILENT) -> Iterator[tuple[int, Image]]:
        """Take shots, turn and cut them."""
        for row, image in self.source.capture(shots, progress=progress):
            yield row, self.of(image)

    def of(self, image: Image) -> Image:
        """What is made of an image."""
        if self.degrees:
            image = ndimage.rotate(image, self.degrees, axes=(1, 0), reshape=False, order=1, mode="nearest")
        rows, columns = self.where(image.shape[0], image.shape[1])
        return np.ascontiguousarray(image[rows, columns])

    def where(self, height: int, width: int) -> tuple[slice, slice]:
        """Rows and columns of the part in an image of this size."""
        edges = [
            (round(start * length), max(round((start + self.size) * length), round(start * length) + 1))
            for start, length in ((self.top, height), (self.left, width))
        ]
        return slice(*edges[0]), slice(*edges[1])
