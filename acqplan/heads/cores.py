"""Work side by side on processor cores, one core each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, nullcontext
from typing import TypeVar

import torch

from acqplan.runtime import available_cores

Item = TypeVar("Item")
Result = TypeVar("Result")


@contextmanager
def one_core_each() -> Iterator[None]:
    """Threads share nothing and meet never; one that used all cores would wait for the others at every product."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def side_by_side(
    function: Callable[[Item], Result], items: Sequence[Item], *, device: str, cores: int | None = None
) -> Iterator[tuple[Item, Result]]:
    """Apply a function to items, on a processor one core each, on other devices one after the other.

    Small tensor programs scale with cores this way; with one program on all cores, its threads wait for each
    other at every operation.

    Args:
        function: What to do with an item.
        items: The items.
        device: Kind of device that the function computes on.
        cores: Cores it may use; by default all that this process may.

    Yields:
        Each item with its result, in the order in which they are done.
    """
    workers = min(cores or available_cores(), len(items)) if device == "cpu" else 1
    if workers <= 1:
        with one_core_each() if cores == 1 else nullcontext():
            yield from ((item, function(item)) for item in items)
        return
    with one_core_each(), ThreadPoolExecutor(workers, thread_name_prefix="heads") as pool:
        futures = {pool.submit(function, item): item for item in items}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
