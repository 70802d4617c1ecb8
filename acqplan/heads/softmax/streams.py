"""All the chance in training softmax heads: start, order of images, dropout.

Each draw is named by seed, sizes and number of the update alone. So a head is the same whatever is trained
beside it, in whatever chunks, and on whatever device.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from jaxtyping import Float32, Int, Int32
from torch import Tensor

from acqplan.rng import generator

NOBODY: Final = -1
"""Fills up the last batch of an epoch."""

LEVELS: Final = 2**31
"""Steps of the uniform number that decides whether an input is dropped."""

_FACTORS: Final = (0x21F0AAAD, 0xD35A2D97)
_SHIFTS: Final = (16, 15, 15)


def start_weight(seed: int, n_classes: int, width: int) -> Float32[np.ndarray, "classes width"]:
    """Weights before the first update.

    Source:
        X. Glorot, Y. Bengio, AISTATS 2010, equation 16: uniform within ``sqrt(6 / (fan in + fan out))``.
    """
    limit = np.sqrt(6.0 / (n_classes + width))
    return generator(seed, "softmax start").uniform(-limit, limit, (n_classes, width)).astype(np.float32)


def batches(seed: int, n_rows: int, updates: int, batch: int) -> Int[np.ndarray, "updates batch"]:
    """Which of the training images each update looks at: every epoch a new order, its last batch what is left.

    Returns:
        Numbers ``0 .. n_rows - 1``, shape ``[updates, batch]``; `NOBODY` where a batch is not full.
    """
    length = updates_of_epoch(n_rows, batch)
    order = generator(seed, "softmax order", n_rows)
    epochs = np.full((-(-updates // length), length * batch), NOBODY, dtype=np.int64)
    for epoch in epochs:
        epoch[:n_rows] = order.permutation(n_rows)
    return epochs.reshape(-1, batch)[:updates]


def updates_of_epoch(n_rows: int, batch: int) -> int:
    """Updates that look once at every image."""
    return -(-n_rows // batch)


def dropout_keys(seed: int, updates: int) -> Int32[np.ndarray, " updates"]:
    """One number for each update, from which all its dropout follows."""
    bits = generator(seed, "softmax dropout").integers(2**32, size=updates, dtype=np.uint64)
    return bits.astype(np.uint32).view(np.int32)


def dropout_positions(batch: int, width: int) -> Int32[np.ndarray, "batch width"]:
    """One number for each input of a batch; that of an input does not depend on ``width``."""
    numbers = (np.arange(batch)[:, None] + batch * np.arange(width)).astype(np.uint32).view(np.int32)
    bits = torch.from_numpy(numbers)
    return hashed(bits, torch.empty_like(bits)).numpy()


def hashed(bits: Int32[Tensor, "*shape"], scratch: Int32[Tensor, "*shape"]) -> Int32[Tensor, "*shape"]:
    """Hash 32-bit words in place; 32-bit whole numbers are the same on every device, random generators are not.

    Source:
        C. Wellons, hash-prospector (github.com/skeeto/hash-prospector), the two-round function of least bias.
    """
    for shift, factor in zip(_SHIFTS, (*_FACTORS, None), strict=True):
        # torch has no unsigned words: its right shift copies the sign, which must be masked away
        torch.bitwise_right_shift(bits, shift, out=scratch)
        bits.bitwise_xor_(scratch.bitwise_and_((1 << (32 - shift)) - 1))
        if factor is not None:
            bits.mul_(factor - (factor >> 31 << 32))
    return bits


def chances(bits: Int32[Tensor, "*shape"], scratch: Int32[Tensor, "*shape"]) -> Int32[Tensor, "*shape"]:
    """Turn positions xor key, in place, into uniform numbers ``0 .. LEVELS - 1``; an input is dropped below `bar`."""
    return hashed(bits, scratch).bitwise_and_(LEVELS - 1)


def bar(dropout: float) -> int:
    """Inputs whose chance is below this are dropped."""
    return round(dropout * LEVELS)
