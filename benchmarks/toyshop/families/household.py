"""Household things and small machines."""

from __future__ import annotations

import numpy as np
from trimesh import Trimesh

from benchmarks.toyshop.families.parts import around, ball, both_sides, box, join, lathe, move, ring, rod, sweep, turn

Generator = np.random.Generator


def _clock(rng: Generator) -> Trimesh:
    r, thick, split = rng.uniform([2, 0.8, 25], [3, 1.8, 50])
    case = turn(lathe([(r, 0), (r, thick), (0.9 * r, thick), (0.88 * r, 0.8 * thick)]), 90, "y")
    hands = [
        turn(rod((0.9 * thick, 0, 0), (0.9 * thick, 0, k * r), 0.12), rng.uniform(0, 360), "x") for k in (0.5, 0.75)
    ]
    bells = both_sides(turn(ball((0.7, 0.7, 0.5), (0.5 * thick, 0, 1.15 * r)), split, "x"))
    legs = both_sides(turn(rod((0.5 * thick, 0, -r), (0.5 * thick, 0, -1.35 * r), 0.2), 30, "x"))
    return join(
        [case, *hands, legs, bells] if rng.random() < 0.7 else [case, *hands, box((1.5, 3, 1), (0.4, 0, -1.2 * r))]
    )


def _telescope(rng: Generator) -> Trimesh:
    long, h, tilt = rng.uniform([4, 2.5, 5], [7, 4.5, 50])
    tube = lathe(
        [
            (0.45, -0.4 * long),
            (0.45, -0.1 * long),
            (0.65, -0.1 * long),
            (0.65, 0.3 * long),
            (0.9, 0.3 * long),
            (0.9, 0.6 * long),
            (0.7, 0.6 * long),
        ]
    )
    legs = around(rod((0.55 * h, 0, 0), (0.15, 0, h), 0.17), 3)
    return join([legs, move(turn(tube, 90 - tilt, "y"), (0, 0, h + 0.4)), ball(0.5, (0, 0, h))])


def _headphones(rng: Generator) -> Trimesh:
    r, cup, tall = rng.uniform([1.8, 0.8, 1], [2.6, 1.4, 1.5])
    t = np.linspace(0, np.pi, 13)
    band = sweep(np.stack([0 * t, r * np.cos(t), cup + r * tall * np.sin(t)], axis=1), 0.22)
    shell = move(turn(lathe([(cup, -0.4), (cup, 0.3), (0.6 * cup, 0.6)]), -90, "x"), (0, r, cup))
    return turn(join([band, both_sides(shell)]), rng.choice([0.0, 80.0]), "y")


def _globe(rng: Generator) -> Trimesh:
    r, h, tilt = rng.uniform([1.6, 0.8, 0], [2.6, 2, 30])
    t = np.radians(np.linspace(-100, 100, 13))
    bow = sweep((r + 0.3) * np.stack([np.cos(t), 0 * t, np.sin(t)], axis=1), 0.15)
    head = turn(join([ball(r), bow, rod((0, 0, -r - 0.4), (0, 0, r + 0.4), 0.15)]), tilt, "y")
    return join([move(head, (0, 0, h + r + 0.4)), lathe([(1.4, 0), (1.3, 0.3), (0.3, 0.6), (0.25, h + 0.3)])])


def _dish(rng: Generator) -> Trimesh:
    r, h, tilt, deep = rng.uniform([2, 2, 20, 0.5], [3.2, 4, 70, 1.1])
    t = np.linspace(0.03, 1, 7)
    bowl = lathe([(r * float(a), deep * float(a * a)) for a in t])
    feed = join([around(rod((0.9 * r, 0, 0.8 * deep), (0, 0, 1.8), 0.08), 3), ball(0.3, (0, 0, 1.8))])
    return join(
        [
            move(turn(join([bowl, feed]), tilt, "y"), (0, 0, h)),
            lathe([(1.2, 0), (0.3, 0.4), (0.25, h)]),
            ball(0.5, (0, 0, h)),
        ]
    )


def _tap(rng: Generator) -> Trimesh:
    h, reach, drop = rng.uniform([2.5, 2, 0.8], [4.5, 4, 2])
    spout = sweep(
        np.array([[0, 0, 0], [0, 0, h], [0.3 * reach, 0, h + 0.9], [0.8 * reach, 0, h + 0.7], [reach, 0, h - drop]]),
        0.35,
    )
    handle = join([rod((0, 0, 0.5), (0, 1.8, 0.7), 0.25), turn(around(rod((0, 0, 0), (0.8, 0, 0), 0.17), 4), 0)])
    cross = move(turn(around(rod((0, 0, 0), (0.8, 0, 0), 0.18), 4), 90, "x"), (0, 1.8, 0.7))
    return join([spout, both_sides(join([handle, cross])), lathe([(0.9, 0), (0.8, 0.5)])])


