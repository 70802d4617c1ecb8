"""Ten toy airplanes, standing on their wheels."""

from __future__ import annotations

import numpy as np

from benchmarks.toyshop.toy_shapes.airplane_plans import PLANS, AirplanePlan
from benchmarks.toyshop.toy_shapes.parts import (
    Part,
    Station,
    ball,
    both,
    hull,
    join,
    limb,
    loft,
    moved,
    panel,
    rod,
    vary,
)


def airplane(number: int, generator: np.random.Generator) -> Part:
    """An airplane: fuselage, wings, tail, engines and gear."""
    plan = PLANS[number % len(PLANS)]
    radius, span = vary(generator, plan.radius), vary(generator, plan.span)
    sweep = plan.sweep + generator.uniform(-0.2, 0.2)
    parts = [_fuselage(plan, radius), _wing(plan, radius, span, sweep, plan.wing[1] * radius)]
    parts += [_TAILS[plan.tail](radius, vary(generator, 1.0))]
    parts += [_ENGINES[plan.engines](plan, radius, span, sweep)] if plan.engines in _ENGINES else []
    parts += [_EXTRAS[name](plan, radius, span, sweep) for name in plan.extras]
    return join([*parts, _gear(plan, radius)])


def _fuselage(plan: AirplanePlan, radius: float) -> Part:
    sharp = plan.engines == "inside"
    nose = (
        [(5.0, 0.04, -0.1), (4.2, 0.45, -0.08), (3.2, 0.8, 0.0)]
        if sharp
        else [(5.0, 0.25, -0.1), (4.6, 0.7, -0.06), (3.8, 0.95, 0.0)]
    )
    body = [
        (2.0, 1.0, 0.0),
        (-1.2, 1.0, 0.0),
        (-3.4, 0.72 if sharp else 0.6, 0.15),
        (-5.0, 0.55 if sharp else 0.15, 0.3),
    ]
    return loft(
        [
            Station(x, radius * (drop - size), radius * (drop + size), radius * size, 2.2)
            for x, size, drop in (*nose, *body)
        ]
    )


def _wing(plan: AirplanePlan, radius: float, span: float, sweep: float, height: float) -> Part:
    root, tip = plan.chord
    front = plan.wing[0] + root / 2
    return both(
        panel(
            ((front - root, front), (0.0, 0.0, height)),
            ((front - sweep - tip, front - sweep), (0.0, span, height + plan.rise)),
            0.26,
        )
    )


def _fin(x: float, y: float, low: float, high: float, chord: float) -> Part:
    return panel(((x, x + 1.5 * chord), (0.0, y, low)), ((x - 0.45, x - 0.45 + 0.8 * chord), (0.0, y, high)), 0.2)


def _tailplane(x: float, height: float, half: float, chord: float = 1.0) -> Part:
    return both(panel(((x, x + chord), (0.0, 0.0, height)), ((x - 0.35, x + 0.25), (0.0, half, height + 0.05)), 0.16))


def _low_tail(radius: float, size: float) -> Part:
    return join([_fin(-4.9, 0.0, 0.0, 1.9 * size, 1.1), _tailplane(-4.9, 0.3 * radius, 1.9 * size)])


def _tee_tail(radius: float, size: float) -> Part:
    return join([_fin(-4.9, 0.0, 0.0, 2.0 * size, 1.2), _tailplane(-5.3, 2.0 * size, 1.7 * size)])


def _twin_tail(radius: float, size: float) -> Part:
    fins = both(_fin(-4.9, 1.75 * size, -0.4, 1.2 * size, 0.9))
    return join([fins, _tailplane(-4.7, 0.35 * radius, 1.8 * size)])


def _twin_fins(radius: float, size: float) -> Part:
    fins = both(_fin(-4.4, 0.9 * radius, 0.0, 1.6 * size, 1.1))
    return join([fins, _tailplane(-5.0, 0.1, 1.9 * size, 1.3)])


