"""Copies of a campaign to go on with: taken while it is in use, and the same at one moment."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from acqplan.files import whole_folder

if TYPE_CHECKING:
    from acqplan.campaign.campaign import Campaign


def back_up(campaign: Campaign, folder: Path) -> Path:
    """Copy a campaign in SQLite, with the images beside it, into a folder; others may go on with it meanwhile.

    Copying the files by hand is safe only while nobody has the campaign open. An image is on the disk before any event
    speaks of it, so that images copied after the database hold all that it knows. Images that were put elsewhere stay
    there, and the copy speaks of them.

    Args:
        campaign: The campaign.
        folder: A folder that does not exist, or is empty.

    Returns:
        The file to open.

    Raises:
        UsageError: If it is kept on a server.
        OutputError: If the folder holds something, or cannot be written.
    """
    store, root = Path(campaign.store.place), campaign.images.root
    with whole_folder(folder) as part:
        campaign.store.database.copy_to(part / store.name)
        if root.absolute().parent == store.absolute().parent:
            shutil.copytree(root, part / root.name, ignore=shutil.ignore_patterns(".*.part"))
    return folder / store.name
