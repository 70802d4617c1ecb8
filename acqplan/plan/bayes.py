"""Bayesian optimisation of the design: how many objects, how many shots, which classes get more."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from jaxtyping import Float, Int

from acqplan.errors import StrategyError
from acqplan.plan.base import (
    LONGEST_REASON,
    Choice,
    History,
    Situation,
    check_request,
    weighted_quotas,
)
from acqplan.plan.lattice import Lattice
from acqplan.plan.sub_plans import CEILING, FLOOR, DesignShares, SubPlans, class_weights
from acqplan.plan.surface import DesignSurface
from acqplan.rng import generator, stream
from acqplan.space import Shots

if TYPE_CHECKING:
    from botorch.models import SingleTaskGP

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
    """Search the design with a Gaussian process around the law of the design surface, then lay lattices for it.

    A design takes a share of the objects of each class, so many shots of each, and more shots of classes in which heads
    err more. Sub-plans of the captured shots are scored by ridge regressions on left-out objects (`SubPlans`); a
    `DesignSurface` through the scores carries each from its own numbers of objects and shots to those that the budget
    allows, and what a design gains over the captured one, over its cost, is what is searched. The plan is the lattice
    over all objects unless the best design is better than that by more than the noise between objects (`chance_of`),
    and while too little is captured to judge. Where objects cost nothing only shares of classes are left to search,
    which gained -1.3 (-2.3 to -.2) and -.4 (-1.2 to .4) points over the lattice on toys with gradient histograms, at 6
    and 12 images of each object.

    Attributes:
        evaluations: Designs tried, the first ones included, at least 2.
        batch: Designs of one iteration, at least 1.
        repeats: How often objects are dealt out anew to judge one of them, at least 1.
        level: Chance at most of leaving the lattice where all designs are worth the same, in ``[0, 1]``.
        image_cost: Cost of an image, above 0.
        object_cost: Cost of an object of which nothing is captured yet, at least 0.

    Source:
        METHODS.md section 2, point 6; `next_points` for the search.
    """

    name: ClassVar[str] = "bayes"
    exact: ClassVar[bool] = True
    turns: ClassVar[bool] = True
    learns: ClassVar[bool] = True
    evaluations: int = 32
    batch: int = 8
    repeats: int = 4
    level: float = 0.05
    image_cost: float = 1.0
    object_cost: float = 0.0

    def __post_init__(self) -> None:
        counts = self.evaluations >= 2 and self.batch >= 1 and self.repeats >= 1
        costs = self.image_cost > 0.0 and self.object_cost >= 0.0
        if not (counts and costs and 0.0 <= self.level <= 1.0):
            raise StrategyError(
                f"bayes with {self.evaluations} evaluations, batch {self.batch}, {self.repeats} repeats, level "
                f"{self.level}, an image at {self.image_cost}, an object at {self.object_cost}",
                "give at least two evaluations, one of a batch, one repeat, a level up to 1, and costs from 0 on",
            )

    def propose(self, candidates: Shots, history: History, n: int, seed: int) -> Choice:
        """Search designs, then lay lattices for the best one or over all objects; each reason says which."""
        check_request(candidates, n)
        trial = SubPlans.of(history, repeats=self.repeats, seed=seed)
        if trial is None:
            return Lattice().propose(candidates, history, n, seed)
        situation = Situation.of(candidates, history)
        found = self.search(trial, situation, n, seed)
        chosen = self._objects(situation, found.design, seed)
        if found.chance > self.level or found.gain <= 0.0 or situation.n_free[chosen].sum() < n:
            plain = Lattice().propose(candidates, history, n, seed)
            return replace(plain, reason=tuple((STAYS + words)[:LONGEST_REASON] for words in plain.reason))
        part = situation.only(chosen.tolist())
        weight = dict(zip(trial.captured.classes, class_weights(found.errors, found.design.tilt), strict=True))
        shares = np.array([weight.get(label, 1.0) for label in part.labels])
        quota = weighted_quotas(part, n, shares, seed, floor=FLOOR, ceiling=CEILING)
        classes = ", ".join(
            f"{label} × {share:.2g}" for label, share in sorted(weight.items(), key=lambda one: -one[1])
        )
        words = f"bayes +{100.0 * found.gain:.1f} points: {len(chosen)} objects, {classes}"[:LONGEST_REASON]
        return replace(Lattice().share_out(part, quota, seed), reason=(words,) * n)

    def _objects(self, situation: Situation, design: DesignShares, seed: int) -> Int[np.ndarray, " objects"]:
        """Objects of a design; all of them where they cost nothing, because more of them are never worse by any law."""
        return taken_objects(situation, design.objects if self.object_cost else 1.0, seed)

    def search(self, trial: SubPlans, situation: Situation, n: int, seed: int) -> Found:
        """Try designs in batches.

        Args:
            trial: What judges them.
            situation: What may be taken.
            n: How many shots.
            seed: Seed of all randomness.
        """
        even = np.ones(len(trial.captured.classes))
        _, plain = trial.scores([DesignShares()], even)
        of_judged = trial.class_of[trial.judged]
        errors = np.array([
            1.0 - plain[0, of_judged == number].mean() if (of_judged == number).any() else 1.0 - plain[0].mean()
            for number in range(len(even))
        ])  # fmt: skip
        # all objects and shots, all classes alike; and some designs spread over the box
        first = spread_points(min(2 * self.batch, self.evaluations) - 1, 3, seed=stream(seed, "bayes"))
        points = np.round(np.concatenate([[[1.0, 1.0, 0.0]], first]), DIGITS)
        used, scores = trial.scores([_design(point, trial) for point in points], errors)
        try:
            # batches of designs where improvement is most to be expected
            while True:
                worth = self._worth(points, used, scores, trial, situation, n, seed)
                if len(points) >= self.evaluations or np.ptp(worth.mean(axis=1)) <= NOTHING:
                    break
                size, own_seed = min(self.batch, self.evaluations - len(points)), stream(seed, "bayes", len(points))
                new = np.round(next_points(points, worth.mean(axis=1), size, seed=own_seed), DIGITS)
                more_used, more = trial.scores([_design(point, trial) for point in new], errors)
                points, used = np.concatenate([points, new]), np.concatenate([used, more_used])
                scores = np.concatenate([scores, more])
            means = smoothed(points, worth.mean(axis=1))
        except ArithmeticError:  # what was found so far is judged all the same
            means = worth.mean(axis=1)
        # the best of all but the first, and whether it is better by more than luck
        best = 1 + int(np.round(means[1:], 9).argmax())
        return Found(
            design=replace(_design(points[best], trial), shots=1.0),
            errors=errors,
            gain=float(means[best] - means[0]) * n * self.image_cost,
            chance=chance_of(worth[1:] - worth[0], best - 1, generator(seed, "bayes", "signs")),
        )

    def _worth(
        self,
        points: Float[np.ndarray, "designs parameters"],
        used: Float[np.ndarray, "designs 2"],
        scores: Float[np.ndarray, "designs judged"],
        trial: SubPlans,
        situation: Situation,
        n: int,
        seed: int,
    ) -> Float[np.ndarray, "designs judged"]:
        """Accuracy that each design gains on each object with all of the budget, over its cost."""
        # the law through the scores, with the noise of judged objects
        error = np.maximum(1.0 - scores, 1e-3)
        of_design = error.mean(axis=1)
        relative = np.cov(error) / error.shape[1] / np.outer(of_design, of_design)
        shared = float(relative[~np.eye(len(relative), dtype=np.bool_)].mean())
        own = max(float(relative.diagonal().mean()) - shared, 1e-4)
        n_classes = len(trial.captured.classes)
        surface = DesignSurface(
            classes=n_classes,
            designs=used,
            log_errors=np.log(of_design),
            noise=shared + own * np.eye(len(used)),
            seed=seed,
        )
        # what the budget allows each: the shots of all captured and new images over its objects
        designs, costs = np.empty_like(used), np.empty(len(used))
        total = n + int(situation.n_taken.sum())
        for row, point in enumerate(points):
            chosen = self._objects(situation, _design(point, trial), seed)
            most = int((situation.n_taken + situation.n_free)[chosen].max())
            designs[row] = len(chosen) / n_classes, min(max(total / len(chosen), 1.0), most)
            costs[row] = n * self.image_cost + (situation.n_taken[chosen] == 0).sum() * self.object_cost
        now = np.array([[(situation.n_taken > 0).sum() / n_classes, trial.captured.n_free.mean()]])
        foretold = np.median(surface.accuracies(np.concatenate([used, designs, now])), axis=0)
        gains = foretold[len(used) : -1] - foretold[: len(used)] - foretold[-1]
        return (scores + gains[:, None]) / costs[:, None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """The result of a search.

    Attributes:
        design: The best design tried, by the Gaussian process' mean over all of them.
        errors: Error of each class, which its shares follow, shape ``[classes]``.
        gain: Accuracy on new objects above that of the lattice over all objects, by the same mean.
        chance: See `chance_of`.
    """

    design: DesignShares
    errors: Float[np.ndarray, " classes"]
    gain: float
    chance: float


def taken_objects(situation: Situation, share: float, seed: int) -> Int[np.ndarray, " objects"]:
    """Numbers of the objects of a design: of each class a share, at least one and all that are captured."""
    captured = situation.n_taken > 0
    lots = [stream(seed, "bayes", "objects", name) for name in situation.names]
    chosen = []
    for members in situation.classes.values():
        order = sorted(members, key=lambda number: (not captured[number], lots[number]))
        chosen += order[: max(round(share * len(members)), int(captured[members].sum()), 1)]
    return np.array(sorted(chosen), dtype=np.int64)


def _design(point: Float[np.ndarray, " parameters"], trial: SubPlans) -> DesignShares:
    """The design at a point of the unit cube: numbers of objects and shots on scales of logarithms from 1 on."""
    most_objects = max(map(len, trial.captured.classes.values()))
    most_shots = int(trial.captured.n_free.max())
    return DesignShares(
        objects=float(most_objects ** (point[0] - 1.0)),
        shots=float(most_shots ** (point[1] - 1.0)),
        tilt=float(STEEPEST * point[2]),
    )


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
