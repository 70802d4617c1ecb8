"""Rigs written as smallNORB: read back by acqplan, and by a reader that knows nothing of it."""

import csv
import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

import acqplan
from acqplan.errors import AcqplanError, ImageError, OutputError, SpaceError, SplitError, UsageError
from acqplan.exchange import convert
from acqplan.progress import SILENT, Progress
from acqplan.rig.norb import smallnorb_rig
from acqplan.rig.source import Image, LiveSource
from acqplan.rig.spec import Rig, open_rig
from acqplan.space import Category, Circle, Interval, Objects, Shots, Space, parse_values

AXES = """[[axis]]
name = "azimuth"
kind = "circle"
values = [340, 100]
[[axis]]
name = "lighting"
kind = "category"
values = ["L5", "L2"]
[[axis]]
name = "elevation"
kind = "interval"
unit = "deg"
values = [30]
"""
PARTS = ("5x46789x9x18x6x2x96x96-training", "5x01235x9x18x6x2x96x96-testing")
CATEGORIES = ["animal", "human", "airplane", "truck", "car"]


def read(path: Path) -> np.ndarray:
    """A matrix as its authors describe it: magic number, number of dimensions, three or more sizes, numbers."""
    with path.open("rb") as file:
        magic, n_dimensions = struct.unpack("<2i", file.read(8))
        kind = {0x1E3D4C55: "u1", 0x1E3D4C54: "<i4"}[magic]
        sizes = struct.unpack(f"<{max(3, n_dimensions)}i", file.read(4 * max(3, n_dimensions)))
        return np.frombuffer(file.read(), dtype=kind).reshape(sizes[:n_dimensions])


def read_all(folder: Path) -> Iterator[tuple[str, str, int, int, int, np.ndarray]]:
    """Part, toy, azimuth, elevation, lighting and pair of each image, by the description at the home page."""
    for part in PARTS:
        pairs, categories, views = (read(folder / f"smallnorb-{part}-{kind}.mat") for kind in ("dat", "cat", "info"))
        assert pairs.shape == (len(categories), 2, 96, 96)
        assert views.shape == (len(categories), 4)
        for category, (instance, elevation, azimuth, lighting), pair in zip(categories, views, pairs, strict=True):
            toy = f"{CATEGORIES[category]}-{instance:02d}"
            yield part.partition("-")[2], toy, 10 * azimuth, 30 + 5 * elevation, lighting, pair


def toys(folder: Path, more: str = "") -> Rig:
    path = folder / "toys.toml"
    path.write_text(f'source = "toys"\n{AXES}{more}')
    return open_rig(path)


def pixels(rig: Rig) -> dict[tuple[str, str], np.ndarray]:
    shots = rig.source.shots()
    keys = [(name, json.dumps(view, sort_keys=True)) for name, view in zip(shots.names, shots.views(), strict=True)]
    return {keys[row]: image for row, image in rig.source.capture(shots)}


def same_pixels(one: Rig, other: Rig) -> bool:
    mine, its = pixels(one), pixels(other)
    return mine.keys() == its.keys() and all(np.array_equal(image, its[key]) for key, image in mine.items())


def test_toys_come_back_as_they_were(tmp_path: Path) -> None:
    rig = toys(tmp_path)
    written = convert(rig, to="smallnorb", out=tmp_path / "out")
    assert written["sentences"] == ["200 images of 50 objects, 25 of them for testing"]
    assert [Path(name).name for name in written["files"]] == sorted(path.name for path in (tmp_path / "out").iterdir())
    path = tmp_path / "norb.toml"
    path.write_text('source = "norb"\npath = "out"\n')
    back = open_rig(path)
    assert same_pixels(rig, back)
    assert dict(zip(back.source.objects.names, back.source.objects.labels, strict=True)) == dict(
        zip(rig.source.objects.names, rig.source.objects.labels, strict=True)
    )
    assert {name[-1] for name in back.test} == set("01235")
    assert back.source.space.is_grid
    assert [sorted(axis.values, key=str) for axis in back.source.space.axes] == [[100, 340], [30], ["L2", "L5"]]


