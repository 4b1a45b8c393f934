"""A complete call over plain AGI: the service listens on a Unix socket, and Asterisk runs a program for each
request.
"""

import subprocess
from collections.abc import Iterator

import pytest

from lab.asterisk import IDTONE, Asterisk
from lab.calls.assert_heard import heard_by
from lab.lab import SUSPENDED, Forwarding, lab
from lab.publication import LAB_REGISTRY
from lab.service import Service
from lab.sound_detection import identify


@pytest.fixture(scope="module")
def service(installation, tmp_path_factory) -> Iterator[Service]:
    """A service with a PBX of its own, whose hook was exported with this service's settings."""
    scratch = tmp_path_factory.mktemp("pbx")
    with Asterisk(installation, scratch) as asterisk:
        runtime = scratch / "runtime"
        asterisk.site.give(runtime, "idtone", 0o750)
        running = Service(asterisk, LAB_REGISTRY, listen=f"unix:{runtime}/agi.sock")
        with running:
            subprocess.run([IDTONE, "dialplan", "export", asterisk.etc, "-c", running.settings], check=True)
            asterisk.command("dialplan reload")
            yield running


async def test_calls_are_decided_heard_and_recorded(service, references):
    """Calls through the hook, calls with the operator's own Dial(), and calls of a suspended number."""
    async with lab(service.asterisk) as phones:
        connected = [await phones.place(Forwarding(way=way, interface="agi")) for way in ("hook", "own-dial")]
        refused = await phones.place(Forwarding(number=SUSPENDED, interface="agi"))
        for placed in connected:
            await phones.talk_and_hang_up(placed, 1.0)
        await phones.nothing_is_left()
    # The time of the sound is not checked: each request includes the start of a program.
    for placed in connected:
        heard = heard_by(placed, "called", references["sample"])
        assert (heard.complete, heard.times) == (True, 1), heard
        assert identify(placed.called.packets, references) == "sample"
    assert refused.called is None
    assert sorted((each["interface"], each["reason"], each["sent"]) for each in service.records().values()) == [
        ("agi", "licence-valid", True),
        ("agi", "licence-valid", True),
        ("agi", "number-suspended", False),
    ]
