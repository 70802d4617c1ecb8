"""Colours of plots and page, for light and dark paper, told apart by colour-blind readers too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

LIGHT: Mapping[str, str] = {
    "ground": "#ffffff",
    "panel": "#f5f7f9",
    "ink": "#1b2126",
    "soft": "#56616b",
    "faint": "#c3cbd2",
    "accent": "#0b62a8",
    "rust": "#c4520f",
    "green": "#14795a",
    "plum": "#96478a",
    "gold": "#8f6b00",
    "slate": "#6a7680",
    "heat1": "#cbe0f1",
    "heat2": "#95c1e2",
    "heat3": "#559ccd",
    "heat4": "#2373b3",
    "heat5": "#0a4a82",
}
"""Colours on white, by the name of the page's variable; no two are equal, so that a plot's can be swapped."""

DARK: Mapping[str, str] = {
    "ground": "#12171c",
    "panel": "#1a2128",
    "ink": "#e6ebf0",
    "soft": "#a3afba",
    "faint": "#404b55",
    "accent": "#62b5f5",
    "rust": "#f08c52",
    "green": "#4fc79d",
    "plum": "#d78fcb",
    "gold": "#d9b548",
    "slate": "#8f9ba6",
    "heat1": "#21405a",
    "heat2": "#2c638f",
    "heat3": "#4490cb",
    "heat4": "#7abaea",
    "heat5": "#c9e5fd",
}
"""The same on near-black; the ramp of heat turns around, so that many shots stand out from the ground."""

HEAT = ("heat1", "heat2", "heat3", "heat4", "heat5")
"""Few shots to many."""

OTHERS = ("rust", "green", "plum", "gold", "slate")
"""Colours of the arms that are not the plan's own."""


def arm_colours(strategies: Sequence[str], emphasised: str) -> dict[str, str]:
    """A colour name for each strategy: the plan's own gets the accent, the others take turns."""
    others = [name for name in dict.fromkeys(strategies) if name != emphasised]
    colours = {name: OTHERS[number % len(OTHERS)] for number, name in enumerate(others)}
    return {**colours, emphasised: "accent"}


def heat_step(count: int, most: int) -> int:
    """Which fifth of the largest count this is, 0 to 4."""
    return max(0, min(4, -(-5 * count // max(most, 1)) - 1))