def test_another_reader_finds_the_same(tmp_path: Path) -> None:
    rig = toys(tmp_path, "[render]\ninstances = 5\n")
    convert(rig, to="smallnorb", out=tmp_path / "out")
    wanted, seen = pixels(rig), set()
    for part, toy, azimuth, elevation, lighting, pair in read_all(tmp_path / "out"):
        view = {"azimuth": float(azimuth), "elevation": float(elevation), "lighting": f"L{lighting}"}
        image = wanted[toy, json.dumps(view, sort_keys=True)]
        assert np.array_equal(pair, [image, image])  # the one camera in the place of both
        assert part == ("training" if toy[-1] in "46789" else "testing")
        seen.add((toy, *view.values()))
    assert len(seen) == len(wanted)


@pytest.mark.parametrize("eye", ["left", "right"])
def test_a_rig_with_two_cameras_fills_the_places_of_both(tmp_path: Path, eye: str) -> None:
    convert(toys(tmp_path, f'[render]\ninstances = 5\neye = "{eye}"\n'), to="smallnorb", out=tmp_path / "out")
    for side in ("left", "right"):
        seen = toys(tmp_path, f'[render]\ninstances = 5\neye = "{side}"\n')
        assert same_pixels(seen, smallnorb_rig(tmp_path / "out", stereo=side, whole=False))


def test_smallnorb_itself_is_written_with_both_cameras(tmp_path: Path) -> None:
    convert(toys(tmp_path, '[render]\ninstances = 5\neye = "left"\n'), to="smallnorb", out=tmp_path / "one")
    convert(smallnorb_rig(tmp_path / "one", stereo="both", whole=False), to="smallnorb", out=tmp_path / "two")
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """A source that paints a picture of each shot, and may fail."""

    space: Space
    objects: Objects
    shape: tuple[int, ...] = (96, 96)
    works: int = 1 << 30
    name: str = "folder"

    def shots(self) -> Shots:
        return Shots.every(self.space, self.objects)

    def identities(self, shots: Shots) -> list[bytes]:
        return [repr(pair).encode() for pair in shots.pairs()]

    def picture(self, shots: Shots, row: int) -> Image:
        seed = zlib.crc32(self.identities(shots.take([row]))[0])
        return np.random.default_rng(seed).integers(0, 256, self.shape, dtype=np.uint8)

    def capture(self, shots: Shots, *, progress: Progress = SILENT) -> Iterator[tuple[int, Image]]:
        for row in reversed(range(len(shots))):  # any order is allowed
            if row < len(shots) - self.works:
                raise ImageError("the lens fell off", "mend it")
            yield row, self.picture(shots, row)


def space(*more: Any, **values: tuple[float, ...]) -> Space:
    azimuth = Circle(name="azimuth", values=values.get("azimuth", (0.0, 340.0)))
    elevation = Interval(name="elevation", values=values.get("elevation", (30.0,)), unit="deg")
    return Space(axes=(azimuth, elevation, *(more or [Category(name="lighting", values=("L0",))])))


def labelled(**counts: int) -> Objects:
    names = [f"{label} no. {number}" for label, count in counts.items() for number in range(count)]
    return Objects(names=tuple(names), labels=tuple(label for label, count in counts.items() for _ in range(count)))


def named(instances: int, **more: Any) -> Rig:
    """A rig whose objects have names such as ``car-03``."""
    names = [f"{label}-{number:02d}" for label in CATEGORIES for number in range(instances)]
    objects = Objects(names=tuple(names), labels=tuple(name[:-3] for name in names))
    return Rig(source=Pictures(space=space(), objects=objects), **more)


def test_a_split_that_the_rig_names_is_kept(tmp_path: Path) -> None:
    test = ("airplane-09", "animal-06", "car-04", "human-07", "truck-08")
    rig = named(10, test=test)
    convert(rig, to="smallnorb", out=tmp_path / "out")
    back = smallnorb_rig(tmp_path / "out", whole=False)
    assert back.test == test
    assert same_pixels(rig, back)


@pytest.mark.parametrize(("instances", "share", "n_test"), [(10, 0.2, 2), (10, 0.5, 5), (3, 0.5, 1), (2, 0.5, 1)])
def test_a_split_of_any_share_is_drawn(tmp_path: Path, instances: int, share: float, n_test: int) -> None:
    rig = named(instances, test_fraction=share)
    convert(rig, to="smallnorb", out=tmp_path / "out")
    back = smallnorb_rig(tmp_path / "out", whole=False)
    assert [name[:-3] for name in back.test] == sorted(CATEGORIES * n_test)
    assert same_pixels(rig, back)


