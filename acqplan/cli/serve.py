"""``acqplan serve``: the ask/tell loop over HTTP, with a live page."""

from __future__ import annotations

from typing import Annotated

import typer

from acqplan.cli.campaign_store import Store
from acqplan.cli.console import exit_codes, print_note, whole_number
from acqplan.errors import MissingError


def command(
    store: Store,
    host: Annotated[str, typer.Option(help="Address to be reached at; any but this machine's needs a token.")] = (
        "127.0.0.1"
    ),
    port: Annotated[
        int, typer.Option(help="Port; 0 for any that is free.", parser=whole_number, metavar="INTEGER")
    ] = 8765,
    token: Annotated[
        str,
        typer.Option(
            help="What clients must show; better set in the environment, where others do not see it.",
            envvar="ACQPLAN_TOKEN",
            show_default=False,
        ),
    ] = "",
    max_upload: Annotated[int, typer.Option(help="Largest image, in MB.", parser=whole_number, metavar="MB")] = 32,
    plan: Annotated[
        bool, typer.Option("--plan/--no-plan", help="Plan the next rounds and advise in the background.")
    ] = True,
) -> None:
    """Serve a campaign over HTTP: rigs ask and tell, and the live page shows how it goes."""
    with exit_codes():
        try:
            from acqplan.service.refusals import MEGABYTE, ServiceSettings
            from acqplan.service.server import serve
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("acqplan"):
                raise
            raise MissingError(f"'{error.name}' is not installed", "pip install 'acqplan[serve]'") from error
        if not 0 <= port <= 65_535:
            raise typer.BadParameter(f"{port} is no port; give 0 to 65535", param_hint="--port")
        settings = ServiceSettings(host=host, token=token, most_upload=max_upload * MEGABYTE)
        serve(store, settings, port=port, plans=plan, say=print_note)
