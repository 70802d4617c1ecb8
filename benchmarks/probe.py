"""Linear-probe accuracies of backbones on toys and photographs: ``python benchmarks/probe.py``.

Features are frozen; a head (standardised, 128 principal components, L2 logistic regression, its strength
chosen by leaving groups out of the training shots) is trained on some objects and judged on others.
coil20 has one object a label: there it is trained on some azimuths and judged on the others.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import scipy.stats
import torch
from jaxtyping import Float, Int

from acqplan.features.extractor import Extractor
from acqplan.heads.exact import train_heads
from acqplan.rig.folder import FolderSource
from acqplan.rig.rendered import toy_rig
from acqplan.rig.source import Source
from acqplan.rng import generator
from acqplan.runtime import Runtime
from acqplan.space import Shots

Rows = Int[np.ndarray, " rows"]

BACKBONES = ("toynet-untrained", "histogram", "toynet", "mobilenet_v2")
N_SPLITS = 10
N_POSES = 16
"""Random poses of each toy, under all six lightings."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """One line of the table.

    Args:
        name: What a reader sees.
        rig: Takes the shots.
        shots: All shots, of training and test.
        groups: Shots of one group are never on both sides while the strength is chosen, shape ``[shots]``.
        splits: Rows to train on and rows to test on.
    """

    name: str
    rig: Source
    shots: Shots
    groups: Rows
    splits: tuple[tuple[Rows, Rows], ...]


def main() -> None:
    """Measure, print the table in Markdown, write the numbers as JSON."""
    options = _options()
    cases = list(_cases(options.shared))
    table: dict[str, dict[str, list[float]]] = {}
    for backbone in options.backbones.split(","):
        given = {"mobilenet_v2": options.shared / "weights/mobilenet_v2.safetensors", "toynet": options.weights}
        table[backbone] = {case.name: _accuracies(case, backbone, given.get(backbone)) for case in cases}
    about = _about()
    print(_markdown(table, about))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({"about": about, "accuracies": table}, indent=1) + "\n")


def _accuracies(case: Case, backbone: str, weights: Path | None) -> list[float]:
    eye = Extractor.open(case.rig, backbone=backbone, weights=weights, runtime=Runtime())
    features, targets = eye(case.shots), case.shots.class_rows
    subsets = [train for train, _ in case.splits]
    heads = train_heads(features, targets, case.groups, subsets, n_classes=int(targets.max()) + 1)
    pairs = zip(heads, case.splits, strict=True)
    return [float((head.predict(features[test]) == targets[test]).mean()) for head, (_, test) in pairs]


def _cases(shared: Path) -> Iterator[Case]:
    toys = toy_rig()
    shots = _some_poses(toys.shots())
    yield Case(name="toys", rig=toys, shots=shots, groups=shots.object_rows, splits=_object_splits(shots))
    photographs = FolderSource.open(shared / "data/eth80-4/manifest.csv")
    shots = photographs.shots()
    yield Case(name="eth80-4", rig=photographs, shots=shots, groups=shots.object_rows, splits=_object_splits(shots))
    turned = FolderSource.open(shared / "data/coil20/manifest.csv")
    shots = turned.shots()
    for step in (4, 18):
        name = f"coil20, every {5 * step} degrees"
        azimuths = np.unique(shots.coordinates[:, 0], return_inverse=True)[1]
        groups = shots.object_rows * 72 + azimuths
        yield Case(name=name, rig=turned, shots=shots, groups=groups, splits=_azimuth_splits(azimuths, step))


def _some_poses(shots: Shots) -> Shots:
    """The same number of random poses of each object, with all their lightings."""
    n_objects, n_lights = len(shots.objects), 6
    poses = len(shots) // n_objects // n_lights
    rng = generator(0, "probe poses")
    chosen = [number * poses + rng.choice(poses, N_POSES, replace=False) for number in range(n_objects)]
    rows = (np.concatenate(chosen)[:, None] * n_lights + np.arange(n_lights)).ravel()
    return shots.take(rows)


def _object_splits(shots: Shots) -> tuple[tuple[Rows, Rows], ...]:
    """Half of the objects of each class to train on, the others to test on."""
    splits = []
    classes = shots.objects.class_rows
    for number in range(N_SPLITS):
        rng = generator(0, "probe split", number)
        order = [rng.permutation(np.flatnonzero(classes == label)) for label in np.unique(classes)]
        train = np.isin(shots.object_rows, np.concatenate([rows[: len(rows) // 2] for rows in order]))
        splits.append((np.flatnonzero(train), np.flatnonzero(~train)))
    return tuple(splits)


def _azimuth_splits(azimuths: Rows, step: int) -> tuple[tuple[Rows, Rows], ...]:
    """Every ``step``-th azimuth to train on, the others to test on, from four starts."""
    trains = [azimuths % step == start * step // 4 for start in range(4)]
    return tuple((np.flatnonzero(train), np.flatnonzero(~train)) for train in trains)


def _markdown(table: Mapping[str, Mapping[str, Sequence[float]]], about: Mapping[str, object]) -> str:
    names = list(next(iter(table.values())))
    lines = [" · ".join(f"{key} {value}" for key, value in about.items()), ""]
    lines += ["| backbone | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    lines += [f"| {name} | " + " | ".join(_cell(row[case]) for case in names) + " |" for name, row in table.items()]
    return "\n".join(lines)


def _cell(scores: Float[np.ndarray, " splits"] | Sequence[float]) -> str:
    """Mean over the splits, and the half width of its 95 % t interval."""
    half = scipy.stats.t.ppf(0.975, len(scores) - 1) * np.std(scores, ddof=1) / np.sqrt(len(scores))
    return f"{np.mean(scores):.3f} ± {half:.3f}"


def _about() -> dict[str, object]:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit.stdout.strip() or "unknown",
        "hardware": f"{os.cpu_count()} cores, {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "splits": N_SPLITS,
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=Path(os.environ.get("ACQPLAN_SHARED", "../shared")))
    parser.add_argument("--backbones", default=",".join(BACKBONES))
    parser.add_argument("--weights", type=Path, help="other weights of toynet than the embedded ones")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "probe.json")
    return parser.parse_args()


if __name__ == "__main__":
    started = time.monotonic()
    main()
    print(f"\n{time.monotonic() - started:.0f} s")
