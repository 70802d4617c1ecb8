"""rig.toml: the file in which a person describes a rig, and the rig that it describes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from pydantic import ValidationError

from acqplan.errors import nearest
from acqplan.files import digest_bytes
from acqplan.progress import SILENT, Progress
from acqplan.rig.base import Rig
from acqplan.rig.deployment import deployment_weights
from acqplan.rig.manifest import Manifest, check_splittable
from acqplan.rig.openers import OPENERS
from acqplan.rig.spec_errors import spec_error
from acqplan.rig.spec_tables import RigTable
from acqplan.rig.toml_file import TomlFile
from acqplan.runtime import available_cores
from acqplan.space import Objects

RESERVED = ("image", "mesh", "label", "object", "shot", "order", "round", "gain", "reason", "state")
"""Columns of a manifest or of plan.csv; an axis of such a name could not be told from them."""

MEANING = {"path": ("folder", "meshes", "norb"), "stereo": ("norb",), "render": ("toys", "meshes")}
"""Keys that mean something for some sources only."""

EMBEDDED = TomlFile(path=Path("embedded toys"), content={"source": "toys"}, lines={})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RigSetup:
    """A rig and what rig.toml says about its use.

    Attributes:
        rig: The rig.
        path: The file; ``None`` for the embedded toys.
        manifest: Where the objects were read from, if that is a manifest.
        test_fraction: Share of the objects of each label to test on.
        test: Names of the objects to test on; empty to draw them by ``test_fraction``.
        seconds_per_shot: Exposure and transfer of one image.
        seconds_per_object: Putting another object on the turntable.
        view_weights: How often the finished classifier will meet each view, over the most frequent, in the order of
            ``rig.space.views()``, shape ``[views]``; ``None`` if all are alike.
    """

    rig: Rig
    path: Path | None = None
    manifest: Manifest | None = None
    test_fraction: float = 0.5
    test: tuple[str, ...] = ()
    seconds_per_shot: float = 0.0
    seconds_per_object: float = 0.0
    view_weights: Float[np.ndarray, " views"] | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of kind, space, objects, labels and weights; equal for equal rigs wherever their files lie."""
        objects = sorted(zip(self.rig.objects.names, self.rig.objects.labels, strict=True))
        parts = [self.rig.name, self.rig.space.digest(), json.dumps(objects, ensure_ascii=False)]
        if self.view_weights is not None:
            parts.append(json.dumps(np.round(self.view_weights, 9).tolist()))
        return digest_bytes(*(part.encode() for part in parts))

    def check_splittable(self) -> None:
        """Refuse objects that cannot be split into train and test within each label.

        Raises:
            ManifestError: If a label has one object only; names the manifest's line.
        """
        if self.manifest is not None and not self.test:
            check_splittable(self.manifest)


def open_rig(path: Path | None = None, *, workers: int | None = None, progress: Progress = SILENT) -> RigSetup:
    """Open the rig that a file describes; everything that can be wrong with it is found here.

    Args:
        path: A rig.toml; ``None`` for the embedded toys. Paths in it are relative to its folder.
        workers: Threads or processes that decode or render; by default one a core.
        progress: Who listens while files are checked.

    Raises:
        SpecError: If rig.toml cannot be used; names file, line, and the nearest known key.
        ManifestError: If the manifest cannot be used.
        ImageError: If an image cannot be used.
        MeshError: If a mesh cannot be rendered.
    """
    file = EMBEDDED if path is None else TomlFile.read(path)
    table = _parse(file)
    _check_keys(file, table)
    rig, manifest = OPENERS[table.source](file, table, workers or available_cores(), progress)
    test = _test_objects(table, rig)
    _check_test(file, rig.objects, test)
    return RigSetup(
        rig=rig,
        path=path,
        manifest=manifest,
        test_fraction=0.5 if table.objects.test_fraction is None else table.objects.test_fraction,
        test=test,
        seconds_per_shot=table.shot.seconds,
        seconds_per_object=table.objects.seconds_per_change,
        view_weights=deployment_weights(file, table.deployment, rig.space),
    )


def _parse(file: TomlFile) -> RigTable:
    try:
        return RigTable.model_validate(file.content)
    except ValidationError as error:
        raise spec_error(file, error.errors()) from error


def _check_keys(file: TomlFile, table: RigTable) -> None:
    for key, sources in MEANING.items():
        if getattr(table, key) is not None and table.source not in sources:
            raise file.error((key,), f"'{key}' has no meaning for source '{table.source}'", "remove it")
    if table.path is None and table.source in MEANING["path"]:
        raise file.error(("source",), f"source '{table.source}' needs a path", 'add e.g. path = "manifest.csv"')
    if table.objects.labels is not None and table.source != "live":
        raise file.error(
            ("objects", "labels"), "[objects.labels] is for live rigs", "remove it: path names the objects"
        )
    if table.objects.test is not None and table.objects.test_fraction is not None:
        raise file.error(("objects", "test"), "both 'test' and 'test_fraction' are given", "remove one")
    for number, axis in enumerate(table.axis):
        if axis.name in RESERVED:
            raise file.error(("axis", number, "name"), f"an axis cannot be called '{axis.name}'", "rename it")


def _test_objects(table: RigTable, rig: Rig) -> tuple[str, ...]:
    if table.objects.test is None and table.objects.test_fraction is None:
        return getattr(rig, "testing", ())  # smallNORB brings its own split
    return tuple(table.objects.test or ())


def _check_test(file: TomlFile, objects: Objects, test: Sequence[str]) -> None:
    for name in test:
        if name not in objects.names:
            raise file.error(("objects", "test"), f"test object '{name}' is unknown", nearest(name, objects.names))
    if len(set(test)) == len(objects):
        raise file.error(("objects", "test"), "all objects are test objects", "leave some of each label to train on")
