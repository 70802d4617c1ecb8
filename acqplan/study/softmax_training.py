"""Running blocks of softmax heads: side by side on the cores, or as a replayed graph on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from threading import Event
from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int, Int32
from torch import Tensor
from torch.optim.adam import adam

from acqplan.errors import AcqplanError
from acqplan.heads.exact import one_core_each
from acqplan.rng import generator
from acqplan.study.softmax_plan import BlockPlan, Family, SoftmaxFit

NOBODY: Final = -1
"""Fills up the last batch of an epoch."""

LEVELS: Final = 2**31
"""Steps of the uniform number that decides whether an input is dropped."""

_FACTORS: Final = (0x21F0AAAD, 0xD35A2D97)
_SHIFTS: Final = (16, 15, 15)


def start_weight(seed: int, n_classes: int, width: int) -> Float32[np.ndarray, "classes width"]:
    """Weights before the first update.

    Source:
        X. Glorot, Y. Bengio, AISTATS 2010, equation 16: uniform within ``sqrt(6 / (fan in + fan out))``.
    """
    limit = np.sqrt(6.0 / (n_classes + width))
    return generator(seed, "softmax start").uniform(-limit, limit, (n_classes, width)).astype(np.float32)


def batches(seed: int, n_rows: int, updates: int, batch: int) -> Int[np.ndarray, "updates batch"]:
    """Which of the training images each update looks at: every epoch a new order, its last batch what is left.

    Returns:
        Numbers ``0 .. n_rows - 1``, shape ``[updates, batch]``; `NOBODY` where a batch is not full.
    """
    length = updates_of_epoch(n_rows, batch)
    order = generator(seed, "softmax order", n_rows)
    epochs = np.full((-(-updates // length), length * batch), NOBODY, dtype=np.int64)
    for epoch in epochs:
        epoch[:n_rows] = order.permutation(n_rows)
    return epochs.reshape(-1, batch)[:updates]


def updates_of_epoch(n_rows: int, batch: int) -> int:
    """Updates that look once at every image."""
    return -(-n_rows // batch)


def dropout_keys(seed: int, updates: int) -> Int32[np.ndarray, " updates"]:
    """One number for each update, from which all its dropout follows."""
    bits = generator(seed, "softmax dropout").integers(2**32, size=updates, dtype=np.uint64)
    return bits.astype(np.uint32).view(np.int32)


def dropout_positions(batch: int, width: int) -> Int32[np.ndarray, "batch width"]:
    """One number for each input of a batch; that of an input does not depend on ``width``."""
    numbers = (np.arange(batch)[:, None] + batch * np.arange(width)).astype(np.uint32).view(np.int32)
    bits = torch.from_numpy(numbers)
    return hashed(bits, torch.empty_like(bits)).numpy()


def hashed(bits: Int32[Tensor, "*shape"], scratch: Int32[Tensor, "*shape"]) -> Int32[Tensor, "*shape"]:
    """Hash 32-bit words in place; 32-bit whole numbers are the same on every device, random generators are not.

    Source:
        C. Wellons, hash-prospector (github.com/skeeto/hash-prospector), the two-round function of least bias.
    """
    for shift, factor in zip(_SHIFTS, (*_FACTORS, None), strict=True):
        # torch has no unsigned words: its right shift copies the sign, which must be masked away
        torch.bitwise_right_shift(bits, shift, out=scratch)
        bits.bitwise_xor_(scratch.bitwise_and_((1 << (32 - shift)) - 1))
        if factor is not None:
            bits.mul_(factor - (factor >> 31 << 32))
    return bits


def chances(bits: Int32[Tensor, "*shape"], scratch: Int32[Tensor, "*shape"]) -> Int32[Tensor, "*shape"]:
    """Turn positions xor key, in place, into uniform numbers ``0 .. LEVELS - 1``; an input is dropped below `bar`."""
    return hashed(bits, scratch).bitwise_and_(LEVELS - 1)


def bar(dropout: float) -> int:
    """Inputs whose chance is below this are dropped."""
    return round(dropout * LEVELS)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EpochImages:
    """What the heads of a block look at, and when.

    Attributes:
        table: Inputs, shape ``[table, width]``: features of the pool, or components of each family.
        labels: Class of each row of the table, shape ``[table]``.
        validation: Rows of the table that validate each family.
        rows: Rows of the table at each update, shape ``[updates, families, batch]``.
        shares: What each counts in its batch: 1 / batch, 0 where nobody is, shape ``[updates, families, batch]``.
        keys: Dropout of each update, shape ``[updates, families]``.
    """

    table: Float32[Tensor, "table width"]
    labels: Int[Tensor, " table"]
    validation: tuple[Int[Tensor, " rows"], ...]
    rows: Int[Tensor, "updates families batch"]
    shares: Float32[Tensor, "updates families batch"]
    keys: Int32[Tensor, "updates families"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Numbers:
    """One number for each weight and bias of all heads; each rate's are contiguous.

    Attributes:
        weight: Shape ``[rates, families, dropouts, classes, width]``.
        bias: Shape ``[rates, families, dropouts, classes]``.
    """

    weight: Float32[Tensor, "rates families dropouts classes width"]
    bias: Float32[Tensor, "rates families dropouts classes"]

    def of_rate(self, rate: int) -> list[Tensor]:
        """Both, of the heads of one rate."""
        return [self.weight[rate], self.bias[rate]]

    def clone(self) -> Numbers:
        """The same numbers elsewhere."""
        return Numbers(weight=self.weight.clone(), bias=self.bias.clone())

    def zeros(self) -> Numbers:
        """As many zeros."""
        return Numbers(weight=torch.zeros_like(self.weight), bias=torch.zeros_like(self.bias))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeadBlock:
    """Heads and all that an update writes to; its tensors change in place, as CUDA graphs need it.

    Attributes:
        images: What the heads look at.
        rates: Learning rates.
        heads: Weights and biases; bias minus infinity for classes absent from training.
        best: Those of the best epoch so far.
        gradient: Of the last update.
        first: Adam's running mean of gradients.
        second: Adam's running mean of squared gradients.
        steps: Updates done, as Adam counts them, one for each of `Numbers.of_rate`.
        clock: Number of the next update, shape ``[1]``.
        positions: Dropout of each input, shape ``[batch, width]``.
        bars: Chance below which an input stays, less 1, shape ``[dropouts, 1, 1]``.
        gains: ``1 / (1 - dropout)``, shape ``[dropouts, 1, 1]``.
        classes: ``0 .. n_classes - 1``, shape ``[classes, 1]``.
        bits: Room for dropout, shape ``[2, families, 1, batch, width]``.
        inputs: Room for what is left of the images, as bits, shape ``[families, dropouts, batch, width]``.
        logits: Room, shape ``[rates, families, dropouts, classes, batch]``.
    """

    images: EpochImages
    rates: tuple[float, ...]
    heads: Numbers
    best: Numbers
    gradient: Numbers
    first: Numbers
    second: Numbers
    steps: tuple[list[Tensor], ...]
    clock: Int[Tensor, " 1"]
    positions: Int32[Tensor, "batch width"]
    bars: Int32[Tensor, "dropouts 1 1"]
    gains: Float32[Tensor, "dropouts 1 1"]
    classes: Int[Tensor, "classes 1"]
    bits: Int32[Tensor, "2 families 1 batch width"]
    inputs: Int32[Tensor, "families dropouts batch width"]
    logits: Float32[Tensor, "rates families dropouts classes batch"]


def make_block(
    plan: BlockPlan,
    features: Float32[Tensor, "pool features"],
    targets: Int[np.ndarray, " pool"],
    *,
    n_classes: int,
    updates: int,
    batch: int,
) -> HeadBlock:
    """Heads before their first update, on the device of the features."""
    device, width = features.device, plan.families[0].width
    images = _images(plan.families, features, targets, updates, batch)
    heads = _start(plan, targets, n_classes, device)
    n_families, n_dropouts, n_rates = len(plan.families), len(plan.dropouts), len(plan.rates)
    shares = torch.tensor(plan.dropouts, dtype=torch.float64).view(-1, 1, 1)
    bars = torch.tensor([bar(dropout) - 1 for dropout in plan.dropouts], dtype=torch.int32).view(-1, 1, 1)
    return HeadBlock(
        images=images,
        rates=plan.rates,
        heads=heads,
        best=heads.clone(),
        gradient=heads.zeros(),
        first=heads.zeros(),
        second=heads.zeros(),
        steps=tuple([torch.zeros((), device=device), torch.zeros((), device=device)] for _ in plan.rates),
        clock=torch.zeros(1, dtype=torch.int64, device=device),
        positions=torch.from_numpy(dropout_positions(batch, width)).to(device),
        bars=bars.to(device),
        gains=(1.0 / (1.0 - shares)).float().to(device),
        classes=torch.arange(n_classes, device=device)[:, None],
        bits=torch.empty(2, n_families, 1, batch, width, dtype=torch.int32, device=device),
        inputs=torch.empty(n_families, n_dropouts, batch, width, dtype=torch.int32, device=device),
        logits=torch.empty(n_rates, n_families, n_dropouts, n_classes, batch, device=device),
    )


def _images(
    families: Sequence[Family],
    features: Float32[Tensor, "pool features"],
    targets: Int[np.ndarray, " pool"],
    updates: int,
    batch: int,
) -> EpochImages:
    table, labels, places = _table(families, features, targets)
    drawn = np.stack([batches(family.seed, len(family.rows.train), updates, batch) for family in families], axis=1)
    there = drawn != NOBODY
    trains = [place[: len(family.rows.train)] for family, place in zip(families, places, strict=True)]
    rows = np.stack([train[np.maximum(drawn[:, number], 0)] for number, train in enumerate(trains)], axis=1)
    shares = there / there.sum(axis=2, keepdims=True)
    keys = np.stack([dropout_keys(family.seed, updates) for family in families], axis=1)
    device = features.device
    return EpochImages(
        table=table,
        labels=torch.from_numpy(labels).to(device),
        validation=tuple(
            torch.from_numpy(place[len(train) :]).to(device) for place, train in zip(places, trains, strict=True)
        ),
        rows=torch.from_numpy(rows).to(device),
        shares=torch.from_numpy(shares.astype(np.float32)).to(device),
        keys=torch.from_numpy(keys).to(device),
    )


def _table(
    families: Sequence[Family], features: Float32[Tensor, "pool features"], targets: Int[np.ndarray, " pool"]
) -> tuple[Float32[Tensor, "table width"], Int[np.ndarray, " table"], list[Int[np.ndarray, " rows"]]]:
    """Inputs, their classes, and which rows are each family's: the pool itself if nothing is to be projected."""
    taken = [family.taken for family in families]
    if families[0].preparation is None:
        return features, targets, taken
    table = features.new_zeros(sum(map(len, taken)), families[0].width)
    places = np.split(np.arange(len(table)), np.cumsum([len(rows) for rows in taken])[:-1])
    for family, rows, place in zip(families, taken, places, strict=True):
        assert family.preparation is not None
        components = family.preparation.apply(features[torch.from_numpy(rows).to(features.device)])
        table[place[0] : place[-1] + 1, : family.width] = components
    return table, targets[np.concatenate(taken)], places


