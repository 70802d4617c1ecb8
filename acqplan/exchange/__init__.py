"""What goes in and out: rigs in formats that other programs read."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acqplan.errors import UsageError, nearest
from acqplan.files import folder_for_result, whole_folder, work_folder
from acqplan.progress import SILENT, Progress

if TYPE_CHECKING:
    from acqplan.campaign.campaign import Campaign
    from acqplan.rig.spec import Rig

# What writes each format: ``(rig, folder, progress) -> its objects, and sentences about it``.
FORMATS = {
    "imagefolder": "acqplan.exchange.trees:write_imagefolder",
    "huggingface": "acqplan.exchange.trees:write_imagefolder",
    "webdataset": "acqplan.exchange.trees:write_webdataset",
    "transforms": "acqplan.exchange.scenes:write_transforms",
    "colmap": "acqplan.exchange.scenes:write_colmap",
    "bop": "acqplan.exchange.scenes:write_bop",
    "smallnorb": "acqplan.exchange.smallnorb:write_smallnorb",
}


def convert(rig: Rig | Path | str, *, to: str, out: Path | str, progress: Progress = SILENT) -> dict[str, Any]:
    """Write all images of a rig in a format that other programs read: all files or none.

    Args:
        rig: The rig, or the path of a rig.toml.
        to: A key of `FORMATS`; what a rig must be for it, says the function there.
        out: A folder that does not exist, or is empty.
        progress: Receives each image.

    Returns:
        The ``files`` and folders in it, the names of the ``objects``, and ``sentences`` that say what was done.

    Raises:
        UsageError: If there is no such format, or it cannot say what the rig holds.
        SplitError: If objects cannot be split.
        OutputError: If the folder holds something, or cannot be written.
    """
    from acqplan.evaluate.task import opened

    write, source, out = _writer(to), opened(rig, progress), Path(out)
    with folder_for_result(out.parent), whole_folder(out) as place:
        written = write(source, place, progress)
    return {"files": sorted(map(str, out.iterdir())), **written}


def export_as(
    campaign: Campaign, *, to: str, out: Path | str, rig: Path | str | None = None, progress: Progress = SILENT
) -> dict[str, Any]:
    """Write the data set of a campaign in such a format, as `convert` does.

    Args:
        campaign: The campaign; captures that its export names in repeats.csv are left out.
        to: As of `convert`.
        out: As of `convert`.
        rig: Its rig.toml, of which the split into train and test and [camera] are taken; by default half of the objects
            are for testing.
        progress: Receives each image.

    Raises:
        UsageError: If nothing is captured yet; otherwise as `convert`.
    """
    from acqplan.campaign.export import export_campaign
    from acqplan.rig.spec import open_rig

    _writer(to)
    given, out = None if rig is None else open_rig(rig, progress=progress), Path(out)
    with folder_for_result(out.parent), work_folder(out.with_name(f"{out.name}-export")) as work:
        if "manifest.csv" not in [path.name for path in export_campaign(campaign, work / "export")]:
            raise UsageError("no image is captured yet", "convert it later")
        captured = open_rig(work / "export" / "rig.toml", progress=progress)
        if given is not None:
            names = set(captured.source.objects.names)
            test = given.test if given.test == "views" else tuple(name for name in given.test if name in names)
            captured = replace(captured, camera=given.camera, test=test, test_fraction=given.test_fraction)
        return convert(captured, to=to, out=out, progress=progress)


def _writer(to: str) -> Callable[[Rig, Path, Progress], dict[str, Any]]:
    if to not in FORMATS:
        raise UsageError(f"no format is called '{to}'", nearest(to, FORMATS), asked=to)
    module, _, name = FORMATS[to].partition(":")
    found: Callable[[Rig, Path, Progress], dict[str, Any]] = getattr(importlib.import_module(module), name)
    return found
