"""Abstract assemblies of balls, blocks, rods and rings."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from jaxtyping import Float64
from trimesh import Trimesh

from benchmarks.toyshop.families.parts import ball, box, join, lathe, move, ring, rod, stretch, turn

Generator = np.random.Generator


def _spin(rng: Generator, part: Trimesh) -> Trimesh:
    """Turned any way up."""
    return turn(turn(part, rng.uniform(0, 360), "x"), rng.uniform(0, 360), "y")


def _crystal_cluster(rng: Generator) -> Trimesh:
    shards = []
    for _ in range(int(rng.integers(5, 10))):
        long, r = rng.uniform([1.5, 0.3], [4, 0.7])
        shard = join(
            [rod((0, 0, 0), (0, 0, long), r, sides=6), rod((0, 0, long), (0, 0, long + 2 * r), r, 0.02, sides=6)]
        )
        shards.append(turn(turn(shard, rng.uniform(0, 65), "y"), rng.uniform(0, 360)))
    return join(shards)


def _box_pile(rng: Generator) -> Trimesh:
    z, blocks = 0.0, []
    for _ in range(int(rng.integers(3, 7))):
        size = rng.uniform([1, 1, 0.5], [3, 3, 1.5])
        blocks.append(move(turn(box(size), rng.uniform(0, 90)), (*rng.normal(0, 0.4, 2), z)))
        z += size[2]
    return join(blocks)


def _block_cloud(rng: Generator) -> Trimesh:
    return join(
        move(_spin(rng, box(rng.uniform(0.5, 2.2, 3))), rng.normal(0, 1.2, 3)) for _ in range(int(rng.integers(5, 11)))
    )


def _jack(rng: Generator) -> Trimesh:
    n, long, r = int(rng.integers(3, 6)), rng.uniform(1.8, 3), rng.uniform(0.2, 0.4)
    ends = rng.normal(0, 1, (n, 3))
    ends *= long / np.linalg.norm(ends, axis=1, keepdims=True)
    tips = [ball(rng.uniform(0.4, 0.8), s * end) for end in ends for s in (-1, 1)]
    return join([*(rod(-end, end, r) for end in ends), *tips])


def _chain(rng: Generator) -> Trimesh:
    n, r, thick, bend = int(rng.integers(3, 7)), *rng.uniform([0.8, 0.15, -25], [1.2, 0.3, 25])
    link = stretch(ring(r, thick, axis="z"), (1.4, 1, 1))
    place, heading, links = np.zeros(3), 0.0, []
    for i in range(n):
        links.append(move(turn(turn(link, 90.0 * (i % 2) + 20, "x"), heading), place))
        heading += bend
        place = place + 1.9 * r * np.array([np.cos(np.radians(heading)), np.sin(np.radians(heading)), 0])
    return join(links)


def _spikes(rng: Generator) -> Trimesh:
    n, r = int(rng.integers(10, 26)), rng.uniform(1, 1.7)
    ways = rng.normal(0, 1, (n, 3))
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    return join([ball(r), *(rod(0.8 * r * way, (r + rng.uniform(0.8, 2)) * way, 0.35, 0.02) for way in ways)])


def _molecule(rng: Generator) -> Trimesh:
    places, parts = [np.zeros(3)], [ball(rng.uniform(0.6, 1))]
    for _ in range(int(rng.integers(4, 10))):
        base, way = places[int(rng.integers(len(places)))], rng.normal(0, 1, 3)
        end = base + 2 * way / np.linalg.norm(way)
        places.append(end)
        parts += [rod(base, end, 0.2), ball(rng.uniform(0.4, 0.9), end)]
    return join(parts)


def _frame(rng: Generator) -> Trimesh:
    size, thick = rng.uniform(2, 5, 3), rng.uniform(0.12, 0.35)
    corners = np.array([[i, j, k] for i in (-0.5, 0.5) for j in (-0.5, 0.5) for k in (-0.5, 0.5)]) * size
    pairs = [(a, b) for a in range(8) for b in range(a) if np.count_nonzero(corners[a] != corners[b]) == 1]
    braces = [(0, 3), (4, 7)] if rng.random() < 0.5 else []
    bars = join(rod(corners[a], corners[b], thick, sides=4) for a, b in [*pairs, *braces])
    return bars if rng.random() < 0.6 else _spin(rng, bars)


def _rings(rng: Generator) -> Trimesh:
    hoops = [_spin(rng, ring(rng.uniform(1, 2.5), rng.uniform(0.15, 0.4))) for _ in range(int(rng.integers(2, 5)))]
    return join([*hoops, ball(rng.uniform(0.3, 0.9))])


def _assembly(rng: Generator) -> Trimesh:
    """A few different parts, each hung on the surface of one before."""
    parts: list[Trimesh] = [_random_part(rng)]
    for _ in range(int(rng.integers(3, 7))):
        anchor = parts[int(rng.integers(len(parts)))].vertices
        parts.append(move(_random_part(rng), anchor[int(rng.integers(len(anchor)))]))
    return join(parts)


def _paired_assembly(rng: Generator) -> Trimesh:
    half = _assembly(rng)
    return join([half, stretch(half, (1, -1, 1))])


def _random_part(rng: Generator) -> Trimesh:
    a, b, c = rng.uniform(0.4, 1.8, 3)
    shapes: list[Trimesh] = [
        box((a, b, c)),
        ball((a, b, c)),
        rod((0, 0, -a), (0, 0, a), 0.5 * b),
        lathe([(b, -a), (0.1, a)]),
        ring(a, 0.25 * b),
    ]
    return _spin(rng, shapes[int(rng.integers(5))])


def _bent_pipe(rng: Generator) -> Trimesh:
    steps = np.eye(3)[rng.integers(0, 3, int(rng.integers(4, 8)))] * rng.choice([-2.0, 2.0], (1, 3))
    corners: Float64[np.ndarray, "corners 3"] = np.vstack([np.zeros(3), np.cumsum(steps, axis=0)])
    r = rng.uniform(0.35, 0.7)
    bars = [rod(a, b, r) for a, b in pairwise(corners)]
    return join([*bars, *(ball(1.1 * r, corner) for corner in corners)])


ASSEMBLIES = {
    "assembly": _assembly,
    "bent_pipe": _bent_pipe,
    "block_cloud": _block_cloud,
    "box_pile": _box_pile,
    "chain": _chain,
    "crystal_cluster": _crystal_cluster,
    "frame": _frame,
    "jack": _jack,
    "molecule": _molecule,
    "paired_assembly": _paired_assembly,
    "rings": _rings,
    "spikes": _spikes,
}
