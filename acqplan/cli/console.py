"""The one place that prints: results to stdout, all else to stderr, and the exit code."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.text import Text

from acqplan.errors import AcqplanError, Finished

INTERRUPTED = 130

notes = Console(stderr=True, soft_wrap=True, highlight=False)
results = Console(highlight=False)


@contextmanager
def exit_codes() -> Iterator[None]:
    """Turn what a command raises into one message on stderr and the exit code of its kind."""
    try:
        yield
    except AcqplanError as error:
        _complain(error.message, error.hint)
        raise typer.Exit(error.exit_code) from error
    except Finished as finished:
        notes.print(Text(f"finished: {finished}"))
        raise typer.Exit(finished.exit_code) from finished
    except KeyboardInterrupt as interrupt:
        notes.print(Text("interrupted; what was computed so far is kept in the cache"))
        raise typer.Exit(INTERRUPTED) from interrupt


def print_json(document: object) -> None:
    """Print the one JSON document of a command to stdout."""
    sys.stdout.write(json.dumps(document, indent=1, allow_nan=False) + "\n")


def print_result(*renderables: RenderableType) -> None:
    """Print what a person asked for to stdout."""
    for renderable in renderables:
        results.print(renderable)


def terminal_width() -> int:
    """Columns that results may take."""
    return results.width


def print_note(text: str) -> None:
    """Say something beside the result, on stderr."""
    notes.print(Text(text))


class ProgressBars:
    """Shows tasks as bars with the time left, on stderr."""

    def __init__(self) -> None:
        self._bars = Bars(
            TextColumn("{task.description:<28}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=notes,
        )

    def __enter__(self) -> ProgressBars:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    @contextmanager
    def task(self, name: str, total: int) -> Iterator[Callable[[int], None]]:
        """A bar of ``total`` steps."""
        bar = self._bars.add_task(name, total=total)
        yield lambda steps: self._bars.advance(bar, steps)


def _complain(message: str, hint: str) -> None:
    text = Text.assemble(("error: ", "bold red"), message)
    if hint:
        text.append(f"\n  {hint}", style="dim")
    notes.print(text)
