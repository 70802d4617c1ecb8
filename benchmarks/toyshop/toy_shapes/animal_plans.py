"""Ten plans of animals: what tells a pig from a giraffe."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AnimalPlan:
    """Measures of an animal; its trunk is about 2 long.

    Attributes:
        trunk: Length, half height at the shoulder, at the belly and at the hip, and half width.
        legs: Length and thickness.
        neck: Length, rise in degrees, thickness.
        head: Half length, half height.
        snout: Length and thickness.
        tail: Length, droop in degrees (negative is raised), thickness.
        ears: Length; negative hangs.
        extras: Names in `_EXTRAS`.
    """

    trunk: tuple[float, float, float, float, float]
    legs: tuple[float, float]
    neck: tuple[float, float, float]
    head: tuple[float, float]
    snout: tuple[float, float]
    tail: tuple[float, float, float]
    ears: float
    extras: tuple[str, ...] = ()


PLANS = (
    AnimalPlan(
        (2.0, 0.42, 0.40, 0.42, 0.34),
        (1.05, 0.13),
        (0.85, 48, 0.22),
        (0.28, 0.20),
        (0.34, 0.14),
        (0.9, 65, 0.10),
        0.2,
        ("mane",),
    ),
    AnimalPlan(
        (1.5, 0.48, 0.40, 0.32, 0.32),
        (1.45, 0.11),
        (1.9, 66, 0.17),
        (0.24, 0.17),
        (0.30, 0.12),
        (0.8, 80, 0.05),
        0.18,
        ("knobs",),
    ),
    AnimalPlan(
        (2.0, 0.72, 0.76, 0.68, 0.62),
        (0.85, 0.24),
        (0.25, 25, 0.42),
        (0.42, 0.44),
        (0.05, 0.20),
        (0.7, 75, 0.06),
        0.0,
        ("trunk", "flaps"),
    ),
    AnimalPlan(
        (2.1, 0.50, 0.55, 0.48, 0.44),
        (0.80, 0.13),
        (0.45, 22, 0.26),
        (0.30, 0.24),
        (0.32, 0.18),
        (0.9, 85, 0.05),
        -0.22,
        ("horns", "udder"),
    ),
    AnimalPlan(
        (1.6, 0.33, 0.28, 0.26, 0.24),
        (0.75, 0.10),
        (0.40, 45, 0.17),
        (0.26, 0.21),
        (0.28, 0.12),
        (0.8, -45, 0.07),
        0.26,
    ),
    AnimalPlan(
        (1.9, 0.52, 0.62, 0.54, 0.52),
        (0.38, 0.14),
        (0.30, 6, 0.27),
        (0.36, 0.34),
        (0.26, 0.20),
        (0.25, -30, 0.05),
        0.24,
    ),
    AnimalPlan(
        (2.2, 0.44, 0.62, 0.50, 0.50),
        (0.72, 0.20),
        (1.9, 42, 0.22),
        (0.26, 0.17),
        (0.20, 0.12),
        (2.2, 18, 0.26),
        0.0,
        ("plates",),
    ),
    AnimalPlan(
        (2.1, 0.64, 0.62, 0.54, 0.54),
        (0.60, 0.20),
        (0.28, -8, 0.40),
        (0.42, 0.30),
        (0.34, 0.24),
        (0.5, 70, 0.06),
        0.2,
        ("nose-horn",),
    ),
    AnimalPlan(
        (1.7, 0.36, 0.32, 0.32, 0.26),
        (1.0, 0.09),
        (0.75, 58, 0.16),
        (0.24, 0.17),
        (0.28, 0.11),
        (0.25, -20, 0.08),
        0.24,
        ("antlers",),
    ),
    AnimalPlan(
        (1.9, 0.50, 0.46, 0.44, 0.38),
        (1.15, 0.13),
        (1.0, 40, 0.18),
        (0.27, 0.18),
        (0.30, 0.14),
        (0.7, 75, 0.06),
        0.14,
        ("hump",),
    ),
)
