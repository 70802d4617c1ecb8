"""The design surface: accuracy on new objects of every number of objects of a class and of shots of each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from acqplan.rng import generator

# Draws of the surface.
DRAWS = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """What simulated rigs are like: ``log(error / chance) = w . (1, log objects, log n(shots)) + bend``.

    ``chance`` is the error of guessing, ``1 - 1 / classes``. Shots of an object resemble each other: ``m`` of them are
    worth ``n(m) = m / (1 + (m - 1) * correlation)`` (Kish's effective number), so that each correlation is a law of its
    own, and laws are averaged by how well they foretell what was measured.

    Attributes:
        correlations: Of the shots of an object; one law each.
        weights: How likely each law is, adding up to 1.
        means: Of the weights ``w`` under each law.
        covariances: Of the weights ``w`` under each law.
        bend: Standard deviation of the bend, a Gaussian process over ``log2`` of both numbers.
        reach: Its length scale, in doublings.
        rough: Standard deviation of what the choice of objects and shots adds to a measured log error.

    Source:
        J. Hoeting et al., Bayesian model averaging, Statist. Sci. 14 (1999) 382-417; L. Kish, Survey Sampling (1965),
        section 8.2; the numbers are of `benchmarks/surface_prior.py`.
    """

    correlations: tuple[float, ...]
    weights: tuple[float, ...]
    means: tuple[tuple[float, float, float], ...]
    covariances: tuple[tuple[tuple[float, float, float], ...], ...]
    bend: float
    reach: float
    rough: float


# Of 135 rigs (`benchmarks/surface_prior.py`), half as wide again, and vague in level: real rigs are not simulated ones.
SIMULATED = Prior(
    correlations=(0.0, 0.03, 0.1, 0.25, 0.5),
    weights=(0.032, 0.392, 0.106, 0.329, 0.141),
    means=(
        (-0.218, -0.541, -0.341),
        (-0.14, -0.246, -0.17),
        (-0.258, -0.628, -0.459),
        (-0.642, -0.693, -0.678),
        (-0.441, -0.553, -0.762),
    ),
    covariances=(
        ((2.4788, 0.061, -0.0524), (0.061, 0.1123, 0.063), (-0.0524, 0.063, 0.09)),
        ((2.3117, 0.058, 0.0284), (0.058, 0.0706, 0.0387), (0.0284, 0.0387, 0.0284)),
        ((2.38, 0.0331, 0.0056), (0.0331, 0.157, 0.0945), (0.0056, 0.0945, 0.0806)),
        ((2.5873, 0.1066, 0.0279), (0.1066, 0.1044, 0.1048), (0.0279, 0.1048, 0.1762)),
        ((2.4041, 0.1024, 0.121), (0.1024, 0.1138, 0.1508), (0.121, 0.1508, 0.3571)),
    ),
    bend=0.09,
    reach=2.0,
    rough=0.02,
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DesignSurface:
    """The posterior, or the prior where nothing was measured: draws of it can be had for any designs.

    Attributes:
        classes: Classes that are told apart, at least 2.
        designs: What was measured, shape ``[designs, 2]``: objects of a class and shots of each.
        log_errors: Logarithm of the error of each, shape ``[designs]``.
        noise: Covariance of their noise, shape ``[designs, designs]``.
        prior: What was known before.
        seed: Seed of the draws.
    """

    classes: int
    designs: Float[np.ndarray, "designs 2"]
    log_errors: Float[np.ndarray, " designs"]
    noise: Float[np.ndarray, "designs designs"]
    prior: Prior = SIMULATED
    seed: int = 0

    @classmethod
    def before(cls, classes: int, seed: int = 0) -> DesignSurface:
        """The surface of simulated rigs, before anything is measured."""
        nothing = np.empty(0)
        return cls(classes=classes, designs=np.empty((0, 2)), log_errors=nothing, noise=np.empty((0, 0)), seed=seed)

    def accuracies(self, designs: Float[np.ndarray, "asked 2"]) -> Float[np.ndarray, "draws asked"]:
        """Draws of the accuracies of designs, the same surface in each draw.

        Args:
            designs: Objects of a class and shots of each, shape ``[asked, 2]``; what is compared is asked together.
        """
        laws = [self._posterior(law, designs) for law in range(len(self.prior.weights))]
        evidence = np.array([found[0] for found in laws]) + np.log(self.prior.weights)
        shares = np.exp(evidence - evidence.max())
        ends = np.round(DRAWS * np.cumsum(shares / shares.sum())).astype(np.int64)
        normal = generator(self.seed, "surface").standard_normal((DRAWS, len(designs)))
        drawn = np.empty_like(normal)
        for start, end, (_, mean, covariance) in zip([0, *ends[:-1]], ends, laws, strict=True):
            values, vectors = np.linalg.eigh(covariance)
            drawn[start:end] = mean + (normal[start:end] * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
        return 1.0 - (1.0 - 1.0 / self.classes) * np.exp(np.minimum(drawn, 0.0))

    def _posterior(
        self, law: int, asked: Float[np.ndarray, "asked 2"]
    ) -> tuple[float, Float[np.ndarray, " asked"], Float[np.ndarray, "asked asked"]]:
        """Log likelihood of what was measured, and mean and covariance of log errors over that of guessing."""
        mean, covariance = np.array(self.prior.means[law]), np.array(self.prior.covariances[law])
        both = np.concatenate([self.designs, asked])
        plane = plane_of(both, self.prior.correlations[law])
        apart = ((np.log2(both)[:, None] - np.log2(both)[None]) ** 2).sum(axis=-1)
        before = plane @ covariance @ plane.T
        before += self.prior.bend**2 * np.exp(-0.5 * apart / self.prior.reach**2)
        n = len(self.designs)
        known = before[:n, :n] + self.noise + self.prior.rough**2 * np.eye(n)
        gain = np.linalg.solve(known, before[:n, n:]).T
        off = self.log_errors - np.log(1.0 - 1.0 / self.classes) - plane[:n] @ mean
        evidence = -0.5 * (off @ np.linalg.solve(known, off) + np.linalg.slogdet(known)[1])
        return float(evidence), plane[n:] @ mean + gain @ off, before[n:, n:] - gain @ before[:n, n:]


def plane_of(designs: Float[np.ndarray, "designs 2"], correlation: float) -> Float[np.ndarray, "designs 3"]:
    """``1``, log objects and log of the shots' effective number, by design."""
    shots = designs[:, 1] / (1.0 + (designs[:, 1] - 1.0) * correlation)
    return np.column_stack([np.ones(len(designs)), np.log(designs[:, 0]), np.log(shots)])
