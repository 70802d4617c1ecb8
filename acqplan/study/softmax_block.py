"""Blocks of softmax heads: their tensors, one update of all of them, and the chance in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int, Int32
from torch import Tensor
from torch.optim.adam import adam

from acqplan.rng import generator
from acqplan.study.softmax_plan import BlockPlan, HeadFamily

# Fills up the last batch of an epoch.
NOBODY: Final = -1
# Rows of validation that are looked at together.
VALIDATED_ROWS: Final = 1024
# Steps of the uniform number that decides whether an input is dropped.
LEVELS: Final = 2**31
_FACTORS: Final = (0x21F0AAAD, 0xD35A2D97)
_SHIFTS: Final = (16, 15, 15)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Numbers:
    """One number for each weight and bias of all heads; each rate's are contiguous."""

    weight: Float32[Tensor, "rates families dropouts classes width"]
    bias: Float32[Tensor, "rates families dropouts classes"]

    def of_rate(self, rate: int) -> list[Tensor]:
        """Both, of the heads of one rate."""
        return [self.weight[rate], self.bias[rate]]

    def zeros(self) -> Numbers:
        """As many zeros."""
        return Numbers(weight=torch.zeros_like(self.weight), bias=torch.zeros_like(self.bias))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeadBlock:
    """Heads, the images of each update, and all that an update writes to, in place, as graphs need it."""

    table: Float32[Tensor, "table width"]  # inputs: features of the pool, or components of each family
    labels: Int[Tensor, " table"]  # class of each row of the table
    validation: tuple[Int[Tensor, " rows"], ...]  # rows of the table that validate each family
    rows: Int[Tensor, "updates families batch"]  # rows of the table at each update
    shares: Float32[Tensor, "updates families batch"]  # what each counts in its batch: 1 / batch, 0 for nobody
    keys: Int32[Tensor, "updates families"]  # dropout of each update
    rates: tuple[float, ...]
    heads: Numbers  # weights and biases; bias minus infinity for classes absent from training
    best: Numbers  # weights and biases of the best epoch so far
    gradient: Numbers  # gradient of the last update
    first: Numbers  # Adam's running mean of gradients
    second: Numbers  # Adam's running mean of squared gradients
    steps: tuple[list[Tensor], ...]  # updates done, as Adam counts them, one for each of `Numbers.of_rate`
    clock: Int[Tensor, " 1"]  # number of the next update
    positions: Int32[Tensor, "batch width"]  # dropout of each input
    bars: Int32[Tensor, "dropouts 1 1"]  # chance below which an input stays, less 1
    gains: Float32[Tensor, "dropouts 1 1"]  # 1 / (1 - dropout)
    classes: Int[Tensor, "classes 1"]  # 0 .. n_classes - 1
    bits: Int32[Tensor, "2 families 1 batch width"]  # space for dropout
    inputs: Int32[Tensor, "families dropouts batch width"]  # space for what is left of the images, as bits
    logits: Float32[Tensor, "rates families dropouts classes batch"]  # space for logits


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Work:
    """What all blocks have in common."""

    features: Float32[Tensor, "pool features"]  # the pool on its device
    targets: Int[np.ndarray, " pool"]  # class of each row
    n_classes: int  # classes of a head
    updates: int  # updates of every head
    batch: int  # images in an update
    advance: Callable[[int], None]  # hears of updates done, summed over heads; called by one thread at a time
    stop: Event = field(default_factory=Event)  # set when the work is no longer wanted
    lock: Lock = field(default_factory=Lock)  # held while advance is called


