"""Manifests: what is read, and for each mistake the class, exit code, line and remedy that are told."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acqplan.errors import ManifestError, SpaceError
from acqplan.rig.manifest import (
    AxisColumn,
    Manifest,
    check_shots,
    default_columns,
    read_manifest,
    space_of,
)
from acqplan.space import Category, Circle, Interval, Space

HEADER = "image,label,object,azimuth,elevation\n"
GOOD = HEADER + "a/0.png,car,car-00,0,30\na/1.png,car,car-00,90,30\nb/0.png,cow,cow-00,0,45\n"


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "manifest.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(folder: Path, content: str | bytes, column: Literal["image", "mesh"] = "image") -> Manifest:
    return read_manifest(write(folder, content), file_column=column)


def read_fully(folder: Path, content: str | bytes) -> Manifest:
    """What a folder rig does with a manifest before it looks at images."""
    manifest = read(folder, content)
    space, coordinates = space_of(manifest, default_columns(manifest))
    check_shots(manifest, space.names, coordinates)
    return manifest


BAD = {
    "missing column": ("image,labl,object,azimuth\na.png,car,c0,0\n", 1, "no column 'label'; did you mean 'labl'?"),
    "missing image column": ("img,label,object,azimuth\na.png,car,c0,0\n", 1, "no column 'image'"),
    "column twice": ("image,label,object,azimuth,azimuth\na.png,car,c0,0,0\n", 1, "'azimuth' appears twice; rename"),
    "column without name": ("image,label,object,\na.png,car,c0,0\n", 1, "column 4 has no name"),
    "no axis": ("image,label,object\na.png,car,c0\n", 1, "add one such as azimuth"),
    "empty file": ("", 1, "is empty; give a header"),
    "header only": (HEADER, 1, "is empty; give a header"),
    "repeated shot": (
        GOOD + "c.png,car,car-00,90,30\n",
        5,
        "azimuth 90, elevation 30 is already on line 3; remove",
    ),
    "repeated shot a turn on": (GOOD + "c.png,car,car-00,-270,30\n", 5, "is already on line 3; remove"),
    "word": (GOOD + "c.png,car,car-00,ninety,30\n", 5, "azimuth 'ninety' is not a number; give degrees, e.g. 90"),
    "blank angle": (GOOD + "c.png,car,car-00,,30\n", 5, "azimuth '' is not a number; give degrees"),
    "digits in groups": (GOOD + "c.png,car,car-00,1_0,30\n", 5, "azimuth '1_0' is not a number; give degrees"),
    "NaN": (GOOD + "c.png,car,car-00,NaN,30\n", 5, "azimuth 'NaN' is not a number; give degrees"),
    "infinite": (GOOD + "c.png,car,car-00,10,-inf\n", 5, "elevation '-inf' is not finite; give degrees"),
    "angle of 725": (
        GOOD + "c.png,car,car-00,725,30\n",
        5,
        "azimuth '725' is more than a full turn; give degrees from",
    ),
    "blank label": (GOOD + "c.png, ,car-00,10,30\n", 5, "'label' is empty; fill it in"),
    "blank object": (GOOD + "c.png,car,,10,30\n", 5, "'object' is empty; fill it in"),
    "blank image": (GOOD + ",car,car-00,10,30\n", 5, "'image' is empty; fill it in"),
    "control character in object": (
        GOOD + "c.png,car,car-\x0700,10,30\n",
        5,
        "'car-\N{REPLACEMENT CHARACTER}00' holds the character '\\x07', which is no letter; rename it",
    ),
    "line break in label": (GOOD + 'c.png,"c\nr",car-00,10,30\n', 5, "holds the character '\\n'"),
    "NUL in path": (GOOD + "c\0.png,car,car-00,10,30\n", 5, "'image' is no text; take the zero bytes out"),
    "two labels": (GOOD + "c.png,cow,car-00,10,30\n", 5, "labelled 'cow' but 'car' on line 2; correct one"),
    "image of two objects": (GOOD + "a/0.png,car,car-01,10,30\n", 5, "but 'car-00' on line 2; correct one"),
    "path upwards": (GOOD + "../c.png,car,car-00,10,30\n", 5, "'../c.png' leaves the manifest's folder; put the file"),
    "path up and down": (GOOD + "a/../../c.png,car,car-00,10,30\n", 5, "leaves the manifest's folder; put the file"),
    "the folder itself": (GOOD + ".,car,car-00,10,30\n", 5, "leaves the manifest's folder; put the file"),
    "absolute path": (GOOD + "/etc/passwd,car,car-00,10,30\n", 5, "'/etc/passwd' leaves the manifest's folder"),
    "path of Windows": (GOOD + "C:\\c.png,car,car-00,10,30\n", 5, "leaves the manifest's folder"),
    "too few cells": (GOOD + "c.png,car,car-00,10\n", 5, "fewer values than columns (4, 5); give"),
    "too many cells": (
        GOOD + "c.png,car,car-00,10,30,40\n",
        5,
        "more values than columns (6, 5); give",
    ),
    "decimal comma": (
        GOOD + "c.png,car,car-00,12,5,30\n",
        5,
        "more values than columns (6, 5)",
    ),
    "open quote": (GOOD + 'c.png,"car,car-00,10,30\n', 5, "write CSV: quotes in pairs"),
    "another encoding": (
        GOOD.encode() + "c.png,杯子,v,1,2\n".encode("gb18030"),
        5,
        "is not text in UTF-8; save the file as CSV in UTF-8",
    ),
}


@pytest.mark.parametrize(("content", "line", "said"), BAD.values(), ids=BAD)
def test_a_mistake_is_told_with_line_and_remedy(tmp_path: Path, content: str | bytes, line: int, said: str) -> None:
    with pytest.raises(ManifestError) as caught:
        read_fully(tmp_path, content)
    assert caught.value.exit_code == 3
    assert str(caught.value).startswith(f"{tmp_path / 'manifest.csv'}: line {line}: ")
    assert said in str(caught.value)


def test_a_missing_manifest_is_told(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"none\.csv: cannot be read \(No such file or directory\); check the path"):
        read_manifest(tmp_path / "none.csv", file_column="image")


@pytest.mark.parametrize("linked", ["link.png", "folder/c.png"])
def test_a_symbolic_link_out_of_the_folder_is_refused(tmp_path: Path, linked: str) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    (outside / "c.png").touch()
    (inside / "link.png").symlink_to(outside / "c.png")
    (inside / "folder").symlink_to(outside)
    with pytest.raises(ManifestError, match=rf"line 2: path '{linked}' leaves"):
        read(inside, HEADER + f"{linked},car,car-00,0,30\n")


def test_a_symbolic_link_within_the_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    manifest = read(tmp_path, HEADER + "link/../real/c.png,car,car-00,0,30\n")
    assert manifest.files == (tmp_path / "real" / "c.png",)


def test_a_good_manifest_is_read(tmp_path: Path) -> None:
    manifest = read(tmp_path, GOOD)
    assert manifest.lines == (2, 3, 4)
    assert manifest.files[2] == tmp_path / "b" / "0.png"
    assert (manifest.objects().names, manifest.objects().labels) == (("car-00", "cow-00"), ("car", "cow"))
    assert manifest.numbers("azimuth", unit="deg") == [0, 90, 0]


def test_lines_count_blank_lines_and_line_breaks_in_quotes(tmp_path: Path) -> None:
    content = 'image,label,object,azimuth,note\n\na.png,car,c0,0,"two\nlines"\nb.png,car,c0,ten,\n'
    with pytest.raises(ManifestError, match="line 5: azimuth 'ten'"):
        read_fully(tmp_path, content)


def test_byte_order_mark_carriage_returns_and_spaces_do_not_matter(tmp_path: Path) -> None:
    plain = read(tmp_path, GOOD)
    spaced = read(tmp_path, ("\ufeff" + GOOD.replace(",", " , ").replace("\n", "\r\n")).encode())
    assert (spaced.files, spaced.names, spaced.columns) == (plain.files, plain.names, plain.columns)


def test_a_manifest_of_meshes_has_one_row_an_object(tmp_path: Path) -> None:
    content = "mesh,label,object,faces\na.ply,car,car-00,12\nb.ply,car,car-01,13\n"
    manifest = read(tmp_path, content, "mesh")
    check_shots(manifest, (), np.zeros((2, 0)))
    twice = read(tmp_path, content + "c.ply,car,car-01,13\n", "mesh")
    with pytest.raises(ManifestError, match="line 4: object 'car-01' is already on line 3; remove one"):
        check_shots(twice, (), np.zeros((3, 0)))


def read_space(folder: Path, header: str, *rows: str, columns: Sequence[AxisColumn] = ()) -> Space:
    manifest = read(folder, "\n".join([f"image,label,object,{header}", *rows]) + "\n")
    return space_of(manifest, columns or default_columns(manifest))[0]


def test_columns_of_known_names_are_axes_and_others_are_not(tmp_path: Path) -> None:
    header = "note,frame,Azimuth,elevation,exposure_ms,zoom,lighting,Unnamed: 0,time"
    rows = ("a.png,car,c0,x,1,-10,30,8,2,on,0,1.7e9", "b.png,car,c0,3,2,350.5,30,9,4,off,1,1.8e9")
    azimuth, elevation, zoom, lighting = read_space(tmp_path, header, *rows).axes
    assert azimuth == Circle(name="Azimuth", values=(350, 350.5))
    assert elevation == Interval(name="elevation", values=(30,), unit="deg")
    assert zoom == Interval(name="zoom", values=(2, 4))
    assert lighting == Category(name="lighting", values=("off", "on"))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(
            (name, Circle)
            for name in ("az", "yaw", "roll", "camera_azimuth", "Azimuth (deg)", "turntable_angle", "angle")
        ),
        *((name, Interval) for name in ("elev", "pitch", "Tilt-deg", "distance_cm", "cam_distance", "radius")),
        *((name, Category) for name in ("Lighting", "light", "illumination")),
    ],
)
def test_names_are_known_as_people_write_them(name: str, kind: type) -> None:
    column = AxisColumn.known(name)
    assert column is not None
    assert type(column.axis([10, 20])) is kind


@pytest.mark.parametrize(
    "name", ["frame", "exposure_ms", "azimuth_std", "height", "x", "Unnamed: 0", "azimuth_rad", "id"]
)
def test_other_names_tell_nothing(name: str) -> None:
    assert AxisColumn.known(name) is None


def test_without_a_known_name_the_columns_of_numbers_are_listed(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"are axes: frame, pose; e\.g\. \[\[axis\]\] with name = \"frame\""):
        read_space(tmp_path, "frame,pose,note", "a.png,car,c0,1,10,x", "b.png,car,c0,2,20,y")


def test_angles_that_span_a_turn_of_radians_are_asked_about(tmp_path: Path) -> None:
    rows = [f"{n}.png,car,c0,{round(n * np.pi / 4, 4)},{n % 3 * 0.5}" for n in range(8)]
    with pytest.raises(
        SpaceError, match=r"'azimuth' runs from 0 to 5\.498: radians\?; add unit = \"rad\" .*\"deg\" if"
    ):
        read_space(tmp_path, "azimuth,elevation", *rows)
    sure = AxisColumn(name="azimuth", kind="circle", unit="deg", is_sure=True)
    assert max(read_space(tmp_path, "azimuth,elevation", *rows, columns=[sure]).axes[0].values) == 5.4978
    few = ("a.png,car,c0,0", "b.png,car,c0,2.5", "c.png,car,c0,5")
    assert read_space(tmp_path, "azimuth", *few).axes[0].values == (0, 2.5, 5), "degrees in halves"
    near = ("a.png,car,c0,0.12", "b.png,car,c0,0.31")
    assert len(read_space(tmp_path, "azimuth", *near).axes[0].values) == 2, "one pose, reached roughly"


def test_cells_in_radians_become_degrees(tmp_path: Path) -> None:
    columns = [
        AxisColumn(name="az", kind="circle", unit="rad"),
        AxisColumn(name="el", kind="interval", unit="rad"),
    ]
    rows = [f"{n}.png,car,c0,{n * np.pi / 4!r},{n % 2 * np.pi / 6!r}" for n in range(-1, 7)]
    space = read_space(tmp_path, "az,el", *rows, columns=columns)
    assert space.axes == (
        Circle(name="az", values=tuple(range(0, 360, 45))),
        Interval(name="el", values=(0, 30), unit="deg"),
    )
    with pytest.raises(ManifestError, match=r"az '90' is more than a full turn; give values from -6\.28\d+ to 6\.28"):
        read_space(tmp_path, "az,el", "a.png,car,c0,90,0", columns=columns)


def test_a_repeated_shot_suggests_the_column_that_tells_the_rows_apart(tmp_path: Path) -> None:
    content = "image,label,object,lamp,azimuth\na.png,car,c0,left,0\nb.png,car,c0,right,0\n"
    with pytest.raises(ManifestError, match=r"line 3: .* line 2; remove one, or make 'lamp' an \[\[axis\]\]"):
        read_fully(tmp_path, content)


def test_views_are_the_table_that_exists_or_a_grid_if_all_exist(tmp_path: Path) -> None:
    manifest = read(tmp_path, GOOD)
    space, _ = space_of(manifest, default_columns(manifest))
    assert not space.is_grid
    assert space.views().tolist() == [[0, 30], [0, 45], [90, 30]]
    whole = read(tmp_path, GOOD + "c.png,cow,cow-00,90,45\n")
    assert space_of(whole, default_columns(whole))[0].is_grid


def test_a_text_column_can_be_a_category(tmp_path: Path) -> None:
    manifest = read(tmp_path, "image,label,object,lamp\na.png,car,c0,right\nb.png,car,c0,left\n")
    space, coordinates = space_of(manifest, [AxisColumn(name="lamp", kind="category")])
    assert space.axes == (Category(name="lamp", values=("left", "right")),)
    assert coordinates.tolist() == [[1], [0]]


def test_a_column_that_is_no_axis_value_or_level_is_refused(tmp_path: Path) -> None:
    manifest = read(tmp_path, GOOD)
    with pytest.raises(
        ManifestError, match="line 3: azimuth 90 is not among the values of the axis; take the line out"
    ):
        space_of(manifest, [AxisColumn(name="azimuth", kind="circle", unit="deg", values=(0.0, 45.0))])
    with pytest.raises(ManifestError, match=r"line 2: elevation '30' is no level of this axis; .*known: 3O, 45"):
        space_of(manifest, [AxisColumn(name="elevation", kind="category", values=("3O", "45"))])
    with pytest.raises(ManifestError, match="line 1: no column 'azimut'; did you mean 'azimuth'"):
        space_of(manifest, [AxisColumn(name="azimut", kind="circle")])


@given(order=st.permutations(range(6)), turn=st.sampled_from([-360, 0, 360]))
def test_neither_the_order_of_lines_nor_a_full_turn_changes_the_space(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], turn: int
) -> None:
    rows = [f"{number}.png,car,car-0{number % 2},{number * 60 + (turn if number < 1 else 0)},30" for number in range(6)]
    folder = tmp_path_factory.mktemp("shuffled")
    straight = read(folder, HEADER + "\n".join(rows))
    shuffled = read(folder, HEADER + "\n".join(rows[number] for number in order))
    spaces = [space_of(manifest, default_columns(manifest))[0] for manifest in (straight, shuffled)]
    assert spaces[0].digest() == spaces[1].digest()
    assert straight.objects() == shuffled.objects()
