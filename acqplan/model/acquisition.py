"""Bayesian optimisation of a noisy score on the unit cube, a batch of points at a time.

Importing this module loads botorch and gpytorch, which takes seconds: import it in the function that searches.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of torch about itself
    from botorch.acquisition.logei import qLogNoisyExpectedImprovement
    from botorch.exceptions.errors import ModelFittingError
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import SingleTaskGP
    from botorch.models.transforms import Standardize
    from botorch.optim.optimize import optimize_acqf
    from botorch.sampling.normal import SobolQMCNormalSampler
    from botorch.utils.sampling import draw_sobol_samples, manual_seed
    from gpytorch.mlls import ExactMarginalLogLikelihood

SAMPLES = 64
RESTARTS, RAW_SAMPLES, ITERATIONS = 2, 64, 40
"""Enough for a score whose noise is larger than what a better maximum of the acquisition would be worth."""


def spread_points(n: int, n_parameters: int, *, seed: int) -> Float[np.ndarray, "points parameters"]:
    """Scrambled Sobol points of the unit cube, shape ``[points, parameters]``."""
    points: Tensor = draw_sobol_samples(_cube(n_parameters), n=n, q=1, seed=seed)[:, 0]
    return points.numpy()


def next_points(
    points: Float[np.ndarray, "points parameters"], scores: Float[np.ndarray, " points"], n: int, *, seed: int
) -> Float[np.ndarray, "new parameters"]:
    """Points of which an improvement on the best one so far is to be expected most, one after the other.

    Args:
        points: Where the score was evaluated, in the unit cube, shape ``[points, parameters]``.
        scores: What was found, with noise; more is better, shape ``[points]``.
        n: How many to choose.
        seed: Seed of all randomness; no global generator is touched.

    Returns:
        New points, shape ``[n, parameters]``.

    Raises:
        ArithmeticError: If no Gaussian process fits.

    Source:
        S. Ament et al., Unexpected improvements to expected improvement, NeurIPS 2023 (arXiv 2310.20708).
    """
    with warnings.catch_warnings(), manual_seed(seed):
        warnings.simplefilter("ignore")  # few iterations are meant
        process = _process(points, scores)
        sampler = SobolQMCNormalSampler(sample_shape=torch.Size([SAMPLES]), seed=seed)
        acquisition = qLogNoisyExpectedImprovement(process, torch.from_numpy(points), sampler=sampler)
        chosen, _ = optimize_acqf(
            acquisition,
            _cube(points.shape[1]),
            q=n,
            num_restarts=RESTARTS,
            raw_samples=RAW_SAMPLES,
            sequential=True,
            options={"maxiter": ITERATIONS, "seed": seed},
        )
    return np.clip(chosen.detach().numpy(), 0.0, 1.0)


def smoothed(
    points: Float[np.ndarray, "points parameters"], scores: Float[np.ndarray, " points"]
) -> Float[np.ndarray, " points"]:
    """What the Gaussian process makes of the scores at the points where they were found, without their noise.

    Raises:
        ArithmeticError: If no Gaussian process fits.
    """
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        with torch.enable_grad():
            process = _process(points, scores)
        mean: Tensor = process.posterior(torch.from_numpy(points)).mean
    return mean[:, 0].numpy()


def _cube(n_parameters: int) -> Float[Tensor, "two parameters"]:
    return torch.tensor([[0.0], [1.0]], dtype=torch.float64).expand(2, n_parameters)


def _process(points: Float[np.ndarray, "points parameters"], scores: Float[np.ndarray, " points"]) -> SingleTaskGP:
    x, y = torch.from_numpy(points), torch.from_numpy(np.ascontiguousarray(scores))[:, None]
    process = SingleTaskGP(x, y, outcome_transform=Standardize(m=1))
    try:
        fit_gpytorch_mll(ExactMarginalLogLikelihood(process.likelihood, process))
    except (ModelFittingError, RuntimeError) as error:
        raise ArithmeticError(f"no Gaussian process of {len(points)} scores: {error}") from error
    return process
