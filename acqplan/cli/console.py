"""The one place that prints: results to stdout, all else to stderr, and the exit code."""

from __future__ import annotations

import _thread
import json
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

from acqplan.cli import INTERRUPTED
from acqplan.errors import AcqplanError, Finished, ImageWarning, OutputError
from acqplan.files import uninterrupted
from acqplan.numbers import count_noun, duration

LONG_SECONDS = 2.0  # a bar that was done sooner is taken away
LOG_SECONDS = 30.0  # between lines of a long task where there is no terminal

notes = Console(stderr=True, highlight=False)
results = Console(highlight=False)


@contextmanager
def exit_codes() -> Iterator[None]:
    """Turn what a command raises into one message on stderr and the exit code of its kind; warnings become notes."""
    usual, usual_unraisable = warnings.showwarning, sys.unraisablehook

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if issubclass(category, ImageWarning):
            print_note(f"note: {message}")
        else:
            usual(message, category, *where, **more)

    def press_again(dropped: sys.UnraisableHookArgs) -> None:
        # Python drops what is raised in a callback of its collector of garbage, Ctrl-C too; the next press is ours.
        if issubclass(dropped.exc_type, KeyboardInterrupt):
            threading.Timer(0.02, _thread.interrupt_main).start()
        else:
            usual_unraisable(dropped)

    warnings.showwarning, sys.unraisablehook = show, press_again
    try:
        yield
    except AcqplanError as error:
        _print_wrapped(Text.assemble(("error: ", "bold red"), error.message))
        if error.hint:
            _print_wrapped(Text(error.hint, style="dim"), indent=2)
        raise typer.Exit(error.exit_code) from error
    except Finished as finished:
        print_note(f"finished: {finished}")
        raise typer.Exit(finished.exit_code) from finished
    except KeyboardInterrupt as interrupt:
        print_note("interrupted; what was computed so far is kept in the cache")
        raise typer.Exit(INTERRUPTED) from interrupt
    finally:
        warnings.showwarning, sys.unraisablehook = usual, usual_unraisable


def print_json(document: object) -> None:
    """Print the one JSON document of a command to stdout."""
    with _standard_output():
        sys.stdout.write(json.dumps(document, indent=1, allow_nan=False) + "\n")


def print_result(*renderables: RenderableType) -> None:
    """Print what a person asked for to stdout, at once even where that is a pipe."""
    with _standard_output():
        for renderable in renderables:
            results.print(renderable)
        results.file.flush()


def print_plan_only(work: Mapping[str, str], as_json: bool) -> None:
    """Print what a study would do."""
    if as_json:
        print_json(work)
    else:
        print_result(*(f"{name}: {said}" for name, said in work.items()))


def print_study(
    out: Path, files: Sequence[Path], document: Mapping[str, object], as_json: bool, *renderables: RenderableType
) -> None:
    """Print what a study found, and where it was written."""
    if as_json:
        print_json({**document, "files": [str(path) for path in files]})
    else:
        print_result(*renderables)
        print_note(f"written to {out}: {count_noun(len(files), 'file')}, first of all report.html")


def plain_table(*columns: str, right: Sequence[str] = ()) -> Table:
    """A table without lines, of columns that do not wrap; those named in ``right`` are of numbers."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left", no_wrap=True)
    return table


def print_note(text: str) -> None:
    """Print a remark on stderr."""
    _print_wrapped(Text(text))


@contextmanager
def _standard_output() -> Iterator[None]:
    """Flush at once, so that a full disk is reported now and not when Python exits."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        raise  # the reader, such as head, has seen enough
    except OSError as error:
        sys.stdout = None  # or Python would try again at its exit
        raise OutputError(f"the standard output cannot be written ({error.strerror})", "make room") from error


def _print_wrapped(text: Text, *, indent: int = 0) -> None:
    """Print on stderr: wrapped at words on a terminal; elsewhere (a log, a pipe) one line, which can be searched."""
    if not notes.is_terminal:
        notes.print(" " * indent, text, sep="", soft_wrap=True)
        return
    for line in text.wrap(notes, notes.width - indent):
        line.rstrip()
        notes.print(" " * indent, line, sep="")


class ProgressBars:
    """Shows tasks as bars with the time left, on stderr; of finished tasks only long ones stay.

    Nothing is drawn between tasks, so that the bar of a download or a question may be written there.
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
        """Show a bar of ``total`` steps; where there is no terminal, a line every 30 s and once it is done."""
        bar, said = self._bars.add_task(name, total=total), LOG_SECONDS

        def advance(steps: int) -> None:
            nonlocal said
            self._bars.advance(bar, steps)
            task = self._bars.tasks[self._bars.task_ids.index(bar)]
            seconds = task.elapsed or 0.0
            if not notes.is_interactive and seconds >= said and 0 < task.completed < total:
                left = seconds * (total - task.completed) / task.completed
                print_note(f"{name}: {task.completed:,.0f} of {total:,}, about {duration(round(left))} left")
                said = seconds + LOG_SECONDS

        try:
            self._draw(self._bars.start)
            yield advance
        finally:
            task = self._bars.tasks[self._bars.task_ids.index(bar)]
            seconds = task.elapsed or 0.0
            # A short task leaves no trace.
            self._bars.update(bar, visible=seconds >= LONG_SECONDS)
            self._bars.stop_task(bar)
            if not notes.is_interactive and task.visible:
                print_note(f"{name}: {task.completed:,.0f} of {task.total or 0:,.0f} in {seconds:.0f} s")
            # The last task to end takes the bars away.
            if all(other.stop_time is not None for other in self._bars.tasks):
                self._draw(self._bars.stop)
                for done in self._bars.task_ids:
                    self._bars.remove_task(done)

    def _draw(self, change: Callable[[], None]) -> None:
        """Start or stop drawing; interrupted here, rich would lose track of the cursor."""
        if notes.is_interactive:
            with uninterrupted():
                change()
