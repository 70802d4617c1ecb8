from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import trimesh
from numpy.testing import assert_allclose, assert_array_equal

from acqplan.errors import InputError, ManifestError, MeshError
from acqplan.rig.camera import Optics
from acqplan.rig.render import DIAGONAL_CM, RenderSettings
from acqplan.rig.rendered import mesh_rig

QUICK = RenderSettings(optics=Optics(size=32, samples=1))
GOOD = [("a.ply", "box", "box-0"), ("b.ply", "box", "box-1"), ("c.stl", "ball", "ball-0"), ("d.obj", "ball", "ball-1")]
SHARED = os.environ.get("ACQPLAN_SHARED")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    trimesh.creation.box((1, 2, 3)).export(tmp_path / "a.ply")
    trimesh.creation.box((4, 2, 1)).apply_translation((50, 0, -7)).export(tmp_path / "b.ply")
    trimesh.creation.icosphere(subdivisions=1).export(tmp_path / "c.stl")
    trimesh.creation.icosphere(subdivisions=2, radius=40).export(tmp_path / "d.obj")
    return tmp_path


def write(folder: Path, rows: list[tuple[str, str, str]], header: str = "mesh,label,object") -> Path:
    manifest = folder / "objects.csv"
    manifest.write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n", encoding="utf-8")
    return manifest


def test_meshes_of_any_format_stand_at_one_size(folder: Path) -> None:
    source = mesh_rig(write(folder, GOOD))
    assert source.name == "meshes"
    assert source.objects.names == ("ball-0", "ball-1", "box-0", "box-1")
    for row in range(4):
        vertices = source.shape(row).vertices
        low, high = vertices.min(axis=0), vertices.max(axis=0)
        assert_allclose(np.linalg.norm(high - low), DIAGONAL_CM, rtol=1e-5)
        assert_allclose([*(low + high)[:2], low[2]], 0, atol=1e-4)


def test_the_order_of_lines_and_further_columns_do_not_matter(folder: Path) -> None:
    first = mesh_rig(write(folder, GOOD), settings=QUICK)
    keys = first.identities(first.shots())
    extra = [(*row, "12") for row in reversed(GOOD)]
    second = mesh_rig(write(folder, extra, "mesh,label,object,faces"), settings=QUICK)  # type: ignore[arg-type]
    assert second.identities(second.shots()) == keys


def test_identity_follows_the_mesh_not_its_file(folder: Path) -> None:
    source = mesh_rig(write(folder, GOOD), settings=QUICK)
    shots = source.shots().take([0, 972 * 2])
    keys, images = source.identities(shots), dict(source.capture(shots))
    (folder / "far").mkdir()
    shutil.move(folder / "a.ply", folder / "far" / "z.ply")
    moved = mesh_rig(write(folder, [("far/z.ply", "box", "box-0"), *GOOD[1:]]), settings=QUICK)
    assert moved.identities(shots) == keys
    assert_array_equal(dict(moved.capture(shots))[1], images[1])
    trimesh.creation.box((1, 2, 3.5)).export(folder / "far" / "z.ply")
    changed = mesh_rig(folder / "objects.csv", settings=QUICK)
    assert changed.identities(shots)[0] == keys[0]
    assert changed.identities(shots)[1] != keys[1]


def test_labels_may_have_different_numbers_of_objects(folder: Path) -> None:
    shutil.copy(folder / "a.ply", folder / "e.ply")
    source = mesh_rig(write(folder, [*GOOD, ("e.ply", "box", "box-2")]))
    assert sorted(source.objects.labels) == ["ball", "ball", "box", "box", "box"]


def test_winding_of_faces_does_not_matter(folder: Path) -> None:
    source = mesh_rig(write(folder, GOOD), settings=QUICK)
    shots = source.shots().take([972])
    before = dict(source.capture(shots))[0]
    ball = trimesh.creation.icosphere(subdivisions=2, radius=40)
    trimesh.Trimesh(ball.vertices, ball.faces[:, ::-1], process=False).export(folder / "d.obj")
    after = dict(mesh_rig(folder / "objects.csv", settings=QUICK).capture(shots))[0]
    assert np.abs(before.astype(float) - after).mean() < 0.5


