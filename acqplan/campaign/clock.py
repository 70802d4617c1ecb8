"""The time of a campaign: it never runs backwards, and what a clock jumps by is not counted."""

from __future__ import annotations

from dataclasses import dataclass

from acqplan.campaign.events import CampaignState

JUMP_SECONDS = 5.0  # two clocks, or two readings of one, differ by less without any jump
UNSET = 1_500_000_000.0  # in 2017: before that, a board had not been told the time yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a clock shows.

    Attributes:
        wall: Seconds since 1970.
        ticks: Seconds since the machine was started, which nobody can set; ``None`` if they are not known.
        offset: What is added to the former for the time of the campaign.
        jump: Seconds that it jumped by since the reading before, ahead if positive; 0 for none.
    """

    wall: float
    ticks: float | None = None
    offset: float = 0.0
    jump: float = 0.0

    def after(self, before: Reading | None, state: CampaignState) -> Reading:
        """The reading with its offset and jump.

        Each clock has an offset of its own: one that lags does not change the time by another.

        Args:
            before: The last reading of the same clock that was kept; ``None`` if there is none.
            state: The campaign.
        """
        if before is None:
            # an offset above zero was that of a clock set back; below zero, that of one that had jumped ahead
            offset, jump = min(state.offset, 0.0), 0.0
            if state.last_at < UNSET <= self.wall + offset:
                jump = self.wall + offset - state.last_at
        else:
            offset, jump = before.offset, 0.0
            if self.ticks is not None and before.ticks is not None:
                jump = (self.wall - before.wall) - (self.ticks - before.ticks)
        # until shots are leased no time is counted: then a clock may be put right
        if jump < -JUMP_SECONDS or (jump > JUMP_SECONDS and state.began is not None):
            offset -= jump
        else:
            jump = 0.0
        lag = state.last_at - (self.wall + offset)
        if lag > JUMP_SECONDS:
            offset, jump = offset + lag, jump - lag
        return Reading(wall=self.wall, ticks=self.ticks, offset=offset, jump=jump)
