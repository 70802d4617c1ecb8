"""Networks side by side on a processor, a core each, so that what decodes images delays none of them."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from threading import Barrier
from typing import Self

import torch
from torch import Tensor

from acqplan.features.backbone import Backbone
from acqplan.features.store import Features


class Lanes:
    """One network, in several threads that each run on one core.

    A pass on all cores waits after each of its operations for the slowest core, which may be decoding an image
    (toynet from files on 2 cores: 0.70 to 0.74 of its bare rate, 0.85 to 0.94 in lanes).

    Args:
        backbone: The network, on a processor.
        size: How many threads.
    """

    def __init__(self, backbone: Backbone, size: int) -> None:
        self.size = size
        self.forward = backbone.passes()
        self.lanes = ThreadPoolExecutor(size, "features", initializer=_on_one_core)

    def __enter__(self) -> Self:
        # torch keeps the number a thread, and one for threads to come, which must not stay changed
        n_threads, started = torch.get_num_threads(), Barrier(self.size + 1)
        for _ in range(self.size):
            self.lanes.submit(started.wait)
        started.wait()
        torch.set_num_threads(n_threads)
        return self

    def __exit__(self, *_: object) -> None:
        self.lanes.shutdown(wait=True, cancel_futures=True)

    def begin(self, images: Tensor) -> Future[Features]:
        """Queue images of one shape."""
        return self.lanes.submit(self.forward, images)


def _on_one_core() -> None:
    torch.set_num_threads(1)
    torch.get_num_threads()  # a thread takes over the common number when it first asks, from then on it has its own
