"""Vessels and kitchen things: mostly turned profiles with handles and spouts."""

from __future__ import annotations

import numpy as np
from trimesh import Trimesh

from benchmarks.toyshop.families.parts import around, ball, box, join, lathe, move, ring, rod, stretch, sweep, turn

Generator = np.random.Generator


def _ear(radius: float, low: float, high: float, reach: float, thick: float = 0.25) -> Trimesh:
    """A bent handle at the side of a vessel, from one height to another."""
    t = np.linspace(0, np.pi, 9)
    path = np.stack([radius + reach * np.sin(t), 0 * t, (low + high) / 2 - (high - low) / 2 * np.cos(t)], axis=1)
    return sweep(path, thick)


def _spout(radius: float, low: float, high: float, reach: float) -> Trimesh:
    path = np.array([[radius, 0, low], [radius + 0.6 * reach, 0, (low + high) / 2], [radius + reach, 0, high]])
    return stretch(sweep(path, np.array([0.6, 0.4, 0.28])), (-1, 1, 1))


def _hollow(profile: list[tuple[float, float]], wall: float = 0.2) -> Trimesh:
    """An open vessel with a wall, from its outer profile."""
    inside = [(max(r - wall, 0.05), z) for r, z in reversed(profile[1:])]
    return lathe([*profile, *inside, (0.05, profile[0][1] + wall)])


def _cup(rng: Generator) -> Trimesh:
    r, h, flare, reach = rng.uniform([1.4, 2.2, 0.75, 0.8], [2.2, 4, 1.4, 1.4])
    return join(
        [_hollow([(r, 0), (r * (1 + flare) / 2, h / 2), (r * flare, h)]), _ear(0.9 * r, 0.2 * h, 0.8 * h, reach)]
    )


def _saucer_cup(rng: Generator) -> Trimesh:
    r, h, plate = rng.uniform([1.4, 1.5, 2.5], [2.2, 2.5, 4])
    cup = join(
        [
            _hollow([(0.6 * r, 0.5), (0.95 * r, 0.5 + 0.4 * h), (1.1 * r, 0.5 + h)]),
            _ear(r, 0.5 + 0.3 * h, 0.5 + 0.8 * h, 0.8),
        ]
    )
    return join([cup, _hollow([(0.5 * plate, 0), (plate, 0.6)], 0.15)])


def _bottle(rng: Generator) -> Trimesh:
    r, body, neck, thin = rng.uniform([0.9, 3, 1, 0.3], [1.8, 5, 3, 0.55])
    shoulder = rng.uniform(0.5, 1.6)
    return lathe(
        [
            (r, 0),
            (r, body),
            (thin * 1.3, body + shoulder),
            (thin, body + shoulder + neck),
            (thin * 1.3, body + shoulder + neck),
            (thin * 1.3, body + shoulder + neck + 0.4),
        ]
    )


def _teapot(rng: Generator) -> Trimesh:
    r, flat, reach = rng.uniform([2, 0.6, 1.3], [2.8, 1, 2.2])
    h = r * flat * 1.7
    body = ball((r, r, r * flat), (0, 0, r * flat * 0.9))
    lid = join([lathe([(0.5 * r, 0.97 * h), (0.3 * r, 1.1 * h)]), ball(0.35, (0, 0, 1.12 * h + 0.3))])
    return join([body, lid, _ear(0.85 * r, 0.3 * h, 0.85 * h, 0.6 * reach), _spout(0.85 * r, 0.35 * h, h, reach)])


def _bowl(rng: Generator) -> Trimesh:
    r, h, foot = rng.uniform([2.5, 1.2, 0.8], [4, 2.8, 1.6])
    t = np.linspace(0, 1, 6)
    return _hollow([(foot, 0), *((foot + (r - foot) * float(np.sin(a * 1.5)), 0.4 + h * a * a) for a in t)])


