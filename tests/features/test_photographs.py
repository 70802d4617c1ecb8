"""Photographs: decoded no larger than a network needs, with features and memory that are bounded."""

import hashlib
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from acqplan import Campaign
from acqplan.errors import ImageError
from acqplan.evaluate.campaign import captured_source
from acqplan.features.backbone import Backbone, load_backbone
from acqplan.features.devices import _batches
from acqplan.features.extract import extract
from acqplan.images import decode_pixels, prove_whole
from acqplan.rig.folder import FolderSource
from acqplan.runtime import Runtime
from tests.campaign.rigs import live_rig

SHARED = os.environ.get("ACQPLAN_SHARED", "")
WEIGHTS = Path(SHARED) / "weights" / "mobilenet_v2.safetensors"
needs_weights = pytest.mark.skipif(not WEIGHTS.exists(), reason="ACQPLAN_SHARED holds no weights of mobilenet_v2")
CLOSE = 0.02  # about what half precision may change, see acqplan.features.extract.TOLERANCE


def photograph(width: int, height: int, kind: str = "JPEG", seed: int = 0) -> bytes:
    draw, file = np.random.default_rng(seed), io.BytesIO()
    coarse = Image.fromarray(draw.integers(0, 256, (9, 12, 3), dtype=np.uint8)).resize((width, height))
    noise = np.tile(draw.normal(0, 5, (100, 100, 1)), (height // 100, width // 100, 1))
    pixels = np.clip(np.asarray(coarse) + noise, 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(file, kind, **({"quality": 90} if kind == "JPEG" else {"compress_level": 1}))
    return file.getvalue()


def source_of(folder: Path, contents: list[bytes]) -> FolderSource:
    lines = ["image,label,object,azimuth"]
    for number, content in enumerate(contents):
        (folder / f"{number}.img").write_bytes(content)
        lines.append(f"{number}.img,car,car-0{number % 2},{10 * number}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return FolderSource.open(folder / "manifest.csv")


def loaded(name: str) -> Backbone:
    return load_backbone(name, weights=WEIGHTS if name == "mobilenet_v2" else None, runtime=Runtime())


@pytest.mark.parametrize("name", ["histogram", "toynet", pytest.param("mobilenet_v2", marks=needs_weights)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_features_of_a_photograph_that_is_decoded_small_are_close(tmp_path: Path, name: str, kind: str) -> None:
    contents = [photograph(*size, kind, seed) for seed, size in enumerate([(1600, 1200), (1300, 2100), (3000, 2000)])]
    source, backbone = source_of(tmp_path, contents), loaded(name)
    side = backbone.preprocessing.size
    whole = [decode_pixels(content, ImageError) for content in contents]
    small = [image for _, image in source.shrunk(side).capture(source.shots())]
    for before, after in zip(whole, small, strict=True):
        assert 3 * side <= min(after.shape[:2]) < max(6 * side, min(before.shape[:2]) / 2 + 1)
    found = extract(source, source.shots(), backbone, runtime=backbone.runtime, cache=None)
    wanted = backbone.features(whole)
    assert (np.linalg.norm(found - wanted, axis=1) / np.linalg.norm(wanted, axis=1)).max() < CLOSE


def test_small_images_have_the_pixels_features_and_keys_that_they_had(tmp_path: Path) -> None:
    contents = [
        photograph(width, height, kind, width)
        for width, height, kind in [(100, 100, "PNG"), (300, 200, "JPEG"), (1000, 900, "PNG"), (1000, 1000, "JPEG")]
    ]
    source, backbone = source_of(tmp_path, contents), loaded("histogram")
    assert source.shrunk(96).identities(source.shots()) == [hashlib.sha256(one).digest() for one in contents]
    whole = [np.asarray(Image.open(io.BytesIO(content))) for content in contents]
    for (_, small), before in zip(source.shrunk(96).capture(source.shots()), whole, strict=True):
        assert np.array_equal(small, before)
    found = extract(source, source.shots(), backbone, runtime=backbone.runtime, cache=None)
    assert np.array_equal(found, backbone.features(whole))


def test_the_key_of_a_shrunk_image_says_so(tmp_path: Path) -> None:
    content = photograph(1600, 1200)
    source = source_of(tmp_path, [content])
    keys = [source.shrunk(side).identities(source.shots())[0] for side in (0, 96, 130, 1000)]
    assert len(set(keys)) == 3
    assert keys[0] == keys[3] == hashlib.sha256(content).digest(), "too small to be shrunk for a network of 1000"
    header = prove_whole(content, ImageError)
    assert [header.shrinking(side) for side in (0, 96, 130, 224, 1000)] == [1, 4, 2, 1, 1]


def test_images_of_a_campaign_have_the_keys_and_pixels_of_a_folder(tmp_path: Path) -> None:
    contents = [photograph(1600, 1200, "JPEG", 1), photograph(200, 100, "PNG", 2), photograph(1600, 1200, "PNG", 3)]
    campaign = Campaign.create(live_rig(tmp_path), budget=8, path=tmp_path / "rig.db")
    told = {shot.id: content for shot, content in zip(campaign.ask(3), contents, strict=True)}
    for shot, content in told.items():
        campaign.tell(shot, content)
    seen, folder = captured_source(campaign), source_of(tmp_path, contents)
    for side in (0, 96):
        one, other = seen.shrunk(side), folder.shrunk(side)
        assert sorted(one.identities(seen.taken)) == sorted(other.identities(folder.shots()))
        sizes = sorted(image.shape for _, image in one.capture(seen.taken))
        assert sizes == sorted(image.shape for _, image in other.capture(folder.shots()))


def test_batches_are_counted_in_bytes_whatever_shapes_come() -> None:
    shapes = [(10, 10), (30, 30), (10, 10), (20, 20), (40, 40), (10, 10), (30, 30), (50, 50)] * 20
    captures = [(row, np.zeros(shape, dtype=np.uint8)) for row, shape in enumerate(shapes)]
    seen = []
    for rows, images in _batches(captures, 64, 5000):
        assert len({image.shape for image in images}) == 1
        assert sum(image.nbytes for image in images) <= 5000 + 2500
        seen += rows.tolist()
    assert sorted(seen) == list(range(len(shapes)))
    # all of one small shape: as many as a batch takes
    small = [(row, np.zeros((2, 2), dtype=np.uint8)) for row in range(10)]
    assert [len(rows) for rows, _ in _batches(small, 4, 5000)] == [4, 4, 2]


PEAK = """
import sys
from pathlib import Path
from acqplan.features.backbone import load_backbone
from acqplan.features.extract import extract
from acqplan.rig.folder import FolderSource
from acqplan.runtime import Runtime
source, runtime = FolderSource.open(Path(sys.argv[1])), Runtime()
extract(source, source.shots(), load_backbone("histogram", runtime=runtime), runtime=runtime, cache=None)
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(1024 * int(peak.split()[1]))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_memory_does_not_follow_the_resolution(tmp_path: Path, kind: str) -> None:
    source_of(tmp_path, [photograph(4000, 3000, kind, seed) for seed in range(8)])
    command = [sys.executable, "-c", PEAK, str(tmp_path / "manifest.csv")]
    done = subprocess.run(command, capture_output=True, check=True)
    assert int(done.stdout) < 1_000_000_000
