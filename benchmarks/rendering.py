"""How much of the time of a rendered image is that of its rays: ``python benchmarks/rendering.py``.

Toys at 18 poses each, under two and under all six lightings, on one core: milliseconds of a pose, the rays that it
takes, and the share of the time that embree spends on them. What is left is geometry, shading, noise and exposure.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
from common import machine, options, say, write

from acqplan.rig import render
from acqplan.rig.render import LIGHTINGS, LitPose, RenderSettings, Shape, Sitting, photograph
from acqplan.rig.rendered import toy_shapes


class Timed:
    """A search tree of embree that keeps time and counts rays."""

    def __init__(self, tree: Any) -> None:
        self.tree, self.seconds, self.rays = tree, 0.0, 0

    def run(self, origins: np.ndarray, directions: np.ndarray, **asked: Any) -> Any:
        """What `EmbreeScene.run` gives."""
        began = time.perf_counter()
        found = self.tree.run(origins, directions, **asked)
        self.seconds += time.perf_counter() - began
        self.rays += len(origins)
        return found


def main() -> None:
    """Measure, print, write JSON."""
    asked = options(__doc__, ("--rounds", {"type": int, "default": 3}))
    about = machine("cpu")
    say(about)
    shapes = dict(list(toy_shapes().items())[:: 25 if asked.quick else 5])
    results = {}
    for lightings in (("L0", "L3"), tuple(LIGHTINGS)):
        rounds = [_measured(shapes, lightings) for _ in range(1 if asked.quick else asked.rounds)]
        best = min(rounds, key=lambda one: one["ms_a_pose"])
        results[f"{len(lightings)} lightings"] = best
        print(f"{len(lightings)} lightings: " + ", ".join(f"{name} {value:.3g}" for name, value in best.items()))
    write("rendering", asked, about, results)


def _measured(shapes: dict[str, Shape], lightings: tuple[str, ...]) -> dict[str, float]:
    angles = [(float(azimuth), float(elevation)) for azimuth in range(0, 360, 60) for elevation in (30, 50, 70)]
    poses, trees = tuple(LitPose(*both, lightings) for both in angles), list[Timed]()
    build = render.build_scene

    def timed(vertices: np.ndarray, faces: np.ndarray) -> render.Scene:
        scene = build(vertices, faces)
        trees.append(Timed(scene.tree))
        return replace(scene, tree=trees[-1])

    render.build_scene = timed
    render._scene.cache_clear()
    try:
        for name, shape in shapes.items():
            photograph(Sitting(name, shape, poses[:1], RenderSettings()))
        for tree in trees:
            tree.seconds, tree.rays = 0.0, 0
        began = time.perf_counter()
        for name, shape in shapes.items():
            photograph(Sitting(name, shape, poses, RenderSettings()))
        took, n_poses = time.perf_counter() - began, len(shapes) * len(poses)
    finally:
        render.build_scene = build
        render._scene.cache_clear()
    rays, traced = sum(tree.rays for tree in trees), sum(tree.seconds for tree in trees)
    return {
        "ms_a_pose": 1e3 * took / n_poses,
        "rays_a_pose": rays / n_poses,
        "million_rays_a_second": rays / traced / 1e6,
        "share_of_embree": traced / took,
    }


if __name__ == "__main__":
    main()
