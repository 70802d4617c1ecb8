"""Rigs written for other programs, and read back by their own libraries."""

import importlib
import json
import warnings
from pathlib import Path
from types import ModuleType

import numpy as np
import PIL.Image
import pytest

from acqplan import Campaign, recommend
from acqplan.errors import ImageWarning, OutputError, UsageError
from acqplan.exchange import convert, export_as
from acqplan.exchange.poses import read_poses, sphere_of
from acqplan.rig.spec import Rig, open_rig
from tests.campaign.rigs import LIVE, live_rig
from tests.cli.conftest import Acqplan, contents
from tests.cli.conftest import acqplan as acqplan  # a fixture

VIEWS = [(azimuth, elevation) for azimuth in (0, 120, 240.5) for elevation in (20, 50)]
OBJECTS = {"007": "cup", "cup 2": "cup", "a/b": "car", "car.4": "car", "A-b": "car"}
CAMERA = """[camera]
distance = 400
target = [0, 0, 25.5]
unit = "mm"
intrinsics = { width = 12, height = 10, fx = 40.25 }
"""


def library(name: str) -> ModuleType:
    pytest.importorskip(name, reason=f"pip install {name}")
    return importlib.import_module(name)


def photographs(folder: Path, table: str = CAMERA, objects: dict[str, str] = OBJECTS) -> Rig:
    """Photographs of some objects from six views: JPEG files, every third turned by EXIF."""
    lines, number = ["image,label,object,azimuth,elevation,light"], 0
    for name, label in objects.items():
        for azimuth, elevation in VIEWS:
            number += 1
            pixels = np.random.default_rng(number).integers(0, 255, (10, 12, 3), dtype=np.uint8)
            picture, exif = PIL.Image.fromarray(pixels), PIL.Image.Exif()
            if number % 3 == 0:
                exif[0x0112], picture = 3, picture.transpose(PIL.Image.Transpose.ROTATE_180)
            picture.save(folder / f"IMG {number}.jpg", exif=exif, quality=100)
            light = "left" if number % 2 else "right"
            lines.append(f'IMG {number}.jpg,{label},"{name}",{azimuth},{elevation},{light}')
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    head = 'source = "folder"\npath = "manifest.csv"\n'
    for axis, kind in (("azimuth", "circle"), ("elevation", 'interval"\nunit = "deg'), ("light", "category")):
        head += f'[[axis]]\nname = "{axis}"\nkind = "{kind}"\n'
    (folder / "rig.toml").write_text(head + table)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImageWarning)
        return open_rig(folder / "rig.toml")


def pixels_of(rig: Rig) -> dict[tuple[str, float, float], np.ndarray]:
    shots = rig.source.shots()
    views = shots.coordinates.tolist()
    keys = [(name, view[0], view[1]) for name, view in zip(shots.names, views, strict=True)]
    return {keys[row]: image for row, image in rig.source.capture(shots)}


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Rig:
    return photographs(tmp_path_factory.mktemp("photographs"))


def test_torchvision_reads_the_parts(rig: Rig, tmp_path: Path) -> None:
    folders = library("torchvision.datasets")
    written = convert(rig, to="imagefolder", out=tmp_path / "out")
    became = "10 images became PNG, as acqplan sees them; the others are copies"
    assert written["sentences"] == ["30 images of 5 objects, 2 of them for testing", became]
    parts = {part: folders.ImageFolder(str(tmp_path / "out" / part)) for part in ("train", "test")}
    assert {part: len(found) for part, found in parts.items()} == {"train": 18, "test": 12}
    assert parts["train"].classes == parts["test"].classes == ["car", "cup"]
    files = {Path(name).name for found in parts.values() for name, _ in found.samples}
    assert len(files) == 30
    assert {"007_0_20_left.jpg", "007_120_20_left.png", "cup~2_240.5_50_right.png"} <= files


def test_both_names_of_a_tree_write_the_same(rig: Rig, tmp_path: Path) -> None:
    for to in ("imagefolder", "huggingface"):
        convert(rig, to=to, out=tmp_path / to)
    assert contents(tmp_path / "imagefolder") == contents(tmp_path / "huggingface")


def test_files_that_need_no_conversion_are_copied_byte_for_byte(rig: Rig, tmp_path: Path) -> None:
    convert(rig, to="imagefolder", out=tmp_path / "out")
    assert rig.path is not None
    sources = {path.read_bytes() for path in rig.path.parent.glob("*.jpg")}
    found = [path.read_bytes() for path in (tmp_path / "out").rglob("*.jpg")]
    assert len(found) == 20
    assert sources >= set(found)


