"""Putting a backup in the place of a campaign that is lost or damaged."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

from acqplan.campaign.campaign import Campaign, images_root
from acqplan.campaign.images import ImageFolder
from acqplan.campaign.store import Store
from acqplan.campaign.store_database import SIDE_FILES, is_url, put_in_place
from acqplan.errors import StoreError, UsageError
from acqplan.files import folder, work_folder


def restore_campaign(backup: Path | str, place: Path | str, *, replace: bool = False) -> dict[str, Any]:
    """Put a backup in place, all of it or nothing; nothing of what was there is lost.

    A file that is there already goes aside with its write-ahead log, which would destroy the backup. Images that the
    campaign has been told since the backup stay in its folder: the first opening, or `check_campaign`, gives those to
    their shots that no event of the backup mentions. Images of another campaign go aside.

    Args:
        backup: The folder that `acqplan.campaign.check.back_up` has made, or the file in it.
        place: File of the campaign.
        replace: Whether to put the backup in the place of what is there.

    Returns:
        ``store``, ``captured``, ``images`` (copied from the backup) and ``aside`` (folder of what was there, if
        anything was), fit for JSON.

    Raises:
        UsageError: If something is there and ``replace`` is not set, or ``place`` is the URL of a database.
        StoreError: If the backup cannot be used.
        OutputError: If it cannot be written.
    """
    if is_url(place):
        raise UsageError("a database on a server is restored by its own tools", "use e.g. pg_restore")
    path, source = Path(place).absolute(), _store_in(Path(backup))
    if path.exists() and not replace:
        hint = "give --replace to put the backup in its place; what is there is moved aside"
        raise UsageError(f"{path}: is there already", hint, path=path)
    with work_folder(path) as work:
        # 1. the backup is whole, its copy cannot be half
        with Campaign.open(source, check=False) as campaign:
            images, created = campaign.images, campaign.events()[0].body
            campaign.store.database.copy_to(work / "store")
        copy = Store.open(work / "store")
        copy.database.check_pages()
        copy.check_events()
        with copy.reading() as transaction:
            captured = transaction.state.captured
        copy.close()
        # 2. images lie there before the events that mention them
        aside = next(found for number in count(1) if not (found := Path(f"{path}.before-{number}")).exists())
        root, names = images_root(path, Path(created["images"])), images.names()
        there = ImageFolder(root=root)
        owner, held = there.marked()[0], set(there.names())
        if held and (owner != images.owner if owner else held.isdisjoint(names)):
            aside.mkdir()
            root.rename(aside / root.name)
        copied = [there.keep("", images.read(name), name=name).fresh for name in names if root != images.root]
        ImageFolder(root=folder(root), owner=images.owner).mark(str(path))
        # 3. the file, in one moment
        put_in_place(work / "store", path, aside)
    moved = str(aside) if aside.exists() else ""
    return {"store": str(path), "captured": captured, "images": sum(copied), "aside": moved}


def _store_in(backup: Path) -> Path:
    """The one file of a campaign in a folder; a file itself."""
    paths = sorted(backup.iterdir()) if backup.is_dir() else [backup]
    found = [path for path in paths if not path.is_dir() and not path.name.endswith(SIDE_FILES)]
    if len(found) != 1:
        said = f"{backup}: {len(found)} files, where a backup has one beside its images"
        raise StoreError(said, "give the folder of a backup, or the file in it", path=backup)
    return found[0]
