"""The embedded backbone: a small residual convolutional network for 96 x 96 grey images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

# Height and width of the input, pixels.
SIZE: Final = 96
MEAN: Final = 0.5
# The input is ``(grey - MEAN) / STD`` of grey values in ``[0, 1]``.
STD: Final = 0.25
# Metadata of the embedded safetensors file.
METADATA: Final = {"architecture": "acqplan toynet", "input": f"grey {SIZE}, mean {MEAN}, std {STD}"}
N_FEATURES: Final = 256

STEM: Final = 16
WIDTHS: Final = (32, 64, 128, 184)
BLOCKS: Final = (1, 2, 1, 1)
"""Residual blocks of the stages at 24, 12, 6 and 3 pixels.

Measured with 2 cores and batches of 64: 3,000 images per second, 118 MFLOP per image, 1.42 million numbers
(2.9 MB in half precision). A second block at 12 pixels costs few numbers, one at 3 pixels 0.6 million.
"""

Norm = Callable[[int], nn.Module]


class ConvNorm(nn.Module):
    """A convolution and the normalisation of its output.

    Args:
        inputs: Channels in.
        outputs: Channels out.
        kernel: Side of the kernel, pixels.
        stride: Step of the kernel, pixels.
        norm: Makes the normalisation from its number of channels.
    """

    def __init__(self, inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1, norm: Norm) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)
        self.norm = norm(outputs)

    def forward(self, x: Float[Tensor, "batch inputs height width"]) -> Float[Tensor, "batch outputs rows columns"]:
        """Convolve, then normalise."""
        out: Tensor = self.norm(self.conv(x))
        return out


class Residual(nn.Module):
    """Two 3 x 3 convolutions around which the input passes unchanged (He et al., CVPR 2016, fig. 2)."""

    def __init__(self, width: int, *, norm: Norm) -> None:
        super().__init__()
        self.first = ConvNorm(width, width, norm=norm)
        self.second = ConvNorm(width, width, norm=norm)

    def forward(self, x: Float[Tensor, "batch width rows columns"]) -> Float[Tensor, "batch width rows columns"]:
        """Add what the convolutions found to ``x``."""
        return torch.relu_(x + self.second(torch.relu_(self.first(x))))


class ToyNet(nn.Module):
    """The network; `forward` gives the features of the last layer.

    Args:
        norm: Normalisation after each convolution: batch normalisation to train, `torch.nn.Identity` for
            weights into which it has been folded.
    """

    def __init__(self, norm: Norm = nn.BatchNorm2d) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            ConvNorm(1, STEM, stride=2, norm=norm),
            nn.ReLU(inplace=True),
            ConvNorm(STEM, WIDTHS[0], stride=2, norm=norm),
            nn.ReLU(inplace=True),
        )
        inputs, stages = WIDTHS[0], []
        for width, n_blocks in zip(WIDTHS, BLOCKS, strict=True):
            down = [] if inputs == width else [ConvNorm(inputs, width, stride=2, norm=norm), nn.ReLU(inplace=True)]
            blocks = [Residual(width, norm=norm) for _ in range(n_blocks)]
            stages.append(nn.Sequential(*down, *blocks))
            inputs = width
        self.stage1, self.stage2, self.stage3, self.stage4 = stages
        self.mix = nn.Sequential(ConvNorm(WIDTHS[-1], N_FEATURES, kernel=1, norm=norm), nn.ReLU(inplace=True))
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, x: Float[Tensor, "batch 1 96 96"]) -> Float[Tensor, "batch features"]:
        """Features of normalised grey images.

        Args:
            x: ``(grey - MEAN) / STD``, shape ``[batch, 1, 96, 96]``, float32.

        Returns:
            Features, never negative, shape ``[batch, 256]``.
        """
        x = self.stage4(self.stage3(self.stage2(self.stage1(self.stem(x)))))
        out: Tensor = self.pool(self.mix(x))
        return out


def plain() -> ToyNet:
    """The network as its file of weights describes it: normalisation folded away."""
    return ToyNet(nn.Identity).eval()


def untrained(seed: int = 0) -> ToyNet:
    """A network with He-normal weights drawn from ``seed`` alone, in evaluation mode, without normalisation."""
    net = plain()
    generator = torch.Generator().manual_seed(seed)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            nn.init.constant_(cast(nn.Parameter, module.bias), 0.0)
    return net
