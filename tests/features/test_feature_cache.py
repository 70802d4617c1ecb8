"""The cache of features: what goes in comes out, whatever happens to its files."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acqplan.errors import OutputError, UsageError
from acqplan.features.cache import MANY_SEGMENTS, FeatureCache, Features, Keys, image_keys

NAME = "f" * 64


def keys_of(*numbers: int) -> Keys:
    return image_keys([str(number).encode() for number in numbers])


def features_of(*numbers: int, width: int = 3) -> Features:
    return np.outer(np.asarray(numbers, dtype=np.float32), np.arange(1, width + 1, dtype=np.float32)) + 0.5


def fill(cache: FeatureCache, *numbers: int, name: str = NAME) -> None:
    cache.save(name, keys_of(*numbers), features_of(*numbers))


def found(cache: FeatureCache, *numbers: int, name: str = NAME) -> list[int]:
    """Which numbers the cache has; those it has must be right, the others zero."""
    features, there = cache.load(name, keys_of(*numbers), 3)
    expected = np.where(there[:, None], features_of(*numbers), 0.0)
    np.testing.assert_array_equal(features, expected)
    return [number for number, here in zip(numbers, there, strict=True) if here]


def segments(cache: FeatureCache) -> list[Path]:
    return sorted(cache.root.glob("*/*.features"))


@given(st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=8), max_size=6), st.lists(st.integers(0, 35)))
@settings(max_examples=25, deadline=None)
def test_what_was_saved_is_found_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, saved: list[list[int]], asked: list[int]
) -> None:
    cache = FeatureCache.open(tmp_path_factory.mktemp("cache"))
    for numbers in saved:
        fill(cache, *numbers)
    there = {number for numbers in saved for number in numbers}
    assert found(cache, *asked) == [number for number in asked if number in there]


def test_an_empty_cache_finds_nothing_and_makes_no_folder(cache: FeatureCache) -> None:
    assert found(cache, 1, 2) == []
    assert cache.size() == 0
    assert not cache.root.exists()


def test_backbones_do_not_see_each_others_features(cache: FeatureCache) -> None:
    fill(cache, 1, name="a")
    assert found(cache, 1, name="b") == []


def test_features_of_another_length_are_not_found(cache: FeatureCache) -> None:
    cache.save(NAME, keys_of(1), features_of(1, width=5))
    assert found(cache, 1) == []


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_segment_is_ignored_and_replaced(cache: FeatureCache, share: float) -> None:
    fill(cache, *range(20))
    path = segments(cache)[0]
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    fill(cache, 30)
    assert found(cache, 5, 30) == [30]
    fill(cache, 5)
    assert found(cache, 5, 30) == [5, 30]


def test_a_file_of_something_else_is_ignored(cache: FeatureCache) -> None:
    fill(cache, 1)
    (cache.root / NAME / "0.features").write_bytes(b"\x93NUMPY\x01\x00 nothing of the kind" * 9)
    np.save(cache.root / NAME / "1.npy", np.arange(3))
    (cache.root / NAME / "1.npy").rename(cache.root / NAME / "1.features")
    (cache.root / NAME / "2.features").mkdir()
    os.mkfifo(cache.root / NAME / "3.features")
    assert found(cache, 1, 2) == [1]


@pytest.mark.parametrize("fill_byte", [b"\x00", b"\xa5"])
def test_a_lost_page_costs_its_rows_only_and_does_not_survive_merging(cache: FeatureCache, fill_byte: bytes) -> None:
    fill(cache, *range(50))
    path = segments(cache)[0]
    content = path.read_bytes()
    path.write_bytes(content[:-60] + fill_byte * 60)  # five rows of three numbers
    intact = found(cache, *range(50))
    assert intact == list(range(45))
    for number in range(100, 101 + MANY_SEGMENTS):
        fill(cache, number)
    assert len(segments(cache)) <= 2
    assert found(cache, *range(50)) == intact


def test_a_change_of_any_byte_is_noticed_and_the_features_are_computed_again(cache: FeatureCache) -> None:
    fill(cache, *range(4))
    path = segments(cache)[0]
    content = path.read_bytes()
    n_lost = 0
    for place in range(len(content)):
        for flipped in (1 << place % 8, 0xFF):
            damaged = bytearray(content)
            damaged[place] ^= flipped
            path.write_bytes(damaged)
            n_lost += len(found(cache, *range(4))) < 4  # those that are found are right
    assert n_lost == 2 * len(content)
    fill(cache, *range(4))
    assert found(cache, *range(4)) == [0, 1, 2, 3]


@pytest.mark.parametrize("seed", range(5))
def test_words_that_change_places_are_noticed(cache: FeatureCache, seed: int) -> None:
    fill(cache, *range(4))
    path = segments(cache)[0]
    words = np.frombuffer(path.read_bytes(), dtype="<u4")
    for step in (1, 3, 4, 6):
        turned = words.copy()
        turned[seed:] = np.roll(turned[seed:], step)
        path.write_bytes(turned.tobytes())
        found(cache, *range(4))
    for one in range(len(words)):
        changed = words.copy()
        changed[[one, (one + seed + 1) % len(words)]] = changed[[(one + seed + 1) % len(words), one]]
        path.write_bytes(changed.tobytes())
        found(cache, *range(4))


def test_features_under_another_images_key_are_not_found(cache: FeatureCache) -> None:
    cache.save(NAME, keys_of(1, 2), features_of(1, 2))
    path = segments(cache)[0]
    content = path.read_bytes()
    one, two = (key.tobytes() for key in keys_of(1, 2))
    path.write_bytes(content.replace(one, b"." * 16).replace(two, one).replace(b"." * 16, two))
    assert found(cache, 1, 2) == []


def test_many_small_segments_are_merged_and_nothing_is_lost(cache: FeatureCache) -> None:
    for number in range(3 * MANY_SEGMENTS):
        fill(cache, number, number + 1)
    assert len(segments(cache)) <= MANY_SEGMENTS
    assert found(cache, *range(3 * MANY_SEGMENTS)) == list(range(3 * MANY_SEGMENTS))


def test_the_least_recently_used_segments_make_room(cache: FeatureCache) -> None:
    for age, number in enumerate((1, 2, 3)):
        fill(cache, number)
        os.utime(segments(cache)[-1], ns=(age, age))
    room_for_three = replace(cache, limit_bytes=cache.size())
    assert found(room_for_three, 1) == [1]
    fill(room_for_three, 4)
    assert found(cache, 1, 2, 3, 4) == [1, 3, 4]


def test_what_was_just_saved_stays_even_if_it_is_too_large(tmp_path: Path) -> None:
    cache = FeatureCache(root=tmp_path, limit_bytes=1)
    fill(cache, 1)
    fill(cache, 2)
    assert found(cache, 1, 2) == [2]


def test_abandoned_parts_are_cleaned_and_young_ones_left_alone(cache: FeatureCache) -> None:
    fill(cache, 1)
    old, young = (cache.root / NAME / f".{age}.features.x.part" for age in ("old", "young"))
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    fill(cache, 2)
    assert not old.exists()
    assert young.exists()
    assert found(cache, 1, 2) == [1, 2]


def test_the_place_and_the_limit_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ACQPLAN_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert FeatureCache.open().root == tmp_path / "xdg" / "acqplan"
    monkeypatch.setenv("ACQPLAN_CACHE", str(tmp_path / "own"))
    monkeypatch.setenv("ACQPLAN_CACHE_LIMIT_GB", "0.5")
    assert FeatureCache.open() == FeatureCache(root=tmp_path / "own", limit_bytes=500_000_000)


@pytest.mark.parametrize("limit", ["ten", "0", "-1", "nan", "inf"])
def test_a_limit_that_cannot_be_is_refused(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACQPLAN_CACHE_LIMIT_GB", limit)
    with pytest.raises(UsageError, match="ACQPLAN_CACHE_LIMIT_GB"):
        FeatureCache.open()


def test_a_place_that_cannot_be_written_is_said_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="ACQPLAN_CACHE"):
        fill(FeatureCache.open(tmp_path / "file" / "cache"), 1)


FULL_DISK = """
import resource, sys
from pathlib import Path
import numpy as np
from acqplan.errors import OutputError
from acqplan.features.cache import FeatureCache
from acqplan.features.cache import image_keys
cache = FeatureCache.open(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    cache.save("f" * 64, image_keys([b"big"]), np.ones((1, 100_000), dtype=np.float32))
except OutputError as error:
    sys.exit(str(error))
"""


def test_a_full_disk_is_said_and_leaves_the_earlier_segments(cache: FeatureCache) -> None:
    fill(cache, 1, 2)
    done = subprocess.run([sys.executable, "-c", FULL_DISK, cache.root], capture_output=True, text=True)
    assert done.returncode == 1
    assert "make room" in done.stderr
    assert [path.suffix for path in (cache.root / NAME).iterdir()] == [".features"]
    assert found(cache, 1, 2) == [1, 2]


WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
import numpy as np
from acqplan.features.cache import FeatureCache
from acqplan.features.cache import image_keys
cache = FeatureCache.open(Path(sys.argv[1]))
for number in range(int(sys.argv[2]), int(sys.argv[3])):
    keys = image_keys([str(number).encode()])
    cache.save("f" * 64, keys, np.array([[number + 0.5, 2 * number + 0.5, 3 * number + 0.5]], dtype=np.float32))
    assert cache.load("f" * 64, keys, 3)[1].all(), number
"""


def test_processes_that_write_and_merge_at_once_lose_nothing(cache: FeatureCache) -> None:
    ranges = [(0, 80), (40, 120), (100, 180)]
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, cache.root, str(a), str(b)], stderr=subprocess.PIPE)
        for a, b in ranges
    ]
    for writer in writers:
        assert writer.communicate()[1] == b""
        assert writer.returncode == 0
    assert found(cache, *range(180)) == list(range(180))
