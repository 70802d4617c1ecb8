"""smallNORB: its binary files, read on small ones written here in the same format."""

import gzip
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from acqplan.errors import AcqplanError, InputError, SpecError
from acqplan.rig.norb import norb_space, smallnorb_rig
from acqplan.rig.norb_files import BYTES, INTEGERS, PARTS
from tests.rig.norb_set import CAT, DAT, FACTS, INFO, Facts, matrix, opened, whole, write


def test_images_are_known_by_toy_and_view(tmp_path: Path) -> None:
    write(tmp_path)
    rig = opened(tmp_path)
    shots = rig.source.shots()
    assert shots.names == ["car-06", "car-06", "animal-04", "car-00", "animal-01"]
    assert shots.views()[1] == {"azimuth": 340, "elevation": 70, "lighting": "L5"}
    assert rig.test == ("animal-01", "car-00")


def test_the_space_holds_the_views_that_occur(tmp_path: Path) -> None:
    write(tmp_path)
    space = opened(tmp_path).source.space
    assert [axis.values for axis in space.axes] == [(0, 20, 40, 340), (30, 35, 45, 70), ("L0", "L1", "L2", "L5")]
    assert (space.n_views, space.is_grid) == (4, False)


def test_all_of_smallnorb_is_a_grid_of_its_views(tmp_path: Path) -> None:
    write(tmp_path, whole(), side=1)
    source = smallnorb_rig(tmp_path).source
    assert source.space.digest() == norb_space().digest()
    assert (len(source.shots()), len(source.objects)) == (48_600, 50)


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


def test_a_rig_is_opened_by_its_folder_alone(tmp_path: Path) -> None:
    write(tmp_path)
    rig = smallnorb_rig(tmp_path, stereo="right", whole=False)
    same = opened(tmp_path, 'stereo = "right"\n')
    assert (rig.test, rig.digest) == (same.test, same.digest)
    assert rig.source.identities(rig.source.shots()) == same.source.identities(same.source.shots())


def test_another_split_replaces_that_of_the_authors(tmp_path: Path) -> None:
    write(tmp_path)
    assert opened(tmp_path, "[objects]\ntest_fraction = 0.5\n").test == ()
    assert opened(tmp_path, '[objects]\ntest = ["car-06"]\n').test == ("car-06",)


# Files that are not what their names say: name, content, exit code, what is said.
BAD: dict[str, tuple[str, bytes | None, int, str]] = {
    "missing": (DAT, None, 4, f"get {DAT}.gz from https"),
    "empty": (CAT, b"", 3, "this is not a matrix of smallNORB; get it anew"),
    "truncated": (
        DAT,
        matrix(BYTES, np.zeros((3, 2, 6, 6), np.uint8))[:-1],
        3,
        "239 bytes found, 240 expected; get it anew",
    ),
    "too long": (CAT, matrix(INTEGERS, np.zeros(3, "<i4")) + b"\0", 3, "33 bytes found, 32 expected"),
    "cut in its header": (DAT, matrix(BYTES, np.zeros((3, 2, 6, 6), np.uint8))[:20], 3, "not a matrix of smallNORB"),
    "packed": (DAT, b"\x1f\x8b" + bytes(40), 3, f"this is packed; name it {DAT}.gz, or unpack it"),
    "too few pairs": (DAT, matrix(BYTES, np.zeros((2, 2, 6, 6), np.uint8)), 3, "for 3 described pairs; get it anew"),
    "one camera": (DAT, matrix(BYTES, np.zeros((3, 1, 6, 6), np.uint8)), 3, "shape (3, 1, 6, 6) for 3 described"),
    "no image": (DAT, matrix(BYTES, np.zeros((0, 2, 6, 6), np.uint8)), 3, "a matrix of shape (0, 2, 6, 6)"),
    "big-endian": (
        CAT,
        np.frombuffer(matrix(INTEGERS, np.zeros(3, "<i4")), "<i4").astype(">i4").tobytes(),
        3,
        "its numbers are big-endian, little-endian expected; get it anew",
    ),
    "doubles": (
        CAT,
        matrix(0x1E3D4C53, np.zeros(3)),
        3,
        "a matrix of kind 0x1e3d4c53, 0x1e3d4c54 expected: is another of the six files here?",
    ),
    "category of 5": (CAT, matrix(INTEGERS, np.array([4, 5, 0], "<i4")), 3, "image 1 is described by category 5, not"),
    "instance of 10": (
        INFO,
        matrix(INTEGERS, np.array([[10, 0, 0, 0]] * 2, "<i4")),
        3,
        "described by instance 10, not",
    ),
    "azimuth of 35": (
        INFO,
        matrix(INTEGERS, np.array([[0, 0, 35, 0]] * 2, "<i4")),
        3,
        "image 0 is described by azimuth",
    ),
    "azimuth of 3": (
        INFO,
        matrix(INTEGERS, np.array([[0, 0, 3, 0]] * 2, "<i4")),
        3,
        "azimuth 3, not by one of 0, 2, …, 34",
    ),
    "too few facts": (INFO, matrix(INTEGERS, np.zeros((1, 4), "<i4")), 3, "get it anew"),
}


