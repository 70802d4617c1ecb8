"""How long work reports its advance; silent unless somebody listens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
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
