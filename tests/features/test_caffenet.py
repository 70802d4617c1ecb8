"""CaffeNet against hand-computed cases, and against a second network written out group by group."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from acqplan.features.backbone import Backbone, load_backbone
from acqplan.features.caffenet import CaffeNet, normalised, pooled
from acqplan.features.networks import cut, read_weights
from acqplan.features.pixels import Normalised, parse_input
from acqplan.features.registry import NETWORKS, find_layers
from acqplan.runtime import Runtime
from tests.features.caffe_files import caffe_file

INPUT = parse_input(NETWORKS["caffenet"].input)


def hollow() -> CaffeNet:
    with torch.device("meta"):
        return CaffeNet()


@pytest.fixture(scope="module")
def net() -> CaffeNet:
    """He-normal weights and small biases, so that numbers neither vanish nor grow."""
    drawn = hollow().to_empty(device="cpu").eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    for parameter in drawn.parameters():
        if parameter.ndim > 1:
            nn.init.kaiming_normal_(parameter, nonlinearity="relu", generator=generator)
        else:
            parameter.uniform_(-1.0, 1.0, generator=generator)
    return drawn


@pytest.fixture(scope="module")
def images() -> Tensor:
    """Four blue-green-red images less the mean pixel."""
    return torch.rand(4, 3, 227, 227, generator=torch.Generator().manual_seed(1)) * 255 - 114


def test_sizes_of_every_layer_are_those_of_the_reference() -> None:
    net, seen = hollow(), {}
    for name, module in net.named_children():
        module.register_forward_hook(
            lambda _module, inputs, output, name=name: seen.update({name: (inputs[0].shape[1:], output.shape[1:])})
        )
    assert net(torch.empty(2, 3, 227, 227, device="meta")).shape == (2, 1000)
    assert {name: (tuple(entering), tuple(leaving)) for name, (entering, leaving) in seen.items()} == {
        "conv1": ((3, 227, 227), (96, 55, 55)),
        "conv2": ((96, 27, 27), (256, 27, 27)),
        "conv3": ((256, 13, 13), (384, 13, 13)),
        "conv4": ((384, 13, 13), (384, 13, 13)),
        "conv5": ((384, 13, 13), (256, 13, 13)),
        "fc6": ((256 * 6 * 6,), (4096,)),
        "fc7": ((4096,), (4096,)),
        "fc8": ((4096,), (1000,)),
    }
    assert pooled(torch.empty(2, 256, 13, 13)).shape == (2, 256, 6, 6)


def test_it_has_as_many_numbers_as_the_reference() -> None:
    assert sum(parameter.numel() for parameter in hollow().parameters()) == 60_965_224


def test_pooling_rounds_up_as_caffe_does() -> None:
    found = pooled(torch.arange(36.0).view(1, 1, 6, 6))
    # 2.5 windows fit: the third sees two pixels only
    assert found.flatten().tolist() == [14, 16, 17, 26, 28, 29, 32, 34, 35]


@pytest.mark.parametrize(("layer", "inputs", "outputs"), [("conv2", 96, 256), ("conv4", 384, 384), ("conv5", 384, 256)])
def test_each_group_sees_only_its_channels(layer: str, inputs: int, outputs: int, net: CaffeNet) -> None:
    convolution = net.get_submodule(layer)
    x = torch.rand(1, inputs, 5, 5, generator=torch.Generator().manual_seed(2))
    for group in (0, 1):
        changed = x.clone()
        changed[:, group * inputs // 2 : (group + 1) * inputs // 2] += 1.0
        differs = (convolution(changed) - convolution(x)).abs().amax(dim=(0, 2, 3)) > 1e-4
        expected = torch.zeros(outputs, dtype=torch.bool)
        expected[group * outputs // 2 : (group + 1) * outputs // 2] = True
        assert torch.equal(differs, expected)


def test_a_grouped_convolution_by_hand() -> None:
    net = hollow()
    weight = torch.zeros(256, 48, 5, 5)
    weight[0, 3, 2, 2] = 2.0  # the fourth channel of the first group
    weight[128, 3, 2, 2] = 5.0  # the fourth of the second: channel 51 of all
    weight[129, 0, 2, 3] = 1.0  # the pixel on the right, of channel 48
    net.conv2.weight, net.conv2.bias = nn.Parameter(weight), nn.Parameter(torch.zeros(256))
    x = torch.zeros(1, 96, 1, 2)
    x[0, 3], x[0, 51], x[0, 48] = torch.tensor([[1.0, 2.0]]), torch.tensor([[10.0, 20.0]]), torch.tensor([[7.0, 8.0]])
    found = net.conv2(x)
    assert found[0, 0].tolist() == [[2.0, 4.0]]
    assert found[0, 128].tolist() == [[50.0, 100.0]]
    assert found[0, 129].tolist() == [[8.0, 0.0]]
    assert int(found.count_nonzero()) == 5


def test_local_response_normalisation_by_hand() -> None:
    x = torch.tensor([100.0, 200.0, 0.0, 300.0, 400.0, 500.0]).view(1, 6, 1, 1)
    # sums of squares over the channel and two on either side, in 10,000s: 1 + 4 + 0, 1 + 4 + 0 + 9, and so on
    sums = [5, 14, 30, 54, 50, 50]
    expected = [value / (1 + 1e-4 / 5 * 1e4 * total) ** 0.75 for value, total in zip(x.flatten(), sums, strict=True)]
    torch.testing.assert_close(normalised(x).flatten(), torch.stack(expected))
    assert normalised(x)[0, 0, 0, 0].item() == pytest.approx(100 / 2**0.75)
    assert normalised(x)[0, 3, 0, 0].item() == pytest.approx(300 / 11.8**0.75)


def test_half_precision_does_not_overflow_in_the_squares() -> None:
    x = torch.full((1, 5, 1, 1), 1000.0)
    torch.testing.assert_close(normalised(x.half()), normalised(x), rtol=1e-3, atol=0)


def by_hand(x: Tensor) -> Tensor:
    """Maxima of 3 x 3 pixels, then each channel by its own and two on either side: numpy, in double precision."""
    pixels = x.double().numpy()
    rows = range(0, pixels.shape[2] - 2, 2)
    pool = np.stack(
        [np.stack([pixels[:, :, r : r + 3, c : c + 3].max((2, 3)) for c in rows], axis=-1) for r in rows], axis=-2
    )
    near = [np.square(pool[:, max(0, c - 2) : c + 3]).sum(1) for c in range(pool.shape[1])]
    return torch.from_numpy(pool / (1 + 2e-5 * np.stack(near, 1)) ** 0.75)


@pytest.mark.parametrize(("before", "after"), [("conv1", "conv2"), ("conv2", "conv3")])
def test_pooling_comes_before_normalisation(before: str, after: str, net: CaffeNet, images: Tensor) -> None:
    kept: dict[str, Tensor] = {}
    handles = [
        net.get_submodule(before).register_forward_hook(lambda _module, _inputs, output: kept.update(left=output)),
        net.get_submodule(after).register_forward_pre_hook(lambda _module, inputs: kept.update(entered=inputs[0])),
    ]
    net(images[:1])
    for handle in handles:
        handle.remove()
    left = torch.relu(kept["left"])
    torch.testing.assert_close(kept["entered"].double(), by_hand(left), rtol=1e-5, atol=1e-5)
    assert (kept["entered"] - pooled(normalised(left))).abs().max() > 1e-2, "the other order would have passed too"


def group_by_group(net: CaffeNet, x: Tensor) -> dict[str, Tensor]:
    """The network written out: halves of the channels by halves of the filters."""

    def convolved(name: str, x: Tensor, padding: int, stride: int = 1) -> Tensor:
        layer = net.get_submodule(name)
        weight, bias = layer.get_parameter("weight"), layer.get_parameter("bias")
        halves = 1 if weight.shape[1] == x.shape[1] else 2
        parts = zip(x.chunk(halves, 1), weight.chunk(halves), bias.chunk(halves), strict=True)
        return torch.cat([functional.conv2d(*part, padding=padding, stride=stride) for part in parts], 1).clamp(min=0)

    x = by_hand(convolved("conv1", x, 0, 4)).float()
    x = by_hand(convolved("conv2", x, 2)).float()
    for name in ("conv3", "conv4", "conv5"):
        x = convolved(name, x, 1)
    x = x.unfold(2, 3, 2).unfold(3, 3, 2).amax((4, 5)).reshape(len(x), -1)
    fc6 = (x @ net.fc6.weight.T + net.fc6.bias).clamp(min=0)
    fc7 = (fc6 @ net.fc7.weight.T + net.fc7.bias).clamp(min=0)
    return {"fc6": fc6, "fc7": fc7, "logits": fc7 @ net.fc8.weight.T + net.fc8.bias}


def test_every_layer_is_that_of_the_network_written_out(net: CaffeNet, images: Tensor) -> None:
    for layer, expected in group_by_group(net, images).items():
        ending = hollow()
        ending.load_state_dict(net.state_dict(), assign=True)
        cut(ending, NETWORKS["caffenet"].layers[layer])
        found = ending(images)
        assert layer == "logits" or found.min() == 0, "after ReLU"
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))


def test_a_known_pixel_becomes_blue_green_red_less_the_mean() -> None:
    seen = Normalised(nn.Identity(), INPUT)
    colour = torch.tensor([10, 20, 30], dtype=torch.uint8).view(1, 3, 1, 1)
    expected = torch.tensor([30 - 104.0070, 20 - 116.6688, 10 - 122.6789])
    torch.testing.assert_close(seen(colour).flatten(), expected, rtol=0, atol=1e-4)
    grey = torch.tensor([50], dtype=torch.uint8).view(1, 1, 1, 1)
    expected = torch.tensor([50 - 104.0070, 50 - 116.6688, 50 - 122.6789])
    torch.testing.assert_close(seen(grey).flatten(), expected, rtol=0, atol=1e-4)
    assert str(INPUT).startswith("BGR 227, mean 0.407871 0.457525 0.481094")


def test_a_text_of_other_networks_may_ask_for_blue_first() -> None:
    blue, red = parse_input("BGR 8, mean 0.5, std 0.25"), parse_input("RGB 8, mean 0.5, std 0.25")
    x = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    torch.testing.assert_close(Normalised(nn.Identity(), blue)(x.flip(1)), Normalised(nn.Identity(), red)(x))
    assert str(blue) != str(red), "fingerprints differ"


@pytest.fixture(scope="module")
def whole(net: CaffeNet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """The network as a file of Caffe's first format, and converted."""
    folder = tmp_path_factory.mktemp("whole")
    weights = {
        name: (module.get_parameter("weight").numpy(), module.get_parameter("bias").numpy())
        for name, module in net.named_children()
    }
    (folder / "net.caffemodel").write_bytes(caffe_file(weights, old=True))
    save_file(dict(read_weights(folder / "net.caffemodel").tensors), folder / "net.safetensors")
    yield {path.suffix: path for path in folder.iterdir()}
    shutil.rmtree(folder)  # half a gigabyte


