"""Buildings and structures, from random storeys and roofs."""

from __future__ import annotations

import numpy as np
from trimesh import Trimesh

from benchmarks.toyshop.families.parts import (
    around,
    at_corners,
    both_sides,
    box,
    join,
    lathe,
    mesh_of,
    move,
    rod,
    sweep,
    turn,
)

Generator = np.random.Generator


def _roof(width: float, depth: float, height: float, at: float, hip: float = 0.0) -> Trimesh:
    """A pitched roof with its ridge along x; ``hip`` is how far its ends slope in."""
    x, y = width / 2, depth / 2
    corners = [(-x, -y, 0), (x, -y, 0), (x, y, 0), (-x, y, 0), (-x + hip, 0, height), (x - hip, 0, height)]
    faces = [[0, 1, 5], [0, 5, 4], [2, 3, 4], [2, 4, 5], [1, 2, 5], [3, 0, 4], [0, 2, 1], [0, 3, 2]]
    return mesh_of(np.array(corners, dtype=float) + np.array([0.0, 0.0, at]), np.array(faces))


def _house(rng: Generator) -> Trimesh:
    w, d, h, top = rng.uniform([4, 3, 2, 1.2], [7, 5, 4, 3])
    chimney = box((0.6, 0.6, top + 0.8), (w * 0.25, d * 0.2, h))
    door = box((0.8, 0.3, h * 0.6), (rng.uniform(-0.3, 0.3) * w, -d / 2, 0))
    panes = [box((0.8, 0.2, 0.8), (x * w, -d / 2, h * 0.5)) for x in (-0.35, 0.35)]
    return join([box((w, d, h)), _roof(w + 0.6, d + 0.6, top, h, rng.choice([0.0, 1.2])), chimney, door, *panes])


def _tower(rng: Generator) -> Trimesh:
    r, h, n = *rng.uniform([1.2, 5], [2, 8]), int(rng.integers(6, 11))
    teeth = around(box((0.4, 0.6, 0.7), (1.1 * r, 0, h)), n)
    top = [lathe([(1.3 * r, h + 0.5), (0.05, h + 3)], sides=16)] if rng.random() < 0.4 else [teeth]
    return join([lathe([(1.1 * r, 0), (r, 0.3 * h), (r, 0.9 * h), (1.25 * r, 0.95 * h), (1.25 * r, h)]), *top])


def _church(rng: Generator) -> Trimesh:
    w, d, h, tall, spire = rng.uniform([4, 2.5, 2, 4, 1.5], [7, 3.5, 3, 6, 4])
    steeple = lathe([(1.4, tall), (0.05, tall + spire)], sides=4)
    nave = join([box((w, d, h)), _roof(w, d + 0.4, 1.6, h)])
    return join([nave, box((2, 2, tall), (-w / 2 - 0.6, 0, 0)), move(turn(steeple, 45), (-w / 2 - 0.6, 0, 0))])


def _castle(rng: Generator) -> Trimesh:
    w, d, h, tall, r = rng.uniform([4, 4, 1.5, 2.5, 0.6], [7, 6, 3, 5, 1.1])
    corner = lathe([(r, 0), (r, tall), (1.2 * r, tall), (1.2 * r, tall + 0.5)], sides=14)
    cap = [at_corners(lathe([(1.3 * r, tall + 0.5), (0.05, tall + 2)], sides=14), w, d)] if rng.random() < 0.5 else []
    walls = join([both_sides(box((w, 0.5, h), (0, d / 2, 0))), turn(both_sides(box((d, 0.5, h), (0, w / 2, 0))), 90)])
    return join([at_corners(corner, w, d), walls, box((1.8, 1.8, tall), (0, 0, 0)), *cap])


def _arch_bridge(rng: Generator) -> Trimesh:
    w, d, h, rise = rng.uniform([7, 1.5, 2, 0], [10, 3, 4, 1.5])
    t = np.linspace(-1, 1, 9)
    deck = [box((w / 8 + 0.1, d, 0.5), (w / 2 * x, 0, h + rise * (1 - x * x))) for x in t]
    piers = [box((0.7, d, h), (x * w / 2, 0, 0)) for x in np.linspace(-0.9, 0.9, int(rng.integers(2, 5)))]
    rails = both_sides(sweep(np.stack([w / 2 * t, 0 * t + d / 2, h + 1.2 + rise * (1 - t * t)], axis=1), 0.12))
    return join([*deck, *piers, rails])


