"""What a caller is handed: a shot to take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from acqplan.campaign.events import ShotRecord
from acqplan.campaign.settings import CampaignSettings
from acqplan.numbers import ViewValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One view of one object, leased to who asked for it.

    Attributes:
        id: Its identifier.
        object: Name of the object.
        label: Its class.
        view: Setting of each axis.
        expires: When the lease ends, seconds since 1970.
        round: Round of the plan that chose it.
        reason: Why it was chosen.
    """

    id: str
    object: str
    label: str
    view: Mapping[str, ViewValue]
    expires: float
    round: int = 0
    reason: str = ""

    @classmethod
    def of(cls, record: ShotRecord, settings: CampaignSettings) -> Shot:
        """The shot of a leased record."""
        return cls(
            id=record.shot,
            object=record.object,
            label=record.label,
            view=settings.view(record.view),
            expires=record.expires,
            round=record.round,
            reason=record.reason,
        )

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "id": self.id,
            "object": self.object,
            "label": self.label,
            "view": dict(self.view),
            "expires": round(self.expires, 3),
            "round": self.round,
            "reason": self.reason,
        }
