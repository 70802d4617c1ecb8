"""Ten toy animals on four legs."""

from __future__ import annotations

import numpy as np

from benchmarks.toyshop.toy_shapes.animal_plans import PLANS, AnimalPlan
from benchmarks.toyshop.toy_shapes.parts import Part, Point, Station, ball, both, chain, join, limb, loft, rod, vary


def animal(number: int, generator: np.random.Generator) -> Part:
    """An animal: trunk, legs in some stride, neck, head, tail and what else its plan names."""
    plan = PLANS[number % len(PLANS)]
    length, leg = vary(generator, plan.trunk[0]), vary(generator, plan.legs[0])
    back = leg + plan.trunk[2]
    shoulder = (0.42 * length, 0.0, back + 0.25 * plan.trunk[1])
    head = _along(shoulder, vary(generator, plan.neck[0]), plan.neck[1] + generator.uniform(-8, 8))
    parts = [_trunk(plan, length, back), _legs(plan, length, leg, generator), _tail(plan, length, back)]
    parts += [chain((shoulder, head), (max(plan.neck[2] * 1.5, 0.5 * plan.trunk[1]), plan.neck[2])), _head(plan, head)]
    parts += [_EXTRAS[name](plan, length, back, head) for name in plan.extras]
    return join(parts)


def _along(start: Point, length: float, rise: float, bearing: float = 0.0) -> Point:
    """The point ``length`` away, at a rise and a bearing (0 is ahead, 180 back) in degrees."""
    up, aside = np.radians(rise), np.radians(bearing)
    step = length * np.array([np.cos(up) * np.cos(aside), np.cos(up) * np.sin(aside), np.sin(up)])
    return (start[0] + float(step[0]), start[1] + float(step[1]), start[2] + float(step[2]))


def _trunk(plan: AnimalPlan, length: float, back: float) -> Part:
    _, shoulder, belly, hip, wide = plan.trunk
    rows = (
        (-0.52, 0.35, 0.40),
        (-0.46, 0.80, 0.75),
        (-0.34, 1.0, 0.95),
        (0.0, 1.0, 1.0),
        (0.34, 1.0, 0.92),
        (0.46, 0.8, 0.72),
        (0.53, 0.3, 0.35),
    )
    heights = (hip, hip, hip, belly, shoulder, shoulder, shoulder)
    return loft(
        [
            Station(x * length, back - tall * half, back + tall * half * 0.95, wide * broad, 2.3)
            for (x, tall, broad), half in zip(rows, heights, strict=True)
        ]
    )


def _legs(plan: AnimalPlan, length: float, leg: float, generator: np.random.Generator) -> Part:
    """Thigh, shin and foot; each leg in its own stride."""
    thick, y = plan.legs[1], 0.62 * plan.trunk[4]
    parts = []
    for x, half, bend in ((0.36, plan.trunk[1], 0.06), (-0.37, plan.trunk[3], -0.14)):
        for side in (-1, 1):
            stride = float(generator.uniform(-0.16, 0.16)) * leg
            hip = (x * length, side * y, leg + 0.6 * half)
            knee = (x * length + bend * leg + 0.5 * stride, side * y, 0.5 * leg)
            foot = (x * length + stride, side * y, 0.8 * thick)
            parts.append(chain((hip, knee, foot), (max(2.0 * thick, 0.5 * half), 1.05 * thick, 0.8 * thick)))
            parts.append(rod((foot[0] + 0.04, foot[1], 0.0), (foot[0], foot[1], 1.4 * thick), 1.2 * thick, 0.8 * thick))
    return join(parts)


def _tail(plan: AnimalPlan, length: float, back: float) -> Part:
    reach, droop, thick = plan.tail
    root = (-0.48 * length, 0.0, back + 0.45 * plan.trunk[3])
    middle = _along(root, 0.5 * reach, -0.6 * droop, 180)
    return chain((root, middle, _along(middle, 0.5 * reach, -droop, 180)), (1.3 * thick, thick, 0.6 * thick))


def _head(plan: AnimalPlan, at: Point) -> Part:
    half, tall = plan.head
    skull = ball((at[0] + 0.4 * half, 0.0, at[2]), (half, 0.8 * tall, tall))
    mouth = _along((at[0] + 0.6 * half, 0.0, at[2] - 0.15 * tall), plan.snout[0] + 0.2 * half, -22)
    snout = limb((at[0] + 0.5 * half, 0.0, at[2] - 0.1 * tall), mouth, 0.75 * tall, plan.snout[1])
    eye = ball((at[0] + 0.85 * half, 0.62 * tall, at[2] + 0.35 * tall), 0.16 * tall)
    return join([skull, snout, both(eye), *_ears(plan, at)])


