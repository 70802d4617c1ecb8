"""A tiny rig whose images are files, and a tiny backbone. Also imported by the processes that tests start."""

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from torch import Tensor, nn

from acqplan.features.backbone import Backbone, Layer
from acqplan.features.cache import FeatureCache
from acqplan.features.pixels import Preprocessing
from acqplan.progress import SILENT, Progress
from acqplan.rig.source import Image
from acqplan.runtime import Runtime
from acqplan.space import Circle, Objects, Shots, Space


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSource:
    """One object, one image file a view; writes down each shot it takes in ``taken.log``.

    Touches the file ``closed`` when its iterator ends. May leave out shots, or be hit by Ctrl-C after some.
    """

    folder: Path
    space: Space
    objects: Objects
    name: str = "folder"
    seconds: float = 0.0
    leaves_out: int = 0
    interrupted_after: int = 1_000_000

    def shots(self) -> Shots:
        return Shots.every(self.space, self.objects)

    def identities(self, shots: Shots) -> list[bytes]:
        return [hashlib.sha256(self._path(view).read_bytes()).digest() for view in shots.coordinates[:, 0]]

    def capture(self, shots: Shots, *, progress: Progress = SILENT) -> Iterator[tuple[int, Image]]:
        try:
            for row in reversed(range(self.leaves_out, len(shots))):
                if len(shots) - row > self.interrupted_after:
                    raise KeyboardInterrupt
                yield row, self._take(shots.coordinates[row, 0])
        finally:
            (self.folder / "closed").touch()

    def _take(self, view: float) -> Image:
        time.sleep(self.seconds)
        path = self._path(view)
        with (self.folder / "taken.log").open("a") as log:
            log.write(f"{path.name}\n")
        with Pillow.open(path) as opened:
            return np.asarray(opened)

    def taken(self) -> list[str]:
        """Names of the images taken so far, by all processes."""
        log = self.folder / "taken.log"
        return log.read_text().split() if log.exists() else []

    def _path(self, view: float) -> Path:
        return self.folder / f"{int(view):03d}.png"


def open_file_rig(folder: Path, n: int, *, seconds: float = 0.0) -> FileSource:
    space = Space(axes=(Circle(name="azimuth", values=tuple(float(v) for v in range(n))),))
    return FileSource(folder=folder, space=space, objects=Objects(names=("car-00",), labels=("car",)), seconds=seconds)


def write_images(folder: Path, shapes: list[tuple[int, ...]], seed: int = 0) -> None:
    random = np.random.default_rng(seed)
    for number, shape in enumerate(shapes):
        pixels = random.integers(0, 256, shape, dtype=np.uint8)
        Pillow.fromarray(pixels).save(folder / f"{number:03d}.png")


class Quarters(nn.Module):
    """Mean grey value of each quarter of the image."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.adaptive_avg_pool2d(x.float(), 2).flatten(1)


def tiny_backbone(module: nn.Module | None = None, *, batch: int = 8, fingerprint: str = "tiny") -> Backbone:
    return Backbone(
        name="tiny",
        layers=(Layer(name="quarters", fingerprint=fingerprint, n_features=4),),
        preprocessing=Preprocessing(channels=1, size=16, mean=(0.0,), std=(1.0,)),
        module=module or Quarters(),
        runtime=Runtime(batch=batch),
    )


def expected_features(rig: FileSource) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Pillow and numpy one by one: an oracle for the tiny backbone."""
    found = []
    for view in range(rig.space.n_views):
        with Pillow.open(rig.folder / f"{view:03d}.png") as opened:
            grey = torch.tensor(np.asarray(opened), dtype=torch.float32)
            if grey.ndim == 3:
                grey = grey @ torch.tensor([0.299, 0.587, 0.114])
            found.append(grey.reshape(2, len(grey) // 2, 2, -1).mean((1, 3)).flatten())
    return torch.stack(found).numpy()


@pytest.fixture
def rig(tmp_path: Path) -> FileSource:
    folder = tmp_path / "images"
    folder.mkdir()
    write_images(folder, [(16, 16)] * 40)
    return open_file_rig(folder, 40)


@pytest.fixture
def open_rig() -> Callable[..., FileSource]:
    return open_file_rig


@pytest.fixture
def write() -> Callable[..., None]:
    return write_images


@pytest.fixture
def tiny() -> Callable[..., Backbone]:
    return tiny_backbone


@pytest.fixture
def expected() -> Callable[[FileSource], Any]:
    return expected_features


@pytest.fixture
def quarters() -> nn.Module:
    return Quarters()


@pytest.fixture
def cache(tmp_path: Path) -> FeatureCache:
    return FeatureCache.open(tmp_path / "cache")
