"""Tools, standing or lying, from random proportions."""

from __future__ import annotations

import numpy as np
from trimesh import Trimesh

from benchmarks.toyshop.families.parts import (
    around,
    ball,
    both_sides,
    box,
    circle,
    join,
    lathe,
    mesh_of,
    move,
    plate,
    ring,
    rod,
    stretch,
    sweep,
    turn,
    washer,
)

Generator = np.random.Generator


def _lay(rng: Generator, part: Trimesh) -> Trimesh:
    """Upright, leaning, or flat on the table: tools are seen in all three ways."""
    return turn(turn(part, rng.uniform(0, 360)), rng.choice([0.0, 90.0, 90.0, 70.0]), "y")


def _hammer(rng: Generator) -> Trimesh:
    long, head, r = rng.uniform([5, 2.5, 0.5], [8, 4, 0.9])
    face = rod((head * 0.4, 0, long), (head * 0.65, 0, long), 1.2 * r)
    claw = rod((-head * 0.2, 0, long), (-head * 0.8, 0, long - 0.5 * rng.random()), r, 0.15)
    grip = rod((0, 0, 0), (0, 0, long * 0.4), 0.45)
    return _lay(
        rng, join([grip, rod((0, 0, 0), (0, 0, long), 0.32), face, rod((-1, 0, long), (head * 0.4, 0, long), r), claw])
    )


def _mallet(rng: Generator) -> Trimesh:
    long, head, r = rng.uniform([4, 3, 1.1], [6, 5, 1.8])
    block = rod((-head / 2, 0, long), (head / 2, 0, long), r, sides=int(rng.choice([4, 16])))
    return _lay(rng, join([rod((0, 0, 0), (0, 0, long), 0.35), block]))


def _wrench(rng: Generator) -> Trimesh:
    long, jaw, thick = rng.uniform([5, 1, 0.4], [8, 1.7, 0.8])
    angle = np.radians(np.linspace(40, 320, 15))
    outer = jaw * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    inner = np.column_stack([0.5 * jaw * np.cos(angle) + 0.2 * jaw, 0.5 * jaw * np.sin(angle)])
    mouth = washer(outer, inner, thick)
    eye = washer(circle(18, 0.9 * jaw), circle(18, 0.5 * jaw), thick)
    bar = box((long, 0.8 * jaw, 0.7 * thick), (-long / 2 - 0.7 * jaw, 0, 0.15 * thick))
    return _lay(rng, turn(join([mouth, bar, move(eye, (-long - jaw * 1.5, 0, 0))]), 90, "y"))


def _screwdriver(rng: Generator) -> Trimesh:
    grip, r, long, thin = rng.uniform([2.5, 0.6, 3, 0.18], [4, 1.1, 5, 0.35])
    handle = lathe([(0.6 * r, 0), (r, 0.4), (0.85 * r, grip * 0.5), (r, grip * 0.85), (0.4 * r, grip)], sides=8)
    blade = box((4 * thin, 0.7 * thin, 1.2), (0, 0, grip + long - 0.3))
    return _lay(rng, join([handle, rod((0, 0, grip), (0, 0, grip + long), thin), blade]))


def _saw(rng: Generator) -> Trimesh:
    long, wide, tip, n = *rng.uniform([6, 1.6, 0.5], [9, 2.6, 1.2]), int(rng.integers(10, 20))
    x = np.linspace(0, long, 2 * n + 1)
    teeth = 0.35 * (np.arange(2 * n + 1) % 2)
    back = np.column_stack([x, wide - (wide - tip) * x / long])
    blade = washer(np.column_stack([x, -teeth]), back, 0.2)
    handle = stretch(ring(1.1, 0.4, (0, 0, 0)), (1, 1.3, 1))
    return _lay(rng, turn(join([blade, move(handle, (-0.9, wide * 0.5, 0))]), 90, "y"))


