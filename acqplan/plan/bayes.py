"""Bayesian optimisation of a herding's settings, judged by sub-plans of what is captured."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from jaxtyping import Float

from acqplan.errors import StrategyError
from acqplan.plan.base import LONGEST_REASON, Choice, History, Situation, check_request
from acqplan.plan.lattice import Lattice
from acqplan.plan.sub_plans import Errors, SubPlans, Tuning, tuned_choice
from acqplan.rng import generator, stream
from acqplan.space import Shots, Space

if TYPE_CHECKING:
    from botorch.models import SingleTaskGP

# Lengths are searched within this factor of the scale of their axis.
WIDEST = 4.0
# Largest power of errors.
STEEPEST = 2.0
# Of points of the unit cube: last bits of a search must not change a plan.
DIGITS = 3
# Accuracies that differ by less are the same: nothing can be searched.
NOTHING = 1e-9
FLIPS = 1000
STAYS = "bayes: nothing beat the lattice: "
SAMPLES = 64
# Enough for a score whose noise is larger than what a better maximum of the acquisition would be worth.
RESTARTS, RAW_SAMPLES, ITERATIONS = 2, 64, 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Bayes:
    """Herding with the settings whose sub-plans of the captured shots teach most about left-out objects.

    Settings are a length for each axis, the weight of the class against the object, and, where beliefs are known,
    the power of expected errors that weights of views and totals of objects follow (`Tuning`). A sub-plan is what the
    rule chooses from the captured shots alone, as if they were candidates, of the objects that are not left out; it is
    scored by the accuracy of ridge regressions on it (`SubPlans`). The first settings tried are those of
    `acqplan.plan.greedy.Herding`. The plan is the lattice unless the best settings are better than these by more
    than the noise between objects (`chance_of`), and while too little is captured to judge.

    On toys with gradient histograms it gained nothing: -0.4 +- 0.3 points against the lattice at 150 and at 300 images
    (six seeds), some of it what rounds cost the lattice too. Settings used whatever their doubt, which promised 2 to 3
    points on left-out objects, gained 0.0 and -0.5 points over the lattice in the same rounds (four seeds).

    Attributes:
        evaluations: Settings tried, the first ones included, at least 2.
        batch: Settings of one iteration, whose sub-plans are trained together, at least 1.
        repeats: How often objects are dealt out anew to judge one of them, at least 1.
        share: Size of a sub-plan over the shots it is chosen from, in ``(0, 1)``.
        level: Chance at most of leaving the lattice where all settings are worth the same, in ``[0, 1]``.

    Source:
        METHODS.md section 2, point 6; `next_points` for the search.
    """

    name: ClassVar[str] = "bayes"
    exact: ClassVar[bool] = True
    turns: ClassVar[bool] = True
    learns: ClassVar[bool] = True
    evaluations: int = 40
    batch: int = 8
    repeats: int = 4
    share: float = 0.5
    level: float = 0.05

    def __post_init__(self) -> None:
        counts = self.evaluations >= 2 and self.batch >= 1 and self.repeats >= 1
        if not (counts and 0.0 < self.share < 1.0 and 0.0 <= self.level <= 1.0):
            raise StrategyError(
                f"bayes with {self.evaluations} evaluations, batch {self.batch}, {self.repeats} repeats, "
                f"share {self.share}, level {self.level}",
                "give at least two evaluations, one of a batch, one repeat, and numbers between 0 and 1",
            )

    def propose(self, candidates: Shots, history: History, n: int, seed: int) -> Choice:
        """Search settings, then choose by the best ones or lay the lattice; each reason says which."""
        check_request(candidates, n)
        trial = SubPlans.of(history, repeats=self.repeats, share=self.share, seed=seed)
        if trial is None:
            return Lattice().propose(candidates, history, n, seed)
        found = self.search(trial, seed)
        if found.chance > self.level or found.gain <= 0.0:
            plain = Lattice().propose(candidates, history, n, seed)
            return replace(plain, reason=tuple((STAYS + words)[:LONGEST_REASON] for words in plain.reason))
        # the settings in words
        situation = Situation.of(candidates, history)
        settings = []
        for axis, length in zip(situation.space.axes, found.tuning.lengths, strict=True):
            if len(axis.values) > 1:
                unit = "°" if axis.unit == "deg" else f" {axis.unit}".rstrip()
                settings.append(f"{axis.name} {length:.3g}{unit}")
        others = {"class": "class_weight", "errors of objects": "temperature", "of views": "exponent"}
        settings += [f"{words} {getattr(found.tuning, name):.2g}" for words, name in others.items()]
        words = f"bayes +{100.0 * found.gain:.1f} points on left-out objects: {', '.join(settings)}"[:LONGEST_REASON]
        errors = Errors.of(history, situation.space, seed=seed)
        return tuned_choice(situation, found.tuning, errors, n, seed=seed, reason=words)

    def search(self, trial: SubPlans, seed: int) -> Found:
        """Try settings in batches.

        Args:
            trial: What judges them.
            seed: Seed of all randomness.
        """
        box = Box.of(trial)
        # the settings of herding, and some spread over the box
        first = spread_points(min(2 * self.batch, self.evaluations) - 1, len(box.start), seed=stream(seed, "bayes"))
        points = np.round(np.concatenate([box.start[None], first]), DIGITS)
        scores = trial.scores([box.tuning(point) for point in points])
        try:
            # batches of settings where improvement is most to be expected
            while len(points) < self.evaluations and np.ptp(scores.mean(axis=1)) > NOTHING:
                n, own_seed = min(self.batch, self.evaluations - len(points)), stream(seed, "bayes", len(points))
                new = np.round(next_points(points, scores.mean(axis=1), n, seed=own_seed), DIGITS)
                scores = np.concatenate([scores, trial.scores([box.tuning(point) for point in new])])
                points = np.concatenate([points, new])
            means = smoothed(points, scores.mean(axis=1))
        except ArithmeticError:  # what was found so far is judged all the same
            means = scores.mean(axis=1)
        # the best of all but the first, and whether it is better by more than luck
        best = 1 + int(np.round(means[1:], 9).argmax())
        return Found(
            tuning=box.tuning(points[best]),
            gain=float(means[best] - means[0]),
            chance=chance_of(scores[1:] - scores[0], best - 1, generator(seed, "bayes", "signs")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The result of a search.

    Attributes:
        tuning: The best settings tried, by the Gaussian process' mean over all of them.
        gain: Accuracy on left-out objects above that of the first settings, by the same mean.
        chance: See `chance_of`.
    """

    tuning: Tuning
    gain: float
    chance: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Box:
    """Settings as points of the unit cube: lengths on a scale of logarithms, the others as they are.

    Attributes:
        space: The space; an axis of one level has no length to search.
        errors: Whether totals can follow errors of objects.
        maps: Whether weights can follow errors of views.
    """

    space: Space
    errors: bool
    maps: bool

    @classmethod
    def of(cls, trial: SubPlans) -> Box:
        """What can be searched with these captures."""
        known = [part.errors for part in trial.parts]
        return cls(
            space=trial.captured.space,
            errors=any(errors.expected is not None for errors in known),
            maps=any(errors.maps is not None for errors in known),
        )

    @property
    def start(self) -> Float[np.ndarray, " parameters"]:
        """The point of `Tuning.default`."""
        first = Tuning.default(self.space)
        return np.array([0.5] * len(self._searched) + [first.class_weight] + [0.0] * (self.errors + self.maps))

    def tuning(self, point: Float[np.ndarray, " parameters"]) -> Tuning:
        """The settings at a point, shape ``[parameters]``."""
        lengths, rest = self.space.scales.copy(), iter(point[len(self._searched) :].tolist())
        lengths[self._searched] *= WIDEST ** (2.0 * point[: len(self._searched)] - 1.0)
        return Tuning(
            lengths=tuple(lengths.tolist()),
            class_weight=next(rest),
            temperature=STEEPEST * next(rest) if self.errors else 0.0,
            exponent=STEEPEST * next(rest) if self.maps else 0.0,
        )

    @property
    def _searched(self) -> list[int]:
        return [column for column, axis in enumerate(self.space.axes) if len(axis.values) > 1]


