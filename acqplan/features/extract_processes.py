"""Several devices of this machine, each with a process of its own."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import cycle
from typing import Self

import numpy as np
import torch
from torch import Tensor

from acqplan.errors import AcqplanError
from acqplan.features.backbone import Backbone
from acqplan.features.recruit import Recruit
from acqplan.features.store import Features
from acqplan.runtime import available_cores, serve_parent


class Processes:
    """Batches go round the devices; images are taken here, and features are kept from here.

    Args:
        backbone: The network, on any device.
        devices: Of each process, e.g. ``("cuda:0", "cuda:1")``.
    """

    def __init__(self, backbone: Backbone, devices: tuple[str, ...]) -> None:
        self.size = len(devices)
        self.lanes = [(device, _process(backbone, device, len(devices))) for device in devices]
        self.turns = cycle(self.lanes)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: object) -> None:
        for wait in (False, True):  # all are told before one is waited for
            for _, pool in self.lanes:
                pool.shutdown(wait=wait, cancel_futures=True)

    def begin(self, images: Tensor) -> _Sent:
        """Hand images of one shape to the next process."""
        device, pool = next(self.turns)
        return _Sent(future=_submitted(pool, images.numpy()), device=device)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Sent:
    future: Future[Features]
    device: str

    def result(self) -> Features:
        try:
            return self.future.result()
        except BrokenProcessPool as error:
            raise AcqplanError(
                f"the process that computed features on {self.device} died",
                "what was computed is in the cache: free memory and run again; "
                "a script must be guarded by `if __name__ == '__main__':`",
            ) from error


def _submitted(pool: ProcessPoolExecutor, images: np.ndarray) -> Future[Features]:
    """A process that is dead already is told of when this batch is due: what was computed before is kept first."""
    try:
        return pool.submit(_features, images)
    except BrokenProcessPool as error:
        broken: Future[Features] = Future()
        broken.set_exception(error)
        return broken


def _process(backbone: Backbone, device: str, n_processes: int) -> ProcessPoolExecutor:
    threads = max(1, available_cores() // n_processes)
    # a forked process cannot use CUDA
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(
        1, mp_context=context, initializer=_take_up, initargs=(Recruit(backbone, device), threads)
    )


_AT_WORK: list[Recruit] = []
"""In a process that was started here: its backbone."""


def _take_up(recruit: Recruit, threads: int) -> None:
    serve_parent()
    torch.set_num_threads(threads)
    _AT_WORK.append(recruit)


def _features(images: np.ndarray) -> Features:
    return _AT_WORK[0](images)
