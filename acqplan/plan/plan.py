"""Plans: accepted choices, in order, as plan.csv and plan.json."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from acqplan import __version__
from acqplan.files import replacing
from acqplan.numbers import ViewValue, short, shot_identifier
from acqplan.space import Category, Shots

Setting = float | int | str | bool | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """Ordered shots to take, and how they were chosen.

    Attributes:
        shots: The shots in the order of taking.
        rounds: Round in which each was chosen, 0 for the pilot, shape ``[shots]``.
        gain: What each adds in the strategy's own measure, shape ``[shots]``.
        reason: For each a few words.
        strategy: Name of the strategy.
        parameters: Its settings.
        seed: Seed of all randomness.
        budget: Images that may be taken, those already captured included.
        captured: How many of them had been captured before.
        backbone: Fingerprint of the backbone that looked at captured images; ``None`` if none did.
        seconds: Time spent on planning.
        predicted: Expected accuracy on new objects with its 95 % interval, if known:
            ``(accuracy, low, high)``.
        time_budget: Seconds that taking the shots may last; ``None`` if none was given.
        route_seconds: Seconds of taking the shots in this order, exposures included; ``None`` if not known.
        naive_seconds: Seconds of taking them in the order of the strategy.
        seconds_per_object: Seconds of a change of the object in these times; ``None`` if that is not known, and they
            have none.
        sensitivity: How far an image is representative of its neighbours, in words, as learned from captured images;
            empty if there were none.
        kept_aside: What the plan left to its test, as `acqplan.evaluate.task.Split.to_dict` gives it; empty if nothing.
    """

    shots: Shots
    rounds: Int[np.ndarray, " shots"] = field(repr=False)
    gain: Float[np.ndarray, " shots"] = field(repr=False)
    reason: tuple[str, ...] = field(repr=False)
    strategy: str
    seed: int
    budget: int
    captured: int = 0
    parameters: Mapping[str, Setting] = field(default_factory=dict)
    backbone: str | None = None
    seconds: float = 0.0
    predicted: tuple[float, float, float] | None = None
    time_budget: float | None = None
    route_seconds: float | None = None
    naive_seconds: float | None = None
    seconds_per_object: float | None = 0.0
    sensitivity: str = ""
    kept_aside: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.shots)

    @property
    def changes(self) -> dict[str, int]:
        """How often this order changes the object, and the level of each axis that is a category."""
        settings: dict[str, np.ndarray] = {"object": self.shots.object_rows}
        for axis, codes in zip(self.shots.space.axes, self.shots.coordinates.T, strict=True):
            if isinstance(axis, Category):
                settings[axis.name] = codes
        return {name: int((np.diff(own) != 0).sum()) for name, own in settings.items()}

    def to_csv(self) -> str:
        """plan.csv as text: one row per shot, in order."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self._columns)
        writer.writerows(self._rows())
        return text.getvalue()

    def table(self) -> list[dict[str, object]]:
        """The shots in order, each with the columns of plan.csv."""
        return [dict(zip(self._columns, row, strict=True)) for row in self._rows()]

    def write_csv(self, path: Path) -> None:
        """Write plan.csv; the same plan gives the same bytes."""
        with replacing(path) as handle:
            handle.write(self.to_csv())

    def to_dict(self) -> dict[str, object]:
        """plan.json as a dictionary."""
        predicted = None
        if self.predicted is not None:
            accuracy, low, high = (round(value, 4) for value in self.predicted)
            predicted = {"accuracy": accuracy, "interval95": [low, high]}
        return {
            "acqplan": __version__,
            "strategy": self.strategy,
            "parameters": dict(self.parameters),
            "seed": self.seed,
            "budget": self.budget,
            "captured": self.captured,
            "time_budget_seconds": self.time_budget,
            "route_seconds": None if self.route_seconds is None else round(self.route_seconds, 1),
            "route_seconds_naive": None if self.naive_seconds is None else round(self.naive_seconds, 1),
            "changes": self.changes,
            "sensitivity": self.sensitivity,
            "kept_aside": dict(self.kept_aside) or None,
            "space": self.shots.space.digest(),
            "backbone": self.backbone,
            "seconds": round(self.seconds, 3),
            "predicted_accuracy": predicted,
            "shots": self.table(),
        }

    def write_json(self, path: Path) -> None:
        """Write plan.json."""
        with replacing(path) as handle:
            json.dump(self.to_dict(), handle, indent=1)
            handle.write("\n")

    @property
    def _columns(self) -> list[str]:
        return ["shot", "order", "object", "label", *self.shots.space.names, "round", "gain", "reason"]

    def _rows(self) -> list[list[object]]:
        identifiers = shot_identifiers(self.shots)
        views = [list(view.values()) for view in written_views(self.shots)]
        return [
            [identifiers[row], row, name, label, *views[row], int(self.rounds[row]), short(self.gain[row]), reason]
            for row, (name, label, reason) in enumerate(
                zip(self.shots.names, self.shots.labels, self.reason, strict=True)
            )
        ]


def shot_identifiers(shots: Shots) -> list[str]:
    """A name for each shot that is the same in every plan, e.g. ``car-03_40_55_L2``."""
    views = written_views(shots)
    return [shot_identifier(name, list(view.values())) for name, view in zip(shots.names, views, strict=True)]


def written_views(shots: Shots) -> list[dict[str, ViewValue]]:
    """The view of each shot as files have it, fit for JSON."""
    return [
        {name: value if isinstance(value, str) else short(value) for name, value in view.items()}
        for view in shots.views()
    ]
