"""Gradient histograms: the features that see every change of view. No weights."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

N_ORIENTATIONS = 9
CELL = 12
"""Side of a cell, pixels: 8 x 8 cells of an image of 96 pixels, so 576 features."""

CLIP = 0.2
"""No orientation counts for more of its block (Dalal and Triggs; Lowe's choice for SIFT)."""


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
        cells = functional.avg_pool2d(_votes(x), CELL)
        return _normalised(cells).flatten(1)


def _votes(x: Float[Tensor, "images 1 height width"]) -> Float[Tensor, "images orientations height width"]:
    """Each pixel's gradient, shared linearly between the two orientations next to its own."""
    padded = functional.pad(x, (1, 1, 1, 1), mode="replicate")
    across = padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]
    down = padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]
    place = torch.atan2(down, across) * (N_ORIENTATIONS / math.pi)
    centres = torch.arange(N_ORIENTATIONS, device=x.device, dtype=x.dtype).view(1, -1, 1, 1)
    apart = torch.remainder(place - centres + N_ORIENTATIONS / 2, N_ORIENTATIONS) - N_ORIENTATIONS / 2
    return torch.relu(1.0 - apart.abs()) * torch.hypot(across, down)


def _normalised(cells: Float[Tensor, "images orientations rows columns"]) -> Float[Tensor, "images orientations r c"]:
    energy = functional.pad(cells.square().sum(1, keepdim=True), (1, 1, 1, 1))
    block = 4.0 * functional.avg_pool2d(energy, 2, stride=1)
    # 1e-2 is about the root energy of a cell of sensor noise; less and noise would look like an edge.
    scale = 1.0 / (block.sqrt() + 1e-2)
    rows, columns = cells.shape[-2:]
    corners = [scale[:, :, r : r + rows, c : c + columns] for r in (0, 1) for c in (0, 1)]
    return torch.stack([(cells * corner).clamp(max=CLIP) for corner in corners]).mean(0)
