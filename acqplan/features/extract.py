"""From shots to features: only what no cache holds is captured and computed."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Final, Self

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int

from acqplan.errors import AcqplanError, UsageError
from acqplan.features.backbone import Backbone
from acqplan.features.cache import FeatureCache
from acqplan.features.forward import Forward
from acqplan.features.pixels import stack
from acqplan.features.segment import Keys, image_keys
from acqplan.progress import SILENT, Progress
from acqplan.rig.base import Image, Rig
from acqplan.runtime import Runtime
from acqplan.space import Shots

FLUSH_IMAGES: Final = 2048
FLUSH_SECONDS: Final = 20.0
"""Features are kept whenever so many are new, or are so old: all that a kill can lose."""

AHEAD: Final = 2
"""Batches that wait while one is in the network, so that it never waits for the rig's next image."""

Features = Float32[np.ndarray, "shots features"]
Rows = Int[np.ndarray, " images"]
Clock = Callable[[], float]


def extract(
    rig: Rig,
    shots: Shots,
    backbone: Backbone,
    *,
    runtime: Runtime,
    cache: FeatureCache | None,
    progress: Progress = SILENT,
    clock: Clock = time.monotonic,
) -> Features:
    """Features of shots; the rig takes only those whose features are not cached.

    A shot that stands twice, or whose image has the identity of another's, is taken once. What has been
    computed when an error or Ctrl-C comes is in the cache.

    Args:
        rig: What takes the shots.
        shots: What is wanted.
        backbone: What looks at the images.
        runtime: Precision and ceiling of a batch; its device must be the backbone's.
        cache: Where features are kept; ``None`` to keep none.
        progress: Hears of each image that is computed.
        clock: Seconds that only grow.

    Returns:
        Features in the order of ``shots``, shape ``[shots, n_features]``.

    Raises:
        UsageError: If the backbone is on another device.
        ImageError: If an image cannot be used.
        OutputError: If the cache cannot be written.
        AcqplanError: If features are not finite numbers, or the rig does not take each shot once.
    """
    if runtime.device != backbone.runtime.device:
        raise UsageError(f"{backbone.spec} is on {backbone.runtime.device}, not {runtime.device}", "load it there")
    backbone = replace(backbone, runtime=runtime)
    keys = image_keys(rig.identities(shots))
    features, found = _cached(cache, backbone, keys)
    _, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    missing = np.sort(first[~found[first]])
    if len(missing):
        store = _Store(backbone=backbone, cache=cache, keys=keys, features=features, clock=clock)
        _compute(rig, shots, missing, store, progress)
        features[~found] = features[first[inverse.reshape(-1)[~found]]]
    return features


@dataclass(slots=True, kw_only=True, eq=False)
class _Store:
    """Where computed features go; not frozen: it knows which of them are not yet on disk."""

    backbone: Backbone
    cache: FeatureCache | None
    keys: Keys
    features: Features
    clock: Clock
    unsaved: list[Rows] = field(default_factory=list)
    n_unsaved: int = 0
    saved_at: float = field(init=False)

    def __post_init__(self) -> None:
        self.saved_at = self.clock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.save()

    def put(self, rows: Rows, features: Features) -> None:
        """Take in the features of these shots, and save once enough are new."""
        _check_finite(features, self.backbone)
        self.features[rows] = features
        self.unsaved.append(rows)
        self.n_unsaved += len(rows)
        if self.n_unsaved >= FLUSH_IMAGES or self.clock() - self.saved_at >= FLUSH_SECONDS:
            self.save()

    def save(self) -> None:
        """Save what is new."""
        rows = np.concatenate(self.unsaved) if self.unsaved else np.empty(0, dtype=np.int64)
        self.unsaved, self.n_unsaved, self.saved_at = [], 0, self.clock()
        if self.cache is not None and len(rows):
            self.cache.save(_cache_name(self.backbone), self.keys[rows], self.features[rows])


def _cached(cache: FeatureCache | None, backbone: Backbone, keys: Keys) -> tuple[Features, Bool[np.ndarray, " shots"]]:
    if cache is None:
        return np.zeros((len(keys), backbone.n_features), dtype=np.float32), np.zeros(len(keys), dtype=np.bool_)
    features, found = cache.load(_cache_name(backbone), keys, backbone.n_features)
    if not found.all():
        # a folder that cannot be written shall be found out now, not after the work
        cache.prepare(_cache_name(backbone))
    return features, found


def _cache_name(backbone: Backbone) -> str:
    """Features in another precision are other features."""
    precision = backbone.runtime.precision
    return backbone.fingerprint if precision == "float32" else f"{backbone.fingerprint}-{precision}"


def _compute(rig: Rig, shots: Shots, missing: Rows, store: _Store, progress: Progress) -> None:
    done = np.zeros(len(missing), dtype=np.bool_)
    with progress.task(f"features {store.backbone.spec}", len(missing)) as advance:
        stream = _stream(rig.capture(shots.take(missing)), store.backbone)
        with closing(stream), store:
            for rows, features in stream:
                store.put(missing[rows], features)
                done[rows] = True
                advance(len(rows))
    if not done.all():
        raise AcqplanError(
            f"rig '{rig.name}' took {done.sum()} of {len(done)} shots", "its capture() must yield each of them once"
        )


def _stream(captures: Iterator[tuple[int, Image]], backbone: Backbone) -> Generator[tuple[Rows, Features], None, None]:
    """Rows and features of batches, while the next images are being captured.

    The network runs in a thread of its own, and the rig in the caller's, where Ctrl-C arrives and its
    processes are ended in order.
    """
    forward = Forward(once=backbone.forward, limit=backbone.limit)
    waiting: deque[tuple[Rows, Future[Features]]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="features") as thread:
        try:
            for rows, images in _batches(captures, backbone.limit):
                waiting.append((rows, thread.submit(_features, images, forward, backbone.runtime.device)))
                if len(waiting) > AHEAD:
                    yield _first(waiting)
            while waiting:
                yield _first(waiting)
        finally:
            thread.shutdown(wait=True, cancel_futures=True)
            _close(captures)


def _close(captures: Iterator[tuple[int, Image]]) -> None:
    """End the processes of a rig now, not when the iterator happens to be collected."""
    if isinstance(captures, Generator):
        captures.close()


def _first(waiting: deque[tuple[Rows, Future[Features]]]) -> tuple[Rows, Features]:
    rows, future = waiting.popleft()
    return rows, future.result()


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


def _features(images: list[Image], forward: Forward, device: str) -> Features:
    together = stack(images)
    return forward(together.pin_memory() if torch.device(device).type == "cuda" else together)


def _check_finite(features: Features, backbone: Backbone) -> None:
    if not np.isfinite(features).all():
        raise AcqplanError(
            f"{backbone.spec} gave features that are not finite numbers, in {backbone.runtime.precision}",
            "use float32, or other weights",
        )
