"""What other tools take for the same end; run by ``benchmarks/scale.py --peers`` in an environment that has them.

``python benchmarks/peers.py NAME SIZE`` prints seconds: a tenth of so many candidates (azimuth on the circle, height)
chosen to cover them, or for optuna an ask and a tell after so many in its SQLite storage. ``ours`` is ``maximin``,
the same greedy rule.
"""

from __future__ import annotations

import sys
import tempfile
import time

import numpy as np


def main() -> None:
    """Print the seconds of one peer at one size."""
    name, size = sys.argv[1], int(sys.argv[2])
    print(PEERS[name](size))


def _points(size: int) -> np.ndarray:
    turn, height = np.meshgrid(np.linspace(0, 2 * np.pi, size // 10, endpoint=False), np.linspace(0, 1, 10))
    return np.stack([np.sin(turn), np.cos(turn), height], axis=-1).reshape(-1, 3)


def _ours(size: int) -> float:
    from acqplan.plan import find_strategy
    from acqplan.plan.base import History
    from acqplan.space import Circle, Interval, Objects, Shots, Space

    step = 360.0 / (size // 10)
    circle = Circle(name="azimuth", values=tuple(step * number for number in range(size // 10)))
    interval = Interval(name="elevation", values=tuple(float(value) for value in range(10)), unit="deg")
    shots = Shots.every(Space(axes=(circle, interval)), Objects(names=("one",), labels=("one",)))
    rule = find_strategy("maximin")
    began = time.perf_counter()
    rule.propose(shots, History.empty(shots), size // 10, 0)
    return time.perf_counter() - began


def _baybe(size: int) -> float:
    import pandas as pd
    from baybe.recommenders import FPSRecommender
    from baybe.searchspace import SearchSpace

    table = pd.DataFrame(_points(size), columns=["sine", "cosine", "height"])
    space = SearchSpace.from_dataframe(table, parameters=_columns(table))
    began = time.perf_counter()
    FPSRecommender().recommend(size // 10, space)
    return time.perf_counter() - began


def _columns(table: object) -> list[object]:
    from baybe.parameters import NumericalDiscreteParameter

    return [NumericalDiscreteParameter(name, sorted(set(table[name]))) for name in table]  # type: ignore[attr-defined,index]


def _skactiveml(size: int) -> float:
    from skactiveml.pool import CoreSet

    points = _points(size)
    labels = np.full(len(points), np.nan)
    labels[0] = 0
    began = time.perf_counter()
    CoreSet(random_state=0).query(points, labels, batch_size=size // 10)
    return time.perf_counter() - began


def _apricot(size: int) -> float:
    from apricot import FacilityLocationSelection

    began = time.perf_counter()
    FacilityLocationSelection(size // 10).fit(_points(size))
    return time.perf_counter() - began


def _optuna(size: int) -> float:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        sampler = optuna.samplers.RandomSampler(seed=0)
        study = optuna.create_study(storage=f"sqlite:///{folder}/study.db", sampler=sampler)
        for number in range(size - 20):
            trial = study.ask()
            trial.suggest_float("azimuth", 0.0, 360.0)
            study.tell(trial, float(number))
        began = time.perf_counter()
        for number in range(20):
            trial = study.ask()
            trial.suggest_float("azimuth", 0.0, 360.0)
            study.tell(trial, float(number))
        return (time.perf_counter() - began) / 20


PEERS = {"ours": _ours, "baybe": _baybe, "skactiveml": _skactiveml, "apricot": _apricot, "optuna": _optuna}

if __name__ == "__main__":
    main()
