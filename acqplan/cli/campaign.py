"""``acqplan campaign``: the ask/tell loop of a capture script, and what operators do, from a shell."""

from __future__ import annotations

import inspect
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.text import Text

from acqplan.campaign.operators import ACTIONS, Action, event_document
from acqplan.cli import options
from acqplan.cli.console import ProgressBars, exit_codes, plain_table, print_json, print_note, print_result
from acqplan.errors import Finished, UsageError
from acqplan.numbers import duration

if TYPE_CHECKING:
    from acqplan.campaign.campaign import Campaign
    from acqplan.campaign.events import Event
    from acqplan.campaign.settings import CampaignSettings

BAR = 20
# Classes of each end, of which least and most is captured, where there are more than twice as many.
MOST_CLASSES = 10
MOST_OBJECTS = 60

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
        from acqplan.campaign.machine import this_shell

        with Campaign.open(store, caller=caller or this_shell(), check=check) as campaign:
            yield campaign


@app.command()
def create(
    store: options.Store,
    budget: Annotated[int, options.number("Images that may be taken.", "IMAGES", "--budget", "-b")],
    rig: options.Rig = None,
    time_budget: Annotated[
        float | None, options.time("Time from the first shot on, e.g. 2h; pauses not counted.")
    ] = None,
    strategy: options.Strategy = "auto",
    seed: options.Seed = 0,
    backbone: options.Backbone = None,
    weights: options.Weights = None,
    lease: Annotated[float, options.time("How long a shot is kept for who asked.", shown="10min")] = 600.0,
    tries: Annotated[int, options.number("Failures after which a shot is given up.", "NUMBER")] = 3,
    failure_limit: Annotated[
        float,
        typer.Option(
            help="Share of failures among the last answers above which the campaign stops; 1: never. "
            "[dim]\\[above 0, at most 1][/dim]"
        ),
    ] = 0.5,
    images: options.Images = None,
    stop_when_saturated: Annotated[bool, typer.Option(help="Let the advice to stop end the campaign.")] = True,
    dry_run: options.DryRun = False,
    as_json: options.JsonAnyway = True,
) -> None:
    """Make a campaign with a plan of the whole budget."""
    with exit_codes(), tempfile.TemporaryDirectory() as nowhere:
        from acqplan.campaign.campaign import Campaign
        from acqplan.campaign.machine import this_shell
        from acqplan.rig.spec import open_rig

        opened_rig = open_rig(rig, progress=ProgressBars())
        if opened_rig.doubts:
            print_note(opened_rig.doubts)
        if dry_run:
            from acqplan.campaign.store import Store

            Store.check_free(store)
        created = Campaign.create(
            opened_rig,
            path=Path(nowhere) / "campaign.db" if dry_run else store,
            caller=this_shell(),
            budget=budget,
            time_budget=time_budget,
            images=None if dry_run else images,
            strategy=strategy,
            seed=seed,
            backbone=backbone,
            weights=weights,
            lease_seconds=lease,
            most_tries=tries,
            failure_limit=failure_limit,
            stop_when_saturated=stop_when_saturated,
        )
        with created as campaign:
            found = campaign.status()
            places = {"store": campaign.store.place, "images": str(campaign.images.root)}
            numbers = {name: found[name] for name in ("budget", "time_budget", "queued", "objects")}
            print_json({"dry_run": True, **numbers} if dry_run else {**places, **numbers})


