"""The photographs of examples/photographs/make.py are understood as examples/README.md says."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from acqplan.exchange.found import Told, understand

SCRIPT = Path(__file__).parents[2] / "examples" / "photographs" / "make.py"


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    done = subprocess.run([sys.executable, str(SCRIPT), str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"720 photographs in {folder}\n"
    return folder


KINDS = {
    "turntable": (Told(), "names such as {object}_az{azimuth}_el{elevation}.jpg", 144),
    "eth80": (Told(polar=True), "names such as {object}-{polar}-{azimuth}.jpg", 144),
    "frames": (Told(step=30.0), "names such as {object}__{index}.jpg", 72),
    "telephone": (Told(step="turn"), "the order of time (EXIF)", 72),
    "spreadsheet": (Told(), "the table photos.csv", 144),
    "scans": (Told(), "poses of cameras", 144),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_understood(kind: str, photographs: Path) -> None:
    told, reader, images = KINDS[kind]
    found = understand(photographs / kind, told)
    assert (found.reader, len(found.manifest)) == (reader, images)
    assert set(found.objects.labels) == {"car", "animal", "airplane"}
    space = found.shots().space
    assert dict(zip((name.casefold() for name in space.names), space.shape, strict=True))["azimuth"] == 12


def test_poses_say_what_names_say(photographs: Path) -> None:
    scans, names = (understand(photographs / kind) for kind in ("scans", "turntable"))

    def views(kind: str) -> dict[bytes, tuple[str, str]]:
        """Azimuth and elevation of the photographs by what they show."""
        found = {"scans": scans, "turntable": names}[kind].manifest
        pixels = [np.asarray(Image.open(file)).tobytes() for file in found.files]
        return dict(zip(pixels, zip(found.columns["azimuth"], found.columns["elevation"], strict=True), strict=True))

    assert views("scans") == views("turntable")
