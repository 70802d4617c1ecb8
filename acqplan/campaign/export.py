"""A campaign as files that need no acqplan: plan.csv, images by class, a manifest, and all its events."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from acqplan.campaign.export_images import copy_images
from acqplan.campaign.export_tables import Snapshot, manifest_rows, plan_rows, rig_text, terms_text, write_table
from acqplan.campaign.record import CAPTURED, LEASED, PROPOSED, REJECTED, WITHDRAWN, Record
from acqplan.campaign.reimport import import_campaign
from acqplan.files import whole_folder

if TYPE_CHECKING:
    from acqplan.campaign.campaign import Campaign

__all__ = ["export_campaign", "import_campaign", "snapshot_of"]

ORDER = (CAPTURED, LEASED, PROPOSED, REJECTED, WITHDRAWN)


def export_campaign(campaign: Campaign, folder: Path | str) -> tuple[Path, ...]:
    """Write a campaign as files, all of them or none; it may go on meanwhile.

    * ``plan.csv``: every shot, captured ones first, then those leased, to come, rejected and withdrawn.
    * ``images/<class>/<file>``: copies of the data set; torchvision's ImageFolder reads them.
    * ``manifest.csv`` and ``rig.toml``: ``image,label,object,<axes as reached>``; `acqplan.open_rig` reads them. Where
      an object was captured twice at one pose, the later image stands in ``repeats.csv`` instead.
    * ``aside/<file>``: images that are kept, but are not part of the data set.
    * ``terms.json`` and ``events.jsonl``: everything that happened; `import_campaign` reads them.

    Before anything is captured there are no images, manifest and rig.

    Args:
        campaign: The campaign.
        folder: A folder that does not exist, or is empty.

    Returns:
        The files, images not included.

    Raises:
        OutputError: If the folder holds something, or cannot be written.
        ImageError: If an image of the data set is not there as it was told.
    """
    target = Path(folder)
    snapshot = snapshot_of(campaign)
    with whole_folder(target) as place:
        write_table(place / "plan.csv", plan_rows(snapshot))
        names = ["plan.csv"]
        images = copy_images(snapshot, campaign.images, place)
        if images:
            names += _write_data_set(snapshot, images, place)
        (place / "terms.json").write_text(terms_text(snapshot.terms), encoding="utf-8")
        with (place / "events.jsonl").open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(json.dumps(asdict(event), ensure_ascii=False) + "\n" for event in snapshot.events)
    return tuple(target / name for name in (*names, "terms.json", "events.jsonl"))


def snapshot_of(campaign: Campaign) -> Snapshot:
    """Read everything of a campaign in one transaction."""
    with campaign.store.reading() as ledger:
        records = sorted(ledger.every(), key=_turn)
        return Snapshot(terms=campaign.terms, standing=ledger.standing, records=records, events=ledger.events())


def _write_data_set(snapshot: Snapshot, images: dict[str, str], place: Path) -> list[str]:
    rows, repeats = manifest_rows(snapshot, images)
    write_table(place / "manifest.csv", rows)
    (place / "rig.toml").write_text(rig_text(snapshot), encoding="utf-8")
    if len(repeats) > 1:
        write_table(place / "repeats.csv", repeats)
        return ["manifest.csv", "repeats.csv", "rig.toml"]
    return ["manifest.csv", "rig.toml"]


def _turn(record: Record) -> tuple[int, float, int, str]:
    """Captured shots in the order of time, all others in that of the queue."""
    return ORDER.index(record.state), record.captured_at, record.position, record.shot