def broken_nan(path: Path) -> None:
    path.write_text("v 0 0 0\nv 1 0 nan\nv 0 1 0\nv 0 0 1\nf 1 2 3\nf 1 3 4\n")


def broken_points(path: Path) -> None:
    path.write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\n")


def broken_point_size(path: Path) -> None:
    path.write_text("v 2 2 2\nv 2 2 2\nv 2 2 2\nf 1 2 3\n")


def broken_noise(path: Path) -> None:
    path.write_bytes(bytes(range(256)))


def broken_empty(path: Path) -> None:
    path.write_bytes(b"")


def broken_index(path: Path) -> None:
    path.write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n")


def broken_ply(path: Path) -> None:
    path.write_text("ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nend_header\n1\n")


def missing(path: Path) -> None:
    path.unlink(missing_ok=True)


def a_folder(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


@pytest.mark.parametrize(
    ("name", "spoil", "said"),
    [
        ("d.obj", broken_nan, "not finite"),
        ("d.obj", broken_points, "no faces|cannot be read"),
        ("d.obj", broken_point_size, "no extent"),
        ("d.obj", broken_noise, "no faces|cannot be read"),
        ("d.obj", broken_empty, "no faces|cannot be read"),
        ("d.obj", broken_index, "not there|cannot be read"),
        ("d.ply", broken_ply, "no faces|cannot be read"),
        ("d.stl", broken_noise, "no faces|cannot be read"),
        ("d.glb", broken_noise, "no faces|cannot be read"),
        ("d.txt", broken_points, "cannot be read.*formats"),
        ("d.obj", missing, "does not exist"),
        ("d.obj", a_folder, "does not exist"),
    ],
)
def test_broken_meshes_are_named_with_their_line(folder: Path, name: str, spoil: object, said: str) -> None:
    spoil(folder / name)  # type: ignore[operator]
    manifest = write(folder, [*GOOD[:3], (name, "ball", "ball-1")])
    with pytest.raises(MeshError, match=said) as caught:
        mesh_rig(manifest)
    assert str(caught.value).startswith(f"{manifest}: line 5: mesh '{name}'")
    assert caught.value.exit_code == 3
    assert caught.value.hint


@pytest.mark.parametrize(
    ("rows", "header", "said"),
    [
        (GOOD, "file,label,object", "line 1: no column 'mesh'"),
        (GOOD, "mesh,label,name", "line 1: no column 'object'"),
        ([*GOOD, ("c.stl", "ball", "ball-0")], "mesh,label,object", "line 6: .*ball-0.*line 4"),
        ([*GOOD, ("../x.ply", "ball", "ball-2")], "mesh,label,object", "line 6: .*leaves"),
        ([*GOOD, ("/etc/passwd", "ball", "ball-2")], "mesh,label,object", "line 6: .*leaves"),
        ([], "mesh,label,object", "empty"),
    ],
)
def test_bad_manifests_are_refused(folder: Path, rows: list[tuple[str, str, str]], header: str, said: str) -> None:
    with pytest.raises(ManifestError, match=said) as caught:
        mesh_rig(write(folder, rows, header))
    assert caught.value.exit_code == 3


def test_a_missing_manifest_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.csv"):
        mesh_rig(tmp_path / "nowhere.csv")


@pytest.mark.skipif(SHARED is None, reason="ACQPLAN_SHARED is not set: no real meshes here")
def test_real_meshes_are_rendered() -> None:
    source = mesh_rig(Path(str(SHARED)) / "data" / "meshes" / "objects.csv", settings=QUICK)
    assert len(source.objects) == 19
    shots = source.shots().take(np.arange(0, 19 * 972, 972))
    images = dict(source.capture(shots))
    assert len({image.tobytes() for image in images.values()}) == 19
    for image in images.values():
        assert 0.01 < (image < 0.55 * image.max()).mean() < 0.6
