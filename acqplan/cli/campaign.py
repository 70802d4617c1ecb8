"""``acqplan campaign``: the ask/tell loop of a capture script, from a shell."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from acqplan.cli import campaign_operators as operators
from acqplan.cli.campaign_store import AsJson, JsonAnyway, Store, created, opened
from acqplan.cli.console import (
    BackboneOption,
    DeviceOption,
    Precision,
    PrecisionOption,
    ProgressBars,
    WeightsOption,
    chosen_runtime,
    exit_codes,
    print_json,
    print_note,
    print_result,
    whole_number,
)
from acqplan.cli.recommend import time_span
from acqplan.errors import Finished, UsageError

app = typer.Typer(
    name="campaign",
    help="Ask for shots, take them, tell what happened: nothing is lost, whatever crashes.",
    no_args_is_help=True,
)
Shot = Annotated[str, typer.Option(help="Identifier of the shot.", metavar="ID")]
Caller = Annotated[str | None, typer.Option(help="Who asks; by default the shell of this machine.", metavar="NAME")]


@app.command()
def create(
    store: Store,
    budget: Annotated[int, typer.Option(help="Images that may be taken.", parser=whole_number, metavar="IMAGES")],
    rig: Annotated[Path | None, typer.Option(help="rig.toml; without it, the embedded toy rig.")] = None,
    time_budget: Annotated[
        float | None,
        typer.Option(
            help="Time from the first shot on, e.g. 2h; pauses not counted.", parser=time_span, metavar="TIME"
        ),
    ] = None,
    strategy: Annotated[str, typer.Option(help="auto, lattice, random-shots, even, …")] = "auto",
    seed: Annotated[int, typer.Option(help="Seed of all randomness.", parser=whole_number, metavar="INTEGER")] = 0,
    backbone: BackboneOption = None,
    weights: WeightsOption = None,
    lease: Annotated[
        float, typer.Option(help="How long a shot is kept for who asked.", parser=time_span, metavar="TIME")
    ] = 600.0,
    tries: Annotated[
        int, typer.Option(help="Failures after which a shot is given up.", parser=whole_number, metavar="NUMBER")
    ] = 3,
    failure_limit: Annotated[
        float, typer.Option(help="Share of failures among the last answers above which the campaign stops; 1: never.")
    ] = 0.5,
    images: Annotated[
        Path | None, typer.Option(help="Folder of the images; by default beside the store.", metavar="DIR")
    ] = None,
    stop_when_saturated: Annotated[bool, typer.Option(help="Let the advice to stop end the campaign.")] = True,
    as_json: JsonAnyway = True,
) -> None:
    """Make a campaign with a plan of the whole budget."""
    with exit_codes():
        campaign = created(
            rig,
            store,
            budget=budget,
            time_budget=time_budget,
            images=images,
            strategy=strategy,
            seed=seed,
            backbone=backbone,
            weights=None if weights is None else str(weights.absolute()),
            lease_seconds=lease,
            most_tries=tries,
            failure_limit=failure_limit,
            stop_when_saturated=stop_when_saturated,
        )
        with campaign:
            found = campaign.status()
            names = ("budget", "time_budget", "queued", "objects")
            places = {"store": campaign.store.place, "images": str(campaign.images.root.absolute())}
            print_json({**places, **{name: found[name] for name in names}})


@app.command()
def ask(
    store: Store,
    n: Annotated[int, typer.Option("--n", "-n", help="Shots at most.", parser=whole_number, metavar="NUMBER")] = 1,
    caller: Caller = None,
    as_json: JsonAnyway = True,
) -> None:
    """Lease shots: {"shots": [{"id", "object", "label", "view", "expires"}], "finished": ""}; exit code 5 once over."""
    with opened(store, caller) as campaign:
        shots = campaign.ask(n)
        reason = "" if shots else campaign.finished
        print_json({"shots": [shot.to_dict() for shot in shots], "finished": reason})
        if reason:
            raise Finished(reason)
        if not shots:
            paused = campaign.status()["paused"]
            print_note("the campaign is paused" if paused else "all that is left is leased; ask again later")


@app.command()
def tell(
    store: Store,
    shot: Shot,
    image: Annotated[Path, typer.Option(help="File of the image.", metavar="FILE")],
    reached: Annotated[
        list[str] | None,
        typer.Option(help="A setting that the rig reached where it differs, e.g. azimuth=40.3.", metavar="AXIS=VALUE"),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Take it in place of another image of the shot.")] = False,
    as_json: JsonAnyway = True,
) -> None:
    """Hand in the image of a shot; telling the same again changes nothing."""
    with opened(store) as campaign:
        outcome = campaign.tell(shot, image, reached=_settings(reached or []), replace=replace)
        print_json({"shot": shot, "outcome": outcome})


@app.command()
def fail(
    store: Store,
    shot: Shot,
    reason: Annotated[str, typer.Option(help="Why; the same words for the same cause.", metavar="TEXT")],
    no_retry: Annotated[bool, typer.Option("--no-retry", help="Never try it again.")] = False,
    exposed: Annotated[bool, typer.Option("--exposed", help="The rig took an image, which counts.")] = False,
    caller: Caller = None,
    as_json: JsonAnyway = True,
) -> None:
    """Say that a shot could not be taken."""
    with opened(store, caller) as campaign:
        outcome = campaign.fail(shot, reason=reason, retry=not no_retry, exposed=exposed)
        print_json({"shot": shot, "outcome": outcome})


@app.command()
def release(
    store: Store,
    shot: Annotated[list[str], typer.Option(help="Identifier of a shot; may be repeated.", metavar="ID")],
    caller: Caller = None,
    as_json: JsonAnyway = True,
) -> None:
    """Give shots back that will not be taken after all."""
    with opened(store, caller) as campaign:
        print_json({"released": campaign.release(shot)})


@app.command()
def status(store: Store, as_json: AsJson = False) -> None:
    """Show what is taken and what is to come, how fast, and what fails where."""
    with opened(store) as campaign:
        found = campaign.status()
        if as_json:
            print_json(found)
        else:
            from acqplan.cli.campaign_operators import status_table

            print_result(status_table(found, campaign.settings))


@app.command()
def plan(
    store: Store,
    force: Annotated[bool, typer.Option("--force", help="Plan even if nothing is due.")] = False,
    backbone: BackboneOption = None,
    weights: WeightsOption = None,
    device: DeviceOption = None,
    precision: PrecisionOption = Precision.float32,
    as_json: JsonAnyway = True,
) -> None:
    """Plan the next round from what is captured, if one is due; shots are handed out and told meanwhile."""
    with opened(store) as campaign:
        from acqplan.evaluate.campaign import plan_next

        runtime = chosen_runtime(device, precision, None)
        progress = ProgressBars()
        print_json(
            plan_next(campaign, backbone=backbone, weights=weights, runtime=runtime, force=force, progress=progress)
        )


@app.command()
def check(
    store: Store,
    no_mend: Annotated[bool, typer.Option("--no-mend", help="Say what is found, and change nothing.")] = False,
    as_json: JsonAnyway = True,
) -> None:
    """Look whether events, state and images are whole, and mend what is not."""
    with opened(store, check=False) as campaign:  # it checks more than opening does
        from acqplan.campaign.check import check_campaign

        print_json(check_campaign(campaign, mend=not no_mend))


@app.command()
def export(
    store: Store,
    out: Annotated[Path, typer.Option(help="A folder that does not exist, or is empty.", metavar="DIR")],
    as_json: JsonAnyway = True,
) -> None:
    """Write plan.csv, images by class, a manifest with its rig.toml, and all events."""
    with opened(store) as campaign:
        from acqplan.campaign.export import export_campaign

        files = export_campaign(campaign, out)
        print_json({"folder": str(out), "files": [path.name for path in files]})
        if "manifest.csv" not in [path.name for path in files]:
            print_note("no image is captured yet: there is no manifest and no folder of images")


@app.command()
def backup(
    store: Store,
    out: Annotated[Path, typer.Option(help="A folder that does not exist, or is empty.", metavar="DIR")],
    as_json: JsonAnyway = True,
) -> None:
    """Copy file and images while others go on; a copy made by hand is safe only while nobody does."""
    with opened(store) as campaign:
        from acqplan.campaign.check import back_up

        print_json({"store": str(back_up(campaign, out))})


@app.command("import")
def import_(
    store: Store,
    folder: Annotated[Path, typer.Option("--from", help="Folder of an export.", metavar="DIR")],
    images: Annotated[
        Path | None, typer.Option(help="Folder of the images; by default beside the store.", metavar="DIR")
    ] = None,
    as_json: JsonAnyway = True,
) -> None:
    """Make a campaign of an export of another, as it was then."""
    with exit_codes():
        from acqplan.campaign.export import import_campaign

        with import_campaign(folder, store, images) as campaign:
            found = campaign.status()
            print_json({"store": campaign.store.place, "captured": found["captured"], "events": found["events"]})


def _settings(reached: list[str]) -> dict[str, str]:
    found = {}
    for text in reached:
        name, is_set, value = text.partition("=")
        if not is_set or not name.strip() or not value.strip():
            raise UsageError(f"--reached '{text}' is not AXIS=VALUE", "write e.g. --reached azimuth=40.3")
        found[name.strip()] = value.strip()
    return found


operators.add_to(app)
