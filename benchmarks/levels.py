"""Levels of the tests where there is nothing to find: ``python benchmarks/levels.py``.

Arms of equal expected accuracy are tested on made-up objects. The logit of an object's accuracy under an arm and
a seed is the sum of the object's difficulty (common to all arms), its affinity to the arm, its luck with one head,
and the luck of that head with all objects; images are drawn given that accuracy. Arms are exchangeable, so every
rejection is a false one.

Rows without "heads" have no luck common to all objects: tests over objects assume that. With "medium, heads" and one
seed a t-test over 25 objects rejects in about a tenth, as it does on real features (12 %). McNemar's, Cochran's,
Obuchowski's and Durkalski's tests see the images of the first seed, the others those of all seeds.

Printed is the share of studies that reject at .05 and at .01 (of intervals: that miss the truth), in percent. For the
equivalence test the true difference is put at the margin. Its standard error is that of a binomial share.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass

import numpy as np
from common import machine, options, say, write
from jaxtyping import Float, Int
from joblib import Parallel, delayed
from resampling import bca_interval, cochran_q, two_way_interval

from acqplan.rng import generator
from acqplan.runtime import available_cores
from acqplan.statistics.clustered import (
    MARGIN,
    durkalski,
    equivalence,
    holm,
    mcnemar_counts,
    obuchowski,
    sign_flip,
)
from acqplan.statistics.objects import mean_interval, two_way

ARMS, SEEDS, STUDIES, DRAWS = 4, 20, 2_000, 999
NOMINAL = (0.05, 0.01)
PATTERNS = (np.arange(2**ARMS)[:, None] >> np.arange(ARMS)) & 1 == 1
"""Which arms are right on an image: all possibilities."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Standard deviations on the scale of logits."""

    object: float
    affinity: float
    object_luck: float
    head_luck: float


SPREADS = {
    "none": Spread(object=1.0, affinity=0.0, object_luck=0.0, head_luck=0.0),
    "medium": Spread(object=1.0, affinity=0.12, object_luck=0.25, head_luck=0.0),
    "strong": Spread(object=1.0, affinity=0.4, object_luck=0.6, head_luck=0.0),
    "medium, heads": Spread(object=1.0, affinity=0.12, object_luck=0.25, head_luck=0.05),
    "strong, heads": Spread(object=1.0, affinity=0.4, object_luck=0.6, head_luck=0.15),
}
WIDE = 0.1
"""A margin that objects allow to show: with one point the equivalence test mostly cannot reject at all."""

CENTRE = 1.7
"""Logit of a typical accuracy: .85."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Sizes and spread of the studies of one row."""

    objects: int
    images: int
    correlation: str
    seeds: int = SEEDS


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Study:
    """What one study sees: images right by pattern for the first seed, accuracies for all seeds."""

    patterns: Int[np.ndarray, "objects patterns"]
    accuracy: Float[np.ndarray, "arms objects seeds"]


def main() -> None:
    """Simulate all settings, print the table, write JSON."""
    asked = options(__doc__, ("--studies", {"type": int, "default": STUDIES}))
    about = machine()
    say(about)
    n_studies = 20 if asked.quick else asked.studies
    started = time.perf_counter()
    print(_heading())
    rows = []
    for row in Parallel(n_jobs=available_cores(), return_as="generator")(
        delayed(measure)(setting, n_studies) for setting in settings()
    ):
        print(_line(row), flush=True)
        rows.append(row)
    error = {str(nominal): (nominal * (1 - nominal) / n_studies) ** 0.5 for nominal in NOMINAL}
    print(f"standard error at .05: {100 * error['0.05']:.1f}, at .01: {100 * error['0.01']:.1f} points")
    print(f"{time.perf_counter() - started:.0f} seconds")
    spreads = {name: asdict(spread) for name, spread in SPREADS.items()}
    about_studies = {"studies": n_studies, "arms": ARMS, "draws": DRAWS, "margins": [MARGIN, WIDE], "spreads": spreads}
    write("levels", asked, about, {**about_studies, "standard_error_at_nominal": error, "rows": rows})


def settings() -> list[Setting]:
    """All rows: the slow ones first, so that both cores end together."""
    many = [
        Setting(objects=objects, images=images, correlation=correlation)
        for objects in (25, 10, 5)
        for images in (972, 100)
        for correlation in ("none", "medium", "strong")
    ]
    heads = [
        Setting(objects=objects, images=972, correlation=correlation, seeds=seeds)
        for objects in (25, 10)
        for correlation, seeds in (("medium, heads", 1), ("medium, heads", SEEDS), ("strong, heads", SEEDS))
    ]
    return many + heads


def measure(setting: Setting, n_studies: int) -> dict[str, object]:
    """Share of false rejections of every test in one setting."""
    studies = simulate(setting, n_studies)
    found = [reject(study, number) for number, study in enumerate(studies)]
    levels = {
        test: {
            str(nominal): float(np.mean([one[test][place] for one in found])) for place, nominal in enumerate(NOMINAL)
        }
        for test in found[0]
    }
    errors = {
        test: {at: (share * (1 - share) / n_studies) ** 0.5 for at, share in shares.items()}
        for test, shares in levels.items()
    }
    deviation = np.mean([_differences(study, 1).mean(axis=1).std(ddof=1) for study in studies])
    return {
        **asdict(setting),
        "accuracy": float(np.mean([study.accuracy.mean() for study in studies])),
        "correlation_of_images": intraclass(studies, setting.images),
        "deviation_of_objects": float(deviation),
        "levels": levels,
        "standard_errors": errors,
    }


