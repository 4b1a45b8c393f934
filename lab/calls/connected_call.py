"""A call in conversation, for tests that restart the service."""

import asyncio

from lab.lab import Lab, PlacedCall, wait_until
from lab.service import Service

DEADLINE_S = 3.0
"""Maximum time in seconds that the hook waits for a verdict."""


async def connected_call(phones: Lab, service: Service) -> tuple[PlacedCall, str]:
    """A call in conversation, and its id. The ledger already records that its sound was sent."""
    before = await asyncio.to_thread(service.records)
    placed = await phones.place()
    assert placed.caller.answered_ns
    fresh: list[str] = []

    async def written() -> bool:
        now = await asyncio.to_thread(service.records)
        fresh[:] = [call_id for call_id in now if call_id not in before and now[call_id]["sent"]]
        return bool(fresh)

    await wait_until(written, "the sound of the connected call in the ledger")
    return placed, fresh[0]
