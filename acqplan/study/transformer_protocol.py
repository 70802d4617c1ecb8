"""How much of the study of the spatial transformer is run: experiments, sets, and searches for rates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product

from acqplan.errors import UsageError
from acqplan.study.norb_sets import IMAGES
from acqplan.study.softmax import BATCH, UPDATES, SoftmaxSetting, thesis_settings
from acqplan.study.transformer_findings import (
    BASE_SET,
    CONTROLS,
    HOMOGRAPHY,
    THESIS,
    THESIS_CONTROL,
    WIDE,
    WIDE_CONTROL,
    Key,
)
from acqplan.study.transformer_training import EXPERIMENTS, TransformerSetting

# Share of the variance that the base head's components keep.
VARIANCE = 0.9
_THESIS = tuple(TransformerSetting(rate=rate) for rate in (1e-6, 1e-5))
_WIDE = tuple(
    TransformerSetting(rate=rate, localisation=share, warm_up=0.1)
    for share, rate in product((0.1, 0.01), (1e-6, 1e-5, 1e-4, 1e-3))
)
Searches = Mapping[str, tuple[TransformerSetting, ...]]
SEARCHES: Searches = {THESIS: _THESIS, THESIS_CONTROL: tuple(replace(one, localisation=None) for one in _THESIS)}
# What the thesis suspected to be missing.
BEYOND: Searches = {
    WIDE: _WIDE,
    WIDE_CONTROL: tuple(replace(one, localisation=None) for one in _WIDE[: len(_WIDE) // 2]),
    HOMOGRAPHY: tuple(replace(one, projective=True) for one in _THESIS),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformerProtocol:
    """How much of the study is run.

    Attributes:
        experiments: Numbers of the thesis' experiments.
        sets: Names of even sets.
        searches: By name the settings among which the validation loss chooses.
        updates: Updates of each training, rounded to whole epochs.
        seeds: Seeds of starts, orders and dropout, and of the base head.
        base_settings: Settings of the base head, among which the validation loss chooses.
        base_updates: Its updates.
        test_step: Every which test image is tested; 1 for all.
        seconds: After which a training is kept at the end of an epoch.
    """

    experiments: tuple[int, ...] = tuple(EXPERIMENTS)
    sets: tuple[str, ...] = tuple(IMAGES)
    searches: Searches
    updates: int = UPDATES
    seeds: tuple[int, ...] = (0,)
    base_settings: tuple[SoftmaxSetting, ...] = tuple(one for one in thesis_settings() if one.variance == VARIANCE)
    base_updates: int = UPDATES
    test_step: int = 1
    seconds: float = 10.0

    def __post_init__(self) -> None:
        for noun, asked, known in (("experiment", self.experiments, EXPERIMENTS), ("set", self.sets, IMAGES)):
            unknown = [str(one) for one in asked if one not in known]
            if unknown or not asked:
                said = f"there is no {noun} {', '.join(unknown)}" if unknown else f"no {noun} is asked for"
                raise UsageError(said, f"{noun}s: {', '.join(map(str, known))}")

    def cases(self) -> list[Key]:
        """Everything that is trained; there is no control where only a transformer is."""
        every = product(self.searches, self.experiments, self.sets)
        return [key for key in every if not (key[0] in CONTROLS.values() and EXPERIMENTS[key[1]].is_base)]

    def epochs(self, n_train: int) -> int:
        """Epochs on so many training images."""
        return max(1, round(self.updates * BATCH / n_train))


FULL = TransformerProtocol(searches=SEARCHES)
# Minutes on two cores; the base head, on features, is trained in full. A step of 5 has no factor in common with the
# numbers of azimuths, elevations and lights.
QUICK = TransformerProtocol(
    experiments=(1, 2, 7),
    sets=("A60E15", BASE_SET),
    searches=SEARCHES,
    updates=400,
    base_settings=tuple(one for one in FULL.base_settings if one.rate > 1e-5 and one.dropout in (0.0, 0.5)),
    test_step=5,
)
# Fewer: so few updates need large rates.
QUICK_BEYOND: Searches = {
    name: tuple(one for one in some if name == HOMOGRAPHY or one.rate >= 1e-4) for name, some in BEYOND.items()
}
