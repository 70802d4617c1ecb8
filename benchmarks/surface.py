"""Can captured images tell how many objects and how many views? ``python benchmarks/surface.py``.

A prototype, not part of the package yet, of the design surface: accuracy on new objects of every design of objects per
class x shots of each. Heads learn from sub-designs of a pilot and are judged on left-out objects. The logarithm of the
error is a plane over the logarithms of both numbers, plus a smooth and small bend (a Gaussian process), with a vague
prior on all of it. The surface of each pilot is set against heads of every design on other objects: do its intervals of
80 % hold, is the better of two designs of as many images the better one, and what is one more object worth in shots?
"""

from __future__ import annotations

import itertools
import os
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from common import machine, options, quick_rig, say, write
from jaxtyping import Float, Float32, Int

from acqplan.features.extractor import Extractor
from acqplan.heads.exact import train_heads
from acqplan.heads.linear import NEVER, object_folds
from acqplan.rig.spec import open_rig
from acqplan.rng import generator
from acqplan.runtime import Runtime
from acqplan.statistics.objects import two_way_draws, two_way_mean
from acqplan.study.transfer import TransferProtocol, pool_of

Rows = Int[np.ndarray, " rows"]
# Objects of a class and shots of each of the true surface and of the pilots, shots of each object that are looked at.
OBJECTS, SHOTS, PILOTS, LOOKED = (1, 2, 3, 4, 6, 8), (1, 2, 4, 8, 16), ((3, 4), (3, 8), (5, 4), (5, 8)), 24
# Test objects of a class, and draws of the true surface.
TESTS, TRUTHS = 2, 12

# Sub-designs of each number of objects and shots, and most folds of left-out objects.
REPEATS, FOLDS = 4, 5
# As of the learning curve: half as many as `train_heads` tries.
STRENGTHS = (1e-2, 1e-3, 1e-4)
# Resamples of judged objects and repeats, and draws from the posterior.
RESAMPLES, DRAWS = 999, 2_000
# Images of a left-out object count as this many independent ones where no error was seen.
WORTH = 8.0
# Variance of measured log errors over that of the bootstrap, which holds for given teachers: the judged objects teach
# too. Found on made-up rigs (normal features, 12 worlds): without it 66 % of the 80 % intervals held.
INFLATION = 1.6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Images:
    """Features of some images.

    Attributes:
        features: Shape ``[images, features]``.
        targets: Class of each, from 0, shape ``[images]``.
        objects: Object of each, shape ``[images]``.
    """

    features: Float32[np.ndarray, "images features"]
    targets: Int[np.ndarray, " images"]
    objects: Int[np.ndarray, " images"]

    def take(self, rows: Rows) -> Images:
        """Those of some rows."""
        return Images(features=self.features[rows], targets=self.targets[rows], objects=self.objects[rows])

    def design(self, members: list[Rows], n_objects: int, n_shots: int, draw: np.random.Generator) -> Rows:
        """Rows of so many shots of so many objects of each class, drawn by lot."""
        chosen = np.concatenate([draw.permutation(mine)[:n_objects] for mine in members])
        return np.sort(
            np.concatenate([draw.permutation(np.flatnonzero(self.objects == one))[:n_shots] for one in chosen])
        )

    def members(self) -> list[Rows]:
        """Objects of each class."""
        return [np.unique(self.objects[self.targets == one]) for one in np.unique(self.targets)]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DesignSamples:
    """Errors on objects that the heads never saw, by design.

    Attributes:
        designs: Objects of a class and shots of each that heads learned from, means, shape ``[designs, 2]``.
        errors: Share of the images of each left-out object that heads got wrong, shape ``[designs, objects, repeats]``.
        captured: Objects of a class and shots of each that are captured, means.
        classes: Classes captured.
    """

    designs: Float[np.ndarray, "designs 2"]
    errors: Float[np.ndarray, "designs objects repeats"]
    captured: tuple[float, float]
    classes: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prior:
    """What is known of a surface before anything is captured: ``log error = w . (1, log objects, log shots) + bend``.

    Attributes:
        mean: Of the weights ``w``.
        covariance: Of the weights.
        bend: Standard deviation of the bend, a Gaussian process over ``log2`` of both numbers.
        reach: Its length scale, in doublings.
        rough: Standard deviation of what a design's choice of objects and shots adds to its measured log error.
    """

    mean: Float[np.ndarray, " 3"]
    covariance: Float[np.ndarray, "3 3"]
    bend: float
    reach: float
    rough: float


# Error falls by about a quarter with each doubling of the objects, and an eighth with each of the shots; all is vague.
PRIOR = Prior(
    mean=np.array([np.log(0.35), -0.45, -0.20]),
    covariance=np.diag([1.0, 0.2, 0.12]) ** 2,
    bend=0.06,
    reach=1.5,
    rough=0.05,
)