def _ears(plan: AnimalPlan, at: Point) -> list[Part]:
    if not plan.ears:
        return []
    root = (at[0], 0.55 * plan.head[1], at[2] + 0.6 * plan.head[1])
    tip = _along(root, abs(plan.ears), 60 if plan.ears > 0 else -25, 100)
    return [both(limb(root, tip, 0.09, 0.03))]


def _mane(plan: AnimalPlan, length: float, back: float, head: Point) -> Part:
    root = (0.30 * length, 0.0, back + 0.9 * plan.trunk[1])
    return limb(root, (head[0] - 0.2, 0.0, head[2] + 0.2), 0.08, 0.1)


def _knobs(plan: AnimalPlan, length: float, back: float, head: Point) -> Part:
    return both(limb((head[0], 0.07, head[2] + 0.1), (head[0] - 0.04, 0.1, head[2] + 0.34), 0.03, 0.05))


def _elephant_trunk(plan: AnimalPlan, length: float, back: float, head: Point) -> Part:
    front = head[0] + 0.35
    points = [
        (front, 0.0, head[2] - 0.1),
        (front + 0.38, 0.0, head[2] - 0.5),
        (front + 0.40, 0.0, 0.55),
        (front + 0.62, 0.0, 0.3),
    ]
    tusk = chain(
        [(front + 0.1, 0.2, head[2] - 0.35), (front + 0.45, 0.25, head[2] - 0.6), (front + 0.75, 0.25, head[2] - 0.5)],
        (0.07, 0.06, 0.02),
    )
    return join([chain(points, (0.26, 0.18, 0.12, 0.09)), both(tusk)])


def _flaps(plan: AnimalPlan, length: float, back: float, head: Point) -> Part:
    return both(ball((head[0] - 0.12, 0.62, head[2]), (0.10, 0.40, 0.50)))


def _horns(plan: AnimalPlan, length: float, back: float, head: Point) -> Part:
    points = [(head[0], 0.12, head[2] + 0.18), (head[0], 0.36, head[2] + 0.26), (head[0] + 0.1, 0.42, head[2] + 0.5)]
    return both(chain(points, (0.07, 0.06, 0.02)))


def _udder(plan: AnimalPlan, length: float, back: float, head: Point) -> Part:
    return ball((-0.24 * length, 0.0, back - 0.95 * plan.trunk[2]), (0.22, 0.2, 0.18))


def _plates(plan: AnimalPlan, length: float, back: float, head: Point) -> Part:
    """A crest of cones along the back and the tail."""
    places = np.linspace(-0.75, 0.42, 8) * length
    high = [back + plan.trunk[2] * (0.9 if x > -0.45 * length else 0.45) for x in places]
    return join(
        rod((x, 0.0, z - 0.1), (x - 0.06, 0.0, z + 0.28), 0.14, 0.01)
        for x, z in zip(places.tolist(), high, strict=True)
    )


def _nose_horn(plan: AnimalPlan, length: float, back: float, head: Point) -> Part:
    x, z = head[0] + plan.head[0] + plan.snout[0], head[2] - 0.05
    return join(
        [
            rod((x, 0.0, z), (x + 0.2, 0.0, z + 0.52), 0.13, 0.01),
            rod((x - 0.3, 0.0, z + 0.1), (x - 0.24, 0.0, z + 0.38), 0.1, 0.01),
        ]
    )


def _antlers(plan: AnimalPlan, length: float, back: float, head: Point) -> Part:
    beam = [
        (head[0], 0.08, head[2] + 0.15),
        (head[0] - 0.15, 0.32, head[2] + 0.55),
        (head[0] + 0.05, 0.5, head[2] + 0.95),
    ]
    tines = [limb(beam[1], (beam[1][0] + 0.3, beam[1][1] + 0.02, beam[1][2] + 0.22), 0.04, 0.02)]
    tines += [limb(beam[1], (beam[1][0] - 0.2, beam[1][1] + 0.1, beam[1][2] + 0.3), 0.04, 0.02)]
    return both(chain(beam, (0.05, 0.045, 0.02)), *tines)


def _hump(plan: AnimalPlan, length: float, back: float, head: Point) -> Part:
    return join(ball((x * length, 0.0, back + 0.9 * plan.trunk[2]), (0.32, 0.24, 0.42)) for x in (-0.2, 0.17))


_EXTRAS = {
    "mane": _mane,
    "knobs": _knobs,
    "trunk": _elephant_trunk,
    "flaps": _flaps,
    "horns": _horns,
    "udder": _udder,
    "plates": _plates,
    "nose-horn": _nose_horn,
    "antlers": _antlers,
    "hump": _hump,
}
