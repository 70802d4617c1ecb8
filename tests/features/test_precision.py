"""Half precision: used where it gives the same features, refused or left aside where it does not."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from acqplan.errors import UsageError
from acqplan.features.backbone import Backbone
from acqplan.features.cache import FeatureCache
from acqplan.features.extract import extract
from acqplan.features.ways import choices, half_precisions, relative_error, settle
from acqplan.runtime import Precision, Runtime

if TYPE_CHECKING:
    from tests.features.conftest import FileSource

Tiny = Callable[..., Backbone]
RUNTIME = Runtime(batch=8)
BFLOAT16 = Runtime(batch=8, precision="bfloat16")
AUTO = Runtime(batch=8, precision="auto")
IMAGES = [np.random.default_rng(row).integers(0, 256, (16, 16), dtype=np.uint8) for row in range(5)]


class Off(nn.Module):
    """Errs by some share in half precision, and takes 20 ms more in one of the two."""

    def __init__(self, inner: nn.Module, share: float, slow: Precision | None = None) -> None:
        super().__init__()
        self.inner, self.share, self.slow = inner, share, slow

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.inner(x)
        is_half = torch.is_autocast_enabled("cpu")
        if self.slow is not None and is_half == (self.slow == "bfloat16"):
            time.sleep(0.02)
        return out * (1 + self.share) if is_half else out


def in_(precision: Precision, backbone: Backbone) -> Backbone:
    return replace(backbone, runtime=replace(backbone.runtime, precision=precision))


@pytest.mark.parametrize("share", [0.0, 0.003, 0.2, float("inf"), float("nan")])
def test_the_error_found_is_the_relative_one(share: float, quarters: nn.Module, tiny: Tiny) -> None:
    exact = tiny(quarters).features(IMAGES)
    found = relative_error(in_("bfloat16", tiny(Off(quarters, share))).features(IMAGES), exact)
    assert found == pytest.approx(share if np.isfinite(share) else float("inf"), rel=1e-3)


@pytest.mark.parametrize(("share", "chosen"), [(0.003, "bfloat16"), (0.02, "float32")])
def test_the_first_precision_that_will_do_is_taken_and_the_error_told(
    share: float, chosen: str, quarters: nn.Module, tiny: Tiny
) -> None:
    backbone = tiny(Off(quarters, share, slow="float32"))
    settled, finding = settle([in_("bfloat16", backbone), in_("float32", backbone)], IMAGES)
    assert settled.runtime.precision == chosen
    assert finding == f"bfloat16 is off by {share:.2g}"


def test_half_precision_that_is_no_faster_is_left_aside_unless_asked_for(quarters: nn.Module, tiny: Tiny) -> None:
    backbone = tiny(Off(quarters, 0.003, slow="bfloat16"))
    settled, finding = settle([in_("bfloat16", backbone), in_("float32", backbone)], IMAGES)
    assert settled.runtime.precision == "float32"
    assert re.fullmatch(r"bfloat16 is off by 0.003, bfloat16 takes [\d.]+ times as long as float32", finding)
    alone, _ = settle([in_("bfloat16", backbone)], IMAGES)
    assert alone.runtime.precision == "bfloat16"


def test_half_precision_that_gives_other_features_is_refused_and_nothing_kept(
    rig: "FileSource", cache: FeatureCache, quarters: nn.Module, tiny: Tiny
) -> None:
    with pytest.raises(UsageError, match=r"tiny:quarters: bfloat16 is off by 0.02 .* more than 0.01; use precision"):
        extract(rig, rig.shots(), tiny(Off(quarters, 0.02)), runtime=BFLOAT16, cache=cache)
    assert cache.size() == 0


def test_half_precision_that_will_do_takes_each_shot_once(
    rig: "FileSource", cache: FeatureCache, quarters: nn.Module, tiny: Tiny
) -> None:
    exact = extract(rig, rig.shots(), tiny(), runtime=RUNTIME, cache=None)
    half = extract(rig, rig.shots(), tiny(Off(quarters, 0.005)), runtime=BFLOAT16, cache=cache)
    np.testing.assert_allclose(half, 1.005 * exact, rtol=1e-5)
    assert len(rig.taken()) == 80


class Hearing:
    """Listens to the names of tasks."""

    def __init__(self) -> None:
        self.names: list[str] = []

    @contextmanager
    def task(self, name: str, total: int) -> Iterator[Callable[[int], None]]:
        self.names.append(name)
        yield lambda _: None


def test_what_was_found_is_said(rig: "FileSource", quarters: nn.Module, tiny: Tiny) -> None:
    heard = Hearing()
    extract(rig, rig.shots(), tiny(Off(quarters, 0.005)), runtime=BFLOAT16, cache=None, progress=heard)
    assert heard.names == ["features tiny:quarters (bfloat16 is off by 0.005)"]


def test_auto_never_gives_other_features(
    rig: "FileSource", cache: FeatureCache, quarters: nn.Module, tiny: Tiny
) -> None:
    exact = extract(rig, rig.shots(), tiny(), runtime=RUNTIME, cache=None)
    found = extract(rig, rig.shots(), tiny(Off(quarters, 0.5)), runtime=AUTO, cache=cache)
    np.testing.assert_array_equal(found, exact)
    assert len(rig.taken()) == 80
    again = extract(rig, rig.shots(), tiny(Off(quarters, 0.5)), runtime=RUNTIME, cache=cache)
    np.testing.assert_array_equal(again, exact)
    assert len(rig.taken()) == 80, "float32 found what auto had kept as float32"


def test_auto_takes_what_is_cached_in_any_precision_it_may_choose(
    rig: "FileSource", cache: FeatureCache, tiny: Tiny
) -> None:
    extract(rig, rig.shots(), tiny(), runtime=RUNTIME, cache=cache)
    extract(rig, rig.shots(), tiny(), runtime=AUTO, cache=cache)
    assert len(rig.taken()) == 40


def test_auto_ends_with_float32_and_a_named_precision_stands_alone() -> None:
    assert choices(AUTO) == (*half_precisions("cpu"), "float32")
    assert choices(BFLOAT16) == ("bfloat16",)