@pytest.mark.parametrize("packs", [False, True], ids=["unpacked", "packed"])
@pytest.mark.parametrize(("name", "content", "code", "said"), BAD.values(), ids=BAD)
def test_a_bad_file_is_told_with_remedy(
    tmp_path: Path, name: str, content: bytes | None, code: int, said: str, packs: bool
) -> None:
    write(tmp_path)
    (tmp_path / name).unlink()
    if content is not None and packs:
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content))
    elif content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(AcqplanError) as caught:
        opened(tmp_path)
    assert caught.value.exit_code == code
    assert str(tmp_path / name) in str(caught.value)
    assert caught.value.path is not None
    assert (
        said.replace(f"{DAT}.gz, or", f"{DAT}.gz.gz, or") in str(caught.value) if packs else said in str(caught.value)
    )


def swap(folder: Path, one: str, other: str) -> None:
    (folder / one).rename(folder / "aside")
    (folder / other).rename(folder / one)
    (folder / "aside").rename(folder / other)


SWAPPED = [("dat", "cat"), ("dat", "info"), ("cat", "info")]


@pytest.mark.parametrize(("one", "other"), SWAPPED)
def test_a_file_in_the_place_of_another_is_told(tmp_path: Path, one: str, other: str) -> None:
    write(tmp_path)
    swap(tmp_path, *(f"{PARTS['training']}-{kind}.mat" for kind in (one, other)))
    with pytest.raises(InputError, match=r"expected: is another of the six files here\?|shape"):
        opened(tmp_path)


@pytest.mark.parametrize("kinds", [("dat", "cat", "info"), ("info",)], ids="-".join)
def test_parts_in_each_others_place_are_told(tmp_path: Path, kinds: tuple[str, ...]) -> None:
    write(tmp_path, whole(), side=1)
    for kind in kinds:
        swap(tmp_path, *(f"{PARTS[part]}-{kind}.mat" for part in PARTS))
    with pytest.raises(
        InputError, match=r"training part of smallNORB: instance 0 is of the testing part: swap the parts"
    ):
        opened(tmp_path)


# What is wrong with what the files describe: rows of each part, what is said.
WRONG: dict[str, tuple[dict[str, list[Facts]], str]] = {
    "a view twice": (
        {**FACTS, "training": [*FACTS["training"], FACTS["training"][1]]},
        r"training part .*: images 1 and 3 are both category 4, instance 6, elevation 8, azimuth 34, lighting 5",
    ),
    "an object in both parts": (
        {**FACTS, "testing": [*FACTS["testing"], (4, 6, 5, 4, 3)]},
        "testing part .*: car-06 is in the training part as well",
    ),
}