@app.command()
def ask(
    store: options.Store,
    n: Annotated[int, options.number("Shots at most.", "NUMBER", "--n", "-n")] = 1,
    resume: Annotated[bool, typer.Option("--resume", help="What the caller holds already comes first.")] = False,
    caller: options.Caller = None,
    as_json: options.JsonAnyway = True,
) -> None:
    """Lease shots: {"shots": [{"id", "object", "view", "say", "expires_at", …}], "finished": ""}; 5 once over."""
    with opened(store, caller) as campaign:
        shots = campaign.ask(n, resume=resume)
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
    shot_id: options.ShotFirst = None,
    file: Annotated[Path | None, typer.Argument(help="File of the image.", metavar="IMAGE", show_default=False)] = None,
    shot: options.ShotNamed = None,
    image: Annotated[Path | None, typer.Option(help="The same as an option.", metavar="FILE")] = None,
    reached: Annotated[
        list[str] | None,
        typer.Option(help="A setting that the rig reached where it differs, e.g. azimuth=40.3.", metavar="AXIS=VALUE"),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Take it in place of another image of the shot.")] = False,
    as_json: options.JsonAnyway = True,
) -> None:
    """Hand in the image of a shot: tell SHOT IMAGE; telling the same again changes nothing."""
    with opened(store) as campaign:
        settings = {}
        for text in reached or []:
            name, _, value = (part.strip() for part in text.partition("="))
            if not name or not value:
                raise UsageError(f"--reached '{text}' is not AXIS=VALUE", "write e.g. --reached azimuth=40.3")
            if name in settings:
                raise UsageError(f"--reached gives '{name}' twice", "give each setting once")
            settings[name] = value
        told, picture = options.one_of_both(shot_id, shot, "the shot"), options.one_of_both(file, image, "the image")
        outcome = campaign.tell(told, picture, reached=settings, replace=replace)
        print_json({"shot": told, "outcome": outcome} | ({"notes": outcome.notes} if outcome.notes else {}))
        for note in outcome.notes:
            print_note(note)


@app.command()
def fail(
    store: options.Store,
    reason: Annotated[str, typer.Option(help="Why; the same words for the same cause.", metavar="TEXT")],
    shot_id: options.ShotFirst = None,
    shot: options.ShotNamed = None,
    no_retry: Annotated[bool, typer.Option("--no-retry", help="Never try it again.")] = False,
    exposed: Annotated[bool, typer.Option("--exposed", help="The rig took an image, which counts.")] = False,
    caller: options.Caller = None,
    as_json: options.JsonAnyway = True,
) -> None:
    """Say that a shot could not be taken."""
    with opened(store, caller) as campaign:
        failed = options.one_of_both(shot_id, shot, "the shot")
        outcome = campaign.fail(failed, reason=reason, retry=not no_retry, exposed=exposed)
        print_json({"shot": failed, "outcome": outcome})


@app.command()
def release(
    store: options.Store,
    shots: Annotated[
        list[str] | None, typer.Argument(help="Identifiers of shots.", metavar="SHOT", show_default=False)
    ] = None,
    shot: Annotated[list[str] | None, typer.Option(help="The same, as options.", metavar="ID")] = None,
    caller: options.Caller = None,
    as_json: options.JsonAnyway = True,
) -> None:
    """Give shots back that will not be taken after all."""
    with opened(store, caller) as campaign:
        given = options.one_of_both(shots or None, shot or None, "the shot")
        print_json({"released": campaign.release(given)})


@app.command()
def status(store: options.Store, as_json: options.Json = False) -> None:
    """Show what is taken and what is to come, how fast, and what fails where."""
    with opened(store) as campaign:
        found = campaign.status()
        if as_json:
            print_json(found)
        else:
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
def export(
    store: options.Store,
    out: options.NewFolder,
    to: Annotated[
        str | None,
        typer.Option("--format", help="Instead, the data set alone, as of acqplan convert --to.", metavar="FORMAT"),
    ] = None,
    rig: Annotated[
        Path | None, typer.Option(help="With --format: rig.toml, for its split into train and test, and [camera].")
    ] = None,
    as_json: options.JsonAnyway = True,
) -> None:
    """Write plan.csv, images by class, a manifest with its rig.toml, and all events."""
    with opened(store) as campaign:
        if rig is not None and to is None:
            raise UsageError("--rig without --format", "give both")
        if to is not None:
            from acqplan.exchange import export_as

            print_json({"folder": str(out), **export_as(campaign, to=to, out=out, rig=rig, progress=ProgressBars())})
            return
        from acqplan.campaign.export import export_campaign

        names = [path.name for path in export_campaign(campaign, out)]
        if "manifest.csv" in names:
            from acqplan.evaluate.campaign import captured_source
            from acqplan.report.contact import captured_sheet
            from acqplan.report.plot.contact import contact_sheet
            from acqplan.report.plot.style import save_png

            source = captured_source(campaign)
            save_png(contact_sheet(captured_sheet([(source, source.taken)])), out / "contact.png")
            names.append("contact.png")
        print_json({"folder": str(out), "files": names})
        if "manifest.csv" not in names:
            print_note("no image is captured yet: there is no manifest and no folder of images")