def measure_designs(images: Images, *, seed: int = 0, repeats: int = REPEATS, device: str = "cpu") -> DesignSamples:
    """Train heads on sub-designs of what is captured, leaving objects out, and judge them on those.

    Args:
        images: The pilot, of at least two classes, one of them with two objects.
        seed: Seed of the sub-designs.
        repeats: Sub-designs of each number of objects and shots.
        device: Where to train.
    """
    features, targets, objects = images.features, images.targets, images.objects
    n_classes = int(targets.max()) + 1
    folds = object_folds(targets, objects, FOLDS)
    # 1. Numbers of objects and of shots to try: doublings up to all of them.
    classes, counts = np.unique(targets), np.unique(objects, return_counts=True)[1]
    members = {target: np.unique(objects[targets == target]) for target in classes.tolist()}
    left = [len(rows) - -(-len(rows) // FOLDS) for rows in members.values() if len(rows) > 1]
    pairs = list(itertools.product(_doublings(max(left)), _doublings(int(np.median(counts)))))
    # 2. Rows of each; in a repeat the shots of an object, and in a fold the objects of a class, have one random order.
    subsets, keys, used = [], [], np.zeros((len(pairs), 2))
    numbers = [number for number in np.unique(folds).tolist() if number != NEVER]
    for repeat in range(repeats):
        lots = generator(seed, "surface", "shots", repeat).random(len(objects))
        place = np.empty(len(objects), dtype=np.int64)  # of each shot within its object
        for one in np.unique(objects):
            rows = np.flatnonzero(objects == one)
            place[rows] = np.argsort(np.argsort(lots[rows]))
        for fold in numbers:
            draw = generator(seed, "surface", "objects", repeat, fold)
            stays = {
                target: draw.permutation(np.unique(objects[(targets == target) & (folds != fold)]))
                for target in members
            }
            for number, (n_objects, n_shots) in enumerate(pairs):
                chosen = np.concatenate([rows[:n_objects] for rows in stays.values()])
                rows = np.flatnonzero((place < n_shots) & np.isin(objects, chosen))
                subsets.append(rows)
                keys.append((number, fold, repeat))
                present = np.unique(targets[rows])
                used[number] += len(np.unique(objects[rows])) / len(present), len(rows) / len(np.unique(objects[rows]))
    # 3. Heads, those of one design of one strength: that of the least loss on objects left out.
    first: dict[int, np.ndarray] = {}
    for rows, (number, _, _) in zip(subsets, keys, strict=True):
        first.setdefault(number, rows)
    chosen_heads = train_heads(
        features, targets, objects, list(first.values()), n_classes=n_classes,
        strengths=STRENGTHS, device=device,
    )  # fmt: skip
    strengths = {number: head.strength for number, head in zip(first, chosen_heads, strict=True)}
    judged = np.unique(objects[folds != NEVER])
    errors = np.full((len(pairs), len(judged), repeats), np.nan)
    for strength in sorted(set(strengths.values())):
        mine = [row for row, key in enumerate(keys) if strengths[key[0]] == strength]
        heads = train_heads(
            features, targets, targets, [subsets[row] for row in mine], n_classes=n_classes,
            strengths=(strength,), device=device,
        )  # fmt: skip
        for row, head in zip(mine, heads, strict=True):
            number, fold, repeat = keys[row]
            tests = np.flatnonzero(folds == fold)
            wrong = head.predict(features[tests]) != targets[tests]
            names, places, images = np.unique(objects[tests], return_inverse=True, return_counts=True)
            errors[number, np.searchsorted(judged, names), repeat] = np.bincount(places, weights=wrong) / images
    return DesignSamples(
        designs=used / (repeats * len(numbers)),
        errors=errors,
        captured=(len(np.unique(objects)) / len(classes), len(objects) / len(np.unique(objects))),
        classes=len(classes),
    )


def _doublings(most: int) -> list[int]:
    """1, 2, 4, … and the number itself."""
    return sorted({*(2**power for power in range(most.bit_length())), most})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DesignSurface:
    """Posterior of the surface: draws of it can be had for any designs.

    Attributes:
        prior: Before the captured images.
        designs: What was measured, shape ``[designs, 2]``.
        residual: ``precision @ (measured log error - prior mean)``, shape ``[designs]``.
        precision: Inverse of the covariance that measured log errors had before, shape ``[designs, designs]``.
        seed: Seed of the draws.
    """

    prior: Prior
    designs: Float[np.ndarray, "designs 2"]
    residual: Float[np.ndarray, " designs"]
    precision: Float[np.ndarray, "designs designs"]
    seed: int

    @classmethod
    def of(cls, samples: DesignSamples, *, prior: Prior = PRIOR, seed: int = 0) -> DesignSurface:
        """Condition the prior on measured errors, with the noise of other objects and repeats (bootstrap).

        Args:
            samples: What was measured.
            prior: What was known before.
            seed: Seed of resamples and draws.
        """
        designs, n_objects = samples.designs, samples.errors.shape[1]
        least = 0.5 / (n_objects * WORTH)
        resampled = np.log(two_way_draws(samples.errors, draws=RESAMPLES, seed=seed) + least)
        noise = np.atleast_2d(np.cov(resampled.T)) * n_objects / max(n_objects - 1, 1)
        # Of one variance and one correlation: the many of a bootstrap of few objects are noise themselves, and weights
        # made of them lead out of what was measured (Peelle's pertinent puzzle).
        own, shared = float(noise.diagonal().mean()), float(noise.mean())
        noise = INFLATION * (shared + (own - shared) * np.eye(len(designs)))
        measured = np.log(two_way_mean(samples.errors) + least)
        covariance = _covariance(prior, designs, designs) + noise + prior.rough**2 * np.eye(len(designs))
        precision = np.linalg.inv(covariance)
        return cls(
            prior=prior,
            designs=designs,
            residual=precision @ (measured - _plane(designs) @ prior.mean),
            precision=precision,
            seed=seed,
        )

    def accuracies(self, designs: Float[np.ndarray, "asked 2"]) -> Float[np.ndarray, "draws asked"]:
        """Draws of the accuracies of designs, the same surface in each draw.

        Args:
            designs: Objects of a class and shots of each, shape ``[asked, 2]``.
        """
        before = _covariance(self.prior, designs, self.designs)
        mean = _plane(designs) @ self.prior.mean + before @ self.residual
        covariance = _covariance(self.prior, designs, designs) - before @ self.precision @ before.T
        return 1.0 - np.exp(np.minimum(self._drawn(mean, covariance), 0.0))

    def exchange(self, design: tuple[float, float]) -> Float[np.ndarray, " draws"]:
        """Draws of how many more shots of every object are worth one more object of each class; infinite if none are.

        Args:
            design: Objects of a class, and shots of each.
        """
        before = self.prior.covariance @ _plane(self.designs).T
        mean = self.prior.mean + before @ self.residual
        covariance = self.prior.covariance - before @ self.precision @ before.T
        _, by_objects, by_shots = self._drawn(mean, covariance).T
        falls = np.maximum(-by_objects, 0.0) * np.log1p(1.0 / design[0])
        with np.errstate(divide="ignore", over="ignore"):
            return np.where(by_shots < 0.0, design[1] * np.expm1(falls / np.maximum(-by_shots, 1e-9)), np.inf)

    def _drawn(self, mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
        values, vectors = np.linalg.eigh((covariance + covariance.T) / 2.0)
        normal = generator(self.seed, "surface", "draws").standard_normal((DRAWS, len(mean)))
        return mean + (normal * np.sqrt(np.maximum(values, 0.0))) @ vectors.T


def _plane(designs: Float[np.ndarray, "designs 2"]) -> Float[np.ndarray, "designs 3"]:
    return np.column_stack([np.ones(len(designs)), np.log(designs)])


def _covariance(prior: Prior, a: Float[np.ndarray, "a 2"], b: Float[np.ndarray, "b 2"]) -> Float[np.ndarray, "a b"]:
    """Prior covariance of log errors: of the plane, and of the bend."""
    apart = ((np.log2(a)[:, None] - np.log2(b)[None]) ** 2).sum(axis=-1)
    return _plane(a) @ prior.covariance @ _plane(b).T + prior.bend**2 * np.exp(-0.5 * apart / prior.reach**2)


def main() -> None:
    """Measure, print a line for each rig and pilot, write JSON."""
    shared = Path(os.environ.get("ACQPLAN_SHARED", "../shared"))
    asked = options(__doc__, ("--splits", {"type": int, "default": 10}))
    about = machine(asked.device)
    say(about)
    net = shared / "weights" / "mobilenet_v2.safetensors"
    cases: dict[str, tuple[Path | None, str, Path | None]] = {"toys/toynet": (None, "toynet", None)}
    if net.exists():
        data = shared / "data"
        cases |= {
            "eth80/mobilenet_v2": (data / "eth80.toml", "mobilenet_v2", net),
            "eth80/histogram": (data / "eth80.toml", "histogram", None),
            "meshes/mobilenet_v2": (data / "meshes50.toml", "mobilenet_v2", net),
        }
    results = {}
    with TemporaryDirectory() as folder:
        if asked.quick:
            cases = {"toys/histogram": (quick_rig(Path(folder)), "histogram", None)}
        for case, (rig, backbone, weights) in cases.items():
            images = _images(rig, backbone, weights, asked.device)
            pilots = ((2, 4),) if asked.quick else PILOTS
            results[case] = _examined(images, pilots, 1 if asked.quick else asked.splits, asked.device)
            for pilot, found in results[case]["pilots"].items():
                print(case, pilot, found, flush=True)
    write("surface", asked, about, results)


def _images(rig: Path | None, backbone: str, weights: Path | None, device: str) -> Images:
    source = open_rig(rig).source
    pool = pool_of(open_rig(rig), TransferProtocol())
    rows = [np.flatnonzero(pool.object_rows == one) for one in np.unique(pool.object_rows)]
    pool = pool.take(np.sort(np.concatenate([mine[:: max(len(mine) // LOOKED, 1)] for mine in rows])))
    extractor = Extractor.open(source, backbone=backbone, weights=weights, runtime=Runtime.detect(device))
    return Images(features=extractor(pool), targets=pool.class_rows, objects=pool.object_rows)


def _truth(images: Images, designs: np.ndarray, device: str) -> np.ndarray:
    """Accuracy of each design on new objects, mean of draws."""
    found, n_classes = np.zeros((TRUTHS, len(designs))), int(images.targets.max()) + 1
    for number in range(TRUTHS):
        draw = generator(number, "surface", "truth")
        split = [draw.permutation(mine) for mine in images.members()]
        tests = np.flatnonzero(np.isin(images.objects, np.concatenate([mine[:TESTS] for mine in split])))
        teachers = [mine[TESTS:] for mine in split]
        rows = [images.design(teachers, int(k), int(m), draw) for k, m in designs]
        heads = train_heads(images.features, images.targets, images.objects, rows, n_classes=n_classes, device=device)
        found[number] = [(head.predict(images.features[tests]) == images.targets[tests]).mean() for head in heads]
    return found.mean(axis=0)


def _examined(images: Images, pilots: tuple[tuple[int, int], ...], splits: int, device: str) -> dict[str, dict]:
    least = min(map(len, images.members()))
    shots = int(np.median(np.unique(images.objects, return_counts=True)[1]))
    designs = np.array([(k, m) for k in OBJECTS if k <= least - TESTS for m in SHOTS if m <= shots], dtype=np.float64)
    true = _truth(images, designs, device)
    costs = designs.prod(axis=1)
    pairs = [(a, b) for a, b in itertools.combinations(range(len(designs)), 2) if costs[a] == costs[b]]
    found: dict[str, dict] = {
        "true": {f"{k:.0f} x {m:.0f}": round(one, 4) for (k, m), one in zip(designs, true, strict=True)}
    }
    found["pilots"] = {}
    for pilot in pilots:
        rows: dict[str, list] = {
            name: [] for name in ("inside", "level", "apart", "right", "pair_inside", "worth", "seconds")
        }
        for split in range(splits):
            some = images.take(images.design(images.members(), *pilot, generator(split, "surface", "pilot")))
            began = time.perf_counter()
            surface = DesignSurface.of(measure_designs(some, seed=split, device=device), seed=split)
            draws = surface.accuracies(designs)
            rows["seconds"].append(time.perf_counter() - began)
            low, middle, high = np.quantile(draws, [0.1, 0.5, 0.9], axis=0)
            rows["inside"].append((low <= true) & (true <= high))
            rows["level"].append(middle - true)
            for a, b in pairs:
                gain, known = draws[:, b] - draws[:, a], true[b] - true[a]
                rows["apart"].append(abs(np.median(gain) - known))
                rows["pair_inside"].append(np.quantile(gain, 0.1) <= known <= np.quantile(gain, 0.9))
                if abs(known) >= 0.01:
                    rows["right"].append(np.median(gain) * known > 0.0)
            rows["worth"].append(np.quantile(surface.exchange(pilot), [0.1, 0.5, 0.9], method="nearest"))
        worth = np.median(rows["worth"], axis=0).round(1).tolist()
        found["pilots"]["{} x {}".format(*pilot)] = {
            "intervals_of_80_hold": round(float(np.mean(rows["inside"])), 3),
            "level_points": [round(100 * float(of(rows["level"])), 2) for of in (np.mean, np.std)],
            "median_error_of_differences_points": round(100 * float(np.median(rows["apart"])), 2),
            "intervals_of_differences_hold": round(float(np.mean(rows["pair_inside"])), 3),
            "right_where_a_point_apart": round(float(np.mean(rows["right"])), 3) if rows["right"] else None,
            "object_worth_shots": [None if np.isinf(one) else one for one in worth],
            "seconds": round(float(np.mean(rows["seconds"])), 2),
        }
    return found


if __name__ == "__main__":
    main()
