"""A licensed call is heard and recorded alike, whichever way the requests go."""

from __future__ import annotations

import pytest

from ..lab.lab import lab
from .hearing import assert_heard_then_connected


@pytest.mark.parametrize(
    ("transport", "words"), [("websocket", "requests over the WebSocket"), ("http", "requests over HTTP")]
)
async def test_a_licensed_call(asterisk, serving, references, transport, words):
    service = serving(transport=transport)
    assert words in service.log().rpartition("ready: ")[2]
    async with lab(asterisk) as phones:
        placed = await phones.place()
        await phones.talk_and_hang_up(placed)
        assert_heard_then_connected(placed, "sample", references)
        ending = await phones.ending(placed)
        await phones.nothing_is_left()
    assert (ending.status, ending.reason, ending.cause) == ("CONNECTED", "licence-valid", "16")
    record = service.record(ending.call_id)
    assert (record["outcome"], record["status"], record["heard"], record["complete"]) == (
        "PLAY",
        "CONNECTED",
        True,
        True,
    )
    assert list(record["times"]) == ["decided", "answered", "sound-started", "sound-ended", "connected", "ended"]
    assert record["anomalies"] == []
