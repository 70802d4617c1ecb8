"""Images of a campaign: whole, named by their content, and written once."""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from acqplan import Campaign, open_rig
from acqplan.campaign.check import check_campaign
from acqplan.campaign.events import CAPTURED
from acqplan.campaign.images import ImageFolder, Written, encoded, known_shot, named, take_image
from acqplan.errors import ImageError, OutputError
from acqplan.files import digest_content, digest_file
from acqplan.images import SUFFIXES
from tests.campaign.rigs import LIVE
from tests.campaign.test_campaign import picture

SHOT = "car-00_0_30_L0"


def write(images: ImageFolder, shot: str, picture: Any) -> Written:
    return images.keep(shot, *encoded(picture, shot))


def file_of(kind: str, number: int = 0) -> bytes:
    file = io.BytesIO()
    if kind == "HEIF":
        pytest.importorskip("pillow_heif", reason="the extra heic is not installed").register_heif_opener()
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
    before = (images.root / first.name).stat()
    again = write(images, SHOT, picture(0))
    assert (first.fresh, again.fresh) == (True, False)
    assert (again.name, again.digest) == (first.name, first.digest)
    after = (images.root / first.name).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
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


TAKEN = ("a-b_0", "a/b_0", "a b_0", "a-b__0", "a-b_0__0123456789abcdef", f"{'x' * 119}a_0", f"{'x' * 119}b_0", "é", "ü")


def test_no_two_shots_share_a_file(images: ImageFolder) -> None:
    names = {write(images, shot, picture(0)).name for shot in TAKEN}
    assert len(names) == len(TAKEN)
    assert named("car-00_0_30_L0", "ab" * 32, ".png") == "ab/car-00_0_30_L0__abababababababab.png", "as before"


@given(st.text(max_size=130), st.text(max_size=130))
def test_names_of_files_differ_as_names_of_shots_do(one: str, other: str) -> None:
    alphabet = str.maketrans("abcdefgh", "/-_._ +~")  # what is replaced, and what is put in its place
    shots = {one, other, one.translate(alphabet), other.translate(alphabet), f"{one}_{other}", f"{one}__{other}"}
    assert len({named(shot, "0" * 64, ".png") for shot in shots}) == len(shots)


def test_a_refused_image_leaves_the_equal_one_of_a_shot_of_a_like_name_alone(tmp_path: Path) -> None:
    (tmp_path / "rig.toml").write_text(LIVE.replace('"car-00", "car-01"', '"a/b", "a-b"'), encoding="utf-8")
    rig = open_rig(tmp_path / "rig.toml")
    with Campaign.create(rig, budget=140, path=tmp_path / "rig.db", failure_limit=1.0) as campaign:
        shots = {shot.id: shot for shot in campaign.ask(140)}
        one = next(shot for name, shot in shots.items() if "/" in name and name.replace("/", "-") in shots)
        other = shots[one.id.replace("/", "-")]
        campaign.tell(one, picture(0))
        with campaign.store.reading() as ledger:
            (record,) = ledger.every(CAPTURED)
        # the image of the other shot is on the disk, and its tell will be refused
        written = campaign.images.keep(other.id, *encoded(picture(0), other.id))
        assert written.fresh
        campaign.images.forget(written.name)
        assert campaign.images.is_whole(record.image, record.digest)
        assert check_campaign(campaign)["damaged"] == []


def test_an_image_that_an_earlier_version_named_is_told_again_under_that_name(tmp_path: Path) -> None:
    (tmp_path / "rig.toml").write_text(LIVE.replace('"car-00", "car-01"', '"a/b", "a/c"'), encoding="utf-8")
    with Campaign.create(open_rig(tmp_path / "rig.toml"), budget=6, path=tmp_path / "rig.db") as campaign:
        shot, other = [shot for shot in campaign.ask(6) if "/" in shot.id][:2]
        names, (content, header) = [], encoded(picture(0), "")
        for one in (shot, other):
            digest = digest_content(content)
            names.append(f"{digest[:2]}/{one.id.replace('/', '-')}__{digest[:16]}.png")
            written = campaign.images.keep(one.id, content, header, name=names[-1])
        with campaign.store.writing() as ledger:
            first = Written(digest=digest, name=names[0], fresh=True)
            take_image(ledger, known_shot(ledger, shot.id), first, tuple(shot.view.values()), "captured")
        assert campaign.tell(shot, content) == "already"
        (campaign.images.root / names[0]).write_bytes(b"cut")
        assert campaign.tell(shot, content) == "already"
        assert campaign.images.is_whole(names[0], digest)
        assert campaign.images.names() == sorted(names)
        # the other, which no event mentions, is given to the shot that it is named for
        os.utime(campaign.images.root / written.name, (0, 0))
        campaign.release([other])
        assert check_campaign(campaign)["recovered"] == [other.id]