def _axe(rng: Generator) -> Trimesh:
    long, deep, edge = rng.uniform([6, 1.5, 1.5], [9, 2.8, 3.2])
    t = np.linspace(-1, 1, 9)
    blade = plate(np.column_stack([np.r_[0, deep - 0.4 * t**2, 0], np.r_[-0.5, edge / 2 * t, 0.5]]), 0.4)
    head = move(turn(blade, 90, "x"), (0, 0.2, long * 0.88))
    double = join([head, stretch(head, (-1, 1, 1))]) if rng.random() < 0.4 else head
    return _lay(rng, join([rod((0, 0, 0), (0, 0, long), 0.3), double, box((0.9, 0.7, 1), (0, 0, long * 0.88 - 0.5))]))


def _shovel(rng: Generator) -> Trimesh:
    long, wide, deep = rng.uniform([4, 1.6, 2], [7, 2.6, 3.4])
    blade = stretch(ball((wide / 2 * 1.2, 0.25, deep * 0.7)), (1, 1, 1))
    grip = join([rod((-0.8, 0, long), (0.8, 0, long), 0.22), rod((0, 0, 0), (0, 0, long), 0.25)])
    return _lay(rng, join([blade, grip, box((wide * 0.8, 0.3, 0.4), (0, 0, deep * 0.4))]))


def _rake(rng: Generator) -> Trimesh:
    long, wide, n = rng.uniform(6, 9), rng.uniform(2.5, 4.5), int(rng.integers(5, 11))
    tines = [rod((0, y, 0), (0.9, y, -0.8), 0.15, 0.06) for y in np.linspace(-wide / 2, wide / 2, n)]
    return _lay(rng, join([rod((0, 0, 0), (0, 0, long), 0.25), rod((0, -wide / 2, 0), (0, wide / 2, 0), 0.22), *tines]))


def _broom(rng: Generator) -> Trimesh:
    long, wide, tall = rng.uniform([5, 1.2, 1.5], [8, 2.2, 3])
    skirt = stretch(
        lathe([(wide, 0), (0.9 * wide, tall * 0.5), (0.4 * wide, tall), (0.25, tall + 0.4)], sides=16), (0.5, 1, 1)
    )
    return _lay(rng, join([skirt, rod((0, 0, tall), (0, 0, tall + long), 0.22)]))


def _scissors(rng: Generator) -> Trimesh:
    long, open_, eye = rng.uniform([3.5, 8, 0.7], [5.5, 35, 1.2])
    half = join(
        [
            stretch(rod((0, 0, 0), (long, 0, 0), 0.5, 0.05, sides=6), (1, 1, 0.4)),
            rod((0, 0, 0), (-2, 0.3, 0), 0.25),
            ring(eye, 0.22, (-2 - eye, 0.4, 0)),
        ]
    )
    return _lay(rng, join([turn(half, open_ / 2), turn(stretch(half, (1, -1, 1)), -open_ / 2)]))


def _bolt(rng: Generator) -> Trimesh:
    long, r, head, n = *rng.uniform([3, 0.7, 0.6], [6, 1.2, 1.2]), int(rng.integers(6, 14))
    edges = [(r * (1.0 if i % 2 else 1.18), head + long * i / (2 * n)) for i in range(2 * n + 1)]
    return _lay(
        rng, join([rod((0, 0, 0), (0, 0, head), 1.9 * r, sides=6), lathe([(r, head), *edges, (0.8 * r, head + long)])])
    )


def _nut(rng: Generator) -> Trimesh:
    r, hole, thick, sides = *rng.uniform([2, 0.4, 0.8], [3, 0.7, 2.2]), int(rng.choice([4, 6, 6, 8]))
    corner = np.arange(24) * sides % 24 / 24 * 2 * np.pi / sides - np.pi / sides
    outer = circle(24) * (r * np.cos(np.pi / sides) / np.cos(corner))[:, None]
    return _lay(rng, washer(outer, circle(24, hole * r), thick))


