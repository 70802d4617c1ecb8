"""Who computes features: a thread of this process, a process for each device, or a cluster."""

from __future__ import annotations

import importlib.util
import io
import multiprocessing
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from itertools import cycle
from threading import Barrier, Lock
from typing import Any, Final, Protocol, Self

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int, UInt8
from torch import Tensor

from acqplan.errors import AcqplanError, MissingError
from acqplan.features.backbone import Backbone, Forward, black_image, compile_module
from acqplan.features.cache import FeatureCache, Keys
from acqplan.features.pixels import stack
from acqplan.rig.source import Image
from acqplan.runtime import available_cores, serve_parent

FLUSH_IMAGES: Final = 2048
FLUSH_SECONDS: Final = 20.0
"""Features are kept whenever so many are new, or are so old: all that a kill can lose."""

Features = Float32[np.ndarray, "shots features"]
Rows = Int[np.ndarray, " images"]


@dataclass(slots=True, kw_only=True, eq=False)
class FeatureTable:
    """Features of shots, and which of them are not yet on disk; so it is not frozen.

    Attributes:
        backbone: What they are the features of.
        cache: Where they are kept; ``None`` to keep none.
        keys: Of the images, shape ``[shots, 2]``.
        features: What is known so far, zero elsewhere, shape ``[shots, n_features]``.
        found: Which layers of which shots the cache has, shape ``[shots, layers]``.
        clock: Seconds that only grow.
    """

    backbone: Backbone
    cache: FeatureCache | None
    keys: Keys
    features: Features
    found: Bool[np.ndarray, "shots layers"]
    clock: Callable[[], float]
    unsaved: list[Rows] = field(default_factory=list)
    n_unsaved: int = 0
    saved_at: float = field(init=False)

    def __post_init__(self) -> None:
        self.saved_at = self.clock()

    @classmethod
    def open(
        cls, backbone: Backbone, keys: Keys, *, cache: FeatureCache | None, clock: Callable[[], float]
    ) -> FeatureTable:
        """With what the cache has of these images."""
        features = np.zeros((len(keys), backbone.n_features), dtype=np.float32)
        found = np.zeros((len(keys), len(backbone.layers)), dtype=np.bool_)
        if cache is not None:
            for number, (name, columns) in enumerate(_places(backbone)):
                features[:, columns], found[:, number] = cache.load(name, keys, columns.stop - columns.start)
        return cls(backbone=backbone, cache=cache, keys=keys, features=features, found=found, clock=clock)

    def __enter__(self) -> Self:
        if self.cache is not None:
            for name, _ in _places(self.backbone):
                # a folder that cannot be written shall be found out now, not after the work
                self.cache.prepare(name)
        return self

    def __exit__(self, *_: object) -> None:
        self.save()

    @property
    def complete(self) -> Bool[np.ndarray, " shots"]:
        """Which shots the cache has in every layer."""
        return np.asarray(self.found.all(axis=1))

    def put(self, rows: Rows, features: Features) -> None:
        """Take in the features of these shots, and save once enough are new.

        Raises:
            AcqplanError: If they are not finite numbers.
        """
        _check_finite(features, self.backbone)
        self.features[rows] = features
        self.unsaved.append(rows)
        self.n_unsaved += len(rows)
        if self.n_unsaved >= FLUSH_IMAGES or self.clock() - self.saved_at >= FLUSH_SECONDS:
            self.save()

    def save(self) -> None:
        """Save what is new, each layer under its own fingerprint."""
        rows = np.concatenate(self.unsaved) if self.unsaved else np.empty(0, dtype=np.int64)
        self.unsaved, self.n_unsaved, self.saved_at = [], 0, self.clock()
        for number, (name, columns) in enumerate(_places(self.backbone)):
            new = rows[~self.found[rows, number]]
            if self.cache is not None and len(new):
                self.cache.save(name, self.keys[new], self.features[new, columns])


def _places(backbone: Backbone) -> list[tuple[str, slice]]:
    """For each layer its name in the cache, where features in another precision are others, and its columns."""
    precision = backbone.runtime.precision
    suffix = "" if precision == "float32" else f"-{precision}"
    names = [layer.fingerprint + suffix for layer in backbone.layers]
    return list(zip(names, backbone.columns(), strict=True))