def simulate(setting: Setting, n_studies: int) -> list[Study]:
    """Studies without any true difference between arms."""
    spread = SPREADS[setting.correlation]
    random = generator(0, "levels", setting.objects, setting.images, setting.correlation, setting.seeds)
    shape = (n_studies, ARMS, setting.objects, setting.seeds)
    logits = (
        CENTRE
        + spread.object * random.normal(size=(n_studies, 1, setting.objects, 1))
        + spread.affinity * random.normal(size=(n_studies, ARMS, setting.objects, 1))
        + spread.object_luck * random.normal(size=shape)
        + spread.head_luck * random.normal(size=(n_studies, ARMS, 1, setting.seeds))
    )
    chance = 1.0 / (1.0 + np.exp(-logits))
    first = chance[..., 0].transpose(0, 2, 1)[:, :, None, :]  # [studies, objects, 1, arms]
    patterns = random.multinomial(setting.images, np.where(PATTERNS, first, 1.0 - first).prod(axis=-1))
    right = random.binomial(setting.images, chance)
    right[..., 0] = (patterns @ PATTERNS.astype(np.int64)).transpose(0, 2, 1)
    accuracy = right / setting.images
    return [Study(patterns=one, accuracy=other) for one, other in zip(patterns, accuracy, strict=True)]


def reject(study: Study, number: int) -> dict[str, list[bool]]:
    """Whether each test rejects, at each nominal level."""
    matrix = _differences(study, 1)
    differences = matrix.mean(axis=1)
    n = study.patterns.sum(axis=1)
    n10 = study.patterns[:, PATTERNS[:, 0] & ~PATTERNS[:, 1]].sum(axis=1)
    n01 = study.patterns[:, ~PATTERNS[:, 0] & PATTERNS[:, 1]].sum(axis=1)
    images = mcnemar_counts(n01=int(n01.sum()), n10=int(n10.sum()))
    opponents = [_differences(study, arm) for arm in range(1, ARMS)]
    flipped = [sign_flip(opponent.mean(axis=1)) for opponent in opponents]
    both = [two_way(opponent).p for opponent in opponents]
    p = {
        "mcnemar_exact": images.p_exact,
        "mcnemar_asymptotic": images.p_asymptotic,
        "mcnemar_mid_p": images.p_mid,
        "cochran_q": cochran_q(np.repeat(PATTERNS[:, :3], study.patterns.sum(axis=0), axis=0).T).p,
        "obuchowski": obuchowski(n01, n10).p,
        "durkalski": durkalski(n01, n10, n).p,
        "sign_flip": flipped[0],
        "holm_sign_flip": min(holm(flipped)),
        "two_way": both[0],
        "holm_two_way": min(holm(both)),
        "tost_1_point": equivalence(differences + MARGIN).p,
        "tost_10_points": equivalence(differences + WIDE, margin=WIDE).p,
        "two_way_tost_10_points": two_way(matrix + WIDE).p_within(WIDE),
    }
    rejected = {test: [value <= nominal for nominal in NOMINAL] for test, value in p.items()}
    rejected["t_interval"] = [_misses(*mean_interval(differences, lowest=-1.0, level=1 - a)[1:]) for a in NOMINAL]
    for name, interval, values in (("bca", bca_interval, differences), ("pigeonhole", two_way_interval, matrix)):
        found = [interval(values, level=1 - nominal, draws=DRAWS, seed=number) for nominal in NOMINAL]
        rejected[name] = [_misses(one.low, one.high) for one in found]
    return rejected


def intraclass(studies: list[Study], n_images: int) -> float:
    """Correlation of the differences of two arms on two images of an object, from the first seed."""
    first = np.stack([study.patterns for study in studies])
    n10 = first[..., PATTERNS[:, 0] & ~PATTERNS[:, 1]].sum(axis=-1) / n_images
    n01 = first[..., ~PATTERNS[:, 0] & PATTERNS[:, 1]].sum(axis=-1) / n_images
    within = (n10 + n01 - (n10 - n01) ** 2).mean() / (n_images - 1)
    between = ((n10 - n01) ** 2).mean()
    return float((between - within) / (between + (n_images - 1) * within))


def _differences(study: Study, arm: int) -> Float[np.ndarray, "objects seeds"]:
    return study.accuracy[0] - study.accuracy[arm]


def _misses(low: float, high: float) -> bool:
    return not low <= 0.0 <= high


COLUMNS = {
    "mcnemar_exact": "McN exact",
    "mcnemar_asymptotic": "McN asym",
    "mcnemar_mid_p": "McN mid-p",
    "cochran_q": "Cochran",
    "obuchowski": "Obuch.",
    "durkalski": "Durk.",
    "sign_flip": "sign-flip",
    "holm_sign_flip": "Holm",
    "two_way": "two-way",
    "holm_two_way": "Holm 2-way",
    "tost_1_point": "TOST 1",
    "tost_10_points": "TOST 10",
    "two_way_tost_10_points": "2-way TOST",
    "t_interval": "t",
    "bca": "BCa",
    "pigeonhole": "pigeonhole",
}


def _heading() -> str:
    return "objects images seeds correlation     sd " + " ".join(f"{name:>10s}" for name in COLUMNS.values())


def _line(row: dict[str, object]) -> str:
    levels = row["levels"]
    pairs = ([100 * levels[test][str(nominal)] for nominal in NOMINAL] for test in COLUMNS)
    shares = " ".join(f"{one:.1f}/{other:.1f}".rjust(10) for one, other in pairs)
    start = f"{row['objects']:7d} {row['images']:6d} {row['seeds']:5d} {row['correlation']:13s}"
    return f"{start} {100 * row['deviation_of_objects']:4.1f} {shares}"


if __name__ == "__main__":
    main()
