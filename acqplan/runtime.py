"""Where and how arrays are computed: made once at the door, passed on by keyword."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Literal

from acqplan.errors import MissingError, UsageError

Precision = Literal["float32", "bfloat16", "float16"]


def available_cores() -> int:
    """Processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """Device, number format and limits of heavy work.

    Attributes:
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``.
        precision: Number format of a backbone's forward pass; features are float32 whatever it is.
        batch: Ceiling of images in one forward pass.
        workers: Processes that render or decode.
    """

    device: str = "cpu"
    precision: Precision = "float32"
    batch: int = 256
    workers: int = field(default_factory=available_cores)

    def __post_init__(self) -> None:
        if self.batch < 1 or self.workers < 1:
            raise UsageError(f"batch {self.batch} and workers {self.workers} must be at least 1")

    @classmethod
    def detect(cls, device: str | None = None) -> Runtime:
        """The fastest device there is, or the one asked for.

        Raises:
            MissingError: If the device asked for is not there.
        """
        found = _devices()
        chosen = device or found[0]
        if chosen.split(":")[0] not in found:
            raise MissingError(f"device '{chosen}' is not available", f"found: {', '.join(found)}")
        return cls(device=chosen)


def _devices() -> list[str]:
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    return [name for name, here in there.items() if here]