def test_a_split_the_other_way_round_gets_other_numbers(tmp_path: Path) -> None:
    test = tuple(f"{label}-{number:02d}" for label in CATEGORIES for number in (4, 6, 7, 8, 9))
    written = convert(named(10, test=test), to="smallnorb", out=tmp_path / "out")
    back = smallnorb_rig(tmp_path / "out", whole=False)  # would refuse parts that look swapped
    assert {written["objects"][name] for name in test} == {*back.test}
    assert written["sentences"][-1] == "objects have the names of smallNORB: 'animal-00' is animal-04"


def test_objects_of_any_name_get_the_numbers_of_their_part(tmp_path: Path) -> None:
    objects = labelled(car=10, animal=4)
    rig = Rig(source=Pictures(space=space(), objects=objects), test=("car no. 0", "animal no. 3", "animal no. 2"))
    written = convert(rig, to="smallnorb", out=tmp_path / "out")
    back = smallnorb_rig(tmp_path / "out", whole=False)
    assert written["objects"]["car no. 0"] == "car-00"
    assert sorted(written["objects"].values()) == sorted(back.source.objects.names)
    assert back.test == ("animal-00", "animal-01", "car-00")
    assert {name for name in back.source.objects.names if name.startswith("animal")} - {*back.test} == {
        "animal-04",
        "animal-06",
    }


@pytest.mark.parametrize("shape", [(120, 200), (50, 96, 3), (96, 96, 3)])
def test_images_of_other_sizes_and_colours_are_fitted(tmp_path: Path, shape: tuple[int, ...]) -> None:
    source = Pictures(space=space(), objects=labelled(car=2, truck=2), shape=shape)
    rig = Rig(source=source, test=("car no. 1", "truck no. 1"))
    written = convert(rig, to="smallnorb", out=tmp_path / "out")
    assert written["sentences"][1] == "8 images became 96 x 96 pixels of grey"
    first = source.shots().take([0])  # of 'car no. 0'
    grey = PIL.Image.fromarray(source.picture(first, 0)).convert("L").resize((96, 96), PIL.Image.Resampling.BILINEAR)
    image = read(tmp_path / "out" / f"smallnorb-{PARTS[0]}-dat.mat")[0, 0]
    assert np.array_equal(image, np.asarray(grey))


REFUSED: dict[str, tuple[Callable[[], Rig], type[AcqplanError], str]] = {
    "a label": (
        lambda: Rig(source=Pictures(space=space(), objects=labelled(car=2, cup=2))),
        UsageError,
        "smallNORB has no category 'cup'; rename this label to one of animal, human, airplane, truck, car",
    ),
    "eleven objects": (
        lambda: Rig(source=Pictures(space=space(), objects=labelled(car=11))),
        UsageError,
        "11 objects of label 'car', at most 10 in smallNORB; leave some out",
    ),
    "one object of each label": (
        lambda: Rig(source=Pictures(space=space(), objects=labelled(car=1, truck=1))),
        SplitError,
        "the rig keeps views for the test, the parts of smallNORB are of different objects; name test objects",
    ),
    "a test on views": (
        lambda: Rig(source=Pictures(space=space(), objects=labelled(car=2)), test="views"),
        SplitError,
        "the rig keeps views for the test",
    ),
    "an azimuth": (
        lambda: Rig(source=Pictures(space=space(azimuth=(0.0, 30.0)), objects=labelled(car=2))),
        SpaceError,
        "smallNORB has no number for azimuth 30.0, from which 'car no. 0' is seen; leave out all but 0.0, 20.0, 40.0",
    ),
    "a level of lighting": (
        lambda: Rig(
            source=Pictures(space=space(Category(name="lighting", values=("L0", "sun"))), objects=labelled(car=2))
        ),
        SpaceError,
        "smallNORB has no number for lighting 'sun'",
    ),
    "no lighting": (
        lambda: Rig(source=Pictures(space=Space(axes=space().axes[:2]), objects=labelled(car=2))),
        SpaceError,
        "the rig has azimuth, elevation; give it these three alone; one that never changes has one level, e.g. L0",
    ),
    "a fourth axis": (
        lambda: Rig(
            source=Pictures(
                space=Space(axes=(*space().axes, Interval(name="focus", values=(1.0,)))), objects=labelled(car=2)
            )
        ),
        SpaceError,
        "the rig has azimuth, elevation, lighting, focus",
    ),
    "a live rig": (
        lambda: Rig(source=LiveSource(space=space(), objects=labelled(car=2))),
        UsageError,
        "images asked of a live rig",
    ),
}


