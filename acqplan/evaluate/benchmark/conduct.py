"""A benchmark from rig to findings: the library's twin of ``acqplan benchmark``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from acqplan.errors import SplitError
from acqplan.evaluate.benchmark.design import Design, draw_up
from acqplan.evaluate.benchmark.elsewhere import check_cluster
from acqplan.evaluate.benchmark.findings import Findings, find
from acqplan.evaluate.benchmark.ledger import Ledger
from acqplan.evaluate.benchmark.material import Material
from acqplan.evaluate.benchmark.run import Workplace, run_benchmark
from acqplan.evaluate.eye import Eye
from acqplan.progress import SILENT, Progress
from acqplan.rig.spec import RigSetup
from acqplan.runtime import Runtime, available_cores

STRATEGIES = ("lattice", "herding", "maximin", "sobol", "even-staggered", "random-shots", "even", "random")
"""What is compared by default; the first is the one the claim is about."""

SEEDS = 20
"""A claim needs as many (METHODS.md section 3)."""

N_BUDGETS = 6
FEWEST_AN_OBJECT, LARGEST_SHARE = 4, 1 / 6
"""Default budgets run from 4 images an object to a sixth of what can be had, in equal steps of their logarithm."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Benchmark:
    """A benchmark that is ready to run.

    Attributes:
        design: What is compared.
        eye: What looks at the rig.
        view_weights: How often the classifier will meet each view, in the order of ``space.views()``; all alike.
    """

    design: Design
    eye: Eye
    view_weights: Float[np.ndarray, " views"] | None = None

    def register(self, out: Path) -> None:
        """Write design.json, before anything is measured.

        Raises:
            InputError: If the folder holds another design.
            OutputError: If it cannot be written.
        """
        Ledger(out, self.design)

    def run(self, out: Path, *, workers: int | None = None, cluster: str = "", progress: Progress = SILENT) -> Findings:
        """Run what is not finished, and say what all of it says.

        Args:
            out: Folder of design.json and the finished cells; a killed run goes on from there.
            workers: Processes; by default one a core on a processor, and one on any other device.
            cluster: Address of a dask scheduler that runs the cells; ``""`` for none.
            progress: Hears about long work.

        Raises:
            InputError: If the folder holds results of another design or of other images.
            MissingError: If the cluster is not there.
            AcqplanError: If processes die, or the primary contrast has no seed left.
        """
        if cluster:
            check_cluster(cluster)
        self.register(out)
        shots = self.eye.rig.shots()
        features = self.eye(shots, progress=progress)
        material = Material(shots=shots, features=features, view_weights=self.view_weights)
        device = self.eye.runtime.device
        workplace = Workplace(
            device=device, workers=workers or (available_cores() if device == "cpu" else 1), cluster=cluster
        )
        return find(run_benchmark(material, self.design, out, workplace=workplace, progress=progress))


def prepare(
    setup: RigSetup,
    *,
    strategies: Sequence[str] = STRATEGIES,
    budgets: Sequence[int] = (),
    seeds: Sequence[int] = range(SEEDS),
    n_splits: int | None = None,
    swap: bool = True,
    primary: str | None = None,
    baseline: str | None = None,
    primary_budget: int | None = None,
    backbone: str | None = None,
    weights: Path | None = None,
    runtime: Runtime | None = None,
) -> Benchmark:
    """Settle the design of a benchmark and load its backbone; nothing is captured yet.

    Args:
        setup: The rig, from `open_rig`; every shot of it can be had.
        strategies: Names; see `draw_up` for these and the following.
        budgets: Images each may take; by default six, from 4 images an object to a sixth of all.
        seeds: Seeds.
        n_splits: Splits of the objects.
        swap: Whether to swap train and test objects as well.
        primary: The strategy the claim is about.
        baseline: The strategy of the primary contrast.
        primary_budget: The budget of the claim.
        backbone: ``name`` or ``name:layer``; toynet for toys, otherwise mobilenet_v2.
        weights: File of the backbone's weights; downloaded if ``None``.
        runtime: Where the backbone and the heads run; the fastest device by default.

    Raises:
        AcqplanError: As `draw_up` and `Eye.open`.
    """
    if setup.rig.name == "live":
        raise SplitError("a live rig cannot be benchmarked: its images do not exist", "use a folder, toys or meshes")
    eye = Eye.open(setup.rig, backbone=backbone, weights=weights, runtime=runtime or Runtime.detect())
    design = draw_up(
        setup,
        backbone=eye.backbone.fingerprint,
        strategies=strategies,
        budgets=budgets or usual_budgets(setup),
        seeds=seeds,
        n_splits=n_splits,
        swap=swap,
        primary=primary,
        baseline=baseline,
        primary_budget=primary_budget,
    )
    return Benchmark(design=design, eye=eye, view_weights=setup.view_weights)


def usual_budgets(setup: RigSetup) -> tuple[int, ...]:
    """Six budgets that suit a rig; fewer if it has few shots."""
    shots = setup.rig.shots()
    n_objects = max(len(shots.objects) // 2, 1)
    fewest = FEWEST_AN_OBJECT * n_objects
    most = max(round(LARGEST_SHARE * len(shots) / 2), fewest)
    return tuple(sorted({round(budget / n_objects) * n_objects for budget in np.geomspace(fewest, most, N_BUDGETS)}))