def _start(plan: BlockPlan, targets: Int[np.ndarray, " pool"], n_classes: int, device: torch.device) -> Numbers:
    """The same start for all heads of a family; padded inputs weigh nothing."""
    families = plan.families
    weight = np.zeros((len(families), 1, n_classes, families[0].width), dtype=np.float32)
    bias = np.zeros((len(families), 1, n_classes), dtype=np.float32)
    for number, family in enumerate(families):
        weight[number, 0, :, : family.width] = start_weight(family.seed, n_classes, family.width)
        bias[number, 0, np.bincount(targets[family.rows.train], minlength=n_classes) == 0] = -np.inf
    shape = (len(plan.rates), len(families), len(plan.dropouts), n_classes)
    return Numbers(
        weight=torch.from_numpy(weight).to(device).expand(*shape, -1).contiguous(),
        bias=torch.from_numpy(bias).to(device).expand(shape).contiguous(),
    )


VALIDATED_ROWS = 1024
"""Rows of validation that are looked at together."""


def update(block: HeadBlock) -> None:
    """One update of every head; reads and writes only tensors of the block, so that it can be captured.

    The inputs that dropout leaves are not divided by what it keeps: logits and their slopes are, which
    are a thousand times fewer.
    """
    images = block.images
    rows = images.rows.index_select(0, block.clock)[0]
    _drop(block, images.table.index_select(0, rows.view(-1)), images.keys.index_select(0, block.clock)[0])
    kept = block.inputs.view(torch.float32).flatten(0, 1)
    for weight, logits in zip(block.heads.weight, block.logits, strict=True):
        torch.bmm(weight.flatten(0, 1), kept.mT, out=logits.flatten(0, 1))
    slopes = torch.softmax(block.logits.mul_(block.gains).add_(block.heads.bias[..., None]), dim=-2)
    labels = images.labels.index_select(0, rows.view(-1)).view_as(rows)
    slopes.sub_((labels[:, None, None, :] == block.classes).float())
    slopes.mul_(images.shares.index_select(0, block.clock)[0][:, None, None, :])
    torch.sum(slopes, dim=-1, out=block.gradient.bias)
    slopes.mul_(block.gains)
    for slope, gradient in zip(slopes, block.gradient.weight, strict=True):
        torch.bmm(slope.flatten(0, 1), kept, out=gradient.flatten(0, 1))
    _descend(block)
    block.clock.add_(1)


