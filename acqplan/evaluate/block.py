"""One block of a benchmark: every strategy and budget of one seed on one split, heads trained in one batch."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial, reduce

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from acqplan.advice.advise import advise
from acqplan.advice.answers import Advice
from acqplan.errors import AcqplanError
from acqplan.evaluate.design import Block, Design, seed_of, strategy_of
from acqplan.evaluate.replay import Arm, Failure, Run, attempt, joined_history
from acqplan.evaluate.validate import train_on, with_beliefs
from acqplan.files import digest_bytes
from acqplan.heads.linear import predict_all
from acqplan.plan.base import History
from acqplan.plan.deployed import deployed, view_rows
from acqplan.plan.rounds import stops_of
from acqplan.progress import SILENT, Progress
from acqplan.space import Shots
from acqplan.space.shots import distinct


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Material:
    """All shots of a rig and what the backbone sees in them.

    Attributes:
        shots: Every shot.
        features: Features of their images, shape ``[shots, features]``.
        view_weights: How often the classifier will meet each view, in the order of ``space.views()``; all alike.
    """

    shots: Shots
    features: Float32[np.ndarray, "shots features"]
    view_weights: Float[np.ndarray, " views"] | None = None

    @property
    def weights(self) -> Float[np.ndarray, " shots"] | None:
        """How much each shot counts where it is tested; ``None`` for all alike."""
        return None if self.view_weights is None else self.view_weights[view_rows(self.shots)]

    def tested(self, names: tuple[str, ...]) -> Int[np.ndarray, " some"]:
        """Rows of the shots of some objects from views that the classifier will meet."""
        rows, weights = self.rows_of(names), self.weights
        return rows if weights is None else rows[weights[rows] > 0]

    @property
    def digest(self) -> str:
        """SHA-256 of the features: results of other images or another machine's features do not mix."""
        return digest_bytes(np.ascontiguousarray(self.features).tobytes())

    def rows_of(self, names: tuple[str, ...]) -> Int[np.ndarray, " some"]:
        """Rows of the shots of some objects."""
        wanted = np.isin(np.array(self.shots.objects.names), names)
        return np.flatnonzero(wanted[self.shots.object_rows])

    def places(self, shots: Shots) -> Int[np.ndarray, " some"]:
        """Row of each of these shots, which must be among ours."""
        _, inverse = distinct(self.shots.join(shots))
        place = np.empty(inverse.max() + 1, dtype=np.int64)
        place[inverse[: len(self.shots)]] = np.arange(len(self.shots))
        return place[inverse[len(self.shots) :]]

    def __call__(self, shots: Shots, *, progress: Progress = SILENT) -> Float32[np.ndarray, "some features"]:
        """Show what was chosen: the `Capture` of a replay."""
        return self.features[self.places(shots)]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BlockResult:
    """What came out of a block; cells in the order of `Design.cells`.

    Attributes:
        block: Which it was.
        images: Images each cell took, 0 if it failed, shape ``[cells]``.
        failures: Why each cell failed; empty for one that did not.
        correct: Whether each test shot was classified correctly, shape ``[cells, tests]``.
        test_rows: Rows of the test shots among all shots of the rig, shape ``[tests]``.
        taken: Rows of the shots that each strategy took under the primary budget, in order.
        seconds: Time spent on planning, on heads, and altogether.
        advice: What the captures of the primary strategy say about capturing more, by budget; of the first block only.
    """

    block: Block
    images: Int[np.ndarray, " cells"]
    failures: tuple[str, ...]
    correct: Bool[np.ndarray, "cells tests"]
    test_rows: Int[np.ndarray, " tests"]
    taken: Mapping[str, Int[np.ndarray, " images"]]
    seconds: Mapping[str, float]
    advice: Mapping[int, Advice] = field(default_factory=dict)


def run_block(
    material: Material, design: Design, block: Block, *, device: str = "cpu", cores: int | None = None
) -> BlockResult:
    """Replay, train and judge every cell of a block: a pure function, times excepted.

    Args:
        material: All shots of the rig with their features. A strategy is shown those of its own captures only.
        design: The design.
        block: Which of its blocks.
        device: Where heads are trained.
        cores: Processor cores for them; by default all.
    """
    began = time.perf_counter()
    train, test = design.sides(block)
    candidates, test_rows = material.shots.take(material.rows_of(train)), material.tested(test)
    start = History.empty(candidates)
    learn = partial(with_beliefs, device=device, cores=cores)
    arms = arms_of(design, block, n_objects=len(train), view_weights=material.view_weights)
    ended = attempt(arms, candidates, start, material, learn=learn)
    planned = time.perf_counter()
    runs = [(cell, run) for cell, run in enumerate(ended) if isinstance(run, Run)]
    correct = np.zeros((len(ended), len(test_rows)), dtype=np.bool_)
    if runs:
        heads = train_on([joined_history(start, run) for _, run in runs], device=device, cores=cores)
        predicted = predict_all(heads, material.features[test_rows])
        correct[[cell for cell, _ in runs]] = predicted == material.shots.class_rows[test_rows]
    done = time.perf_counter()
    advice = _advice(design, runs, start, len(test), device) if block == design.blocks()[0] else {}
    return BlockResult(
        block=block,
        images=np.array([len(run.shots) if isinstance(run, Run) else 0 for run in ended], dtype=np.int64),
        failures=tuple(_reason(run) for run in ended),
        correct=correct,
        test_rows=test_rows,
        taken=_taken(design, ended, material),
        seconds={"planning": planned - began, "heads": done - planned, "altogether": done - began},
        advice=advice,
    )


def arms_of(
    design: Design, block: Block, *, n_objects: int, view_weights: Float[np.ndarray, " views"] | None = None
) -> list[Arm]:
    """The arms of a block, in the order of `Design.cells`."""
    rules = {name: deployed(strategy_of(name), view_weights) for name in design.strategies}
    return [
        Arm(
            strategy=rules[name],
            budget=budget,
            seed=seed_of(name, block.seed),
            stops=stops_of(rules[name], budget, n_objects),
        )
        for name, budget in design.cells
    ]


def _advice(
    design: Design, runs: Sequence[tuple[int, Run]], start: History, n_tested: int, device: str
) -> dict[int, Advice]:
    """After the captures of the primary strategy at each budget that it finished, from them alone."""
    return {
        run.arm.budget: advise(joined_history(start, run), test_objects=n_tested, device=device)
        for cell, run in runs
        if design.cells[cell][0] == design.primary
    }


def _reason(run: Run | Failure) -> str:
    if isinstance(run, Run):
        return ""
    kind = "" if isinstance(run.error, AcqplanError) else f"{type(run.error).__name__}: "
    return f"{kind}{run.error}" or type(run.error).__name__


def _taken(design: Design, ended: Sequence[Run | Failure], material: Material) -> dict[str, Int[np.ndarray, " images"]]:
    runs = {
        name: run.shots
        for (name, budget), run in zip(design.cells, ended, strict=True)
        if budget == design.primary_budget and isinstance(run, Run)
    }
    if not runs:
        return {}
    places = material.places(reduce(Shots.join, runs.values()))
    return dict(zip(runs, np.split(places, np.cumsum([len(shots) for shots in runs.values()])[:-1]), strict=True))