@pytest.mark.parametrize(("facts", "said"), WRONG.values(), ids=WRONG)
def test_what_contradicts_itself_is_told(tmp_path: Path, facts: dict[str, list[Facts]], said: str) -> None:
    write(tmp_path, facts)
    with pytest.raises(InputError, match=f"{said}; get its three files anew from https"):
        opened(tmp_path)


LACKING: dict[str, tuple[Callable[[Facts], bool], str]] = {
    "an instance": (lambda row: row[:2] != (3, 7), "training part of smallNORB: 0 of 972 images of truck-07"),
    "a view": (lambda row: row != (2, 5, 4, 10, 3), "testing part of smallNORB: 971 of 972 images of airplane-05"),
    "a category": (lambda row: row[0] != 1, "training part of smallNORB: 0 of 972 images of human-04"),
}


@pytest.mark.parametrize(("kept", "said"), LACKING.values(), ids=LACKING)
def test_what_is_missing_is_told_where_all_is_needed(tmp_path: Path, kept: Callable[[Facts], bool], said: str) -> None:
    write(tmp_path, {part: [row for row in rows if kept(row)] for part, rows in whole().items()}, side=1)
    with pytest.raises(InputError, match=said):
        smallnorb_rig(tmp_path)
    smallnorb_rig(tmp_path, whole=False)


def test_packed_files_are_read_as_unpacked_ones(tmp_path: Path) -> None:
    write(tmp_path)
    plain, packed = opened(tmp_path), tmp_path / "packed"
    packed.mkdir()
    for number, path in enumerate(sorted(tmp_path.glob("*.mat"))):
        if number % 2:
            (packed / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        else:
            shutil.copy(path, packed)
    mixed = opened(packed)
    assert mixed.source.identities(mixed.source.shots()) == plain.source.identities(plain.source.shots())
    assert len(list(packed.iterdir())) == 7  # nothing was put beside them


def test_a_packed_file_is_unpacked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACQPLAN_CACHE", str(tmp_path / "cache"))
    write(tmp_path)
    for path in (tmp_path / DAT, tmp_path / CAT):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    opened(tmp_path)
    unpacked = sorted((tmp_path / "cache" / "smallnorb").iterdir())
    before = [path.stat().st_mtime_ns for path in unpacked]
    opened(tmp_path)
    assert [path.stat().st_mtime_ns for path in unpacked] == before
    assert len(unpacked) == 2


DAMAGED: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "no gzip": (lambda packed: b"no gzip at all", "cannot be unpacked .Not a gzipped file"),
    "cut": (lambda packed: packed[:-20], "cannot be unpacked .Compressed file ended"),
    "a byte changed": (lambda packed: packed[:-6] + bytes([packed[-6] ^ 1]) + packed[-5:], "cannot be unpacked .CRC"),
    "not deflated": (lambda packed: packed[:12] + b"\xff\xff" + packed[14:], "cannot be unpacked .Error -3"),
    "more than it announces": (
        lambda packed: gzip.compress(gzip.decompress(packed) + bytes(3_000_000)),
        "bytes found, 240 expected",
    ),
}


@pytest.mark.parametrize(("damage", "said"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_packed_file_is_told_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[bytes], bytes], said: str
) -> None:
    monkeypatch.setenv("ACQPLAN_CACHE", str(tmp_path / "cache"))
    write(tmp_path)
    packed = tmp_path / f"{DAT}.gz"
    packed.write_bytes(damage(gzip.compress((tmp_path / DAT).read_bytes())))
    (tmp_path / DAT).unlink()
    with pytest.raises(InputError, match=said) as caught:
        opened(tmp_path)
    assert caught.value.path == packed
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / DAT).chmod(0)
    with pytest.raises(InputError, match=r"cannot be read \(Permission denied\)"):
        opened(tmp_path)


def test_axes_cannot_be_given(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"line 3: the axes of smallNORB are fixed; remove \[\[axis\]\]"):
        opened(tmp_path, '[[axis]]\nname = "azimuth"\nkind = "circle"\nvalues = [0]\n')
