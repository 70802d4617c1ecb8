"""Furniture: what stands in rooms, from random proportions."""

from __future__ import annotations

import numpy as np
from trimesh import Trimesh

from benchmarks.toyshop.families.parts import (
    around,
    at_corners,
    ball,
    both_sides,
    box,
    join,
    lathe,
    move,
    ring,
    rod,
    turn,
)

Generator = np.random.Generator


def _legs(rng: Generator, width: float, depth: float, height: float) -> Trimesh:
    """Four legs, round or square, upright or splayed."""
    thick, splay = rng.uniform([0.15, -0.05], [0.35, 0.5])
    if rng.random() < 0.5:
        return at_corners(rod((splay, splay, 0), (0, 0, height), 0.7 * thick, thick), width, depth)
    return at_corners(box((1.6 * thick, 1.6 * thick, height)), width, depth)


def _chair(rng: Generator) -> Trimesh:
    w, d, h, back, slab = rng.uniform([3, 3, 3, 3, 0.3], [4.5, 4.5, 5, 6, 0.7])
    seat = box((w + 0.5, d + 0.5, slab), (0, 0, h))
    if rng.random() < 0.5:
        rest = box((0.4, w, back), (-d / 2, 0, h))
    else:
        bars = [rod((-d / 2, y, h), (-d / 2 - 0.4, y, h + back), 0.15) for y in np.linspace(-w / 2, w / 2, 5)]
        rest = join([*bars, box((0.5, w + 0.4, 0.8), (-d / 2 - 0.4, 0, h + back - 0.6))])
    return join([_legs(rng, d, w, h), turn(seat, 90), rest])


def _stool(rng: Generator) -> Trimesh:
    r, h, slab = rng.uniform([1.5, 2, 0.3], [3, 6, 1])
    seat = lathe([(r, h), (r * 1.05, h + slab / 2), (r * 0.95, h + slab)])
    leg = rod((r * 1.2, 0, 0), (r * 0.7, 0, h), 0.25)
    return join([seat, around(leg, int(rng.integers(3, 5))), ring(r * 0.95, 0.15, (0, 0, h * 0.45))])


def _table(rng: Generator) -> Trimesh:
    w, d, h, slab = rng.uniform([6, 3.5, 3, 0.3], [9, 6, 5.5, 0.8])
    return join([_legs(rng, w * 0.85, d * 0.85, h), box((w, d, slab), (0, 0, h))])


def _round_table(rng: Generator) -> Trimesh:
    r, h, foot = rng.uniform([3, 3, 1.2], [5, 6, 2.5])
    return lathe([(foot, 0), (foot, 0.3), (0.4, 0.8), (0.4, h), (r, h + 0.1), (r, h + 0.6)])


def _bed(rng: Generator) -> Trimesh:
    w, d, h, head, foot = rng.uniform([7, 4, 1, 2, 0.5], [10, 7, 2, 4.5, 2])
    mattress = box((w * 0.95, d * 0.93, 1.2), (0, 0, h))
    boards = [box((0.4, d, h + head), (-w / 2, 0, 0)), box((0.4, d, h + foot), (w / 2, 0, 0))]
    pillow = ball((1, d * 0.3, 0.5), (-w / 2 + 1.4, 0, h + 1.3))
    return join([mattress, box((w, d, 0.6), (0, 0, h * 0.5)), pillow, *boards])


def _sofa(rng: Generator) -> Trimesh:
    w, d, h, back, arm = rng.uniform([5, 3, 1.2, 1.5, 0.6], [10, 4.5, 2.2, 3.5, 1.3])
    seat = box((d, w, h))
    rest = box((0.35 * d, w, h + back), (-d / 2, 0, 0))
    rail = box((d, arm, h + 0.4 * back), (0, w / 2, 0))
    roll = rod((-d / 2, w / 2, h + 0.4 * back), (d / 2, w / 2, h + 0.4 * back), 0.6 * arm)
    cushion = box((d * 0.7, w * 0.46, 0.5), (0.1 * d, w * 0.24, h))
    return join([seat, rest, both_sides(join([rail, roll, cushion]))])


def _shelf(rng: Generator) -> Trimesh:
    w, d, h = rng.uniform([3, 1.5, 5], [7, 3, 10])
    boards = [box((d, w, 0.25), (0, 0, z)) for z in np.linspace(0, h - 0.25, int(rng.integers(3, 6)))]
    columns = [box((d, 0.25, h), (0, y, 0)) for y in np.linspace(-w / 2, w / 2, int(rng.integers(2, 4)))]
    back = [box((0.15, w, h), (-d / 2, 0, 0))] if rng.random() < 0.6 else []
    return join([*boards, *columns, *back])


def _wardrobe(rng: Generator) -> Trimesh:
    w, d, h, gap = rng.uniform([4, 2, 6, 0.1], [7, 3.5, 9, 0.3])
    doors = box((0.3, w / 2 - gap, h * 0.85), (d / 2, w / 4, h * 0.1))
    knob = ball(0.25, (d / 2 + 0.4, 0.3, h * 0.5))
    top = box((d + 0.6, w + 0.6, 0.4), (0, 0, h))
    return join([box((d, w, h)), both_sides(join([doors, knob])), top, _legs(rng, d * 0.8, w * 0.8, 0.6)])


