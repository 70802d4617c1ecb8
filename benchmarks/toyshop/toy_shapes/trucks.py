"""Ten toy trucks; the pickups and the small van look like cars from some views."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.toyshop.toy_shapes.parts import (
    Part,
    Span,
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
from benchmarks.toyshop.toy_shapes.truck_plans import PLANS, TruckPlan


def truck(number: int, generator: np.random.Generator) -> Part:
    """A truck: frame, cab, wheels and its load."""
    plan = PLANS[number % len(PLANS)]
    length, width = vary(generator, plan.length), vary(generator, plan.half_width)
    height, end = vary(generator, plan.cab[1], 0.05), length / 2
    back = end - plan.bonnet - plan.cab[0]
    parts = [_frame(plan, length, width), _wheels(plan, length, width)]
    parts += [_cab(plan, end, width, height), _LOADS[plan.load]((-end, back - 0.12), plan.frame, width, generator)]
    parts += [_bonnet(plan, end, width)] if plan.bonnet else [_grille(end, width, plan.frame)]
    parts += [_EXTRAS[name](back, width, height) for name in plan.extras]
    return join(parts)


def _frame(plan: TruckPlan, length: float, width: float) -> Part:
    end = length / 2
    beams = both(block((-end, end - 0.1), (0.3 * width, 0.5 * width), (plan.frame - 0.25, plan.frame)))
    bumper = block((end - 0.06, end + 0.1), (-0.96 * width, 0.96 * width), (0.35, 0.62))
    tank = rod((0.1, 0.75 * width, plan.frame - 0.25), (-0.6, 0.75 * width, plan.frame - 0.25), 0.2)
    return join([beams, bumper, both(tank)])


def _wheels(plan: TruckPlan, length: float, width: float) -> Part:
    return both(*(wheel((x - 0.5) * length, width, plan.wheel, 0.34) for x in plan.axles))


def _cab(plan: TruckPlan, end: float, width: float, height: float) -> Part:
    """Doors below, glass set back above, roof."""
    front, back = end - plan.bonnet, end - plan.bonnet - plan.cab[0]
    low, belt, lean = plan.frame - 0.2, 0.45 * plan.frame + 0.55 * height, 0.12 if not plan.bonnet else 0.35
    doors = frustum(((back, front), width), ((back, front - 0.03), 0.98 * width), (low, belt))
    glass = frustum(
        ((back + 0.08, front - 0.1), 0.91 * width), ((back + 0.08, front - lean - 0.06), 0.82 * width), (belt, height)
    )
    roof = frustum(
        ((back, front - lean), 0.88 * width), ((back + 0.1, front - lean - 0.15), 0.78 * width), (height, height + 0.1)
    )
    posts = [
        limb((foot, 0.94 * width, belt), (head, 0.84 * width, height), 0.06, 0.06)
        for foot, head in ((back + 0.06, back + 0.06), (front - 0.06, front - lean - 0.04))
    ]
    mirror = block((front - 0.1, front), (width + 0.08, width + 0.2), (belt, belt + 0.35))
    return join([doors, glass, roof, both(*posts, mirror)])


def _bonnet(plan: TruckPlan, end: float, width: float) -> Part:
    back, top = end - plan.bonnet - 0.1, plan.frame + 0.3 * plan.cab[1]
    stations = [
        Station(back, plan.frame - 0.2, top, 0.82 * width, 6.0),
        Station(end - 0.2, plan.frame - 0.2, 0.94 * top, 0.74 * width, 6.0),
        Station(end, plan.frame - 0.1, 0.86 * top, 0.66 * width, 6.0),
    ]
    arch = ball(((plan.axles[-1] - 0.5) * 2 * end, 0.88 * width, plan.wheel + 0.1), (0.7, 0.2, plan.wheel))
    lamp = ball((end - 0.02, 0.75 * width, plan.frame + 0.1), (0.1, 0.13, 0.13))
    return join([loft(stations), both(arch, lamp)])


def _grille(end: float, width: float, frame: float) -> Part:
    bars = [block((end - 0.02, end + 0.05), (-0.5 * width, 0.5 * width), (z, z + 0.07)) for z in (0.75, 0.9, 1.05)]
    return join([*bars, both(ball((end, 0.72 * width, frame), (0.07, 0.14, 0.14)))])


def _box(x: Span, floor: float, width: float, generator: np.random.Generator) -> Part:
    top = vary(generator, 3.1)
    ribs = [block((rib, rib + 0.07), (-width - 0.09, width + 0.09), (floor, top)) for rib in np.linspace(*x, 6)[1:-1]]
    return join([block(x, (-width - 0.05, width + 0.05), (floor, top + 0.03)), *ribs])


def _bed(x: Span, floor: float, width: float, generator: np.random.Generator) -> Part:
    top, low = vary(generator, 1.1), floor - 0.15
    arch = ball((x[0] + 0.3 * (x[1] - x[0]) + 0.3, 0.93 * width, 0.45), (0.55, 0.14, 0.42))
    side = block((x[0], x[1] + 0.12), (0.86 * width, width), (low, top))
    floor_part = block((x[0], x[1] + 0.12), (-0.9 * width, 0.9 * width), (low, floor + 0.05))
    return join([floor_part, both(side, arch), block((x[0], x[0] + 0.08), (-width, width), (low, top))])


def _canopy(x: Span, floor: float, width: float, generator: np.random.Generator) -> Part:
    bed = _bed(x, floor, width, generator)
    top = vary(generator, 1.85, 0.04)
    hood = frustum(((x[0] + 0.03, x[1] + 0.1), 0.93 * width), ((x[0] + 0.2, x[1]), 0.76 * width), (1.0, top))
    return join([bed, hood])


def _tank(x: Span, floor: float, width: float, generator: np.random.Generator) -> Part:
    radius = vary(generator, 0.82)
    low, high = floor + 0.05, floor + 0.05 + 2 * radius
    ends = [
        Station(x[0], low + 0.25, high - 0.25, 0.6 * radius, 2.3),
        Station(x[1], low + 0.25, high - 0.25, 0.6 * radius, 2.3),
    ]
    middle = [Station(place, low, high, 1.25 * radius, 2.3) for place in (x[0] + 0.15, x[1] - 0.15)]
    domes = [rod((place, 0, high - 0.1), (place, 0, high + 0.16), 0.26) for place in np.linspace(*x, 5)[1:-1]]
    walk = both(limb((x[0] + 0.3, 0.5, high - 0.05), (x[1] - 0.3, 0.5, high - 0.05), 0.05, 0.05))
    return join([loft([*ends, *middle]), *domes, walk])


def _tipper(x: Span, floor: float, width: float, generator: np.random.Generator) -> Part:
    """A skip with sloping sides, tipped up at its front."""
    angle = np.radians(generator.uniform(8, 28))
    length, wall, high = x[1] - x[0], 0.1, 1.0
    floor_part = block((0, length), (-width, width), (0, wall))
    side = frustum(((0.0, length), wall), ((-0.25, length + 0.1), wall), (0, high))
    sides = both(moved(side, (0.0, width, 0.0)))
    front = block((length - wall, length), (-width, width), (0, high + 0.2))
    skip = join([floor_part, sides, front, ball((0.5 * length, 0, 0.75), (0.42 * length, 0.85 * width, 0.5))])
    turn = np.array([[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]])
    return Part(skip.vertices @ turn.T + (x[0], 0.0, floor + 0.08), skip.faces)


def _stakes(x: Span, floor: float, width: float, generator: np.random.Generator) -> Part:
    top = floor + vary(generator, 1.1)
    deck = block(x, (-width, width), (floor, floor + 0.15))
    posts = both(*(block((p - 0.05, p + 0.05), (width - 0.1, width), (floor, top)) for p in np.linspace(*x, 5)))
    rails = both(
        *(block(x, (width - 0.06, width - 0.01), (z, z + 0.14)) for z in np.linspace(floor + 0.4, top - 0.15, 3))
    )
    logs = [
        rod((x[0] - 0.2, y, z), (x[1] - 0.1, y, z), 0.27)
        for y, z in ((-0.56, 0), (0, 0), (0.56, 0), (-0.28, 0.47), (0.28, 0.47))
    ]
    return join([deck, posts, rails, moved(join(logs), (0.0, 0.0, floor + 0.42))])


def _mixer(x: Span, floor: float, width: float, generator: np.random.Generator) -> Part:
    radius, middle = vary(generator, 1.1), floor + 1.2
    drum = _drum(x, middle, radius)
    chute = limb((x[0] + 0.25, 0, middle + 0.5), (x[0] - 0.25, 0, floor - 0.1), 0.24, 0.14)
    return join(
        [
            drum,
            chute,
            block((x[1] - 0.5, x[1]), (-0.6, 0.6), (floor, middle)),
            block(x, (-0.7, 0.7), (floor - 0.1, floor + 0.15)),
        ]
    )


def _drum(x: Span, middle: float, radius: float) -> Part:
    """The drum of a mixer: two cones about a slanting axis, its mouth at the tail."""
    places = np.linspace(x[1] - 0.1, x[0] + 0.1, 4)
    heights = middle + np.array([-0.15, 0.0, 0.15, 0.55])
    radii = np.array([0.55, 1.0, 0.95, 0.42]) * radius
    rings = zip(places, heights, radii, strict=True)
    points = [(float(place), 0.0, float(height)) for place, height, _ in rings]
    return join(rod(points[i], points[i + 1], float(radii[i]), float(radii[i + 1])) for i in range(3))


def _ladder(x: Span, floor: float, width: float, generator: np.random.Generator) -> Part:
    top = vary(generator, 2.0)
    body = block(x, (-width, width), (floor - 0.2, top))
    shutters = both(
        *(block((p, p + 0.7), (width, width + 0.05), (floor, top - 0.2)) for p in np.linspace(*x, 5)[:-1] + 0.15)
    )
    foot, head = (x[0] - 0.2, 0.32, top + 0.2), (x[1] + 1.6, 0.32, top + vary(generator, 0.9, 0.3))
    spars = both(limb(foot, head, 0.07, 0.06))
    steps = [np.add(foot, np.subtract(head, foot) * t) for t in np.linspace(0.05, 0.95, 12)]
    rungs = [block((s[0] - 0.04, s[0] + 0.04), (-0.32, 0.32), (s[2] - 0.04, s[2] + 0.04)) for s in steps]
    return join([body, shutters, spars, *rungs, rod((x[0] + 0.6, 0, top), (x[0] + 0.6, 0, top + 0.3), 0.45)])


def _trailer(x: Span, floor: float, width: float, generator: np.random.Generator) -> Part:
    top = vary(generator, 3.2)
    body = loft([Station(place, 1.05, top, width + 0.05, 12.0) for place in (x[0], x[1] - 0.6)])
    legs = both(block((x[0] + 2.6, x[0] + 2.75), (0.6, 0.75), (0.2, 1.1)))
    return join([body, legs, rod((x[1] - 0.8, 0, floor), (x[1] - 0.8, 0, 1.1), 0.5)])


def _crane(x: Span, floor: float, width: float, generator: np.random.Generator) -> Part:
    deck = block(x, (-width, width), (floor, floor + 0.2))
    foot = (x[1] - 0.6, 0.0, floor + 1.1)
    head = (x[0] - 0.6, 0.0, floor + vary(generator, 2.4, 0.15))
    jib = join([rod(foot, head, 0.22, 0.12), limb(head, (head[0], 0.0, head[2] - 0.9), 0.05, 0.05)])
    hook = ball((head[0], 0.0, head[2] - 1.0), 0.16)
    side = both(block((x[0], x[1]), (width - 0.08, width), (floor, floor + 0.5)))
    return join([deck, side, rod((foot[0], 0.0, floor), foot, 0.5, 0.35), jib, hook])


def _beacons(back: float, width: float, height: float) -> Part:
    return both(ball((back + 0.7, 0.45 * width, height + 0.15), (0.16, 0.2, 0.14)))


def _stacks(back: float, width: float, height: float) -> Part:
    return both(rod((back - 0.05, 0.85 * width, 0.8), (back - 0.05, 0.85 * width, height + 0.7), 0.1))


_LOADS: dict[str, Callable[[Span, float, float, np.random.Generator], Part]] = {
    "box": _box,
    "bed": _bed,
    "tank": _tank,
    "tipper": _tipper,
    "stakes": _stakes,
    "mixer": _mixer,
    "ladder": _ladder,
    "trailer": _trailer,
    "canopy": _canopy,
    "crane": _crane,
}
_EXTRAS = {"beacons": _beacons, "stacks": _stacks}
