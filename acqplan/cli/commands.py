"""The commands of ``acqplan``; each loads what it needs when it is called."""

from __future__ import annotations

from typing import Annotated

import typer

from acqplan import __version__
from acqplan.cli import advise, benchmark, campaign, compare, doctor, recommend, serve

app = typer.Typer(
    name="acqplan",
    help="Plan which views of which objects to photograph, so that a classifier is as accurate as possible "
    "on new objects from any view.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("recommend")(recommend.command)
app.command("advise")(advise.command)
app.command("benchmark")(benchmark.command)
app.command("compare")(compare.command)
app.add_typer(campaign.app)
app.command("serve")(serve.command)
app.command("doctor")(doctor.command)


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=lambda asked: _version(asked), is_eager=True),
    ] = False,
) -> None:
    """Options before the command."""


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"acqplan {__version__}")
        raise typer.Exit
