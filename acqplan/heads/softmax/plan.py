"""Which softmax heads are trained together: same width, same dropouts, same rates, as many as fit in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int

from acqplan.heads.prepare import Preparation
from acqplan.heads.softmax.setting import DataSet, SoftmaxSetting

COPIES = 5
"""Numbers kept for each weight: the weight, its gradient, two moments, and the weight at the best epoch."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Family:
    """Heads of one data set, share of variance and seed: at every update they look at the same images.

    Attributes:
        number: Of the data set.
        rows: Its rows.
        seed: Seed of all their draws.
        variance: Share of variance kept; ``None`` for the features themselves.
        preparation: Principal components of the training rows, if any are asked for.
        width: Inputs of these heads.
    """

    number: int
    rows: DataSet
    seed: int
    variance: float | None
    preparation: Preparation | None
    width: int

    @property
    def taken(self) -> Int[np.ndarray, " rows"]:
        """Training rows, then validation rows, shape ``[rows]``."""
        return np.concatenate([self.rows.train, self.rows.validation])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BlockPlan:
    """Heads to train together: every family with every dropout at every rate, the widest family first."""

    families: tuple[Family, ...]
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
        """The same heads in two blocks; ``None`` of a single head."""
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
    whole = [
        plan
        for share in dict.fromkeys(setting.variance for setting in settings)
        for plan in _grids([setting for setting in settings if setting.variance == share])
    ]
    parts: list[BlockPlan] = []
    for dropouts, rates, share, seeds in whole:
        families = [
            _family(number, rows, seed, share, preparations, n_features)
            for seed in seeds
            for number, rows in enumerate(data_sets)
        ]
        families.sort(key=lambda family: -family.width)
        parts += [BlockPlan(families=alike, dropouts=dropouts, rates=rates) for alike in _alike(families)]
    fair = sum(plan.n_bytes(n_classes, batch) for plan in parts) // max(at_least, 1)
    small = [part for plan in parts for part in _split(plan, n_classes, batch, min(limit, fair))]
    return sorted(small, key=lambda plan: -plan.n_bytes(n_classes, batch))


Grid = tuple[tuple[float, ...], tuple[float, ...], float | None, tuple[int, ...]]


def _grids(settings: Sequence[SoftmaxSetting]) -> Iterator[Grid]:
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
        yield grid_dropouts, grid_rates, settings[0].variance, tuple(grid_seeds)


def _family(
    number: int,
    rows: DataSet,
    seed: int,
    share: float | None,
    preparations: Mapping[tuple[int, float], Preparation],
    n_features: int,
) -> Family:
    preparation = None if share is None else preparations[number, share]
    width = n_features if preparation is None else preparation.projection.shape[1]
    return Family(number=number, rows=rows, seed=seed, variance=share, preparation=preparation, width=width)


def _alike(families: Sequence[Family]) -> Iterator[tuple[Family, ...]]:
    """Runs of families whose widths differ by at most a factor of two: they are padded to the widest."""
    run: list[Family] = []
    for family in families:
        if run and 2 * family.width < run[0].width:
            yield tuple(run)
            run = []
        run.append(family)
    if run:
        yield tuple(run)


def _split(plan: BlockPlan, n_classes: int, batch: int, limit: int) -> Iterator[BlockPlan]:
    halves = plan.halves() if plan.n_bytes(n_classes, batch) > limit else None
    if halves is None:
        yield plan
        return
    for half in halves:
        yield from _split(half, n_classes, batch, limit)
