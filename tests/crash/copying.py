"""Imports, exports, backups and restorations killed at each moment; then made again, as their users would.

``python -m tests.crash.copying --work FOLDER --every 7`` prints what is wrong as JSON, one line per moment. FOLDER has
a campaign, ``rig.db``, its export, ``export``, and its backup, ``backup``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from acqplan.campaign.campaign import Campaign
from acqplan.campaign.check import back_up, check_campaign
from acqplan.campaign.export import export_campaign, import_campaign, snapshot_of
from acqplan.campaign.restore import restore_campaign
from acqplan.errors import AcqplanError, StoreError
from tests.crash.moments import Board, Countdown


def imported(work: Path) -> None:
    """Import the export."""
    import_campaign(work / "export", work / "made" / "again.db").close()


def exported(work: Path) -> None:
    """Export the campaign."""
    with Campaign.open(work / "rig.db") as campaign:
        export_campaign(campaign, work / "made" / "again")


def backed_up(work: Path) -> None:
    """Back the campaign up."""
    with Campaign.open(work / "rig.db") as campaign:
        back_up(campaign, work / "made" / "again")


def restored(work: Path) -> None:
    """Put the backup in the place of a copy of the campaign, which has its log."""
    restore_campaign(work / "backup", work / "made" / "rig.db", replace=True)


COPIES: dict[str, tuple[Callable[[Path], None], str]] = {
    "import": (imported, "again.db"),
    "export": (exported, "again"),
    "backup": (backed_up, "again"),
    "restore": (restored, "rig.db"),
}


def killed(copy: Callable[[Path], None], work: Path, moment: int) -> tuple[bool, str]:
    """Whether it was killed at a moment, and what it did last."""
    board = Board()
    pid = os.fork()
    if pid == 0:
        try:
            Countdown(moment, board).install()
            copy(work)
        except BaseException:
            (work / "error").write_text(traceback.format_exc(), encoding="utf-8")
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, board.read()


def complaints(kind: str, work: Path) -> list[str]:
    """What is wrong after a kill, and after the same again."""
    copy, name = COPIES[kind]
    made, wrong = work / "made", list[str]()
    if (work / "error").exists():
        wrong.append((work / "error").read_text(encoding="utf-8"))
    is_there = (made / name).exists()
    try:
        if kind == "restore":
            try:
                Campaign.open(made / name).close()  # what it was, or what it is to be
            except StoreError as error:
                wrong += [str(error)] if "there is no campaign" not in str(error) else []
            copy(work)
            with Campaign.open(made / name) as campaign:
                checked = check_campaign(campaign)
            wrong += [f"damaged: {checked['damaged']}"] if checked["damaged"] else []
            left = [path.name for path in made.iterdir() if path.name.startswith(".")]
            return wrong + ([f"left: {left}"] if left else [])
        if not is_there:
            copy(work)
        left = [path.name for path in made.iterdir() if path.name.startswith(".")]
        # what was there before the kill came too late to be made again: its work folder goes with the next of any kind
        wrong += [f"left: {left}"] if left and not is_there else []
        with Campaign.open(work / "rig.db") as campaign:
            truth = snapshot_of(campaign)
        if kind == "export":
            import_campaign(made / name, work / "again" / "again.db").close()
        place = {"import": made / name, "export": work / "again" / "again.db", "backup": made / name / "rig.db"}[kind]
        with Campaign.open(place) as campaign:
            found = snapshot_of(campaign)
            if (found.state, found.records) != (truth.state, truth.records):
                wrong.append("it is another campaign")
            checked = check_campaign(campaign, mend=False)
            wrong += [f"{one}: {checked[one]}" for one in ("damaged", "left", "on_their_way") if checked[one]]
    except AcqplanError:
        wrong.append(traceback.format_exc())
    return wrong


def main() -> None:
    """Print what is wrong, and how many kills there were of each kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--every", type=int, default=7)
    parser.add_argument("--kinds", nargs="+", default=["import", "export", "backup"])
    asked = parser.parse_args()
    kills, wrong = dict.fromkeys(asked.kinds, 0), list[str]()
    for kind in asked.kinds:
        moment = 1
        while True:
            if kind == "restore":
                shutil.copytree(asked.work, asked.work / "made", ignore=shutil.ignore_patterns("backup", "made"))
            else:
                (asked.work / "made").mkdir()
            was_killed, last = killed(COPIES[kind][0], asked.work, moment)
            kills[kind] += was_killed
            wrong += [f"{kind}, moment {moment} ({last}): {one}" for one in complaints(kind, asked.work)]
            for name in ("made", "again"):
                shutil.rmtree(asked.work / name, ignore_errors=True)
            if not was_killed:
                break
            moment += asked.every
    json.dump({"kills": kills, "wrong": wrong}, sys.stdout)


if __name__ == "__main__":
    main()
