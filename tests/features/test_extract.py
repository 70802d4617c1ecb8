"""Extraction: each image once, in the order asked."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from acqplan.errors import UsageError
from acqplan.features.backbone import Backbone
from acqplan.features.cache import FeatureCache
from acqplan.features.extract import extract
from acqplan.runtime import Runtime

if TYPE_CHECKING:
    from tests.features.conftest import FileSource

Tiny = Callable[..., Backbone]
Expected = Callable[["FileSource"], np.ndarray]
OpenSource = Callable[[Path, int], "FileSource"]
Write = Callable[..., None]
RUNTIME = Runtime(batch=8)


def test_features_are_those_of_each_shot_in_the_order_asked(
    rig: "FileSource", cache: FeatureCache, tiny: Tiny, expected: Expected
) -> None:
    order = np.random.default_rng(0).permutation(40)
    features = extract(rig, rig.shots().take(order), tiny(), runtime=RUNTIME, cache=cache)
    np.testing.assert_allclose(features, expected(rig)[order], rtol=1e-5)


def test_images_of_several_sizes_and_colours_are_told_apart(
    tmp_path: Path, tiny: Tiny, expected: Expected, open_rig: OpenSource, write: Write
) -> None:
    write(tmp_path, [(16, 16), (16, 16, 3)] * 10)
    rig = open_rig(tmp_path, 20)
    features = extract(rig, rig.shots(), tiny(), runtime=RUNTIME, cache=None)
    np.testing.assert_allclose(features, expected(rig), rtol=1e-5)


def test_what_is_cached_is_not_captured_again(rig: "FileSource", cache: FeatureCache, tiny: Tiny) -> None:
    first = extract(rig, rig.shots().take(range(30)), tiny(), runtime=RUNTIME, cache=cache)
    assert len(rig.taken()) == 30
    again = extract(rig, rig.shots(), tiny(), runtime=RUNTIME, cache=cache)
    assert sorted(rig.taken()) == [f"{row:03d}.png" for row in range(40)]
    np.testing.assert_array_equal(again[:30], first)


def test_without_a_cache_everything_is_captured_again(rig: "FileSource", tiny: Tiny) -> None:
    for _ in range(2):
        extract(rig, rig.shots(), tiny(), runtime=RUNTIME, cache=None)
    assert len(rig.taken()) == 80


@pytest.mark.parametrize("kept", [True, False])
def test_a_shot_that_stands_twice_is_taken_once(
    rig: "FileSource", cache: FeatureCache, kept: bool, tiny: Tiny, expected: Expected
) -> None:
    rows = [3, 5, 3, 3, 7, 5]
    shots = rig.shots().take(rows)
    features = extract(rig, shots, tiny(), runtime=RUNTIME, cache=cache if kept else None)
    assert len(rig.taken()) == 3
    np.testing.assert_allclose(features, expected(rig)[rows], rtol=1e-5)


def test_images_of_equal_content_are_taken_once(tmp_path: Path, tiny: Tiny, open_rig: OpenSource, write: Write) -> None:
    for number in range(4):
        write(tmp_path, [(16, 16)] * (4 - number))
    rig = open_rig(tmp_path, 4)
    (tmp_path / "002.png").write_bytes((tmp_path / "000.png").read_bytes())
    features = extract(rig, rig.shots(), tiny(), runtime=RUNTIME, cache=None)
    assert len(rig.taken()) == 3
    np.testing.assert_array_equal(features[0], features[2])


def test_an_image_that_changed_is_captured_again(
    rig: "FileSource", cache: FeatureCache, tiny: Tiny, expected: Expected, write: Write
) -> None:
    extract(rig, rig.shots(), tiny(), runtime=RUNTIME, cache=cache)
    write(rig.folder, [(16, 16)], seed=1)
    features = extract(rig, rig.shots(), tiny(), runtime=RUNTIME, cache=cache)
    assert rig.taken()[40:] == ["000.png"]
    np.testing.assert_allclose(features, expected(rig), rtol=1e-5)


def test_another_backbone_or_precision_finds_nothing(rig: "FileSource", cache: FeatureCache, tiny: Tiny) -> None:
    extract(rig, rig.shots(), tiny(), runtime=RUNTIME, cache=cache)
    extract(rig, rig.shots(), tiny(fingerprint="other"), runtime=RUNTIME, cache=cache)
    extract(rig, rig.shots(), tiny(), runtime=replace(RUNTIME, precision="bfloat16"), cache=cache)
    assert len(rig.taken()) == 120


def test_no_shots_have_no_features(rig: "FileSource", cache: FeatureCache, tiny: Tiny) -> None:
    assert extract(rig, rig.shots().take([]), tiny(), runtime=RUNTIME, cache=cache).shape == (0, 4)


def test_a_backbone_on_another_device_is_refused(rig: "FileSource", tiny: Tiny) -> None:
    with pytest.raises(UsageError, match="is on cpu, not cuda"):
        extract(rig, rig.shots(), tiny(), runtime=Runtime(device="cuda"), cache=None)


class Counting:
    """Listens to progress."""

    def __init__(self) -> None:
        self.total, self.done = 0, 0

    @contextmanager
    def task(self, name: str, total: int) -> Iterator[Callable[[int], None]]:
        self.total += total
        yield self.add

    def add(self, steps: int) -> None:
        self.done += steps


def test_progress_counts_missing_shots_only(rig: "FileSource", cache: FeatureCache, tiny: Tiny) -> None:
    extract(rig, rig.shots().take(range(25)), tiny(), runtime=RUNTIME, cache=cache)
    listener = Counting()
    extract(rig, rig.shots(), tiny(), runtime=RUNTIME, cache=cache, progress=listener)
    assert (listener.total, listener.done) == (15, 15)
