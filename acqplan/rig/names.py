"""Names of images that say what they show: patterns such as ``{label}/{object}/{elevation}-{azimuth}.png``."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from acqplan.errors import UsageError
from acqplan.images import NAME_SUFFIXES
from acqplan.rig.manifest import AxisColumn, ImageRows

# Fields that are no axes: what is shown, and what becomes an angle.
SHOWN, ANGLES = ("label", "object"), {"polar": "elevation", "index": "azimuth"}
FIELD = re.compile(r"\{([^{}]*)\}|(\*)")
NUMBER, WHOLE, TEXT = r"[+-]?\d+(?:\.\d+)?", r"\d+", r"[^/]+?"
# Images about images, which no camera took.
MADE = re.compile(r"(?:^|[\W_])(?:mask(?:crop)?|depth(?:crop)?|map|alpha|segmentation|normals?|thumb(?:nail)?)$", re.I)


@dataclass(frozen=True, kw_only=True)
class NamePattern:
    """How the paths of images below a folder say what they show.

    Attributes:
        text: Parts in braces are fields: ``label``, ``object``, and axes; ``polar`` is an angle from straight above,
            90° less elevation, and ``index`` the number of a frame, from which azimuth follows. ``{object:d}`` are
            digits alone, ``*`` is any text within a name; a field that appears twice must be the same.
        step: Degrees from frame to frame; needed for ``index``.
        offset: Azimuth of frame 0, in degrees.
    """

    text: str
    step: float | None = None
    offset: float = 0.0

    @cached_property
    def expression(self) -> re.Pattern[str]:
        """What a whole path must match.

        Raises:
            UsageError: If the pattern has no image or no view, or a field that cannot be.
        """
        parts, place, seen = [], 0, set[str]()
        for found in FIELD.finditer(self.text):
            parts.append(re.escape(self.text[place : found.start()]))
            place = found.end()
            name, _, kind = (found[1] or "").partition(":")
            if found[2]:
                parts.append(r"[^/]*?")
            elif not name.isidentifier() or kind not in ("", "d"):
                said = f"pattern '{self.text}': '{{{found[1]}}}' is no field"
                raise UsageError(said, "write e.g. {label}/{object}/{azimuth}.png", asked=found[1])
            elif name in seen:
                parts.append(f"(?P={name})")
            else:
                seen.add(name)
                is_number = name in ANGLES or ((axis := AxisColumn.known(name)) and axis.kind != "category")
                digits = WHOLE if kind or name == "index" else NUMBER if is_number else TEXT
                parts.append(f"(?P<{name}>{digits})")
        parts.append(re.escape(self.text[place:]))
        fault, hint = "", ""
        if not seen - set(SHOWN):
            fault, hint = "says no view", "add e.g. {azimuth}, {elevation}, {polar}, {index} or {lighting}"
        elif both := next((f"{a} and {b}" for a, b in ANGLES.items() if {a, b} <= seen), ""):
            fault, hint = f"has {both}, which say the same", "keep one, and write * for the other"
        elif "index" in seen and self.step is None:
            fault, hint = "has {index}, but no step says how far frames are apart", "give step, e.g. step = 5"
        elif "index" not in seen and (self.step is not None or self.offset):
            fault, hint = "has no {index}, for which step and offset are", "remove them, or write {index}"
        if fault:
            raise UsageError(f"pattern '{self.text}' {fault}", hint, asked=self.text)
        return re.compile("".join(parts), re.IGNORECASE)

    def read(self, names: Sequence[str], *, shown: tuple[str, str] = ("", "")) -> ImageRows:
        """What paths say, those that do not fit left out.

        Args:
            names: Paths below a folder, with ``/``.
            shown: Label and object of all images, where the pattern has neither.

        Raises:
            UsageError: If the pattern cannot be, nothing says what images show, or no path fits.
        """
        fields = self.expression.groupindex
        if not fields.keys() & set(SHOWN) and not all(shown):
            said = f"pattern '{self.text}' says neither label nor object"
            raise UsageError(said, "add {object} or {label}", asked=self.text)
        matches = [match for name in names if (match := self.expression.fullmatch(name))]
        if not matches:
            example = f"the first image is '{names[0]}'" if names else "there is no image"
            raise UsageError(f"no image fits pattern '{self.text}'", example, asked=self.text)
        columns = {name: [value] * len(matches) for name, value in zip(SHOWN, shown, strict=True) if value}
        columns |= {name: [match[name] for match in matches] for name in fields}
        axes: dict[str, tuple[str, ...]] = {}
        for name, cells in columns.items():
            if name == "polar":
                axes["elevation"] = tuple(f"{round(90.0 - float(cell), 9):.12g}" for cell in cells)
            elif name == "index":
                assert self.step is not None
                angles = [(self.offset + self.step * int(cell)) % 360.0 for cell in cells]
                axes["azimuth"] = tuple(f"{round(angle, 6):.12g}" for angle in angles)
            elif name not in SHOWN:
                axis = AxisColumn.known(name)
                is_number = axis is not None and axis.kind != "category"
                axes[name] = tuple(f"{float(cell) + 0.0:.12g}" if is_number else cell for cell in cells)
        labels, objects = shown_objects(columns.get("label"), columns.get("object"))
        return ImageRows(names=tuple(match[0] for match in matches), labels=labels, objects=objects, axes=axes)


def shown_objects(
    labels: Sequence[str] | None, objects: Sequence[str] | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Labels and objects of images from what names say of them; at least one of the two is there.

    Without labels, the class is the object's name without its number (``cup_02`` is a cup), and if that leaves one
    class, each object is one. Without objects, each class is one object. Objects that are numbers, or are named alike
    in two classes, get the class before their names.
    """
    if objects is None:
        assert labels is not None
        return tuple(labels), tuple(labels)
    if labels is None:
        labels = [re.sub(r"[\W_]*\d+$", "", name) or name for name in objects]
        if len(set(labels)) == 1:
            labels = objects
    pairs = {pair for pair in zip(labels, objects, strict=True) if labels is not objects}
    if len(pairs) > len({name for _, name in pairs}) or (pairs and all(name.isdecimal() for _, name in pairs)):
        both = [f"{label}-{name}" for label, name in zip(labels, objects, strict=True)]
        return tuple(labels), tuple(both)
    return tuple(labels), tuple(objects)


