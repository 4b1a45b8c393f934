"""SIPp as a called phone that sends no media.

Its packets are sent to a port of the lab, which records every octet.
"""

import asyncio
from contextlib import ExitStack
from typing import Self

import soundfile

from lab import sipp
from lab.asterisk import LOOPBACK
from lab.g711 import SAMPLE_RATE_HZ
from lab.rtp import Media
from lab.rtp_recording import reassemble
from lab.sound_detection import in_order

from .program import Program

QUIET_S = 0.3
"""Seconds without a packet after which a call is over."""


class Sipp(Program):
    """Debian's SIPp with the scenario `called`."""

    name = "sipp"

    async def __aenter__(self) -> Self:
        self._life = ExitStack()
        self._media = self._life.enter_context(Media(LOOPBACK, 0))
        self._stream = self._media.open()
        self._taken = 0
        called = self._life.enter_context(sipp.called(self.folder / "sipp", self._stream.port))
        self.port = called.port
        return self

    async def stop(self) -> None:
        await asyncio.to_thread(self._life.close)

    async def over(self, number: int) -> None:
        """Write the recording of the packets since the last call."""
        had = -1
        while had != len(self._stream.packets):
            had = len(self._stream.packets)
            await asyncio.sleep(QUIET_S)
        packets = self._stream.packets[self._taken :]
        self._taken += len(packets)
        samples = reassemble(in_order(packets)).samples / 32768
        soundfile.write(self.recording(number), samples, SAMPLE_RATE_HZ)
