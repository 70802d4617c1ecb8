"""Ten toy cars."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.toyshop.toy_shapes.parts import (
    Part,
    Station,
    ball,
    block,
    both,
    frustum,
    join,
    limb,
    loft,
    moved,
    rod,
    vary,
    wheel,
)


@dataclass(frozen=True, slots=True)
class CarPlan:
    """Measures of a car in metres; along it, fractions of its length from the tail.

    Attributes:
        cabin: Where the glass begins and ends: tail at the belt, tail and front of the roof, front at the belt.
        nose: Height of the bonnet at the front.
        deck: Height of the tail.
    """

    length: float
    half_width: float
    roof: float
    belt: float
    cabin: tuple[float, float, float, float]
    nose: float
    deck: float
    wheel: float = 0.33
    squareness: float = 5.0
    extras: tuple[str, ...] = ()


PLANS = (
    CarPlan(4.6, 0.88, 1.45, 0.92, (0.14, 0.26, 0.54, 0.70), 0.74, 0.90),
    CarPlan(3.7, 0.84, 1.50, 0.95, (0.02, 0.10, 0.60, 0.76), 0.78, 0.95, extras=("wiper",)),
    CarPlan(4.6, 0.95, 1.95, 1.05, (0.00, 0.03, 0.72, 0.88), 0.90, 1.05, 0.34, 6.0),
    CarPlan(4.3, 0.95, 1.12, 0.76, (0.08, 0.32, 0.48, 0.66), 0.52, 0.80, 0.34, 3.5, ("spoiler",)),
    CarPlan(4.2, 0.88, 1.30, 0.86, (0.30, 0.34, 0.56, 0.66), 0.70, 0.84, 0.32, 4.0, ("open",)),
    CarPlan(4.7, 0.88, 1.48, 0.93, (0.01, 0.05, 0.56, 0.71), 0.76, 0.93, extras=("rack",)),
    CarPlan(4.4, 0.98, 1.85, 1.12, (0.03, 0.06, 0.58, 0.68), 1.05, 1.10, 0.42, 8.0, ("rack", "spare")),
    CarPlan(4.0, 0.80, 1.48, 0.85, (0.08, 0.30, 0.56, 0.70), 0.60, 0.60, 0.33, 2.6, ("fenders",)),
    CarPlan(4.3, 0.55, 1.55, 0.95, (0.12, 0.16, 0.46, 0.50), 0.95, 0.85, 0.40, 4.5, ("fenders", "lamps")),
    CarPlan(5.2, 0.98, 1.38, 0.86, (0.24, 0.34, 0.56, 0.66), 0.84, 0.88, 0.34, 6.0, ("fins",)),
)


def car(number: int, generator: np.random.Generator) -> Part:
    """A car: body, glasshouse, wheels and what else its plan names."""
    plan = PLANS[number % len(PLANS)]
    length, width = vary(generator, plan.length), vary(generator, plan.half_width)
    roof, radius = vary(generator, plan.roof, 0.05), vary(generator, plan.wheel)
    along = [(fraction - 0.5) * length for fraction in plan.cabin]
    parts = [_body(plan, length, width, along), _wheels(length, width, radius), _trim(plan, length, width)]
    parts += [_open_cabin(plan, along, width)] if "open" in plan.extras else [_cabin(plan, along, width, roof)]
    parts += [_EXTRAS[name](plan, length, width, roof) for name in plan.extras if name in _EXTRAS]
    return join(parts)


def _body(plan: CarPlan, length: float, width: float, cabin: list[float]) -> Part:
    low, end = 0.28, length / 2
    shape = plan.squareness
    return loft(
        [
            Station(-end, low + 0.12, 0.88 * plan.deck, 0.86 * width, shape),
            Station(-end + 0.14, low, plan.deck, 0.97 * width, shape),
            Station(min(cabin[0], -end + 0.5 * length) + 0.16, low, (plan.deck + plan.belt) / 2, width, shape),
            Station(cabin[3] + 0.05, low, plan.belt, width, shape),
            Station(end - 0.35, low, 0.4 * plan.belt + 0.6 * plan.nose, 0.97 * width, shape),
            Station(end - 0.10, low, plan.nose, 0.92 * width, shape),
            Station(end, low + 0.12, 0.85 * plan.nose, 0.80 * width, shape),
        ]
    )


def _cabin(plan: CarPlan, x: list[float], width: float, roof: float) -> Part:
    """Glass set back between pillars, so that windows show on one colour of paint."""
    belt, top = plan.belt - 0.04, roof - 0.07
    wide, narrow = 0.93 * width, 0.76 * width
    glass = frustum(((x[0] + 0.08, x[3] - 0.08), wide - 0.07), ((x[1] + 0.06, x[2] - 0.06), narrow - 0.06), (belt, top))
    cap = frustum(((x[1] - 0.02, x[2] + 0.02), narrow + 0.02), ((x[1] + 0.1, x[2] - 0.1), 0.8 * narrow), (top, roof))
    middle = (x[1] + x[2]) / 2
    pillars = [
        limb((foot, wide - 0.03, belt), (head, narrow - 0.02, top), 0.05, 0.045)
        for foot, head in ((x[0], x[1]), (middle, middle), (x[3], x[2]))
    ]
    return join([glass, cap, both(*pillars)])


def _open_cabin(plan: CarPlan, x: list[float], width: float) -> Part:
    belt = plan.belt
    screen = frustum(
        ((x[3] - 0.06, x[3]), 0.85 * width), ((x[2] + 0.05, x[2] + 0.1), 0.72 * width), (belt, belt + 0.36)
    )
    seats = both(
        block((x[1] + 0.1, x[1] + 0.25), (0.12 * width, 0.7 * width), (belt - 0.1, belt + 0.3)),
        block((x[1] - 0.75, x[1] - 0.6), (0.12 * width, 0.7 * width), (belt - 0.1, belt + 0.16)),
    )
    rim = both(limb((x[0] - 0.6, 0.9 * width, belt), (x[3], 0.9 * width, belt), 0.09, 0.07))
    return join(
        [screen, seats, rim, rod((x[2] - 0.3, 0.4 * width, belt), (x[2] - 0.36, 0.4 * width, belt + 0.1), 0.19)]
    )


def _wheels(length: float, width: float, radius: float) -> Part:
    return both(*(wheel(x * length, width + 0.04, radius, 0.24) for x in (-0.30, 0.31)))


def _trim(plan: CarPlan, length: float, width: float) -> Part:
    end = length / 2
    bumpers = [block((x - 0.05, x + 0.05), (-0.9 * width, 0.9 * width), (0.3, 0.46)) for x in (-end - 0.02, end + 0.02)]
    lamp = ball((end - 0.03, 0.62 * width, 0.8 * plan.nose), (0.07, 0.15, 0.09))
    mirror = ball(((plan.cabin[3] - 0.53) * length, width + 0.1, plan.belt + 0.06), (0.06, 0.1, 0.07))
    return join([*bumpers, both(lamp, mirror)])


def _spoiler(plan: CarPlan, length: float, width: float, roof: float) -> Part:
    x, z = -length / 2 + 0.15, plan.deck + 0.3
    leg = block((x - 0.05, x + 0.1), (0.5 * width, 0.56 * width), (plan.deck - 0.1, z))
    return join([both(leg), block((x - 0.16, x + 0.16), (-0.95 * width, 0.95 * width), (z, z + 0.06))])


def _rack(plan: CarPlan, length: float, width: float, roof: float) -> Part:
    back, front = ((plan.cabin[row] - 0.5) * length for row in (1, 2))
    rails = both(limb((back + 0.1, 0.6 * width, roof + 0.06), (front - 0.15, 0.6 * width, roof + 0.06), 0.035, 0.035))
    box = block((back + 0.3, front - 0.5), (-0.5 * width, 0.5 * width), (roof, roof + 0.22))
    return join([rails, box])


def _spare(plan: CarPlan, length: float, width: float, roof: float) -> Part:
    x = -length / 2
    return rod((x + 0.05, 0.0, 0.95), (x - 0.2, 0.0, 0.95), plan.wheel)


def _fenders(plan: CarPlan, length: float, width: float, roof: float) -> Part:
    arches = (ball((x * length, width + 0.02, 0.42), (0.62, 0.22, 0.38)) for x in (-0.30, 0.31))
    return both(*arches, block((-0.25 * length, 0.25 * length), (width - 0.05, width + 0.16), (0.24, 0.32)))


def _lamps(plan: CarPlan, length: float, width: float, roof: float) -> Part:
    return both(ball((0.44 * length, width + 0.12, 0.82), (0.15, 0.14, 0.14)))


def _fins(plan: CarPlan, length: float, width: float, roof: float) -> Part:
    x = -length / 2
    fin = frustum(((x, x + 1.4), 0.04), ((x - 0.12, x + 0.1), 0.03), (plan.deck - 0.1, plan.deck + 0.26))
    return both(moved(fin, (0.0, 0.88 * width, 0.0)))


_EXTRAS = {
    "spoiler": _spoiler,
    "rack": _rack,
    "spare": _spare,
    "fenders": _fenders,
    "lamps": _lamps,
    "fins": _fins,
}
