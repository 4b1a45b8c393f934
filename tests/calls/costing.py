"""What the service costs: from the called phone's answer to when the caller's knows of it, beyond the sound."""

from __future__ import annotations

import statistics

from ..lab.lab import Forwarding, Lab

SAMPLE_MS = 440
ROUNDS = 12
TRIES = 3


async def added_ms(phones: Lab, what: str, limit_ms: float) -> float:
    """The median beyond Asterisk's own Dial(…,A(the same file)), taken in turns, one call at a time.

    Whatever else the machine does only adds to it, so that the least of a few tries counts.
    """
    added = []
    while not added or (min(added) > limit_ms and len(added) < TRIES):
        took: dict[str, list[float]] = {"native": [], "hook": []}
        for _ in range(ROUNDS):
            for way, beyond_sound_ms in took.items():
                placed = await phones.place(Forwarding(way=way))
                await phones.talk_and_hang_up(placed, 0.05)
                beyond_sound_ms.append(placed.connected_after_ms - SAMPLE_MS)
        native, hook = (statistics.median(values) for values in took.values())
        added.append(hook - native)
        print(
            f"\n{what}: answer → connected, less the sound: native {native:.2f} ms, hook {hook:.2f}, {added[-1]:+.2f}"
        )
    return min(added)
