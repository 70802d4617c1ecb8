"""The commands of ``acqplan``, and of these: ``convert``, ``serve``, ``strategies``, ``backbones`` and ``doctor``."""

from __future__ import annotations

import importlib.util
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.text import Text

from acqplan import __version__
from acqplan.cli import campaign, evaluate, init, options, study
from acqplan.cli.console import (
    ProgressBars,
    exit_codes,
    plain_table,
    print_json,
    print_note,
    print_result,
)
from acqplan.errors import AcqplanError, MissingError
from acqplan.exchange import FORMATS
from acqplan.exchange import convert as convert_rig

LIBRARIES = ("torch", "torchvision", "numpy", "scipy", "scikit-learn", "botorch", "trimesh", "embreex", "SQLAlchemy")
# A module that each extra installs, and what the extra is for.
EXTRAS = {
    "timm": ("timm", "more backbones: pip install 'acqplan[timm]'"),
    "heic": ("pillow_heif", "photographs of telephones: pip install 'acqplan[heic]'"),
    "dask": ("distributed", "clusters: pip install 'acqplan[dask]'"),
    "serve": ("fastapi", "campaigns over HTTP: pip install 'acqplan[serve]'"),
    "postgresql": ("psycopg", "campaigns of several machines: pip install 'acqplan[postgresql]'"),
}
app = typer.Typer(
    name="acqplan",
    help="Plan which views of which objects to photograph, so that a classifier is as accurate as possible "
    "on new objects from any view.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for _command in (
    init.init,
    evaluate.recommend,
    evaluate.advise,
    evaluate.plan_test,
    evaluate.benchmark,
    evaluate.compare,
):
    app.command()(_command)
app.add_typer(campaign.app)
app.add_typer(study.app)


@app.command()
def convert(
    to: Annotated[str, typer.Option(help=f"Format: {', '.join(FORMATS)}.", metavar="FORMAT")],
    out: options.NewFolder,
    rig: options.Rig = None,
    as_json: options.Json = False,
) -> None:
    """Write all images of a rig in a format that other programs read: all files or none."""
    with exit_codes():
        from acqplan.rig.spec import open_rig

        progress = ProgressBars()
        written = convert_rig(open_rig(rig, progress=progress), to=to, out=out, progress=progress)
        if as_json:
            print_json(written)
        else:
            print_result(*written["sentences"])
            print_note(f"written to {out}")


@app.command()
def serve(
    store: options.Store,
    host: Annotated[
        str, typer.Option(help="Address to be reached at; any but this machine's needs a token.")
    ] = "127.0.0.1",
    port: Annotated[int, options.number("Port; 0 for any that is free.", span="0 to 65535")] = 8765,
    token: Annotated[
        str,
        typer.Option(
            help="What clients must show; better set in the environment, where others do not see it.",
            envvar="ACQPLAN_TOKEN",
            show_default=False,
        ),
    ] = "",
    public_url: Annotated[
        str, typer.Option(help="Address of a proxy in front, e.g. https://lab.example.", metavar="URL")
    ] = "",
    max_upload: Annotated[int, options.number("Largest image, in MB.", "MB")] = 32,
    plan: Annotated[
        bool, typer.Option("--plan/--no-plan", help="Plan the next rounds and advise in the background.")
    ] = True,
) -> None:
    """Serve a campaign over HTTP: rigs ask and tell, and the live page shows how it goes."""
    with exit_codes():
        try:
            from acqplan.service.refusals import MEGABYTE, ServiceSettings
            from acqplan.service.server import serve as serve_campaign
        except ModuleNotFoundError as error:
            # A missing module of acqplan itself is a defect, not a missing extra.
            if (error.name or "").startswith("acqplan"):
                raise
            raise MissingError(f"'{error.name}' is not installed", "pip install 'acqplan[serve]'") from error
        if not 0 <= port <= 65_535:
            raise typer.BadParameter(f"{port} is no port; give 0 to 65535", param_hint="--port")
        most = max_upload * MEGABYTE
        settings = ServiceSettings(host=host, token=token, most_upload=most, public_url=public_url)
        serve_campaign(store, settings, port=port, plans=plan, say=print_note)


