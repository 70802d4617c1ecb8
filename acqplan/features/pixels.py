"""From images of any size, grey or colour, to what a network's first layer takes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Num, UInt8
from torch import Tensor, nn
from torch.nn import functional

from acqplan.errors import ImageError, WeightsError

LUMINANCE = (0.299, 0.587, 0.114)
"""Grey from red, green and blue (ITU-R BT.601), as Pillow does it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """What a network expects of its input.

    The whole image is resized to a square, bilinear with antialiasing; nothing is cropped, since an
    object at the border is part of the view that was planned.

    Attributes:
        channels: 1 for grey, 3 for red, green and blue.
        size: Height and width, pixels.
        mean: Of each channel, for values in ``[0, 1]``.
        std: Of each channel.
    """

    channels: int
    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        if self.size < 1 or min(self.std) <= 0:
            raise ValueError(f"size {self.size} and standard deviations {self.std} must be above zero")

    def __str__(self) -> str:
        kind = "grey" if self.channels == 1 else "RGB"
        return f"{kind} {self.size}, mean {_joined(self.mean)}, std {_joined(self.std)}"


def parse_input(text: str) -> Preprocessing:
    """Read e.g. ``RGB 224, mean 0.5, std 0.5``, as files of weights say it in their metadata.

    Raises:
        WeightsError: If the text is not of that form.
    """
    match = re.fullmatch(r"(RGB|grey) (\d+), mean ([\d. ]+), std ([\d. ]+)", text)
    try:
        kind, size, mean, std = match.groups() if match else ()
        channels = 3 if kind == "RGB" else 1
        preprocessing = Preprocessing(
            channels=channels, size=int(size), mean=_per_channel(mean, channels), std=_per_channel(std, channels)
        )
    except ValueError as error:
        raise WeightsError(f"input '{text}' is not understood", "write e.g. 'RGB 224, mean 0.5, std 0.5'") from error
    return preprocessing


def stack(
    images: Sequence[UInt8[np.ndarray, "height width *channels"]],
) -> UInt8[Tensor, "images channels height width"]:
    """Put images of one shape into one tensor.

    Args:
        images: Bytes, grey ``[height, width]`` or ``[height, width, 1]``, or colour ``[height, width, 3]``.

    Raises:
        ImageError: If they are neither grey nor colour, not bytes, or without pixels.
    """
    shape, kind = images[0].shape, images[0].dtype
    if kind != np.uint8 or len(shape) not in (2, 3) or shape[2:] not in ((), (1,), (3,)) or 0 in shape:
        raise ImageError(f"an image of shape {list(shape)} and type {kind}", "give bytes, [height, width] or [.., 3]")
    together = torch.from_numpy(np.stack(images))
    return together[:, None] if together.ndim == 3 else together.permute(0, 3, 1, 2)


def resized(
    images: UInt8[Tensor, "images channels height width"], preprocessing: Preprocessing
) -> Num[Tensor, "images kept size size"]:
    """Bring images to the size of the network, and to grey if it sees grey.

    Grey images stay grey for a colour network: `FoldedConv` sees to that.

    Returns:
        Values in ``0 .. 255``, shape ``[images, kept, size, size]``; bytes if nothing had to be done.
    """
    if preprocessing.channels == 1 and images.shape[1] == 3:
        weights = torch.tensor(LUMINANCE, device=images.device).view(1, 3, 1, 1)
        return _interpolated((images * weights).sum(dim=1, keepdim=True), preprocessing.size)
    return _interpolated(images, preprocessing.size)


class FoldedConv(nn.Module):
    """A network's first convolution, with the normalisation of pixels folded into its weights.

    Takes values in ``0 .. 255``. For grey images the weights are summed over the channels, so that
    grey is never expanded to colour. Both are exact also at the zero-padded border, where zero stands
    for the mean of each channel: where the channels' means differ, their difference enters as one more
    channel of ones, which the padding cuts off as it cuts off the image.

    Args:
        conv: The convolution of normalised images.
        preprocessing: Mean and standard deviation of each of its channels.
    """

    grey: Tensor
    colour: Tensor

    def __init__(self, conv: nn.Conv2d, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.conv = conv
        mean, std = (torch.tensor(v, dtype=torch.float64).view(1, -1, 1, 1) for v in _levels(preprocessing))
        self.shift = float(mean.mean())
        scaled = conv.weight.detach().double() / std
        ones = [] if bool((mean == mean[:, :1]).all()) else [(scaled * (self.shift - mean)).sum(1, keepdim=True)]
        self.register_buffer("grey", torch.cat([scaled.sum(1, keepdim=True), *ones], 1).float())
        self.register_buffer("colour", torch.cat([scaled, *ones], 1).float())

    def forward(self, x: Num[Tensor, "images channels height width"]) -> Float[Tensor, "images outputs rows columns"]:
        """Normalise and convolve, in float32 whatever the precision of the rest.

        Args:
            x: Values in ``0 .. 255`` with 1 or 3 channels.
        """
        weight = self.grey if x.shape[1] == 1 else self.colour
        with torch.autocast(x.device.type, enabled=False):
            x = torch.sub(x, self.shift)
            if weight.shape[1] > x.shape[1]:
                x = torch.cat([x, torch.ones_like(x[:, :1])], 1)
            conv = self.conv
            return functional.conv2d(x, weight, conv.bias, conv.stride, conv.padding, conv.dilation)


class Normalised(nn.Module):
    """A network behind the plain normalisation of pixels, for first layers that cannot be folded."""

    mean: Tensor
    std: Tensor

    def __init__(self, net: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.net, self.channels = net, preprocessing.channels
        mean, std = _levels(preprocessing)
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))

    def forward(self, x: Num[Tensor, "images kept height width"]) -> Float[Tensor, "images features"]:
        """Features of values in ``0 .. 255``."""
        out: Tensor = self.net((x.expand(-1, self.channels, -1, -1) - self.mean) / self.std)
        return out


def _levels(preprocessing: Preprocessing) -> tuple[list[float], list[float]]:
    return [255.0 * value for value in preprocessing.mean], [255.0 * value for value in preprocessing.std]


def _interpolated(images: Num[Tensor, "images channels height width"], size: int) -> Num[Tensor, "images c size size"]:
    if images.shape[-2:] == (size, size):
        return images
    shrinks = min(images.shape[-2:]) > size or max(images.shape[-2:]) > size
    return functional.interpolate(images.float(), (size, size), mode="bilinear", antialias=shrinks)


def _joined(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:g}" for value in values)


def _per_channel(text: str, channels: int) -> tuple[float, ...]:
    values = tuple(map(float, text.split()))
    if len(values) not in (1, channels):
        raise ValueError(f"{len(values)} values for {channels} channels")
    return values * channels if len(values) == 1 else values
