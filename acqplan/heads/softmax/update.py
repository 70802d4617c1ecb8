"""Softmax heads as one tensor program: an update of all heads, and their validation."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int32
from torch import Tensor
from torch.optim.adam import adam

from acqplan.heads.softmax.block import Block
from acqplan.heads.softmax.streams import chances

VALIDATED_ROWS = 1024
"""Rows of validation that are looked at together."""


def update(block: Block) -> None:
    """One update of every head; reads and writes only tensors of the block, so that it can be captured.

    The inputs that dropout leaves are not divided by what it keeps: logits and their slopes are, which
    are a thousand times fewer.
    """
    images = block.images
    rows = images.rows.index_select(0, block.clock)[0]
    _drop(block, images.table.index_select(0, rows.view(-1)), images.keys.index_select(0, block.clock)[0])
    kept = block.inputs.view(torch.float32).flatten(0, 1)
    for weight, logits in zip(block.heads.weight, block.logits, strict=True):
        torch.bmm(weight.flatten(0, 1), kept.mT, out=logits.flatten(0, 1))
    slopes = torch.softmax(block.logits.mul_(block.gains).add_(block.heads.bias[..., None]), dim=-2)
    labels = images.labels.index_select(0, rows.view(-1)).view_as(rows)
    slopes.sub_((labels[:, None, None, :] == block.classes).float())
    slopes.mul_(images.shares.index_select(0, block.clock)[0][:, None, None, :])
    torch.sum(slopes, dim=-1, out=block.gradient.bias)
    slopes.mul_(block.gains)
    for slope, gradient in zip(slopes, block.gradient.weight, strict=True):
        torch.bmm(slope.flatten(0, 1), kept, out=gradient.flatten(0, 1))
    _descend(block)
    block.clock.add_(1)


def validate(block: Block, family: int) -> Float[np.ndarray, "rates dropouts"]:
    """Mean cross-entropy of a family's heads on its validation rows, nats, shape ``[rates, dropouts]``."""
    weight, bias = block.heads.weight[:, family], block.heads.bias[:, family]
    flat = weight.reshape(-1, weight.shape[-1]).mT
    rows = block.images.validation[family]
    total = torch.zeros(weight.shape[:2], dtype=torch.float64, device=weight.device)
    for some in torch.split(rows, VALIDATED_ROWS):
        logits = (block.images.table[some] @ flat).view(len(some), *bias.shape) + bias
        labels = block.images.labels[some].view(-1, 1, 1, 1).expand(*logits.shape[:3], 1)
        found = logits.gather(3, labels).squeeze(3)
        total += (logits.logsumexp(dim=3) - found).sum(dim=0, dtype=torch.float64)
    mean: np.ndarray = (total / len(rows)).cpu().numpy()
    return mean


def keep_best(block: Block, family: int, better: Bool[np.ndarray, "rates dropouts"]) -> None:
    """Remember the weights of those heads of a family that ``better`` marks."""
    chosen = torch.from_numpy(better).to(block.clock.device)[..., None]
    now, best = block.heads, block.best
    best.bias[:, family] = torch.where(chosen, now.bias[:, family], best.bias[:, family])
    best.weight[:, family] = torch.where(chosen[..., None], now.weight[:, family], best.weight[:, family])


def _drop(block: Block, looked_at: Float32[Tensor, "images width"], keys: Int32[Tensor, " families"]) -> None:
    """Write the images into ``inputs`` with dropped inputs 0: the bits of each are masked, without a branch."""
    bits, scratch = block.bits
    torch.bitwise_xor(block.positions, keys[:, None, None, None], out=bits)
    torch.sub(block.bars, chances(bits, scratch), out=block.inputs)
    block.inputs.bitwise_right_shift_(31)  # all ones if the chance is above the bar, else all zeros
    block.inputs.bitwise_and_(looked_at.view(torch.int32).view_as(bits))


def _descend(block: Block) -> None:
    """Adam with torch's own defaults, in one pass over the heads of each rate."""
    for number, rate in enumerate(block.rates):
        adam(
            block.heads.of_rate(number),
            block.gradient.of_rate(number),
            block.first.of_rate(number),
            block.second.of_rate(number),
            [],
            block.steps[number],
            fused=True,
            capturable=block.clock.is_cuda,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=rate,
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
        )
