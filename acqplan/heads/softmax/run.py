"""Running blocks of softmax heads: side by side on the cores, or as a replayed graph on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from threading import Event

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor

from acqplan.errors import AcqplanError
from acqplan.heads.cores import one_core_each
from acqplan.heads.softmax.block import Block, make_block
from acqplan.heads.softmax.plan import BlockPlan
from acqplan.heads.softmax.setting import SoftmaxFit
from acqplan.heads.softmax.streams import updates_of_epoch
from acqplan.heads.softmax.update import keep_best, update, validate

WARM_UP = 3
"""Updates before a graph is captured, as torch advises: libraries make their workspaces in them."""

Place = tuple[int, int, int]
"""Rate, family and dropout of a head in its block."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Work:
    """What all blocks have in common.

    Attributes:
        features: The pool on its device, shape ``[pool, features]``.
        targets: Class of each row, shape ``[pool]``.
        n_classes: Classes of a head.
        updates: Updates of every head.
        batch: Images in an update.
        advance: Told of updates done, summed over heads; safe to call from any thread.
        stop: Set when the work is no longer wanted.
    """

    features: Float32[Tensor, "pool features"]
    targets: Int[np.ndarray, " pool"]
    n_classes: int
    updates: int
    batch: int
    advance: Callable[[int], None]
    stop: Event = field(default_factory=Event)


Done = list[tuple[int, SoftmaxFit]]
"""Heads with the number of their data set."""


def run_blocks(plans: Sequence[BlockPlan], work: Work, workers: int) -> Done:
    """Train all blocks, ``workers`` of them at a time, each in a thread with one core.

    Raises:
        AcqplanError: If a loss is not finite, naming the head, or one head does not fit in memory.
    """
    if workers == 1:
        return [fit for plan in plans for fit in _run(plan, work)]
    with one_core_each(), ThreadPoolExecutor(workers, thread_name_prefix="softmax") as pool:
        try:
            futures = [pool.submit(_run, plan, work) for plan in plans]
            # the first that fails is looked at first: its error must not wait for those that still run
            finished, _ = wait(futures, return_when=FIRST_EXCEPTION)
            return [fit for future in finished for fit in future.result()]
        finally:
            work.stop.set()
            pool.shutdown(wait=True, cancel_futures=True)


class Replay:
    """A step that is captured as a CUDA graph after some calls, and replayed from then on; elsewhere just called.

    Args:
        step: Changes tensors in place, always the same ones, and asks none for its value.
        device: Where these tensors are.
    """

    def __init__(self, step: Callable[[], None], device: torch.device) -> None:
        self.step = step
        self.device = device
        self.calls = 0
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self) -> None:
        """Do the step once."""
        self.calls += 1
        if self.device.type != "cuda":
            self.step()
        elif self.calls <= WARM_UP:
            self._aside()
        else:
            self._captured().replay()

    def _aside(self) -> None:
        """Graphs must be warmed up on a stream that is not the default one."""
        stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(stream):
            self.step()
        torch.cuda.current_stream(self.device).wait_stream(stream)

    def _captured(self) -> torch.cuda.CUDAGraph:
        if self.graph is None:
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.device(self.device), torch.cuda.graph(self.graph):
                self.step()
        return self.graph


def _run(plan: BlockPlan, work: Work) -> Done:
    """Train a block; if it does not fit in memory, its halves one after the other."""
    try:
        return _train(plan, work)
    except (RuntimeError, MemoryError) as error:
        if not _out_of_memory(error):
            raise
        halves = plan.halves()
        if halves is None:
            width = plan.families[0].width
            raise AcqplanError(
                f"one softmax head of {width} inputs does not fit in memory",
                "use a device with more, principal components, or a layer of fewer features",
            ) from error
    # outside the handler, whose traceback holds on to the tensors of the block that failed
    return [fit for half in halves for fit in _run(half, work)]


@torch.inference_mode()
def _train(plan: BlockPlan, work: Work) -> Done:
    block = make_block(
        plan, work.features, work.targets, n_classes=work.n_classes, updates=work.updates, batch=work.batch
    )
    step = Replay(lambda: update(block), work.features.device)
    losses: list[list[Float[np.ndarray, "rates dropouts"]]] = [[] for _ in plan.families]
    done = 0
    for end, families in _epoch_ends(plan, work):
        for _ in range(end - done):
            step()
        work.advance((end - done) * len(plan))
        done = end
        for family in families:
            _close_epoch(plan, block, family, losses[family], end)
        if work.stop.is_set():
            return []
    return list(_fits(plan, block, losses))


def _epoch_ends(plan: BlockPlan, work: Work) -> Iterator[tuple[int, list[int]]]:
    """After which updates an epoch ends, and of which families; the last update ends all."""
    ends: dict[int, list[int]] = {}
    for number, family in enumerate(plan.families):
        length = updates_of_epoch(len(family.rows.train), work.batch)
        for end in {*range(length, work.updates, length), work.updates}:
            ends.setdefault(end, []).append(number)
    yield from sorted(ends.items())


def _close_epoch(
    plan: BlockPlan, block: Block, family: int, losses: list[Float[np.ndarray, "rates dropouts"]], end: int
) -> None:
    found = validate(block, family)
    _check_finite(found, plan, family, f"validation loss is {{}} after epoch {len(losses) + 1} (update {end:,})")
    keep_best(block, family, found < np.min(losses, axis=0) if losses else np.ones_like(found, dtype=np.bool_))
    losses.append(found)


def _check_finite(found: Float[np.ndarray, "rates dropouts"], plan: BlockPlan, family: int, complaint: str) -> None:
    if np.isfinite(found).all():
        return
    rate, dropout = map(int, np.argwhere(~np.isfinite(found))[0])
    head = f"data set {plan.families[family].number}, {plan.setting(rate, family, dropout)}"
    raise AcqplanError(
        f"{head}: {complaint.format(found[rate, dropout])}", "look at the scale of the features, or lower the rate"
    )


def _fits(
    plan: BlockPlan, block: Block, losses: list[list[Float[np.ndarray, "rates dropouts"]]]
) -> Iterable[tuple[int, SoftmaxFit]]:
    largest = block.second.weight.flatten(3).amax(dim=3).cpu().numpy()
    for number in range(len(plan.families)):
        # Adam never moves again where a square was infinite: a wrong head with a loss like any other
        _check_finite(largest[:, number], plan, number, "the square of a gradient was {}")
        curves = np.stack(losses[number])
        for rate, dropout in np.ndindex(curves.shape[1:]):
            yield plan.families[number].number, _fit(plan, block, (rate, number, dropout), curves[:, rate, dropout])


def _fit(plan: BlockPlan, block: Block, place: Place, losses: Float[np.ndarray, " epochs"]) -> SoftmaxFit:
    """A head in the space of the original features, absent classes without weight."""
    family = plan.families[place[1]]
    bias = block.best.bias[place]
    weight = block.best.weight[place][:, : family.width].mT.masked_fill(bias == -torch.inf, 0.0)
    if family.preparation is not None:
        weight = family.preparation.projection @ weight
        bias = bias - family.preparation.mean @ weight
    return SoftmaxFit(
        setting=plan.setting(*place),
        weight=np.ascontiguousarray(weight.cpu().numpy()),
        bias=bias.cpu().numpy().copy(),
        best_epoch=int(np.argmin(losses)) + 1,
        losses=losses.copy(),
    )


def _out_of_memory(error: Exception) -> bool:
    """Of a device, or of main memory, for which torch has no class of its own."""
    known = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return known or "can't allocate memory" in str(error)
