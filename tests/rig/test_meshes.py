from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from numpy.testing import assert_allclose, assert_array_equal

from acqplan.errors import InputError, ManifestError, MeshError, SpecError
from acqplan.rig.camera import Optics
from acqplan.rig.render import DIAGONAL_CM, RenderSettings
from acqplan.rig.rendered import mesh_rig
from acqplan.rig.spec import open_rig

QUICK = RenderSettings(optics=Optics(size=32, samples=1))
NO_NOISE = RenderSettings(optics=Optics(size=32, samples=1), noise=0.0)
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
        ("d.obj", a_folder, "is a folder|does not exist"),
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


def arrow(up: str) -> trimesh.Trimesh:
    """A tall box with a nose at its front: front +x and up +z, or as +y is up, front +z."""
    body = trimesh.creation.box((1.0, 1.2, 3.0))
    nose = trimesh.creation.box((1.5, 0.4, 0.4)).apply_translation((1.0, 0.1, 1.0))
    mesh: trimesh.Trimesh = body + nose
    if up == "y":
        mesh.vertices = mesh.vertices[:, [1, 2, 0]]
    return mesh


@pytest.mark.parametrize("suffix", ["glb", "gltf"])
def test_gltf_has_y_up_by_its_specification(tmp_path: Path, suffix: str) -> None:
    arrow("z").export(tmp_path / "z.ply")
    made: Any = arrow("y").export(file_type=suffix)
    for name, content in made.items() if suffix == "gltf" else [("y.glb", made)]:
        (tmp_path / name.replace("model.gltf", "y.gltf")).write_bytes(content)
    rows = [("z.ply", "arrow", "a"), (f"y.{suffix}", "arrow", "b")]
    source = mesh_rig(write(tmp_path, rows), settings=QUICK)
    one, other = (source.shape(row) for row in range(2))
    assert_allclose(np.sort(other.vertices, axis=0), np.sort(one.vertices, axis=0), atol=1e-4)
    shots = source.shots()
    for view in (0, 100, 700):
        images = dict(mesh_rig(tmp_path / "objects.csv", settings=NO_NOISE).capture(shots.take([view, view + 972])))
        assert np.abs(images[0].astype(int) - images[1]).mean() < 1


def test_up_is_said_for_formats_that_do_not(tmp_path: Path) -> None:
    arrow("z").export(tmp_path / "z.ply")
    arrow("y").export(tmp_path / "y.ply")
    arrow("y").export(tmp_path / "y.glb")
    plain = mesh_rig(write(tmp_path, [("z.ply", "arrow", "a")])).shape(0)
    turned = mesh_rig(write(tmp_path, [("y.ply", "arrow", "a"), ("y.glb", "arrow", "b")]), up="y")
    for row in range(2):
        assert_allclose(np.sort(turned.shape(row).vertices, axis=0), np.sort(plain.vertices, axis=0), atol=1e-4)
    text = 'source = "meshes"\npath = "objects.csv"\n[render]\n'
    (tmp_path / "rig.toml").write_text(text + 'up = "y"\n')
    assert open_rig(tmp_path / "rig.toml").source.shape(0).digest() == turned.shape(0).digest()  # type: ignore[attr-defined]
    (tmp_path / "rig.toml").write_text(text + 'up = "x"\n')
    with pytest.raises(SpecError, match=r"render\.up"):
        open_rig(tmp_path / "rig.toml")
    (tmp_path / "rig.toml").write_text('source = "toys"\n[render]\nup = "y"\n')
    with pytest.raises(SpecError, match="'up' is for meshes"):
        open_rig(tmp_path / "rig.toml")


def spoilt(name: str) -> tuple[np.ndarray, np.ndarray]:
    box = trimesh.creation.box((1.0, 2.0, 3.0))
    vertices, faces = np.asarray(box.vertices), np.asarray(box.faces)
    match name:
        case "vertices on a line":
            return np.linspace(0, 1, 4)[:, None] * [[1.0, 2.0, 3.0]], np.array([[0, 1, 2], [1, 2, 3]])
        case "one vertex at 1e30":
            return np.vstack([vertices[:-1], [1e30, 0.0, 0.0]]), faces
        case "one vertex at 1e300":
            return np.vstack([vertices[:-1], [1e300, 0.0, 0.0]]), faces
        case "a far face without area":
            return np.vstack([vertices, [[500.0, 0, 0]] * 3]), np.vstack([faces, [[8, 9, 10]]])
        case _:
            return np.vstack([vertices, [[0, 0, 300.0], [0, 0, 300.1], [0, 0.1, 300.0]]]), np.vstack(
                [faces, [[8, 9, 10]]]
            )


@pytest.mark.parametrize(
    "name",
    ["vertices on a line", "one vertex at 1e30", "one vertex at 1e300", "a far face without area", "a far small face"],
)
def test_an_object_of_which_nothing_would_be_seen_is_refused_with_its_extent(folder: Path, name: str) -> None:
    vertices, faces = spoilt(name)
    lines = [*(f"v {x!r} {y!r} {z!r}" for x, y, z in vertices.tolist()), *(f"f {a} {b} {c}" for a, b, c in faces + 1)]
    (folder / "d.obj").write_text("\n".join(lines) + "\n")
    with pytest.raises(MeshError) as refused:
        mesh_rig(write(folder, GOOD))
    extent = " x ".join(f"{side:.3g}" for side in np.ptp(vertices, axis=0))
    assert "line 5: mesh 'd.obj'" in str(refused.value)
    assert extent in str(refused.value)


def test_thin_objects_are_seen(folder: Path) -> None:
    for number, size in enumerate([(0.1, 10, 0.1), (0.1, 0.1, 10), (10, 10, 0.001), (0.001, 10, 10), (10, 0.001, 10)]):
        turned = trimesh.transformations.random_rotation_matrix(np.random.default_rng(number).random(3))
        for name, mesh in (
            ("a", trimesh.creation.box(size)),
            ("b", trimesh.creation.box(size).apply_transform(turned)),
        ):
            mesh.export(folder / f"{name}.ply")
        mesh_rig(write(folder, GOOD))
