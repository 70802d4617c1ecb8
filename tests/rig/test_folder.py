"""The rig of a folder: images as they are, and every kind of image that is refused before anything is captured."""

import hashlib
import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from acqplan.errors import ImageError, ImageWarning, ManifestError, UsageError
from acqplan.rig.folder import FolderSource, read_captured
from acqplan.rig.spec import open_rig
from acqplan.space import Shots

HEADER = "image,label,object,azimuth,elevation\n"
SHARED = os.environ.get("ACQPLAN_SHARED")
needs_photographs = pytest.mark.skipif(not SHARED, reason="ACQPLAN_SHARED is not set: no photographs here")


def picture(mode: str = "L", form: str = "PNG", **options: object) -> bytes:
    """A small image file of noise."""
    channels = len(Image.new(mode, (1, 1)).getbands())
    noise = np.random.default_rng(0).integers(0, 256, (24, 32, channels), dtype=np.uint8)
    buffer = io.BytesIO()
    image = Image.frombytes(mode, (32, 24), noise.tobytes()) if mode != "1" else Image.new("1", (32, 24))
    image.save(buffer, form, **options)
    return buffer.getvalue()


def png(depth: int, kind: int, channels: int) -> bytes:
    """A PNG of 4 x 4 zeros, of depths and kinds that Pillow does not write."""
    raw = b"".join(b"\0" + bytes(4 * channels * depth // 8) for _ in range(4))
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 4, 4, depth, kind, 0, 0, 0)),
        (b"IDAT", zlib.compress(raw)),
        (b"IEND", b""),
    ]
    parts = [struct.pack(">I", len(b)) + a + b + struct.pack(">I", zlib.crc32(a + b)) for a, b in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def bomb() -> bytes:
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)
    return (
        png(8, 0, 1)
        .replace(png(8, 0, 1)[16:29], header)
        .replace(png(8, 0, 1)[29:33], struct.pack(">I", zlib.crc32(b"IHDR" + header)))
    )


def folder_with(root: Path, name: str, content: bytes) -> Path:
    """A manifest of a good image on line 2 and another one on line 3."""
    (root / "good.png").write_bytes(picture())
    (root / name).write_bytes(content)
    manifest = root / "manifest.csv"
    manifest.write_text(HEADER + f"good.png,car,car-00,0,30\n{name},car,car-00,90,30\n")
    return manifest


BAD: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "truncated PNG": ("a.png", lambda: picture()[:-200], "is damaged (image file is truncated"),
    "truncated JPEG": ("a.jpg", lambda: picture("RGB", "JPEG")[:-300], "is damaged (image file is truncated"),
    "truncated BMP": ("a.bmp", lambda: picture("RGB", "BMP")[:-300], "capture or copy it again"),
    "header alone": ("a.png", lambda: picture()[:20], "capture or copy it again"),
    "zero bytes": ("a.png", lambda: b"", "is empty (0 bytes); capture or copy it again"),
    "text": ("a.png", lambda: b"azimuth 40, elevation 30, a lovely cow\n", "is not an image; give PNG, JPEG"),
    "other format": ("a.png", lambda: picture("P", "GIF"), "is not an image; give PNG, JPEG"),
    "bomb": ("a.png", bomb, "pixels; make it smaller"),
}


@pytest.mark.parametrize(("name", "content", "said"), BAD.values(), ids=BAD)
def test_a_bad_image_is_told_before_any_capture(
    tmp_path: Path, name: str, content: Callable[[], bytes], said: str
) -> None:
    manifest = folder_with(tmp_path, name, content())
    with pytest.raises(ImageError) as caught:
        FolderSource.open(manifest, workers=2)
    assert caught.value.exit_code == 3
    assert str(caught.value).startswith(f"{manifest}: line 3: image '{tmp_path / name}' ")
    assert said in str(caught.value)


def test_a_missing_image_and_a_folder_are_told(tmp_path: Path) -> None:
    manifest = folder_with(tmp_path, "a.png", picture())
    (tmp_path / "a.png").unlink()
    with pytest.raises(ImageError, match=r"line 3: image '.*a\.png' is missing; correct the path or take the line out"):
        FolderSource.open(manifest)
    (tmp_path / "a.png").mkdir()
    with pytest.raises(ImageError, match=r"line 3: image '.*a\.png' is not a file; give the path of an image"):
        FolderSource.open(manifest)


