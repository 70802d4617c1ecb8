"""Inputs without bounds: what is named by a path, or asks for too much, is refused at once."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from acqplan.errors import AcqplanError, ManifestError, MeshError, SpaceError, SpecError
from acqplan.evaluate.compare import compare
from acqplan.rig.rendered import mesh_rig
from acqplan.rig.spec import open_rig
from acqplan.space import Interval, Space
from acqplan.table import read_table

LIVE = 'source = "live"\n{}\n[objects.labels]\ncar = ["car-0", "car-1"]\ncow = ["cow-0", "cow-1"]\n'
CUBE = "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n"


def axes(*sizes: int) -> str:
    tables = (
        f'[[axis]]\nname = "a{place}"\nkind = "interval"\nvalues = "1:{size}:1"' for place, size in enumerate(sizes)
    )
    return LIVE.format("\n".join(tables))


@pytest.fixture(params=["pipe", "device"])
def endless(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A path that could be read for ever, or waited for."""
    path = tmp_path / request.param
    if request.param == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    return path


def test_a_pipe_or_a_device_is_no_file(endless: Path, tmp_path: Path) -> None:
    said = "cannot be read .*a device or a pipe, not a file"
    with pytest.raises(SpecError, match=said):
        open_rig(endless)
    with pytest.raises(ManifestError, match=said):
        compare(endless, endless)
    with pytest.raises(ManifestError, match=said):
        mesh_rig(endless)
    (tmp_path / "meshes.csv").write_text(f"mesh,label,object\n{endless.name},car,car-0\n")
    with pytest.raises(AcqplanError, match=said if endless.is_fifo() else "leaves the manifest's folder"):
        mesh_rig(tmp_path / "meshes.csv")


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "[" * 100_000,
        "[deployment]\nx = " + "{a=" * 3000 + "1" + "}" * 3000,
        "a." * 50_000 + "a = 1",
        "[" + "a . " * 50_000 + "a]",
        '  "a".' * 50_000 + "a = 1",
    ],
)
def test_nested_lists_and_tables_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "rig.toml").write_text('source = "toys"\n' + text)
    with pytest.raises(SpecError, match="nested too deeply"):
        open_rig(tmp_path / "rig.toml")


def test_a_rig_of_megabytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rig.toml"
    with path.open("wb") as file:
        file.truncate(10**10)
    with pytest.raises(SpecError, match="it has 10,000 MB, more than 16"):
        open_rig(path)


@pytest.mark.parametrize("sizes", [(1000,) * 5, (1000,) * 3, (10,) * 30, (1001, 1000)])
def test_more_than_a_million_views_are_refused(sizes: tuple[int, ...], tmp_path: Path) -> None:
    (tmp_path / "rig.toml").write_text(axes(*sizes))
    with pytest.raises(AcqplanError, match=r"levels make .* views; give fewer levels"):
        open_rig(tmp_path / "rig.toml")


@pytest.mark.parametrize("n", [33, 65, 50_000])
def test_more_axes_than_a_rig_has_are_refused(n: int) -> None:
    with pytest.raises(SpaceError, match=f"{n:,} axes"):
        Space(axes=tuple(Interval(name=f"a{number}", values=(0.0,)) for number in range(n)))
    assert Space(axes=tuple(Interval(name=f"a{number}", values=(0.0,)) for number in range(32))).views().shape == (
        1,
        32,
    )


def test_a_table_of_many_columns_is_read(tmp_path: Path) -> None:
    names = [f"c{number}" for number in range(50_000)]
    (tmp_path / "wide.csv").write_text(f"{','.join(names)}\n{','.join(['1'] * len(names))}\n")
    assert len(read_table(tmp_path / "wide.csv", required=("c7",), others=True).columns) == 50_000


def test_a_packed_mesh_that_would_fill_memory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "meshes.csv").write_text("mesh,label,object\na.zip,car,car-0\n")
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a.obj", CUBE)
    assert mesh_rig(tmp_path / "meshes.csv").objects.names == ("car-0",)
    with zipfile.ZipFile(tmp_path / "a.zip", "a", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("b.obj", CUBE + "# \n" * 10_000_000)
    with pytest.raises(MeshError, match=r"line 2: mesh 'a.zip' is packed, and might fill memory"):
        mesh_rig(tmp_path / "meshes.csv")
