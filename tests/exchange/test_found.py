"""Photographs in every form in which people have them become the same rig, by what they say alone."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from acqplan import open_rig, recommend
from acqplan.errors import AcqplanError, InputError, OutputError, UnclearError
from acqplan.exchange.found import Told, understand, write_rig
from acqplan.rig.spec import Rig
from tests.exchange.photographs import INPUTS, LOW, OBJECTS, PLAIN, TRUTH, looking, named, photograph, table


def seen(rig: Rig) -> set[tuple[str, str, int, int]]:
    """Label, object, azimuth and elevation of each image."""
    shots, found = rig.source.shots(), set()
    labels = dict(zip(rig.source.objects.names, rig.source.objects.labels, strict=True))
    for name, view in zip(shots.names, shots.views(), strict=True):
        values = {axis.casefold().split()[0]: value for axis, value in view.items()}
        found.add((labels[name], name, round(float(values["azimuth"])), round(float(values.get("elevation", 30)))))
    return found


@pytest.mark.parametrize("name", INPUTS)
def test_every_form_of_photographs_says_the_same_and_can_be_planned(name: str, tmp_path: Path) -> None:
    make, told, truth = INPUTS[name]
    folder = tmp_path / "photos"
    make(folder)
    write_rig(understand(folder, Told(**told)), tmp_path / "rig.toml")
    rig = open_rig(tmp_path / "rig.toml")
    assert seen(rig) >= set(truth)
    assert set(rig.source.objects.names) == set(OBJECTS)
    plan = recommend(rig, 12, validate=False, backbone="histogram").plan
    assert len(plan) == 12


@pytest.mark.parametrize("name", [name for name, (_, told, _) in INPUTS.items() if not told])
def test_what_says_all_is_a_rig_without_a_file(name: str, tmp_path: Path) -> None:
    INPUTS[name][0](tmp_path / "photos")
    before = sorted(tmp_path.rglob("*"))
    rig = open_rig(tmp_path / "photos")
    assert seen(rig) >= set(INPUTS[name][2])
    assert sorted(tmp_path.rglob("*")) == before


UNCLEAR = {
    "frames": ("COIL-20", "may be frames or degrees", "--step 60 if they go once around, --step 1 for degrees"),
    "heights": ("object/image", "30 to 66 may be elevations, or count from straight above", "--polar"),
    "no view": ("telephone", "names do not say from where images were taken", "--step turn if they go once around"),
}


@pytest.mark.parametrize(("name", "said", "hint"), UNCLEAR.values(), ids=UNCLEAR)
def test_what_cannot_be_known_is_not_guessed(name: str, said: str, hint: str, tmp_path: Path) -> None:
    INPUTS[name][0](tmp_path)
    with pytest.raises(UnclearError, match=said) as caught:
        open_rig(tmp_path)
    assert hint in caught.value.hint
    assert f"acqplan init {tmp_path}" in caught.value.hint


def test_pattern_lines_that_are_written_read_the_same_rig(tmp_path: Path) -> None:
    named(tmp_path / "photos", lambda row: f"{row[1]}__{row[2] // 60}.png", LOW)
    write_rig(understand(tmp_path / "photos", Told(step=60.0)), tmp_path / "rig.toml")
    lines = (tmp_path / "rig.toml").read_text().splitlines()
    start = lines.index("# Instead of the manifest, so that further photographs count as well:")
    other = [line.removeprefix("# ") for line in lines[start + 1 : lines.index("", start)]]
    (tmp_path / "pattern.toml").write_text("\n".join(['source = "folder"', *other]))
    assert open_rig(tmp_path / "pattern.toml").digest == open_rig(tmp_path / "rig.toml").digest


def test_folders_of_one_object_ask_for_its_class(tmp_path: Path) -> None:
    folder = tmp_path / "mug_07"
    named(folder, lambda row: f"az{row[2]}_el{row[3]}.png", TRUTH[:12])
    with pytest.raises(UnclearError, match="nothing says which class and object") as caught:
        understand(folder)
    assert (caught.value.question, caught.value.proposal) == ("label", "mug_07")
    found = understand(folder, Told(label="mug"))
    assert (found.objects.names, found.objects.labels) == (("mug_07",), ("mug",))


def test_a_counter_that_goes_on_from_object_to_object_is_an_order(tmp_path: Path) -> None:
    for place, (label, name, *_) in enumerate(LOW):
        photograph(tmp_path / label / name / f"IMG_{place:04d}.jpg")
    found = understand(tmp_path, Told(step="turn"))
    assert found.reader == "the order of name"
    pairs = zip(found.manifest.names, found.manifest.columns["azimuth"], strict=True)
    angles = [azimuth for name, azimuth in pairs if name == "cup-2"]
    assert angles == ["0", "60", "120", "180", "240", "300"]


def test_masks_depth_hidden_files_and_strangers_are_ignored_and_said(tmp_path: Path) -> None:
    named(tmp_path, lambda row: f"{row[1]}_az{row[2]}_el{row[3]}.png")
    for name in ("cup-1_az0_el30_mask.png", "cup-1_az0_el30-map.png", "._cup-1_az0_el30.png"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "notes.txt").write_text("see you")
    (tmp_path / "costs.csv").write_text('what,price\nlamp,"3')
    photograph(tmp_path / "table.jpg")
    found = understand(tmp_path)
    assert len(found.manifest) == len(TRUTH)
    assert sorted(found.ignored) == [
        "1 file (.csv)",
        "1 file (.txt)",
        "1 file (hidden)",
        "1 image of another name, e.g. table.jpg",
        "2 files (masks, depth or thumbnails)",
    ]


def test_links_out_of_the_folder_are_roots_of_the_rig(tmp_path: Path) -> None:
    named(tmp_path / "disk", lambda row: f"{row[1]}/az{row[2]}_el{row[3]}.png")
    (tmp_path / "photos").mkdir()
    for name in OBJECTS:
        (tmp_path / "photos" / name).symlink_to(tmp_path / "disk" / name)
    found = understand(tmp_path / "photos")
    (tmp_path / "work").mkdir()
    write_rig(found, tmp_path / "work" / "rig.toml")
    assert 'roots = ["../disk"]' in (tmp_path / "work" / "rig.toml").read_text()
    assert seen(open_rig(tmp_path / "work" / "rig.toml")) == set(TRUTH)
    text = (tmp_path / "work" / "rig.toml").read_text().replace("../disk", "elsewhere")
    (tmp_path / "work" / "rig.toml").write_text(text)
    with pytest.raises(InputError, match=r"leaves the manifest's folder; .*or add its folder to 'roots' in rig\.toml"):
        open_rig(tmp_path / "work" / "rig.toml")


def test_nothing_that_is_there_is_replaced(tmp_path: Path) -> None:
    named(tmp_path, lambda row: f"{row[1]}_az{row[2]}_el{row[3]}.png")
    (tmp_path / "manifest.csv").write_text("mine")
    found = understand(tmp_path, Told(pattern="{object}_az{azimuth}_el{elevation}.png"))
    written = write_rig(found, tmp_path / "rig.toml")
    assert written == (tmp_path / "rig-manifest.csv", tmp_path / "rig.toml")
    assert (tmp_path / "manifest.csv").read_text() == "mine"
    with pytest.raises(OutputError, match="is there already; move it away"):
        write_rig(found, tmp_path / "rig.toml")


def two_tables(folder: Path) -> None:
    table(folder, PLAIN)
    (folder / "more.csv").write_text("image,label\na.png,cup\n")


def broken_note(folder: Path) -> None:
    photograph(folder / "a.png")
    (folder / "a.json").write_text("{")


def one_view_twice(folder: Path) -> None:
    for name in ("1/az20.png", "2/az20.png", "1/az20.jpg"):
        photograph(folder / "cup" / name)


BAD: dict[str, tuple[Callable[[Path], None], str]] = {
    "nothing": (Path.mkdir, "holds no image that can be read"),
    "two tables": (two_tables, r"several tables name images: more\.csv, photos\.csv; give the path of one"),
    "a broken note": (broken_note, r"a\.json: is no JSON"),
    "one view twice": (one_view_twice, r"object 'cup-1' at azimuth 20 is already on 'cup/1/az20\.jpg'"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_told_with_its_file(name: str, tmp_path: Path) -> None:
    make, said = BAD[name]
    make(tmp_path / "photos")
    with pytest.raises(AcqplanError, match=said) as caught:
        understand(tmp_path / "photos")
    assert caught.value.exit_code == 3
    assert caught.value.hint


def test_a_file_of_poses_is_understood_like_its_folder(tmp_path: Path) -> None:
    INPUTS["transforms.json"][0](tmp_path)
    for path in (tmp_path / "cup-1", tmp_path / "cup-1" / "transforms.json"):
        found = understand(path, Told(label="mug"))
        assert (len(found.manifest), found.shots().space.shape) == (12, (6, 2))
        assert (found.objects.names, found.objects.labels) == (("cup-1",), ("mug",))


def test_numbers_that_say_nothing_of_the_view_are_ignored_and_said(tmp_path: Path) -> None:
    rows = {row: number for number, row in enumerate(LOW)}
    named(tmp_path, lambda row: f"{row[1]}_az{row[2]}_{rows[row]:03d}.png", LOW)
    found = understand(tmp_path)
    assert found.reader == "names such as {object}_az{azimuth}_*.png"
    assert "is ignored" in found.said[0]


def test_poses_that_come_in_go_out_again(tmp_path: Path) -> None:
    INPUTS["transforms.json"][0](tmp_path / "photos")
    write_rig(understand(tmp_path / "photos"), tmp_path / "rig.toml")
    result = recommend(open_rig(tmp_path / "rig.toml"), 12, validate=False, backbone="histogram")
    result.save_poses(tmp_path / "poses.json")
    shots = json.loads((tmp_path / "poses.json").read_text())["shots"]
    assert len(shots) == 12
    for shot in shots:
        view = shot["view"]
        expected = looking(view["azimuth"], view["elevation"], (0.1, 0.0, 0.2))
        assert np.allclose(shot["camera_to_world"], expected, atol=1e-6)