def _delta_tail(radius: float, size: float) -> Part:
    return _fin(-4.7, 0.0, 0.2, 1.9 * size, 1.6)


def _propeller(x: float, y: float, z: float, reach: float) -> Part:
    blades = [
        hull(
            [
                (x + dx, y + s * w, z + s * r)
                for dx in (0.0, 0.07)
                for s, r, w in ((1, reach, 0.1), (1, 0.1, -0.1), (-1, reach, 0.1), (-1, 0.1, -0.1))
            ]
        ),
        hull(
            [
                (x + dx, y + s * r, z + s * w)
                for dx in (0.0, 0.07)
                for s, r, w in ((1, reach, 0.1), (1, 0.1, -0.1), (-1, reach, 0.1), (-1, 0.1, -0.1))
            ]
        ),
    ]
    return join([*blades, rod((x - 0.1, y, z), (x + 0.45, y, z), 0.2, 0.02)])


def _nose_propeller(plan: AirplanePlan, radius: float, span: float, sweep: float) -> Part:
    cowl = rod((3.6, 0.0, 0.0), (5.0, 0.0, 0.0), 1.02 * radius, 0.8 * radius)
    return join([cowl, _propeller(5.0, 0.0, 0.0, 1.35)])


def _on_wing(plan: AirplanePlan, span: float, sweep: float, share: float, radius: float) -> tuple[float, float, float]:
    """Leading edge of the wing at a share of the span."""
    x = plan.wing[0] + plan.chord[0] / 2 - sweep * share
    return x, span * share, plan.wing[1] * radius + plan.rise * share


def _pods(plan: AirplanePlan, radius: float, span: float, sweep: float) -> Part:
    shares = (0.36,) if plan.radius < 0.7 else (0.32, 0.62)
    pods = []
    for share in shares:
        x, y, z = _on_wing(plan, span, sweep, share, radius)
        pods += [rod((x - 0.9, y, z - 0.45), (x + 0.7, y, z - 0.45), 0.28, 0.4)]
        pods += [hull([(x - d, y + s, z - e) for d, e in ((0.7, 0.1), (-0.3, 0.3), (0.6, 0.4)) for s in (-0.06, 0.06)])]
    return both(*pods)


def _wing_propellers(plan: AirplanePlan, radius: float, span: float, sweep: float) -> Part:
    parts = []
    for share in (0.3, 0.62):
        x, y, z = _on_wing(plan, span, sweep, share, radius)
        parts += [rod((x - 1.0, y, z), (x + 0.7, y, z), 0.15, 0.32), _propeller(x + 0.7, y, z, 0.85)]
    return both(*parts)


def _tail_engines(plan: AirplanePlan, radius: float, span: float, sweep: float) -> Part:
    y, z = radius + 0.25, 0.35
    return both(rod((-4.0, y, z), (-2.3, y, z), 0.26, 0.38), limb((-3.1, 0.0, z), (-3.1, y, z), 0.12, 0.12))


def _inside_engines(plan: AirplanePlan, radius: float, span: float, sweep: float) -> Part:
    y = 0.7 * radius
    intake = loft(
        [
            Station(x, -0.5 * h, 0.5 * h, 0.5 * w, 6.0)
            for x, h, w in ((-4.6, 0.7, 0.6), (1.2, 0.8, 0.6), (2.0, 0.75, 0.5))
        ]
    )
    nozzle = rod((-5.4, 0.6 * y, 0.15), (-4.6, 0.6 * y, 0.15), 0.24, 0.34)
    return both(moved(intake, (0.0, y, 0.0)), nozzle)


def _struts(plan: AirplanePlan, radius: float, span: float, sweep: float) -> Part:
    x, y, z = _on_wing(plan, span, sweep, 0.5, radius)
    return both(limb((x - 0.6, 0.6 * radius, -0.7 * radius), (x - 0.6, y, z), 0.07, 0.06))