def _vase(rng: Generator) -> Trimesh:
    heights = np.linspace(0, rng.uniform(5, 8), 9)
    waves = rng.uniform([0.8, 0.2, 0.4, 0], [1.6, 0.9, 1.3, 6])
    radius = waves[0] + waves[1] * np.sin(waves[2] * heights + waves[3])
    return _hollow([(float(r), float(z)) for r, z in zip(np.maximum(radius, 0.45), heights, strict=True)])


def _jug(rng: Generator) -> Trimesh:
    r, h, neck = rng.uniform([1.5, 4, 0.6], [2.3, 6.5, 0.9])
    body = _hollow([(0.8 * r, 0), (r, 0.35 * h), (neck * r, 0.75 * h), (0.9 * r, h)])
    lip = rod((-0.6 * r, 0, 0.9 * h), (-1.3 * r, 0, h), 0.5, 0.2)
    return join([body, lip, _ear(0.7 * r, 0.3 * h, 0.92 * h, 1.4)])


def _barrel(rng: Generator) -> Trimesh:
    r, h, bulge = rng.uniform([1.4, 3.5, 1.1], [2.2, 5.5, 1.35])
    wall = lathe(
        [
            (r, 0),
            (r * (1 + bulge) / 2 * 1.02, 0.25 * h),
            (bulge * r, h / 2),
            (r * (1 + bulge) / 2 * 1.02, 0.75 * h),
            (r, h),
        ]
    )
    hoops = [
        ring(r * k, 0.12, (0, 0, z * h))
        for k, z in ((1.02, 0.06), (bulge * 0.96, 0.3), (bulge * 0.96, 0.7), (1.02, 0.94))
    ]
    upright = join([wall, *hoops])
    return upright if rng.random() < 0.6 else turn(upright, 90, "y")


def _wine_glass(rng: Generator) -> Trimesh:
    r, stem, bowl, mouth = rng.uniform([1.2, 1.5, 2, 0.7], [2, 4, 3.5, 1.3])
    return lathe(
        [
            (1.4, 0),
            (1.3, 0.15),
            (0.2, 0.4),
            (0.15, stem),
            (0.8 * r, stem + 0.3 * bowl),
            (r, stem + 0.6 * bowl),
            (mouth * r, stem + bowl),
            (mouth * r - 0.15, stem + bowl),
            (0.7 * r, stem + 0.4 * bowl),
        ]
    )


def _watering_can(rng: Generator) -> Trimesh:
    r, h, reach = rng.uniform([1.5, 2.5, 2], [2.2, 4, 3.5])
    rose = turn(lathe([(0.3, 0), (0.9, 0.8)]), -50, "y")
    hoop = turn(_ear(0, -0.8 * r, 0.8 * r, 1.2), -90, "y")
    return join(
        [
            _hollow([(r, 0), (0.85 * r, h)]),
            _spout(0.9 * r, 0.25 * h, 1.1 * h, reach),
            move(rose, (-r - reach, 0, 1.1 * h)),
            move(hoop, (0, 0, h)),
            _ear(0.8 * r, 0.2 * h, 0.9 * h, 1.2),
        ]
    )


def _pan(rng: Generator) -> Trimesh:
    r, h, long = rng.uniform([2, 0.6, 2.5], [3, 2.4, 5])
    pan = _hollow([(0.9 * r, 0), (r, h)])
    lid = [lathe([(r, h), (0.5 * r, h + 0.6), (0.2, h + 0.7)]), ball(0.4, (0, 0, h + 1))] if rng.random() < 0.3 else []
    return join([pan, rod((0.95 * r, 0, 0.8 * h), (r + long, 0, 0.9 * h + 0.4), 0.28), *lid])


def _bucket(rng: Generator) -> Trimesh:
    r, h, lift = rng.uniform([1.3, 2.5, 20], [1.8, 4, 160])
    t = np.linspace(0, np.pi, 11)
    bail = sweep(1.4 * r * np.stack([np.sin(t), np.cos(t), 0 * t], axis=1), 0.12)
    return join(
        [_hollow([(r, 0), (1.4 * r, h)]), ring(1.4 * r, 0.15, (0, 0, h)), move(turn(bail, -lift, "y"), (0, 0, h))]
    )


