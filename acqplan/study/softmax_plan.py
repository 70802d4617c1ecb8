"""Which softmax heads are trained together: same width, same dropouts, same rates, as many as fit in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor

from acqplan.errors import UsageError
from acqplan.heads.linear import Head
from acqplan.heads.prepare import Preparation

# Numbers kept for each weight: the weight, its gradient, two moments, and the weight at the best epoch.
COPIES = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DataSet:
    """Rows of a pool: some to train on, and others to choose the epoch by.

    Attributes:
        train: Rows to train on, shape ``[train]``, at least one.
        validation: Rows of other objects, shape ``[validation]``, at least one, none of them in ``train``.
    """

    train: Int[np.ndarray, " train"]
    validation: Int[np.ndarray, " validation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftmaxSetting:
    """Hyper-parameters and seed of one head.

    Attributes:
        dropout: Share of the inputs that are set to zero at an update.
        rate: Learning rate of Adam.
        variance: Share of variance that principal components keep; ``None`` for the features themselves.
        seed: Seed of start, order of images and dropout. Heads of one seed share these draws, so that their
            settings are compared on equal terms.
    """

    dropout: float
    rate: float
    variance: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.0 <= self.dropout < 1.0:
            raise UsageError(f"dropout {self.dropout}", "give a share from 0 to below 1, e.g. 0.5")
        if not 0.0 < self.rate < float("inf"):
            raise UsageError(f"rate {self.rate}", "give a learning rate above 0, e.g. 1e-5")
        if self.variance is not None and not 0.0 < self.variance <= 1.0:
            raise UsageError(f"variance {self.variance}", "give the share that PCA keeps, e.g. 0.9, or None for no PCA")

    def __str__(self) -> str:
        pca = "no PCA" if self.variance is None else f"PCA {self.variance:.0%}"
        return f"{pca}, dropout {self.dropout:g}, rate {self.rate:g}, seed {self.seed}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SoftmaxFit:
    """A trained softmax head at its best epoch; PCA is already folded in.

    Attributes:
        setting: What it was trained with.
        weight: Shape ``[features, classes]``; 0 for classes that were absent from training.
        bias: Shape ``[classes]``; minus infinity for absent classes.
        best_epoch: The epoch of the least validation loss, the first of equals, counted from 1.
        losses: Mean cross-entropy on the validation rows after each epoch, nats, shape ``[epochs]``; the
            last epoch ends with the last update, and may be a part of one.
    """

    setting: SoftmaxSetting
    weight: Float32[np.ndarray, "features classes"]
    bias: Float32[np.ndarray, " classes"]
    best_epoch: int
    losses: Float[np.ndarray, " epochs"]

    @property
    def loss(self) -> float:
        """Mean cross-entropy on the validation rows at the best epoch, nats."""
        return float(self.losses[self.best_epoch - 1])

    @property
    def head(self) -> Head:
        """The head, of strength 0 (no L2) and with beliefs of no rows: no object was ever left out."""
        beliefs = np.empty((0, len(self.bias)), dtype=np.float32)
        return Head(weight=self.weight, bias=self.bias, strength=0.0, beliefs=beliefs)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeadFamily:
    """Heads of one data set, share of variance and seed: at every update they look at the same images."""

    number: int  # of the data set
    rows: DataSet
    seed: int  # seed of all draws
    variance: float | None  # share of variance kept; None for the features themselves
    preparation: Preparation | None  # principal components of the training rows, if any are asked for
    width: int  # inputs of these heads


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BlockPlan:
    """Heads to train together: every family with every dropout at every rate, the widest family first."""

    families: tuple[HeadFamily, ...]
    dropouts: tuple[float, ...]
    rates: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.families) * len(self.dropouts) * len(self.rates)

    def setting(self, rate: int, family: int, dropout: int) -> SoftmaxSetting:
        """The setting of a head by its place."""
        found = self.families[family]
        return SoftmaxSetting(
            dropout=self.dropouts[dropout], rate=self.rates[rate], variance=found.variance, seed=found.seed
        )

    def halves(self) -> tuple[BlockPlan, BlockPlan] | None:
        """The same heads in two blocks; ``None`` for a single head."""
        for name in ("families", "dropouts", "rates"):
            things = getattr(self, name)
            if len(things) > 1:
                middle = len(things) // 2
                return replace(self, **{name: things[:middle]}), replace(self, **{name: things[middle:]})
        return None

    def n_bytes(self, n_classes: int, batch: int) -> int:
        """Bytes of weights, moments and inputs at an update."""
        width = self.families[0].width
        inputs = len(self.families) * (3 + len(self.dropouts)) * batch * width
        return 4 * (COPIES * len(self) * n_classes * width + inputs)


def plan_blocks(
    data_sets: Sequence[DataSet],
    settings: Sequence[SoftmaxSetting],
    preparations: Mapping[tuple[int, float], Preparation],
    *,
    n_features: int,
    n_classes: int,
    batch: int,
    limit: int,
    at_least: int,
) -> list[BlockPlan]:
    """Sort all heads into blocks, the largest first.

    Args:
        data_sets: Every one is trained on with every setting.
        settings: Settings, any list.
        preparations: By number of data set and share of variance.
        n_features: Inputs of heads without principal components.
        n_classes: Classes of a head.
        batch: Images in an update.
        limit: Bytes of a block; a single head may need more.
        at_least: Blocks there should be, if that many can be made, to keep as many workers busy.
    """
    parts: list[BlockPlan] = []
    for share in dict.fromkeys(setting.variance for setting in settings):
        for dropouts, rates, seeds in _grids([setting for setting in settings if setting.variance == share]):
            families = []
            for seed, (number, rows) in product(seeds, enumerate(data_sets)):
                preparation = None if share is None else preparations[number, share]
                width = n_features if preparation is None else preparation.projection.shape[1]
                families.append(
                    HeadFamily(
                        number=number, rows=rows, seed=seed, variance=share, preparation=preparation, width=width
                    )
                )
            families.sort(key=lambda family: -family.width)
            # Widths of a block differ by at most a factor of two: all are padded to the widest.
            while families:
                n_alike = sum(2 * family.width >= families[0].width for family in families)
                parts.append(BlockPlan(families=tuple(families[:n_alike]), dropouts=dropouts, rates=rates))
                del families[:n_alike]
    fair = sum(plan.n_bytes(n_classes, batch) for plan in parts) // max(at_least, 1)
    # Blocks that are too large are halved until none is.
    small, waiting = [], parts[::-1]
    while waiting:
        plan = waiting.pop()
        halves = plan.halves() if plan.n_bytes(n_classes, batch) > min(limit, fair) else None
        if halves is None:
            small.append(plan)
        else:
            waiting += halves[::-1]
    return sorted(small, key=lambda plan: -plan.n_bytes(n_classes, batch))


def _grids(
    settings: Sequence[SoftmaxSetting],
) -> Iterator[tuple[tuple[float, ...], tuple[float, ...], tuple[int, ...]]]:
    """Full grids of dropouts and rates, with the seeds they are asked for; together all the settings."""
    rates: dict[tuple[int, float], set[float]] = {}
    for setting in settings:
        rates.setdefault((setting.seed, setting.dropout), set()).add(setting.rate)
    dropouts: dict[tuple[int, tuple[float, ...]], list[float]] = {}
    for (seed, dropout), found in sorted(rates.items()):
        dropouts.setdefault((seed, tuple(sorted(found))), []).append(dropout)
    seeds: dict[tuple[tuple[float, ...], tuple[float, ...]], list[int]] = {}
    for (seed, ordered), found_dropouts in dropouts.items():
        seeds.setdefault((tuple(found_dropouts), ordered), []).append(seed)
    for (grid_dropouts, grid_rates), grid_seeds in seeds.items():
        yield grid_dropouts, grid_rates, tuple(grid_seeds)


def fit_share(rows: Float[Tensor, "rows features"], share: float) -> Preparation:
    """The fewest principal components that keep a share of the variance; nothing is scaled.

    Args:
        rows: Features of the training rows, finite, shape ``[rows, features]``; at least one row.
        share: Share of the variance to keep, above 0, at most 1.

    Returns:
        The map to at least one component; rows that are all alike have one component of zeros.

    Source:
        scikit-learn's ``PCA(n_components=share, svd_solver="full")``; the sign of a component is such that its
        largest coefficient is positive.
    """
    mean = rows.mean(dim=0)
    centred = rows - mean
    # 1. Eigenvalues from the largest on, and vectors, of the smaller of the two Gram matrices.
    tall = len(rows) > rows.shape[1]
    values, vectors = torch.linalg.eigh(centred.mT @ centred if tall else centred @ centred.mT)
    variances, vectors = values.flip(0).clamp_min(0.0), vectors.flip(1)
    # 2. How many keep the share: a rounding below the whole, so that share 1 asks for no components of rounding errors.
    total, kept = variances.double().cumsum(0), 1
    if total[-1] > 0.0:
        kept += int((total >= min(share, 1.0 - 1e-6) * total[-1]).int().argmax())
    # 3. Directions of length 1.
    directions = vectors[:, :kept] if tall else centred.mT @ vectors[:, :kept]
    directions = directions / directions.norm(dim=0).clamp_min(torch.finfo(rows.dtype).tiny)
    signs = directions.gather(0, directions.abs().argmax(dim=0, keepdim=True)).sign()
    return Preparation(mean=mean, projection=directions * signs, variances=variances[:kept] / len(rows))
