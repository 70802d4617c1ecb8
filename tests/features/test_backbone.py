"""Backbones: names, layers, features, and what their weights may be."""

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from acqplan.errors import BackboneError, MissingError, WeightsError
from acqplan.features.backbone import Backbone, load_backbone
from acqplan.features.networks import cut
from acqplan.features.pixels import parse_input
from acqplan.features.registry import NETWORKS, find_layers
from acqplan.features.toynet import MEAN, N_FEATURES, STD, ToyNet, untrained
from acqplan.runtime import Runtime
from benchmarks.toyshop.pretrain.loop import folded

RUNTIME = Runtime(batch=4)
SHARED = os.environ.get("ACQPLAN_SHARED")
needs_shared = pytest.mark.skipif(not SHARED, reason="ACQPLAN_SHARED is unset: no weights of an ImageNet network")


def shared(name: str) -> Path:
    return Path(SHARED or "") / "weights" / name


def bytes_of(shape: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


@pytest.fixture(scope="module", params=["toynet-untrained", "toynet-untrained:stage3", "histogram"])
def backbone(request: pytest.FixtureRequest) -> Backbone:
    return load_backbone(request.param, runtime=RUNTIME)


def test_features_are_finite_float32_of_the_size_announced(backbone: Backbone) -> None:
    features = backbone.features(bytes_of((3, 1, 96, 96)))
    assert features.dtype == np.float32
    assert features.shape == (3, backbone.n_features)
    assert np.isfinite(features).all()


def test_features_do_not_depend_on_the_other_images_of_the_batch(backbone: Backbone) -> None:
    images = bytes_of((9, 1, 96, 96))
    together = backbone.features(images)
    alone = np.concatenate([backbone.features(images[row : row + 1]) for row in range(9)])
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-5)


def test_images_of_any_size_keep_their_order(backbone: Backbone) -> None:
    images = [np.random.default_rng(row).integers(0, 256, shape, dtype=np.uint8) for row, shape in enumerate(
        [(96, 96), (50, 120), (96, 96, 3), (96, 96), (200, 60, 3), (1, 1)]
    )]  # fmt: skip
    alone = np.concatenate([backbone.features([image]) for image in images])
    np.testing.assert_allclose(backbone.features(images), alone, rtol=1e-4, atol=1e-5)


def test_colour_with_equal_channels_is_seen_as_grey(backbone: Backbone) -> None:
    grey = bytes_of((2, 1, 96, 96))
    np.testing.assert_allclose(
        backbone.features(grey.expand(-1, 3, -1, -1)), backbone.features(grey), rtol=1e-4, atol=1e-5
    )


def test_no_images_have_no_features(backbone: Backbone) -> None:
    assert backbone.features([]).shape == (0, backbone.n_features)


def test_the_same_backbone_has_the_same_fingerprint_and_features(backbone: Backbone) -> None:
    again = load_backbone(backbone.spec, runtime=RUNTIME)
    images = bytes_of((2, 1, 96, 96))
    assert again.fingerprint == backbone.fingerprint
    np.testing.assert_array_equal(again.features(images), backbone.features(images))


def test_fingerprints_tell_layers_and_backbones_apart() -> None:
    specs = ["toynet-untrained", "toynet-untrained:stage2", "toynet-untrained:stage3", "histogram"]
    assert len({load_backbone(spec, runtime=RUNTIME).fingerprint for spec in specs}) == len(specs)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_gives_about_the_same_features_in_float32(precision: str) -> None:
    full = load_backbone("toynet-untrained", runtime=Runtime())
    half = load_backbone("toynet-untrained", runtime=Runtime(precision=precision))  # type: ignore[arg-type]
    images = bytes_of((2, 1, 96, 96))
    got, wanted = half.features(images), full.features(images)
    assert got.dtype == np.float32
    assert np.linalg.norm(got - wanted) < 2e-2 * np.linalg.norm(wanted)


def test_histogram_ignores_brightness_and_sees_direction() -> None:
    histogram = load_backbone("histogram", runtime=RUNTIME)
    ramp = torch.arange(96, dtype=torch.uint8).expand(1, 1, 96, 96)
    across, brighter, down = histogram.features(torch.cat([ramp, ramp + 100, ramp.transpose(2, 3)]))
    np.testing.assert_allclose(across, brighter, atol=1e-6)
    by_direction = across.reshape(9, 64).sum(1), down.reshape(9, 64).sum(1)
    assert int(by_direction[0].argmax()) == 0
    assert int(by_direction[1].argmax()) in (4, 5)


def test_toynet_fits_its_file_and_folding_does_not_change_it() -> None:
    torch.manual_seed(0)
    net = ToyNet()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean, module.running_var = torch.randn(module.num_features), torch.rand(module.num_features)
    plain = folded(net.eval())
    x = torch.randn(2, 1, 96, 96)
    with torch.inference_mode():
        torch.testing.assert_close(plain(x), net(x), rtol=1e-3, atol=1e-4)
    assert plain(x).shape == (2, N_FEATURES)
    assert 2 * sum(tensor.numel() for tensor in plain.state_dict().values()) < 3_000_000 - 20_000