def _funnel(rng: Generator) -> Trimesh:
    r, cone, pipe = rng.uniform([1.8, 1.5, 1.5], [3, 3, 3])
    shape = _hollow([(0.3, 0), (0.4, pipe), (r, pipe + cone), (r, pipe + cone + 0.4)], 0.12)
    return turn(shape, 180, "x") if rng.random() < 0.4 else shape


def _candlestick(rng: Generator) -> Trimesh:
    h, foot, arm = rng.uniform([3, 1, 1.2], [6, 2, 2.2])
    stick = lathe(
        [
            (foot, 0),
            (foot, 0.3),
            (0.4, 0.8),
            (0.25, 0.4 * h),
            (0.6, 0.5 * h),
            (0.25, 0.6 * h),
            (0.3, h),
            (0.8, h),
            (0.8, h + 0.3),
        ]
    )
    candle = rod((0, 0, h), (0, 0, h + 2), 0.35)
    branch = join(
        [
            sweep(np.array([[0, 0, 0.55 * h], [0.6 * arm, 0, 0.5 * h], [arm, 0, 0.8 * h]]), 0.18),
            rod((arm, 0, 0.8 * h), (arm, 0, 0.8 * h + 1.6), 0.3),
        ]
    )
    return (
        join([stick, candle, around(branch, int(rng.integers(2, 5)))]) if rng.random() < 0.6 else join([stick, candle])
    )


def _spoon(rng: Generator) -> Trimesh:
    long, r, bend = rng.uniform([4, 0.9, 0.2], [7, 1.7, 1.2])
    t = np.linspace(0, 1, 7)
    stem = sweep(np.stack([long * t + r * 0.8, 0 * t, 0.4 + bend * np.sin(np.pi * t)], axis=1), 0.2 + 0.1 * t)
    return join([ball((1.3 * r, r, 0.35 * r), (0, 0, 0.4)), stem])


def _fork(rng: Generator) -> Trimesh:
    long, wide, tine, n = *rng.uniform([4, 1.2, 1.5], [6, 2, 3]), int(rng.integers(2, 5))
    prongs = [rod((0, y, 0.4), (-tine, y, 0.8), 0.2, 0.1) for y in np.linspace(-wide / 2, wide / 2, n)]
    return join([*prongs, box((0.9, wide + 0.4, 0.35), (0.3, 0, 0.2)), rod((0.5, 0, 0.4), (long, 0, 0.9), 0.2, 0.35)])


def _mill(rng: Generator) -> Trimesh:
    r, h = rng.uniform([1.2, 3], [1.8, 5])
    crank = join(
        [rod((0, 0, h), (0, 0, h + 0.8), 0.2), rod((0, 0, h + 0.8), (2, 0, h + 0.8), 0.2), ball(0.4, (2, 0, h + 1.2))]
    )
    body = box((2 * r, 2 * r, 0.5 * h)) if rng.random() < 0.5 else lathe([(r, 0), (0.7 * r, 0.5 * h)])
    return join([body, lathe([(0.9 * r, 0.5 * h), (r, 0.8 * h), (0.4 * r, h)]), turn(crank, rng.uniform(0, 360))])


VESSELS = {
    "barrel": _barrel,
    "bottle": _bottle,
    "bowl": _bowl,
    "bucket": _bucket,
    "candlestick": _candlestick,
    "cup": _cup,
    "fork": _fork,
    "funnel": _funnel,
    "jug": _jug,
    "mill": _mill,
    "pan": _pan,
    "saucer_cup": _saucer_cup,
    "spoon": _spoon,
    "teapot": _teapot,
    "vase": _vase,
    "watering_can": _watering_can,
    "wine_glass": _wine_glass,
}
