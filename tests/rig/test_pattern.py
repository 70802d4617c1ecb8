"""What rig.toml says of photographs: patterns of names, columns, roots, and the part of an image that is looked at."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from acqplan.errors import ManifestError, SpecError, UsageError
from acqplan.rig.folder import FolderSource
from acqplan.rig.names import NamePattern, image_names, shown_objects
from acqplan.rig.spec import open_rig


def write(folder: Path, toml: str, *names: str) -> Path:
    """A rig.toml, and grey images that differ."""
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 4), number).save(path)
    (folder / "rig.toml").write_text(f'source = "folder"\n{toml}\n')
    return folder / "rig.toml"


def read(text: str, name: str, step: float | None = None, offset: float = 0.0) -> dict[str, str]:
    rows = NamePattern(text=text, step=step, offset=offset).read([name])
    return {"label": rows.labels[0], "object": rows.objects[0], **{axis: cells[0] for axis, cells in rows.axes.items()}}


@pytest.mark.parametrize(
    ("text", "name", "found"),
    [
        ("{label}/{object}/{elevation}-{azimuth}.png", "cup/a/30--40.5.png", {"elevation": "30", "azimuth": "-40.5"}),
        ("{object}_az{azimuth}_*.jpg", "cup_02_az040_x1.JPG", {"label": "cup_02", "object": "cup_02", "azimuth": "40"}),
        (
            "{label}/{label}{object:d}-{polar}-{azimuth}.*",
            "cow/cow1-035-090.png",
            {"elevation": "55", "object": "cow-1"},
        ),
        ("{label}/{object}/{object}_{azimuth}.png", "cup/a_b/a_b_7.png", {"object": "a_b", "azimuth": "7"}),
        ("{object}/{lighting}_{azimuth}_{exposure}.png", "a/left_9_slow.png", {"lighting": "left", "exposure": "slow"}),
    ],
)
def test_a_pattern_says_what_a_name_shows(text: str, name: str, found: dict[str, str]) -> None:
    assert read(text, name).items() >= found.items()


def test_frames_are_a_step_apart_and_wrap() -> None:
    assert read("{object}__{index}.png", "a__73.png", step=5.0, offset=10.0)["azimuth"] == "15"


def test_an_object_has_the_class_of_its_name_unless_that_tells_nothing() -> None:
    assert shown_objects(None, ["cup_02", "cup_3", "bowl1"])[0] == ("cup", "cup", "bowl")
    assert shown_objects(None, ["obj1", "obj2"]) == (("obj1", "obj2"), ("obj1", "obj2"))
    assert shown_objects(["cup", "bowl"], ["1", "1"]) == (("cup", "bowl"), ("cup-1", "bowl-1"))
    assert shown_objects(["cup", "cup"], None) == (("cup", "cup"), ("cup", "cup"))


BAD = {
    "no view": ("{object}.png", {}, "says no view; add e.g. {azimuth}"),
    "nothing shown": ("{azimuth}.png", {}, "says neither label nor object; add {object} or {label}"),
    "both": ("{object}_{index}_{azimuth}.png", {"step": 5.0}, "has index and azimuth, which say the same"),
    "no step": ("{object}_{index}.png", {}, "no step says how far frames are apart; give step"),
    "step for nothing": ("{object}_{azimuth}.png", {"step": 5.0}, "has no {index}, for which step and offset are"),
    "no field": ("{object}_{az imuth}.png", {}, "'{az imuth}' is no field; write e.g."),
    "another name": (
        "{object}-{azimuth}.png",
        {},
        "no image fits pattern '{object}-{azimuth}.png'; the first image is",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_pattern_that_cannot_be_is_told(name: str) -> None:
    text, more, said = BAD[name]
    with pytest.raises(UsageError) as caught:
        NamePattern(text=text, **more).read(["1_2.png"])
    assert said in str(caught.value)


def test_names_are_a_rig_without_a_manifest(tmp_path: Path) -> None:
    names = [f"photos/cup/{name}/{a}_{lamp}.png" for name in "ab" for a in (0, 90) for lamp in ("on", "off")]
    toml = 'path = "photos"\npattern = "{label}/{object}/{azimuth}_{lamp}.*"'
    rig = open_rig(write(tmp_path, toml, *names, "photos/notes/x.png"))
    assert (rig.source.space.names, len(rig.source.shots())) == (("azimuth", "lamp"), 8)
    assert rig.source.objects.names == ("a", "b")
    declared = '[[axis]]\nname = "azimuth"\nkind = "interval"\nunit = "mm"'
    assert open_rig(write(tmp_path, f"{toml}\n{declared}")).source.space.axes[0].unit == "mm"


def test_errors_of_names_name_the_image(tmp_path: Path) -> None:
    toml = 'path = "photos"\npattern = "{object}_{azimuth}_*.png"'
    with pytest.raises(ManifestError, match=r"'a_7_y\.png': object 'a' at azimuth 7 is already on 'a_7_x\.png'"):
        open_rig(write(tmp_path, toml, "photos/a_7_x.png", "photos/a_7_y.png"))


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ('path = "none"\npattern = "{object}_{azimuth}.png"', "line 2: 'none' is no folder; with a pattern"),
        ('pattern = "{object}_{az imuth}.png"', "line 2: pattern '{object}_{az imuth}.png'"),
        ('path = "manifest.csv"\nstep = 5.0', "line 3: 'step' is for frame numbers of a pattern; add pattern"),
        ('pattern = "{object}_{azimuth}.png"\n[columns]\nimage = "file"', "both 'pattern' and [columns] are given"),
        (
            'path = "m.csv"\n[image]\ncrop = [0.5, 0, 0.2, 1]',
            "crop = [0.5, 0, 0.2, 1] cannot be used; write",
        ),
        ('path = "m.csv"\n[image]\ncrop = "round"', 'write crop = "square", or shares left, top, right, bottom'),
        ('path = "m.csv"\n[image]\ncorp = "square"', "unknown key 'corp' in [image]; did you mean 'crop'?"),
    ],
)
def test_what_cannot_be_in_rig_toml_is_told_with_its_line(toml: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        open_rig(write(tmp_path, toml))
    assert said in str(caught.value)


def test_columns_and_roots_read_a_table_of_somebody_elses(tmp_path: Path) -> None:
    (tmp_path / "rigs").mkdir()
    (tmp_path / "table").mkdir()
    (tmp_path / "table" / "list.csv").write_text("Datei;Sorte;Ding;Winkel\n../disk/a.png;cup;cup-1;12,5\n")
    columns = 'image = "Datei"\nlabel = "Sorte"\nobject = "Ding"\n'
    toml = f'path = "../table/list.csv"\nroots = ["../disk"]\n[columns]\n{columns}'
    path = write(tmp_path / "rigs", toml + 'azimuth = "Winkel"', "../disk/a.png")
    assert open_rig(path).source.shots().views() == [{"azimuth": 12.5}]
    path.write_text(path.read_text().replace("disk", "dusk"))
    with pytest.raises(ManifestError, match=r"leaves the manifest's folder; .* add its folder to 'roots'"):
        open_rig(path)


def test_hidden_files_and_pictures_about_pictures_are_no_photographs(tmp_path: Path) -> None:
    write(
        tmp_path,
        "",
        "a.png",
        "._a.png",
        "a_mask.png",
        "b-map.png",
        "c_depthcrop.png",
        ".cache/d.png",
        "img_10.png",
        "img_9.png",
    )
    names, counts = image_names(tmp_path)
    assert names == ["a.png", "img_9.png", "img_10.png"]
    assert counts == {"hidden": 1, "masks, depth or thumbnails": 3, ".toml": 1}


@pytest.mark.parametrize(
    ("crop", "box"),
    [
        ('"square"', (8, 0, 24, 16)),
        ("[0.25, 0.5, 0.75, 1.0]", (8, 8, 24, 16)),
        ("[0.0, 0.0, 0.01, 0.01]", (0, 0, 1, 1)),
    ],
)
def test_a_part_of_each_image_is_looked_at_and_cached_apart(crop: str, box: tuple[int, ...], tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 32), dtype=np.uint8)
    path = write(tmp_path, 'pattern = "{object}_{azimuth}.png"')
    Image.fromarray(pixels).save(tmp_path / "cup_40.png")
    whole = open_rig(path).source
    path.write_text(path.read_text() + f"[image]\ncrop = {crop}\n")
    part = open_rig(path).source
    assert isinstance(part, FolderSource)
    left, top, right, bottom = box
    assert np.array_equal(next(iter(part.capture(part.shots())))[1], pixels[top:bottom, left:right])
    assert part.identities(part.shots()) != whole.identities(whole.shots())


def test_a_crop_is_of_the_upright_image_and_keeps_enough_pixels(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side
    rows = np.linspace(0, 255, 1600, dtype=np.uint8)
    Image.fromarray(np.tile(rows, (1200, 1)), "L").save(tmp_path / "cup_40.png", exif=exif)
    path = write(tmp_path, 'pattern = "{object}_{azimuth}.png"\n[image]\ncrop = [0.0, 0.0, 1.0, 0.25]')
    with pytest.warns(UserWarning, match="turned upright"):
        source = open_rig(path).source
    assert isinstance(source, FolderSource)
    small = source.shrunk(100)
    image = next(iter(small.capture(small.shots())))[1]
    assert image.shape == (400, 1200)
    assert image.max() <= 64  # the upper quarter
