"""Stamps of files: another whenever the file may be another."""

import os
import time
from pathlib import Path

from PIL import Image

from acqplan.rig.folder import SETTLED_NS, FolderSource, Stamped, stamp

LATER = 10 * SETTLED_NS


def test_a_file_that_stays_keeps_its_stamp(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    now_ns = time.time_ns() + LATER
    assert stamp(path, now_ns) == stamp(path, now_ns + LATER) != b""


def test_a_change_tells_even_if_size_and_time_are_made_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    before, status = stamp(path, time.time_ns() + LATER), path.stat()
    time.sleep(0.02)  # a file system counts in steps
    path.write_bytes(b"two")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_mtime_ns == status.st_mtime_ns
    assert stamp(path, time.time_ns() + LATER) != before


def test_files_of_the_same_content_and_times_differ(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_bytes(b"one")
        os.utime(tmp_path / name, ns=(0, 0))
    now_ns = time.time_ns() + LATER
    assert stamp(tmp_path / "a", now_ns) != stamp(tmp_path / "b", now_ns)


def test_what_changed_just_now_or_is_gone_has_no_stamp(tmp_path: Path) -> None:
    path = tmp_path / "a"
    assert stamp(path, time.time_ns() + LATER) == b""
    path.write_bytes(b"one")
    changed_ns = path.stat().st_ctime_ns
    assert stamp(path, changed_ns + SETTLED_NS - 1) == b""
    assert stamp(path, changed_ns + SETTLED_NS) != b""
    os.utime(path, ns=(changed_ns + LATER,) * 2)  # a clock that ran ahead
    assert stamp(path, changed_ns + SETTLED_NS) == b""


def test_a_folder_stamps_its_files_in_the_order_of_the_shots(tmp_path: Path) -> None:
    for number in range(3):
        Image.new("L", (4, 4), number).save(tmp_path / f"{number}.png")
    lines = [f"{number}.png,car,car-00,{number}" for number in range(3)]
    (tmp_path / "m.csv").write_text("\n".join(["image,label,object,azimuth", *lines]) + "\n")
    rig = FolderSource.open(tmp_path / "m.csv")
    assert isinstance(rig, Stamped)
    assert rig.stamps(rig.shots()) == [b""] * 3  # written just now
