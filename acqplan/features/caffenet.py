"""CaffeNet, the reference network of BVLC: AlexNet of one column that pools before it normalises."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class CaffeNet(nn.Module):
    """The network, with Caffe's names of layers; `forward` gives the scores of the 1,000 classes before softmax.

    There is no dropout: it acts in training only, and backbones are frozen.

    Source:
        BVLC, models/bvlc_reference_caffenet; after A. Krizhevsky, I. Sutskever, G. Hinton, NIPS 2012, whose
        network normalises before it pools. torchvision's ``alexnet`` is another: 64 filters first, no groups, no
        normalisation.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 96, 11, stride=4)
        self.conv2 = nn.Conv2d(96, 256, 5, padding=2, groups=2)
        self.conv3 = nn.Conv2d(256, 384, 3, padding=1)
        self.conv4 = nn.Conv2d(384, 384, 3, padding=1, groups=2)
        self.conv5 = nn.Conv2d(384, 256, 3, padding=1, groups=2)
        self.fc6 = nn.Linear(256 * 6 * 6, 4096)
        self.fc7 = nn.Linear(4096, 4096)
        self.fc8 = nn.Linear(4096, 1000)

    def forward(self, x: Float[Tensor, "batch 3 227 227"]) -> Float[Tensor, "batch scores"]:
        """Scores of images, or their features where the last layers are cut away.

        Args:
            x: Blue, green and red in ``0 .. 255`` less the mean pixel of ImageNet.
        """
        x = normalised(pooled(torch.relu(self.conv1(x))))
        x = normalised(pooled(torch.relu(self.conv2(x))))
        x = torch.relu(self.conv4(torch.relu(self.conv3(x))))
        x = pooled(torch.relu(self.conv5(x)))
        # A layer that was cut away passes on what is never negative, and a second ReLU does not change it.
        x = torch.relu(self.fc7(torch.relu(self.fc6(x.flatten(1)))))
        out: Tensor = self.fc8(x)
        return out


def pooled(x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels rows columns"]:
    """The maxima of overlapping 3 x 3 pixels, two apart; Caffe rounds their number up."""
    return functional.max_pool2d(x, 3, stride=2, ceil_mode=True)


def normalised(x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
    """Local response normalisation over five channels: ``x / (1 + 1e-4 / 5 * sum of squares) ** 0.75``.

    In float32, because squares of raw pixels' responses overflow in float16.
    """
    return functional.local_response_norm(x.float(), 5, alpha=1e-4, beta=0.75, k=1.0)
