"""From shots to features: only what no cache holds is captured and computed."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch

from acqplan.errors import AcqplanError, UsageError
from acqplan.features.backbone import Backbone
from acqplan.features.cache import FeatureCache, image_keys
from acqplan.features.devices import Features, FeatureTable, Rows, crew_for, stream
from acqplan.progress import SILENT, Progress
from acqplan.rig.source import Image, Source
from acqplan.runtime import Precision, Runtime
from acqplan.space import Shots

TOLERANCE: Final = 1e-2
"""Features may be so far from those in float32, Frobenius norm of the difference over that of the features."""

PROBE_IMAGES: Final = 32
"""Images by which a precision is judged."""

CPU_FLAGS: Final = ("amx_bf16", "avx512_bf16")
"""Processors without these emulate bfloat16, slower than they compute in float32."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Settled:
    """A backbone in a precision of which it is known that it will do.

    Attributes:
        backbone: In that precision.
        finding: What was found of half precision, for people; empty if nothing was looked at.
    """

    backbone: Backbone
    finding: str = ""


def choices(runtime: Runtime) -> tuple[Precision, ...]:
    """Number formats that may be used, the fastest first; ``"auto"`` ends with float32."""
    return (*half_precisions(runtime.device), "float32") if runtime.precision == "auto" else (runtime.precision,)


def half_precisions(device: str) -> tuple[Precision, ...]:
    """Number formats in which a device is faster than in float32; of two as fast the one with more range first."""
    kind = torch.device(device).type
    if kind == "cuda":
        return ("bfloat16", "float16") if torch.cuda.get_device_capability(device) >= (8, 0) else ("float16",)
    if kind == "cpu":
        known = Path("/proc/cpuinfo")
        flags = known.read_text().split() if known.exists() else []
        return ("bfloat16",) if set(CPU_FLAGS) & set(flags) else ()
    return ("float16",)


def settle(backbones: Iterable[Backbone], images: Sequence[Image]) -> Settled:
    """The first backbone whose features of these images are those of float32.

    Args:
        backbones: The same one in several precisions.
        images: The first that are to be looked at.

    Raises:
        UsageError: If there is none; says how far off each is.
    """
    findings: list[str] = []
    for backbone in backbones:
        precision = backbone.runtime.precision
        if precision == "float32":
            return Settled(backbone=backbone, finding=", ".join(findings))
        error = relative_error(backbone, images)
        findings.append(f"{precision} is off by {error:.2g}")
        if error <= TOLERANCE:
            return Settled(backbone=backbone, finding=", ".join(findings))
    raise UsageError(
        f"{backbone.spec}: {', '.join(findings)} from its features in float32, more than {TOLERANCE:g}",
        "use precision 'float32' or 'auto'",
    )


def relative_error(backbone: Backbone, images: Sequence[Image]) -> float:
    """How far the features of these images are from float32, relative; infinite if they are not finite."""
    exact = replace(backbone, runtime=replace(backbone.runtime, precision="float32"))
    wanted, got = exact.features(images).astype(np.float64), backbone.features(images).astype(np.float64)
    if not np.isfinite(got).all():
        return float("inf")
    return float(np.linalg.norm(got - wanted) / max(np.linalg.norm(wanted), np.finfo(np.float32).tiny))


def extract(
    rig: Source,
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
    keys = image_keys(rig.identities(shots))
    candidates = [
        FeatureTable.open(replace(backbone, runtime=replace(runtime, precision=choice)), keys, cache=cache, clock=clock)
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
    rig: Source,
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

    store: FeatureTable
    images: Mapping[int, Image] = field(default_factory=dict)
    finding: str = ""


def _settled(rig: Source, shots: Shots, distinct: Rows, candidates: list[FeatureTable]) -> _Work:
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


def _compute(work: _Work, rig: Source, shots: Shots, missing: Rows, progress: Progress) -> None:
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
    rig: Source, shots: Shots, rows: Rows, known: Mapping[int, Image]
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