def validate(block: HeadBlock, family: int) -> Float[np.ndarray, "rates dropouts"]:
    """Mean cross-entropy of a family's heads on its validation rows, nats, shape ``[rates, dropouts]``."""
    weight, bias = block.heads.weight[:, family], block.heads.bias[:, family]
    flat = weight.reshape(-1, weight.shape[-1]).mT
    rows = block.images.validation[family]
    total = torch.zeros(weight.shape[:2], dtype=torch.float64, device=weight.device)
    for some in torch.split(rows, VALIDATED_ROWS):
        logits = (block.images.table[some] @ flat).view(len(some), *bias.shape) + bias
        labels = block.images.labels[some].view(-1, 1, 1, 1).expand(*logits.shape[:3], 1)
        found = logits.gather(3, labels).squeeze(3)
        total += (logits.logsumexp(dim=3) - found).sum(dim=0, dtype=torch.float64)
    mean: np.ndarray = (total / len(rows)).cpu().numpy()
    return mean


def keep_best(block: HeadBlock, family: int, better: Bool[np.ndarray, "rates dropouts"]) -> None:
    """Remember the weights of those heads of a family that ``better`` marks."""
    chosen = torch.from_numpy(better).to(block.clock.device)[..., None]
    now, best = block.heads, block.best
    best.bias[:, family] = torch.where(chosen, now.bias[:, family], best.bias[:, family])
    best.weight[:, family] = torch.where(chosen[..., None], now.weight[:, family], best.weight[:, family])