def backbone(path: Path, layers: str) -> Backbone:
    return load_backbone(f"caffenet:{layers}", weights=path, runtime=Runtime(batch=8))


def test_a_whole_file_of_caffe_gives_the_layers_of_the_thesis(net: CaffeNet, whole: dict[str, Path]) -> None:
    both = backbone(whole[".caffemodel"], "fc6+fc7")
    assert [(layer.name, layer.n_features) for layer in both.layers] == [("fc6", 4096), ("fc7", 4096)]
    grey = torch.randint(0, 256, (2, 1, 96, 96), generator=torch.Generator().manual_seed(3), dtype=torch.uint8)
    large = functional.interpolate(grey.float(), (227, 227), mode="bilinear").expand(-1, 3, -1, -1)
    mean = torch.tensor([104.0070, 116.6688, 122.6789]).view(1, 3, 1, 1)
    expected = group_by_group(net, large - mean)
    features = torch.from_numpy(both.features(grey))
    for name, columns in zip(("fc6", "fc7"), both.columns(), strict=True):
        scale = float(expected[name].abs().max())
        torch.testing.assert_close(features[:, columns], expected[name], rtol=1e-3, atol=1e-3 * scale)


def test_a_converted_file_is_the_same_backbone(whole: dict[str, Path]) -> None:
    first, second = (backbone(whole[suffix], "fc6") for suffix in (".caffemodel", ".safetensors"))
    assert first.fingerprint == second.fingerprint


def test_layers_of_vgg_are_its_first_and_second_of_4096_units_after_relu() -> None:
    with torch.device("meta"):
        from torchvision.models import vgg16

        parts = list(vgg16().classifier)
    for layer, last in (("fc14", 0), ("fc15", 3)):
        name, (found,) = find_layers(f"vgg16:{layer}")
        kept = NETWORKS[name].layers[found]["classifier"]
        assert [type(part) for part in parts[last:kept]] == [nn.Linear, nn.ReLU]
        assert parts[last].out_features == 4096
        assert not any(isinstance(part, nn.Linear) for part in parts[last + 1 : kept])
    assert [part.in_features for part in parts if isinstance(part, nn.Linear)] == [512 * 7 * 7, 4096, 4096]
    assert parse_input(NETWORKS["vgg16"].input).size == 224