@pytest.mark.parametrize(("rig", "kind", "said"), REFUSED.values(), ids=REFUSED)
def test_what_the_format_cannot_say_is_refused(
    tmp_path: Path, rig: Callable[[], Rig], kind: type[AcqplanError], said: str
) -> None:
    with pytest.raises(kind) as caught:
        convert(rig(), to="smallnorb", out=tmp_path / "out")
    assert said in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("works", [0, 1])
def test_all_files_are_written_or_none(tmp_path: Path, works: int) -> None:
    source = Pictures(space=space(), objects=labelled(car=4), works=works)
    with pytest.raises(ImageError, match="the lens fell off"):
        convert(Rig(source=source), to="smallnorb", out=tmp_path / "new" / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    from tests.full_disk import room_for  # skips this test where files cannot be limited

    with room_for(100_000), pytest.raises(OutputError, match=r"testing-dat|training-dat") as caught:
        convert(named(10), to="smallnorb", out=tmp_path / "out")
    assert "cannot be written (File too large)" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="is there already"):
        convert(Rig(source=Pictures(space=space(), objects=labelled(car=2))), to="smallnorb", out=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_unknown_format_is_told_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no format is called 'smallnorp'; did you mean 'smallnorb'"):
        acqplan.convert(Rig(source=Pictures(space=space(), objects=labelled(car=2))), to="smallnorp", out=tmp_path)


def test_photographs_are_converted_at_a_shell(tmp_path: Path) -> None:
    rows = []
    for name in ("car/a", "car/b", "truck/c", "truck/d"):
        for azimuth in (0, 180):
            file = tmp_path / f"{name}-{azimuth}.png"
            file.parent.mkdir(exist_ok=True)
            PIL.Image.new("RGB", (40, 30), (azimuth, 9, 9)).save(file)
            rows.append([str(file.relative_to(tmp_path)), name[:-2], name[-1], azimuth, 45, "L3"])
    with (tmp_path / "manifest.csv").open("w", newline="") as table:
        csv.writer(table).writerows([["image", "label", "object", "azimuth", "elevation", "lighting"], *rows])
    lighting = '[[axis]]\nname = "lighting"\nkind = "category"\n'
    circle = '[[axis]]\nname = "azimuth"\nkind = "circle"\n[[axis]]\nname = "elevation"\nkind = "interval"\n'
    (tmp_path / "rig.toml").write_text(f'source = "folder"\npath = "manifest.csv"\n{circle}{lighting}')
    command = [sys.executable, "-c", "from acqplan.cli.app import main; main()", "convert"]
    asked = ["--rig", str(tmp_path / "rig.toml"), "--to", "smallnorb", "--out", str(tmp_path / "out"), "--json"]
    done = subprocess.run([*command, *asked], capture_output=True, text=True, check=True)
    document = json.loads(done.stdout)
    assert len(document["files"]) == 6
    assert {*document["objects"]} == set("abcd")
    assert len(list(read_all(tmp_path / "out"))) == 8
    again = subprocess.run([*command, *asked], capture_output=True, text=True, check=False)
    assert (again.returncode, again.stdout) == (2, "")
    assert "is there already" in again.stderr


def test_all_views_of_smallnorb_have_their_numbers(tmp_path: Path) -> None:
    full = space(
        Category(name="lighting", values=tuple(f"L{number}" for number in range(6))),
        azimuth=parse_values("0:340:20"),
        elevation=parse_values("30:70:5"),
    )
    convert(Rig(source=Pictures(space=full, objects=labelled(car=2))), to="smallnorb", out=tmp_path / "out")
    views = read(tmp_path / "out" / f"smallnorb-{PARTS[1]}-info.mat")
    assert {*map(tuple, views[:, 1:].tolist())} == {
        (elevation, azimuth, lighting) for elevation in range(9) for azimuth in range(0, 36, 2) for lighting in range(6)
    }
