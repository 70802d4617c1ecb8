from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from acqplan.errors import AcqplanError, UsageError
from acqplan.heads import exact
from acqplan.heads.exact import STRENGTHS, train_heads
from acqplan.heads.linear import Head, out_of_object_loss, predict_all
from acqplan.heads.prepare import fit_preparation

if TYPE_CHECKING:
    from tests.heads.conftest import Pool


def train(pool: Pool, *subsets: np.ndarray, n_classes: int = 3, **options: object) -> list[Head]:
    return train_heads(pool.features, pool.targets, pool.groups, subsets, n_classes=n_classes, **options)  # type: ignore[arg-type]


def some(pool: Pool, n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).choice(len(pool.targets), n, replace=False)


@pytest.mark.parametrize("strength", [1e-2, 1e-5])
def test_head_is_that_of_scikit_learn_on_the_same_components(pool: Pool, strength: float) -> None:
    rows = some(pool, 150)
    head = train(pool, rows, strengths=(strength,), components=10)[0]
    taken = torch.from_numpy(pool.features[rows])
    preparation = fit_preparation(taken, 10)
    other = LogisticRegression(C=1 / (150 * strength), tol=1e-10, max_iter=1_000, solver="newton-cholesky")
    other.fit(preparation.apply(taken).double().numpy(), pool.targets[rows])
    everything = preparation.apply(torch.from_numpy(pool.features)).double().numpy()
    np.testing.assert_allclose(head.probabilities(pool.features), other.predict_proba(everything), atol=1e-4)


