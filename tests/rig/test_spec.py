"""rig.toml: what it opens, and for each mistake the class, exit code, line and remedy that are told."""

import math
import os
from pathlib import Path

import pytest
from PIL import Image

from acqplan.errors import InputError, ManifestError, SpecError
from acqplan.rig.spec import Rig, open_rig
from acqplan.space import Category, Circle, Interval

EXAMPLES = Path(__file__).parents[2] / "examples"
SHARED = os.environ.get("ACQPLAN_SHARED")
needs_shared = pytest.mark.skipif(
    not SHARED or Path(SHARED).resolve() != (EXAMPLES / "../../shared").resolve(),
    reason="ACQPLAN_SHARED is not set to ../shared, where the examples look for photographs",
)
AXIS = '[[axis]]\nname = "azimuth"\nkind = "circle"\nvalues = "0:340:20"\n'
LIVE = 'source = "live"\n' + AXIS
OBJECTS = '[objects.labels]\ncar = ["car-00", "car-01"]\ncow = ["cow-00", "cow-01"]\n'


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "rig.toml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


BAD: dict[str, tuple[str | bytes, int, str]] = {
    "unknown key": (
        'source = "toys"\npth = "x"\n',
        2,
        "unknown key 'pth' in rig.toml; did you mean 'path'? known: source",
    ),
    "unknown table": (
        'source = "toys"\n[shots]\nseconds = 1\n',
        2,
        "unknown key 'shots' in rig.toml; did you mean 'shot'",
    ),
    "unknown key of shot": ('source = "toys"\n[shot]\nsecond = 1\n', 3, "'second' in [shot]; did you mean 'seconds'"),
    "unknown key of axis": (
        LIVE.replace("values", "valuez"),
        5,
        "in [[axis]] number 1; did you mean 'values'? known: kind",
    ),
    "second axis": (LIVE + AXIS.replace("name", "nam"), 7, "'nam' in [[axis]] number 2; did you mean 'name'"),
    "key of another kind": (LIVE + "seconds_per_change = 1\n", 6, "did you mean 'seconds_per_unit'"),
    "unknown source": (
        'source = "toy"\n',
        1,
        "source = 'toy' cannot be used; did you mean 'toys'? known: toys, meshes",
    ),
    "unknown kind": (
        LIVE.replace("circle", "circel"),
        2,
        "kind 'circel' of [[axis]] number 1 is unknown; did you mean 'circle'",
    ),
    "no kind": (LIVE.replace('kind = "circle"\n', ""), 2, "lacks the key 'kind'; known: circle, interval, category"),
    "NUL in object": (
        LIVE + OBJECTS.replace("car-00", "car\\u000000"),
        7,
        "holds the character '\\x00', which is no letter",
    ),
    "escape in label": (
        LIVE + OBJECTS.replace("cow =", '"c\\u001bw" ='),
        6,
        "holds the character '\\x1b', which is no letter",
    ),
    "line break in axis": (LIVE.replace('"azimuth"', '"azi\\nmuth"'), 3, "holds the character '\\n'"),
    "no name": (LIVE.replace('name = "azimuth"\n', ""), 2, "[[axis]] number 1 lacks the key 'name'; add"),
    "one bracket": ('source = "live"\n[axis]\nname = "azimuth"\n', 2, "write [[axis]] in double brackets"),
    "bad range": (
        LIVE.replace("0:340:20", "0:340"),
        5,
        "axis.values = '0:340' cannot be used; values '0:340' are not of the",
    ),
    "wrong way": (LIVE.replace("0:340:20", "0:340:-20"), 5, "change its sign"),
    "range of words": (
        LIVE.replace('"0:340:20"', '[0, "ninety"]'),
        5,
        "axis.values = 'ninety' cannot be used; input should be",
    ),
    "no levels": (LIVE.replace('"0:340:20"', "[]"), 5, "axis.values = [] cannot be used"),
    "level twice": (
        LIVE.replace('"0:340:20"', "[0, 90, 360]") + OBJECTS,
        5,
        "appears twice; remove one (a full turn is",
    ),
    "angle of 725": (
        LIVE.replace('"0:340:20"', "[0, 725]") + OBJECTS,
        5,
        "725 deg is more than a full turn; give values between",
    ),
    "NaN level": (
        LIVE.replace('"0:340:20"', "[0, nan]"),
        5,
        "axis.values = nan cannot be used; input should be a finite",
    ),
    "numbers as categories": (
        LIVE.replace("circle", "category").replace('"0:340:20"', "[0, 1]"),
        5,
        "should be a valid string",
    ),
    "text as time": (
        'source = "toys"\n[shot]\nseconds = "fast"\n',
        3,
        "shot.seconds = 'fast' cannot be used; input should be a valid",
    ),
    "negative time": (
        'source = "toys"\n[shot]\nseconds = -1\n',
        3,
        "shot.seconds = -1 cannot be used; input should be greater",
    ),
    "share above one": (
        'source = "toys"\n[objects]\ntest_fraction = 5\n',
        3,
        "objects.test_fraction = 5 cannot be used",
    ),
    "two splits": ('source = "toys"\n[objects]\ntest_fraction = 0.5\ntest = ["car-00"]\n', 4, "are given; remove one"),
    "unknown test object": (
        LIVE + OBJECTS + '[objects]\ntest = ["car-3"]\n',
        10,
        "'car-3' is unknown; did you mean 'car-",
    ),
    "all for testing": (LIVE + '[objects]\ntest = ["car-00"]\n[objects.labels]\ncar = ["car-00"]\n', 7, "leave some"),
    "no path": ('source = "folder"\n', 1, "source 'folder' needs a path; add"),
    "path of toys": ('source = "toys"\npath = "x.csv"\n', 2, "'path' has no meaning for source 'toys'; remove it"),
    "stereo of toys": ('source = "toys"\nstereo = "left"\n', 2, "'stereo' has no meaning for source 'toys'; remove it"),
    "labels of toys": ('source = "toys"\n' + OBJECTS, 2, "[objects.labels] is for live rigs; remove it"),
    "axis called label": (LIVE.replace("azimuth", "label") + OBJECTS, 3, "an axis cannot be called 'label'; rename it"),
    "live without axes": ('source = "live"\n' + OBJECTS, 1, "a live rig needs axes; add"),
    "live without values": (
        LIVE.replace('values = "0:340:20"\n', "") + OBJECTS,
        2,
        "axis 'azimuth' has no values; add",
    ),
    "live without objects": (LIVE + "[objects]\n", 6, "a live rig needs objects; add [objects.labels]"),
    "axis twice": (LIVE + AXIS + OBJECTS, 7, "axis 'azimuth' appears twice; rename one"),
    "object twice": (
        LIVE + '[objects.labels]\ncar = ["a"]\ncow = ["a"]\n',
        6,
        "object 'a' appears twice; give each object",
    ),
    "unknown axis of toys": ('source = "toys"\n' + AXIS.replace("azimuth", "azimut"), 3, "did you mean 'azimuth'"),
    "unknown lighting": ('source = "toys"\n[[axis]]\nname = "lighting"\nkind = "category"\nvalues = ["L9"]\n', 3, "L9"),
    "not rendered": ('source = "toys"\n[render]\nnoise = -1\n', 2, "noise of -1"),
    "too many toys": ('source = "toys"\n[render]\ninstances = 0\n', 3, "0 toys a category; give 1 to 10"),
    "no TOML": ('source = "toys"\naxis: azimuth\n', 2, "this is not TOML: Expected '=' after a key"),
    "open text": ('source = "toys\n', 1, "this is not TOML: Illegal character"),
    "key twice": ('source = "toys"\nsource = "live"\n', 2, "this is not TOML: Cannot overwrite a value"),
    "not UTF-8": ('source = "toys"\n# v\xe9lo\n'.encode("latin-1"), 2, "the text is not UTF-8; save the file in UTF-8"),
}


