"""The spatial transformer: identity at the start, known transformations, gradients."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates
from torch import Tensor, nn

from acqplan.features.backbone import load_backbone
from acqplan.features.pixels import resized
from acqplan.runtime import Runtime
from acqplan.study.transformer import AFFINE, PROJECTIVE, SIZE, SpatialTransformer, projective_grid

FORMS = pytest.mark.parametrize("projective", [False, True], ids=["affine", "projective"])


def images(n: int = 3, seed: int = 0) -> Tensor:
    return torch.rand(n, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(seed)) * 255


def last(net: SpatialTransformer) -> nn.Linear:
    layer = net.localisation[-1]
    assert isinstance(layer, nn.Linear)
    return layer


def fixed(*parameters: float) -> SpatialTransformer:
    """A transformer that does the same to every image."""
    net = SpatialTransformer(projective=len(parameters) == len(PROJECTIVE)).requires_grad_(False)
    last(net).bias.copy_(torch.tensor(parameters))
    return net


def seen_by_scipy(image: Tensor, matrix: np.ndarray[Any, np.dtype[np.float64]]) -> Tensor:
    """A matrix on places between -1 and 1 of one image, zero outside: scipy, in double precision."""
    size = image.shape[-1]
    rows, columns = np.mgrid[0:size, 0:size]
    places = np.stack([(2 * columns + 1) / size - 1, (2 * rows + 1) / size - 1, np.ones((size, size))])
    x, y, depth = np.einsum("ij,jhw->ihw", matrix, places)
    pixels = [((place / depth + 1) * size - 1) / 2 for place in (y, x)]
    found = map_coordinates(image.double().numpy(), pixels, order=1, mode="grid-constant", cval=0.0)
    return torch.from_numpy(found)


@FORMS
@pytest.mark.parametrize("top", [1.0, 255.0])
def test_it_starts_as_the_identity(projective: bool, top: float) -> None:
    before = images() / 255 * top
    after, parameters = SpatialTransformer(projective=projective)(before)
    assert after.shape == before.shape
    torch.testing.assert_close(after, before, rtol=0, atol=1e-5 * top)
    torch.testing.assert_close(parameters, torch.tensor([PROJECTIVE if projective else AFFINE] * 3), rtol=0, atol=0)


def test_layers_are_those_of_the_thesis() -> None:
    net, shapes = SpatialTransformer(), []
    for layer in net.localisation:
        layer.register_forward_hook(lambda _layer, _inputs, output: shapes.append(tuple(output.shape[1:])))
    net(images(1))
    assert list(dict.fromkeys(shapes)) == [
        (32, 92, 92), (32, 46, 46), (32, 42, 42), (32 * 42 * 42,), (64,), (6,)
    ]  # fmt: skip
    counts = [25 * 32 + 32, 25 * 32 * 32 + 32, 32 * 42 * 42 * 64 + 64, 64 * 6 + 6]
    assert sum(parameter.numel() for parameter in net.parameters()) == sum(counts)


def test_bytes_are_taken_as_they_are() -> None:
    grey = images().byte()
    torch.testing.assert_close(SpatialTransformer()(grey)[0], grey.float(), rtol=0, atol=1e-5 * 255)


@pytest.mark.parametrize(("right", "down"), [(7, 0), (0, -5), (-20, 11)])
def test_a_shift_by_whole_pixels_moves_every_pixel(right: int, down: int) -> None:
    before = images()
    after, _ = fixed(1, 0, -2 * right / SIZE, 0, 1, -2 * down / SIZE)(before)
    expected = torch.zeros_like(before)
    kept = [slice(max(0, by), SIZE + min(0, by)) for by in (down, right)]
    expected[:, :, kept[0], kept[1]] = torch.roll(before, (down, right), (2, 3))[:, :, kept[0], kept[1]]
    torch.testing.assert_close(after, expected, rtol=0, atol=1e-2)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_quarter_turns_are_exact(quarters: int) -> None:
    angle = math.radians(90 * quarters)
    before = images()
    after, _ = fixed(math.cos(angle), -math.sin(angle), 0, math.sin(angle), math.cos(angle), 0)(before)
    torch.testing.assert_close(after, torch.rot90(before, quarters, (2, 3)), rtol=0, atol=1e-2)


def test_half_the_scale_shows_the_middle_at_twice_the_size() -> None:
    ramp = torch.arange(float(SIZE)).expand(1, 1, SIZE, SIZE).clone()
    after, _ = fixed(0.5, 0, 0, 0, 0.5, 0)(ramp)
    expected = torch.arange(SIZE) / 2 + SIZE / 4 - 0.25
    torch.testing.assert_close(after[0, 0, 48], expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    "parameters",
    [
        (1.3 * math.cos(0.4), -1.3 * math.sin(0.4), 0.2, 1.3 * math.sin(0.4), 1.3 * math.cos(0.4), -0.1),
        (0.7, 0.3, 0.15, -0.2, 0.9, 0.05),
        (1.0, 0.1, 0.0, -0.1, 0.9, 0.1, 0.3, -0.2),
        (0.8, 0.0, -0.3, 0.2, 1.1, 0.0, -0.4, 0.5),
    ],
    ids=["turned and scaled", "sheared", "tilted", "tilted and moved"],
)
def test_transformations_agree_with_scipy(parameters: tuple[float, ...]) -> None:
    before = images(2)
    after, found = fixed(*parameters)(before)
    torch.testing.assert_close(found[1], torch.tensor(parameters))
    matrix = np.array([*parameters, *(0.0, 0.0, 1.0)[len(parameters) - 6 :]]).reshape(3, 3)
    for seen, image in zip(after, before, strict=True):
        torch.testing.assert_close(seen[0].double(), seen_by_scipy(image[0], matrix), rtol=0, atol=2e-2)


def test_without_perspective_the_homography_is_the_affine_map() -> None:
    affine = (0.9, 0.2, 0.1, -0.3, 1.1, -0.2)
    torch.testing.assert_close(
        fixed(*affine)(images())[0], fixed(*affine, 0, 0)(images())[0], rtol=0, atol=2e-2
    )  # fmt: skip


def test_what_lies_beyond_the_horizon_is_black_and_its_gradients_are_finite() -> None:
    # depth is 1 - 2 x: the right of the image lies beyond
    net = fixed(1, 0, 0, 0, 1, 0, -2, 0).requires_grad_(True)
    after, _ = net(images() + 1)
    assert after[..., SIZE * 3 // 4 :].abs().max() == 0
    assert after[..., : SIZE // 2].min() > 0
    after.square().mean().backward()
    gradient = last(net).bias.grad
    assert gradient is not None
    assert torch.isfinite(gradient).all()


def test_each_image_has_its_own_transformation() -> None:
    net = SpatialTransformer(seed=3)
    with torch.no_grad():
        last(net).weight.normal_(0, 0.1, generator=torch.Generator().manual_seed(0))
    together, parameters = net(images())
    assert not torch.allclose(parameters[0], parameters[1])
    for row in range(3):
        alone, own = net(images()[row : row + 1])
        torch.testing.assert_close(alone[0], together[row], rtol=1e-4, atol=0.1)
        torch.testing.assert_close(own[0], parameters[row], rtol=1e-4, atol=1e-4)


@FORMS
def test_gradients_reach_the_localisation_network_through_a_frozen_backbone(projective: bool) -> None:
    backbone = load_backbone("toynet-untrained", runtime=Runtime())
    net, x = SpatialTransformer(projective=projective), images(4)
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-6)
    for step in (1, 2):
        optimiser.zero_grad()
        after, _ = net(x)
        backbone.module(resized(after, backbone.preprocessing)).square().sum().backward()
        reached = {name for name, tensor in net.named_parameters() if tensor.grad is not None and tensor.grad.any()}
        if step == 1:
            assert reached == {"localisation.8.weight", "localisation.8.bias"}, "zeros in front keep the identity"
        optimiser.step()
    assert reached == {name for name, _ in net.named_parameters()}
    assert all(parameter.grad is None for parameter in backbone.module.parameters())


@FORMS
def test_gradients_are_those_of_finite_differences(projective: bool) -> None:
    net = SpatialTransformer(projective=projective, size=20, seed=1).double()
    bias = last(net).bias
    smooth = torch.linspace(0, 3, 20, dtype=torch.float64).sin()
    image = (smooth[:, None] * smooth * 255).view(1, 1, 20, 20)
    with torch.no_grad():  # off the places of pixels, where a bilinear sampler has corners
        bias.add_(0.01 * torch.arange(1, len(bias) + 1))
    loss = net(image)[0].square().mean()
    loss.backward()
    for number in range(len(bias)):
        with torch.no_grad():
            bias[number] += 1e-6
            more = net(image)[0].square().mean()
            bias[number] -= 2e-6
            less = net(image)[0].square().mean()
            bias[number] += 1e-6
        assert bias.grad is not None
        assert float(bias.grad[number]) == pytest.approx(float(more - less) / 2e-6, rel=1e-4)


@FORMS
def test_it_learns_a_shift(projective: bool) -> None:
    y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    blob = 255 * torch.exp(-((x - 48.0) ** 2 + (y - 48.0) ** 2) / 400).view(1, 1, SIZE, SIZE)
    target = torch.roll(blob, 6, 3)
    net = SpatialTransformer(projective=projective)
    optimiser = torch.optim.Adam([last(net).bias], lr=5e-3)
    for _ in range(60):
        optimiser.zero_grad()
        (net(blob)[0] - target).square().mean().backward()
        optimiser.step()
    assert net(blob)[1][0, 2].item() == pytest.approx(-12 / SIZE, abs=0.02)


@FORMS
def test_weights_come_from_the_seed_alone(projective: bool) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = SpatialTransformer(projective=projective, seed=5)
    assert torch.equal(torch.get_rng_state(), before), "the caller's random numbers stay"
    torch.manual_seed(2)
    second, other = (SpatialTransformer(projective=projective, seed=seed) for seed in (5, 6))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not torch.equal(next(first.parameters()), next(other.parameters()))
    bound = math.sqrt(6 / (25 + 25 * 32))
    assert 0.9 * bound < next(first.parameters()).abs().max().item() <= bound, "Glorot's bound"


def test_a_grid_of_the_identity_is_that_of_torch() -> None:
    affine = torch.tensor([AFFINE, (0.5, 0.1, 0.2, -0.1, 0.7, 0.3)])
    theirs = torch.nn.functional.affine_grid(affine.view(-1, 2, 3), [2, 1, 7, 7], align_corners=False)
    ours = projective_grid(torch.nn.functional.pad(affine, (0, 2)), 7)
    torch.testing.assert_close(ours, theirs)
