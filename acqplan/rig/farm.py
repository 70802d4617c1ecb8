"""Work spread over processes: results in the order of the tasks, and a clean end when interrupted."""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import forkserver
from typing import TypeVar

from acqplan.errors import AcqplanError
from acqplan.runtime import serve_parent

Task = TypeVar("Task")
Result = TypeVar("Result")

_AHEAD = 3
"""Tasks in flight for each process: enough to keep it busy, few enough to hold in memory."""


def in_order(function: Callable[[Task], Result], tasks: Sequence[Task], *, workers: int) -> Iterator[Result]:
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
    pool = ProcessPoolExecutor(min(workers, len(tasks)), mp_context=_context(), initializer=serve_parent)
    try:
        yield from _sliding(pool, function, tasks, _AHEAD * workers)
    except BrokenProcessPool as error:
        raise AcqplanError(
            "a rendering process died",
            "guard your script with `if __name__ == '__main__':`, free memory, or set workers=1",
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _sliding(
    pool: ProcessPoolExecutor, function: Callable[[Task], Result], tasks: Sequence[Task], ahead: int
) -> Iterator[Result]:
    waiting: deque[Future[Result]] = deque()
    for task in tasks:
        waiting.append(pool.submit(function, task))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _context() -> multiprocessing.context.BaseContext:
    """Fork is unsafe once torch or embree run threads; the fork server starts faster than spawn."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:  # what starts with Ctrl-C blocked does not print a traceback when it comes
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return multiprocessing.get_context("forkserver")
