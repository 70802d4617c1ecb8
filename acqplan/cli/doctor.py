"""``acqplan doctor``: what this machine offers, and what is missing."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import time
from typing import Annotated

import typer

from acqplan import __version__
from acqplan.cli.console import exit_codes, print_json, print_result
from acqplan.errors import AcqplanError, MissingError

LIBRARIES = ("torch", "torchvision", "numpy", "scipy", "scikit-learn", "botorch", "trimesh", "embreex", "SQLAlchemy")
EXTRAS = {
    "timm": ("timm", "more backbones: pip install 'acqplan[timm]'"),
    "dask": ("distributed", "clusters: pip install 'acqplan[dask]'"),
    "serve": ("fastapi", "campaigns over HTTP: pip install 'acqplan[serve]'"),
    "postgresql": ("psycopg", "campaigns of several machines: pip install 'acqplan[postgresql]'"),
}
"""Of each extra a module that it brings, and what it is for."""


def command(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False) -> None:
    """Show device, weights, renderer, cache and versions, and what of it is missing."""
    with exit_codes():
        missing: list[AcqplanError] = []
        findings = {
            "acqplan": __version__,
            "python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        }
        for look in (_versions, _extras, _device, _embedded_weights, _renderer, _cache):
            try:
                findings |= look()
            except AcqplanError as error:
                missing.append(error)
        if as_json:
            print_json(findings)
        else:
            from acqplan.report.terminal import facts_table

            print_result(facts_table(findings))
        if missing:
            raise MissingError(missing[0].message, missing[0].hint)


def _versions() -> dict[str, str]:
    try:
        return {name: importlib.metadata.version(name) for name in LIBRARIES}
    except importlib.metadata.PackageNotFoundError as error:
        raise MissingError(f"library {error.name} is not installed", "install acqplan again") from error


def _extras() -> dict[str, str]:
    return {
        f"extra {name}": "installed" if importlib.util.find_spec(module) else f"not installed ({use})"
        for name, (module, use) in EXTRAS.items()
    }


def _device() -> dict[str, str]:
    from acqplan.runtime import Runtime

    runtime = Runtime.detect()
    return {"device": runtime.device, "cores": str(runtime.workers)}


def _embedded_weights() -> dict[str, str]:
    from acqplan.features.backbone import load_backbone
    from acqplan.runtime import Runtime

    toynet = load_backbone("toynet", runtime=Runtime())
    return {
        "embedded backbone": f"{toynet.name}:{toynet.layer}, {toynet.n_features} features, {toynet.fingerprint[:12]}"
    }


def _renderer() -> dict[str, str]:
    from acqplan.rig.toys import toy_rig

    rig = toy_rig(workers=1)
    started = time.perf_counter()
    images = list(rig.capture(rig.shots().take(range(6))))
    elapsed = time.perf_counter() - started
    return {"renderer": f"embree, first pose with {len(images)} lights in {elapsed * 1000:.0f} ms, model included"}


def _cache() -> dict[str, str]:
    from acqplan.features.cache import FeatureCache

    cache = FeatureCache.open()
    return {"cache": f"{cache.size() / 1e6:,.1f} MB in {cache.root}"}