def _drop(block: HeadBlock, looked_at: Float32[Tensor, "images width"], keys: Int32[Tensor, " families"]) -> None:
    """Write the images into ``inputs`` with dropped inputs 0: the bits of each are masked, without a branch."""
    bits, scratch = block.bits
    torch.bitwise_xor(block.positions, keys[:, None, None, None], out=bits)
    torch.sub(block.bars, chances(bits, scratch), out=block.inputs)
    block.inputs.bitwise_right_shift_(31)  # all ones if the chance is above the bar, else all zeros
    block.inputs.bitwise_and_(looked_at.view(torch.int32).view_as(bits))


def _descend(block: HeadBlock) -> None:
    """Adam with torch's own defaults, in one pass over the heads of each rate."""
    for number, rate in enumerate(block.rates):
        adam(
            block.heads.of_rate(number),
            block.gradient.of_rate(number),
            block.first.of_rate(number),
            block.second.of_rate(number),
            [],
            block.steps[number],
            fused=True,
            capturable=block.clock.is_cuda,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=rate,
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
        )


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
    plan: BlockPlan, block: HeadBlock, family: int, losses: list[Float[np.ndarray, "rates dropouts"]], end: int
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
    plan: BlockPlan, block: HeadBlock, losses: list[list[Float[np.ndarray, "rates dropouts"]]]
) -> Iterable[tuple[int, SoftmaxFit]]:
    largest = block.second.weight.flatten(3).amax(dim=3).cpu().numpy()
    for number in range(len(plan.families)):
        # Adam never moves again where a square was infinite: a wrong head with a loss like any other
        _check_finite(largest[:, number], plan, number, "the square of a gradient was {}")
        curves = np.stack(losses[number])
        for rate, dropout in np.ndindex(curves.shape[1:]):
            yield plan.families[number].number, _fit(plan, block, (rate, number, dropout), curves[:, rate, dropout])


def _fit(plan: BlockPlan, block: HeadBlock, place: Place, losses: Float[np.ndarray, " epochs"]) -> SoftmaxFit:
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