def test_an_object_is_in_one_part_and_the_split_is_that_of_a_recommendation(rig: Rig, tmp_path: Path) -> None:
    convert(rig, to="huggingface", out=tmp_path / "out")
    objects = {}
    for part in ("train", "test"):
        lines = (tmp_path / "out" / part / "metadata.jsonl").read_text().splitlines()
        objects[part] = {json.loads(line)["object"] for line in lines}
    assert not objects["train"] & objects["test"]
    assert objects["train"] | objects["test"] == set(OBJECTS)
    kept = recommend(rig, 12, backbone="histogram").plan.kept_aside
    assert objects["test"] == set(kept["objects"])


def test_hugging_face_reads_images_with_their_columns(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = library("datasets")
    convert(rig, to="huggingface", out=tmp_path / "out")
    datasets.disable_progress_bars()
    found = datasets.load_dataset("imagefolder", data_dir=str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert {part: len(rows) for part, rows in found.items()} == {"train": 18, "test": 12}
    wanted = pixels_of(rig)
    for part in ("train", "test"):
        for row in found[part]:
            assert row["label"] == OBJECTS[row["object"]]  # 007 is still a name
            assert row["light"] in ("left", "right")
            assert np.array_equal(wanted.pop((row["object"], row["azimuth"], row["elevation"])), np.array(row["image"]))
    assert not wanted


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it leaves its files open
def test_webdataset_reads_its_shards(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    webdataset = library("webdataset")
    monkeypatch.setattr("acqplan.exchange.trees.SHARD_IMAGES", 10)
    convert(rig, to="webdataset", out=tmp_path / "out")
    convert(rig, to="webdataset", out=tmp_path / "again")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    shards = ["test-000000.tar", "test-000001.tar", "train-000000.tar", "train-000001.tar"]
    assert names == ["classes.json", *shards]
    assert all((tmp_path / "out" / name).read_bytes() == (tmp_path / "again" / name).read_bytes() for name in names)
    wanted, classes = pixels_of(rig), json.loads((tmp_path / "out" / "classes.json").read_text())
    urls = [str(tmp_path / "out" / name) for name in shards]
    for sample in webdataset.WebDataset(urls, shardshuffle=False).decode("rgb8"):
        facts, (image,) = sample["json"], [value for key, value in sample.items() if key in ("jpg", "png")]
        assert classes[facts["class"]] == facts["label"] == OBJECTS[facts["object"]]
        assert np.array_equal(wanted.pop((facts["object"], facts["azimuth"], facts["elevation"])), image)
    assert not wanted


def opencv_of(azimuth: float, elevation: float) -> np.ndarray:
    """World-to-camera by a look-at of its own: the table turns, the camera is 400 mm from the target."""
    place, height = np.radians([-azimuth, elevation])
    outward = np.array([np.cos(height) * np.cos(place), np.cos(height) * np.sin(place), np.sin(height)])
    right = np.cross(-outward, [0, 0, 1])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(-outward, right), -outward])
    found = np.eye(4)
    found[:3, :3], found[:3, 3] = rotation, -rotation @ (np.array([0, 0, 25.5]) + 400 * outward)
    return found


def test_transforms_come_back_with_poses_and_views(rig: Rig, tmp_path: Path) -> None:
    convert(rig, to="transforms", out=tmp_path / "out")
    wanted = pixels_of(rig)
    for place in (tmp_path / "out").iterdir():
        document, poses = json.loads((place / "transforms.json").read_text()), read_poses(place)
        assert poses is not None
        assert (document["w"], document["h"], document["fl_x"], document["cy"]) == (12, 10, 40.25, 5)
        views = sphere_of(poses)
        assert views.target == pytest.approx((0, 0, 25.5))
        for row, (frame, pose) in enumerate(zip(document["frames"], poses, strict=True)):
            assert (views.azimuth[row], views.elevation[row]) == pytest.approx((frame["azimuth"], frame["elevation"]))
            assert abs(views.roll[row]) < 1e-6
            inverse = np.linalg.inv(pose.matrix @ np.diag([1, -1, -1, 1]))
            assert np.allclose(inverse, opencv_of(frame["azimuth"], frame["elevation"]), atol=1e-6)
            image = np.array(PIL.Image.open(place / pose.image))
            assert np.array_equal(wanted.pop((frame["object"], frame["azimuth"], frame["elevation"])), image)
    assert not wanted


def test_colmap_reads_its_models(rig: Rig, tmp_path: Path) -> None:
    pycolmap = library("pycolmap")
    convert(rig, to="colmap", out=tmp_path / "out")
    places = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert [name for name in places if name.startswith(("0", "c"))] == ["007", "car.4", "cup 2"]
    for place in (tmp_path / "out").iterdir():
        model = pycolmap.Reconstruction(str(place / "sparse" / "0"))
        assert len(model.images) == 6
        for image, (azimuth, elevation) in zip((model.images[number] for number in range(1, 7)), VIEWS, strict=True):
            assert (place / "images" / image.name).is_file()
            assert np.allclose(image.cam_from_world().matrix(), opencv_of(azimuth, elevation)[:3], atol=1e-6)
            assert image.camera.model.name == "PINHOLE"
            assert np.allclose(image.camera.params, [40.25, 40.25, 6, 5])
        assert np.allclose(sphere_of(read_poses(place) or ()).azimuth[::2], [0, 120, 240.5])


def test_bop_is_as_its_page_describes_it(rig: Rig, tmp_path: Path) -> None:
    convert(rig, to="bop", out=tmp_path / "out")
    objects, wanted = json.loads((tmp_path / "out" / "objects.json").read_text()), pixels_of(rig)
    scenes = sorted(path.parent for path in (tmp_path / "out").glob("*/*/scene_camera.json"))
    assert {place.name for place in scenes} == {f"{int(number):06d}" for number in objects}
    assert {place.parent.name for place in scenes} == {"train", "test"}
    for place in scenes:
        cameras, truths = (json.loads((place / f"scene_{kind}.json").read_text()) for kind in ("camera", "gt"))
        assert cameras.keys() == truths.keys() == set(map(str, range(6)))
        for key, camera in cameras.items():
            assert camera["cam_K"] == [40.25, 0, 6, 0, 40.25, 5, 0, 0, 1]
            (truth,) = truths[key]
            assert truth["obj_id"] == int(place.name)
            (file,) = (place / "rgb").glob(f"{int(key):06d}.*")
            pose = np.column_stack([np.reshape(camera["cam_R_w2c"], (3, 3)), camera["cam_t_w2c"]])
            assert np.array_equal(pose[:, :3].ravel(), truth["cam_R_m2c"])
            name = objects[place.name.lstrip("0")]["object"]
            azimuth, elevation = VIEWS[int(key)]
            assert np.allclose(pose, opencv_of(azimuth, elevation)[:3], atol=1e-6)
            assert np.array_equal(wanted.pop((name, azimuth, elevation)), np.array(PIL.Image.open(file)))
    assert not wanted


def test_bop_has_millimetres_whatever_the_rig_has(tmp_path: Path) -> None:
    table = CAMERA.replace("400", "0.4").replace("25.5", "0.0255").replace('"mm"', '"m"')
    convert(photographs(tmp_path, table), to="bop", out=tmp_path / "out")
    (place,) = (tmp_path / "out").glob("*/000001")
    camera = json.loads((place / "scene_camera.json").read_text())["0"]
    assert np.allclose(camera["cam_t_w2c"], opencv_of(*VIEWS[0])[:3, 3])


def test_toys_are_written_with_the_camera_of_the_renderer(tmp_path: Path) -> None:
    (tmp_path / "rig.toml").write_text(
        'source = "toys"\n[render]\ninstances = 1\n[[axis]]\nname = "azimuth"\nkind = "circle"\nvalues = [0, 90, 200]\n'
    )
    convert(tmp_path / "rig.toml", to="transforms", out=tmp_path / "out")
    poses = read_poses(tmp_path / "out" / "car-00")
    assert poses is not None
    views = sphere_of(poses)
    assert np.allclose(views.azimuth, [0, 90, 200])
    assert np.allclose(views.distance, 41)
    # left and right of the picture lie half the field of view apart
    assert poses[0].intrinsics is not None
    assert 2 * 41 * poses[0].intrinsics.cx / poses[0].intrinsics.fx == pytest.approx(13)


@pytest.mark.parametrize("table", ["", "[camera]\ndistance = 400\n"])
@pytest.mark.parametrize("to", ["transforms", "colmap", "bop"])
def test_poses_need_a_camera(tmp_path: Path, table: str, to: str) -> None:
    with pytest.raises(
        UsageError, match=r"rig.toml does not say .*; write under \[camera\], a line each, e.g. distance = 400"
    ):
        convert(photographs(tmp_path, table), to=to, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_a_rig_lacks_is_said_and_nothing_is_left(tmp_path: Path) -> None:
    wrong = CAMERA.replace("width = 12, height = 10", "width = 640, height = 480")
    with pytest.raises(UsageError, match=r"12 x 10 pixels, \[camera\] intrinsics say 640 x 480"):
        convert(photographs(tmp_path, wrong), to="transforms", out=tmp_path / "out")
    with pytest.raises(UsageError, match=r"BOP has its lengths in mm"):
        convert(photographs(tmp_path, CAMERA.replace('unit = "mm"\n', "")), to="bop", out=tmp_path / "out")
    with pytest.raises(UsageError, match=r"no format is called 'colmop'; did you mean 'colmap'"):
        convert(photographs(tmp_path), to="colmop", out=tmp_path / "out")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").touch()
    with pytest.raises(OutputError, match="is there already"):
        convert(photographs(tmp_path), to="imagefolder", out=tmp_path / "full")
    with pytest.raises(UsageError, match="asked of a live rig, which holds none"):
        convert(live_rig(tmp_path), to="webdataset", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine.txt"]


def captured(folder: Path, rig: Rig) -> Campaign:
    campaign = Campaign.create(rig, budget=12, path=folder / "rig.db")
    for number, shot in enumerate(campaign.ask(12)):
        campaign.tell(shot, np.full((8, 8, 3), 9 * number, dtype=np.uint8), reached={"azimuth": shot.view["azimuth"]})
    return campaign


def test_a_campaign_is_exported_in_a_format_with_the_split_and_the_camera_of_its_rig(tmp_path: Path) -> None:
    rig = live_rig(tmp_path)
    lens = 'distance = 0.4\nunit = "m"\nintrinsics = { width = 8, height = 8, fov = 40 }\n'
    given = tmp_path / "given.toml"
    table = f'test = ["car-01", "truck-00"]\n\n[objects.labels]{LIVE.partition("[objects.labels]")[2]}[camera]\n{lens}'
    given.write_text(LIVE.partition("[objects.labels]")[0] + table)
    with captured(tmp_path, rig) as campaign:
        written = export_as(campaign, to="bop", out=tmp_path / "bop", rig=given)
        assert written["sentences"] == ["12 images with poses in 4 scenes"]
        written = export_as(campaign, to="huggingface", out=tmp_path / "face", rig=given)
        with pytest.raises(UsageError, match="where the camera stands"):
            export_as(campaign, to="colmap", out=tmp_path / "colmap")
        with pytest.raises(UsageError, match="no format is called 'jpeg'"):
            export_as(campaign, to="jpeg", out=tmp_path / "jpeg")
        export_as(campaign, to="imagefolder", out=tmp_path / "folders")
    lines = (tmp_path / "face" / "test" / "metadata.jsonl").read_text().splitlines()
    assert {json.loads(line)["object"] for line in lines} == {"car-01", "truck-00"}
    assert len(list((tmp_path / "folders").rglob("*.png"))) == 12
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {"bop", "face", "folders", "rig.db.images"}
    with (
        Campaign.create(rig, budget=12, path=tmp_path / "new.db") as campaign,
        pytest.raises(UsageError, match="no im"),
    ):
        export_as(campaign, to="imagefolder", out=tmp_path / "none")


@pytest.mark.filterwarnings("ignore::acqplan.errors.ImageWarning")  # main() prints them
def test_the_commands_are_twins_of_the_functions(tmp_path: Path, acqplan: Acqplan) -> None:
    rig = photographs(tmp_path)
    done = acqplan("convert", "--rig", rig.path, "--to", "webdataset", "--out", tmp_path / "shards")
    assert (done.code, done.out.splitlines()[0]) == (0, "30 images of 5 objects, 2 of them for testing")
    captured(tmp_path, live_rig(tmp_path)).close()
    store, out = ("--store", tmp_path / "rig.db"), ("--out", tmp_path / "out")
    done = acqplan("campaign", "export", *store, "--format", "imagefolder", *out)
    assert done.code == 0
    assert json.loads(done.out)["objects"] == ["car-00", "car-01", "truck-00", "truck-01"]
    assert acqplan("campaign", "export", *store, *out, "--rig", tmp_path / "rig.toml").code == 2


def test_one_object_per_label_is_split_by_view(tmp_path: Path) -> None:
    alone = photographs(tmp_path, objects={"cup-1": "cup", "car-1": "car"})
    written = convert(alone, to="imagefolder", out=tmp_path / "out")
    said = "12 images of 2 objects, 6 of the images, from other views of the same objects, for testing"
    assert written["sentences"][0] == said
    convert(alone, to="bop", out=tmp_path / "bop")
    scenes = sorted(path.parent.relative_to(tmp_path / "bop").as_posix() for path in tmp_path.rglob("scene_gt.json"))
    assert scenes == ["test/000001", "test/000002", "train/000001", "train/000002"]


def test_without_a_test_there_is_one_part(tmp_path: Path) -> None:
    convert(photographs(tmp_path, "[objects]\ntest_fraction = 0\n"), to="huggingface", out=tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["train"]


def test_a_crop_is_written_as_it_is_seen(tmp_path: Path) -> None:
    rig = photographs(tmp_path, '[image]\ncrop = "square"\n')
    convert(rig, to="imagefolder", out=tmp_path / "out")
    sizes = set()
    for file in (tmp_path / "out").rglob("*.png"):
        with PIL.Image.open(file) as image:
            sizes.add(image.size)
    assert (sizes, list((tmp_path / "out").rglob("*.jpg"))) == ({(10, 10)}, [])
