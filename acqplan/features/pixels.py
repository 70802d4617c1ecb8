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

    The whole image is resized to a square, bilinear with antialiasing. Nothing is cropped: an object at the
    border is part of the planned view.

    Attributes:
        channels: 1 for grey, 3 for red, green and blue.
        size: Height and width, pixels.
        mean: Mean of each channel, for values in ``[0, 1]``.
        std: Standard deviation of each channel.
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
        mean, std = (" ".join(f"{value:g}" for value in values) for values in (self.mean, self.std))
        return f"{kind} {self.size}, mean {mean}, std {std}"


def parse_input(text: str) -> Preprocessing:
    """Read a text such as ``RGB 224, mean 0.5, std 0.5``, which files of weights hold in their metadata.

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
    """Bring images to the size of the network, and to grey if the network takes grey.

    Grey images stay grey for a colour network: `Normalised` expands them.

    Returns:
        Values in ``0 .. 255``, shape ``[images, kept, size, size]``; bytes if nothing had to be done.
    """
    pixels: Tensor = images
    if preprocessing.channels == 1 and images.shape[1] == 3:
        weights = torch.tensor(LUMINANCE, device=images.device).view(1, 3, 1, 1)
        pixels = (images * weights).sum(dim=1, keepdim=True)
    size = (preprocessing.size, preprocessing.size)
    if pixels.shape[-2:] == size:
        return pixels
    shrinks = max(pixels.shape[-2:]) > preprocessing.size
    return functional.interpolate(pixels.float(), size, mode="bilinear", antialias=shrinks)


class Normalised(nn.Module):
    """A network behind the normalisation of pixels; a grey image is expanded to the channels of the network."""

    mean: Tensor
    std: Tensor

    def __init__(self, net: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.net, self.channels = net, preprocessing.channels
        self.register_buffer("mean", torch.tensor([255.0 * mean for mean in preprocessing.mean]).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor([255.0 * std for std in preprocessing.std]).view(1, -1, 1, 1))

    def forward(self, x: Num[Tensor, "images kept height width"]) -> Float[Tensor, "images features"]:
        """Features of values in ``0 .. 255``."""
        # In place: one more copy of the batch cost 6 % of a forward pass of MobileNetV2 on colour images.
        pixels = torch.sub(x.expand(-1, self.channels, -1, -1), self.mean).div_(self.std)
        out: Tensor = self.net(pixels)
        return out


def _per_channel(text: str, channels: int) -> tuple[float, ...]:
    values = tuple(map(float, text.split()))
    if len(values) not in (1, channels):
        raise ValueError(f"{len(values)} values for {channels} channels")
    return values * channels if len(values) == 1 else values
