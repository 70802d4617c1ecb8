"""Made-up plans and validations of every kind of space, seeded."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from acqplan.advice.answers import QUARTER, Advice, CurvePoint, End, Factor, Next, Reach, SurfaceGrid
from acqplan.evaluate.recommend import Recommendation
from acqplan.evaluate.verdict import Answer, Record, Validation, Verdict
from acqplan.plan.plan import Plan
from acqplan.report.plot import Drawings
from acqplan.report.plot.style import save_png
from acqplan.space import Category, Circle, Interval, Objects, Shots, Space
from acqplan.statistics.objects import Estimate as Uncertain

CATEGORIES = ("airplane", "animal", "car", "human", "truck")
ARMS = {  # accuracy at 2,430 images, loss at 270 images, noise of an object
    "auto": (0.912, 0.075, 0.045),
    "even": (0.871, 0.150, 0.070),
    "even-staggered": (0.903, 0.085, 0.045),
    "random": (0.879, 0.135, 0.070),
    "random-shots": (0.905, 0.088, 0.045),
}
BUDGETS = (270, 810, 2430)
# Azimuths and elevations of ETH-80: 41 views on an octahedron's subdivision.
ETH80 = [
    *((azimuth, 0) for azimuth in (0, 22, 45, 68, 90, 112, 135, 158, 180, 202, 225, 248, 270, 292, 315, 338)),
    *((azimuth, elevation) for elevation in (22, 45, 68) for azimuth in (0, 90, 180, 270)),
    *((azimuth, 24) for azimuth in (27, 63, 117, 153, 207, 243, 297, 333)),
    *((azimuth, 55) for azimuth in (45, 135, 225, 315)),
    (0, 90),
]


def toy_space() -> Space:
    azimuth = Circle(name="azimuth", values=tuple(range(0, 360, 20)))
    elevation = Interval(name="elevation", unit="deg", values=tuple(range(30, 71, 5)))
    return Space(axes=(azimuth, elevation, Category(name="lighting", values=("L0", "L1", "L2", "L3", "L4", "L5"))))


def table_space() -> Space:
    table = np.array(ETH80, dtype=float)
    azimuth = Circle(name="azimuth", values=tuple(sorted(set(table[:, 0]))))
    elevation = Interval(name="elevation", unit="deg", values=tuple(sorted(set(table[:, 1]))))
    return Space(axes=(azimuth, elevation), table=table)


def some_objects(n: int, labels: tuple[str, ...]) -> Objects:
    names = tuple(f"{labels[row % len(labels)]}-{row // len(labels):02d}" for row in range(n))
    return Objects(names=names, labels=tuple(labels[row % len(labels)] for row in range(n)))


def some_plan(space: Space, objects: Objects, n: int, *, seed: int = 0, strategy: str = "auto") -> Plan:
    """A balanced plan: each object gets its share of views, drawn without repeats."""
    random = np.random.default_rng(seed)
    every = Shots.every(space, objects)
    quotas = [n // len(objects) + (row < n % len(objects)) for row in range(len(objects))]
    rows = [row * space.n_views + random.permutation(space.n_views)[:quota] for row, quota in enumerate(quotas)]
    chosen = random.permutation(np.concatenate(rows))
    return Plan(
        shots=every.take(chosen),
        rounds=(np.arange(n) >= n // 8).astype(np.int64),
        gain=np.linspace(1.0, 0.1, n),
        reason=("farthest from all earlier shots of this object",) * n,
        strategy=strategy,
        seed=seed,
        budget=n,
        parameters={"generator": "1-5-7", "rounds": 3},
        backbone="toynet:pool@3f9a1c",
        seconds=4.2,
        predicted=(0.907, 0.882, 0.932),
    )


def some_validation(*, n_seeds: int = 5, n_objects: int = 25) -> Validation:
    random = np.random.default_rng(7)
    names = [f"{CATEGORIES[row % 5]}-{row // 5 + 5:02d}" for row in range(n_objects)]
    skill = random.normal(0, 0.055, n_objects)
    records = [
        _some_record(random, skill, names, strategy, budget, seed)
        for strategy in ARMS
        for budget in BUDGETS
        for seed in range(n_seeds)
    ]
    full = {name: _object_means(records, name) for name in ARMS}
    verdicts = [_some_verdict(full["auto"] - full[name], name) for name in ARMS if name != "auto"]
    return Validation(records=records, verdicts=verdicts)


def _some_record(
    random: np.random.Generator, skill: np.ndarray, names: list[str], strategy: str, budget: int, seed: int
) -> Record:
    top, loss, noise = ARMS[strategy]
    centre = top - loss * (np.log(2430 / budget) / np.log(9)) ** 1.3
    values = np.clip(centre + skill + random.normal(0, noise, len(names)), 0, 1)
    images = {"even": budget * 8 // 9, "random": budget * 8 // 9}.get(strategy, budget)
    return Record(
        strategy=strategy,
        budget=budget,
        images=images,
        seed=seed,
        accuracy=float(values.mean()),
        per_object=dict(zip(names, map(float, values), strict=True)),
    )


def _object_means(records: list[Record], strategy: str) -> np.ndarray:
    mine = [record for record in records if record.strategy == strategy and record.budget == BUDGETS[-1]]
    return np.mean([list(record.per_object.values()) for record in mine], axis=0)


def _some_verdict(difference: np.ndarray, opponent: str) -> Verdict:
    half = 2.06 * float(difference.std(ddof=1)) / len(difference) ** 0.5
    mean = float(difference.mean())
    answer: Answer = "no difference found" if abs(mean) < half else "better" if mean > 0 else "worse"
    return Verdict(
        a="auto",
        b=opponent,
        budget=BUDGETS[-1],
        difference=mean,
        ci95=(mean - half, mean + half),
        p=0.0004 if answer == "better" else 0.21,
        p_object=0.0004 if answer == "better" else 0.21,
        p_equivalent=0.3,
        p_mcnemar=0.00002,
        p_obuchowski=0.01,
        p_durkalski=0.01,
        n01=901,
        n10=1744,
        n_objects=len(difference),
        n_seeds=5,
        verdict=answer,
        per_object={f"toy-{number:02d}": float(value) for number, value in enumerate(difference)},
    )


def recommended(
    plan: Plan, validation: Validation | None = None, sentences: Sequence[str] = (), *, advice: Advice | None = None
) -> Recommendation:
    """A recommendation of these parts; no image of it is at hand."""
    return Recommendation(
        plan=plan, candidates=plan.shots, validation=validation, sentences=tuple(sentences), advice=advice
    )


def some_sentences(validation: Validation) -> list[str]:
    return [
        f"{verdict.a} against {verdict.b} at {verdict.budget:,} images: {verdict.verdict}, by "
        f"{100 * verdict.difference:+.1f} points (95 % interval {100 * verdict.ci95[0]:+.1f} to "
        f"{100 * verdict.ci95[1]:+.1f}) over {verdict.n_objects} objects."
        for verdict in validation.verdicts
    ]


def live_space() -> Space:
    azimuth = Circle(name="azimuth", values=tuple(range(0, 360, 30)), seconds_per_unit=0.05)
    elevation = Interval(name="elevation", unit="deg", values=(10.0, 25.0, 40.0, 55.0, 70.0))
    return Space(axes=(azimuth, elevation, Category(name="lamps", values=("all", "left", "right"))))


def plans() -> dict[str, Plan]:
    """One plan for every kind of space that reports have to draw."""
    lamps = Category(name="lamp", values=("left <&> right", "$x^$ both"))
    stage = Interval(name="x", unit="mm", values=tuple(range(0, 200, 5)))
    height = Interval(name="height", unit="mm", values=(10.0, 20.0, 40.0))
    ring = Circle(name="azimuth", values=tuple(range(0, 360, 5)))
    flip = Category(name="side", values=("up", "down"))
    many = some_objects(12, ("car", "truck", "bus"))
    return {
        "toys": some_plan(toy_space(), some_objects(25, CATEGORIES), 2430),
        "table": some_plan(table_space(), some_objects(20, ("apple", "car", "cow", "cup")), 400),
        "live": some_plan(live_space(), many, 240, strategy="lattice"),
        "ring": some_plan(Space(axes=(ring,)), some_objects(20, tuple(f"obj{row}" for row in range(20))), 300),
        "stage": some_plan(Space(axes=(stage, height, lamps)), many, 300),
        "lamps": some_plan(Space(axes=(lamps,)), many, 13),
        "line": some_plan(Space(axes=(stage,)), many, 90),
        "sides": some_plan(Space(axes=(flip, Circle(name="turn", values=(0.0, 90.0, 180.0, 270.0)))), many, 40),
    }


def some_advice(*, images: int = 2430, capacity: int = 24300, points: int = 6) -> Advice:
    """Advice on a curve that still rises."""
    sizes = np.geomspace(images / 16, images, points).round().astype(int).tolist() if points else []
    accuracies = [0.93 - 0.08 * (size / images) ** -0.5 for size in sizes]
    gain = Uncertain(estimate=0.021, low=0.004, high=0.038, level=0.95)
    return Advice(
        images=images,
        objects=25,
        classes=5,
        judged=25 if points else 0,
        capacity=capacity,
        points=tuple(
            CurvePoint(images=size, accuracy=Uncertain(estimate=share, low=share - 0.08, high=share + 0.06, level=0.95))
            for size, share in zip(sizes, accuracies, strict=True)
        ),
        surface=some_surface(images / 25, capacity / 25) if points else None,
        saturation=Uncertain(estimate=0.905, low=0.85, high=0.95, level=0.8) if points else None,
        reach=(Reach(accuracy=0.9, share=None, images=17_000.4, low=2_430.0, high=math.inf, smallest=152),),
        next=Next(answer="more objects", reason="they bring more", images=243, views=gain, objects=gain, extra=gain),
        end=End(answer="go on", reason="the curve still rises", margin=0.005, confidence=0.03, gain=gain),
        test_objects=25,
        smallest_difference=0.046,
        factors=(
            Factor(name="elevation", narrowed="one elevation", images=4, worth=gain, next=gain),
            Factor(name="azimuth", narrowed=QUARTER, images=4, worth=replace(gain, low=-0.01)),
            Factor(name="lighting", reason="one level of it is captured"),
        )
        if points
        else (),
    )


def some_surface(shots: float, views: float) -> SurfaceGrid:
    """A surface around five objects of each class."""
    objects, columns = (1.0, 2.0, 5.0, 10.0), tuple(sorted({1.0, shots, views}))
    cells = [[0.95 - 0.4 * row**-0.5 * column**-0.3 for column in columns] for row in objects]
    accuracy = tuple(
        tuple(Uncertain(estimate=cell, low=cell - 0.03, high=cell + 0.03, level=0.8) for cell in row) for row in cells
    )
    return SurfaceGrid(objects=objects, shots=columns, accuracy=accuracy)


def drawn(folder: Path, drawings: Drawings) -> list[Path]:
    """Draw every figure into a folder as PNG."""
    for name, draw in drawings.items():
        save_png(draw(), folder / f"{name}.png")
    return [folder / f"{name}.png" for name in drawings]


PLANS = plans()


@pytest.fixture(params=list(PLANS))
def any_plan(request: pytest.FixtureRequest) -> Plan:
    return PLANS[request.param]


@pytest.fixture
def toy_plan() -> Plan:
    return PLANS["toys"]


@pytest.fixture
def live_plan() -> Plan:
    return PLANS["live"]


@pytest.fixture(scope="session")
def validation() -> Validation:
    return some_validation()


@pytest.fixture(scope="session")
def sentences(validation: Validation) -> list[str]:
    return some_sentences(validation)
