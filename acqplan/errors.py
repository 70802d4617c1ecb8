"""One tree of errors: what was asked, what was found, what to do, and the exit code of the program.

```
Exception
├── AcqplanError            1  anything else
│   ├── UsageError          2  wrong use
│   │   ├── SpaceError         a design space, axis or view that cannot be
│   │   ├── BudgetError        a number of images that cannot be planned
│   │   ├── StrategyError      an unknown strategy, or one that broke its contract
│   │   ├── BackboneError      an unknown backbone or layer
│   │   ├── SplitError         objects that cannot be split into train and test
│   │   ├── OutputError        a folder or file that cannot be written
│   │   ├── ShotError          a shot that no plan of the campaign holds
│   │   └── ConflictError      another image of a shot that has one
│   ├── InputError          3  a file that cannot be used as it is
│   │   ├── SpecError          rig.toml
│   │   ├── StoreError         the store of a campaign
│   │   ├── ManifestError      a manifest, or a table of predictions
│   │   ├── UnclearError       photographs of which something cannot be known
│   │   ├── ImageError         an image
│   │   ├── MeshError          a mesh
│   │   └── WeightsError       a file of weights
│   └── MissingError        4  a needed thing is missing: weights, device, extra
├── Finished                5  the work is over, which is no failure
│   ├── BudgetSpent            every image of the budget has been taken
│   └── SpaceExhausted         no candidate is left to choose from
└── ImageWarning               images that are used, but need a look: a `UserWarning`
```
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class AcqplanError(Exception):
    """Something acqplan cannot do, said in one sentence, with a hint of what to do.

    Args:
        message: What was asked and what was found.
        hint: What the reader can do about it; shown after the message.
        path: The file that it is about.
        line: The line of that file, from 1.
        asked: The value that was asked for, as it was given.

    Attributes:
        exit_code: Exit code of a command that ends with this error.
    """

    exit_code = 1

    def __init__(
        self,
        message: str,
        hint: str = "",
        *,
        path: Path | str | None = None,
        line: int | None = None,
        asked: object = None,
    ) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint
        self.path = None if path is None else Path(path)
        self.line, self.asked = line, asked

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


class UsageError(AcqplanError):
    """A wrong argument: exit code 2."""

    exit_code = 2


class SpaceError(UsageError):
    """A design space, axis or view that cannot be."""


class BudgetError(UsageError):
    """A number of images that cannot be planned."""


class StrategyError(UsageError):
    """An unknown strategy, or one that broke the contract of `propose`."""


class BackboneError(UsageError):
    """An unknown backbone or layer."""


class SplitError(UsageError):
    """Objects cannot be split into train and test as asked."""


class OutputError(UsageError):
    """A folder or file that cannot be written."""


class ShotError(UsageError):
    """A shot that no plan of the campaign holds."""


class ConflictError(UsageError):
    """Another image of a shot that has one."""


class InputError(AcqplanError):
    """A file that cannot be used as it is: exit code 3."""

    exit_code = 3


class SpecError(InputError):
    """rig.toml is not valid."""


class StoreError(InputError):
    """A store of a campaign that cannot be used."""


class ManifestError(InputError):
    """A manifest or table of predictions is not valid."""


class UnclearError(InputError):
    """Photographs of which something cannot be known, and may not be guessed: a person must say it.

    Attributes:
        question: What to ask: ``step``, ``polar``, ``label`` or ``pattern``.
        proposal: The likely answer; empty if there is none.
    """

    def __init__(self, message: str, hint: str, *, question: str, proposal: str = "", path: Path | None = None) -> None:
        super().__init__(message, hint, path=path)
        self.question, self.proposal = question, proposal


class ImageError(InputError):
    """An image cannot be used."""


class MeshError(InputError):
    """A mesh cannot be rendered."""


class WeightsError(InputError):
    """A file of weights does not hold what the backbone needs."""


class MissingError(AcqplanError):
    """A needed thing is missing (weights, device, extra): exit code 4."""

    exit_code = 4


class Finished(Exception):  # noqa: N818 - the end of a campaign is not an error
    """The work is over; not a failure: exit code 5."""

    exit_code = 5


class BudgetSpent(Finished):
    """Every image of the budget has been taken."""


class SpaceExhausted(Finished):
    """No candidate is left to choose from."""


class ImageWarning(UserWarning):
    """Images that are used, but not as they are, or that repeat others: said once."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which known names there are, the most similar first.

    Returns:
        A hint such as ``did you mean 'azimuth'? known: azimuth, elevation``.
    """
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    listing = "known: " + ", ".join(names)
    return f"did you mean '{close[0]}'? {listing}" if close else listing
