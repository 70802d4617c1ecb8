"""What commands of a campaign share: the store, and opening it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from acqplan.cli.console import ProgressBars, exit_codes
from acqplan.errors import UsageError

if TYPE_CHECKING:
    from acqplan.campaign.campaign import Campaign

Store = Annotated[
    str, typer.Option(help="File of the campaign, or URL of a PostgreSQL database.", metavar="FILE_OR_URL")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
JsonAnyway = Annotated[
    bool, typer.Option("--json", help="Print one JSON document, as this command does anyway.", hidden=True)
]


@contextmanager
def opened(store: str, caller: str | None = None, *, check: bool = True) -> Iterator[Campaign]:
    """A campaign for one command; errors are told, and decide the exit code."""
    with exit_codes():
        from acqplan.campaign.campaign import Campaign
        from acqplan.campaign.leases import this_shell

        with Campaign.open(store, caller=caller or this_shell(), check=check) as campaign:
            try:
                yield campaign
            except UnicodeEncodeError as error:  # bytes of the command line that no database would take
                raise UsageError("an argument is not UTF-8", "write it in UTF-8") from error


def created(rig: Path | None, store: str, **settings: Any) -> Campaign:
    """A new campaign on the rig of a file."""
    from acqplan.campaign.campaign import Campaign
    from acqplan.campaign.leases import this_shell
    from acqplan.rig.spec import open_rig

    return Campaign.create(open_rig(rig, progress=ProgressBars()), path=store, caller=this_shell(), **settings)
