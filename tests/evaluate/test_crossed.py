from __future__ import annotations

import numpy as np
import pytest

from acqplan.errors import UsageError
from acqplan.evaluate.clustered import sign_flip
from acqplan.evaluate.crossed import Run, object_means, paired_differences
from acqplan.evaluate.intervals import two_way_interval, two_way_mean
from acqplan.evaluate.power import equivalence

Arm = dict[Run, dict[str, float]]


def swapped(shift: float = 0.0, *, n_splits: int = 4, n_seeds: int = 3, seed: int = 0) -> Arm:
    """Ten objects; even splits test one half, odd splits the other."""
    random = np.random.default_rng(seed)
    return {
        (split, number): {f"o{place:02d}": random.random() + shift for place in range(split % 2, 10, 2)}
        for split in range(n_splits)
        for number in range(n_seeds)
    }


A, B = swapped(seed=0), swapped(seed=1)


def test_differences_stand_where_object_and_run_meet() -> None:
    found = paired_differences(A, B)
    assert found.objects == tuple(f"o{place:02d}" for place in range(10))
    assert found.runs == tuple(sorted(A))
    assert found.differences.shape == (10, 12)
    assert np.isfinite(found.differences).sum() == 60
    for row, name in enumerate(found.objects):
        for column, run in enumerate(found.runs):
            expected = A[run][name] - B[run][name] if name in A[run] else np.nan
            np.testing.assert_equal(found.differences[row, column], expected)


def test_runs_are_paired_by_key_and_not_by_order() -> None:
    backwards = {run: dict(reversed(B[run].items())) for run in reversed(B)}
    np.testing.assert_array_equal(paired_differences(A, backwards).differences, paired_differences(A, B).differences)


def test_swapping_arms_negates() -> None:
    one, other = paired_differences(A, B), paired_differences(B, A)
    assert one.per_object == pytest.approx(-other.per_object)
    assert sign_flip(one.per_object) == sign_flip(other.per_object)


def test_adding_a_constant_to_an_arm_adds_it_to_every_object() -> None:
    better = {run: {name: accuracy + 0.25 for name, accuracy in its.items()} for run, its in A.items()}
    assert paired_differences(better, B).per_object == pytest.approx(paired_differences(A, B).per_object + 0.25)


def test_an_object_is_one_number_however_often_it_was_tested() -> None:
    found = paired_differences(A, B)
    by_hand = [np.mean([A[run][name] - B[run][name] for run in A if name in A[run]]) for name in found.objects]
    assert found.per_object == pytest.approx(by_hand)
    assert two_way_mean(found.differences) == pytest.approx(np.mean(by_hand))
    thrice = {(split, seed + 100 * copy): its for (split, seed), its in A.items() for copy in range(3)}
    others = {(split, seed + 100 * copy): its for (split, seed), its in B.items() for copy in range(3)}
    repeated = paired_differences(thrice, others)
    assert len(repeated.runs) == 36
    assert sign_flip(repeated.per_object) == pytest.approx(sign_flip(found.per_object))


def test_the_reduction_feeds_all_tests_on_objects() -> None:
    found = paired_differences(A, B)
    assert equivalence(found.per_object).n_objects == 10
    interval = two_way_interval(found.differences, draws=500)
    assert interval.low < interval.estimate < interval.high
    assert interval.estimate == pytest.approx(equivalence(found.per_object).difference)


def test_runs_that_one_arm_lacks_or_that_failed_are_left_out() -> None:
    failed = {run: dict(its) for run, its in B.items() if run != (0, 0)}
    failed[1, 2]["o03"] = float("nan")
    found = paired_differences(A, failed)
    assert set(found.runs) == set(A) - {(0, 0), (1, 2)}
    rest = {run: its for run, its in A.items() if run in found.runs}
    np.testing.assert_array_equal(found.differences, paired_differences(rest, B).differences)


def test_objects_never_tested_in_a_common_run_are_left_out() -> None:
    only_even = {run: its for run, its in B.items() if run[0] % 2 == 0}
    assert paired_differences(A, only_even).objects == ("o00", "o02", "o04", "o06", "o08")
    assert object_means(np.array([[1.0, np.nan], [np.nan, np.nan], [3.0, 5.0]])).tolist() == [1.0, 4.0]


def test_arms_tested_on_other_objects_are_refused() -> None:
    other = {**B, (1, 1): {"o99": 0.5}}
    with pytest.raises(UsageError, match=r"split 1, seed 1: object 'o01' was tested with one arm only"):
        paired_differences(A, other)
    with pytest.raises(UsageError, match="infinite accuracy"):
        paired_differences(A, {**B, (0, 0): dict.fromkeys(B[0, 0], np.inf)})


def test_arms_without_a_common_run_are_refused() -> None:
    for other in ({}, {(9, 9): {"o01": 0.5}}, {(0, 0): dict.fromkeys(A[0, 0], np.nan)}):
        with pytest.raises(UsageError, match="no finished run in common"):
            paired_differences(A, other)


@pytest.mark.parametrize("wrong", [np.zeros(3), np.full((2, 2), np.nan), np.zeros((0, 2)), np.array([[np.inf]])])
def test_matrices_that_are_none_are_refused(wrong: np.ndarray) -> None:
    with pytest.raises(UsageError, match="objects x runs"):
        object_means(wrong)