def _hanging_bridge(rng: Generator) -> Trimesh:
    w, d, h, tall = rng.uniform([8, 1.2, 1, 3], [11, 2.2, 2, 5])
    t = np.linspace(-1, 1, 11)
    cable = sweep(np.stack([w / 4 * t, 0 * t + d / 2, h + 0.4 + (tall - 0.4) * t * t], axis=1), 0.12)
    wires = [rod((w / 4 * x, d / 2, h), (w / 4 * x, d / 2, h + 0.4 + (tall - 0.4) * x * x), 0.07, sides=4) for x in t]
    pylons = [rod((x * w / 4, d / 2, 0), (x * w / 4, d / 2, h + tall), 0.3, sides=4) for x in (-1, 1)]
    stays = [rod((x * w / 4, d / 2, h + tall), (x * w / 2, d / 2, h), 0.12) for x in (-1, 1)]
    return join([box((w, d, 0.4), (0, 0, h)), both_sides(join([cable, *wires, *pylons, *stays]))])


def _skyscraper(rng: Generator) -> Trimesh:
    w, d, parts, z = *rng.uniform([2, 2], [3.5, 3.5]), [], 0.0
    for _ in range(int(rng.integers(2, 5))):
        tall, shrink = rng.uniform([1.2, 0.6], [3, 0.9])
        parts.append(box((w, d, tall), (*rng.uniform(-0.2, 0.2, 2), z)))
        parts += [box((w + 0.2, d + 0.2, 0.15), (0, 0, z + k)) for k in np.arange(0.5, tall, 0.6)]
        w, d, z = w * shrink, d * shrink, z + tall
    return join([*parts, rod((0, 0, z), (0, 0, z + rng.uniform(0.5, 2)), 0.12)])


def _windmill(rng: Generator) -> Trimesh:
    r, h, long = rng.uniform([1.2, 4, 2.2], [2, 6, 3.8])
    n, wide = int(rng.integers(3, 7)), rng.uniform(0.4, 1)
    sail = join([rod((0, 0, 0), (0, 0, long), 0.12), box((0.1, wide, long * 0.75), (0, wide / 2, long * 0.22))])
    wheel = turn(join(turn(sail, 360 * i / n, "x") for i in range(n)), rng.uniform(0, 90), "x")
    return join(
        [
            lathe([(r, 0), (0.65 * r, h), (0.1, h + 1)], sides=8),
            move(wheel, (r, 0, h * 0.95)),
            rod((0, 0, 0.95 * h), (r, 0, 0.95 * h), 0.2),
        ]
    )


def _temple(rng: Generator) -> Trimesh:
    w, d, h, n = *rng.uniform([5, 3, 2.5], [8, 5, 4]), int(rng.integers(3, 7))
    column = lathe([(0.4, 0.6), (0.33, 0.9), (0.28, h), (0.42, h + 0.2)], sides=12)
    row = both_sides(join(move(column, (x, d * 0.42, 0)) for x in np.linspace(-w * 0.45, w * 0.45, n)))
    steps = [box((w + 1 - 0.5 * i, d + 1 - 0.5 * i, 0.3), (0, 0, 0.3 * i)) for i in range(2)]
    return join([row, *steps, box((w, d, 0.4), (0, 0, h + 0.2)), _roof(w, d, rng.uniform(0.8, 1.8), h + 0.6)])


def _gate(rng: Generator) -> Trimesh:
    w, d, h, lift = rng.uniform([3, 0.8, 3, 0.2], [5, 2, 5, 1])
    t = np.linspace(0, np.pi, 11)
    span = sweep(np.stack([0 * t, w / 2 * np.cos(t), h + w / 2 * lift * np.sin(t)], axis=1), 0.5, sides=4)
    posts = both_sides(box((d, 0.9, h), (0, w / 2, 0)))
    beam = [box((d, w + 1.5, 0.5), (0, 0, h + w / 2 * lift + 0.2))] if rng.random() < 0.5 else []
    return join([span, posts, *beam])


def _step_pyramid(rng: Generator) -> Trimesh:
    w, d, h, n = *rng.uniform([5, 5, 2.5], [8, 8, 5]), int(rng.integers(3, 8))
    tiers = [box((w * (1 - i / n * 0.85), d * (1 - i / n * 0.85), h / n), (0, 0, i * h / n)) for i in range(n)]
    stair = rod((w / 2 + 0.3, 0, 0), (w * 0.1, 0, h), 0.6, sides=4)
    return join([*tiers, stair]) if rng.random() < 0.5 else join(tiers)


