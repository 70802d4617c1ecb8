"""What a run of pretraining is made of: all that decides the weights, as plain numbers."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Final

from acqplan.errors import UsageError
from acqplan.rig.render import RENDERER
from benchmarks.toyshop.families import FAMILIES

HELD_OUT: Final = tuple(sorted(FAMILIES))[3::7]
"""Families never trained on: recipes are chosen by how well these are told apart, not by the toys."""

TRAINED: Final = tuple(name for name in sorted(FAMILIES) if name not in HELD_OUT)
"""Families that the network learns to name, in the order of its outputs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All that decides the weights; two runs of one recipe on one machine give the same weights.

    Args:
        seed: Of shapes, views, lights, order and first weights.
        members: Shapes a family.
        views: Poses a shape.
        epochs: Passes over all poses, each under new lights.
        batch: Images a step.
        rate: Highest learning rate of AdamW; it rises over the first tenth and falls as a cosine.
        weight_decay: Of AdamW.
        smoothing: Share of each target spread over all families.
        distillation: Weight of agreeing with the teacher; 0 needs no teacher.
        precision: Number format of the forward pass, ``"bfloat16"`` or ``"float32"``.

    Raises:
        UsageError: If a count is below 1.
    """

    seed: int = 0
    members: int = 96
    views: int = 5
    epochs: int = 14
    batch: int = 64
    rate: float = 2e-3
    weight_decay: float = 0.05
    smoothing: float = 0.1
    distillation: float = 0.0
    precision: str = "bfloat16"

    def __post_init__(self) -> None:
        for name in ("members", "views", "epochs", "batch"):
            if getattr(self, name) < 1:
                raise UsageError(f"pretraining with {name} = {getattr(self, name)}", "give at least 1")

    @property
    def poses_a_family(self) -> int:
        """Poses of one family."""
        return self.members * self.views

    def poses_digest(self) -> str:
        """Names what was rendered, so that poses of other settings are never taken for these."""
        return _short([RENDERER, self.seed, self.members, self.views, sorted(FAMILIES)])

    def digest(self) -> str:
        """Names the whole run, so that it is only ever resumed as itself."""
        return _short([self.poses_digest(), sorted(asdict(self).items())])


def _short(parts: list[object]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]
