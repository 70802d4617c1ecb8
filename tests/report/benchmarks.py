"""Made-up benchmarks: real tests on invented classifications, so that every number of a report is coherent."""

from dataclasses import dataclass

import numpy as np

from acqplan.evaluate.design import Block, Design
from acqplan.evaluate.findings import Findings, find
from acqplan.evaluate.results import BlockResult, Results
from acqplan.evaluate.task import Split
from acqplan.space import Objects, Shots, Space
from tests.report.conftest import some_advice

USUAL = ("lattice", "random-shots", "even", "even-staggered", "random", "sobol")
SKILL = {"lattice": 0.86, "random-shots": 0.84, "even": 0.70, "even-staggered": 0.84, "random": 0.78, "sobol": 0.85}


@dataclass(frozen=True, kw_only=True)
class Make:
    """What a made-up benchmark is of."""

    strategies: tuple[str, ...] = USUAL
    budgets: tuple[int, ...] = (12, 24, 48)
    n_seeds: int = 4
    swap: bool = True
    fails: tuple[tuple[str, int], ...] = ()
    reason: str = "ValueError: it raised"


def some_findings(space: Space, objects: Objects, make: Make) -> Findings:
    shots = Shots.every(space, objects)
    half = len(objects) // 2
    split = Split(train=objects.names[:half], test=objects.names[half:])
    design = Design(
        rig="ab" * 32,
        backbone="cd" * 32,
        strategies=make.strategies,
        parameters={name: {} for name in make.strategies},
        budgets=make.budgets,
        seeds=tuple(range(make.n_seeds)),
        splits=(split,),
        swap=make.swap,
        primary=make.strategies[0],
        baseline=make.strategies[1],
        primary_budget=make.budgets[-1],
    )
    blocks = [_some_block(shots, design, block, make) for block in design.blocks()]
    return find(Results(design=design, shots=shots, blocks=blocks))


def _some_block(shots: Shots, design: Design, block: Block, make: Make) -> BlockResult:
    random = np.random.default_rng([block.seed, block.swapped])
    names = np.array(shots.objects.names)[shots.object_rows]
    train, test = design.sides(block)
    pool, rows = np.flatnonzero(np.isin(names, train)), np.flatnonzero(np.isin(names, test))
    ease = np.random.default_rng(7).normal(0, 0.06, len(shots.objects))[shots.object_rows[rows]]
    failed = [_fails(cell, block, make) for cell in design.cells]
    chance = np.array([_skill(make, *cell) for cell in design.cells])[:, None] + ease
    return BlockResult(
        block=block,
        images=np.array([0 if bad else budget for bad, (_, budget) in zip(failed, design.cells, strict=True)]),
        failures=tuple(make.reason if bad else "" for bad in failed),
        correct=(random.random(chance.shape) < chance) & ~np.array(failed)[:, None],
        test_rows=rows,
        taken={
            name: random.permutation(pool)[: design.primary_budget]
            for name in design.strategies
            if not _fails((name, design.primary_budget), block, make)
        },
        seconds={"altogether": 0.0},
        advice={budget: some_advice(images=budget, capacity=960) for budget in make.budgets}
        if block == design.blocks()[0]
        else {},
    )


def _fails(cell: tuple[str, int], block: Block, make: Make) -> bool:
    return any(cell[0] == name and seed in (block.seed, -1) for name, seed in make.fails)


def _skill(make: Make, name: str, budget: int) -> float:
    known = SKILL.get(name, 0.75 + 0.1 * make.strategies.index(name) / len(make.strategies))
    return known - 0.15 * float(np.log(make.budgets[-1] / budget)) / 4