def _tent(rng: Generator) -> Trimesh:
    w, d, h = rng.uniform([3.5, 3, 2.5], [6, 5, 4])
    if rng.random() < 0.5:
        return join([_roof(w, d, h, 0, rng.uniform(0, 1)), rod((w / 2, 0, 0), (w / 2, 0, h + 0.6), 0.12)])
    poles = around(rod((0.3, 0, h), (-0.4, 0, h + 1), 0.1), 4)
    return join([lathe([(d / 2, 0), (d * 0.4, 0.4 * h), (0.2, h)], sides=int(rng.integers(5, 12))), poles])


def _lighthouse(rng: Generator) -> Trimesh:
    r, h = rng.uniform([1.3, 5], [2, 8])
    lamp = lathe(
        [(0.8 * r, h), (0.8 * r, h + 0.2), (0.45 * r, h + 0.2), (0.45 * r, h + 1.2), (0.6 * r, h + 1.2), (0.05, h + 2)]
    )
    return join(
        [lathe([(r, 0), (0.6 * r, h)]), lamp, box((1.6, 1.6, 1.4), (r, 0, 0)), lathe([(1.5 * r, 0), (1.4 * r, 0.4)])]
    )


def _stairs(rng: Generator) -> Trimesh:
    n, w, run, rise = int(rng.integers(4, 10)), *rng.uniform([1.5, 0.5, 0.4], [4, 1, 0.9])
    if rng.random() < 0.4:
        turned = [turn(box((2.5, 0.9, 0.3), (1.4, 0, rise * i)), 28 * i) for i in range(2 * n)]
        return join([*turned, rod((0, 0, 0), (0, 0, 2 * rise * n), 0.3)])
    return join(box((run, w, rise * (i + 1)), (run * i, 0, 0)) for i in range(n))


def _crane(rng: Generator) -> Trimesh:
    h, reach, back = rng.uniform([5, 4, 1.5], [8, 7, 3])
    mast = at_corners(rod((0, 0, 0), (0, 0, h), 0.12, sides=4), 0.9, 0.9)
    braces = [
        rod((s * 0.45, -0.45, z), (-s * 0.45, 0.45, z + 0.9), 0.1, sides=4)
        for z in np.arange(0, h - 0.9, 0.9)
        for s in (-1, 1)
    ]
    jib = [rod((-back, y, h), (reach, y, h), 0.12, sides=4) for y in (-0.4, 0.4)]
    stays = [rod((0, 0, h + 1.5), (x, 0, h), 0.08, sides=4) for x in (-back, reach * 0.7, 0)]
    hook = rod((reach * 0.8, 0, h), (reach * 0.8, 0, h * rng.uniform(0.3, 0.8)), 0.08, sides=4)
    return join([mast, *braces, *jib, *stays, hook, box((1, 1.2, 0.9), (-back, 0, h - 0.7)), box((2.5, 2.5, 0.4))])


def _fence(rng: Generator) -> Trimesh:
    n, gap, h = int(rng.integers(5, 11)), *rng.uniform([0.6, 2.5], [1, 4])
    pickets = [
        join([box((0.2, 0.45, h), (0, gap * i, 0)), rod((0, gap * i, h), (0, gap * i, h + 0.5), 0.25, 0.02, sides=4)])
        for i in range(n)
    ]
    return join([*pickets, *(box((0.2, gap * n, 0.3), (-0.2, gap * (n - 1) / 2, h * z)) for z in (0.25, 0.7))])


def _well(rng: Generator) -> Trimesh:
    r, h, tall = rng.uniform([1.4, 1.2, 3], [2.2, 2.2, 5])
    wall = lathe([(r, 0), (r, h), (0.75 * r, h), (0.75 * r, 0.2)])
    return join(
        [
            wall,
            both_sides(box((0.3, 0.3, tall), (0, r, 0))),
            _roof(2.2 * r, 2.6 * r, 1.2, tall),
            rod((0, -r, 0.7 * tall), (0, r, 0.7 * tall), 0.25),
        ]
    )


BUILDINGS = {
    "arch_bridge": _arch_bridge,
    "castle": _castle,
    "church": _church,
    "crane": _crane,
    "fence": _fence,
    "gate": _gate,
    "hanging_bridge": _hanging_bridge,
    "house": _house,
    "lighthouse": _lighthouse,
    "skyscraper": _skyscraper,
    "stairs": _stairs,
    "step_pyramid": _step_pyramid,
    "temple": _temple,
    "tent": _tent,
    "tower": _tower,
    "well": _well,
    "windmill": _windmill,
}
