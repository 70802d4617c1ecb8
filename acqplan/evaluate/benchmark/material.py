"""Everything that can be captured on a rig, captured once: what a replay may be shown when it asks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int

from acqplan.files import digest_bytes
from acqplan.progress import SILENT, Progress
from acqplan.space import Shots
from acqplan.space.distinct import distinct
from acqplan.strategy.strata import view_rows


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Material:
    """All shots of a rig and what the backbone sees in them.

    Attributes:
        shots: Every shot.
        features: Features of their images, shape ``[shots, features]``.
        view_weights: How often the classifier will meet each view, in the order of ``space.views()``; all alike.
    """

    shots: Shots
    features: Float32[np.ndarray, "shots features"]
    view_weights: Float[np.ndarray, " views"] | None = None

    @property
    def weights(self) -> Float[np.ndarray, " shots"] | None:
        """How much each shot counts where it is tested; ``None`` for all alike."""
        return None if self.view_weights is None else self.view_weights[view_rows(self.shots)]

    def tested(self, names: tuple[str, ...]) -> Int[np.ndarray, " some"]:
        """Rows of the shots of some objects from views that the classifier will meet."""
        rows, weights = self.rows_of(names), self.weights
        return rows if weights is None else rows[weights[rows] > 0]

    @property
    def digest(self) -> str:
        """SHA-256 of the features: results of other images or another machine's features do not mix."""
        return digest_bytes(np.ascontiguousarray(self.features).tobytes())

    def rows_of(self, names: tuple[str, ...]) -> Int[np.ndarray, " some"]:
        """Rows of the shots of some objects."""
        wanted = np.isin(np.array(self.shots.objects.names), names)
        return np.flatnonzero(wanted[self.shots.object_rows])

    def places(self, shots: Shots) -> Int[np.ndarray, " some"]:
        """Row of each of these shots, which must be among ours."""
        _, inverse = distinct(self.shots.join(shots))
        place = np.empty(inverse.max() + 1, dtype=np.int64)
        place[inverse[: len(self.shots)]] = np.arange(len(self.shots))
        return place[inverse[len(self.shots) :]]

    def __call__(self, shots: Shots, *, progress: Progress = SILENT) -> Float32[np.ndarray, "some features"]:
        """Show what was chosen: the `Capture` of a replay."""
        return self.features[self.places(shots)]
