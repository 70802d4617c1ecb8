"""Images of a campaign: whole, named by their content, and written once."""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from acqplan.campaign.images import ImageFolder, Written, encoded
from acqplan.errors import ImageError, OutputError
from acqplan.files import digest_file
from acqplan.images import SUFFIXES
from tests.campaign.test_campaign import picture

SHOT = "car-00_0_30_L0"


def write(images: ImageFolder, shot: str, picture: Any) -> Written:
    return images.keep(shot, *encoded(picture, shot))


def file_of(kind: str, number: int = 0) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture(number)).save(file, format=kind)
    return file.getvalue()


@pytest.fixture
def images(tmp_path: Path) -> ImageFolder:
    return ImageFolder(root=tmp_path / "images")


@pytest.mark.parametrize("kind", sorted(SUFFIXES))
def test_files_are_kept_byte_by_byte(images: ImageFolder, kind: str) -> None:
    content = file_of(kind)
    written = write(images, SHOT, content)
    assert images.read(written.name) == content
    assert written.digest == digest_file(images.root / written.name), "what sha256sum says"
    assert written.name.endswith(SUFFIXES[kind])
    assert images.names() == [written.name]


def test_writing_again_changes_nothing(images: ImageFolder) -> None:
    first = write(images, SHOT, picture(0))
    before = os.stat(images.root / first.name)  # noqa: PTH116 - beside the one below
    again = write(images, SHOT, picture(0))
    assert (first.fresh, again.fresh) == (True, False)
    assert (again.name, again.digest) == (first.name, first.digest)
    assert os.stat(images.root / first.name) == before  # noqa: PTH116
    assert images.names() == [first.name]


def test_a_damaged_image_is_written_again(images: ImageFolder) -> None:
    written = write(images, SHOT, picture(0))
    (images.root / written.name).write_bytes(b"cut")
    assert not images.is_whole(written.name, written.digest)
    assert write(images, SHOT, picture(0)).fresh
    assert images.is_whole(written.name, written.digest)


def test_images_of_one_shot_lie_beside_each_other_and_equal_ones_of_two(images: ImageFolder) -> None:
    names = {write(images, shot, picture(number)).name for shot in (SHOT, "car-01_0_30_L0") for number in (0, 1)}
    assert sorted(names) == images.names()
    assert len(names) == 4


@pytest.mark.parametrize("shot", ["../../etc/passwd", "a/b\\c", "ü ñ\n", "." * 300, "x" * 400, "-rf", "con:"])
def test_no_name_of_a_shot_leads_out_of_the_folder(images: ImageFolder, shot: str) -> None:
    written = write(images, shot, picture(0))
    path = (images.root / written.name).resolve()
    assert path.parent.parent == images.root.resolve()
    assert images.read(written.name)
    assert images.names() == [written.name]


def test_an_array_is_written_without_loss(images: ImageFolder) -> None:
    for pixels in (picture(3), picture(3)[:, :, 0]):
        written = write(images, SHOT, pixels)
        assert np.array_equal(np.array(Image.open(images.root / written.name)), pixels)


def test_a_file_is_taken_by_its_path(images: ImageFolder, tmp_path: Path) -> None:
    (tmp_path / "shot.jpg").write_bytes(file_of("JPEG"))
    assert write(images, SHOT, tmp_path / "shot.jpg").digest == digest_file(tmp_path / "shot.jpg")


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (b"", "is empty (0 bytes)"),
        (b"hello", "is not an image"),
        (file_of("PNG")[:-40], "is damaged"),
        (file_of("PNG")[:-20], "a PNG without its end"),
        (file_of("PNG")[:-1], "a PNG without its end"),
        (file_of("JPEG")[:200], "is damaged"),
        (file_of("GIF"), "is not an image; give PNG"),
        (np.zeros((4, 4), dtype=np.float32), "float32 of shape (4, 4); give uint8"),
        (np.zeros((4, 4, 4), dtype=np.uint8), "uint8 of shape (4, 4, 4)"),
        (np.zeros((0, 4), dtype=np.uint8), "uint8 of shape (0, 4)"),
        (np.zeros(4, dtype=np.uint8), "uint8 of shape (4,)"),
        ([[0]], "list of shape None"),
        (Path("nowhere.png"), "nowhere.png: cannot be read"),
    ],
)
def test_what_is_no_whole_image_is_refused_and_leaves_nothing(images: ImageFolder, bad: object, said: str) -> None:
    with pytest.raises(ImageError) as refused:
        write(images, SHOT, bad)
    assert said in str(refused.value)
    assert images.names() == []
    with pytest.raises(ImageError):
        encoded(bad, SHOT)  # type: ignore[arg-type]


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "images").write_text("a file, no folder")
    with pytest.raises(OutputError):
        write(ImageFolder(root=tmp_path / "images"), SHOT, picture(0))


def test_what_is_half_written_is_no_image(images: ImageFolder) -> None:
    written = write(images, SHOT, picture(0))
    (images.root / written.name).with_name(".x__y.png.part").write_bytes(b"half")
    (images.root / "notes").mkdir()
    (images.root / "notes" / "a__b.png").write_bytes(b"no two letters")
    assert images.names() == [written.name]
    images.forget(written.name)
    images.forget(written.name)
    assert images.names() == []
    with pytest.raises(ImageError, match="cannot be read"):
        images.read(written.name)
