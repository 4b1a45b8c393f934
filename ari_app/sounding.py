"""One sound on one channel: what the application keeps of it, and what the next instance is told."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from idtone.calls import Party
from idtone.switchboard.board import Call
from idtone.tones.making.sounds import Sound

from .flow import State

NEVER_TOLD: Final = "the playback's end was never told"


@dataclass
class Sounding:
    """`requested_s` is a time of the monotonic clock, which is the machine's and not this process's."""

    call: Call
    party: Party
    channel: str
    context: str
    """Where the hook goes on."""
    sound: Sound
    answered_at: datetime
    """Written when the sound has started: the parties wait for every millisecond here."""
    playback: str = field(default_factory=lambda: uuid.uuid4().hex)
    state: State = State.WAITING
    requested_s: float = 0.0
    started_at: datetime | None = None
    heard_ms: int = 0
    failure: str = NEVER_TOLD
    timer: asyncio.TimerHandle | None = None

    @property
    def being_sealed(self) -> bool:
        """Whether the evidence of its beginning is on its way to the disk."""
        return self.state is State.SEALING or (self.state is State.SOUNDING and self.started_at is not None)

    def packed(self) -> dict[str, Any]:
        """For `unpacked` in another process; JSON."""
        return {
            "call": self.call.id,
            "party": self.party,
            "channel": self.channel,
            "context": self.context,
            "playback": self.playback,
            "answered_at": self.answered_at.isoformat(),
            "requested_s": self.requested_s,
            "started_at": self.started_at.isoformat() if self.started_at else None,
        }

    @classmethod
    def unpacked(cls, fields: Mapping[str, Any], call: Call, sound: Sound) -> Sounding:
        """What was packed after everything was settled, so that its evidence is on the disk if it has begun."""
        started = fields["started_at"]
        return cls(
            call,
            Party(fields["party"]),
            fields["channel"],
            fields["context"],
            sound,
            datetime.fromisoformat(fields["answered_at"]),
            fields["playback"],
            State.SEALED if started else State.SOUNDING,
            fields["requested_s"],
            datetime.fromisoformat(started) if started else None,
        )
