"""Keys of files that did not change are remembered, by this process and by others; all else is read."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from acqplan.features.backbone import Backbone
from acqplan.features.cache import FeatureCache, image_keys
from acqplan.features.extract import FOLDER, extract, keys_of
from acqplan.runtime import Runtime
from acqplan.space import Shots
from tests.features.conftest import FileSource, write_images


@dataclass(frozen=True, slots=True, kw_only=True)
class StampedSource(FileSource):
    """Counts what is read; its stamps are numbers that a test may change."""

    reads: list[float] = field(default_factory=list)
    stamped: dict[float, bytes] = field(default_factory=dict)

    def identities(self, shots: Shots) -> list[bytes]:
        self.reads.extend(shots.coordinates[:, 0])
        return FileSource.identities(self, shots)

    def stamps(self, shots: Shots) -> list[bytes]:
        return [self.stamped.get(view, b"%d" % view) for view in shots.coordinates[:, 0]]


@pytest.fixture
def files(rig: FileSource) -> StampedSource:
    return StampedSource(folder=rig.folder, space=rig.space, objects=rig.objects)


def expected(rig: FileSource) -> list[list[int]]:
    return image_keys(FileSource.identities(rig, rig.shots())).tolist()


def test_files_are_read_once_also_by_a_process_that_comes_later(files: StampedSource, cache: FeatureCache) -> None:
    assert keys_of(files, files.shots(), cache=cache).tolist() == expected(files)
    assert len(files.reads) == 40
    later = FeatureCache.open(cache.root, storage="float16")
    assert keys_of(files, files.shots(), cache=later).tolist() == expected(files)
    assert len(files.reads) == 40


def test_only_files_with_another_stamp_are_read_again(files: StampedSource, cache: FeatureCache) -> None:
    keys_of(files, files.shots(), cache=cache)
    files.reads.clear()
    write_images(files.folder, [(16, 16)] * 5, seed=1)
    files.stamped.update({float(number): b"changed %d" % number for number in range(5)})
    assert keys_of(files, files.shots(), cache=cache).tolist() == expected(files)
    assert files.reads == [0, 1, 2, 3, 4]


def test_a_file_without_a_stamp_is_read_each_time(files: StampedSource, cache: FeatureCache) -> None:
    files.stamped.update({0.0: b"", 1.0: b""})
    for seed in (1, 2):
        write_images(files.folder, [(16, 16)] * 2, seed=seed)
        assert keys_of(files, files.shots(), cache=cache)[:2].tolist() == expected(files)[:2]
    assert sorted(files.reads)[:4] == [0, 0, 1, 1]
    assert len(files.reads) == 42


def test_without_a_cache_all_files_are_read(files: StampedSource) -> None:
    for _ in range(2):
        assert keys_of(files, files.shots(), cache=None).tolist() == expected(files)
    assert len(files.reads) == 80


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_damaged_record_is_read_again(files: StampedSource, cache: FeatureCache, share: float) -> None:
    keys_of(files, files.shots(), cache=cache)
    for path in (cache.root / FOLDER).iterdir():
        path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert keys_of(files, files.shots(), cache=cache).tolist() == expected(files)
    assert len(files.reads) == 80


def test_every_key_is_remembered_bit_by_bit_whatever_number_it_would_be(
    files: StampedSource, cache: FeatureCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    # not numbers, signalling or not, infinities, zeros of both signs
    odd = np.array([0x7F800001, 0xFFC00000, 0x7F800000, 0x80000000, 0, 1, 0xFFFFFFFF, 0x7FA00000], dtype="<u4")
    keys = odd.view("<u8").reshape(-1, 2)
    cache.save(FOLDER, image_keys([b"0", b"1"]), keys.view("<f4"))
    assert keys_of(files, files.shots().take([0, 1]), cache=cache).tolist() == keys.tolist()
    assert files.reads == []


def test_a_cache_that_cannot_be_written_still_gives_keys(files: StampedSource, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    nowhere = FeatureCache.open(tmp_path / "file" / "cache")
    assert keys_of(files, files.shots(), cache=nowhere).tolist() == expected(files)


def test_extraction_takes_changed_images_anew_and_no_others(
    files: StampedSource,
    cache: FeatureCache,
    tiny: Callable[..., Backbone],
    expected: Callable[[FileSource], np.ndarray],
) -> None:
    for seed in (0, 1):
        write_images(files.folder, [(16, 16)] * 3, seed=seed)
        files.stamped.update({float(number): b"%d of %d" % (number, seed) for number in range(3)})
        features = extract(files, files.shots(), tiny(), runtime=Runtime(batch=8), cache=replace(cache))
        np.testing.assert_allclose(features, expected(files), rtol=1e-5)
    assert len(files.taken()) == 43
