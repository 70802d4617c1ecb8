"""A disk that is full while something is being written: here a limit on the size of a file."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import QUICK, Acqplan, complaint, contents, untouched, written
from tests.full_disk import room_for


def check_refused(acqplan: Acqplan, live: Path, out: Path, reason: str) -> None:
    with untouched(out):
        done = acqplan("recommend", "--rig", live, "--budget", 12, "--out", out, "--json")
    message = complaint(done, 2)
    assert str(out) in message
    assert f"cannot be written ({reason})" in message
    assert "make room" in message
    assert not any(path.is_dir() for path in out.iterdir())


@pytest.mark.parametrize("limit", [100, 1000, 10_000], ids=["plan.csv", "plan.json", "report.html"])
def test_a_disk_that_is_full_at_a_file_of_the_result_leaves_the_earlier_report(
    limit: int, acqplan: Acqplan, live: Path, out: Path
) -> None:
    with room_for(limit):
        check_refused(acqplan, live, out, "File too large")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk with room for the report but not for the plots."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=96k", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small disk cannot be mounted here; only root can")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_disk_that_is_full_at_a_plot_leaves_the_earlier_report(
    acqplan: Acqplan, live: Path, out: Path, small_disk: Path
) -> None:
    for path in out.iterdir():
        shutil.copy(path, small_disk)
    check_refused(acqplan, live, small_disk, "No space left on device")


def test_a_cache_that_is_full_is_told_and_keeps_what_it_had(
    acqplan: Acqplan, toys: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("ACQPLAN_CACHE", str(cache))
    assert acqplan("recommend", "--rig", toys, "--budget", 10, "--out", tmp_path / "first", *QUICK).code == 0
    assert contents(cache)
    monkeypatch.setenv("ACQPLAN_CACHE", str(tmp_path / "another cache"))
    arguments = ("recommend", "--rig", toys, "--budget", 60, "--out", out, *QUICK, "--json")
    assert acqplan(*arguments).code == 0
    monkeypatch.setenv("ACQPLAN_CACHE", str(cache))
    with untouched(out), untouched(cache), room_for(1000):  # the whole result of the same plan stays
        done = acqplan(*arguments)
    message = complaint(done, 2)
    assert "cannot be written (File too large)" in message
    assert "make room, or set ACQPLAN_CACHE to another folder" in message


def test_a_cache_that_cannot_be_a_folder_is_told_before_any_rendering(
    acqplan: Acqplan, toys: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACQPLAN_CACHE", str(toys))
    done = acqplan("recommend", "--rig", toys, "--budget", 10, "--out", out, *QUICK)
    assert done.code == 2
    assert "set ACQPLAN_CACHE to a folder that can be written" in done.err
    assert "rendering" not in done.err
    assert len((out / "plan.csv").read_text().splitlines()) == 11, "the plan needs no image"


def test_a_full_disk_behind_the_standard_output_is_told(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    table = written(tmp_path / "a.csv", "image,object,label,predicted\n1,a,x,x\n2,b,y,y\n")
    program = [
        sys.executable,
        "-c",
        "from acqplan.cli.app import main; main()",
        "compare",
        str(table),
        str(table),
        "--json",
    ]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(program, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "error: the standard output cannot be written (No space left on device)\n  make room\n"
