"""Heads of the study of transfer: what scikit-learn makes of the same rows, and choices that see no test row."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.neighbors import NearestCentroid
from sklearn.svm import LinearSVC

from acqplan.errors import UsageError
from acqplan.heads.exact import train_heads
from acqplan.heads.prepare import fit_preparation
from acqplan.study import transfer_heads
from acqplan.study.transfer_heads import HEADS, RECIPES, USUAL, Recipe, find_recipes, fit
from tests.heads.conftest import Pool


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def fitted(recipe: Recipe, pool: Pool) -> np.ndarray:
    """Scores of every row."""
    return fit(recipe, pool.features, pool.targets, pool.groups, n_classes=3).scores(pool.features)


@pytest.mark.parametrize("power", [False, True])
@pytest.mark.parametrize("kind", ["svm", "logistic"])
def test_svm_and_logistic_are_those_of_scikit_learn(
    kind: str, power: bool, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer_heads, "COSTS", {kind: (2.0,)})
    rows = np.sign(pool.features) * np.abs(pool.features) ** 0.5 if power else pool.features
    method = (
        LinearSVC(C=2.0, fit_intercept=False, tol=1e-8, max_iter=100_000)
        if kind == "svm"
        else LogisticRegression(C=2.0, fit_intercept=False, tol=1e-8, max_iter=10_000)
    )
    said = method.fit(unit(rows), pool.targets).decision_function(unit(rows))
    found = fitted(Recipe(head=kind, unit=True, power=power), pool)  # type: ignore[arg-type]
    assert (found.argmax(axis=1) == said.argmax(axis=1)).mean() > 0.995


@pytest.mark.parametrize("pca", [False, True])
def test_ridge_is_that_of_scikit_learn(pca: bool, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer_heads, "ALPHAS", (0.7,))
    monkeypatch.setattr(transfer_heads, "COMPONENTS", 7)
    rows = pool.features.astype(np.float64)
    spread = rows.std(axis=0)
    inputs = (rows - rows.mean(axis=0)) / (spread + spread.mean())
    if pca:
        inputs = fit_preparation(torch.from_numpy(pool.features), 7).apply(torch.from_numpy(pool.features)).numpy()
    head = RidgeClassifier(alpha=0.7 * (inputs**2).sum() / len(inputs)).fit(inputs, pool.targets)
    found = fitted(Recipe(head="ridge", pca=pca), pool)
    np.testing.assert_allclose(found, head.decision_function(inputs), atol=1e-4)


def test_nearest_class_means_are_those_of_scikit_learn(pool: Pool) -> None:
    said = NearestCentroid().fit(unit(pool.features), pool.targets).predict(unit(pool.features))
    np.testing.assert_array_equal(fitted(Recipe(head="mean", unit=True), pool).argmax(axis=1), said)


def test_the_usual_head_is_the_exact_one(pool: Pool) -> None:
    every = [np.arange(len(pool.targets))]
    head = train_heads(pool.features, pool.targets, pool.groups, every, n_classes=3)[0]
    np.testing.assert_array_equal(fitted(USUAL, pool).argmax(axis=1), head.predict(pool.features))


@pytest.mark.parametrize("recipe", RECIPES, ids=str)
def test_every_recipe_learns_and_gives_absent_classes_nothing(recipe: Recipe, pool: Pool) -> None:
    head = fit(recipe, pool.features, pool.targets, pool.groups, n_classes=4)
    scores = head.scores(pool.features)
    assert (scores[:, 3] == -np.inf).all()
    assert (scores.argmax(axis=1) == pool.targets).mean() > 0.9
    again = fit(recipe, pool.features, pool.targets, pool.groups, n_classes=4).scores(pool.features)
    np.testing.assert_array_equal(scores, again)


@pytest.mark.parametrize("head", HEADS)
def test_one_object_a_class_suffices(head: str, pool: Pool) -> None:
    few = np.isin(pool.groups, [0, 4, 8])
    found = fit(
        Recipe(head=head, unit=head in ("svm", "logistic")),  # type: ignore[arg-type]
        pool.features[few],
        pool.targets[few],
        pool.groups[few],
        n_classes=3,
    )
    assert (found.scores(pool.features[few]).argmax(axis=1) == pool.targets[few]).all()


def test_unknown_heads_are_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="no head is called 'rige'") as raised:
        find_recipes(["rige"], RECIPES)
    assert "ridge" in raised.value.hint
    assert {recipe.head for recipe in find_recipes(["ridge", "mean"], RECIPES)} == {"ridge", "mean"}
