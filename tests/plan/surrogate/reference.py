"""The kernel of shots once more, as a kernel of gpytorch that shares no code with ours."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor

from acqplan.plan.surrogate import NEW_OBJECT, ShotKernel
from acqplan.space import Axis, Category, Circle, Interval, Space


def shot_module(space: Space, kernel: ShotKernel) -> Any:
    """A kernel over rows ``class, object, coordinates``, without noise."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import botorch  # noqa: F401 - first: it changes how gpytorch solves
        import gpytorch

    class ShotModule(gpytorch.kernels.Kernel):  # type: ignore[misc]
        has_lengthscale = False

        def forward(self, x1: Tensor, x2: Tensor, diag: bool = False, **_: object) -> Tensor:
            if diag:
                return self.forward(x1[..., None, :], x2[..., None, :])[..., 0, 0]
            same_class, same_object = (x1[..., :, None, column] == x2[..., None, :, column] for column in (0, 1))
            same_object = (same_object & (x1[..., :, None, 1] != NEW_OBJECT)).to(torch.float64)
            alike = torch.ones_like(same_class, dtype=torch.float64)
            for column, (axis, length) in enumerate(zip(space.axes, kernel.lengths, strict=True), start=2):
                alike = alike * similarity(axis, x1[..., :, None, column] - x2[..., None, :, column], length)
            levels = kernel.common + kernel.shared * same_class.to(torch.float64) + kernel.deviation * same_object
            return levels * alike + kernel.offset * same_object

    return ShotModule()


def similarity(axis: Axis, difference: Tensor, length: float) -> Tensor:
    """Similarity of levels: periodic, Matérn 5/2, or the same for all pairs of levels."""
    if isinstance(axis, Circle):
        chord = torch.sin(torch.pi / axis.period * difference) * axis.period / torch.pi
        return torch.exp(-0.5 * (chord / length) ** 2)
    if isinstance(axis, Interval):
        reach = 5.0**0.5 * difference.abs() / length
        return (1.0 + reach + reach**2 / 3.0) * torch.exp(-reach)
    assert isinstance(axis, Category)
    return torch.exp(-(difference.round() != 0).to(torch.float64) / length)