def chance_of(differences: Float[np.ndarray, "tried objects"], best: int, draw: np.random.Generator) -> float:
    """Chance that the best of all settings tried looks as good as this one where none is worth anything.

    Then the sign of an object's differences is a matter of lot. All settings keep their signs together, so that
    settings that agree count once, and the largest t value of all is compared: the search for it is paid for.

    Args:
        differences: Gain of each settings on each object, shape ``[tried, objects]``.
        best: Row of the settings in question.
        draw: Draws the signs.

    Source:
        P. H. Westfall, S. S. Young, Resampling-Based Multiple Testing (1993), single-step maximum.
    """
    n_objects = differences.shape[1]
    squares = (differences**2).sum(axis=1)

    def t_values(signs: Float[np.ndarray, "flips objects"]) -> Float[np.ndarray, "flips tried"]:
        means = signs @ differences.T / n_objects
        spread = np.maximum(squares - n_objects * means**2, 1e-12) / (n_objects - 1)
        return means / np.sqrt(spread / n_objects)

    found = float(t_values(np.ones((1, n_objects)))[0, best])
    largest = t_values(draw.choice([-1.0, 1.0], (FLIPS, n_objects))).max(axis=1)
    return (1 + int((largest >= found - 1e-9).sum())) / (1 + FLIPS)


