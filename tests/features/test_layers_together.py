"""Several layers in one pass: each as if it had been asked for alone."""

import importlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from acqplan.errors import BackboneError
from acqplan.features.backbone import Backbone, load_backbone
from acqplan.features.cache import FeatureCache
from acqplan.features.extract import extract
from acqplan.features.networks import SeveralLayers, cut
from acqplan.features.registry import NETWORKS
from acqplan.runtime import Runtime

if TYPE_CHECKING:
    from tests.features.conftest import FileSource

RUNTIME = Runtime(batch=8)
BOTH = "toynet-untrained:stage2+pool"


def made(name: str, layer: str) -> torch.nn.Module:
    """A network without values, down to a layer."""
    module, _, maker = NETWORKS[name].make.partition(":")
    with torch.device("meta"):
        net: torch.nn.Module = getattr(importlib.import_module(module), maker)().eval()
    cut(net, NETWORKS[name].layers[layer])
    return net


def by_layer(backbone: Backbone, features: np.ndarray) -> dict[str, np.ndarray]:
    """The columns of each layer."""
    columns = zip(backbone.layers, backbone.columns(), strict=True)
    return {layer.name: features[:, where] for layer, where in columns}


def filled(net: torch.nn.Module) -> torch.nn.Module:
    """Values that depend on the name of the tensor alone."""
    net = net.to_empty(device="cpu")
    for key, tensor in net.state_dict().items():
        if tensor.dtype == torch.float32:
            tensor.uniform_(0.0 if "running" in key else -0.1, 0.1, generator=torch.Generator().manual_seed(len(key)))
    return net


@pytest.mark.parametrize("name", ["alexnet", "resnet18", "mobilenet_v2", "toynet-untrained"])
def test_every_layer_is_that_of_a_network_that_ends_there(name: str) -> None:
    layers = NETWORKS[name].layers
    *shallow, deepest = layers
    several = SeveralLayers(filled(made(name, deepest)), tuple(layers), {layer: layers[layer] for layer in shallow})
    x = torch.randn(2, 1 if "toynet" in name else 3, 96, 96)
    with torch.inference_mode():
        together = several(x).split(several.widths, dim=1)
        for layer, found in zip(layers, together, strict=True):
            torch.testing.assert_close(found, filled(made(name, layer))(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", [name for name, network in NETWORKS.items() if len(network.layers) > 1])
def test_all_layers_of_every_network_pass_together(name: str) -> None:
    layers = NETWORKS[name].layers
    *shallow, deepest = layers
    channels, size = (1, 96) if "toynet" in name else (3, 224)
    with torch.device("meta"):
        several = SeveralLayers(made(name, deepest), tuple(layers), {layer: layers[layer] for layer in shallow})
        assert several(torch.empty(2, channels, size, size)).shape == (2, sum(several.widths))
        assert several.widths == tuple(
            made(name, layer)(torch.empty(2, channels, size, size)).shape[1] for layer in layers
        )


def test_threads_that_share_a_network_get_the_layers_of_their_own_images() -> None:
    both = load_backbone(BOTH, runtime=RUNTIME)
    batches = [torch.randint(256, (2, 1, 96, 96), dtype=torch.uint8) for _ in range(24)]
    alone = [both.forward(batch).numpy() for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda batch: both.forward(batch).numpy(), batches))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-5)


def test_fingerprints_and_features_are_those_of_each_layer_alone(rig: "FileSource") -> None:
    both = load_backbone(BOTH, runtime=RUNTIME)
    alone = {layer: load_backbone(f"toynet-untrained:{layer}", runtime=RUNTIME) for layer in ("stage2", "pool")}
    assert both.spec == BOTH
    assert [layer.fingerprint for layer in both.layers] == [backbone.fingerprint for backbone in alone.values()]
    assert both.fingerprint not in {backbone.fingerprint for backbone in alone.values()}
    found = by_layer(both, extract(rig, rig.shots(), both, runtime=RUNTIME, cache=None))
    assert list(found) == ["stage2", "pool"]
    for layer, backbone in alone.items():
        one = extract(rig, rig.shots(), backbone, runtime=RUNTIME, cache=None)
        np.testing.assert_allclose(found[layer], one, rtol=1e-5, atol=1e-6)


def test_layers_come_in_the_order_asked(rig: "FileSource") -> None:
    images = torch.randint(0, 256, (2, 1, 96, 96), dtype=torch.uint8)
    here, there = (
        load_backbone(f"toynet-untrained:{layers}", runtime=RUNTIME) for layers in ("stage2+pool", "pool+stage2")
    )
    width = here.layers[0].n_features
    np.testing.assert_array_equal(np.roll(here.features(images), -width, axis=1), there.features(images))


def test_the_cache_is_shared_with_the_layers_alone(rig: "FileSource", cache: FeatureCache) -> None:
    both = load_backbone(BOTH, runtime=RUNTIME)
    alone = [load_backbone(f"toynet-untrained:{layer}", runtime=RUNTIME) for layer in ("stage2", "pool")]
    first = extract(rig, rig.shots().take(range(10)), alone[0], runtime=RUNTIME, cache=cache)
    size = cache.size()
    together = by_layer(both, extract(rig, rig.shots().take(range(10)), both, runtime=RUNTIME, cache=cache))
    assert len(rig.taken()) == 20, "the other layer was missing"
    np.testing.assert_allclose(together["stage2"], first, rtol=1e-5, atol=1e-6)
    assert cache.size() - size < 10 * 4 * 300 + 1000, "the first layer is not kept twice"
    for backbone, layer in zip(alone, ("stage2", "pool"), strict=True):
        again = extract(rig, rig.shots().take(range(10)), backbone, runtime=RUNTIME, cache=cache)
        np.testing.assert_allclose(again, together[layer], rtol=1e-5, atol=1e-6)
    extract(rig, rig.shots().take(range(10)), both, runtime=RUNTIME, cache=cache)
    assert len(rig.taken()) == 20


def test_an_unknown_layer_among_known_ones_names_the_nearest() -> None:
    with pytest.raises(BackboneError, match="no layer 'fc16'; did you mean 'fc6'"):
        load_backbone("vgg16:fc14+fc16", runtime=RUNTIME)


def test_a_layer_named_twice_is_there_once() -> None:
    assert load_backbone("toynet-untrained:pool+pool", runtime=RUNTIME).spec == "toynet-untrained:pool"