def _key(rng: Generator) -> Trimesh:
    long, bow, tooth = rng.uniform([3.5, 1, 0.5], [6, 1.8, 1.2])
    teeth = [
        box((0.4, 0.3, tooth * rng.uniform(0.5, 1.2)), (long - 0.5 - 0.6 * i, 0, 0))
        for i in range(int(rng.integers(2, 5)))
    ]
    return _lay(rng, join([rod((0, 0, 0), (long, 0, 0), 0.28), ring(bow, 0.3, (-bow, 0, 0), axis="y"), *teeth]))


def _pliers(rng: Generator) -> Trimesh:
    long, jaw, open_ = rng.uniform([4, 1.5, 10], [6, 2.5, 40])
    t = np.linspace(0, 1, 7)
    grip = sweep(np.stack([-long * t, 0.9 * np.sin(np.pi * t * 0.8), 0 * t], axis=1), 0.32)
    half = join([grip, rod((0, -0.1, 0), (jaw, -0.1, 0), 0.55, 0.2, sides=4)])
    return _lay(rng, join([turn(half, -open_ / 2), turn(stretch(half, (1, -1, 1)), open_ / 2), ball((0.7, 0.7, 0.5))]))


def _anchor(rng: Generator) -> Trimesh:
    h, wide, bar = rng.uniform([5, 2, 1], [8, 3.5, 2])
    angle = np.radians(np.linspace(200, 340, 11))
    arms = sweep(np.stack([0 * angle, wide * np.cos(angle), wide + wide * np.sin(angle)], axis=1), 0.3)
    fluke = both_sides(rod((0, wide * 0.7, 1.2), (0, wide * 1.05, wide * 0.85), 0.7, 0.05, sides=4))
    return _lay(
        rng,
        join(
            [
                arms,
                fluke,
                rod((0, 0, 0), (0, 0, h), 0.3),
                rod((0, -bar, h - 1), (0, bar, h - 1), 0.25),
                ring(0.6, 0.2, (0, 0, h + 0.5), axis="x"),
            ]
        ),
    )


def _wheelbarrow(rng: Generator) -> Trimesh:
    long, wide, deep = rng.uniform([3.5, 2, 1.2], [5, 3.5, 2.2])
    low, high = circle(4, wide * 0.5), circle(4, wide * 0.95)
    corners = np.vstack([np.column_stack([low, np.full(4, 1.5)]), np.column_stack([high, np.full(4, 1.5 + deep)])])
    tray = turn(stretch(mesh_of(corners, np.array(_TRAY)), (long / wide, 1, 1)), 45)
    shafts = both_sides(rod((long * 0.8, 0.3, 0.8), (-long, wide * 0.4, 2.2), 0.15))
    feet = both_sides(rod((-long * 0.4, wide * 0.4, 0), (-long * 0.3, wide * 0.35, 1.8), 0.15))
    return join([tray, shafts, feet, ring(0.7, 0.2, (long * 0.8, 0, 0.9), axis="y")])


_TRAY = [
    [0, 1, 2],
    [0, 2, 3],
    *([i, (i + 1) % 4, 4 + (i + 1) % 4] for i in range(4)),
    *([i, 4 + (i + 1) % 4, 4 + i] for i in range(4)),
]


def _tongs(rng: Generator) -> Trimesh:
    long, gap, wide = rng.uniform([5, 0.8, 0.4], [8, 2, 1])
    arm = turn(box((0.2, wide, long)), rng.uniform(4, 14), "y")
    return _lay(rng, join([arm, stretch(arm, (-1, 1, 1)), around(ball((0.3, wide, 0.6), (gap, 0, long)), 2)]))


TOOLS = {
    "anchor": _anchor,
    "axe": _axe,
    "bolt": _bolt,
    "broom": _broom,
    "hammer": _hammer,
    "key": _key,
    "mallet": _mallet,
    "nut": _nut,
    "pliers": _pliers,
    "rake": _rake,
    "saw": _saw,
    "scissors": _scissors,
    "screwdriver": _screwdriver,
    "shovel": _shovel,
    "tongs": _tongs,
    "wheelbarrow": _wheelbarrow,
    "wrench": _wrench,
}
