"""The interval of a test of several classes, and the interval to expect: known components, coverage, limits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats

from acqplan.rng import generator
from acqplan.statistics.judging import Components, class_interval
from acqplan.statistics.objects import mean_interval

ACCURACIES = np.array([0.95, 0.75, 0.85, 0.9])
"""Of four classes, whose images agree within an object by .3."""

CORRELATION = 0.3
SPREAD = float((ACCURACIES * (1.0 - ACCURACIES)).mean())


def judged(n_objects: int, n_views: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Right images, their objects and classes: beta-binomial, so that the components are known."""
    random = generator(seed, "judged", n_objects, n_views)
    shape = (1.0 / CORRELATION - 1.0) * ACCURACIES[:, None]
    chances = random.beta(shape, (1.0 / CORRELATION - 1.0) - shape, size=(len(ACCURACIES), n_objects)).ravel()
    objects = np.repeat(np.arange(len(chances)), n_views)
    return (random.random(len(objects)) < chances[objects]).astype(float), objects, objects // n_objects


def shares(n_objects: int, n_views: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    right, _, classes = judged(n_objects, n_views, seed)
    return right.reshape(-1, n_views).mean(axis=1), classes[::n_views]


def test_components_are_found_though_objects_have_unequal_numbers_of_images() -> None:
    right, objects, classes = judged(300, 8, 0)
    kept = np.arange(len(right)) % 8 < generator(0, "images").integers(1, 9, size=objects.max() + 1)[objects]
    found = Components.of(right[kept], objects[kept], classes[kept])
    assert found.between == pytest.approx(CORRELATION * SPREAD, rel=0.1)
    assert found.within == pytest.approx((1.0 - CORRELATION) * SPREAD, rel=0.05)
    assert found.correlation == pytest.approx(CORRELATION, abs=0.03)
    assert (found.objects, found.images) == (1200, kept.sum())


def test_pilots_foretell_half_widths_and_intervals_hold() -> None:
    known = [Components.of(*judged(5, 8, seed)) for seed in range(200)]
    for n_objects, n_views in ((6, 1), (5, 4)):
        ends = np.array([class_interval(*shares(n_objects, n_views, seed)) for seed in range(1000)])
        truth = ACCURACIES.mean()
        assert 0.92 <= ((ends[:, 1] <= truth) & (truth <= ends[:, 2])).mean() <= 0.98
        found = (ends[:, 2] - ends[:, 1]).mean() / 2.0
        expected = [one.half_width(4 * n_objects, 4, n_views, np.inf) for one in known]
        assert np.mean(expected) == pytest.approx(found, rel=0.05)


def test_the_ends_are_those_of_wilson() -> None:
    found, classes = shares(6, 4, 0)
    mean, low, high = class_interval(found, classes)
    apart = found.reshape(4, 6) - found.reshape(4, 6).mean(axis=1, keepdims=True)
    variance = (apart**2).sum() / 20 / 24
    trials = mean * (1.0 - mean) / variance
    for end in (low, high):
        assert abs(end - mean) == pytest.approx(stats.t.ppf(0.975, 20) * (end * (1.0 - end) / trials) ** 0.5)


def test_classes_that_differ_do_not_widen_it_and_names_change_nothing() -> None:
    found = np.array([0.9, 0.95, 1.0, 0.3, 0.35, 0.4])
    mean, low, high = class_interval(found, np.array([0, 0, 0, 1, 1, 1]))
    assert high - low < 0.5 * np.ptp(mean_interval(found)[1:])
    order = [3, 0, 4, 1, 5, 2]
    assert class_interval(found[order], np.array(list("ababab"))) == pytest.approx((mean, low, high))


def test_where_no_object_fails_it_is_no_point() -> None:
    mean, low, high = class_interval(np.ones(12), np.arange(12) // 3)
    assert (mean, high) == (1.0, 1.0)
    assert 0.6 < low < 0.9
    assert class_interval(np.array([0.8]), np.array([0])) == (0.8, 0.0, 1.0)
    assert Components.of(np.ones(12), np.arange(12) // 2, np.arange(12) // 6).half_width(12, 4, 4, 50) > 0.02
    assert class_interval(np.array([1.0, 0.5]), np.array([0, 1]))[1] < 0.3, "one object of each class says little"


def test_one_object_of_each_class_leaves_the_prior() -> None:
    assert Components.of(np.array([1.0, 0.0, 1.0, 1.0]), np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1])) == Components()


@example(n_objects=4, views=7, between=0.0, within=5e-11, accuracy=0.5)
@given(
    n_objects=st.integers(3, 40),
    views=st.integers(1, 20),
    between=st.floats(0.0, 0.1),
    within=st.floats(0.0, 0.15),
    accuracy=st.floats(0.5, 0.99),
)
def test_more_views_are_never_better_than_as_many_images_of_more_objects(
    n_objects: int, views: int, between: float, within: float, accuracy: float
) -> None:
    known = Components(accuracy=accuracy, between=between, within=within)
    fewer = known.half_width(n_objects, 2, 2 * views, np.inf)
    assert known.half_width(2 * n_objects, 2, views, np.inf) <= fewer + 1e-9
    assert fewer <= known.half_width(n_objects, 2, views, np.inf) + 1e-9
