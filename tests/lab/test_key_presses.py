"""Pressed keys between two lab phones. In a call through Asterisk, no other test would show that they were pressed."""

import asyncio

import numpy as np
import pytest

from lab import key_presses
from lab.g711 import Samples
from lab.key_presses import KeyMethod, press
from lab.lab import wait_until
from lab.phone import Phone
from lab.rtp_recording import reassemble

LOUD = key_presses.PRESSED_MS * 8
"""Samples of a key's tones."""


def loud(samples: Samples) -> int:
    """Number of the samples that are louder than silence."""
    return int(np.count_nonzero(np.abs(samples) > 100))


@pytest.mark.parametrize("key", ["5", "#"])
async def test_keys_come_through_as_events(alice: Phone, bob: Phone, key: str) -> None:
    call = await alice.call("1", bob.address)
    for number, pressed in enumerate((key, "1", key), 1):
        await press(bob.calls[0], pressed, KeyMethod.EVENTS)
        await wait_until(
            lambda number=number: len(key_presses.heard_keys(call.packets)) == number, "the packets of a key"
        )
    assert key_presses.heard_keys(call.packets) == f"{key}1{key}"


async def test_keys_come_through_as_info(alice: Phone, bob: Phone) -> None:
    call = await alice.call("1", bob.address)
    await press(bob.calls[0], "5", KeyMethod.INFO)
    (asked,) = call.asked
    assert (asked.method, asked.request.body) == ("INFO", b"Signal=5\r\nDuration=120\r\n")


@pytest.mark.parametrize(("key", "frequencies_hz"), [("1", (697, 1209)), ("D", (941, 1633))])
async def test_keys_come_through_as_tones(alice: Phone, bob: Phone, key: str, frequencies_hz: tuple[int, int]) -> None:
    bob.voice = np.zeros(160, np.int16)
    call = await alice.call("1", bob.address)
    await press(bob.calls[0], key, KeyMethod.INBAND)
    await wait_until(lambda: loud(reassemble(call.packets).samples) > 0.9 * LOUD, "the tones of a key")
    await asyncio.sleep(0.1)  # a tone that went on would be longer then
    await call.hangup()
    samples = reassemble(call.packets).samples
    assert loud(samples) == pytest.approx(LOUD, rel=0.1)
    low, high = np.split(np.abs(np.fft.rfft(samples, 8000)), [1075])
    assert (low.argmax(), 1075 + high[:2000].argmax()) == pytest.approx(frequencies_hz, abs=3)
