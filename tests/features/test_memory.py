"""The size of a batch, found from the memory there is."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from acqplan.errors import UsageError
from acqplan.features.backbone import PROBE_IMAGES, SHARE, Forward, Pass, Room
from acqplan.runtime import Runtime

IMAGES = torch.arange(100, dtype=torch.uint8).view(100, 1, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A device of so many bytes, on which an image takes so many."""

    total: int
    each: int

    def free(self) -> int:
        return self.total

    def peak(self, once: Pass, images: Tensor) -> int:
        once(images)
        return self.each * len(images)


class Recorded:
    """A pass that gives the images back, and fails if they do not fit."""

    def __init__(self, holds: int = 1_000_000) -> None:
        self.holds, self.sizes = holds, list[int]()

    def __call__(self, images: Tensor) -> Tensor:
        self.sizes.append(len(images))
        if len(images) > self.holds:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return images.flatten(1).float()


@pytest.mark.parametrize(("total", "each", "batch"), [(10_000, 100, 80), (1_000, 100, 8), (100, 100, 1), (9**9, 1, 90)])
def test_batches_are_as_large_as_fit_and_no_larger_than_the_limit(total: int, each: int, batch: int) -> None:
    once = Recorded()
    forward = Forward(once=once, limit=90, room=Room(meter=Machine(total=total, each=each)))
    np.testing.assert_array_equal(forward(IMAGES)[:, 0], np.arange(100))
    assert once.sizes[0] == PROBE_IMAGES
    assert max(once.sizes[1:]) == batch
    assert batch * each <= max(each, SHARE * total)


def test_a_pass_stays_below_the_ceiling_whatever_is_free() -> None:
    once = Recorded()
    Forward(once=once, limit=90, room=Room(meter=Machine(total=9**9, each=100), ceiling_bytes=2_500))(IMAGES)
    assert max(once.sizes) == 25


def test_the_memory_is_measured_once() -> None:
    once = Recorded()
    forward = Forward(once=once, limit=50, room=Room(meter=Machine(total=5_000, each=100)))
    for _ in range(2):
        forward(IMAGES)
    assert once.sizes == [PROBE_IMAGES, 40, 40, 20, 40, 40, 20]


def test_a_device_too_small_for_the_small_pass_still_gets_there() -> None:
    once = Recorded(holds=3)
    forward = Forward(once=once, limit=50, room=Room(meter=Machine(total=300, each=100)))
    np.testing.assert_array_equal(forward(IMAGES)[:, 0], np.arange(100))
    assert max(size for size in once.sizes if size <= 3) == 2


def test_a_processor_has_no_room_to_measure_and_a_ceiling_must_be_above_zero() -> None:
    assert Room.on(Runtime()) is None
    with pytest.raises(UsageError, match="0 GB"):
        Runtime(memory_gigabytes=0)
