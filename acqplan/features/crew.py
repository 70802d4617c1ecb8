"""Who computes features: a thread of this process, a process for each device, or a cluster."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Final, Self

import torch
from torch import Tensor

from acqplan.features.backbone import Backbone
from acqplan.features.extract_dask import Cluster
from acqplan.features.extract_processes import Processes
from acqplan.features.lanes import Lanes
from acqplan.features.store import Features
from acqplan.features.stream import Crew

MANY_IMAGES: Final = 20_000
"""From here on several GPUs are used unasked: below, one is done before the others' processes have started."""


MOST_LANES: Final = 4
"""On more cores one network runs on all of them: so many batches would not lie in the caches together."""

MANY_BATCHES: Final = 4
"""For fewer batches a core, one network on all cores is done as soon, or sooner."""


def crew_for(backbone: Backbone, n_images: int) -> tuple[AbstractContextManager[Crew], int]:
    """Those whom the backbone's runtime names; on a few cores a network on each.

    Args:
        backbone: What shall be computed.
        n_images: How many images there are to do.

    Returns:
        Who computes, and images in a batch: lanes share the caches, and so what lies in them.
    """
    runtime = backbone.runtime
    if runtime.cluster:
        return Cluster(backbone, runtime.cluster), backbone.limit
    every_gpu = runtime.device == "cuda" and n_images >= MANY_IMAGES
    unasked = tuple(f"cuda:{number}" for number in range(torch.cuda.device_count())) if every_gpu else ()
    devices = runtime.devices or unasked
    if len(devices) > 1:
        return Processes(backbone, devices), backbone.limit
    n_lanes = torch.get_num_threads()
    many = n_images >= MANY_BATCHES * n_lanes * backbone.limit
    if runtime.device == "cpu" and many and 1 < n_lanes <= MOST_LANES:
        return Lanes(backbone, n_lanes), -(-backbone.limit // n_lanes)
    return Here(backbone), backbone.limit


class Here:
    """One thread for the network and, on a GPU, one that copies the next batch meanwhile.

    Args:
        backbone: The network, on its device.
    """

    size = 1

    def __init__(self, backbone: Backbone) -> None:
        self.forward = backbone.passes()
        self.device = torch.device(backbone.runtime.device)
        self.network = ThreadPoolExecutor(1, thread_name_prefix="features")
        self.copier = ThreadPoolExecutor(1, thread_name_prefix="features-copy")
        self.side = _stream(self.device) if self.device.type == "cuda" else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.copier.shutdown(wait=True, cancel_futures=True)
        self.network.shutdown(wait=True, cancel_futures=True)

    def begin(self, images: Tensor) -> Future[Features]:
        """Queue images of one shape."""
        if self.side is None:
            return self.network.submit(self.forward, images)
        return self.network.submit(self._of_copied, self.copier.submit(self._copied, images, self.side))

    def _copied(self, images: Tensor, side: torch.cuda.Stream) -> tuple[Tensor, torch.cuda.Event | None]:
        """Copy to the GPU while it computes: page-locked memory, and a stream of its own."""
        try:
            with torch.cuda.stream(side):
                copied = images.pin_memory().to(self.device, non_blocking=True)
                return copied, side.record_event()
        except torch.OutOfMemoryError:
            return images, None  # large photographs: the passes copy as many as they look at

    def _of_copied(self, copy: Future[tuple[Tensor, torch.cuda.Event | None]]) -> Features:
        images, arrived = copy.result()
        if arrived is not None:
            stream = torch.cuda.current_stream(self.device)
            stream.wait_event(arrived)
            images.record_stream(stream)  # its memory is not given to the next copy before it is read
        return self.forward(images)


def _stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