def test_damage_in_the_middle_is_told_when_the_image_is_captured(tmp_path: Path) -> None:
    content = bytearray(picture())
    content[300:340] = bytes(40)
    source = FolderSource.open(folder_with(tmp_path, "a.png", bytes(content)))
    with pytest.raises(ImageError, match=r"line 3: image '.*a\.png' is damaged"):
        list(source.capture(source.shots()))


SHAPES: dict[str, tuple[str, bytes, tuple[int, ...]]] = {
    "grey": ("a.png", picture("L"), (24, 32)),
    "black and white": ("a.png", picture("1"), (24, 32)),
    "colour": ("a.png", picture("RGB"), (24, 32, 3)),
    "palette": ("a.png", picture("P"), (24, 32, 3)),
    "JPEG": ("a.jpg", picture("RGB", "JPEG"), (24, 32, 3)),
    "JPEG with bytes after its end": ("a.jpg", picture("L", "JPEG") + b"\n", (24, 32)),
    "BMP": ("a.bmp", picture("L", "BMP"), (24, 32)),
    "TIFF": ("a.tif", picture("RGB", "TIFF"), (24, 32, 3)),
    "WebP": ("a.webp", picture("RGB", "WEBP"), (24, 32, 3)),
    "PNG of another name": ("a.jpg", picture("RGB"), (24, 32, 3)),
}


@pytest.mark.parametrize(("name", "content", "shape"), SHAPES.values(), ids=SHAPES)
def test_images_become_bytes_of_grey_or_colour(
    tmp_path: Path, name: str, content: bytes, shape: tuple[int, ...]
) -> None:
    source = FolderSource.open(folder_with(tmp_path, name, content))
    captured = dict(source.capture(source.shots()))
    assert captured[1].shape == shape
    assert captured[1].dtype == np.uint8
    assert captured[1].flags.writeable


