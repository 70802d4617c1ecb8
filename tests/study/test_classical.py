from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import normalize
from sklearn.svm import LinearSVC

from acqplan.errors import AcqplanError, UsageError
from acqplan.heads.linear import Head, predict_all
from acqplan.study import classical
from acqplan.study.classical import Kind, train_classical

if TYPE_CHECKING:
    from tests.heads.conftest import Pool

KINDS: list[Kind] = ["svm", "logistic"]


def train(pool: Pool, *subsets: np.ndarray, **options: object) -> list[Head]:
    asked: dict[str, object] = {"n_classes": 3} | options
    return train_classical(pool.features, pool.targets, pool.groups, subsets, **asked)  # type: ignore[arg-type]


def some(pool: Pool, n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).choice(len(pool.targets), n, replace=False)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("classes", [[0, 1, 2], [0, 2]])
def test_head_predicts_what_scikit_learn_predicts_for_normalised_features(
    pool: Pool, kind: Kind, classes: list[int]
) -> None:
    rows = some(pool, 150)
    rows = rows[np.isin(pool.targets[rows], classes)]
    inputs = normalize(pool.features)
    other = LinearSVC(fit_intercept=False) if kind == "svm" else LogisticRegression(fit_intercept=False)
    other.fit(inputs[rows], pool.targets[rows])
    head = train(pool, rows, kind=kind)[0]
    margins = np.sort(head.probabilities(pool.features), axis=1)
    clear = margins[:, -1] - margins[:, -2] > 1e-3
    assert clear.mean() > 0.9
    assert (head.predict(pool.features) == other.predict(inputs))[clear].all()


def test_logistic_probabilities_are_those_of_scikit_learn_at_the_average_length(pool: Pool) -> None:
    rows = some(pool, 150)
    head = train(pool, rows, kind="logistic")[0]
    other = LogisticRegression(fit_intercept=False, tol=1e-8).fit(normalize(pool.features[rows]), pool.targets[rows])
    length = np.linalg.norm(pool.features[rows], axis=1).mean()
    inputs = normalize(pool.features)
    np.testing.assert_allclose(head.probabilities(length * inputs), other.predict_proba(inputs), atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_class_of_a_row_does_not_depend_on_its_length(pool: Pool, kind: Kind) -> None:
    rows = some(pool, 90)
    scales = np.random.default_rng(1).uniform(0.1, 10.0, (len(pool.features), 1)).astype(np.float32)
    scaled = replace(pool, features=pool.features * scales)
    one, other = train(pool, rows, kind=kind)[0], train(scaled, rows, kind=kind)[0]
    assert (one.predict(pool.features) == other.predict(scaled.features)).mean() > 0.99


@pytest.mark.parametrize("kind", KINDS)
def test_absent_class_gets_no_probability_and_changes_nothing_else(pool: Pool, kind: Kind) -> None:
    rows = some(pool, 150)
    rows = rows[pool.targets[rows] != 1]
    three, four = train(pool, rows, kind=kind)[0], train(pool, rows, kind=kind, n_classes=4)[0]
    assert not three.probabilities(pool.features)[:, 1].any()
    assert not three.beliefs[:, 1].any()
    np.testing.assert_allclose(three.probabilities(pool.features), four.probabilities(pool.features)[:, :3], atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_beliefs_come_from_heads_that_never_saw_the_object(pool: Pool, kind: Kind) -> None:
    """Features tell objects apart but not classes: known objects are easy, new ones are not."""
    random = np.random.default_rng(5)
    marks = random.normal(size=(12, 24))[pool.groups] + 0.05 * random.normal(size=pool.features.shape)
    marked = replace(pool, features=marks.astype(np.float32))
    rows = some(pool, 200)
    head = train(marked, rows, kind=kind, cost=100.0)[0]
    assert (head.predict(marked.features[rows]) == pool.targets[rows]).mean() > 0.95
    assert (head.beliefs.argmax(axis=1) == pool.targets[rows]).mean() < 0.6
    np.testing.assert_allclose(head.beliefs.sum(axis=1), 1.0, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_one_image_a_class_and_a_single_class_give_right_heads(pool: Pool, kind: Kind) -> None:
    rows = np.array([0, 120, 240])
    three, alone = train(pool, rows, np.array([130]), kind=kind)
    assert (three.predict(pool.features[rows]) == [0, 1, 2]).all()
    np.testing.assert_allclose(three.beliefs, 1 / 3, atol=1e-6)
    assert (alone.probabilities(pool.features) == [0.0, 1.0, 0.0]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_rows_without_length_break_nothing(pool: Pool, kind: Kind) -> None:
    pool.features[::7] = 0.0
    head = train(pool, np.arange(0, 360, 3), np.arange(0, 360, 7), kind=kind)
    assert all(np.isfinite(one.weight).all() and np.isfinite(one.beliefs).all() for one in head)


def test_order_of_subsets_is_that_of_heads(pool: Pool) -> None:
    subsets = [some(pool, n, n) for n in (30, 90, 60)]
    heads = train(pool, *subsets)
    assert [len(head.beliefs) for head in heads] == [30, 90, 60]
    assert heads[1].strength == pytest.approx(1 / 90)
    assert predict_all(heads, pool.features).shape == (3, 360)
    assert train(pool) == []


def test_rows_that_no_subset_names_may_be_anything(pool: Pool) -> None:
    rows = some(pool, 100)
    poisoned = replace(pool, features=np.full_like(pool.features, np.nan))
    poisoned.features[rows] = pool.features[rows]
    assert train(pool, rows)[0].weight.tobytes() == train(poisoned, rows)[0].weight.tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_head_that_does_not_converge_is_an_error(pool: Pool, kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classical, "CEILING", 1)
    with pytest.raises(AcqplanError, match="converged after 1 iter"):
        train(pool, np.arange(360), kind=kind, cost=1e3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"subsets": [np.array([], dtype=np.int64)]}, "subset 0"),
        ({"subsets": [np.array([0, 360])]}, "row 360 is outside"),
        ({"subsets": [np.array([-1])]}, "row -1 is outside"),
        ({"n_classes": 2}, "0..1"),
        ({"kind": "forest"}, "forest"),
        ({"cost": 0.0}, "cost 0"),
        ({"folds": 1}, "1 folds"),
        ({"groups": np.zeros(3, dtype=np.int64)}, "3 groups"),
    ],
)
def test_wrong_arguments_are_refused(pool: Pool, change: dict[str, object], message: str) -> None:
    asked: dict[str, object] = {"subsets": [np.arange(0, 360, 5)], "n_classes": 3, "targets": pool.targets}
    asked |= {"groups": pool.groups} | change
    with pytest.raises(UsageError, match=message):
        train_classical(pool.features, **asked)  # type: ignore[arg-type]


def test_broken_feature_names_its_row(pool: Pool) -> None:
    pool.features[17, 3] = np.nan
    with pytest.raises(AcqplanError, match="row 17"):
        train(pool, np.arange(0, 360, 17))