def _desk(rng: Generator) -> Trimesh:
    w, d, h, chest = rng.uniform([7, 3.5, 3.5, 1.6], [10, 5, 5, 2.6])
    drawers = [box((0.3, chest * 0.85, h * 0.25), (d / 2, w / 2 - chest / 2, z * h)) for z in (0.08, 0.38, 0.68)]
    pedestal = join([box((d, chest, h), (0, w / 2 - chest / 2, 0)), *drawers])
    other = both_sides(pedestal) if rng.random() < 0.5 else join([pedestal, box((d, 0.4, h), (0, -w / 2 + 0.2, 0))])
    return join([other, box((d + 0.4, w + 0.4, 0.4), (0, 0, h))])


def _floor_lamp(rng: Generator) -> Trimesh:
    h, foot, low, high, tall = rng.uniform([5, 1, 1.2, 0.4, 1.5], [9, 2, 2.6, 1.6, 3])
    stand = lathe([(foot, 0), (foot, 0.3), (0.2, 0.6), (0.2, h)])
    return join(
        [stand, lathe([(low, h - 0.5), (high, h - 0.5 + tall), (0.9 * high, h - 0.5 + tall), (0.9 * low, h - 0.5)])]
    )


def _desk_lamp(rng: Generator) -> Trimesh:
    a, b, bend, foot = rng.uniform([3, 2, 0.8, 1.2], [5, 4, 2, 2])
    elbow, head = np.array([-bend, 0, a]), np.array([-bend + b, 0, a + 0.3 * b])
    shade = turn(lathe([(0.5, 0), (0.6, 0.4), (1.5, 1.8), (1.3, 1.8), (0.3, 0.5)]), float(rng.uniform(130, 170)), "y")
    arms = [rod((0, 0, 0), elbow, 0.2), rod(elbow, head, 0.2), ball(0.35, elbow)]
    return join([lathe([(foot, 0), (foot, 0.3), (0.5, 0.6)]), *arms, move(shade, head)])


def _bench(rng: Generator) -> Trimesh:
    w, d, h, back = rng.uniform([7, 2, 1.8, 1.5], [10, 3, 3, 3])
    planks = [box((d / 4 * 0.8, w, 0.25), (x, 0, h)) for x in np.linspace(-d / 2, d / 2, 4)]
    rest = [box((0.25, w, back / 3 * 0.7), (-d / 2 - 0.4, 0, h + z)) for z in np.linspace(0.4, back, 3)]
    side = join(
        [box((d, 0.4, h), (0, w * 0.4, 0)), rod((-d / 2 - 0.4, w * 0.4, 0), (-d / 2 - 0.6, w * 0.4, h + back), 0.2)]
    )
    return join([*planks, *rest, both_sides(side)])


def _coat_stand(rng: Generator) -> Trimesh:
    h, reach = rng.uniform([7, 1], [10, 2])
    n = int(rng.integers(3, 6))
    hooks = around(join([rod((0, 0, h * 0.85), (reach, 0, h), 0.15), ball(0.3, (reach, 0, h))]), n)
    feet = around(rod((1.4 * reach, 0, 0), (0, 0, 1.2), 0.2), n)
    return join([rod((0, 0, 0.3), (0, 0, h), 0.25), hooks, feet])


def _ladder(rng: Generator) -> Trimesh:
    h, w, open_ = rng.uniform([6, 1.5, 1], [9, 3, 3])
    rail = both_sides(rod((open_, w / 2, 0), (0, w / 2 * 0.7, h), 0.2))
    steps = [
        box((0.5, w * (1 - 0.3 * t), 0.2), (open_ * (1 - t), 0, h * t))
        for t in np.linspace(0.12, 0.9, int(rng.integers(4, 8)))
    ]
    return join([rail, *steps, both_sides(rod((-open_, w / 2, 0), (0, w / 2 * 0.7, h), 0.15))])


def _office_chair(rng: Generator) -> Trimesh:
    h, r, back = rng.uniform([2.5, 1.6, 2.5], [4, 2.3, 4.5])
    foot = around(join([rod((0, 0, 0.7), (1.3 * r, 0, 0.3), 0.2), ball(0.3, (1.3 * r, 0, 0.3))]), 5)
    rest = ball((0.4, r, back / 2), (-r, 0, h + back * 0.7))
    arms = both_sides(rod((-0.5 * r, r, h + 1), (0.6 * r, r, h + 1), 0.2))
    return join([foot, rod((0, 0, 0.5), (0, 0, h), 0.25), ball((r, r, 0.45), (0, 0, h)), rest, arms])


FURNITURE = {
    "bed": _bed,
    "bench": _bench,
    "chair": _chair,
    "coat_stand": _coat_stand,
    "desk": _desk,
    "desk_lamp": _desk_lamp,
    "floor_lamp": _floor_lamp,
    "ladder": _ladder,
    "office_chair": _office_chair,
    "round_table": _round_table,
    "shelf": _shelf,
    "sofa": _sofa,
    "stool": _stool,
    "table": _table,
    "wardrobe": _wardrobe,
}
