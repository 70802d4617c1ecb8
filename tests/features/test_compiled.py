"""OpenVINO, an extra: the features of torch in less time, or torch."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import nn

from acqplan.errors import MissingError
from acqplan.features import backbone as module_of_backbone
from acqplan.features import ways as module_of_ways
from acqplan.features.backbone import Backbone, load_backbone
from acqplan.features.cache import FeatureCache
from acqplan.features.compiled import compiled
from acqplan.features.extract import extract
from acqplan.features.pixels import stack
from acqplan.features.ways import MANY_PIXELS, relative_error, settle, ways
from acqplan.runtime import Engine, Precision, Runtime

if TYPE_CHECKING:
    from tests.features.conftest import FileSource

pytest.importorskip("openvino")
Tiny = Callable[..., Backbone]


def by(engine: Engine, backbone: Backbone, precision: Precision = "float32") -> Backbone:
    return replace(backbone, runtime=replace(backbone.runtime, engine=engine, precision=precision))


@pytest.fixture(scope="module")
def toynet() -> Backbone:
    return load_backbone("toynet", runtime=Runtime(engine="torch"))


def images(n: int, *shape: int) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (n, *shape), dtype=np.uint8))


@pytest.mark.parametrize("shape", [(96, 96), (40, 60), (96, 96, 3)])
@pytest.mark.parametrize("spec", ["toynet", "toynet:stage2", "toynet-untrained"])
def test_features_are_those_of_torch(spec: str, shape: tuple[int, ...]) -> None:
    backbone, some = load_backbone(spec, runtime=Runtime()), images(5, *shape)
    assert relative_error(by("openvino", backbone).features(some), by("torch", backbone).features(some)) < 1e-5


def test_threads_side_by_side_get_their_own_features(toynet: Backbone) -> None:
    from acqplan.pool import one_core_threads

    batches = [stack([image]) for image in images(60, 96, 96)]
    one_pass = compiled(toynet.module, toynet.preprocessing, "float32", threads=2)
    with one_core_threads(2) as pool:
        found = np.concatenate(list(pool.map(one_pass, batches)))
    np.testing.assert_allclose(found, toynet.features(torch.cat(batches)), rtol=1e-3, atol=1e-4)


def test_many_images_on_a_processor_are_worth_it(toynet: Backbone) -> None:
    auto, many = by("auto", toynet), MANY_PIXELS // 96**2 + 1

    def engines(backbone: Backbone, n_images: int) -> Sequence[Engine]:
        return [way.runtime.engine for way in ways(backbone, n_images)]

    assert engines(auto, many) == ["openvino", "torch"]
    assert engines(auto, many // 2) == engines(by("torch", toynet), many) == ["torch"]
    assert engines(by("openvino", toynet), 1) == ["openvino", "torch"]
    assert engines(by("auto", toynet, "float16"), many) == ["torch"]
    away = replace(auto, runtime=replace(auto.runtime, cluster="tcp://somewhere:8786"))
    assert engines(away, many) == ["torch"]


def test_the_faster_engine_is_taken(toynet: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    for seconds, engine in (([1.0, 1.5], "openvino"), ([1.0, 1.2], "torch"), ([1.5, 1.0], "torch")):
        monkeypatch.setattr(module_of_ways, "_seconds", lambda *_, seconds=seconds: seconds)
        chosen, finding = settle(ways(by("openvino", toynet), 1), images(4, 96, 96))
        assert chosen.runtime.engine == engine
        slower = f"float32 by OpenVINO takes {seconds[0] / seconds[1]:.3g} times as long as float32"
        assert (slower in finding) == (engine == "torch")


def test_other_features_are_refused(toynet: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        module_of_backbone, "compiled", lambda *_, **__: lambda batch: 1.001 * by("torch", toynet).features(batch)
    )
    chosen, finding = settle(ways(by("openvino", toynet), 1), images(4, 96, 96))
    assert (chosen.runtime.engine, finding) == ("torch", "float32 by OpenVINO is off by 0.001")


def test_what_openvino_does_not_know_torch_computes() -> None:
    histogram = load_backbone("histogram", runtime=Runtime(engine="openvino"))
    chosen, finding = settle(ways(histogram, 1), images(4, 96, 96))
    assert (chosen.runtime.engine, finding) == ("torch", "OpenVINO does not know every operation of this network")


def test_features_are_kept_under_the_same_name(
    rig: "FileSource", cache: FeatureCache, quarters: nn.Module, tiny: Tiny
) -> None:
    found = extract(rig, rig.shots(), tiny(quarters), runtime=Runtime(batch=8, engine="openvino"), cache=cache)
    again = extract(rig, rig.shots(), tiny(quarters), runtime=Runtime(batch=8, engine="torch"), cache=cache)
    np.testing.assert_array_equal(found, again)
    assert len(rig.taken()) == 40
    alone = extract(rig, rig.shots(), tiny(quarters), runtime=Runtime(batch=8, engine="torch"), cache=None)
    np.testing.assert_allclose(found, alone, rtol=1e-5)


def test_openvino_that_is_not_there_is_missed(toynet: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module_of_ways, "is_installed", lambda: False)
    assert len(ways(by("auto", toynet), 10**6)) == 1
    with pytest.raises(MissingError, match=r"OpenVINO is not installed; pip install 'acqplan\[openvino\]'"):
        ways(by("openvino", toynet), 1)


def test_nobody_is_told() -> None:
    """By itself OpenVINO sends a message to its makers when it is imported, and one of each network."""
    told = """
import socket, sys
import numpy as np
socket.getaddrinfo = socket.socket.connect = lambda *_: print("a message")
from acqplan.features.backbone import load_backbone
from acqplan.runtime import Runtime
print(load_backbone("toynet", runtime=Runtime(engine="openvino")).features([np.zeros((96, 96), np.uint8)]).shape)
print("openvino" in sys.modules, sys.modules["openvino_telemetry"])
"""
    done = subprocess.run([sys.executable, "-c", told], check=True, capture_output=True, text=True)
    assert done.stdout == "(1, 256)\nTrue None\n"
