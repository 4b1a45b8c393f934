"""Calls while their evidence has no space: other programs have filled the small file system of the ledger."""

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from idtone.core.calls import Outcome, Reason
from idtone.ledger.store.ledger_reader import LedgerReader
from lab.asterisk import IDTONE, Asterisk
from lab.calls.assert_proved import over_both_interfaces, run_concurrently
from lab.calls.connected_call import DEADLINE_S
from lab.lab import SUSPENDED, Forwarding, lab, wait_until
from lab.nightly_tests import rest_in_breadth
from lab.publication import LAB_REGISTRY
from lab.service import Service, reader_of
from lab.sound_detection import identify

DISK = """
owner=$(stat -c %u:%g "$1") && mount -t tmpfs -o size=2m,mode=700 none "$1" && chown "$owner" "$1" && shift && exec "$@"
"""
UNLICENSED = "0399999999"


class Cramped(Service):
    """A service whose ledger is on a small disk without the reserve."""

    def _launch(self, *options: str) -> None:
        mine = "-m" if os.geteuid() == 0 else "-rm"
        service = self.as_itself([IDTONE, "serve", "-c", self.settings])
        with self._output() as log:
            self.process = subprocess.Popen(
                ["unshare", mine, "sh", "-c", DISK, "sh", str(self.ledger.parent), *service],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment() | {"IDTONE_LEDGER_RESERVE": "0"},
            )

    @property
    def seen(self) -> Path:
        """Path of the ledger as the service sees it."""
        assert self.process
        return Path(f"/proc/{self.process.pid}/root{self.ledger}")

    def fill(self) -> None:
        with self.seen.with_name("others").open("ab", buffering=0) as file:
            for size in (4096, 1):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError:
                    pass

    def make_room(self) -> None:
        self.seen.with_name("others").unlink()

    def _reader(self) -> LedgerReader:
        """A reader of a copy of the ledger.

        SQLite cannot open a file through another process's root folder.
        """
        folder = self.ledger.parent.with_name("copy")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for path in self.seen.parent.iterdir():
            if path.is_file():  # the folder also contains sockets
                shutil.copy(path, folder)
        return reader_of(folder / self.ledger.name)


@pytest.fixture
def cramped(asterisk: Asterisk, shared_service, tmp_path, request) -> Iterator[Cramped]:
    """A service with a small disk. The parameter is its policy."""
    probe = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", tmp_path]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount a tmpfs")
    shared_service.stop()
    with Cramped(asterisk, LAB_REGISTRY, request.param) as service:
        yield service


@rest_in_breadth(
    ("cramped", "outcome"),
    [("ledger_full: notice-and-connect", Outcome.NOTICE), ("ledger_full: refuse, refuse_cause: 34", Outcome.REFUSE)],
    ids=["notice-and-connect", "refuse"],
    indirect=["cramped"],
)
async def test_calls_get_what_the_policy_says_and_their_evidence_is_late(asterisk, cramped, outcome, references):
    async with lab(asterisk) as phones:
        told = []

        async def call(forwarding: Forwarding) -> tuple[int | None, str, str | None]:
            """Place a call that must not have to wait.

            Returns the phone's status, the hook's reason and the sound that was heard.
            """
            began_s = time.monotonic()
            placed = phones.dial(forwarding)
            status = await placed.caller.final()
            assert time.monotonic() - began_s < DEADLINE_S
            heard = None
            if status == 200:
                phones.pair(placed)
                await phones.talk_and_hang_up(placed)
                heard = identify(placed.called.packets, references)
            told.append(await phones.ending(placed))
            return status, told[-1].reason, heard

        reason = ""
        while reason != Reason.LEDGER_FULL:  # a step may still fit into the existing space
            cramped.fill()
            _, reason, _ = await call(Forwarding())
        connected = (200, Reason.LEDGER_FULL, "notice")
        expected = connected if outcome is Outcome.NOTICE else (503, Reason.LEDGER_FULL, None)
        cases = over_both_interfaces(
            Forwarding(), Forwarding(UNLICENSED), Forwarding(SUSPENDED), Forwarding(dialled="110")
        )
        for forwarding, found in await run_concurrently(cases, call):
            if forwarding.number == SUSPENDED:
                assert found[1] == Reason.NUMBER_SUSPENDED
            elif forwarding.dialled == "110":
                assert found[:2] == (200, Reason.EMERGENCY)
            else:
                assert found == expected, forwarding
        already = len(cramped.log())
        cramped.make_room()
        await wait_until(lambda: "evidence is written again" in cramped.log()[already:], "the evidence to be written")
        assert await call(Forwarding()) == (200, Reason.LICENCE_VALID, "sample")
        await phones.nothing_is_left()
    records = await asyncio.to_thread(cramped.records)
    assert {each.call_id for each in told if each.reason != Reason.EMERGENCY} <= records.keys()
    late = [record for record in records.values() if record["reason"] == Reason.LEDGER_FULL]
    assert [record["outcome"] for record in late] == [outcome] * 5
    odd = [record for record in records.values() if not record["complete"] or record["anomalies"]]
    assert not odd
    assert not [record for record in records.values() if "gap" in record["times"]]
