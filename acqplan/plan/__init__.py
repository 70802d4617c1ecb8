"""Strategies by name: rules that say which candidates to take next."""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
from typing import TYPE_CHECKING

from acqplan.errors import StrategyError, nearest

if TYPE_CHECKING:
    from acqplan.plan.base import Strategy

STRATEGIES = {
    "auto": "acqplan.plan.lattice:Auto",
    "bayes": "acqplan.plan.bayes:Bayes",
    "even": "acqplan.plan.designs:Even",
    "even-staggered": "acqplan.plan.designs:EvenStaggered",
    "herding": "acqplan.plan.greedy:Herding",
    "lattice": "acqplan.plan.lattice:Lattice",
    "maximin": "acqplan.plan.greedy:Maximin",
    "random": "acqplan.plan.designs:RandomSets",
    "random-shots": "acqplan.plan.designs:RandomShots",
    "sobol": "acqplan.plan.designs:Sobol",
    "variance": "acqplan.plan.variance:Variance",
}

# What each does, in a line.
MEANINGS = {
    "auto": "the lattice: nothing below has been found to gain on it reliably",
    "lattice": "staggered good lattices: every object balanced, the class finer",
    "herding": "greedy coverage of the views by kernel herding, per object and over the class jointly",
    "maximin": "greedy coverage of the views, each new one as far as can be from those before",
    "variance": "greedy integrated variance, with length scales learned from captured images",
    "bayes": "the design (objects, shares of classes) searched by Bayesian optimisation",
    "sobol": "scrambled Sobol points, staggered over the objects of a class",
    "random-shots": "uniform shots, equal numbers of each object",
    "even-staggered": "one factorial grid, shifted for each object",
    "even": "one grid with all lights, the same for every object, as in the thesis",
    "random": "one random set of views with all lights, the same for every object, as in the thesis",
}

# Rules that gained nothing and left: older campaigns and scripts still ask for them by these names.
LEFT = {
    "allocate": "benchmarks.ideas:Allocate",
    "choose-objects": "benchmarks.ideas:ChooseObjects",
    "difficulty": "benchmarks.ideas:Difficulty",
    "herding-learned": "benchmarks.ideas:LearnedHerding",
}
ENTRY_POINTS = "acqplan.strategies"


def others_strategies() -> dict[str, str]:
    """Strategies that installed packages offer: ``module:Class`` by name."""
    return {point.name: point.value for point in importlib.metadata.entry_points(group=ENTRY_POINTS)}


def find_strategy(name: str) -> Strategy:
    """Make the strategy of this name, with its default settings.

    Args:
        name: A built-in name, the name of an entry point of the group ``acqplan.strategies``, or
            ``module:Class``.

    Raises:
        StrategyError: If there is no such strategy; names the nearest.
    """
    third_parties = others_strategies()
    target = STRATEGIES.get(name) or third_parties.get(name) or (name if ":" in name else None)
    if target is None:
        hint = nearest(name, sorted({**STRATEGIES, **third_parties}))
        if name in LEFT:
            hint = f"it gained nothing and is built in no more: in a checkout, ask for {LEFT[name]}"
        raise StrategyError(f"no strategy is called '{name}'", hint)
    from acqplan.plan.base import Strategy

    module, _, attribute = target.partition(":")
    try:
        made = getattr(importlib.import_module(module), attribute)()
    except (ImportError, AttributeError, TypeError) as error:
        said = f"strategy '{name}' cannot be made from '{target}' ({error})"
        raise StrategyError(said, _remedy(module, attribute, error), asked=name) from error
    if not isinstance(made, Strategy):
        raise StrategyError(f"strategy '{name}' lacks name, exact, turns or propose", "see acqplan.plan.base.Strategy")
    return made


def _remedy(module: str, attribute: str, error: Exception) -> str:
    """What to do about a strategy that cannot be made."""
    if isinstance(error, ImportError):
        if not error.name or f"{module}.".startswith(f"{error.name}."):
            return "its module must be found where it runs: in the working folder or installed, on workers of dask too"
        return f"its module needs '{error.name}': install it"
    found = vars(sys.modules[module])
    if attribute not in found:
        return nearest(attribute, [key for key, value in found.items() if getattr(value, "__module__", "") == module])
    return "it must be a class that is made without arguments: give every setting a default"