@app.command()
def sheet(
    store: options.Store,
    out: Annotated[Path, typer.Option(help="File to write: .html to print, or .csv.", metavar="FILE")],
    as_json: options.JsonAnyway = True,
) -> None:
    """Write the shots to come as sheets for people, object by object, with boxes to tick."""
    with opened(store) as campaign:
        from acqplan.report.sheet import save_sheet

        written = save_sheet(campaign, out)
        print_json({"file": str(out), **written})
        if not written["shots"]:
            print_note(f"nothing is to come: {campaign.finished or 'no shot is planned yet'}")


@app.command()
def backup(store: options.Store, out: options.NewFolder, as_json: options.JsonAnyway = True) -> None:
    """Copy file and images while others go on; a copy made by hand is safe only while nobody does."""
    with opened(store) as campaign:
        from acqplan.campaign.check import back_up

        print_json({"store": str(back_up(campaign, out))})


@app.command()
def restore(
    store: options.Store,
    backup: Annotated[Path, typer.Option("--from", help="Folder of a backup, or the file in it.", metavar="DIR")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Put it in the place of what is there, which is moved aside.")
    ] = False,
    as_json: options.JsonAnyway = True,
) -> None:
    """Put a backup in place of a campaign that is lost or damaged; images told since then stay, and are found again."""
    with exit_codes():
        from acqplan.campaign.restore import restore_campaign

        print_json(restore_campaign(backup, store, replace=replace))


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


# Type, word in the help, and reader of each kind of parameter.
OPTIONS: dict[str, tuple[type, str, Callable[[Any], Any] | None]] = {
    "text": (str, "TEXT", None),
    "name": (str, "NAME", None),
    "region": (str, "REGION", None),
    "shot": (str, "ID", None),
    "event": (int, "NUMBER", options.whole_number),
    "images": (int, "IMAGES", options.whole_number),
    "seconds": (float, "TIME", options.time_span),
}


def _command(action: Action) -> Callable[..., None]:
    """Make the command of an action, which prints its event; typer reads the options from its signature."""

    def command(store: str, as_json: bool, **given: Any) -> None:
        from acqplan.campaign.leases import finished, way_on

        with opened(store) as campaign:
            values = [given[parameter.name] for parameter in action.parameters]
            event = action.function(campaign.store, *values)
            print_json(event_document(event))
            with campaign.store.reading() as ledger:
                reason, way = finished(campaign.settings, ledger.state, ledger.now), way_on(ledger.state)
            if event.kind == "forbidden" and not event.body["left"]:
                print_note(f"no shot is left that may be taken; to take it back: undo --event {event.number}")
            elif reason and event.kind != "stopped":
                print_note(f"the campaign stays finished: {reason}" + (f"; to go on: {way}" if way else ""))

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
    last: Annotated[
        int, options.number("Only so many, the latest; 0 for all.", "NUMBER", "--last", "-n", span="0 or more")
    ] = 30,
    after: Annotated[int, options.number("Only those after the event of this number.", "NUMBER", span="0 or more")] = 0,
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
            print_result(events_table(found))


def status_table(status: Mapping[str, Any], settings: CampaignSettings) -> RenderableType:
    """Show sentences, then what is captured of each class, object and level.

    Args:
        status: From `acqplan.campaign.status.status_of`.
        settings: What the campaign was created with.
    """
    from acqplan.campaign.status import status_sentences

    counts = ("captured", "leased", "to come", "given up")
    classes = plain_table("class", "", *counts, right=counts)
    shares = {
        name: group["captured"] / max(group["captured"] + group["leased"] + group["queued"], 1)
        for name, group in status["by_class"].items()
    }
    shown: list[str | None] = [*shares]
    if len(shares) > 2 * MOST_CLASSES:  # the extremes: those of which least is captured, and most
        ascending = sorted(shares, key=lambda name: shares[name])
        shown = [*ascending[:MOST_CLASSES], None, *ascending[-MOST_CLASSES:]]
    for name in shown:
        if name is None:
            classes.add_row(Text(f"… {len(shares) - 2 * MOST_CLASSES} more"), "", *("" for _ in counts))
            continue
        group, full = status["by_class"][name], round(BAR * shares[name])
        numbers = [f"{group[word]:,}" for word in ("captured", "leased", "queued", "rejected")]
        classes.add_row(Text(name), "█" * full + "░" * (BAR - full), *numbers)
    parts: list[RenderableType] = [Text("\n".join(status_sentences(status))), Text(), classes]
    if len(status["by_object"]) <= MOST_OBJECTS:
        objects = {
            name: (one["captured"], one["captured"] + one["leased"] + one["queued"], 0)
            for name, one in status["by_object"].items()
        }
        parts += [Text(), *_levels("objects", objects)]
    for axis in settings.axes:
        levels = {
            level: (one["captured"], one["planned"], one["failed"])
            for level, one in status["by_axis"][axis.name].items()
        }
        parts += [Text(), *_levels(f"{axis.name} ({axis.unit})" if axis.unit else axis.name, levels)]
    return Group(*parts)


