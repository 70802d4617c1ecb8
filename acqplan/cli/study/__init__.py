"""Studies of the literature as commands: ``acqplan study …``."""

from __future__ import annotations

import typer

from acqplan.cli.study.freeze_depth import freeze_depth
from acqplan.cli.study.norb_sampling import norb_sampling
from acqplan.cli.study.spatial_transformer import spatial_transformer
from acqplan.cli.study.transfer import transfer

app = typer.Typer(name="study", help="Run a study of the literature on a rig.", no_args_is_help=True)


@app.callback()
def before_a_study() -> None:
    """Run a study of the literature on a rig."""


app.command("freeze-depth")(freeze_depth)
app.command("norb-sampling")(norb_sampling)
app.command("spatial-transformer")(spatial_transformer)
app.command("transfer")(transfer)
