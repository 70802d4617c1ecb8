"""How many images fit in one pass through a network: found by measuring a small one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import torch
from torch import Tensor

from acqplan.runtime import Runtime

PROBE_IMAGES: Final = 8
"""Enough that what a pass takes whatever the number of its images counts little."""

SHARE: Final = 0.8
"""Of the memory there is; the rest is for what the allocator cannot use in one piece."""

Pass = Callable[[Tensor], Tensor]


class Meter(Protocol):
    """Knows the memory of a device."""

    def free(self) -> int:
        """Bytes that a pass may take now."""

    def peak(self, once: Pass, images: Tensor) -> int:
        """Bytes that a pass of these images takes at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """The memory that passes may take.

    Attributes:
        meter: Of the device.
        ceiling_bytes: More than this no pass takes, whatever is free; ``None`` for no ceiling.
    """

    meter: Meter
    ceiling_bytes: int | None = None

    @classmethod
    def on(cls, runtime: Runtime) -> Room | None:
        """That of a GPU; ``None`` elsewhere, where caches set the size of a batch."""
        if torch.device(runtime.device).type != "cuda":
            return None
        gigabytes = runtime.memory_gigabytes
        return cls(meter=Gpu(device=runtime.device), ceiling_bytes=None if gigabytes is None else int(gigabytes * 1e9))

    def holds(self, once: Pass, images: Tensor) -> int:
        """Images in a pass that fits, at least 1, judged by a pass of the first few of ``images``."""
        few = images[:PROBE_IMAGES]
        each = max(1, -(-self.meter.peak(once, few) // len(few)))
        room = SHARE * self.meter.free()
        return max(1, int(room if self.ceiling_bytes is None else min(room, self.ceiling_bytes)) // each)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """The memory of one GPU, as torch's allocator sees it."""

    device: str

    def free(self) -> int:
        """Bytes that no tensor holds: those of the device, and those the allocator keeps ready."""
        unheld = torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)
        return int(torch.cuda.mem_get_info(self.device)[0]) + unheld

    def peak(self, once: Pass, images: Tensor) -> int:
        """Bytes that a pass of these images takes at most."""
        before = torch.cuda.memory_allocated(self.device)
        torch.cuda.reset_peak_memory_stats(self.device)
        once(images)
        torch.cuda.synchronize(self.device)
        return torch.cuda.max_memory_allocated(self.device) - before
