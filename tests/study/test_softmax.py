"""Softmax heads trained together are those of plain PyTorch, one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from acqplan.heads.linear import predict_all
from acqplan.study import softmax
from acqplan.study.softmax import GraphedStep, SoftmaxSetting, thesis_settings, train_softmax
from tests.study.softmax_reference import GRID, UPDATES, assert_same, data_set, one_by_one, train

if TYPE_CHECKING:
    from tests.heads.conftest import Pool


@pytest.mark.parametrize("n", [5, 21, 64])
def test_heads_trained_together_are_those_of_plain_pytorch_one_by_one(pool: Pool, n: int) -> None:
    data = data_set(pool, n)
    for fit, setting in zip(train(pool, data, data_set(pool, 40, 1))[0], GRID, strict=True):
        layer, inputs, losses = one_by_one(pool, data, setting)
        with torch.no_grad():
            expected = layer(inputs).softmax(dim=1).numpy()
        np.testing.assert_allclose(fit.head.probabilities(pool.features), expected, atol=1e-4)
        np.testing.assert_allclose(fit.losses, losses, atol=1e-4)
        assert fit.setting == setting
        assert fit.loss == min(fit.losses)
        if setting.variance is None:
            np.testing.assert_allclose(fit.weight.T, layer.weight.detach().numpy(), atol=1e-4)
            np.testing.assert_allclose(fit.bias, layer.bias.detach().numpy(), atol=1e-4)


def test_a_head_does_not_depend_on_its_company(pool: Pool) -> None:
    sets = [data_set(pool, n, seed) for seed, n in enumerate((30, 64, 9))]
    together = train(pool, *sets)
    for data, fits in zip(sets, together, strict=True):
        for fit in fits:
            assert_same(train(pool, data, settings=(fit.setting,))[0][0], fit)


@pytest.mark.parametrize("limit", [1, 20_000, 100_000])
def test_a_head_does_not_depend_on_chunks(pool: Pool, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    sets = [data_set(pool, 30), data_set(pool, 50, 1)]
    whole = train(pool, *sets, settings=GRID)
    monkeypatch.setattr(softmax, "BLOCK_BYTES", {"cpu": limit})
    for one, other in zip(train(pool, *sets, settings=GRID), whole, strict=True):
        for fit, expected in zip(one, other, strict=True):
            assert_same(fit, expected)


def test_thesis_grid_has_its_32_settings() -> None:
    assert len(set(thesis_settings())) == 32
    assert len(set(thesis_settings(seeds=range(20)))) == 640
    assert softmax.UPDATES == 25 * -(-14_580 // 8)


def test_best_epoch_is_the_one_of_least_validation_loss(pool: Pool) -> None:
    """Noise is learned by heart: validation loss rises again, and the head is the one before that."""
    noise = np.random.default_rng(0).normal(size=pool.features.shape).astype(np.float32)
    data = data_set(pool, 24)
    fit = train_softmax(
        noise, pool.targets, [data], [SoftmaxSetting(dropout=0.0, rate=0.1)], n_classes=3, updates=UPDATES
    )[0][0]
    assert len(fit.losses) == 30
    assert fit.best_epoch < 10
    seen = fit.head.probabilities(noise[data.validation])[np.arange(40), pool.targets[data.validation]]
    assert -np.log(seen).mean() == pytest.approx(fit.losses.min(), abs=1e-5)


def test_progress_hears_of_every_update_of_every_head(pool: Pool) -> None:
    heard: dict[str, list[int]] = {}

    class Listener:
        @contextmanager
        def task(self, name: str, total: int) -> Iterator[Callable[[int], None]]:
            heard[name] = [total]
            yield heard[name].append

    train(pool, data_set(pool, 30), data_set(pool, 50), progress=Listener())
    total, *steps = heard["training softmax heads"]
    assert sum(steps) == total == 2 * len(GRID) * UPDATES
    assert len(steps) > 10


def test_heads_of_softmax_are_heads(pool: Pool) -> None:
    fits = train(pool, data_set(pool, 60))[0]
    assert predict_all([fit.head for fit in fits], pool.features).shape == (len(GRID), len(pool.targets))
    assert fits[0].head.beliefs.shape == (0, 3)


def test_nothing_to_train_is_no_head(pool: Pool) -> None:
    assert train(pool) == []
    assert train(pool, data_set(pool, 30), settings=()) == [[]]


def test_step_is_only_called_where_there_are_no_graphs() -> None:
    calls: list[int] = []
    replay = GraphedStep(lambda: calls.append(1), torch.device("cpu"))
    for _ in range(9):
        replay()
    assert len(calls) == 9
    assert replay.graph is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_replayed_graph_gives_the_heads_of_the_processor(pool: Pool) -> None:
    sets = [data_set(pool, 30), data_set(pool, 50, 1)]
    settings = thesis_settings()
    for fits, others in zip(
        train(pool, *sets, settings=settings, device="cuda"), train(pool, *sets, settings=settings), strict=True
    ):
        for fit, other in zip(fits, others, strict=True):
            np.testing.assert_allclose(fit.weight, other.weight, atol=1e-4)
            np.testing.assert_allclose(fit.losses, other.losses, atol=1e-4)
