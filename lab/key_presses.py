"""Presses keys during a call, by each of the three methods that telephones use."""

import asyncio
from collections.abc import Iterator
from enum import Enum
from typing import Final

import numpy as np

from .call import Call
from .codecs import EVENTS, FRAME, encode_frames
from .g711 import SAMPLE_RATE_HZ, Samples
from .rtp import Inserted, Packet

KEYS: Final = "123A456B789C*0#D"
"""The keys of a telephone, in rows of four."""
PRESSED_MS: Final = 120
_CODES: Final = "0123456789*#ABCD"
"""The keys, in the order of the event codes of RFC 4733, 3.2."""
_ROWS_HZ: Final = (697, 770, 852, 941)
_COLUMNS_HZ: Final = (1209, 1336, 1477, 1633)
_LEVEL_RMS: Final = 2500.0
"""Level of each of the two tones: -16 dBm0."""
_VOLUME: Final = 10
_END: Final = 0x80


class KeyMethod(Enum):
    EVENTS = "RFC 4733"
    INFO = "SIP INFO"
    INBAND = "inband"


async def press(call: Call, key: str, way: KeyMethod) -> None:
    """Press a key for `PRESSED_MS`, and return when it is released. The call must already send its voice."""
    if way is KeyMethod.INFO:
        body = f"Signal={key}\r\nDuration={PRESSED_MS}\r\n".encode()
        response = await call.ask("INFO", [("Content-Type", "application/dtmf-relay")], body)
        assert response.status == 200, f"the INFO was refused: {response.status}"
        return
    call.stream.insert(telephone_events(key) if way is KeyMethod.EVENTS else _spoken(key, call.stream.payload_type))
    await asyncio.sleep(PRESSED_MS / 1000)


def telephone_events(key: str) -> Iterator[Inserted]:
    """Packets of one key press.

    The duration grows, and the last packet is sent three times (RFC 4733, 2.5.1).
    """
    frames = PRESSED_MS // 20
    for age in range(frames + 2):
        down = min(age + 1, frames)
        payload = bytes([_CODES.index(key), (_END if down == frames else 0) | _VOLUME]) + (down * FRAME).to_bytes(
            2, "big"
        )
        yield Inserted(EVENTS, payload, age, marked=not age)


def _spoken(key: str, payload_type: int) -> Iterator[Inserted]:
    for payload in encode_frames(dtmf_tones(key), payload_type):
        yield Inserted(payload_type, payload)


def dtmf_tones(key: str) -> Samples:
    """The key's two tones (Q.23)."""
    row, column = divmod(KEYS.index(key), 4)
    time_s = np.arange(PRESSED_MS * SAMPLE_RATE_HZ // 1000) / SAMPLE_RATE_HZ
    both = sum(np.sin(2 * np.pi * hz * time_s) for hz in (_ROWS_HZ[row], _COLUMNS_HZ[column]))
    return np.rint(_LEVEL_RMS * np.sqrt(2) * both).astype(np.int16)


def heard_keys(packets: list[Packet]) -> str:
    """The keys whose events arrived, in order."""
    begun = {(packet.ssrc, packet.timestamp): packet.payload[0] for packet in packets if packet.payload_type == EVENTS}
    return "".join(_CODES[code] for code in begun.values())
