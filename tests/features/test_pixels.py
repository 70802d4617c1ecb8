"""Pixels: sizes, channels, and normalisation."""

import numpy as np
import pytest
import torch
from torch import nn

from acqplan.errors import ImageError, WeightsError
from acqplan.features.pixels import Normalised, Preprocessing, parse_input, resized, stack

IMAGENET = parse_input("RGB 20, mean 0.485 0.456 0.406, std 0.229 0.224 0.225")
EQUAL = parse_input("RGB 20, mean 0.5, std 0.5")
GREY = parse_input("grey 20, mean 0.4, std 0.3")


def images(channels: int, *size: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (2, channels, *size), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize("preprocessing", [IMAGENET, EQUAL, GREY], ids=str)
@pytest.mark.parametrize(("padding", "stride"), [(0, 2), (3, 1)])
def test_pixels_are_expanded_and_normalised(preprocessing: Preprocessing, padding: int, stride: int) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(preprocessing.channels, 5, 7, stride, padding)
    mean, std = (torch.tensor(v).view(1, -1, 1, 1) for v in (preprocessing.mean, preprocessing.std))
    for channels in {1, preprocessing.channels}:
        x = images(channels, 20, 20)
        before = x.clone()
        with torch.inference_mode():
            expected = conv((x.expand(-1, preprocessing.channels, -1, -1) / 255.0 - mean) / std)
            torch.testing.assert_close(Normalised(conv, preprocessing)(x), expected, rtol=1e-4, atol=1e-4)
        assert torch.equal(x, before)


def test_grey_reaches_a_colour_network_with_one_channel() -> None:
    assert resized(images(1, 40, 30), IMAGENET).shape == (2, 1, 20, 20)
    assert resized(images(1, 20, 20), IMAGENET).dtype == torch.uint8


def test_colour_reaches_a_grey_network_as_luminance() -> None:
    red = torch.zeros(1, 3, 20, 20, dtype=torch.uint8)
    red[:, 0] = 200
    torch.testing.assert_close(resized(red, GREY), torch.full((1, 1, 20, 20), 0.299 * 200))


@pytest.mark.parametrize("size", [(1, 1), (13, 57), (20, 21), (500, 3)])
def test_resizing_keeps_flat_images_flat(size: tuple[int, int]) -> None:
    flat = torch.full((1, 1, *size), 77, dtype=torch.uint8)
    torch.testing.assert_close(resized(flat, GREY).float(), torch.full((1, 1, 20, 20), 77.0), rtol=1e-5, atol=1e-3)


def test_shrinking_averages_instead_of_skipping() -> None:
    stripes = torch.zeros(1, 1, 200, 200, dtype=torch.uint8)
    stripes[..., ::2] = 200
    assert float((resized(stripes, GREY) - 100).abs().max()) < 5


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1), (4, 5, 3)])
def test_stack_puts_channels_first(shape: tuple[int, ...]) -> None:
    arrays = [np.random.default_rng(row).integers(0, 256, shape, dtype=np.uint8) for row in range(3)]
    together = stack(arrays)
    assert together.shape == (3, 3 if shape[2:] == (3,) else 1, 4, 5)
    np.testing.assert_array_equal(together[1].permute(1, 2, 0).numpy().reshape(shape), arrays[1])


@pytest.mark.parametrize(
    "image",
    [np.zeros((4, 5, 4), np.uint8), np.zeros((4, 5), np.uint16), np.zeros((0, 5), np.uint8), np.zeros(4, np.uint8)],
)
def test_stack_refuses_what_is_neither_grey_nor_colour_bytes(image: np.ndarray) -> None:
    with pytest.raises(ImageError, match="shape"):
        stack([image])


@pytest.mark.parametrize(
    "text", ["RGB 224, mean 0.5, std 0.5", "grey 96, mean 0.5, std 0.25", "RGB 8, mean 0 1 2, std 1 2 3"]
)
def test_input_text_is_read_back_as_written(text: str) -> None:
    preprocessing = parse_input(text)
    assert parse_input(str(preprocessing)) == preprocessing


@pytest.mark.parametrize(
    "text",
    [
        "",
        "RGB",
        "GBR 224, mean 0, std 1",
        "RGB 224, mean 0.5 0.5, std 1",
        "grey 9, mean ., std 1",
        "grey 0, mean 0, std 1",
        "grey 9, mean 0, std 0",
    ],
)
def test_input_text_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(WeightsError, match="not understood"):
        parse_input(text)


def test_images_that_are_resized_one_by_one_are_what_they_are_together(monkeypatch: pytest.MonkeyPatch) -> None:
    many = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (6, 480, 640, 3), dtype=np.uint8)).permute(
        0, 3, 1, 2
    )
    for given in (many, many[:, :1]):
        for preprocessing in (parse_input("RGB 224, mean 0.5, std 0.5"), parse_input("grey 96, mean 0, std 1")):
            found = resized(given, preprocessing)
            monkeypatch.setattr("acqplan.features.pixels.AT_ONCE", 10**9)
            assert torch.equal(found, resized(given, preprocessing))
            monkeypatch.undo()
