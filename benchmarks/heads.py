"""Exact heads against scikit-learn one by one: ``python benchmarks/heads.py``.

200 subsets of 2,430 of 14,580 rows x 576 features, 5 classes, 15 objects, 6 strengths chosen by leaving objects
out. scikit-learn is given the same components, folds and strengths. Its tolerance is such that probabilities are as
good as ours, which is checked against a run to convergence. On a processor both are measured on a slice and scaled.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace

# scikit-learn's solvers take small steps, which wait for each other on several cores: one is up to 13 times faster.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import torch
from common import in_turn, machine, median_ratio, options, say, write
from jaxtyping import Float, Float32, Int
from sklearn.linear_model import LogisticRegression

from acqplan.heads.exact import COMPONENTS, FOLDS, STRENGTHS, train_heads
from acqplan.heads.linear import NEVER, object_folds, out_of_object_loss
from acqplan.heads.prepare import Preparation, fit_preparation

CLASSES, OBJECTS, VIEWS, FEATURES, ROWS, SUBSETS = 5, 15, 972, 576, 2_430, 200

SOLVERS: Mapping[str, int] = {"lbfgs": 5_000, "newton-cg": 500}
"""scikit-learn's solvers of the multinomial loss, and ceilings of their iterations; we compare with the faster."""

TOLERANCES = (1e-4, 3e-5, 1e-5, 3e-6, 1e-6)
"""From scikit-learn's default on; the loosest whose probabilities are as good as ours is what we compare with."""

FINAL, CONVERGED = 1e-7, 1e-7

Answer = tuple[Float[np.ndarray, "some classes"], Float[np.ndarray, "rows classes"]]
"""Probabilities of some rows of the pool by the head, and of its training rows by heads that never saw the object."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Task:
    """Made-up features of objects seen from views, and subsets of them."""

    features: Float32[np.ndarray, "pool features"]
    targets: Int[np.ndarray, " pool"]
    groups: Int[np.ndarray, " pool"]
    subsets: tuple[Int[np.ndarray, " rows"], ...]
    components: int = COMPONENTS


def main() -> None:
    """Measure in turn, compare probabilities, print, write JSON."""
    asked = options(
        __doc__,
        ("--subsets", {"type": int, "help": "heads of the batch; by default 16 on a processor, 200 on a GPU"}),
        ("--one-by-one", {"type": int, "default": 1, "help": "heads that scikit-learn trains"}),
        ("--rounds", {"type": int, "default": 3}),
        ("--components", {"type": int, "nargs": "+", "default": [COMPONENTS, FEATURES]}),
    )
    about = machine(asked.device)
    say(about)
    n = asked.subsets or (16 if asked.device == "cpu" else SUBSETS)
    task = _make(4 if asked.quick else n, VIEWS // 20 if asked.quick else VIEWS, ROWS // 20 if asked.quick else ROWS)
    rounds = 1 if asked.quick else asked.rounds
    results = [
        _measure(replace(task, components=components), asked.device, rounds, asked.one_by_one)
        for components in asked.components
    ]
    write("heads", asked, about, results)


def _measure(task: Task, device: str, rounds: int, n_alone: int) -> dict[str, object]:
    agreement = {solver: _calibrated(task, device, solver) for solver in SOLVERS}
    works = {"ours": lambda: _ours(task, device)}
    for solver, found in agreement.items():
        works[solver] = lambda solver=solver, tolerance=found["tolerance"]: [
            _theirs(task, subset, solver, tolerance) for subset in task.subsets[:n_alone]
        ]
    times = in_turn(works, rounds, device)
    each = {name: [time / (len(task.subsets) if name == "ours" else n_alone) for time in times[name]] for name in times}
    middle = {name: float(np.median(values)) for name, values in each.items()}
    fastest = min(SOLVERS, key=lambda solver: middle[solver])
    results = {
        "components": task.components,
        "heads": len(task.subsets),
        "one_by_one": n_alone,
        "seconds_per_head": middle,
        "seconds_200_heads": {name: SUBSETS * value for name, value in middle.items()},
        "fastest_of_scikit_learn": fastest,
        "ratio": median_ratio(each[fastest], each["ours"]),
        "agreement": agreement,
    }
    print("\n".join(f"{name:26s} {value}" for name, value in results.items()), flush=True)
    return results


def _calibrated(task: Task, device: str, solver: str) -> dict[str, float]:
    """The loosest tolerance with which scikit-learn's beliefs are as near to converged ones as ours are."""
    ours, rows = _ours(task, device)[0], task.subsets[0]
    converged = _theirs(task, rows, "lbfgs", CONVERGED)
    for tolerance in TOLERANCES:
        theirs = _theirs(task, rows, solver, tolerance)
        found = {
            "tolerance": tolerance,
            "heads_ours_theirs": _apart(ours[0], theirs[0]),
            "beliefs_ours_converged": _apart(ours[1], converged[1]),
            "beliefs_theirs_converged": _apart(theirs[1], converged[1]),
        }
        if found["beliefs_theirs_converged"] <= 1.5 * found["beliefs_ours_converged"]:
            break
    return found


