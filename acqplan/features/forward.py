"""Passing any number of images through a network in batches that fit in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from acqplan.errors import AcqplanError
from acqplan.features.memory import PROBE_IMAGES, Room
from acqplan.features.pixels import stack

Images = Tensor | Sequence[UInt8[np.ndarray, "height width *channels"]]
Pass = Callable[[UInt8[Tensor, "images channels height width"]], Float32[Tensor, "images features"]]


@dataclass(slots=True, kw_only=True, eq=False)
class Forward:
    """One pass after the other; not frozen: it remembers the batch that fits in memory.

    Attributes:
        once: A single pass, on its device.
        limit: Images in a pass; halved when the memory is out.
        room: Memory that a pass may take; looked at before the first batch.
    """

    once: Pass
    limit: int
    room: Room | None = None

    def __call__(self, images: UInt8[Tensor, "images channels height width"]) -> Float32[np.ndarray, "images features"]:
        """Features of images of one shape, shape ``[images, features]``, in main memory.

        Raises:
            AcqplanError: If not even one image fits.
        """
        self._measure(images)
        done: list[np.ndarray] = []
        row = 0
        while row < len(images):
            batch = images[row : row + self.limit]
            features = self._attempt(batch)
            if features is not None:
                done.append(features)
                row += len(batch)
        return np.concatenate(done)

    def _measure(self, images: Tensor) -> None:
        if self.room is not None and min(self.limit, len(images)) > PROBE_IMAGES:
            try:
                self.limit = min(self.limit, self.room.holds(self.once, images))
            except torch.OutOfMemoryError:
                self.limit = PROBE_IMAGES
            self.room = None

    def _attempt(self, batch: Tensor) -> Float32[np.ndarray, "batch features"] | None:
        try:
            features: np.ndarray = self.once(batch).cpu().numpy()
            return features
        except RuntimeError as error:
            if not _out_of_memory(error):
                raise
            if len(batch) == 1:
                raise AcqplanError("one image does not fit in memory", "choose a smaller backbone") from error
        # outside the handler, whose traceback holds on to the tensors of the pass that failed
        self.limit = max(1, len(batch) // 2)
        return None


def compute_all(forward: Forward, images: Images, *, n_features: int) -> Float32[np.ndarray, "images features"]:
    """Features of images of any shapes, in their order.

    Args:
        forward: One pass after the other.
        images: One tensor, or a list of arrays.
        n_features: Numbers of an image, for the answer to no images.
    """
    features = np.empty((len(images), n_features), dtype=np.float32)
    for rows, together in _same_shapes(images):
        features[rows] = forward(together)
    return features


def _same_shapes(images: Images) -> list[tuple[list[int], Tensor]]:
    if isinstance(images, Tensor):
        return [(list(range(len(images))), images)] if len(images) else []
    groups: dict[tuple[int, ...], list[int]] = {}
    for row, image in enumerate(images):
        groups.setdefault(image.shape, []).append(row)
    return [(rows, stack([images[row] for row in rows])) for rows in groups.values()]


def _out_of_memory(error: RuntimeError) -> bool:
    """Of a device, or of main memory, for which torch has no class of its own."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