def make_block(plan: BlockPlan, work: Work) -> HeadBlock:
    """Heads before their first update, on the device of the features."""
    families, width, n_classes, batch = plan.families, plan.families[0].width, work.n_classes, work.batch
    device, targets = work.features.device, work.targets
    # 1. What each update looks at.
    table, labels, places = _table(families, work.features, targets)
    drawn = np.stack([batches(family.seed, len(family.rows.train), work.updates, batch) for family in families], axis=1)
    there = drawn != NOBODY
    trains = [place[: len(family.rows.train)] for family, place in zip(families, places, strict=True)]
    rows = np.stack([train[np.maximum(drawn[:, number], 0)] for number, train in enumerate(trains)], axis=1)
    shares = (there / there.sum(axis=2, keepdims=True)).astype(np.float32)
    validation = [place[len(train) :] for place, train in zip(places, trains, strict=True)]
    keys = np.stack([dropout_keys(family.seed, work.updates) for family in families], axis=1)
    # 2. The same start for all heads of a family; padded inputs weigh nothing.
    weight = np.zeros((len(families), 1, n_classes, width), dtype=np.float32)
    bias = np.zeros((len(families), 1, n_classes), dtype=np.float32)
    for number, family in enumerate(families):
        weight[number, 0, :, : family.width] = start_weight(family.seed, n_classes, family.width)
        bias[number, 0, np.bincount(targets[family.rows.train], minlength=n_classes) == 0] = -np.inf
    n_families, n_dropouts, n_rates = len(families), len(plan.dropouts), len(plan.rates)
    shape = (n_rates, n_families, n_dropouts, n_classes)
    heads = Numbers(
        weight=torch.from_numpy(weight).to(device).expand(*shape, -1).contiguous(),
        bias=torch.from_numpy(bias).to(device).expand(shape).contiguous(),
    )
    # 3. Dropout, and space for an update.
    dropouts = torch.tensor(plan.dropouts, dtype=torch.float64).view(-1, 1, 1)
    bars = torch.tensor([bar(dropout) - 1 for dropout in plan.dropouts], dtype=torch.int32).view(-1, 1, 1)
    return HeadBlock(
        table=table,
        labels=torch.from_numpy(labels).to(device),
        validation=tuple(torch.from_numpy(some).to(device) for some in validation),
        rows=torch.from_numpy(rows).to(device),
        shares=torch.from_numpy(shares).to(device),
        keys=torch.from_numpy(keys).to(device),
        rates=plan.rates,
        heads=heads,
        best=Numbers(weight=heads.weight.clone(), bias=heads.bias.clone()),
        gradient=heads.zeros(),
        first=heads.zeros(),
        second=heads.zeros(),
        steps=tuple([torch.zeros((), device=device), torch.zeros((), device=device)] for _ in plan.rates),
        clock=torch.zeros(1, dtype=torch.int64, device=device),
        positions=torch.from_numpy(dropout_positions(batch, width)).to(device),
        bars=bars.to(device),
        gains=(1.0 / (1.0 - dropouts)).float().to(device),
        classes=torch.arange(n_classes, device=device)[:, None],
        bits=torch.empty(2, n_families, 1, batch, width, dtype=torch.int32, device=device),
        inputs=torch.empty(n_families, n_dropouts, batch, width, dtype=torch.int32, device=device),
        logits=torch.empty(n_rates, n_families, n_dropouts, n_classes, batch, device=device),
    )


def _table(
    families: Sequence[HeadFamily], features: Float32[Tensor, "pool features"], targets: Int[np.ndarray, " pool"]
) -> tuple[Float32[Tensor, "table width"], Int[np.ndarray, " table"], list[Int[np.ndarray, " rows"]]]:
    """Inputs, their classes, and which rows are each family's: the pool itself if nothing is to be projected."""
    taken = [np.concatenate([family.rows.train, family.rows.validation]) for family in families]
    if families[0].preparation is None:
        return features, targets, taken
    table = features.new_zeros(sum(map(len, taken)), families[0].width)
    places = np.split(np.arange(len(table)), np.cumsum([len(rows) for rows in taken])[:-1])
    for family, rows, place in zip(families, taken, places, strict=True):
        assert family.preparation is not None
        components = family.preparation.apply(features[torch.from_numpy(rows).to(table.device)])
        table[place[0] : place[-1] + 1, : family.width] = components
    return table, targets[np.concatenate(taken)], places