def test_heads_trained_together_are_those_trained_alone(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    subsets = [some(pool, n, seed) for seed, n in enumerate((20, 300, 90, 45, 200))]
    together = train(pool, *subsets)
    monkeypatch.setattr(exact, "BATCH_BYTES", {"cpu": 1})
    for head, subset in zip(together, subsets, strict=True):
        alone = train(pool, subset)[0]
        assert head.strength == alone.strength
        np.testing.assert_allclose(head.probabilities(pool.features), alone.probabilities(pool.features), atol=1e-4)
        np.testing.assert_allclose(head.beliefs, alone.beliefs, atol=0.02)


def test_order_of_rows_does_not_matter(pool: Pool) -> None:
    rows = some(pool, 120)
    one, other = train(pool, rows, rows[::-1])
    assert one.strength == other.strength
    np.testing.assert_allclose(one.probabilities(pool.features), other.probabilities(pool.features), atol=1e-4)
    np.testing.assert_allclose(one.beliefs, other.beliefs[::-1], atol=0.02)


def test_beliefs_come_from_heads_that_never_saw_the_object(pool: Pool) -> None:
    """Features tell objects apart but not classes: known objects are easy, new ones are not."""
    random = np.random.default_rng(5)
    marks = random.normal(size=(12, 24))[pool.groups] + 0.05 * random.normal(size=pool.features.shape)
    marked = replace(pool, features=marks.astype(np.float32))
    rows = some(pool, 200)
    head = train(marked, rows, strengths=(1e-5,))[0]
    seen = (head.predict(marked.features[rows]) == pool.targets[rows]).mean()
    foreseen = (head.beliefs.argmax(axis=1) == pool.targets[rows]).mean()
    assert seen == 1.0
    assert foreseen < 0.6


def test_changing_left_out_rows_changes_no_belief_of_the_fold_but_theirs(pool: Pool) -> None:
    """Preparation and head of a fold are blind to the rows it leaves out, whatever they hold."""
    rows = np.sort(some(pool, 150))
    first = np.isin(pool.groups, [0, 4, 8])  # fold 0: the first object of each class
    other = replace(pool, features=pool.features.copy())
    other.features[np.flatnonzero(first & (pool.groups == 0))] *= 50.0
    a, b = train(pool, rows, strengths=(1e-3,))[0], train(other, rows, strengths=(1e-3,))[0]
    same_fold = np.isin(pool.groups[rows], [4, 8])
    np.testing.assert_allclose(a.beliefs[same_fold], b.beliefs[same_fold], atol=1e-5)
    assert np.abs(a.beliefs[~first[rows]] - b.beliefs[~first[rows]]).max() > 1e-3


def test_strength_chosen_has_the_least_loss_on_left_out_objects(pool: Pool) -> None:
    rows = some(pool, 200)
    chosen = train(pool, rows)[0].strength
    losses = {}
    for strength in STRENGTHS:
        beliefs = train(pool, rows, strengths=(strength,))[0].beliefs
        losses[strength] = out_of_object_loss(beliefs, pool.targets[rows], pool.groups[rows])
    assert losses[chosen] <= min(losses.values()) + 0.005


def test_known_strengths_are_taken_and_no_object_is_left_out(pool: Pool) -> None:
    rows = [some(pool, 200), some(pool, 60, 1)]
    heads = train(pool, *rows, known=(1e-3, 1e-5))
    assert [head.strength for head in heads] == [1e-3, 1e-5]
    for head, mine in zip(heads, rows, strict=True):
        alone = train(pool, mine, strengths=(head.strength,))[0]
        np.testing.assert_allclose(head.probabilities(pool.features), alone.probabilities(pool.features), atol=1e-4)
        np.testing.assert_array_equal(head.beliefs, np.float32(1 / 3))
    for known in ((1e-3, 0.0), (np.inf, 1e-3)):
        with pytest.raises(UsageError, match="positive"):
            train(pool, *rows, known=known)


def test_random_labels_call_for_the_strongest_strength(make_pool: Callable[..., Pool]) -> None:
    made = make_pool(n_classes=2, n_objects=10, n_views=8)
    features = np.random.default_rng(0).normal(size=made.features.shape).astype(np.float32)
    noise = replace(made, features=features)
    assert train(noise, np.arange(160), n_classes=2)[0].strength == max(STRENGTHS)


def test_absent_class_gets_no_probability_and_changes_nothing_else(pool: Pool) -> None:
    rows = some(pool, 150)
    rows = rows[pool.targets[rows] != 1]
    three, four = train(pool, rows)[0], train(pool, rows, n_classes=4)[0]
    assert not three.probabilities(pool.features)[:, 1].any()
    assert not three.beliefs[:, 1].any()
    np.testing.assert_array_equal(three.probabilities(pool.features), four.probabilities(pool.features)[:, :3])
    np.testing.assert_allclose(three.probabilities(pool.features).sum(axis=1), 1.0, atol=1e-6)


def test_single_class_gives_a_constant_head(pool: Pool) -> None:
    head = train(pool, np.flatnonzero(pool.targets == 2)[::5])[0]
    assert (head.probabilities(pool.features) == [0.0, 0.0, 1.0]).all()


def test_one_image_a_class_gives_a_head_that_knows_its_images(pool: Pool) -> None:
    rows = np.array([0, 120, 240])
    head = train(pool, rows)[0]
    assert head.strength == STRENGTHS[2]
    assert (head.predict(pool.features[rows]) == [0, 1, 2]).all()
    np.testing.assert_allclose(head.beliefs, 1 / 3, atol=1e-6)


def test_only_object_of_a_class_gets_no_belief_and_stays_in_every_fold(pool: Pool) -> None:
    rows = np.flatnonzero((pool.targets < 2) | (pool.groups == 8))[::2]
    head = train(pool, rows)[0]
    lonely = pool.groups[rows] == 8
    np.testing.assert_allclose(head.beliefs[lonely], 1 / 3, atol=1e-6)
    assert head.beliefs[~lonely, 2].max() > 0.0


def test_rows_that_no_subset_names_may_be_anything(pool: Pool) -> None:
    rows = some(pool, 100)
    poisoned = replace(pool, features=np.full_like(pool.features, np.nan))
    poisoned.features[rows] = pool.features[rows]
    one, other = train(pool, rows)[0], train(poisoned, rows)[0]
    assert one.weight.tobytes() == other.weight.tobytes()


@given(seed=st.integers(0, 10_000), n=st.integers(3, 60))
@settings(max_examples=15, deadline=None)
def test_any_subset_gives_probabilities(make_pool: Callable[..., Pool], seed: int, n: int) -> None:
    made = make_pool(n_views=5)
    made.features[:, 5] = 3.0
    rows = np.random.default_rng(seed).choice(len(made.targets), n, replace=True)
    head = train(made, rows)[0]
    assert head.beliefs.shape == (n, 3)
    for table in (head.beliefs, head.probabilities(made.features)):
        assert np.isfinite(table).all()
        np.testing.assert_allclose(table.sum(axis=1), 1.0, atol=1e-5)


def test_nothing_to_train_is_no_head(pool: Pool) -> None:
    assert train(pool) == []


def test_predict_all_is_each_head_alone(pool: Pool) -> None:
    heads = train(pool, *(some(pool, 60, seed) for seed in range(4)))
    together = predict_all(heads, pool.features)
    for head, row in zip(heads, together, strict=True):
        assert (row == head.probabilities(pool.features).argmax(axis=1)).all()
    assert predict_all(heads, pool.features[:0]).shape == (4, 0)
    assert predict_all([], pool.features).shape == (0, len(pool.features))


def test_broken_feature_names_its_row(pool: Pool) -> None:
    pool.features[17, 3] = np.nan
    with pytest.raises(AcqplanError, match="row 17"):
        train(pool, np.arange(0, 360, 17))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"subsets": [np.array([], dtype=np.int64)]}, "subset 0"),
        ({"subsets": [np.array([0, 360])]}, "outside the pool"),
        ({"subsets": [np.array([-1])]}, "outside the pool"),
        ({"n_classes": 2}, "0..1"),
        ({"strengths": ()}, "strengths"),
        ({"strengths": (0.0,)}, "strengths"),
        ({"folds": 1}, "folds"),
        ({"groups": np.zeros(360, dtype=np.int64)}, "two classes"),
        ({"targets": np.zeros(3, dtype=np.int64)}, "3 targets"),
    ],
)
def test_wrong_arguments_are_refused(pool: Pool, change: dict[str, object], message: str) -> None:
    asked: dict[str, object] = {"subsets": [np.arange(0, 360, 5)], "n_classes": 3, "targets": pool.targets}
    asked |= {"groups": pool.groups} | change
    with pytest.raises(UsageError, match=message):
        train_heads(pool.features, **asked)  # type: ignore[arg-type]


def test_features_of_another_width_are_refused(pool: Pool) -> None:
    head = train(pool, some(pool, 60))[0]
    with pytest.raises(UsageError, match="24 features"):
        head.predict(pool.features[:, :20])
