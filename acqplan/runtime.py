"""Where and how arrays are computed: made once at the door, passed on by keyword."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Literal

from acqplan.errors import MissingError, UsageError

Precision = Literal["float32", "bfloat16", "float16", "auto"]
Engine = Literal["auto", "torch", "openvino"]


def available_cores() -> int:
    """Processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """Device, number format and limits of heavy work.

    Attributes:
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``.
        precision: Number format of a backbone's forward pass; features are float32 whatever it is. Half precision
            must give features within 1e-2 of float32; ``"auto"`` is the fastest that does.
        engine: What computes a backbone on a processor. ``"auto"`` is OpenVINO where the extra ``[openvino]`` is
            installed, images are many, and features agree with those of torch and come sooner; ``"openvino"`` the same
            however few they are.
        batch: Ceiling of images in one forward pass; fewer if fewer fit in the caches of a processor or in memory.
        workers: Processes that render or decode.
        devices: Several devices of one kind that compute features, each in a process of its own, e.g.
            ``("cuda:0", "cuda:1")``; if empty, ``device`` does, and ``"cuda"`` is every GPU for very many images.
        cluster: Address of a dask scheduler whose workers compute features; ``""`` for none.
    """

    device: str = "cpu"
    precision: Precision = "float32"
    engine: Engine = "auto"
    batch: int = 256
    workers: int = field(default_factory=available_cores)
    devices: tuple[str, ...] = ()
    cluster: str = ""

    def __post_init__(self) -> None:
        kinds = {device.split(":")[0] for device in (self.device, *self.devices)}
        if len(kinds) > 1:
            raise UsageError(f"device {self.device} and devices {', '.join(self.devices)} must be of one kind")
        if self.batch < 1 or self.workers < 1:
            raise UsageError(f"batch {self.batch} and workers {self.workers} must be at least 1")

    @classmethod
    def detect(cls, device: str | None = None, *, precision: Precision = "float32", cluster: str = "") -> Runtime:
        """The fastest device there is, or those asked for.

        Args:
            device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``, or several of one kind, ``"cuda:0,cuda:1"``.
            precision: Number format of a backbone's forward pass.
            cluster: Address of a dask scheduler; ``""`` for none.

        Raises:
            MissingError: If a device asked for is not there.
        """
        # a processor is always there: the plan need not wait for torch to say so
        there = {"cpu": 1} if device == "cpu" else _devices()
        asked = device.split(",") if device is not None else [next(iter(there))]
        for name in asked:
            kind, colon, number = name.partition(":")
            if kind not in there or (colon and not (number.isdecimal() and int(number) < there[kind])):
                found = [kind if count == 1 else f"{kind}:0 to {kind}:{count - 1}" for kind, count in there.items()]
                raise MissingError(f"device '{name}' is not available", f"found: {', '.join(found)}")
        several = tuple(asked) if len(asked) > 1 else ()
        return cls(device=asked[0], devices=several, precision=precision, cluster=cluster)


def _devices() -> dict[str, int]:
    """Kinds of devices there are, the fastest first, and how many of each."""
    import torch

    there = {"cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available()), "cpu": 1}
    return {name: count for name, count in there.items() if count}
