"""The door for images: what a capture script, a rig of files, thumbnails and exports take is the same, and bounded."""

import io
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from acqplan import Campaign
from acqplan.campaign.export import export_campaign, import_campaign
from acqplan.errors import ImageError, ImageWarning, MissingError
from acqplan.evaluate.campaign import captured_source
from acqplan.images import (
    CONVERSIONS,
    DECODING_BYTES,
    SUFFIXES,
    decode_pixels,
    prove_whole,
    read_header,
    thumbnail_jpeg,
)
from acqplan.rig.folder import FolderSource
from acqplan.rig.spec import open_rig
from acqplan.service.views import thumbnail_of
from tests.campaign.rigs import live_rig
from tests.image_files import COLOUR, GREY, KINDS, REFUSED, Kind, photograph, saved, several

HEADER = "image,label,object,azimuth\n"


def refuse(complaint: str, advice: str) -> ImageError:
    return ImageError(f"it {complaint}", advice)


def folder_of(root: Path, suffix: str, content: bytes) -> Path:
    (root / f"one.{suffix}").write_bytes(content)
    (root / "manifest.csv").write_text(f"{HEADER}one.{suffix},car,car-00,0\n")
    return root / "manifest.csv"


def pictures(source: FolderSource) -> list[np.ndarray]:
    return [image for _, image in source.capture(source.shots())]


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_rig_of_files_converts_what_can_be_converted_and_says_so(tmp_path: Path, kind: Kind) -> None:
    manifest = folder_of(tmp_path, kind.suffix, kind.content)
    if kind.conversions:
        with pytest.warns(ImageWarning) as said:
            source = FolderSource.open(manifest)
        texts = [f"{manifest}: 1 image of 1: {CONVERSIONS[name]}" for name in sorted(kind.conversions)]
        assert [str(one.message) for one in said] == texts
    else:
        source = FolderSource.open(manifest)
    (image,) = pictures(source)
    assert image.dtype == np.uint8
    assert np.array_equal(image, kind.pixels)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_what_is_told_can_be_planned_with_shown_and_exported(tmp_path: Path, kind: Kind) -> None:
    campaign = Campaign.create(live_rig(tmp_path), budget=8, path=tmp_path / "rig.db")
    first, second = campaign.ask(2)
    told = campaign.tell(first, kind.content)
    assert told == "captured"
    assert told.notes == tuple(CONVERSIONS[name] for name in kind.conversions)
    # said once, and counted
    again = campaign.tell(second, saved(Image.fromarray(GREY)))
    assert again.notes == ()
    status = campaign.status()
    assert status["converted"] == dict.fromkeys(kind.conversions, 1)
    assert all(any(CONVERSIONS[name] in line for line in campaign.report().splitlines()) for name in kind.conversions)
    # planning, thumbnail
    source = captured_source(campaign)
    images = {name: image for name, (_, image) in zip(source.taken.names, source.capture(source.taken), strict=True)}
    assert np.array_equal(images[first.object], kind.pixels)
    with campaign.store.reading() as ledger:
        record = ledger.get(first.id)
    assert record is not None
    assert campaign.images.read(record.image) == kind.content, "what was told stays as it is"
    with Image.open(io.BytesIO(thumbnail_of(campaign.images, record.digest, record.image))) as small:
        assert small.size == kind.pixels.shape[1::-1]
        assert (
            abs(np.asarray(small.convert("L")).mean() - np.asarray(Image.fromarray(kind.pixels).convert("L")).mean())
            < 6
        )
    # the export: as acqplan sees it, for others too, and back
    export_campaign(campaign, tmp_path / "export")
    rig = open_rig(tmp_path / "export" / "rig.toml").source
    found = dict(zip(rig.shots().names, (image for _, image in rig.capture(rig.shots())), strict=True))
    assert np.array_equal(found[first.object], kind.pixels)
    (path,) = (tmp_path / "export" / "images" / first.label).glob(f"*{record.digest[:16]}*")
    with Image.open(path) as exported:
        assert np.array_equal(np.asarray(exported), kind.pixels)
    again_campaign = import_campaign(tmp_path / "export", tmp_path / "again.db")
    assert again_campaign.images.read(record.image) == kind.content


