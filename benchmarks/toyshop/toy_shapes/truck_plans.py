"""Ten plans of trucks: what tells a tanker from a pickup."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TruckPlan:
    """Measures of a truck in metres.

    Attributes:
        load: What it carries behind the cab; a name in `_LOADS`.
        cab: Length and height of the cab.
        bonnet: Length of the bonnet before the cab; 0 for a cab over the engine.
        axles: Places of the axles as fractions of the length from the tail.
        frame: Height of the frame; low for pickups.
    """

    load: str
    length: float
    cab: tuple[float, float]
    bonnet: float
    axles: tuple[float, ...]
    half_width: float = 1.15
    wheel: float = 0.48
    frame: float = 0.80
    extras: tuple[str, ...] = ()


PLANS = (
    TruckPlan("box", 6.8, (1.5, 2.4), 0.0, (0.22, 0.86)),
    TruckPlan("bed", 5.3, (1.7, 1.85), 1.35, (0.20, 0.80), 0.92, 0.40, 0.62),
    TruckPlan("tank", 7.8, (1.5, 2.5), 0.0, (0.12, 0.27, 0.87)),
    TruckPlan("tipper", 6.2, (1.4, 2.4), 0.9, (0.12, 0.30, 0.84), wheel=0.55),
    TruckPlan("stakes", 6.0, (1.3, 2.2), 1.2, (0.20, 0.84)),
    TruckPlan("mixer", 7.0, (1.4, 2.5), 0.0, (0.12, 0.28, 0.85)),
    TruckPlan("ladder", 7.6, (2.0, 2.3), 0.0, (0.22, 0.80), extras=("beacons",)),
    TruckPlan("trailer", 9.0, (1.5, 2.5), 1.4, (0.06, 0.16, 0.56, 0.68, 0.90), extras=("stacks",)),
    TruckPlan("canopy", 5.0, (1.6, 1.8), 1.2, (0.20, 0.80), 0.92, 0.40, 0.62),
    TruckPlan("crane", 6.4, (1.5, 2.3), 0.0, (0.14, 0.32, 0.85), wheel=0.52, extras=("beacons",)),
)
