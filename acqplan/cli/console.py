"""The one place that prints: results to stdout, all else to stderr, and the exit code."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Task, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.text import Text

from acqplan.cli import INTERRUPTED
from acqplan.errors import AcqplanError, Finished, OutputError
from acqplan.files import uninterrupted
from acqplan.runtime import Runtime

LARGEST_NUMBER = 2**53
"""Beyond it, numbers of JSON are not exact."""

LONG_SECONDS = 2.0
"""A bar that was done sooner is taken away."""

notes = Console(stderr=True, highlight=False)
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
        _say(Text(f"finished: {finished}"))
        raise typer.Exit(finished.exit_code) from finished
    except KeyboardInterrupt as interrupt:
        _say(Text("interrupted; what was computed so far is kept in the cache"))
        raise typer.Exit(INTERRUPTED) from interrupt


def whole_number(text: str | int) -> int:
    """Read the value of an option; a wrong one is told with what was given."""
    try:
        number = int(text)
    except ValueError as error:
        raise typer.BadParameter(f"'{text}' is not a whole number; give digits alone, e.g. 2430") from error
    if abs(number) > LARGEST_NUMBER:
        raise typer.BadParameter(f"'{text}' is more than anybody can count")
    return number


def print_json(document: object) -> None:
    """Print the one JSON document of a command to stdout."""
    with _standard_output():
        sys.stdout.write(json.dumps(document, indent=1, allow_nan=False) + "\n")


def print_result(*renderables: RenderableType) -> None:
    """Print what a person asked for to stdout."""
    with _standard_output():
        for renderable in renderables:
            results.print(renderable)


@contextmanager
def _standard_output() -> Iterator[None]:
    """Write all of it now, so that a full disk is told and not found out at the end."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        raise  # the reader has seen enough
    except OSError as error:
        sys.stdout = None  # the end would try again
        raise OutputError(f"the standard output cannot be written ({error.strerror})", "make room") from error


def terminal_width() -> int:
    """Columns that results may take."""
    return results.width


def print_note(text: str) -> None:
    """Say something beside the result, on stderr."""
    _say(Text(text))


class ProgressBars:
    """Shows tasks as bars with the time left, on stderr; of those that are done only the long ones stay.

    Nothing is drawn between tasks, so that others (the bar of a download, a question) may write there.
    """

    def __init__(self) -> None:
        self._bars = Bars(
            TextColumn("{task.description:<18}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=notes,
        )

    @contextmanager
    def task(self, name: str, total: int) -> Iterator[Callable[[int], None]]:
        """A bar of ``total`` steps; where there is no terminal, a line once it is done."""
        bar = self._bars.add_task(name, total=total)
        try:
            self._draw(self._bars.start)
            yield lambda steps: self._bars.advance(bar, steps)
        finally:
            self._finish(self._bars.tasks[self._bars.task_ids.index(bar)])

    def _finish(self, task: Task) -> None:
        seconds = task.elapsed or 0.0
        self._bars.update(task.id, visible=seconds >= LONG_SECONDS)
        self._bars.stop_task(task.id)
        if not notes.is_interactive and task.visible:
            _say(Text(f"{task.description}: {task.completed:,.0f} of {task.total or 0:,.0f} in {seconds:.0f} s"))
        if any(other.stop_time is None for other in self._bars.tasks):
            return
        self._draw(self._bars.stop)
        for done in self._bars.task_ids:
            self._bars.remove_task(done)

    def _draw(self, change: Callable[[], None]) -> None:
        """Interrupted here, rich would lose track of the cursor."""
        if notes.is_interactive:
            with uninterrupted():
                change()


def _complain(message: str, hint: str) -> None:
    _say(Text.assemble(("error: ", "bold red"), message))
    if hint:
        _say(Text(hint, style="dim"), indent=2)


def _say(text: Text, *, indent: int = 0) -> None:
    """On a terminal wrapped at words; elsewhere (a log, a pipe) one line, which can be searched."""
    if not notes.is_terminal:
        notes.print(" " * indent, text, sep="", soft_wrap=True)
        return
    for line in text.wrap(notes, notes.width - indent):
        line.rstrip()
        notes.print(" " * indent, line, sep="")


BackboneOption = Annotated[
    str | None, typer.Option(help="NAME or NAME:LAYER; toynet for toys, else mobilenet_v2.", show_default=False)
]
WeightsOption = Annotated[
    Path | None, typer.Option(help="The backbone's weights (.safetensors, .pth); else downloaded.")
]
DeviceOption = Annotated[
    str | None, typer.Option(help="cpu, cuda, cuda:1, mps, or several: cuda:0,cuda:1; by default the fastest.")
]


class Precision(StrEnum):
    """Number formats of a backbone's forward pass, see `acqplan.runtime.Runtime`."""

    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"
    auto = "auto"


PrecisionOption = Annotated[
    Precision,
    typer.Option(help="Number format of the backbone; auto: the fastest whose features are within 1e-2 of float32."),
]


def chosen_runtime(device: str | None, precision: Precision, cluster: str | None) -> Runtime | None:
    """What was asked for; ``None`` if nothing was, so that a plan that needs no backbone loads no torch."""
    if device is None and precision is Precision.float32 and not cluster:
        return None
    return Runtime.detect(device, precision=precision.value, cluster=cluster or "")
