"""``acqplan campaign``: the ask/tell loop of a capture script, and what operators do, from a shell."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from acqplan.campaign.operators import ACTIONS, Action, event_document
from acqplan.cli import options
from acqplan.cli.console import ProgressBars, exit_codes, print_json, print_note, print_result
from acqplan.errors import Finished, UsageError

if TYPE_CHECKING:
    from acqplan.campaign.campaign import Campaign

app = typer.Typer(
    name="campaign",
    help="Ask for shots, take them, tell what happened: nothing is lost, whatever crashes.",
    no_args_is_help=True,
)


@contextmanager
def opened(store: str, caller: str | None = None, *, check: bool = True) -> Iterator[Campaign]:
    """Open a campaign for one command; an error is printed and decides the exit code."""
    with exit_codes():
        from acqplan.campaign.campaign import Campaign
        from acqplan.campaign.leases import THIS_SHELL

        with Campaign.open(store, caller=caller or THIS_SHELL, check=check) as campaign:
            try:
                yield campaign
            except UnicodeEncodeError as error:  # bytes of the command line that no database would take
                raise UsageError("an argument is not UTF-8", "write it in UTF-8") from error


@app.command()
def create(
    store: options.Store,
    budget: Annotated[int, options.number("Images that may be taken.", "IMAGES")],
    rig: options.Rig = None,
    time_budget: Annotated[
        float | None, options.time("Time from the first shot on, e.g. 2h; pauses not counted.")
    ] = None,
    strategy: Annotated[str, typer.Option(help="auto, lattice, random-shots, even, …")] = "auto",
    seed: options.Seed = 0,
    backbone: options.Backbone = None,
    weights: options.Weights = None,
    lease: Annotated[float, options.time("How long a shot is kept for who asked.")] = 600.0,
    tries: Annotated[int, options.number("Failures after which a shot is given up.", "NUMBER")] = 3,
    failure_limit: Annotated[
        float, typer.Option(help="Share of failures among the last answers above which the campaign stops; 1: never.")
    ] = 0.5,
    images: options.Images = None,
    stop_when_saturated: Annotated[bool, typer.Option(help="Let the advice to stop end the campaign.")] = True,
    as_json: options.JsonAnyway = True,
) -> None:
    """Make a campaign with a plan of the whole budget."""
    with exit_codes():
        from acqplan.campaign.campaign import Campaign
        from acqplan.campaign.leases import THIS_SHELL
        from acqplan.rig.spec import open_rig

        created = Campaign.create(
            open_rig(rig, progress=ProgressBars()),
            path=store,
            caller=THIS_SHELL,
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
        with created as campaign:
            found = campaign.status()
            places = {"store": campaign.store.place, "images": str(campaign.images.root.absolute())}
            print_json(places | {name: found[name] for name in ("budget", "time_budget", "queued", "objects")})


@app.command()
def ask(
    store: options.Store,
    n: Annotated[int, options.number("Shots at most.", "NUMBER", "--n", "-n")] = 1,
    caller: options.Caller = None,
    as_json: options.JsonAnyway = True,
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
    store: options.Store,
    shot: options.Shot,
    image: Annotated[Path, typer.Option(help="File of the image.", metavar="FILE")],
    reached: Annotated[
        list[str] | None,
        typer.Option(help="A setting that the rig reached where it differs, e.g. azimuth=40.3.", metavar="AXIS=VALUE"),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Take it in place of another image of the shot.")] = False,
    as_json: options.JsonAnyway = True,
) -> None:
    """Hand in the image of a shot; telling the same again changes nothing."""
    with opened(store) as campaign:
        settings = {}
        for text in reached or []:
            name, _, value = (part.strip() for part in text.partition("="))
            if not name or not value:
                raise UsageError(f"--reached '{text}' is not AXIS=VALUE", "write e.g. --reached azimuth=40.3")
            settings[name] = value
        print_json({"shot": shot, "outcome": campaign.tell(shot, image, reached=settings, replace=replace)})


@app.command()
def fail(
    store: options.Store,
    shot: options.Shot,
    reason: Annotated[str, typer.Option(help="Why; the same words for the same cause.", metavar="TEXT")],
    no_retry: Annotated[bool, typer.Option("--no-retry", help="Never try it again.")] = False,
    exposed: Annotated[bool, typer.Option("--exposed", help="The rig took an image, which counts.")] = False,
    caller: options.Caller = None,
    as_json: options.JsonAnyway = True,
) -> None:
    """Say that a shot could not be taken."""
    with opened(store, caller) as campaign:
        outcome = campaign.fail(shot, reason=reason, retry=not no_retry, exposed=exposed)
        print_json({"shot": shot, "outcome": outcome})


@app.command()
def release(
    store: options.Store,
    shot: Annotated[list[str], typer.Option(help="Identifier of a shot; may be repeated.", metavar="ID")],
    caller: options.Caller = None,
    as_json: options.JsonAnyway = True,
) -> None:
    """Give shots back that will not be taken after all."""
    with opened(store, caller) as campaign:
        print_json({"released": campaign.release(shot)})


@app.command()
def status(store: options.Store, as_json: options.Json = False) -> None:
    """Show what is taken and what is to come, how fast, and what fails where."""
    with opened(store) as campaign:
        found = campaign.status()
        if as_json:
            print_json(found)
        else:
            from acqplan.cli.campaign_tables import status_table

            print_result(status_table(found, campaign.settings))


@app.command()
def plan(
    store: options.Store,
    force: Annotated[bool, typer.Option("--force", help="Plan even if nothing is due.")] = False,
    backbone: options.Backbone = None,
    weights: options.Weights = None,
    device: options.Device = None,
    precision: options.PrecisionChoice = options.Precision.float32,
    as_json: options.JsonAnyway = True,
) -> None:
    """Plan the next round from what is captured, if one is due; shots are handed out and told meanwhile."""
    with opened(store) as campaign:
        from acqplan.evaluate.campaign import plan_next

        runtime, progress = options.chosen_runtime(device, precision), ProgressBars()
        print_json(
            plan_next(campaign, backbone=backbone, weights=weights, runtime=runtime, force=force, progress=progress)
        )


@app.command()
def check(
    store: options.Store,
    no_mend: Annotated[bool, typer.Option("--no-mend", help="Say what is found, and change nothing.")] = False,
    as_json: options.JsonAnyway = True,
) -> None:
    """Look whether events, state and images are whole, and mend what is not."""
    with opened(store, check=False) as campaign:  # it checks more than opening does
        from acqplan.campaign.check import check_campaign

        print_json(check_campaign(campaign, mend=not no_mend))


@app.command()
def export(store: options.Store, out: options.NewFolder, as_json: options.JsonAnyway = True) -> None:
    """Write plan.csv, images by class, a manifest with its rig.toml, and all events."""
    with opened(store) as campaign:
        from acqplan.campaign.export import export_campaign

        names = [path.name for path in export_campaign(campaign, out)]
        print_json({"folder": str(out), "files": names})
        if "manifest.csv" not in names:
            print_note("no image is captured yet: there is no manifest and no folder of images")


@app.command()
def backup(store: options.Store, out: options.NewFolder, as_json: options.JsonAnyway = True) -> None:
    """Copy file and images while others go on; a copy made by hand is safe only while nobody does."""
    with opened(store) as campaign:
        from acqplan.campaign.check import back_up

        print_json({"store": str(back_up(campaign, out))})


@app.command("import")
def import_(
    store: options.Store,
    folder: Annotated[Path, typer.Option("--from", help="Folder of an export.", metavar="DIR")],
    images: options.Images = None,
    as_json: options.JsonAnyway = True,
) -> None:
    """Make a campaign of an export of another, as it was then."""
    with exit_codes():
        from acqplan.campaign.export import import_campaign

        with import_campaign(folder, store, images) as campaign:
            found = campaign.status()
            print_json({"store": campaign.store.place, "captured": found["captured"], "events": found["events"]})


OPTIONS: dict[str, tuple[type, str, Callable[[Any], Any] | None]] = {
    "text": (str, "TEXT", None),
    "name": (str, "NAME", None),
    "region": (str, "REGION", None),
    "shot": (str, "ID", None),
    "event": (int, "NUMBER", options.whole_number),
    "images": (int, "IMAGES", options.whole_number),
    "seconds": (float, "TIME", options.time_span),
}
"""Type, word in the help, and reader of each kind of parameter."""


def _command(action: Action) -> Callable[..., None]:
    """Make the command of an action, which prints its event; typer reads the options from its signature."""

    def command(store: str, as_json: bool, **given: Any) -> None:
        with opened(store) as campaign:
            values = [given[parameter.name] for parameter in action.parameters]
            print_json(event_document(action.function(campaign.store, *values)))

    # The store comes first and --json last, as in the other commands of a campaign.
    keyword = partial(inspect.Parameter, kind=inspect.Parameter.KEYWORD_ONLY)
    found = [keyword("store", annotation=options.Store)]
    for one in action.parameters:
        kind, metavar, parser = OPTIONS[one.kind]
        option = typer.Option(help=one.help, metavar=metavar, parser=parser)
        if one.is_required:
            found.append(keyword(one.name, annotation=Annotated[kind, option]))
        else:
            found.append(keyword(one.name, annotation=Annotated[kind | None, option], default=one.default))
    found.append(keyword("as_json", annotation=options.JsonAnyway, default=True))
    command.__signature__ = inspect.Signature(found)  # type: ignore[attr-defined]
    return command


for _action in ACTIONS:
    app.command(_action.name, help=_action.help.replace("`", ""))(_command(_action))


@app.command()
def events(
    store: options.Store,
    last: Annotated[int, options.number("Only so many, the latest; 0 for all.", "NUMBER")] = 30,
    after: Annotated[int, options.number("Only those after the event of this number.", "NUMBER")] = 0,
    shot: Annotated[str | None, typer.Option(help="Only those of a shot.", metavar="ID")] = None,
    as_json: options.Json = False,
) -> None:
    """Show what happened; export has all of it, shots of plans included."""
    with opened(store) as campaign:
        if last < 0:
            raise UsageError(f"the last {last} events", "give a number above zero, or 0 for all")
        with campaign.store.reading() as ledger:
            found = ledger.events(after=after, shot=shot, last=last)
        if as_json:
            print_json([event_document(event) for event in found])
        else:
            from acqplan.cli.campaign_tables import events_table

            print_result(events_table(found))