def spread_points(n: int, n_parameters: int, *, seed: int) -> Float[np.ndarray, "points parameters"]:
    """Scrambled Sobol points of the unit cube, shape ``[points, parameters]``."""
    import torch  # takes long to import, as does botorch; needed for a search alone

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch about itself
        from botorch.utils.sampling import draw_sobol_samples

    cube = torch.tensor([[0.0] * n_parameters, [1.0] * n_parameters], dtype=torch.float64)
    return draw_sobol_samples(cube, n=n, q=1, seed=seed)[:, 0].numpy()


def next_points(
    points: Float[np.ndarray, "points parameters"], scores: Float[np.ndarray, " points"], n: int, *, seed: int
) -> Float[np.ndarray, "new parameters"]:
    """Points where improvement on the best one so far is most to be expected, one after the other.

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
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from botorch.acquisition import logei
        from botorch.optim.optimize import optimize_acqf
        from botorch.sampling.normal import SobolQMCNormalSampler
        from botorch.utils.sampling import manual_seed

    with warnings.catch_warnings(), manual_seed(seed):
        warnings.simplefilter("ignore")  # few iterations are meant
        process = _process(points, scores)
        sampler = SobolQMCNormalSampler(sample_shape=torch.Size([SAMPLES]), seed=seed)
        acquisition = logei.qLogNoisyExpectedImprovement(process, torch.from_numpy(points), sampler=sampler)
        chosen, _ = optimize_acqf(
            acquisition,
            torch.tensor([[0.0] * points.shape[1], [1.0] * points.shape[1]], dtype=torch.float64),
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
    """The scores as the Gaussian process sees them at the points where they were found, without their noise.

    Raises:
        ArithmeticError: If no Gaussian process fits.
    """
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        process = _process(points, scores)
        with torch.no_grad():
            return process.posterior(torch.from_numpy(points)).mean[:, 0].numpy()


def _process(points: Float[np.ndarray, "points parameters"], scores: Float[np.ndarray, " points"]) -> SingleTaskGP:
    """The Gaussian process of the scores; callers keep torch's warnings quiet."""
    import torch
    from botorch.exceptions.errors import ModelFittingError  # before gpytorch: botorch changes how that solves
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import SingleTaskGP
    from botorch.models.transforms import Standardize
    from gpytorch.mlls import ExactMarginalLogLikelihood

    x, y = torch.from_numpy(points), torch.from_numpy(np.ascontiguousarray(scores))[:, None]
    process = SingleTaskGP(x, y, outcome_transform=Standardize(m=1))
    try:
        fit_gpytorch_mll(ExactMarginalLogLikelihood(process.likelihood, process))
    except (ModelFittingError, RuntimeError) as error:
        raise ArithmeticError(f"no Gaussian process of {len(points)} scores: {error}") from error
    return process