def _padlock(rng: Generator) -> Trimesh:
    w, h, thick, rise = rng.uniform([2, 2, 0.8, 0.6], [3.2, 3.2, 1.5, 2])
    t = np.linspace(0, np.pi, 11)
    bow = np.stack([0 * t, 0.33 * w * np.cos(t), h + rise + 0.33 * w * np.sin(t)], axis=1)
    shackle = sweep(np.vstack([[0, 0.33 * w, h], bow, [0, -0.33 * w, h]]), 0.25)
    body = box((thick, w, h)) if rng.random() < 0.6 else turn(lathe([(w / 2, 0), (w / 2, thick)]), 90, "y")
    lifted = body if body.vertices[:, 2].min() >= 0 else move(body, (-thick / 2, 0, h / 2))
    return turn(join([shackle, lifted]), rng.choice([0.0, 90.0]), "y")


def _monitor(rng: Generator) -> Trimesh:
    w, h, thick, lift = rng.uniform([4, 2.5, 0.3, 0.8], [7, 4.5, 1.2, 2])
    screen = join(
        [
            box((thick, w, h), (0, 0, lift)),
            box((0.2, w + 0.4, 0.3), (thick / 2, 0, lift)),
            box((0.2, w + 0.4, 0.3), (thick / 2, 0, lift + h)),
        ]
    )
    foot = box((2.2, 3, 0.25)) if rng.random() < 0.5 else lathe([(1.5, 0), (1.4, 0.3)])
    return join([turn(screen, rng.uniform(-12, 5), "y"), rod((0, 0, 0), (0, 0, lift + 0.8), 0.4), foot])


def _cannon(rng: Generator) -> Trimesh:
    long, r, tilt, wheel = rng.uniform([4, 0.5, 0, 1.2], [6.5, 0.9, 30, 2])
    barrel = lathe(
        [(0.6 * r, -0.3 * long), (1.3 * r, -0.25 * long), (r, 0.5 * long), (1.2 * r, 0.7 * long), (0.8 * r, 0.7 * long)]
    )
    spokes = turn(around(rod((0, 0, 0), (wheel, 0, 0), 0.12), 8), 90, "x")
    side = move(join([spokes, ring(wheel, 0.2, axis="y")]), (0, 1.4, wheel))
    return join(
        [
            move(turn(barrel, 90 - tilt, "y"), (0, 0, wheel + 0.5)),
            both_sides(side),
            rod((0, 0, wheel), (-long * 0.7, 0, 0.1), 0.3),
        ]
    )


def _stand_mixer(rng: Generator) -> Trimesh:
    h, reach, r = rng.uniform([3, 2, 1.2], [4.5, 3, 1.9])
    head = ball((0.7 * reach + 0.5, 0.8, 0.8), (0.4 * reach, 0, h))
    bowl = lathe([(0.5 * r, 0.5), (r, 1.5), (r, 2.2), (0.9 * r, 2.2), (0.4 * r, 0.7)])
    return join(
        [
            box((reach + 2 * r, 1.8, 0.5), (0.5 * reach, 0, 0)),
            box((1, 1.2, h)),
            head,
            move(bowl, (reach, 0, 0)),
            rod((reach, 0, 1), (reach, 0, h), 0.2),
        ]
    )


def _basket(rng: Generator) -> Trimesh:
    r, h, flare, n = *rng.uniform([1.5, 1.2, 1.1], [2.3, 2.5, 1.5]), int(rng.integers(10, 18))
    slats = around(rod((r, 0, 0), (flare * r, 0, h), 0.13), n)
    hoops = [ring(r * (1 + (flare - 1) * z), 0.13, (0, 0, z * h)) for z in np.linspace(0.05, 1, 4)]
    t = np.linspace(0, np.pi, 11)
    arch = sweep(np.stack([0 * t, flare * r * np.cos(t), h + 1.1 * r * np.sin(t)], axis=1), 0.18)
    return join([slats, *hoops, arch, lathe([(r, 0), (r, 0.2)])])


HOUSEHOLD = {
    "basket": _basket,
    "cannon": _cannon,
    "clock": _clock,
    "dish": _dish,
    "globe": _globe,
    "headphones": _headphones,
    "monitor": _monitor,
    "padlock": _padlock,
    "stand_mixer": _stand_mixer,
    "tap": _tap,
    "telescope": _telescope,
}
