"""Extraction against a bare forward pass, and a warm cache against extraction: ``python benchmarks/extraction.py``.

The bare pass is the same network in the same batches on tensors that are on the device already, in the size the
network takes: no decoding, no resizing, no copy. Extraction starts from 96 x 96 grey bytes, in memory and in PNG files.
The networks of torchvision get random weights: their speed is that of trained ones, and nothing is downloaded.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import ClassVar

import numpy as np
import PIL.Image
import torch
import torchvision
from common import in_turn, machine, median_ratio, options, say, seconds, write
from jaxtyping import UInt8

from acqplan.features.backbone import Backbone, load_backbone
from acqplan.features.cache import FeatureCache
from acqplan.features.compiled import compiled
from acqplan.features.extract import extract
from acqplan.features.pixels import resized
from acqplan.progress import SILENT, Progress
from acqplan.rig.folder import FolderSource
from acqplan.runtime import Runtime
from acqplan.space import Objects, Shots, Space

SIDE = 96
TRAINED = ("toynet", "histogram")
"""Networks that need no file of weights."""

NETWORKS = {"cpu": ("toynet", "mobilenet_v2", "resnet18"), "cuda": ("toynet", "mobilenet_v2", "resnet50", "vgg16")}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MemorySource:
    """The images of a folder, decoded already."""

    name: ClassVar[str] = "memory"
    folder: FolderSource
    images: tuple[UInt8[np.ndarray, "side side"], ...]

    @property
    def space(self) -> Space:
        """That of the folder."""
        return self.folder.space

    @property
    def objects(self) -> Objects:
        """Those of the folder."""
        return self.folder.objects

    def shots(self) -> Shots:
        """All of them."""
        return self.folder.shots()

    def identities(self, shots: Shots) -> list[bytes]:
        """Numbers, in the order of the manifest."""
        return [int(position).to_bytes(32, "big") for position in shots.coordinates[:, 0]]

    def capture(self, shots: Shots, *, progress: Progress = SILENT) -> Iterator[tuple[int, np.ndarray]]:
        """Hand the images out."""
        for row, position in enumerate(shots.coordinates[:, 0]):
            yield row, self.images[int(position)]


def main() -> None:
    """Measure, print, write JSON."""
    asked = options(
        __doc__,
        ("--networks", {"nargs": "+", "help": "names of backbones; by default those of the table"}),
        ("--precision", {"default": "float32", "choices": ["float32", "bfloat16", "float16"]}),
        ("--engine", {"default": "torch", "choices": ["torch", "openvino"], "help": "what computes on a processor"}),
        ("--seconds", {"type": float, "default": 3.0, "help": "of a bare pass over all images, about"}),
        ("--rounds", {"type": int, "default": 3}),
    )
    about = machine(asked.device)
    say(about)
    names = ("toynet",) if asked.quick else asked.networks or NETWORKS[asked.device.split(":")[0]]
    with tempfile.TemporaryDirectory() as folder:
        results = {name: _measure(name, Path(folder) / name, asked) for name in names}
    write("extraction", asked, about, results)


def _measure(name: str, folder: Path, asked: argparse.Namespace) -> dict[str, float]:
    folder.mkdir()
    runtime = Runtime(device=asked.device, precision=asked.precision, engine=asked.engine)
    backbone = load_backbone(name, weights=_weights(name, folder), runtime=runtime)
    n_images = 64 if asked.quick else _how_many(backbone, asked.seconds)
    files = _written(folder, n_images)
    memory = MemorySource(folder=files, images=tuple(image for _, image in files.capture(files.shots())))
    cold = {
        "bare": _aside(_bare(backbone, memory.images)),
        "memory": lambda: extract(memory, memory.shots(), backbone, runtime=runtime, cache=None),
        "files": lambda: extract(files, files.shots(), backbone, runtime=runtime, cache=None),
    }
    for work in cold.values():
        work()
    times = in_turn(cold, 1 if asked.quick else asked.rounds, asked.device)
    found = {
        "images": n_images,
        "batch": backbone.limit,
        **{f"{key}_images_per_second": n_images / float(np.median(values)) for key, values in times.items()},
        "memory_to_bare": median_ratio(times["bare"], times["memory"]),
        "files_to_bare": median_ratio(times["bare"], times["files"]),
        **_warm(files, backbone, FeatureCache.open(folder / "cache"), asked),
    }
    print(f"{name} ({asked.precision}, {asked.device}, {asked.engine})")
    print("\n".join(f"  {key:28s} {value:10.3f}" for key, value in found.items()), flush=True)
    return found


def _warm(files: FolderSource, backbone: Backbone, cache: FeatureCache, asked: argparse.Namespace) -> dict[str, float]:
    """A cache that holds all features against the extraction that filled it: in this process, and in new ones.

    Every file is read and hashed each time.
    """
    rounds = 1 if asked.quick else asked.rounds
    shots = files.shots()

    def look() -> object:
        return extract(files, shots, backbone, runtime=backbone.runtime, cache=cache)

    first = seconds(look, asked.device)
    here = float(np.median([seconds(look, asked.device) for _ in range(rounds)]))
    elsewhere = float(np.median([_elsewhere(files, backbone, cache) for _ in range(rounds)]))
    return {
        "warm_images_per_second": len(shots) / here,
        "warm_to_extraction": first / here,
        "warm_new_process_images_per_second": len(shots) / elsewhere,
        "warm_new_process_to_extraction": first / elsewhere,
    }


def _elsewhere(files: FolderSource, backbone: Backbone, cache: FeatureCache) -> float:
    """Seconds of a warm extraction, the first that a new process makes; starting it and opening the rig not counted."""
    weights = cache.root.parent / "weights.pth"
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        found = weights if weights.exists() else None
        arguments = (files.manifest.path, backbone.name, found, backbone.runtime, cache)
        return pool.submit(_first_look, *arguments).result()


def _first_look(manifest: Path, name: str, weights: Path | None, runtime: Runtime, cache: FeatureCache) -> float:
    backbone, files = load_backbone(name, weights=weights, runtime=runtime), FolderSource.open(manifest)
    shots = files.shots()
    return seconds(lambda: extract(files, shots, backbone, runtime=runtime, cache=cache), runtime.device)


def _bare(backbone: Backbone, images: tuple[np.ndarray, ...]) -> Callable[[], object]:
    """The network on a few batches that are ready on the device, again and again: as many images as there are."""
    limit = min(backbone.limit, len(images))
    device, precision = torch.device(backbone.runtime.device), backbone.runtime.precision
    ready = []
    for start in range(0, len(images), limit):
        some = torch.from_numpy(np.stack(images[start : start + limit]))[:, None].to(device)
        pixels = resized(some, backbone.preprocessing)
        # a network that takes floats is given floats: turning bytes into them is part of extraction
        ready.append(pixels.float().contiguous(memory_format=torch.channels_last))
        if len(ready) == 4:
            break
    sizes = [len(images) // limit, len(images) % limit]
    network: Callable[[torch.Tensor], object] = backbone.module
    if backbone.runtime.engine == "openvino":
        network = compiled(backbone.module, backbone.preprocessing, precision, threads=1)

    def work() -> None:
        lower = precision != "float32"
        dtype = getattr(torch, precision)
        with torch.inference_mode(), torch.autocast(device.type, dtype=dtype if lower else None, enabled=lower):
            for number in range(sizes[0]):
                network(ready[number % len(ready)] if len(ready[number % len(ready)]) == limit else ready[0])
            if sizes[1]:
                network(ready[0][: sizes[1]])

    return work


def _aside(work: Callable[[], object]) -> Callable[[], object]:
    """The same in a thread of its own, as extraction runs its network.

    OpenMP waits in another way in a second thread: on a busy machine the main one is up to ten times slower, which
    would flatter extraction.
    """

    def aside() -> None:
        with ThreadPoolExecutor(1) as thread:
            thread.submit(work).result()

    return aside


def _how_many(backbone: Backbone, wanted_seconds: float) -> int:
    """Images that a bare pass takes about so many seconds for, whole batches, four at least."""
    image = np.zeros((SIDE, SIDE), dtype=np.uint8)
    work = _aside(_bare(backbone, (image,) * backbone.limit))
    work()
    each = min(seconds(work, backbone.runtime.device) for _ in range(3))
    return backbone.limit * int(np.clip(wanted_seconds / each, 4, 40_000 // backbone.limit))


def _weights(name: str, folder: Path) -> Path | None:
    """A file of random weights."""
    if name in TRAINED:
        return None
    torch.manual_seed(0)
    path = folder / "weights.pth"
    torch.save(torchvision.models.get_model(name, weights=None).state_dict(), path)
    return path


def _written(folder: Path, n_images: int) -> FolderSource:
    """Smooth grey pictures with a little noise, which PNG packs as it packs photographs: to about half."""
    random = np.random.default_rng(0)
    lines = ["image,label,object,distance"]
    for number in range(n_images):
        coarse = PIL.Image.fromarray(random.integers(0, 256, (8, 8), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((SIDE, SIDE), PIL.Image.Resampling.BICUBIC)).astype(np.int16)
        noisy = np.clip(smooth + random.integers(-3, 4, (SIDE, SIDE)), 0, 255).astype(np.uint8)
        PIL.Image.fromarray(noisy).save(folder / f"{number}.png")
        lines.append(f"{number}.png,thing,thing-0,{number}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return FolderSource.open(folder / "manifest.csv")


if __name__ == "__main__":
    main()