@app.command()
def strategies(as_json: options.Json = False) -> None:
    """List the strategies, those of installed packages too."""
    from acqplan.plan import MEANINGS, others_strategies

    found = MEANINGS | others_strategies()
    if as_json:
        print_json(found)
    else:
        table = plain_table("strategy", "")
        table.columns[-1].no_wrap = False
        for name, meaning in found.items():
            table.add_row(name, Text(meaning))
        print_result(table)
        print_note("your own is a class with propose: --strategy module:Class")


@app.command()
def backbones(as_json: options.Json = False) -> None:
    """List the backbones: their layers, sizes, and what each needs."""
    from acqplan.features.registry import ALIASES, NETWORKS

    with exit_codes():
        if as_json:
            keys = ("default", "n_features", "n_weights", "input", "weights")
            networks = {
                name: {"layers": list(network.layers)} | {key: getattr(network, key) for key in keys}
                for name, network in NETWORKS.items()
            }
            print_json({"backbones": networks, "aliases": dict(ALIASES)})
            return
        table = plain_table("backbone", "features", "weights", "layers", right=("features",))
        table.columns[-1].no_wrap = False
        for name, network in NETWORKS.items():
            layers = " ".join(f"{layer}*" if layer == network.default else layer for layer in network.layers)
            size = f"{4 * network.n_weights / 1e6:,.0f} MB"
            words = {
                "torchvision": f"{size}, downloaded",
                "caffe": f"{size} .caffemodel, extra [caffe]",
                "embedded": "embedded",
                "none": "none needed",
            }
            table.add_row(name, f"{network.n_features:,}", Text(words[network.weights]), layers)
        print_result(table, "", *(Text(f"{name}: short for {full}, extra [timm]") for name, full in ALIASES.items()))
        print_note("* the default; features are its. --weights FILE instead of a download")
        print_note("any network of timm, with the extra [timm]: --backbone timm/NAME[:LAYER]")


@app.command()
def doctor(as_json: options.Json = False) -> None:
    """Show device, weights, renderer, cache and versions, and what of it is missing."""
    with exit_codes():
        missing: list[AcqplanError] = []
        findings = {
            "acqplan": __version__,
            "python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        }
        # One thing that is missing hides none of the others.
        with _collected(missing):
            from importlib.metadata import version  # 20 ms that only this command needs

            findings |= {name: version(name) for name in LIBRARIES}
        for name, (module, use) in EXTRAS.items():
            is_there = importlib.util.find_spec(module) is not None
            findings[f"extra {name}"] = "installed" if is_there else f"not installed ({use})"
        with _collected(missing):
            from acqplan.runtime import Runtime

            runtime = Runtime.detect()
            findings |= {"device": runtime.device, "cores": str(runtime.workers)}
        with _collected(missing):
            from acqplan.features.backbone import load_backbone

            toynet = load_backbone("toynet", runtime=Runtime())
            said = f"{toynet.name}:{toynet.layer}, {toynet.n_features} features, {toynet.fingerprint[:12]}"
            findings["embedded backbone"] = said
        with _collected(missing):
            from acqplan.rig.rendered import toy_rig

            rig, started = toy_rig(workers=1), time.perf_counter()
            n_images = len(list(rig.capture(rig.shots().take(range(6)))))
            seconds = time.perf_counter() - started
            findings["renderer"] = (
                f"embree, first pose with {n_images} lights in {1000 * seconds:.0f} ms, model included"
            )
        with _collected(missing):
            from acqplan.features.cache import FeatureCache

            cache = FeatureCache.open()
            findings["cache"] = f"{cache.size() / 1e6:,.1f} MB in {cache.root}"
        if as_json:
            print_json(findings)
        else:
            from acqplan.report.terminal import facts_table

            print_result(facts_table(findings))
        if missing:
            raise MissingError(missing[0].message, missing[0].hint)


@contextmanager
def _collected(missing: list[AcqplanError]) -> Iterator[None]:
    """Keep the error of a block, a library without its metadata included."""
    try:
        yield
    except AcqplanError as error:
        missing.append(error)
    except ModuleNotFoundError as error:
        missing.append(MissingError(f"library {error.name} is not installed", "install acqplan again"))


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"acqplan {__version__}")
        raise typer.Exit


@app.callback()
def before_a_command(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Options before the command."""
