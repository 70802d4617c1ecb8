"""Plants and fruit, from random branching and proportions."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64
from trimesh import Trimesh

from benchmarks.toyshop.families.parts import around, ball, box, join, lathe, move, rod, stretch, sweep, turn

Generator = np.random.Generator


def _conifer(rng: Generator) -> Trimesh:
    h, r, n = rng.uniform(6, 9), rng.uniform(1.5, 3), int(rng.integers(2, 6))
    levels = np.linspace(0.2, 0.75, n)
    cones = [lathe([(r * (1.1 - t), h * t), (0.05, h * (t + 0.9 / n))], sides=12) for t in levels]
    return join([rod((0, 0, 0), (0, 0, h * 0.3), 0.4), *cones])


def _leafy_tree(rng: Generator) -> Trimesh:
    h, r = rng.uniform([3, 1.2], [6, 2.2])
    spots = rng.normal(0, 0.8 * r, (int(rng.integers(4, 9)), 3)) * [1, 1, 0.6] + [0, 0, h]
    crown = [ball(rng.uniform(0.6, 1.1) * r, spot) for spot in spots]
    return join([rod((0, 0, 0), (0, 0, h), 0.5, 0.3), *crown])


def _palm(rng: Generator) -> Trimesh:
    h, lean, reach, droop = rng.uniform([5, -2, 2.5, 0.5], [8, 2, 4, 3])
    t = np.linspace(0, 1, 8)
    trunk = sweep(np.stack([lean * t**2, 0 * t, h * t], axis=1), 0.4 - 0.15 * t)
    frond = sweep(np.stack([reach * t, 0 * t, 1.2 * t - droop * t**2], axis=1), 0.5 * np.sin(np.pi * (0.1 + 0.85 * t)))
    leaves = around(stretch(frond, (1, 1, 0.7)), int(rng.integers(5, 10)), start=rng.uniform(0, 60))
    return join([trunk, move(leaves, (lean, 0, h))])


def _cactus(rng: Generator) -> Trimesh:
    h, r = rng.uniform([5, 0.6], [8, 1.1])
    parts = [_pillar((0, 0, 0), h, r)]
    for _ in range(int(rng.integers(1, 5))):
        z, reach, tall = h * rng.uniform(0.25, 0.6), rng.uniform(1.5, 2.5), rng.uniform(1, 3)
        arm = join([rod((0, 0, z), (reach, 0, z), 0.6 * r), _pillar((reach, 0, z - 0.3), tall, 0.6 * r)])
        parts.append(turn(arm, rng.uniform(0, 360)))
    return join(parts)


def _pillar(at: tuple[float, float, float], height: float, radius: float) -> Trimesh:
    x, y, z = at
    return join([rod(at, (x, y, z + height), radius, sides=10), ball(radius, (x, y, z + height)), ball(radius, at)])


def _flower(rng: Generator) -> Trimesh:
    h, long, wide, tilt = rng.uniform([4, 1.2, 0.5, -20], [7, 2.4, 1, 40])
    petal = turn(ball((long, wide, 0.15), (long, 0, 0)), -tilt, "y")
    bloom = join([around(petal, int(rng.integers(4, 10))), ball((0.8, 0.8, 0.5))])
    leaf = turn(ball((1.4, 0.5, 0.1), (1.3, 0, 0)), -35, "y")
    leaves = around(leaf, int(rng.integers(2, 4)), start=rng.uniform(0, 90))
    head = move(turn(bloom, rng.uniform(0, 50), "y"), (0, 0, h))
    return join([rod((0, 0, 0), (0, 0, h), 0.2), head, move(leaves, (0, 0, h * 0.3))])


def _mushroom(rng: Generator) -> Trimesh:
    h, r, stem, dome = rng.uniform([2, 2, 0.5, 1], [5, 4, 1.4, 3])
    t = np.linspace(0, np.pi / 2, 7)
    cap = [(r * np.cos(a), h + dome * np.sin(a)) for a in t]
    one = lathe([(stem * 1.3, 0), (stem, h * 0.4), (stem * 0.9, h), (r * 0.9, h - 0.2), *cap])
    small = move(stretch(one, (0.5, 0.5, 0.5)), (r * 0.9, 0.4, 0))
    return join([one, small]) if rng.random() < 0.5 else one


def _bush(rng: Generator) -> Trimesh:
    spots = rng.normal(0, 1.4, (int(rng.integers(8, 16)), 3)) * [1, 1, 0.4] + [0, 0, 1.6]
    return join(ball(rng.uniform(0.7, 1.4), spot) for spot in spots)


def _grass(rng: Generator) -> Trimesh:
    t = np.linspace(0, 1, 6)
    blades = []
    for _ in range(int(rng.integers(12, 25))):
        tall, bend, foot = rng.uniform([3, 0.5, 0], [6, 3, 1])
        path = np.stack([foot + bend * t**2, 0 * t, tall * t - 0.4 * bend * t**3], axis=1)
        blades.append(turn(sweep(path, 0.22 * (1.02 - t), sides=4), rng.uniform(0, 360)))
    return join(blades)


def _potted_plant(rng: Generator) -> Trimesh:
    h, r, flare = rng.uniform([2, 1.2, 1.1], [3.5, 2, 1.6])
    pot = lathe(
        [(r, 0), (flare * r, h), (flare * r * 1.1, h), (flare * r * 1.1, h + 0.4), (flare * r, h + 0.4), (r, h - 0.3)]
    )
    leaf = turn(ball((1.8, 0.6, 0.12), (2, 0, 0)), -rng.uniform(20, 70), "y")
    crown = [turn(move(leaf, (0, 0, h + 0.3 * i)), 70 * i) for i in range(int(rng.integers(5, 10)))]
    return join([pot, *crown])


def _bare_tree(rng: Generator) -> Trimesh:
    parts: list[Trimesh] = []
    _grow(rng, parts, np.zeros(3), np.array([0, 0, rng.uniform(2, 3)]), rng.uniform(0.35, 0.55), 4)
    return join(parts)


def _grow(
    rng: Generator,
    parts: list[Trimesh],
    start: Float64[np.ndarray, "3"],
    step: Float64[np.ndarray, "3"],
    radius: float,
    depth: int,
) -> None:
    end = start + step
    parts.append(rod(start, end, radius, 0.7 * radius, sides=7))
    for _ in range(int(rng.integers(2, 4)) if depth > 1 else 0):
        aside = rng.normal(0, 0.55, 3) * np.linalg.norm(step)
        branch = 0.8 * step + np.maximum(aside, [-9, -9, -0.1])
        _grow(rng, parts, end, branch, 0.65 * radius, depth - 1)


def _pumpkin(rng: Generator) -> Trimesh:
    n, r, flat = int(rng.integers(6, 12)), rng.uniform(2, 3), rng.uniform(0.6, 1)
    rib = ball((0.7 * r, 0.55 * r, flat * r), (0.55 * r, 0, flat * r))
    stalk = sweep(np.array([[0, 0, 1.7 * flat * r], [0.1, 0, 2.2 * flat * r], [0.6, 0, 2.5 * flat * r]]), 0.25)
    return join([around(rib, n), stalk])


def _carrot(rng: Generator) -> Trimesh:
    long, r = rng.uniform([5, 0.8], [8, 1.4])
    root = lathe([(0.05, 0), (0.5 * r, long * 0.4), (0.9 * r, long * 0.8), (r, long), (0.5 * r, long + 0.3)])
    tuft = around(rod((0.2, 0, long), (rng.uniform(0.5, 1.2), 0, long + rng.uniform(1.5, 3)), 0.15), 6)
    return turn(join([root, tuft]), rng.uniform(75, 90), "y")


def _banana_bunch(rng: Generator) -> Trimesh:
    long, thick = rng.uniform([4, 0.5], [6, 0.8])
    angle = np.linspace(-0.9, 0.9, 9)
    path = np.stack([long * 0.6 * np.cos(angle), 0 * angle, long * 0.6 * np.sin(angle)], axis=1)
    one = sweep(path, thick * np.sqrt(np.clip(1.05 - (angle / 0.9) ** 2, 0.08, 1)))
    bunch = join(turn(one, 18 * i, "x") for i in range(int(rng.integers(1, 5))))
    return turn(bunch, rng.uniform(40, 100), "y")


def _grapes(rng: Generator) -> Trimesh:
    h, r = rng.uniform([3, 1.3], [5, 2])
    spots = [
        (r * np.sqrt(z) * np.cos(i * 2.4), r * np.sqrt(z) * np.sin(i * 2.4), h * z)
        for i, z in enumerate(np.linspace(0.02, 1, 30))
    ]
    return join([*(ball(rng.uniform(0.5, 0.65), spot) for spot in spots), rod((0, 0, h), (0.3, 0, h + 1.5), 0.2)])


def _hedge(rng: Generator) -> Trimesh:
    w, d, h = rng.uniform([5, 1, 2], [8, 2, 4])
    spots = rng.uniform([-w / 2, -d / 2, 0.5], [w / 2, d / 2, h], (40, 3))
    return join([box((w, d, h)), *(ball(rng.uniform(0.4, 0.8), spot) for spot in spots)])


PLANTS = {
    "banana_bunch": _banana_bunch,
    "bare_tree": _bare_tree,
    "bush": _bush,
    "cactus": _cactus,
    "carrot": _carrot,
    "conifer": _conifer,
    "flower": _flower,
    "grapes": _grapes,
    "grass": _grass,
    "hedge": _hedge,
    "leafy_tree": _leafy_tree,
    "mushroom": _mushroom,
    "palm": _palm,
    "potted_plant": _potted_plant,
    "pumpkin": _pumpkin,
}
