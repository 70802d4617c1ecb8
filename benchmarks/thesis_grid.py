"""The thesis' grid of softmax heads, batched against one by one: ``python benchmarks/thesis_grid.py``.

32 settings x 22 data sets (11 even, 11 random sets of smallNORB's sizes), 4096 features, 5 classes, 45,575 updates.
On a processor a slice is measured (two data sets, few updates) and extrapolated: cost of an update, plus principal
components of all data sets. ``--full`` trains all 704 heads to the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from common import machine, options, say, seconds, write
from jaxtyping import Float32, Int
from torch import nn
from torch.nn import functional

from acqplan.study.softmax import UPDATES, DataSet, SoftmaxSetting, thesis_settings, train_softmax
from acqplan.study.softmax_plan import fit_share

POOL, FEATURES, CLASSES = 24_300, 4096, 5
SIZES = (24_300, 13_500, 8_100, 12_150, 6_750, 4_050, 8_100, 4_500, 2_700, 4_050, 2_250, 1_350)
"""Images of A20E5 to A120E15; 60 % of them train. A20E5 is all images: it has no random counterpart, and is left
out of both families, which gives the 22 data sets."""

LATENT = 400
"""Directions in which the made-up features vary; after ReLU, 90 % of the variance takes some hundred components."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Task:
    """Made-up features of a layer, and data sets on them."""

    features: Float32[np.ndarray, "pool features"]
    targets: Int[np.ndarray, " pool"]
    data_sets: tuple[DataSet, ...]


def main() -> None:
    """Measure, print, write JSON."""
    asked = options(
        __doc__,
        ("--full", {"action": "store_true", "help": "train all 704 heads for 45,575 updates"}),
        ("--images", {"type": int, "default": 4_050, "help": "images of the data set of the slice"}),
    )
    about = machine(asked.device)
    say(about)
    results = {"slice": _slice(asked.device, asked.images, quick=asked.quick)}
    if asked.full:
        results["full"] = _full(asked.device, quick=asked.quick)
        full = results["full"]
        alone = 3600 * results["slice"]["one_by_one_hours"] * full["updates"] / UPDATES
        full["ratio"] = alone / full["seconds"]
        print(f"all heads for real: {full['seconds']:.0f} s, {full['ratio']:.0f} x (one by one extrapolated)")
    write("thesis_grid", asked, about, results)


