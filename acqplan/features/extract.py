"""From shots to features: only what no cache holds is captured and computed."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace

import numpy as np

from acqplan.errors import AcqplanError, UsageError
from acqplan.features.backbone import Backbone
from acqplan.features.cache import FeatureCache
from acqplan.features.crew import crew_for
from acqplan.features.identities import keys_of
from acqplan.features.precision import PROBE_IMAGES, choices, settle
from acqplan.features.store import Features, Rows, Store
from acqplan.features.stream import stream
from acqplan.progress import SILENT, Progress
from acqplan.rig.base import Image, Rig
from acqplan.runtime import Runtime
from acqplan.space import Shots


def extract(
    rig: Rig,
    shots: Shots,
    backbone: Backbone,
    *,
    runtime: Runtime,
    cache: FeatureCache | None,
    progress: Progress = SILENT,
    clock: Callable[[], float] = time.monotonic,
) -> Features:
    """Features of shots; the rig takes only those whose features are not cached.

    A shot that stands twice, or whose image has the identity of another's, is taken once. What has been
    computed when an error or Ctrl-C comes is in the cache.

    Args:
        rig: What takes the shots.
        shots: What is wanted.
        backbone: What looks at the images.
        runtime: Precision, ceiling of a batch, and who computes; its device must be the backbone's.
        cache: Where features are kept; ``None`` to keep none.
        progress: Hears of each image that is computed, and what was found of half precision.
        clock: Seconds that only grow.

    Returns:
        Features in the order of ``shots``, shape ``[shots, n_features]``; of several layers side by side.

    Raises:
        UsageError: If the backbone is on another device, or the precision asked for gives other features.
        ImageError: If an image cannot be used.
        OutputError: If the cache cannot be written.
        MissingError: If dask or the cluster of ``runtime`` is not there.
        AcqplanError: If features are not finite numbers, the rig does not take each shot once, or a process
            that computes features dies.
    """
    if runtime.device != backbone.runtime.device:
        raise UsageError(f"{backbone.spec} is on {backbone.runtime.device}, not {runtime.device}", "load it there")
    keys = keys_of(rig, shots, cache=cache)
    candidates = [
        Store.open(replace(backbone, runtime=replace(runtime, precision=choice)), keys, cache=cache, clock=clock)
        for choice in choices(runtime)
    ]
    store = next((store for store in candidates if store.complete.all()), None)
    if store is None:
        _, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        work = _settled(rig, shots, np.sort(first), candidates)
        store = work.store
        _compute(work, rig, shots, np.sort(first[~store.complete[first]]), progress)
        copies = ~store.complete
        store.features[copies] = store.features[first[inverse.reshape(-1)[copies]]]
    return store.features


def extract_layers(
    rig: Rig,
    shots: Shots,
    backbone: Backbone,
    *,
    runtime: Runtime,
    cache: FeatureCache | None,
    progress: Progress = SILENT,
) -> dict[str, Features]:
    """Features of each layer of a backbone such as ``vgg16:fc14+fc15``, in one pass.

    Each layer is cached as if it had been asked for alone. Arguments and errors are those of `extract`.

    Returns:
        For each layer its features in the order of ``shots``, shape ``[shots, n_features of the layer]``.
    """
    together = extract(rig, shots, backbone, runtime=runtime, cache=cache, progress=progress)
    columns = zip(backbone.layers, backbone.columns(), strict=True)
    return {layer.name: np.ascontiguousarray(together[:, where]) for layer, where in columns}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Work:
    """Where features go, the images already taken to settle their precision, and what was found of it."""

    store: Store
    images: Mapping[int, Image] = field(default_factory=dict)
    finding: str = ""


def _settled(rig: Rig, shots: Shots, distinct: Rows, candidates: list[Store]) -> _Work:
    """Choose the precision, by the first images that have to be taken in any case."""
    if len(candidates) == 1 and candidates[0].backbone.runtime.precision == "float32":
        return _Work(store=candidates[0])
    nowhere = ~np.any([store.complete for store in candidates], axis=0)
    wanted = nowhere if nowhere.any() else ~candidates[0].complete
    probe = distinct[wanted[distinct]][:PROBE_IMAGES]
    images = dict(_captures(rig, shots, probe, {}))
    settled = settle([store.backbone for store in candidates], list(images.values()))
    chosen = next(store for store in candidates if store.backbone is settled.backbone)
    return _Work(store=chosen, images=images, finding=settled.finding)


def _compute(work: _Work, rig: Rig, shots: Shots, missing: Rows, progress: Progress) -> None:
    store, backbone = work.store, work.store.backbone
    name = f"features {backbone.spec}" + (f" ({work.finding})" if work.finding else "")
    with progress.task(name, len(missing)) as advance, store:
        captures = _captures(rig, shots, missing, work.images)
        crew, batch = crew_for(backbone, len(missing))
        with closing(stream(captures, crew, batch=batch)) as batches:
            for rows, features in batches:
                store.put(rows, features)
                advance(len(rows))


def _captures(
    rig: Rig, shots: Shots, rows: Rows, known: Mapping[int, Image]
) -> Generator[tuple[int, Image], None, None]:
    """Row of ``shots`` and image of each of these rows; none is taken that is known already.

    Raises:
        AcqplanError: If the rig does not take each shot once.
    """
    yield from ((int(row), known[int(row)]) for row in rows if int(row) in known)
    rest = np.array([row for row in rows if int(row) not in known], dtype=np.int64)
    done = np.zeros(len(rest), dtype=np.bool_)
    captures = rig.capture(shots.take(rest)) if len(rest) else iter(())
    try:
        for row, image in captures:
            done[row] = True
            yield int(rest[row]), image
    finally:
        _close(captures)
    if not done.all():
        raise AcqplanError(
            f"rig '{rig.name}' took {done.sum()} of {len(done)} shots", "its capture() must yield each of them once"
        )


def _close(captures: Iterator[tuple[int, Image]]) -> None:
    """End the processes of a rig now, not when the iterator happens to be collected."""
    if isinstance(captures, Generator):
        captures.close()
