"""The kernel of shots: numpy against gpytorch, and what it says in words."""

from __future__ import annotations

import numpy as np
import pytest

from acqplan.errors import UsageError
from acqplan.plan.surrogate import LEVELS, ShotKernel, class_points, covariance, describe, gram, points_of
from acqplan.space import Category, Circle, Interval, Shots, Space, parse_values
from acqplan.space.kernel import LARGEST_MATRIX as LARGEST_MATRIX
from acqplan.space.kernel import Similarity, mixed_kernel
from tests.plan.surrogate.reference import shot_module


def kernel_of(space: Space, seed: int = 0) -> ShotKernel:
    lengths = space.scales * np.random.default_rng(seed).uniform(0.3, 3.0, len(space.axes))
    return ShotKernel(lengths=tuple(lengths.tolist()), common=0.3, shared=0.5, offset=0.11, deviation=0.17, noise=0.05)


def test_numpy_and_gpytorch_agree(space: Space, some: Shots) -> None:
    torch = pytest.importorskip("torch")
    kernel = kernel_of(space)
    points, new = points_of(some), class_points(1, space.views()[:9])
    module = shot_module(space, kernel)
    for right in (points, new):
        with torch.no_grad():
            theirs = module(torch.from_numpy(points), torch.from_numpy(right)).to_dense().numpy()
        np.testing.assert_allclose(covariance(space, kernel, points, right), theirs, rtol=0.0, atol=1e-12)
    variances = torch.tensor([getattr(kernel, name) for name in LEVELS], dtype=torch.float64)
    ours = gram(space, points)(variances, torch.tensor(kernel.lengths, dtype=torch.float64))
    np.testing.assert_allclose(covariance(space, kernel, points, points), ours.numpy(), rtol=0.0, atol=1e-12)


def test_covariance_is_a_covariance(space: Space, some: Shots) -> None:
    points = points_of(some)
    gram = covariance(space, kernel_of(space), points, points)
    np.testing.assert_allclose(gram, gram.T, atol=1e-14)
    assert np.linalg.eigvalsh(gram).min() > -1e-10
    np.testing.assert_allclose(gram.diagonal(), 0.3 + 0.5 + 0.11 + 0.17)


def test_levels_add_up(space: Space) -> None:
    kernel = kernel_of(space)
    view = np.repeat(space.views()[:1], 4, axis=0)
    points = np.column_stack([[0, 0, 0, 1], [0, 0, 1, 3], view])
    expected = [0.3 + 0.5 + 0.11 + 0.17, 0.3 + 0.5 + 0.11 + 0.17, 0.3 + 0.5, 0.3]
    np.testing.assert_allclose(covariance(space, kernel, points, points)[0], expected)


def test_a_circle_has_the_period_of_its_axis() -> None:
    space = Space(axes=(Circle(name="azimuth", values=parse_values("0:359:1")),))
    kernel = ShotKernel(lengths=(25.0,), common=0.0, shared=1.0)
    apart = np.array([0.0, 5.0, 90.0, 180.0, 355.0])[:, None]
    found = covariance(space, kernel, class_points(0, apart[:1]), class_points(0, apart))[0]
    length = 2.0 * np.pi * 25.0 / 360.0
    np.testing.assert_allclose(found, np.exp(-2.0 * np.sin(np.pi * apart[:, 0] / 360.0) ** 2 / length**2))


def test_columns_are_those_of_the_matrix(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = kernel_of(space).lengths
    matrix = mixed_kernel(space, space.views(), space.views(), scales=np.array(lengths))
    rows = np.array([3, 0, 7])
    for largest in (LARGEST_MATRIX, space.n_views - 1):
        monkeypatch.setattr("acqplan.space.kernel.LARGEST_MATRIX", largest)
        similarity = Similarity(space, lengths)
        np.testing.assert_allclose(similarity.column(7), matrix[7], atol=1e-12)
        np.testing.assert_allclose(similarity.mean(), matrix.mean(axis=1), atol=1e-12)
        np.testing.assert_allclose(similarity.mean(rows), matrix.mean(axis=1)[rows], atol=1e-12)
        np.testing.assert_allclose(similarity.between(rows, rows[:2]), matrix[np.ix_(rows, rows[:2])], atol=1e-12)


def test_lengths_are_told_in_words() -> None:
    space = Space(
        axes=(
            Circle(name="azimuth", values=parse_values("0:340:20")),
            Interval(name="elevation", values=parse_values("30:70:5"), unit="deg"),
            Interval(name="zoom", values=(0.0, 10.0), unit="mm"),
            Category(name="lighting", values=("a", "b")),
        )
    )
    words = describe(space, ShotKernel(lengths=(25.0, 90.0, 4.0, 20.0)))
    assert words == (
        "azimuth changes the picture within 25°, elevation hardly at all, zoom within 4 mm, lighting hardly at all"
    )
    words = describe(space, ShotKernel(lengths=(200.0, 38.2, 4.0, 2.0)))
    assert words == (
        "azimuth changes the picture hardly at all, elevation within 38°, zoom within 4 mm, lighting a little"
    )
    assert describe(space, ShotKernel(lengths=(25.0, 20.0, 4.0, 1.0))).endswith("lighting much")


@pytest.mark.parametrize("wrong", [{"noise": 0.0}, {"shared": -0.1}, {"common": float("nan")}, {"lengths": (0.0,)}])
def test_numbers_that_make_no_kernel_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="kernel"):
        ShotKernel(**{"lengths": (30.0,), **wrong})  # type: ignore[arg-type]
