from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from acqplan.errors import AcqplanError
from acqplan.heads import solver
from acqplan.heads.exact import Pool, PreparedRows, prepare_folds, stack
from acqplan.heads.linear import NEVER
from acqplan.heads.solver import Problems, solve

if TYPE_CHECKING:
    from tests.heads.conftest import Pool as MadePool


def prepared(pool: Pool, rows: np.ndarray) -> PreparedRows:
    return prepare_folds(pool, rows, np.full(len(rows), NEVER))[0]


@pytest.fixture
def held(pool: MadePool) -> Pool:
    features = torch.from_numpy(pool.features)
    return Pool(features=features, targets=pool.targets, groups=pool.groups, n_classes=3, components=10)


@pytest.fixture
def problems(held: Pool) -> Callable[..., Problems]:
    def stacked(*sizes: int) -> Problems:
        random = np.random.default_rng(1)
        return stack(held, [prepared(held, random.choice(360, size, False)) for size in sizes])[0]

    return stacked


def probabilities(problems: Problems, coefficients: torch.Tensor, number: int) -> np.ndarray:
    n = int((problems.weights[number] > 0).sum())
    inputs = problems.inputs[number, :n].to(coefficients.dtype)
    return torch.softmax(inputs @ coefficients[number].mT, dim=1).numpy()


@pytest.mark.parametrize("strength", [1e-1, 1e-3, 1e-5])
def test_batch_of_padded_problems_agrees_with_scikit_learn_one_by_one(
    problems: Callable[..., Problems], strength: float
) -> None:
    padded = problems(200, 90, 40)
    double = padded.to(torch.float64)
    start = double.inputs.new_zeros(3, 3, double.inputs.shape[2])
    found = solve(double, torch.full((3,), strength, dtype=torch.float64), start, tolerance=1e-7)
    for number, n in enumerate((200, 90, 40)):
        inputs, targets = double.inputs[number, :n, :-1].numpy(), double.targets[number, :n].numpy()
        other = LogisticRegression(C=1 / (n * strength), tol=1e-10, max_iter=1_000, solver="newton-cholesky").fit(
            inputs, targets
        )
        np.testing.assert_allclose(probabilities(double, found, number), other.predict_proba(inputs), atol=1e-5)


def test_single_precision_is_good_enough_to_choose_a_strength(problems: Callable[..., Problems]) -> None:
    padded = problems(200, 90)
    strengths = torch.full((2,), 1e-4)
    start = padded.inputs.new_zeros(2, 3, padded.inputs.shape[2])
    rough = solve(padded, strengths, start, tolerance=1e-3)
    fine = solve(padded.to(torch.float64), strengths.double(), start.double(), tolerance=1e-8)
    for number in range(2):
        gap = probabilities(padded, rough.double(), number) - probabilities(padded, fine, number)
        assert np.abs(gap).max() < 0.01


def test_each_problem_has_its_own_strength(problems: Callable[..., Problems]) -> None:
    padded = problems(120, 120, 120)
    start = padded.inputs.new_zeros(3, 3, padded.inputs.shape[2])
    together = solve(padded, torch.tensor([1e-1, 1e-3, 1e-5]), start, tolerance=1e-5)
    for number, strength in enumerate([1e-1, 1e-3, 1e-5]):
        alone = padded.take(torch.tensor([number]))
        single = solve(alone, torch.tensor([strength]), start[:1], tolerance=1e-5)
        gap = probabilities(padded, together, number) - probabilities(alone, single, 0)
        assert np.abs(gap).max() < 1e-3


def test_padding_whose_class_is_absent_does_no_harm(held: Pool) -> None:
    without_first = np.flatnonzero(held.targets > 0)[::3]
    padded, _ = stack(held, [prepared(held, np.arange(0, 360, 4)), prepared(held, without_first)])
    assert (padded.weights == 0).any()
    start = padded.inputs.new_zeros(2, 3, padded.inputs.shape[2])
    found = solve(padded, torch.full((2,), 1e-3), start, tolerance=1e-4)
    assert torch.isfinite(found).all()
    assert not found[1, 0].any()


def test_weights_that_are_not_at_a_minimum_are_never_returned(
    problems: Callable[..., Problems], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(solver, "CEILING", 3)
    padded = problems(200)
    with pytest.raises(AcqplanError, match="did not converge"):
        solve(padded, torch.tensor([1e-6]), padded.inputs.new_zeros(1, 3, padded.inputs.shape[2]), tolerance=1e-6)


def test_double_precision_takes_over_where_single_is_not_enough(problems: Callable[..., Problems]) -> None:
    padded = problems(200)
    start = padded.inputs.new_zeros(1, 3, padded.inputs.shape[2])
    found = solve(padded, torch.tensor([1e-5]), start, tolerance=1e-8)
    exact = solve(padded.to(torch.float64), torch.tensor([1e-5]).double(), start.double(), tolerance=1e-8)
    np.testing.assert_allclose(probabilities(padded, found, 0), probabilities(padded, exact, 0), atol=1e-5)
