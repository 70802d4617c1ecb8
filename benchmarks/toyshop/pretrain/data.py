"""Poses to pretrain on: rendered once, each with its lamps apart, and lit anew at every visit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from acqplan.files import folder, replacing
from acqplan.pool import in_order
from acqplan.progress import SILENT, Progress
from acqplan.rig.camera import Optics, Pose
from acqplan.rig.render import build_scene, trace
from acqplan.rng import generator
from benchmarks.toyshop.families import build_member
from benchmarks.toyshop.pretrain.recipe import Recipe

ELEVATIONS = (20.0, 80.0)
JITTER_CM = 0.6
"""Objects stand off the middle of the table by up to this much along each axis."""


@dataclass(frozen=True, slots=True)
class FamilyTask:
    """One family to render into a file; sent to another process."""

    family: str
    path: Path
    recipe: Recipe


@dataclass(frozen=True, slots=True, eq=False)
class Poses:
    """Rendered poses of some families, left on disk.

    Args:
        families: Names, in the order of the labels.
        levels: For each family grey levels under ambient light and each lamp, ``[poses, 5, 96, 96]``.
    """

    families: tuple[str, ...]
    levels: tuple[UInt8[np.ndarray, "poses 5 96 96"], ...]

    def __len__(self) -> int:
        return sum(len(level) for level in self.levels)

    @property
    def labels(self) -> Int[Tensor, " poses"]:
        """Row in ``families`` of each pose, shape ``[poses]``."""
        counts = torch.tensor([len(level) for level in self.levels])
        return torch.repeat_interleave(torch.arange(len(self.levels)), counts)

    def gather(self, rows: Int[Tensor, " batch"]) -> Float[Tensor, "batch 5 96 96"]:
        """Levels of some poses, float32.

        Args:
            rows: Numbers of poses over all families, shape ``[batch]``.
        """
        each = len(self.levels[0])
        places = [divmod(int(row), each) for row in rows]
        return torch.from_numpy(np.stack([self.levels[family][pose] for family, pose in places])).float()


def render_poses(
    families: Sequence[str], recipe: Recipe, work: Path, *, workers: int = 1, progress: Progress = SILENT
) -> Poses:
    """Render what is not yet on disk: one file a family, whole or absent.

    Args:
        families: Which families, in the order of their labels.
        recipe: How many shapes and views, and their seed.
        work: Folder for the files; about 46 kB a pose.
        workers: Processes that render.
        progress: Hears of each family.

    Returns:
        The poses of these families, opened but not read.
    """
    home = folder(work / f"poses-{recipe.poses_digest()}")
    tasks = [FamilyTask(family, home / f"{family}.npy", recipe) for family in families]
    missing = [task for task in tasks if not task.path.exists()]
    with progress.task("rendering families", len(missing)) as advance:
        for _ in in_order(render_family, missing, workers=workers):
            advance(1)
    levels = tuple(np.load(task.path, mmap_mode="r") for task in tasks)
    return Poses(tuple(families), levels)


def render_family(task: FamilyTask) -> None:
    """Render every pose of one family and write its file."""
    poses = [levels for number in range(task.recipe.members) for levels in _member_poses(task, number)]
    with replacing(task.path, "wb") as handle:
        np.save(handle, np.stack(poses))


def _member_poses(task: FamilyTask, number: int) -> list[UInt8[np.ndarray, "5 96 96"]]:
    recipe = task.recipe
    scene = build_scene(*build_member(task.family, number, seed=recipe.seed))
    rng = generator(recipe.seed, "pretraining views", task.family, number)
    traced = [trace(scene, _random_pose(rng), Optics()) for _ in range(recipe.views)]
    return [np.clip(np.rint(levels), 0, 255).astype(np.uint8) for levels in traced]


def _random_pose(rng: np.random.Generator) -> Pose:
    aside = rng.uniform(-JITTER_CM, JITTER_CM, 2)
    return Pose(
        azimuth=float(rng.uniform(0, 360)),
        elevation=float(rng.uniform(*ELEVATIONS)),
        offset_cm=(float(aside[0]), float(aside[1])),
    )