@pytest.mark.parametrize(("content", "line", "said"), BAD.values(), ids=BAD)
def test_a_mistake_is_told_with_line_and_remedy(tmp_path: Path, content: str | bytes, line: int, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        open_rig(write(tmp_path, content))
    assert caught.value.exit_code == 3
    assert str(caught.value).startswith(f"{tmp_path / 'rig.toml'}: line {line}: ")
    assert said in str(caught.value)
    assert caught.value.hint


def test_a_missing_file_a_folder_and_an_empty_file_are_told(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"none\.toml: cannot be read \(No such file or directory\); check the path"):
        open_rig(tmp_path / "none.toml")
    with pytest.raises(InputError, match="holds no image that can be read; give a folder of images"):
        open_rig(tmp_path)
    with pytest.raises(SpecError, match=r"rig\.toml lacks the key 'source'; add"):
        open_rig(write(tmp_path, ""))


def test_a_manifest_is_a_rig_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "manifest.csv"
    path.write_text("image,label,object,azimuth\n")
    with pytest.raises(ManifestError, match="the manifest is empty"):
        open_rig(path)
    Image.new("L", (4, 4)).save(tmp_path / "0.png")
    path.write_text("image,label,object,azimuth\n0.png,car,car-00,40\n")
    assert open_rig(path).source.shots().views() == [{"azimuth": 40.0}]


def folder(root: Path, toml: str) -> Path:
    """A rig.toml beside a folder of four images of two objects, two azimuths and two lamps."""
    rows = ["image,label,object,azimuth,lamp"]
    for number, (name, lamp) in enumerate([("car-00", "on"), ("car-00", "off"), ("cow-00", "on"), ("cow-00", "off")]):
        Image.new("L", (4, 4), number).save(root / f"{number}.png")
        rows.append(f"{number}.png,{name[:3]},{name},{90 * (number % 2)},{lamp}")
    (root / "manifest.csv").write_text("\n".join(rows))
    (root / "rigs").mkdir()
    path = root / "rigs" / "rig.toml"
    path.write_text('source = "folder"\npath = "../manifest.csv"\n' + toml)
    return path


def test_a_rig_is_opened_by_a_path_as_text_as_well(tmp_path: Path) -> None:
    path = write(tmp_path, LIVE + OBJECTS)
    by_text, by_path = open_rig(str(path)), open_rig(path)
    assert by_text.path == by_path.path == path
    assert by_text.digest == by_path.digest
    with pytest.raises(SpecError, match=r"none\.toml: cannot be read"):
        open_rig(str(tmp_path / "none.toml"))


def test_an_error_carries_file_line_and_value(tmp_path: Path) -> None:
    path = write(tmp_path, LIVE + OBJECTS + '[objects]\ntest = ["car-3"]\n')
    with pytest.raises(SpecError) as caught:
        open_rig(path)
    assert (caught.value.path, caught.value.line, caught.value.asked) == (path, 10, "car-3")


def test_a_folder_is_found_from_the_folder_of_its_rig_toml(tmp_path: Path) -> None:
    rig = open_rig(folder(tmp_path, "[shot]\nseconds = 2\n[objects]\ntest_fraction = 0.3\n"))
    assert (rig.source.name, rig.seconds_per_shot, rig.test_fraction, rig.test) == ("folder", 2, 0.3, ())
    assert rig.source.space.axes == (Circle(name="azimuth", values=(0, 90)),)


def test_axes_of_a_folder_may_leave_their_levels_to_the_manifest(tmp_path: Path) -> None:
    lamp = '[[axis]]\nname = "lamp"\nkind = "category"\nseconds_per_change = 0.2\n'
    rig = open_rig(folder(tmp_path, AXIS.replace('values = "0:340:20"', "values = [90, 0]") + lamp))
    assert rig.source.space.axes == (
        Circle(name="azimuth", values=(90, 0)),
        Category(name="lamp", values=("off", "on"), seconds_per_change=0.2),
    )
    assert not rig.source.space.is_grid


def test_what_is_read_of_a_manifest_is_said(tmp_path: Path) -> None:
    assert open_rig(folder(tmp_path, "")).axes_words == "axes: azimuth; ignored: lamp"
    assert (open_rig().axes_words, open_rig(write(tmp_path, LIVE + OBJECTS)).axes_words) == ("", "")


def test_an_axis_in_radians_is_turned_into_degrees_with_its_time(tmp_path: Path) -> None:
    turned = AXIS.replace('values = "0:340:20"', 'unit = "rad"\nvalues = [0, 1.5707963267948966]\nseconds_per_unit = 2')
    (azimuth,) = open_rig(write(tmp_path, 'source = "live"\n' + turned + OBJECTS)).source.space.axes
    assert azimuth == Circle(name="azimuth", values=(0, 90), seconds_per_unit=azimuth.seconds)
    assert azimuth.seconds == pytest.approx(2 * math.pi / 180)
    asked = AXIS.replace('values = "0:340:20"', "values = [0, 1.57, 3.14]")
    with pytest.raises(SpecError, match=r"line \d+: axis 'azimuth' runs from 0 to 3\.14: radians\?"):
        open_rig(write(tmp_path, 'source = "live"\n' + asked + OBJECTS))


def test_a_speed_is_what_seconds_per_unit_are_the_other_way_round(tmp_path: Path) -> None:
    shot = "[shot]\nseconds = 0.4\nsettle_seconds = 1.5\n"
    fast = open_rig(write(tmp_path, 'source = "live"\n' + AXIS + "speed = 20\n" + shot + OBJECTS))
    assert (fast.source.space.axes[0].seconds, fast.settle_seconds) == (0.05, 1.5)
    both = 'source = "live"\n' + AXIS + "speed = 20\nseconds_per_unit = 0.05\n" + OBJECTS
    with pytest.raises(SpecError, match=r"line 6: axis 'azimuth' has both 'speed' and 'seconds_per_unit'; remove one"):
        open_rig(write(tmp_path, both))


def test_a_view_of_a_folder_off_its_axis_names_the_line_of_the_manifest(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="line 3: azimuth 90 is not among the values"):
        open_rig(folder(tmp_path, AXIS.replace('"0:340:20"', '"0:80:20"')))


def test_a_test_on_views_and_no_test_at_all_are_asked_for_by_words(tmp_path: Path) -> None:
    path = folder(tmp_path, "")

    def opened(objects: str) -> Rig:
        return open_rig(write(path.parent, f'source = "folder"\npath = "../manifest.csv"\n[objects]\n{objects}\n'))

    assert opened('test = "views"').test == "views"
    both = opened('test = "views"\ntest_fraction = 0.25')
    assert (both.test, both.test_fraction) == ("views", 0.25)
    assert opened("test_fraction = 0").test_fraction == 0.0
    for wrong in ('"car-00"', "3", "[3]"):
        with pytest.raises(SpecError, match=r'objects\.test = .* cannot be used; .*, or test = "views"'):
            opened(f"test = {wrong}")


def test_no_file_is_the_embedded_toys(tmp_path: Path) -> None:
    rig = open_rig()
    azimuth, elevation, lighting = rig.source.space.axes
    assert (rig.path, rig.source.name, len(rig.source.objects)) == (None, "toys", 50)
    assert isinstance(azimuth, Circle)
    assert isinstance(elevation, Interval)
    assert isinstance(lighting, Category)
    assert open_rig(EXAMPLES / "toys.toml").digest == rig.digest
    assert open_rig(write(tmp_path, 'source = "toys"\n[render]\ninstances = 3\n')).digest != rig.digest


def test_settings_of_a_rendered_rig_are_passed_on(tmp_path: Path) -> None:
    content = 'source = "toys"\n[render]\nsize = 20\nnoise = 0\neye = "left"\njitter_cm = 1\nseed = 3\n'
    source = open_rig(write(tmp_path, content + AXIS)).source
    plain = open_rig(write(tmp_path, 'source = "toys"\n' + AXIS)).source
    shot = source.shots().take([0])
    assert next(source.capture(shot))[1].shape == (20, 20)
    assert source.identities(shot) != plain.identities(plain.shots().take([0]))


@needs_shared
@pytest.mark.parametrize(
    ("name", "shots", "views"), [("eth80", 1640, 41), ("coil20", 1440, 72), ("meshes", 18468, 972)]
)
def test_examples_open(name: str, shots: int, views: int) -> None:
    rig = open_rig(EXAMPLES / f"{name}.toml")
    assert (len(rig.source.shots()), rig.source.space.n_views) == (shots, views)
