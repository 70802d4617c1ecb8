"""Softmax heads in plain PyTorch, one by one: the oracle, and what its tests share."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float32
from sklearn.decomposition import PCA
from torch import nn
from torch.nn import functional

from acqplan.study.softmax import DataSet, SoftmaxFit, SoftmaxSetting, train_softmax
from acqplan.study.softmax_block import NOBODY, bar, batches, chances, dropout_keys, dropout_positions, start_weight

if TYPE_CHECKING:
    from tests.heads.conftest import Pool

UPDATES = 90
GRID = (
    SoftmaxSetting(dropout=0.0, rate=1e-2),
    SoftmaxSetting(dropout=0.5, rate=1e-2),
    SoftmaxSetting(dropout=0.5, rate=1e-3, seed=3),
    SoftmaxSetting(dropout=0.25, rate=1e-2, variance=0.9),
    SoftmaxSetting(dropout=0.75, rate=1e-3, variance=0.9, seed=3),
)


def data_set(pool: Pool, n: int, seed: int = 0) -> DataSet:
    """Training rows of three objects a class, validation rows of the fourth."""
    random = np.random.default_rng(seed)
    last = pool.groups % 4 == 3
    train = random.choice(np.flatnonzero(~last), n, replace=False)
    return DataSet(train=train, validation=random.choice(np.flatnonzero(last), 40, replace=False))


def train(
    pool: Pool, *data_sets: DataSet, settings: tuple[SoftmaxSetting, ...] = GRID, **options: object
) -> list[list[SoftmaxFit]]:
    asked: dict[str, object] = {"n_classes": 3, "updates": UPDATES} | options
    return train_softmax(pool.features, pool.targets, data_sets, settings, **asked)  # type: ignore[arg-type]


def kept_inputs(seed: int, number: int, shape: tuple[int, ...], dropout: float) -> torch.Tensor:
    """Which inputs an update keeps, from the same stream as the batched program's."""
    keys = torch.from_numpy(dropout_keys(seed, UPDATES))
    bits = torch.from_numpy(dropout_positions(8, shape[1])) ^ keys[number]
    return (chances(bits, torch.empty_like(bits)) >= bar(dropout))[: shape[0]]


def components(features: np.ndarray, rows: np.ndarray) -> Float32[np.ndarray, "pool components"]:
    """PCA of 90 % variance by scikit-learn, signs as we choose them."""
    pca = PCA(n_components=0.9, svd_solver="full").fit(features[rows])
    largest = np.abs(pca.components_).argmax(axis=1)
    return np.asarray(pca.transform(features)) * np.sign(pca.components_[np.arange(len(largest)), largest])


def one_by_one(pool: Pool, data: DataSet, setting: SoftmaxSetting) -> tuple[nn.Linear, torch.Tensor, list[float]]:
    """The same head as anyone would train it; returns the best epoch's layer, its inputs, and all losses."""
    table = pool.features if setting.variance is None else components(pool.features, data.train)
    inputs, targets = torch.from_numpy(table).float(), torch.from_numpy(pool.targets)
    layer = nn.Linear(inputs.shape[1], 3)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(start_weight(setting.seed, 3, inputs.shape[1])))
        layer.bias.zero_()
    adam = torch.optim.Adam(layer.parameters(), lr=setting.rate)
    order = batches(setting.seed, len(data.train), UPDATES, 8)
    ends = {*range(-(-len(data.train) // 8), UPDATES, -(-len(data.train) // 8)), UPDATES}
    losses: list[float] = []
    best = layer
    for number, places in enumerate(order):
        rows = torch.from_numpy(data.train[places[places != NOBODY]])
        kept = kept_inputs(setting.seed, number, inputs[rows].shape, setting.dropout)
        adam.zero_grad()
        dropped = torch.where(kept, inputs[rows] / (1.0 - setting.dropout), 0.0)
        functional.cross_entropy(layer(dropped), targets[rows]).backward()  # type: ignore[no-untyped-call]
        adam.step()
        if number + 1 in ends:
            with torch.no_grad():
                seen = layer(inputs[torch.from_numpy(data.validation)])
            loss = float(functional.cross_entropy(seen, targets[torch.from_numpy(data.validation)]))
            best = copy.deepcopy(layer) if not losses or loss < min(losses) else best
            losses.append(loss)
    return best, inputs, losses


def assert_same(one: SoftmaxFit, other: SoftmaxFit) -> None:
    assert one.setting == other.setting
    assert one.best_epoch == other.best_epoch
    np.testing.assert_allclose(one.weight, other.weight, atol=1e-5)
    np.testing.assert_allclose(one.bias, other.bias, atol=1e-5)
    np.testing.assert_allclose(one.losses, other.losses, atol=1e-5)