def image_names(folder: Path) -> tuple[list[str], dict[str, int]]:
    """Paths of the images below a folder, with ``/``, sorted by name, and how many other files there are of which kind.

    Hidden files, and images about images (masks, depth), are among the others.
    """
    images, others, seen = list[str](), dict[str, int](), set[str]()
    for place, folders, files in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(place)) in seen:
            folders.clear()  # a link to a folder above it
            continue
        seen.add(real)
        folders[:] = sorted((name for name in folders if not name.startswith((".", "__MACOSX"))), key=natural)
        below = Path(place).relative_to(folder).as_posix()
        for name in sorted(files, key=natural):
            stem, suffix = os.path.splitext(name)  # noqa: PTH122 - pathlib is 10 times slower
            kind = ""
            if name.startswith("."):
                kind = "hidden"
            elif suffix.lower() not in NAME_SUFFIXES:
                kind = suffix.lower() or "without suffix"
            elif MADE.search(stem):
                kind = "masks, depth or thumbnails"
            if kind:
                others[kind] = others.get(kind, 0) + 1
            else:
                images.append(name if below == "." else f"{below}/{name}")
    return images, others


def natural(name: str) -> list[tuple[int, str]]:
    """A key by which ``IMG_9`` comes before ``IMG_10``."""
    return [(int(part), "") if part.isdecimal() else (-1, part.casefold()) for part in re.split(r"(\d+)", name)]
