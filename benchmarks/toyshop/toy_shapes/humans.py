"""Ten toy humans: builds, poses, hats, clothes and tools."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.toyshop.toy_shapes.parts import Part, Point, ball, block, both, chain, hull, join, limb, rod, vary


@dataclass(frozen=True, slots=True)
class HumanPlan:
    """A figure 1.75 tall.

    Attributes:
        build: Thickness of trunk and limbs; 1 is average.
        left: Angles of the left arm: out to the side, forward, bend of the elbow; degrees from hanging.
        right: The same of the right arm.
        stride: How far the left leg is ahead of the right, degrees.
        extras: Names in `_EXTRAS`.
    """

    build: float
    left: tuple[float, float, float]
    right: tuple[float, float, float]
    stride: float
    extras: tuple[str, ...] = ()


PLANS = (
    HumanPlan(1.0, (12, 0, 5), (12, 0, 5), 0, ("cap",)),
    HumanPlan(0.9, (18, 25, 20), (18, -20, 15), 36, ("hair",)),
    HumanPlan(1.25, (40, 10, 80), (40, 10, 80), 12, ("helmet", "pack")),
    HumanPlan(0.85, (14, 5, 15), (14, 5, 15), 6, ("skirt", "hair")),
    HumanPlan(1.0, (160, 10, 10), (155, 10, 15), 8, ()),
    HumanPlan(1.1, (15, 45, 60), (15, 60, 45), 18, ("helmet", "rifle")),
    HumanPlan(0.9, (88, 0, 5), (88, 0, 5), 0, ("brim", "skirt")),
    HumanPlan(1.4, (20, 15, 30), (20, 75, 10), 14, ("top-hat", "belly")),
    HumanPlan(0.95, (10, 0, 5), (12, 40, 70), 10, ("robe", "staff", "hood")),
    HumanPlan(1.15, (60, -10, 90), (140, 10, 30), 48, ("cape",)),
)

_HIP, _ARM = 0.88, 0.30


def human(number: int, generator: np.random.Generator) -> Part:
    """A human on a round base: trunk, head, limbs in a pose, and what else the plan names."""
    plan = PLANS[number % len(PLANS)]
    build = vary(generator, plan.build)
    hands = [_hand(plan, side, build, generator) for side in (1, -1)]
    parts = [_trunk(build), _legs(plan, build, generator)]
    parts += [chain(points, (0.075 * build, 0.055 * build, 0.045 * build)) for points in hands]
    parts += [ball(points[-1], 0.062 * build**0.5) for points in hands]
    parts += [_EXTRAS[name](build, hands[1][-1]) for name in plan.extras]
    base = rod((0.0, 0.0, 0.0), (0.0, 0.0, 0.05), vary(generator, 0.27, 0.15))
    return join([*parts, base])


def _trunk(build: float) -> Part:
    chest = ball((0.0, 0.0, 1.24), (0.125 * build, 0.185 * build, 0.24))
    waist = limb((0.0, 0.0, 1.15), (0.0, 0.0, 0.94), 0.125 * build, 0.135 * build)
    shoulders = limb((0.0, 0.17 * build, 1.38), (0.0, -0.17 * build, 1.38), 0.08 * build, 0.08 * build)
    neck = rod((0.0, 0.0, 1.38), (0.01, 0.0, 1.54), 0.055 * build)
    head = ball((0.015, 0.0, 1.63), (0.105, 0.085, 0.13))
    nose = ball((0.12, 0.0, 1.62), (0.03, 0.018, 0.025))
    ears = both(ball((0.0, 0.087, 1.62), (0.025, 0.015, 0.035)))
    return join([chest, waist, shoulders, neck, head, nose, ears])


def _legs(plan: HumanPlan, build: float, generator: np.random.Generator) -> Part:
    parts = []
    for side in (1, -1):
        swing = side * np.radians(plan.stride / 2) + generator.uniform(-0.04, 0.04)
        bend = 0.35 * max(-swing, 0.0)
        hip = (0.0, side * 0.1 * build, _HIP + 0.02)
        knee = (0.42 * np.sin(swing), side * 0.11 * build, hip[2] - 0.42 * np.cos(swing))
        foot = (knee[0] + 0.38 * np.sin(swing - bend), side * 0.12 * build, 0.09)
        parts.append(chain((hip, knee, foot), (0.115 * build, 0.075 * build, 0.055 * build)))
        parts.append(limb((foot[0] - 0.03, foot[1], 0.085), (foot[0] + 0.15, foot[1] * 1.15, 0.075), 0.055, 0.04))
    return join(parts)


def _hand(plan: HumanPlan, side: int, build: float, generator: np.random.Generator) -> list[Point]:
    """Shoulder, elbow and hand of the left (1) or right (-1) arm."""
    out, forward, bend = (angle + generator.uniform(-7, 7) for angle in (plan.left if side > 0 else plan.right))
    shoulder = (0.0, side * 0.2 * build, 1.38)
    elbow = _reach(shoulder, side, out, forward)
    return [shoulder, elbow, _reach(elbow, side, out, forward + bend)]


def _reach(start: Point, side: int, out: float, forward: float) -> Point:
    spread, ahead = np.radians(out), np.radians(forward)
    hang = np.cos(spread) * _ARM
    x, y, z = hang * np.sin(ahead), side * np.sin(spread) * _ARM, -hang * np.cos(ahead)
    if out > 120:
        x = abs(x)
    return (start[0] + float(x), start[1] + float(y), start[2] + float(z))


def _cap(build: float, hand: Point) -> Part:
    return join([ball((0.005, 0.0, 1.70), (0.115, 0.1, 0.075)), block((0.08, 0.22), (-0.075, 0.075), (1.68, 1.70))])


def _hair(build: float, hand: Point) -> Part:
    return join(
        [ball((-0.03, 0.0, 1.67), (0.11, 0.105, 0.12)), limb((-0.1, 0.0, 1.62), (-0.13, 0.0, 1.38), 0.07, 0.05)]
    )


def _helmet(build: float, hand: Point) -> Part:
    return join([ball((0.0, 0.0, 1.68), (0.135, 0.125, 0.11)), rod((0.0, 0.0, 1.645), (0.0, 0.0, 1.665), 0.155)])


def _brim(build: float, hand: Point) -> Part:
    return join([rod((0.0, 0.0, 1.70), (0.0, 0.0, 1.725), 0.25), rod((0.0, 0.0, 1.71), (0.0, 0.0, 1.83), 0.11, 0.085)])


def _top_hat(build: float, hand: Point) -> Part:
    return join([rod((0.0, 0.0, 1.71), (0.0, 0.0, 1.735), 0.18), rod((0.0, 0.0, 1.71), (0.0, 0.0, 1.97), 0.1, 0.115)])


def _hood(build: float, hand: Point) -> Part:
    return join(
        [
            limb((-0.04, 0.0, 1.65), (-0.06, 0.0, 1.45), 0.135, 0.15),
            rod((-0.05, 0.0, 1.72), (-0.14, 0.0, 1.92), 0.1, 0.01),
        ]
    )


def _pack(build: float, hand: Point) -> Part:
    return join([block((-0.36, -0.1), (-0.18, 0.18), (1.02, 1.46)), rod((-0.23, -0.24, 1.5), (-0.23, 0.24, 1.5), 0.07)])


def _skirt(build: float, hand: Point) -> Part:
    return rod((0.0, 0.0, 0.42), (0.0, 0.0, 1.06), 0.33 * build, 0.12 * build)


def _robe(build: float, hand: Point) -> Part:
    return join(
        [
            rod((0.0, 0.0, 0.05), (0.0, 0.0, 0.8), 0.3 * build, 0.22 * build),
            rod((0.0, 0.0, 0.8), (0.0, 0.0, 1.4), 0.22 * build, 0.15 * build),
        ]
    )


def _belly(build: float, hand: Point) -> Part:
    return ball((0.07, 0.0, 1.06), (0.18 * build, 0.18 * build, 0.2))


def _rifle(build: float, hand: Point) -> Part:
    x, y, z = hand
    barrel = rod((x - 0.15, y, z - 0.02), (x + 0.6, y + 0.2, z + 0.12), 0.024)
    return join([barrel, limb((x - 0.32, y - 0.06, z - 0.09), (x + 0.1, y + 0.06, z + 0.02), 0.05, 0.03)])


def _staff(build: float, hand: Point) -> Part:
    x, y, _ = hand
    return join([rod((x, y, 0.02), (x, y, 1.8), 0.025), ball((x, y, 1.83), 0.06)])


def _cape(build: float, hand: Point) -> Part:
    top = [(x, y, 1.44) for x in (-0.1, -0.14) for y in (-0.2, 0.2)]
    return hull(top + [(x, y, 0.55) for x in (-0.34, -0.38) for y in (-0.34, 0.34)])


_EXTRAS = {
    "cap": _cap,
    "hair": _hair,
    "helmet": _helmet,
    "brim": _brim,
    "top-hat": _top_hat,
    "hood": _hood,
    "pack": _pack,
    "skirt": _skirt,
    "robe": _robe,
    "belly": _belly,
    "rifle": _rifle,
    "staff": _staff,
    "cape": _cape,
}
