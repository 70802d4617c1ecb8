"""What it costs to judge a plan by few shots of each test object: ``python benchmarks/judging_views.py``.

The main job is judged twice with each seed, by all shots of its test objects and by `TEST_VIEWS` of each: how much
wider are the intervals of the differences, and how often is the verdict another one?
"""

from __future__ import annotations

import time

import numpy as np
from common import QUICK_TOYS, machine, options, say, write

from acqplan import open_rig
from acqplan.evaluate.recommend import recommend
from acqplan.evaluate.task import TEST_VIEWS
from acqplan.evaluate.verdict import Validation


def main() -> None:
    """Measure, print, write JSON."""
    asked = options(
        __doc__,
        ("--budget", {"type": int, "default": 2430}),
        ("--seeds", {"type": int, "default": 8}),
        ("--rig", {"default": None}),
        ("--backbone", {"default": None}),
        ("--weights", {"default": None}),
    )
    about = machine(asked.device)
    say(about)
    if asked.quick:
        path = asked.out / "rig.toml"
        asked.out.mkdir(parents=True, exist_ok=True)
        path.write_text(QUICK_TOYS, encoding="utf-8")
        rig, budget, seeds, few = open_rig(path), 40, range(1), 6
    else:
        rig, budget, seeds, few = open_rig(asked.rig), asked.budget, range(asked.seeds), TEST_VIEWS
    backbone = "histogram" if asked.quick else asked.backbone
    found = []
    for seed in seeds:
        took, judged = {}, {}
        for name, views in (("all", None), ("few", few)):
            began = time.perf_counter()
            judged[name] = recommend(
                rig, budget, seed=seed, test_views=views, backbone=backbone, weights=asked.weights
            ).validation
            took[name] = time.perf_counter() - began
        found.append({"seed": seed, "seconds": took, "against": _compared(judged["all"], judged["few"])})
        print(f"seed {seed}: {found[-1]}", flush=True)
    wider = [one["wider"] for row in found for one in row["against"]]
    same = sum(one["same"] for row in found for one in row["against"])
    print(f"intervals {np.mean(wider):+.0%} ({min(wider):+.0%} to {max(wider):+.0%}), {same} of {len(wider)} verdicts")
    write("judging_views", asked, about, {"budget": budget, "views": few, "rows": found})


def _compared(whole: Validation | None, few: Validation | None) -> list[dict[str, object]]:
    """Of each opponent, how much wider the interval of the difference becomes, and whether the verdict stays."""
    assert whole is not None
    assert few is not None
    rows = []
    for one, other in zip(whole.verdicts, few.verdicts, strict=True):
        widths = [verdict.ci95[1] - verdict.ci95[0] for verdict in (one, other)]
        rows.append(
            {
                "b": one.b,
                "differences": [one.difference, other.difference],
                "widths": widths,
                "wider": widths[1] / widths[0] - 1.0,
                "same": one.verdict == other.verdict,
            }
        )
    return rows


if __name__ == "__main__":
    main()
