"""Instruments, games and outings."""

from __future__ import annotations

import numpy as np
from trimesh import Trimesh

from benchmarks.toyshop.families.parts import (
    around,
    ball,
    both_sides,
    box,
    join,
    lathe,
    move,
    plate,
    ring,
    rod,
    stretch,
    sweep,
    turn,
)

Generator = np.random.Generator


def _umbrella(rng: Generator) -> Trimesh:
    r, h, dome, n = *rng.uniform([2.5, 4, 0.8], [4, 6, 2]), int(rng.integers(6, 12))
    t = np.linspace(0.02, 1, 6)
    cover = lathe([(r * float(a), h - dome * float(a * a)) for a in t[::-1]], sides=n)
    hook = sweep(np.array([[0, 0, 0.6], [0, 0, 0.2], [0.4, 0, 0], [0.8, 0, 0.3]]), 0.18)
    upright = join([cover, rod((0, 0, 0.5), (0, 0, h + 0.6), 0.14), hook])
    return turn(upright, rng.choice([0.0, 110.0, 140.0]), "y")


def _bell(rng: Generator) -> Trimesh:
    r, h, flare = rng.uniform([1.5, 2.5, 1.1], [2.3, 4, 1.6])
    body = lathe([(r * flare, 0), (r, 0.3 * h), (0.75 * r, 0.75 * h), (0.3 * r, h)])
    top = (
        ring(0.5, 0.2, (0, 0, h + 0.5), axis="x")
        if rng.random() < 0.5
        else lathe([(0.25, h), (0.4, h + 1), (0.3, h + 2.2)])
    )
    return join([body, top, rod((0, 0, 0.5), (0, 0, -0.3), 0.3)])


def _pawn(rng: Generator) -> Trimesh:
    foot, h, head, waist = rng.uniform([1.2, 2, 0.7, 0.35], [1.8, 4, 1.2, 0.7])
    collar = [(1.6 * waist, h), (1.6 * waist, h + 0.2), (waist, h + 0.3)]
    return join(
        [
            lathe([(foot, 0), (foot, 0.5), (0.8 * foot, 0.7), (waist, 0.7 * h), (waist, h), *collar]),
            ball(head, (0, 0, h + 0.8 * head)),
        ]
    )


def _rook(rng: Generator) -> Trimesh:
    foot, h, waist = rng.uniform([1.2, 2.5, 0.6], [1.8, 4.5, 1])
    top = 1.4 * waist
    teeth = around(box((0.4, 0.55, 0.6), (top * 0.85, 0, h + 0.6)), int(rng.integers(4, 7)))
    return join([lathe([(foot, 0), (foot, 0.5), (waist, 1), (waist, h - 0.3), (top, h), (top, h + 0.6)]), teeth])


def _trophy(rng: Generator) -> Trimesh:
    r, h, stem = rng.uniform([1.2, 1.8, 0.8], [2, 3, 2])
    foot = box((2.2, 2.2, 1)) if rng.random() < 0.5 else lathe([(1.3, 0), (1.1, 1)])
    bowl = lathe(
        [
            (0.5, 1),
            (0.2, 1.3),
            (0.2, 1 + stem),
            (0.8 * r, 1 + stem + 0.4 * h),
            (r, 1 + stem + h),
            (0.9 * r, 1 + stem + h),
            (0.5 * r, 1 + stem + 0.4 * h),
        ]
    )
    ears = both_sides(stretch(ring(0.7, 0.17, (0, 0, 0), axis="x"), (1, 1, 1.2)).copy())
    return join([foot, bowl, both_sides(move(ears, (0, r + 0.3, 1 + stem + 0.65 * h)))])


def _guitar(rng: Generator) -> Trimesh:
    low, high, neck, thick = rng.uniform([1.6, 1.1, 3.5, 0.5], [2.3, 1.6, 5, 1])
    t = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    outline = np.column_stack(
        [1.8 * np.cos(t), (low + (high - low) * (np.cos(t) + 1) / 2 - 0.4 * np.sin(t) ** 4) * np.sin(t)]
    )
    body = plate(outline, thick)
    stick = box((neck, 0.5, 0.3), (1.6 + neck / 2, 0, thick))
    head = box((1, 0.9, 0.3), (2 + neck, 0, thick - 0.1))
    return turn(join([body, stick, head, box((0.4, 1.2, 0.3), (-0.8, 0, thick))]), rng.choice([0.0, -70.0]), "y")


def _drum(rng: Generator) -> Trimesh:
    r, h, n = *rng.uniform([1.8, 1.5], [3, 4]), int(rng.integers(5, 10))
    posts = around(rod((r * 1.05, 0, 0.2), (r * 1.05, 0, h - 0.2), 0.13), n)
    stick = rod((-0.5 * r, -r, h + 0.3), (r, r, h + 0.3), 0.15)
    return join(
        [
            lathe([(r, 0), (r, h)]),
            ring(r * 1.03, 0.17, (0, 0, 0.2)),
            ring(r * 1.03, 0.17, (0, 0, h - 0.2)),
            posts,
            stick,
        ]
    )


def _sailing_boat(rng: Generator) -> Trimesh:
    long, wide, deep, mast = rng.uniform([5, 1.6, 1, 4], [8, 2.6, 1.8, 7])
    t = np.linspace(0, 1, 9)
    beam = wide / 2 * np.sqrt(np.clip(1 - (2 * t - 0.9) ** 2 / 1.3, 0.02, 1))
    hull = stretch(sweep(np.stack([long * (t - 0.5), 0 * t, 0 * t + deep], axis=1), beam, sides=12), (1, 1, 1))
    hull.vertices[:, 2] = np.minimum(hull.vertices[:, 2], deep)
    sail = plate(np.array([[0.2, 0.8], [0.2, mast], [-0.45 * long, 0.8]]), 0.1)
    jib = plate(np.array([[0.5, 0.8], [0.4, 0.85 * mast], [0.42 * long, 0.8]]), 0.1)
    rig = move(turn(join([sail, jib]), 90, "x"), (0, 0, deep))
    return join([hull, rig, rod((0.3, 0, 0), (0.3, 0, deep + mast + 0.4), 0.12)])


def _megaphone(rng: Generator) -> Trimesh:
    long, r = rng.uniform([3.5, 1.3], [6, 2.3])
    horn = lathe([(0.4, 0), (0.5, 0.2 * long), (0.5 * r, 0.6 * long), (r, long), (0.9 * r, long), (0.3, 0.5 * long)])
    grip = rod((0.3 * long, 0, -0.3), (0.3 * long, 0, -2), 0.3)
    return join([turn(horn, 90, "y"), grip])


PASTIMES = {
    "bell": _bell,
    "drum": _drum,
    "guitar": _guitar,
    "megaphone": _megaphone,
    "pawn": _pawn,
    "rook": _rook,
    "sailing_boat": _sailing_boat,
    "trophy": _trophy,
    "umbrella": _umbrella,
}