def _check_finite(features: Features, backbone: Backbone) -> None:
    if not np.isfinite(features).all():
        raise AcqplanError(
            f"{backbone.spec} gave features that are not finite numbers, in {backbone.runtime.precision}",
            "use float32, or other weights",
        )


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


class Recruit:
    """Computes features in whichever process it is sent to by pickle; loads the network there once.

    Args:
        backbone: The network, on any device.
        device: Where it shall run.
    """

    sealed: bytes
    device: str
    lock: Lock
    forward: Forward | None

    def __init__(self, backbone: Backbone, device: str) -> None:
        sealed = io.BytesIO()
        torch.save(replace(backbone, runtime=replace(backbone.runtime, device=device)), sealed)
        self._load(sealed.getvalue(), device)

    def __call__(self, images: UInt8[np.ndarray, "images channels height width"]) -> Features:
        """Features of images of one shape, shape ``[images, n_features]``."""
        with self.lock:
            if self.forward is None:
                self.forward = _unpacked(self.sealed, self.device)
            # what came over a network may be read-only, which torch does not know
            return self.forward(torch.from_numpy(np.require(images, requirements="W")))

    def __getstate__(self) -> tuple[bytes, str]:
        return self.sealed, self.device

    def __setstate__(self, state: tuple[bytes, str]) -> None:
        self._load(*state)

    def _load(self, sealed: bytes, device: str) -> None:
        self.sealed, self.device = sealed, device
        self.lock, self.forward = Lock(), None


def _unpacked(sealed: bytes, device: str) -> Forward:
    # bytes that this very program has packed: they may hold more than plain weights
    backbone: Backbone = torch.load(io.BytesIO(sealed), map_location=device, weights_only=False)
    if backbone.runtime.compile:
        compile_module(backbone.module, black_image(backbone.preprocessing, device), spec=backbone.spec)
    return backbone.passes()


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


PATIENCE_SECONDS: Final = 5
"""A scheduler that has not answered for so long is taken to be absent."""


class Cluster:
    """The workers of a cluster that runs already; what a dead worker had in hand goes to another.

    Args:
        backbone: The network; the workers run it on a device of the same name.
        address: Of the scheduler, e.g. ``tcp://10.0.0.1:8786``.

    Raises:
        MissingError: On entering, if dask is not installed, or no scheduler with workers is at the address.
    """

    def __init__(self, backbone: Backbone, address: str) -> None:
        self.backbone, self.address = backbone, address
        self.size = 1
        self.open = ExitStack()

    def __enter__(self) -> Self:
        self.client = self.open.enter_context(connected(self.address))
        self.size = len(self.client.nthreads())
        if not self.size:
            self.open.close()
            raise MissingError(f"the dask cluster at {self.address} has no workers", "start some by `dask worker`")
        recruit = Recruit(self.backbone, self.backbone.runtime.device)
        self.recruit = self.client.scatter(recruit, broadcast=True, hash=False)
        return self

    def __exit__(self, *_: object) -> None:
        self.recruit = None
        self.open.close()

    def begin(self, images: Tensor) -> _SentToCluster:
        """Hand images of one shape to whichever worker is free."""
        import dask

        # dask advises to scatter large arguments; but what is scattered dies with its worker
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "4GB"}):
            return _SentToCluster(future=self.client.submit(_features_there, self.recruit, images.numpy(), pure=False))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _SentToCluster:
    future: Any

    def result(self) -> Features:
        from dask.distributed import KilledWorker
        from distributed.client import FutureCancelledError

        try:
            features: Features = self.future.result()
        except (KilledWorker, FutureCancelledError, OSError) as error:
            raise AcqplanError(
                f"the dask cluster lost a batch of images ({error})",
                "what was computed is in the cache: look after its workers and run again",
            ) from error
        return features


def connected(address: str) -> Any:
    """A client of the scheduler at an address, e.g. ``tcp://10.0.0.1:8786``.

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


def _features_there(recruit: Recruit, images: Any) -> Features:
    return recruit(images)


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
