"""A whole call over plain AGI: the service listens on a Unix socket, and Asterisk runs a program for each request."""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..calls.hearing import heard_by
from ..conftest import LAB_REGISTRY
from ..lab.asterisk import IDTONE, Asterisk
from ..lab.heard import identify
from ..lab.lab import CALLED_NUMBER, CALLER_NUMBER, LICENSED, SUSPENDED, Forwarding, lab
from ..lab.service import Service


@pytest.fixture(scope="module")
def service(installation, tmp_path_factory) -> Iterator[Service]:
    """A service with a PBX of its own, whose hook was exported with the service's settings."""
    scratch = tmp_path_factory.mktemp("pbx")
    with Asterisk(installation, scratch) as asterisk:
        running = Service(asterisk, LAB_REGISTRY, listen=f"unix:{scratch}/agi.sock")
        with running:
            subprocess.run([IDTONE, "dialplan", "export", asterisk.etc, "-c", running.settings], check=True)
            asterisk.command("dialplan reload")
            yield running


class CommandLines:
    """The command lines of this Asterisk's `idtone-agi` processes, which a thread reads repeatedly."""

    def __init__(self, asterisk: Asterisk) -> None:
        assert asterisk.process
        self._parent = asterisk.process.pid
        self.seen: set[bytes] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        while not self._stop.wait(0.01):
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    line = (process / "cmdline").read_bytes()
                    parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
                except OSError:
                    continue
                if b"idtone-agi" in line and parent == self._parent:
                    self.seen.add(line)

    def __enter__(self) -> CommandLines:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


async def test_calls_are_decided_heard_and_recorded(service, references):
    """By the hook, under the operator's own Dial(), and of a suspended number."""
    with CommandLines(service.asterisk) as lines:
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
    assert sorted((each["interface"], each["reason"], each["heard"]) for each in service.records().values()) == [
        ("agi", "licence-valid", True), ("agi", "licence-valid", True), ("agi", "number-suspended", False),
    ]  # fmt: skip
    # A program with an interpreter of its own: `…/idtone-agi -c FILE ENTRY …`.
    asked = {re.search(rb"/idtone-agi\0-c\0[^\0]+\0([^\0]+)", line)[1] for line in lines.seen}
    assert asked == {b"decide"}
    for number in (LICENSED, SUSPENDED, CALLED_NUMBER, CALLER_NUMBER):
        assert not [line for line in lines.seen if number[1:].encode() in line]
