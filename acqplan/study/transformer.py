"""The spatial transformer of the thesis: a small network that turns, moves and scales each image before a backbone."""

from __future__ import annotations

from typing import Final

import torch
from jaxtyping import Float, Num
from torch import Tensor, nn
from torch.nn import functional

from acqplan.rng import stream

# Side of smallNORB's images, pixels.
SIZE: Final = 96
# Rows of the matrix from places in the output to places in the input that leaves an image as it is, without its last 1.
AFFINE: Final = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
PROJECTIVE: Final = (*AFFINE, 0.0, 0.0)
# A point of a plane this near to the horizon or beyond it is not seen.
HORIZON: Final = 1e-3
# Any place outside of an image, whose sides are at -1 and 1.
OUTSIDE: Final = 3.0


class SpatialTransformer(nn.Module):
    """Images as seen after a transformation that is found for each of them; it starts as the identity.

    The parameters are those of the localisation network: 5 x 5 convolutions of 32 channels without padding, with 2 x 2
    max-pooling between them, 64 units, ReLU after each; Glorot-uniform weights, and zeros in front of the
    transformation. So at the start only the last layer has a gradient; the others get theirs after its first step.

    Args:
        projective: Whether to use the eight parameters of a plane homography instead of six of an affine map.
        size: Height and width of the images, pixels.
        seed: Seed of the weights, which depend on nothing else.

    Source:
        M. Jaderberg et al., NIPS 2015: bilinear sampler, zero outside of the image. The homography is our addition: the
        thesis suspects the affine form, among other things, where its transformer did not help.
    """

    def __init__(self, *, projective: bool = False, size: int = SIZE, seed: int = 0) -> None:
        super().__init__()
        self.projective = projective
        identity = PROJECTIVE if projective else AFFINE
        side = (size - 4) // 2 - 4
        with torch.device("meta"):  # draws no number, so that the caller's random state stays
            self.localisation = nn.Sequential(
                nn.Conv2d(1, 32, 5),
                nn.ReLU(),
                nn.MaxPool2d(2),
                nn.Conv2d(32, 32, 5),
                nn.ReLU(),
                nn.Flatten(),
                nn.Linear(32 * side * side, 64),
                nn.ReLU(),
                nn.Linear(64, len(identity)),
            )
        self.to_empty(device="cpu")
        *_, weight, bias = self.parameters()
        generator = torch.Generator().manual_seed(stream(seed, "spatial-transformer"))
        with torch.no_grad():
            for parameter in self.parameters():
                if parameter.ndim > 1:
                    nn.init.xavier_uniform_(parameter, generator=generator)
                else:
                    parameter.zero_()
            weight.zero_()
            bias.copy_(torch.tensor(identity))

    def forward(
        self, images: Num[Tensor, "images 1 size size"]
    ) -> tuple[Float[Tensor, "images 1 size size"], Float[Tensor, "images parameters"]]:
        """Transform grey images.

        Args:
            images: Values in ``0 .. 255``, shape ``[images, 1, size, size]``.

        Returns:
            The images transformed, in the same shape and range; and their parameters, shape ``[images, 6]`` or
            ``[images, 8]``: rows of the matrix that says where in the input a point of the output lies, x to the
            right and y down from -1 to 1 between the outer edges of the image. Gradients pass through both.
        """
        pixels = images.to(next(self.parameters()).dtype)
        parameters: Tensor = self.localisation(pixels / 127.5 - 1.0)
        if self.projective:
            places = projective_grid(parameters, pixels.shape[-1])
        else:
            places = functional.affine_grid(parameters.view(-1, 2, 3), list(pixels.shape), align_corners=False)
        return functional.grid_sample(pixels, places, mode="bilinear", align_corners=False), parameters


def projective_grid(
    parameters: Float[Tensor, "images 8"], size: int
) -> Float[Tensor, "images size size coordinates=2"]:
    """Where in the input the pixels of the output lie under a homography, as `torch.nn.functional.affine_grid` says it.

    Args:
        parameters: Matrices of 3 x 3 row by row without their last number, which is 1; shape ``[images, 8]``.
        size: Height and width of the images, pixels.

    Returns:
        x and y of each pixel, shape ``[images, size, size, 2]``; outside of the image for what lies beyond the horizon.
    """
    matrices = functional.pad(parameters, (0, 1), value=1.0).view(-1, 3, 3)
    centres = (torch.arange(size, device=parameters.device, dtype=parameters.dtype) * 2 + 1) / size - 1
    y, x = torch.meshgrid(centres, centres, indexing="ij")
    mapped = torch.einsum("nij,hwj->nhwi", matrices, torch.stack([x, y, torch.ones_like(x)], -1))
    places, depth = mapped[..., :2], mapped[..., 2:]
    return torch.where(depth > HORIZON, places / depth.clamp(min=HORIZON), OUTSIDE)