def events_table(events: Sequence[Event]) -> RenderableType:
    """Show one line per event, in the time of this machine."""
    table = plain_table("event", "time", "what", right=("event",))
    table.add_column("", overflow="fold")
    for event in events:
        when = time.strftime("%m-%d %H:%M:%S", time.localtime(event.at))
        details = DETAILS[event.kind](event.body) if event.kind in DETAILS else str(event.body.get("reason", ""))
        table.add_row(str(event.number), when, event.kind, Text("; ".join(filter(None, [event.shot, details]))))
    return table


def _levels(title: str, levels: Mapping[str, tuple[int, int, int]]) -> Iterator[RenderableType]:
    """Captured of planned and failed tries at each level, side by side as far as the terminal is wide."""
    failures = [f" {failed:,}✗" if failed else "" for *_, failed in levels.values()]
    yield Text.assemble((f"{title}: captured of planned", "bold"), ", ✗ failed tries" if any(failures) else "")
    counts = [f"{captured:,}/{planned:,}" for captured, planned, _ in levels.values()]
    width = max(map(len, levels), default=0)
    # Words are aligned to the left, numbers to the right.
    side = "<" if any(name[:1].isalpha() for name in levels) else ">"
    longest = max((len(count) + len(failed) for count, failed in zip(counts, failures, strict=True)), default=0)
    yield Columns(
        [
            Text.assemble(f"{name:{side}{width}}  ", (count, "dim"), (f"{failed:<{longest - len(count)}}", "red"))
            for name, count, failed in zip(levels, counts, failures, strict=True)
        ],
        padding=(0, 3),
    )


def _reached(body: Mapping[str, Any]) -> str:
    from acqplan.campaign.wording import level_name

    places = " ".join(level_name(value) for value in body["reached"])
    return f"reached {places}" + (", late" if body["late"] else "") + (", another image" if "replaces" in body else "")


def _budget(body: Mapping[str, Any]) -> str:
    seconds = body["time_budget"]
    return f"{body['budget']:,} images" + ("" if seconds is None else f" in {duration(seconds)}")


def _clock(body: Mapping[str, Any]) -> str:
    jump = body.get("jump", -abs(body["offset"]))
    said = f"{'jumped ahead' if jump > 0 else 'set back'} by {duration(abs(jump))}, which is not counted"
    uncounted = body.get("uncounted")
    return said + (f"; {duration(uncounted)} that it had been ahead are not counted any more" if uncounted else "")


# What a table says of an event by its kind; of all others, the reason.
DETAILS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "created": _budget,
    "budget": _budget,
    "replanned": lambda body: (
        f"{len(body['shots']):,} shots "
        + (f"by {body['strategy']}, round {body['round']}" if body["replaces"] else "by lot")
    ),
    "asked": lambda body: f"{len(body['shots'])} of {body['wanted']} for {body['caller']}",
    "leased": "for {caller}".format_map,
    "told": _reached,
    "surplus": _reached,
    "failed": lambda body: body["reason"] + (", exposed" if body["exposed"] else ""),
    "forbidden": lambda body: body["where"] + (f", {body['shots']:,} shots" if "shots" in body else ""),
    "allowed": "{where}".format_map,
    "object added": "{object} ({label})".format_map,
    "object removed": "{object} ({label})".format_map,
    "advised": lambda body: body.get("saturated") or "go on",
    "clock": _clock,
}
