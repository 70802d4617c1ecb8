"""Ten plans of airplanes: what tells a biplane from a glider."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AirplanePlan:
    """Measures of an airplane, in lengths of a fuselage of 10.

    Attributes:
        radius: Of the fuselage.
        span: Half the wing span.
        chord: Of the wing at root and tip.
        sweep: How far the tip lies behind the root.
        wing: Place along x (0 is the middle) and height (-1 bottom of the fuselage, 1 top) of the root.
        rise: How far the tip lies above the root.
        tail: ``low``, ``tee``, ``twin``, ``vee`` or ``none``.
        engines: ``prop``, ``pods``, ``tail``, ``inside`` or ``wing-props`` (four), ``none``.
    """

    radius: float
    span: float
    chord: tuple[float, float]
    sweep: float
    wing: tuple[float, float]
    rise: float
    tail: str
    engines: str
    extras: tuple[str, ...] = ()


PLANS = (
    AirplanePlan(0.62, 4.9, (2.0, 0.7), 2.2, (0.3, -0.7), 0.45, "low", "pods"),
    AirplanePlan(0.70, 5.4, (1.5, 1.3), 0.1, (1.0, 1.0), 0.15, "low", "prop", ("struts", "cockpit")),
    AirplanePlan(0.62, 4.2, (1.5, 1.4), 0.1, (1.4, -0.8), 0.10, "low", "prop", ("upper", "open")),
    AirplanePlan(0.55, 3.1, (5.6, 0.5), 4.6, (-0.6, -0.3), 0.0, "none", "inside", ("cockpit",)),
    AirplanePlan(0.60, 4.8, (1.9, 0.9), 0.3, (1.0, -0.8), 0.45, "low", "prop", ("bubble",)),
    AirplanePlan(0.55, 4.2, (1.8, 0.6), 1.4, (-0.4, -0.8), 0.25, "tee", "tail", ("windscreen",)),
    AirplanePlan(0.42, 7.2, (0.9, 0.4), 0.2, (1.0, 0.4), 0.35, "tee", "none", ("bubble",)),
    AirplanePlan(0.66, 6.2, (1.8, 0.8), 0.5, (0.8, 0.6), 0.2, "twin", "wing-props", ("windscreen",)),
    AirplanePlan(0.52, 3.2, (2.9, 0.9), 1.7, (-0.6, 0.1), -0.1, "twin-fin", "inside", ("bubble",)),
    AirplanePlan(0.85, 5.2, (2.2, 0.8), 1.8, (0.3, 0.95), -0.35, "tee", "pods", ("windscreen",)),
)
