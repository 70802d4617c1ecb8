"""Fitted learning curves: known curves are found, and nothing is promised where nothing rises."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from scipy.optimize import least_squares

from acqplan.advice.curves import fit_power_law
from acqplan.errors import UsageError

IMAGES = np.array([20.0, 40.0, 80.0, 160.0, 320.0])


@pytest.mark.parametrize(("scale", "exponent", "floor"), [(0.02, 0.5, 0.1), (0.05, 1.0, 0.0), (0.1, 0.3, 0.05)])
def test_a_power_law_is_found(scale: float, exponent: float, floor: float) -> None:
    errors = scale * (IMAGES / 320) ** -exponent + floor
    law = fit_power_law(IMAGES, errors[None])
    assert law.accuracy(640)[0] == pytest.approx(1 - scale * 2**-exponent - floor, abs=2e-4)
    assert law.images_for(law.accuracy(700.0))[0] == pytest.approx(700.0)


def test_it_fits_as_well_as_a_search_without_a_grid() -> None:
    noisy = 0.05 * (IMAGES / 320) ** -0.6 + 0.1 + np.array([0.01, -0.008, 0.004, 0.003, -0.002])
    weights = IMAGES / IMAGES.sum()

    def residuals(numbers: np.ndarray) -> np.ndarray:
        return np.sqrt(weights) * (numbers[0] * (IMAGES / 320) ** -numbers[1] + numbers[2] - noisy)

    searched = least_squares(residuals, (0.1, 0.5, 0.1), bounds=([0, 0.1, 0], [np.inf, 3.0, 1.0]), xtol=1e-12)
    law = fit_power_law(IMAGES, noisy[None])
    ours = residuals(np.array([law.scale[0], law.exponent[0], law.floor[0]]))
    assert (ours**2).sum() == pytest.approx(2 * searched.cost, rel=2e-3)


@given(some.lists(some.floats(0, 1), min_size=5, max_size=5))
def test_any_errors_give_a_curve_that_never_falls(errors: list[float]) -> None:
    law = fit_power_law(IMAGES, np.array([errors]))
    curve = [law.accuracy(images)[0] for images in (10.0, 100.0, 1e3, 1e6)]
    assert np.isfinite(curve).all()
    assert (np.diff(curve) >= 0).all()
    assert curve[-1] <= 1 + 1e-9


def test_a_curve_that_falls_or_is_flat_promises_nothing() -> None:
    law = fit_power_law(IMAGES, np.array([[0.1, 0.12, 0.14, 0.16, 0.18], [0.2] * 5, [0.0] * 5]))
    assert law.accuracy(1e9) == pytest.approx(law.accuracy(320.0))
    assert np.isinf(law.images_for(np.ones(3))[:2]).all()
    assert law.images_for(np.ones(3))[2] < 320


def test_two_sizes_are_not_enough() -> None:
    with pytest.raises(UsageError, match="at least 3"):
        fit_power_law(IMAGES[:2], np.zeros((1, 2)))
