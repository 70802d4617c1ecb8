"""Labels and objects that read as one: they stay apart, with a warning."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from acqplan.numbers import names_alike
from acqplan.rig.spec import Rig, open_rig


def rig_of(folder: Path, labels: tuple[str, str], objects: tuple[str, str] = ("a", "b")) -> Rig:
    """Two objects of each label, two views each."""
    lines, noise = ["image,label,object,azimuth"], np.random.default_rng(0)
    for label, name in zip(labels, objects, strict=True):
        for number in range(4):
            file = f"{len(lines)}.png"
            Image.fromarray(noise.integers(0, 256, (8, 8), dtype=np.uint8)).save(folder / file)
            lines.append(f"{file},{label},{name}{number // 2},{90 * (number % 2)}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "rig.toml").write_text('source = "folder"\npath = "manifest.csv"\n')
    return open_rig(folder / "rig.toml")


@pytest.mark.parametrize("other", ["Café", "café\u200b", "cafe\u0301", "CAFÉ", "\u2060café", "ｃａｆé"])
def test_labels_that_read_as_one_are_doubted(other: str, tmp_path: Path) -> None:
    rig = rig_of(tmp_path, ("café", other))
    assert len(rig.source.objects.classes) == 2
    assert rig.doubts.startswith("labels '")
    assert ascii("café") in rig.doubts
    assert ascii(other) in rig.doubts


def test_objects_that_read_as_one_are_doubted(tmp_path: Path) -> None:
    assert rig_of(tmp_path, ("cup", "cow"), ("car-", "Car-")).doubts.startswith("objects 'Car-0' and 'car-0' are")


def test_names_that_differ_are_not_doubted(tmp_path: Path) -> None:
    assert rig_of(tmp_path, ("café", "cafe")).doubts == ""
    assert names_alike(["a b", "ab", "ä", "a", "å", "1", "1.0", "car-1", "car-11"]) == ""
    assert names_alike(["a\u00a0b", "a b"]) != ""
