"""Run a benchmark: every block once, whatever is interrupted in between."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from acqplan.evaluate.benchmark.block import BlockResult
from acqplan.evaluate.benchmark.design import Block, Design
from acqplan.evaluate.benchmark.elsewhere import here, in_processes, on_cluster
from acqplan.evaluate.benchmark.ledger import Ledger
from acqplan.evaluate.benchmark.material import Material
from acqplan.evaluate.benchmark.results import Results
from acqplan.progress import SILENT, Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Workplace:
    """Where blocks are computed.

    Attributes:
        device: Where heads are trained, as torch names it.
        workers: Processes of one core each; 1 for this process alone.
        cluster: Address of a dask scheduler; ``""`` for none.
    """

    device: str = "cpu"
    workers: int = 1
    cluster: str = ""


def run_benchmark(
    material: Material,
    design: Design,
    out: Path,
    *,
    workplace: Workplace | None = None,
    progress: Progress = SILENT,
) -> Results:
    """Compute every block that is not finished, and collect all of them.

    Args:
        material: All shots of the rig with their features.
        design: What is compared.
        out: Folder of the results; finished blocks in it are not computed again.
        workplace: Where to compute; this process by default.
        progress: Hears of cells.

    Returns:
        The results, the same however often the run was interrupted and wherever it was computed.

    Raises:
        InputError: If the folder holds results of another design, or of other images.
        MissingError: If the cluster is not there.
        AcqplanError: If processes or workers die.
    """
    ledger, digest = Ledger(out, design), material.digest
    blocks = design.blocks()
    done = {block.name: result for block in blocks if (result := ledger.load(block, digest)) is not None}
    missing = [block for block in blocks if block.name not in done]
    known = f" ({len(done) * len(design.cells):,} done before)" if done else ""
    with (
        progress.task(f"cells{known}", len(missing) * len(design.cells)) as advance,
        closing(_computed(material, design, missing, workplace or Workplace())) as results,
    ):
        for result in results:
            ledger.save(result, digest)
            done[result.block.name] = result
            advance(len(design.cells))
    found = [done[block.name] for block in blocks]
    return Results(design=design, shots=material.shots, blocks=found, weights=material.weights)


def _computed(
    material: Material, design: Design, blocks: Sequence[Block], workplace: Workplace
) -> Generator[BlockResult, None, None]:
    """Results as they come; closing it ends whoever computes elsewhere."""
    if not blocks:
        return
    if workplace.cluster:
        yield from on_cluster(material, design, blocks, device=workplace.device, address=workplace.cluster)
    elif workplace.workers > 1 and len(blocks) > 1:
        yield from in_processes(material, design, blocks, device=workplace.device, workers=workplace.workers)
    else:
        yield from here(material, design, blocks, device=workplace.device)