def test_a_photograph_is_turned_upright_as_a_viewer_shows_it(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    with pytest.warns(ImageWarning, match="1 image of 2: turned upright, as EXIF says"):
        source = FolderSource.open(folder_with(tmp_path, "a.png", picture("L", exif=exif.tobytes())))
    plain, turned = (image for _, image in source.capture(source.shots()))
    assert np.array_equal(turned, np.rot90(plain, -1))


def test_shots_are_the_rows_and_capture_answers_any_of_them_in_order(tmp_path: Path) -> None:
    rows = [f"{number}.png,car,car-0{number % 3},{number * 30},30\n" for number in range(12)]
    for number in range(12):
        Image.new("L", (4, 4), number).save(tmp_path / f"{number}.png")
    (tmp_path / "manifest.csv").write_text(HEADER + "".join(rows))
    source = FolderSource.open(tmp_path / "manifest.csv", workers=2)
    assert source.shots().coordinates[:, 0].tolist() == [number * 30 for number in range(12)]
    some = source.shots().take([7, 2, 11])
    assert [(row, int(image[0, 0])) for row, image in source.capture(some)] == [(0, 7), (1, 2), (2, 11)]


def test_identities_follow_the_bytes_of_the_files(tmp_path: Path) -> None:
    source = FolderSource.open(folder_with(tmp_path, "a.png", picture("RGB")))
    before = source.identities(source.shots())
    assert before == [hashlib.sha256((tmp_path / name).read_bytes()).digest() for name in ("good.png", "a.png")]
    (tmp_path / "a.png").write_bytes(picture("RGB", compress_level=1))
    after = source.identities(source.shots())
    assert before[0] == after[0]
    assert before[1] != after[1]


def test_a_shot_that_is_no_row_is_refused(tmp_path: Path) -> None:
    source = FolderSource.open(folder_with(tmp_path, "a.png", picture()))
    moved = Shots(
        space=source.space,
        objects=source.objects,
        object_rows=source.shots().object_rows,
        coordinates=source.shots().coordinates + 1.0,
    )
    with pytest.raises(UsageError, match=r"no image of object 'car-00' from view \(1.0, 31.0\)"):
        source.identities(moved)


def live(folder: Path) -> Path:
    path = folder / "rig.toml"
    path.write_text(
        'source = "live"\n[[axis]]\nname = "azimuth"\nkind = "circle"\nvalues = "0:340:20"\n'
        '[[axis]]\nname = "lighting"\nkind = "category"\nvalues = ["on", "off"]\n'
        '[objects.labels]\ncar = ["car-00", "car-01"]\ncow = ["cow-00"]\n'
    )
    return path


def test_captured_images_are_shots_of_the_rig_where_it_really_stood(tmp_path: Path) -> None:
    source = open_rig(live(tmp_path)).source
    (tmp_path / "a.png").write_bytes(picture())
    (tmp_path / "m.csv").write_text(
        "image,label,object,lighting,azimuth,order\na.png,cow,cow-00,off,40.3,1\na.png,cow,cow-00,on,-20,2\n"
    )
    captured = read_captured(tmp_path / "m.csv", source)
    assert captured.space is source.space
    assert captured.shots().names == ["cow-00", "cow-00"]
    assert captured.shots().views() == [{"azimuth": 40.3, "lighting": "off"}, {"azimuth": 340, "lighting": "on"}]
    assert len(dict(captured.capture(captured.shots()))) == 2
    both = source.shots().join(captured.shots())
    assert len(both) == len(source.shots()) + 2


BAD_CAPTURES = {
    "unknown object": ("b.png,car,car-1,40,on", "the rig has no object 'car-1'; did you mean 'car-01'"),
    "other label": ("b.png,car,cow-00,40,on", "'cow-00' is labelled 'car' but 'cow' in the rig; correct one"),
    "unknown level": ("b.png,car,car-00,40,onn", "lighting 'onn' is no level of this axis; did you mean 'on'"),
    "angle": ("b.png,car,car-00,725,on", "azimuth '725' is more than a full turn"),
    "repeated": ("a.png,car,car-01,20,on", "is already on line 2; remove one"),
}


@pytest.mark.parametrize(("row", "said"), BAD_CAPTURES.values(), ids=BAD_CAPTURES)
def test_a_capture_that_is_not_the_rigs_is_told(tmp_path: Path, row: str, said: str) -> None:
    (tmp_path / "a.png").write_bytes(picture())
    (tmp_path / "m.csv").write_text(f"image,label,object,azimuth,lighting\na.png,car,car-01,20,on\n{row}\n")
    with pytest.raises(ManifestError) as caught:
        read_captured(tmp_path / "m.csv", open_rig(live(tmp_path)).source)
    assert str(caught.value).startswith(f"{tmp_path / 'm.csv'}: line 3: ")
    assert said in str(caught.value)


def test_captures_in_radians_are_asked_about(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture())
    rows = "".join(f"a.png,car,car-01,{angle},on\n" for angle in (0, 1.5708, 3.1416))
    (tmp_path / "m.csv").write_text(f"image,label,object,azimuth,lighting\n{rows}")
    with pytest.raises(ManifestError, match=r"azimuth runs from 0 to 3\.142: radians\?; give degrees"):
        read_captured(tmp_path / "m.csv", open_rig(live(tmp_path)).source)


def test_captures_without_an_axis_of_the_rig_are_refused(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("image,label,object,azimut,lighting\na.png,car,car-01,20,on\n")
    with pytest.raises(ManifestError, match=r"line 1: no column 'azimuth'; did you mean 'azimut'"):
        read_captured(tmp_path / "m.csv", open_rig(live(tmp_path)).source)


@needs_photographs
def test_eth80_is_a_table_of_41_views_in_colour() -> None:
    source = FolderSource.open(Path(str(SHARED)) / "data" / "eth80-4" / "manifest.csv")
    assert (len(source.shots()), source.space.n_views, source.space.is_grid) == (1640, 41, False)
    assert source.objects.classes == ("apple", "cow", "dog", "tomato")
    assert len(source.objects) == 40
    assert {image.shape for _, image in source.capture(source.shots().take([0, 800, 1639]))} == {(128, 128, 3)}
    assert len(set(source.identities(source.shots()))) == 1640


@needs_photographs
def test_coil20_is_a_circle_of_72_views_in_grey() -> None:
    source = FolderSource.open(Path(str(SHARED)) / "data" / "coil20" / "manifest.csv")
    assert (len(source.shots()), source.space.shape, source.space.is_grid) == (1440, (72,), True)
    assert {image.shape for _, image in source.capture(source.shots().take([0, 1439]))} == {(128, 128)}
