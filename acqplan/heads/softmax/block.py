"""Softmax heads as one tensor program: what is in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Int, Int32
from torch import Tensor

from acqplan.heads.softmax.plan import BlockPlan, Family
from acqplan.heads.softmax.streams import (
    NOBODY,
    bar,
    batches,
    dropout_keys,
    dropout_positions,
    start_weight,
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Images:
    """What the heads of a block look at, and when.

    Attributes:
        table: Inputs, shape ``[table, width]``: features of the pool, or components of each family.
        labels: Class of each row of the table, shape ``[table]``.
        validation: Rows of the table that validate each family.
        rows: Rows of the table at each update, shape ``[updates, families, batch]``.
        shares: What each counts in its batch: 1 / batch, 0 where nobody is, shape ``[updates, families, batch]``.
        keys: Dropout of each update, shape ``[updates, families]``.
    """

    table: Float32[Tensor, "table width"]
    labels: Int[Tensor, " table"]
    validation: tuple[Int[Tensor, " rows"], ...]
    rows: Int[Tensor, "updates families batch"]
    shares: Float32[Tensor, "updates families batch"]
    keys: Int32[Tensor, "updates families"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Numbers:
    """One number for each weight and bias of all heads; each rate's are contiguous.

    Attributes:
        weight: Shape ``[rates, families, dropouts, classes, width]``.
        bias: Shape ``[rates, families, dropouts, classes]``.
    """

    weight: Float32[Tensor, "rates families dropouts classes width"]
    bias: Float32[Tensor, "rates families dropouts classes"]

    def of_rate(self, rate: int) -> list[Tensor]:
        """Both, of the heads of one rate."""
        return [self.weight[rate], self.bias[rate]]

    def clone(self) -> Numbers:
        """The same numbers elsewhere."""
        return Numbers(weight=self.weight.clone(), bias=self.bias.clone())

    def zeros(self) -> Numbers:
        """As many zeros."""
        return Numbers(weight=torch.zeros_like(self.weight), bias=torch.zeros_like(self.bias))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Block:
    """Heads and all that an update writes to; its tensors change in place, as CUDA graphs need it.

    Attributes:
        images: What the heads look at.
        rates: Learning rates.
        heads: Weights and biases; bias minus infinity for classes absent from training.
        best: Those of the best epoch so far.
        gradient: Of the last update.
        first: Adam's running mean of gradients.
        second: Adam's running mean of squared gradients.
        steps: Updates done, as Adam counts them, one for each of `Numbers.of_rate`.
        clock: Number of the next update, shape ``[1]``.
        positions: Dropout of each input, shape ``[batch, width]``.
        bars: Chance below which an input stays, less 1, shape ``[dropouts, 1, 1]``.
        gains: ``1 / (1 - dropout)``, shape ``[dropouts, 1, 1]``.
        classes: ``0 .. n_classes - 1``, shape ``[classes, 1]``.
        bits: Room for dropout, shape ``[2, families, 1, batch, width]``.
        inputs: Room for what is left of the images, as bits, shape ``[families, dropouts, batch, width]``.
        logits: Room, shape ``[rates, families, dropouts, classes, batch]``.
    """

    images: Images
    rates: tuple[float, ...]
    heads: Numbers
    best: Numbers
    gradient: Numbers
    first: Numbers
    second: Numbers
    steps: tuple[list[Tensor], ...]
    clock: Int[Tensor, " 1"]
    positions: Int32[Tensor, "batch width"]
    bars: Int32[Tensor, "dropouts 1 1"]
    gains: Float32[Tensor, "dropouts 1 1"]
    classes: Int[Tensor, "classes 1"]
    bits: Int32[Tensor, "2 families 1 batch width"]
    inputs: Int32[Tensor, "families dropouts batch width"]
    logits: Float32[Tensor, "rates families dropouts classes batch"]


def make_block(
    plan: BlockPlan,
    features: Float32[Tensor, "pool features"],
    targets: Int[np.ndarray, " pool"],
    *,
    n_classes: int,
    updates: int,
    batch: int,
) -> Block:
    """Heads before their first update, on the device of the features."""
    device, width = features.device, plan.families[0].width
    images = _images(plan.families, features, targets, updates, batch)
    heads = _start(plan, targets, n_classes, device)
    n_families, n_dropouts, n_rates = len(plan.families), len(plan.dropouts), len(plan.rates)
    shares = torch.tensor(plan.dropouts, dtype=torch.float64).view(-1, 1, 1)
    bars = torch.tensor([bar(dropout) - 1 for dropout in plan.dropouts], dtype=torch.int32).view(-1, 1, 1)
    return Block(
        images=images,
        rates=plan.rates,
        heads=heads,
        best=heads.clone(),
        gradient=heads.zeros(),
        first=heads.zeros(),
        second=heads.zeros(),
        steps=tuple([torch.zeros((), device=device), torch.zeros((), device=device)] for _ in plan.rates),
        clock=torch.zeros(1, dtype=torch.int64, device=device),
        positions=torch.from_numpy(dropout_positions(batch, width)).to(device),
        bars=bars.to(device),
        gains=(1.0 / (1.0 - shares)).float().to(device),
        classes=torch.arange(n_classes, device=device)[:, None],
        bits=torch.empty(2, n_families, 1, batch, width, dtype=torch.int32, device=device),
        inputs=torch.empty(n_families, n_dropouts, batch, width, dtype=torch.int32, device=device),
        logits=torch.empty(n_rates, n_families, n_dropouts, n_classes, batch, device=device),
    )


def _images(
    families: Sequence[Family],
    features: Float32[Tensor, "pool features"],
    targets: Int[np.ndarray, " pool"],
    updates: int,
    batch: int,
) -> Images:
    table, labels, places = _table(families, features, targets)
    drawn = np.stack([batches(family.seed, len(family.rows.train), updates, batch) for family in families], axis=1)
    there = drawn != NOBODY
    trains = [place[: len(family.rows.train)] for family, place in zip(families, places, strict=True)]
    rows = np.stack([train[np.maximum(drawn[:, number], 0)] for number, train in enumerate(trains)], axis=1)
    shares = there / there.sum(axis=2, keepdims=True)
    keys = np.stack([dropout_keys(family.seed, updates) for family in families], axis=1)
    device = features.device
    return Images(
        table=table,
        labels=torch.from_numpy(labels).to(device),
        validation=tuple(
            torch.from_numpy(place[len(train) :]).to(device) for place, train in zip(places, trains, strict=True)
        ),
        rows=torch.from_numpy(rows).to(device),
        shares=torch.from_numpy(shares.astype(np.float32)).to(device),
        keys=torch.from_numpy(keys).to(device),
    )


def _table(
    families: Sequence[Family], features: Float32[Tensor, "pool features"], targets: Int[np.ndarray, " pool"]
) -> tuple[Float32[Tensor, "table width"], Int[np.ndarray, " table"], list[Int[np.ndarray, " rows"]]]:
    """Inputs, their classes, and which rows are each family's: the pool itself if nothing is to be projected."""
    taken = [family.taken for family in families]
    if families[0].preparation is None:
        return features, targets, taken
    table = features.new_zeros(sum(map(len, taken)), families[0].width)
    places = np.split(np.arange(len(table)), np.cumsum([len(rows) for rows in taken])[:-1])
    for family, rows, place in zip(families, taken, places, strict=True):
        assert family.preparation is not None
        components = family.preparation.apply(features[torch.from_numpy(rows).to(features.device)])
        table[place[0] : place[-1] + 1, : family.width] = components
    return table, targets[np.concatenate(taken)], places


def _start(plan: BlockPlan, targets: Int[np.ndarray, " pool"], n_classes: int, device: torch.device) -> Numbers:
    """The same start for all heads of a family; padded inputs weigh nothing."""
    families = plan.families
    weight = np.zeros((len(families), 1, n_classes, families[0].width), dtype=np.float32)
    bias = np.zeros((len(families), 1, n_classes), dtype=np.float32)
    for number, family in enumerate(families):
        weight[number, 0, :, : family.width] = start_weight(family.seed, n_classes, family.width)
        bias[number, 0, np.bincount(targets[family.rows.train], minlength=n_classes) == 0] = -np.inf
    shape = (len(plan.rates), len(families), len(plan.dropouts), n_classes)
    return Numbers(
        weight=torch.from_numpy(weight).to(device).expand(*shape, -1).contiguous(),
        bias=torch.from_numpy(bias).to(device).expand(shape).contiguous(),
    )
