"""Pixels of images of any size, grey or colour: as networks take them, and as histograms of their gradients."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Num, UInt8
from torch import Tensor, nn
from torch.nn import functional

from acqplan.errors import ImageError, WeightsError

# Grey from red, green and blue (ITU-R BT.601), as Pillow does it.
LUMINANCE = (0.299, 0.587, 0.114)
# Bytes of images above which they are resized one by one in main memory: each becomes a float meanwhile.
AT_ONCE = 4_000_000
N_ORIENTATIONS = 9
# Side of a cell, pixels: 8 x 8 cells of an image of 96 pixels, so 576 features.
CELL = 12
# No orientation counts for more of its block (Dalal and Triggs; Lowe's choice for SIFT).
CLIP = 0.2


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
        bgr: Whether colours come as blue, green and red, as in Caffe.
    """

    channels: int
    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    bgr: bool = False

    def __post_init__(self) -> None:
        if self.size < 1 or min(self.std) <= 0:
            raise ValueError(f"size {self.size} and standard deviations {self.std} must be above zero")

    def __str__(self) -> str:
        kind = "grey" if self.channels == 1 else "BGR" if self.bgr else "RGB"
        mean, std = (" ".join(f"{value:g}" for value in values) for values in (self.mean, self.std))
        return f"{kind} {self.size}, mean {mean}, std {std}"


def parse_input(text: str) -> Preprocessing:
    """Read a text such as ``RGB 224, mean 0.5, std 0.5``, which files of weights hold in their metadata.

    Raises:
        WeightsError: If the text is not of that form.
    """
    match = re.fullmatch(r"(RGB|BGR|grey) (\d+), mean ([\d. ]+), std ([\d. ]+)", text)
    try:
        kind, size, *texts = match.groups() if match else ()
        channels = 1 if kind == "grey" else 3
        mean, std = (tuple(map(float, values.split())) for values in texts)
        if {len(mean), len(std)} - {1, channels}:
            raise ValueError(f"{len(mean)} means and {len(std)} deviations for {channels} channels")
        mean, std = (values * (channels // len(values)) for values in (mean, std))
        return Preprocessing(channels=channels, size=int(size), mean=mean, std=std, bgr=kind == "BGR")
    except ValueError as error:
        raise WeightsError(f"input '{text}' is not understood", "write e.g. 'RGB 224, mean 0.5, std 0.5'") from error


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
    if images.device.type == "cpu" and len(images) > 1 and images.numel() > AT_ONCE:
        return torch.cat([resized(image[None], preprocessing) for image in images])
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
        self.net, self.channels, self.bgr = net, preprocessing.channels, preprocessing.bgr
        self.register_buffer("mean", torch.tensor([255.0 * mean for mean in preprocessing.mean]).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor([255.0 * std for std in preprocessing.std]).view(1, -1, 1, 1))

    def forward(self, x: Num[Tensor, "images kept height width"]) -> Float[Tensor, "images features"]:
        """Features of values in ``0 .. 255``."""
        x = x.flip(1) if self.bgr else x
        # In place: one more copy of the batch cost 6 % of a forward pass of MobileNetV2 on colour images.
        pixels = torch.sub(x.expand(-1, self.channels, -1, -1), self.mean).div_(self.std)
        out: Tensor = self.net(pixels)
        return out


class Histogram(nn.Module):
    """Histograms of gradient directions in cells, normalised by their blocks.

    Source:
        N. Dalal, B. Triggs, CVPR 2005; each cell is normalised by the four blocks of 2 x 2 cells that
        hold it and averaged, as in P. Felzenszwalb et al., PAMI 32 (2010) 1627, sec. 6, which keeps a
        quarter of the numbers.
    """

    def forward(self, x: Float[Tensor, "images 1 height width"]) -> Float[Tensor, "images features"]:
        """Features of grey images.

        Args:
            x: Values in ``[0, 1]``, sides multiples of 12 pixels, shape ``[images, 1, height, width]``.

        Returns:
            Features in ``[0, 0.2]``, shape ``[images, 9 * cells]``, orientations varying slowest.
        """
        # 1. Each pixel's gradient, shared linearly between the two orientations next to its own.
        padded = functional.pad(x, (1, 1, 1, 1), mode="replicate")
        across = padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]
        down = padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]
        place = torch.atan2(down, across) * (N_ORIENTATIONS / math.pi)
        centres = torch.arange(N_ORIENTATIONS, device=x.device, dtype=x.dtype).view(1, -1, 1, 1)
        apart = torch.remainder(place - centres + N_ORIENTATIONS / 2, N_ORIENTATIONS) - N_ORIENTATIONS / 2
        cells = functional.avg_pool2d(torch.relu(1.0 - apart.abs()) * torch.hypot(across, down), CELL)
        # 2. The energy of the blocks; 1e-2 is about the root energy of a cell of sensor noise, and with less, noise
        # would look like an edge.
        energy = functional.pad(cells.square().sum(1, keepdim=True), (1, 1, 1, 1))
        scale = 1.0 / ((4.0 * functional.avg_pool2d(energy, 2, stride=1)).sqrt() + 1e-2)
        # 3. Each cell by each of its four blocks, clipped, and their mean.
        rows, columns = cells.shape[-2:]
        corners = [scale[:, :, r : r + rows, c : c + columns] for r in (0, 1) for c in (0, 1)]
        return torch.stack([(cells * corner).clamp(max=CLIP) for corner in corners]).mean(0).flatten(1)
