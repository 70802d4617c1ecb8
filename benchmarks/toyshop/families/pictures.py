"""Pictures of members of families, each from a random view under random lamps; no member is in two of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from acqplan.files import folder, replacing
from acqplan.images import png_of
from acqplan.rig.camera import Optics, Pose
from acqplan.rig.render import build_scene, trace
from acqplan.rng import generator
from benchmarks.toyshop.families import build_member

ELEVATIONS = (20.0, 80.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureTask:
    """The pictures of one family; sent to another process."""

    family: str
    members: int
    size: int
    seed: int
    out: Path


def write_family(task: PictureTask) -> None:
    """Write the pictures of a family that are not there."""
    home = folder(task.out / task.family)
    for number in range(task.members):
        file = home / f"{number:04d}.png"
        if not file.exists():
            pixels = picture(task.family, number, size=task.size, seed=task.seed)
            with replacing(file, "wb") as handle:
                handle.write(png_of(pixels))


def picture(family: str, number: int, *, size: int, seed: int = 0) -> UInt8[np.ndarray, "size size"]:
    """A member of a family as a camera sees it from somewhere; the same number is the same picture."""
    draw = generator(seed, "family picture", family, number)
    pose = Pose(azimuth=float(draw.uniform(0, 360)), elevation=float(draw.uniform(*ELEVATIONS)))
    levels = trace(build_scene(*build_member(family, number, seed=seed)), pose, Optics(size=size))
    # ambient light, and four lamps of which one or two rule
    lamps = draw.random(4) ** 3 + 0.01
    strengths = np.array([draw.uniform(0.6, 1.4), *(lamps / lamps.sum() * draw.uniform(0.85, 1.35))])
    grey = np.tensordot(strengths, levels, axes=1) + draw.normal(0.0, 2.0, levels.shape[1:])
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8)
