"""What an ImageNet network says of each pose, for those recipes that learn to agree with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float16, Int
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from acqplan.errors import WeightsError
from acqplan.files import digest_file, folder, replacing
from acqplan.progress import SILENT, Progress
from benchmarks.toyshop.pretrain.augment import plain_light
from benchmarks.toyshop.pretrain.data import Poses
from benchmarks.toyshop.pretrain.recipe import Recipe

N_TEACHER = 1280
"""Features of MobileNetV2 before its classifier."""

_SIDE = 160
"""The teacher sees less than its usual 224 pixels, in half the time; the source has only 96."""


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """The teacher's features of each pose, in the order of the poses they were made from.

    Args:
        features: For each family, shape ``[poses, 1280]``.
        mean: Over all poses, shape ``[1280]``; agreement is judged about it.
    """

    features: tuple[Float16[np.ndarray, "poses teacher"], ...]
    mean: Float[Tensor, " teacher"]

    def gather(self, rows: Int[Tensor, " batch"]) -> Float[Tensor, "batch teacher"]:
        """Centred features of some poses."""
        each = len(self.features[0])
        places = [divmod(int(row), each) for row in rows]
        picked = np.stack([self.features[family][pose] for family, pose in places])
        return torch.from_numpy(picked).float() - self.mean


def ask_teacher(poses: Poses, recipe: Recipe, weights: Path, work: Path, *, progress: Progress = SILENT) -> Answers:
    """Ask the teacher about every pose under one plain lighting; answers stay on disk, one file a family.

    Args:
        poses: What it looks at.
        recipe: Names the folder of the answers.
        weights: Safetensors with torchvision's names for ``mobilenet_v2``; its input is (grey - 127.5) / 127.5.
        work: Folder for the answers; 2.5 kB a pose.
        progress: Hears of each family.

    Raises:
        WeightsError: If the file does not hold these weights.
    """
    home = folder(work / f"teacher-{recipe.poses_digest()}-{digest_file(weights)[:12]}")
    paths = [home / f"{family}.npy" for family in poses.families]
    missing = [row for row, path in enumerate(paths) if not path.exists()]
    teacher = _load_teacher(weights) if missing else None
    with progress.task("asking the teacher", len(missing)) as advance:
        for row in missing:
            assert teacher is not None
            with replacing(paths[row], "wb") as handle:
                np.save(handle, np.concatenate(list(_answers(teacher, poses, row))))
            advance(1)
    features = tuple(np.load(path) for path in paths)
    mean = np.mean([part.astype(np.float32).mean(axis=0) for part in features], axis=0)
    return Answers(features, torch.from_numpy(mean))


def disagreement(guess: Float[Tensor, "batch teacher"], answer: Float[Tensor, "batch teacher"]) -> Float[Tensor, ""]:
    """One minus the cosine between the student's guess and the teacher's centred features, averaged."""
    return 1.0 - functional.cosine_similarity(guess.float(), answer, dim=1).mean()


def _answers(teacher: nn.Module, poses: Poses, family: int) -> Iterator[Float16[np.ndarray, "part teacher"]]:
    each = len(poses.levels[family])
    for rows in torch.split(family * each + torch.arange(each), 32):
        grey = plain_light(poses.gather(rows), int(rows[0]) % 6)
        image = functional.interpolate(grey, size=_SIDE, mode="bilinear", align_corners=False) / 127.5 - 1.0
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            found: Tensor = teacher(image.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last))
        yield found.float().mean((2, 3)).half().numpy()


def _load_teacher(path: Path) -> nn.Module:
    from torchvision.models import mobilenet_v2

    net = mobilenet_v2()
    try:
        net.load_state_dict(load_file(path))
    except RuntimeError as error:
        raise WeightsError(f"{path}: not the weights of mobilenet_v2", "give a safetensors file with them") from error
    features: nn.Module = net.features.eval().to(memory_format=torch.channels_last)
    return features
