"""Numbers as words, once: points, shares, p-values, counts, durations, names of shots; null for what is not finite."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

ViewValue = float | int | str

FULL_TURN = 360.0  # degrees; angles lie within one turn either way: 725 is a typing error, not two turns
UNWRITABLE = re.compile("[\0-\x1f\x7f-\x9f\ud800-\udfff]")  # control characters, and halves of others
LARGEST = 1e15  # of other units; beyond it nothing is left of a number when files round it to 1e-9


def plain_number(value: object) -> float:
    """A number as a program gives it or a person writes it; NaN if it is none.

    ``True``, bytes, digits other than 0 to 9, and 1_000, which is a typing error, are none.
    """
    if isinstance(value, str):
        is_plain = value.isascii() and "_" not in value
    else:
        is_true = isinstance(value, bool) or str(getattr(value, "dtype", "")).endswith("bool")  # or numpy's
        is_plain = hasattr(value, "__float__") and not is_true and not isinstance(value, bytes)
    try:
        return float(value) if is_plain else math.nan  # type: ignore[arg-type]
    except (ValueError, TypeError, OverflowError, RuntimeError):  # text, arrays, 10**400
        return math.nan


def number_fault(value: float, unit: str, *, turn: float | None = None) -> tuple[str, str]:
    """Why a number cannot be a setting of an axis, and what to give instead; empty if it can be.

    Args:
        value: The number; NaN for what is none.
        unit: Its unit.
        turn: The largest amount; by default a full turn for degrees.
    """
    advice = "give degrees, e.g. 90" if unit == "deg" else f"give a number{f' in {unit}' if unit else ''}"
    turn = {"deg": FULL_TURN, "rad": 6.2832}.get(unit) if turn is None else turn
    if math.isnan(value):
        return "is not a number", advice
    if math.isinf(value):
        return "is not finite", advice
    if turn is not None and abs(value) > turn:
        return "is more than a full turn", f"give {'degrees' if unit == 'deg' else 'values'} from {-turn:g} to {turn:g}"
    return ("is larger than any file keeps", f"{advice} up to {LARGEST:g}") if abs(value) > LARGEST else ("", "")


def signed(value: float, digits: int = 1) -> str:
    """``+1.2``, ``−0.4``, ``0.0``: a true minus sign, and no sign before zero."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0.0 else text.replace("-", "−")


def points(share: float) -> str:
    """A difference of shares in signed points, ``+1.2`` for 0.012."""
    return signed(100.0 * share)


def percent(share: float) -> str:
    """A share in percent without its sign, ``97.2`` for 0.972."""
    return f"{100.0 * share:.1f}"


def p_text(p: float) -> str:
    """A p-value as tables print it: ``0.017``, ``< 0.001``."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def p_words(p: float) -> str:
    """A p-value as journals print it in a sentence: ``= .017``, ``< .001``, ``= 1``."""
    if p < 0.0005:
        return "< .001"
    return "= 1" if p > 0.9995 else f"= {p:.3f}".replace("0.", ".")


def count_noun(count: int, noun: str) -> str:
    """``1 seed``, ``20 seeds``, ``1,640 images``."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def listed(words: Iterable[str], last: str = "and") -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    *most, end = words
    return f"{', '.join(most)} {last} {end}" if most else end


def count_range(counts: Iterable[int]) -> str:
    """``97``, ``97 or 98``, ``90 to 98``."""
    numbers = sorted(map(int, counts))
    low, high = numbers[0], numbers[-1]
    return f"{low:,}" if low == high else f"{low:,} {'or' if high == low + 1 else 'to'} {high:,}"


def duration(seconds: float) -> str:
    """``45 s``, ``12 min 30 s``, ``2 h 05 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s" if seconds >= 1 or seconds == 0 else f"{seconds:.2g} s"
    if whole < 3600:
        return f"{whole // 60} min" + (f" {whole % 60:02d} s" if whole % 60 else "")
    minutes = round(seconds / 60)
    return f"{minutes // 60} h" + (f" {minutes % 60:02d} min" if minutes % 60 else "")


def local_time(at: float) -> str:
    """A moment, seconds since 1970, as the clock of this place shows it: ``2026-12-01T16:40:00+01:00``."""
    return datetime.fromtimestamp(at).astimezone().isoformat(timespec="seconds")


def clock_words(at: float, now: float) -> str:
    """A moment to come, both in seconds since 1970: ``16:40``, ``tomorrow 02:10``, ``Thu 09:00``, ``24 Dec 09:00``."""
    moment, today = datetime.fromtimestamp(at), datetime.fromtimestamp(now)
    days = (moment.date() - today.date()).days
    later = f"{moment:%a} " if days < 7 else f"{moment.day} {moment:%b} "
    day = {0: "", 1: "tomorrow "}.get(days, later)
    return f"{day}{moment:%H:%M}"


def short(value: float) -> float | int:
    """A number as it is written to files: to 1e-6, and without a point where it is whole."""
    rounded = round(float(value), 6)
    return int(rounded) if rounded == int(rounded) else rounded


def shot_identifier(name: str, view: Sequence[ViewValue]) -> str:
    """The name of a shot of an object from a view, the same in every plan, campaign and file: ``car-03_40_55_L2``."""
    return "_".join([name, *(str(value if isinstance(value, str) else short(value)) for value in view)])


def name_fault(name: object) -> str:
    """Why something cannot be called so, in every file, terminal and database; empty if it can."""
    if not isinstance(name, str):
        return f"{name!r} is no text"
    found = UNWRITABLE.search(name)
    return f"'{printable(name)}' holds the character {found[0]!a}, which is no letter" if found else ""


def names_alike(names: Iterable[str]) -> str:
    """Two names that read as one, ``'Cup' and 'cup'``: case, hidden letters and spaces apart; empty if all differ."""
    found: dict[str, str] = {}
    for name in sorted(set(names)):
        plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
        plain = " ".join("".join(letter for letter in plain if unicodedata.category(letter) != "Cf").split())
        if (first := found.setdefault(plain, name)) != name:
            return f"{first!a} and {name!a}"
    return ""


def text_fault(names: Iterable[object]) -> str:
    """Which of some names is no text that can be written to a file, and why; empty if all are."""
    names = tuple(names)
    try:
        "".join(names).encode()  # type: ignore[arg-type]
    except (TypeError, UnicodeEncodeError):
        return next(filter(None, map(name_fault, names)))
    return ""


def printable(text: str) -> str:
    """A name without characters that would move a terminal's cursor or break an XML file."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def shortened(text: str, most: int) -> str:
    """A printable name of at most ``most`` letters, an ellipsis for the rest."""
    clean = printable(text)
    return clean if len(clean) <= most else clean[: most - 1] + "…"


def finite(value: Any) -> Any:
    """A document for JSON, which knows no numbers that are not finite: they become null."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
