"""How long work reports its advance; silent unless somebody listens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol


class Progress(Protocol):
    """Somebody who listens to the advance of long work."""

    def task(self, name: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
        """Open a task of ``total`` steps; call what it yields with the number of steps just done."""


class Silent:
    """Nobody listens."""

    @contextmanager
    def task(self, name: str, total: int) -> Iterator[Callable[[int], None]]:
        """A task whose steps go unheard."""
        yield lambda _: None


SILENT = Silent()


@dataclass(frozen=True, slots=True, kw_only=True)
class Titled:
    """A listener that hears of every task under one title: what the work is for, not how it is done.

    Attributes:
        progress: Who listens.
        title: What each task is called.
    """

    progress: Progress
    title: str

    def task(self, name: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
        """A task of ``total`` steps under the title."""
        return self.progress.task(self.title, total)
