"""From shots to features: only what no cache holds is captured and computed."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Final, Self

import numpy as np
from jaxtyping import Bool

from acqplan.errors import AcqplanError, UsageError
from acqplan.features.backbone import Backbone
from acqplan.features.cache import FeatureCache, Keys, image_keys
from acqplan.features.devices import Features, Rows, stream
from acqplan.features.ways import PROBE_IMAGES, choices, settle, ways
from acqplan.progress import SILENT, Progress
from acqplan.rig.source import Image, Shrinkable, Source
from acqplan.runtime import Runtime
from acqplan.space import Shots

FLUSH_IMAGES: Final = 2048
# Features are saved as soon as so many are new, or the last save is so long ago: a kill loses no more.
FLUSH_SECONDS: Final = 20.0


def extract(
    source: Source,
    shots: Shots,
    backbone: Backbone,
    *,
    runtime: Runtime,
    cache: FeatureCache | None,
    progress: Progress = SILENT,
    clock: Callable[[], float] = time.monotonic,
) -> Features:
    """Features of shots; the source takes only those whose features are not cached.

    A shot that appears twice, or whose image has the identity of another's, is taken once. What has been
    computed when an error or Ctrl-C comes is in the cache.

    Args:
        source: What takes the shots.
        shots: What is wanted.
        backbone: What turns images into features.
        runtime: Precision, engine, largest batch, and devices; its device must be that of the backbone.
        cache: Where features are kept; ``None`` to keep none.
        progress: Hears of each image that is computed, and what was found of half precision and of OpenVINO.
        clock: Seconds that only grow.

    Returns:
        Features in the order of ``shots``, shape ``[shots, n_features]``; several layers side by side.

    Raises:
        UsageError: If the backbone is on another device, or the precision asked for gives other features.
        ImageError: If an image cannot be used.
        OutputError: If the cache cannot be written.
        MissingError: If dask or the cluster of ``runtime`` is not there.
        AcqplanError: If features are not finite numbers, the source does not take each shot once, or a process
            that computes features dies.
    """
    if runtime.device != backbone.runtime.device:
        raise UsageError(f"{backbone.spec} is on {backbone.runtime.device}, not {runtime.device}", "load it there")
    if isinstance(source, Shrinkable):
        source = source.shrunk(backbone.preprocessing.size)
    keys = image_keys(source.identities(shots))
    tables = [
        FeatureTable(backbone=replace(backbone, runtime=own), cache=cache, keys=keys, clock=clock)
        for own in (replace(runtime, precision=choice) for choice in choices(runtime))
    ]
    complete = next((table for table in tables if table.complete.all()), None)
    if complete is not None:
        return complete.features
    _, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    table, images, finding = _settled(source, shots, np.sort(first), tables)
    missing = np.sort(first[~table.complete[first]])
    with progress.task(f"features {table.backbone.spec}{finding}", len(missing)) as advance, table:
        captures = _captures(source, shots, missing, images)
        with closing(stream(captures, table.backbone, n_images=len(missing))) as batches:
            for rows, features in batches:
                table.put(rows, features)
                advance(len(rows))
    copies = ~table.complete
    table.features[copies] = table.features[first[inverse.reshape(-1)[copies]]]
    return table.features


def _settled(
    source: Source, shots: Shots, distinct: Rows, tables: list[FeatureTable]
) -> tuple[FeatureTable, Mapping[int, Image], str]:
    """The table of the precision to use, the images taken to choose it, and what was found of half precision."""
    # the images that have to be taken in any case
    nowhere = ~np.any([table.complete for table in tables], axis=0)
    wanted = nowhere if nowhere.any() else ~tables[0].complete
    rows = distinct[wanted[distinct]]
    every = [(table, way) for table in tables for way in ways(table.backbone, len(rows))]
    if len(every) == 1 and every[0][1].runtime.precision == "float32":
        return tables[0], {}, ""
    images = dict(_captures(source, shots, rows[:PROBE_IMAGES], {}))
    backbone, finding = settle([way for _, way in every], list(images.values()))
    table = next(table for table, way in every if way is backbone)
    table.backbone = backbone
    return table, images, f" ({finding})" if finding else ""


def _captures(
    source: Source, shots: Shots, rows: Rows, known: Mapping[int, Image]
) -> Generator[tuple[int, Image], None, None]:
    """Row of ``shots`` and image of each of these rows; no image is taken that is known already.

    Raises:
        AcqplanError: If the source does not take each shot once.
    """
    yield from ((int(row), known[int(row)]) for row in rows if int(row) in known)
    rest = np.array([row for row in rows if int(row) not in known], dtype=np.int64)
    done = np.zeros(len(rest), dtype=np.bool_)
    captures = source.capture(shots.take(rest)) if len(rest) else iter(())
    try:
        for row, image in captures:
            done[row] = True
            yield int(rest[row]), image
    finally:
        if isinstance(captures, Generator):
            captures.close()  # ends the processes of a rig now, not when the iterator happens to be collected
    if not done.all():
        raise AcqplanError(
            f"rig '{source.name}' took {done.sum()} of {len(done)} shots", "its capture() must yield each of them once"
        )


@dataclass(slots=True, kw_only=True, eq=False)
class FeatureTable:
    """Features of shots, and which of them are not yet on disk; so it is not frozen."""

    backbone: Backbone  # what they are the features of
    cache: FeatureCache | None  # where they are kept; None to keep none
    keys: Keys  # keys of the images
    clock: Callable[[], float]  # seconds that only grow
    features: Features = field(init=False)  # what is known so far, zero elsewhere
    found: Bool[np.ndarray, "shots layers"] = field(init=False)  # which layers of which shots the cache has
    unsaved: list[Rows] = field(default_factory=list, init=False)
    saved_at: float = field(init=False)

    def __post_init__(self) -> None:
        self.saved_at = self.clock()
        self.features = np.zeros((len(self.keys), self.backbone.n_features), dtype=np.float32)
        self.found = np.zeros((len(self.keys), len(self.backbone.layers)), dtype=np.bool_)
        if self.cache is not None:
            for number, (name, columns) in enumerate(self._places()):
                known = self.cache.load(name, self.keys, columns.stop - columns.start)
                self.features[:, columns], self.found[:, number] = known

    def __enter__(self) -> Self:
        if self.cache is not None:
            for name, _ in self._places():
                # a folder that cannot be written is an error now, not after the work
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
        if not np.isfinite(features).all():
            raise AcqplanError(
                f"{self.backbone.spec} gave features that are not finite numbers, in {self.backbone.runtime.precision}",
                "use float32, or other weights",
            )
        self.features[rows] = features
        self.unsaved.append(rows)
        if sum(map(len, self.unsaved)) >= FLUSH_IMAGES or self.clock() - self.saved_at >= FLUSH_SECONDS:
            self.save()

    def save(self) -> None:
        """Save what is new, each layer under its own fingerprint."""
        rows = np.concatenate(self.unsaved) if self.unsaved else np.empty(0, dtype=np.int64)
        self.unsaved, self.saved_at = [], self.clock()
        for number, (name, columns) in enumerate(self._places()):
            new = rows[~self.found[rows, number]]
            if self.cache is not None and len(new):
                self.cache.save(name, self.keys[new], self.features[new, columns])

    def _places(self) -> list[tuple[str, slice]]:
        """For each layer its columns and its name in the cache, which differs by precision."""
        precision = self.backbone.runtime.precision
        suffix = "" if precision == "float32" else f"-{precision}"
        names = [layer.fingerprint + suffix for layer in self.backbone.layers]
        return list(zip(names, self.backbone.columns(), strict=True))
