"""The chance in softmax heads, and the principal components before them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from acqplan.study.softmax_block import LEVELS, NOBODY, batches, chances, dropout_positions
from acqplan.study.softmax_plan import fit_share
from tests.study.softmax_reference import components, kept_inputs

if TYPE_CHECKING:
    from tests.heads.conftest import Pool


@pytest.mark.parametrize("dropout", [0.0, 0.25, 0.5, 0.75])
def test_dropout_drops_its_share_anew_at_each_update(dropout: float) -> None:
    kept = torch.stack([kept_inputs(0, number, (8, 512), dropout) for number in range(40)]).double()
    assert float(kept.mean()) == pytest.approx(1 - dropout, abs=0.005)
    assert float(kept.mean(dim=0).std()) == pytest.approx((dropout * (1 - dropout) / 40) ** 0.5, abs=0.005)
    if dropout:
        neighbours = np.corrcoef(kept[:, :, 1:].flatten(), kept[:, :, :-1].flatten())[0, 1]
        successors = np.corrcoef(kept[1:].flatten(), kept[:-1].flatten())[0, 1]
        assert max(abs(neighbours), abs(successors)) < 0.01


def test_dropout_chances_are_uniform() -> None:
    bits = torch.from_numpy(dropout_positions(8, 4096)) ^ 12345
    numbers = chances(bits, torch.empty_like(bits)).double() / LEVELS
    counts = torch.histc(numbers, 16, 0.0, 1.0)
    assert float(((counts - 2048) ** 2 / 2048).sum()) < 37.7  # chi square of 15 degrees, 0.1 %


def test_dropout_of_an_input_is_the_same_whatever_the_width() -> None:
    np.testing.assert_array_equal(dropout_positions(8, 100)[:, :30], dropout_positions(8, 30))


@pytest.mark.parametrize("n", [1, 7, 8, 9, 50])
def test_every_epoch_looks_once_at_every_image(n: int) -> None:
    order = batches(0, n, 100, 8)
    length = -(-n // 8)
    for start in range(0, 100 - length, length):
        epoch = order[start : start + length]
        assert sorted(epoch[epoch != NOBODY]) == list(range(n))
    assert (order != NOBODY).any(axis=1).all()


@pytest.mark.parametrize("n", [12, 60])
def test_components_are_those_of_scikit_learn(make_pool: Callable[..., Pool], n: int) -> None:
    features = make_pool(n_features=40).features[:n].astype(np.float64)
    ours = fit_share(torch.from_numpy(features), 0.9)
    np.testing.assert_allclose(ours.apply(torch.from_numpy(features)), components(features, np.arange(n)), atol=1e-8)