def test_untrained_weights_come_from_their_seed_alone() -> None:
    torch.manual_seed(1)
    first = untrained(0)
    torch.manual_seed(2)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), untrained(0).parameters(), strict=True))
    assert not torch.equal(next(first.parameters()), next(untrained(1).parameters()))


def test_toynet_sees_what_it_would_see_of_normalised_pixels() -> None:
    images = bytes_of((2, 1, 96, 96))
    with torch.inference_mode():
        direct = untrained()((images / 255.0 - MEAN) / STD).numpy()
    got = load_backbone("toynet-untrained", runtime=RUNTIME).features(images)
    np.testing.assert_allclose(got, direct, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "toynet"])
def test_every_layer_of_every_network_is_one_row_an_image(name: str) -> None:
    network = NETWORKS[name]
    module, _, maker = network.make.partition(":")
    preprocessing = parse_input(network.input)
    for layer, parts in network.layers.items():
        with torch.device("meta"):
            net = getattr(importlib.import_module(module), maker)().eval()
            cut(net, parts)
            out = net(torch.empty(2, preprocessing.channels, preprocessing.size, preprocessing.size))
        assert out.ndim == 2, f"{name}:{layer}"
        assert len(out) == 2


def test_names_of_the_thesis_are_known() -> None:
    assert find_layers("vgg16:fc6") == ("vgg16", ("fc14",))
    assert find_layers("vgg16:fc7+fc14+fc15") == ("vgg16", ("fc15", "fc14"))
    assert find_layers("resnet18") == ("resnet18", ("avgpool",))


@pytest.mark.parametrize(
    ("spec", "suggestion"), [("toy-net", "'toynet'"), ("resnet81", "'resnet18'"), ("vgg16:fx14", "'fc14'")]
)
def test_unknown_names_and_layers_name_the_nearest(spec: str, suggestion: str) -> None:
    with pytest.raises(BackboneError, match=f"did you mean {suggestion}") as caught:
        load_backbone(spec, runtime=RUNTIME)
    assert caught.value.exit_code == 2


@pytest.mark.skipif(importlib.util.find_spec("timm") is not None, reason="timm is installed")
def test_timm_missing_names_the_extra() -> None:
    with pytest.raises(MissingError, match=r"acqplan\[timm\]"):
        load_backbone("timm/resnet10t", runtime=RUNTIME)


def test_weights_for_features_without_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match="leave out --weights"):
        load_backbone("histogram", weights=tmp_path / "any.pth", runtime=RUNTIME)


@pytest.fixture
def unreachable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    return tmp_path


def test_no_network_and_no_file_say_what_to_get_and_where_to_put_it(unreachable: Path) -> None:
    with pytest.raises(MissingError) as caught:
        load_backbone("resnet18", runtime=RUNTIME)
    assert caught.value.exit_code == 4
    for part in (
        "resnet18-f37072fd.pth",
        "45 MB",
        "https://download.pytorch.org/models/",
        str(unreachable),
        "--weights",
    ):
        assert part in str(caught.value)


def test_weights_in_the_hub_folder_are_used(unreachable: Path) -> None:
    from torchvision.models import resnet18

    folder = unreachable / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(resnet18().state_dict(), folder / "resnet18-f37072fd.pth")
    assert load_backbone("resnet18", runtime=RUNTIME).n_features == 512
    assert load_backbone("resnet18:layer2", runtime=RUNTIME).n_features == 128


@needs_shared
@pytest.mark.parametrize(("image", "label"), [("cat", "cat"), ("bird", "chickadee"), ("sunflower", "daisy")])
def test_photographs_are_recognised(image: str, label: str) -> None:
    logits = load_backbone("mobilenet_v2:logits", weights=shared("mobilenet_v2.safetensors"), runtime=RUNTIME)
    labels = shared("imagenet_labels.txt").read_text().splitlines()[1:]
    with Pillow.open(shared(f"{image}.jpg")) as opened:
        scores = logits.features([np.asarray(opened.convert("RGB"))])[0]
    assert label in labels[int(scores.argmax())]


@needs_shared
def test_input_named_in_the_file_replaces_the_default() -> None:
    backbone = load_backbone("mobilenet_v2", weights=shared("mobilenet_v2.safetensors"), runtime=RUNTIME)
    assert str(backbone.preprocessing) == "RGB 224, mean 0.5 0.5 0.5, std 0.5 0.5 0.5"
    assert backbone.n_features == 1280


@needs_shared
def test_weights_of_another_architecture_name_tensor_shape_and_what_they_are() -> None:
    with pytest.raises(
        WeightsError, match=r"'conv1.weight' of shape \[64, 3, 7, 7\] is missing.*torchvision mobilenet"
    ):
        load_backbone("resnet18", weights=shared("mobilenet_v2.safetensors"), runtime=RUNTIME)


@needs_shared
def test_grey_is_seen_as_expanded_colour_by_a_real_network() -> None:
    net = load_backbone("mobilenet_v2", weights=shared("mobilenet_v2.safetensors"), runtime=RUNTIME).module
    x = torch.rand(2, 1, 224, 224) * 255
    with torch.inference_mode():
        torch.testing.assert_close(net(x), net(x.expand(-1, 3, -1, -1)), rtol=1e-4, atol=1e-4)
