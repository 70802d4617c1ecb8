"""How well chosen views cover a space."""

import numpy as np

from acqplan.space import Space
from acqplan.space.kernel import distances


def covering_radius(space: Space, chosen: np.ndarray) -> float:
    """Distance from the worst-placed view of the space to the nearest chosen one; less is better."""
    return float(distances(space, space.views(), chosen).min(axis=1).max())
