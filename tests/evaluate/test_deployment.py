"""Accuracy over the views that will be met."""

import numpy as np
import pytest

from acqplan.errors import UsageError
from acqplan.evaluate.results import weighted_shares
from acqplan.space import Circle, Interval, Objects, Shots, Space

SPACE = Space(
    axes=(
        Circle(name="azimuth", values=(90.0, 0.0, 180.0)),
        Interval(name="elevation", values=(40.0, 10.0), unit="deg"),
    )
)
SHOTS = Shots.every(SPACE, Objects(names=("car-1", "car-0", "cow-0"), labels=("car", "car", "cow")))


def test_equal_weights_give_plain_accuracy() -> None:
    correct = np.random.default_rng(0).random(len(SHOTS)) < 0.5
    plain = correct.reshape(3, -1).mean(axis=1)
    assert np.allclose(weighted_shares(correct, SHOTS, None), plain, atol=1e-15)
    assert np.allclose(weighted_shares(correct, SHOTS, np.full(6, 0.3)), plain, atol=1e-15)


def test_views_count_by_their_weight_in_the_order_of_the_space() -> None:
    weights = np.array([3.0, 0.0, 1.0, 0.0, 0.0, 0.0])  # azimuth 90 and 0, both at elevation 40
    correct = SHOTS.coordinates[:, 0] == 90.0
    assert weighted_shares(correct, SHOTS, weights).tolist() == [0.75, 0.75, 0.75]


def test_the_order_of_shots_and_the_scale_of_weights_do_not_matter() -> None:
    draw = np.random.default_rng(1)
    correct, weights, rows = draw.random(len(SHOTS)) < 0.5, draw.random(6), draw.permutation(len(SHOTS))
    expected = weighted_shares(correct, SHOTS, weights)
    assert np.allclose(weighted_shares(correct[rows], SHOTS.take(rows), 9.0 * weights), expected, atol=1e-15)


def test_an_object_without_a_view_that_will_be_met_has_no_share() -> None:
    weights = np.array([1.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    some = SHOTS.take([0, 1, 13, 14])  # the second object has no shot at all, the third none that counts
    shares = weighted_shares(np.ones(4, dtype=bool), some, weights)
    assert shares[0] == 1.0
    assert np.isnan(shares).tolist() == [False, True]


def test_marks_and_weights_of_another_number_are_refused() -> None:
    with pytest.raises(UsageError, match="5 weights of views, the space has 6; give one for each view"):
        weighted_shares(np.ones(len(SHOTS), dtype=bool), SHOTS, np.ones(5))
    with pytest.raises(UsageError, match="2 marks for 18 shots"):
        weighted_shares(np.ones(2, dtype=bool), SHOTS, None)
