"""Images to features while the next images are being captured: by a thread here, or by a crew elsewhere."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Final, Protocol

import numpy as np
from torch import Tensor

from acqplan.features.pixels import stack
from acqplan.features.store import Features, Rows
from acqplan.rig.base import Image

AHEAD: Final = 2
"""Batches that wait for each network that is at work, so that none waits for the rig's next image."""


class Promise(Protocol):
    """Features that are being computed."""

    def result(self) -> Features:
        """Wait for them."""


class Crew(Protocol):
    """One or more copies of a backbone at work.

    Attributes:
        size: How many.
    """

    @property
    def size(self) -> int:
        """Copies of the backbone."""

    def begin(self, images: Tensor) -> Promise:
        """Hand over images of one shape, ``[images, channels, height, width]`` bytes."""


def stream(
    captures: Generator[tuple[int, Image], None, None], crew: AbstractContextManager[Crew], *, batch: int
) -> Generator[tuple[Rows, Features], None, None]:
    """Rows and features of batches, in the order of capture.

    The rig stays in the caller's thread, where Ctrl-C arrives and its processes are ended in order.

    Args:
        captures: Row and image of each shot; closed at the end, whatever happens.
        crew: Entered before the first image and left after the last.
        batch: Images handed over together at most.
    """
    try:
        with crew as hands:
            waiting: deque[tuple[Rows, Promise]] = deque()
            for rows, images in _batches(captures, batch):
                waiting.append((rows, hands.begin(stack(images))))
                if len(waiting) > AHEAD * hands.size:
                    yield _first(waiting)
            while waiting:
                yield _first(waiting)
    finally:
        captures.close()


def _first(waiting: deque[tuple[Rows, Promise]]) -> tuple[Rows, Features]:
    rows, promise = waiting.popleft()
    return rows, promise.result()


def _batches(captures: Iterable[tuple[int, Image]], size: int) -> Iterator[tuple[Rows, list[Image]]]:
    """Images of one shape together, ``size`` at a time."""
    groups: dict[tuple[int, ...], list[tuple[int, Image]]] = {}
    for row, image in captures:
        group = groups.setdefault(image.shape, [])
        group.append((row, image))
        if len(group) == size:
            yield _unzipped(groups.pop(image.shape))
    yield from map(_unzipped, groups.values())


def _unzipped(group: list[tuple[int, Image]]) -> tuple[Rows, list[Image]]:
    return np.array([row for row, _ in group]), [image for _, image in group]