def _apart(one: Float[np.ndarray, "rows classes"], other: Float[np.ndarray, "rows classes"]) -> float:
    return float(np.abs(one - other).max())


def _ours(task: Task, device: str) -> list[Answer]:
    heads = train_heads(
        task.features,
        task.targets,
        task.groups,
        task.subsets,
        n_classes=CLASSES,
        components=task.components,
        device=device,
    )
    return [(head.probabilities(task.features[:1000]), head.beliefs) for head in heads]


def _theirs(task: Task, rows: Int[np.ndarray, " rows"], solver: str, tolerance: float) -> Answer:
    features, targets, groups = task.features[rows], task.targets[rows], task.groups[rows]
    trained = leave_out_one_by_one(
        features, targets, groups, components=task.components, solver=solver, rough=tolerance, fine=FINAL
    )
    seen = trained.preparation.apply(torch.from_numpy(task.features[:1000])).double().numpy()
    return trained.method.predict_proba(seen), trained.beliefs


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trained:
    """A head of scikit-learn, the components it was given, and its out-of-object probabilities."""

    method: LogisticRegression
    preparation: Preparation
    beliefs: Float[np.ndarray, "rows classes"]


def leave_out_one_by_one(
    features: Float32[np.ndarray, "rows features"],
    targets: Int[np.ndarray, " rows"],
    groups: Int[np.ndarray, " rows"],
    *,
    components: int = COMPONENTS,
    solver: str,
    rough: float,
    fine: float,
) -> Trained:
    """What `train_heads` does, in plain loops: folds x strengths, then all rows at the best strength."""
    pool, numbers = torch.from_numpy(features), object_folds(targets, groups, FOLDS)
    tables = {strength: np.zeros((len(targets), int(targets.max()) + 1)) for strength in STRENGTHS}
    for fold in range(NEVER + 1, int(numbers.max()) + 1):
        stay = numbers != fold
        preparation = fit_preparation(pool[stay], components)
        inputs, left = (preparation.apply(pool[some]).double().numpy() for some in (stay, ~stay))
        for strength in STRENGTHS:
            tables[strength][~stay] = _fit(inputs, targets[stay], strength, solver, rough).predict_proba(left)
    best = min(STRENGTHS, key=lambda strength: out_of_object_loss(tables[strength], targets, groups))
    preparation = fit_preparation(pool, components)
    inputs = preparation.apply(pool).double().numpy()
    method = _fit(inputs, targets, best, solver, fine)
    return Trained(method=method, preparation=preparation, beliefs=tables[best])


def _fit(
    inputs: Float[np.ndarray, "rows components"],
    targets: Int[np.ndarray, " rows"],
    strength: float,
    solver: str,
    tolerance: float,
) -> LogisticRegression:
    cost = 1.0 / (len(inputs) * strength)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        method = LogisticRegression(C=cost, solver=solver, tol=tolerance, max_iter=SOLVERS[solver])
        return method.fit(inputs, targets)


def _make(n_subsets: int, n_views: int, n_rows: int) -> Task:
    """Features as backbones give them: a part of the class, of the object and of the view, rectified."""
    random = np.random.default_rng(0)
    targets = np.repeat(np.arange(CLASSES), OBJECTS // CLASSES)
    spread = (1.0 + np.arange(200)) ** -0.5
    mixing = random.normal(size=(200, FEATURES)) * spread[:, None]
    objects = random.normal(size=(CLASSES, 200))[targets] + 0.7 * random.normal(size=(OBJECTS, 200))
    views = random.normal(size=(n_views, 200))
    latent = objects[:, None] + 0.8 * views[None] + 0.3 * random.normal(size=(OBJECTS, n_views, 200))
    seen = np.maximum(latent.reshape(-1, 200) @ mixing, 0.0)
    subsets = tuple(np.sort(random.choice(len(seen), n_rows, replace=False)) for _ in range(n_subsets))
    return Task(
        features=seen.astype(np.float32),
        targets=np.repeat(targets, n_views),
        groups=np.repeat(np.arange(OBJECTS), n_views),
        subsets=subsets,
    )


if __name__ == "__main__":
    main()
