"""Work side by side: threads that each keep to one core, and processes that end with the one that started them."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext
from multiprocessing.connection import wait
from threading import Barrier, Event, Thread
from typing import Final, Protocol, TypeVar

from acqplan.errors import AcqplanError
from acqplan.progress import SILENT, Progress
from acqplan.runtime import available_cores

# Tasks in flight for each process: enough to keep it busy, few enough to hold in memory.
AHEAD: Final = 3
# Items below this size are handed to threads several at a time.
SMALL_BYTES: Final = 1_000_000
# Items handed over at a time: what a hand-over costs (20 to 50 µs) shall be little beside a small image (150 µs).
TOGETHER: Final = 16


class Loadable(Protocol):
    """Something that fills memory once it is read."""

    @property
    def n_bytes(self) -> int:
        """Bytes it takes in memory; 0 if unknown."""


AnyExecutor = TypeVar("AnyExecutor", bound=Executor)
Item = TypeVar("Item")
File = TypeVar("File", bound=Loadable)
Result = TypeVar("Result")


def side_by_side(
    function: Callable[[Item], Result], items: Sequence[Item], *, device: str, cores: int | None = None
) -> Iterator[tuple[Item, Result]]:
    """Apply a function of torch to items, on a processor one core each, on other devices one after the other.

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
    with one_core_each(), ended(ThreadPoolExecutor(workers, thread_name_prefix="heads")) as pool:
        futures = {pool.submit(function, item): item for item in items}
        for future in as_completed(futures):
            yield futures[future], future.result()


def one_core_jobs(
    function: Callable[[Item], Result], items: Sequence[Item], *, workers: int, stop: Event
) -> Iterator[tuple[Item, Result]]:
    """Apply a long function of torch to items, each on one core whatever their number, so that its sums stay the same.

    Args:
        function: What to do with an item; it looks at ``stop`` from time to time, and ends when that is set.
        items: The items.
        workers: Items at a time.
        stop: Set when the work is interrupted, or an item fails.

    Yields:
        Each item with its result, in the order in which they are done.
    """
    with one_core_each(), ended(ThreadPoolExecutor(workers)) as pool:
        futures = {pool.submit(function, item): item for item in items}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BaseException:
            stop.set()
            raise


@contextmanager
def one_core_each() -> Iterator[None]:
    """One core for each thread that works alone; on all cores it would wait for the others at every product."""
    import torch

    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)


@contextmanager
def one_core_threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """Threads in which torch uses one core; elsewhere it goes on using as many as before."""
    import torch

    def use_one_core() -> None:
        torch.set_num_threads(1)
        # A thread takes over the common number when it first asks; from then on it has its own.
        torch.get_num_threads()

    with ended(ThreadPoolExecutor(count, "features", initializer=use_one_core)) as pool:
        # torch keeps the number per thread, and one for threads to come, which must not stay changed
        n_threads, started = torch.get_num_threads(), Barrier(count + 1)
        for _ in range(count):
            pool.submit(started.wait)
        started.wait()
        torch.set_num_threads(n_threads)
        yield pool


@contextmanager
def ended(pool: AnyExecutor) -> Iterator[AnyExecutor]:
    """A pool whose waiting work is dropped at the end; what has begun is waited for."""
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def in_threads(
    action: Callable[[File], Result], files: Sequence[File], *, workers: int, name: str, progress: Progress = SILENT
) -> Iterator[Result]:
    """Apply an action to each file, in order; two groups of results per worker wait to be fetched.

    Args:
        action: What to do with each file; Pillow and hashing let other threads run.
        files: The files.
        workers: Threads.
        name: What the work is called in ``progress``.
        progress: Receives each file.
    """

    def on_each(group: list[File]) -> list[Result]:
        return [action(file) for file in group]

    def first() -> Iterator[Result]:
        for answer in waiting.popleft().result():
            yield answer
            advance(1)

    waiting: deque[Future[list[Result]]] = deque()
    with ended(ThreadPoolExecutor(workers)) as pool, progress.task(name, len(files)) as advance:
        for group in _groups(files):
            waiting.append(pool.submit(on_each, group))
            if len(waiting) >= 2 * workers:
                yield from first()
        while waiting:
            yield from first()


def _groups(files: Sequence[File]) -> Iterator[list[File]]:
    """Groups of small files; a large file is a group of its own."""
    group: list[File] = []
    n_bytes = 0
    for file in files:
        if group and (len(group) == TOGETHER or n_bytes + file.n_bytes > SMALL_BYTES):
            yield group
            group, n_bytes = [], 0
        group.append(file)
        n_bytes += file.n_bytes
    yield group


def in_order(function: Callable[[Item], Result], tasks: Sequence[Item], *, workers: int) -> Iterator[Result]:
    """Apply a function to tasks in several processes.

    Closing the iterator, or Ctrl-C, drops what has not begun and waits for what has.

    Args:
        function: Importable by name, and pure.
        tasks: Sent to the processes by pickle.
        workers: Processes; with 1 everything happens in this one.

    Yields:
        The results in the order of the tasks.

    Raises:
        AcqplanError: If a process dies.
    """
    if workers <= 1 or len(tasks) <= 1:
        yield from map(function, tasks)
        return
    n_processes = min(workers, len(tasks))
    waiting: deque[Future[Result]] = deque()
    with ended(ProcessPoolExecutor(n_processes, mp_context=_context(), initializer=serve_parent)) as pool:
        try:
            for task in tasks:
                waiting.append(pool.submit(function, task))
                if len(waiting) >= AHEAD * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise AcqplanError(
                "a rendering process died",
                "guard your script with `if __name__ == '__main__':`, free memory, or set workers=1",
            ) from error


def _context() -> multiprocessing.context.BaseContext:
    """Fork is unsafe once torch or embree run threads; the fork server starts faster than spawn."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    from multiprocessing import forkserver

    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:  # what starts with Ctrl-C blocked does not print a traceback when it comes
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return multiprocessing.get_context("forkserver")


def serve_parent() -> None:
    """For processes of a pool: leave Ctrl-C to the process that started this one, and do not outlive it.

    A process that is killed cannot tell its children; they would finish what they have and then wait for ever.
    """

    def end_with(sentinel: int) -> None:
        wait([sentinel])
        os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        Thread(target=end_with, args=(parent.sentinel,), daemon=True).start()