def _slice(device: str, images: int, *, quick: bool) -> dict[str, float]:
    """Two lengths of the batched program, in turn with heads one by one; both extrapolated."""
    task = _make(2 if device == "cpu" else 22, [images // 10 if quick else images], 128 if quick else FEATURES)
    short, long = (1, 600) if quick else (1, 1824)
    settings = thesis_settings()
    n_data_sets = len(task.data_sets)
    batched, plain = [], []
    for number in range(1 if quick else 3):
        batched += [(n, seconds(lambda n=n: _together(task, settings, n, device), device)) for n in (short, long)]
        plain.append(_plain_rate(task, device, 20 if quick else 300, number))
    rate = batched[-1][1] / long if quick else _rate(batched, short, long)
    per_update = float(np.median(plain))
    grid = len(settings) * 22
    components = _components_of_all(device, quick=quick)
    together = components + 22 / n_data_sets * rate * UPDATES
    alone = grid * per_update * UPDATES
    found = {
        "batched_microseconds_per_head_update": 1e6 * rate / len(settings) / n_data_sets,
        "one_by_one_microseconds_per_head_update": 1e6 * per_update,
        "principal_components_hours": components / 3600,
        "batched_hours": together / 3600,
        "one_by_one_hours": alone / 3600,
        "ratio": alone / together,
    }
    print(f"slice of {n_data_sets} data set(s) x 32 settings x {long} updates, extrapolated to 22 x 32 x {UPDATES:,}:")
    print("\n".join(f"  {name:42s} {value:10.3f}" for name, value in found.items()))
    return found


def _full(device: str, *, quick: bool) -> dict[str, float]:
    sizes = [size // 20 if quick else size for size in SIZES[1:]]
    task = _make(22, [*sizes, *sizes], 128 if quick else FEATURES)
    updates = 40 if quick else UPDATES
    took = seconds(lambda: _together(task, thesis_settings(), updates, device), device)
    return {"updates": updates, "seconds": took}


def _rate(times: Sequence[tuple[int, float]], short: int, long: int) -> float:
    """Seconds of an update of all heads, from the fastest run of each length."""
    fastest = {length: min(time for n, time in times if n == length) for length in (short, long)}
    if fastest[long] <= fastest[short]:
        raise SystemExit(f"{long} updates took no longer than {short}: other work disturbs, measure on an idle machine")
    return (fastest[long] - fastest[short]) / (long - short)


def _components_of_all(device: str, *, quick: bool) -> float:
    """Seconds for the principal components of all 22 data sets: the largest is measured, the rest go as the cube."""
    task = _make(1, [1_000 if quick else max(SIZES[1:])], 128 if quick else FEATURES)
    sides = [min(0.6 * size, FEATURES) / FEATURES for size in SIZES[1:]]
    return 2 * sum(side**3 for side in sides) * seconds(lambda: _components(task, device), device)


def _together(task: Task, settings: Sequence[SoftmaxSetting], updates: int, device: str) -> None:
    train_softmax(
        task.features, task.targets, task.data_sets, settings, n_classes=CLASSES, updates=updates, device=device
    )


def _plain_rate(task: Task, device: str, updates: int, number: int) -> float:
    """Seconds of an update of one head in plain PyTorch, averaged over the halves of the grid with and without PCA.

    On the number of threads that suits it, and without the fit of PCA: both favour it.
    """
    data = task.data_sets[0]
    features, components = _components(task, device)
    targets = torch.from_numpy(task.targets).to(device)
    threads = torch.get_num_threads()
    rates = []
    for inputs in (features, components):
        found = []
        for n_threads in {1, threads}:
            torch.set_num_threads(n_threads)
            _plain_head(inputs, targets, data, 20, 0.5, number)
            work = seconds(lambda inputs=inputs: _plain_head(inputs, targets, data, updates, 0.5, number), device)
            found.append(work / updates)
        rates.append(min(found))
    torch.set_num_threads(threads)
    return sum(rates) / len(rates)


def _components(task: Task, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Features, and their components that keep 90 % of the variance of the first data set."""
    features = torch.from_numpy(task.features).to(device)
    train = torch.from_numpy(task.data_sets[0].train).to(device)
    return features, fit_share(features[train], 0.9).apply(features)


def _plain_head(
    inputs: torch.Tensor, targets: torch.Tensor, data: DataSet, updates: int, dropout: float, seed: int
) -> None:
    """One head as anyone would train it: linear layer, dropout, cross-entropy, Adam; validated after each epoch."""
    train, validation = (torch.from_numpy(rows).to(inputs.device) for rows in (data.train, data.validation))
    torch.manual_seed(seed)
    layer = nn.Linear(inputs.shape[1], CLASSES, device=inputs.device)
    nn.init.xavier_uniform_(layer.weight)
    # fused: the fastest Adam torch has for one head
    adam = torch.optim.Adam(layer.parameters(), lr=1e-5, fused=True)
    best, order, done = float("inf"), train[:0], 0
    while done < updates:
        order = train[torch.randperm(len(train), device=inputs.device)]
        for rows in order.split(8)[: updates - done]:
            adam.zero_grad()
            dropped = functional.dropout(inputs[rows], dropout)
            functional.cross_entropy(layer(dropped), targets[rows]).backward()
            adam.step()
            done += 1
        with torch.no_grad():
            loss = float(functional.cross_entropy(layer(inputs[validation]), targets[validation]))
        if loss < best:
            best, kept = loss, layer.weight.detach().clone()
            assert len(kept) == CLASSES


def _make(n_data_sets: int, sizes: Sequence[int], n_features: int) -> Task:
    """Rectified features of 5 classes with a spectrum that falls, and data sets of the sizes, over and over."""
    random = np.random.default_rng(0)
    pool = max(POOL if len(sizes) > 1 else 0, max(sizes))
    targets = random.integers(0, CLASSES, pool)
    spread = (1.0 + np.arange(LATENT)) ** -0.5
    latent = (random.normal(size=(pool, LATENT)) + random.normal(size=(CLASSES, LATENT))[targets]) * spread
    mixed = latent.astype(np.float32) @ random.normal(size=(LATENT, n_features)).astype(np.float32)
    data_sets = []
    for number in range(n_data_sets):
        size = sizes[number % len(sizes)]
        rows = random.choice(pool, size, replace=False)
        data_sets.append(DataSet(train=rows[: int(0.6 * size)], validation=rows[int(0.6 * size) :]))
    return Task(features=np.maximum(mixed, 0.0), targets=targets, data_sets=tuple(data_sets))


if __name__ == "__main__":
    main()
