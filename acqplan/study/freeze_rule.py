"""The rule of the study of freezing: how many layers to freeze, until how many images per class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from acqplan.rng import generator
from acqplan.study.freeze_depth import FreezeDepth

DRAWS = 2_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FreezeRule:
    """Freeze so many layers until so many images per class.

    Attributes:
        layer: Layers to freeze; 0 if freezing gains nothing at the fewest images.
        until: Images per class up to which it gains, between measured ones on a logarithmic scale; 0 if it never does,
            infinite if it does at the most images too.
        gain: What it gains on average over the numbers of images where it gains, as a share.
        share: Share of the bootstrap in which any freezing gains at the fewest images.
        layers: Share of the bootstrap in which each of the studied numbers of layers is the rule's, shape ``[layers]``.
        low: Lower end of the 95 % interval of ``until``.
        high: Its upper end.
    """

    layer: int
    until: float
    gain: float
    share: float
    layers: Float[np.ndarray, " layers"]
    low: float
    high: float


def freeze_rule(study: FreezeDepth, *, tuned: bool, draws: int = DRAWS) -> FreezeRule:
    """The rule, and a bootstrap over repeats and directions that finds it anew each time.

    The layers are those whose freezing gains most, added up over numbers of images from the fewest on to where it
    gains no more.

    Args:
        study: What was found.
        tuned: Whether the layers above are fine-tuned, and compared with fine-tuning all; else they start at
            random, and are compared with starting all at random.
        draws: Of the bootstrap; with one unit there is nothing to draw, and the interval is all or nothing.
    """
    gains = study.gains(tuned=tuned)
    units = gains.shape[-1]
    layer, until, gain = _found(gains.mean(axis=-1), study.images)
    draw = generator(study.protocol.seed, "freeze-depth", "bootstrap")
    drawn = [
        _found(gains[..., draw.integers(0, units, units)].mean(axis=-1), study.images)
        for _ in range(draws * (units > 1))
    ]
    chosen: Int[np.ndarray, " draws"] = np.array([place for place, *_ in drawn], dtype=np.int64)
    ends = np.array([end for _, end, _ in drawn]) if drawn else np.array([0.0, np.inf])
    low, high = np.quantile(ends, (0.025, 0.975), method="nearest")
    return FreezeRule(
        layer=study.layers[layer] if until else 0,
        until=until,
        gain=gain,
        share=float((ends > 0).mean()) if drawn else float("nan"),
        layers=np.bincount(chosen[ends[: len(chosen)] > 0], minlength=len(study.layers)) / max(len(drawn), 1),
        low=float(low),
        high=float(high),
    )


def _found(gains: Float[np.ndarray, "layers images"], images: tuple[int, ...]) -> tuple[int, float, float]:
    """Place of the layers, the number of images, and the mean gain up to there."""
    gaining = np.cumprod(gains > 0, axis=1).astype(bool)
    sums = np.where(gaining, gains, 0.0).sum(axis=1)
    place = int(np.argmax(sums))
    count = int(gaining[place].sum())
    if count == 0:
        return place, 0.0, 0.0
    mean = float(sums[place] / count)
    if count == len(images):
        return place, float("inf"), mean
    above, below = gains[place, count - 1], gains[place, count]
    share = above / (above - below)
    return place, float(np.exp((1 - share) * np.log(images[count - 1]) + share * np.log(images[count]))), mean
