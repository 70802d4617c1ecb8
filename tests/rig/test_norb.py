"""smallNORB: its binary files, read on small ones written here in the same format."""

from pathlib import Path

import numpy as np
import pytest

from acqplan.errors import AcqplanError, SpecError
from acqplan.rig.norb import BYTES, INTEGERS, PARTS
from acqplan.rig.spec import Rig, open_rig

FACTS = {  # category, instance, elevation, azimuth, lighting of each image
    "training": [(4, 6, 0, 0, 0), (4, 6, 8, 34, 5), (0, 4, 3, 2, 1)],
    "testing": [(4, 0, 0, 0, 0), (0, 1, 1, 4, 2)],
}


def matrix(magic: int, numbers: np.ndarray) -> bytes:
    sizes = [*numbers.shape, 1, 1][: max(3, numbers.ndim)]
    return np.array([magic, numbers.ndim, *sizes], dtype="<i4").tobytes() + numbers.tobytes()


def write(folder: Path) -> None:
    for number, (part, rows) in enumerate(FACTS.items()):
        facts = np.array(rows, dtype="<i4")
        pixels = np.random.default_rng(number).integers(0, 256, (len(rows), 2, 6, 6), dtype=np.uint8)
        contents = {"cat": matrix(INTEGERS, facts[:, 0].copy()), "info": matrix(INTEGERS, facts[:, 1:].copy())}
        for kind, content in {**contents, "dat": matrix(BYTES, pixels)}.items():
            (folder / f"{PARTS[part]}-{kind}.mat").write_bytes(content)


def opened(folder: Path, more: str = "") -> Rig:
    path = folder / "rig.toml"
    path.write_text('source = "norb"\npath = "."\n' + more)
    return open_rig(path)


def test_images_are_known_by_toy_and_view(tmp_path: Path) -> None:
    write(tmp_path)
    rig = opened(tmp_path)
    shots = rig.source.shots()
    assert shots.names == ["car-06", "car-06", "animal-04", "car-00", "animal-01"]
    assert shots.views()[1] == {"azimuth": 340, "elevation": 70, "lighting": "L5"}
    assert (rig.source.space.shape, rig.source.space.is_grid) == ((18, 9, 6), True)
    assert rig.test == ("animal-01", "car-00")


def test_the_left_image_is_taken_unless_another_is_asked_for(tmp_path: Path) -> None:
    write(tmp_path)
    left, right, both = (opened(tmp_path, f'stereo = "{name}"\n').source for name in ("left", "right", "both"))
    pixels = np.random.default_rng(1).integers(0, 256, (2, 2, 6, 6), dtype=np.uint8)
    shot = left.shots().take([4])
    images = [next(source.capture(shot))[1] for source in (left, right, both)]
    assert np.array_equal(images[0], pixels[1, 0])
    assert np.array_equal(images[1], pixels[1, 1])
    assert np.array_equal(images[2], np.hstack(pixels[1]))
    assert len({source.identities(shot)[0] for source in (left, right, both)}) == 3


def test_another_split_replaces_that_of_the_authors(tmp_path: Path) -> None:
    write(tmp_path)
    assert opened(tmp_path, "[objects]\ntest_fraction = 0.5\n").test == ()
    assert opened(tmp_path, '[objects]\ntest = ["car-06"]\n').test == ("car-06",)


DAT = f"{PARTS['training']}-dat.mat"
INFO = f"{PARTS['testing']}-info.mat"
BAD: dict[str, tuple[str, bytes | None, int, str]] = {
    "missing": (DAT, None, 4, f"get {DAT}.gz from https"),
    "truncated": (
        DAT,
        matrix(BYTES, np.zeros((3, 2, 6, 6), np.uint8))[:-1],
        3,
        "239 bytes found, 240 expected; get it anew",
    ),
    "packed": (DAT, b"\x1f\x8b" + bytes(40), 3, "this is not a matrix of smallNORB; unpack it"),
    "too few pairs": (DAT, matrix(BYTES, np.zeros((2, 2, 6, 6), np.uint8)), 3, "for 3 described pairs; get it anew"),
    "azimuth of 35": (INFO, matrix(INTEGERS, np.array([[0, 0, 35, 0]] * 2, "<i4")), 3, "image 0 is described by"),
    "too few facts": (INFO, matrix(INTEGERS, np.zeros((1, 4), "<i4")), 3, "get it anew"),
}


@pytest.mark.parametrize(("name", "content", "code", "said"), BAD.values(), ids=BAD)
def test_a_bad_file_is_told_with_remedy(tmp_path: Path, name: str, content: bytes | None, code: int, said: str) -> None:
    write(tmp_path)
    (tmp_path / name).unlink() if content is None else (tmp_path / name).write_bytes(content)
    with pytest.raises(AcqplanError) as caught:
        opened(tmp_path)
    assert caught.value.exit_code == code
    assert str(tmp_path / name) in str(caught.value)
    assert said in str(caught.value)


def test_a_packed_file_is_to_be_unpacked(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / DAT).rename(tmp_path / f"{DAT}.gz")
    with pytest.raises(AcqplanError, match="is missing; unpack it: gunzip"):
        opened(tmp_path)


def test_axes_cannot_be_given(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"line 3: the axes of smallNORB are fixed; remove \[\[axis\]\]"):
        opened(tmp_path, '[[axis]]\nname = "azimuth"\nkind = "circle"\nvalues = [0]\n')