@pytest.mark.parametrize(("suffix", "made", "said"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_used_is_refused_at_the_first_shot(
    tmp_path: Path, suffix: str, made: Callable[[], bytes], said: str
) -> None:
    content = made()
    campaign = Campaign.create(live_rig(tmp_path), budget=8, path=tmp_path / "rig.db")
    (shot,) = campaign.ask(1)
    before = campaign.events()
    with pytest.raises(ImageError) as refused:
        campaign.tell(shot, content)
    assert said in str(refused.value)
    assert str(refused.value).startswith(f"image of {shot.id} ")
    assert (campaign.events(), campaign.images.names()) == (before, [])
    manifest = folder_of(tmp_path, suffix, content)
    with warnings.catch_warnings(action="ignore", category=ImageWarning), pytest.raises(ImageError) as refused:
        pictures(FolderSource.open(manifest))
    assert said in str(refused.value)
    assert str(refused.value).startswith(f"{manifest}: line 2: image ")
    with pytest.raises(ImageError):
        thumbnail_jpeg(content, refuse, edge=200)


@pytest.mark.parametrize(("kind", "n"), [("PNG", 2000), ("WEBP", 2000), ("TIFF", 300)])
def test_of_many_pictures_in_a_file_the_first_is_taken(kind: str, n: int) -> None:
    content = several(kind, "RGB", n=n)
    assert prove_whole(content, refuse).conversions == ("frame",)
    assert decode_pixels(content, refuse).shape == COLOUR.shape


def test_ordinary_images_are_what_they_were() -> None:
    for pixels in (GREY, COLOUR):
        for kind in ("PNG", "BMP", "TIFF", "PPM"):
            content = saved(Image.fromarray(pixels), kind)
            assert prove_whole(content, refuse).conversions == ()
            assert np.array_equal(decode_pixels(content, refuse, side=96), pixels)
        content = saved(Image.fromarray(pixels), "JPEG")
        assert np.array_equal(decode_pixels(content, refuse, side=96), np.asarray(Image.open(io.BytesIO(content))))
    flags = Image.fromarray(GREY > 99)
    assert np.array_equal(decode_pixels(saved(flags), refuse), np.where(GREY > 99, 255, 0))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_turns_nothing() -> None:
    content = saved(Image.fromarray(GREY), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff nothing")
    assert prove_whole(content, refuse).conversions == ()
    assert decode_pixels(content, refuse).shape == GREY.shape


DECODE = """
import io, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from acqplan.errors import ImageError
from acqplan.images import thumbnail_jpeg
content = sys.stdin.buffer.read()
with ThreadPoolExecutor(4) as pool:
    list(pool.map(lambda _: thumbnail_jpeg(content, ImageError, edge=100), range(4)))
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(1024 * int(peak.split()[1]))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
@pytest.mark.parametrize("options", [{"kind": "WEBP", "lossless": True, "method": 0}, {"kind": "PNG"}], ids=str)
def test_all_threads_together_decode_no_more_than_the_largest_image(options: dict[str, Any]) -> None:
    content = saved(Image.new("RGB", (8000, 5000)), **options)
    done = subprocess.run([sys.executable, "-c", DECODE], input=content, capture_output=True, check=True)
    assert int(done.stdout) < DECODING_BYTES + 100_000_000


@pytest.mark.parametrize("kind", ["AVIF", "HEIF"])
def test_photographs_of_telephones_are_read(kind: str) -> None:
    if kind == "HEIF":
        pytest.importorskip("pillow_heif", reason="the extra heic is not installed").register_heif_opener()
    content = saved(photograph().resize((64, 64)), kind, quality=95)
    header = read_header(io.BytesIO(content), refuse)
    assert (header.kind, header.suffix, header.conversions) == (kind, SUFFIXES[kind], ())
    expected = np.asarray(photograph().resize((64, 64))).astype(float)
    assert np.abs(decode_pixels(content, refuse).astype(float) - expected).mean() < 4.0
    with pytest.raises(ImageError, match=r"is damaged|is not an image"):
        decode_pixels(content[: len(content) // 2], refuse)


def test_a_photograph_that_needs_an_extra_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(MissingError, match=r"is HEIF, which cannot be read here; .*'acqplan\[heic\]'") as caught:
        read_header(io.BytesIO(b"\0\0\0\x18ftypheic" + bytes(40)), refuse)
    assert caught.value.exit_code == 4
