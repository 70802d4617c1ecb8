"""Patterns proposed for the names of images: which numbers in them are angles, frames, objects."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import gcd
from typing import Final

from acqplan.errors import UnclearError
from acqplan.exchange.found import Told
from acqplan.rig.manifest import AxisColumn
from acqplan.rig.names import NamePattern
from acqplan.space.sphere import WORDS

NUMBER: Final = re.compile(r"(\d+(?:\.\d+)?)")
LAST_WORD, LAST_MARKS = re.compile(r"^(.*?)([\W_]*[^\W\d_]*[\W_]*)$"), re.compile(r"^(.*?)([\W_]*)$")
# What is before the last number and the number itself, down to the word before it; how many names have the same of it.
ENDING, MOST_ALIKE = re.compile(r"^.*?(?=(?:[\W_]*[^\W\d_]*[\W_]*)\d+(?:\.\d+)?\D*$)|\d+(?:\.\d+)?(?=\D*$)"), 0.8
WORD, MOST_WORDS = re.compile(r"[^\W\d_]*$"), 12
# Angles of height by which ETH-80's names are known, counted from straight above.
ETH80: Final = {0.0, 22.0, 35.0, 45.0, 66.0, 68.0, 90.0}
# A number of so many digits is a date, a time or a counter of years.
LONGEST: Final = 6


@dataclass(slots=True, kw_only=True)
class Part:
    """A number in names, and the text before it.

    Attributes:
        before: Text between it and what is before it, the same in all names.
        cells: The number in each name.
        field: What it is: a field, ``""`` while that is not known, ``*`` for what is ignored.
    """

    before: str
    cells: list[str]
    field: str = ""

    @property
    def values(self) -> list[float]:
        """The distinct numbers, from low to high."""
        return sorted({float(cell) for cell in self.cells})


def proposed_pattern(names: Sequence[str], told: Told) -> tuple[NamePattern | None, tuple[str, ...]]:
    """The pattern of names that say from where images were taken, unless it is told, and what is supposed with it.

    Args:
        names: Paths below a folder, with ``/``.
        told: What a person said.

    Returns:
        The pattern, ``None`` if names say no view, and sentences.

    Raises:
        UnclearError: If a number may be one thing or another.
    """
    if told.pattern:
        step = None if isinstance(told.step, str) else told.step
        return NamePattern(text=told.pattern, step=step, offset=told.offset), ()
    if not names or any(mark in name for name in names for mark in "{}*"):
        return None, ()
    depth = Counter(name.count("/") for name in names).most_common(1)[0][0]
    chosen = [name for name in names if name.count("/") == depth]
    endings = [ENDING.sub("0", name.rsplit("/", 1)[-1].rsplit(".", 1)[0]).replace("-", "") for name in chosen]
    usual, count = Counter(endings).most_common(1)[0]
    if count >= MOST_ALIKE * len(names):  # a few strangers among them are left out
        chosen = [name for name, ending in zip(chosen, endings, strict=True) if ending == usual]
    stems = [name.rsplit("/", 1)[-1].rsplit(".", 1)[0] for name in chosen]
    suffixes = {name.rsplit(".", 1)[-1] for name in chosen}
    prefixes, parts, after = _aligned(stems)
    folders = ["/".join(name.split("/")[:-1][-2:]) for name in chosen]
    for part in parts:
        is_time = part.cells[0].isdecimal() and len(part.cells[0]) >= LONGEST
        part.field = _worded(part.before) or "*" * is_time
    if not any(part.field for part in parts) and re.match(r"_?(?:deg|°)", after):
        parts[-1].field = "azimuth"
    if not any(part.field == "azimuth" for part in parts):  # a theta without its phi is a turn
        for part in parts:
            part.field = "azimuth" if "theta" in part.before.casefold() else part.field
    # what names the object: folders, or what comes before the numbers of the view
    is_named = len(set(zip(prefixes, folders, strict=True))) > len(set(folders))
    is_many = any(part.field == "azimuth" for part in parts) or sum(not part.field for part in parts) > 2
    if is_many and not any(prefixes) and not parts[0].field:
        is_named = len(set(zip(parts[0].cells, folders, strict=True))) > len(set(folders))
    lead = ""
    if depth == 0 or (depth == 1 and is_named):
        lead = "{object}" if any(prefixes) else ""
        if not lead and len(parts) > 1 and not parts[0].field and len(parts[0].values) > 1:
            lead, parts[0].field = "{object}", "object"
    elif any(prefixes):
        lead = "*"
    shown = "{label}/" if depth == 1 and lead == "{object}" else ("", "{object}/", "{label}/{object}/")[min(depth, 2)]
    shown = "*/" * max(0, depth - 2) + shown
    own = [folder if "object" in shown else prefix for folder, prefix in zip(folders, prefixes, strict=True)]
    for part in parts:
        if not part.field and (len(part.values) == 1 or _is_of_object(part, own)):
            part.field = "*"
    step, offset, said = _angles(parts, after, own, told, chosen[0])
    views = [part for part in parts if part.field not in ("", "*", "object")]
    if not views or any(not part.field for part in parts):
        return None, ()
    texts = []
    for part in parts:
        ignored = part.cells[0] if len(set(part.cells)) == 1 else "*"
        texts.append(part.before + (ignored if part.field == "*" else f"{{{part.field}}}"))
    if parts[0].field == "object":  # the word before the number is part of its name
        texts[0] = ""
    text = shown + lead + "".join(texts) + after + "." + (suffixes.pop() if len(suffixes) == 1 else "*")
    return NamePattern(text=text, step=step, offset=offset), said


def _aligned(stems: Sequence[str]) -> tuple[list[str], list[Part], str]:
    """Names from the right: what differs, the numbers with the text before each, and the text behind the last."""
    splits = [NUMBER.split(stem) for stem in stems]  # text, number, text, …, text
    rests, parts = list(stems), list[Part]()
    ends = {LAST_WORD.findall(split[-1])[0] for split in splits}
    marks = {LAST_MARKS.findall(split[-1].removesuffix(WORD.findall(split[-1])[0]))[0] for split in splits}
    if len(ends) > 1 and len(marks) == 1 and len(ends) <= MOST_WORDS:
        # names end in a word that is one of few: a light, a side
        head, mark = marks.pop()
        field = _worded(head + mark) or "kind"
        for split in splits:
            split[-1] = f"{head}{mark}{{{field}}}"
    if len({split[-1] for split in splits}) > 1:
        return rests, parts, ""
    for place in range(2, min(map(len, splits)), 2):
        # a minus sign stands behind the word of an angle, and in some names alone; elsewhere it is a mark
        minus = [split for split in splits if split[-place - 1].endswith("-") and _worded(split[-place - 1])]
        for split in minus if len(minus) < len(splits) else ():
            split[-place - 1], split[-place] = split[-place - 1][:-1], f"-{split[-place]}"
        heads, texts = [""] * len(stems), [split[-place - 1] for split in splits]
        for ending in (LAST_WORD, LAST_MARKS)[: 1 + (place == 2)]:
            if len(set(texts)) > 1:
                pairs = [ending.findall(split[-place - 1])[0] for split in splits]
                heads, texts = [head for head, _ in pairs], [text for _, text in pairs]
        if len(set(texts)) > 1:
            break
        parts.insert(0, Part(before=texts[0], cells=[split[-place] for split in splits]))
        rests = ["".join(split[: -place - 1]) + head for split, head in zip(splits, heads, strict=True)]
        if any(heads):
            break
    return rests, parts, splits[0][-1]


def _worded(before: str) -> str:
    """The field that the word before a number names; empty if it names none."""
    found = re.search(r"([^\W\d_]+)[\W_]*$", before)
    word = found[1].casefold() if found else ""
    physics = {"theta": "polar", "phi": "azimuth", "fi": "azimuth"}  # as OpenScan has them
    field = next((field for field, words in WORDS.items() if word in words), physics.get(word, ""))
    axis = AxisColumn.known(word)
    is_light = word in ("l", "lamp") or (axis is not None and axis.kind == "category")
    return field or ("lighting" if is_light else "azimuth" if word in ("deg", "angle") else "")


def _is_of_object(part: Part, own: Sequence[str]) -> bool:
    """Whether a number says no more than which object an image shows."""
    return len(set(own)) > 1 and len(set(zip(own, part.cells, strict=True))) == len(set(own))


def _angles(
    parts: Sequence[Part], after: str, own: Sequence[str], told: Told, example: str
) -> tuple[float | None, float, tuple[str, ...]]:
    """Say what bare numbers are; gives step and offset of frames, and sentences.

    Raises:
        UnclearError: If they may be one thing or another.
    """
    bare = [part for part in parts if not part.field]
    if any(part.field == "azimuth" for part in parts):
        told_apart = set(zip(own, *(part.cells for part in parts if part.field not in ("", "*")), strict=True))
        for part in bare:  # a number that tells images apart is an axis of its own
            word = "".join(re.findall(r"[^\W\d_]+", part.before)[-1:]).casefold() or "number"
            part.field = "*" if len(told_apart) == len(own) else word
        said = " and ".join(f"'{part.before}{part.cells[0]}'" for part in bare)
        how = "is ignored" if bare and bare[0].field == "*" else "is an axis of its own"
        return None, 0.0, (f"of names such as '{example}', {said} {how}",) if said else ()
    if len(bare) == 2 and after == "_crop":  # RGB-D Object: number of the sequence, i.e. height of the camera; frame
        bare.pop(0).field = "sequence:d"
    if len(bare) == 2:
        around = max(bare, key=lambda part: part.values[-1])
        height = bare[0] if around is bare[1] else bare[1]
        if around.values[-1] <= 90.0 or height.values[-1] > 180.0:
            said = f"of two numbers in '{example}' it is not clear which is azimuth"
            raise UnclearError(said, "say it: --pattern '…{elevation}-{azimuth}.jpg'", question="pattern")
        is_eth80 = set(height.values) <= ETH80 and {35.0, 66.0} & set(height.values)
        polar = told.polar if told.polar is not None else True if is_eth80 or height.values[-1] > 90.0 else None
        if polar is None:
            low, high = height.values[0], height.values[-1]
            said = f"'{example}': {low:g} to {high:g} may be elevations, or count from straight above"
            raise UnclearError(said, "say it: --polar (from straight above) or --no-polar", question="polar")
        around.field, height.field = "azimuth", "polar" if polar else "elevation"
        counted = f"angles of height count from straight above{', as in ETH-80' * bool(is_eth80)}: 0 is elevation 90"
        return None, 0.0, (counted,) if polar else ()
    if len(bare) > 2:
        said = f"of {len(bare)} numbers in '{example}' it is not clear what they are"
        raise UnclearError(said, "say it: --pattern '{object}_…_{azimuth}.jpg'", question="pattern")
    return _frames(bare[0], own, told, example) if bare else (None, 0.0, ())


def _frames(part: Part, own: Sequence[str], told: Told, example: str) -> tuple[float | None, float, tuple[str, ...]]:
    """Whether one bare number is degrees or the number of a frame."""
    values = part.values
    first, last = values[0], values[-1]
    gap = gcd(*(round(high - low) for low, high in pairwise(values))) if len(values) > 1 else 0
    is_turn = gap > 0 and last + gap - first == 360.0
    is_whole = all(value == int(value) for value in values)
    if told.step is None and (is_turn or not is_whole):
        part.field = "azimuth"
        return None, 0.0, (f"numbers from {first:g} to {last:g} are degrees",)
    starts: dict[str, float] = {}
    for name, cell in zip(own, part.cells, strict=True):
        starts[name] = min(starts.get(name, last), float(cell))
    if len(set(starts.values())) > 1 or not is_whole:
        return None, 0.0, ()  # a counter that goes on from object to object: their order tells more
    turn = round(360.0 / (last + (gap or 1) - first), 6)
    if told.step is None:
        said = f"'{example}': numbers from {first:g} to {last:g} may be frames or degrees"
        hint = f"say how many degrees two are apart: --step {turn:g} if they go once around, --step 1 for degrees"
        raise UnclearError(said, hint, question="step", proposal=f"{turn:g}")
    step = turn if told.step == "turn" else told.step
    part.field, offset = "index", told.offset if step == 1 else told.offset - step * first
    return step, offset, (f"frames are {step:g}° apart; frame {first:g} is at {(offset + step * first) % 360:g}°",)
