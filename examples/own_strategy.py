"""A strategy of one's own in a benchmark; run it where this file lies:

    acqplan benchmark --strategies own_strategy:Poles,random-shots --budgets 90,270 --seeds 20 --out poles

With an entry point it has a name wherever its package is installed, `--strategies poles,random-shots`:

    [project.entry-points."acqplan.strategies"]        # in the pyproject.toml of the package
    poles = "own_strategy:Poles"
"""

import numpy as np

from acqplan import Choice, History, Shots


class Poles:
    """Views from far up and far down first, objects by turns, azimuths by lot."""

    name, exact, turns = "poles", True, False

    def propose(self, candidates: Shots, history: History, n: int, seed: int) -> Choice:
        elevation = candidates.coordinates[:, candidates.space.index("elevation")]
        steepness = np.abs(elevation - np.median(elevation))
        lot = np.random.default_rng(seed).random(len(candidates))
        order = np.lexsort([lot, -steepness, candidates.object_rows])  # object after object, the steepest first
        owner = candidates.object_rows[order]
        turn = np.arange(len(order)) - np.searchsorted(owner, owner)
        rows = order[np.argsort(turn, kind="stable")[:n]]
        return Choice(rows=rows, gain=steepness[rows], reason=("far up or far down",) * n)
