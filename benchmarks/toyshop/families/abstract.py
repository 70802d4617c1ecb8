"""Abstract surfaces: blobs, knots, gears, crystals."""

from __future__ import annotations

import numpy as np
from trimesh import Trimesh, convex, creation

from benchmarks.toyshop.families.parts import (
    around,
    ball,
    circle,
    join,
    lathe,
    mesh_of,
    move,
    stretch,
    sweep,
    turn,
    washer,
)

Generator = np.random.Generator


def _blob(rng: Generator) -> Trimesh:
    return _waved_ball(rng, frequency=rng.uniform(0.8, 1.8), depth=rng.uniform(0.25, 0.5))


def _burr(rng: Generator) -> Trimesh:
    return _waved_ball(rng, frequency=rng.uniform(3, 5), depth=rng.uniform(0.15, 0.3))


def _waved_ball(rng: Generator, *, frequency: float, depth: float) -> Trimesh:
    """A ball whose radius swings with a few plane waves."""
    sphere = creation.icosphere(subdivisions=3)
    waves = rng.normal(0, frequency, (4, 3))
    swing = np.sin(sphere.vertices @ waves.T + rng.uniform(0, 6, 4)).mean(axis=1, keepdims=True)
    return mesh_of(sphere.vertices * (1 + 2 * depth * swing) * rng.uniform(0.7, 1.3, 3), sphere.faces)


def _knot(rng: Generator) -> Trimesh:
    p, q = ((2, 3), (3, 2), (2, 5), (3, 4))[int(rng.integers(4))]
    t = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    r = 2 + rng.uniform(0.6, 1) * np.cos(q * t)
    path = np.stack([r * np.cos(p * t), r * np.sin(p * t), 1.1 * np.sin(q * t)], axis=1)
    return turn(sweep(path, rng.uniform(0.25, 0.5), closed=True), rng.choice([0.0, 60.0, 90.0]), "x")


def _gear(rng: Generator) -> Trimesh:
    n, depth, hole, thick = int(rng.integers(8, 20)), *rng.uniform([0.1, 0.2, 0.3], [0.25, 0.6, 1.2])
    teeth = np.tile([1, 1, 1 + depth, 1 + depth], n)[:, None]
    wheel = washer(2 * circle(4 * n) * teeth, circle(4 * n, 2 * hole), thick)
    hub = [lathe([(hole * 2.3, 0), (hole * 2.3, 1.5 * thick), (hole, 1.5 * thick)])] if rng.random() < 0.5 else []
    return turn(join([wheel, *hub]), rng.choice([0.0, 90.0, 60.0]), "x")


def _crystal(rng: Generator) -> Trimesh:
    points = rng.normal(0, 1, (int(rng.integers(8, 16)), 3)) * rng.uniform(0.6, 1.4, 3)
    return convex.convex_hull(points / np.linalg.norm(points, axis=1, keepdims=True) * rng.uniform(0.8, 1.2))


def _spring(rng: Generator) -> Trimesh:
    n, r, h, grow = int(rng.integers(3, 8)), *rng.uniform([1.2, 2.5, 0.5], [2, 6, 1.3])
    t = np.linspace(0, 1, 20 * n)
    wide, angle = r * (1 + (grow - 1) * t), 2 * np.pi * n * t
    coil = sweep(np.stack([wide * np.cos(angle), wide * np.sin(angle), h * t], axis=1), rng.uniform(0.15, 0.35))
    return turn(coil, rng.choice([0.0, 90.0]), "y")


def _star(rng: Generator) -> Trimesh:
    n, inner, thick = int(rng.integers(4, 9)), *rng.uniform([0.35, 0.3], [0.65, 1.2])
    outline = circle(2 * n, 2.5) * np.tile([1, inner], n)[:, None]
    flat = [np.column_stack([outline * k, np.full(2 * n, z)]) for k, z in ((0.05, -thick), (1, 0), (0.05, thick))]
    faces = [
        [r * 2 * n + i, r * 2 * n + (i + 1) % (2 * n), (r + 1) * 2 * n + (i + k) % (2 * n)]
        for r in (0, 1)
        for i in range(2 * n)
        for k in (0, 1)
    ]
    wings = [
        [(r + 1) * 2 * n + i, r * 2 * n + (i + 1) % (2 * n), (r + 1) * 2 * n + (i + 1) % (2 * n)]
        for r in (0, 1)
        for i in range(2 * n)
    ]
    return turn(mesh_of(np.vstack(flat), np.array(faces + wings)), rng.choice([0.0, 90.0, 60.0]), "x")


def _ribbon(rng: Generator) -> Trimesh:
    t = np.linspace(0, 1, 40)
    waves = rng.normal(0, 1, (3, 3))
    path = sum(np.outer(np.sin((i + 1) * 2.5 * t + phase), waves[i]) for i, phase in enumerate(rng.uniform(0, 6, 3)))
    return stretch(sweep(2 * np.asarray(path), rng.uniform(0.25, 0.6)), (1, 1, rng.uniform(0.5, 1)))


def _sheet(rng: Generator) -> Trimesh:
    n, waves = 22, rng.uniform([0.5, 0.5, 0.3], [2.5, 2.5, 1.2])
    x, y = np.meshgrid(np.linspace(-2, 2, n), np.linspace(-2, 2, n))
    z = waves[2] * np.sin(waves[0] * x + rng.uniform(0, 6)) * np.cos(waves[1] * y + rng.uniform(0, 6))
    corner = (np.arange(n - 1)[:, None] * n + np.arange(n - 1)).ravel()
    faces = np.vstack(
        [np.stack([corner, corner + 1, corner + n], 1), np.stack([corner + 1, corner + n + 1, corner + n], 1)]
    )
    return turn(mesh_of(np.stack([x, y, z], -1).reshape(-1, 3), faces), rng.choice([0.0, 80.0, 50.0]), "x")


def _disc_stack(rng: Generator) -> Trimesh:
    z, profile = 0.0, []
    for r in rng.uniform(0.6, 3, int(rng.integers(3, 7))):
        thick = rng.uniform(0.3, 1.2)
        profile += [(r, z), (r, z + thick)]
        z += thick
    return turn(lathe(profile, sides=int(rng.choice([4, 6, 24]))), rng.choice([0.0, 90.0]), "y")


def _propeller(rng: Generator) -> Trimesh:
    n, long, wide, pitch = int(rng.integers(3, 7)), *rng.uniform([1.8, 0.6, 20], [3, 1.2, 60])
    blade = move(turn(ball((long / 2, wide, 0.12)), pitch, "x"), (0.4 + long / 2, 0, 0))
    return turn(
        join([around(blade, n), lathe([(0.7, -0.6), (0.7, 0.4), (0.1, 1.2)])]), rng.choice([0.0, 90.0, 50.0]), "y"
    )


ABSTRACT = {
    "blob": _blob,
    "burr": _burr,
    "crystal": _crystal,
    "disc_stack": _disc_stack,
    "gear": _gear,
    "knot": _knot,
    "propeller": _propeller,
    "ribbon": _ribbon,
    "sheet": _sheet,
    "spring": _spring,
    "star": _star,
}
