"""Where features are computed: in threads of this process, in a process for each device, or on a dask cluster.

Each of these is a context manager that gives `Networks`: copies of a backbone that take batches of images and
answer later. `stream` is the only user of them.
"""

from __future__ import annotations

import importlib.util
import io
import math
import multiprocessing
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from itertools import cycle
from threading import Lock
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float32, Int, UInt8
from torch import Tensor

from acqplan.errors import AcqplanError, MissingError
from acqplan.features.backbone import Backbone, Forward
from acqplan.features.pixels import stack
from acqplan.pool import ended, one_core_threads, serve_parent
from acqplan.rig.source import Image
from acqplan.runtime import available_cores

# Batches that wait for each network, so that none waits for the next image of the source.
AHEAD: Final = 2
# Bytes of images that are collected for a batch: in floats a pass takes some ten times as much. In main memory less.
BATCH_BYTES: Final = 40_000_000
CPU_BATCH_BYTES: Final = 12_000_000
# For so many images several GPUs are used unasked; for fewer, one is done before the processes of the others start.
MANY_IMAGES: Final = 20_000
# On more cores one network runs on all of them: so many batches would not lie in the caches together.
MOST_CORES: Final = 4
# For fewer batches per core, one network on all cores is done as soon, or sooner.
MANY_BATCHES: Final = 4
# A scheduler that does not answer for so long counts as absent.
PATIENCE_SECONDS: Final = 5
Features = Float32[np.ndarray, "shots features"]
Rows = Int[np.ndarray, " images"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Networks:
    """Copies of a backbone that compute side by side."""

    count: int  # how many copies
    batch: int  # most images that one of them is handed together
    n_bytes: int = BATCH_BYTES  # and about how many bytes
    # takes bytes [images, channels, height, width], and gives a function that waits for their features
    submit: Callable[[Tensor], Callable[[], Features]]


def stream(
    captures: Generator[tuple[int, Image], None, None], backbone: Backbone, *, n_images: int
) -> Generator[tuple[Rows, Features], None, None]:
    """Rows and features of batches, in the order of capture.

    The source stays in the caller's thread, where Ctrl-C arrives and its processes are ended in order.

    Args:
        captures: Row and image of each shot; closed at the end, whatever happens.
        backbone: The network; its runtime says where it runs.
        n_images: How many images there will be.
    """
    try:
        with networks_for(backbone, n_images) as networks:
            waiting: deque[tuple[Rows, Callable[[], Features]]] = deque()
            for rows, images in _batches(captures, networks.batch, networks.n_bytes):
                waiting.append((rows, networks.submit(stack(images))))
                if len(waiting) > AHEAD * networks.count:
                    first, wait = waiting.popleft()
                    yield first, wait()
            for rest, wait in waiting:
                yield rest, wait()
    finally:
        captures.close()


def _batches(captures: Iterable[tuple[int, Image]], size: int, n_bytes: int) -> Iterator[tuple[Rows, list[Image]]]:
    """Images of one shape together, ``size`` at a time; fewer once those of all shapes are too many bytes."""
    groups: dict[tuple[int, ...], tuple[list[int], list[Image]]] = {}
    held = 0
    for row, image in captures:
        rows, images = groups.setdefault(image.shape, ([], []))
        rows.append(row)
        images.append(image)
        held += image.nbytes
        if len(rows) == size or held > n_bytes:
            sizes = {shape: math.prod(shape) * len(one[0]) for shape, one in groups.items()}
            full = image.shape if len(rows) == size else max(sizes, key=lambda shape: sizes[shape])
            rows, images = groups.pop(full)
            held -= sum(one.nbytes for one in images)
            yield np.array(rows), images
    for rows, images in groups.values():
        yield np.array(rows), images


def networks_for(backbone: Backbone, n_images: int) -> AbstractContextManager[Networks]:
    """The networks that the backbone's runtime asks for; on a few cores and for many images, one on each core."""
    runtime = backbone.runtime
    if runtime.cluster:
        return on_cluster(backbone, runtime.cluster)
    every_gpu = runtime.device == "cuda" and n_images >= MANY_IMAGES
    unasked = tuple(f"cuda:{number}" for number in range(torch.cuda.device_count())) if every_gpu else ()
    devices = runtime.devices or unasked
    if len(devices) > 1:
        return in_processes(backbone, devices)
    if torch.device(runtime.device).type == "cuda":
        return on_gpu(backbone)
    n_cores = torch.get_num_threads()
    many = n_images >= MANY_BATCHES * n_cores * backbone.limit
    return in_threads(backbone, n_cores if runtime.device == "cpu" and many and n_cores <= MOST_CORES else 1)


@contextmanager
def in_threads(backbone: Backbone, count: int = 1) -> Iterator[Networks]:
    """One network in one thread, or in several threads that each run on one core and share a batch.

    After each operation, a pass on all cores waits for the slowest core, which may be decoding an image
    (toynet from files on 2 cores: 0.70 to 0.74 of its bare rate, 0.85 to 0.94 with one core per thread). The
    threads share a batch, because they share the caches that hold it.
    """
    forward = backbone.passes(count)
    with one_core_threads(count) if count > 1 else ended(ThreadPoolExecutor(1, "features")) as pool:
        batch = -(-backbone.limit // count)
        yield Networks(
            count=count,
            batch=batch,
            n_bytes=BATCH_BYTES // count,
            submit=lambda images: pool.submit(forward, images).result,
        )


@contextmanager
def on_gpu(backbone: Backbone) -> Iterator[Networks]:
    """One network in one thread; a second thread copies the next batch to the GPU meanwhile."""
    forward, device = backbone.passes(), torch.device(backbone.runtime.device)
    side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def copy(images: Tensor) -> tuple[Tensor, torch.cuda.Event | None]:
        try:
            # from page-locked memory, and in a stream of its own: only so the GPU computes meanwhile
            with torch.cuda.stream(side):
                copied = images.pin_memory().to(device, non_blocking=True)
                return copied, side.record_event()
        except torch.OutOfMemoryError:
            return images, None  # large photographs: each pass copies its own images

    def compute(copied: Future[tuple[Tensor, torch.cuda.Event | None]]) -> Features:
        images, arrived = copied.result()
        if arrived is not None:
            main = torch.cuda.current_stream(device)
            main.wait_event(arrived)
            images.record_stream(main)  # its memory is not given to the next copy before it is read
        return forward(images)

    with ended(ThreadPoolExecutor(1, "features")) as network, ended(ThreadPoolExecutor(1, "features-copy")) as copier:
        yield Networks(
            count=1,
            batch=backbone.limit,
            submit=lambda images: network.submit(compute, copier.submit(copy, images)).result,
        )


@contextmanager
def in_processes(backbone: Backbone, devices: tuple[str, ...]) -> Iterator[Networks]:
    """A process for each device, e.g. of ``("cuda:0", "cuda:1")``; batches go round them."""
    context = multiprocessing.get_context("spawn")  # a forked process cannot use CUDA
    n_threads = max(1, available_cores() // len(devices))
    pools = [
        ProcessPoolExecutor(1, context, initializer=_take, initargs=(PackedBackbone(backbone, device), n_threads))
        for device in devices
    ]
    places = cycle(zip(devices, pools, strict=True))

    def submit(images: Tensor) -> Callable[[], Features]:
        device, pool = next(places)
        try:
            future = pool.submit(_features_here, images.numpy())
        except BrokenProcessPool as error:
            # raised when this batch is due, so that what was computed before it is kept first
            future = Future()
            future.set_exception(error)

        def wait() -> Features:
            try:
                return future.result()
            except BrokenProcessPool as error:
                raise AcqplanError(
                    f"the process that computed features on {device} died",
                    "what was computed is in the cache: free memory and run again; "
                    "a script must be guarded by `if __name__ == '__main__':`",
                ) from error

        return wait

    try:
        yield Networks(count=len(devices), batch=backbone.limit, submit=submit)
    finally:
        for wait in (False, True):  # all are asked to end before the first is waited for
            for pool in pools:
                pool.shutdown(wait=wait, cancel_futures=True)


# In a process that was started here: its backbone.
_TAKEN: list[PackedBackbone] = []


def _take(packed: PackedBackbone, n_threads: int) -> None:
    serve_parent()
    torch.set_num_threads(n_threads)
    _TAKEN.append(packed)


def _features_here(images: np.ndarray) -> Features:
    return _TAKEN[0](images)


@contextmanager
def on_cluster(backbone: Backbone, address: str) -> Iterator[Networks]:
    """The workers of a dask cluster that runs already; a batch of a dead worker goes to another.

    Args:
        backbone: The network; the workers run it on a device of the same name.
        address: Of the scheduler, e.g. ``tcp://10.0.0.1:8786``.

    Raises:
        MissingError: If dask is not installed, or no scheduler with workers is at the address.
    """
    with connected(address) as client:
        import dask
        from dask.distributed import KilledWorker
        from distributed.client import FutureCancelledError

        n_workers = len(client.nthreads())
        if not n_workers:
            raise MissingError(f"the dask cluster at {address} has no workers", "start some by `dask worker`")
        packed = client.scatter(PackedBackbone(backbone, backbone.runtime.device), broadcast=True, hash=False)

        def submit(images: Tensor) -> Callable[[], Features]:
            # dask advises to scatter large arguments; but what is scattered dies with its worker
            with dask.config.set({"distributed.admin.large-graph-warning-threshold": "4GB"}):
                future = client.submit(PackedBackbone.__call__, packed, images.numpy(), pure=False)

            def wait() -> Features:
                try:
                    features: Features = future.result()
                except (KilledWorker, FutureCancelledError, OSError) as error:
                    raise AcqplanError(
                        f"the dask cluster lost a batch of images ({error})",
                        "what was computed is in the cache: look after its workers and run again",
                    ) from error
                return features

            return wait

        yield Networks(count=n_workers, batch=backbone.limit, submit=submit)


def connected(address: str) -> Any:
    """A client of the dask scheduler at an address, e.g. ``tcp://10.0.0.1:8786``.

    Raises:
        MissingError: If dask is not installed, or no scheduler is there.
    """
    if importlib.util.find_spec("distributed") is None:
        raise MissingError("a cluster needs dask, which is not installed", "pip install 'acqplan[dask]'")
    from dask.distributed import Client

    try:
        return Client(address, timeout=PATIENCE_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise MissingError(
            f"no dask scheduler answers at '{address}' ({reason})", "start one by `dask scheduler`, or correct it"
        ) from error


class PackedBackbone:
    """A backbone that travels by pickle, and loads its network once in the process where it arrives.

    Args:
        backbone: The network, on any device.
        device: Where it shall run.
    """

    packed: bytes
    device: str
    forward: Forward | None

    def __init__(self, backbone: Backbone, device: str) -> None:
        packed = io.BytesIO()
        torch.save(replace(backbone, runtime=replace(backbone.runtime, device=device)), packed)
        self.__setstate__((packed.getvalue(), device))

    def __call__(self, images: UInt8[np.ndarray, "images channels height width"]) -> Features:
        """Features of images of one shape, shape ``[images, n_features]``."""
        with self.lock:
            if self.forward is None:
                # bytes that this very program has packed: they may hold more than plain weights
                loaded = torch.load(io.BytesIO(self.packed), map_location=self.device, weights_only=False)
                self.forward = loaded.passes()
            # what came over a network may be read-only, which torch does not know
            return self.forward(torch.from_numpy(np.require(images, requirements="W")))

    def __getstate__(self) -> tuple[bytes, str]:
        return self.packed, self.device

    def __setstate__(self, state: tuple[bytes, str]) -> None:
        self.packed, self.device = state
        self.lock, self.forward = Lock(), None
