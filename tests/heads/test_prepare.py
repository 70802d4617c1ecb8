from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from acqplan.heads import prepare
from acqplan.heads.prepare import fit_preparation, moments, pooled, preparation_of

if TYPE_CHECKING:
    from tests.heads.conftest import Pool


@pytest.fixture
def rows(make_pool: Callable[..., Pool]) -> Callable[..., torch.Tensor]:
    def taken(n: int = 200, n_features: int = 40) -> torch.Tensor:
        return torch.from_numpy(make_pool(n_features=n_features).features[:n])

    return taken


@pytest.mark.parametrize(("n", "n_features"), [(200, 40), (30, 64)])
def test_components_are_those_of_scikit_learn(rows: Callable[..., torch.Tensor], n: int, n_features: int) -> None:
    taken = rows(n, n_features)
    prepared = fit_preparation(taken, 8)
    centred = taken - taken.mean(0)
    deviation = centred.square().mean(0).sqrt()
    scaled = (centred / (deviation + deviation.mean())).double().numpy()
    scaled /= np.sqrt((scaled**2).sum(axis=1).mean())
    expected = PCA(8, svd_solver="full").fit_transform(scaled)
    found = prepared.apply(taken).numpy()
    signs = np.sign((found * expected).sum(axis=0))
    np.testing.assert_allclose(found * signs, expected, atol=2e-5)


def test_components_are_uncorrelated_with_the_variances_told(rows: Callable[..., torch.Tensor]) -> None:
    taken = rows()
    prepared = fit_preparation(taken, 8)
    found = prepared.apply(taken)
    covariance = found.mT @ found / len(found)
    torch.testing.assert_close(covariance, torch.diag(prepared.variances), atol=1e-6, rtol=1e-4)


def test_subspace_iteration_holds_nearly_the_variance_of_exact_components(
    make_pool: Callable[..., Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make_pool(n_objects=8, n_features=120)
    taken = torch.from_numpy(pool.features)
    exact = fit_preparation(taken, 20)
    monkeypatch.setattr(prepare, "EXACT_SIDE", 0)
    near = fit_preparation(taken, 20)
    assert not torch.equal(near.variances, exact.variances)
    assert 0.98 < float(near.variances.sum() / exact.variances.sum()) <= 1.0 + 1e-6
    found = near.apply(taken)
    torch.testing.assert_close(found.mT @ found / len(found), torch.diag(near.variances), atol=1e-6, rtol=1e-4)


def test_scale_of_features_does_not_matter(rows: Callable[..., torch.Tensor]) -> None:
    taken = rows()
    one, thousand = fit_preparation(taken, 5), fit_preparation(1000.0 * taken, 5)
    torch.testing.assert_close(one.variances, thousand.variances, rtol=1e-4, atol=1e-7)
    assert float(fit_preparation(taken, 1000).variances.sum()) == pytest.approx(1.0, abs=1e-4)


def test_constant_features_get_no_weight(rows: Callable[..., torch.Tensor]) -> None:
    taken = rows()
    taken[:, 3], taken[:, 7] = 0.0, 12345.678
    prepared = fit_preparation(taken, 5)
    assert not prepared.projection[[3, 7]].any()
    assert torch.isfinite(prepared.projection).all()


@pytest.mark.parametrize("n", [1, 2, 5])
def test_few_rows_give_at_most_one_component_less(rows: Callable[..., torch.Tensor], n: int) -> None:
    prepared = fit_preparation(rows(n), 128)
    assert len(prepared.variances) == max(1, n - 1)
    assert torch.isfinite(prepared.apply(rows())).all()


def test_moments_of_groups_together_are_those_of_all_rows(rows: Callable[..., torch.Tensor]) -> None:
    taken = rows() + 100.0  # far from zero, where sums of squares would cancel
    together = pooled([moments(taken[:7]), moments(taken[7:60]), moments(taken[60:61]), moments(taken[61:])])
    whole = moments(taken.double())
    assert together.count == whole.count
    torch.testing.assert_close(together.mean.double(), whole.mean, rtol=1e-6, atol=0)
    torch.testing.assert_close(together.scatter.double(), whole.scatter, rtol=1e-3, atol=1e-3)


def test_rows_and_their_moments_prepare_alike(
    rows: Callable[..., torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = rows()
    of_moments = preparation_of(moments(taken), 8)
    monkeypatch.setattr(prepare, "SCATTER_SIDE", 0)
    of_rows = fit_preparation(taken, 8)
    torch.testing.assert_close(of_moments.variances, of_rows.variances, rtol=1e-4, atol=1e-7)
    signs = (of_moments.apply(taken) * of_rows.apply(taken)).sum(dim=0).sign()
    torch.testing.assert_close(of_moments.apply(taken) * signs, of_rows.apply(taken), rtol=1e-3, atol=1e-4)