def update(block: HeadBlock) -> None:
    """One update of every head; reads and writes only tensors of the block, so that it can be captured.

    The inputs that dropout leaves are not divided by the share it keeps: logits and their slopes are, of which
    there are a thousand times fewer.
    """
    # 1. The images of this update, with dropped inputs 0: the bits of each are masked, without a branch.
    rows = block.rows.index_select(0, block.clock)[0]
    bits, scratch = block.bits
    torch.bitwise_xor(block.positions, block.keys.index_select(0, block.clock)[0][:, None, None, None], out=bits)
    torch.sub(block.bars, chances(bits, scratch), out=block.inputs)
    block.inputs.bitwise_right_shift_(31)  # all ones if the chance is above the bar, else all zeros
    block.inputs.bitwise_and_(block.table.index_select(0, rows.view(-1)).view(torch.int32).view_as(bits))
    kept = block.inputs.view(torch.float32).flatten(0, 1)
    # 2. Logits, and their slopes: probability less truth, by the share of each image.
    for weight, logits in zip(block.heads.weight, block.logits, strict=True):
        torch.bmm(weight.flatten(0, 1), kept.mT, out=logits.flatten(0, 1))
    slopes = torch.softmax(block.logits.mul_(block.gains).add_(block.heads.bias[..., None]), dim=-2)
    labels = block.labels.index_select(0, rows.view(-1)).view_as(rows)
    slopes.sub_((labels[:, None, None, :] == block.classes).float())
    slopes.mul_(block.shares.index_select(0, block.clock)[0][:, None, None, :])
    # 3. Gradients.
    torch.sum(slopes, dim=-1, out=block.gradient.bias)
    slopes.mul_(block.gains)
    for slope, gradient in zip(slopes, block.gradient.weight, strict=True):
        torch.bmm(slope.flatten(0, 1), kept, out=gradient.flatten(0, 1))
    # 4. Adam with torch's own defaults, in one pass over the heads of each rate.
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
    block.clock.add_(1)


def validate(block: HeadBlock, family: int) -> Float[np.ndarray, "rates dropouts"]:
    """Mean cross-entropy of a family's heads on its validation rows, nats, shape ``[rates, dropouts]``."""
    weight, bias = block.heads.weight[:, family], block.heads.bias[:, family]
    flat = weight.reshape(-1, weight.shape[-1]).mT
    rows = block.validation[family]
    total = torch.zeros(weight.shape[:2], dtype=torch.float64, device=weight.device)
    for some in torch.split(rows, VALIDATED_ROWS):
        logits = (block.table[some] @ flat).view(len(some), *bias.shape) + bias
        labels = block.labels[some].view(-1, 1, 1, 1).expand(*logits.shape[:3], 1)
        found = logits.gather(3, labels).squeeze(3)
        total += (logits.logsumexp(dim=3) - found).sum(dim=0, dtype=torch.float64)
    mean: np.ndarray = (total / len(rows)).cpu().numpy()
    return mean


def keep_best(block: HeadBlock, family: int, better: Bool[np.ndarray, "rates dropouts"]) -> None:
    """Remember the weights of the heads of a family that ``better`` marks."""
    chosen = torch.from_numpy(better).to(block.clock.device)[..., None]
    now, best = block.heads, block.best
    best.bias[:, family] = torch.where(chosen, now.bias[:, family], best.bias[:, family])
    best.weight[:, family] = torch.where(chosen[..., None], now.weight[:, family], best.weight[:, family])


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
    length = -(-n_rows // batch)  # updates that look once at every image
    order = generator(seed, "softmax order", n_rows)
    epochs = np.full((-(-updates // length), length * batch), NOBODY, dtype=np.int64)
    for epoch in epochs:
        epoch[:n_rows] = order.permutation(n_rows)
    return epochs.reshape(-1, batch)[:updates]


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
