from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from jaxtyping import Float32, Int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pool:
    features: Float32[np.ndarray, "pool features"]
    targets: Int[np.ndarray, " pool"]
    groups: Int[np.ndarray, " pool"]


def _make_pool(
    *, n_classes: int = 3, n_objects: int = 4, n_views: int = 30, n_features: int = 24, seed: int = 0
) -> Pool:
    """Features as backbones give them: a part of the class, a part of the object, a part of the view, rectified."""
    random = np.random.default_rng(seed)
    targets = np.repeat(np.arange(n_classes), n_objects)
    classes = random.normal(size=(n_classes, n_features))
    objects = classes[targets] + 0.7 * random.normal(size=(len(targets), n_features))
    views = random.normal(size=(n_views, n_features))
    noise = 0.3 * random.normal(size=(len(targets), n_views, n_features))
    seen = np.maximum(objects[:, None] + 0.8 * views[None] + noise, 0.0)
    return Pool(
        features=seen.reshape(-1, n_features).astype(np.float32),
        targets=np.repeat(targets, n_views),
        groups=np.repeat(np.arange(len(targets)), n_views),
    )


@pytest.fixture(scope="session")
def make_pool() -> Callable[..., Pool]:
    return _make_pool


@pytest.fixture
def pool() -> Pool:
    return _make_pool()


@pytest.fixture(autouse=True)
def single_thread() -> Iterator[None]:
    """Problems this small run slower on two cores than on one, and a hundred times so where the cores are busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