def _upper_wing(plan: AirplanePlan, radius: float, span: float, sweep: float) -> Part:
    """The second wing of a biplane, its struts and its cabane."""
    low, high = plan.wing[1] * radius, 1.55
    x = plan.wing[0]
    struts = [limb((x + dx, 0.72 * span, low), (x + dx + 0.3, 0.72 * span, high), 0.05, 0.05) for dx in (-0.4, 0.4)]
    cabane = limb((x + 0.4, 0.4 * radius, 0.7 * radius), (x + 0.5, 0.9 * radius, high), 0.05, 0.05)
    wing = _wing(plan, radius, 1.08 * span, sweep, high)
    return join([moved(wing, (0.3, 0.0, 0.0)), both(*struts, cabane)])


def _cockpit(plan: AirplanePlan, radius: float, span: float, sweep: float) -> Part:
    x = 1.4 if plan.engines == "prop" else 2.2
    top = (1.45 if plan.engines == "prop" else 1.15) * radius
    low = 0.5 * radius
    return hull(
        [
            (x + d, s * w * radius, z)
            for d, w, z in ((1.3, 0.75, low), (-1.4, 0.75, low), (0.6, 0.6, top), (-0.7, 0.6, top))
            for s in (-1, 1)
        ]
    )


def _bubble(plan: AirplanePlan, radius: float, span: float, sweep: float) -> Part:
    x = 1.6 if plan.radius < 0.55 else 0.4
    return ball((x, 0.0, 0.85 * radius), (1.0, 0.55 * radius, 0.6 * radius))


def _open_cockpit(plan: AirplanePlan, radius: float, span: float, sweep: float) -> Part:
    head = ball((-0.6, 0.0, radius + 0.25), 0.26)
    screen = hull(
        [(x, y, z) for x, z in ((-0.1, 0.7 * radius), (-0.25, 1.35 * radius)) for y in (-0.3, 0.3)]
        + [(0.2, 0.0, 0.8 * radius)]
    )
    return join([head, screen, limb((-0.9, 0.0, 0.8 * radius), (-2.2, 0.0, 0.7 * radius), 0.3, 0.15)])


def _windscreen(plan: AirplanePlan, radius: float, span: float, sweep: float) -> Part:
    """A step above the nose."""
    return loft(
        [
            Station(x, 0.3 * radius, top * radius, wide * radius, 3.0)
            for x, top, wide in ((4.3, 0.6, 0.4), (3.6, 1.05, 0.6), (2.4, 1.06, 0.6), (1.4, 0.8, 0.3))
        ]
    )


def _gear(plan: AirplanePlan, radius: float) -> Part:
    drop = -radius - (0.85 if plan.engines in ("prop", "wing-props", "pods") else 0.5)
    taildragger = plan.engines == "prop" and plan.wing[1] < 0
    main_x = plan.wing[0] + (0.6 if taildragger else -0.4)
    nose_x, y = (-4.3, 1.0) if taildragger else (3.6, max(0.9, radius + 0.2))
    wheels = [rod((main_x, y - 0.1, drop), (main_x, y + 0.12, drop), 0.3)]
    legs = [limb((main_x, 0.5 * radius, -0.5 * radius), (main_x, y, drop), 0.1, 0.08)]
    last = -radius * 0.2 - 0.45 if taildragger else drop
    third = [
        rod((nose_x, -0.1, last), (nose_x, 0.1, last), 0.25),
        limb((nose_x, 0.0, 0.0), (nose_x, 0.0, last), 0.09, 0.07),
    ]
    return join([both(*wheels, *legs), *third])


_TAILS = {"low": _low_tail, "tee": _tee_tail, "twin": _twin_tail, "twin-fin": _twin_fins, "none": _delta_tail}
_ENGINES = {
    "prop": _nose_propeller,
    "pods": _pods,
    "tail": _tail_engines,
    "inside": _inside_engines,
    "wing-props": _wing_propellers,
}
_EXTRAS = {
    "struts": _struts,
    "upper": _upper_wing,
    "cockpit": _cockpit,
    "bubble": _bubble,
    "open": _open_cockpit,
    "windscreen": _windscreen,
}
