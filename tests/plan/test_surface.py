"""The design surface: a known one is found, its intervals hold, and nothing measured leaves the prior."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from acqplan.plan.surface import SIMULATED, DesignSurface

CLASSES = 5
PILOT = np.array([(k, m) for k in (1, 2, 4) for m in (1, 2, 4, 8)], dtype=np.float64)
ASKED = np.array([(1, 1), (4, 8), (8, 8), (4, 32), (16, 2), (8, 4)], dtype=np.float64)


def log_error(designs: np.ndarray) -> np.ndarray:
    """A plane that no prior of ours has as its mean."""
    return np.log(0.5) - 0.6 * np.log(designs[:, 0]) - 0.15 * np.log(designs[:, 1])


def measured(noise: float, *, seed: int = 0) -> DesignSurface:
    spread = noise * np.random.default_rng(seed).normal(size=len(PILOT))
    return DesignSurface(
        classes=CLASSES, designs=PILOT, log_errors=log_error(PILOT) + spread, noise=noise**2 * np.eye(len(PILOT))
    )


def test_a_known_surface_is_found_and_continued() -> None:
    draws = measured(0.01).accuracies(ASKED)
    found = 1.0 - np.median(draws, axis=0)
    assert found == pytest.approx(np.exp(log_error(ASKED)), rel=0.15)
    assert found[:2] == pytest.approx(np.exp(log_error(ASKED[:2])), rel=0.03)
    assert (np.median(draws[:, 4] - draws[:, 5])) > 0.0, "16 x 2 beats 8 x 4, which costs as much"


def test_intervals_hold_and_are_wider_beyond_what_was_measured() -> None:
    held = []
    for seed in range(40):
        low, high = np.quantile(measured(0.1, seed=seed).accuracies(ASKED), [0.1, 0.9], axis=0)
        held.append((low <= 1.0 - np.exp(log_error(ASKED))) & (1.0 - np.exp(log_error(ASKED)) <= high))
        assert high[3] - low[3] > high[1] - low[1]
    assert np.mean(held) > 0.75


def test_before_anything_is_measured_more_is_better_and_all_is_vague() -> None:
    draws = DesignSurface.before(CLASSES).accuracies(ASKED)
    low, middle, high = np.quantile(draws, [0.1, 0.5, 0.9], axis=0)
    assert middle[0] < middle[1] < min(middle[2:4])
    assert (high - low)[0] > 0.3


@given(
    some.lists(some.tuples(some.floats(1, 50), some.floats(1, 900)), min_size=1, max_size=6),
    some.integers(2, 100),
)
def test_accuracies_lie_between_guessing_and_one(designs: list[tuple[float, float]], classes: int) -> None:
    draws = DesignSurface.before(classes).accuracies(np.array(designs))
    assert (draws >= 1.0 / classes - 1e-9).all()
    assert (draws <= 1.0).all()


def test_the_prior_is_one() -> None:
    assert sum(SIMULATED.weights) == pytest.approx(1.0, abs=0.01)
    assert len(SIMULATED.weights) == len(SIMULATED.means) == len(SIMULATED.covariances) == len(SIMULATED.correlations)
    for covariance in SIMULATED.covariances:
        assert np.linalg.eigvalsh(np.array(covariance)).min() > 0.0
