"""What changes at every visit of a pose: lamps, paint, texture, place, size, contrast and noise.

The rendered levels are linear in the lamps, so any light is a weighted sum; and only the table is bright
in the ambient level, so table and object can be painted apart.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Generator, Tensor
from torch.nn import functional

from acqplan.features.toynet import MEAN, STD
from acqplan.rig.render import LIGHTINGS

_TABLE_LEVEL, _OBJECT_LEVEL = 58.0, 34.0
"""Ambient grey level of the table, and the brightest one of the object."""

_TEXTURE_SIZES = (3, 6, 12, 24)


def varied(levels: Float[Tensor, "batch 5 96 96"], generator: Generator) -> Float[Tensor, "batch 1 96 96"]:
    """One image of each pose under random light, paint, place, contrast and noise.

    Args:
        levels: Grey levels under ambient light and each lamp at full strength.
        generator: Decides everything.

    Returns:
        Network input, ``(grey - MEAN) / STD``, shape ``[batch, 1, 96, 96]``.
    """
    n = len(levels)
    image = (_random_light(n, generator)[:, :, None, None] * levels).sum(1, keepdim=True)
    image = image * _paint(levels[:, :1], generator)
    image = _placed(image, generator)
    middle = image.mean((1, 2, 3), keepdim=True)
    contrast, shift = _between(0.6, 1.5, n, generator), _between(-35.0, 35.0, n, generator)
    image = (image - middle) * contrast + middle + shift
    image = image + _between(0.0, 6.0, n, generator) * torch.randn(image.shape, generator=generator)
    return standardised(image)


def plain_light(levels: Float[Tensor, "batch 5 96 96"], lighting: int = 3) -> Float[Tensor, "batch 1 96 96"]:
    """The same image for the same pose: one of the rig's lightings, nothing random.

    Args:
        levels: Grey levels under ambient light and each lamp at full strength.
        lighting: Row in `LIGHTINGS`.

    Returns:
        Grey levels in ``0 .. 255``, shape ``[batch, 1, 96, 96]``.
    """
    strengths = torch.tensor((1.0, *list(LIGHTINGS.values())[lighting]))
    return (strengths[:, None, None] * levels).sum(1, keepdim=True).clamp(0, 255)


def standardised(image: Float[Tensor, "batch 1 96 96"]) -> Float[Tensor, "batch 1 96 96"]:
    """Network input from grey levels, cut to ``0 .. 255``."""
    return (image.clamp(0, 255) / 255.0 - MEAN) / STD


def _between(low: float, high: float, n: int, generator: Generator) -> Float[Tensor, "n 1 1 1"]:
    return low + (high - low) * torch.rand(n, 1, 1, 1, generator=generator)


def _random_light(n: int, generator: Generator) -> Float[Tensor, "n 5"]:
    """Ambient light and four lamps: often one or two of them rule, as in the rig's lightings."""
    lamps = torch.rand(n, 4, generator=generator) ** 3 + 0.01
    lamps = lamps / lamps.sum(1, keepdim=True) * (0.85 + 0.5 * torch.rand(n, 1, generator=generator))
    return torch.cat([0.6 + 0.8 * torch.rand(n, 1, generator=generator), lamps], dim=1)


def _paint(ambient: Float[Tensor, "n 1 96 96"], generator: Generator) -> Float[Tensor, "n 1 96 96"]:
    """How much lighter or darker than rendered: object, table, and a blotchy texture on both.

    Half of the images keep the rig's paint, and three of five its plain surface.
    """
    n = len(ambient)
    thing = ((_TABLE_LEVEL - ambient) / (_TABLE_LEVEL - _OBJECT_LEVEL)).clamp(0, 1)
    painted = _chosen(0.5, n, generator)
    tone = torch.exp(painted * _between(-0.7, 0.6, n, generator))
    table = torch.exp(painted * _between(-2.0, 0.2, n, generator))
    texture = _chosen(0.4, n, generator) * _between(0.05, 0.3, n, generator) * _blotches(n, generator)
    return (table + (tone - table) * thing) * (1 + texture)


def _chosen(share: float, n: int, generator: Generator) -> Float[Tensor, "n 1 1 1"]:
    return (torch.rand(n, 1, 1, 1, generator=generator) < share).float()


def _blotches(n: int, generator: Generator) -> Float[Tensor, "n 1 96 96"]:
    """Smooth noise, as fine as one size for the whole batch."""
    size = _TEXTURE_SIZES[int(torch.randint(len(_TEXTURE_SIZES), (1,), generator=generator))]
    coarse = torch.randn(n, 1, size, size, generator=generator)
    return functional.interpolate(coarse, size=96, mode="bilinear", align_corners=False)


def _placed(image: Float[Tensor, "n 1 96 96"], generator: Generator) -> Float[Tensor, "n 1 96 96"]:
    """Shifted by up to 10 pixels, scaled, slightly turned, and half of the images mirrored."""
    n = len(image)
    zoom = 1.0 / _between(0.75, 1.4, n, generator).view(n)
    angle = _between(-0.2, 0.2, n, generator).view(n)
    mirror = 1.0 - 2.0 * _chosen(0.5, n, generator).view(n)
    shift = (torch.rand(n, 2, generator=generator) - 0.5) * (2 * 20 / 96)
    cosine, sine = zoom * torch.cos(angle), zoom * torch.sin(angle)
    rows = [torch.stack([mirror * cosine, -sine, shift[:, 0]], 1), torch.stack([mirror * sine, cosine, shift[:, 1]], 1)]
    grid = functional.affine_grid(torch.stack(rows, 1), list(image.shape), align_corners=False)
    return functional.grid_sample(image, grid, padding_mode="border", align_corners=False)
