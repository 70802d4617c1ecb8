"""Subsets, features and arguments that are odd give right softmax heads or clear errors."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from jaxtyping import Int

from acqplan.errors import AcqplanError, UsageError
from acqplan.study import softmax
from acqplan.study.softmax import DataSet, SoftmaxSetting, thesis_settings, train_softmax
from tests.study.softmax_reference import GRID, UPDATES, assert_same, data_set, train

if TYPE_CHECKING:
    from tests.heads.conftest import Pool


def test_memory_that_runs_out_is_met_by_smaller_blocks(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The device has room for the products of two heads."""
    product, sizes = torch.bmm, []

    def cramped(one: torch.Tensor, other: torch.Tensor, *, out: torch.Tensor) -> torch.Tensor:
        sizes.append(len(one))
        if len(one) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return product(one, other, out=out)

    expected = train(pool, data_set(pool, 30), settings=thesis_settings())[0]
    monkeypatch.setattr(torch, "bmm", cramped)
    monkeypatch.setattr(softmax, "available_cores", lambda: 1)
    for fit, other in zip(train(pool, data_set(pool, 30), settings=thesis_settings())[0], expected, strict=True):
        assert_same(fit, other)
    assert {4, 2} == set(sizes)


def test_one_head_too_large_for_memory_is_an_error(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(torch, "bmm", full)
    with pytest.raises(AcqplanError, match="24 inputs does not fit in memory"):
        train(pool, data_set(pool, 30), settings=GRID[:1])


def test_class_missing_from_a_subset_gets_no_probability_and_changes_no_other(pool: Pool) -> None:
    some = data_set(pool, 60)
    here = DataSet(
        train=some.train[pool.targets[some.train] != 1], validation=some.validation[pool.targets[some.validation] != 1]
    )
    for fit in train(pool, here):
        chance = fit[0].head.probabilities(pool.features)
        assert not chance[:, 1].any()
        assert not fit[0].weight[:, 1].any()
        np.testing.assert_allclose(chance.sum(axis=1), 1.0, atol=1e-6)
        assert (fit[0].head.predict(pool.features) == chance.argmax(axis=1)).all()


def test_class_that_is_validated_but_not_taught_is_an_error(pool: Pool) -> None:
    some = data_set(pool, 60)
    lacking = DataSet(train=some.train[pool.targets[some.train] != 1], validation=some.validation)
    with pytest.raises(UsageError, match="data set 1: class 1 is validated"):
        train(pool, some, lacking)


def test_one_image_a_class_and_a_single_class_give_right_heads(pool: Pool) -> None:
    three = DataSet(train=np.array([0, 120, 240]), validation=np.array([1, 121, 241]))
    alone = DataSet(train=np.array([130]), validation=np.array([121]))
    found = train(pool, three, alone, settings=GRID[:1] + GRID[3:4], updates=200)
    for fit in found[0]:
        assert (fit.head.predict(pool.features[three.train]) == [0, 1, 2]).all()
    for fit in found[1]:
        assert (fit.head.probabilities(pool.features) == [0.0, 1.0, 0.0]).all()


def test_constant_features_teach_nothing_and_break_nothing(pool: Pool) -> None:
    data = data_set(pool, 60)
    constant = np.full((len(pool.targets), 2), 7.0, dtype=np.float32)
    more = replace(pool, features=np.concatenate([pool.features, constant], axis=1))
    for one, other in zip(train(more, data)[0], train(pool, data)[0], strict=True):
        assert np.isfinite(one.weight).all()
        if one.setting.variance is not None:  # a constant has no part in any component
            np.testing.assert_allclose(one.weight[:-2], other.weight, atol=1e-4)
            assert np.abs(one.weight[-2:]).max() < 1e-6


def test_features_that_are_all_alike_give_heads_that_know_only_how_many(pool: Pool) -> None:
    flat = np.ones_like(pool.features)
    data = data_set(pool, 60)
    for fit in train_softmax(flat, pool.targets, [data], GRID, n_classes=3, updates=UPDATES)[0]:
        assert np.ptp(fit.head.probabilities(flat), axis=0).max() == 0.0


def test_loss_that_is_not_finite_names_its_head(pool: Pool) -> None:
    sound, broken = data_set(pool, 30), data_set(pool, 64, 1)
    pool.features[np.setdiff1d(broken.train, [*sound.train, *sound.validation])] = 3e38
    with pytest.raises(AcqplanError, match=r"data set 1, no PCA, dropout 0.5, rate 0.01, seed 0: .* nan after epoch 1"):
        train(pool, sound, broken, settings=GRID[1:2])


def test_gradient_too_large_for_adam_names_its_head(pool: Pool) -> None:
    """Its square is infinite, so that Adam would leave the weight where it is for ever, with a finite loss."""
    data = data_set(pool, 30)
    pool.features[data.train, 5] = 1e24
    with pytest.raises(AcqplanError, match=r"data set 0, no PCA, dropout 0, rate 0.01, seed 0: .* square"):
        train(pool, data, settings=GRID[:1])


def test_rows_that_no_data_set_names_may_be_anything(pool: Pool) -> None:
    data = data_set(pool, 30)
    poisoned = np.full_like(pool.features, np.nan)
    used = np.concatenate([data.train, data.validation])
    poisoned[used] = pool.features[used]
    found = train_softmax(poisoned, pool.targets, [data], GRID, n_classes=3, updates=UPDATES)[0]
    for one, other in zip(train(pool, data)[0], found, strict=True):
        assert one.weight.tobytes() == other.weight.tobytes()


def test_broken_feature_names_its_row(pool: Pool) -> None:
    data = data_set(pool, 30)
    pool.features[data.train[4], 3] = np.inf
    with pytest.raises(AcqplanError, match=f"row {data.train[4]} "):
        train(pool, data)


def rows(*numbers: int) -> Int[np.ndarray, " rows"]:
    return np.array(numbers, dtype=np.int64)


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (DataSet(train=rows(), validation=rows(1)), {}, "data set 0 has no training rows"),
        (DataSet(train=rows(1), validation=rows()), {}, "data set 0 has no validation rows"),
        (DataSet(train=rows(1, 2), validation=rows(2)), {}, "row 2 is in training and validation"),
        (DataSet(train=rows(1, 360), validation=rows(2)), {}, "is outside the pool"),
        (DataSet(train=rows(1, -1), validation=rows(2)), {}, "is outside the pool"),
        (DataSet(train=rows(1, 350), validation=rows(2)), {"n_classes": 2}, r"0\.\.1"),
        (DataSet(train=rows(1), validation=rows(2)), {"updates": 0}, "0 updates"),
        (DataSet(train=rows(1), validation=rows(2)), {"batch": 0}, "of 0 images"),
    ],
)
def test_wrong_arguments_are_refused(pool: Pool, data: DataSet, options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        train(pool, data, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("dropout", "rate", "variance"),
    [(1.0, 1e-4, None), (-0.1, 1e-4, None), (0.5, 0.0, None), (0.5, float("nan"), None), (0.5, 1e-4, 0.0)],
)
def test_settings_that_cannot_be_are_refused(dropout: float, rate: float, variance: float | None) -> None:
    with pytest.raises(UsageError):
        SoftmaxSetting(dropout=dropout, rate=rate, variance=variance)
